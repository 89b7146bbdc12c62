package rsp_test

import (
	"context"
	"errors"
	"io"
	"math/rand"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kcatch/gdb/rsp"
	"kcatch/gdb/rsp/rsptest"
	"kcatch/internal/blame"
)

// TestRaw runs the client on bytes. Time is synctest's: no timeout is waited for.
func TestRaw(t *testing.T) {
	oneThread := func(t *testing.T, c *rsp.Client) {
		threads, err := c.Threads(t.Context())
		if err != nil || !slices.Equal(threads, []rsp.Thread{cpu0}) {
			t.Errorf("threads %v, %v; want %v", threads, err, cpu0)
		}
	}
	noThread := func(t *testing.T, c *rsp.Client) {
		if threads, err := c.Threads(t.Context()); len(threads) != 0 || err != nil {
			t.Errorf("threads %v, %v; want none", threads, err)
		}
	}
	broken := func(t *testing.T, c *rsp.Client) {
		if _, err := c.Threads(t.Context()); !errors.Is(err, rsp.ErrProtocol) {
			t.Errorf("threads: %v, want %v", err, rsp.ErrProtocol)
		}
	}
	tests := []struct {
		name string
		run  func(*testing.T, *rsp.Client)
	}{
		{"split", oneThread},
		{"checksum", oneThread},
		{"checksum-always", broken},
		{"nak", noThread},
		{"nak-always", broken},
		{"noise", oneThread},
		{"runs", func(t *testing.T, c *rsp.Client) {
			p := []byte("xxxxxxxx")
			if n, err := c.ReadMemory(t.Context(), p, 0x1000); n != 8 || err != nil || string(p) != "\x00\x00\x00\x00\x00\x00\x00\x00" {
				t.Errorf("run: %q, %d, %v", p, n, err)
			}
			if n, err := c.ReadMemory(t.Context(), p[:2], 0x1000); n != 2 || err != nil || string(p[:2]) != "\x31\x24" {
				t.Errorf("escapes: %q, %d, %v", p[:2], n, err)
			}
		}},
		{"late-interrupt", func(t *testing.T, c *rsp.Client) {
			must(t, c.Continue(t.Context()))
			stop, err := c.Interrupt(t.Context())
			if err != nil || stop.Reason() != rsp.ReasonBreak {
				t.Errorf("interrupt: %q, %v", stop.Raw, err)
			}
			synctest.Wait()
			noThread(t, c)
		}},
		{"lost-interrupt", func(t *testing.T, c *rsp.Client) {
			must(t, c.Continue(t.Context()))
			start := time.Now()
			stop, err := c.Interrupt(t.Context())
			if err != nil || stop.Reason() != rsp.ReasonPaused {
				t.Errorf("interrupt: %q, %v", stop.Raw, err)
			}
			if took := time.Since(start); took != 200*time.Millisecond {
				t.Errorf("second 0x03 after %v", took)
			}
		}},
		{"attach", func(t *testing.T, c *rsp.Client) {
			synctest.Wait()
			if c.Running() {
				t.Error("running after an unasked stop")
			}
			noThread(t, c)
			synctest.Wait()
			if _, err := c.Threads(t.Context()); !errors.Is(err, rsp.ErrClosed) || !strings.Contains(err.Error(), "status 0") {
				t.Errorf("threads after W00: %v", err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := rsp.New(rsptest.ReplayRaw(t, "testdata/raw/"+test.name+".raw"), rsp.Options{})
				t.Cleanup(func() { _ = c.Close() })
				test.run(t, c)
			})
		})
	}
}

// everything calls each method that talks and gives its error.
func everything(ctx context.Context, c *rsp.Client) map[string]error {
	return map[string]error{
		"handshake": c.Handshake(ctx),
		"threads":   second(c.Threads(ctx)),
		"registers": second(c.Registers(ctx, cpu0)),
		"memory":    second(c.ReadMemory(ctx, make([]byte, 1), 0)),
		"insert":    c.Insert(ctx, rsp.Breakpoint{Kind: rsp.Hardware, Addr: 1}),
		"monitor":   second(c.Monitor(ctx, "info status")),
		"halted":    second(c.Halted(ctx, cpu0)),
		"select":    c.Select(ctx, cpu0),
		"step":      second(c.StepOver(ctx, cpu0)),
		"continue":  c.Continue(ctx),
		"interrupt": second(c.Interrupt(ctx)),
		"detach":    c.Detach(ctx),
		"kill":      c.Kill(ctx),
	}
}

// pipe runs stub on the other end of a client's connection.
func pipe(t *testing.T, stub func(net.Conn), opt rsp.Options) *rsp.Client {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		stub(server)
		_ = server.Close()
	}()
	c := rsp.New(client, opt)
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c
}

// TestSilentStub: a stub that reads and never speaks, and one that does not even read, give errors of the infrastructure.
func TestSilentStub(t *testing.T) {
	stubs := map[string]func(net.Conn){
		"silent": func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"deaf": func(conn net.Conn) {
			time.Sleep(24 * time.Hour)
		},
		"hangs up": func(net.Conn) {},
	}
	for name, stub := range stubs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := pipe(t, stub, rsp.Options{})
				start := time.Now()
				for what, err := range everything(t.Context(), c) {
					if err == nil {
						t.Errorf("%s: no error", what)
					} else if k := blame.Of(err); k != blame.Infrastructure && !errors.Is(err, rsp.ErrRunning) &&
						!errors.Is(err, rsp.ErrNotRunning) && !errors.Is(err, rsp.ErrUnsupported) {
						t.Errorf("%s: blame %v: %v", what, k, err)
					}
				}
				if took := time.Since(start); took > 5*time.Minute {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestCancel: a context ends each wait, and the error says so.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, rsp.Options{Timeout: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Threads(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("threads: %v", err)
		}
	})
}

// TestLateReply: a reply that comes after its request was given up answers nobody else's question.
func TestLateReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		c := pipe(t, func(conn net.Conn) {
			buf := make([]byte, 100)
			for i := 0; ; i++ {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				if string(buf[:n]) == "+" {
					continue
				}
				sent = append(sent, string(buf[:n]))
				reply := "+$l#6c"
				if strings.HasPrefix(string(buf[:n]), "$m") {
					time.Sleep(8 * time.Second)
					reply = "+$4142#cb"
				}
				if _, err := io.WriteString(conn, reply); err != nil {
					return
				}
			}
		}, rsp.Options{Timeout: 5 * time.Second})
		p := make([]byte, 2)
		if n, err := c.ReadMemory(t.Context(), p, 0); n != 0 || !errors.Is(err, rsp.ErrTimeout) {
			t.Errorf("memory: %d, %v", n, err)
		}
		if threads, err := c.Threads(t.Context()); len(threads) != 0 || err != nil {
			t.Errorf("threads: %v, %v", threads, err)
		}
		synctest.Wait()
		if want := []string{"$m0,2#fb", "$qfThreadInfo#bb"}; !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// TestGarbage: whatever a stub says, each call ends, and none panics.
func TestGarbage(t *testing.T) {
	words := []string{"$", "#", "+", "-", "}", "*", "T05", "W00", "X", "O", "OK", "E14", "l", "m", "00", "thread:", "$l#6c",
		"$OK#9a", "$E22#a9", "$#00", "$T05thread:01;#07", "$mp01.01#cd", "$O41#c4", "\x00", "\xff"}
	for seed := range int64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewSource(seed))
			c := pipe(t, func(conn net.Conn) {
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				for {
					if _, err := io.WriteString(conn, words[r.Intn(len(words))]); err != nil {
						return
					}
					time.Sleep(time.Duration(r.Intn(300)) * time.Millisecond)
				}
			}, rsp.Options{Timeout: time.Second})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			everything(ctx, c)
			_, _ = c.Wait(ctx)
		})
	}
}

// TestTimedOutStep: a vCPU that sits in HLT never finishes a step; the machine is stopped again all the same.
func TestTimedOutStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipe(t, func(conn net.Conn) {
			buf := make([]byte, 100)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				reply := ""
				switch string(buf[:n]) {
				case "$vCont;s:1#23":
					reply = "+"
				case "\x03":
					reply = "$T02thread:01;#04"
				}
				if reply != "" {
					_, _ = io.WriteString(conn, reply)
				}
			}
		}, rsp.Options{})
		stop, err := c.StepOver(t.Context(), rsp.Thread{TID: 1})
		if stop.Reason() != rsp.ReasonPaused || !errors.Is(err, rsp.ErrTimeout) || c.Running() {
			t.Errorf("step: %q, %v, running %v", stop.Raw, err, c.Running())
		}
	})
}

// TestRefusedResume: an error reply to a resume ends the run, before and after the acknowledgement.
func TestRefusedResume(t *testing.T) {
	for _, reply := range []string{"$E22#a9", "+$E22#a9", "+$#00"} {
		synctest.Test(t, func(t *testing.T) {
			c := pipe(t, func(conn net.Conn) {
				buf := make([]byte, 100)
				if _, err := conn.Read(buf); err == nil {
					_, _ = io.WriteString(conn, reply)
				}
				_, _ = io.Copy(io.Discard, conn)
			}, rsp.Options{})
			err := c.Continue(t.Context())
			if err == nil {
				_, err = c.Wait(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), "refused by the stub") || c.Running() {
				t.Errorf("%q: %v, running %v", reply, err, c.Running())
			}
		})
	}
}

// TestStood: a machine that is suspended to RAM has sent no stop, takes an 0x03 for noise, and answers a question.
func TestStood(t *testing.T) {
	for _, asleep := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := pipe(t, func(conn net.Conn) {
				buf := make([]byte, 100)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					switch got := string(buf[:n]); {
					case strings.HasPrefix(got, "$vCont;c"):
						_, _ = io.WriteString(conn, "+")
					case got == "$?#3f" && asleep:
						_, _ = io.WriteString(conn, "+$T05thread:p01.01;#06")
					}
				}
			}, rsp.Options{})
			if _, err := c.Stood(t.Context()); !errors.Is(err, rsp.ErrNotRunning) {
				t.Errorf("before a resume: %v", err)
			}
			must(t, c.Continue(t.Context()))
			stop, err := c.Stood(t.Context())
			if !asleep {
				if !errors.Is(err, rsp.ErrTimeout) || !c.Running() {
					t.Errorf("of one that runs: %v, running %v", err, c.Running())
				}
				return
			}
			if err != nil || stop.Thread.TID != 1 || c.Running() || len(c.Stops()) != 0 {
				t.Errorf("%q, %v, running %v", stop.Raw, err, c.Running())
			}
		})
	}
}

// TestReverse: only a stub that announced it is asked to go back. QEMU does under rr=replay; elsewhere it would abort.
func TestReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rsp.New(rsptest.Replay(t, "testdata/reverse.hand.rsp"), rsp.Options{})
		t.Cleanup(func() { _ = c.Close() })
		ctx := t.Context()
		shakeHands(t, ctx, c)
		if f := c.Features(); !f.ReverseStep || !f.ReverseContinue || f.TargetXML || f.PhysicalMemory || f.Multiprocess {
			t.Errorf("features %+v", f)
		}
		stop, err := c.ReverseStep(ctx)
		if err != nil || stop.Reason() != rsp.ReasonBreak {
			t.Errorf("reverse step: %q, %v", stop.Raw, err)
		}
		must(t, c.ReverseContinue(ctx))
		if stop, err = c.Wait(ctx); err != nil || stop.Thread != (rsp.Thread{TID: 1}) {
			t.Errorf("reverse continue: %q, %v", stop.Raw, err)
		}
		if err := c.SetPhysicalMemory(ctx, true); !errors.Is(err, rsp.ErrUnsupported) {
			t.Errorf("physical memory: %v", err)
		}
		var stub *rsp.StubError
		if err := c.Insert(ctx, rsp.Breakpoint{Kind: rsp.Hardware, Addr: 0x1000}); !errors.As(err, &stub) || stub.Code != 0x22 {
			t.Errorf("fifth debug register: %v", err)
		}
		if err := c.Insert(ctx, rsp.Breakpoint{Kind: rsp.ReadWatch, Addr: 0x1000, Len: 4}); !errors.Is(err, rsp.ErrUnsupported) {
			t.Errorf("read watch point: %v", err)
		}
		r, err := c.Registers(ctx, rsp.Thread{TID: 1}) // by the table
		if err != nil || r.RAX != 0 {
			t.Errorf("registers: %+v, %v", r, err)
		}
	})
}
