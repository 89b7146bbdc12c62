package machine

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// testGuestExit is QEMU's exit status when the test guest has run to its end: isa-debug-exit gives (0x2a << 1) | 1.
const testGuestExit = 0x2a<<1 | 1

// testGuest is the smallest bzImage that shows that a virtual machine works: it comes to life by the usual way of
// firmware and real-mode setup, and goes through protected into long mode; testdata/probe.S is its source, and a test
// assembles that. A guest without firmware proved too little: on a host whose KVM never gets a kernel through SeaBIOS,
// code of our own at the reset vector ran.
func testGuest() []byte {
	image := make([]byte, 3*512)
	image[0x1f1] = 1                                         // setup_sects
	binary.LittleEndian.PutUint16(image[0x1fe:], 0xaa55)     // boot_flag
	copy(image[0x200:], "\xeb\x6aHdrS")                      // jump over the header, which is:
	binary.LittleEndian.PutUint16(image[0x206:], 0x020c)     // protocol 2.12
	image[0x211] = 1                                         // loadflags: LOADED_HIGH
	binary.LittleEndian.PutUint32(image[0x214:], 0x100000)   // code32_start
	binary.LittleEndian.PutUint32(image[0x22c:], 0x7fffffff) // initrd_addr_max
	binary.LittleEndian.PutUint32(image[0x238:], 2047)       // cmdline_size
	code, err := hex.DecodeString(strings.ReplaceAll(testGuestCode, "\n", ""))
	if err != nil {
		panic(err) // a constant of ours
	}
	copy(image[0x26c:], code)
	return image
}

// testGuestCode is start16 to gdtr of testdata/probe.S.
const testGuestCode = `
fafc2e660f011650010f20c00c010f22c066ea85020100080066b810008ed88e
c08ed0bf00100000b9000c000031c0f3abc7050010000003200000c705002000
0003300000c70500300000830000000f20e083c8200f22e0b8001000000f22d8
b9800000c00f320d000100000f300f20c00d000000800f22c0eaec0201001800
bc00800000bde8030000e47131c00fa2ffcd75f6bf00001000b900000400b85a
5a5a5af3ab48b8efcdab8967452301505b4839c37504b02ae6f4f4ebfd0f1f80
000000000000000000000000ffff0000009bcf00ffff00000093cf00ffff0000
009baf001f00300301000000
`
