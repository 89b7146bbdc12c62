package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/blame"
)

func TestTools(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, name := range []string{"clang-15", "lz4"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tools, err := Tools([]string{"LLVM=-15"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Tool{}
	for _, tool := range tools {
		if _, twice := got[tool.Name]; twice {
			t.Errorf("%s twice", tool.Name)
		}
		got[tool.Name] = tool
	}
	for name, want := range map[string]Tool{
		"make": {"make", "make", false, false, "", false}, "clang-15": {"clang-15", "clang-15", false, true, "", false},
		"ld.lld-15": {"ld.lld-15", "lld-15", false, false, "", false}, "lz4": {"lz4", "lz4", false, true, "the tiny configuration", false},
		"git": {"git", "git", false, false, "patches and bisections", true},
	} {
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
	if !got["gelf.h"].Header || got["gelf.h"].Package != "libelf-dev" {
		t.Errorf("gelf.h: %+v", got["gelf.h"])
	}
	if _, err := Tools([]string{"-j8"}); blame.Of(err) != blame.Usage {
		t.Errorf("-j8: %v", err)
	}
}

func TestFreeSpace(t *testing.T) {
	here, ok := FreeSpace(t.TempDir())
	below, too := FreeSpace(filepath.Join(t.TempDir(), "not", "there"))
	if !ok || !too || here == 0 || below == 0 {
		t.Errorf("free space: %d %v, %d %v", here, ok, below, too)
	}
}

// TestWritable: a cache that is not there yet may be made; a file stands in the way of one.
func TestWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "not", "yet")} {
		if err := Writable(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{file, filepath.Join(file, "kcatch")} {
		if err := Writable(path); blame.Of(err) != blame.Infrastructure || !strings.Contains(err.Error(), file+": is a file") || blame.Hint(err) == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
}
