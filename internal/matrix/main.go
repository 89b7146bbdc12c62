// Matrix boots every shape of kernel and vmlinux that kcatch claims to support and prints a table of what came out. It is run by
// hand; docs/support.md has its figures.
//
//	make matrix                                   go run ./internal/matrix
//	go run ./internal/matrix -only 'machine/*'    some of the cells, by glob
//	go run ./internal/matrix -build               with the kernels that have to be built for it: minutes each
//
// It needs "make fixtures", QEMU, busybox-static, binutils; for -build a compiler, and clang, lld and llvm for clang's kernel.
// Kernels are built by kcatch's own builder into its cache, so that a second run builds nothing.
//
// # What is checked
//
// Cells of the seed kernel (kernels/patches/pgflags-refcount) must give an early-exception with vector 6, and the chain
// from init_unavailable_range to start_kernel through the exception frame. With debug information the cause must be
// __SetPageReserved, and every frame is asked of addr2line -fi (GNU binutils): function, file and line, inlined ones
// in order. Without it the cause must be the function that owns the code. Cells of a good kernel must reach init.
//
// The exit code is 0 when every cell is right.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
	"kcatch/kernels"
)

func main() {
	only := flag.String("only", "*", "cells to run: a glob over their names (-list)")
	build := flag.Bool("build", false, "also those that need a kernel of their own")
	list := flag.Bool("list", false, "print the names")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *list {
		for _, c := range cells {
			fmt.Println(c.name)
		}
		return
	}
	right, err := run(ctx, *only, *build)
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		if hint := blame.Hint(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		os.Exit(1)
	}
	if !right {
		os.Exit(1)
	}
}

// run runs the cells that are asked for and prints the table. The error is of our own world; wrong cells are in the table.
func run(ctx context.Context, only string, build bool) (right bool, err error) {
	dir, err := os.MkdirTemp("", "km-") // short: sockets lie in it
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	var rows []row
	right = true
	for _, c := range cells {
		if ok, err := path.Match(only, c.name); err != nil {
			return false, fmt.Errorf("-only %q: %w", only, err)
		} else if !ok && only != "*" || c.build != nil && !build {
			continue
		}
		fmt.Fprintf(os.Stderr, "matrix: %s\n", c.name)
		r := c.run(ctx, dir)
		if ctx.Err() != nil {
			return false, errors.New("interrupted")
		}
		right = right && r.wrong == ""
		rows = append(rows, r)
	}
	return right, printRows(os.Stdout, rows)
}

// run boots one cell and judges it.
func (c cell) run(ctx context.Context, dir string) row {
	out := row{name: c.name}
	fail := func(err error) row {
		out.wrong = err.Error()
		return out
	}
	plan, whole, err := c.plan(ctx, dir)
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(plan.Out)
	if err := harness.Check(ctx, plan); err != nil {
		return fail(err)
	}
	r, err := harness.Boot(ctx, plan, harness.Progress{})
	if err != nil {
		return fail(err)
	}
	out.release, out.boot, out.examine = r.Kernel.Release, r.Timing.Boot, r.Timing.Examine
	out.judge(ctx, c, &r, whole)
	return out
}

// plan is the boot of a cell. whole is the vmlinux with everything in it, for the oracle.
func (c cell) plan(ctx context.Context, dir string) (plan harness.Plan, whole string, err error) {
	plan = harness.Plan{Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg", Until: "init", Timeout: 2 * time.Minute,
		FailOn: []verdict.Class{verdict.Oops, verdict.Bug}, Out: filepath.Join(dir, "out")}
	if c.build != nil {
		plan.Kernel, plan.Vmlinux, err = c.built(ctx, dir)
	} else {
		plan.Kernel, plan.Vmlinux, err = fixture(c.fixture)
	}
	if err != nil {
		return plan, "", err
	}
	whole = plan.Vmlinux
	switch {
	case c.alone:
		plan.Vmlinux = ""
	case c.objcopy != "":
		plan.Vmlinux = filepath.Join(dir, "vmlinux")
		if text, err := exec.CommandContext(ctx, "objcopy", c.objcopy, whole, plan.Vmlinux).CombinedOutput(); err != nil {
			return plan, "", fmt.Errorf("objcopy %s: %w: %s", c.objcopy, err, text)
		}
	}
	if c.pvh {
		plan.Kernel = ""
	}
	if c.machine != "" {
		plan.Machine = c.machine
	}
	if c.memory != 0 {
		plan.Memory = c.memory
	}
	if c.cpus != 0 {
		plan.CPUs = c.cpus
	}
	plan.Append, plan.QEMUArg = c.append, c.qemu
	return plan, whole, nil
}

// fixture is a real kernel, outside of a test.
func fixture(name string) (bzImage, vmlinux string, err error) {
	root, err := fixtures.Dir()
	if err != nil {
		return "", "", err
	}
	bzImage, err = filepath.EvalSymlinks(filepath.Join(root, name, "bzImage"))
	if err == nil {
		vmlinux, err = filepath.EvalSymlinks(filepath.Join(root, name, "vmlinux"))
	}
	if err != nil {
		return "", "", fmt.Errorf("the kernel %s is missing: run make fixtures", name)
	}
	return bzImage, vmlinux, nil
}

// built builds the cell's kernel, or finds it in the cache.
func (c cell) built(ctx context.Context, dir string) (bzImage, vmlinux string, err error) {
	req := *c.build
	if req.Tree == "" {
		req.Tree = "debian-6.1"
	}
	req.Base = "tiny"
	for i, f := range req.Fragments {
		text, err := fragments.ReadFile(f + ".config")
		if err != nil {
			continue // one of configs/fragments
		}
		file := filepath.Join(dir, f+".config")
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return "", "", err
		}
		req.Fragments[i] = file
	}
	b := &kernels.Builder{}
	if err := b.Check(ctx, req); err != nil {
		return "", "", err
	}
	k, err := b.Build(ctx, req)
	if err != nil {
		return "", "", fmt.Errorf("build: %s", strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return k.BzImage, k.Vmlinux, nil
}
