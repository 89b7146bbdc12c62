package doctor

import (
	"errors"
	"fmt"
	"strings"

	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// set is the command that turns an option on in a kernel tree's .config (scripts/config).
func set(symbols ...string) string {
	return "scripts/config --enable " + strings.Join(symbols, " --enable ") + " && make olddefconfig"
}

// checks are those of a vmlinux; none for no vmlinux.
func (k *Kernel) checks() []verdict.DoctorCheck {
	if k == nil {
		return nil
	}
	list := []verdict.DoctorCheck{k.identity(), k.dwarf(), k.unwinder(), k.symbols(), k.pvh(), k.kaslr()}
	return append(list, k.configured()...)
}

func (k *Kernel) identity() verdict.DoctorCheck {
	config := "; its configuration is not known: neither in it (CONFIG_IKCONFIG) nor beside it"
	if k.ConfigFrom != "" {
		config = "; its configuration is that of " + k.ConfigFrom
	}
	if k.Release == "" {
		return ailing("vmlinux", k.Path+" does not say its release: it may be no kernel"+config, "")
	}
	return well("vmlinux", k.Release+config)
}

func (k *Kernel) dwarf() verdict.DoctorCheck {
	const name = "vmlinux.dwarf"
	switch {
	case k.DWARF == 0:
		return ailing(name, "no debug information: no lines, no inlined functions, no values", set("DEBUG_INFO_DWARF5"))
	case k.Option("DEBUG_INFO_REDUCED") == "y":
		return ailing(name, fmt.Sprintf("DWARF %d, reduced: types are missing", k.DWARF), "scripts/config --disable DEBUG_INFO_REDUCED && make olddefconfig")
	case !k.DebugFrame:
		return ailing(name, fmt.Sprintf("DWARF %d without .debug_frame: few values in outer frames", k.DWARF), "")
	}
	return well(name, fmt.Sprintf("DWARF %d, with .debug_frame", k.DWARF))
}

func (k *Kernel) unwinder() verdict.DoctorCheck {
	const name = "vmlinux.orc"
	switch {
	case k.ORC == nil:
		return well(name, "ORC tables")
	case !errors.Is(k.ORC, vmlinux.ErrNoORC):
		return ailing(name, k.ORC.Error(), "")
	case k.Option("UNWINDER_ORC") == "y":
		return ailing(name, "the kernel has ORC tables, and this file has not: take the vmlinux as it was built", "")
	case k.DebugFrame:
		return ailing(name, "no ORC tables; frames come from .debug_frame, and assembly may not be crossed", set("UNWINDER_ORC"))
	}
	return ailing(name, "neither ORC tables nor .debug_frame: chains go by frame pointers, or are guessed", set("UNWINDER_ORC"))
}

func (k *Kernel) symbols() verdict.DoctorCheck {
	const name = "vmlinux.kallsyms"
	switch {
	case k.Option("KALLSYMS") == "n":
		return ailing(name, "the kernel has no names of its own (CONFIG_KALLSYMS): without this file nothing has a name", set("KALLSYMS"))
	case k.Option("KALLSYMS_ALL") == "n":
		return ailing(name, "the kernel's own names are functions only (CONFIG_KALLSYMS_ALL)", set("KALLSYMS_ALL"))
	case k.Symbols == "":
		return ailing(name, "no symbols, neither in the file nor in the kernel's own table", set("KALLSYMS"))
	case k.Symbols == "kallsyms":
		return ailing(name, "the file is stripped; names are those of the kernel's own table", "")
	}
	return well(name, "symbols in the file")
}

func (k *Kernel) pvh() verdict.DoctorCheck {
	if k.PVH {
		return well("vmlinux.pvh", "PVH entry: --vmlinux alone boots it")
	}
	return ailing("vmlinux.pvh", "no PVH entry: it boots by its bzImage only", set("PVH"))
}

// kaslr is never wrong: both ways are followed.
func (k *Kernel) kaslr() verdict.DoctorCheck {
	const name = "vmlinux.kaslr"
	on := k.Moves
	switch k.Option("RANDOMIZE_BASE") {
	case "y":
		on = true
	case "n":
		on = false
	}
	switch {
	case on:
		return well(name, "moves itself (KASLR); the slide is found at each boot")
	case k.Option("RELOCATABLE") == "y":
		return well(name, "no KASLR; relocatable")
	}
	return well(name, "no KASLR")
}

// configured are options that a boot to init needs, and those that make deaths tell more.
func (k *Kernel) configured() []verdict.DoctorCheck {
	var list []verdict.DoctorCheck
	for _, o := range []struct{ symbol, lost string }{
		{"BLK_DEV_INITRD", "the kernel takes no initrd, so that init is never reached"},
		{"BINFMT_ELF", "the kernel runs no programs, so that init is never reached"},
		{"SERIAL_8250_CONSOLE", "the kernel has no serial console, so that neither a console nor init is ever seen"},
		{"PRINTK", "the kernel has no log"},
		{"DEBUG_BUGVERBOSE", "a BUG does not say its file and line"},
	} {
		if k.Option(o.symbol) == "n" {
			list = append(list, ailing("vmlinux."+strings.ToLower(o.symbol), o.lost, set(o.symbol)))
		}
	}
	return list
}
