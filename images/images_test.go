package images

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// member is what a reader finds in an archive. harness/machine boots the archives on real kernels, whose reader is the
// one that counts; this one is for what a kernel does not tell.
type member struct {
	node
	ino, uid, gid, nlink, mtime, devmajor, devminor uint32
}

func read(t *testing.T, b []byte) []member {
	t.Helper()
	var out []member
	for {
		if len(b) < 110 || string(b[:6]) != "070701" {
			t.Fatalf("no header at %.20q", b)
		}
		var f [13]uint32
		for i := range f {
			v, err := strconv.ParseUint(string(b[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			f[i] = uint32(v)
		}
		round := func(n int) int { return (n + 3) &^ 3 }
		at := round(110 + int(f[11]))
		name := string(b[110 : 110+f[11]-1])
		data := b[at : at+int(f[6])]
		b = b[round(at+len(data)):]
		if name == "TRAILER!!!" {
			if bytes.ContainsFunc(b, func(r rune) bool { return r != 0 }) {
				t.Error("something behind the trailer")
			}
			return out
		}
		out = append(out, member{node{name, f[1], f[9], f[10], data}, f[0], f[2], f[3], f[4], f[5], f[7], f[8]})
	}
}

func busybox(t testing.TB) string {
	t.Helper()
	path, err := FindBusybox()
	fixtures.Need(t, err == nil, "busybox-static", busyboxHint)
	return path
}

func TestBuild(t *testing.T) {
	spec := Spec{Busybox: busybox(t), Marker: "0123abc", Run: "ls /", Extra: map[string]File{
		"/opt/deep/tool": {Data: []byte("tool"), Mode: 0o755}, "etc/motd": {Data: []byte("x")}}}
	b, err := Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build(spec)
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("not the same twice: %v", err)
	}
	var list strings.Builder
	for i, m := range read(t, b) {
		if m.ino != uint32(i+1) || m.uid|m.gid|m.mtime|m.devmajor|m.devminor != 0 {
			t.Errorf("%s: %+v", m.name, m)
		}
		fmt.Fprintf(&list, "%06o %d,%d %s", m.mode, m.major, m.minor, m.name)
		if m.mode&^0o7777 == modeSymlink {
			fmt.Fprintf(&list, " -> %s", m.data)
		}
		list.WriteByte('\n')
	}
	const want = `040755 0,0 bin
100755 0,0 bin/busybox
040755 0,0 dev
020600 5,1 dev/console
020644 1,11 dev/kmsg
020666 1,3 dev/null
020600 4,64 dev/ttyS0
040755 0,0 etc
100644 0,0 etc/inittab
040755 0,0 etc/kcatch
100644 0,0 etc/kcatch/marker
100644 0,0 etc/kcatch/rc
100644 0,0 etc/kcatch/run
100644 0,0 etc/motd
120777 0,0 init -> bin/busybox
040755 0,0 opt
040755 0,0 opt/deep
100755 0,0 opt/deep/tool
040755 0,0 proc
040755 0,0 sbin
040755 0,0 sys
040755 0,0 tmp
`
	if list.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", list.String(), want)
	}
	if bytes.Contains(b, []byte(MarkerLine(spec.Marker))) {
		t.Error("the marker's line stands in the archive, where it could be found before init prints it")
	}
}

func TestBuildRefuses(t *testing.T) {
	b := busybox(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	dynamic, err := exec.LookPath("ls")
	if err != nil {
		t.Fatal(err)
	}
	extra := func(name string) map[string]File { return map[string]File{name: {}} }
	for _, c := range []struct {
		name string
		spec Spec
		kind blame.Kind
		want string
	}{
		{"no marker", Spec{Busybox: b}, blame.Unknown, "marker"},
		{"marker for a shell", Spec{Busybox: b, Marker: "$(id)"}, blame.Unknown, "marker"},
		{"no busybox", Spec{Busybox: "/nonexistent", Marker: "m"}, blame.Infrastructure, "/nonexistent: not an ELF file"},
		{"text", Spec{Busybox: text, Marker: "m"}, blame.Infrastructure, "not an ELF file"},
		{"dynamic", Spec{Busybox: dynamic, Marker: "m"}, blame.Infrastructure, "dynamically linked"},
		{"our own file", Spec{Busybox: b, Marker: "m", Extra: extra("/init")}, blame.Usage, "name is taken"},
		{"our own file, otherwise", Spec{Busybox: b, Marker: "m", Extra: extra("etc/../../init")}, blame.Usage, "name is taken"},
		{"below a file", Spec{Busybox: b, Marker: "m", Extra: extra("/bin/busybox/x")}, blame.Usage, "bin/busybox is not a directory"},
		{"root", Spec{Busybox: b, Marker: "m", Extra: extra("/")}, blame.Usage, "not a path"},
		{"one twice", Spec{Busybox: b, Marker: "m", Extra: map[string]File{"a": {}, "/a": {}}}, blame.Usage, "name is taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Build(c.spec)
			if err == nil || !strings.Contains(err.Error(), c.want) || blame.Of(err) != c.kind {
				t.Errorf("error %v of kind %v, want %q", err, blame.Of(err), c.want)
			}
			var e *blame.Error
			if c.kind == blame.Infrastructure && (!errors.As(err, &e) || e.Hint != busyboxHint) {
				t.Errorf("hint %q", blame.Hint(err))
			}
		})
	}
}

func TestMarkers(t *testing.T) {
	a, b := NewMarker(), NewMarker()
	if a == b || !validMarker(a) {
		t.Errorf("markers %q, %q", a, b)
	}
	for _, c := range []struct {
		line   string
		status int
		ok     bool
	}{
		{RunLine("m1", 0), 0, true},
		{"[    0.614294] " + RunLine("m1", 255) + "\r\n", 255, true},
		{RunLine("m2", 0), 0, false},
		{"kcatch: run exited 256 m1", 0, false},
		{"kcatch: run exited -1 m1", 0, false},
		{"kcatch: run exited 7", 0, false},
		{"kcatch: run exited", 0, false},
		{"", 0, false},
	} {
		if status, ok := ParseRunLine("m1", c.line); status != c.status || ok != c.ok {
			t.Errorf("ParseRunLine(%q) = %d, %v; want %d, %v", c.line, status, ok, c.status, c.ok)
		}
	}
	if _, ok := ParseRunLine("", "kcatch: run exited 0 "); ok {
		t.Error("took any marker")
	}
}
