package config

import "time"

// Boot is the settings of one boot, resolved and checked.
type Boot struct {
	// Tree, Base and the lists after them say what to build. All are empty when Kernel or Vmlinux is given.
	Tree   string   // debian-6.1, debian-6.12, a directory or a tarball
	Patch  []string // names or files, in the order to apply them
	Base   string   // tiny, defconfig or a file
	Config []string // fragments on top: names or files
	Make   []string // arguments of make

	// Kernel is a bzImage; Vmlinux its ELF, alone when it is to be booted by PVH.
	Kernel, Vmlinux string
	BootVmlinux     string   // the decompressor's ELF
	Initrd          string   // a file, "none", or empty for our initramfs
	Modules         string   // a directory of modules for our initramfs
	Run             string   // a command for our initramfs
	Check           []string // commands for our initramfs whose exit status is looked at
	Append          string   // the end of the guest's command line, joined with blanks

	Memory  uint64 // bytes, a multiple of 1 MiB
	SMP     int    // vCPUs, 1 to 255
	Machine string // QEMU's name, with its options
	CPU     string // QEMU's -cpu, with its options; empty for the accelerator's default
	Accel   string // auto, tcg, kvm
	QEMU    string // a path or a name in PATH; empty for qemu-system-x86_64
	QEMUArg []string

	Until   string        // init, console or a kernel symbol
	Timeout time.Duration // of one boot, above 0
	FailOn  []string      // classes that make a boot bad even when the kernel survives them; may be empty
	Repeat  int           // boots, at least 1
	// Expect and Only are CLASS or CLASS:FUNCTION, or empty. At most one of them is set.
	Expect, Only string
	WhoWrote     string // an expression, "auto", or empty
	Timeline     bool   // time of each initcall
	Values       string // none, args, all
	ValuesDepth  int    // levels of pointers, 0 to 3

	Profile                 string // a name or a file, or empty
	DryRun                  bool
	JSON                    string // a file, "-", or empty
	Out                     string // a directory, or empty for a new one in the user's state directory
	Quiet, Verbose, NoColor bool
	Plain                   bool // what a pipe would get, also on a terminal
}

// Builds reports whether a kernel is to be built, and not one booted that is there already.
func (b Boot) Builds() bool { return b.Kernel == "" && b.Vmlinux == "" }

// form is how a value is written.
type form uint8

const (
	text form = iota
	list
	toggle
)

// key is one setting. Its name is its flag's, its profile key and, as KCATCH_NAME, its variable.
type key struct {
	name  string
	form  form
	def   []string // one member for text, none for empty
	usage string   // the word in backquotes names the value in the help
	// put checks the value and stores it. Texts and toggles have one member. The error is the clause after the subject.
	put func(b *Boot, v []string, in input) error
	// noFlag is set for what is no flag: the tree is an argument.
	noFlag bool
	// builds is set for what only a build uses.
	builds bool
}

// bootKeys are the settings of a boot in the order of the contract.
func bootKeys() []key {
	return []key{
		{name: "tree", def: []string{"debian-6.1"}, noFlag: true, builds: true,
			put: func(b *Boot, v []string, _ input) error { b.Tree = v[0]; return notEmpty(v[0]) }},
		{name: "patch", form: list, builds: true,
			usage: "put this patch on the tree first: a `NAME` of kernels/patches, a diff or an mbox; may be repeated",
			put:   func(b *Boot, v []string, _ input) error { b.Patch = v; return notEmpty(v...) }},
		{name: "base", def: []string{"tiny"}, builds: true,
			usage: "the configuration to start from: tiny, defconfig or a `FILE`",
			put:   func(b *Boot, v []string, _ input) error { b.Base = v[0]; return notEmpty(v[0]) }},
		{name: "config", form: list, builds: true,
			usage: "a fragment on top of the base: a `NAME` of configs/fragments or a file; may be repeated",
			put:   func(b *Boot, v []string, _ input) error { b.Config = v; return notEmpty(v...) }},
		{name: "make", form: list, builds: true,
			usage: "hand this `ARG` to make: LLVM=1, CC=gcc-12; may be repeated",
			put:   func(b *Boot, v []string, _ input) error { b.Make = v; return notEmpty(v...) }},
		{name: "kernel", usage: "boot this `BZIMAGE`, build nothing",
			put: func(b *Boot, v []string, in input) error { b.Kernel = v[0]; return in.file(v[0]) }},
		{name: "vmlinux", usage: "the kernel's `ELF` with its symbols; without --kernel it is booted itself, by PVH",
			put: func(b *Boot, v []string, in input) error { b.Vmlinux = v[0]; return in.file(v[0]) }},
		{name: "boot-vmlinux", usage: "the `ELF` arch/x86/boot/compressed/vmlinux, for deaths in the decompressor",
			put: func(b *Boot, v []string, in input) error { b.BootVmlinux = v[0]; return in.file(v[0]) }},
		{name: "initrd", usage: "the guest's initramfs: a `FILE`, or none; default: kcatch's own",
			put: func(b *Boot, v []string, in input) error {
				if b.Initrd = v[0]; v[0] == "none" {
					return nil
				}
				return in.file(v[0])
			}},
		{name: "modules", usage: "put the modules of this `DIR` into kcatch's initramfs",
			put: func(b *Boot, v []string, in input) error { b.Modules = v[0]; return in.dir(v[0]) }},
		{name: "run", usage: "run this `CMD` in the guest once init is up",
			put: func(b *Boot, v []string, _ input) error { b.Run = v[0]; return notEmpty(v[0]) }},
		{name: "check", form: list, usage: "run this `CMD` in the guest before that, and tell its exit status and output; may be repeated",
			put: func(b *Boot, v []string, _ input) error { b.Check = v; return notEmpty(v...) }},
		{name: "append", form: list, usage: "put `ARGS` at the end of the kernel's command line; may be repeated",
			put: putAppend},
		{name: "memory", def: []string{"256M"}, usage: "the guest's memory: a `SIZE` like 512M or 2G; a plain number is MiB",
			put: putMemory},
		{name: "smp", def: []string{"1"}, usage: "give the guest `N` CPUs, 1 to 255",
			put: func(b *Boot, v []string, _ input) (err error) { b.SMP, err = number(v[0], 1, 255); return err }},
		{name: "machine", def: []string{"q35"}, usage: "QEMU's `NAME` of the machine: q35, pc, microvm",
			put: func(b *Boot, v []string, _ input) error { b.Machine = v[0]; return notEmpty(v[0]) }},
		{name: "cpu", usage: "QEMU's `MODEL` of the CPU, like max or Skylake-Server; default: all that TCG can do, the host's under KVM",
			put: func(b *Boot, v []string, _ input) error { b.CPU = v[0]; return notEmpty(v[0]) }},
		{name: "accel", def: []string{"auto"}, usage: "run the guest by auto, tcg or kvm (`HOW`); auto tries KVM out first",
			put: func(b *Boot, v []string, _ input) error { b.Accel = v[0]; return oneOf(v[0], "auto", "tcg", "kvm") }},
		{name: "qemu", usage: "the QEMU to use: a `PATH` or a name; default: qemu-system-x86_64",
			put: func(b *Boot, v []string, _ input) error { b.QEMU = v[0]; return notEmpty(v[0]) }},
		{name: "qemu-arg", form: list, usage: "one more `ARG` for QEMU; may be repeated",
			put: func(b *Boot, v []string, _ input) error { b.QEMUArg = v; return notEmpty(v...) }},
		{name: "until", def: []string{"init"}, usage: "the good end (`WHERE`): init, console or a kernel symbol",
			put: putUntil},
		{name: "timeout", def: []string{"120s"}, usage: "the `TIME` one boot may take, like 90s or 5m; a plain number is seconds",
			put: putTimeout},
		{name: "fail-on", form: list, def: []string{"oops", "bug"},
			usage: "what is bad even when the kernel survives it: `CLASS,...`; none for no class",
			put:   putFailOn},
		{name: "repeat", def: []string{"1"}, usage: "boot `N` times",
			put: func(b *Boot, v []string, _ input) (err error) { b.Repeat, err = number(v[0], 1, 100000); return err }},
		{name: "expect", usage: "exit 0 when the death is this `CLASS[:FUNCTION]`, 1 when it is another or none",
			put: func(b *Boot, v []string, in input) error { b.Expect = v[0]; return in.match(v[0]) }},
		{name: "only", usage: "for git bisect run: exit 1 for this `CLASS[:FUNCTION]`, 125 for another death",
			put: func(b *Boot, v []string, in input) error { b.Only = v[0]; return in.match(v[0]) }},
		{name: "who-wrote", usage: "boot again to find who last wrote `EXPR`; auto: what the failed condition read",
			put: func(b *Boot, v []string, _ input) error { b.WhoWrote = v[0]; return notEmpty(v[0]) }},
		{name: "timeline", form: toggle, usage: "tell how long each initcall took; puts initcall_debug on the kernel's command line",
			put: func(b *Boot, v []string, _ input) error { b.Timeline = v[0] == "true"; return nil }},
		{name: "values", def: []string{"args"}, usage: "values to show with the frames (`WHICH`): none, args (arguments) or all (local variables too)",
			put: func(b *Boot, v []string, _ input) error { b.Values = v[0]; return oneOf(v[0], "none", "args", "all") }},
		{name: "values-depth", def: []string{"0"}, usage: "follow pointers to structures in values `N` levels deep, 0 to 3; a terminal cuts them to its width",
			put: func(b *Boot, v []string, _ input) (err error) { b.ValuesDepth, err = number(v[0], 0, 3); return err }},
		{name: "profile", usage: "take settings from a profile: a `NAME` or a YAML file",
			put: func(b *Boot, v []string, _ input) error { b.Profile = v[0]; return notEmpty(v[0]) }},
		{name: "dry-run", form: toggle, usage: "print the QEMU command and stop",
			put: func(b *Boot, v []string, _ input) error { b.DryRun = v[0] == "true"; return nil }},
		{name: "json", usage: "write the result as JSON to `FILE`; - prints it alone on standard output",
			put: func(b *Boot, v []string, _ input) error { b.JSON = v[0]; return notEmpty(v[0]) }},
		{name: "out", usage: "put console, log and the rest into `DIR`; default: a new one in your state directory",
			put: func(b *Boot, v []string, _ input) error { b.Out = v[0]; return notEmpty(v[0]) }},
		{name: "quiet", form: toggle, usage: "no progress, only the result",
			put: func(b *Boot, v []string, _ input) error { b.Quiet = v[0] == "true"; return nil }},
		{name: "verbose", form: toggle, usage: "say more: commands, decisions and why",
			put: func(b *Boot, v []string, _ input) error { b.Verbose = v[0] == "true"; return nil }},
		{name: "no-color", form: toggle, usage: "no colors, also on a terminal",
			put: func(b *Boot, v []string, _ input) error { b.NoColor = v[0] == "true"; return nil }},
		{name: "plain", form: toggle, usage: "what a pipe would get, also on a terminal: no colors, no moving lines, nothing cut to a width",
			put: func(b *Boot, v []string, _ input) error { b.Plain = v[0] == "true"; return nil }},
	}
}
