package vmlinux

import (
	"testing"

	"kcatch/internal/fixtures"
)

func TestMeant(t *testing.T) {
	f := openFixture(t, fixtures.Good61)
	for name, want := range map[string]string{
		"strat_kernel": "start_kernel",
		"start_kern":   "start_kernel",
		"vfs_raed":     "vfs_read",
		"linux_baner":  "", // no function
		"no_such_name": "",
		"":             "",
	} {
		if got := f.Meant(name); got != want {
			t.Errorf("Meant(%q) = %q, want %q", name, got, want)
		}
	}
}
