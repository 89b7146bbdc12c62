// Package schema holds JSON to a JSON Schema, for tests: what kcatch prints to the schemas of docs/schema, and SARIF to OASIS's.
//
// It is the adapter of github.com/santhosh-tekuri/jsonschema and takes schemas from files and from memory only, never from the
// network. It is no part of the program.
package schema

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a compiled schema.
type Schema struct{ schema *jsonschema.Schema }

// Open compiles the schema in file; a "$ref" may name files beside it. The schemas of docs/schema leave room for fields to come,
// so that an old copy takes new output; closed takes that room away: an object with "properties" may have no others.
func Open(file string, closed bool) (*Schema, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	return compile("file://"+file, loader{closed: closed})
}

// Parse compiles a schema that stands for itself.
func Parse(text []byte) (*Schema, error) {
	return compile(inMemory, loader{text: text})
}

const inMemory = "memory:schema.json"

// Validate reports in what way text is no valid JSON by the schema.
func (s *Schema) Validate(text []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	err = s.schema.Validate(v)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return fmt.Errorf("%#v", invalid) // all of it: where, and by which clause
	}
	return err
}

func compile(url string, l loader) (*Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(l)
	s, err := c.Compile(url)
	if err != nil {
		return nil, err
	}
	return &Schema{s}, nil
}

// loader gives the compiler its documents.
type loader struct {
	text   []byte
	closed bool
}

// Load is what the compiler calls.
func (l loader) Load(url string) (any, error) {
	text := l.text
	if text != nil && url != inMemory {
		return nil, fmt.Errorf("schema in memory: %s is elsewhere", url)
	}
	if text == nil {
		path, err := (jsonschema.FileLoader{}).ToFile(url)
		if err != nil {
			return nil, err
		}
		if text, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if l.closed {
		shut(v)
	}
	return v, err
}

// shut closes all objects in v.
func shut(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, object := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; object && v["type"] == "object" && !said {
			v["additionalProperties"] = false
		}
		for _, member := range v {
			shut(member)
		}
	case []any:
		for _, member := range v {
			shut(member)
		}
	}
}
