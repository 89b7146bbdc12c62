package machine

import (
	"context"
	"strings"
	"time"

	"kcatch/internal/blame"
)

// Emulator is what a QEMU says of itself.
type Emulator struct {
	Path     string
	Version  string   // "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"; empty when it does not say
	Machines []string // the names for -machine, aliases included, as QEMU orders them
	Accels   []string // the accelerators that it was built with; those need not work
}

// askDeadline is how long QEMU may take to print one of its lists; it needs some 20 ms.
const askDeadline = 10 * time.Second

// Ask starts an emulator, by name or path as in [FindQEMU], for each question that it answers and ends. The error is an infrastructure
// error: it is not there, it does not run, or it is none.
func Ask(ctx context.Context, name string) (Emulator, error) {
	path, err := FindQEMU(name)
	if err != nil {
		return Emulator{}, err
	}
	e := Emulator{Path: path}
	answers := map[string]string{}
	for _, question := range [][]string{{"-version"}, {"-machine", "help"}, {"-accel", "help"}} {
		out, err := printed(ctx, path, question)
		if err != nil {
			return e, err
		}
		answers[question[0]] = out
	}
	e.Version = parseVersion(answers["-version"])
	e.Machines, e.Accels = parseNames(answers["-machine"]), parseNames(answers["-accel"])
	if e.Version == "" && len(e.Machines) == 0 { // a program that takes any arguments
		return e, blame.New(blame.Infrastructure, "ask qemu: "+path+": is not a QEMU: it names neither its version nor a machine", installHint)
	}
	return e, nil
}

// printed is what QEMU prints when it is run with args.
func printed(ctx context.Context, path string, args []string) (string, error) {
	proc, err := startProcess(path, append([]string{path}, args...))
	if err != nil {
		return "", infra("ask qemu: "+path, err)
	}
	defer proc.kill()
	t := time.NewTimer(askDeadline)
	defer t.Stop()
	select {
	case <-proc.done:
	case <-t.C:
		return "", blame.New(blame.Infrastructure, "ask qemu: "+path+" "+strings.Join(args, " ")+": no answer in "+askDeadline.String(), "")
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if !proc.state.Success() {
		line := firstComplaint(proc.out.String())
		if line == "" {
			line = proc.state.String()
		}
		return "", blame.New(blame.Infrastructure, "ask qemu: "+path+" "+strings.Join(args, " ")+": "+line, installHint)
	}
	return proc.out.String(), nil
}

// parseVersion reads "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)".
func parseVersion(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	_, version, ok := strings.Cut(line, " version ")
	if !ok {
		return ""
	}
	return clean(strings.TrimSpace(version))
}

// maxNames bounds a list of QEMU's.
const maxNames = 1000

// parseNames reads the first words under the headline of a list:
//
//	Supported machines are:
//	microvm              microvm (i386)
//	pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)
func parseNames(text string) []string {
	var names []string
	headline := true
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if headline {
			headline = !strings.HasSuffix(strings.TrimSpace(line), ":") && !strings.Contains(line, "supported in QEMU binary")
			continue
		}
		if len(f) > 0 && len(names) < maxNames {
			names = append(names, clean(f[0]))
		}
	}
	return names
}
