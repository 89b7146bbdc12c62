package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"kcatch/harness"
	"kcatch/harness/config"
	"kcatch/harness/tui"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// view shows a result on the terminal until it is left. vmlinux is where the source files come from; "" is the one that the result
// names. gdb runs gdb on its machine; nil where there is none.
func view(ctx context.Context, r *verdict.Result, vmlinux string, plain bool, gdb func(context.Context) (bool, error)) error {
	if vmlinux == "" {
		vmlinux = r.Artifacts.Vmlinux
	}
	return tui.Run(ctx, tui.New(r), tui.Options{
		Source: harness.Sources(vmlinux, r.Kernel.BuildID),
		Plain:  plain,
		Gdb:    gdb,
	})
}

// isSaved reports whether the argument of debug --tui is a result that was saved, and no kernel tree: FILE.json, or a directory with a
// result.json.
func isSaved(arg string) bool {
	if strings.HasSuffix(arg, ".json") {
		return true
	}
	_, err := os.Stat(filepath.Join(arg, "result.json"))
	return err == nil
}

// viewSaved shows a result that was saved. Nothing is booted.
func viewSaved(ctx context.Context, path string, cfg config.Boot, stdout io.Writer) error {
	r, err := harness.ReadResult(path)
	if err != nil {
		return err
	}
	return view(ctx, r, cfg.Vmlinux, !styleOf(cfg, stdout).Color, nil)
}

// checkView refuses what cannot be together with --tui.
func (f debugFlags) checkView(cfg config.Boot, more []string, stdout io.Writer) error {
	switch {
	case f.gdb || f.drgn || f.crash:
		return blame.New(blame.Usage, "--tui: the terminal has room for one: leave out --gdb, --drgn or --crash", "x in the view runs gdb")
	case len(more) > 0:
		return blame.New(blame.Usage, "debug: arguments after -- are for a program, and --tui starts none", "")
	case cfg.Plain:
		return blame.New(blame.Usage, "--plain and --tui: only one of them", "")
	case cfg.JSON == "-":
		return blame.New(blame.Usage, "--json - and --tui: standard output has room for one", "name a file")
	}
	return checkScreen(stdout)
}

// checkScreen refuses what is no terminal that a view can be on, before anything is read or booted.
func checkScreen(stdout io.Writer) error {
	const hint = "leave --tui out, or run it on a terminal"
	f, ok := stdout.(*os.File)
	switch kind := os.Getenv("TERM"); {
	case !ok || !term.IsTerminal(int(f.Fd())):
		return blame.New(blame.Usage, "--tui: standard output is no terminal", hint)
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return blame.New(blame.Usage, "--tui: standard input is no terminal", hint)
	case kind == "" || kind == "dumb":
		return blame.New(blame.Usage, "--tui: this terminal cannot be drawn on (TERM="+kind+")", hint)
	}
	return nil
}
