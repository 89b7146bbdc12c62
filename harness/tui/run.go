package tui

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"

	"kcatch/internal/blame"
)

// Options is what a view needs from outside.
type Options struct {
	// Source reads a file by the name that frames have: "mm/page_alloc.c". Its error says in the view why there is none.
	Source func(file string) ([]byte, error)
	// Plain is a view without colours.
	Plain bool
	// Gdb runs gdb on the machine that the result is of, on the same terminal, and says whether it stands still when gdb was left. Nil
	// where there is no machine.
	Gdb func(ctx context.Context) (stands bool, err error)
}

// Run shows m on the controlling terminal until it is left (nil), ctx ends, or a signal to end comes
// (both blame.Interrupted). The terminal is as it was when Run returns, and also when it panics; what goes on in other goroutines
// and panics there, or SIGKILL, is out of its hands.
func Run(ctx context.Context, m Model, o Options) (err error) {
	// Signals that would end the process must not before the terminal is given back: also the second one, which is for
	// whoever is impatient.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	screen, err := open(o.Plain)
	if err != nil {
		return err
	}
	defer screen.Fini() // on a panic, too

	m = m.Resize(screen.Size()).WithMachine(o.Gdb != nil)
	looks := styles(screen.Colors() > 0)
	for {
		m = read(m, o.Source)
		draw(screen, m.View(), looks)
		select {
		case <-ctx.Done():
			return interrupted("")
		case s := <-signals:
			return interrupted(s.String())
		case ev := <-screen.EventQ():
			switch ev := ev.(type) {
			case *tcell.EventResize:
				m = m.Resize(ev.Size())
			case *tcell.EventKey:
				key := named(ev)
				if m = m.Press(key); key == "ctrl-l" {
					screen.Sync()
				}
			case *tcell.EventError:
				return interrupted("the terminal is gone")
			case nil: // the channel is closed
				return interrupted("the terminal is gone")
			}
		}
		if m.WantsGdb() {
			if m, err = lend(ctx, screen, m, o, signals); err != nil {
				return err
			}
		}
		if m.Over() {
			return nil
		}
	}
}

// lend gives the terminal to gdb for a while. Ctrl-C is gdb's meanwhile.
func lend(ctx context.Context, screen tcell.Screen, m Model, o Options, signals chan os.Signal) (Model, error) {
	if err := screen.Suspend(); err != nil {
		return m, &blame.Error{Kind: blame.Infrastructure, Msg: "--tui: the terminal: " + err.Error(), Err: err}
	}
	stands, gdbErr := o.Gdb(ctx)
	for n := len(signals); n > 0; n-- {
		if s := <-signals; s != os.Interrupt {
			return m, interrupted(s.String())
		}
	}
	if err := screen.Resume(); err != nil {
		return m, &blame.Error{Kind: blame.Infrastructure, Msg: "--tui: the terminal: " + err.Error(), Err: err}
	}
	return m.GdbLeft(stands, gdbErr).Resize(screen.Size()), nil
}

func interrupted(why string) error {
	msg := "interrupted"
	if why != "" {
		msg += ": " + why
	}
	return blame.New(blame.Interrupted, msg, "")
}

// open takes the terminal, as a file of its own: tcell's reader of standard input leaves it non-blocking (O_NONBLOCK), for the shell
// and for all that have it. Nothing is asked of it (OptNegotiation): the answers come late over a slow line, and what they are about
// is not used here.
func open(plain bool) (tcell.Screen, error) {
	options := []tcell.TerminfoScreenOption{tcell.OptNegotiation(false), tcell.OptSanitizeContent(true)}
	if plain {
		options = append(options, tcell.OptColors(0))
	}
	tty, err := tcell.NewDevTty()
	if err != nil {
		return nil, blame.New(blame.Usage, "--tui: the controlling terminal: "+err.Error(), "run it on a terminal")
	}
	screen, err := tcell.NewTerminfoScreenFromTty(tty, options...)
	if err == nil {
		err = screen.Init()
	}
	switch {
	case errors.Is(err, tcell.ErrNoCharset):
		return nil, blame.New(blame.Usage, "--tui: the locale's character set is not known", "LC_ALL=C.UTF-8 kcatch ...")
	case err != nil:
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: "--tui: the terminal: " + err.Error(), Err: err}
	}
	for ours, ascii := range fallbacks {
		screen.RegisterRuneFallback(ours, ascii)
	}
	screen.HideCursor()
	return screen, nil
}

// fallbacks are what stands for our characters where the locale has none of them.
var fallbacks = map[rune]string{'═': "=", '…': "~"}

// read gives the model the source that it needs.
func read(m Model, source func(string) ([]byte, error)) Model {
	name := m.Needs()
	if name == "" {
		return m
	}
	if source == nil {
		return m.Read(name, nil, errors.New("there is nowhere to read it from"))
	}
	text, err := source(name)
	return m.Read(name, text, err)
}

// draw puts lines on the screen; only what has changed is written to the terminal.
func draw(screen tcell.Screen, lines []Line, looks map[Look]tcell.Style) {
	screen.Clear()
	for y, l := range lines {
		x := 0
		for _, s := range l {
			for _, r := range s.Text {
				screen.Put(x, y, string(r), looks[s.Look])
				x++
			}
		}
	}
	screen.Show()
}

// styles are the looks on a terminal with colours, or on one without: there they are bold, dim or reverse. (tcell itself turns a colour
// that there is none for into reverse, which here is what is selected.)
func styles(colours bool) map[Look]tcell.Style {
	d := tcell.StyleDefault
	s := map[Look]tcell.Style{
		Plain: d, Dim: d.Dim(true), Strong: d.Bold(true), Title: d, Focused: d.Bold(true), Selected: d.Reverse(true),
		Bad: d.Bold(true), Good: d.Bold(true), Warn: d, Found: d.Reverse(true).Bold(true),
	}
	if colours {
		s[Title], s[Focused] = d.Foreground(color.Teal), d.Foreground(color.Aqua).Bold(true)
		s[Bad], s[Good], s[Warn] = d.Foreground(color.Red).Bold(true), d.Foreground(color.Green).Bold(true), d.Foreground(color.Olive)
	}
	return s
}

// named is a key event as a [Key].
func named(ev *tcell.EventKey) Key {
	k := ev.Key()
	switch {
	case k >= tcell.KeyCtrlA && k <= tcell.KeyCtrlZ && k != tcell.KeyTab && k != tcell.KeyEnter && k != tcell.KeyBackspace:
		return Key("ctrl-" + string(rune('a'+k-tcell.KeyCtrlA)))
	case k == tcell.KeyRune && ev.Modifiers()&tcell.ModCtrl != 0:
		return Key("ctrl-" + strings.ToLower(ev.Str()))
	case k == tcell.KeyRune && ev.Modifiers()&(tcell.ModAlt|tcell.ModMeta) != 0:
		return Key("alt-" + ev.Str())
	case k == tcell.KeyRune:
		return Key(ev.Str())
	}
	return special[k] // "" is no key of ours
}

var special = map[tcell.Key]Key{
	tcell.KeyUp: "up", tcell.KeyDown: "down", tcell.KeyLeft: "left", tcell.KeyRight: "right", tcell.KeyPgUp: "pgup", tcell.KeyPgDn: "pgdn",
	tcell.KeyHome: "home", tcell.KeyEnd: "end", tcell.KeyTab: "tab", tcell.KeyBacktab: "backtab", tcell.KeyEnter: "enter", tcell.KeyEsc: "esc",
	tcell.KeyBackspace: "backspace", tcell.KeyDelete: "backspace", tcell.KeyF1: "f1",
}
