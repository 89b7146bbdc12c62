package main

import (
	"slices"
	"strings"
	"testing"
)

func TestChecksFor(t *testing.T) {
	long := strings.Repeat("ä", 60)
	var names []string
	for _, c := range checksFor([]string{"true", long, long, "echo 'a\nb'", "true"}) {
		names = append(names, c.Name)
	}
	short := strings.Repeat("ä", checkNameLength-1) + "…"
	want := []string{"true", short, short + " (3)", `echo 'a\x0ab'`, "true (5)"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
