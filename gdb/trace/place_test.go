package trace

import (
	"fmt"
	"strings"
	"testing"

	"kcatch/gdb/unwind"
)

// TestFind: lines as kernels print them. The wanted places are written "kind:what", what being the text between Start and End;
// "?" marks a guess, "@" an address, "^" an entry of a call trace.
func TestFind(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		// Call traces.
		{"[    1.234567]  do_one_initcall+0x1a/0x130", "return:do_one_initcall+0x1a/0x130^"},
		{"[    1.234567]  ? do_one_initcall+0x1a/0x130", "return:do_one_initcall+0x1a/0x130?^"},
		{"[    1.234567][    T1]  nft_do_chain+0x2b1/0x5d0 [nf_tables]", "return:nft_do_chain+0x2b1/0x5d0[nf_tables]^"},
		{"[    1.2][   C0]  ? f.constprop.0.isra.0+0x1/0x2 [snd-hda 0123456789abcdef0123456789abcdef01234567]",
			"return:f.constprop.0.isra.0+0x1/0x2[snd-hda 0123456789abcdef0123456789abcdef01234567]?^"},
		{"Jan  1 00:00:01 host kernel:  f+0x1/0x2\r\n", "return:f+0x1/0x2^"},
		{"kern  :warn  : [    1.234567]  ? f+0x1/0x2\n", "return:f+0x1/0x2?^"},
		{"4,1234,1234567,-; f+0x1/0x2\n", "return:f+0x1/0x2^"},
		{"<4>[    1.234567]  f+0x1/0x2", "return:f+0x1/0x2^"},
		{" [<ffffffff8107d4e6>] ? warn_slowpath+0x16/0x20", "return:warn_slowpath+0x16/0x20?^@ffffffff8107d4e6"},
		{" [<ffffffff8107d4e6>] warn_slowpath+0x16/0x20", "return:warn_slowpath+0x16/0x20^@ffffffff8107d4e6"},
		{"[<0>] do_sys_poll+0x44/0x60", "return:do_sys_poll+0x44/0x60^"},
		{" [<ffffffff8107d4e6>] ? 0xffffffff8107d4e5", "return:[<ffffffff8107d4e6>]^@ffffffff8107d4e6 return:0xffffffff8107d4e5?^@ffffffff8107d4e5"},
		{" [<ffffffff8107d4e6>] ? 0xffffffff8107d4e6", "return:0xffffffff8107d4e6?^@ffffffff8107d4e6"},
		{"[    1.2]  ? 0xffffffff8107d4e6", "return:0xffffffff8107d4e6?^@ffffffff8107d4e6"},
		{"0xffffffff8107d4e6\n", "exact:0xffffffff8107d4e6^@ffffffff8107d4e6"}, // nobody indents an address that he asks for
		{" _RNvCs1_4rust4main+0x1/0x2", "return:_RNvCs1_4rust4main+0x1/0x2^"},
		// Where a CPU is.
		{"[    1.2] RIP: 0010:f+0x1/0x2", "exact:f+0x1/0x2"},
		{"[    1.2] \x1b[33mRIP: \x1b[0m\x1b[1m0010:f+0x1/0x2\x1b[0m", "exact:f+0x1/0x2"}, // dmesg --color
		{"\x1b[32m[    1.2] \x1b[0m\x1b[1m ? f+0x1/0x2\x1b[0m", "return:f+0x1/0x2?^"},
		{"x: \x1b[0m\x1b[1;31mf+0x1/0x2", "return:f+0x1/0x2"},
		{"NMI backtrace for cpu 0 skipped: idling at f+0x1/0x2", "exact:f+0x1/0x2"},
		{"MSR access error: RDMSR from 0x123 at rIP: 0xffffffff8107d4e6 (f+0x1/0x2)", "exact:f+0x1/0x2@ffffffff8107d4e6"},
		{"rIP: 0xffffffff8107d4e6 and (f+0x1/0x2)", "exact:0xffffffff8107d4e6@ffffffff8107d4e6 return:f+0x1/0x2"},
		{"WARNING: mm/x.c:12 at f+0x1/0x2, CPU#0: init/1", "exact:f+0x1/0x2"},
		{"WARNING: can't access registers at f+0x1/0x2", "return:f+0x1/0x2"}, // %pB
		{"WARNING: CPU: 0 PID:1 at f+0x1/0x2", "return:f+0x1/0x2"},
		{"[   12.345678] host kernel:  0xffffffff8107d4e6", "return:0xffffffff8107d4e6^@ffffffff8107d4e6"},
		{"[    1.2] RIP: 0010:f+0x1/0x2 [x]\r", "exact:f+0x1/0x2[x]"},
		{"RIP: 0010:0xffffffff8107d4e6", "exact:0xffffffff8107d4e6@ffffffff8107d4e6"},
		{"RIP: 0010:[<ffffffff8107d4e6>]  [<ffffffff8107d4e6>] f+0x1/0x2", "exact:f+0x1/0x2@ffffffff8107d4e6"},
		{"IP: f+0x1/0x2", "exact:f+0x1/0x2"},
		{"PANIC: early exception 0x06 IP 10:ffffffff8107d4e6 error 0 cr2 0x0", "exact:ffffffff8107d4e6@ffffffff8107d4e6"},
		{"PANIC: early exception 06 rip 10:ffffffff8107d4e6 error 0 cr2 0", "exact:ffffffff8107d4e6@ffffffff8107d4e6"},
		{"[    1.2] WARNING: CPU: 0 PID: 1 at mm/x.c:12 f+0x10/0x20", "exact:f+0x10/0x20"},
		{"[    1.2] WARNING: mm/x.c:12 at f+0x10/0x20, CPU#0: swapper/0/1", "exact:f+0x10/0x20"},
		// What says where it was called.
		{"BUG: KASAN: slab-out-of-bounds in f+0x1/0x2", "return:f+0x1/0x2"},
		{"ffffffff82a0b2c0 (tasklist_lock){.+.+}-{2:2}, at: f+0x1/0x2", "return:f+0x1/0x2"},
		{"softirqs last  enabled at (1234): [<ffffffff8107d4e6>] f+0x1/0x2", "return:f+0x1/0x2@ffffffff8107d4e6"},
		{"hardirqs last disabled at (1234): [<ffffffff8107d4e6>] 0xffffffff8107d4e6", "return:0xffffffff8107d4e6@ffffffff8107d4e6"},
		{"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: f+0x1/0x2", "return:f+0x1/0x2"},
		{"calling  f+0x0/0x20 @ 1", "exact:f+0x0/0x20"},
		{"initcall f+0x0/0x20 returned 0 after 12 usecs", "exact:f+0x0/0x20"},
		// Two CPUs print at a time.
		{"[    1.2]  f+0x1/0x2[    1.2]  g+0x3/0x4", "return:f+0x1/0x2^ return:g+0x3/0x4"},
		// None.
		{"[    1.2] RIP: 0033:0x7f0123456789", ""},
		{"[    1.2] RIP: 0010:0x0", ""},
		{"R10: ffffffff8107d4e6 R11: ffffffff8107d4e6 R12: 000000000000009f", ""},
		{"Kernel Offset: 0x1a000000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)", ""},
		{"f+0x10", ""},
		{"f+0x10/0x", ""},
		{"f+0x20/0x10", ""},
		{"+0x1/0x2", ""},
		{"1f+0x1/0x2", ""},
		{"f+0x1/0x2g", ""},
		{"f+0x12345678123456789/0xffffffffffffffffff", ""},
		{strings.Repeat("f", 600) + "+0x1/0x2", ""},
		{"[<ffffffff8107d4e>]", ""},
		{"[<7fffffff8107d4e6>]", ""},
		{"resource: [mem 0xffffffff8107d4e6-0xffffffff8107d4e7]", ""},
		{"", ""},
	} {
		var got []string
		for _, p := range Find([]byte(tt.line), nil) {
			s := p.Kind.String() + ":" + tt.line[p.Start:p.End]
			if p.Module != "" {
				s += strings.TrimSuffix("["+p.Module+" "+p.BuildID, " ") + "]"
			}
			if p.Guess {
				s += "?"
			}
			if p.Entry {
				s += "^"
			}
			if p.Addr != 0 {
				s += fmt.Sprintf("@%x", p.Addr)
			}
			got = append(got, s)
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%q:\ngot  %q\nwant %q", tt.line, g, tt.want)
		}
	}
}

func TestFindIsBounded(t *testing.T) {
	if got := Find([]byte(strings.Repeat("f+0x1/0x2 ", 1000)), nil); len(got) != maxPlaces {
		t.Errorf("%d places", len(got))
	}
	if got := Find([]byte(strings.Repeat("[<ffffffff81000000>] ", 1000)), nil); len(got) != maxPlaces {
		t.Errorf("%d addresses", len(got))
	}
	if got := Find([]byte(strings.Repeat(" ", maxLine)+"f+0x1/0x2"), nil); got != nil {
		t.Errorf("a long line has %v", got)
	}
}

func TestRead(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef01234567"
	for _, tt := range []struct {
		line string
		want Said
	}{
		{"[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian@x) (gcc-12) #1 SMP", Said{Identity: Identity{Release: "6.1.0-56-cloud-amd64", Version: "#1"}, Boot: true}},
		{"Linux version 6.18.0 (x) (clang 14, LLD 14) #137 SMP Mon", Said{Identity: Identity{Release: "6.18.0", Version: "#137"}, Boot: true}},
		{"Linux version 6.18.0 (x) #1234567890 SMP", Said{Identity: Identity{Release: "6.18.0"}, Boot: true}},
		{"Linux version 6.18.0+ (x) #1", Said{Identity: Identity{Release: "6.18.0+", Version: "#1"}, Boot: true}},
		{"[    1.2] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.192 #1", Said{Identity: Identity{Release: "6.1.192", Version: "#1"}}},
		{"[    1.2] CPU: 0 PID: 1 Comm: a #1 b Tainted: G        W          6.1.192-kcatch #12 " + id + "\r\n",
			Said{Identity: Identity{Release: "6.1.192-kcatch", Version: "#12", BuildID: id}}},
		{"CPU: 1 UID: 0 PID: 1 Comm: sh Tainted: [W]=WARN  6.12.1-amd64 #1  Debian 6.12.1-1", Said{Identity: Identity{Release: "6.12.1-amd64", Version: "#1"}}},
		{"[    1.2] Kernel Offset: 0x1a000000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)", Said{Slide: 0x1a000000, Slid: true}},
		{"[    1.2] Kernel Offset: disabled", Said{Slid: true}},
		// Not to be believed.
		{"init: Linux version 6.1.0 is great", Said{}},
		{"Linux version ../../etc (x)", Said{}},
		{"Linux version 6.1/../../x (x)", Said{}},
		{"Linux version 6..1 (x)", Said{}},
		{"Linux version 6." + strings.Repeat("1", 80) + " (x)", Said{}},
		{"Comm: x Not tainted /etc/passwd #1", Said{}},
		{"CPU: 0 PID: 1 Comm: x Not tainted 6.1.0", Said{}},
		{"Kernel Offset: 0x1a000001 from 0xffffffff81000000", Said{}},
		{"Kernel Offset: 0xffffffff00000000 from 0xffffffff81000000", Said{}},
		{"Kernel Offset: 0x from 0xffffffff81000000", Said{}},
		{"Kernel Offset: ", Said{}},
		{"", Said{}},
	} {
		got, ok := Read([]byte(tt.line))
		if got != tt.want || ok != (tt.want != Said{}) {
			t.Errorf("%q:\ngot  %+v %v\nwant %+v", tt.line, got, ok, tt.want)
		}
	}
}

func TestIsConsole(t *testing.T) {
	for line, want := range map[string]bool{
		"[    1.2] x": true, "Linux version 6.1.0 (x)": true, " f+0x1/0x2": true, "f+0x1/0x2 [x]": true, "Kernel Offset: disabled": true,
		"f+0x1/0x2": false, "f+0x1/0x2\r\n": false, "0xffffffff8107d4e6": false, "ffffffff8107d4e6": false, "a b": false, "": false,
	} {
		if got := IsConsole([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// TestMessage: where the kernel's own words begin.
func TestMessage(t *testing.T) {
	const text = " ? f+0x1/0x2"
	for _, prefix := range []string{
		"", "[    1.234567]", "[12345.234567]", "<4>[    1.234567]", "[    1.234567][    T1]", "[    1.234567][ C0]", "[    T1]", "\r[    1.234567]",
		"kern  :warn  : [    1.234567]", "kern  :err   : [Thu Jan  1 00:00:01 2026]", "[Thu Jan  1 00:00:01 2026]",
		"[    1.234567@0]", "[    1.234567,0]", "[  +0.000123]", "[Jan 1 00:00]", "[Jan11 00:00]", "[    1.234567 <    0.000123>]", "2026-01-01T00:00:01,123456+00:00",
		"[    1.234567] host kernel:", "<3>Jan  1 00:00:01 kernel: [    1.234567]",
		"Jan  1 00:00:01 host kernel: [    1.234567]", "2026-01-01T00:00:01.000000+00:00 host kernel: [    1.234567]",
	} {
		for _, blank := range []string{"", " "} {
			if prefix == "" && blank != "" {
				continue // an indented message without a prefix
			}
			line := prefix + blank + text
			want := len(line) - len(text)
			if prefix != "" && blank == "" {
				want++ // one blank is the prefix's
			}
			if got := message([]byte(line)); got != want {
				t.Errorf("%q: the message is %q", line, line[got:])
			}
		}
	}
	const coloured = "\x1b[32m[    1.234567] \x1b[0m" // dmesg --color: the blank is within
	if got := message([]byte(coloured + "\x1b[1m" + text)); got != len(coloured) {
		t.Errorf("a coloured time: the message is at %d", got)
	}
	for _, line := range []string{"[<ffffffff8107d4e6>] ? f+0x1/0x2", "[#1] SMP", "[ERROR] x", "<TASK>", "a: b: c", "[", "[]", "<", "Code: 1 2; 3", "[+x]", "[Jan]", "2026-01-01 x", "\x1b[1mx", "\x1b[1"} {
		if got := message([]byte(line)); got != 0 {
			t.Errorf("%q: the message is %q", line, line[got:])
		}
	}
	if p := Find([]byte("[1.2] RIP: 0010:f+0x0/0x2"), nil); len(p) != 1 || p[0].Kind != unwind.Exact {
		t.Errorf("%+v", p)
	}
}
