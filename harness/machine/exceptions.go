package machine

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// Exception is an exception or interrupt that a vCPU took, or tried to, from QEMU's log (-d int).
type Exception struct {
	Vector    int
	ErrorCode uint64
	Software  bool // by INT n
	CPL       int
	PC        uint64 // linear
	SP        uint64
	CR2       uint64 // of vector 14
}

// ExceptionLog is what QEMU's log of exceptions says.
type ExceptionLog struct {
	// Last are the newest exceptions, oldest first; at most as many as were asked for.
	Last []Exception
	// Count is how many there were in all.
	Count int
	// TripleFault says that the log ends in one: the newest exceptions could not be delivered, and are what the guest did
	// and what came of it.
	TripleFault bool
	// Whole says that a triple fault would be in it, whenever it came: the log does not end within a line, as one does that QEMU could
	// not write, and who keeps it did not end it.
	Whole bool
}

// ReadExceptions reads a log of -d int (QEMU target/i386/tcg/seg_helper.c, do_interrupt_all; excp_helper.c,
// check_exception). Real lines:
//
//	     1: v=06 e=0000 i=0 cpl=0 IP=0010:ffffffff8305b298 pc=ffffffff8305b298 SP=0000:ffffffff82a03f10 env->regs[R_EAX]=0000000000000000
//	     2: v=0e e=0002 i=0 cpl=0 IP=0010:ffffffff810001d2 pc=ffffffff810001d2 SP=0018:ffffffff82003f50 CR2=0000000000000030
//	check_exception old: 0xffffffff new 0xd
//	Triple fault
//
// Lines it does not know are passed over: register dumps, and interrupts from devices ("Servicing hardware INT=0x08").
func ReadExceptions(r io.Reader, last int) (ExceptionLog, error) {
	var log ExceptionLog
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4<<10), 64<<10)
	log.Whole = true
	in.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		n, line, err := bufio.ScanLines(data, atEOF)
		if n > 0 && data[n-1] != '\n' {
			log.Whole = false
		}
		return n, line, err
	})
	for in.Scan() {
		line := in.Text()
		switch {
		case line == "Triple fault":
			log.TripleFault = true
		default:
			e, ok := parseException(line)
			if !ok {
				continue
			}
			log.Count++
			log.TripleFault = false
			if len(log.Last) == last && last > 0 {
				copy(log.Last, log.Last[1:])
				log.Last = log.Last[:last-1]
			}
			if last > 0 {
				log.Last = append(log.Last, e)
			}
		}
	}
	return log, in.Err()
}

// parseException takes a "N: v=…" line apart.
func parseException(line string) (Exception, bool) {
	number, rest, ok := strings.Cut(strings.TrimLeft(line, " "), ": v=")
	if !ok || len(number) > 10 {
		return Exception{}, false
	}
	if _, err := strconv.ParseUint(number, 10, 64); err != nil {
		return Exception{}, false
	}
	var e Exception
	seen := 0
	for i, f := range strings.Fields(rest) {
		name, value, ok := strings.Cut(f, "=")
		if i == 0 {
			name, value, ok = "v", f, true
		}
		if !ok {
			continue
		}
		if _, offset, ok := strings.Cut(value, ":"); ok {
			value = offset
		}
		v, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			return Exception{}, false
		}
		switch name {
		case "v":
			e.Vector = int(v & 0xff)
			seen |= 1
		case "e":
			e.ErrorCode = v
		case "i":
			e.Software = v != 0
		case "cpl":
			e.CPL = int(v & 3)
		case "pc":
			e.PC = v
			seen |= 2
		case "SP":
			e.SP = v
		case "CR2":
			e.CR2 = v
		}
	}
	return e, seen == 3
}
