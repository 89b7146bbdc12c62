package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/core"
	"kcatch/gdb/guest"
	"kcatch/harness/autopsy"
	"kcatch/harness/machine"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
	"kcatch/kernels"
)

// artifacts is the directory that a boot leaves behind: the console, the log from memory, the result, the report, the
// initramfs and a script that boots the same again.
type artifacts struct {
	dir     string
	release func() // gives the directory free for another boot
}

// openArtifacts makes the directory: the plan's, or a new one in the user's state directory, never the current one.
func (b *boot) openArtifacts() error {
	dir := b.plan.Out
	if dir == "" {
		state, err := stateDir()
		if err != nil {
			return &blame.Error{Kind: blame.Infrastructure, Msg: "artifacts: " + err.Error(), Hint: "name a directory with --out", Err: err}
		}
		Prune(filepath.Join(state, "boots"), keptBoots-1)
		dir = filepath.Join(state, "boots", fmt.Sprintf("%s-%d", time.Now().Format("20060102-150405.000"), os.Getpid()))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return diskError("artifacts", err)
	}
	release, err := Claim(dir)
	if err != nil {
		return err
	}
	b.artifacts = artifacts{dir: dir, release: release}
	for _, name := range []string{"console.log", "dmesg.log", "qemu.sh", "report.txt", "result.json", coreName, exceptionsName, recordingName} {
		_ = os.Remove(b.artifacts.path(name)) // an earlier boot's; what cannot be removed cannot be written either
	}
	return nil
}

// dropArtifacts removes the directory of a boot whose result is not given, unless it is the user's own: there the next boot
// writes over what is ours.
func (b *boot) dropArtifacts() error {
	if b.plan.Out != "" {
		return nil
	}
	return os.RemoveAll(b.artifacts.dir)
}

// keptBoots is how many boots without a directory of their own (Plan.Out) are kept: about 1 GB if all died.
const keptBoots = 50

// Prune removes all but the newest directories of runs from a directory. Their names begin with the time, so the order is
// theirs; what does not begin with a digit is none. What cannot be removed stays, and so does a run that is under way, see [Claim].
func Prune(dir string, keep int) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return
	}
	runs := slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() || e.Name()[0] < '0' || e.Name()[0] > '9' })
	for _, e := range runs[:max(0, len(runs)-keep)] {
		if run := filepath.Join(dir, e.Name()); !claimed(run) {
			_ = os.RemoveAll(run)
		}
	}
}

// stateDir is $XDG_STATE_HOME/kcatch, or ~/.local/state/kcatch (XDG Base Directory Specification 0.8).
func stateDir() (string, error) {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "kcatch"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "kcatch"), nil
}

func (a artifacts) path(name string) string { return filepath.Join(a.dir, name) }

// write puts a file into the directory and returns its path.
func (a artifacts) write(name string, data []byte) (string, error) {
	p := a.path(name)
	if err := os.WriteFile(p, data, 0o644); err != nil {
		_ = os.Remove(p) // half a result misleads
		return "", diskError("artifacts", err)
	}
	return p, nil
}

// diskError says what to do about a file that could not be written.
func diskError(op string, err error) error {
	hint := "give another directory with --out"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "the disk is full; free some space, or give another directory with --out"
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: op + ": " + err.Error(), Hint: hint, Err: err}
}

// complete fills in what the boot as a whole knows.
func (b *boot) complete(r *verdict.Result, stop *watch.Stop) {
	after := stop.After
	r.Timing.Build, r.Timing.Boot = b.buildTime.Seconds(), after.Seconds()
	r.Machine = b.machineOf()
	b.times(r, stop)
	r.Kernel.Release = b.built.Release
	if b.kernel != nil {
		r.Kernel.Release, r.Kernel.BuildID = b.kernel.Release(), b.kernel.BuildID()
	}
	r.Notes = append(append(r.Notes, b.symbolNotes()...), b.coreNotes(r)...)
	if r.Class == verdict.TripleFault && r.Stage == verdict.Decompressor {
		if need := b.needsMemory(); need > b.plan.Memory {
			r.Details = append(r.Details, fmt.Sprintf("the kernel's header asks for %d MiB to be unpacked, the machine has %d: give it more with --memory",
				(need+1<<20-1)>>20, b.plan.Memory>>20))
		}
	}
	if c := b.machine.Console(); c.LogTruncated() {
		r.Notes = append(r.Notes, fmt.Sprintf("console.log has the first %d MiB of the %d that came on the serial line", machine.ConsoleLog>>20, c.Bytes()>>20))
	}
	if len(r.Log) == 0 && r.Verdict == verdict.Bad {
		r.Console = report.Lines(string(b.machine.Console().Tail(2<<10)), 0)
	}
	if r.Verdict == verdict.Good {
		r.Summary = fmt.Sprintf("%s reached %s after %s", orKernel(r.Kernel.Release), b.plan.Until, reachedAfter(b.plan.Until, r.Timeline, after).Round(time.Millisecond))
		r.Details = []string{b.machineNote()}
		if status, ok := b.runStatus(); ok {
			r.Details = append(r.Details, fmt.Sprintf("--run exited with %d (its status does not count for the verdict)", status))
			r.Console = b.runOutput()
		} else if b.plan.Run != "" {
			r.Details = append(r.Details, "--run did not come back before the guest shut down")
		}
	}
	b.workload(r)
	b.checks(r)
}

// reachedAfter is when a good boot, which took after in all, came to where it was to go: to init at its first word, where the timeline has
// it. What init then runs (checks, a workload, --run) is none of the way there.
func reachedAfter(until string, marks []verdict.Mark, after time.Duration) time.Duration {
	for _, m := range marks {
		if until == "init" && m.Stage == verdict.MarkInit {
			return min(after, time.Duration(m.Seconds*float64(time.Second)))
		}
	}
	return after
}

// needsMemory is what the header of the bzImage asks for, in bytes; zero when there is no bzImage.
func (b *boot) needsMemory() uint64 {
	if b.plan.Kernel == "" {
		return 0
	}
	image, err := kernels.ReadBzImage(b.plan.Kernel)
	if err != nil {
		return 0
	}
	return image.NeedsMemory()
}

// runStatus is the exit status of --run, from the console; ok is false when it has not ended there.
func (b *boot) runStatus() (status int, ok bool) {
	if b.plan.Run == "" {
		return 0, false
	}
	for line := range strings.Lines(string(b.machine.Console().Tail(64 << 10))) {
		if n, found := images.ParseRunLine(b.marker, line); found {
			status, ok = n, true
		}
	}
	return status, ok
}

// runOutput is what --run printed: the console's lines between our two.
func (b *boot) runOutput() []string {
	var out []string
	inside := false
	for _, line := range report.Lines(string(b.machine.Console().Tail(64<<10)), 0) {
		switch {
		case strings.Contains(line, "kcatch: init reached"), strings.Contains(line, images.WorkloadLine(b.marker)):
			inside, out = true, nil
		case strings.Contains(line, "kcatch: run exited"):
			inside = false
		case inside:
			out = append(out, line)
		}
	}
	return out
}

func orKernel(release string) string {
	if release == "" {
		return "the kernel"
	}
	return release
}

// name says in the result where the artifacts are, or are going to be.
func (b *boot) name(r *verdict.Result) {
	at := b.artifacts.path
	r.Artifacts.Dir, r.Artifacts.Vmlinux = b.artifacts.dir, b.plan.Vmlinux
	r.Artifacts.Exceptions = b.exceptionsPath()
	r.Artifacts.Console, r.Artifacts.Log, r.Artifacts.QEMUCommand = at("console.log"), at("dmesg.log"), at("qemu.sh")
	if r.Verdict == verdict.Bad && b.exact == nil {
		r.Artifacts.VMCore = at(coreName)
	}
	r.Artifacts.Report, r.Artifacts.Result = at("report.txt"), at("result.json")
	if b.plan.Vmlinux != "" {
		r.Artifacts.GDBCommand = fmt.Sprintf("gdb -ex %s %s", shell.Word("target remote "+at("gdb.sock")), shell.Word(b.plan.Vmlinux))
	}
}

// save writes what stays.
func (b *boot) save(r *verdict.Result) error {
	var log strings.Builder
	for _, l := range r.Log {
		for _, s := range report.Lines(l.Text, 0) {
			fmt.Fprintf(&log, "[%12.6f] <%d> %s\n", l.Time, l.Level, s)
		}
	}
	var err error
	put := func(name, text string) {
		_, werr := b.artifacts.write(name, []byte(text))
		err = errors.Join(err, werr)
	}
	put("dmesg.log", log.String())
	put("qemu.sh", b.rerunScript())
	err = errors.Join(err, b.artifacts.report(r))
	if cerr := b.machine.Console().LogError(); cerr != nil {
		err = errors.Join(err, diskError("artifacts", cerr))
	}
	return err
}

// report writes the result as text and as JSON.
func (a artifacts) report(r *verdict.Result) error {
	var text, js strings.Builder
	err := errors.Join(report.Text(&text, r, report.Style{}), report.JSON(&js, r))
	_, terr := a.write("report.txt", []byte(text.String()))
	_, jerr := a.write("result.json", []byte(js.String()))
	return errors.Join(err, terr, jerr)
}

// coreName is the core's file in the artifact directory.
const coreName = "vmcore"

// keepCore makes sure that a death has its core: the one of the first oops or panic, or one of the machine as it stands. A
// good boot keeps none.
func (b *boot) keepCore(r *verdict.Result, scene *autopsy.Scene) error {
	switch {
	case r.Verdict != verdict.Bad && b.first != nil:
		return os.RemoveAll(b.artifacts.path(coreName))
	case r.Verdict != verdict.Bad:
		return nil
	case b.coreErr != nil:
		return b.coreErr
	case b.first != nil:
		return b.addLater()
	}
	return b.saveCore(scene, false)
}

// saveCore writes an ELF core of the machine as a scene shows it, for drgn, crash and [Autopsy]. It has holes where the guest's
// memory is zero.
func (b *boot) saveCore(scene *autopsy.Scene, moment bool) error {
	if b.exact != nil { // the boot that it repeats has one
		return nil
	}
	ram, err := os.Open(b.machine.RAMPath())
	if err != nil {
		return diskError("vmcore", err)
	}
	defer ram.Close()
	layout := b.ram.Layout()
	cpus := scene.Registers
	state := b.stateOf(scene, moment)
	m := core.Machine{RAM: ram, CPUs: cpus, State: state.note(), Ranges: []core.Range{{Size: layout.Low}}}
	if moment {
		m.StateRoom, b.coreState = laterRoom, &state
	}
	if layout.High > 0 {
		m.Ranges = append(m.Ranges, core.Range{Start: guest.FourGiB, Size: layout.High, Offset: layout.Low})
	}
	if b.kernel != nil && b.place != nil {
		la57 := len(cpus) > 0 && cpus[0].CR4&amd64.CR4LA57 != 0
		m.Info = core.Info(b.kernel, *b.place, la57)
		text, end := b.kernel.Bounds()
		m.Image = core.Range{Start: b.place.Phys, Size: (end - text) &^ 0xfff, Virt: b.place.Run(text)}
		direct := b.kernel.Memory(b.ram, *b.place).DirectMap()
		for i := range m.Ranges {
			m.Ranges[i].Virt = direct + m.Ranges[i].Start
		}
	}
	if err := core.Write(b.artifacts.path(coreName), m); err != nil {
		return diskError("vmcore", err)
	}
	return nil
}
