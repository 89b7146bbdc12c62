package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kcatch/harness/machine"
	"kcatch/images"
)

const (
	qemu = "qemu-system-x86_64"
	// runTimeout bounds one run of anything.
	runTimeout = time.Minute
	// kernelText is where the kernel mapping begins; what halts below is firmware or the decompressor.
	kernelText = 0xffffffff80000000
)

// makeInitrd writes the initramfs for bare QEMU, as kcatch's own boots have one.
func (b *bench) makeInitrd() error {
	busybox, err := images.FindBusybox()
	if err != nil {
		return err
	}
	data, err := images.Build(images.Spec{Busybox: busybox, Marker: images.NewMarker()})
	if err != nil {
		return err
	}
	b.initrd = filepath.Join(b.dir, "initrd.cpio")
	return os.WriteFile(b.initrd, data, 0o644)
}

// spec is the machine that "kcatch boot" makes by default.
func (b *bench) spec(kernel, more string, extra ...string) machine.Spec {
	commandLine := "console=ttyS0"
	if more != "" {
		commandLine += " " + more
	}
	return machine.Spec{QEMU: qemu, Kernel: kernel, Initrd: b.initrd, Append: commandLine, Extra: extra}
}

// bare boots a kernel with nothing around it, and returns the time from QEMU's start to the kernel's halt.
func (b *bench) bare(ctx context.Context, kernel string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	socket := filepath.Join(b.dir, "q")
	_ = os.Remove(socket)
	argv := b.spec(kernel, "", "-qmp", "unix:"+socket+",server=on,wait=off").Argv()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill() // its end is no part of the measurement
		_ = cmd.Wait()
	}()
	q, err := dialQMP(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer q.conn.Close()
	for {
		cpus, err := q.cpus()
		if err != nil {
			return 0, err
		}
		if c := cpus[0]; c.Halted && !c.InterruptsOn() && c.RIP >= kernelText {
			return time.Since(begin), nil
		}
		time.Sleep(time.Millisecond)
	}
}

// qmp is the least client that can ask for registers. QEMU's protocol: docs/interop/qmp-spec.
type qmp struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialQMP connects as soon as there is a socket.
func dialQMP(ctx context.Context, socket string) (*qmp, error) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", socket)
		if err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("qemu has no QMP socket: %w", err)
			}
			time.Sleep(time.Millisecond)
			continue
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = conn.SetDeadline(deadline)
		}
		q := &qmp{conn: conn, in: bufio.NewReader(conn)}
		_, err = q.execute(`{"execute":"qmp_capabilities"}`)
		return q, err
	}
}

// execute sends a command and returns what it returns; the greeting and events before it are skipped.
func (q *qmp) execute(command string) (json.RawMessage, error) {
	if _, err := fmt.Fprintln(q.conn, command); err != nil {
		return nil, err
	}
	for {
		line, err := q.in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var reply struct {
			Return json.RawMessage `json:"return"`
			Error  json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(line, &reply); err != nil {
			return nil, err
		}
		if reply.Error != nil {
			return nil, fmt.Errorf("qmp: %s: %s", command, reply.Error)
		}
		if reply.Return != nil {
			return reply.Return, nil
		}
	}
}

func (q *qmp) cpus() ([]machine.CPUState, error) {
	out, err := q.execute(`{"execute":"human-monitor-command","arguments":{"command-line":"info registers -a"}}`)
	if err != nil {
		return nil, err
	}
	var text string
	if err := json.Unmarshal(out, &text); err != nil {
		return nil, err
	}
	cpus, err := machine.ParseCPUs(text)
	if err == nil && len(cpus) == 0 {
		err = errors.New("qmp: no vCPU")
	}
	return cpus, err
}
