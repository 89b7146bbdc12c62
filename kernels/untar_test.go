package kernels

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"kcatch/internal/blame"
)

func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		text := h.Uname // carries the content
		h.Uname = ""
		h.Size = int64(len(text))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUntarHostile(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []tar.Header
	}{
		{"dotdot", []tar.Header{{Name: "../evil", Uname: "x"}}},
		{"deep dotdot", []tar.Header{{Name: "a/b/../../../evil", Uname: "x"}}},
		{"absolute", []tar.Header{{Name: "/evil", Uname: "x"}}},
		{"link out", []tar.Header{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "../evil"}}},
		{"absolute link", []tar.Header{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}},
		{"hard link out", []tar.Header{{Name: "a", Typeflag: tar.TypeLink, Linkname: "../evil"}}},
		{"hard link to nothing", []tar.Header{{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}}},
		{"links that lead out one behind the other", []tar.Header{{Name: "p/q/up", Typeflag: tar.TypeSymlink, Linkname: ".."},
			{Name: "s", Typeflag: tar.TypeSymlink, Linkname: "p/q/up/../.."}, {Name: "s/evil", Typeflag: tar.TypeSymlink, Linkname: "x"}}},
		{"a file as a directory", []tar.Header{{Name: "a", Uname: "x"}, {Name: "a/b", Uname: "x"}}},
		{"empty", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := t.TempDir()
			dir := filepath.Join(up, "in", "to")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := untar(t.Context(), bytes.NewReader(tarOf(t, c.headers...)), dir, func(int) {}); err == nil {
				t.Error("no error")
			}
			for _, p := range []string{filepath.Join(up, "evil"), filepath.Join(up, "in", "evil"), "/evil"} {
				if _, err := os.Lstat(p); err == nil {
					t.Errorf("%s was made", p)
				}
			}
		})
	}
	// A link and then a file behind it: the link is made last, so the file went into a directory of that name.
	dir := t.TempDir()
	err := untar(t.Context(), bytes.NewReader(tarOf(t, tar.Header{Name: "d/x", Uname: "1"}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"},
		tar.Header{Name: "l/x", Uname: "2"})), dir, func(int) {})
	if err != nil || readFile(t, filepath.Join(dir, "d/x")) != "1" {
		t.Errorf("%v", err)
	}
}

func TestTarballs(t *testing.T) {
	fakeTools(t)
	var headers []tar.Header
	for _, f := range []string{"Makefile", "Kbuild", "Kconfig", "arch/x86/Makefile", "scripts/Kbuild.include", "mm/a.c"} {
		headers = append(headers, tar.Header{Name: "linux-6.1/" + f, Uname: readFile(t, filepath.Join(fakeKernel(t), f))})
	}
	headers = append(headers, tar.Header{Name: "linux-6.1/mm/b.c", Typeflag: tar.TypeSymlink, Linkname: "a.c"})
	for _, f := range []string{".config", "include/config/auto.conf", "include/generated/x.h", "mm/a.o", "mm/.a.o.cmd", ".git/HEAD"} { // it was built in
		headers = append(headers, tar.Header{Name: "linux-6.1/" + f, Uname: "left over"})
	}
	raw := tarOf(t, headers...)
	b := Builder{Cache: t.TempDir(), Jobs: 1}
	keys := map[string]bool{}
	for name, wrap := range map[string]func(io.Writer) (io.WriteCloser, error){
		"k.tar.gz":  func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"k.tar.zst": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		"k.tar.xz":  func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	} {
		file := filepath.Join(t.TempDir(), name)
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		w, err := wrap(f)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(raw)
		w.Close()
		f.Close()
		r := Request{Tree: file, Base: BaseDefconfig}
		if err := checkTree(file); err != nil {
			t.Fatal(err)
		}
		out := mustBuild(t, &b, r)
		if text, err := out.Source("mm/a.c"); err != nil || !strings.Contains(string(text), "int g;") {
			t.Errorf("%s: source %q, %v", name, text, err)
		}
		if again := mustBuild(t, &b, r); !again.Reused {
			t.Errorf("%s: built again", name)
		}
		for _, product := range []string{".config", "include/config", "include/generated", "mm/a.o", "mm/.a.o.cmd", ".git"} {
			if left, _ := filepath.Glob(filepath.Join(b.Cache, "sources", "tar-*", "linux-6.1", product)); len(left) > 0 {
				t.Errorf("%s: a product of another build is in the source: %v", name, left)
			}
		}
		keys[out.Key] = true

		// Cut in the middle: a usage error, and nothing half unpacked.
		data, _ := os.ReadFile(file)
		if err := os.WriteFile(file, data[:len(data)/2], 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = b.Build(t.Context(), r)
		wantBlame(t, err, blame.Usage, name)
	}
	if len(keys) != 3 {
		t.Errorf("keys %v", keys)
	}
	// An archive of something else is named by its own name, and not kept.
	file := filepath.Join(t.TempDir(), "other.tar")
	if err := os.WriteFile(file, tarOf(t, tar.Header{Name: "other/README", Uname: "x"}), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := b.Build(t.Context(), Request{Tree: file, Base: BaseDefconfig})
	wantBlame(t, err, blame.Usage, "tree: "+file+": not a kernel tree: it has no Makefile")
	if left, _ := filepath.Glob(filepath.Join(b.Cache, "sources", "tar-*[0-9a-f]")); len(left) != 3 {
		t.Errorf("sources: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(b.Cache, "sources", "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzUntar(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a/b", Uname: "x"}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		up := t.TempDir()
		dir := filepath.Join(up, "to")
		os.Mkdir(dir, 0o755)
		_ = untar(t.Context(), bytes.NewReader(data), dir, func(int) {})
		if list, _ := os.ReadDir(up); len(list) != 1 {
			t.Errorf("wrote outside: %v", list)
		}
	})
}
