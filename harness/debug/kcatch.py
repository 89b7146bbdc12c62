# kcatch-bt: the chains that kcatch found, across the exception, in gdb.
#
# gdb itself does not get past an early exception's frame. kcatch did, when the machine stopped, and left what it found in
# result.json; kcatch-load reads it and kcatch-bt prints it. The chains are of that stop: once the machine has gone on,
# kcatch-bt says so. All text of the guest is made printable.

import gdb
import json


def clean(text, most=200):
    """Text of the guest for a terminal: no escapes, no line breaks, bounded."""
    text = str(text)
    if len(text) > most:
        text = text[:most] + "..."
    return "".join(c if c.isprintable() else "?" for c in text)


def value(arg):
    """An argument's value; what has none, for whatever reason, is "?"."""
    text = arg.get("value", "")
    if not text or text.startswith("<cannot read") or text == "<optimized out>":
        return "?"
    return clean(text, 60)


def number(value):
    """A number as kcatch/result/v1 has it: "0x..." or a JSON number."""
    return int(value, 16) if isinstance(value, str) else int(value)


class Result:
    value = None


def lines_of(result):
    """The lines of kcatch-bt: a pure function of a result."""
    out = [clean(result.get("summary", ""), 400)]
    for cpu in result.get("cpus", []):
        if len(result["cpus"]) > 1:
            out.append("vCPU %d: %s" % (cpu["cpu"], clean(cpu.get("state", ""))))
        at = 0
        for f in cpu.get("frames", []):
            exception = f.get("exception")
            if exception:
                out.append("    <%s exception>" % clean(exception.get("name", "?")))
            args = ", ".join(
                "%s=%s" % (clean(a["name"], 40), value(a)) for a in f.get("args") or [] if not a.get("local"))
            place = ""
            if f.get("file"):
                place = " at %s:%d" % (clean(f["file"]), f.get("line", 0))
            mark = "  <== here" if f.get("cause") else ""
            inline = " (inlined)" if f.get("inline") else ""
            name = clean(f.get("function") or "0x%x" % number(f.get("pc", 0)))
            out.append("#%-2d 0x%016x in %s (%s)%s%s%s" % (at, number(f.get("pc", 0)), name, args, place, inline, mark))
            at += 1
            repeat = f.get("repeat")
            if repeat:
                at += int(repeat.get("left_out", 0))
                out.append("    ... %d frames of a recursion are left out" % int(repeat.get("left_out", 0)))
        if cpu.get("stopped"):
            out.append("    (%s)" % clean(cpu["stopped"]))
    return out


def moved(result):
    """Whether a vCPU is elsewhere than at the stop. Frames of a chain from the log have no registers to compare."""
    known = {c["cpu"]: number(c["registers"]["RIP"]) for c in result.get("cpus", []) if c.get("registers")}
    was = gdb.selected_thread()
    if was is None:
        return True
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            at = known.get(thread.num - 1)
            if at is not None and at != int(gdb.parse_and_eval("(unsigned long)$pc")) & (2**64 - 1):
                return True
    finally:
        was.switch()
    return False


class Load(gdb.Command):
    """kcatch-load FILE: read a result.json of kcatch, for kcatch-bt."""

    def __init__(self):
        super().__init__("kcatch-load", gdb.COMMAND_STACK, gdb.COMPLETE_FILENAME)

    def invoke(self, arg, from_tty):
        try:
            with open(arg, encoding="utf-8") as f:
                Result.value = json.load(f)
        except (OSError, ValueError) as e:
            raise gdb.GdbError("kcatch-load: %s: %s" % (arg, e))


class Backtrace(gdb.Command):
    """kcatch-bt: the chains of all vCPUs at the stop, as kcatch found them, across the exception."""

    def __init__(self):
        super().__init__("kcatch-bt", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        if Result.value is None:
            raise gdb.GdbError("kcatch-bt: no result is loaded: kcatch-load FILE")
        for line in lines_of(Result.value):
            print(line)
        if moved(Result.value):
            print("(the machine has gone on since: these are the chains of the stop)")


Load()
Backtrace()
