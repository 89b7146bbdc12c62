package autopsy

import (
	"strings"
	"testing"

	"kcatch/gdb/linux"
	"kcatch/harness/verdict"
)

func records(log string) []linux.Record {
	var out []linux.Record
	for i, l := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		r := linux.Record{Seq: uint64(i), Text: l, Finalized: true}
		if text, ok := strings.CutPrefix(l, "user> "); ok {
			r.Facility, r.Text = 1, text
		}
		out = append(out, r)
	}
	return out
}

func TestLogged(t *testing.T) {
	for _, tc := range []struct {
		name, log string
		want      []verdict.Class
		rip       string
		trace     int
	}{
		{"nothing", "Linux version 6.1\nBUG: this is a joke\nRun /init as init process", nil, "", 0},
		{"user space says it", "user> kernel BUG at x.c:1!\nuser> Oops: 0002 [#1] SMP", nil, "", 0},
		{"what the kernel repeats of its command line", "Kernel command line: console=ttyS0 a=\"Oops: 0002 [#1]\"\n    a=b: 0002 [#1]", nil, "", 0},
		{"a driver counts", "queue 0001 [#2] is ready\nmydrv 0000:00:02.0: 0001 [#2]\nOops: I did it again", nil, "", 0},
		{"the flags of an oops", "Oops: general protection fault, kernel NULL pointer dereference 0x0: 0000 [#1] PREEMPT_RT SMP KASAN NOPTI\nRIP: 0010:f+0x1/0x2", []verdict.Class{verdict.Oops}, "f", 0},
		{"the flags of 6.15, of a dynamic PREEMPT_RT", "Oops: general protection fault, kernel NULL pointer dereference 0x0: 0000 [#1] PREEMPT_{RT,(full)} SMP KASAN NOPTI\nRIP: 0010:f+0x1/0x2", []verdict.Class{verdict.Oops}, "f", 0},
		{"a WARN", "------------[ cut here ]------------\nWARNING: CPU: 1 PID: 7 at kernel/x.c:12 f+0x10/0x20\nCPU: 1 PID: 7 Comm: a Not tainted\nRIP: 0010:f+0x10/0x20\nCall Trace:\n <TASK>\n ? g+0x1/0x2\n h+0x3/0x4\n </TASK>\n---[ end trace 0000000000000000 ]---",
			[]verdict.Class{verdict.Warn}, "f", 2},
		{"a BUG of 6.1", "------------[ cut here ]------------\nkernel BUG at mm/x.c:7!\ninvalid opcode: 0000 [#1] SMP\nCPU: 0 PID: 1 Comm: swapper/0\nRIP: 0010:f+0x10/0x20 [mod]\nCall Trace:\n h+0x3/0x4",
			[]verdict.Class{verdict.Bug}, "f", 1},
		{"a BUG of 6.12", "kernel BUG at mm/x.c:7!\nOops: invalid opcode: 0000 [#1] SMP\nRIP: 0010:f+0x10/0x20", []verdict.Class{verdict.Bug}, "f", 0},
		{"an oops", "BUG: kernel NULL pointer dereference, address: 0000000000000030\n#PF: supervisor write access in kernel mode\nOops: 0002 [#1] SMP\nRIP: 0010:f+0x10/0x20\nCall Trace:\n h+0x3/0x4",
			[]verdict.Class{verdict.Oops}, "f", 1},
		{"a general protection fault", "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP\nRIP: 0010:f+0x1/0x2", []verdict.Class{verdict.Oops}, "f", 0},
		{"a WARN and then an oops", "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x10/0x20\nRIP: 0010:f+0x10/0x20\nCall Trace:\n h+0x3/0x4\n---[ end trace 0000000000000000 ]---\ndivide error: 0000 [#1] SMP\nRIP: 0010:g+0x1/0x2",
			[]verdict.Class{verdict.Warn, verdict.Oops}, "f", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := logged(records(tc.log))
			if len(got) != len(tc.want) {
				t.Fatalf("%d reports, want %d: %+v", len(got), len(tc.want), got)
			}
			for i, want := range tc.want {
				if got[i].Class != want {
					t.Errorf("report %d is a %s, want %s", i, got[i].Class, want)
				}
			}
			if len(got) > 0 && (got[0].RIP.Symbol != tc.rip || len(got[0].Trace) != tc.trace) {
				t.Errorf("rip %+v, trace %+v", got[0].RIP, got[0].Trace)
			}
		})
	}
}

func FuzzLogged(f *testing.F) {
	f.Add("kernel BUG at mm/x.c:7!\ninvalid opcode: 0000 [#1] SMP\nRIP: 0010:f+0x10/0x20\nCall Trace:\n h+0x3/0x4")
	f.Add("WARNING: CPU: 99999999999999999999 PID: 7 at")
	f.Fuzz(func(t *testing.T, log string) {
		for _, l := range logged(records(log)) {
			if l.Class != verdict.Warn && l.Class != verdict.Bug && l.Class != verdict.Oops {
				t.Errorf("class %q", l.Class)
			}
		}
	})
}
