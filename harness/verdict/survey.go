package verdict

// SurveySchema names the form of [Survey].
const SurveySchema = "kcatch/survey/v1"

// Survey is what was passed in one boot, by place in the source, and how the boot ended.
type Survey struct {
	Schema string   `json:"schema"`
	Sites  []Site   `json:"sites"`  // in the order of the boot's stages, then by file, line and function
	Points []Point  `json:"points"` // where was looked, as it was asked for; WARNs first
	Hits   int      `json:"hits"`   // stops in all
	Notes  []string `json:"notes,omitempty"`
	Boot   Result   `json:"boot"`
}

// Site is a place in the source that was passed: for a WARN, the code whose condition it is, outside of headers; for a
// function, the call of it; for a line, the line, or the code outside of headers that it is inlined into.
type Site struct {
	Point    string     `json:"point"` // "WARN", or the --break as it was written
	Function string     `json:"function"`
	Module   string     `json:"module,omitempty"`
	File     string     `json:"file"`              // relative to the kernel tree; "" is not known
	Line     int        `json:"line"`              // 1-based; 0 is not known
	Inlined  *Inner     `json:"inlined,omitempty"` // the code of a header in which the point lies, when the site is what it is inlined into
	Stage    Stage      `json:"stage"`             // in which it was passed first
	Stages   []Stage    `json:"stages"`            // all
	Count    int        `json:"count"`
	AtLeast  bool       `json:"at_least,omitempty"` // it was looked at no more before the end: see Point.Out
	Frames   []Frame    `json:"frames"`             // of the first of its chains, from the point outward
	Values   Values     `json:"values"`             // of the first
	Chains   []Sighting `json:"chains"`             // the distinct ways to it, in the order in which they were first seen
}

// Inner is code that is inlined into a site.
type Inner struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Values are expressions with their values at a place, as C text.
type Values map[string]string

// Sighting is one of the chains that lead to a site.
type Sighting struct {
	Count     int     `json:"count"`
	Stage     Stage   `json:"stage"`
	StageCall string  `json:"stage_call,omitempty"`
	CPU       int     `json:"cpu"`     // that it was first seen on
	Seconds   float64 `json:"seconds"` // since QEMU was let go, when it was first seen
	Frames    []Frame `json:"frames"`
	Stopped   string  `json:"stopped,omitempty"` // why there are no more frames
	Values    Values  `json:"values"`
}

// Point is where a survey looked.
type Point struct {
	Name      string `json:"name"`          // "WARN", or the --break as it was written
	Addresses int    `json:"addresses"`     // instructions: a function's own code and its inlined copies, or a line's
	Count     int    `json:"count"`         // hits
	Chains    int    `json:"chains"`        // distinct ones
	Out       string `json:"out,omitempty"` // where it was taken out before the end, and why: counts there are at least these
}
