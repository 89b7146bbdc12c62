package rsp

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"kcatch/gdb/amd64"
)

// Select makes thread the vCPU whose page tables [Client.ReadMemory] uses (packet Hg). Each stop selects the vCPU it is
// about, and so does [Client.Registers] with its own.
func (c *Client) Select(ctx context.Context, thread Thread) error {
	if err := c.acquire(ctx, "select vCPU"); err != nil {
		return err
	}
	defer c.release()
	return c.choose(ctx, thread)
}

// choose sends Hg unless thread is chosen already. The caller holds the turn.
func (c *Client) choose(ctx context.Context, thread Thread) error {
	if thread.TID <= 0 {
		return fmt.Errorf("select vCPU: thread %d: no such vCPU", thread.TID)
	}
	c.mu.Lock()
	chosen := c.selected
	c.mu.Unlock()
	if chosen == thread {
		return c.idle("select vCPU")
	}
	packet := "Hg" + c.threadID(thread)
	reply, err := c.exchange(ctx, packet)
	if err := expectOK(packet, reply, err); err != nil {
		return fmt.Errorf("select vCPU %d: %w", thread.CPU(), err)
	}
	c.mu.Lock()
	c.selected = thread
	c.mu.Unlock()
	return nil
}

// Registers reads the registers of thread (Hg, then g). They are what QEMU holds for a stopped vCPU: in 16- and 32-bit mode
// general registers are cut to 32 bits and R8..R15 are zero. IDTR, GDTR, TR and the MSRs other than EFER and the
// segment bases are not in the protocol; ask [Client.Monitor] for "info registers".
func (c *Client) Registers(ctx context.Context, thread Thread) (amd64.Registers, error) {
	if err := c.acquire(ctx, "read registers"); err != nil {
		return amd64.Registers{}, err
	}
	defer c.release()
	return c.registers(ctx, thread)
}

func (c *Client) registers(ctx context.Context, thread Thread) (amd64.Registers, error) {
	if err := c.choose(ctx, thread); err != nil {
		return amd64.Registers{}, err
	}
	reply, err := c.exchange(ctx, "g")
	if err != nil {
		return amd64.Registers{}, fmt.Errorf("read registers: vCPU %d: %w", thread.CPU(), err)
	}
	regs, err := decodeRegisters(c.layout, reply)
	if err != nil {
		return amd64.Registers{}, fmt.Errorf("read registers: vCPU %d: %w", thread.CPU(), err)
	}
	return regs, nil
}

// WriteRegister sets one general register or RIP of thread (packet P). It is refused outside long mode, where QEMU's
// writes do not match its reads (gdb_write_reg_cs64). QEMU 7.2 takes P only after a target.xml was read, which
// [Client.Handshake] does.
func (c *Client) WriteRegister(ctx context.Context, thread Thread, reg amd64.Reg, value uint64) error {
	if err := c.acquire(ctx, "write register"); err != nil {
		return err
	}
	defer c.release()
	r, ok := c.layout.find(reg.String())
	if !ok || r.size != 8 {
		return fmt.Errorf("write register: %v: %w", reg, ErrUnsupported)
	}
	now, err := c.registers(ctx, thread)
	if err != nil {
		return err
	}
	if !now.Long() {
		return fmt.Errorf("write register: %v: vCPU %d is not in long mode", reg, thread.CPU())
	}
	var le [8]byte
	binary.LittleEndian.PutUint64(le[:], value)
	packet := fmt.Sprintf("P%x=%s", r.num, hex.EncodeToString(le[:]))
	reply, err := c.exchange(ctx, packet)
	if err := expectOK(packet, reply, err); err != nil {
		return fmt.Errorf("write register: %v: %w", reg, err)
	}
	return nil
}

// decodeRegisters reads the reply to g: every byte as two hex digits, values little-endian, registers in the order of
// their numbers. The reply may end early: newer QEMU describes registers (APX) that it does not put into g.
func decodeRegisters(l layout, reply []byte) (amd64.Registers, error) {
	data, err := decodeHex(reply)
	if err != nil {
		return amd64.Registers{}, err
	}
	d := registerDecoder{layout: l, data: data}
	r := amd64.Registers{
		RAX: d.get("rax"), RBX: d.get("rbx"), RCX: d.get("rcx"), RDX: d.get("rdx"),
		RSI: d.get("rsi"), RDI: d.get("rdi"), RBP: d.get("rbp"), RSP: d.get("rsp"),
		R8: d.get("r8"), R9: d.get("r9"), R10: d.get("r10"), R11: d.get("r11"),
		R12: d.get("r12"), R13: d.get("r13"), R14: d.get("r14"), R15: d.get("r15"),
		RIP: d.get("rip"), EFLAGS: d.get("eflags"),
		CS: uint16(d.get("cs")), SS: uint16(d.get("ss")), DS: uint16(d.get("ds")),
		ES: uint16(d.get("es")), FS: uint16(d.get("fs")), GS: uint16(d.get("gs")),
		FSBase: d.get("fs_base"), GSBase: d.get("gs_base"), KernelGSBase: d.get("k_gs_base"),
		CR0: d.get("cr0"), CR2: d.get("cr2"), CR3: d.get("cr3"), CR4: d.get("cr4"), CR8: d.get("cr8"),
		EFER: d.get("efer"),
	}
	if d.err != nil {
		return amd64.Registers{}, d.err
	}
	return r, nil
}

// registerDecoder is a cursor over the g data with a sticky error.
type registerDecoder struct {
	layout layout
	data   []byte
	err    error
}

func (d *registerDecoder) get(name string) uint64 {
	r, ok := d.layout.find(name)
	switch {
	case d.err != nil:
		return 0
	case !ok:
		d.err = fmt.Errorf("the stub describes no register %s: is this an x86_64 machine?: %w", name, ErrProtocol)
		return 0
	case r.size > 8:
		d.err = fmt.Errorf("register %s has %d bytes: %w", name, r.size, ErrProtocol)
		return 0
	case r.offset+r.size > len(d.data):
		d.err = fmt.Errorf("register %s at bytes %d..%d of %d: %w", name, r.offset, r.offset+r.size, len(d.data), ErrProtocol)
		return 0
	}
	var v uint64
	for i := r.size - 1; i >= 0; i-- {
		v = v<<8 | uint64(d.data[r.offset+i])
	}
	return v
}
