package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// PlaceJSON writes p as one line by the contract ("kcatch/symbolize/v1"), escaped as [JSON] does.
func PlaceJSON(w io.Writer, p *verdict.Place) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return err
	}
	_, err := io.WriteString(w, inert(b.String()))
	return err
}

// Place writes p for a person: the address and the symbol, and below a line for each function, innermost first.
//
//	0xffffffff8176d49c  free_area_init+0x54c/0x6a0
//	  __SetPageReserved       include/linux/page-flags.h:503  inlined
//	  init_unavailable_range  mm/page_alloc.c:6958            inlined
//	  free_area_init          mm/page_alloc.c:7790
func Place(w io.Writer, p *verdict.Place, style Style) error {
	var b strings.Builder
	b.WriteString(p.Address.String())
	if len(p.Frames) > 0 && p.Frames[0].Symbol != "" {
		f := p.Frames[0]
		b.WriteString("  " + style.strong(Clean(f.Symbol, 0)))
		fmt.Fprintf(&b, "+0x%x", f.Offset)
		if f.Size > 0 {
			fmt.Fprintf(&b, "/0x%x", f.Size)
		}
	}
	if p.Return {
		b.WriteString("  " + style.dim("return address"))
	}
	if p.Reason != "" {
		b.WriteString("  " + style.dim("("+Clean(p.Reason, 160)+")"))
	}
	b.WriteByte('\n')
	name, place := 0, 0
	for _, f := range p.Frames {
		name, place = max(name, len([]rune(Clean(f.Function, 80)))), max(place, len([]rune(placeLine(f))))
	}
	for _, f := range p.Frames {
		at := placeLine(f)
		if at == "" {
			continue
		}
		line := "  " + pad(Clean(f.Function, 80), min(name, 40)) + "  "
		if f.Inline {
			line += pad(at, min(place, 56)) + "  " + style.dim("inlined")
		} else {
			line += at
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// placeLine is file:line; empty where neither is known.
func placeLine(f verdict.PlaceFrame) string {
	switch {
	case f.File == "":
		return ""
	case f.Line == 0:
		return Clean(f.File, 200) + ":?"
	}
	return fmt.Sprintf("%s:%d", Clean(f.File, 200), f.Line)
}
