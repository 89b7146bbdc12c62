package reverse

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/gdb/rsp"
)

// straight is code without a loop: instruction n is at n.
func straight(n int) []uint64 {
	code := make([]uint64, n)
	for i := range code {
		code[i] = uint64(i)
	}
	return code
}

const stepped = "T05thread:p01.01;"

func TestStepBack(t *testing.T) {
	b := startBench(t, straight(10), nil)
	b.ask("qSupported:multiprocess+", "PacketSize=1000;ReverseStep+;ReverseContinue+")
	b.ask("Hg0", "OK")
	b.ask("Hgp1.1", "OK")
	b.ask("?", stepped)
	b.ask("bs", stepped)
	b.at(8)
	b.ask("bs", stepped)
	b.at(7)
	b.ask("s", stepped)
	b.at(8)
	if said := b.qemus[2].log[:2]; !slices.Equal(said, []string{"qSupported:multiprocess+", "Hgp1.1"}) {
		t.Errorf("the new machine was told %q", said)
	}
}

// TestEnds: gdb is told where what was recorded begins and ends.
func TestEnds(t *testing.T) {
	b := startBench(t, straight(5), nil)
	b.ask("?", stepped)
	b.ask("c", stepped+"replaylog:end;")
	b.ask("bc", stepped+"replaylog:begin;")
	b.at(0)
	b.ask("bs", stepped+"replaylog:begin;")
	b.ask("vCont;c", stepped+"replaylog:end;")
	b.at(4)
}

func TestContinueBack(t *testing.T) {
	code := []uint64{0, 7, 1, 7, 7, 2, 9, 3, 4, 5}
	b := startBench(t, code, nil, 2, 5)
	b.ask("?", stepped)
	b.ask("Z1,7,1", "OK")
	b.ask("Z1,7,1", "OK") // gdb may say it twice
	b.ask("Z2,4000,4", "OK")
	for _, want := range []struct {
		stop string
		at   int64
	}{
		{"watch:4000;", 5}, {"", 4}, {"", 3}, {"watch:4000;", 2}, {"", 1}, {"replaylog:begin;", 0},
	} {
		b.ask("bc", stepped+want.stop)
		b.at(want.at)
	}
	b.ask("c", stepped) // the points are in
	b.at(1)
	b.ask("z1,7,1", "OK")
	b.ask("z2,4000,4", "OK")
	b.ask("c", stepped+"replaylog:end;")
}

// TestManyStops: a breakpoint that is passed more often than one pass notes, in every shape of the rest.
func TestManyStops(t *testing.T) {
	for _, c := range []struct {
		name string
		hot  func(i int) bool
	}{
		{"all", func(i int) bool { return true }},
		{"the first half", func(i int) bool { return i < 2000 }},
		{"one behind many", func(i int) bool { return i < 300 || i == 3990 }},
		{"one between", func(i int) bool { return i < 300 || i == 1500 }},
		{"exactly one pass", func(i int) bool { return i < most }},
	} {
		t.Run(c.name, func(t *testing.T) {
			code := straight(4000)
			want := 0
			for i := range code {
				if code[i] += 1000; c.hot(i) {
					code[i] = 1
					if i < len(code)-1 {
						want = i
					}
				}
			}
			b := startBench(t, code, nil)
			b.ask("?", stepped)
			b.ask("Z1,1,1", "OK")
			b.ask("bc", stepped)
			b.at(int64(want))
			if n := len(b.qemus); n > 12 {
				t.Errorf("%d machines", n)
			}
		})
	}
}

// TestStandsStill: a machine that stands still on its way is replaced; where all do, gdb is told so and is where it was.
func TestStandsStill(t *testing.T) {
	b := startBench(t, straight(10), func(n int, f *fakeQEMU) {
		if n == 0 || n == 2 || n >= 4 {
			f.stands = 3
		}
	})
	b.ask("?", stepped)
	b.ask("bs", stepped)
	b.at(8)
	if len(b.qemus) != 4 {
		t.Errorf("%d machines", len(b.qemus))
	}
	began := time.Now()
	if err := b.gdb.Send("bs"); err != nil {
		t.Fatal(err)
	}
	line := b.next()
	if text, err := hex.DecodeString(strings.TrimPrefix(line, "O")); err != nil ||
		string(text) != "kcatch: the replay stands still at instruction 3; not gone back\n" {
		t.Errorf("%q", text)
	}
	if stop := b.next(); stop != stepped {
		t.Error(stop)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("that took %s", took)
	}
	b.at(8)
}

// TestStandsStillForward: there another one is put to where it went off from.
func TestStandsStillForward(t *testing.T) {
	b := startBench(t, straight(10), func(n int, f *fakeQEMU) {
		if n == 1 {
			f.stands = 9
		}
	})
	b.ask("?", stepped)
	b.ask("bs", stepped)
	b.qemus[1].mu.Lock()
	b.qemus[1].stands = 8
	b.qemus[1].mu.Unlock()
	if err := b.gdb.Send("c"); err != nil {
		t.Fatal(err)
	}
	if line := b.next(); !strings.HasPrefix(line, "O") {
		t.Error(line)
	}
	if stop := b.next(); stop != stepped {
		t.Error(stop)
	}
	b.at(8)
	b.ask("c", stepped+"replaylog:end;")
}

// TestInterrupt: gdb does not want to wait, and has the machine that it had.
func TestInterrupt(t *testing.T) {
	b := startBench(t, straight(10), func(n int, f *fakeQEMU) {
		if n > 0 {
			f.stands = 3
		}
	})
	b.s.rec.Limits.Stall = time.Hour
	b.ask("?", stepped)
	if err := b.gdb.Send("bs"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if err := b.gdb.SendInterrupt(); err != nil {
		t.Fatal(err)
	}
	if stop := b.next(); stop != "T02thread:p01.01;" {
		t.Error(stop)
	}
	b.at(9)
}

// TestLeaving: a debugger that goes away leaves the machine without break points; one that kills it ends the session.
func TestLeaving(t *testing.T) {
	for _, leave := range []string{"D;1", ""} {
		b := startBench(t, straight(10), nil)
		b.ask("?", stepped)
		b.ask("Z1,5,1", "OK")
		if leave == "" {
			b.gdb.Close()
		} else {
			b.ask(leave, "OK")
		}
		b.dial(b.path)
		b.ask("bc", stepped+"replaylog:begin;")
		if leave == "" {
			if err := b.gdb.Send("k"); err != nil {
				t.Fatal(err)
			}
		} else {
			b.ask("vKill;1", "OK")
			b.gdb.Close()
		}
		if err := b.over(); err != nil {
			t.Error(err)
		}
		select {
		case <-b.s.Exited():
		default:
			t.Error("nobody was told")
		}
	}
}

// TestStopped: an end from outside, while a debugger has break points in, is no error.
func TestStopped(t *testing.T) {
	b := startBench(t, straight(10), nil)
	b.ask("?", stepped)
	b.ask("Z1,5,1", "OK")
	b.stop()
	if err := b.over(); err != nil {
		t.Error(err)
	}
}

// TestMachineEnds: a QEMU that ends under a debugger, or while there is none, ends the session.
func TestMachineEnds(t *testing.T) {
	for _, attached := range []bool{true, false} {
		b := startBench(t, straight(10), nil)
		b.ask("?", stepped)
		if !attached {
			b.ask("D", "OK")
			b.gdb.Close()
		}
		_ = b.qemus[0].Close()
		if err := b.over(); err == nil || err.Error() != "QEMU has ended" {
			t.Errorf("attached %t: %v", attached, err)
		}
	}
}

// TestTriesOnce: where a search within a search has had its tries, the outer one does not have them all again.
func TestTriesOnce(t *testing.T) {
	code := straight(4000)
	for i := range code {
		if code[i] += 1000; i < 300 {
			code[i] = 1
		}
	}
	b := startBench(t, code, func(n int, f *fakeQEMU) {
		if n >= 2 {
			f.stands = 100
		}
	})
	b.ask("?", stepped)
	b.ask("Z1,1,1", "OK")
	if err := b.gdb.Send("bc"); err != nil {
		t.Fatal(err)
	}
	if line := b.next(); !strings.HasPrefix(line, "O") {
		t.Error(line)
	}
	if stop := b.next(); stop != stepped {
		t.Error(stop)
	}
	if n := len(b.qemus); n != 2+limits.Tries {
		t.Errorf("%d machines", n)
	}
}

// TestDeaf: a stub that does not answer ends the session, with an error; it does not hang.
func TestDeaf(t *testing.T) {
	b := startBench(t, straight(10), nil)
	b.ask("?", stepped)
	b.qemus[0].mu.Lock()
	b.qemus[0].deaf = true
	b.qemus[0].mu.Unlock()
	if err := b.gdb.Send("p10"); err != nil {
		t.Fatal(err)
	}
	if got := b.next(); got != "<closed>" {
		t.Error(got)
	}
	if err := b.over(); err == nil || err.Error() != "QEMU's stub does not answer" {
		t.Error(err)
	}
}

// TestPassedOn: what lets no machine go is QEMU's to answer, with what it prints.
func TestPassedOn(t *testing.T) {
	b := startBench(t, straight(10), nil)
	b.ask("?", stepped)
	b.ask("vAttach;1", stepped)
	b.ask("p10", "9")
	b.ask("qRcmd,00", "O61")
	if got := b.next(); got != "OK" {
		t.Error(got)
	}
	if err := b.gdb.Send(rsp.Interrupt + "x"); err != nil { // no packet that QEMU knows
		t.Fatal(err)
	}
	if got := b.next(); got != "OK" {
		t.Error(got)
	}
}
