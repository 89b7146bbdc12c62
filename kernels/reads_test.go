package kernels

import (
	"slices"
	"strings"
	"testing"
)

// Lines of a real mm/.mmzone.o.cmd of 6.1.192, with another directory.
const mmzoneCmd = `cmd_mm/mmzone.o := gcc -Wp,-MMD,mm/.mmzone.o.d -nostdinc -I/c/slots/l/src/arch/x86/include -include /c/slots/l/src/include/linux/kconfig.h -c -o mm/mmzone.o /c/slots/l/src/mm/mmzone.c ; ./tools/objtool/objtool --orc mm/mmzone.o

source_mm/mmzone.o := /c/slots/l/src/mm/mmzone.c

deps_mm/mmzone.o := \
    $(wildcard include/config/NUMA) \
  /c/slots/l/src/include/linux/compiler-version.h \
  include/generated/autoconf.h \
  arch/x86/include/generated/asm/rwonce.h \
  /c/slots/l/src/arch/x86/include/asm/../../lib/x.h \

mm/mmzone.o: $(deps_mm/mmzone.o)
`

func TestCmdFiles(t *testing.T) {
	var got []string
	if err := cmdFiles(strings.NewReader(mmzoneCmd), "/c/slots/l/src", func(f string) { got = append(got, f) }); err != nil {
		t.Fatal(err)
	}
	want := []string{"include/linux/kconfig.h", "mm/mmzone.c", "mm/mmzone.c", "include/linux/compiler-version.h", "arch/x86/lib/x.h"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzCmdFiles(f *testing.F) {
	f.Add(mmzoneCmd)
	f.Add("/c/slots/l/src/../../../etc/passwd /c/slots/l/src//x /c/slots/l/src/")
	f.Fuzz(func(t *testing.T, text string) {
		_ = cmdFiles(strings.NewReader(text), "/c/slots/l/src", func(name string) {
			if !localName(name) {
				t.Errorf("%q is outside the tree", name)
			}
		})
	})
}
