package autopsy

import (
	"strings"
	"testing"
)

func TestFormatted(t *testing.T) {
	str := func(at uint64) (string, bool) {
		s, ok := map[uint64]string{1: "/dev/root", 2: ""}[at]
		return s, ok
	}
	for _, tc := range []struct {
		format string
		args   []uint64
		want   string
	}{
		{"out of memory", nil, "out of memory"},
		{"VFS: Unable to mount root fs on %s", []uint64{1}, "VFS: Unable to mount root fs on /dev/root"},
		{"Attempted to kill init! exitcode=0x%08x\n", []uint64{0xffffffff00000100}, "Attempted to kill init! exitcode=0x00000100\n"},
		{"%s%s%d%%", []uint64{2, 1, 0xfffffffffffffffb}, "/dev/root-5%"},
		{"%lu of %u, %c", []uint64{1 << 40, 1<<40 | 7, 'x'}, "1099511627776 of 7, x"},
		{"%#lx", []uint64{255}, "0xff"},
		{"at %pS, %d", []uint64{3, 4}, "at %pS, %d"},            // a form of the kernel's own
		{"%d then %s, %d", []uint64{9, 77, 1}, "9 then %s, %d"}, // a string that cannot be read
		{"%d %d", []uint64{1}, "1 %d"}, {"100%", nil, "100%"}, {"%l", []uint64{1}, "%l"}, {"%-08d", []uint64{1}, "00000001"},
	} {
		if got := formatted(tc.format, tc.args, str); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.format, got, tc.want)
		}
	}
}

// FuzzFormatted: any format comes to an end, and is no longer than its parts.
func FuzzFormatted(f *testing.F) {
	f.Add("VFS: %s %08lx %%", uint64(1))
	f.Add("%#0999999999d%", uint64(2))
	f.Fuzz(func(t *testing.T, format string, v uint64) {
		got := formatted(format, []uint64{v, v, v, v, v}, func(uint64) (string, bool) { return "string", true })
		if len(got) > len(format)+5*64 {
			t.Errorf("%q gives %d bytes", format, len(got))
		}
		if !strings.Contains(format, "%") && got != format {
			t.Errorf("%q became %q", format, got)
		}
	})
}
