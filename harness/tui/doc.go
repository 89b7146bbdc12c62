// Package tui is the terminal view of a result: source, frames, values, registers and log side by side, with the keys of gdb's TUI.
//
// It is a pure model and a thin shell. A [Model] is a value: [New] makes one of a verdict.Result, [Model.Press] takes a key and
// [Model.Resize] a size, and each gives the next one; [Model.View] is what it looks like, line by line, and is as high as the
// terminal and nowhere wider. [Run] is the shell, and the only part that knows a terminal, through tcell: it reads keys, draws
// lines, reads the source file that the model asks for ([Model.Needs]), and gives the terminal back on every way out: left, cancelled,
// a signal, a panic of its own goroutine.
//
// What it needs from you: a result, a function that reads a source file, a terminal of at least 20 columns and 5 lines (below that
// it says so and waits for a larger one).
//
// What it does not do: it changes nothing and decides nothing. What it shows stands in the result; registers are those of the stop,
// not of the frame that is selected, because a result has no others.
//
// All guest text goes through [shown], which makes every character one column wide and nothing that a terminal would act upon.
// The keys are those of gdb: GDB manual, "TUI Key Bindings" and "TUI Single Key Mode".
package tui
