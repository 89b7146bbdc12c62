package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"kcatch/harness/verdict"
)

// row is what came out of a cell.
type row struct {
	name, release string
	verdict       string // class and cause, or "good"
	foundBy       string // how the frames were found, each way once
	lines         string // frames that addr2line agrees with, of all
	boot, examine float64
	wrong         string // empty when the cell is right
}

// outward are functions that the seed's chain runs through in both kernels, from the one at fault on.
var outward = []string{"init_unavailable_range", "free_area_init", "zone_sizes_init", "setup_arch", "start_kernel"}

func (o *row) judge(ctx context.Context, c cell, r *verdict.Result, whole string) {
	o.verdict = string(r.Class)
	if c.good {
		if r.Verdict != verdict.Good {
			o.wrong = "want good: " + r.Summary
		}
		return
	}
	if r.Cause == nil || len(r.CPUs) == 0 {
		o.wrong = "no cause: " + r.Summary
		return
	}
	o.verdict += ": " + r.Cause.Function
	if e := r.Cause.Exception; e != nil && e.Guessed { // a busy host: the breakpoint came too late
		o.verdict += " (vector deduced)"
	}
	frames := r.CPUs[0].Frames
	for _, f := range frames {
		if !slices.Contains(strings.Split(o.foundBy, " "), f.FoundBy) {
			o.foundBy = strings.TrimSpace(o.foundBy + " " + f.FoundBy)
		}
	}
	cause := "__SetPageReserved"
	if c.reduced {
		cause = "init_unavailable_range"
	}
	e := r.Cause.Exception
	switch {
	case r.Class != verdict.EarlyException:
		o.wrong = "want an early-exception: " + r.Summary
	case r.Cause.Function != cause:
		o.wrong = "want the cause " + cause
	case e == nil || e.Vector != 6:
		o.wrong = fmt.Sprintf("want vector 6, seen: %+v", e)
	case len(r.Log) < 50:
		o.wrong = fmt.Sprintf("%d log records", len(r.Log))
	default:
		o.wrong = missing(frames)
	}
	if o.wrong != "" || c.reduced {
		return
	}
	right, all, first := agree(ctx, whole, r)
	o.lines = fmt.Sprintf("%d/%d", right, all)
	if right != all {
		o.wrong = first
	}
}

// missing names a function that the chain lacks or has in the wrong order.
func missing(frames []verdict.Frame) string {
	at := 0
	for _, f := range frames {
		if at < len(outward) && (f.Function == outward[at] || f.Symbol == outward[at]) {
			at++
		}
	}
	if at < len(outward) {
		return "the chain lacks " + outward[at]
	}
	return ""
}

// oracle is the addr2line that knows the compiler's debug information: binutils' misses inlined functions of clang 14's, and
// LLVM's speaks alike. A kernel says in its banner who built it.
func oracle(r *verdict.Result) string {
	for _, l := range r.Log {
		if strings.HasPrefix(l.Text, "Linux version ") {
			if strings.Contains(l.Text, "clang version") {
				return "llvm-addr2line"
			}
			break
		}
	}
	return "addr2line"
}

// agree asks addr2line for every physical frame of the first vCPU, a return address one byte before. first is the first
// frame that it sees otherwise.
func agree(ctx context.Context, vmlinux string, r *verdict.Result) (right, all int, first string) {
	args := []string{"-fi", "-e", vmlinux}
	var ours []string
	for _, f := range r.CPUs[0].Frames {
		ours = append(ours, fmt.Sprintf("%s %s:%d", f.Function, f.File, f.Line))
		if f.Inline {
			continue
		}
		pc := uint64(f.PC) - uint64(r.Kernel.KASLRSlide)
		if f.FoundBy != "registers" && f.FoundBy != "regs" {
			pc--
		}
		args = append(args, fmt.Sprintf("0x%x", pc))
	}
	tool := oracle(r)
	out, err := exec.CommandContext(ctx, tool, args...).Output()
	if err != nil {
		return 0, len(ours), tool + ": " + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2*len(ours) {
		return 0, len(ours), fmt.Sprintf("%s has %d functions, the chain %d", tool, len(lines)/2, len(ours))
	}
	for i, w := range ours {
		place, _, _ := strings.Cut(lines[2*i+1], " (discriminator")
		function, tail, _ := strings.Cut(w, " ")
		switch {
		case lines[2*i] == function && strings.HasSuffix(place, "/"+tail):
			right++
		case first == "":
			first = fmt.Sprintf("%s; %s: %s %s", w, tool, lines[2*i], place)
		}
	}
	return right, len(ours), first
}

func printRows(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "cell\tkernel\tverdict\tframes by\tlines\tboot\texamined\t")
	wrong := 0
	for _, r := range rows {
		said := "right"
		if r.wrong != "" {
			said = "WRONG: " + r.wrong
			wrong++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.2f s\t%.0f ms\t%s\n", r.name, r.release, r.verdict, r.foundBy, r.lines, r.boot, r.examine*1000, said)
	}
	fmt.Fprintf(t, "\n%d cells, %d wrong\n", len(rows), wrong)
	return t.Flush()
}
