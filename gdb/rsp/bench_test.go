package rsp_test

import (
	"testing"

	"kcatch/gdb/rsp"
)

// BenchmarkReadMemory reads 1 MiB of ROM and RAM from a live QEMU, packet by packet.
func BenchmarkReadMemory(b *testing.B) {
	conn, _ := launch(b)
	c := rsp.New(conn, rsp.Options{})
	b.Cleanup(func() { _ = c.Close() })
	ctx := b.Context()
	if err := c.Handshake(ctx); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if _, err := c.ReadMemory(ctx, p, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegisters is one g packet, as each stop needs it.
func BenchmarkRegisters(b *testing.B) {
	conn, _ := launch(b)
	c := rsp.New(conn, rsp.Options{})
	b.Cleanup(func() { _ = c.Close() })
	ctx := b.Context()
	if err := c.Handshake(ctx); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Registers(ctx, cpu0); err != nil {
			b.Fatal(err)
		}
	}
}
