package debuginfo

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kcatch/gdb/trace"
	"kcatch/internal/fixtures"
)

var update = flag.Bool("update", false, "write the goldens in testdata/console of the kernels that are here")

// consoles are real boots, but for one; testdata/README.md says how each was made. buildID is of the vmlinux that was booted. A fixture that was
// built again by another compiler is another kernel, whose functions have other sizes; its log still has its golden.
var consoles = []struct {
	name, fixture, buildID string
	places, bare           int // places in the log, and those of them that have no line
}{
	{"early-gp-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 6, 0},
	{"early-kaslr-6.1", fixtures.Seed61, "1374c1165d43762c922649eb656b903823720a1b", 7, 0},
	{"early-nokaslr-6.12", fixtures.Seed612, "2bcec989805aed7e64c613ff4f70df59a226de4f", 9, 0},
	{"forms-6.1", fixtures.Seed61, "1374c1165d43762c922649eb656b903823720a1b", 42, 0},
	{"initcalls-6.1", fixtures.Good61, "41c4bbffce6dba1fad7f2ef9c07158b03c426555", 55, 0},
	{"kasan-6.1", "", "5c7fc46cd5085d1c60ba15aa6ae149d81e580909", 26, 2},
	{"lockdep-6.1", "", "5c7fc46cd5085d1c60ba15aa6ae149d81e580909", 31, 3},
	{"module-6.1-debian", fixtures.Cloud61, "3b43fad5034874490492495d552c0af6a5fab235", 36, 0},
	{"module-6.12-debian", fixtures.Cloud612, "7f76f39faf07f34cfa9fadd801e131bfa8cb6dc3", 22, 1},
	{"oops-kaslr-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 11, 1},
	{"oops-nokaslr-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 11, 1},
	{"panic-6.1", fixtures.Good61, "41c4bbffce6dba1fad7f2ef9c07158b03c426555", 9, 2},
	{"panic-6.12", fixtures.Good612, "2b675427e370d259a15b353b22e9ddc32c113887", 10, 0},
	{"rcu-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 24, 3},
	{"sysrq-6.12", fixtures.Good612, "2b675427e370d259a15b353b22e9ddc32c113887", 87, 1},
	{"warn-early-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 6, 0},
	{"warn-irq-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 19, 1},
	{"warn-smp-6.1", fixtures.Faults61, "6fa5368c85e4639d6293a8e851a22b733479d1ce", 18, 0},
}

// written is what the filter writes behind a place. Behind an address of an early exception it has the function's name, too.
var written = regexp.MustCompile(`( [\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+)? \(([^ ()]+:[0-9?]+|ambiguous: [^)]*)\)`)

// unwritten takes out of a golden what the filter wrote, told by nothing but its form.
func unwritten(golden string) (text string, lines int) {
	var b strings.Builder
	for line := range strings.Lines(golden) {
		if strings.HasSuffix(strings.TrimRight(line, "\r\n"), " (inlined)") {
			continue
		}
		for _, m := range written.FindAllStringSubmatch(line, -1) {
			lines++
			if strings.Contains(line, " IP 10:") {
				line = strings.Replace(line, m[0], "", 1)
				continue
			}
			line = strings.Replace(line, m[0], m[1], 1)
		}
		b.WriteString(line)
	}
	return b.String(), lines
}

// TestConsoles: the logs with their lines, as the kernel's own vmlinux has them. What is in a golden but not in its log must look
// like lines, and be as many as the log has places.
func TestConsoles(t *testing.T) {
	files, err := filepath.Glob("testdata/console/*.log")
	if err != nil || len(files) != len(consoles) {
		t.Fatalf("%d logs, %d in the table: %v", len(files), len(consoles), err)
	}
	for _, tt := range consoles {
		t.Run(tt.name, func(t *testing.T) {
			log, err := os.ReadFile(filepath.Join("testdata/console", tt.name+".log"))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if tt.fixture != "" {
				fixture := fixtures.Find(t, tt.fixture)
				if f := open(t, fixture.Vmlinux); f.BuildID() == tt.buildID {
					filter := trace.Filter{Symbols: Search{Modules: fixture.FaultyModules}.Kernel(f)}
					stats, err := filter.Copy(&out, bytes.NewReader(log))
					if err != nil {
						t.Fatal(err)
					}
					if stats.Foreign != 0 {
						t.Errorf("%d places are taken for those of another build", stats.Foreign)
					}
				} else {
					t.Logf("%s was built again: it is %s, the log is of %s", tt.fixture, f.BuildID(), tt.buildID)
				}
			}
			name := filepath.Join("testdata/console", tt.name+".golden")
			if *update && out.Len() > 0 {
				if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if out.Len() > 0 && !bytes.Equal(out.Bytes(), golden) {
				t.Errorf("%s differs; go test -update shows how. Got:\n%s", name, out.Bytes())
			}
			text, lines := unwritten(string(golden))
			if text != string(log) {
				t.Errorf("%s without what was added is not the log:\n%s", name, text)
			}
			places := 0
			for line := range bytes.Lines(log) {
				places += len(trace.Find(line, nil))
			}
			if places != tt.places || places-lines != tt.bare {
				t.Errorf("%d places, want %d; %d have no line, want %d", places, tt.places, places-lines, tt.bare)
			}
		})
	}
}
