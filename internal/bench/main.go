// Bench measures what a person waits for, on real kernels under a real QEMU, and prints one table.
//
//	make bench                              go run ./internal/bench
//	go run ./internal/bench -n 15           more runs of each
//	go run ./internal/bench -only 'pvh*'    some of the measurements
//
// It needs "make fixtures" (the kernels seed-6.1 and debian-cloud-6.1), QEMU, busybox-static, and gdb for the
// comparison with it. It builds kcatch itself, into a temporary directory, and touches nothing else.
//
// # What is measured
//
//	open      open the 590 MB vmlinux of Debian's cloud kernel and print one chain: symbol, file and line of 15
//	          addresses, inlined functions included. A process of its own (this program again), from exec to exit. The same on the
//	          seed's kernel, and the chain alone when the file was opened and warmed before, as a boot does while the guest runs.
//	bzimage   the seed's kernel, which dies in setup_arch, as bzImage with KASLR:
//	          bare QEMU to the halt, beside "kcatch boot --kernel --vmlinux" to the first line of the verdict on its
//	          standard output, and to its exit. "Stop to result" is its own timing.examine.
//	pvh       the same kernel by PVH (vmlinux alone: no BIOS setup code, no decompressor, no KASLR).
//	gdb       "gdb -batch -ex 'hbreak early_fixup_exception' -ex c -ex bt" on the same vmlinux under QEMU, by PVH: a
//	          breakpoint by name needs a run without a slide, which is why it stands beside pvh and not beside bzimage.
//	          QEMU and gdb are started at once; the time is until gdb has printed its backtrace and ended.
//	survey    a kernel that boots, from power-on to init by the result's own timing: "kcatch boot", the same with --timeline,
//	          "kcatch survey", and a survey with a breakpoint that is passed a thousand times; what that costs is shared among its stops.
//	bisect    searches over 96 commits for one, with a tester that knows it: a death that always strikes, and one that strikes in 3
//	          boots of 10 with a decoy on the way. Boots and builds (100 searches, not -n), beside the fewest boots with which it can
//	          be told at all, at a known rate and without a decoy. Then what a step takes besides build and boot.
//	smoke     four boots of a kernel that lives to init, by smoke.Run in this process and by bare QEMU, one and two at a time. A
//	          cell's overhead is its wall time without the life of its QEMU process, by the result's own figures; beside it
//	          the whole run over bare QEMU's, where all counts that kcatch costs the guest while it runs.
//	symbolize one random address of code in a cold process, and 2,000 of them by standard input, on four vmlinux of 74 to 590 MB:
//	          kcatch beside llvm-symbolizer, addr2line and gdb (which take minutes for 2,000). All answers are compared with
//	          llvm-symbolizer's: file, line and chain of inlined functions. drgn 0.0.22 tells no lines without a program that runs.
//	memory    kcatch's own peak resident set (VmHWM), for both kinds of boot.
//
// Bare QEMU is the command line that kcatch prints for a person: the same machine, kernel, initramfs and command line,
// without a GDB stub, without -S, without shared RAM. Its end is seen from outside as cheaply as can be: "info registers"
// by QMP each millisecond, until the vCPU is in the kernel and halted with interrupts off.
//
// Every measurement is made n times (-n). Those that are compared alternate, A B A B, so that what else the host does
// hits both alike, and their difference is that of the pairs. Nothing is measured in the first round, which fills the
// page cache: processes are cold, files are warm. The table has the least, the median and the largest value in
// milliseconds. Each goal is printed with "holds" or "does not hold", judged by the median; timings depend on the host,
// so that the exit code is 0 in either case. It is 1 when something could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"kcatch/internal/fixtures"
)

// These make this program a child that prints a chain, or random addresses; the second argument is the vmlinux.
const (
	chainFlag     = "-print-chain"
	warmChainFlag = "-print-warm-chain"
	randomFlag    = "-print-random-code"
)

func main() {
	if children := map[string]func(io.Writer, string) error{chainFlag: printChain, warmChainFlag: printWarmChain, randomFlag: printRandomCode}; len(os.Args) == 3 && children[os.Args[1]] != nil {
		if err := children[os.Args[1]](os.Stdout, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	n := flag.Int("n", 7, "runs of each measurement")
	only := flag.String("only", "*", "measurements to make: a glob over "+strings.Join(names(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *n, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measurement is one of the table's groups.
type measurement struct {
	name string
	run  func(b *bench, ctx context.Context) error
}

// Those of other programs' memory come first: a program's peak is not told below that of who started it, and this one grows (fork(2) and
// execve(2) hand ru_maxrss on).
var measurements = []measurement{
	{"open", (*bench).open}, {"symbolize", (*bench).symbolize}, {"console", (*bench).console},
	{"bzimage", (*bench).bzImage}, {"pvh", (*bench).pvh}, {"gdb", (*bench).gdb}, {"memory", (*bench).memory},
	{"survey", (*bench).survey}, {"bisect", (*bench).bisect}, {"smoke", (*bench).smoke},
}

func names() []string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return all
}

// bench is what the measurements share.
type bench struct {
	n      int
	dir    string // for all that is written
	kcatch string // the program under test
	initrd string // what bare QEMU and gdb's run get; kcatch makes its own
	seed   fixtures.Kernel
	cloud  fixtures.Kernel
	table  table
}

func run(ctx context.Context, n int, only string) error {
	if n < 1 {
		return fmt.Errorf("-n %d: want at least 1", n)
	}
	if _, err := path.Match(only, ""); err != nil {
		return fmt.Errorf("-only %q: %w", only, err)
	}
	dir, err := os.MkdirTemp("", "kb-") // short: sockets lie in it
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{n: n, dir: dir}
	if b.seed, err = fixture(fixtures.Seed61); err != nil {
		return err
	}
	if b.cloud, err = fixture(fixtures.Cloud61); err != nil {
		return err
	}
	if err := b.buildKcatch(ctx); err != nil {
		return err
	}
	if err := b.makeInitrd(); err != nil {
		return err
	}
	b.table.note("%s, %d CPUs, load average %s", time.Now().Format("2006-01-02 15:04"), runtime.NumCPU(), load())
	b.table.note("%s; %d runs of each after one that is not counted", qemuVersion(ctx), n)
	for _, m := range measurements {
		if ok, _ := path.Match(only, m.name); !ok {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", m.name)
		if err := m.run(b, ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	b.table.note("load average at the end %s", load())
	return b.table.print(os.Stdout)
}

// fixture is a real kernel, outside of a test.
func fixture(name string) (fixtures.Kernel, error) {
	root, err := fixtures.Dir()
	if err != nil {
		return fixtures.Kernel{}, err
	}
	k := fixtures.Kernel{Name: name}
	for _, f := range []struct {
		base string
		to   *string
	}{{"bzImage", &k.BzImage}, {"vmlinux", &k.Vmlinux}} {
		if *f.to, err = filepath.EvalSymlinks(filepath.Join(root, name, f.base)); err != nil {
			return k, fmt.Errorf("the kernel %s is missing: run make fixtures", name)
		}
	}
	return k, nil
}

func (b *bench) buildKcatch(ctx context.Context) error {
	b.kcatch = filepath.Join(b.dir, "kcatch")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", b.kcatch, "kcatch/cmd/kcatch").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build kcatch: %w\n%s", err, out)
	}
	return nil
}

// load is the host's load average over 1, 5 and 15 minutes.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(data))
	if err != nil || len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}

func qemuVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, qemu, "--version").Output()
	if err != nil {
		return qemu + " of unknown version"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
