package debuginfo

import (
	"fmt"
	"strings"

	"kcatch/gdb/trace"
	"kcatch/gdb/unwind"
	"kcatch/harness/verdict"
)

// Place is what was found in a text, as the contract has it.
func Place(f trace.Found) verdict.Place {
	p := verdict.Place{
		Schema: verdict.PlaceSchema, Address: verdict.Hex(f.Addr), Frames: []verdict.PlaceFrame{}, Reason: f.Answer.Reason,
		Text: f.Text, InputLine: f.Line, Module: f.Place.Module, Guess: f.Place.Guess, Return: f.Place.Kind == unwind.Return,
	}
	frame := verdict.PlaceFrame{Symbol: f.Answer.Symbol, Offset: f.Answer.Offset, Size: f.Answer.Size}
	for _, l := range f.Answer.Frames {
		frame.Function, frame.File, frame.Line, frame.Column, frame.Inline = l.Function, l.File, l.Line, l.Column, l.Inline
		p.Frames = append(p.Frames, frame)
	}
	if len(f.Answer.Several) > 0 {
		var all []string
		for _, l := range f.Answer.Several[:min(len(f.Answer.Several), trace.MaxSeveral)] {
			all = append(all, fmt.Sprintf("%s:%d", l.File, l.Line))
		}
		p.Reason = "ambiguous: " + strings.Join(all, ", ")
	}
	return p
}
