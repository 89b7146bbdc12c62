package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
	"kcatch/internal/schema"
)

// TestResultContract holds the JSON of boots to testdata/result-v1.txt and to docs/schema/result-v1.schema.json: what --json -
// prints is one JSON value and nothing beside it, it has every key that it must have and no key that nobody decided on.
func TestResultContract(t *testing.T) {
	contract := readContract(t, "testdata/result-v1.txt")
	published, err := schema.Open("../../docs/schema/result-v1.schema.json", true)
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	boot := func(fixture string, args ...string) func(testing.TB) []string {
		return func(t testing.TB) []string {
			k := fixtures.Find(t, fixture)
			return append([]string{"--kernel", k.BzImage, "--vmlinux", k.Vmlinux}, args...)
		}
	}
	for _, c := range []struct {
		name    string
		args    func(testing.TB) []string
		code    int
		verdict string
		want    map[string]string // path: value as JSON
	}{
		{"dead 6.1", boot(fixtures.Seed61), 1, "bad", map[string]string{
			"class": `"early-exception"`, "blame": `"kernel"`, "cause.function": `"__SetPageReserved"`, "cause.file": `"include/linux/page-flags.h"`,
			"cause.exception.vector": `6`, "cause.exception.name": `"#UD"`, "cause.instruction": `"ud2"`, "cause.bug.warning": `false`,
			"cause.inlined_into": `["init_unavailable_range"]`,
		}},
		{"dead 6.12", boot(fixtures.Seed612, "--smp", "2", "--values", "all", "--values-depth", "1"), 1, "bad", map[string]string{
			"class": `"early-exception"`, "cause.function": `"__SetPageReserved"`, "cause.exception.vector": `6`,
		}},
		{"dead, and who wrote", boot(fixtures.Seed61, "--accel", "tcg", "--who-wrote", "auto"), 1, "bad", map[string]string{"class": `"early-exception"`}},
		{"dead without a vmlinux", func(t testing.TB) []string { return []string{"--kernel", fixtures.Find(t, fixtures.Seed61).BzImage} }, 1, "bad", nil},
		{"good", boot(fixtures.Good61, "--until", "console", "--accel", "tcg", "--cpu", "Nehalem"), 0, "good", map[string]string{
			"class": `"ok"`, "blame": `""`, "machine.cpu": `"Nehalem"`,
		}},
		{"good, with checks", boot(fixtures.Good61, "--accel", "tcg", "--check", "echo a", "--check", "printf 'TAP version 13\n1..1\nok 1 x # SKIP y\n'; exit 3"), 0, "good",
			map[string]string{"class": `"ok"`, "checks.0.status": "0", "checks.0.output": `["a"]`, "checks.1.status": "3", "subtests.0.status": `"skip"`}},
		{"refused", func(testing.TB) []string { return []string{"--kernel", text} }, 129, "skip", map[string]string{"blame": `"usage"`, "class": `""`}},
		{"no qemu", boot(fixtures.Seed61, "--qemu", "no-such-qemu"), 131, "skip", map[string]string{"blame": `"infrastructure"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("kcatch", append([]string{"boot", "--json", "-", "--out", t.TempDir()}, c.args(t)...)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, _ := cmd.Output() // the code is looked at below
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d\n%s", got, c.code, stderr.Bytes())
			}
			dec := json.NewDecoder(bytes.NewReader(stdout))
			dec.UseNumber()
			var result map[string]any
			if err := dec.Decode(&result); err != nil {
				t.Fatalf("standard output: %v\n%s", err, stdout)
			}
			if _, err := dec.Token(); err != io.EOF {
				t.Errorf("standard output has more than the result: %v", err)
			}
			if err := published.Validate(stdout); err != nil {
				t.Errorf("not by the published schema: %v", err)
			}
			if result["verdict"] != c.verdict {
				t.Errorf("verdict %v, want %s", result["verdict"], c.verdict)
			}
			if empty := result["class"] == ""; empty != (c.verdict == "skip") {
				t.Errorf("class %q with the verdict %s", result["class"], c.verdict)
			}
			contract.check(t, "", result, result["verdict"] == "bad")
			for _, path := range slices.Sorted(maps.Keys(c.want)) {
				got, err := json.Marshal(valueAt(result, path))
				if err != nil || string(got) != c.want[path] {
					t.Errorf("%s is %s, want %s", path, got, c.want[path])
				}
			}
		})
	}
}

func valueAt(v any, path string) any {
	for _, key := range strings.Split(path, ".") {
		if list, ok := v.([]any); ok {
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(list) {
				return nil
			}
			v = list[i]
			continue
		}
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

// contract is a line of the file by its path.
type contract map[string]clause

type clause struct {
	presence, kind string
	pattern        *regexp.Regexp
}

func readContract(t *testing.T, file string) contract {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := contract{}
	for i, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) < 3 || !slices.Contains([]string{"always", "bad", "some", "added"}, f[1]) {
			t.Fatalf("%s:%d: %s", file, i+1, line)
		}
		cl := clause{presence: f[1], kind: f[2]}
		if len(f) > 3 {
			cl.pattern = regexp.MustCompile("^(?:" + strings.Join(f[3:], " ") + ")$")
		}
		c[f[0]] = cl
	}
	return c
}

// check holds a value and all below it to the contract. path is its place in the file.
func (c contract) check(t *testing.T, path string, value any, bad bool) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		if strings.HasSuffix(path, "frames[]") {
			path = "FRAME"
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at := strings.TrimPrefix(path+"."+key, ".")
			cl, ok := c[at]
			if !ok {
				cl, ok = c[path+".*"]
			}
			if !ok {
				t.Errorf("%s: not in the contract", at)
				continue
			}
			cl.value(t, at, v[key])
			c.check(t, at, v[key], bad)
		}
		for _, at := range slices.Sorted(maps.Keys(c)) {
			parent, key := "", at
			if i := strings.LastIndexByte(at, '.'); i >= 0 {
				parent, key = at[:i], at[i+1:]
			}
			must := c[at].presence == "always" || bad && c[at].presence == "bad"
			if _, has := v[key]; parent == path && must && !has && key != "*" && !strings.HasSuffix(key, "[]") {
				t.Errorf("%s: missing", at)
			}
		}
	case []any:
		for _, member := range v {
			cl, ok := c[path+"[]"]
			if !ok {
				t.Errorf("%s[]: not in the contract", path)
				return
			}
			cl.value(t, path+"[]", member)
			c.check(t, path+"[]", member, bad)
		}
	}
}

var hexValue = regexp.MustCompile(`^0x[0-9a-f]{1,16}$`)

// value checks one value's type and text.
func (cl clause) value(t *testing.T, at string, value any) {
	t.Helper()
	is := fmt.Sprintf("%T", value)
	switch v := value.(type) {
	case string:
		is = "string"
		if cl.kind == "hex" && hexValue.MatchString(v) {
			is = "hex"
		}
		if cl.pattern != nil && !cl.pattern.MatchString(v) {
			t.Errorf("%s: %q does not match %s", at, v, cl.pattern)
		}
	case json.Number:
		is = "number"
		if _, err := v.Int64(); err == nil && strings.TrimSuffix(cl.kind, "|null") == "int" {
			is = "int"
		}
	case bool:
		is = "bool"
	case map[string]any:
		is = "object"
	case []any:
		is = "list"
	}
	kind, nullable := strings.CutSuffix(cl.kind, "|null")
	if is != kind && (!nullable || value != nil) {
		t.Errorf("%s: is a %s (%v), want %s", at, is, value, cl.kind)
	}
}
