package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

func configOf(t *testing.T, lines ...string) kconfig.Config {
	t.Helper()
	c, err := kconfig.Parse(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWithoutKeys(t *testing.T) {
	tree := fakeKernel(t)
	writeFiles(t, tree, map[string]string{"certs/mine.pem": "x"})
	for _, c := range []struct{ name, line, want string }{
		{"Debian's", `CONFIG_SYSTEM_TRUSTED_KEYS="debian/certs/debian-uefi-certs.pem"`, `CONFIG_SYSTEM_TRUSTED_KEYS=""`},
		{"Ubuntu's", `CONFIG_SYSTEM_REVOCATION_KEYS="debian/canonical-revoked-certs.pem"`, `CONFIG_SYSTEM_REVOCATION_KEYS=""`},
		{"a signing key", `CONFIG_MODULE_SIG_KEY="/root/none.pem"`, `CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"`},
		{"the one that the build makes", `CONFIG_MODULE_SIG_KEY="certs/signing_key.pem"`, ""},
		{"a token", `CONFIG_MODULE_SIG_KEY="pkcs11:token=x"`, ""},
		{"one that is there", `CONFIG_SYSTEM_TRUSTED_KEYS="certs/mine.pem"`, ""},
		{"none", `CONFIG_SYSTEM_TRUSTED_KEYS=""`, ""},
		{"off", `# CONFIG_SYSTEM_TRUSTED_KEYS is not set`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, notes := withoutKeys(configOf(t, c.line), tree)
			if strings.TrimSpace(string(got.Render())) != c.want || (len(notes) > 0) != (c.want != "") {
				t.Errorf("%s: %q, %q, want %q", c.line, got.Render(), notes, c.want)
			}
		})
	}
}

func TestLost(t *testing.T) {
	base := configOf(t, "CONFIG_A=y", "CONFIG_B=y", "CONFIG_C=m", "CONFIG_D=y", "CONFIG_E=y", "CONFIG_CC_HAS_X=y", "CONFIG_N=5", `CONFIG_S="x"`, "# CONFIG_OFF is not set", "CONFIG_KEPT=y")
	for _, c := range []struct {
		final []string
		want  string
	}{
		{[]string{"CONFIG_KEPT=y"}, "base: not in this kernel: A, B, C and 1 more"},
		{[]string{"CONFIG_A=y", "CONFIG_B=m", "CONFIG_C=y", "CONFIG_KEPT=y"}, "base: not in this kernel: D"},
		{[]string{"CONFIG_A=y", "CONFIG_B=y", "CONFIG_C=m", "CONFIG_D=y", "CONFIG_KEPT=y", "CONFIG_OFF=y"}, ""},
	} {
		if got := lost(base, configOf(t, c.final...), configOf(t, "CONFIG_E=y")); got != c.want {
			t.Errorf("%v: %q, want %q", c.final, got, c.want)
		}
	}
}

// A base is lenient, a fragment strict: the same line is a note here and a refusal there.
func TestBaseIsLenient(t *testing.T) {
	b, r := request(t)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"my.config": "CONFIG_X86_64=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"debian/certs/x.pem\"\nCONFIG_GONE=y\n", "f.config": "CONFIG_GONE=y\nCONFIG_OTHER=y\n"})
	r.Base = filepath.Join(dir, "my.config")
	var notes []string
	b.Progress = func(p Progress) {
		if p.Stage == StageConfigure {
			notes = append(notes, p.Note)
		}
	}
	writeFiles(t, r.Tree, map[string]string{"Kconfig": "config X86_64\n\tbool\n# DROPS GONE\n# DROPS OTHER\n"}) // to the fake olddefconfig
	out := mustBuild(t, &b, r)
	if text := readFile(t, out.Config); strings.Contains(text, "debian/certs") || strings.Contains(text, "GONE") {
		t.Errorf("configuration:\n%s", text)
	}
	all := strings.Join(notes, "\n")
	for _, want := range []string{"base: no debian/certs/x.pem here, so SYSTEM_TRUSTED_KEYS is left out", "base: not in this kernel: GONE"} {
		if !strings.Contains(all, want) {
			t.Errorf("no note %q in\n%s", want, all)
		}
	}
	r.Fragments = []string{filepath.Join(dir, "f.config")}
	_, err := b.Build(t.Context(), r)
	wantBlame(t, err, blame.Build, "f.config:1: GONE: wanted y, got n: no Kconfig file of this tree defines it", "(and 1 more)", "take the line out")
	if d := blame.Detail(err); strings.Contains(d, "GONE") || !strings.Contains(d, "f.config:2: OTHER: ") {
		t.Errorf("detail %q: the others, each with its line, and not the headline again", d)
	}
}

// pahole's absence shows in the last minute of a build; it is said before the first.
func TestToolsOfAConfiguration(t *testing.T) {
	b, r := request(t)
	bin := t.TempDir()
	for _, tool := range []string{"sh", "grep", "cat", "cp", "mkdir", "sed", "echo"} {
		for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
			if _, err := os.Stat(filepath.Join(dir, tool)); err == nil {
				os.Symlink(filepath.Join(dir, tool), filepath.Join(bin, tool))
				break
			}
		}
	}
	fakes, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	t.Setenv("PATH", fakes+string(os.PathListSeparator)+bin)
	name := filepath.Join(t.TempDir(), "btf.config")
	writeFiles(t, filepath.Dir(name), map[string]string{"btf.config": "CONFIG_X86_64=y\nCONFIG_DEBUG_INFO_BTF=y\n"})
	r.Base = name
	_, err := b.Build(t.Context(), r)
	wantBlame(t, err, blame.Infrastructure, "configure: not installed: pahole, which CONFIG_DEBUG_INFO_BTF needs", "apt-get install --no-install-recommends pahole")
	if runs, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "runs")); len(runs) > 0 {
		t.Error("make had begun to build")
	}
}
