package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kcatch/configs"
	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// Names of the configurations a Request can start from besides a file.
const (
	BaseTiny      = "tiny"
	BaseDefconfig = "defconfig"
)

// inputs are a request's arguments with every file that they name read into memory.
type inputs struct {
	patches   []patchFile
	base      string // BaseTiny, BaseDefconfig or a file's name
	baseText  []byte // of a file; of BaseTiny's fragment
	fragments []fragment
	tools     toolchain
}

type fragment struct {
	name string
	text []byte
	conf kconfig.Config
}

// withDefaults fills in what a request left out.
func (r Request) withDefaults() Request {
	if r.Tree == "" {
		r.Tree = DefaultTree
	}
	if r.Base == "" {
		r.Base = BaseTiny
	}
	return r
}

// readInputs reads the files of a request and checks each as far as it can be checked alone. It touches nothing but them.
func readInputs(r Request) (inputs, error) {
	in := inputs{base: r.Base, tools: readToolchain(r.Make)}
	if err := checkMake(r.Make); err != nil {
		return in, err
	}
	for _, p := range r.Patches {
		f, err := readPatch(p)
		if err != nil {
			return in, err
		}
		in.patches = append(in.patches, f)
	}
	switch r.Base {
	case BaseDefconfig:
	case BaseTiny:
		text, ok := configs.Fragment(BaseTiny)
		if !ok {
			return in, blame.New(blame.Unknown, "configuration: the tiny fragment is not in this binary", "")
		}
		in.baseText = text
	default:
		text, err := readConfigFile("base", r.Base, "the base is tiny, defconfig or a .config file")
		if err != nil {
			return in, err
		}
		c, err := kconfig.Parse(bytes.NewReader(text))
		if err != nil {
			return in, notAConfig("base", r.Base, err)
		}
		if c.Len() == 0 {
			return in, notAConfig("base", r.Base, errors.New("it sets no symbol"))
		}
		in.baseText = text
	}
	for _, name := range r.Fragments {
		f, err := readFragment(name)
		if err != nil {
			return in, err
		}
		in.fragments = append(in.fragments, f)
	}
	return in, nil
}

func readFragment(name string) (fragment, error) {
	text, ok := []byte(nil), false
	if !strings.ContainsAny(name, "/.") {
		text, ok = configs.Fragment(name)
	}
	if !ok {
		var err error
		if text, err = readConfigFile("configuration", name, "fragments: "+strings.Join(configs.Fragments(), ", ")+"; or a file"); err != nil {
			return fragment{}, err
		}
	}
	c, err := kconfig.Parse(bytes.NewReader(text))
	if err != nil {
		return fragment{}, notAConfig("configuration", name, err)
	}
	return fragment{name: name, text: text, conf: c}, nil
}

const maxConfig = 16 << 20 // bytes; Debian's .config has 260 kB

func readConfigFile(what, name, hint string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		e := &blame.Error{Kind: blame.Usage, Msg: what + ": " + name + ": " + cause(err), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Hint = hint
		}
		return nil, e
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, &blame.Error{Kind: blame.Usage, Msg: what + ": " + name + ": " + cause(err), Err: err}
	case len(text) > maxConfig:
		return nil, notAConfig(what, name, fmt.Errorf("more than %d MB", maxConfig>>20))
	}
	return text, nil
}

func notAConfig(what, name string, err error) error {
	return &blame.Error{Kind: blame.Usage, Msg: what + ": " + name + ": not a kernel configuration: " + err.Error(), Err: err,
		Hint: `its lines are CONFIG_NAME=value, "# CONFIG_NAME is not set" and comments`}
}

// Check looks at a request as far as is possible without downloading, copying or building: the tree is a kernel's, the patches are
// patches and, when the tree is a directory, fit on it; fragments and base are configurations; the tools are there.
func (b *Builder) Check(ctx context.Context, req Request) error {
	req = req.withDefaults()
	if err := checkTree(req.Tree); err != nil {
		return err
	}
	in, err := readInputs(req)
	if err != nil {
		return err
	}
	if err := in.tools.check(in.base == BaseTiny, len(in.patches) > 0); err != nil {
		return err
	}
	if len(in.patches) == 0 {
		return nil
	}
	scratch, err := os.MkdirTemp("", "kcatch-check-")
	if err != nil {
		return infra("check", os.TempDir(), err)
	}
	defer os.RemoveAll(scratch)
	if st, err := os.Stat(req.Tree); err == nil && st.IsDir() && !isPackaged(req.Tree) {
		v, err := treeVersion(req.Tree)
		if err == nil {
			_, _, err = applyPatches(ctx, req.Tree, scratch, v, in.patches)
		}
		return err
	}
	for i, p := range in.patches {
		if err := checkPatch(ctx, p, filepath.Join(scratch, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}
