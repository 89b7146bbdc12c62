package kernels

import (
	"testing"

	"kcatch/internal/fixtures"
)

func TestBzImageAndVmlinuxBelongTogether(t *testing.T) {
	seed, good := fixtures.Find(t, fixtures.Seed61), fixtures.Find(t, fixtures.Good61)
	if err := belongTogether(seed.BzImage, seed.Vmlinux); err != nil {
		t.Error(err)
	}
	if belongTogether(seed.BzImage, good.Vmlinux) == nil {
		t.Error("the bzImage of another build was taken")
	}
}
