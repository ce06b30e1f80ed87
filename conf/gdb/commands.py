# SPDX-License-Identifier: MIT
"""Inside gdb: the commands that show the machine, all of them behind `denali`.

They read and never write. Each works whenever the machine stands still, at every stage: what a
stage doesn't have yet is said in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable

import gdb  # type: ignore[import]

from conf.gdb import machine
from conf.gdb.guest import symbol_at
from conf.inside import Absent, Inside, Vm, printable
from conf.timeline import Mark, Names, Timeline
from conf.tracering import NO_VM, Event, Ring

_REGISTERS = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "eip", "eflags"]
_VIRQ = (
    "virq_enable", "virq_handler", "virq_pending", "upcall_eip", "upcall_eflags", "upcall_bits",
)  # fmt: skip
_VREGS = (
    *_VIRQ, "packets_waiting", "disk_completed", "console_waiting", "console_written", "time",
    "number", "memory_size", "image_end", "quanta", "frames_used",
)  # fmt: skip

Show = Callable[[Inside, list[str]], None]


class Prefix(gdb.Command):  # type: ignore[misc]
    """denali: the machine's VMs, page tables, interrupts, frames and trace; see `help denali`."""

    def __init__(self) -> None:
        super().__init__("denali", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


class Command(gdb.Command):  # type: ignore[misc]
    """One command behind `denali`; `show` does it, its first line of text explains it."""

    def __init__(self, name: str, show: Show) -> None:
        self.__doc__ = f"denali {show.__doc__}"
        super().__init__(f"denali {name}", gdb.COMMAND_STATUS)
        self._show = show

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Print it, or why that can't be."""
        try:
            self._show(machine.inside(), gdb.string_to_argv(argument))
        except Absent as absent:
            raise gdb.GdbError(str(absent)) from None


def show_vms(inside: Inside, arguments: list[str]) -> None:
    """vms: every VM in the order of numbers: state, program, memory, turns."""
    running, vms = inside.running(), inside.vms()
    for vm in vms:
        kb, of = vm["frames"] * 4, vm["memory_size"] >> 10
        here = "  <- has the processor" if vm.number == running else ""
        print(
            f"vm {vm.number:<5} {vm.state:8} {vm.program:16} {kb:6} KB of {of:6} KB  "
            f"{vm['quanta']:6} quanta  eip {vm['regs.eip']:08x}{here}"
        )
    states = [vm.state for vm in vms]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    print(f"{len(vms)} VMs: {counts or 'none'}")


def show_vm(inside: Inside, arguments: list[str]) -> None:
    """vm K: VM K's state, its registers, its virtual registers."""
    vm = _vm(inside, arguments)
    kb = f"{vm['frames'] * 4} KB of {vm['memory_size'] >> 10} KB"
    print(f"vm {vm.number}: {vm.state}, {vm.program}, {kb}; record at {vm.address:#x}")
    if words := inside.text(vm["args"], 256):
        print(f"  arguments: {words}")
    if reason := inside.ending(vm):
        print(f"  ended last: {reason}")
    live = inside.running() == vm.number and machine.in_guest()
    over = "which it had last" if vm.state in ("dead", "dying") else "with which it will go on"
    print(f"  registers, {'which it has now' if live else over}")
    values = {n: machine.register(n) if live else vm[f"regs.{n}"] for n in _REGISTERS}
    for row in (_REGISTERS[:4], _REGISTERS[4:8], _REGISTERS[8:]):
        print("    " + "  ".join(f"{name:>6} {values[name]:08x}" for name in row))
    print(f"    eip is {symbol_at(vm.program, values['eip'])}")
    _print_vregs(inside, vm)


def _print_vregs(inside: Inside, vm: Vm) -> None:
    try:
        data = inside.vregs(vm)
    except Absent as absent:
        print(f"  {absent}")
        return
    kind = inside.layout.struct("vregs")
    print("  virtual registers (the guest may write what it likes there)")
    known = [name for name in _VREGS if name in kind.fields]
    for row in (known[i : i + 3] for i in range(0, len(known), 3)):
        print("    " + "  ".join(f"{name:>16} {kind.get(data, name):#10x}" for name in row))
    if "args" in kind.fields and (text := printable(kind.part(data, "args"))):
        print(f"    {'args':>16} {text}")


def show_pt(inside: Inside, arguments: list[str]) -> None:
    """pt [K] [0xADDRESS]: the page table of VM K, else the processor's; or the walk to an address."""
    if arguments and arguments[0].isdecimal():
        directory = inside.directory_of(_vm(inside, arguments))
        arguments = arguments[1:]
    else:
        directory = machine.register("cr3") & ~0xFFF
        if not machine.register("cr0") >> 31:
            raise Absent("paging is off: there is no page table yet")
    if arguments:
        _print_walk(inside, directory, int(gdb.parse_and_eval(arguments[0])) & 0xFFFFFFFF)
        return
    print(f"page directory at machine address {directory:#x}")
    for part in inside.ranges(directory):
        size = f"{part.size >> 10} KB" if part.size < 4 << 20 else f"{part.size >> 20} MB"
        print(f"  {part.start:08x}-{part.end - 1:08x}  {size:>8}  {part.rights}")


def _print_walk(inside: Inside, directory: int, address: int) -> None:
    steps, pa, rights = inside.walk(directory, address)
    for step in steps:
        print(f"  {step.what:9} entry at {step.address:08x}: {step.value:08x}")
    if pa is None:
        print(f"{address:#x} isn't mapped: {rights}")
    else:
        print(f"{address:#x} is machine address {pa:#x}: {rights}")


def show_virq(inside: Inside, arguments: list[str]) -> None:
    """virq K: VM K's virtual interrupts: pending, enabled, handler, counts."""
    inside.need("virq_post")
    vm = _vm(inside, arguments)
    idle = ", in idle: it returns from there" if vm["in_idle"] else ""
    print(f"vm {vm.number}: {vm.state}{idle}")
    print(f"  pending    {vm['pending']:#x}: {inside.interrupts(vm['pending'])}")
    print(f"  posted {vm['posted']}, merged {vm['merged']}, delivered {vm['delivered']}")
    if vm["timer_slot"]:
        print(f"  deadline   {vm['deadline']} ns")
    data, kind = inside.vregs(vm), inside.layout.struct("vregs")
    value = {name: kind.get(data, name) for name in _VIRQ}
    enabled = "yes" if value["virq_enable"] else "no"
    print(f"  enabled    {enabled} ({value['virq_enable']:#x} in its page)")
    print(f"  handler    {symbol_at(vm.program, value['virq_handler'])}")
    print(f"  it reads   pending {value['virq_pending']:#x}, as it was when it last ran")
    last = f"{inside.interrupts(value['upcall_bits'])} at eip {value['upcall_eip']:#x}"
    print(f"  last upcall {last}" if value["upcall_eip"] else "  no upcall yet")


def show_frames(inside: Inside, arguments: list[str]) -> None:
    """frames: how many frames of RAM there are of each use, as the kernel counts them."""
    counts = inside.frame_counts()
    total = sum(counts.values())
    if not total:
        raise Absent("the frame allocator has no frames yet: it comes up later in boot")
    for use, count in counts.items():
        print(f"  {use:18} {count:8} frames {count * 4:9} KB  {100 * count / total:5.1f} %")
    print(f"  {'all':18} {total:8} frames {total * 4:9} KB")


def show_trace(inside: Inside, arguments: list[str]) -> None:
    """trace [N]: the last N events of the kernel's trace (20)."""
    inside.need("trace_next")
    ring = Ring(inside.kernel, inside.read)
    if not ring.ready():
        raise Absent("the kernel keeps no trace: it is off, or the ring comes later in boot")
    ring.only_last(_number(arguments, "N") if arguments else 20)
    ring.poll()
    kernel = inside.kernel
    words = Timeline([], Names(kernel.states, kernel.interrupts, kernel.functions, kernel.instructions))
    for event in ring.events():
        who = "" if event.vm == NO_VM else f"vm {event.vm}"
        print(f"{event.ns / 1e9:14.9f}  {who:8}  {_event(event, inside, words)}")


def _event(event: Event, inside: Inside, words: Timeline) -> str:
    if event.kind == "state":
        states = inside.kernel.states
        return f"{states[event.value >> 8]} to {states[event.value & 0xFF]}"
    if event.kind in ("work-begin", "work-end"):
        return f"{event.kind} {inside.kernel.functions.get(event.value, '?')}"
    if event.kind in ("wait", "wake"):
        return event.kind
    return words.describe(Mark(event.ns, event.kind, event.value))


def _vm(inside: Inside, arguments: list[str]) -> Vm:
    """The VM that the first argument names; without one, that which has the processor."""
    inside.need("vm_table")
    if arguments:
        return inside.vm(_number(arguments, "K"))
    number = inside.running()
    if number is None:
        raise Absent("no VM has the processor: say which, as in `denali vm 3`")
    return inside.vm(number)


def _number(arguments: list[str], what: str) -> int:
    try:
        return int(arguments[0], 0)
    except ValueError:
        raise Absent(f"{arguments[0]}: a number is wanted for {what}") from None


def register_all() -> None:
    """Make the commands known to gdb."""
    Prefix()
    shows = (show_vms, show_vm, show_pt, show_virq, show_frames, show_trace)
    for show in shows:
        Command(show.__name__.removeprefix("show_"), show)
