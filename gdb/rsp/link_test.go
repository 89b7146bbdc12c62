package rsp_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"kcatch/gdb/rsp"
)

// TestLink: what arrives at one end, and what that answers on the wire.
func TestLink(t *testing.T) {
	for _, c := range []struct {
		name, in string
		packets  []string
		out      string
		err      error
	}{
		{name: "packets", in: "+$g#67+$m1,2#fc", packets: []string{"g", "m1,2"}, out: "++"},
		{name: "an interrupt between packets", in: "\x03$c#63\x03", packets: []string{rsp.Interrupt, "c", rsp.Interrupt}, out: "+"},
		{name: "a 3 in a packet is data", in: "$a\x03#64", packets: []string{"a\x03"}, out: "+"},
		{name: "a wrong checksum", in: "$g#00$g#67", packets: []string{"g"}, out: "-+"},
		{name: "wrong for ever", in: strings.Repeat("$g#00", 4), out: "---", err: rsp.ErrProtocol},
		{name: "refused for ever", in: "----", err: rsp.ErrProtocol},
		{name: "too long", in: "$" + strings.Repeat("a", 1<<17) + "#00", out: "", err: rsp.ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			l := rsp.NewLink(theirs)
			out := make(chan []byte)
			written := make(chan bool)
			go func() {
				said := make([]byte, len(c.out))
				n, _ := io.ReadFull(ours, said)
				<-written
				_ = ours.Close()
				out <- said[:n]
			}()
			go func() {
				_, _ = ours.Write([]byte(c.in))
				close(written)
			}()
			var got []string
			for p := range l.Packets() {
				got = append(got, p)
			}
			l.Close()
			if strings.Join(got, " ") != strings.Join(c.packets, " ") || !errors.Is(l.Err(), c.err) {
				t.Errorf("%q, %v", got, l.Err())
			}
			if said := <-out; string(said) != c.out {
				t.Errorf("it said %q, want %q", said, c.out)
			}
		})
	}
}

// TestLinkAgain: a packet that the peer asks for again is sent again.
func TestLinkAgain(t *testing.T) {
	ours, theirs := net.Pipe()
	l := rsp.NewLink(theirs)
	defer l.Close()
	go l.Send("a#b")
	const frame = "$a}\x03b#43"
	buf := make([]byte, len(frame))
	for range 2 {
		if _, err := io.ReadFull(ours, buf); err != nil || string(buf) != frame {
			t.Fatalf("%q, %v", buf, err)
		}
		go ours.Write([]byte{'-'})
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	for p := range l.Packets() {
		t.Errorf("%q", p)
	}
	if l.Err() != nil {
		t.Error(l.Err())
	}
}
