package kernels

import (
	"bytes"
	"io"
	"regexp"
	"strings"
)

// A makeLog reads make's output as it comes: it counts steps, finds the first error, keeps the end and writes all to a file.
type makeLog struct {
	src  string
	file io.Writer
	tick func(steps int, what string)

	fileErr error
	part    []byte // a line whose end has not come
	last    []string
	steps   int
	first   string   // the first error: "mm/slub.c:12:5: error: ..."
	after   []string // what stands behind it: the compiler's excerpt, its further errors
	weak    bool     // first is make's own, a compiler's would be better
	full    bool     // the disk is
}

const maxLine = 8 << 10 // bytes of one line that are looked at

func (l *makeLog) Write(p []byte) (int, error) {
	if l.file != nil && l.fileErr == nil {
		_, l.fileErr = l.file.Write(p)
	}
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if len(l.part) < maxLine {
				l.part = append(l.part, p...)
			}
			break
		}
		l.line(string(append(l.part, p[:i]...)))
		l.part, p = l.part[:0], p[i+1:]
	}
	return n, nil
}

func (l *makeLog) flush() {
	if len(l.part) > 0 {
		l.line(string(l.part))
		l.part = nil
	}
}

var (
	// "  CC      mm/slub.o", "  HOSTCC  scripts/kconfig/conf.o", "  CC [M]  fs/x.o"
	stepLine = regexp.MustCompile(`^  ([A-Z][A-Z0-9_]*(?: \[M\])?) +(\S.*)$`)
	// gcc and clang: "mm/slub.c:12:5: error: ..."; as: "x.S:3: Error: ..."
	compilerError = regexp.MustCompile(`^(\S+?:\d+(?::\d+)?: (?:fatal error|[Ee]rror): .*)$`)
	linkError     = regexp.MustCompile(`(?i)undefined reference to|ld(\.lld|\.bfd)?: (error: )?|^ERROR: modpost:|: error: |: not found$|Kconfig[^:\s]*:\d+: ?`)
	// "ld: mm/slub.o: in function `f':" says where the next line's error is
	linkPlace = regexp.MustCompile(`: in function .*:$`)
	makeTalk  = regexp.MustCompile(`^make(\[\d+\])?: `)
	makeError = regexp.MustCompile(`^make(\[\d+\])?: \*\*\* (.*)$`)
)

func (l *makeLog) line(s string) {
	s = strings.TrimRight(s, "\r")
	if m := stepLine.FindStringSubmatch(s); m != nil {
		l.steps++
		l.tick(l.steps, m[1]+" "+m[2])
		return
	}
	if len(l.last) == 40 {
		l.last = l.last[1:]
	}
	l.last = append(l.last, s)
	if l.first != "" && !l.weak && len(l.after) < 10 && !makeTalk.MatchString(s) {
		l.after = append(l.after, strings.ReplaceAll(s, l.src+"/", ""))
	}
	switch {
	case strings.Contains(s, "No space left on device"):
		l.full = true
	case l.first != "" && !l.weak:
	case linkPlace.MatchString(s):
	case compilerError.MatchString(s), linkError.MatchString(s) && !strings.Contains(strings.ToLower(s), "warning"):
		l.first, l.weak = printable([]byte(l.relative(s))), false
	case makeError.MatchString(s) && l.first == "":
		l.first, l.weak = printable([]byte(l.relative(s))), true
	}
}

// relative makes the names in a line relative to the kernel tree.
func (l *makeLog) relative(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(s), l.src+"/", ""), l.src, ".")
}

// detail is the evidence below the first error: what follows it, or what came last when it is make's own or there is none.
func (l *makeLog) detail() string {
	if l.first != "" && !l.weak {
		return strings.Join(l.after, "\n")
	}
	var lines []string
	for _, s := range l.last {
		if !makeTalk.MatchString(s) {
			lines = append(lines, strings.ReplaceAll(s, l.src+"/", ""))
		}
	}
	return strings.Join(lines, "\n")
}

func (l *makeLog) tail() string { return strings.Join(l.last, "\n") }

// missingTool knows the tools that only some configurations need, by how their absence shows.
func (l *makeLog) missingTool() (pkg string, ok bool) {
	text := l.tail()
	for _, t := range [][2]string{
		{"openssl/", "libssl-dev"}, {"gelf.h", "libelf-dev"}, {"libelf.h", "libelf-dev"}, {"pahole: not found", "pahole"}, {"pahole (pahole) is not available", "pahole"},
		{"BTF: .tmp_vmlinux.btf: pahole", "pahole"}, {"zstd: not found", "zstd"}, {"lz4: not found", "lz4"}, {"lz4c: not found", "lz4"}, {"lzop: not found", "lzop"},
		{"xz: not found", "xz-utils"}, {"cpio: not found", "cpio"}, {"bc: not found", "bc"}, {"flex: not found", "flex"},
		{"bison: not found", "bison"}, {"python3: not found", "python3"}, {"perl: not found", "perl"}, {"gawk: not found", "gawk"}, {"rsync: not found", "rsync"},
	} {
		if strings.Contains(text, t[0]) && (strings.Contains(t[0], "not ") || strings.Contains(text, "fatal error: ") || strings.HasPrefix(t[0], "BTF")) {
			return t[1], true
		}
	}
	return "", false
}
