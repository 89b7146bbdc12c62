package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/blame"
)

// fakeKernel makes a directory that passes for a kernel tree.
func fakeKernel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "linux")
	writeFiles(t, dir, map[string]string{
		"Makefile":               "# SPDX\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\n",
		"Kbuild":                 "obj-y += mm/\n",
		"Kconfig":                "config X86_64\n\tbool\n",
		"arch/x86/Makefile":      "# x86\n",
		"scripts/Kbuild.include": "# lib\n",
		"scripts/run.sh":         "#!/bin/sh\n",
		"mm/a.c":                 "int a;\nint b;\nint c;\nint d;\nint e;\nint f;\nint g;\n",
		"include/linux/x.h":      "#define X 1\n",
	})
	if err := os.Chmod(filepath.Join(dir, "scripts/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fakeMake stands in for make. Its mood is written in the source: mm/a.c may say BREAK, SLOW, FULL or KILLED,
// Kconfig "# DROPS X".
const fakeMake = `#!/bin/sh
src=$2
for a; do case $a in O=*) obj=${a#O=};; KCONFIG_ALLCONFIG=*) all=${a#*=};; esac; last=$a; done
case $last in
allnoconfig|x86_64_defconfig|olddefconfig) echo conf >> $src/../confs;;
esac
case $last in
allnoconfig) { echo CONFIG_X86_64=y; cat "$all"; } > $obj/.config; exit;;
x86_64_defconfig) echo CONFIG_X86_64=y > $obj/.config; exit;;
olddefconfig) for s in $(sed -n 's/^# DROPS //p' $src/Kconfig); do sed -i "/^CONFIG_$s=/d" $obj/.config; done; exit;;
esac
echo run >> $src/../runs
echo "make[1]: Entering directory '$obj'"
echo "  HOSTCC  scripts/basic/fixdep"
echo "  CC      mm/a.o"
grep -q SLOW $src/mm/a.c && { touch $src/../started; sleep 100 & echo $! > $src/../child; wait; }
grep -q FULL $src/mm/a.c && { echo "fatal error: error writing to /tmp/x.s: No space left on device" >&2; exit 2; }
grep -q KILLED $src/mm/a.c && kill -9 $$
if grep -q BREAK $src/mm/a.c; then
	echo "$src/mm/a.c: In function 'f':" >&2
	echo "$src/mm/a.c:2:7: error: expected ';' before 'int'" >&2
	echo "$src/mm/a.c:5:1: error: another" >&2
	echo "make[3]: *** [$src/scripts/Makefile.build:250: mm/a.o] Error 1" >&2
	exit 2
fi
mkdir -p $obj/arch/x86/boot/compressed $obj/include/config
echo 6.1.9-fake > $obj/include/config/kernel.release
cat $src/mm/a.c $obj/.config > $obj/vmlinux
cp $obj/vmlinux $obj/arch/x86/boot/bzImage
cp $obj/vmlinux $obj/arch/x86/boot/compressed/vmlinux
echo "  LD      vmlinux"
`

// fakeTools puts a make, a gcc and an ld of our own in front of PATH.
func fakeTools(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range map[string]string{
		"make": fakeMake, "gcc": "#!/bin/sh\necho gcc fake 1\n", "ld": "#!/bin/sh\necho ld fake 1\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// wantBlame fails unless err has this kind and its text all of the parts.
func wantBlame(t *testing.T, err error, kind blame.Kind, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v %q", kind, parts)
	}
	if got := blame.Of(err); got != kind {
		t.Errorf("blame %v, want %v: %v", got, kind, err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error()+"\n"+blame.Hint(err), p) {
			t.Errorf("error lacks %q: %v (hint: %s)", p, err, blame.Hint(err))
		}
	}
	if strings.ContainsRune(err.Error(), '\n') {
		t.Errorf("error has several lines: %q", err)
	}
}
