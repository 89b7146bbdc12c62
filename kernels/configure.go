package kernels

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// configuration is the final .config, remembered by what it depends on, so that a changed .c does not cost the seconds of kconfig.
func (m maker) configuration(ctx context.Context, src source, o overlay) ([]byte, error) {
	memo := filepath.Join(m.cache, "memo", m.configKey(src, o)+".config")
	if text, err := os.ReadFile(memo); err == nil && len(text) > 0 {
		return text, nil
	}
	text, err := m.configure(ctx)
	if err != nil {
		return nil, err
	}
	err = writeAtomically(memo, func(w io.Writer) error { _, err := w.Write(text); return err })
	return text, infra("cache", memo, err)
}

// configKey names what the final .config depends on: the request's part, the tools, and the files of the tree that kconfig reads.
func (m maker) configKey(src source, o overlay) string {
	var h hasher
	h.add("config", recipe, m.tools, m.in.base, string(m.in.baseText))
	for _, f := range m.in.fragments {
		h.add("fragment", string(f.text))
	}
	h.add("make")
	h.add(m.req.Make...)
	if src.live() {
		read := manifest{}
		for p, e := range src.files {
			if readByKconfig(p) {
				read[p] = e
			}
		}
		id := read.identity()
		h.add("tree", string(id[:]))
	} else {
		h.add(src.identity)
	}
	for _, p := range o.names() {
		if readByKconfig(p) {
			h.add(p, string(o[p].Kind), string(o[p].Data))
		}
	}
	return h.sum()
}

// readByKconfig reports whether a file can have a say in the configuration: Kconfig files, the scripts that their $(shell) calls run, the
// makefiles that make their environment, the configurations that are part of the tree.
func readByKconfig(p string) bool {
	base := p[strings.LastIndexByte(p, '/')+1:]
	return strings.HasPrefix(base, "Kconfig") || p == "Makefile" || strings.HasPrefix(p, "scripts/") || strings.HasPrefix(p, "arch/x86/Makefile") ||
		strings.HasSuffix(base, ".config") || strings.HasSuffix(base, "defconfig") || strings.HasPrefix(base, "localversion")
}

// configure makes the final .config in an object tree of its own, so that the trees with objects are left alone until the key is known.
func (m maker) configure(ctx context.Context) ([]byte, error) {
	in := m.in
	m.progress(StageConfigure, 0, 0, in.base)
	obj := filepath.Join(m.slot.dir, "obj-configure")
	if err := os.MkdirAll(obj, 0o777); err != nil {
		return nil, infra("configure", obj, err)
	}
	config := filepath.Join(obj, ".config")
	switch in.base {
	case BaseTiny:
		all := filepath.Join(obj, "kcatch-base.config")
		if err := os.WriteFile(all, in.baseText, 0o666); err != nil {
			return nil, infra("configure", all, err)
		}
		if err := m.target(ctx, obj, "KCONFIG_ALLCONFIG="+all, "allnoconfig"); err != nil {
			return nil, err
		}
	case BaseDefconfig:
		if err := m.target(ctx, obj, "x86_64_defconfig"); err != nil {
			return nil, err
		}
	default:
		if err := os.WriteFile(config, in.baseText, 0o666); err != nil {
			return nil, infra("configure", config, err)
		}
	}
	var requested, base, keys kconfig.Config
	for _, f := range in.fragments {
		requested = kconfig.Merge(requested, f.conf)
	}
	fromFile := in.base != BaseTiny && in.base != BaseDefconfig
	if fromFile {
		var notes []string
		base, _ = kconfig.Parse(bytes.NewReader(in.baseText)) // readInputs has parsed it
		keys, notes = withoutKeys(base, m.slot.src())
		for _, n := range notes {
			m.progress(StageConfigure, 0, 0, n)
		}
	}
	if top := kconfig.Merge(keys, requested); top.Len() > 0 { // a fragment's own key is asked for, and must be there
		if err := putOnTop(config, top); err != nil {
			return nil, infra("configure", config, err)
		}
	}
	if fromFile || len(in.fragments) > 0 {
		if err := m.target(ctx, obj, "olddefconfig"); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, infra("configure", config, err)
	}
	final, err := kconfig.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, blame.New(blame.Build, "configure: "+config+": "+err.Error(), "")
	}
	if final.Value("X86_64") != "y" {
		return nil, blame.New(blame.Build, "configure: "+m.req.Base+": not a configuration for x86_64: CONFIG_X86_64 is not set",
			"only 64-bit x86 kernels are made; put CONFIG_64BIT=y into it, or take another base")
	}
	if err := m.took(requested, final); err != nil {
		return nil, err
	}
	if note := lost(base, final, requested); note != "" {
		m.progress(StageConfigure, 0, 0, note)
	}
	return text, nil
}

// putOnTop writes the fragments behind the base's other lines: of two choices that are both y the last one in the file counts.
func putOnTop(name string, requested kconfig.Config) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	base, err := kconfig.Parse(bytes.NewReader(text))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, o := range base.Options() {
		if _, ok := requested.Get(o.Symbol); !ok {
			fmt.Fprintln(&b, o)
		}
	}
	b.Write(requested.Render())
	return os.WriteFile(name, b.Bytes(), 0o666)
}

// took checks that every symbol of the fragments is in the final configuration as it was asked for. The base's own symbols are not
// checked: a .config of another version always has some that are gone.
func (m maker) took(requested, final kconfig.Config) error {
	problems := kconfig.Check(requested, final, os.DirFS(m.slot.src()))
	if len(problems) == 0 {
		return nil
	}
	p := problems[0]
	msg := "configure: " + m.fragmentOf(p.Symbol) + p.String()
	var others []string
	for _, p := range problems[1:] {
		others = append(others, m.fragmentOf(p.Symbol)+p.String())
	}
	if n := len(others); n > 0 {
		msg += fmt.Sprintf(" (and %d more)", n)
	}
	hint := "put what it depends on into a fragment of yours, or take the line out"
	switch {
	case p.Near != "":
		hint = "did you mean CONFIG_" + p.Near + "?"
	case p.Undefined:
		hint = "take the line out: it is of another kernel, or misspelt"
	}
	return &blame.Error{Kind: blame.Build, Msg: msg, Hint: hint, Detail: strings.Join(others, "\n")}
}

// fragmentOf names the fragment that asked for a symbol last: "kasan: ".
func (m maker) fragmentOf(symbol string) string {
	for i := len(m.in.fragments) - 1; i >= 0; i-- {
		f := m.in.fragments[i]
		if o, ok := f.conf.Get(symbol); ok {
			if o.Line > 0 {
				return fmt.Sprintf("%s:%d: ", f.name, o.Line)
			}
			return f.name + ": "
		}
	}
	return ""
}

// target runs make for a configuration target.
func (m maker) target(ctx context.Context, obj string, args ...string) error {
	log := &makeLog{src: m.slot.src(), tick: func(int, string) {}}
	if err := m.run(ctx, obj, log, args...); err != nil {
		return m.failure(ctx, "configure", log, err, "")
	}
	return nil
}
