package kernels

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strings"
)

// An ignoreRule is one line of a .gitignore (gitignore(5), "PATTERN FORMAT").
type ignoreRule struct {
	pattern  string // without "!", leading and trailing "/"
	negate   bool   // !pattern: take it after all
	dirOnly  bool   // pattern/
	anchored bool   // has a "/" in it or before it: matched against the whole path below the .gitignore
	suffix   string // for "*.o": ".o", the common case
	literal  bool   // no wildcard
	all      bool   // "*" or "**": everything, see matches
}

// An ignoreFile is the rules of one .gitignore; base is its directory in the tree ("" or "drivers/net/").
// The last rule that matches wins, and a deeper file wins over those above it.
type ignoreFile struct {
	up    *ignoreFile
	base  string
	rules []ignoreRule
}

// verdict says what the rules from f upwards say about a path: +1 left out, -1 taken by a "!" rule, 0 nothing.
func (f *ignoreFile) verdict(path, name string, dir bool) int {
	for ; f != nil; f = f.up {
		for i := len(f.rules) - 1; i >= 0; i-- {
			if r := &f.rules[i]; r.matches(path[len(f.base):], name, dir) {
				if r.negate {
					return -1
				}
				return 1
			}
		}
	}
	return 0
}

func (r *ignoreRule) matches(path, name string, dir bool) bool {
	switch {
	case r.dirOnly && !dir:
		return false
	case r.all && !r.negate:
		// A directory that ignores everything in it ("*", or Debian's "/*") says what git is to leave alone, not what the
		// kernel is built from: a new source in it is still a source.
		return !dir && !isSource(name)
	case r.suffix != "":
		return strings.HasSuffix(name, r.suffix)
	case r.anchored && r.literal:
		return path == r.pattern
	case r.literal:
		return name == r.pattern
	case r.anchored:
		return wildmatch(r.pattern, path)
	}
	return wildmatch(r.pattern, name)
}

// isSource reports whether a file is by its name something a kernel is built from.
func isSource(name string) bool {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		switch name[i:] {
		case ".c", ".h", ".S", ".lds", ".rs", ".inc", ".tbl", ".sh", ".pl", ".py", ".awk", ".dts", ".dtsi", ".l", ".y", ".uc", ".include":
			return true
		}
	}
	return strings.HasPrefix(name, "Makefile") || strings.HasPrefix(name, "Kbuild") || strings.HasPrefix(name, "Kconfig") ||
		strings.HasSuffix(name, "_shipped") || strings.HasSuffix(name, ".lds.S")
}

const maxIgnore = 1 << 20 // bytes of one .gitignore

func readIgnore(name, base string, up *ignoreFile) (*ignoreFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIgnore))
	if err != nil {
		return nil, err
	}
	return parseIgnore(data, base, up), nil
}

func parseIgnore(data []byte, base string, up *ignoreFile) *ignoreFile {
	f := &ignoreFile{up: up, base: base}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, maxIgnore+1)
	for s.Scan() {
		if r, ok := parseIgnoreRule(s.Text()); ok {
			f.rules = append(f.rules, r)
		}
	}
	if len(f.rules) == 0 {
		return up
	}
	return f
}

func parseIgnoreRule(l string) (r ignoreRule, ok bool) {
	l = strings.TrimSuffix(l, "\r")
	for strings.HasSuffix(l, " ") && !strings.HasSuffix(l, `\ `) {
		l = l[:len(l)-1]
	}
	if l == "" || l[0] == '#' {
		return r, false
	}
	if l[0] == '!' {
		r.negate, l = true, l[1:]
	}
	if strings.HasSuffix(l, "/") {
		r.dirOnly, l = true, strings.TrimRight(l, "/")
	}
	r.anchored = strings.Contains(l, "/")
	l = strings.TrimPrefix(l, "/")
	if l == "" {
		return r, false
	}
	r.pattern = l
	r.all = l == "*" || l == "**"
	r.literal = !strings.ContainsAny(l, `*?[\`)
	if rest, found := strings.CutPrefix(l, "*"); found && !r.anchored && rest != "" && !strings.ContainsAny(rest, `*?[\`) {
		r.suffix = rest
	}
	return r, true
}

// wildmatch matches a path against a pattern of gitignore(5): "*" and "?" do not match "/", "**" between slashes matches any
// number of directories. Its cost is bounded by len(pattern)*len(s) steps a "*".
func wildmatch(pattern, s string) bool {
	if rest, ok := strings.CutPrefix(pattern, "**/"); ok {
		for {
			if wildmatch(rest, s) {
				return true
			}
			i := strings.IndexByte(s, '/')
			if i < 0 {
				return false
			}
			s = s[i+1:]
		}
	}
	if pattern == "**" {
		return s != ""
	}
	pi := strings.IndexByte(pattern, '/')
	if pi < 0 {
		return !strings.Contains(s, "/") && globName(pattern, s)
	}
	si := strings.IndexByte(s, '/')
	if si < 0 {
		return false
	}
	return globName(pattern[:pi], s[:si]) && wildmatch(pattern[pi+1:], s[si+1:])
}

// globName matches one component; backtracking goes to the last "*" only, so it is linear in each.
func globName(p, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			star, mark, i = i, j, i+1
			continue
		}
		if i < len(p) {
			if n, ok := globOne(p[i:], s[j]); ok {
				i, j = i+n, j+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		i, j = star+1, mark
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// globOne matches one byte against the first element of p and returns the element's length.
func globOne(p string, c byte) (n int, ok bool) {
	switch p[0] {
	case '?':
		return 1, true
	case '\\':
		if len(p) > 1 {
			return 2, p[1] == c
		}
		return 1, false
	case '[':
		i, not, hit := 1, false, false
		if i < len(p) && (p[i] == '!' || p[i] == '^') {
			not, i = true, i+1
		}
		for first := true; i < len(p) && (p[i] != ']' || first); first = false {
			lo := p[i]
			if lo == '\\' && i+1 < len(p) {
				i++
				lo = p[i]
			}
			hi := lo
			if i+2 < len(p) && p[i+1] == '-' && p[i+2] != ']' {
				hi, i = p[i+2], i+2
			}
			hit = hit || lo <= c && c <= hi
			i++
		}
		if i >= len(p) {
			return 1, p[0] == c // no closing bracket: the character itself
		}
		return i + 1, hit != not
	}
	return 1, p[0] == c
}
