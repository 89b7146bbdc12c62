package doctor

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kcatch/gdb/guest"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// readKernel is what a vmlinux has. A file that is none is a usage error.
func readKernel(path string) (*Kernel, error) {
	f, err := vmlinux.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return nil, &blame.Error{Kind: blame.Usage, Msg: "--vmlinux: " + path + ": " + pe.Err.Error(), Err: err}
		}
		return nil, &blame.Error{Kind: blame.Usage, Msg: err.Error(), Hint: "name the kernel's vmlinux, an ELF file with its symbols", Err: err}
	}
	defer f.Close()
	text, ok := f.Section(".text")
	_, banner := f.Symbol("linux_banner")
	if (!ok || text.Addr < guest.StartKernelMap) && !banner {
		return nil, blame.New(blame.Usage, path+": is no kernel: it is an ELF file, but has no code where kernels have theirs", "name the kernel's vmlinux")
	}
	k := &Kernel{Path: path, Release: f.Release(), DWARF: f.DWARFVersion()}
	_, k.DebugFrame = f.Section(".debug_frame")
	_, k.ORC = f.ORC()
	switch f.SymbolSource() {
	case vmlinux.SymbolTable:
		k.Symbols = "symtab"
	case vmlinux.OwnTable:
		k.Symbols = "kallsyms"
	}
	_, k.PVH = f.PVHEntry()
	_, k.Moves = f.Symbol("kernel_randomize_memory") // arch/x86/mm/kaslr.c: CONFIG_RANDOMIZE_MEMORY, which needs RANDOMIZE_BASE
	config, from := configOf(f, path)
	k.ConfigFrom = from
	k.Option = func(symbol string) string {
		if from == "" {
			return ""
		}
		if v := config.Value(symbol); v != "" {
			return v
		}
		return "n" // of a whole configuration, what is not in it is off
	}
	return k, nil
}

// maxConfigFile bounds a .config, in bytes.
const maxConfigFile = 4 << 20

// configOf is the configuration in the image, or the one in a file beside the vmlinux: kcatch's own, kbuild's, a distribution's.
func configOf(f *vmlinux.File, path string) (kconfig.Config, string) {
	if text, ok := f.EmbeddedConfig(); ok {
		if c, err := kconfig.Parse(bytes.NewReader(text)); err == nil && c.Len() > 0 {
			return c, "the image itself"
		}
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	dirs := []string{filepath.Dir(path), filepath.Dir(real)}
	names := []string{".config", "config"}
	if r := f.Release(); r != "" && filepath.IsLocal(r) {
		names, dirs = append(names, "config-"+r), append(dirs, filepath.Join(filepath.Dir(real), "../../../../boot"), "/boot")
	}
	for _, dir := range dirs {
		for _, name := range names {
			file := filepath.Join(dir, name)
			if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() || st.Size() > maxConfigFile {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			if c, err := kconfig.Parse(bytes.NewReader(text)); err == nil && c.Len() > 0 {
				return c, file
			}
		}
	}
	return kconfig.Config{}, ""
}
