package kernels

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

func tryPatches(t *testing.T, tree string, texts ...string) (overlay, []Patch, error) {
	t.Helper()
	var files []patchFile
	for i, text := range texts {
		files = append(files, patchFile{Name: fmt.Sprintf("p%d.diff", i+1), forms: []patchForm{{Path: "p", Data: []byte(text)}}})
	}
	before := snapshot(t, tree)
	o, p, err := applyPatches(t.Context(), tree, t.TempDir(), version{6, 1}, files)
	if snapshot(t, tree) != before {
		t.Error("the tree was touched")
	}
	return o, p, err
}

func TestPatchesThatFit(t *testing.T) {
	tree := fakeKernel(t)
	if err := os.WriteFile(filepath.Join(tree, "mm/two words.c"), []byte("one\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const rename = `diff --git a/mm/a.c b/mm/b.c
similarity index 100%
rename from mm/a.c
rename to mm/b.c
`
	mail := func(body, encoding string) string {
		return "From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: [PATCH] x\n" +
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: " + encoding + "\n\n" + body
	}
	quoted := strings.ReplaceAll(strings.ReplaceAll("text\n---\n"+addLine+"-- \n2.39\n", "=", "=3D"), "int patched", "int=20patched")
	for _, c := range []struct {
		name  string
		texts []string
		want  map[string]string // path -> kind and content
	}{
		{"git", []string{addLine}, map[string]string{"mm/a.c": "fint a;\nint patched;\nint b;\nint c;\nint d;\nint e;\nint f;\nint g;\n"}},
		{"no prefix", []string{strings.NewReplacer("a/mm", "mm", "b/mm", "mm").Replace(addLine)}, map[string]string{"mm/a.c": ""}},
		{"long prefix", []string{strings.NewReplacer("a/mm", "linux/old/mm", "b/mm", "linux/new/mm").Replace(addLine)}, map[string]string{"mm/a.c": ""}},
		{"offset", []string{"--- a/mm/a.c\n+++ b/mm/a.c\n@@ -2,3 +2,2 @@\n int d;\n-int e;\n int f;\n"}, map[string]string{"mm/a.c": "fint a;\nint b;\nint c;\nint d;\nint f;\nint g;\n"}},
		{"crlf mail", []string{strings.ReplaceAll(mail(addLine+"-- \n2.39\n", "8bit"), "\n", "\r\n")}, map[string]string{"mm/a.c": ""}},
		{"two in order", []string{addLine, strings.Replace(strings.Replace(addLine, "+int patched;", "+int again;", 1), " int a;\n", " int a;\n", 1)}, nil},
		{"new, deleted, mode", []string{"diff --git a/x/new.sh b/x/new.sh\nnew file mode 100755\n--- /dev/null\n+++ b/x/new.sh\n@@ -0,0 +1 @@\n+hi\n" +
			"diff --git a/Kbuild b/Kbuild\ndeleted file mode 100644\n--- a/Kbuild\n+++ /dev/null\n@@ -1 +0,0 @@\n-obj-y += mm/\n"},
			map[string]string{"x/new.sh": "xhi\n", "Kbuild": "-"}},
		{"rename", []string{rename}, map[string]string{"mm/a.c": "-", "mm/b.c": "fint a;\nint b;\nint c;\nint d;\nint e;\nint f;\nint g;\n"}},
		{"rename, then change", []string{rename, strings.ReplaceAll(addLine, "mm/a.c", "mm/b.c")}, map[string]string{"mm/a.c": "-", "mm/b.c": ""}},
		{"there and back", []string{addLine, "--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1,3 +1,2 @@\n int a;\n-int patched;\n int b;\n"}, map[string]string{}},
		{"quoted-printable", []string{mail(quoted, "quoted-printable")}, map[string]string{"mm/a.c": "fint a;\nint patched;\nint b;\nint c;\nint d;\nint e;\nint f;\nint g;\n"}},
		{"base64", []string{mail(base64.StdEncoding.EncodeToString([]byte("text\n---\n"+addLine))+"\n", "base64")}, map[string]string{"mm/a.c": ""}},
		{"series with a cover", []string{mail("cover letter\n", "8bit") + mail("1\n---\n"+rename+"-- \n2\n\n", "8bit") + mail("2\n---\n"+strings.ReplaceAll(addLine, "mm/a.c", "mm/b.c")+"-- \n2\n\n", "8bit")},
			map[string]string{"mm/a.c": "-", "mm/b.c": ""}},
		{"one mail without a From line", []string{strings.SplitN(mail("x\n---\n"+addLine, "8bit"), "\n", 2)[1]}, map[string]string{"mm/a.c": ""}},
		{"blanks in a name", []string{"diff --git a/mm/two words.c b/mm/two words.c\n--- a/mm/two words.c\t2024\n+++ b/mm/two words.c\t2024\n@@ -1 +1 @@\n-one\n+two\n"}, map[string]string{"mm/two words.c": "ftwo\n"}},
		{"binary", []string{"diff --git a/x.bin b/x.bin\nnew file mode 100644\nindex 0000000000000000000000000000000000000000..f76dd238ade08917e6712764a16a22005a50573d\nGIT binary patch\nliteral 1\nIcmZPo000310RR91\n\nliteral 0\nHcmV?d00001\n\n"},
			map[string]string{"x.bin": "f\x00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, _, err := tryPatches(t, tree, c.texts...)
			if c.want == nil {
				return // only: no panic, and the order is asked for elsewhere
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, blame.Detail(err))
			}
			if len(o) != len(c.want) {
				t.Errorf("changed: %v", o.names())
			}
			for p, want := range c.want {
				f, ok := o[p]
				if got := string(f.Kind) + string(f.Data); !ok || want != "" && got != want {
					t.Errorf("%s: %q, want %q", p, got, want)
				}
			}
		})
	}
}

func TestPatchesThatDoNot(t *testing.T) {
	tree := fakeKernel(t)
	hunk := func(s string) string { return "--- a/mm/a.c\n+++ b/mm/a.c\n" + s }
	for _, c := range []struct {
		name  string
		texts []string
		kind  blame.Kind
		want  []string
	}{
		{"context", []string{hunk("@@ -1,3 +1,3 @@ f\n int a;\n-int zz;\n+int y;\n int c;\n")}, blame.Build,
			[]string{"patch: p1.diff: mm/a.c: hunk 1 of 1 (@@ -1,3 +1,3 @@): context line not found in the file: int zz;", "rebase"}},
		{"white space", []string{hunk("@@ -1,2 +1,2 @@\n int  a;\n-int b;\n+int y;\n")}, blame.Build, []string{"differs in white space from line 1"}},
		{"order of lines", []string{hunk("@@ -2,2 +2,2 @@\n int b;\n-int d;\n+int y;\n")}, blame.Build, []string{"hunk 1 of 1", `should be "int d;" and is "int c;"`}},
		{"second hunk", []string{hunk("@@ -1,3 +1,3 @@\n int a;\n-int b;\n+int y;\n int c;\n@@ -6,2 +6,2 @@\n int f;\n-int none;\n+int x;\n")}, blame.Build, []string{"hunk 2 of 2 (@@ -6,2 +6,2 @@)", "int none;"}},
		{"not at the start", []string{hunk("@@ -1,3 +1,2 @@\n int c;\n-int d;\n int e;\n")}, blame.Build, []string{"stand at line 3 of the file, and the hunk says that they begin it"}},
		{"not at the end", []string{hunk("@@ -2,2 +2,2 @@\n int b;\n-int c;\n+int x;\n")}, blame.Build, []string{"stand at line 2 of the file, and the hunk says that they end it"}},
		{"both hunks", []string{hunk("@@ -1,2 +1,2 @@\n int a;\n-int b2;\n+int y;\n@@ -6,2 +6,2 @@\n int f;\n-int none;\n+int x;\n")}, blame.Build, []string{"hunk 1 of 2", "(and 1 more)"}},
		{"already", []string{addLine, addLine}, blame.Build, []string{"patch: p2.diff: mm/a.c: already applied", "leave the patch out"}},
		{"no file", []string{strings.ReplaceAll(addLine, "mm/a.c", "mm/none.c")}, blame.Build, []string{"mm/none.c: the tree has no such file"}},
		{"new file that is there", []string{"diff --git a/Kbuild b/Kbuild\nnew file mode 100644\n--- /dev/null\n+++ b/Kbuild\n@@ -0,0 +1 @@\n+hi\n"}, blame.Build, []string{"Kbuild: already there"}},
		{"the second of two", []string{addLine, hunk("@@ -1,2 +1,2 @@\n int a;\n-int b;\n+int y;\n")}, blame.Build, []string{"patch: p2.diff: mm/a.c: hunk 1"}},
		{"no patch", []string{"int main() {}\n"}, blame.Usage, []string{"p1.diff: not a patch: no \"--- a/FILE\"", "git diff"}},
		{"empty", []string{""}, blame.Usage, []string{"not a patch"}},
		{"binary rubbish", []string{"\x7fELF\x00\x00"}, blame.Usage, []string{"not a patch: it is binary"}},
		{"cut off", []string{hunk("@@ -1,3 +1,3 @@\n int a;")}, blame.Usage, []string{"not a patch", "cut off"}},
		{"broken line", []string{hunk("@@ -1,3 +1,3 @@\n int a;\nint b;\n")}, blame.Usage, []string{"not a patch: line 5"}},
		{"escape", []string{strings.ReplaceAll(addLine, "mm/a.c", "../../etc/passwd")}, blame.Usage, []string{"outside the kernel tree"}},
		{"absolute", []string{strings.NewReplacer("a/mm/a.c", "/etc/passwd", "b/mm/a.c", "/etc/passwd").Replace(addLine)}, blame.Build, []string{"etc/passwd"}},
		{"mail without a diff", []string{"From: a@b\nSubject: hello\n\nno diff here\n"}, blame.Usage, []string{"none of its 1 mails has a diff"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := tryPatches(t, tree, c.texts...)
			wantBlame(t, err, c.kind, c.want...)
		})
	}
}

func TestPatchThroughLink(t *testing.T) {
	tree := fakeKernel(t)
	if err := os.Symlink("mm", filepath.Join(tree, "ln")); err != nil {
		t.Fatal(err)
	}
	_, _, err := tryPatches(t, tree, strings.ReplaceAll(addLine, "mm/a.c", "ln/a.c"))
	wantBlame(t, err, blame.Build, "ln is a symbolic link")
}

func TestReadPatch(t *testing.T) {
	_, err := readPatch("pgflags-refcnt")
	wantBlame(t, err, blame.Usage, "no patch of that name", "pgflags-refcount")
	_, err = readPatch("/nothing/here.diff")
	wantBlame(t, err, blame.Usage, "no such file")
	_, err = readPatch(t.TempDir())
	wantBlame(t, err, blame.Usage, "is a directory")
}

// TestEmbeddedPatches checks each patch of kernels/patches: its file names, its licence and that git can read it.
func TestEmbeddedPatches(t *testing.T) {
	if len(Patches()) == 0 {
		t.Fatal("no patches")
	}
	for _, info := range Patches() {
		if info.Asserts == "" {
			t.Errorf("%s: README.md does not say what it asserts", info.Name)
		}
		p, ok := embeddedPatch(info.Name)
		if !ok {
			t.Fatalf("%s: no diff", info.Name)
		}
		for _, f := range p.forms {
			if !regexp.MustCompile(`/(\d+\.\d+)?-(\d+\.\d+)?\.diff$`).MatchString(f.Path) {
				t.Errorf("%s: the name is not FROM-TO.diff", f.Path)
			}
			if !strings.Contains(string(f.Data), "SPDX-License-Identifier: GPL-2.0-only") {
				t.Errorf("%s: no licence", f.Path)
			}
			files, err := parseDiff(f.Data)
			if err != nil {
				t.Errorf("%s: %v", f.Path, err)
			}
			// It fits on a tree that has just its old lines.
			tree := t.TempDir()
			for _, d := range files {
				rel, _ := stripped(d.Old, 1)
				var old []string
				for _, h := range d.Hunks {
					old = append(old, h.Old...)
				}
				writeFiles(t, tree, map[string]string{rel: strings.Join(old, "\n") + "\n"})
			}
			v := f.from
			_, done, err := applyPatches(t.Context(), tree, t.TempDir(), v, []patchFile{p})
			if err != nil || done[0].Path != f.Path {
				t.Errorf("%s: took %+v, %v", f.Path, done, err)
			}
			// Nor does another version number keep it from fitting: the file is asked first.
			_, done, err = applyPatches(t.Context(), tree, t.TempDir(), version{2, 6}, []patchFile{p})
			if err != nil || done[0].Path != f.Path {
				t.Errorf("%s as 2.6: took %+v, %v", f.Path, done, err)
			}
		}
	}
}

// TestEmbeddedPatchesOnDebian tries each patch on the sources that the fixtures are built from.
func TestEmbeddedPatchesOnDebian(t *testing.T) {
	for fixture, tree := range map[string]string{fixtures.Seed61: "debian-6.1", fixtures.Seed612: "debian-6.12"} {
		t.Run(tree, func(t *testing.T) {
			cache := filepath.Dir(filepath.Dir(filepath.Dir(fixtures.Find(t, fixture).Vmlinux))) // it is builds/KEY/vmlinux
			roots, err := filepath.Glob(filepath.Join(cache, "sources", tree+"_*", "linux-source-*"))
			if err != nil || len(roots) == 0 {
				t.Fatalf("no source of %s in %s: %v", tree, cache, err)
			}
			root := roots[len(roots)-1]
			v, err := treeVersion(root)
			if err != nil {
				t.Fatal(err)
			}
			for _, info := range Patches() {
				p, _ := embeddedPatch(info.Name)
				_, done, err := applyPatches(t.Context(), root, t.TempDir(), v, []patchFile{p})
				if err != nil || done[0].Path != p.ordered(v)[0].Path {
					t.Errorf("%s: took %+v, %v; want the form for %v", info.Name, done, err, v)
				}
			}
		})
	}
}

func TestPatchForms(t *testing.T) {
	p, _ := embeddedPatch("pgflags-refcount")
	for v, want := range map[version]string{{6, 1}: "5.16-6.9.diff", {6, 12}: "6.9-.diff", {6, 9}: "6.9-.diff", {7, 0}: "6.9-.diff", {6, 8}: "5.16-6.9.diff"} {
		if got := filepath.Base(p.ordered(v)[0].Path); got != want {
			t.Errorf("%v: %s first, want %s", v, got, want)
		}
	}
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte(addLine))
	f.Add([]byte("diff --git \"a/\\303\" \"b/\\303\"\nrename from x\n@@ -1 +1 @@"))
	f.Add([]byte("--- a\n+++ b\n@@ -0,0 +1,99999999 @@\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := parseDiff(data)
		if (err == nil) == (len(files) == 0) {
			t.Error("error and value, or neither")
		}
		for _, d := range files {
			if rel, ok := stripped(d.New, 1); ok && (strings.HasPrefix(rel, "/") || strings.Contains("/"+rel+"/", "/../")) {
				t.Errorf("leaves the tree: %q", rel)
			}
			for _, h := range d.Hunks {
				explain(h, []string{"a", "b"})
			}
		}
	})
}

func FuzzIgnore(f *testing.F) {
	f.Add("*.o\n!x/**/y\n[a-", "x/y/z.o")
	f.Fuzz(func(t *testing.T, rules, name string) {
		if len(rules) > 200 || len(name) > 200 || name == "" {
			return
		}
		parseIgnore([]byte(rules), "", nil).verdict(name, name[strings.LastIndexByte(name, '/')+1:], false)
	})
}

// The rows are gitignore(5)'s rules; "git check-ignore" says the same but for the last group, which is ours.
func TestIgnore(t *testing.T) {
	for _, c := range []struct {
		rules, path string
		dir         bool
		want        int
	}{
		{"*.o", "a/b.o", false, 1}, {"*.o", "a/b.c", false, 0}, {"/x", "x", false, 1}, {"/x", "a/x", false, 0}, {"x", "a/x", false, 1},
		{"x/", "a/x", true, 1}, {"x/", "a/x", false, 0}, {"a/x", "a/x", false, 1}, {"a/x", "b/a/x", false, 0}, {"**/x", "b/a/x", false, 1},
		{"a/**/x", "a/x", false, 1}, {"a/**/x", "a/b/c/x", false, 1}, {"a/**", "a/b/c", false, 1}, {"a/*", "a/b/c", false, 0},
		{"*.[ch]", "x.c", false, 1}, {"*.[!ch]", "x.c", false, 0}, {"[a-c]x", "bx", false, 1}, {"x?z", "xyz", false, 1},
		{`\#*#`, "#a#", false, 1}, {"#c", "#c", false, 0}, {"*.o\n!keep.o", "keep.o", false, -1}, {"!keep.o\n*.o", "keep.o", false, 1},
		{"x ", "x", false, 1}, {"*.tab.[ch]", "p.tab.c", false, 1},
		{"*", "new.c", false, 0}, {"*", "out.bin", false, 1}, {"/*", "Makefile", false, 0}, {"*", "dir", true, 0},
	} {
		name := c.path[strings.LastIndexByte(c.path, '/')+1:]
		if got := parseIgnore([]byte(c.rules), "", nil).verdict(c.path, name, c.dir); got != c.want {
			t.Errorf("%q on %s: %d, want %d", c.rules, c.path, got, c.want)
		}
	}
}
