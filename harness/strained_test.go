package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A boot has everything to itself: its directory, its QEMU, its sockets. So the tests that boot run in parallel: many of them wait more
// than they compute. Those of 32 GiB of guest memory do not, and neither do those that change the environment.

// TestMain lets this binary stand before QEMU, see [strained].
func TestMain(m *testing.M) {
	if how := os.Getenv("KCATCH_STRAIN"); how != "" {
		os.Exit(strain(how, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// strained is a program that runs the real QEMU with something between it and us. how is "LINE FAULT DELAY": LINE is q for
// QMP, g for the GDB stub, s for the serial line; FAULT what befalls that DELAY (a Go duration) after the connection:
//
//	close    both ends are closed
//	silent   what QEMU says is thrown away
//	noise    random bytes come in place of what QEMU says
//	ACK...   the stub only: after an acknowledgement this packet comes, framed, in place of each of QEMU's
//	flood    the serial line only: 100 MB of text come
func strained(t *testing.T, how string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu-strained")
	text := fmt.Sprintf("#!/bin/sh\nKCATCH_STRAIN='%s' exec '%s' \"$@\"\n", how, os.Args[0])
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// floodSize is how much a flood brings.
const floodSize = 100 << 20

// strain is the program. It exits as QEMU does; QEMU goes with it.
func strain(how string, args []string) int {
	f := strings.Fields(how)
	if f[0] == "kvm" {
		beKVM(args, f[1])
	} else {
		trouble(args, f)
	}
	runtime.LockOSThread() // the child dies with its thread
	cmd := exec.Command("qemu-system-x86_64", args...)
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "ram")}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return 1
	}
	return 0
}

// trouble sets going what befalls a line.
func trouble(args, f []string) {
	delay, err := time.ParseDuration(f[2])
	if err != nil {
		panic(err)
	}
	if f[0] == "s" {
		go flood(args, delay)
	} else if err := interpose(args, "/"+f[0], func(up, down net.Conn) {
		go io.Copy(up, down)
		between(up, down, f[1], delay)
	}); err != nil {
		panic(err)
	}
}

// flood writes to the serial line's pipe beside QEMU.
func flood(args []string, delay time.Duration) {
	for _, a := range args {
		if path, ok := strings.CutPrefix(a, "pipe,id=serial0,path="); ok {
			f, err := os.OpenFile(path+".out", os.O_WRONLY, 0)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			time.Sleep(delay)
			line := bytes.Repeat([]byte("a flood of text on the serial line\r\n"), 1820) // 64 KB
			for n := 0; n < floodSize; n += len(line) {
				if _, err := f.Write(line); err != nil {
					return // the reader has gone
				}
			}
		}
	}
}

// interpose lets QEMU make its socket under another name, and listens under the one that it was told. pass gets both ends.
func interpose(args []string, name string, pass func(up, down net.Conn)) error {
	for i, a := range args {
		head, path, ok := strings.Cut(a, ",path=")
		path, tail, more := strings.Cut(path, ",")
		if !ok || !more || !strings.HasPrefix(head, "socket,") || !strings.HasSuffix(path, name) {
			continue
		}
		args[i] = head + ",path=" + path + "0," + tail
		l, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		go func() {
			down, err := l.Accept()
			if err != nil {
				panic(err)
			}
			var up net.Conn
			for up == nil {
				if up, err = net.Dial("unix", path+"0"); err != nil {
					up = nil
					time.Sleep(time.Millisecond)
				}
			}
			pass(up, down)
		}()
	}
	return nil
}

// between passes what QEMU says, until the delay is over.
func between(up, down net.Conn, fault string, delay time.Duration) {
	_ = up.SetReadDeadline(time.Now().Add(delay))
	if _, err := io.Copy(down, up); !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	_ = up.SetReadDeadline(time.Time{})
	if fault == "close" {
		down.Close()
		up.Close()
		return
	}
	random := rand.New(rand.NewPCG(uint64(delay), 1))
	buf := make([]byte, 64<<10)
	for {
		n, err := up.Read(buf)
		if err != nil {
			down.Close()
			return
		}
		switch {
		case fault == "silent":
		case fault == "noise":
			for i := range n {
				buf[i] = byte(random.Uint32())
			}
			_, _ = down.Write(buf[:n])
		default:
			packet := strings.TrimPrefix(fault, "ACK")
			sum := byte(0)
			for i := range len(packet) {
				sum += packet[i]
			}
			fmt.Fprintf(down, "+$%s#%02x", packet, sum)
		}
	}
}

// emulator waits for the QEMU of a boot with this artifact directory and returns its process id. One that stands before it
// is not it.
func emulator(t *testing.T, out string) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if pids := emulators(out); len(pids) > 0 {
			return pids[0]
		}
	}
	t.Fatal("no QEMU was started")
	return 0
}

// emulators are the process ids of QEMUs that name something in the directory out on their command line.
func emulators(out string) (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		exe, err := os.Readlink(dir + "/exe")
		if err != nil || !strings.HasPrefix(filepath.Base(exe), "qemu-system-") {
			continue
		}
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil || !bytes.Contains(line, []byte(out+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
