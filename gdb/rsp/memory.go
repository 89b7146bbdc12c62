package rsp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// maxRead is what QEMU reads in one packet m, in bytes; more is E22 (handle_read_mem: 2*len > MAX_PACKET_LENGTH).
const maxRead = 2048

// codeFault is QEMU's reply to an address it cannot read; the whole request fails, not its tail.
const codeFault = 0x14

// ReadMemory fills p from guest-virtual addr, translated by the selected vCPU's page tables: that of the last stop,
// [Client.Registers] or [Client.Select]. With [Client.SetPhysicalMemory] addr is guest-physical.
//
// It reads at most 2048 bytes a packet, cut at multiples of that, so that no packet crosses a page. n < len(p) only with
// an error; memory that is not mapped gives [*FaultError] with the first address that cannot be read, and p[:n] is valid.
// Packet m: GDB manual, "Packets". QEMU answers E14 for a hole (testdata/memory.rsp).
func (c *Client) ReadMemory(ctx context.Context, p []byte, addr uint64) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if addr+uint64(len(p)-1) < addr {
		return 0, fmt.Errorf("read memory: 0x%x: %d bytes pass the end of the address space", addr, len(p))
	}
	if err := c.acquire(ctx, "read memory"); err != nil {
		return 0, err
	}
	defer c.release()
	chunk := uint64(maxRead)
	for most := uint64(max(c.Features().PacketSize, 64)) / 2; chunk > most; {
		chunk /= 2
	}
	for n < len(p) {
		at := addr + uint64(n)
		want := min(chunk-at%chunk, uint64(len(p)-n))
		got, err := c.readOnce(ctx, p[n:n+int(want)], at)
		if err != nil {
			return n, err
		}
		n += got
	}
	return n, nil
}

// readOnce is one packet m. The reply may be shorter than asked for, but not empty.
func (c *Client) readOnce(ctx context.Context, p []byte, addr uint64) (int, error) {
	packet := make([]byte, 0, 32)
	packet = append(packet, 'm')
	packet = strconv.AppendUint(packet, addr, 16)
	packet = append(packet, ',')
	packet = strconv.AppendUint(packet, uint64(len(p)), 16)
	reply, err := c.exchange(ctx, string(packet))
	if err != nil {
		var stub *StubError
		if errors.As(err, &stub) && stub.Code == codeFault {
			return 0, &FaultError{Addr: addr}
		}
		return 0, fmt.Errorf("read memory: 0x%x: %w", addr, err)
	}
	if len(reply)%2 != 0 || len(reply) > 2*len(p) {
		return 0, fmt.Errorf("read memory: 0x%x: %d hex digits for %d bytes: %w", addr, len(reply), len(p), ErrProtocol)
	}
	for i := range len(reply) / 2 {
		hi, ok1 := unhex(reply[2*i])
		lo, ok2 := unhex(reply[2*i+1])
		if !ok1 || !ok2 {
			return 0, fmt.Errorf("read memory: 0x%x: hex digits %q: %w", addr, reply[2*i:2*i+2], ErrProtocol)
		}
		p[i] = hi<<4 | lo
	}
	return len(reply) / 2, nil
}

// SetPhysicalMemory makes [Client.ReadMemory] take guest-physical addresses, or virtual ones again. The switch is one for
// the whole of QEMU: turn it off after use. Physical reads never fail; a hole in the address space reads as zeros.
// Packet Qqemu.PhyMemMode: QEMU manual, "GDB usage", "Examining physical memory".
func (c *Client) SetPhysicalMemory(ctx context.Context, on bool) error {
	if err := c.acquire(ctx, "physical memory mode"); err != nil {
		return err
	}
	defer c.release()
	return c.setPhysical(ctx, on)
}

func (c *Client) setPhysical(ctx context.Context, on bool) error {
	if !c.Features().PhysicalMemory {
		return fmt.Errorf("physical memory mode: %w", ErrUnsupported)
	}
	packet := "Qqemu.PhyMemMode:0"
	if on {
		packet = "Qqemu.PhyMemMode:1"
	}
	reply, err := c.exchange(ctx, packet)
	if err := expectOK(packet, reply, err); err != nil {
		return fmt.Errorf("physical memory mode: %w", err)
	}
	c.physical = on
	return nil
}
