package faults

import (
	"context"
	"os"
	"path/filepath"

	"kcatch/harness"
	"kcatch/internal/blame"
	"kcatch/kernels"
	"kcatch/kernels/faults"
)

// store is where kernels are found and files of ours are kept.
type store struct{ cache string }

// openStore is the cache: its directory, or the user's.
func openStore(cache string) (store, error) {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return store{}, &blame.Error{Kind: blame.Infrastructure, Msg: "cache: " + err.Error(), Hint: "set XDG_CACHE_HOME or HOME", Err: err}
		}
		cache = filepath.Join(user, "kcatch")
	}
	return store{cache: cache}, nil
}

// write puts a file of ours into the cache and returns its path.
func (s store) write(name string, data []byte) (string, error) {
	path := filepath.Join(s.cache, "faults", name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		return "", &blame.Error{Kind: blame.Infrastructure, Msg: "cache: " + err.Error(), Err: err}
	}
	return path, nil
}

// request is how a kernel is built. The diffs of the corpus become files, which a build takes.
func (s store) request(k faults.Kernel) (kernels.Request, error) {
	req := kernels.Request{Tree: k.Tree, Base: "tiny", Fragments: k.Config}
	for _, name := range k.Patches {
		if text, ok := faults.Diff(name); ok {
			path, err := s.write(name, text)
			if err != nil {
				return req, err
			}
			name = path
		}
		req.Patches = append(req.Patches, name)
	}
	return req, nil
}

// check refuses a kernel that can neither be built nor found.
func (s store) check(ctx context.Context, k faults.Kernel) error {
	if k.Tree == "" {
		_, err := s.fixture(k)
		return err
	}
	req, err := s.request(k)
	if err != nil {
		return err
	}
	b := kernels.Builder{Cache: s.cache}
	return b.Check(ctx, req)
}

// fixture is a kernel that "make fixtures" has put into the cache.
func (s store) fixture(k faults.Kernel) (Files, error) {
	dir := filepath.Join(s.cache, "fixtures", k.Fixture)
	file := func(name string) string {
		path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil {
			return ""
		}
		return path
	}
	f := Files{Kernel: file("bzImage"), Vmlinux: file("vmlinux"), BootVmlinux: file("boot-vmlinux")}
	if f.Kernel == "" || f.Vmlinux == "" {
		return f, blame.New(blame.Usage, "kernel "+k.Name+": "+dir+" has no bzImage and vmlinux", "make fixtures fetches them; --only leaves faults out")
	}
	return f, nil
}

// files builds a kernel, or finds it: what is in the cache already costs milliseconds.
func (s store) files(ctx context.Context, k faults.Kernel, p harness.Progress) (Files, error) {
	if k.Tree == "" {
		return s.fixture(k)
	}
	req, err := s.request(k)
	if err != nil {
		return Files{}, err
	}
	var last kernels.Progress
	b := kernels.Builder{Cache: s.cache, Progress: func(now kernels.Progress) {
		if p.Stage != nil && now.Stage != last.Stage {
			p.Stage(string(now.Stage), k.Name)
		}
		if p.Step != nil && now.Done > 0 {
			p.Step(string(now.Stage), now.Done, now.Total)
		}
		last = now
	}}
	built, err := b.Build(ctx, req)
	return Files{Kernel: built.BzImage, Vmlinux: built.Vmlinux, BootVmlinux: built.BootVmlinux}, err
}

// edited is files with the bzImage that the fault's edit makes of it. It stays, so that qemu.sh can boot it again.
func (s store) edited(f faults.Fault, files Files) (Files, error) {
	if f.Edit == nil {
		return files, nil
	}
	image, err := os.ReadFile(files.Kernel)
	if err != nil {
		return files, &blame.Error{Kind: blame.Infrastructure, Msg: "fault " + f.Name + ": " + err.Error(), Err: err}
	}
	if image, err = f.Edit.Apply(image); err != nil {
		return files, &blame.Error{Kind: blame.Build, Msg: f.Where + ": fault " + f.Name + ": " + err.Error(), Err: err}
	}
	files.Kernel, err = s.write(f.Name+".bzImage", image)
	return files, err
}
