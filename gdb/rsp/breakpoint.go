package rsp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// Kind is what a break or watch point waits for.
type Kind uint8

// The kinds. TCG keeps Software and Hardware in one list, any number of them, at guest-linear addresses that need not be
// mapped, and leaves memory alone. KVM patches 0xcc into mapped memory for Software, which a kernel that is still being
// unpacked overwrites, and has four debug registers for all others. So: Hardware, unless there is a reason.
const (
	Invalid     Kind = iota
	Software         // Z0
	Hardware         // Z1
	WriteWatch       // Z2
	ReadWatch        // Z3; not under KVM
	AccessWatch      // Z4
)

func (k Kind) String() string {
	switch k {
	case Software:
		return "software break point"
	case Hardware:
		return "hardware break point"
	case WriteWatch:
		return "write watch point"
	case ReadWatch:
		return "read watch point"
	case AccessWatch:
		return "access watch point"
	}
	return "invalid break point"
}

// Breakpoint is one break or watch point, on all vCPUs. Watch points see the virtual address only: a write through another
// mapping of the same memory is missed.
type Breakpoint struct {
	Kind Kind
	Addr uint64 // guest-virtual (linear)
	Len  int    // bytes watched, at least 1; KVM takes 1, 2, 4, 8, aligned. Not used by break points
}

func (b Breakpoint) String() string { return fmt.Sprintf("%v 0x%x", b.Kind, b.Addr) }

// normal is b as the table and the wire know it, or why it cannot be.
func (b Breakpoint) normal() (Breakpoint, error) {
	switch b.Kind {
	case Software, Hardware:
		b.Len = 1
	case WriteWatch, ReadWatch, AccessWatch:
		if b.Len <= 0 {
			return b, fmt.Errorf("%v: length %d: must be at least 1", b, b.Len)
		}
	default:
		return b, fmt.Errorf("%v: no such kind", b)
	}
	return b, nil
}

// packet is b as a Z (insert) or z (remove) packet.
func (b Breakpoint) packet(letter byte) string {
	return fmt.Sprintf("%c%d,%x,%x", letter, b.Kind-1, b.Addr, b.Len)
}

// breakTable counts how often each break point was asked for. TCG's inserts are not idempotent: two Z packets at one address
// make two entries, and each wants its own z (gdb_breakpoint_insert). So a point is on the wire once, whatever the count.
type breakTable map[Breakpoint]int

// at returns the break points, not the watch points, at a linear address, in a fixed order.
func (t breakTable) at(addr uint64) []Breakpoint {
	var found []Breakpoint
	for _, kind := range []Kind{Software, Hardware} {
		b := Breakpoint{Kind: kind, Addr: addr, Len: 1}
		if t[b] > 0 {
			found = append(found, b)
		}
	}
	return found
}

// Insert adds b. Inserted twice, it must be removed twice. [ErrUnsupported] when the stub has no such kind; a [*StubError] with
// code 0x22 when KVM is out of debug registers, the length is not one of its lengths, or memory is not mapped (Software).
func (c *Client) Insert(ctx context.Context, b Breakpoint) error {
	return c.change(ctx, "insert", b, func(b Breakpoint) error {
		if c.table[b] == 0 {
			if err := c.put(ctx, b, 'Z'); err != nil {
				return err
			}
		}
		c.table[b]++
		return nil
	})
}

// Remove takes back one Insert of b.
func (c *Client) Remove(ctx context.Context, b Breakpoint) error {
	return c.change(ctx, "remove", b, func(b Breakpoint) error {
		switch c.table[b] {
		case 0:
			return fmt.Errorf("not inserted")
		case 1:
			if err := c.put(ctx, b, 'z'); err != nil {
				return err
			}
			delete(c.table, b)
		default:
			c.table[b]--
		}
		return nil
	})
}

// Clear removes all that was ever inserted. The machine must stand.
func (c *Client) Clear(ctx context.Context) error {
	if err := c.acquire(ctx, "clear"); err != nil {
		return err
	}
	defer c.release()
	if err := c.idle("clear"); err != nil {
		return err
	}
	points := slices.SortedFunc(maps.Keys(c.table), func(a, b Breakpoint) int {
		return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Len, b.Len))
	})
	for _, b := range points {
		if err := c.put(ctx, b, 'z'); err != nil {
			return fmt.Errorf("clear: %v: %w", b, err)
		}
		delete(c.table, b)
	}
	return nil
}

func (c *Client) change(ctx context.Context, op string, b Breakpoint, do func(Breakpoint) error) error {
	b, err := b.normal()
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := c.acquire(ctx, op); err != nil {
		return err
	}
	defer c.release()
	if err := c.idle(op); err != nil {
		return err
	}
	if err := do(b); err != nil {
		return fmt.Errorf("%s: %v: %w", op, b, err)
	}
	return nil
}

func (c *Client) put(ctx context.Context, b Breakpoint, letter byte) error {
	packet := b.packet(letter)
	reply, err := c.exchange(ctx, packet)
	return expectOK(packet, reply, err)
}

// lift takes the break points at addr off the wire and returns the function that puts them back. The caller holds the turn.
func (c *Client) lift(ctx context.Context, addr uint64) (back func(context.Context) error, err error) {
	var lifted []Breakpoint
	back = func(ctx context.Context) error {
		for _, b := range slices.Backward(lifted) {
			if err := c.put(ctx, b, 'Z'); err != nil {
				delete(c.table, b)
				return fmt.Errorf("insert again: %v: %w", b, err)
			}
		}
		return nil
	}
	for _, b := range c.table.at(addr) {
		if err := c.put(ctx, b, 'z'); err != nil {
			_ = back(ctx) // the first error is the one to report
			return nil, fmt.Errorf("remove for a step: %v: %w", b, err)
		}
		lifted = append(lifted, b)
	}
	return back, nil
}
