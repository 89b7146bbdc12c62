package vmlinux

import "fmt"

// cfaUse is what a checked call frame program does that its interpreter's result does not tell.
type cfaUse struct {
	initial   map[uint64]bool // registers with an initial rule that is not "offset"
	undefined map[uint64]bool // registers declared undefined
}

// maxRemembered bounds remember_state; compilers nest it once or twice.
const maxRemembered = 64

// checkCFA walks a call frame program, DWARF 5 section 6.4.2, so that what delve's interpreter cannot stand is an error
// with an offset: cut operands, an unbalanced restore_state, unknown opcodes, and the two forms that it gets wrong.
// off is the program's place in the section; initial is the CIE's use, nil for the CIE itself.
func checkCFA(program []byte, off uint64, initial *cfaUse) (*cfaUse, error) {
	c := cursor{section: ".debug_frame", base: off, data: program}
	use := &cfaUse{initial: map[uint64]bool{}, undefined: map[uint64]bool{}}
	if initial != nil {
		for reg := range initial.undefined {
			use.undefined[reg] = true
		}
	}
	remembered := 0
	restore := func(reg uint64) {
		if initial == nil {
			c.fail("restore in a CIE")
		} else if initial.initial[reg] {
			c.fail(fmt.Sprintf("restore of register %d, whose initial rule is not an offset", reg))
		}
	}
	for !c.empty() {
		op := c.u8()
		switch op >> 6 {
		case 1: // advance_loc
			continue
		case 2: // offset
			c.uleb()
			continue
		case 3:
			restore(uint64(op & 63))
			continue
		}
		switch op {
		case 0x00: // nop
		case 0x01: // set_loc
			c.u64()
		case 0x02: // advance_loc1
			c.u8()
		case 0x03:
			c.u16()
		case 0x04:
			c.u32()
		case 0x05, 0x11: // offset_extended, offset_extended_sf
			c.uleb()
			c.uleb()
		case 0x06: // restore_extended
			restore(c.uleb())
		case 0x07: // undefined
			reg := c.uleb()
			use.undefined[reg], use.initial[reg] = true, true
		case 0x08: // same_value
			use.initial[c.uleb()] = true
		case 0x09: // register
			use.initial[c.uleb()] = true
			c.uleb()
		case 0x0a: // remember_state
			if remembered++; remembered > maxRemembered {
				c.fail("states remembered too deep")
			}
		case 0x0b: // restore_state
			if remembered--; remembered < 0 {
				c.fail("restore_state without remember_state")
			}
		case 0x0c, 0x12: // def_cfa, def_cfa_sf
			c.uleb()
			c.uleb()
		case 0x0d, 0x0e, 0x13, 0x2e: // def_cfa_register, def_cfa_offset(_sf), GNU_args_size
			c.uleb()
		case 0x0f: // def_cfa_expression
			c.skip(c.uleb())
		case 0x10, 0x16: // expression, val_expression
			use.initial[c.uleb()] = true
			c.skip(c.uleb())
		case 0x15: // val_offset_sf
			use.initial[c.uleb()] = true
			c.uleb()
		default: // 0x14, val_offset, among them
			c.off--
			c.fail(fmt.Sprintf("unsupported call frame instruction 0x%x", op))
		}
	}
	return use, c.err
}
