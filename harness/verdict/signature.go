package verdict

import (
	"regexp"
	"slices"
	"strings"
)

// signatureFrames is how many functions of the chain a signature carries. Enough to tell two bugs apart that end in the
// same helper, few enough that a changed caller far out does not make a new bug of it.
const signatureFrames = 5

// noise is the assembly at the outer end of every chain; common_startup_64 since v6.10 (arch/x86/kernel/head_64.S).
var noise = []string{"secondary_startup_64_no_verify", "secondary_startup_64", "common_startup_64", "ret_from_fork", "ret_from_fork_asm", "kthread"}

// compilerSuffix matches what gcc and clang append to a function they split or specialize.
var compilerSuffix = regexp.MustCompile(`\.(constprop|isra|part|cold|llvm|lto_priv)(\.\d+)*`)

// Sign computes the signature of a death: class, stage and the functions at fault, outward. It has no lines, addresses
// or compiler suffixes, so that the same bug has the same signature in another build. frames is the chain from the
// function at fault outward.
func Sign(class Class, stage Stage, frames []Frame) string {
	parts := []string{string(class), string(stage)}
	for _, f := range frames {
		name := compilerSuffix.ReplaceAllString(f.Function, "")
		if name == "" || slices.Contains(noise, name) {
			continue
		}
		parts = append(parts, name)
		if len(parts) == 2+signatureFrames {
			break
		}
	}
	return strings.Join(parts, "/")
}
