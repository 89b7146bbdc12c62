package main

import (
	"os"
	"testing"

	"github.com/creack/pty"
)

// openTerminal opens a pseudo terminal. take gets what is written to tty, in its order and one piece at a time, until the test ends.
func openTerminal(t *testing.T, take func(chunk string)) (p, tty *os.File) {
	t.Helper()
	p, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := p.Read(buf)
			take(string(buf[:n]))
			if err != nil {
				return // EIO: nobody has the terminal any more
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close()
		<-done
		p.Close()
	})
	return p, tty
}

// stepwise takes off data what step says, and returns what is not complete. step returns how many bytes it took, 0 when there is more
// to come.
func stepwise(data string, step func(string) int) (rest string) {
	for data != "" {
		n := step(data)
		if n == 0 {
			break
		}
		data = data[n:]
	}
	return data
}
