package machine

import (
	"reflect"
	"strings"
	"testing"
)

// exceptionsLog is of QEMU 7.2.22, TCG: the end of a log of a kernel that executed int3 with an empty IDT, without the
// register dumps.
const exceptionsLog = `CPU Reset (CPU 0)
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1
Servicing hardware INT=0x08
check_exception old: 0xffffffff new 0xe
     0: v=0e e=0002 i=0 cpl=0 IP=0010:00000000028f2a4c pc=00000000028f2a4c SP=0018:00000000029c4f58 CR2=0000000001000000
RAX=0000000001000000 RBX=00000000028f1000 RCX=000000000000a000 RDX=0000000000000000
     1: v=03 e=0000 i=1 cpl=0 IP=0010:ffffffff810a1b2c pc=ffffffff810a1b2c SP=0018:ffffffff82003e88 env->regs[R_EAX]=0000000000000000
check_exception old: 0xffffffff new 0xd
     2: v=0d e=001a i=0 cpl=0 IP=0010:ffffffff810a1b2c pc=ffffffff810a1b2c SP=0018:ffffffff82003e88 env->regs[R_EAX]=0000000000000000
check_exception old: 0xd new 0xd
     3: v=08 e=0000 i=0 cpl=0 IP=0010:ffffffff810a1b2c pc=ffffffff810a1b2c SP=0018:ffffffff82003e88 env->regs[R_EAX]=0000000000000000
check_exception old: 0x8 new 0xd
Triple fault
`

func TestReadExceptions(t *testing.T) {
	log, err := ReadExceptions(strings.NewReader(exceptionsLog), 3)
	if err != nil {
		t.Fatal(err)
	}
	at := Exception{PC: 0xffffffff810a1b2c, SP: 0xffffffff82003e88}
	bp, gp, df := at, at, at
	bp.Vector, bp.Software = 3, true
	gp.Vector, gp.ErrorCode = 13, 0x1a
	df.Vector = 8
	if want := []Exception{bp, gp, df}; log.Count != 4 || !log.TripleFault || !reflect.DeepEqual(log.Last, want) {
		t.Errorf("log %+v, want the last %+v of 4 and a triple fault", log, want)
	}
	all, err := ReadExceptions(strings.NewReader(exceptionsLog), 16)
	if err != nil || len(all.Last) != 4 || all.Last[0].CR2 != 0x1000000 || all.Last[0].ErrorCode != 2 {
		t.Errorf("log %+v, %v", all, err)
	}
	for text, want := range map[string]bool{exceptionsLog: true, "": true, exceptionsLog[:len(exceptionsLog)-1]: false, exceptionsLog[:100]: false} {
		if log, err := ReadExceptions(strings.NewReader(text), 3); err != nil || log.Whole != want {
			t.Errorf("%d bytes: whole %t, %v", len(text), log.Whole, err)
		}
	}
	if log, err := ReadExceptions(strings.NewReader(strings.Repeat("x", 1<<20)), 3); err == nil {
		t.Errorf("a line of 1 MiB gives %+v and no error", log)
	}
}

func FuzzExceptions(f *testing.F) {
	f.Add(exceptionsLog, 3)
	f.Add("  9: v=0e e=zz", 0)
	f.Fuzz(func(t *testing.T, text string, last int) {
		last %= 64
		log, err := ReadExceptions(strings.NewReader(text), last)
		if err == nil && (len(log.Last) > max(last, 0) || log.Count < len(log.Last)) {
			t.Errorf("%d of %d kept, at most %d were asked for", len(log.Last), log.Count, last)
		}
	})
}
