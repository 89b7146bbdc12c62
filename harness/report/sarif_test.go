package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"kcatch/harness/verdict"
	"kcatch/internal/schema"
)

// readSARIF reads what a viewer shows: no links, rules that are there.
func readSARIF(text string, _ *verdict.Smoke) error {
	var log sarifLog
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&log); err != nil {
		return err
	}
	messages := []sarifMessage{}
	for _, n := range log.Runs[0].Invocations[0].Notifications {
		messages = append(messages, n.Message)
	}
	for _, r := range log.Runs[0].Results {
		if rule := log.Runs[0].Tool.Driver.Rules[r.RuleIndex]; rule.ID != r.RuleID {
			return errors.New("the rule " + r.RuleID + " is not at its index")
		}
		messages = append(messages, r.Message)
		for _, l := range r.Locations {
			if l.Physical != nil && (strings.HasPrefix(l.Physical.Artifact.URI, "/") || strings.Contains(l.Physical.Artifact.URI, "..")) {
				return errors.New("a file outside of the tree: " + l.Physical.Artifact.URI)
			}
		}
	}
	for _, m := range messages {
		if strings.Contains(m.Text, "](") || strings.Count(strings.ReplaceAll(m.Text, "{{", ""), "{") > 0 {
			return errors.New("a link or an argument: " + m.Text)
		}
	}
	return nil
}

// TestSARIFByTheStandard: what is written is by OASIS's schema, without a key that it does not have, and a library of another's reads
// the results back.
func TestSARIFByTheStandard(t *testing.T) {
	s, err := schema.Parse(oasisSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, smoke := range map[string]*verdict.Smoke{"example": exampleSmoke(), "attack": everyAttack(), "empty": {}} {
		text := written(t, SARIF, smoke)
		if err := s.Validate(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if broken := bytes.Replace(text, []byte(`"version": "2.1.0"`), []byte(`"version": "2.1.1"`), 1); s.Validate(broken) == nil {
			t.Errorf("%s: the schema takes another version", name)
		}
		log, err := sarif.FromBytes(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(log.Runs[0].Results), len(findings(smoke)); got != want {
			t.Errorf("%s: %d results, want %d", name, got, want)
		}
	}
	log, err := sarif.FromBytes(written(t, SARIF, exampleSmoke()))
	if err != nil {
		t.Fatal(err)
	}
	at := log.Runs[0].Results[1].Locations[0].PhysicalLocation
	if *at.ArtifactLocation.URI != "include/linux/page-flags.h" || *at.Region.StartLine != 503 {
		t.Errorf("the place of the death is %s:%d", *at.ArtifactLocation.URI, *at.Region.StartLine)
	}
}

// oasisSchema is sarif-schema-2.1.0.json of OASIS (errata 01), which go-sarif carries as a constant.
func oasisSchema(t *testing.T) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "pkg", "report", "v210", "sarif", "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := strconv.Unquote(file.Scope.Lookup("schema").Decl.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func FuzzSARIF(f *testing.F) { fuzzSink(f, "smoke.sarif") }
