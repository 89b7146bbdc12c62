package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"kcatch/configs"
	"kcatch/internal/blame"
)

var classes = []string{"ok", "early-exception", "oops", "bug", "warn", "panic", "hang"}

// resolve runs a command line. env are NAME=VALUE.
func resolve(t testing.TB, line []string, env ...string) (Boot, Resolved, error) {
	t.Helper()
	fs := pflag.NewFlagSet("boot", pflag.ContinueOnError)
	BindBootFlags(fs)
	fs.String("workload", "", "a flag of another verb")
	if err := fs.Parse(line); err != nil {
		return Boot{}, Resolved{}, FlagError(fs, err)
	}
	lookup := func(name string) (string, bool) {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}
	return ResolveBoot(fs, lookup, fs.Args(), classes)
}

func origin(t *testing.T, r Resolved, key string) string {
	t.Helper()
	for _, v := range r.Values {
		if v.Key == key {
			return v.Origin
		}
	}
	t.Fatalf("no value %s", key)
	return ""
}

func TestDefaults(t *testing.T) {
	got, res, err := resolve(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Boot{
		Tree: "debian-6.1", Base: "tiny", Memory: 256 << 20, SMP: 1, Machine: "q35", Accel: "auto", Until: "init",
		Timeout: 120 * time.Second, FailOn: []string{"oops", "bug"}, Repeat: 1, Values: "args",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if len(res.Values) != len(bootKeys()) {
		t.Errorf("%d values, want %d", len(res.Values), len(bootKeys()))
	}
	for _, v := range res.Values {
		if v.Origin != "default" {
			t.Errorf("%s comes from %q", v.Key, v.Origin)
		}
	}
}

func TestPrecedence(t *testing.T) {
	const file = "testdata/nightly.yaml" // smp 2, memory 512, config kasan debug-vm
	tests := []struct {
		name   string
		line   []string
		env    []string
		key    string
		get    func(Boot) any
		want   any
		origin string
	}{
		{"default", nil, nil, "smp", func(b Boot) any { return b.SMP }, 1, "default"},
		{"profile over default", []string{"--profile", file}, nil, "smp", func(b Boot) any { return b.SMP }, 2, file + ":9"},
		{"environment over profile", []string{"--profile", file}, []string{"KCATCH_SMP=3"}, "smp", func(b Boot) any { return b.SMP }, 3, "KCATCH_SMP"},
		{"flag over environment", []string{"--profile", file, "--smp", "4"}, []string{"KCATCH_SMP=3"}, "smp", func(b Boot) any { return b.SMP }, 4, "flag"},
		{"flag with the default's value", []string{"--profile", file, "--smp=1"}, nil, "smp", func(b Boot) any { return b.SMP }, 1, "flag"},
		{"environment over default", nil, []string{"KCATCH_MEMORY=1G"}, "memory", func(b Boot) any { return b.Memory }, uint64(1 << 30), "KCATCH_MEMORY"},
		{"empty variable is none", nil, []string{"KCATCH_MEMORY= "}, "memory", func(b Boot) any { return b.Memory }, uint64(256 << 20), "default"},
		{"number in a profile", []string{"--profile", file}, nil, "memory", func(b Boot) any { return b.Memory }, uint64(512 << 20), file + ":8"},
		{"seconds in a profile", []string{"--profile", file}, nil, "timeout", func(b Boot) any { return b.Timeout }, 300 * time.Second, file + ":11"},
		{"profile named by the environment", nil, []string{"KCATCH_PROFILE=quick"}, "smp", func(b Boot) any { return b.SMP }, 2, "profile quick:2"},
		{"flag's profile over the environment's", []string{"--profile", file}, []string{"KCATCH_PROFILE=quick"}, "profile", func(b Boot) any { return b.Profile }, file, "flag"},
		{"no value in a profile", []string{"--profile", file}, nil, "run", func(b Boot) any { return b.Run }, "", "default"},
		{"quoted key", []string{"--profile", file}, nil, "values", func(b Boot) any { return b.Values }, "args", file + ":15"},

		{"lists are not added up", []string{"--profile", file, "--config", "lockdep"}, nil, "config", func(b Boot) any { return b.Config }, []string{"lockdep"}, "flag"},
		{"list in a profile", []string{"--profile", file}, nil, "config", func(b Boot) any { return b.Config }, []string{"kasan", "debug-vm"}, file + ":5"},
		{"list in the environment", nil, []string{"KCATCH_QEMU_ARG=-cpu  max"}, "qemu-arg", func(b Boot) any { return b.QEMUArg }, []string{"-cpu", "max"}, "KCATCH_QEMU_ARG"},
		{"list by flags keeps blanks and commas", []string{"--make", "CC=gcc -m64", "--make", "A=1,2"}, nil, "make", func(b Boot) any { return b.Make }, []string{"CC=gcc -m64", "A=1,2"}, "flag"},
		{"one text for a list", []string{"--profile", file}, nil, "append", func(b Boot) any { return b.Append }, "console=ttyS1,115200 quiet", file + ":10"},
		{"append adds up its flags", []string{"--append", "debug  x", "--append", " ro "}, nil, "append", func(b Boot) any { return b.Append }, "debug  x ro", "flag"},
		{"append may be empty", []string{"--append", ""}, []string{"KCATCH_APPEND=quiet"}, "append", func(b Boot) any { return b.Append }, "", "flag"},

		{"toggle by profile", []string{"--profile", file}, nil, "no-color", func(b Boot) any { return b.NoColor }, true, file + ":14"},
		{"toggle off by flag", []string{"--profile", file, "--no-color=false"}, nil, "no-color", func(b Boot) any { return b.NoColor }, false, "flag"},
		{"toggle by environment", nil, []string{"KCATCH_QUIET=yes"}, "quiet", func(b Boot) any { return b.Quiet }, true, "KCATCH_QUIET"},

		{"tree by argument", []string{"--profile", file, "./linux"}, []string{"KCATCH_TREE=x"}, "tree", func(b Boot) any { return b.Tree }, "./linux", "argument"},
		{"tree by environment", []string{"--profile", file}, []string{"KCATCH_TREE=x"}, "tree", func(b Boot) any { return b.Tree }, "x", "KCATCH_TREE"},
		{"tree by profile", []string{"--profile", file}, nil, "tree", func(b Boot) any { return b.Tree }, "debian-6.12", file + ":2"},

		{"no class to fail on", []string{"--fail-on", "none"}, nil, "fail-on", func(b Boot) any { return len(b.FailOn) }, 0, "flag"},
		{"no class in a profile", []string{"--profile", "testdata/lenient.yaml"}, nil, "fail-on", func(b Boot) any { return len(b.FailOn) }, 0, "testdata/lenient.yaml:2"},
		{"classes with commas", []string{"--fail-on", "oops, warn", "--fail-on=bug"}, nil, "fail-on", func(b Boot) any { return b.FailOn }, []string{"oops", "warn", "bug"}, "flag"},
		{"an empty profile", []string{"--profile", "testdata/empty.yaml"}, nil, "smp", func(b Boot) any { return b.SMP }, 1, "default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, r, err := resolve(t, tt.line, tt.env...)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(b); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s = %#v, want %#v", tt.key, got, tt.want)
			}
			if got := origin(t, r, tt.key); got != tt.origin {
				t.Errorf("%s comes from %q, want %q", tt.key, got, tt.origin)
			}
		})
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		in   string
		want uint64 // 0: refused
	}{
		{"256", 256 << 20}, {"256M", 256 << 20}, {"256m", 256 << 20}, {"256MB", 256 << 20}, {"256MiB", 256 << 20},
		{"2G", 2 << 30}, {"2GiB", 2 << 30}, {"524288K", 512 << 20}, {"1T", 1 << 40}, {"32", 32 << 20},
		{"", 0}, {"0", 0}, {"31", 0}, {"-1", 0}, {"+64", 0}, {"1.5G", 0}, {"2T", 0}, {"99999999999999999999", 0},
		{"512B", 0}, {"512I", 0}, {"2GG", 0}, {"2GBB", 0}, {"M", 0}, {"32769K", 0}, {"2 G", 0}, {"0x100", 0}, {"1099511627777", 0}, {"2199023255551T", 0},
	}
	for _, tt := range tests {
		got, err := size(tt.in)
		if (err != nil) != (tt.want == 0) || err == nil && got != tt.want {
			t.Errorf("size(%q) = %d, %v; want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	elf := filepath.Join(dir, "vmlinux")
	if err := os.WriteFile(elf, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, line string // DIR and ELF are replaced
		env        string
		want, hint string
	}{
		{"unknown flag", "--memroy 1G", "", "unknown flag --memroy", "did you mean --memory?"},
		{"unknown flag, nothing near", "--xyzzy", "", "unknown flag --xyzzy", "--help lists the flags"},
		{"no value", "--smp", "", "--smp needs a value", "--help"},
		{"two trees", "a b", "", "one TREE at most, and there are 2: a b", "quotes"},
		{"memory", "--memory lots", "", `--memory: "lots" is not a size`, "512M or 2G"},
		{"memory too small", "--memory 1M", "", "--memory: 1M is not between 32M and 1T", "MiB"},
		{"memory by environment", "", "KCATCH_MEMORY=x", `KCATCH_MEMORY: "x" is not a size`, "512M"},
		{"memory empty", "--memory=", "", `--memory: "" is not a size`, "512M"},
		{"smp 0", "--smp 0", "", `--smp: "0" is not a number from 1 to 255`, ""},
		{"smp 256", "--smp 256", "", `--smp: "256" is not a number from 1 to 255`, ""},
		{"smp word", "--smp two", "", `--smp: "two" is not a number`, ""},
		{"repeat", "--repeat 0", "", `--repeat: "0" is not a number from 1`, ""},
		{"timeout 0", "--timeout 0", "", "--timeout: 0 is not above 0", "90s"},
		{"timeout negative", "--timeout=-5s", "", "--timeout: -5s is not above 0", "90s"},
		{"timeout word", "--timeout soon", "", `--timeout: "soon" is not a time`, "90s, 5m or 1h"},
		{"timeout endless", "--timeout 10000h", "", "at most a week", ""},
		{"until", "--until a-b", "", `--until: "a-b" is no symbol of a kernel`, "--until init"},
		{"values", "--values arg", "", `--values: "arg" is none of none, args, all`, "did you mean args?"},
		{"values depth", "--values-depth 4", "", `--values-depth: "4" is not a number from 0 to 3`, ""},
		{"accel", "--accel hvf", "", `--accel: "hvf" is none of auto, tcg, kvm`, ""},
		{"expect", "--expect ops", "", `--expect: "ops" is not a class of death`, "did you mean oops?"},
		{"expect far off", "--expect zzzzzz", "", `is not a class of death`, "one of ok, early-exception"},
		{"expect no function", "--expect oops:", "", `--expect: "" is not a function's name`, "early-exception:__SetPageReserved"},
		{"expect bad function", "--expect oops:a-b", "", `"a-b" is not a function's name`, ""},
		{"only", "--only x:y", "", `--only: "x" is not a class of death`, ""},
		{"fail-on far off", "--fail-on zzzzzz", "", `is not a class of death`, "one of early-exception, oops"},
		{"fail-on", "--fail-on oops,bog", "", `--fail-on: "bog" is not a class of death`, "did you mean bug?"},
		{"fail-on ok", "--fail-on ok", "", "--fail-on: ok is no death", ""},
		{"fail-on none and more", "--fail-on none,oops", "", "none and a class", "stands alone"},
		{"fail-on by environment", "", "KCATCH_FAIL_ON=oops,xxxx", `KCATCH_FAIL_ON: "xxxx" is not`, ""},
		{"empty patch", "--patch=", "", "--patch: the value is empty", "leave it out"},
		{"empty profile", "--profile=", "", "--profile: the value is empty", ""},
		{"empty kernel", "--kernel=", "", "--kernel: the value is empty", ""},
		{"no kernel file", "--kernel DIR/none", "", "--kernel: DIR/none: no such file", "check the path"},
		{"kernel is a directory", "--kernel DIR", "", "--kernel: DIR is a directory", "name a file in it"},
		{"file as a directory", "--kernel ELF/bzImage", "", "--kernel: ELF/bzImage: not a directory", ""},
		{"no vmlinux file", "--vmlinux DIR/none", "", "--vmlinux: DIR/none: no such file", ""},
		{"no boot vmlinux file", "--kernel ELF --boot-vmlinux DIR/none", "", "--boot-vmlinux: DIR/none: no such file", ""},
		{"no initrd file", "--initrd DIR/none", "", "--initrd: DIR/none: no such file", ""},
		{"no modules", "--modules DIR/none", "", "--modules: DIR/none: no such file", ""},
		{"modules is a file", "--modules ELF", "", "--modules: ELF is not a directory", ""},
		{"kernel and tree", "--kernel ELF linux", "", "--kernel and TREE linux: a kernel that is there is not built", "leave one of them out"},
		{"kernel and patch", "--kernel ELF --patch x", "", "--kernel and --patch: ", ""},
		{"kernel and base", "--kernel ELF --base tiny", "", "--kernel and --base: ", ""},
		{"kernel and config", "--kernel ELF --config x", "", "--kernel and --config: ", ""},
		{"kernel and make", "--kernel ELF --make x", "", "--kernel and --make: ", ""},
		{"kernel and a tree by environment", "--kernel ELF", "KCATCH_TREE=x", "--kernel and KCATCH_TREE: ", ""},
		{"kernel and a profile that builds", "--kernel ELF --profile seed", "", "--kernel and profile seed:2: tree: ", ""},
		{"vmlinux and tree", "--vmlinux ELF linux", "", "--vmlinux and TREE linux: ", ""},
		{"boot vmlinux and a build", "--boot-vmlinux ELF", "", "--boot-vmlinux: it goes with --kernel", "a build makes its own"},
		{"boot vmlinux and PVH", "--vmlinux ELF --boot-vmlinux ELF", "", "--boot-vmlinux: vmlinux booted by PVH has no decompressor", "--kernel BZIMAGE"},
		{"initrd and run", "--initrd none --run true", "", "--initrd and --run: only kcatch's own initramfs", ""},
		{"initrd and modules", "--initrd ELF --modules DIR", "", "--initrd and --modules: ", ""},
		{"expect and only", "--expect oops --only oops", "", "--expect and --only: both decide the exit code", "git bisect run"},
		{"quiet and verbose", "--quiet --verbose", "", "--quiet and --verbose: ", ""},
		{"toggle", "", "KCATCH_QUIET=perhaps", `KCATCH_QUIET: "perhaps" is neither true nor false`, ""},
	}
	fill := strings.NewReplacer("DIR", dir, "ELF", elf)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := resolve(t, strings.Fields(fill.Replace(tt.line)), tt.env)
			refused(t, err, fill.Replace(tt.want), tt.hint)
		})
	}
	_, _, err := resolve(t, []string{"--append", "a\nb"}) // not to be written in the table
	refused(t, err, "--append: a kernel's command line is one line", "blanks")
}

// refused checks a usage error of one line.
func refused(t *testing.T, err error, want, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("took, want %q", want)
	}
	if blame.Of(err) != blame.Usage {
		t.Errorf("blame is %v, want usage", blame.Of(err))
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got  %q\nwant %q", err, want)
	}
	if !strings.Contains(blame.Hint(err), hint) || strings.Contains(blame.Hint(err), "\n") {
		t.Errorf("hint %q, want %q", blame.Hint(err), hint)
	}
}

func TestProfileRefusals(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxProfile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ file, want, hint string }{
		{"testdata/unknown.yaml", `testdata/unknown.yaml:3: unknown key "memroy"; did you mean "memory"?`, "flags' names"},
		{"testdata/symbol.yaml", `testdata/symbol.yaml:2: unknown key "config_kasan"`, "fragment"},
		{"testdata/smoke.yaml", `testdata/smoke.yaml:2: unknown key "kernels"`, "kcatch smoke"},
		{"testdata/list.yaml", "testdata/list.yaml:2: smp: a list where one value belongs", "one value"},
		{"testdata/map.yaml", "testdata/map.yaml:2: smp: not a value of this setting", ""},
		{"testdata/truth.yaml", "testdata/truth.yaml:3: accel: true where a text belongs", "quotes"},
		{"testdata/listmap.yaml", "testdata/listmap.yaml:2: patch: not a value", ""},
		{"testdata/perhaps.yaml", `testdata/perhaps.yaml:2: quiet: "perhaps" is neither true nor false`, ""},
		{"testdata/twice.yaml", `testdata/twice.yaml: not a profile: line 3: mapping key "smp" already defined at line 2`, "smp: 2"},
		{"testdata/broken.yaml", "testdata/broken.yaml: not a profile: line", ""},
		{"testdata/sequence.yaml", "testdata/sequence.yaml: not a profile: line 2: cannot unmarshal", ""},
		{"testdata/nested.yaml", "testdata/nested.yaml:2: a profile cannot name another", ""},
		{"testdata/emptymap.yaml", `testdata/emptymap.yaml:2: unknown key "foo"`, ""},
		{"testdata/null.yaml", `testdata/null.yaml:2: unknown key "foo"`, ""},
		{"testdata/badvalue.yaml", `testdata/badvalue.yaml:3: timeout: "soon" is not a time`, "90s"},
		{"testdata/none.yaml", "profile testdata/none.yaml: no such file", "quick"},
		{"testdata/", "profile testdata/: not a regular file", ""},
		{"qick", `profile "qick": no such profile or file`, "did you mean quick?"},
		{"zzzzzzz", `profile "zzzzzzz": no such profile or file`, "patient, quick, seed"},
		{big, "larger than 1 MiB", ""},
	}
	for _, tt := range tests {
		t.Run(filepath.Base(tt.file), func(t *testing.T) {
			_, _, err := resolve(t, []string{"--profile", tt.file})
			refused(t, err, tt.want, tt.hint)
		})
	}
}

// Every embedded profile resolves.
func TestEmbeddedProfiles(t *testing.T) {
	for _, name := range configs.Profiles() {
		if _, _, err := resolve(t, []string{"--profile", name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, _, err := resolve(t, []string{"--profile", "seed"})
	if err != nil || b.Expect != "early-exception:__SetPageReserved" || !reflect.DeepEqual(b.Patch, []string{"pgflags-refcount"}) {
		t.Errorf("seed: %v, %+v", err, b)
	}
}

func TestPrebuilt(t *testing.T) {
	elf := filepath.Join(t.TempDir(), "vmlinux")
	if err := os.WriteFile(elf, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, line string
		notes      int
	}{
		{"kernel alone has a reduced report", "--kernel ELF", 1},
		{"kernel and vmlinux", "--kernel ELF --vmlinux ELF --boot-vmlinux ELF", 0},
		{"vmlinux by PVH", "--vmlinux ELF", 0},
		{"other initrd", "--vmlinux ELF --initrd ELF", 0},
		{"no initrd", "--vmlinux ELF --initrd none", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, r, err := resolve(t, strings.Fields(strings.ReplaceAll(tt.line, "ELF", elf)))
			if err != nil {
				t.Fatal(err)
			}
			if b.Builds() || b.Tree != "" || b.Base != "" {
				t.Errorf("there is something to build: %+v", b)
			}
			if len(r.Notes) != tt.notes {
				t.Errorf("notes %q, want %d", r.Notes, tt.notes)
			}
		})
	}
}

// The help names every flag of the contract.
func TestHelp(t *testing.T) {
	fs := pflag.NewFlagSet("boot", pflag.ContinueOnError)
	BindBootFlags(fs)
	help := fs.FlagUsages()
	for _, want := range []string{"--patch NAME", "--memory SIZE", "(default \"256M\")", "--expect CLASS[:FUNCTION]", "--dry-run ", "--timeout TIME", "(default [oops,bug])"} {
		if !strings.Contains(help, want) {
			t.Errorf("the help has no %q:\n%s", want, help)
		}
	}
	for _, k := range bootKeys() {
		if f := fs.Lookup(k.name); !k.noFlag && (f == nil || f.Usage == "") {
			t.Errorf("--%s is no flag with a help text", k.name)
		}
	}
}

// A profile is taken or refused as a usage error, and never more.
func FuzzProfile(f *testing.F) {
	f.Add("smp: 2\nmemory: 512M\npatch: [a, b]\n")
	f.Add("{smp: 2, fail-on: [oops], append: [a, 1, true]}\n")
	f.Add("a: &a [x]\nb: *a\n? [k]\n: v\n")
	path := filepath.Join(f.TempDir(), "p.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		b, _, err := resolve(t, []string{"--profile", path})
		if err != nil {
			if blame.Of(err) != blame.Usage || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %q", text, err)
			}
			return
		}
		if b.SMP < 1 || b.SMP > 255 || b.Timeout <= 0 || b.Memory < minMemory {
			t.Fatalf("%q: took %+v", text, b)
		}
	})
}
