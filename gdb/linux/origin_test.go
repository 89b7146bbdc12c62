package linux

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/internal/fixtures"
)

// assemble gives the code of a function at address 0, as GNU as makes it.
func assemble(t *testing.T, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	object, binary := filepath.Join(dir, "a.o"), filepath.Join(dir, "a.bin")
	for _, args := range [][]string{{"as", "--64", "-o", object, "-"}, {"objcopy", "-O", "binary", "-j", ".text", object, binary}, {"cat", binary}} {
		path, err := exec.LookPath(args[0])
		fixtures.Need(t, err == nil, args[0], "make test-deps")
		cmd := exec.Command(path, args[1:]...)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		if args[0] == "cat" {
			return out
		}
	}
	return nil
}

// last is the address of the last instruction of code, which is two bytes long: ud2, or what the text ends in.
func last(code []byte) uint64 { return uint64(len(code) - 2) }

func texts(groups ...[]Load) string {
	var out []string
	for _, g := range groups {
		var one []string
		for _, l := range g {
			one = append(one, l.Text)
		}
		out = append(out, strings.Join(one, " | "))
	}
	return strings.Join(out, "; ")
}

func TestConditionLoads(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"compared in memory", `cmpl $0,0x34(%rdi); jne 1f; ret; 1: ud2`, "cmpl $0x0,0x34(%rdi)"},
		{"falls through", `mov 0x34(%rdi),%eax; test %eax,%eax; je 1f; call *%rcx; jmp 2f; 1: ret; 2: ud2`, "mov 0x34(%rdi),%eax"},
		{"two operands", `mov 8(%rdi),%rax; mov %rax,%rdx; cmp (%rsi),%rdx; je 1f; ret; 1: ud2`, "mov 0x8(%rdi),%rax; cmp (%rsi),%rdx"},
		{"two conditions", `mov (%rdi),%rax; test $1,%al; jne 1f; cmpb $2,9(%rdi); jne 1f; ret; 1: ud2`, "mov (%rdi),%rax; cmpb $0x2,0x9(%rdi)"},
		{"two ways to a value", `test %esi,%esi; je 1f; mov (%rdi),%rax; jmp 2f; 1: mov 8(%rdi),%rax; 2: test %rax,%rax; jne 3f; ret; 3: ud2`,
			"mov (%rdi),%rax | mov 0x8(%rdi),%rax"},
		{"returned by a call", `call *%rcx; test %eax,%eax; jne 1f; ret; 1: ud2`, ""},
		{"a pair compared and swapped", `mov (%rdi),%rax; lock cmpxchg16b (%rsi); test %rax,%rax; jne 1f; ret; 1: ud2`, ""},
		{"whether it was swapped", `cmpl $0,(%rdi); lock cmpxchg16b (%rsi); jne 1f; ret; 1: ud2`, "lock cmpxchg16b (%rsi)"},
		{"flags of one that is not listed", `cmpl $0,(%rdi); scasb; jne 1f; ret; 1: ud2`, ""},
		{"flags that are kept", `cmpl $0,(%rdi); mov %rax,%rbx; push %rbx; lea 1(%rbx),%rcx; jne 1f; ret; 1: ud2`, "cmpl $0x0,(%rdi)"},
		{"the clock", `mov (%rdi),%rcx; rdtscp; test %ecx,%ecx; jne 1f; ret; 1: ud2`, ""},
		{"a hypercall", `mov (%rdi),%rax; vmcall; test %rax,%rax; jne 1f; ret; 1: ud2`, ""},
		{"one that is not listed", `mov (%rdi),%rax; xlatb; test %al,%al; jne 1f; ret; 1: ud2`, ""},
		{"the pointer of a string", `mov (%rbx),%rdi; rep movsq; test %rdi,%rdi; jne 1f; ret; 1: ud2`, ""},
		{"a string's element", `mov (%rbx),%rax; lodsl; test %eax,%eax; jne 1f; ret; 1: ud2`, "lods %ds:(%rsi),%eax"},
		{"compared and swapped, the old value", `mov $1,%eax; lock cmpxchg %ecx,(%rdi); test %eax,%eax; jne 1f; ret; 1: ud2`, "lock cmpxchg %ecx,(%rdi)"},
		{"compared and swapped, the new value", `mov (%rdi),%ecx; lock cmpxchg %ecx,(%rsi); test %ecx,%ecx; jne 1f; ret; 1: ud2`, "mov (%rdi),%ecx"},
		{"beyond what touches nothing", `mov (%rdi),%r8; cpuid; rdtscp; wrmsr; test %r8,%r8; jne 1f; ret; 1: ud2`, "mov (%rdi),%r8"},
		{"an argument", `test %edi,%edi; jne 1f; ret; 1: ud2`, ""},
		{"no condition", `ud2`, ""},
		{"fixed", `cmpl $0,0x1234(%rip); jne 1f; ret; 1: ud2`, "cmpl $0x0,0x1234(%rip)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code := assemble(t, tc.text+"\n")
			groups, err := ConditionLoads([]Code{{Bytes: code}}, last(code))
			if got := texts(groups...); got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestPointerLoads(t *testing.T) {
	const bad = 0x5a5a5a5a5a5a5a5a
	for _, tc := range []struct {
		name, text, want string
		call             bool
		regs             amd64.Registers
	}{
		// The last instruction, of two bytes, is the one that faults.
		{"a link", `mov 8(%rdi),%rdx; mov (%rdi),%rcx; mov (%rcx),%eax`, "mov (%rdi),%rcx", false, amd64.Registers{RCX: bad}},
		{"copied and moved", `mov 8(%rdi),%rdx; lea -8(%rdx),%rbx; mov %rbx,%rcx; add $16,%rcx; mov (%rcx),%eax`, "mov 0x8(%rdi),%rdx", false, amd64.Registers{RCX: bad}},
		{"a loop", `mov (%rdi),%rax; 1: cmp %rdi,%rax; je 2f; add 16(%rax),%rsi; mov (%rax),%rax; jmp 1b; 2: mov (%rax),%ecx`,
			"mov (%rdi),%rax | mov (%rax),%rax", false, amd64.Registers{RAX: bad}},
		{"by a register", `mov 0x18(%rdi),%rax; call *%rax`, "mov 0x18(%rdi),%rax", true, amd64.Registers{}},
		{"by memory", `call *(%rax)`, "call *(%rax)", true, amd64.Registers{}},
		{"an argument", `mov (%rdi),%eax`, "", false, amd64.Registers{}},
		{"returned", `call *%rcx; mov (%rax),%eax`, "", false, amd64.Registers{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code := assemble(t, tc.text+"\n")
			tc.regs.RIP = last(code)
			if tc.call {
				tc.regs.RIP = uint64(len(code))
			}
			loads, err := PointerLoads([]Code{{Bytes: code}}, tc.regs, tc.call)
			if got := texts(loads); got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

// TestArguments: the value is not the function's own, but its caller loaded it, or had it from its caller.
func TestArguments(t *testing.T) {
	callee := assemble(t, "push %rbx; mov %rsi,%rbx; lea 8(%rbx),%rcx; mov (%rcx),%eax\n")
	_, err := PointerLoads([]Code{{Bytes: callee}}, amd64.Registers{RIP: last(callee), RCX: 1}, false)
	passed, ok := errors.AsType[*PassedError](err)
	if !ok || !slices.Equal(passed.Registers, []amd64.Reg{amd64.RSI}) {
		t.Fatalf("the callee: %v", err)
	}
	condition := assemble(t, "cmp $7,%edi; jne 1f; ret; 1: ud2\n")
	if _, err := ConditionLoads([]Code{{Bytes: condition}}, last(condition)); err == nil || err.Error() != "it is the function's argument in rdi" {
		t.Errorf("a condition: %v", err)
	}
	for _, tc := range []struct{ text, want, fails string }{
		{"mov 0x20(%rdi),%rsi; call .+0x100-4", "mov 0x20(%rdi),%rsi", ""},
		{"mov 0x20(%rdi),%rsi; call .+0x200", "", "the call before 0x9 is of another function, which jumped: what that made of rsi is not known"},
		{"mov 0x20(%rdi),%rsi; call *%rax", "", "the call before 0x6 is through a pointer: who was given rsi by it is not known"},
		{"mov %rdx,%rsi; call .+0x100-3", "", "rsi, which the call before 0x8 passes: it is the function's argument in rdx"},
		{"xor %esi,%esi; call .+0x100-2", "", "rsi, which the call before 0x7 passes: it is computed by xor %esi,%esi"},
		{"mov $1,%esi; mov %esi,%eax", "", "the call before 0x7: not found in the function's code"},
	} {
		code := assemble(t, tc.text+"\n")
		loads, err := ArgumentLoads([]Code{{Bytes: code}}, uint64(len(code)), amd64.RSI, 0x100)
		if got := texts(loads); got != tc.want || err == nil && tc.fails != "" || err != nil && err.Error() != tc.fails {
			t.Errorf("%s: %s, %v", tc.text, got, err)
		}
	}
}

// TestSplitFunction: the trap is in the cold part, the condition in the hot one.
func TestSplitFunction(t *testing.T) {
	code := assemble(t, "cmpl $0,0x34(%rdi); jne 1f; ret; .org 0x100; 1: ud2\n")
	groups, err := ConditionLoads([]Code{{Bytes: code[:11]}, {Start: 0x100, Bytes: code[0x100:]}}, 0x100)
	if got := texts(groups...); err != nil || got != "cmpl $0x0,0x34(%rdi)" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestLastStored(t *testing.T) {
	for _, tc := range []struct {
		code       []byte
		down       bool
		addr, size uint64
		ok         bool
	}{
		{[]byte{0xf3, 0x48, 0xab}, false, 0xff8, 8, true},
		{[]byte{0xf3, 0xab}, false, 0xffc, 4, true},
		{[]byte{0xf3, 0xa4}, false, 0xfff, 1, true},
		{[]byte{0x66, 0xf3, 0xa5}, false, 0xffe, 2, true},
		{[]byte{0xf3, 0x48, 0xa5}, true, 0x1008, 8, true},
		{[]byte{0x48, 0xab}, false, 0xff8, 8, false},
		{[]byte{0x48, 0x89, 0x07}, false, 0, 0, false},
		{[]byte{0xf3}, false, 0, 0, false},
	} {
		regs := amd64.Registers{RDI: 0x1000}
		if tc.down {
			regs.EFLAGS = amd64.FlagDF
		}
		if addr, size, ok := LastStored(tc.code, regs); ok != tc.ok || ok && (addr != tc.addr || size != tc.size) {
			t.Errorf("% x: 0x%x, %d, %v; want 0x%x, %d, %v", tc.code, addr, size, ok, tc.addr, tc.size, tc.ok)
		}
	}
}

// FuzzOrigin: code may be anything.
func FuzzOrigin(f *testing.F) {
	f.Add([]byte{0x8b, 0x47, 0x34, 0x85, 0xc0, 0x74, 0x02, 0x0f, 0x0b, 0xc3}, uint64(7))
	f.Add([]byte{0x48, 0x8b, 0x00, 0xeb, 0xfb, 0x8b, 0x08}, uint64(5))
	f.Add(bytes.Repeat([]byte{0x75, 0xfe}, 64), uint64(64))
	f.Fuzz(func(t *testing.T, code []byte, pc uint64) {
		if len(code) > 4096 {
			return
		}
		function := []Code{{Start: 0, Bytes: code}}
		groups, err := ConditionLoads(function, pc)
		if (err == nil) != (len(groups) > 0) {
			t.Errorf("%d groups, %v", len(groups), err)
		}
		for _, call := range []bool{false, true} {
			loads, err := PointerLoads(function, amd64.Registers{RIP: pc}, call)
			if (err == nil) != (len(loads) > 0) || len(loads) > maxLoads {
				t.Errorf("%d loads, %v", len(loads), err)
			}
			for _, l := range loads {
				l.Address(amd64.Registers{})
			}
		}
		_, _ = DivisorLoads(function, pc)
		_, _ = ArgumentLoads(function, pc, amd64.RDI, pc)
		LastStored(code, amd64.Registers{})
	})
}
