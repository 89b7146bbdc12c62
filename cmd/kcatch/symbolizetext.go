package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kcatch/gdb/trace"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/debuginfo"
	"kcatch/harness/report"
	"kcatch/internal/blame"
)

// input is standard input with its first lines looked at.
type input struct {
	r    *bufio.Reader
	text bool // it is the text of a console, not addresses
	err  error
}

// peekInput waits for the first bytes of standard input and tells what they are. Addresses stand alone in their lines, from the
// first one on; all else is text.
func peekInput(ctx context.Context, stdin io.Reader) (input, error) {
	done := make(chan input, 1)
	go func() { // reading cannot be interrupted
		in := input{r: bufio.NewReaderSize(stdin, 64<<10)}
		_, in.err = in.r.Peek(1)
		chunk, _ := in.r.Peek(in.r.Buffered())
		in.text = isText(chunk)
		done <- in
	}()
	select {
	case <-ctx.Done():
		return input{}, ctx.Err()
	case in := <-done:
		if in.err != nil && !errors.Is(in.err, io.EOF) {
			return in, &blame.Error{Kind: blame.Infrastructure, Msg: "symbolize: read standard input: " + in.err.Error(), Err: in.err}
		}
		return in, nil
	}
}

func isText(chunk []byte) bool {
	first := true
	for line := range bytes.Lines(chunk) {
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) == 0 {
			continue
		}
		if first && bytes.ContainsAny(trimmed, " \t") || trace.IsConsole(line) {
			return true
		}
		first = false
	}
	return false
}

// textInput is the filter: standard input goes to standard output with the lines of its places added, or, for a program, as a line
// of JSON for each place. file may be nil: the text says whose vmlinux it needs.
func textInput(ctx context.Context, flags symbolizeFlags, file *vmlinux.File, in io.Reader, stdout io.Writer, talk *talk) error {
	slide, err := parseSlide(flags.slide)
	if err != nil {
		return err
	}
	search := debuginfo.Search{Modules: flags.modules, Caches: debuginfodCaches()}
	filter := trace.Filter{}
	if flags.slide != "" {
		filter.Slide = &slide
	}
	if file != nil {
		filter.Symbols = search.Kernel(file)
	} else {
		filter.Open = func(id trace.Identity) (trace.Symbols, error) {
			f, err := search.Vmlinux(id)
			if err != nil {
				return nil, err
			}
			talk.remark("vmlinux " + report.Clean(f.Path(), 0))
			return search.Kernel(f), nil // open to the end: there are few
		}
	}
	out := stdout
	switch {
	case flags.json:
		lines := bufio.NewWriter(stdout)
		filter.Each = func(f trace.Found) {
			p := debuginfo.Place(f)
			_ = report.PlaceJSON(lines, &p) // bufio keeps the error for Flush
		}
		out = flusher{lines}
	case isTerminal(stdout):
		out = &cleanLines{w: stdout}
	}
	type result struct {
		stats trace.Stats
		err   error
	}
	done := make(chan result, 1)
	go func() {
		stats, err := filter.Copy(out, in)
		if c, ok := out.(io.Closer); ok && err == nil {
			err = c.Close()
		}
		done <- result{stats, err}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-done:
		if r.err != nil {
			return &blame.Error{Kind: blame.Infrastructure, Msg: "symbolize: " + r.err.Error(), Err: r.err}
		}
		return textVerdict(r.stats, file, talk)
	}
}

// textVerdict tells what was missing. A text of which nothing could be told is refused: whoever gave the wrong vmlinux wants to know.
func textVerdict(stats trace.Stats, file *vmlinux.File, talk *talk) error {
	nothing := stats.Places > 0 && stats.Located+stats.Ambiguous == 0
	for i, err := range stats.Errors {
		if nothing && i == 0 {
			continue // it is the answer
		}
		talk.print("kcatch: " + report.Clean(err.Error(), 0))
	}
	if nothing && len(stats.Errors) > 0 {
		return stats.Errors[0]
	}
	if stats.Foreign > 0 && !nothing {
		// The others have lines all the same, of functions that happen to have the same name and size there.
		talk.print(fmt.Sprintf("kcatch: %d of %d places are in functions that the vmlinux does not have: if it is of another build, the lines are wrong",
			stats.Foreign, stats.Places))
	}
	if file == nil {
		return nil
	}
	other := ""
	for _, id := range stats.Kernels {
		if has := file.Release(); has != "" && id.Release != "" && id.Release != has {
			other = fmt.Sprintf("the text is of %s, but %s of %s", id.Release, file.Path(), has)
		} else if has := file.BuildID(); has != "" && id.BuildID != "" && id.BuildID != has {
			other = fmt.Sprintf("the text is of build id %s, but %s has %s", id.BuildID, file.Path(), has)
		} else if has := debuginfo.Version(file); id.BuildID == "" && has != "" && id.Version != "" && id.Version != has {
			other = fmt.Sprintf("the text is of build %s of %s, but %s of %s: the lines may be wrong", id.Version, id.Release, file.Path(), has)
		}
	}
	const hint = "give the vmlinux of the kernel that printed it"
	switch {
	case nothing && !file.HasDWARF():
		return blame.New(blame.Usage, file.Path()+": has no debug information", "give the vmlinux of the -dbg package, or build with CONFIG_DEBUG_INFO")
	case nothing && other != "":
		return blame.New(blame.Usage, other, hint)
	case nothing:
		return blame.New(blame.Usage, fmt.Sprintf("%s: has a line for none of the %d places in the text", file.Path(), stats.Places), hint)
	case other != "":
		talk.print("kcatch: " + report.Clean(other, 0))
	}
	return nil
}

// debuginfodCaches are where debuginfod's client keeps what it fetched: debuginfod_find_debuginfo(3), "CACHE".
func debuginfodCaches() []string {
	if dir := os.Getenv("DEBUGINFOD_CACHE_PATH"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "debuginfod_client"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".debuginfod_client_cache"))
	}
	return dirs
}

// flusher stands where the text would go: when that is written, the lines of JSON before it are.
type flusher struct{ w *bufio.Writer }

func (f flusher) Write(p []byte) (int, error) { return len(p), f.w.Flush() }

// Close writes what is left.
func (f flusher) Close() error { return f.w.Flush() }

// cleanLines makes hostile text safe for a terminal, line by line. Elsewhere the text passes as it is: a file is no terminal.
type cleanLines struct {
	w    io.Writer
	rest []byte
}

// longestRest bounds what is kept of a line that does not end.
const longestRest = 64 << 10

func (c *cleanLines) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	var out bytes.Buffer
	for {
		line, after, ended := bytes.Cut(c.rest, []byte("\n"))
		if !ended && len(c.rest) < longestRest {
			break
		}
		out.WriteString(report.Clean(string(bytes.TrimRight(line, "\r")), 0))
		out.WriteByte('\n')
		c.rest = append(c.rest[:0], after...)
	}
	if _, err := c.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes a last line without an end.
func (c *cleanLines) Close() error {
	if len(c.rest) == 0 {
		return nil
	}
	_, err := io.WriteString(c.w, report.Clean(string(bytes.TrimRight(c.rest, "\r")), 0)+"\n")
	c.rest = nil
	return err
}
