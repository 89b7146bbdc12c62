package kernels

import "path/filepath"

// Tool is a program or a header that building a kernel needs.
type Tool struct {
	Name    string // gcc, gelf.h
	Package string // Debian's; empty when it is not known
	Header  bool
	Found   bool
	// For is what it is needed for, where that is not every kernel; empty: every one.
	For string
	// Optional: not even a boot without any argument needs it.
	Optional bool
}

// Tools says what building kernels with these make arguments (as in [Request]) needs, and what of it is there. The first two are make and
// the compiler. A wrong argument is a usage error.
func Tools(args []string) ([]Tool, error) {
	if err := checkMake(args); err != nil {
		return nil, err
	}
	var tools []Tool
	seen := map[string]bool{}
	add := func(n need, use string, optional bool) {
		if !seen[n.what] {
			seen[n.what] = true
			tools = append(tools, Tool{Name: n.what, Package: n.pkg, Header: n.header, Found: n.there(), For: use, Optional: optional})
		}
	}
	for _, n := range readToolchain(args).needs(false, false) {
		add(n, "", false)
	}
	add(need{"lz4", "lz4", false}, "the tiny configuration", false)
	add(need{"git", "git", false}, "patches and bisections", true)
	add(need{"xz", "xz-utils", false}, "unpacking sources, and kernels compressed so", true)
	add(need{"openssl/opensslv.h", "libssl-dev", true}, "configurations with module signatures", true)
	add(need{"pahole", "dwarves", false}, "configurations with BTF", true)
	add(need{"zstd", "zstd", false}, "kernels compressed so", true)
	return tools, nil
}

// SpaceNeeded is what one tiny kernel takes in the cache with its source and objects, in bytes.
const SpaceNeeded = spaceNeeded

// FreeSpace is what an ordinary user can still write at path, or at the nearest directory above that is there, in bytes; false when that
// cannot be told.
func FreeSpace(path string) (uint64, bool) {
	for {
		if free, ok := freeSpace(path); ok {
			return free, true
		}
		up := filepath.Dir(path)
		if up == path {
			return 0, false
		}
		path = up
	}
}
