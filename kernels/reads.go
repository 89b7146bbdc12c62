package kernels

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// CacheDir is where everything is kept, in full.
func (b *Builder) CacheDir() (string, error) { return b.cacheDir() }

// ObjectTree is the directory that the build was made in. The next build of the same source goes on there.
func (b Build) ObjectTree() string { return b.record.Obj }

// Reads is every file of the kernel tree that the objects of an object tree were made of, by its name relative to the tree: sources,
// headers and scripts. Kbuild keeps them with each object (scripts/basic/fixdep.c):
//
//	source_mm/page_alloc.o := /cache/slots/linux/src/mm/page_alloc.c
//	deps_mm/page_alloc.o := \
//	  /cache/slots/linux/src/include/linux/stddef.h \
//
// Makefiles and Kconfig files are not among them. It must be called before the next build from the same source, and an object that an
// older build of the tree has left behind counts too.
func (b Build) Reads(ctx context.Context) ([]string, error) {
	src := filepath.Join(filepath.Dir(b.record.Obj), "src") // see slot
	seen := map[string]bool{}
	var list []string
	err := filepath.WalkDir(b.record.Obj, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), ".") || !strings.HasSuffix(d.Name(), ".cmd") {
			return err
		}
		if ctx.Err() != nil {
			return interrupted("reads")
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return cmdFiles(f, src, func(file string) {
			if !seen[file] {
				seen[file] = true
				list = append(list, file)
			}
		})
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s: no object says what it was made of", b.record.Obj)
	}
	return list, err
}

// maxCmd bounds one .cmd file; those of a tiny kernel have 60 kB at most.
const maxCmd = 16 << 20

// cmdFiles calls found with every word of a .cmd file that is a path below src, relative to it.
func cmdFiles(r io.Reader, src string, found func(string)) error {
	s := bufio.NewScanner(io.LimitReader(r, maxCmd))
	s.Buffer(nil, maxCmd)
	s.Split(bufio.ScanWords)
	for s.Scan() {
		p, ok := strings.CutPrefix(s.Text(), src+"/")
		if p = path.Clean(p); ok && localName(p) {
			found(p)
		}
	}
	return s.Err()
}
