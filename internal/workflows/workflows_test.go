package workflows

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const top = "../.."

func load(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := yaml.Unmarshal(data, &m); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// scripts are the values of "run", "script" and "before_script" wherever they stand, by where that is.
func scripts(at string, v any, found map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, w := range v {
			lines, isList := w.([]any)
			text, isText := w.(string)
			switch {
			case isText && k == "run":
				found[at+"."+k] = text
			case isList && (k == "script" || k == "before_script"):
				for i, l := range lines {
					found[fmt.Sprintf("%s.%s[%d]", at, k, i)] = l.(string)
				}
			default:
				scripts(at+"."+k, w, found)
			}
		}
	case []any:
		for i, w := range v {
			scripts(fmt.Sprintf("%s[%d]", at, i), w, found)
		}
	}
}

// TestScripts: a shell can read every script, and none has an expression in it: GitHub pastes its value in before a shell reads it, and so a
// branch called "$(id)" would be run.
func TestScripts(t *testing.T) {
	for name, want := range map[string]int{"action.yml": 4, ".github/workflows/ci.yml": 6, "docs/ci/gitlab-ci.yml": 6} {
		found := map[string]string{}
		scripts(name, load(t, name), found)
		if len(found) != want {
			t.Errorf("%s has %d scripts, want %d", name, len(found), want)
		}
		for at, script := range found {
			if strings.Contains(script, "${{") {
				t.Errorf("%s has an expression: %s", at, script)
			}
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", at, err, out)
			}
		}
	}
}

// keys fails for what is not among the known.
func keys(t *testing.T, at string, m map[string]any, known ...string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, k) {
			t.Errorf("%s: unknown key %q", at, k)
		}
	}
}

// steps of the action, by name. GitHub, "Metadata syntax reference": a step that runs a script names its shell.
func steps(t *testing.T) map[string]map[string]any {
	t.Helper()
	action := load(t, "action.yml")
	keys(t, "action.yml", action, "name", "description", "inputs", "runs")
	for name, in := range action["inputs"].(map[string]any) {
		keys(t, "inputs."+name, in.(map[string]any), "description", "default")
	}
	runs := action["runs"].(map[string]any)
	keys(t, "runs", runs, "using", "steps")
	if runs["using"] != "composite" {
		t.Errorf("using %v", runs["using"])
	}
	found := map[string]map[string]any{}
	for _, s := range runs["steps"].([]any) {
		step := s.(map[string]any)
		name := step["name"].(string)
		found[name] = step
		if _, ok := step["run"]; ok {
			keys(t, name, step, "name", "id", "shell", "env", "if", "run")
			if step["shell"] != "bash" {
				t.Errorf("%s: shell %v", name, step["shell"])
			}
			continue
		}
		keys(t, name, step, "name", "id", "uses", "with", "if")
	}
	return found
}

// TestAction runs the scripts of the action with a kcatch that writes what it was called with, and inputs that mean harm.
func TestAction(t *testing.T) {
	all := steps(t)
	dir, work := t.TempDir(), t.TempDir()
	out := filepath.Join(dir, "temp", "kcatch")
	for _, d := range []string{filepath.Join(dir, "bin"), out} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fake := "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$RUNNER_TEMP/argv\"\necho '# smoke' >\"$RUNNER_TEMP/kcatch/summary.md\"\necho '::error::dead' >\"$RUNNER_TEMP/kcatch/annotations\"\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "bin", "kcatch"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(step string, env ...string) (string, error) {
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", all[step]["run"].(string)) // as GitHub runs it
		cmd.Dir = work
		cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "GITHUB_ACTION_PATH="+dir, "RUNNER_TEMP="+filepath.Join(dir, "temp"),
			"GITHUB_STEP_SUMMARY="+filepath.Join(dir, "step-summary"))
		text, err := cmd.CombinedOutput()
		return string(text), err
	}

	sinks := []string{"--out", out + "/cells", "--json", out + "/smoke.json", "--junit", out + "/smoke.xml", "--sarif", out + "/smoke.sarif",
		"--html", out + "/smoke.html", "--github", out + "/annotations", "--markdown", out + "/summary.md"}
	tests := []struct {
		name, tree, profile, args string
		want                      []string
	}{
		{"nothing is given", "", "", "", slices.Concat([]string{"smoke"}, sinks)},
		{"all are given", "my linux", "ci.yaml", "--shard 1/2  --retries 1",
			slices.Concat([]string{"smoke", "--shard", "1/2", "--retries", "1", "--profile", "ci.yaml"}, sinks, []string{"--", "my linux"})},
		{"they mean harm", "--help; touch x", "$(touch x)", "*  `touch x` ;touch x & ../*",
			slices.Concat([]string{"smoke", "*", "`touch", "x`", ";touch", "x", "&", "../*", "--profile", "$(touch x)"}, sinks, []string{"--", "--help; touch x"})},
	}
	for _, tt := range tests {
		text, err := run("Smoke", "SMOKE_TREE="+tt.tree, "SMOKE_PROFILE="+tt.profile, "SMOKE_ARGS="+tt.args)
		if fmt.Sprint(err) != "exit status 1" || text != "" {
			t.Errorf("%s: %v, not kcatch's exit code: %s", tt.name, err, text)
		}
		argv, _ := os.ReadFile(filepath.Join(dir, "temp", "argv")) // none: the comparison fails
		if got := strings.Split(strings.TrimSuffix(string(argv), "\n"), "\n"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: called with\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(work, "*")); len(left) > 0 {
		t.Errorf("an input was run: %v", left)
	}
	if env := all["Smoke"]["env"].(map[string]any); env["SMOKE_TREE"] != "${{ inputs.tree }}" || env["SMOKE_PROFILE"] != "${{ inputs.profile }}" || env["SMOKE_ARGS"] != "${{ inputs.args }}" {
		t.Errorf("the inputs do not get there: %v", env)
	}

	text, err := run("Report")
	summary, _ := os.ReadFile(filepath.Join(dir, "step-summary")) // none: the comparison fails
	if err != nil || text != "::error::dead\n" || string(summary) != "# smoke\n" {
		t.Errorf("report: %v: %q, summary %q", err, text, summary)
	}
	for _, f := range []string{"summary.md", "annotations"} {
		if err := os.Remove(filepath.Join(out, f)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := run("Report"); err != nil || text != "" {
		t.Errorf("report of a run that was refused: %v: %q", err, text)
	}
}

// TestGitLab: no key but those that GitLab knows. ("CI/CD YAML syntax reference"; the file was also held to GitLab's own JSON schema, which
// is not in this repository.)
func TestGitLab(t *testing.T) {
	file := load(t, "docs/ci/gitlab-ci.yml")
	if len(file) != 1 {
		t.Errorf("jobs: %d", len(file))
	}
	job := file["kernel-smoke"].(map[string]any)
	keys(t, "job", job, "image", "parallel", "timeout", "variables", "cache", "before_script", "script", "artifacts")
	keys(t, "cache", job["cache"].(map[string]any), "key", "when", "paths")
	artifacts := job["artifacts"].(map[string]any)
	keys(t, "artifacts", artifacts, "when", "expire_in", "expose_as", "paths", "exclude", "reports")
	keys(t, "reports", artifacts["reports"].(map[string]any), "junit")
	if n, ok := job["parallel"].(int); !ok || n < 2 || n > 200 {
		t.Errorf("parallel: %v", job["parallel"])
	}
	script := fmt.Sprint(job["script"])
	for _, want := range []string{`--shard "$CI_NODE_INDEX/$CI_NODE_TOTAL"`, "--junit " + artifacts["reports"].(map[string]any)["junit"].(string) + " "} {
		if !strings.Contains(script, want) {
			t.Errorf("no %s in %s", want, script)
		}
	}
}
