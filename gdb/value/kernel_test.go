package value_test

import (
	"debug/dwarf"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// file is the scope of a vmlinux's own data, by link addresses, as gdb has it without a machine.
type file struct{ *vmlinux.File }

func (f file) ReadMemory(p []byte, addr uint64) (int, error) {
	b, err := f.Bytes(vmlinux.Addr(addr), len(p))
	if err != nil {
		return 0, errNotMapped
	}
	return copy(p, b), nil
}

func (f file) Variable(name string) (value.Value, bool, error) {
	if sym, ok := f.Symbol(name); ok && f.IsText(sym.Addr) {
		return value.Value{Type: &dwarf.FuncType{}, Addr: uint64(sym.Addr), HasAddr: true}, true, nil
	} else if !ok {
		return value.Value{}, false, nil
	}
	at, t, err := f.Global(name)
	return value.Value{Type: t, Addr: uint64(at), HasAddr: true}, true, err
}

func (f file) Type(name string) (dwarf.Type, error) { return f.File.Type(0, name) }

// kernelExpressions are of the kernel's own variables, as they are in the file.
var kernelExpressions = []string{
	"init_task.comm", "init_task.__state", "init_task.usage.refs.counter", "init_task.flags", "init_task.prio", "init_task.tasks.next == &init_task.tasks",
	"(unsigned long)&init_task.thread - (unsigned long)&init_task", "sizeof(struct task_struct)", "sizeof(struct page)", "sizeof(init_task.comm)",
	"init_task.signal->nr_threads", "init_task.se.load.weight", "*init_task.cpus_ptr", "&init_task.cpus_mask == init_task.cpus_ptr", "init_mm.mm_users",
	"init_mm.pgd == (pgd_t *)&init_top_pgt", "jiffies_64", "linux_banner", "printk_rb_static.desc_ring.count_bits",
	"prb->desc_ring.descs[1].state_var.counter & 7", "((struct page *)0)->flags == 0 || 1", "&((struct page *)0xffffea0000000000)[3]._refcount",
	"(long)&((struct page *)0)->compound_head", "init_task.sched_class == &idle_sched_class", "system_state",
	"(enum system_states)3", "init_mm.mm_users.counter * 2 + 1", "console_printk", "console_printk[1]", "-console_printk[0] >> 1",
	"init_cred.uid", "init_cred.cap_effective", "root_user.ratelimit.burst", "init_task.restart_block.fn == &do_no_restart_syscall", "vmaflag_names[0].name[0]",
	"zone_names[1][0]", "init_pid_ns.ns.count.refs.counter", "init_uts_ns.name.sysname", "init_task.on_cpu + init_task.pid",
}

var update = flag.Bool("update", false, "ask gdb again and write testdata/kernel-*.txt")

// TestKernel compares with gdb 13.1 on the files of real kernels. gdb takes seconds to read one, so its answers are kept in
// testdata/kernel-NAME.txt; "go test ./gdb/value -run TestKernel -update" asks it again.
func TestKernel(t *testing.T) {
	for _, name := range []string{fixtures.Good61, fixtures.Good612} {
		t.Run(name, func(t *testing.T) {
			path := fixtures.Find(t, name).Vmlinux
			f, err := vmlinux.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			golden := filepath.Join("testdata", "kernel-"+name+".txt")
			if *update {
				text := "# gdb 13.1: output EXPRESSION, on the fixture " + name + "; casts and names of pointers and structures around one number are taken off.\n"
				for i, out := range (&program{path: path}).gdb(t, kernelExpressions) {
					text += kernelExpressions[i] + "\t" + plain(out) + "\n"
				}
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			gdb := map[string]string{}
			for _, line := range strings.Split(string(data), "\n") {
				expression, out, _ := strings.Cut(line, "\t")
				gdb[expression] = out
			}
			s := file{f}
			for _, text := range kernelExpressions {
				want, ok := gdb[text]
				if !ok || want == "" {
					t.Errorf("%s: gdb was not asked, or had no answer", text)
					continue
				}
				e, err := value.Parse(text)
				if err != nil {
					t.Error(err)
					continue
				}
				v, err := e.Eval(s)
				if err != nil {
					t.Errorf("%v; gdb has %s", err, want)
					continue
				}
				if got := plain(v.Text(value.TextOptions{Memory: s, Complete: f.Complete, Limit: 400})); got != want {
					t.Errorf("%s: %s; gdb has %s", text, got, want)
				}
			}
		})
	}
}

var (
	gdbCast  = regexp.MustCompile(`\([a-z_0-9 ]+\*+\) ?|\([^()]*\(\*\)\([^()]*\)\) ?`)
	gdbName  = regexp.MustCompile(` <[a-z_0-9+]+>`)
	wrapper  = regexp.MustCompile(`\{[a-z_]+ = (-?\d+)\}`)
	ourField = regexp.MustCompile(`([{ ])\.([a-z_0-9]+ =)`)
)

// plain takes off what the two show by choice: the type of a pointer, a symbol's name, a structure around one number.
func plain(s string) string {
	s = ourField.ReplaceAllString(s, "$1$2")
	s = gdbName.ReplaceAllString(gdbCast.ReplaceAllString(s, ""), "")
	for range 3 {
		s = wrapper.ReplaceAllString(s, "$1")
	}
	return strings.ReplaceAll(s, "NULL", "0x0")
}
