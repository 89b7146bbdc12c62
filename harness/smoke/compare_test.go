package smoke

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// TestCompare: files and directories, and what is neither.
func TestCompare(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a]*?")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, v any) string {
		t.Helper()
		data, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	boot := verdict.Result{Schema: verdict.Schema, Timeline: []verdict.Mark{{Stage: "firmware"}, {Stage: "start_kernel", Seconds: 0.1}, {Stage: "end", Seconds: 0.5, Event: true}}}
	one := write("one.json", boot)
	write("two.json", boot)
	c, err := Compare(one, dir)
	if err != nil || len(c.Cells) != 1 || c.Cells[0].BootsA != 1 || c.Cells[0].BootsB != 2 || c.B != dir || c.Slower+c.Faster != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	text := write("three.json", "no result")
	empty := t.TempDir()
	for _, bad := range []string{text, dir, empty, filepath.Join(empty, "none.json")} {
		for _, args := range [][2]string{{one, bad}, {bad, one}} {
			_, err := Compare(args[0], args[1])
			if blame.Of(err) != blame.Usage || blame.Hint(err) == "" || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "--compare ") {
				t.Errorf("%q: %v, hint %q", args, err, blame.Hint(err))
			}
		}
	}
}
