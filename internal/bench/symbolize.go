package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"kcatch/internal/fixtures"
)

// manyAddresses is how many random addresses of code are asked at once; as many are compared.
const manyAddresses = 2000

// symbolizer is a program that takes addresses.
type symbolizer struct {
	name string
	one  func(vmlinux, address string) []string // its command line for one address
	many func(vmlinux string) []string          // and for those of standard input; nil: too slow for a table
}

func (b *bench) symbolizers() []symbolizer {
	return []symbolizer{
		{"kcatch", func(v, a string) []string { return []string{b.kcatch, "symbolize", "--vmlinux", v, a} },
			func(v string) []string { return []string{b.kcatch, "symbolize", "--json", "--vmlinux", v} }},
		{"llvm-symbolizer", func(v, a string) []string { return []string{"llvm-symbolizer", "--obj=" + v, a} },
			func(v string) []string { return []string{"llvm-symbolizer", "--obj=" + v} }},
		{"addr2line -afi", func(v, a string) []string { return []string{"addr2line", "-afi", "-e", v, a} }, nil},
		{"gdb -batch", func(v, a string) []string { return []string{"gdb", "-nx", "-batch", "-ex", "info line *" + a, v} }, nil},
	}
}

// symbolized is one vmlinux, and what each program took on it.
type symbolized struct {
	label, vmlinux string
	addrs          []string
	one, many      []cost   // by program
	answers        [][]byte // the last ones, by program
}

type cost struct{ ms, mb series }

func (c *cost) add(r ended) { c.ms, c.mb = append(c.ms, r.ms), append(c.mb, r.mb) }

// symbolize: goals a fifth of llvm-symbolizer's time for one address and a third for many, 60 and 200 MB, the same answers, and on
// 590 MB at most twice the time as on 74.
func (b *bench) symbolize(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var kernels []*symbolized
	tools := b.symbolizers()
	for _, name := range []string{fixtures.Seed612, fixtures.Seed61, fixtures.Cloud612, fixtures.Cloud61} {
		k, err := fixture(name)
		if err != nil {
			return err
		}
		st, err := os.Stat(k.Vmlinux)
		if err != nil {
			return err
		}
		s := &symbolized{label: fmt.Sprintf("%s, %d MB", name, st.Size()/1e6), vmlinux: k.Vmlinux,
			one: make([]cost, len(tools)), many: make([]cost, len(tools)), answers: make([][]byte, len(tools))}
		r, err := timed(ctx, []string{self, randomFlag, k.Vmlinux}, "")
		if err != nil {
			return err
		}
		s.addrs = strings.Fields(string(r.out))
		kernels = append(kernels, s)
	}
	for i := range b.n + 1 {
		for _, k := range kernels {
			if err := k.round(ctx, tools, i > 0); err != nil {
				return fmt.Errorf("%s: %w", k.label, err)
			}
		}
	}
	for _, k := range kernels {
		if err := b.symbolizedRows(k, tools); err != nil {
			return fmt.Errorf("%s: %w", k.label, err)
		}
	}
	small, large := kernels[0], kernels[len(kernels)-1]
	if one, many := large.one[0], large.many[0]; len(large.answers[1]) > 0 {
		b.table.want("symbolize: one address, at most a fifth of llvm-symbolizer's time", one.ms, large.one[1].ms.median()/5, "ms")
		b.table.want("symbolize: its peak memory", one.mb, 60, "MB")
		b.table.want("symbolize: many addresses, at most a third of llvm-symbolizer's time", many.ms, large.many[1].ms.median()/3, "ms")
		b.table.want("symbolize: its peak memory for many", many.mb, 200, "MB")
	}
	b.table.want("symbolize: one address, on the largest vmlinux in % of the smallest", large.one[0].ms.percentOf(small.one[0].ms), 200, "%")
	b.table.want("symbolize: many addresses, the same", large.many[0].ms.percentOf(small.many[0].ms), 200, "%")
	return nil
}

// round asks each program once for one address and once for many.
func (k *symbolized) round(ctx context.Context, tools []symbolizer, counted bool) error {
	input := strings.Join(k.addrs, "\n") + "\n"
	for j, t := range tools {
		if _, err := exec.LookPath(t.one("", "")[0]); err != nil {
			continue
		}
		r, err := timed(ctx, t.one(k.vmlinux, k.addrs[0]), "")
		if err != nil {
			return err
		}
		if counted {
			k.one[j].add(r)
		}
		if t.many == nil {
			continue
		}
		if r, err = timed(ctx, t.many(k.vmlinux), input); err != nil {
			return err
		}
		if k.answers[j] = r.out; counted {
			k.many[j].add(r)
		}
	}
	return nil
}

func (b *bench) symbolizedRows(k *symbolized, tools []symbolizer) error {
	for j, t := range tools {
		b.table.add(fmt.Sprintf("%s: one address, %s", k.label, t.name), "ms", k.one[j].ms)
		b.table.add("  its peak memory", "MB", k.one[j].mb)
	}
	for j, t := range tools {
		b.table.add(fmt.Sprintf("%s: %d addresses, %s", k.label, len(k.addrs), t.name), "ms", k.many[j].ms)
		b.table.add("  its peak memory", "MB", k.many[j].mb)
	}
	if len(k.answers[1]) == 0 {
		b.table.note("llvm-symbolizer is not installed: no comparison with it")
		return nil
	}
	return b.compareSymbols(k)
}

// compareSymbols counts how the answers differ, and lists what has no explanation.
func (b *bench) compareSymbols(k *symbolized) error {
	functions, err := functionsOf(k.vmlinux)
	if err != nil {
		return err
	}
	symbols := make(map[string]uint64, len(functions))
	for _, s := range functions {
		symbols[s.Name] = s.Value
	}
	c, err := compareAnswers(k.addrs, symbols, k.answers[0], k.answers[1])
	if err != nil {
		return err
	}
	b.table.note("%s: %s", k.label, c)
	for _, d := range c.unexplained {
		b.table.note("  %s", d)
	}
	b.table.goals = append(b.table.goals, goal{k.label + ": answers unlike llvm-symbolizer's, unexplained", float64(len(c.unexplained)), 0, ""})
	return nil
}

// ended is a process that has ended.
type ended struct {
	out    []byte
	ms, mb float64 // wall time from before exec to after exit; peak resident set
}

func timed(ctx context.Context, argv []string, input string) (ended, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return ended{}, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, stderr.Bytes())
	}
	r := ended{out: out.Bytes(), ms: ms(time.Since(begin))}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.mb = float64(u.Maxrss) / 1024
	}
	return r, nil
}

// printRandomCode is the child that writes addresses of functions' bytes, a line each, always the same ones: reading all symbols
// takes memory, which would count as that of every process that this one starts. (Of .text a third is padding in Debian's kernel and
// more than half in the small one, which would be another question on each.)
func printRandomCode(w io.Writer, vmlinux string) error {
	symbols, err := functionsOf(vmlinux)
	if err != nil {
		return err
	}
	var ends []uint64 // of each function's bytes, when they stand one behind the other
	total := uint64(0)
	for _, s := range symbols {
		total += s.Size
		ends = append(ends, total)
	}
	if total == 0 {
		return errors.New(vmlinux + ": no functions")
	}
	out := bufio.NewWriter(w)
	r := rand.New(rand.NewPCG(1, 2))
	for range manyAddresses {
		at := r.Uint64N(total)
		i := sort.Search(len(ends), func(i int) bool { return ends[i] > at })
		fmt.Fprintf(out, "0x%x\n", symbols[i].Value+symbols[i].Size-(ends[i]-at))
	}
	return out.Flush()
}

func functionsOf(vmlinux string) ([]elf.Symbol, error) {
	f, err := elf.Open(vmlinux)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	return slices.DeleteFunc(symbols, func(s elf.Symbol) bool { return elf.ST_TYPE(s.Info) != elf.STT_FUNC }), err
}
