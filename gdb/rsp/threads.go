package rsp

import (
	"context"
	"fmt"
	"strings"
)

// maxThreads bounds the list a stub may give; QEMU's own limit on x86 is 1024 vCPUs and fewer.
const maxThreads = 4096

// Threads lists the vCPUs in the stub's order (qfThreadInfo, qsThreadInfo). QEMU gives one a packet.
func (c *Client) Threads(ctx context.Context) ([]Thread, error) {
	if err := c.acquire(ctx, "list vCPUs"); err != nil {
		return nil, err
	}
	defer c.release()
	var threads []Thread
	packet := "qfThreadInfo"
	for {
		reply, err := c.exchange(ctx, packet)
		if err != nil {
			return nil, fmt.Errorf("list vCPUs: %w", err)
		}
		if string(reply) == "l" {
			return threads, nil
		}
		more, err := parseThreads(string(reply))
		if err != nil {
			return nil, fmt.Errorf("list vCPUs: %w", err)
		}
		if len(threads)+len(more) > maxThreads {
			return nil, fmt.Errorf("list vCPUs: more than %d: %w", maxThreads, ErrProtocol)
		}
		threads = append(threads, more...)
		packet = "qsThreadInfo"
	}
}

// parseThreads reads "mp01.01" or "mp01.01,p01.02".
func parseThreads(reply string) ([]Thread, error) {
	list, ok := strings.CutPrefix(reply, "m")
	if !ok {
		return nil, fmt.Errorf("thread list %s: %w", short(reply), ErrProtocol)
	}
	var threads []Thread
	for id := range strings.SplitSeq(list, ",") {
		t, err := parseThread(id)
		if err != nil {
			return nil, err
		}
		threads = append(threads, t)
	}
	return threads, nil
}

// Halted reports whether thread's vCPU sits in HLT or waits to be started, by the stub's own text: "CPU#0 [halted ]".
// Packet qThreadExtraInfo.
func (c *Client) Halted(ctx context.Context, thread Thread) (bool, error) {
	if err := c.acquire(ctx, "vCPU state"); err != nil {
		return false, err
	}
	defer c.release()
	reply, err := c.exchange(ctx, "qThreadExtraInfo,"+c.threadID(thread))
	if err != nil {
		return false, fmt.Errorf("vCPU state: %v: %w", thread, err)
	}
	text, err := decodeHex(reply)
	if err != nil {
		return false, fmt.Errorf("vCPU state: %v: %w", thread, err)
	}
	return strings.Contains(string(text), "[halted"), nil
}

// threadID is thread in a packet. A thread made by hand has no PID; with multiprocess on it gets the one PCs have.
func (c *Client) threadID(t Thread) string {
	switch multi := c.Features().Multiprocess; {
	case !multi:
		t.PID = 0
	case t.PID == 0:
		t.PID = 1
	}
	return t.id()
}
