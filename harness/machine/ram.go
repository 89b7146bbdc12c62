package machine

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// makeRAM makes the guest's RAM: a file without a name (memfd_create(2)), sparse, in memory. QEMU inherits it and maps
// it by /dev/fd; others map it by its path in /proc. It is as fast as one in /dev/shm, is not limited by that file
// system's size (64 MB in a container, as a rule), and goes away with its last user, whatever way they end.
func makeRAM(size uint64) (*os.File, error) {
	fd, err := unix.MemfdCreate("kcatch-ram", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, infra("start qemu: make guest RAM", err)
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd))
	if err := f.Truncate(int64(size)); err != nil {
		f.Close()
		return nil, infra(fmt.Sprintf("start qemu: make guest RAM of %d MiB", size/mib), err)
	}
	return f, nil
}

// RAMUsed is how much of the guest's memory has ever been written to, in bytes: the RAM file is sparse. It only grows.
// Zero when it cannot be told.
func (m *Machine) RAMUsed() int64 {
	var st unix.Stat_t
	if err := unix.Fstat(int(m.ram.Fd()), &st); err != nil {
		return 0
	}
	return st.Blocks * 512
}
