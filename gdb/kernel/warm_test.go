package kernel

import (
	"fmt"
	"slices"
	"testing"

	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// death is the chain of the seed's death, as {function, offset}.
var death = []struct {
	function string
	offset   vmlinux.Addr
}{
	{"early_fixup_exception", 0x60}, {"early_idt_handler_common", 0x40}, {"free_area_init", 0x300}, {"zone_sizes_init", 0x60},
	{"setup_arch", 0x600}, {"start_kernel", 0x60}, {"secondary_startup_64_no_verify", 0x80},
}

// resolve is what an autopsy asks of the file for one chain.
func resolve(k *Kernel) ([]string, error) {
	var out []string
	for _, c := range death {
		s, ok := k.Symbol(c.function)
		if !ok {
			return nil, fmt.Errorf("no symbol %s", c.function)
		}
		locations, err := k.Locate(s.Addr + c.offset)
		if err != nil {
			return nil, err
		}
		for _, l := range locations {
			out = append(out, fmt.Sprintf("%s %s:%d", l.Function, l.File, l.Line))
		}
		b, ok := k.Bug(uint64(s.Addr + c.offset))
		out = append(out, fmt.Sprint(b, ok))
	}
	return append(out, fmt.Sprintf("%+v", k.ring())), nil
}

// TestWarm: the warming changes no answer, whether it is over, under way or not wanted any more.
func TestWarm(t *testing.T) {
	path := fixtures.Find(t, fixtures.Seed61).Vmlinux
	open := func() *Kernel {
		k, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	cold := open()
	want, err := resolve(cold)
	if err != nil {
		t.Fatal(err)
	}
	if err := cold.Close(); err != nil {
		t.Fatal(err)
	}
	for _, over := range []bool{true, false} {
		k := open()
		k.Warm()
		if over {
			k.warm.wg.Wait()
		}
		got, err := resolve(k)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("warming over: %v: got %q, want %q", over, got, want)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	k := open()
	k.Warm()
	if err := k.Close(); err != nil { // reads the mapping no more from here on, or the test crashes
		t.Fatal(err)
	}
}

// BenchmarkDeath is what stands between a death and its chain: a cold file's, and a warm one's.
func BenchmarkDeath(b *testing.B) {
	for _, name := range []string{fixtures.Seed61, fixtures.Cloud61} {
		for _, warm := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/warm=%v", name, warm), func(b *testing.B) {
				path := fixtures.Find(b, name).Vmlinux
				for range b.N {
					b.StopTimer()
					k, err := Open(path)
					if err != nil {
						b.Fatal(err)
					}
					if warm {
						k.Warm()
						k.warm.wg.Wait()
					}
					b.StartTimer()
					if _, err := resolve(k); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if err := k.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
