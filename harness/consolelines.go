package harness

import (
	"bufio"
	"os"
)

// consoleLine is the longest line of the console, in bytes; a longer one is taken for several.
const consoleLine = 64 << 10

// consoleLines gives the lines of the console's log, the first 64 MiB of what came, as they are. A log that cannot be read has none:
// that it could not be written is said elsewhere.
func (b *boot) consoleLines(each func(line string)) {
	f, err := os.Open(b.artifacts.path("console.log"))
	if err != nil {
		return
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, consoleLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			each(string(line))
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
