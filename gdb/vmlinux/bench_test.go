package vmlinux

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"kcatch/internal/fixtures"
)

// chain is the stack of a kernel that dies in free_area_init, with neighbours, as {function, offset}: 15 addresses.
var chain = []struct {
	function string
	offset   Addr
}{
	{"native_halt", 0}, {"early_fixup_exception", 0x60}, {"do_early_exception", 0x20}, {"early_idt_handler_common", 0x40},
	{"free_area_init", 0x300}, {"zone_sizes_init", 0x60}, {"setup_arch", 0x600}, {"start_kernel", 0x60},
	{"secondary_startup_64_no_verify", 0x80}, {"vprintk_emit", 0x60}, {"schedule", 0x30}, {"kthread", 0x90},
	{"do_syscall_64", 0x20}, {"vfs_read", 0x60}, {"panic", 0x100},
}

// resolveChain is what one death costs: open, symbols, banner, build id, and lines, inlines and ORC of 15 addresses.
func resolveChain(path string) (frames int, err error) {
	f, err := Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names := make([]string, 0, len(chain)+1)
	for _, c := range chain {
		names = append(names, c.function)
	}
	symbols := f.Lookup(append(names, "linux_banner")...)
	if f.BuildID() == "" {
		return 0, fmt.Errorf("no build id in %s", path)
	}
	orc, err := f.ORC()
	if err != nil {
		return 0, err
	}
	for _, c := range chain {
		s, ok := symbols[c.function]
		if !ok {
			s = symbols["start_kernel"]
		}
		a := s.Addr + c.offset
		if s.Size > 0 && Addr(s.Size) <= c.offset {
			a = s.Addr + Addr(s.Size)/2
		}
		if _, ok := f.SymbolAt(a); !ok {
			return 0, fmt.Errorf("no symbol at 0x%x", uint64(a))
		}
		locs, err := f.Locate(a)
		if err != nil {
			return 0, err
		}
		frames += len(locs)
		if _, ok := orc.Entry(a); !ok {
			return 0, fmt.Errorf("no ORC entry at 0x%x", uint64(a))
		}
	}
	return frames, nil
}

// TestColdHelper is no test: BenchmarkCold runs it in a process of its own.
func TestColdHelper(t *testing.T) {
	path := os.Getenv("KCATCH_COLD_VMLINUX")
	if path == "" {
		return
	}
	start := time.Now()
	frames, err := resolveChain(path)
	wall := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("cold: frames=%d wall_us=%d rss_kb=%d cpu_us=%d\n", frames, wall.Microseconds(), use.Maxrss,
		(time.Duration(use.Utime.Nano()) + time.Duration(use.Stime.Nano())).Microseconds())
}

// BenchmarkCold measures open + chain in a fresh process with a warm page cache: its wall time inside the process, and
// the process's peak resident set with the Go runtime's and the test binary's pages. The goal: 40 ms, 90 MB.
func BenchmarkCold(b *testing.B) {
	for _, name := range []string{fixtures.Seed61, fixtures.Cloud61, fixtures.Cloud612} {
		b.Run(name, func(b *testing.B) {
			path := fixtures.Find(b, name).Vmlinux
			re := regexp.MustCompile(`wall_us=(\d+) rss_kb=(\d+) cpu_us=(\d+)`)
			var wall, rss, cpu, best float64
			for range b.N {
				cmd := exec.Command(os.Args[0], "-test.run=^TestColdHelper$")
				cmd.Env = append(os.Environ(), "KCATCH_COLD_VMLINUX="+path)
				out, err := cmd.CombinedOutput()
				m := re.FindSubmatch(out)
				if err != nil || m == nil {
					b.Fatalf("%v: %s", err, out)
				}
				number := func(i int) float64 { n, _ := strconv.ParseFloat(string(m[i]), 64); return n }
				wall += number(1)
				if best == 0 || number(1) < best {
					best = number(1)
				}
				rss = max(rss, number(2)/1024)
				cpu += number(3)
			}
			b.ReportMetric(wall/float64(b.N)/1000, "wall-ms")
			b.ReportMetric(best/1000, "best-ms")
			b.ReportMetric(cpu/float64(b.N)/1000, "cpu-ms")
			b.ReportMetric(rss, "peak-MB")
		})
	}
}

// BenchmarkChain is the same work in a warm process.
func BenchmarkChain(b *testing.B) {
	for _, name := range []string{fixtures.Seed61, fixtures.Cloud61} {
		b.Run(name, func(b *testing.B) {
			path := fixtures.Find(b, name).Vmlinux
			for b.Loop() {
				if _, err := resolveChain(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
