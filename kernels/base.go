package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// A base is a .config of someone's, often of another version or of a distribution. Unlike a fragment it asks for nothing in
// particular: what this tree does not have or give is noted, and does not end the build.

// keyFiles are the symbols that name certificates to build in, with what they are without one. A distribution's .config names files of
// its own packaging (Debian: debian/certs/...), and the build would end for want of them after minutes.
var keyFiles = [][2]string{
	{"SYSTEM_TRUSTED_KEYS", `""`},
	{"SYSTEM_REVOCATION_KEYS", `""`},
	{"MODULE_SIG_KEY", `"certs/signing_key.pem"`}, // made by the build when it is not there
}

// withoutKeys are the key symbols of a base whose files are not in the tree, set to nothing.
func withoutKeys(base kconfig.Config, tree string) (out kconfig.Config, notes []string) {
	for _, k := range keyFiles {
		o, ok := base.Get(k[0])
		file := strings.Trim(o.Value, `"`)
		if !ok || !strings.HasPrefix(o.Value, `"`) || file == "" || o.Value == k[1] || strings.HasPrefix(file, "pkcs11:") {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(tree, file)
		}
		if _, err := os.Stat(file); err == nil || out.Set(k[0], k[1]) != nil {
			continue
		}
		notes = append(notes, "base: no "+clip(strings.Trim(o.Value, `"`))+" here, so "+k[0]+" is left out")
	}
	return out, notes
}

// listedLost is how many symbols a note names before it counts the rest.
const listedLost = 3

// lost notes what the base has on and the final configuration has off. Symbols that follow from the compiler and the tree are not counted:
// kconfig sets them, not a person.
func lost(base, final, requested kconfig.Config) string {
	var names []string
	for _, p := range kconfig.Check(base, final, nil) {
		if _, ok := requested.Get(p.Symbol); ok || p.Got != "n" || p.Wanted != "y" && p.Wanted != "m" || derived(p.Symbol) {
			continue
		}
		names = append(names, p.Symbol)
	}
	n := len(names)
	if n == 0 {
		return ""
	}
	text := strings.Join(names[:min(n, listedLost)], ", ")
	if n > listedLost {
		text += fmt.Sprintf(" and %d more", n-listedLost)
	}
	return fmt.Sprintf("base: not in this kernel: %s", text)
}

func derived(symbol string) bool {
	for _, p := range []string{"CC_", "GCC_", "CLANG_", "AS_", "LD_", "LLD_", "HAVE_", "ARCH_", "TOOLS_", "PAHOLE_", "RUSTC_", "RUST_"} {
		if strings.HasPrefix(symbol, p) {
			return true
		}
	}
	return false
}

// configTools are the tools and headers that a configuration needs besides those of every kernel. Their absence would show late: pahole's
// in the last minute of a build.
var configTools = []struct {
	symbol string
	need   need
}{
	{"DEBUG_INFO_BTF", need{"pahole", "pahole", false}},
	{"KERNEL_LZ4", need{"lz4", "lz4", false}},
	{"KERNEL_LZO", need{"lzop", "lzop", false}},
	{"KERNEL_LZMA", need{"xz", "xz-utils", false}},
	{"KERNEL_XZ", need{"xz", "xz-utils", false}},
	{"KERNEL_ZSTD", need{"zstd", "zstd", false}},
	{"KERNEL_BZIP2", need{"bzip2", "bzip2", false}},
	{"IKHEADERS", need{"cpio", "cpio", false}},
	{"MODULE_SIG_FORMAT", need{"openssl", "openssl", false}},
	{"SYSTEM_DATA_VERIFICATION", need{"openssl/opensslv.h", "libssl-dev", true}},
}

// checkTools says which tool a configuration needs that is not there.
func checkTools(final kconfig.Config) error {
	for _, t := range configTools {
		if final.Value(t.symbol) == "y" && !t.need.there() {
			return blame.New(blame.Infrastructure, "configure: not installed: "+t.need.what+", which CONFIG_"+t.symbol+" needs",
				"as root: apt-get install --no-install-recommends "+t.need.pkg+`; or a fragment (--config) with "# CONFIG_`+t.symbol+` is not set"`)
		}
	}
	return nil
}
