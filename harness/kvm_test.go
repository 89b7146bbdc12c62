package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/rsp"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// beKVM makes QEMU take itself for one under KVM: it runs under TCG, takes four breakpoints and no more, as the CPU has debug
// registers, and has a fault when KVM was asked for:
//
//	none
//	msr      it ends before the first instruction
//	refuses  breakpoints are refused
//	gives-up the machine is stopped with an internal error when it is let go
//	ends     QEMU ends then
//	lies     it has too little memory for the kernel to be unpacked
func beKVM(args []string, fault string) {
	accel := slices.Index(args, "kvm")
	if accel < 0 {
		return
	}
	args[accel] = "tcg"
	args[slices.Index(args, "host")] = machine.DefaultCPU(machine.TCG)
	for i := range args {
		if fault == "lies" {
			args[i] = strings.Replace(args[i], "256M", "16M", 1)
		}
	}
	if fault == "msr" {
		fmt.Fprintln(os.Stderr, "error: failed to set MSR 0x10a to 0x69")
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: ../../target/i386/kvm/kvm.c:2892: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.")
		os.Exit(134)
	}
	err := interpose(args, "/g", func(up, down net.Conn) {
		go io.Copy(down, up)
		debugRegisters(up, down, fault)
	})
	if err != nil {
		panic(err)
	}
}

// debugRegisters passes packets to QEMU's stub.
func debugRegisters(up, down net.Conn, fault string) {
	used := 0
	in := bufio.NewReader(down)
	for {
		first, err := in.ReadByte()
		if err != nil {
			up.Close()
			return
		}
		text := string(rune(first)) // an acknowledgement, or the byte that stops the guest
		if first == '$' {
			packet, err := in.ReadString('#')
			sum, serr := in.Peek(2)
			if err != nil || serr != nil {
				up.Close()
				return
			}
			_, _ = in.Discard(2)
			text += packet + string(sum)
		}
		packet := strings.TrimPrefix(text, "$")
		switch {
		case strings.HasPrefix(packet, "Z1,"):
			if used++; used > 4 || fault == "refuses" {
				used--
				fmt.Fprint(down, "+$E22#a9")
				continue
			}
		case strings.HasPrefix(packet, "z1,"):
			used--
		case strings.HasPrefix(packet, "vCont;c#") && fault == "gives-up":
			fmt.Fprintln(os.Stderr, "KVM internal error. Suberror: 1")
			fmt.Fprintln(os.Stderr, "emulation failure")
			fmt.Fprint(down, "+$T06thread:p01.01;#07")
			continue
		case strings.HasPrefix(packet, "vCont;c#") && fault == "ends":
			fmt.Fprintln(os.Stderr, "KVM: entry failed, hardware error 0x80000021")
			os.Exit(1)
		}
		if _, err := io.WriteString(up, text); err != nil {
			return
		}
	}
}

// trusting gives KVM to who asks, until it is told not to.
type trusting struct{ trouble string }

func (c *trusting) Choose(_ context.Context, want machine.Accel) (machine.Choice, error) {
	if want == machine.TCG || want == machine.Auto && c.trouble != "" {
		return machine.Choice{Accel: machine.TCG, Reason: c.trouble}, nil
	}
	return machine.Choice{Accel: machine.KVM}, nil
}

func (c *trusting) Distrust(trouble string) { c.trouble = trouble }

// underKVM boots the seed under a fake KVM, and returns what was said meanwhile.
func underKVM(t *testing.T, accel, fault string, change func(*Plan), chooser accelerators) (r verdict.Result, said []string, err error) {
	t.Helper()
	p := seed(t)
	p.Accel, p.QEMU = accel, strained(t, "kvm "+fault)
	change(&p)
	b := &boot{plan: p, chosenBy: chooser, progress: Progress{Say: func(line string) { said = append(said, line) }}}
	r, err = b.run(t.Context())
	return r, said, err
}

func asItIs(*Plan) {}

// seedDied wants the verdict that TCG gives.
func seedDied(t *testing.T, r verdict.Result) {
	t.Helper()
	if c := r.Cause; r.Class != verdict.EarlyException || c == nil || c.Function != "__SetPageReserved" || c.Exception == nil || c.Exception.Vector != 6 {
		t.Errorf("class %s, cause %+v", r.Class, r.Cause)
	}
}

// TestUnderKVM: with four breakpoints, taken out for a step, and without QEMU's log of exceptions the verdicts are the same: of a
// kernel that dies, and of one that goes on after a breakpoint.
func TestUnderKVM(t *testing.T) {
	t.Parallel()
	r, said, err := underKVM(t, "auto", "none", asItIs, &trusting{})
	if err != nil {
		t.Fatal(err)
	}
	if len(said) > 0 || r.Machine.Accel != "kvm" {
		t.Errorf("%+v, said %q", r.Machine, said)
	}
	seedDied(t, r)
	files := fixtures.Find(t, fixtures.Faults61)
	r, said, err = underKVM(t, "auto", "none", func(p *Plan) {
		p.Kernel, p.Vmlinux, p.Append, p.CPUs = files.BzImage, files.Vmlinux, "kcatch_fault=late-warn", 2
	}, &trusting{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != verdict.Good || r.Machine.Accel != "kvm" || len(said) > 0 || len(r.Warnings) != 1 || r.Warnings[0].Frames[0].FoundBy == "log" {
		t.Errorf("%s, %+v, said %q, warnings %+v", r.Summary, r.Machine, said, r.Warnings)
	}
}

// TestSymbolUnderKVM: the slide is not known while four breakpoints are all, and a symbol that was passed before the kernel was
// found is no verdict on the kernel.
func TestSymbolUnderKVM(t *testing.T) {
	t.Parallel()
	early := func(p *Plan) { p.Until = "x86_64_start_kernel" }
	at0 := func(p *Plan) { p.Until, p.Append = "x86_64_start_kernel", "nokaslr" }
	r, said, err := underKVM(t, "auto", "none", early, &trusting{})
	if err != nil || r.Verdict != verdict.Good || r.Machine.Accel != "tcg" || len(said) != 1 || !strings.HasPrefix(said[0], "--until x86_64_start_kernel: using TCG, since KVM") {
		t.Errorf("auto: %s, %+v, said %q, %v", r.Summary, r.Machine, said, err)
	}
	r, said, err = underKVM(t, "auto", "none", at0, &trusting{})
	if err != nil || r.Verdict != verdict.Good || r.Machine.Accel != "kvm" || len(said) > 0 {
		t.Errorf("auto, nokaslr: %s, %+v, said %q, %v", r.Summary, r.Machine, said, err)
	}
	r, _, err = underKVM(t, "kvm", "none", early, &trusting{}) // now and then the kernel is found in time
	if err == nil && r.Verdict != verdict.Good {
		t.Errorf("asked for: %s", r.Summary)
	}
	if err != nil && (blame.Of(err) != blame.Infrastructure || !strings.Contains(err.Error(), "it may have been passed unseen") || blame.Hint(err) != "--accel tcg, or --append nokaslr") {
		t.Errorf("asked for: %v, hint %q", err, blame.Hint(err))
	}
}

// TestKVMFails at its own work: KVM that was our choice is left for TCG, said once, noted, and not chosen again.
func TestKVMFails(t *testing.T) {
	t.Parallel()
	for fault, trouble := range map[string]string{
		"msr":      "start qemu: error: failed to set MSR 0x10a to 0x69",
		"refuses":  "watch: QEMU refuses: insert: hardware break point 0x",
		"gives-up": "watch: QEMU stopped the machine with an internal error: KVM internal error. Suberror: 1",
		"ends":     "qemu ended: exit status 1: KVM: entry failed, hardware error 0x80000021",
	} {
		t.Run(fault, func(t *testing.T) {
			chooser := &trusting{}
			r, said, err := underKVM(t, "auto", fault, asItIs, chooser)
			if err != nil {
				t.Fatal(err)
			}
			seedDied(t, r)
			if len(said) != 1 || !strings.HasPrefix(said[0], "KVM: it failed at a boot: "+trouble) || !strings.HasSuffix(said[0], "; booting once more, under TCG") {
				t.Errorf("said %q", said)
			}
			noted := slices.ContainsFunc(r.Notes, func(n string) bool {
				return strings.HasPrefix(n, "this is the second boot, under TCG: KVM failed at the first: "+trouble)
			})
			if !noted || r.Machine.Accel != "tcg" {
				t.Errorf("%+v, notes %q", r.Machine, r.Notes)
			}
			if choice, _ := chooser.Choose(t.Context(), machine.Auto); choice.Accel != machine.TCG {
				t.Error("KVM is chosen again")
			}
			_, _, err = underKVM(t, "kvm", fault, asItIs, &trusting{})
			if blame.Of(err) != blame.Infrastructure || !strings.HasPrefix(err.Error(), trouble) || blame.Hint(err) != "--accel tcg" {
				t.Errorf("asked for: error %v, hint %q", err, blame.Hint(err))
			}
		})
	}
}

// TestKVMLies: a death before the kernel that is none under TCG. That is believed; a death that is the same there is no reproach.
func TestKVMLies(t *testing.T) {
	t.Parallel()
	chooser := &trusting{}
	r, said, err := underKVM(t, "auto", "lies", asItIs, chooser)
	if err != nil {
		t.Fatal(err)
	}
	seedDied(t, r)
	if len(said) != 1 || !strings.HasPrefix(said[0], "the boot ended before the kernel, under KVM (") || !strings.Contains(chooser.trouble, "did not under TCG") {
		t.Errorf("said %q, distrusted for %q", said, chooser.trouble)
	}
	chooser = &trusting{}
	r, said, err = underKVM(t, "auto", "none", func(p *Plan) { p.Memory = 16 << 20 }, chooser)
	if err != nil || r.Stage != verdict.Decompressor || r.Machine.Accel != "tcg" || len(said) != 1 || chooser.trouble != "" {
		t.Errorf("%s, %+v, said %q, distrusted for %q, %v", r.Summary, r.Machine, said, chooser.trouble, err)
	}
	r, said, err = underKVM(t, "kvm", "lies", asItIs, chooser)
	if err != nil || r.Verdict != verdict.Bad || r.Machine.Accel != "kvm" || len(said) > 0 {
		t.Errorf("asked for: %s, %+v, said %q, %v", r.Summary, r.Machine, said, err)
	}
}

// TestKVMIsTriedOutWithTheUsersCPU: a host may run one model and not another.
func TestKVMIsTriedOutWithTheUsersCPU(t *testing.T) {
	for _, tc := range []struct {
		accel string
		args  string
		cpu   string
		want  string
	}{
		{"auto", "", "", ""}, {"auto", "-device edu", "", ""}, {"auto", "-cpu max -device edu", "", "max"},
		{"auto", "--cpu max -cpu host,pmu=off", "", "host,pmu=off"}, {"auto", "-cpu", "", ""}, {"kvm", "-cpu max", "", ""},
		{"auto", "", "Nehalem", "Nehalem"}, {"auto", "-cpu max", "Nehalem", "max"}, {"kvm", "", "Nehalem", ""}, // QEMU takes the last one
	} {
		b := boot{plan: Plan{Accel: tc.accel, CPU: tc.cpu, QEMUArg: strings.Fields(tc.args), Cache: t.TempDir()}}
		c, err := b.chooser()
		if got := c.(machine.Chooser).CPUModel; got != tc.want || err != nil {
			t.Errorf("%s, %q: model %q, %v; want %q", tc.accel, tc.args, got, err, tc.want)
		}
	}
}

// TestKVMFailed: which errors are KVM's.
func TestKVMFailed(t *testing.T) {
	infra := func(msg, detail string, err error) error {
		return &blame.Error{Kind: blame.Infrastructure, Msg: msg, Detail: detail, Err: err}
	}
	for _, tc := range []struct {
		name  string
		accel machine.Accel
		err   error
		want  bool
	}{
		{"none", machine.KVM, nil, false},
		{"refused", machine.KVM, infra("watch: QEMU refuses", "", fmt.Errorf("insert: %w", &rsp.StubError{Packet: "Z1,0,1", Code: 0x22})), true},
		{"the same under TCG", machine.TCG, infra("watch: QEMU refuses", "", &rsp.StubError{Packet: "Z1,0,1", Code: 0x22}), false},
		{"no such breakpoint", machine.KVM, infra("watch", "", fmt.Errorf("insert: %w", rsp.ErrUnsupported)), true},
		{"a step that is never done", machine.KVM, infra("step", "", rsp.ErrTimeout), true},
		{"vCPUs that do not answer", machine.KVM, infra("qmp: human-monitor-command: no reply in 10s", "", context.DeadlineExceeded), true},
		{"internal error", machine.KVM, infra("watch", "", watch.ErrInternal), true},
		{"QEMU says so", machine.KVM, infra("qemu ended: exit status 1", "error: kvm run failed Bad address\n", nil), true},
		{"QEMU warns of it", machine.KVM, infra("qemu ended: killed", "qemu-system-x86_64: warning: kvm: no such feature\n", nil), false},
		{"QEMU was killed", machine.KVM, infra("qemu ended: signal: killed", "", errors.New("signal: killed")), false},
		{"connection lost", machine.KVM, infra("watch: the connection to QEMU was lost", "", rsp.ErrClosed), false},
		{"the disk", machine.KVM, infra("artifacts: no space left on device", "", nil), false},
		{"the user", machine.KVM, blame.New(blame.Usage, "start qemu: KVM does not like that", ""), false},
		{"the user said stop", machine.KVM, context.Canceled, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := boot{accel: tc.accel}
			if got := b.kvmFailed(tc.err); got != tc.want {
				t.Errorf("kvmFailed = %v, want %v", got, tc.want)
			}
		})
	}
}
