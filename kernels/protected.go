package kernels

// Runs reports whether code is what the image's own program, the decompressor, has at an offset from its start: the
// protected-mode part of the file, which the boot loader puts at 0x100000.
func (b *BzImage) Runs(code []byte, offset int64) bool {
	start := int64(b.setupSize()) + offset
	if offset < 0 || start > int64(len(b.image)) || int64(len(code)) > int64(len(b.image))-start {
		return false
	}
	return string(b.image[start:start+int64(len(code))]) == string(code)
}

// setupSize is the size of the real-mode part: setup_sects sectors and the boot sector (boot.rst; zero means four).
func (b *BzImage) setupSize() int {
	n := int(b.image[offSetupSects])
	if n == 0 {
		n = 4
	}
	return (n + 1) * 512
}

// NeedsMemory is the least guest memory with which the kernel can be unpacked where it wants to be, in bytes:
// pref_address + init_size.
func (b *BzImage) NeedsMemory() uint64 { return b.PrefAddress + uint64(b.InitSize) }
