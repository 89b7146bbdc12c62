package vmlinux

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/frame"

	"kcatch/internal/fixtures"
)

var dwarfRegs = map[string]uint64{
	"rax": 0, "rdx": 1, "rcx": 2, "rbx": 3, "rsi": 4, "rdi": 5, "rbp": 6, "rsp": 7, "r8": 8, "r9": 9, "r10": 10, "r11": 11,
	"r12": 12, "r13": 13, "r14": 14, "r15": 15, "ra": 16,
}

// TestFrameRowOracle compares rows with readelf --debug-dump=frames-interp:
//
//	LOC              CFA      rbx   rbp   ra
//	ffffffff81000260 rsp+8    u     u     c-8
//
// readelf has a row per change, and "u" for no rule as well as for undefined. Every 10th row is compared.
func TestFrameRowOracle(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	out, err := exec.Command(tool(t, "readelf"), "--debug-dump=frames-interp", f.Path()).Output()
	if err != nil {
		t.Fatal(err)
	}
	fde := regexp.MustCompile(`FDE cie=[0-9a-f]+ pc=([0-9a-f]+)\.\.([0-9a-f]+)`)
	var columns []string
	var low, high Addr
	rows, compared := 0, 0
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		p := strings.Fields(sc.Text())
		if m := fde.FindStringSubmatch(sc.Text()); m != nil {
			low, high = hexAddr(m[1]), hexAddr(m[2])
			continue
		}
		if len(p) > 1 && p[0] == "LOC" {
			columns = p
			continue
		}
		if len(p) != len(columns) || len(p) < 2 || len(p[0]) != 16 || low == high {
			continue
		}
		if rows++; rows%10 != 0 || hexAddr(p[0]) < low { // the CIE's own row is at 0
			continue
		}
		row, err := f.FrameRow(hexAddr(p[0]))
		if err != nil {
			t.Errorf("%s: %v", p[0], err)
			continue
		}
		for i, column := range columns[1:] {
			got := "u"
			if column == "CFA" {
				got = cfaText(row)
			} else if rule, ok := row.Regs[dwarfRegs[column]]; ok {
				got = ruleText(rule)
			}
			if want := p[i+1]; got != want {
				t.Errorf("%s: %s: got %s, want %s", p[0], column, got, want)
			}
		}
		compared++
	}
	t.Logf("%d of %d rows compared", compared, rows)
	if compared < 1000 {
		t.Errorf("only %d rows compared", compared)
	}
}

func hexAddr(s string) Addr {
	v, _ := strconv.ParseUint(s, 16, 64)
	return Addr(v)
}

func cfaText(r CFIRow) string {
	if r.CFAExpression != nil {
		return "exp"
	}
	for name, n := range dwarfRegs {
		if n == r.CFAReg {
			return fmt.Sprintf("%s%+d", name, r.CFAOffset)
		}
	}
	return "?"
}

func ruleText(r CFIRule) string {
	switch r.Kind {
	case CFISame:
		return "s"
	case CFIOffset:
		return fmt.Sprintf("c%+d", r.Offset)
	case CFIValOffset:
		return fmt.Sprintf("v%+d", r.Offset)
	case CFIExpression:
		return "exp"
	case CFIValExpression:
		return "vexp"
	}
	return "u"
}

// TestFrameRowAgreesWithORC: two tables made by two programs, gcc's .debug_frame and objtool's ORC, give the same frame
// address and the same place of rbp in C code all over the kernel.
func TestFrameRowAgreesWithORC(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		f := openFixture(t, name)
		o, err := f.ORC()
		if err != nil {
			t.Fatal(err)
		}
		compared, differ := 0, 0
		for _, a := range sampleCode(f, 3000) {
			row, err := f.FrameRow(a)
			if errors.Is(err, ErrNoCFI) {
				continue
			}
			if err != nil {
				t.Error(err)
				continue
			}
			e, ok := o.Entry(a)
			if !ok || e.Type != ORCCall || e.SPReg != ORCSP || row.CFAExpression != nil || row.CFAReg != 7 {
				continue
			}
			compared++
			bp, saved := row.Regs[6]
			if int64(e.SPOffset) != row.CFAOffset || (e.BPReg == ORCPrevSP) != (saved && bp.Kind == CFIOffset) ||
				e.BPReg == ORCPrevSP && int64(e.BPOffset) != bp.Offset {
				differ++
				t.Logf("%s 0x%x: ORC %+v, CFI %+v", name, uint64(a), e, row)
			}
		}
		t.Logf("%s: %d compared, %d differ", name, compared, differ)
		// objtool knows a few more pushes than gcc tells (inline assembly), and less of rbp as a general register.
		if compared < 1000 || differ > compared/100 {
			t.Errorf("%s: %d of %d differ", name, differ, compared)
		}
	}
}

// TestFrameIndexAgreesWithDelve compares our index of the section with frame.Parse of all of it, sorted.
func TestFrameIndexAgreesWithDelve(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	data, err := f.section(".debug_frame")
	if err != nil {
		t.Fatal(err)
	}
	fdes, err := frame.Parse(data, binary.LittleEndian, 0, 8, 0)
	if err != nil {
		t.Fatal(err)
	}
	fdes = frame.FrameDescriptionEntries(nil).Append(fdes)
	for _, a := range sampleCode(f, 2000) {
		want, wantErr := fdes.FDEForPC(uint64(a))
		row, err := f.FrameRow(a)
		if (err != nil) != (wantErr != nil) || err == nil && (row.Low != Addr(want.Begin()) || row.High != Addr(want.End())) {
			t.Errorf("0x%x: got [0x%x, 0x%x) %v, delve has %v", uint64(a), uint64(row.Low), uint64(row.High), err, wantErr)
		}
	}
}

// section writes a .debug_frame of one CIE and one FDE for [0x1000, 0x1100) with these programs.
func frameSection(initial, program []byte) []byte {
	return recompose(cieRecord{codeAlign: 1, dataAlign: -8, returnReg: 16, program: initial},
		fdeRecord{low: 0x1000, high: 0x1100, program: program})
}

var gccInitial = []byte{0x0c, 7, 8, 0x80 | 16, 1} // def_cfa rsp+8, rip at cfa-8

func rowOf(section []byte, a uint64) (CFIRow, error) {
	fdes, err := scanFDEs(section)
	if err != nil {
		return CFIRow{}, err
	}
	x := frameIndex{data: section, fdes: fdes}
	at, ok := x.find(a)
	if !ok {
		return CFIRow{}, ErrNoCFI
	}
	return frameRow(section, at, a)
}

func TestFrameRow(t *testing.T) {
	const adv1 = 0x41 // advance_loc 1
	for _, tt := range []struct {
		name    string
		program []byte
		cfa     string
		rbx     string // "-" is no rule
		err     string
	}{
		{"nothing", nil, "rsp+8", "-", ""},
		{"push", []byte{0x0e, 16, 0x80 | 3, 2}, "rsp+16", "c-16", ""},
		{"not yet", []byte{0x48, 0x0e, 16}, "rsp+8", "-", ""}, // advance_loc 8
		{"restore gives no rule back", []byte{0x80 | 3, 2, adv1, 0xc0 | 3}, "rsp+8", "-", ""},
		{"undefined", []byte{0x07, 3}, "rsp+8", "u", ""},
		{"same value", []byte{0x08, 3}, "rsp+8", "s", ""},
		{"frame pointer", []byte{0x0e, 16, 0x0d, 6}, "rbp+16", "-", ""},
		{"remember", []byte{0x0a, 0x0e, 32, adv1, 0x0b}, "rsp+8", "-", ""},
		{"cfa expression", []byte{0x0f, 2, 0x77, 8}, "exp", "-", ""},
		{"rbx expression", []byte{0x10, 3, 2, 0x76, 8}, "rsp+8", "exp", ""},
		{"offset_extended_sf", []byte{0x11, 3, 0x7e}, "rsp+8", "c+16", ""},
		{"val_offset_sf", []byte{0x15, 3, 2}, "rsp+8", "v-16", ""},
		{"args size", []byte{0x2e, 16}, "rsp+8", "-", ""},
		{"val_offset", []byte{0x14, 3, 2}, "", "", "unsupported call frame instruction 0x14"},
		{"unknown", []byte{0x3f}, "", "", "unsupported call frame instruction 0x3f"},
		{"restore_state alone", []byte{0x0b}, "", "", "restore_state without remember_state"},
		{"cut number", []byte{0x0e, 0x80}, "", "", "number is cut off"},
		{"cut block", []byte{0x0f, 9, 1}, "", "", "9 bytes wanted, 1 left"},
	} {
		row, err := rowOf(frameSection(gccInitial, tt.program), 0x1004)
		if tt.err != "" || err != nil {
			var fe *FormatError
			if err == nil || tt.err == "" || !strings.Contains(err.Error(), tt.err) || !errors.As(err, &fe) || fe.Section != ".debug_frame" {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
			}
			continue
		}
		rbx := "-"
		if r, ok := row.Regs[3]; ok {
			rbx = ruleText(r)
		}
		if cfaText(row) != tt.cfa || rbx != tt.rbx || ruleText(row.Regs[16]) != "c-8" || row.Low != 0x1000 || row.High != 0x1100 {
			t.Errorf("%s: %+v", tt.name, row)
		}
	}
	if _, err := rowOf(frameSection(gccInitial, nil), 0x1100); !errors.Is(err, ErrNoCFI) {
		t.Errorf("past the end: %v", err)
	}
	if _, err := rowOf(frameSection(nil, nil), 0x1000); err == nil {
		t.Error("a row without a frame address")
	}
}

// clang writes CIE version 4, and any producer may use 64-bit records.
func TestFrameFormats(t *testing.T) {
	body := append([]byte{4, 0, 8, 0, 1, 0x78, 16}, gccInitial...)
	cie := binary.LittleEndian.AppendUint32(nil, uint32(4+len(body)))
	cie = append(append(cie, 0xff, 0xff, 0xff, 0xff), body...)
	span := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 0x1000), 0x100)
	v4 := append(bytes.Clone(cie), 20, 0, 0, 0, 0, 0, 0, 0)
	v4 = append(v4, span...)

	wide := binary.LittleEndian.AppendUint64([]byte{0xff, 0xff, 0xff, 0xff}, uint64(8+len(body)))
	wide = append(append(wide, bytes.Repeat([]byte{0xff}, 8)...), body...)
	wide = binary.LittleEndian.AppendUint64(append(wide, 0xff, 0xff, 0xff, 0xff), 24)
	wide = append(append(wide, make([]byte, 8)...), span...)

	for name, section := range map[string][]byte{"version 4": v4, "64 bit": wide} {
		if row, err := rowOf(section, 0x1010); err != nil || cfaText(row) != "rsp+8" || ruleText(row.Regs[16]) != "c-8" {
			t.Errorf("%s: %+v, %v", name, row, err)
		}
	}
}

// FuzzFrame: any section gives a row or an error that names it; never a panic.
func FuzzFrame(f *testing.F) {
	f.Add(frameSection(gccInitial, []byte{0x0e, 16, 0x80 | 3, 2, 0x41, 0xc0 | 3}), uint64(0x1004))
	f.Add(frameSection(gccInitial, []byte{0x0a, 0x0b, 0x0b}), uint64(0x1004))
	f.Add(frameSection(gccInitial, []byte{0x0f, 0x80}), uint64(0x10ff))
	f.Fuzz(func(t *testing.T, section []byte, a uint64) {
		row, err := rowOf(section, a)
		if err == nil && (a < uint64(row.Low) || a >= uint64(row.High)) {
			t.Fatalf("0x%x: %+v", a, row)
		}
		if err != nil && row.Regs != nil {
			t.Fatalf("error and value: %v, %+v", err, row)
		}
	})
}
