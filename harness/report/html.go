package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"sync"

	"kcatch/harness/verdict"
)

// The pages are files: templates, one style sheet, one script. What the guest says comes into them by [template.HTML]'s escaping
// and, before that, through [Clean]: it is in no script, in no style and in no address.
//
//go:embed page/*.html page/page.css page/page.js
var pageFiles embed.FS

// The longest strings that a page shows whole, in characters.
const (
	htmlLine  = 600  // a line of a log, of output
	htmlValue = 2000 // a value, a summary, a note
)

// pages are the templates, parsed when the first page is made.
var pages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(pageFuncs).ParseFS(pageFiles, "page/*.html"))
})

var pageFuncs = template.FuncMap{
	"address":  address,
	"clean":    func(v any) string { return Clean(fmt.Sprint(v), htmlValue) },
	"indent":   indent,
	"where":    where,
	"label":    label,
	"seconds":  seconds,
	"plural":   plural,
	"slide":    otherSlide,
	"inc":      func(i int) int { return i + 1 },
	"declared": declared,
	"glyph":    func(s verdict.CellStatus) glyph { return glyphOf(s) },
}

// address leads to an element of the page. Its id has letters, digits and ".-_/" only, which the template, that does not know
// this, would escape.
func address(id string) template.URL { return template.URL("#" + id) }

// glyph is a status as a shape and a word: colour alone tells nothing to one reader of twelve.
type glyph struct {
	Kind, Sign, Word string // Kind is a CSS class
}

func glyphOf(s verdict.CellStatus) glyph {
	switch s {
	case verdict.CellPass:
		return glyph{"pass", "✓", "pass"}
	case verdict.CellFail:
		return glyph{"fail", "✕", "fail"}
	case verdict.CellFlaky:
		return glyph{"flaky", "≈", "flaky"}
	case verdict.CellSkip:
		return glyph{"skip", "–", "skip"}
	case verdict.CellNotRun:
		return glyph{"notrun", "·", "not run"}
	}
	return glyph{"error", "!", "error"}
}

// asset is a style sheet or script that is part of the page, and the hash by which the page's policy allows it and no other.
type asset struct {
	text, hash string
}

func assetOf(name string) asset {
	b, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	text := strings.TrimSpace(string(b))
	sum := sha256.Sum256([]byte(text))
	return asset{text: text, hash: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}
}

// frame is what every page has around its content.
type frame struct {
	Title  string
	Policy string
	Style  template.CSS
	Script template.JS
}

// newFrame makes the page's frame. Its policy lets nothing be fetched, sent, framed or run but the page's own style and script
// (Content Security Policy Level 3, hash-source).
func newFrame(title string) frame {
	style, script := assetOf("page.css"), assetOf("page.js")
	return frame{
		Title:  title,
		Policy: "default-src 'none'; style-src " + style.hash + "; script-src " + script.hash + "; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(style.text), Script: template.JS(script.text),
	}
}
