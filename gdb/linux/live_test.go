package linux_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"kcatch/gdb/guest"
	"kcatch/gdb/guest/guesttest"
	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestLive reads the log of a kernel that died of the seed's assertion before it had a console, from RAM, and the bug
// table entry of the trap. The expected lines are those that the same kernel prints with earlyprintk=serial.
func TestLive(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := fixtures.Find(t, name)
			f, err := vmlinux.Open(k.Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			file := guest.File{File: f}
			probe, err := file.Probe()
			if err != nil {
				t.Fatal(err)
			}
			m := guesttest.Boot(t, guesttest.Options{Kernel: k.BzImage, Append: "console=ttyS0"})
			placement := m.Find(probe)
			at := file.Addresses("prb", "__start___bug_table", "__stop___bug_table")
			image := file.Image(m.RAM, probe, placement)
			ring := linux.Ring{Mem: image, PRB: placement.Run(at["prb"]), Layout: linux.DefaultRingLayout()}
			before, err := ring.Head()
			if err != nil {
				t.Fatal(err)
			}
			m.WaitDead()
			after, err := ring.Head()
			if err != nil {
				t.Fatal(err)
			}
			records, err := ring.Records(0)
			if err != nil || len(records) < 20 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			if before > after {
				t.Errorf("head went from 0x%x to 0x%x", before, after)
			}
			if first := records[0]; first.Seq != 0 || first.Text != strings.TrimSuffix(string(probe.Banner), "\n") || first.Level != 5 {
				t.Errorf("first record: %+v", first)
			}
			var all []string
			for i, r := range records {
				all = append(all, r.Text)
				if r.Seq != records[0].Seq+uint64(i) {
					t.Errorf("record %d has sequence number %d", i, r.Seq)
				}
			}
			text := strings.Join(all, "\n")
			for _, want := range []string{"page dumped because: VM_BUG_ON_PAGE(", "kernel BUG at include/linux/page-flags.h:", "RIP: 0010:"} {
				if !strings.Contains(text, want) {
					t.Errorf("log lacks %q:\n%s", want, text)
				}
			}
			if last, err := ring.Records(3); err != nil || len(last) != 3 || last[2].Seq != records[len(records)-1].Seq {
				t.Errorf("last three records: %+v, %v", last, err)
			}

			// The trap's address from the log's own "RIP" is symbolic; the table is searched for the line instead.
			data := make([]byte, at["__stop___bug_table"]-at["__start___bug_table"])
			if _, err := image.ReadMemory(data, placement.Run(at["__start___bug_table"])); err != nil {
				t.Fatal(err)
			}
			isText := func(run uint64) bool { return f.IsText(vmlinux.Addr(placement.Link(run))) }
			layout, ok := linux.GuessBugLayout(data, placement.Run(at["__start___bug_table"]), isText)
			if !ok || layout.Size != 12 {
				t.Fatalf("bug table layout: %+v %v", layout, ok)
			}
			table := linux.BugTable{Addr: placement.Run(at["__start___bug_table"]), Data: data, Layout: layout, Strings: image}
			ip := ripOfLog(t, text, f, placement)
			bug, ok := table.Find(ip)
			if !ok || bug.Warning || !strings.HasSuffix(bug.File, "include/linux/page-flags.h") || bug.Line == 0 {
				t.Errorf("bug at 0x%x: %+v %v", ip, bug, ok)
			}
			var code [linux.MaxInstruction]byte
			if _, err := image.ReadMemory(code[:], ip); err != nil {
				t.Fatal(err)
			}
			if trap := linux.DecodeTrap(code[:]); trap.Kind != linux.UD2 {
				t.Errorf("trap at 0x%x: %+v: %s", ip, trap, hex.EncodeToString(code[:]))
			}
		})
	}
}

// ripOfLog takes the trap's address from the line "RIP: 0010:init_unavailable_range+0x8d/0x123".
func ripOfLog(t *testing.T, text string, f *vmlinux.File, p guest.Placement) uint64 {
	t.Helper()
	_, rest, _ := strings.Cut(text, "RIP: 0010:")
	name, rest, ok := strings.Cut(rest, "+0x")
	off, _, ok2 := strings.Cut(rest, "/")
	s, found := f.Symbol(name)
	if !ok || !ok2 || !found {
		t.Fatalf("no RIP in the log: %q", name)
	}
	if len(off)%2 == 1 {
		off = "0" + off
	}
	b, err := hex.DecodeString(off)
	if err != nil {
		t.Fatal(err)
	}
	addr := uint64(0)
	for _, c := range b {
		addr = addr<<8 | uint64(c)
	}
	return p.Run(uint64(s.Addr)) + addr
}
