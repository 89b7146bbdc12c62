package rsp

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Monitor runs a command of QEMU's human monitor (packet qRcmd) and returns its output. An unknown command is no error;
// its output says so. A command that resumes the guest is refused: the client would not know that it runs.
func (c *Client) Monitor(ctx context.Context, cmd string) (string, error) {
	verb, _, _ := strings.Cut(strings.TrimSpace(cmd), " ")
	switch verb {
	case "":
		return "", fmt.Errorf("monitor: empty command")
	case "c", "cont":
		return "", fmt.Errorf("monitor: %s: resume with Continue", verb)
	}
	if err := c.acquire(ctx, "monitor"); err != nil {
		return "", err
	}
	defer c.release()
	r := &request{packet: "qRcmd," + hex.EncodeToString([]byte(cmd)), console: &bytes.Buffer{}}
	if len(r.packet) > c.Features().PacketSize-4 && c.Features().PacketSize > 0 {
		return "", fmt.Errorf("monitor: command of %d bytes is too long", len(cmd))
	}
	reply, err := c.do(ctx, r)
	if err != nil {
		return "", fmt.Errorf("monitor: %s: %w", short(cmd), err)
	}
	if string(reply) != "OK" {
		// The output of a short answer may stand in the reply itself. GDB manual, "qRcmd".
		text, err := decodeHex(reply)
		if err != nil {
			return "", fmt.Errorf("monitor: %s: %w", short(cmd), err)
		}
		r.console.Write(text)
	}
	if verb == "system_reset" {
		c.mu.Lock()
		c.last = nil // a machine that was shut down can be resumed again
		c.mu.Unlock()
	}
	return r.console.String(), nil
}

// Kill ends QEMU (packet k), interrupting the guest first when it runs, and waits for the connection to end.
func (c *Client) Kill(ctx context.Context) error {
	if c.Running() {
		if _, err := c.Interrupt(ctx); err != nil {
			return fmt.Errorf("kill: %w", err)
		}
	}
	if err := c.acquire(ctx, "kill"); err != nil {
		return err
	}
	defer c.release()
	if err := c.idle("kill"); err != nil {
		return err
	}
	if err := c.write(appendFrame(nil, "k")); err != nil {
		return infra(err, "kill")
	}
	timer := time.NewTimer(c.opt.Timeout)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kill: %w", ctx.Err())
	case <-timer.C:
		return infra(ErrTimeout, "kill: qemu still there after %v", c.opt.Timeout)
	}
}

// Detach gives the guest back: QEMU removes all break points and lets it run (packet D). Memory is virtual again. The
// connection is closed.
func (c *Client) Detach(ctx context.Context) error {
	if err := c.acquire(ctx, "detach"); err != nil {
		return err
	}
	err := c.detach(ctx)
	c.release()
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return c.Close()
}

func (c *Client) detach(ctx context.Context) error {
	if c.physical {
		if err := c.setPhysical(ctx, false); err != nil {
			return err
		}
	}
	packet := "D"
	if c.Features().Multiprocess {
		packet = "D;1" // QEMU wants the process then: D alone is E22 (handle_detach; observed on 7.2)
	}
	reply, err := c.exchange(ctx, packet)
	if err := expectOK(packet, reply, err); err != nil {
		return err
	}
	c.table = breakTable{}
	return nil
}
