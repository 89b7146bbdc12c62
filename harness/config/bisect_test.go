package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"kcatch/internal/blame"
)

func resolveBisect(t *testing.T, env map[string]string, args ...string) (Bisect, Resolved, error) {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	BindBisectFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return ResolveBisect(fs, lookup, []string{"oops", "bug"}, []string{"signature", "class", "any"})
}

func TestBisectSettings(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "nightly.yaml")
	text := "memory: 512M\nmatch: class\nconfidence: 0.9\njobs: 4\nfirst-parent: true\npatch-fix: ['v1:a.diff', 'v2:b.diff']\n"
	if err := os.WriteFile(profile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		want Bisect
		from map[string]string // origins
	}{
		{"defaults", nil, nil, Bisect{Match: "signature", Confidence: 0.99, Jobs: 1}, map[string]string{"match": "default", "fixed": "default"}},
		{"flags", nil, []string{"--match=any", "--confidence=0.999", "--jobs=2", "--first-parent", "--fixed", "--patch-fix=v1:f"},
			Bisect{Match: "any", Confidence: 0.999, Jobs: 2, FirstParent: true, Fixed: true, PatchFix: []string{"v1:f"}}, map[string]string{"jobs": "flag"}},
		{"environment", map[string]string{"KCATCH_MATCH": "class", "KCATCH_CONFIDENCE": "0.95", "KCATCH_JOBS": "3", "KCATCH_FIXED": "yes", "KCATCH_PATCH_FIX": "a:b c:d"}, nil,
			Bisect{Match: "class", Confidence: 0.95, Jobs: 3, Fixed: true, PatchFix: []string{"a:b", "c:d"}}, map[string]string{"match": "KCATCH_MATCH"}},
		{"profile", nil, []string{"--profile", profile},
			Bisect{Match: "class", Confidence: 0.9, Jobs: 4, FirstParent: true, PatchFix: []string{"v1:a.diff", "v2:b.diff"}}, map[string]string{"match": profile + ":2", "jobs": profile + ":4"}},
		{"flag over environment over profile", map[string]string{"KCATCH_MATCH": "any", "KCATCH_JOBS": "2"}, []string{"--profile", profile, "--jobs", "5"},
			Bisect{Match: "any", Confidence: 0.9, Jobs: 5, FirstParent: true, PatchFix: []string{"v1:a.diff", "v2:b.diff"}}, map[string]string{"match": "KCATCH_MATCH", "jobs": "flag", "confidence": profile + ":3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, res, err := resolveBisect(t, c.env, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if got.Match != c.want.Match || got.Confidence != c.want.Confidence || got.Jobs != c.want.Jobs || got.FirstParent != c.want.FirstParent ||
				got.Fixed != c.want.Fixed || !slices.Equal(got.PatchFix, c.want.PatchFix) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			for key, want := range c.from {
				if i := slices.IndexFunc(res.Values, func(v Value) bool { return v.Key == key }); i < 0 || res.Values[i].Origin != want {
					t.Errorf("%s is from %+v, want %s", key, res.Values, want)
				}
			}
			if slices.Contains(res.Elsewhere, "KCATCH_JOBS") || !slices.Contains(res.Elsewhere, "KCATCH_RETRIES") {
				t.Errorf("of other verbs: %v", res.Elsewhere)
			}
		})
	}
}

func TestBisectRefusals(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, []string{"--match=exactly"}, `--match: "exactly" is not one of signature, class, any`},
		{map[string]string{"KCATCH_MATCH": "clas"}, nil, `KCATCH_MATCH: "clas" is not one of`},
		{nil, []string{"--confidence=1"}, "--confidence: 1 is not above 0.5 and below 1"},
		{nil, []string{"--confidence=NaN"}, "--confidence: NaN is not above"},
		{map[string]string{"KCATCH_CONFIDENCE": "high"}, nil, "KCATCH_CONFIDENCE: high is not above"},
		{nil, []string{"--jobs=0"}, "--jobs: 0 is not from 1 to 64"},
		{map[string]string{"KCATCH_JOBS": "65"}, nil, "KCATCH_JOBS: 65 is not from 1 to 64"},
		{nil, []string{"--patch-fix=misfit.diff"}, "--patch-fix: misfit.diff: not COMMIT:FILE"},
		{map[string]string{"KCATCH_PATCH_FIX": ":x"}, nil, "KCATCH_PATCH_FIX: :x: not COMMIT:FILE"},
		{nil, []string{"--memory=1"}, "--memory: "},
	} {
		_, _, err := resolveBisect(t, c.env, c.args...)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || blame.Of(err) != blame.Usage {
			t.Errorf("%v %v: %v, want %s", c.env, c.args, err, c.want)
		}
	}
}

// A profile for another verb is refused by boot with the verb that it is for, and its variables are no typing errors.
func TestKeysOfOtherVerbs(t *testing.T) {
	for text, hint := range map[string]string{
		"match: any\n": "it is a setting of kcatch bisect", "jobs: 2\n": "it is a setting of kcatch bisect and smoke", "retries: 1\n": "it is a setting of kcatch smoke",
	} {
		profile := filepath.Join(t.TempDir(), "other.yaml")
		if err := os.WriteFile(profile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		BindBootFlags(fs)
		if err := fs.Parse([]string{"--profile", profile}); err != nil {
			t.Fatal(err)
		}
		_, _, err := ResolveBoot(fs, func(string) (string, bool) { return "", false }, nil, nil)
		if err == nil || blame.Hint(err) != hint || !strings.Contains(err.Error(), "other.yaml:1: unknown key") {
			t.Errorf("%q: %v (%s), want the hint %s", text, err, blame.Hint(err), hint)
		}
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	BindBootFlags(fs)
	_, res, err := ResolveBoot(fs, func(string) (string, bool) { return "", false }, nil, []string{"oops", "bug"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"KCATCH_MATCH", "KCATCH_CONFIDENCE", "KCATCH_JOBS", "KCATCH_FIRST_PARENT", "KCATCH_FIXED", "KCATCH_PATCH_FIX", "KCATCH_KEEP"} {
		if !slices.Contains(res.Elsewhere, name) {
			t.Errorf("%s is not known: %v", name, res.Elsewhere)
		}
	}
}
