package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// forbidden: a package below the first path may not import one below the second.
var forbidden = [][2]string{
	{"kcatch/gdb", "kcatch/harness"}, {"kcatch/gdb", "kcatch/kernels"}, {"kcatch/gdb", "kcatch/images"}, {"kcatch/gdb", "kcatch/configs"},
	{"kcatch/kernels", "kcatch/harness"}, {"kcatch/kernels", "kcatch/gdb"}, {"kcatch/kernels", "kcatch/images"},
	{"kcatch/images", "kcatch/harness"}, {"kcatch/images", "kcatch/gdb"}, {"kcatch/images", "kcatch/kernels"},
	{"kcatch/configs", "kcatch/"},
	{"kcatch/harness/verdict", "kcatch/gdb"}, {"kcatch/harness/verdict", "kcatch/harness"},
	{"kcatch/harness/report", "kcatch/gdb"}, {"kcatch/harness/report", "kcatch/harness/machine"}, {"kcatch/harness/report", "kcatch/harness/watch"},
	{"kcatch/harness/tui", "kcatch/gdb"}, {"kcatch/harness/tui", "kcatch/harness/machine"}, {"kcatch/harness/tui", "kcatch/harness/watch"},
	{"kcatch/harness/watch", "kcatch/harness/autopsy"}, {"kcatch/harness/machine", "kcatch/harness/watch"},
	{"kcatch/internal/blame", "kcatch/"},
	{"kcatch/gdb/amd64", "kcatch/"},
}

// adapters: a third-party module is imported by these packages and no others. docs/dependencies.md says why.
var adapters = map[string][]string{
	"github.com/digitalocean/go-qemu":  {"kcatch/harness/machine"},
	"github.com/go-delve/delve":        {"kcatch/gdb/vmlinux", "kcatch/gdb/value"},
	"github.com/spf13/viper":           {"kcatch/harness/config"},
	"github.com/spf13/cobra":           {"kcatch/cmd/kcatch"},
	"github.com/spf13/pflag":           {"kcatch/cmd/kcatch", "kcatch/harness/config"},
	"golang.org/x/arch":                {"kcatch/gdb/linux"},
	"golang.org/x/term":                {"kcatch/cmd/kcatch"},
	"github.com/klauspost/compress":    {"kcatch/kernels", "kcatch/gdb/vmlinux", "kcatch/internal/ko"},
	"github.com/ulikunitz/xz":          {"kcatch/kernels", "kcatch/internal/ko"},
	"github.com/pierrec/lz4/v4":        {"kcatch/kernels"},
	"github.com/rogpeppe/go-internal":  {"kcatch/cmd/kcatch"},
	"github.com/creack/pty":            {"kcatch/cmd/kcatch"},
	"github.com/gdamore/tcell/v3":      {"kcatch/harness/tui"},
	"golang.org/x/sys":                 {"kcatch/gdb/vmlinux", "kcatch/gdb/guest", "kcatch/kernels", "kcatch/harness/machine"},
	"golang.org/x/net":                 {"kcatch/harness/report"},
	"golang.org/x/sync":                {"kcatch/kernels", "kcatch/harness"},
	"go.yaml.in/yaml/v3":               {"kcatch/harness/config", "kcatch/internal/workflows"},
	"github.com/go-viper/mapstructure": {"kcatch/harness/config"},

	"github.com/santhosh-tekuri/jsonschema/v6": {"kcatch/internal/schema"},
	"github.com/joshdk/go-junit":               {"kcatch/harness/report"},
	"github.com/owenrumney/go-sarif/v3":        {"kcatch/harness/report"},
}

type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "kcatch/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func below(path, room string) bool {
	return path == room || strings.HasPrefix(path, strings.TrimSuffix(room, "/")+"/")
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range forbidden {
			for _, imp := range p.Imports {
				if below(p.ImportPath, rule[0]) && below(imp, rule[1]) && !below(imp, rule[0]) {
					t.Errorf("%s imports %s: %s may not know %s", p.ImportPath, imp, rule[0], rule[1])
				}
			}
		}
	}
}

func TestLibrariesHaveAdapters(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if !strings.Contains(strings.Split(imp, "/")[0], ".") {
				continue // the standard library or our own
			}
			known := false
			for module, who := range adapters {
				if below(imp, module) {
					known = true
					if !slices.Contains(who, p.ImportPath) {
						t.Errorf("%s imports %s, whose adapters are %v", p.ImportPath, imp, who)
					}
				}
			}
			if !known {
				t.Errorf("%s imports %s, which no list names: add an adapter and a paragraph to docs/dependencies.md", p.ImportPath, imp)
			}
		}
	}
}
