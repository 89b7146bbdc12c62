package debug

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kcatch/harness"
)

// The names of what is written into the artifacts.
const (
	scriptName = "debug.gdb"
	pythonName = "kcatch.py"
)

//go:embed kcatch.py
var python []byte

// script is the gdb script that attaches to a machine that is held. kernelScripts is the vmlinux-gdb.py of the build, or empty;
// sources are where its source lies as it was built.
//
// The kernel's own would be loaded with the symbols, if gdb's auto-load safe-path had its directory; here it is loaded by
// name, once the symbols are where they belong. The exec-file tells gdb the architecture before there is a target. "target remote" and "source" take the rest of the line as it is.
func script(h harness.Held, kernelScripts string, sources []harness.SourcePath) string {
	var b strings.Builder
	if h.Vmlinux != "" {
		at := ""
		if h.Slide != 0 {
			at = fmt.Sprintf("-o 0x%x ", h.Slide)
		}
		fmt.Fprintf(&b, "exec-file %[2]s\nset auto-load python-scripts off\nsymbol-file %[1]s%[2]s\nset auto-load python-scripts on\n", at, gdbWord(h.Vmlinux))
		if kernelScripts != "" {
			fmt.Fprintf(&b, "source %s\n", kernelScripts)
		}
	}
	for _, s := range sources {
		if strings.ContainsRune(s.From+s.To, '\n') { // a patch may name a file so; what follows would be a command
			continue
		}
		fmt.Fprintf(&b, "set substitute-path %s %s\n", gdbWord(s.From), gdbWord(s.To))
	}
	fmt.Fprintf(&b, "target remote %s\nsource %s\nkcatch-load %s\n", h.Socket, filepath.Join(h.Dir, pythonName), h.Result.Artifacts.Result)
	return b.String()
}

// gdbWord quotes a word for those of gdb's commands that take words apart (gdb_buildargv, as a shell's double quotes).
func gdbWord(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// kernelScripts is vmlinux-gdb.py beside the vmlinux, which "make scripts_gdb" puts there (CONFIG_GDB_SCRIPTS); empty when there is
// none.
func kernelScripts(vmlinux string) string {
	if vmlinux == "" {
		return ""
	}
	dirs := []string{filepath.Dir(vmlinux)}
	if real, err := filepath.EvalSymlinks(vmlinux); err == nil {
		dirs = append(dirs, filepath.Dir(real))
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, "vmlinux-gdb.py")
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path
		}
	}
	return ""
}
