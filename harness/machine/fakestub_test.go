package machine

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// fakeStub is a program in the place of QEMU whose GDB stub plays the test guest, with a fault:
//
//	""           none
//	refuses N    the Nth breakpoint is refused, as QEMU does when the accelerator fails (E22)
//	deaf N       the Nth breakpoint is taken and never hit
//	astray       a breakpoint stops one byte late
//	stuck        a step does not move
//	keeps        a breakpoint that was taken out is hit
//	gives up     QEMU stops the guest with an internal error
//	aborts       QEMU ends once it has made its socket, with a complaint
//	early        it ends at the last mark, not at its end
func fakeStub(t *testing.T, fault string) string {
	return script(t, fmt.Sprintf("KCATCH_TEST_STUB='x%s' exec '%s' \"$@\"\n", fault, os.Args[0]))
}

// playStub is that program.
func playStub(fault string, args []string) (status int) {
	for _, a := range args {
		if _, path, ok := strings.Cut(a, "socket,id=gdb0,path="); ok {
			path, _, _ = strings.Cut(path, ",server=")
			l, err := net.Listen("unix", path)
			if err != nil {
				panic(err)
			}
			conn, err := l.Accept()
			if err != nil {
				panic(err)
			}
			if fault == "aborts" {
				conn.Close()
				time.Sleep(50 * time.Millisecond)
				fmt.Fprintln(os.Stderr, "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69")
				return 134
			}
			g := &fakeGuest{fault: fault, conn: conn, points: map[string]bool{}}
			return g.serve()
		}
	}
	panic("no socket for the stub")
}

type fakeGuest struct {
	fault  string
	conn   net.Conn
	points map[string]bool
	asked  int // for breakpoints
	passed int // marks, of eight
	rip    uint64
}

// serve answers until the guest has run to its end, and returns QEMU's exit status.
func (g *fakeGuest) serve() int {
	in := bufio.NewReader(g.conn)
	for {
		packet, err := in.ReadString('#')
		if errors.Is(err, io.EOF) {
			return 0
		}
		_, _ = in.Discard(2)
		packet = packet[strings.IndexByte(packet, '$')+1 : len(packet)-1]
		reply, ended := g.answer(packet)
		if ended >= 0 {
			return ended
		}
		sum := byte(0)
		for i := range len(reply) {
			sum += reply[i]
		}
		fmt.Fprintf(g.conn, "+$%s#%02x", reply, sum)
	}
}

// answer is the reply to a packet, or the exit status when QEMU ends; that is -1 else.
func (g *fakeGuest) answer(packet string) (reply string, ended int) {
	switch {
	case strings.HasPrefix(packet, "qSupported"):
		return "PacketSize=1000;vContSupported+;multiprocess+", -1
	case packet == "?":
		return "T05thread:p01.01;", -1
	case packet == "vCont?":
		return "vCont;c;C;s;S", -1
	case strings.HasPrefix(packet, "Hg"):
		return "OK", -1
	case packet == "g":
		regs := make([]byte, 608)
		binary.LittleEndian.PutUint64(regs[128:], g.rip)
		binary.LittleEndian.PutUint64(regs[228:], 1<<10) // EFER.LMA
		return hex.EncodeToString(regs), -1
	case packet[0] == 'Z' || packet[0] == 'z':
		return g.point(packet), -1
	case packet == "vCont;c":
		return g.run()
	case strings.HasPrefix(packet, "vCont;s"):
		if g.fault != "stuck" {
			g.rip = testGuestWork
		}
		return "T05thread:p01.01;", -1
	}
	return "", -1
}

func (g *fakeGuest) point(packet string) string {
	at := packet[1:]
	if packet[0] == 'z' {
		g.points[at] = g.fault == "keeps"
		return "OK"
	}
	g.asked++
	if g.fault == fmt.Sprintf("refuses %d", g.asked) {
		return "E22"
	}
	g.points[at] = g.fault != fmt.Sprintf("deaf %d", g.asked)
	return "OK"
}

// run goes to the next mark with a breakpoint, or to the end.
func (g *fakeGuest) run() (reply string, ended int) {
	if g.fault == "gives up" {
		fmt.Fprintln(os.Stderr, "KVM internal error. Suberror: 1")
		return "T06thread:p01.01;", -1
	}
	for ; g.passed < 8; g.passed++ {
		at := testGuestMarks[g.passed%4]
		if g.points[fmt.Sprintf("1,%x,1", at)] {
			g.passed++
			g.rip = at
			if g.fault == "astray" {
				g.rip++
			}
			return "T05thread:p01.01;", -1
		}
		if g.passed == 4 && g.fault == "early" {
			return "", 0
		}
	}
	return "", testGuestExit
}
