package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpen: a schema takes what it must, through a file beside it too, and closed it takes no key that it does not name.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json": `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["b"],"properties":{"b":{"$ref":"b.json#/$defs/n"}}}`,
		"b.json": `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"n":{"type":"integer","minimum":0}}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		text       string
		open, shut string // in the error; "" for none
	}{
		{`{"b":1}`, "", ""},
		{`{"b":1,"c":2}`, "", "additional"},
		{`{"b":-1}`, "minimum", "minimum"},
		{`{}`, "missing", "missing"},
		{`{"b":1`, "EOF", "EOF"},
	} {
		for closed, want := range map[bool]string{false: tt.open, true: tt.shut} {
			s, err := Open(filepath.Join(dir, "a.json"), closed)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Validate([]byte(tt.text))
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, closed %v: %v, want %q", tt.text, closed, err, want)
			}
		}
	}
	if _, err := Open(filepath.Join(dir, "none.json"), false); err == nil {
		t.Error("a schema that is not there was opened")
	}
	if _, err := Parse([]byte(`{"type":"object","$ref":"https://example.org/x.json"}`)); err == nil {
		t.Error("a schema that needs another one was parsed")
	}
}
