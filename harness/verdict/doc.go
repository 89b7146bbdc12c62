// Package verdict is the vocabulary of the end of a boot: the classes of death, the stages of the boot, the result of
// one boot as JSON ("kcatch/result/v1"), its signature, and the exit code that CI and "git bisect run" read.
//
// It holds values only: it decides nothing about a machine and does no input or output. The JSON is a contract that
// scripts rely on; fields are added, never changed or removed.
package verdict
