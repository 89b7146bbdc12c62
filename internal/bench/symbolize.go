package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"kcatch/internal/fixtures"
)

// manyAddresses is how many random addresses of .text are asked at once; as many are compared.
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

// symbolize: goals a fifth of llvm-symbolizer's time for one address and a third for many, 60 and 200 MB, and the same answers.
func (b *bench) symbolize(ctx context.Context) error {
	kernels := []string{fixtures.Seed612, fixtures.Seed61, fixtures.Cloud612, fixtures.Cloud61}
	type cost struct{ one, many float64 }
	var smallest, largest cost
	for i, name := range kernels {
		k, err := fixture(name)
		if err != nil {
			return err
		}
		st, err := os.Stat(k.Vmlinux)
		if err != nil {
			return err
		}
		label := fmt.Sprintf("%s, %d MB", name, st.Size()/1e6)
		addrs, err := randomText(k.Vmlinux, manyAddresses)
		if err != nil {
			return err
		}
		one, many, err := b.symbolizeKernel(ctx, label, k.Vmlinux, addrs, name == fixtures.Cloud61)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		largest = cost{one, many}
		if i == 0 {
			smallest = largest
		}
	}
	b.table.goals = append(b.table.goals,
		goal{"symbolize: one address, largest vmlinux in % of the smallest", 100 * largest.one / smallest.one, 200, "%"},
		goal{"symbolize: many addresses, the same", 100 * largest.many / smallest.many, 200, "%"})
	return nil
}

// symbolizeKernel measures one vmlinux and returns kcatch's medians in milliseconds. judged adds the goals.
func (b *bench) symbolizeKernel(ctx context.Context, label, vmlinux string, addrs []string, judged bool) (one, many float64, err error) {
	tools := b.symbolizers()
	oneMS, oneMB := make([]series, len(tools)), make([]series, len(tools))
	manyMS, manyMB := make([]series, len(tools)), make([]series, len(tools))
	answers := make([][]byte, len(tools))
	input := strings.Join(addrs, "\n") + "\n"
	for i := range b.n + 1 {
		for j, t := range tools {
			if _, err := exec.LookPath(t.one("", "")[0]); err != nil {
				continue
			}
			r, err := timed(ctx, t.one(vmlinux, addrs[0]), "")
			if err != nil {
				return 0, 0, err
			}
			if i > 0 {
				oneMS[j], oneMB[j] = append(oneMS[j], r.ms), append(oneMB[j], r.mb)
			}
			if t.many == nil {
				continue
			}
			if r, err = timed(ctx, t.many(vmlinux), input); err != nil {
				return 0, 0, err
			}
			if answers[j] = r.out; i > 0 {
				manyMS[j], manyMB[j] = append(manyMS[j], r.ms), append(manyMB[j], r.mb)
			}
		}
	}
	for j, t := range tools {
		b.table.add(fmt.Sprintf("%s: one address, %s", label, t.name), "ms", oneMS[j])
		b.table.add("  its peak memory", "MB", oneMB[j])
	}
	for j, t := range tools {
		b.table.add(fmt.Sprintf("%s: %d addresses, %s", label, len(addrs), t.name), "ms", manyMS[j])
		b.table.add("  its peak memory", "MB", manyMB[j])
	}
	if len(answers[1]) == 0 {
		b.table.note("llvm-symbolizer is not installed: no comparison with it")
		return oneMS[0].median(), manyMS[0].median(), nil
	}
	if judged {
		b.table.want("symbolize: one address, at most a fifth of llvm-symbolizer's time", oneMS[0], oneMS[1].median()/5, "ms")
		b.table.want("symbolize: its peak memory", oneMB[0], 60, "MB")
		b.table.want("symbolize: many addresses, at most a third of llvm-symbolizer's time", manyMS[0], manyMS[1].median()/3, "ms")
		b.table.want("symbolize: its peak memory for many", manyMB[0], 200, "MB")
	}
	return oneMS[0].median(), manyMS[0].median(), b.compareSymbols(label, vmlinux, addrs, answers[0], answers[1])
}

// compareSymbols counts how the answers differ, and lists what has no explanation.
func (b *bench) compareSymbols(label, vmlinux string, addrs []string, ours, theirs []byte) error {
	f, err := elf.Open(vmlinux)
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		return err
	}
	symbols := make(map[string]uint64, len(all))
	for _, s := range all {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			symbols[s.Name] = s.Value
		}
	}
	c, err := compareAnswers(addrs, symbols, ours, theirs)
	if err != nil {
		return err
	}
	b.table.note("%s: %s", label, c)
	for _, d := range c.unexplained {
		b.table.note("  %s", d)
	}
	b.table.goals = append(b.table.goals, goal{label + ": answers unlike llvm-symbolizer's, unexplained", float64(len(c.unexplained)), 0, ""})
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

// randomText are n addresses of .text; always the same ones.
func randomText(vmlinux string, n int) ([]string, error) {
	f, err := elf.Open(vmlinux)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := f.Section(".text")
	if text == nil || text.Size == 0 {
		return nil, errors.New(vmlinux + ": no .text")
	}
	r := rand.New(rand.NewPCG(1, 2))
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = fmt.Sprintf("0x%x", text.Addr+r.Uint64N(text.Size))
	}
	return addrs, nil
}
