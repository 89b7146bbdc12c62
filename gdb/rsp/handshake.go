package rsp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Features is what the stub said it can do. It is filled by [Client.Handshake].
type Features struct {
	PacketSize      int    // bytes of a packet the stub takes; 4096 in QEMU
	Multiprocess    bool   // threads are pPID.TID
	TargetXML       bool   // registers are described; also unlocks packets p and P in QEMU 7.2 (gdb_has_xml)
	Architecture    string // of target.xml: i386:x86-64. Empty without one
	PhysicalMemory  bool   // packet Qqemu.PhyMemMode
	ReverseStep     bool   // packet bs; QEMU announces it under rr=replay only
	ReverseContinue bool   // packet bc
}

const (
	// Without PacketSize a stub takes at least this much (GDB manual, "qSupported", gdb's own default).
	defaultPacketSize = 400
	maxPacketSize     = 1 << 20
)

// Features returns what [Client.Handshake] learnt; the zero value before it.
func (c *Client) Features() Features {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.features
}

// Handshake learns what the stub is and can do. It must be the first call, with the guest stopped: QEMU pauses a running
// one when a client connects. It forgets all break points, ours and those an earlier connection left on the stub's
// current vCPU, because packet ? deletes them (handle_target_halt): so it is sent here, once, before any is inserted.
func (c *Client) Handshake(ctx context.Context) error {
	if err := c.acquire(ctx, "handshake"); err != nil {
		return err
	}
	defer c.release()
	if err := c.handshake(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return nil
}

func (c *Client) handshake(ctx context.Context) error {
	reply, err := c.exchange(ctx, "qSupported:multiprocess+;vContSupported+")
	if err != nil {
		return err
	}
	f, err := parseSupported(string(reply))
	if err != nil {
		return err
	}
	// From QEMU 8.1 on, ? also arms the stop replies (allow_stop_reply).
	if _, err := c.do(ctx, &request{packet: "?", wantsStop: true}); err != nil {
		return err
	}
	reply, err = c.exchange(ctx, "vCont?")
	if err != nil {
		return err
	}
	actions := strings.Split(string(reply), ";")
	if actions[0] != "vCont" || !slices.Contains(actions, "c") || !slices.Contains(actions, "s") {
		return fmt.Errorf("stub: packet \"vCont?\": reply %s has no c or s: %w", short(string(reply)), ErrUnsupported)
	}
	reply, err = c.exchange(ctx, "qqemu.Supported")
	switch {
	case err == nil:
		f.PhysicalMemory = slices.Contains(strings.Split(string(reply), ";"), "PhyMemMode")
	case !refused(err): // not QEMU, or an old one
		return err
	}
	regs := coreLayout()
	if f.TargetXML {
		arch, l, err := c.describe(ctx)
		switch {
		case err == nil:
			f.Architecture, regs = arch, l
		case refused(err):
			f.TargetXML = false
		default:
			return err
		}
	}
	c.mu.Lock()
	c.features = f
	c.mu.Unlock()
	c.layout = regs
	c.selected = Thread{}
	c.table = breakTable{}
	return nil
}

// refused reports whether the stub answered and has no such thing, as opposed to having failed to talk.
func refused(err error) bool {
	var stub *StubError
	return errors.Is(err, ErrUnsupported) || errors.As(err, &stub)
}

// parseSupported reads the reply to qSupported:
//
//	PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+
func parseSupported(reply string) (Features, error) {
	f := Features{PacketSize: defaultPacketSize}
	for item := range strings.SplitSeq(reply, ";") {
		if value, ok := strings.CutPrefix(item, "PacketSize="); ok {
			n, err := strconv.ParseUint(value, 16, 32)
			if err != nil || n < 64 {
				return Features{}, fmt.Errorf("stub: PacketSize %q: %w", value, ErrProtocol)
			}
			f.PacketSize = int(min(n, maxPacketSize))
			continue
		}
		switch item {
		case "multiprocess+":
			f.Multiprocess = true
		case "qXfer:features:read+":
			f.TargetXML = true
		case "ReverseStep+":
			f.ReverseStep = true
		case "ReverseContinue+":
			f.ReverseContinue = true
		}
	}
	return f, nil
}
