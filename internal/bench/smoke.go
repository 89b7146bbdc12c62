package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"kcatch/harness"
	"kcatch/harness/smoke"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// smokeCells is how many boots a smoke test of the measurement has.
const smokeCells = 4

// smoke: goals 5 % of QEMU's time, and 7 % lost of the speed-up that two bare QEMUs reach.
func (b *bench) smoke(ctx context.Context) error {
	good, err := fixture(fixtures.Good61)
	if err != nil {
		return err
	}
	var bareOne, bareTwo, one, two, over, ends, beside, lost series
	for i := range b.n + 1 {
		bare1, err := b.bareBoots(ctx, good.BzImage, 1)
		if err != nil {
			return fmt.Errorf("bare QEMU: %w", err)
		}
		s1, err := b.smokeBoots(ctx, good, 1)
		if err != nil {
			return err
		}
		s2, err := b.smokeBoots(ctx, good, 2)
		if err != nil {
			return err
		}
		bare2, err := b.bareBoots(ctx, good.BzImage, 2)
		if err != nil {
			return fmt.Errorf("two bare QEMUs: %w", err)
		}
		if i == 0 {
			continue
		}
		wall, machine, all := 0.0, 0.0, 1000*s1.Seconds
		for _, c := range s1.Cells {
			wall, machine = wall+1000*c.Tries[0].Seconds, machine+1000*c.Tries[0].Machine
		}
		bareOne, bareTwo = append(bareOne, ms(bare1)), append(bareTwo, ms(bare2))
		one, two = append(one, all), append(two, 1000*s2.Seconds)
		over = append(over, 100*(wall-machine)/machine)
		ends = append(ends, 100*(all-machine)/machine)
		beside = append(beside, 100*(all-ms(bare1))/ms(bare1))
		lost = append(lost, 100*(1-(s1.Seconds/s2.Seconds)/(bare1.Seconds()/bare2.Seconds())))
	}
	b.table.add(fmt.Sprintf("%d good boots: bare QEMU to the marker, one at a time", smokeCells), "ms", bareOne)
	b.table.add("  two at a time", "ms", bareTwo)
	b.table.add(fmt.Sprintf("%d cells: smoke.Run, one at a time", smokeCells), "ms", one)
	b.table.add("  two at a time", "ms", two)
	b.table.add("a cell's wall time over its QEMU's", "%", over)
	b.table.add("  the whole run over its QEMUs", "%", ends)
	b.table.add("  the whole run over bare QEMU's boots, by pairs", "%", beside)
	b.table.add("two jobs: lost of bare QEMU's speed-up, by pairs", "%", lost)
	b.table.want("smoke: a cell's wall time over its QEMU's", over, 5, "%")
	b.table.want("smoke: lost of the speed-up that two bare QEMUs reach", lost, 7, "%")
	return nil
}

// bareBoots boots the kernel smokeCells times, jobs at a time, each to init's marker on its console.
func (b *bench) bareBoots(ctx context.Context, kernel string, jobs int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	turns, errs := make(chan struct{}, smokeCells), make(chan error, jobs)
	for range smokeCells {
		turns <- struct{}{}
	}
	close(turns)
	begin := time.Now()
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			for range turns {
				if err := b.bareBoot(ctx, kernel); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	close(errs)
	return took, <-errs
}

// bareBoot boots a kernel to init's marker with nothing around it, and ends it there, as kcatch does.
func (b *bench) bareBoot(ctx context.Context, kernel string) error {
	argv := b.spec(kernel, "").Argv()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for in := bufio.NewScanner(out); in.Scan(); {
		if strings.Contains(in.Text(), "kcatch: init reached") {
			return nil
		}
	}
	return fmt.Errorf("%s: init is not reached", kernel)
}

// smokeBoots is the same by smoke.Run.
func (b *bench) smokeBoots(ctx context.Context, k fixtures.Kernel, jobs int) (verdict.Smoke, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as cmd/kcatch has it
	req := smoke.Request{Jobs: jobs, Out: filepath.Join(b.dir, "smoke")}
	for i := range smokeCells {
		req.Cells = append(req.Cells, smoke.Cell{Name: fmt.Sprintf("good/%d", i), Plan: harness.Plan{
			Kernel: k.BzImage, Vmlinux: k.Vmlinux, Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg", Until: "init", Timeout: runTimeout,
			FailOn: []verdict.Class{verdict.Oops, verdict.Bug},
		}})
	}
	s, err := smoke.Run(ctx, req, smoke.Listener{})
	if err == nil && s.Passed != smokeCells {
		err = fmt.Errorf("smoke: %d of %d cells passed: %s", s.Passed, smokeCells, s.Cells[0].Reason)
	}
	return s, err
}
