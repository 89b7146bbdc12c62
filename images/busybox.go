package images

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"

	"kcatch/internal/blame"
)

const busyboxHint = "apt-get install busybox-static"

// FindBusybox returns the path of a statically linked x86-64 busybox on this machine: /bin/busybox, /usr/bin/busybox
// (Debian's busybox-static), or the first one on PATH. The error is an infrastructure error with the package to install.
func FindBusybox() (string, error) {
	candidates := []string{"/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"}
	if p, err := exec.LookPath("busybox"); err == nil {
		candidates = append(candidates, p)
	}
	var first error
	for _, p := range candidates {
		if _, err := os.Stat(p); err != nil {
			continue
		}
		err := CheckStatic(p)
		if err == nil {
			return p, nil
		}
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return "", first
	}
	return "", blame.New(blame.Infrastructure, "build initramfs: busybox: not installed", busyboxHint)
}

// CheckStatic says whether path can run as PID 1 with nothing beside it: an x86-64 ELF executable without an
// interpreter (PT_INTERP), that is, statically linked.
func CheckStatic(path string) error {
	refuse := func(cause string, err error) error {
		return &blame.Error{Kind: blame.Infrastructure, Msg: fmt.Sprintf("build initramfs: %s: %s", path, cause),
			Hint: busyboxHint, Err: err}
	}
	f, err := elf.Open(path)
	if err != nil {
		return refuse("not an ELF file", err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return refuse("not an x86-64 executable", nil)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return refuse("dynamically linked", nil)
		}
	}
	return nil
}
