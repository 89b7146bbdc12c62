// Package kernels makes a kernel to boot from a source tree, patches and configuration, and remembers it.
//
// What it does: [Builder.Check] looks at every argument and every file an argument names before anything is downloaded, copied or
// built. [Builder.Build] then takes the source (Debian's linux-source package, a directory, a tarball), tries the patches on copies
// of the files they name, keeps a private copy of the tree with the patches on it, configures and builds out of tree, and files bzImage, vmlinux, the
// decompressor's vmlinux and the configuration under a key made of everything that went in. The same request gives the same entry
// again in milliseconds; a changed one starts from the nearest objects. [ReadBzImage] reads a boot image's header and build-id.
//
// What it needs from you: a kernel's build tools (Check names what is missing and the line that installs it), about 3 GB of cache, and
// patience for the first build: 3 minutes on 2 cores for the tiny configuration.
//
// What it does not do: it never writes to a tree that you name, nor to its .git; it never runs as root what could run without, and
// never installs anything (it does call "apt-get update" when it is root and the package lists are missing). It builds for x86_64 only.
//
// Errors are [blame.Error]: usage for arguments and files that are not what they should be, build for a patch that does not fit, a
// configuration that does not take and a tree that does not compile, infrastructure for tools, disk and network.
//
// The cache, all entries renamed into place when they are whole; of the builds the 32 used last are kept, and all of today's:
//
//	sources/ID/          an unpacked package or tarball, never changed again
//	slots/ID/            the private copy of a source with its object trees, see slot.go; used under a lock
//	builds/KEY/          bzImage vmlinux boot-vmlinux config build.json build.log manifest patched/
//	memo/                what would be asked again: request -> key, file -> hash
//
// What a running kcatch uses is locked, so that another one does not remove it: see [Claim].
//
// Kbuild: https://docs.kernel.org/kbuild/index.html. Boot image: https://docs.kernel.org/arch/x86/boot.html.
package kernels

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"kcatch/internal/blame"
)

// Request says which kernel to make. The zero Request is the tiny configuration of [DefaultTree].
type Request struct {
	// Tree is debian-6.1, debian-6.12, a directory, or a .tar.xz, .tar.gz or .tar.zst. A directory is built as it stands,
	// changed and untracked files included.
	Tree string
	// Patches are put on in order: names of [Patches], diff files, mbox files.
	Patches []string
	// Base is the configuration to start from: "tiny" (default), "defconfig", or a file as .config is one.
	Base string
	// Fragments are put on the base in order: names of configs.Fragments, or files.
	Fragments []string
	// Make are VARIABLE=VALUE arguments for make: LLVM=1, CC=clang-15, KCFLAGS=-O1.
	Make []string
}

// Stage is a part of a build.
type Stage string

// The stages in their order.
const (
	StageSource    Stage = "source"
	StagePatch     Stage = "patch"
	StageConfigure Stage = "configure"
	StageBuild     Stage = "build"
)

// Progress is how far a stage is.
type Progress struct {
	Stage Stage
	// Done of Total steps; Total is 0 when it is not known, and an estimate otherwise: Done may pass it.
	Done, Total int
	// Note is what is being done, one line.
	Note string
	// Elapsed is the time since the stage began.
	Elapsed time.Duration
}

// Builder makes kernels. The zero value is ready; it may be used for several builds at once.
type Builder struct {
	// Cache is where everything is kept; empty is kcatch in [os.UserCacheDir].
	Cache string
	// Progress, when set, is called from one goroutine at a time, often: a few thousand times a build.
	Progress func(Progress)
	// Jobs is how many compilers run at once; 0 is one for each core.
	Jobs int
}

func (b *Builder) cacheDir() (string, error) {
	dir := b.Cache
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", &blame.Error{Kind: blame.Infrastructure, Msg: "cache: " + err.Error(), Err: err, Hint: "set XDG_CACHE_HOME or HOME"}
		}
		dir = filepath.Join(user, "kcatch")
	}
	return filepath.Abs(dir)
}

func (b *Builder) jobs() int {
	if b.Jobs > 0 {
		return b.Jobs
	}
	return runtime.NumCPU()
}

// A reporter hands progress on, one call at a time, and knows when each stage began.
type reporter struct {
	mu    sync.Mutex
	to    func(Progress)
	stage Stage
	since time.Time
}

func (r *reporter) progress(stage Stage, done, total int, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if stage != r.stage {
		r.stage, r.since = stage, now
	}
	if r.to != nil {
		r.to(Progress{Stage: stage, Done: done, Total: total, Note: note, Elapsed: now.Sub(r.since)})
	}
}
