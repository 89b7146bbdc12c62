package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kcatch/harness"
	"kcatch/harness/config"
	"kcatch/harness/debug"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const debugLong = `Boot a kernel, stop it at its death, and hand the machine over: print the report, and start gdb on it, or say how to attach.

The boot stops at its first oops or panic, while the stacks are whole; at its end, whatever that is; at --until; or at the
first --break that is passed. gdb then has the vmlinux at the KASLR slide, the kernel's own scripts (lx-dmesg and friends) when
vmlinux-gdb.py is beside the vmlinux, and kcatch-bt, which prints kcatch's chains across the exception. It is started on a
terminal, and with --gdb; what follows -- are its arguments. --drgn and --crash look at the core of the stop instead.

--tui shows the stop on the terminal instead: source, frames, values, registers and log side by side, with the keys of gdb's
TUI; x runs gdb on the machine. "kcatch debug --tui RESULT" boots nothing: it shows what --json wrote (FILE.json), or the
directory of a boot's artifacts, with the source of the vmlinux that it names, or of --vmlinux.

With --reverse the boot is recorded, and what is handed over plays it again: gdb goes backward, too, with reverse-stepi, reverse-step
and reverse-continue to a breakpoint or to the write before a watchpoint. It takes TCG and one vCPU. Each way back is a replay from
power-on: about as long as the boot took.

Without any of them the machine stands until a debugger kills it, or Ctrl-C. Leaving, in whatever way, ends QEMU.

TREE and the other flags are those of "kcatch boot".

Exit codes: 0 the machine was handed over and left; 1 the program that had it failed; 125 cannot be tested, 129 usage,
130 interrupted before that, 131 infrastructure.`

const debugExample = `  kcatch debug --patch pgflags-refcount                              gdb, where the kernel of kcatch's own story dies
  kcatch debug ~/linux --break mm/page_alloc.c:6958
  kcatch debug --vmlinux vmlinux --gdb -- -batch -ex kcatch-bt       for a script
  kcatch debug --kernel bzImage --vmlinux vmlinux --drgn
  kcatch debug --patch pgflags-refcount --reverse
  kcatch debug --tui --patch pgflags-refcount
  kcatch debug --tui death.json                                      what kcatch boot --json death.json saw`

// debugFlags are the verb's own.
type debugFlags struct {
	breaks           []string
	gdb, drgn, crash bool
	reverse          bool
	tui              bool
}

func debugCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags debugFlags
	cmd := &cobra.Command{
		Use:     "debug [TREE] [-- ARG ...]",
		Short:   "boot, stop at the death, and hand over to gdb",
		Long:    debugLong,
		Example: debugExample,
		Args:    cobra.ArbitraryArgs,
	}
	fs := cmd.Flags()
	config.BindBootFlags(fs)
	fs.StringArrayVar(&flags.breaks, "break", nil, "stop at this `FUNCTION|FILE:LINE`, too; may be repeated")
	fs.BoolVar(&flags.gdb, "gdb", false, "start gdb on the machine (the default on a terminal)")
	fs.BoolVar(&flags.drgn, "drgn", false, "start drgn on the core of the stop")
	fs.BoolVar(&flags.crash, "crash", false, "start crash on the core of the stop")
	fs.BoolVar(&flags.reverse, "reverse", false, "record the boot, and hand over a machine that goes backward, too")
	fs.BoolVar(&flags.tui, "tui", false, "show the stop, or a result that was saved, on the terminal as gdb's TUI does")
	completeBoot(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var more []string
		if at := cmd.ArgsLenAtDash(); at >= 0 {
			args, more = args[:at], args[at:]
		}
		cfg, resolved, err := config.ResolveBoot(fs, os.LookupEnv, args, verdict.ClassNames())
		if err != nil {
			return err
		}
		if flags.tui {
			if err := flags.checkView(cfg, more, stdout); err != nil {
				return err
			}
			if len(args) == 1 && isSaved(args[0]) {
				return viewSaved(cmd.Context(), args[0], cfg, stdout)
			}
		}
		introduce(talk, cfg, resolved)
		*code, err = runDebug(cmd.Context(), cfg, flags, more, stdout, talk)
		return err
	}
	return cmd
}

// options checks the verb's own flags. more are the program's arguments.
func (f debugFlags) options(cfg config.Boot, more []string, stdout io.Writer, talk *talk) (debug.Options, error) {
	o := debug.Options{Args: more, Reverse: f.reverse, Streams: debug.Streams{In: os.Stdin, Out: stdout, Err: os.Stderr}, Lend: talk.lend,
		Say: func(line string) { talk.print("kcatch: " + line) }}
	asked := 0
	for _, p := range []struct {
		want    bool
		program debug.Program
	}{{f.gdb, debug.Gdb}, {f.drgn, debug.Drgn}, {f.crash, debug.Crash}} {
		if p.want {
			o.Program = p.program
			asked++
		}
	}
	switch {
	case asked > 1:
		return o, blame.New(blame.Usage, "--gdb, --drgn and --crash: only one of them", "")
	case cfg.Repeat > 1:
		return o, blame.New(blame.Usage, "--repeat: there is one machine to hand over", "leave it out")
	case cfg.WhoWrote != "":
		return o, blame.New(blame.Usage, "--who-wrote: debug does not ask it", "kcatch boot --who-wrote does")
	case cfg.Expect != "" || cfg.Only != "":
		return o, blame.New(blame.Usage, "--expect and --only turn a verdict's exit code, and debug has none", "kcatch boot takes them")
	}
	if f.reverse && (f.drgn || f.crash) {
		return o, blame.New(blame.Usage, "--reverse: drgn and crash read a core, which goes nowhere", "--gdb goes backward")
	}
	if f.tui {
		o.View = func(ctx context.Context, h harness.Held, gdb func(context.Context) (bool, error)) error {
			return view(ctx, h.Result, h.Vmlinux, !styleOf(cfg, stdout).Color, gdb)
		}
	} else if asked == 0 && isTerminal(stdout) && term.IsTerminal(int(os.Stdin.Fd())) {
		if _, err := exec.LookPath("gdb"); err == nil {
			o.Program = debug.Gdb
		}
	}
	if o.Program == debug.Nobody && len(more) > 0 {
		return o, blame.New(blame.Usage, "debug: arguments after -- are for a program, and none is asked for", "--gdb, --drgn or --crash starts one")
	}
	var err error
	o.Breaks, err = parseBreaks(f.breaks)
	return o, err
}

// runDebug is the verb: configuration → Plan → debug.Session → report → a program.
func runDebug(ctx context.Context, cfg config.Boot, flags debugFlags, more []string, stdout io.Writer, talk *talk) (int, error) {
	if err := checkOutputs(cfg.Out, cfg.JSON); err != nil {
		return 0, err
	}
	o, err := flags.options(cfg, more, stdout, talk)
	if err != nil {
		return 0, err
	}
	plan, err := absolute(planFor(cfg))
	if err != nil {
		return 0, err
	}
	s, err := debug.New(plan, o)
	if err != nil {
		return 0, err
	}
	if goOn, err := announce(ctx, s.Plan(), cfg, stdout, talk); !goOn || err != nil {
		return 0, err
	}
	progress := talk.progress()
	var shown error
	progress.Verdict = func(r *verdict.Result) {
		talk.done()
		shown = showHeld(cfg, r, stdout)
	}
	_, err = s.Run(ctx, progress)
	if debug.IsProgram(err) {
		talk.print("kcatch: " + err.Error())
		return verdict.ExitBad, shown
	}
	return verdict.ExitGood, errors.Join(shown, err)
}

// showHeld prints the report of the stop.
func showHeld(cfg config.Boot, r *verdict.Result, stdout io.Writer) error {
	if cfg.JSON != "" {
		if err := writeJSON(cfg.JSON, stdout, r); err != nil || cfg.JSON == "-" {
			return err
		}
	}
	return report.Held(stdout, r, styleOf(cfg, stdout))
}
