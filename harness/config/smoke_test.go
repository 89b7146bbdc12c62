package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"kcatch/configs"
	"kcatch/internal/blame"
)

// smoke resolves a command line with a profile of its own; an empty profile is the default one. env are NAME=VALUE.
func smoke(t testing.TB, profile string, line []string, env ...string) (Smoke, Resolved, error) {
	t.Helper()
	fs := pflag.NewFlagSet("smoke", pflag.ContinueOnError)
	BindSmokeFlags(fs)
	fs.String("only", "", "a flag of the verb")
	if profile != "" {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(profile), 0o644); err != nil {
			t.Fatal(err)
		}
		line = append([]string{"--profile", filepath.Join(dir, "p.yaml")}, line...)
	}
	if err := fs.Parse(line); err != nil {
		return Smoke{}, Resolved{}, FlagError(fs, err)
	}
	lookup := func(name string) (string, bool) {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}
	return ResolveSmoke(fs, lookup, fs.Args(), classes)
}

func cellNames(s Smoke) string {
	var names []string
	for _, c := range s.Cells {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// elfDir has an empty file called vmlinux.
func elfDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vmlinux"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSmokeNames(t *testing.T) {
	dir := elfDir(t)
	for _, c := range []struct{ name, profile, line, want string }{
		{"the default", "", "", "debian-6.1/q35 debian-6.1/q35-smp2 debian-6.1/microvm debian-6.1/microvm-smp2"},
		{"a TREE", "", "/src/linux-6.1.20.tar.xz", "linux-6.1.20/q35 linux-6.1.20/q35-smp2 linux-6.1.20/microvm linux-6.1.20/microvm-smp2"},
		{"the working directory", "", ".", "config/q35 config/q35-smp2 config/microvm config/microvm-smp2"},
		{"an empty profile", "# nothing\n", "", "debian-6.1/q35"},
		{"a kernel that is there", "checks: [{run: 'true'}]\n", "--kernel DIR/vmlinux", "vmlinux/q35"},
		{"words", "kernels: [debian-6.1, debian-6.12]\nmachines: [q35, 'pc,smm=off']\nappend: [quiet, debug nokaslr]\n", "",
			"debian-6.1/q35/quiet debian-6.1/q35/debug-nokaslr debian-6.1/pc/quiet debian-6.1/pc/debug-nokaslr " +
				"debian-6.12/q35/quiet debian-6.12/q35/debug-nokaslr debian-6.12/pc/quiet debian-6.12/pc/debug-nokaslr"},
		{"a number stays as it is written", "kernels: [{name: 6.10, tree: x}]\n", "", "6.10/q35"},
		{"a member for TREE among others", "kernels: [{name: mine}, {tree: debian-6.12}]\n", "/src/linux", "mine/q35 debian-6.12/q35"},
		{"exclude", "kernels: [a, b]\nmachines: [q35, pc]\nappend: [{name: plain}, quiet]\n" +
			"exclude: [{kernel: a, machine: p*}, {append: quiet, kernel: '[b-z]'}]\n", "", "a/q35/plain a/q35/quiet b/q35/plain b/pc/plain"},
		{"aliases", "kernels: [&k {name: a, tree: x}]\nmachines: &m [q35, pc]\nexclude: [{kernel: a, machine: pc}]\n", "", "a/q35"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, err := smoke(t, c.profile, strings.Fields(strings.ReplaceAll(c.line, "DIR", dir)))
			if got := cellNames(s); err != nil || got != c.want {
				t.Errorf("got  %s\nwant %s\n%v", got, c.want, err)
			}
		})
	}
}

// TestSmokeCells: what each layer gives a cell.
func TestSmokeCells(t *testing.T) {
	dir := elfDir(t)
	profile := strings.ReplaceAll(`timeout: 60s
fail-on: [oops]
run: uname -a ${HOME}
retries: 2
jobs: 3
keep: 4
kernels:
  - {name: old, tree: ~/linux, patch: ["${PATCHES}/a.diff"], expect: oops, timeout: 70s, append-args: k=1, values: all}
  - {name: built, kernel: DIR/vmlinux, vmlinux: DIR/vmlinux, workload: memory}
machines:
  - {name: small, memory: 128M, cpu: max, timeout: 80, smp: 2}
  - {name: odd, machine: pc, expect: ok, accel: tcg}
append: [{name: plain}, {name: loud, args: debug, expect: "panic:panic"}]
checks: [{run: 'true'}, {name: net, run: ip link, timeout: 5s}, {script: DIR/vmlinux}]
allow: [{signature: 'warn/*', owner: me, reason: "#12", expires: 2020-01-31, cells: 'old/*'}]
`, "DIR", dir)
	s, res, err := smoke(t, profile, []string{"--append", "last", "--config", "kasan"}, "HOME=/root", "PATCHES=/p", "KCATCH_PATCHES=x", "KCATCH_SMP=4", "KCATCH_VALUES=none",
		"KCATCH_TREE=elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if s.Retries != 2 || s.Jobs != 3 || s.Keep != 4 || s.AllowFlaky || len(s.Cells) != 8 {
		t.Errorf("%+v", s)
	}
	if want := []SmokeAllow{{"warn/*", "old/*", "me", "#12", "2020-01-31"}}; !reflect.DeepEqual(s.Allow, want) {
		t.Errorf("allow %+v", s.Allow)
	}
	base := Boot{Base: "tiny", Memory: 256 << 20, SMP: 1, Machine: "q35", Accel: "auto", Until: "init", FailOn: []string{"oops"}, Repeat: 1,
		Run: "uname -a ${HOME}", Values: "none"}
	first, last := base, base
	first.Tree, first.Patch, first.Config, first.Append, first.Expect = "/root/linux", []string{"/p/a.diff"}, []string{"kasan"}, "k=1 last", "oops"
	first.Memory, first.CPU, first.SMP, first.Timeout = 128<<20, "max", 2, 80*time.Second
	last.Base, last.Kernel, last.Vmlinux = "", dir+"/vmlinux", dir+"/vmlinux"
	last.Machine, last.Accel, last.Timeout, last.Append, last.Expect = "pc", "tcg", 60*time.Second, "debug last", "panic:panic"
	for i, want := range map[int]Boot{0: first, 7: last} {
		if got := s.Cells[i].Boot; !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", s.Cells[i].Name, got, want)
		}
	}
	if e := s.Cells[2].Boot.Expect; e != "" { // ok of the machine is over the kernel's oops
		t.Errorf("%s expects %q", s.Cells[2].Name, e)
	}
	if s.Cells[0].Workload != "" || s.Cells[7].Workload != "memory" {
		t.Errorf("workloads %q, %q", s.Cells[0].Workload, s.Cells[7].Workload)
	}
	c := s.Cells[0].Checks
	if len(c) != 3 || c[0].Name != "true" || c[1].Limit != 5*time.Second || c[2].Name != "vmlinux" || c[2].Script != dir+"/vmlinux" {
		t.Errorf("checks %+v", c)
	}
	notes := strings.Join(res.Notes, "\n")
	if !strings.Contains(notes, "--config: not for the kernel built, which is not built") || !strings.Contains(notes, "KCATCH_SMP is not of smoke: machines stand") {
		t.Errorf("notes %q", notes)
	}
	for _, want := range []Value{{"timeout", "60s", "p.yaml:1"}, {"append", "last", "flag"}, {"values", "none", "KCATCH_VALUES"}, {"jobs", "3", "p.yaml:5"}} {
		found := false
		for _, v := range res.Values {
			found = found || v.Key == want.Key && v.Value == want.Value && strings.HasSuffix(v.Origin, want.Origin)
		}
		if !found {
			t.Errorf("no %+v in %+v", want, res.Values)
		}
	}
}

// TestSmokeKnowsBootsFlags: each setting of a boot is a cell's, the run's or refused; none is taken and ignored.
func TestSmokeKnowsBootsFlags(t *testing.T) {
	for _, k := range bootKeys() {
		n := 0
		for _, list := range [][]string{cellWide, ofKernel, {"profile", "json", "out", "quiet", "verbose", "no-color", "plain", "only"}} {
			if slices.Contains(list, k.name) {
				n++
			}
		}
		if isNotOfSmoke(k.name) {
			n++
		}
		if n != 1 {
			t.Errorf("%s is in %d lists", k.name, n)
		}
	}
}

// TestSmokeFlagsWin: flag, then environment, then the profile.
func TestSmokeFlagsWin(t *testing.T) {
	profile := "jobs: 1\nuntil: console\nkernels: [{tree: a, expect: oops}]\nmachines: [{expect: panic, accel: kvm}]\n"
	s, _, err := smoke(t, profile, []string{"--jobs", "3", "--expect", "bug"}, "KCATCH_JOBS=2", "KCATCH_ACCEL=tcg", "KCATCH_ALLOW_FLAKY=1")
	if err != nil {
		t.Fatal(err)
	}
	if b := s.Cells[0].Boot; s.Jobs != 3 || !s.AllowFlaky || b.Expect != "bug" || b.Accel != "tcg" || b.Until != "console" {
		t.Errorf("%+v", s)
	}
}

func TestSmokeRefusals(t *testing.T) {
	for _, c := range []struct{ name, profile, line, want, hint string }{
		{"key", "kernells: []\n", "", `p.yaml:1: unknown key "kernells"`, "did you mean kernels?"},
		{"key of a kernel", "kernels: [{name: a,\n  pach: [x]}]\n", "", `p.yaml:2: kernels: unknown key "pach"`, "did you mean patch?"},
		{"key of a machine", "machines:\n- name: a\n  cpus: 2\n", "", `p.yaml:3: machines: unknown key "cpus"`, "did you mean cpu?"},
		{"key of a command line", "append: [{arg: x}]\n", "", `p.yaml:1: append: unknown key "arg"`, "args"},
		{"key of a check", "checks: [{cmd: x}]\n", "", `p.yaml:1: checks: unknown key "cmd"`, "checks takes name, run, script, timeout"},
		{"key of exclude", "exclude: [{kernels: x}]\n", "", `p.yaml:1: exclude: unknown key "kernels"`, "did you mean kernel?"},
		{"key of allow", "allow: [{expire: x}]\n", "", `p.yaml:1: allow: unknown key "expire"`, "did you mean expires?"},
		{"a machine's at the top", "machines: [q35]\nsmp: 2\n", "", `p.yaml:2: unknown key "smp"`, "machines: [{smp: ...}]"},
		{"a kernel's at the top", "machines: [q35]\ntree: a\n", "", `p.yaml:2: unknown key "tree"`, "kernels: [{tree: ...}]"},
		{"of boot only", "machines: [q35]\nrepeat: 2\n", "", `p.yaml:2: unknown key "repeat"`, "no setting of a smoke profile"},
		{"a profile of boot", "smp: 2\n", "", `p.yaml:1: unknown key "smp"`, "this is a profile for kcatch boot"},
		{"an embedded profile of boot", "", "--profile quick", "profile quick: a profile for kcatch boot", "there are ci, smoke"},
		{"no such profile", "", "--profile smok", `profile "smok": no such profile or file`, "did you mean smoke?"},
		{"twice", "jobs: 1\njobs: 2\n", "", `p.yaml:2: profile: "jobs" is there twice, first in line 1`, ""},
		{"not YAML", "jobs: 1\nkernels: [\n", "", "p.yaml:2: not YAML: ", "docs/smoke.md"},
		{"two documents", "jobs: 1\n---\njobs: 2\n", "", "p.yaml:2: a second document", ""},
		{"a list", "- kernels\n", "", "p.yaml:1: profile: not a mapping", ""},
		{"a text", "kernels\n", "", "p.yaml:1: profile: not a mapping", ""},
		{"empty list", "kernels: []\n", "", "p.yaml:1: kernels: an empty list", "leave it out"},
		{"nothing", "jobs: 1\nmachines:\n", "", "p.yaml:2: machines: an empty list", "leave it out"},
		{"no list", "kernels: {name: a}\n", "", "p.yaml:1: kernels: not a list", "[...]"},
		{"a list in a list", "kernels: [[a]]\n", "", "p.yaml:1: kernels: not a mapping", ""},
		{"a list for a text", "machines: [{memory: [1G, 2G]}]\n", "", "p.yaml:1: memory: a list where one value belongs", "one value"},
		{"a mapping for a text", "machines: [{memory: {a: b}}]\n", "", "p.yaml:1: memory: not a value", ""},
		{"truth for a text", "kernels: [{tree: true}]\n", "", "p.yaml:1: tree: true where a text belongs", "quotes"},
		{"nothing in a list", "kernels: [{patch: [null]}]\n", "", "p.yaml:1: patch: nothing where a value belongs", ""},
		{"a bad value", "kernels: [a]\nmachines:\n- q35\n- {name: b,\n  memory: lots}\n", "", `p.yaml:5: memory: "lots" is not a size`, "512M"},
		{"a bad class", "append: [{args: quiet, expect: opps}]\n", "", `p.yaml:1: expect: "opps" is not a class of death`, "did you mean oops?"},
		{"ok of a function", "append: [{args: quiet, expect: \"ok:f\"}]\n", "", `p.yaml:1: expect: ok is no death`, ""},
		{"too many tries", "retries: 11\n", "", `p.yaml:1: retries: "11" is not a number from 0 to 10`, ""},
		{"bad jobs", "", "--jobs -1", `--jobs: "-1" is not a number`, ""},
		{"bad name", "kernels: [{name: a/b}]\n", "", `p.yaml:1: kernels: name "a/b"`, "letters"},
		{"dots", "machines: [{name: ..}]\n", "", `p.yaml:1: machines: name ".."`, "letters"},
		{"long name", "machines: [{name: " + strings.Repeat("a", 65) + "}]\n", "", "p.yaml:1: machines: name ", "64"},
		{"twice the name", "machines:\n- q35\n- {machine: q35, smp: 2}\n", "", `p.yaml:3: machines: "q35" is the name of two`, "name:"},
		{"no name", "append: [{args: '==='}]\n", "", "p.yaml:1: append: a member without a name", "name: plain"},
		{"no such file", "kernels: [{name: a, vmlinux: /none}]\n", "", "p.yaml:1: vmlinux: /none: no such file", ""},
		{"no such variable", "kernels:\n- {name: a, kernel: \"${NONE}/x\"}\n", "", "p.yaml:2: kernel: ${NONE} is not set", "set it"},
		{"no home", "kernels: [~/linux]\n", "", "p.yaml:1: tree: no home directory for ~/", ""},
		{"tree and kernel", "kernels: [{name: a, tree: b,\n  vmlinux: /dev/null}]\n", "", "p.yaml:1: tree: a kernel that is there is not built", ""},
		{"TREE for nobody", "kernels: [debian-6.1]\n", "linux", "TREE linux: every kernel of ", "kernels: [{name: mine}]"},
		{"--kernel for nobody", "kernels: [debian-6.1]\n", "--vmlinux /dev/null", "--vmlinux: every kernel of ", "leave it out"},
		{"two TREEs", "", "a b", "one TREE at most, and there are 2", ""},
		{"two lines", "append: [{name: a, args: \"a\\nb\"}]\n", "", "p.yaml:1: args: a kernel's command line is one line", ""},
		{"initrd and run", "run: x\nkernels: [{tree: a, initrd: none}]\n", "", "p.yaml:1: run: only kcatch's own initramfs", ""},
		{"initrd and checks", "checks: [{run: x}]\nkernels: [{tree: a, initrd: none}]\n", "", "p.yaml:1: checks: only kcatch's own initramfs", ""},
		{"check of nothing", "checks: [{name: a}]\n", "", "p.yaml:1: checks: want run or script", ""},
		{"check of two", "checks: [{run: a, script: /dev/null}]\n", "", "p.yaml:1: checks: want run or script", ""},
		{"two checks", "checks: [{run: a}, {run: a}]\n", "", `p.yaml:1: checks: two are called "a"`, ""},
		{"a script that is not there", "checks: [{script: /none}]\n", "", "p.yaml:1: script: /none: no such file", ""},
		{"a check for hours", "checks: [{run: a, timeout: 2h}]\n", "", "p.yaml:1: timeout: 2h0m0s is not whole seconds", ""},
		{"exclude nothing", "exclude: [{}]\n", "", "p.yaml:1: exclude: want kernel", ""},
		{"exclude all", "exclude: [{machine: '*'}]\n", "", "p.yaml:1: exclude: no cell is left", ""},
		{"bad pattern", "exclude: [{machine: '[a'}]\n", "", `p.yaml:1: machine: "[a" is no pattern`, ""},
		{"no owner", "allow: [{signature: a, reason: b, expires: 2027-01-31}]\n", "", "p.yaml:1: allow: no owner", ""},
		{"no day", "allow: [{signature: a, reason: b, owner: c, expires: 2027-02-30}]\n", "", `p.yaml:1: expires: "2027-02-30" is not a day`, "2027-01-31"},
		{"a ring", "kernels: &k [{patch: *k}]\n", "", "p.yaml:1: patch: ", ""},
		{"--smp", "", "--smp 2", "--smp: machines stand in the profile", "smp: 2"},
		{"--who-wrote", "", "--who-wrote auto", "--who-wrote: a smoke test does not ask it", "kcatch boot"},
		{"--repeat", "", "--repeat 2", "--repeat: a smoke test boots each cell once", "--retries"},
		{"--quiet --verbose", "", "--quiet --verbose", "--quiet and --verbose: ", ""},
		{"flag", "", "--retires 2", "unknown flag --retires", "did you mean --retries?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := smoke(t, c.profile, strings.Fields(c.line))
			refused(t, err, c.want, c.hint)
		})
	}
}

func TestSmokeCellsAreBounded(t *testing.T) {
	var k, m []string
	for i := range 65 {
		k, m = append(k, "k"+strings.Repeat("x", i)), append(m, "{name: m"+strings.Repeat("x", i)+"}")
	}
	k, m = k[:60], m[:63]
	_, _, err := smoke(t, "kernels: ["+strings.Join(k[:39], ", ")+"]\nmachines: ["+strings.Join(m, ", ")+"]\nappend: [a, b]\n", nil)
	refused(t, err, "39 kernels on 63 machines with 2 command lines are 4914 cells, more than 4096", "two profiles")
}

// TestEmbeddedSmokeProfiles: each resolves, and no profile is of both kinds.
func TestEmbeddedSmokeProfiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bzImage", "vmlinux"} {
		if err := os.MkdirAll(dir+"/debian-cloud-6.1", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/debian-cloud-6.1/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{"smoke": 4, "ci": 15}
	for _, name := range configs.SmokeProfiles() {
		s, res, err := smoke(t, "", []string{"--profile", name}, "KCATCH_FIXTURES="+dir)
		if err != nil || len(s.Cells) != want[name] || len(res.Notes) > 0 {
			t.Errorf("%s: %d cells, notes %q, %v", name, len(s.Cells), res.Notes, err)
		}
		if _, _, err := resolve(t, []string{"--profile", name}); blame.Hint(err) != "this is a profile for kcatch smoke" {
			t.Errorf("%s, for a boot: %v, %s", name, err, blame.Hint(err))
		}
		for _, c := range s.Cells {
			if must := c.Kernel == "assertion"; must != (c.Boot.Expect == "early-exception:__SetPageReserved") {
				t.Errorf("%s expects %q", c.Name, c.Boot.Expect)
			}
		}
	}
	_, _, err := smoke(t, "", []string{"--profile", "ci"})
	refused(t, err, "profile ci:8: kernel: ${KCATCH_FIXTURES} is not set", "set it")
}

// TestSmokeDocs: the profile of docs/smoke.md resolves as the text says, and its table has every key.
func TestSmokeDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/smoke.md")
	if err != nil {
		t.Fatal(err)
	}
	_, profile, _ := strings.Cut(string(text), "```yaml\n")
	profile, table, ok := strings.Cut(profile, "```\n")
	if !ok {
		t.Fatal("no profile in it")
	}
	dir := elfDir(t)
	for _, name := range []string{"bzImage", "mounts.sh"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("true"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(t.TempDir())
	if err := os.Symlink(dir, "ci"); err != nil {
		t.Fatal(err)
	}
	s, res, err := smoke(t, profile, []string{"linux"}, "BUILDS="+dir)
	if err != nil || len(s.Cells) != 14 || len(res.Notes) > 0 || s.Cells[0].Name != "mine/q35/plain" || s.Cells[0].Boot.Tree != "linux" || len(s.Allow) != 1 {
		t.Errorf("%s: %q, %v", cellNames(s), res.Notes, err)
	}
	words := strings.FieldsFunc(table, func(r rune) bool { return strings.ContainsRune(" `,;|()\n", r) })
	for _, key := range slices.Concat(topKeys, kernelKeys, machineKeys, appendKeys) {
		if !slices.Contains(words, key) {
			t.Errorf("%s is not in the table", key)
		}
	}
}

// A profile is taken or refused as a usage error of one line, and never more; what is taken has cells whose names fit.
func FuzzSmokeProfile(f *testing.F) {
	f.Add("kernels: [{name: a, tree: ~/x}, b]\nmachines: [q35]\nappend: [{args: quiet}]\n")
	f.Add("exclude: [{kernel: '[a-', append: x}]\nallow: [{signature: a, owner: b, reason: c, expires: 2027-01-31}]\n")
	f.Add("kernels: &k [{patch: *k}]\nmachines: *k\n? [k]\n: v\nchecks: [{run: !!binary aGk=}]\n")
	f.Add("a: &a [*a]\n<<: {jobs: 1}\n--- x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		p, err := parseSmoke([]byte(text), "p.yaml", func(string) (string, bool) { return "/x", true })
		var cells []SmokeCell
		if err == nil {
			cells, err = (&matrixBuilder{in: input{classes: classes}, file: p}).cells()
		}
		if err != nil {
			if blame.Of(err) != blame.Usage || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "p.yaml") {
				t.Fatalf("%q: %q", text, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, c := range cells {
			if seen[c.Name] || !memberName.MatchString(strings.ReplaceAll(c.Name, "/", "x")) || c.Boot.SMP < 1 || c.Boot.Timeout <= 0 || strings.Contains(c.Boot.Append, "\n") {
				t.Fatalf("%q: took %+v", text, c)
			}
			seen[c.Name] = true
		}
		if len(cells) == 0 {
			t.Fatalf("%q: no cells", text)
		}
	})
}
