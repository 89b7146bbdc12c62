// Package config resolves the settings of a run, once, into a plain struct.
//
// What it does: every setting of "kcatch boot" has one key, the name of its flag. Its value is taken from the first of
//
//	flag or argument  >  environment (KCATCH_ and the key: KCATCH_QEMU_ARG)  >  profile  >  default
//
// then checked. [Resolved] keeps where each value came from. A list is taken whole from one of them, never added up. In
// the environment the members of a list are separated by white space, and an empty variable is no variable.
//
// A profile is a YAML file, or the name of an embedded one, with the keys of the flags; lists may be YAML lists:
//
//	# nightly: two CPUs, warnings count
//	tree: debian-6.12
//	smp: 2
//	memory: 512M
//	fail-on: [oops, bug, warn]
//
// An unknown key is refused with the nearest known one. File names in a profile are relative to the working directory,
// as on the command line.
//
// A smoke profile ([ResolveSmoke]) is a matrix: lists of kernels, machines and command lines, whose members take the keys of the flags
// that are theirs; a member lies between the environment and the profile's top-level keys. Here every refusal has its line, and
// paths may have ~/ and ${NAME}.
//
// What it needs from you: the flags bound by [BindBootFlags] and parsed, the environment as a function, and the classes
// of death by name. What it does not do: it reads no environment by itself, prints nothing, and does not look into the
// files that are named, beyond their being there.
//
// Errors are [blame.Error] of kind Usage, one line with the flag, variable or file:line at fault, and a hint.
//
// It is the one user of viper, which holds the layers. viper lower-cases keys, so that CONFIG_KASAN would become
// config_kasan (spf13/viper#373): kernel configuration symbols are never keys here, they stand in fragments.
package config
