package verdict

// BisectSchema names the form of [Bisect].
const BisectSchema = "kcatch/bisect/v1"

// Bisect is what a bisection came to.
type Bisect struct {
	Schema  string `json:"schema"`
	Culprit string `json:"culprit"` // object name in full; empty when it is not determined
	// Confidence is the probability that Culprit is right, by the boots alone; of the suspects together when there are several.
	Confidence float64        `json:"confidence"`
	Verified   BisectVerified `json:"verified"`
	Steps      []BisectStep   `json:"steps"`

	Good  string `json:"good"`
	Bad   string `json:"bad"`
	Fixed bool   `json:"fixed,omitempty"` // the culprit ended the death
	// EndsWrong is set when the ends are not good and bad; Reason says which.
	EndsWrong bool     `json:"ends_wrong,omitempty"`
	Suspects  []string `json:"suspects,omitempty"` // oldest first, when there are several
	// Symbols are, of a search over configurations, those that the death hangs on, with their values: none can be left out.
	Symbols   []string `json:"symbols,omitempty"`
	Reason    string   `json:"reason,omitempty"` // why no culprit
	Commits   int      `json:"commits"`          // between the ends
	Inert     int      `json:"inert,omitempty"`  // of them, those that cannot change the image that is built
	Boots     int      `json:"boots"`            // all of them, those of the ends and of the verification included
	Builds    int      `json:"builds"`
	Died      int      `json:"died"`            // boots of the dying end that died,
	DiedOf    int      `json:"died_of"`         // of so many
	Signature string   `json:"signature"`       // of the death
	Faces     []string `json:"faces,omitempty"` // other signatures of it
	// Before and After are the chains on both sides, a line a frame: of the culprit's parent (that it reached --until), and of the death.
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`

	Subject  string   `json:"subject,omitempty"` // of the culprit
	Author   string   `json:"author,omitempty"`
	Date     string   `json:"date,omitempty"` // RFC 3339
	Diffstat []string `json:"diffstat,omitempty"`
	Log      string   `json:"log,omitempty"` // the file of this run
	Notes    []string `json:"notes,omitempty"`
	Error    *Error   `json:"error,omitempty"`
}

// BisectVerified is how the culprit was tried. Parent and Culprit are "good", "bad" or "untested"; Revert, the end that dies
// with the culprit reverted, may be "conflict" too.
type BisectVerified struct {
	Parent  string `json:"parent"`
	Culprit string `json:"culprit"`
	Revert  string `json:"revert"`
	// RevertReason says why it is untested.
	RevertReason string `json:"revert_reason,omitempty"`
}

// BisectStep is all boots of one commit.
type BisectStep struct {
	Commit  string  `json:"commit"`
	Verdict Verdict `json:"verdict"`
	// Symbols are, of a search over configurations, those that the death hangs on, with their values: none can be left out.
	Symbols   []string `json:"symbols,omitempty"`
	Reason    string   `json:"reason"`
	Boots     int      `json:"boots"`
	Seconds   float64  `json:"seconds"`
	Signature string   `json:"signature"`

	Subject string   `json:"subject,omitempty"`
	Role    string   `json:"role,omitempty"`    // bad end, good end, merge base, again, parent, culprit, revert; empty for a step of the search
	Chain   []string `json:"chain,omitempty"`   // of a decoy: a line a frame
	Left    int      `json:"left,omitempty"`    // commits that can be the culprit after it
	Same    string   `json:"same_as,omitempty"` // the commit whose image this is too
}

// ExitCode is 0 with a culprit, 1 when the ends are not good and bad, 125 when it is not determined.
func (b *Bisect) ExitCode() int {
	switch {
	case b.EndsWrong:
		return ExitBad
	case b.Culprit == "" && len(b.Symbols) == 0:
		return ExitSkip
	}
	return ExitGood
}
