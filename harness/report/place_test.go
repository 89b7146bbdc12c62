package report

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

var reserved = verdict.Place{
	Schema: verdict.PlaceSchema, Address: 0xffffffff8176d49c,
	Frames: []verdict.PlaceFrame{
		{Function: "__SetPageReserved", Symbol: "free_area_init", File: "include/linux/page-flags.h", Line: 503, Inline: true, Column: 1, Offset: 0x54c, Size: 0x6a0},
		{Function: "free_area_init", Symbol: "free_area_init", File: "mm/page_alloc.c", Line: 7790, Offset: 0x54c, Size: 0x6a0},
	},
}

func TestPlaceText(t *testing.T) {
	hostile := "f\x1b[31m\n::error::"
	for _, tt := range []struct {
		name  string
		place verdict.Place
		want  string
	}{
		{"inlined", reserved, `0xffffffff8176d49c  free_area_init+0x54c/0x6a0
  __SetPageReserved  include/linux/page-flags.h:503  inlined
  free_area_init     mm/page_alloc.c:7790
`},
		{"a return address", verdict.Place{Address: 8, Return: true, Frames: []verdict.PlaceFrame{{Function: "f", Symbol: "f", File: "a.c", Line: 2, Offset: 1}}},
			"0x8  f+0x1  return address\n  f  a.c:2\n"},
		{"no code", verdict.Place{Address: 8, Reason: "not kernel code"}, "0x8  (not kernel code)\n"},
		{"no lines", verdict.Place{Address: 8, Reason: "vmlinux has no debug information", Frames: []verdict.PlaceFrame{{Function: "f", Symbol: "f", Offset: 1}}},
			"0x8  f+0x1  (vmlinux has no debug information)\n"},
		{"line 0", verdict.Place{Address: 8, Frames: []verdict.PlaceFrame{{Function: "f", Symbol: "f.cold", File: "a.c"}}}, "0x8  f.cold+0x0\n  f  a.c:?\n"},
		{"hostile", verdict.Place{Address: 8, Frames: []verdict.PlaceFrame{{Function: hostile, Symbol: hostile, File: hostile, Line: 1}}},
			`0x8  f\x1b[31m\x0a::error::+0x0` + "\n" + `  f\x1b[31m\x0a::error::  f\x1b[31m\x0a::error:::1` + "\n"},
	} {
		var b bytes.Buffer
		if err := Place(&b, &tt.place, Style{}); err != nil || b.String() != tt.want {
			t.Errorf("%s: %v\ngot:\n%s\nwant:\n%s", tt.name, err, b.String(), tt.want)
		}
	}
}

// TestPlaceJSON: a line that begins as the contract has it, and says the same when it is read back.
func TestPlaceJSON(t *testing.T) {
	var b bytes.Buffer
	if err := PlaceJSON(&b, &reserved); err != nil {
		t.Fatal(err)
	}
	const want = `{"schema":"kcatch/symbolize/v1","address":"0xffffffff8176d49c","frames":[{"function":"__SetPageReserved","symbol":"free_area_init","file":"include/linux/page-flags.h","line":503,"inline":true,`
	if !strings.HasPrefix(b.String(), want) || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("got %s", b.String())
	}
	var back verdict.Place
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || !reflect.DeepEqual(back, reserved) {
		t.Errorf("%+v, %v", back, err)
	}
	b.Reset()
	if err := PlaceJSON(&b, &verdict.Place{Frames: []verdict.PlaceFrame{{Function: "\x1b[31m\u202e##[error]\n"}}}); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.ContainsAny(strings.TrimSuffix(s, "\n"), "\x1b\n\u202e") || strings.Contains(s, "##[") {
		t.Errorf("%q", s)
	}
}
