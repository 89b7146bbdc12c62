package images

import (
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"kcatch/internal/blame"
)

var (
	//go:embed guest/inittab
	inittab []byte
	//go:embed guest/rc
	rc []byte
	//go:embed guest/checks.sh
	checks []byte
)

// File is one more file in the guest's root.
type File struct {
	Data []byte
	Mode uint32 // permission bits; 0 means 0644
}

// Spec is what an initramfs is made of.
type Spec struct {
	// Busybox is the host's path of the static busybox; see [FindBusybox].
	Busybox string
	// Marker is printed by init: 1 to 128 letters, digits, '-' or '_', new for each run; see [NewMarker].
	Marker string
	// Run is shell text that init runs after the marker, with all busybox applets in /bin. Empty: nothing is run.
	Run string
	// Workload is the name of one of [Workloads], which init runs after the marker and before Run. Empty: none.
	Workload string
	// Helper is the program of [BuildHelper] for the workload; without it, steps that need it say that it is not there.
	Helper []byte
	// Checks are run in their order after the workload and before Run.
	Checks []Check
	// Extra are files by their path in the guest; missing directories are made (0755). A path of the image's own
	// files is refused.
	Extra map[string]File
}

// maxExtra bounds what one file may add: the guest has 256 MiB of memory as a rule, and the image is in it.
const maxExtra = 1 << 30

// Build returns the initramfs: an uncompressed cpio archive, about 2 MB with Debian's busybox. It is a pure function
// of the spec and of the busybox file's content. A busybox that cannot be PID 1 is an infrastructure error, a spec that
// cannot be met a usage error.
func Build(spec Spec) ([]byte, error) {
	if !validMarker(spec.Marker) {
		return nil, fmt.Errorf("build initramfs: marker %q: want 1 to 128 letters, digits, - or _", spec.Marker)
	}
	if err := CheckStatic(spec.Busybox); err != nil {
		return nil, err
	}
	busybox, err := os.ReadFile(spec.Busybox)
	if err != nil {
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: "build initramfs: " + err.Error(), Err: err}
	}
	nodes := base(busybox, spec.Marker)
	if spec.Run != "" {
		nodes = append(nodes, node{name: "etc/kcatch/run", mode: modeRegular | 0o644, data: []byte(spec.Run + "\n")})
	}
	if spec.Workload != "" {
		script, err := workloadScript(spec.Workload)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node{name: "etc/kcatch/workload", mode: modeRegular | 0o644, data: script})
		if len(spec.Helper) > 0 {
			nodes = append(nodes, node{name: "etc/kcatch/helper", mode: modeRegular | 0o755, data: spec.Helper})
		}
	}
	nodes = append(nodes, checkNodes(spec.Checks)...)
	nodes, err = addExtra(nodes, spec.Extra)
	if err != nil {
		return nil, err
	}
	// By name: a directory's name is a prefix of what is in it, and so comes first.
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.name, b.name) })
	return newc(nodes)
}

// base is what every image has. The device nodes are for kernels without devtmpfs; with it, it is mounted over them.
// Numbers: linux/Documentation/admin-guide/devices.txt.
func base(busybox []byte, marker string) []node {
	dir := func(name string) node { return node{name: name, mode: modeDir | 0o755} }
	char := func(name string, mode, major, minor uint32) node {
		return node{name: name, mode: modeChar | mode, major: major, minor: minor}
	}
	text := func(name string, data []byte) node { return node{name: name, mode: modeRegular | 0o644, data: data} }
	return []node{
		dir("bin"), dir("dev"), dir("etc"), dir("etc/kcatch"), dir("proc"), dir("sbin"), dir("sys"), dir("tmp"),
		{name: "bin/busybox", mode: modeRegular | 0o755, data: busybox},
		{name: "init", mode: modeSymlink | 0o777, data: []byte("bin/busybox")},
		char("dev/console", 0o600, 5, 1),
		char("dev/kmsg", 0o644, 1, 11),
		char("dev/null", 0o666, 1, 3),
		char("dev/ttyS0", 0o600, 4, 64),
		text("etc/inittab", inittab),
		text("etc/kcatch/marker", []byte(marker+"\n")),
		text("etc/kcatch/rc", rc),
	}
}

// addExtra adds files and the directories they need.
func addExtra(nodes []node, extra map[string]File) ([]node, error) {
	have := map[string]bool{}
	for _, n := range nodes {
		have[n.name] = n.mode&^0o7777 == modeDir
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		f := extra[name]
		clean := strings.TrimPrefix(path.Clean("/"+name), "/")
		if _, taken := have[clean]; taken || clean == "" || strings.ContainsRune(clean, 0) || len(clean) > 1024 {
			return nil, blame.New(blame.Usage, fmt.Sprintf("build initramfs: extra file %q: name is taken or not a path", name), "")
		}
		if len(f.Data) > maxExtra {
			return nil, blame.New(blame.Usage, fmt.Sprintf("build initramfs: extra file %q: larger than 1 GiB", name), "")
		}
		dirs := strings.Split(clean, "/")
		for i := 1; i < len(dirs); i++ {
			d := path.Join(dirs[:i]...)
			isDir, there := have[d]
			if there && !isDir {
				return nil, blame.New(blame.Usage, fmt.Sprintf("build initramfs: extra file %q: %s is not a directory", name, d), "")
			}
			if !there {
				have[d] = true
				nodes = append(nodes, node{name: d, mode: modeDir | 0o755})
			}
		}
		mode := f.Mode & 0o7777
		if mode == 0 {
			mode = 0o644
		}
		have[clean] = false
		nodes = append(nodes, node{name: clean, mode: modeRegular | mode, data: f.Data})
	}
	return nodes, nil
}

func validMarker(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
