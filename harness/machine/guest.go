package machine

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// testGuestExit is QEMU's exit status when the test guest has run to its end: isa-debug-exit gives (0x2a << 1) | 1.
const testGuestExit = 0x2a<<1 | 1

// testGuestMarks are the linear addresses of the test guest's marks: as many as KVM has breakpoints. Each but the last is a
// call of testGuestWork.
var testGuestMarks = [4]uint64{0x1030f, 0x10311, 0x10313, 0x10315}

const testGuestWork = 0x100000

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
	copy(image[0x26c:], unhex(testGuestSetup))
	copy(image[0x400:], unhex(testGuestTurns))
	return image
}

// unhex decodes a constant of ours.
func unhex(text string) []byte {
	code, err := hex.DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		panic(err)
	}
	return code
}

// testGuestSetup is start16 to gdtr of testdata/probe.S, testGuestTurns its work.
const (
	testGuestSetup = `
fafc2e660f011668010f20c00c010f22c066ea85020100080066b810008ed88e
c08ed0bf00100000b90010000031c0f3abc7050010000003200000c705002000
0003300000c7051820000003400000c7050030000083000000c705b84f000083
00e0fe0f20e083c8200f22e0b8001000000f22d8b9800000c00f320d00010000
0f300f20c00d000000800f22c0ea000301001800bc00800000bb00001000bd02
000000ffd3ffd3ffd3ffcd75f6bf00101000b900fc0300b85a5a5a5af3ab48b8
efcdab8967452301505a4839c27504b02ae6f4f4ebfd660f1f44000000000000
00000000ffff0000009bcf00ffff00000093cf00ffff0000009baf001f004803
0100
`
	testGuestTurns = `
4989d8bf00001400be00020000e47140f6c607751131c00fa2b83000e0fe8b00
0f20d80f22d8b9b80b0000480304cf48c1c003488904cfffc975f0ffce75ce4c
89c3c3
`
)
