package main

import (
	"errors"
	"fmt"
	"strings"
)

// A step is one commit of the story.
type step struct {
	subject string
	file    string
	edit    func(text string) (string, error)
	culprit bool
}

const (
	e1000  = "drivers/net/ethernet/intel/e1000/"
	driver = e1000 + "e1000_main.c"
	guide  = "Documentation/admin-guide/kcatch.rst"
)

// more adds text at the end of a file, where no line number of what is there changes.
func more(format string, args ...any) func(string) (string, error) {
	return func(text string) (string, error) { return text + fmt.Sprintf(format, args...), nil }
}

// swap puts one text in the place of another that is there once.
func swap(old, new string) func(string) (string, error) {
	return func(text string) (string, error) {
		if strings.Count(text, old) != 1 {
			return "", errors.New("what is to be changed is not there once")
		}
		return strings.Replace(text, old, new, 1), nil
	}
}

func docs(n int) step {
	return step{subject: fmt.Sprintf("docs: chapter %d", n), file: guide, edit: more("Chapter %d\n", n)}
}

func e1000Step(n int) step {
	return step{subject: fmt.Sprintf("e1000: note %d", n), file: driver, edit: more("/* note %d */\n", n)}
}

// lib changes the image: a variable more.
func lib(n int) step {
	return step{subject: fmt.Sprintf("lib/bitmap: probe %d", n), file: "lib/bitmap.c", edit: more("int bitmap_probe_%d = %d;\n", n, n)}
}

const (
	bootCPU = "\t/* Mark the boot cpu \"present\", \"online\" etc for SMP and UP case */\n"
	tooSoon = "\tBUG_ON(!system_wq);\n"
	init1   = "\t\t__SetPageReserved(pfn_to_page(pfn));\n\t\tpgcnt++;\n"
	broken  = "int bitmap_broken = ;\n"
)

// story is what happens after "good"; its last commit is "bad". The decoy dies in boot_cpu_init, before the culprit's
// init_unavailable_range is reached, and hides it.
var story = []step{
	docs(1), e1000Step(1),
	{subject: "lib/bitmap: say what the end is", file: "lib/bitmap.c", edit: more("/* the end */\n")},
	lib(1), docs(2),
	{subject: "cpu: the boot CPU needs workqueues", file: "kernel/cpu.c", edit: swap(bootCPU, bootCPU+tooSoon)}, // the decoy begins
	e1000Step(2), lib(2), lib(3), docs(3),
	{subject: "lib/bitmap: a probe without a value", file: "lib/bitmap.c", edit: more(broken)},
	lib(4),
	{subject: "lib/bitmap: the probe has a value", file: "lib/bitmap.c", edit: swap(broken, "int bitmap_mended = 1;\n")},
	docs(4),
	{subject: "cpu: there are no workqueues yet", file: "kernel/cpu.c", edit: swap(bootCPU+tooSoon, bootCPU)}, // and ends
	{
		subject: "mm/page_alloc: nobody refers to a reserved page", file: "mm/page_alloc.c", culprit: true,
		edit: swap(init1, "\t\tBUG_ON(page_ref_count(pfn_to_page(pfn)));\n"+init1),
	},
	lib(5), e1000Step(3), lib(6), lib(7), docs(5),
}
