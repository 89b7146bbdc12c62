package report

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/schema"
)

const schemas = "../../docs/schema"

// TestSmokeJSONHasItsSchema: what is written is what docs/schema says, and a reader gets back what there was.
func TestSmokeJSONHasItsSchema(t *testing.T) {
	s, err := schema.Open(filepath.Join(schemas, "smoke-v1.schema.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	full := exampleSmoke()
	fill(reflect.ValueOf(&full.Cells[1]).Elem(), "x")
	full.Cells[1].Status = verdict.CellFail
	plausible(reflect.ValueOf(full).Elem())
	for name, smoke := range map[string]*verdict.Smoke{"example": exampleSmoke(), "empty": {}, "every field": full} {
		var b bytes.Buffer
		if err := SmokeJSON(&b, smoke); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(b.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var back verdict.Smoke
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := SmokeJSON(&again, &back); err != nil || again.String() != b.String() {
			t.Errorf("%s: read back and written again it is another text: %v", name, err)
		}
	}
	for _, bad := range []string{`{}`, `{"schema":"kcatch/smoke/v1","cells":null,"passed":0,"failed":0,"flaky":0,"skipped":0,"errors":0,"seconds":0}`} {
		if s.Validate([]byte(bad)) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
}

// TestSmallJSONHasItsSchema: symbolize, doctor and cache write what docs/schema says, with every field and with as few as there may be.
func TestSmallJSONHasItsSchema(t *testing.T) {
	place, few := verdict.Place{}, verdict.Place{Schema: verdict.PlaceSchema, Frames: []verdict.PlaceFrame{}}
	fill(reflect.ValueOf(&place).Elem(), "x")
	place.Schema = verdict.PlaceSchema
	health := verdict.Doctor{Checks: []verdict.DoctorCheck{}}
	health.Add(verdict.DoctorCheck{Name: "gcc", Status: verdict.Ill, Text: "not installed", Fix: "apt-get", Packages: []string{"gcc"}})
	entry := verdict.CacheEntry{Kind: "source", Name: "x", What: "y", Path: "/z", Bytes: 1 << 40, Used: time.Unix(1, 2), InUse: true}
	cache := verdict.Cache{Schema: verdict.CacheSchema, Dir: "/c", Entries: []verdict.CacheEntry{entry}, Bytes: 1, Removed: []verdict.CacheEntry{entry}, DryRun: true}
	for _, tt := range []struct {
		schema string
		write  func(io.Writer) error
	}{
		{"symbolize", func(w io.Writer) error { return PlaceJSON(w, &place) }},
		{"symbolize", func(w io.Writer) error { return PlaceJSON(w, &few) }},
		{"doctor", func(w io.Writer) error { return DoctorJSON(w, &health) }},
		{"cache", func(w io.Writer) error { return CacheJSON(w, &cache) }},
	} {
		s, err := schema.Open(filepath.Join(schemas, tt.schema+"-v1.schema.json"), true)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := tt.write(&b); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(b.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", tt.schema, err, b.Bytes())
		}
		if s.Validate([]byte("{}")) == nil {
			t.Errorf("%s: the schema takes {}", tt.schema)
		}
	}
}

// plausible gives words of a fixed list a member of it.
func plausible(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			plausible(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			plausible(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			plausible(v.Field(i))
		}
		switch x := v.Addr().Interface().(type) {
		case *verdict.Result:
			x.Schema, x.Verdict, x.Class, x.Hang, x.Stage, x.Blame = verdict.Schema, verdict.Bad, verdict.Hang, verdict.Spin, verdict.Init, "kernel"
		case *verdict.Subtest:
			x.Status = "fail"
		case *verdict.Try:
			x.Verdict, x.Class = verdict.Bad, verdict.Hang
		case *verdict.Cell:
			if x.Novelty != "" {
				x.Novelty = "new"
			}
		}
	}
}

// TestSchemasHaveTheGoTypes: the schemas name every field of the Go types and no other, with its type, and require those that are
// always written. A field that is new has to be described in docs/schema.
func TestSchemasHaveTheGoTypes(t *testing.T) {
	for file, typ := range map[string]reflect.Type{
		"result-v1.schema.json": reflect.TypeFor[verdict.Result](),
		"smoke-v1.schema.json":  reflect.TypeFor[verdict.Smoke](),

		"symbolize-v1.schema.json": reflect.TypeFor[verdict.Place](),
		"doctor-v1.schema.json":    reflect.TypeFor[verdict.Doctor](),
		"cache-v1.schema.json":     reflect.TypeFor[verdict.Cache](),
	} {
		c := comparison{t: t, files: map[string]map[string]any{}, seen: map[reflect.Type]bool{}}
		c.object(file, "", c.read(file), typ)
		if len(c.seen) < 2 {
			t.Errorf("%s: only %d types were compared", file, len(c.seen))
		}
	}
}

type comparison struct {
	t     *testing.T
	files map[string]map[string]any
	seen  map[reflect.Type]bool
}

func (c *comparison) read(file string) map[string]any {
	c.t.Helper()
	if c.files[file] == nil {
		text, err := os.ReadFile(filepath.Join(schemas, file))
		if err != nil {
			c.t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(text, &v); err != nil {
			c.t.Fatalf("%s: %v", file, err)
		}
		c.files[file] = v
	}
	return c.files[file]
}

// object compares the schema of an object with a struct; at is the way to it, for messages.
func (c *comparison) object(file, at string, s map[string]any, typ reflect.Type) {
	if c.seen[typ] {
		return
	}
	c.seen[typ] = true
	properties, _ := s["properties"].(map[string]any)
	var required, names []string
	list, _ := s["required"].([]any)
	for _, r := range list {
		required = append(required, r.(string))
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		names = append(names, name)
		always := !strings.Contains(options, "omitempty")
		if slices.Contains(required, name) != always {
			c.t.Errorf("%s: %s.%s: required must be %v", file, at, name, always)
		}
		p, ok := properties[name].(map[string]any)
		if !ok {
			c.t.Errorf("%s: %s.%s: the field %s.%s is not described", file, at, name, typ.Name(), f.Name)
			continue
		}
		c.value(file, at+"."+name, p, f.Type, always && f.Type.Kind() == reflect.Pointer)
	}
	for name := range properties {
		if !slices.Contains(names, name) {
			c.t.Errorf("%s: %s.%s: %s has no such field", file, at, name, typ.Name())
		}
	}
	for _, name := range required {
		if !slices.Contains(names, name) {
			c.t.Errorf("%s: %s.%s is required, and %s has no such field", file, at, name, typ.Name())
		}
	}
}

// value compares the schema of a value with a type; null says that it may be null.
func (c *comparison) value(file, at string, s map[string]any, typ reflect.Type, null bool) {
	if of, ok := s["anyOf"].([]any); ok && len(of) == 2 && of[0].(map[string]any)["type"] == "null" && null {
		s, null = of[1].(map[string]any), false
	}
	if ref, ok := s["$ref"].(string); ok {
		name, fragment, _ := strings.Cut(ref, "#")
		if name != "" {
			file = name
		}
		s = c.read(file)
		if fragment != "" {
			s, _ = s["$defs"].(map[string]any)[path.Base(fragment)].(map[string]any)
		}
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Int64: "integer", reflect.Uint64: "integer",
		reflect.Float64: "number", reflect.Slice: "array", reflect.Struct: "object"}[typ.Kind()]
	if typ == reflect.TypeFor[verdict.Hex]() || typ == reflect.TypeFor[time.Time]() {
		want = "string"
	}
	got := s["type"]
	if list, ok := got.([]any); ok && null && len(list) == 2 && list[1] == "null" {
		got, null = list[0], false
	}
	if got == nil && want == "string" && (s["enum"] != nil || s["const"] != nil) {
		got = "string"
	}
	if want == "" || got != want || null {
		c.t.Errorf("%s: %s: the schema says %v, the type is %s (null: %v)", file, at, got, typ, null)
		return
	}
	switch want {
	case "object":
		c.object(file, at, s, typ)
	case "array":
		items, _ := s["items"].(map[string]any)
		c.value(file, at+"[]", items, typ.Elem(), false)
	}
	for _, class := range map[reflect.Type][]verdict.Class{reflect.TypeFor[verdict.Class](): verdict.Classes()}[typ] {
		if !slices.Contains(s["enum"].([]any), any(string(class))) {
			c.t.Errorf("%s: %s: the class %s is not in the schema", file, at, class)
		}
	}
	if typ == reflect.TypeFor[verdict.Stage]() {
		for _, stage := range verdict.Stages() {
			if !slices.Contains(s["enum"].([]any), any(string(stage))) {
				c.t.Errorf("%s: %s: the stage %s is not in the schema", file, at, stage)
			}
		}
	}
}
