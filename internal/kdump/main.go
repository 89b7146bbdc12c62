// Kdump makes real cores of kdump and asks kcatch for its report of them. It is run by hand; docs/support.md has what came out.
//
//	make kdump                         go run ./internal/kdump
//	go run ./internal/kdump -keep DIR  the cores stay in DIR: 400 MB each
//
// Debian's 6.1 cloud kernel boots with crashkernel= on two vCPUs, loads itself as the crash kernel and dies; the second kernel, in
// its turn, copies /proc/vmcore to a disk. It needs "make fixtures", QEMU, busybox-static and gcc, and takes a minute a death.
//
// # What is checked
//
// A panic (sysrq c) and an oops in a module under panic_on_oops: class, cause, the chain without a guess, registers of both CPUs.
// Where makedumpfile is installed the same of its ELF (-E -d 31) and of its flattened file put together again, and that the
// compressed one is refused; where drgn is, that the chain has drgn's functions in drgn's order.
//
// The exit code is 0 when all is right.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

var (
	//go:embed guest/load.c
	loadSource []byte
	//go:embed guest/dump.sh
	dump string
	//go:embed guest/die.sh
	die string
)

// death is a way for the first kernel to end.
type death struct {
	name, command string
	class         verdict.Class
	function      string
}

var deaths = []death{
	{"panic", "echo c >/proc/sysrq-trigger", verdict.Panic, "sysrq_handle_crash"},
	{"oops", "insmod /kdump/kcatch_mod.ko fault=null-write", verdict.Oops, "kcatch_mod_store_inner"},
}

func main() {
	keep := flag.String("keep", "", "leave the cores in this `directory`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "kdump:", err)
		if hint := blame.Hint(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "kcatch-kdump-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	all, err := fixtures.Dir()
	if err != nil {
		return err
	}
	all = filepath.Join(all, fixtures.Cloud61)
	var wrong []error
	for _, d := range deaths {
		begin := time.Now()
		path := filepath.Join(dir, d.name+".vmcore")
		if err := d.core(ctx, all, path); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		fmt.Printf("%-6s made in %.0f s\n", d.name, time.Since(begin).Seconds())
		wrong = append(wrong, d.check(ctx, all, path), d.others(ctx, all, path))
	}
	return errors.Join(wrong...)
}

// core boots, dies, and leaves /proc/vmcore at path.
func (d death) core(ctx context.Context, fixture, path string) error {
	initrd, err := d.initrd(ctx, fixture)
	if err != nil {
		return err
	}
	defer os.Remove(initrd)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(path, 1<<30); err != nil { // the disk, at least as large as the memory
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	console, err := exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512M", "-smp", "2",
		"-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", filepath.Join(fixture, "bzImage"), "-initrd", initrd,
		"-append", "console=ttyS0 panic=-1 crashkernel=160M", "-drive", "format=raw,if=virtio,file="+path).CombinedOutput()
	m := copied.FindSubmatch(console)
	if m == nil {
		return fmt.Errorf("no core was copied: %w; the end of the console:\n%s", errors.Join(err, ctx.Err()), console[max(0, len(console)-2000):])
	}
	size, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return err
	}
	return os.Truncate(path, size)
}

var copied = regexp.MustCompile(`kdump: copied (\d+)`)

// initrd is the first kernel's, in a file; it has the second one's in it.
func (d death) initrd(ctx context.Context, fixture string) (string, error) {
	busybox, err := images.FindBusybox()
	if err != nil {
		return "", err
	}
	second := map[string]images.File{}
	for _, m := range []string{"virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_modern_dev", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci", "block/virtio_blk"} {
		if err := add(second, filepath.Base(m)+".ko", filepath.Join(fixture, "modules/kernel/drivers", m+".ko")); err != nil {
			return "", err
		}
	}
	small, err := images.Build(images.Spec{Busybox: busybox, Marker: images.NewMarker(), Run: dump, Extra: second})
	if err != nil {
		return "", err
	}
	load, err := compile(ctx)
	if err != nil {
		return "", err
	}
	first := map[string]images.File{"kdump/initrd": {Data: small}, "kdump/load": {Data: load, Mode: 0o755}}
	err = errors.Join(add(first, "bzImage", filepath.Join(fixture, "bzImage")), add(first, "kcatch_mod.ko", filepath.Join(fixture, "faulty-modules/kcatch_mod.ko")))
	if err != nil {
		return "", err
	}
	image, err := images.Build(images.Spec{Busybox: busybox, Marker: images.NewMarker(), Run: die + d.command, Extra: first})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "kcatch-kdump-*.cpio")
	if err != nil {
		return "", err
	}
	_, err = f.Write(image)
	return f.Name(), errors.Join(err, f.Close())
}

func add(files map[string]images.File, name, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return blame.New(blame.Usage, err.Error(), "make fixtures")
	}
	files["kdump/"+name] = images.File{Data: data}
	return nil
}

// compile makes the program that loads the crash kernel, for a guest without libraries.
func compile(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kcatch-kdump-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "load")
	cmd := exec.CommandContext(ctx, "gcc", "-static", "-Os", "-s", "-x", "c", "-o", out, "-")
	cmd.Stdin = bytes.NewReader(loadSource)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("gcc: %w: %s", err, text)
	}
	return os.ReadFile(out)
}

// check is kcatch's report of a core.
func (d death) check(ctx context.Context, fixture, path string) error {
	r, err := harness.Autopsy(ctx, harness.CoreRequest{Core: path, Vmlinux: filepath.Join(fixture, "vmlinux"), Modules: filepath.Join(fixture, "faulty-modules"),
		Values: autopsy.ValueOptions{Args: true}})
	if err != nil {
		return err
	}
	fmt.Printf("%-6s %-14s %s; examined in %.0f ms\n", d.name, strings.TrimPrefix(filepath.Base(path), d.name+"."), r.Summary, r.Timing.Examine*1000)
	if r.Class != d.class || r.Cause == nil || r.Cause.Function != d.function || len(r.CPUs) != 2 || r.Kernel.KASLRSlide == 0 || len(r.Log) < 100 {
		return fmt.Errorf("%s: %s of %d CPUs, %d log records: want %s in %s", path, r.Summary, len(r.CPUs), len(r.Log), d.class, d.function)
	}
	if e := r.Cause.Exception; d.class == verdict.Oops && (e == nil || e.Vector != 14 || e.ErrorCode != 2 || e.CR2 != 0x30) {
		return fmt.Errorf("%s: exception %+v", path, e)
	}
	var ours []string
	for _, c := range r.CPUs {
		for _, f := range c.Frames {
			if f.FoundBy == "scan" {
				return fmt.Errorf("%s: %s is a guess", path, f.Function)
			}
			ours = append(ours, f.Function)
		}
	}
	return drgnAgrees(ctx, fixture, path, ours)
}

// drgnScript prints the functions of what each CPU ran, inlined ones too.
const drgnScript = `
import drgn, sys
from drgn.helpers.linux.percpu import per_cpu
p = drgn.Program()
p.set_core_dump(sys.argv[1])
p.load_debug_info([sys.argv[2]])
for cpu in (0, 1):
    for f in p.stack_trace(per_cpu(p["runqueues"], cpu).curr):
        try:
            print(f.name if f.name and f.source() else "-")
        except LookupError:
            print("-")
`

// drgnAgrees compares the chain with drgn's: each function that drgn names stands in ours, in drgn's order, but for those of assembly
// and of modules, which this drgn has no symbols of.
func drgnAgrees(ctx context.Context, fixture, path string, ours []string) error {
	const python = "/usr/bin/python3" // Debian's own, which has Debian's drgn
	if exec.CommandContext(ctx, python, "-c", "import drgn").Run() != nil {
		fmt.Println("       drgn is not there: not compared")
		return nil
	}
	out, err := exec.CommandContext(ctx, python, "-c", drgnScript, path, filepath.Join(fixture, "vmlinux")).Output()
	if err != nil {
		return fmt.Errorf("drgn: %w", err)
	}
	rest, same := ours, 0
	for _, name := range strings.Fields(string(out)) {
		if name == "-" || strings.Contains(name, "SYSCALL_64") || strings.HasPrefix(name, "secondary_startup") {
			continue
		}
		at := 0
		for at < len(rest) && rest[at] != name {
			at++
		}
		if at == len(rest) {
			return fmt.Errorf("%s: drgn has %s where the chain does not: %q; drgn:\n%s", path, name, ours, out)
		}
		rest, same = rest[at+1:], same+1
	}
	fmt.Printf("       drgn agrees on %d frames of %d\n", same, len(ours))
	return nil
}

// others are the forms that makedumpfile gives a core.
func (d death) others(ctx context.Context, fixture, path string) error {
	if _, err := exec.LookPath("makedumpfile"); err != nil {
		fmt.Println("       makedumpfile is not there: its forms were not tried")
		return nil
	}
	small, flat, compressed := path+".E", path+".F", path+".c"
	defer func() {
		for _, p := range []string{small, flat, compressed} {
			_ = os.Remove(p) // each is made of the first one
		}
	}()
	if err := makedumpfile(ctx, nil, nil, "-E", "-d", "31", path, small); err != nil {
		return err
	}
	if err := d.check(ctx, fixture, small); err != nil {
		return err
	}
	_ = os.Remove(small)
	f, err := os.Create(flat)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := makedumpfile(ctx, nil, f, "-E", "-d", "31", "-F", path); err != nil {
		return err
	}
	if err := refused(ctx, fixture, flat); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := makedumpfile(ctx, f, nil, "-R", small); err != nil {
		return err
	}
	if err := d.check(ctx, fixture, small); err != nil {
		return err
	}
	if err := makedumpfile(ctx, nil, nil, "-c", "-d", "31", path, compressed); err != nil {
		return err
	}
	return refused(ctx, fixture, compressed)
}

// refused: a form that kcatch does not read is a usage error with a hint.
func refused(ctx context.Context, fixture, path string) error {
	_, err := harness.Autopsy(ctx, harness.CoreRequest{Core: path, Vmlinux: filepath.Join(fixture, "vmlinux")})
	if blame.Of(err) != blame.Usage || blame.Hint(err) == "" {
		return fmt.Errorf("%s was not refused: %w", path, err)
	}
	return nil
}

func makedumpfile(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "makedumpfile", args...)
	cmd.Stdin, cmd.Stdout = in, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("makedumpfile %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
