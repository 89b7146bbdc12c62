package report

// Style is the look of the text report. The zero value is plain.
type Style struct {
	Color bool // ANSI colours
	Width int  // columns of the terminal, to which the values of variables are cut; 0: it is none, and they are whole
}

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) bad(t string) string    { return s.paint("1;31", t) }
func (s Style) good(t string) string   { return s.paint("1;32", t) }
func (s Style) warn(t string) string   { return s.paint("33", t) }
func (s Style) strong(t string) string { return s.paint("1", t) }
func (s Style) dim(t string) string    { return s.paint("2", t) }
func (s Style) mark(t string) string   { return s.paint("1;36", t) }

func (s Style) width() int {
	if s.Width > 0 {
		return s.Width
	}
	return 100
}
