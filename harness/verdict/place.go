package verdict

// PlaceSchema names a line of "kcatch symbolize --json".
const PlaceSchema = "kcatch/symbolize/v1"

// Place is an address in a kernel's code, and what the source has there.
type Place struct {
	Schema  string       `json:"schema"`
	Address Hex          `json:"address"`          // as it was asked for: a run-time value, where there is a slide
	Frames  []PlaceFrame `json:"frames"`           // innermost first; none where there is no code
	Reason  string       `json:"reason,omitempty"` // why there are no frames, or no line

	// Of a place in the text of a console. The address is 0 where the text does not tell it: in a module.
	Text      string `json:"text,omitempty"`       // as it stands there: "f+0x1/0x2"
	InputLine int    `json:"input_line,omitempty"` // from 1
	Module    string `json:"module,omitempty"`
	Return    bool   `json:"return,omitempty"` // a return address: the lines are of the call before it
	Guess     bool   `json:"guess,omitempty"`  // the kernel marks it "? "
}

// PlaceFrame is one function at a place. All frames of a place lie in one symbol; the last one owns the code, the others are inlined
// into the one after them.
type PlaceFrame struct {
	Function string `json:"function"` // the source's name, the symbol's where there is no other
	Symbol   string `json:"symbol"`   // with suffixes, as .constprop.0 and .cold
	File     string `json:"file"`     // relative to the kernel tree; empty is not known
	Line     int    `json:"line"`     // 0 is not known
	Inline   bool   `json:"inline"`
	Column   int    `json:"column,omitempty"`
	Offset   uint64 `json:"offset"` // bytes from the symbol to the address
	Size     uint64 `json:"size"`   // bytes of the symbol; 0 for a label of assembly
}
