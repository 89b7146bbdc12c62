package linux

import (
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestInitcallLevels holds the levels to the names that the compiler gives the tables' entries, by nm: __initcall__kmod_MODULE__COUNTER_LINE_
// FUNCTION and the level's number (include/linux/init.h, __initcall_name).
func TestInitcallLevels(t *testing.T) {
	numbers := map[string]string{"early": "early", "0": "pure", "1": "core", "2": "postcore", "3": "arch", "4": "subsys", "5": "fs", "rootfs": "rootfs", "6": "device", "7": "late"}
	name := regexp.MustCompile(`^__initcall__kmod_\w+?__\d+_\d+_(\w+?)(early|rootfs|[0-7]s?)$`)
	for _, fixture := range []string{fixtures.Good61, fixtures.Good612} {
		k := fixtures.Find(t, fixture)
		nm, err := exec.Command("nm", k.Vmlinux).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, line := range strings.Split(string(nm), "\n") {
			f := strings.Fields(line)
			if len(f) < 3 {
				continue
			}
			if m := name.FindStringSubmatch(f[2]); m != nil {
				level := numbers[m[2]]
				if strings.HasSuffix(m[2], "s") && len(m[2]) == 2 {
					level = numbers[m[2][:1]]
				}
				if was, twice := want[m[1]]; twice && was != level {
					level = ""
				}
				want[m[1]] = level
			}
		}
		f, err := vmlinux.Open(k.Vmlinux)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got := InitcallLevels(f)
		if len(want) < 100 || !maps.Equal(got, want) {
			t.Errorf("%s: %d levels, nm has %d", fixture, len(got), len(want))
			for _, n := range slices.Sorted(maps.Keys(want)) {
				if got[n] != want[n] {
					t.Errorf("  %s: %q, nm has %q", n, got[n], want[n])
				}
			}
		}
	}
}
