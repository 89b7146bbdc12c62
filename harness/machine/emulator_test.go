package machine

import (
	"slices"
	"strings"
	"testing"

	"kcatch/internal/blame"
)

func TestAsk(t *testing.T) {
	needQEMU(t)
	e, err := Ask(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"q35", "pc", "microvm"} {
		if !slices.Contains(e.Machines, name) {
			t.Errorf("no machine %s in %q", name, e.Machines)
		}
	}
	if !slices.Contains(e.Accels, "tcg") || e.Version == "" || e.Path == "" {
		t.Errorf("%+v", e)
	}
}

func TestAskOfWhatIsNoQEMU(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{`echo "qemu-system-x86_64: error while loading shared libraries: libfdt.so.1" >&2; exit 127`, "loading shared libraries: libfdt.so.1"},
		{`exit 3`, "exit status 3"},
		{`exit 0`, "is not a QEMU"},
		{`echo hello`, "is not a QEMU"},
	} {
		e, err := Ask(t.Context(), script(t, c.script))
		if blame.Of(err) != blame.Infrastructure || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", c.script, e, err)
		}
	}
	if _, err := Ask(t.Context(), "no-such-qemu"); blame.Of(err) != blame.Infrastructure || blame.Hint(err) == "" {
		t.Errorf("no such qemu: %v", err)
	}
}

func TestParseNames(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"Supported machines are:\nmicrovm   microvm (i386)\npc   Standard PC (alias of pc-i440fx-7.2)\n\n", []string{"microvm", "pc"}},
		{"Accelerators supported in QEMU binary:\ntcg\nkvm\n", []string{"tcg", "kvm"}},
		{"warning: a word\nSupported machines are:\nq35  \x1b[31m\n", []string{"q35"}},
		{"Supported machines are:\n\x1b[31mq35 x\n", []string{"[31mq35"}},
		{"", nil},
	} {
		if got := parseNames(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	if got := parseVersion("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright (c)\n"); got != "7.2.22 (Debian 1:7.2+dfsg-7)" {
		t.Errorf("version %q", got)
	}
	if got := parseVersion("hello"); got != "" {
		t.Errorf("version %q", got)
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add("Supported machines are:\npc  x\n")
	f.Add("QEMU emulator version \x1b\n")
	f.Fuzz(func(t *testing.T, text string) {
		names := append(parseNames(text), parseVersion(text))
		if len(names) > maxNames+1 {
			t.Errorf("%d names", len(names))
		}
		for _, n := range names {
			if strings.ContainsAny(n, "\n\x1b") {
				t.Errorf("%q", n)
			}
		}
	})
}

func TestReplays(t *testing.T) {
	needQEMU(t)
	trouble, err := Replays(t.Context(), "")
	if err != nil || trouble != "" {
		t.Errorf("trouble %q, %v", trouble, err)
	}
}

func TestReplaysNot(t *testing.T) {
	real := `for a; do case $a in *rr=record*) exit 85;; esac; done
`
	for _, c := range []struct{ script, want string }{
		{`echo "qemu-system-x86_64: -icount: record/replay is not supported" >&2; exit 1`, "record: -icount: record/replay is not supported"},
		{real + `echo "qemu-system-x86_64: Missing input event" >&2; exit 1`, "replay: Missing input event"},
		{real + `exit 0`, "replay: qemu ended with exit status 0"},
	} {
		trouble, err := Replays(t.Context(), script(t, c.script))
		if err != nil || strings.Replace(trouble, "qemu-system-x86_64: ", "", 1) != c.want {
			t.Errorf("trouble %q, %v; want %q", trouble, err, c.want)
		}
	}
}
