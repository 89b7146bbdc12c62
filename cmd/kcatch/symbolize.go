package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kcatch/gdb/trace"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/report"
	"kcatch/harness/symbolize"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const symbolizeLong = `Say which function, file and line an address of a kernel is, and which functions were inlined there. ADDR is an address
(0xffffffff81000100, or 16 digits), or a function with an offset and its size as traces have it (vfs_read+0x60/0x310; the size
tells functions of one name apart). An address is taken as that of an instruction; --return says that all are return
addresses, as the entries of a trace are: then it is the call before it.

Without ADDR, standard input has them, one a line; or it is the text of a console: an oops, a warning, a log. Then the same
text comes out with the file and line of each place in it, and before that a line for each function that is inlined there. Return
addresses and the place of the CPU are told apart there. Whose vmlinux it needs is in the text; without --vmlinux it is looked for
where debug packages, builds and debuginfod put it.

Exit codes: 0 answered, also for an address that is no code; 129 usage, also a vmlinux of another kernel; 131 infrastructure.`

const symbolizeExample = `  kcatch symbolize --vmlinux vmlinux 0xffffffff81000100
  kcatch symbolize --vmlinux vmlinux --slide 0x1e000000 ffffffff9f000100      the kernel ran under KASLR
  kcatch symbolize --vmlinux vmlinux --return vfs_read+0x60/0x310              an entry of a call trace
  kcatch symbolize --vmlinux vmlinux --json vfs_read+0x60/0x310 | jq .frames
  dmesg | kcatch symbolize
  kcatch symbolize --vmlinux vmlinux --modules . <console.log`

type symbolizeFlags struct {
	vmlinux string
	slide   string
	modules string
	ret     bool
	json    bool
	appearance
}

func symbolizeCommand(stdin io.Reader, stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags symbolizeFlags
	cmd := &cobra.Command{
		Use:     "symbolize [--vmlinux ELF] [ADDR...]",
		Short:   "the function, file and line of an address, or of all in a log",
		Long:    symbolizeLong,
		Example: symbolizeExample,
		Args:    cobra.ArbitraryArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.vmlinux, "vmlinux", "", "the kernel's `ELF` file, with debug information for lines")
	fs.StringVar(&flags.slide, "slide", "", "the kernel ran `BYTES` above its link address: the \"Kernel Offset\" of its log")
	fs.StringVar(&flags.modules, "modules", "", "look in this `DIR` first for the modules that a text names")
	fs.BoolVar(&flags.ret, "return", false, "each ADDR is a return address: tell the call before it")
	fs.BoolVar(&flags.json, "json", false, "print a line of JSON for each address")
	flags.bindAppearance(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		failed, err := runSymbolize(cmd.Context(), flags, args, stdin, stdout, talk)
		*code = failed
		return err
	}
	return cmd
}

// runSymbolize is the verb. Words that mean nothing are told on standard error, a line each, and the others are answered all the same;
// the exit code is then that of usage.
func runSymbolize(ctx context.Context, flags symbolizeFlags, args []string, stdin io.Reader, stdout io.Writer, talk *talk) (int, error) {
	slide, err := parseSlide(flags.slide)
	if err != nil {
		return 0, err
	}
	if err := checkModules(flags.modules); err != nil {
		return 0, err
	}
	var file *vmlinux.File
	if flags.vmlinux != "" { // before anything is read
		if file, err = vmlinux.Open(flags.vmlinux); err != nil {
			return 0, err
		}
		defer file.Close()
	}
	var in input
	if len(args) == 0 {
		if in, err = peekInput(ctx, stdin); err != nil {
			return 0, err
		}
		if in.text && flags.ret {
			return 0, blame.New(blame.Usage, "--return: is for addresses, and this is the text of a console, which tells return addresses from others", "leave --return out")
		}
		if in.text || in.err != nil && file == nil { // nothing at all is a text without places
			return 0, textInput(ctx, flags, file, in.r, stdout, talk)
		}
	}
	if file == nil {
		hint := "kcatch symbolize --vmlinux vmlinux 0xffffffff81000100"
		if len(args) > 0 && isFile(args[0]) {
			hint = "a text is read from standard input: kcatch symbolize <" + report.Clean(args[0], 0)
		}
		return 0, blame.New(blame.Usage, "symbolize: --vmlinux is missing", hint)
	}
	out := bufio.NewWriter(stdout)
	s := symbolizing{
		kernel: symbolize.Kernel{File: file, Slide: slide, Return: flags.ret}, out: out, talk: talk, json: flags.json, args: len(args) > 0,
		style: report.Style{Color: flags.style(stdout).Color},
	}
	if len(args) > 0 {
		err = s.answer(args)
	} else {
		err = s.lines(ctx, in.r)
	}
	if e := out.Flush(); err == nil {
		err = e
	}
	if err != nil && ctx.Err() == nil {
		err = &blame.Error{Kind: blame.Infrastructure, Msg: "symbolize: " + err.Error(), Err: err}
	}
	return s.finish(), err
}

func parseSlide(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	slide, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, blame.New(blame.Usage, fmt.Sprintf("--slide: %q is no number of bytes", s), "--slide 0x1e000000")
	}
	if !trace.ValidSlide(slide) { // with it, every address would have another's line
		return 0, blame.New(blame.Usage, fmt.Sprintf("--slide: 0x%x: KASLR moves a kernel by a multiple of 2 MiB, less than 1 GiB", slide),
			`it is the "Kernel Offset" of the log, or kernel.kaslr_slide of a result`)
	}
	return slide, nil
}

// symbolizing answers words and counts those that mean nothing.
type symbolizing struct {
	kernel symbolize.Kernel
	out    *bufio.Writer
	talk   *talk
	style  report.Style
	json   bool
	args   bool // the words are arguments
	bad    int
}

// answer prints what the words are.
func (s *symbolizing) answer(words []string) error {
	parsed, known := make([]symbolize.Word, 0, len(words)), make([]string, 0, len(words))
	for _, text := range words {
		w, err := symbolize.ParseWord(text)
		if err != nil {
			s.refuse(text, err)
			continue
		}
		parsed, known = append(parsed, w), append(known, text)
	}
	for n, a := range s.kernel.Places(parsed) {
		if a.Err != nil {
			s.refuse(known[n], a.Err)
		}
		for i := range a.Places {
			var err error
			if s.json {
				err = report.PlaceJSON(s.out, &a.Places[i])
			} else {
				err = report.Place(s.out, &a.Places[i], s.style)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// maxRefused is how many words are refused by name.
const maxRefused = 4

func (s *symbolizing) refuse(word string, err error) {
	if s.bad++; s.bad > maxRefused {
		return
	}
	s.talk.print("kcatch: " + report.Clean(err.Error(), 0))
	hint := blame.Hint(err)
	if s.args && isFile(word) {
		hint = "a text is read from standard input: kcatch symbolize --vmlinux ELF <" + report.Clean(word, 0)
	}
	if s.bad == 1 && hint != "" {
		s.talk.print("hint: " + hint)
	}
}

// isFile: an argument that is the name of a file here was meant as one.
func isFile(word string) bool {
	st, err := os.Stat(word)
	return err == nil && st.Mode().IsRegular()
}

// finish tells how many more were refused, and gives the exit code.
func (s *symbolizing) finish() int {
	if s.bad == 0 {
		return 0
	}
	if more := s.bad - maxRefused; more > 0 {
		s.talk.print(fmt.Sprintf("kcatch: and %d more like these", more))
	}
	return verdict.ExitUsage
}

// Lines of standard input are answered together while there are more to read, and at the latest after this many: somebody who
// types, or a program that asks and waits, has the answer at once.
const (
	maxTogether = 4096
	maxLine     = 4096 // bytes
)

// lines answers the words of standard input. Reading cannot be interrupted, so that it is done beside.
func (s *symbolizing) lines(ctx context.Context, stdin io.Reader) error {
	type batch struct {
		words []string
		err   error
	}
	batches := make(chan batch)
	go func() {
		in := bufio.NewReaderSize(stdin, 64<<10)
		var words []string
		for {
			line, err := readLine(in)
			if word := strings.TrimSpace(line); word != "" {
				words = append(words, word)
			}
			if err == nil && in.Buffered() > 0 && len(words) < maxTogether {
				continue
			}
			select {
			case batches <- batch{words, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			words = nil
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-batches:
			if err := s.answer(b.words); err != nil {
				return err
			}
			if err := s.out.Flush(); err != nil {
				return err
			}
			if b.err == io.EOF {
				return nil
			}
			if b.err != nil {
				return b.err
			}
		}
	}
}

// readLine is the next line, cut after maxLine bytes.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := maxLine - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		if err != bufio.ErrBufferFull {
			return string(line), err
		}
	}
}
