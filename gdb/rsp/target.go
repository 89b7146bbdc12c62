package rsp

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// Bounds on what a stub may describe. QEMU 7.2's own is two files, 66 registers and 608 bytes.
const (
	maxXMLFiles    = 16
	maxXMLBytes    = 1 << 20 // over all files
	maxRegisters   = 4096
	maxRegisterLen = 512 // bytes
)

// register is one register's place in the g packet.
type register struct {
	name   string
	num    int // of packets p and P
	offset int // bytes from the start of the g packet's data
	size   int // bytes
}

// layout is the g packet as a table, in the order of register numbers.
type layout []register

func (l layout) find(name string) (register, bool) {
	for _, r := range l {
		if r.name == name {
			return r, true
		}
	}
	return register{}, false
}

// coreLayout is the 66-register layout of QEMU 7.2, for stubs without target.xml.
// Source: target/i386/gdbstub.c (x86_cpu_gdb_read_register) and gdb-xml/i386-64bit.xml; always the 64-bit one.
func coreLayout() layout {
	groups := []struct {
		size  int
		names string
	}{
		{8, "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip"},
		{4, "eflags cs ss ds es fs gs"},
		{8, "fs_base gs_base k_gs_base cr0 cr2 cr3 cr4 cr8 efer"},
		{10, "st0 st1 st2 st3 st4 st5 st6 st7"},
		{4, "fctrl fstat ftag fiseg fioff foseg fooff fop"},
		{16, "xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 xmm8 xmm9 xmm10 xmm11 xmm12 xmm13 xmm14 xmm15"},
		{4, "mxcsr"},
	}
	var l layout
	offset := 0
	for _, g := range groups {
		for name := range strings.FieldsSeq(g.names) {
			l = append(l, register{name: name, num: len(l), offset: offset, size: g.size})
			offset += g.size
		}
	}
	return l
}

// describe reads target.xml and what it includes, depth first, as gdb would. The caller holds the turn.
func (c *Client) describe(ctx context.Context) (arch string, l layout, err error) {
	budget := maxXMLBytes
	return parseTarget(func(name string) ([]byte, error) {
		text, err := c.transfer(ctx, name, budget)
		budget -= len(text)
		return text, err
	})
}

// transfer reads one file of qXfer:features. QEMU gives at most 2045 bytes a reply, whatever is asked for.
func (c *Client) transfer(ctx context.Context, name string, most int) ([]byte, error) {
	var text []byte
	for {
		packet := fmt.Sprintf("qXfer:features:read:%s:%x,%x", name, len(text), 0xffb)
		reply, err := c.exchange(ctx, packet)
		if err != nil {
			return nil, err
		}
		kind, data := reply[0], reply[1:]
		if kind != 'l' && kind != 'm' || kind == 'm' && len(data) == 0 {
			return nil, fmt.Errorf("stub: packet %s: reply %s: %w", short(packet), short(string(reply)), ErrProtocol)
		}
		if len(text)+len(data) > most {
			return nil, fmt.Errorf("stub: target description over %d bytes: %w", maxXMLBytes, ErrProtocol)
		}
		text = append(text, data...)
		if kind == 'l' {
			return text, nil
		}
	}
}

// parseTarget reads a target description, which is cut into files: open gives one by name. Registers count up from 0
// through all files in the order of inclusion, and a regnum attribute sets the count. GDB manual, "Target Description Format".
//
//	<reg name="rip" bitsize="64" type="code_ptr" regnum="16"/>
func parseTarget(open func(name string) ([]byte, error)) (arch string, l layout, err error) {
	p := targetParser{open: open, seen: map[string]bool{}}
	if err := p.file("target.xml"); err != nil {
		return "", nil, fmt.Errorf("target description: %w", err)
	}
	l, err = p.finish()
	if err != nil {
		return "", nil, fmt.Errorf("target description: %w", err)
	}
	return p.arch, l, nil
}

type targetParser struct {
	open func(string) ([]byte, error)
	seen map[string]bool // no file is read twice: an inclusion cycle ends here
	arch string
	next int
	regs layout
}

func (p *targetParser) file(name string) error {
	if p.seen[name] || len(p.seen) == maxXMLFiles {
		return fmt.Errorf("%q included again or one file too many: %w", name, ErrProtocol)
	}
	p.seen[name] = true
	text, err := p.open(name)
	if err != nil {
		return err
	}
	dec := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%q: %v: %w", name, err, ErrProtocol)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "architecture":
			if err := dec.DecodeElement(&p.arch, &start); err != nil {
				return fmt.Errorf("%q: architecture: %v: %w", name, err, ErrProtocol)
			}
			p.arch = strings.TrimSpace(p.arch)
		case "include":
			href := attr(start, "href")
			if href == "" || len(href) > 128 || strings.ContainsAny(href, ":;,\x00") {
				return fmt.Errorf("%q: include of %s: %w", name, short(href), ErrProtocol)
			}
			if err := p.file(href); err != nil {
				return err
			}
		case "reg":
			if err := p.register(start); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (p *targetParser) register(e xml.StartElement) error {
	name := attr(e, "name")
	bits, err := strconv.ParseUint(attr(e, "bitsize"), 10, 32)
	if err != nil || bits == 0 || bits%8 != 0 || bits/8 > maxRegisterLen {
		return fmt.Errorf("register %s: bitsize %s: %w", short(name), short(attr(e, "bitsize")), ErrProtocol)
	}
	if s := attr(e, "regnum"); s != "" {
		n, err := strconv.ParseUint(s, 0, 31)
		if err != nil || n >= maxRegisters {
			return fmt.Errorf("register %s: regnum %s: %w", short(name), short(s), ErrProtocol)
		}
		p.next = int(n)
	}
	if len(p.regs) >= maxRegisters || p.next >= maxRegisters {
		return fmt.Errorf("more than %d registers: %w", maxRegisters, ErrProtocol)
	}
	p.regs = append(p.regs, register{name: name, num: p.next, size: int(bits / 8)})
	p.next++
	return nil
}

// finish orders the registers by number, which is their order in the g packet, and gives them their offsets.
func (p *targetParser) finish() (layout, error) {
	if len(p.regs) == 0 {
		return nil, fmt.Errorf("no registers: %w", ErrProtocol)
	}
	sort.SliceStable(p.regs, func(i, j int) bool { return p.regs[i].num < p.regs[j].num })
	offset := 0
	for i := range p.regs {
		if i > 0 && p.regs[i].num == p.regs[i-1].num {
			return nil, fmt.Errorf("registers %s and %s share number %d: %w",
				short(p.regs[i-1].name), short(p.regs[i].name), p.regs[i].num, ErrProtocol)
		}
		p.regs[i].offset = offset
		offset += p.regs[i].size
	}
	return p.regs, nil
}
