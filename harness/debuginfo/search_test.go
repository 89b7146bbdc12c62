package debuginfo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/trace"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// TestSearchVmlinux: each place that a vmlinux may be at, by release and by build id.
func TestSearchVmlinux(t *testing.T) {
	vmlinux := fixtures.Find(t, fixtures.Good61).Vmlinux
	f := open(t, vmlinux)
	release, id := f.Release(), f.BuildID()
	other := strings.Repeat("ab", 20)
	for _, tt := range []struct {
		path string
		id   trace.Identity
		want string // in the error; empty for none
	}{
		{"usr/lib/debug/boot/vmlinux-" + release, trace.Identity{Release: release}, ""},
		{"usr/lib/debug/boot/vmlinux-" + release + ".debug", trace.Identity{Release: release}, ""},
		{"usr/lib/debug/lib/modules/" + release + "/vmlinux", trace.Identity{Release: release}, ""},
		{"lib/modules/" + release + "/build/vmlinux", trace.Identity{Release: release}, ""},
		{"lib/modules/" + release + "/vmlinux", trace.Identity{Release: release}, ""},
		{"boot/vmlinux-" + release, trace.Identity{Release: release, BuildID: id}, ""},
		{"usr/lib/debug/.build-id/" + id[:2] + "/" + id[2:] + ".debug", trace.Identity{Release: release, BuildID: id}, ""},
		{"cache/" + id + "/debuginfo", trace.Identity{BuildID: id}, ""},
		{"boot/vmlinux-" + release, trace.Identity{Release: release, BuildID: other}, "of another build: its build id is " + id},
		{"boot/vmlinux-6.0.0", trace.Identity{Release: "6.0.0"}, "of another kernel, " + release},
		{"boot/vmlinux-" + release, trace.Identity{Release: "6.0.0"}, "no vmlinux of 6.0.0 on this machine"},
		{"boot/vmlinux-" + release, trace.Identity{BuildID: other}, "no vmlinux of build id " + other},
		{"boot/vmlinux-" + release, trace.Identity{Release: release, Version: "#1"}, ""},
		{"boot/vmlinux-" + release, trace.Identity{Release: release, Version: "#13"}, "of another build: it is #1, the text is of #13"},
		{"boot/vmlinux-" + release, trace.Identity{}, "does not say which kernel"},
	} {
		root := t.TempDir()
		link(t, vmlinux, filepath.Join(root, tt.path))
		got, err := Search{Root: root, Caches: []string{filepath.Join(root, "cache")}}.Vmlinux(tt.id)
		if tt.want == "" {
			if err != nil || got.BuildID() != id {
				t.Errorf("%s for %+v: %v", tt.path, tt.id, err)
			} else {
				_ = got.Close()
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || blame.Of(err) != blame.Usage {
			t.Errorf("%s for %+v: %v, want %q", tt.path, tt.id, err, tt.want)
		}
	}
}

// TestSearchSkipsWhatDoesNotServe: a broken file, a directory and a vmlinux without debug information give way to a better one.
func TestSearchSkipsWhatDoesNotServe(t *testing.T) {
	vmlinux := fixtures.Find(t, fixtures.Good61).Vmlinux
	f := open(t, vmlinux)
	release := f.Release()
	root := t.TempDir()
	broken := filepath.Join(root, "usr/lib/debug/boot/vmlinux-"+release)
	if err := os.MkdirAll(filepath.Dir(broken), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, []byte("\x7fELF"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "usr/lib/debug/lib/modules", release, "vmlinux"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Search{Root: root}.Vmlinux(trace.Identity{Release: release})
	if err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("only a broken file: %v", err)
	}
	link(t, vmlinux, filepath.Join(root, "boot/vmlinux-"+release))
	got, err := Search{Root: root}.Vmlinux(trace.Identity{Release: release})
	if err != nil || got.Path() != filepath.Join(root, "boot/vmlinux-"+release) {
		t.Errorf("%v", err)
	}
}

func TestModuleDirs(t *testing.T) {
	root := t.TempDir()
	debian := filepath.Join(root, "usr/lib/debug/boot/vmlinux-6.1.0")
	built := filepath.Join(root, "src/vmlinux")
	for _, file := range []string{debian, built, filepath.Join(root, "src/modules.order")} {
		link(t, "/dev/null", file)
	}
	_ = os.Remove(debian)
	_ = os.Remove(built)
	for _, file := range []string{debian, built} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in := func(p string) string { return filepath.Join(root, p) }
	for _, tt := range []struct {
		modules, vmlinux, release string
		want                      []string
	}{
		{"/given", debian, "6.1.0", []string{"/given", in("usr/lib/debug/lib/modules/6.1.0"), in("usr/lib/debug/lib/modules/6.1.0"), in("lib/modules/6.1.0")}},
		{"", built, "6.1.0", []string{in("lib/modules/6.1.0"), in("usr/lib/debug/lib/modules/6.1.0"), in("src"), in("lib/modules/6.1.0")}},
		{"", built, "", []string{in("src")}},
		{"", built, "../../etc", []string{in("src")}},
		{"/given", in("missing"), "6.1.0", []string{"/given"}},
	} {
		if got := (Search{Root: root, Modules: tt.modules}).moduleDirs(tt.vmlinux, tt.release); !slices.Equal(got, tt.want) {
			t.Errorf("%+v:\n%v", tt, got)
		}
	}
}
