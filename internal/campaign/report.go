package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"kcatch/harness/verdict"
)

// report is the campaign's end.
type report struct {
	begun  time.Time
	took   time.Duration
	cpus   int
	idle   bool
	qemu   string
	series []*series
}

// counts is how many boots were what.
type counts struct{ right, falseDeath, missedDeath, wrongName, noVerdict, left int }

func (s *series) count() counts {
	c := counts{left: len(s.left)}
	for _, e := range s.got {
		switch {
		case e == s.want:
			c.right++
		case e.err != "":
			c.noVerdict++
		case s.want.verdict == verdict.Good:
			c.falseDeath++
		case e.verdict == verdict.Good:
			c.missedDeath++
		default:
			c.wrongName++
		}
	}
	return c
}

func (c counts) wrong() int { return c.falseDeath + c.missedDeath + c.wrongName + c.noVerdict + c.left }

func (r *report) right() bool {
	for _, s := range r.series {
		if c := s.count(); c.wrong() > 0 || c.right < s.boots {
			return false
		}
	}
	return len(r.series) > 0
}

// quantile is the smallest of the values that at least a part q of them do not exceed; q is from 0 to 1.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	return v[max(0, int(math.Ceil(q*float64(len(v))))-1)]
}

func (r *report) markdown() string {
	var b strings.Builder
	load := fmt.Sprintf("with %d busy loops beside it", r.cpus)
	if r.idle {
		load = "without load"
	}
	fmt.Fprintf(&b, "%s, %d CPUs, %s; %s; %s in all.\n\n", r.begun.UTC().Format("2006-01-02 15:04 MST"), r.cpus, load, r.qemu, r.took.Round(time.Second))
	b.WriteString("| series | what the kernel does | boots | as expected | false deaths | missed deaths | wrong name | no verdict | left behind | median | p99 | max |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range r.series {
		c := s.count()
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %.2f s | %.2f s | %.2f s |\n", s.want, s.what, len(s.got), c.right,
			c.falseDeath, c.missedDeath, c.wrongName, c.noVerdict, c.left, quantile(s.seconds, 0.5), quantile(s.seconds, 0.99), quantile(s.seconds, 1))
	}
	for _, s := range r.series {
		for _, line := range s.unexpected() {
			fmt.Fprintf(&b, "\n- %s: %s", s.name, line)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// unexpected says what a series gave that it should not have, the most frequent first.
func (s *series) unexpected() []string {
	n := map[string]int{}
	for _, e := range s.got {
		if e != s.want {
			n[e.String()]++
		}
	}
	var lines []string
	for _, text := range slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(n[b]-n[a], strings.Compare(a, b)) }) {
		lines = append(lines, fmt.Sprintf("%d of %d gave %s", n[text], len(s.got), text))
	}
	return append(lines, s.left...)
}

// The marks between which the table stands in a Markdown file.
const (
	beginMark = "<!-- campaign: made by make campaign -->\n"
	endMark   = "<!-- campaign: end -->\n"
)

// replace puts text between the marks of the file.
func replace(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out, err := between(string(data), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(out), 0o644)
}

func between(doc, text string) (string, error) {
	head, rest, ok := strings.Cut(doc, beginMark)
	_, tail, more := strings.Cut(rest, endMark)
	if !ok || !more {
		return "", fmt.Errorf("has no lines %q and %q", strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return head + beginMark + "\n" + text + "\n" + endMark + tail, nil
}
