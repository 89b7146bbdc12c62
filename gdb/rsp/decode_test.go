package rsp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"kcatch/gdb/amd64"
)

func TestFraming(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string // packets, and + - bad long for the other events
	}{
		{"empty packet", "$#00", []string{""}},
		{"acks", "+-+", []string{"+", "-", "+"}},
		{"two", "+$OK#9a$l#6c", []string{"+", "OK", "l"}},
		{"upper case checksum", "$OK#9A", []string{"OK"}},
		{"wrong checksum", "$OK#9b$OK#9a", []string{"bad", "OK"}},
		{"no hex", "$OK#zz", []string{"bad"}},
		{"start over", "$O$OK#$OK#9$OK#9a", []string{"OK"}},
		{"escape", "$}\x03}\x04}]}\x0a#62", []string{"#$}*"}},
		{"run", "$0* #7a", []string{"0000"}},
		{"run after run", "$0* * #c4", []string{"0000000"}},
		{"run of nothing", "$* #4a", []string{"bad"}},
		{"run count too small", "$0*\x1f#79", []string{"bad"}},
		{"run count too big", "$0*\x7f#d9", []string{"bad"}},
		{"escaped packet end", "$0}#ad", []string{"bad"}},
		{"run cut short", "$0*#5a", []string{"bad"}},
		{"unfinished", "$OK#9", nil},
		{"noise", "abc\x00#%$l#6c\xff", []string{"l"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := frames([]byte(test.in)); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%q: %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func frames(in []byte) (out []string) {
	var f framer
	for _, b := range in {
		switch f.feed(b) {
		case framePacket:
			out = append(out, string(f.payload))
		case frameAck:
			out = append(out, "+")
		case frameNak:
			out = append(out, "-")
		case frameBad:
			out = append(out, "bad")
		case frameTooLong:
			out = append(out, "long")
		}
	}
	return out
}

func TestFramingBound(t *testing.T) {
	payload := "0" + strings.Repeat("*~", maxPayload/97+1)
	sum := byte(0)
	for i := range len(payload) {
		sum += payload[i]
	}
	in := fmt.Sprintf("$%s#%02x$l#6c", payload, sum)
	if got := frames([]byte(in)); fmt.Sprint(got) != "[long l]" {
		t.Errorf("%d run bytes: %.80q, want long, l", len(payload), got)
	}
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte("+$OK#9a"), "OK")
	f.Add([]byte("$0* }]#44-"), "#$}*\x03")
	f.Fuzz(func(t *testing.T, in []byte, payload string) {
		var fr framer
		for _, b := range in {
			if fr.feed(b) == framePacket && len(fr.payload) > maxPayload {
				t.Fatalf("payload of %d bytes", len(fr.payload))
			}
		}
		if len(payload) > maxPayload {
			return
		}
		// Round trip, also after anything. A state inside a packet is left by $.
		got := "nothing"
		for _, b := range appendFrame(nil, payload) {
			if fr.feed(b) == framePacket {
				got = string(fr.payload)
			}
		}
		if got != payload {
			t.Fatalf("after %q: sent %q, received %q", in, payload, got)
		}
	})
}

func TestStopReply(t *testing.T) {
	t1 := Thread{PID: 1, TID: 1}
	tests := []struct {
		in     string
		want   Stop
		reason Reason
	}{
		{"T05thread:p01.01;", Stop{Signal: 5, Thread: t1}, ReasonBreak},
		{"T05thread:01;watch:ffffea0000000034;", Stop{Signal: 5, Thread: Thread{TID: 1}, Watch: Watch{WriteWatch, 0xffffea0000000034}}, ReasonWatch},
		{"T05thread:p01.0a;rwatch:5000;", Stop{Signal: 5, Thread: Thread{1, 10}, Watch: Watch{ReadWatch, 0x5000}}, ReasonWatch},
		{"T05awatch:0;core:1;06:0011;", Stop{Signal: 5, Watch: Watch{AccessWatch, 0}}, ReasonWatch},
		{"T02thread:p01.01;", Stop{Signal: 2, Thread: t1}, ReasonPaused},
		{"T03thread:p01.01;", Stop{Signal: 3, Thread: t1}, ReasonShutdown},
		{"T06thread:p01.01", Stop{Signal: 6, Thread: t1}, ReasonInternalError},
		{"T0ethread:p01.01;", Stop{Signal: 14, Thread: t1}, ReasonWatchdog},
		{"T17thread:p01.01;", Stop{Signal: 0x17, Thread: t1}, ReasonIOError},
		{"T11thread:p01.01;", Stop{Signal: 0x11, Thread: t1}, ReasonIOError},
		{"T8fthread:p01.01;", Stop{Signal: 0x8f, Thread: t1}, ReasonPanicked},
		{"S05", Stop{Signal: 5}, ReasonBreak},
		{"T7f", Stop{Signal: 0x7f}, ReasonUnknown},
		{"W00", Stop{Exited: true}, ReasonExited},
		{"W2a;process:1", Stop{Exited: true, ExitCode: 42}, ReasonExited},
		{"X09", Stop{Exited: true, ExitCode: 9}, ReasonExited},
	}
	for _, test := range tests {
		got, err := parseStop(test.in)
		test.want.Raw = test.in
		if err != nil || got != test.want || got.Reason() != test.reason {
			t.Errorf("%q: %+v (%v), %v; want %+v (%v)", test.in, got, got.Reason(), err, test.want, test.reason)
		}
		if got.Reason() != ReasonUnknown && got.Reason().String() == "unknown" {
			t.Errorf("reason %d has no name", got.Reason())
		}
	}
	for _, in := range []string{"", "T", "T0", "Txy", "T05thread", "T05thread:;", "T05thread:p1;", "T05thread:-1;", "T05thread:0;",
		"T05thread:p0.1;", "T05watch:;", "T05watch:10000000000000000;", "S05x", "W0", "W00x", "OK", "Q05"} {
		if got, err := parseStop(in); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %+v, %v; want %v", in, got, err, ErrProtocol)
		}
	}
}

func FuzzStopReply(f *testing.F) {
	for _, s := range []string{"T05thread:p01.01;", "T05thread:01;watch:ffffea0000000034;", "W00", "X09;process:1", "S05"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		stop, err := parseStop(in)
		if (err != nil) != (stop == Stop{}) {
			t.Fatalf("%q: %+v and %v", in, stop, err)
		}
		_ = stop.Reason().String()
	})
}

// description is QEMU's own, from a recorded conversation.
func description(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/handshake.rsp")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	name := ""
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSuffix(l, "\n")
		if rest, ok := strings.CutPrefix(l, "> qXfer:features:read:"); ok {
			name, _, _ = strings.Cut(rest, ":")
		} else if name != "" && strings.HasPrefix(l, "< ") {
			data := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`).Replace(l[3:])
			files[name] = append(files[name], data...)
			if l[2] == 'l' {
				name = ""
			}
		}
	}
	return files
}

func opener(files map[string][]byte) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return text, nil
		}
		return nil, &StubError{Packet: name}
	}
}

// TestTargetXML holds QEMU's description against the table that stands in for it.
func TestTargetXML(t *testing.T) {
	arch, got, err := parseTarget(opener(description(t)))
	if err != nil || arch != "i386:x86-64" {
		t.Fatalf("architecture %q, %v", arch, err)
	}
	want := coreLayout()
	if len(got) != len(want) || len(got) != 66 {
		t.Fatalf("%d registers, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if last := got[65]; last.offset+last.size != 608 {
		t.Errorf("g packet of %d bytes, want 608", last.offset+last.size)
	}
}

func TestTargetXMLNumbers(t *testing.T) {
	_, got, err := parseTarget(opener(map[string][]byte{
		"target.xml": []byte(`<target><reg name="b" bitsize="32" regnum="5"/><reg name="c" bitsize="64"/>` +
			`<xi:include href="x.xml"/><reg name="e" bitsize="8"/></target>`),
		"x.xml": []byte(`<feature><reg name="a" bitsize="16" regnum="0"/></feature>`),
	}))
	want := layout{{"a", 0, 0, 2}, {"e", 1, 2, 1}, {"b", 5, 3, 4}, {"c", 6, 7, 8}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestTargetXMLBad(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"no xml":       "hello <",
		"none":         "<target/>",
		"cycle":        `<target><xi:include href="target.xml"/></target>`,
		"no file":      `<target><xi:include href="y.xml"/></target>`,
		"href":         `<target><xi:include href="a:0,1"/></target>`,
		"no href":      `<target><xi:include/></target>`,
		"no size":      `<target><reg name="a"/></target>`,
		"odd size":     `<target><reg name="a" bitsize="7"/></target>`,
		"huge":         `<target><reg name="a" bitsize="4294967288"/></target>`,
		"number":       `<target><reg name="a" bitsize="8" regnum="4096"/></target>`,
		"number again": `<target><reg name="a" bitsize="8"/><reg name="b" bitsize="8" regnum="0"/></target>`,
		"too many":     "<target>" + strings.Repeat(`<reg bitsize="8"/>`, maxRegisters+1) + "</target>",
	} {
		if _, l, err := parseTarget(opener(map[string][]byte{"target.xml": []byte(text)})); err == nil {
			t.Errorf("%s: %v, no error", name, l)
		}
	}
}

func FuzzTargetXML(f *testing.F) {
	f.Add(`<target><architecture>i386:x86-64</architecture><xi:include href="x.xml"/></target>`, `<feature><reg name="rax" bitsize="64"/></feature>`)
	f.Add(`<target><xi:include href="target.xml"/></target>`, "")
	f.Fuzz(func(t *testing.T, target, include string) {
		_, l, err := parseTarget(func(name string) ([]byte, error) {
			if name == "target.xml" {
				return []byte(target), nil
			}
			return []byte(include), nil
		})
		if (err != nil) != (l == nil) {
			t.Fatalf("%v and %v", l, err)
		}
		end := 0
		for i, r := range l {
			if r.offset != end || r.size <= 0 || i > 0 && r.num <= l[i-1].num {
				t.Fatalf("register %d is %+v, the one before ends at %d", i, r, end)
			}
			end += r.size
		}
	})
}

func TestRegisters(t *testing.T) {
	data := make([]byte, 608)
	for i := range data {
		data[i] = byte(i)
	}
	got, err := decodeRegisters(coreLayout(), []byte(hex.EncodeToString(data)))
	want := amd64.Registers{ // the order of target/i386/gdbstub.c, little-endian
		RAX: 0x0706050403020100, RBX: 0x0f0e0d0c0b0a0908, RCX: 0x1716151413121110, RDX: 0x1f1e1d1c1b1a1918,
		RSI: 0x2726252423222120, RDI: 0x2f2e2d2c2b2a2928, RBP: 0x3736353433323130, RSP: 0x3f3e3d3c3b3a3938,
		R8: 0x4746454443424140, R9: 0x4f4e4d4c4b4a4948, R10: 0x5756555453525150, R11: 0x5f5e5d5c5b5a5958,
		R12: 0x6766656463626160, R13: 0x6f6e6d6c6b6a6968, R14: 0x7776757473727170, R15: 0x7f7e7d7c7b7a7978,
		RIP: 0x8786858483828180, EFLAGS: 0x8b8a8988,
		CS: 0x8d8c, SS: 0x9190, DS: 0x9594, ES: 0x9998, FS: 0x9d9c, GS: 0xa1a0,
		FSBase: 0xabaaa9a8a7a6a5a4, GSBase: 0xb3b2b1b0afaeadac, KernelGSBase: 0xbbbab9b8b7b6b5b4,
		CR0: 0xc3c2c1c0bfbebdbc, CR2: 0xcbcac9c8c7c6c5c4, CR3: 0xd3d2d1d0cfcecdcc, CR4: 0xdbdad9d8d7d6d5d4,
		CR8: 0xe3e2e1e0dfdedddc, EFER: 0xebeae9e8e7e6e5e4,
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	for name, in := range map[string]string{
		"empty":             "",
		"odd":               "0",
		"no hex":            "xx",
		"i386 (308 bytes)":  strings.Repeat("00", 200),
		"unavailable bytes": strings.Repeat("xx", 608),
	} {
		if _, err := decodeRegisters(coreLayout(), []byte(in)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decodeRegisters(layout{{"eax", 0, 0, 4}}, []byte("00000000")); err == nil {
		t.Error("an i386 stub was taken for x86_64")
	}
}

func FuzzRegisters(f *testing.F) {
	f.Add(bytes.Repeat([]byte("0f"), 608), uint8(0))
	f.Add([]byte("0"), uint8(7))
	f.Fuzz(func(t *testing.T, in []byte, skew uint8) {
		l := coreLayout()
		l[int(skew)%len(l)].size = int(skew)
		l[int(skew)%len(l)].offset += int(skew)
		r, err := decodeRegisters(l, in)
		if err != nil && r != (amd64.Registers{}) {
			t.Fatalf("%+v and %v", r, err)
		}
	})
}

func TestSupported(t *testing.T) {
	got, err := parseSupported("PacketSize=1000;qXfer:features:read+;vContSupported+;ReverseStep+;ReverseContinue+;multiprocess+;x=;;")
	want := Features{PacketSize: 4096, Multiprocess: true, TargetXML: true, ReverseStep: true, ReverseContinue: true}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if got, err := parseSupported("hello"); err != nil || got.PacketSize != defaultPacketSize {
		t.Errorf("%+v, %v", got, err)
	}
	for _, in := range []string{"PacketSize=", "PacketSize=-1", "PacketSize=8", "PacketSize=100000000"} {
		if got, err := parseSupported(in); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}
