# SPDX-License-Identifier: MIT
"""Exercise 1.4: `trap_entry`, from what it makes of random code that is interrupted at every
instruction, traps, and faults. What it calls is the grader's: it notes the frame and its own
state (grade/driver/traps.c), and returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from grade.graded.bench import Bench
from grade.graded.calls import Address, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same
from grade.lab1.code import (
    AC,
    CF,
    DATA,
    DF,
    FIXED,
    ID,
    IF,
    KCODE,
    NT,
    OF,
    RF,
    TF,
    TIMER,
    UCODE,
    Code,
    Registers,
    Run,
    State,
    Step,
    Trap,
    some_window,
)

pytestmark = exercise("1.4")

SECTION = "lab1.html#exercise-1-4"
POINTS = 1000  # instructions that are interrupted
LEAD = 60  # instructions from the timer's start to the window, at most
FRAME = 52  # bytes of a frame from ring 0
FRAME_USER = 60
KNOWN = IF | TF | DF | NT | AC | ID
NOWHERE = 0xF8000000  # nothing is mapped there
GATE = 0x80


class Sweep:
    """One window, run again and again with the timer one instruction later each time."""

    def __init__(self, bench: Bench) -> None:
        rng = bench.rng
        self.code = Code(bench, traps=POINTS + LEAD)
        self.steps = some_window(rng, POINTS)
        self.window = self.code.place(b"".join(step.code for step in self.steps))
        self._runs: list[Run] = []
        for ticks in range(1, POINTS + LEAD):
            flags = IF | sum(flag for flag in (CF, DF, AC, ID, NT) if rng.random() < 0.3)
            start = Registers.some(rng, flags)
            self._runs.append(self.code.run(self.window, start, 0, ticks))
        self.results = self.code.calls.run()
        self.traps = self.code.traps(self.results)

    def ends(self) -> list[tuple[Registers, Registers, State]]:
        """Of each run: the registers before, those after, what they should be."""
        found = []
        for run in self._runs:
            state = State(run.before)
            for step in self.steps:
                step.effect(state)
            before = self.code.before(self.results, run)
            found.append((before, self.code.after(self.results, run), state))
        return found

    def interrupted(self) -> list[tuple[int, Trap, Registers]]:
        """Interrupts that came within the window: at which step, and how the run began."""
        base, at = self.results.at(self.window), {}
        for number, step in enumerate(self.steps):
            at[base] = number
            base += len(step.code)
        pairs = zip(self.traps, self._runs)
        return [(at[trap.eip], trap, run.before) for trap, run in pairs if trap.eip in at]

    def check_landed(self) -> None:
        """The witness: an interrupt at nearly every instruction, each where it was sent."""
        same("interrupts of the timer", len(self.traps), len(self._runs))
        steps = {number for number, _, _ in self.interrupted()}
        holds(len(steps) >= POINTS - LEAD, "instructions that were interrupted", f"nearly {POINTS}",
              len(steps))  # fmt: skip


def state_at(steps: Sequence[Step], before: Registers) -> State:
    """The state behind some steps."""
    state = State(before)
    for step in steps:
        step.effect(state)
    return state


def named(values: dict[str, int]) -> str:
    """Registers as a person reads them."""
    return " ".join(f"{name} {value:08x}" for name, value in values.items())


def flags(value: int) -> str:
    """The flags that matter here, by name."""
    names = {"CF": CF, "TF": TF, "IF": IF, "DF": DF, "OF": OF, "NT": NT, "AC": AC, "ID": ID}
    return " ".join(name for name, bit in names.items() if value & bit) or "none of them"


@points(6)
@rule(
    "An interrupt leaves no trace in what it interrupts: all registers and flags, at any instruction.",
    section=SECTION,
    breakpoint="trap_entry",
)
def test_nothing_is_lost_at_any_instruction(bench: Bench) -> None:
    """An interrupt may come anywhere; a register that it changes is changed for no reason at all."""
    sweep = Sweep(bench)
    sweep.check_landed()
    for before, after, state in sweep.ends():
        holds(after.general() == state.general(), "registers after a piece of code that was interrupted",
              named(state.general()), named(after.general()))  # fmt: skip
        kept = IF | DF | AC | ID | NT | FIXED
        expected = before.eflags & kept | state.carry
        same("flags afterwards", flags(after.eflags & (kept | CF)), flags(expected))
        same("the stack pointer afterwards", after.esp, before.esp)
        same("ds and es afterwards", (after.ds, after.es), (DATA, DATA))


@points(4)
@rule(
    "The frame holds what was interrupted, at the offsets of struct trapframe.",
    section=SECTION,
    breakpoint="trap_entry",
)
def test_the_frame_tells_what_was_interrupted(bench: Bench) -> None:
    """From lab 2 on the frame is all that is left of a guest; a panic prints it."""
    sweep = Sweep(bench)
    sweep.check_landed()
    for number, trap, start in sweep.interrupted():
        state = state_at(sweep.steps[:number], start)
        holds(trap.general == state.general(), "registers in the frame", named(state.general()),
              named(trap.general))  # fmt: skip
        same("vector, error code and cs in the frame", (*trap.words[8:10], trap.words[11]),
             (TIMER, 0, KCODE))  # fmt: skip
        kept = IF | DF | AC | ID | NT
        same("flags in the frame", trap.words[12] & (kept | CF), start.eflags & kept | state.carry)


def faults(code: Code) -> list[tuple[str, bytes, int, int, int, Registers]]:
    """Instructions that trap: name, code, vector, error code, whether eip is behind it, registers."""
    rng = code.rng

    def some(**chosen: int) -> Registers:
        flags = sum(flag for flag in (CF, DF, AC, ID, NT) if rng.random() < 0.5)
        return replace(Registers.some(rng, flags), **chosen)

    selector = rng.randrange(0x100, 0x10000) & 0xFFF8
    place = NOWHERE.to_bytes(4, "little")
    overflow = some()
    overflow = replace(overflow, eflags=overflow.eflags | OF)
    found = [
        ("ud2", b"\x0f\x0b", 6, 0, 0, some()),
        ("div by zero", b"\xf7\xf1", 0, 0, 0, some(ecx=0)),
        ("int3", b"\xcc", 3, 0, 1, some()),
        ("into", b"\xce", 4, 0, 1, overflow),
        ("mov to ds of a bad selector", b"\x8e\xd8", 13, selector, 0, some(eax=selector)),
        ("a read where nothing is mapped", b"\xa1" + place, 14, 0, 0, some()),
        ("a write where nothing is mapped", b"\xa3" + place, 14, 2, 0, some()),
    ]
    for vector in rng.sample([n for n in range(32, 256) if n != TIMER], 12):
        found.append((f"int {vector:#x}", bytes((0xCD, vector)), vector, 0, 2, some()))
    rng.shuffle(found)
    return found


@points(4)
@rule(
    "A trap looks the same with an error code and without; neither is left behind.",
    section=SECTION,
    breakpoint="trap_entry",
)
def test_exceptions_with_and_without_an_error_code(bench: Bench) -> None:
    """The processor pushes an error code for some exceptions only, and iret doesn't take it away."""
    code = Code(bench)
    made = []
    for change in (0, bench.rng.getrandbits(32)):
        code.calls.store(code.calls.address("driver_change"), change)
        for fault in faults(code):
            place = code.place(fault[1])
            made.append((fault, code.run(place, fault[5], len(fault[1])), change))
    results = code.calls.run()
    traps = code.traps(results)
    same("traps", [trap.vector for trap in traps], [fault[2] for fault, _, _ in made])
    for trap, ((name, text, vector, error, behind, _), run, change) in zip(traps, made):
        before, after = code.before(results, run), code.after(results, run)
        same(f"vector and error code of {name}", (trap.vector, trap.error), (vector, error))
        eip = results.at(run.code) + (len(text) if behind else 0)
        same(f"eip and cs of {name}", trap.words[10:12], (eip, KCODE))
        same(f"where the frame of {name} lies", trap.frame, before.esp - FRAME)
        holds(trap.general == before.general(), f"registers in the frame of {name}",
              named(before.general()), named(trap.general))  # fmt: skip
        same(f"flags in the frame of {name}", flags(trap.words[12] & ~RF), flags(before.eflags))
        left = before.general() | {"edi": before.edi ^ change}
        what = f"registers behind {name}" + (", whose handler has changed edi in the frame" if change else "")
        same(what, named(after.general()), named(left))
        same(f"stack pointer behind {name}", after.esp, before.esp)
        same(f"flags behind {name}", flags(after.eflags & ~RF), flags(before.eflags))


@points(3)
@rule(
    "The C code runs with known flags, and its ebp leads a backtrace on to what was interrupted.",
    section=SECTION,
    breakpoint="trap_entry",
)
def test_the_handler_has_a_known_state(bench: Bench) -> None:
    """With DF set, a compiler's memcpy runs backwards; without a chain, a panic knows no caller."""
    code, rng = Code(bench), bench.rng
    runs = []
    for chosen in (0, DF, AC, ID, NT, DF | AC, AC | ID | NT, DF | AC | ID | NT, CF | DF):
        vector = rng.randrange(32, 96)
        place = code.place(bytes((0xCD, vector)))
        runs.append((chosen, code.run(place, Registers.some(rng, chosen), 2)))
    results = code.calls.run()
    traps = code.traps(results)
    same("traps", len(traps), len(runs))
    for trap, (chosen, run) in zip(traps, runs):
        after = code.after(results, run)
        what = f"when it trapped with {flags(chosen)} set"
        same(f"flags in the handler, {what}", flags(trap.eflags & KNOWN), flags(0))
        same(f"flags behind it, {what}", flags(after.eflags), flags(chosen))
        chain = (run.before.ebp, results.at(run.code) + 2)
        same("what ebp points to in the handler (old ebp, eip)", trap.chain, chain)


class Record:
    """A VM's record, as trap_entry knows it: a place where frames of ring 3 end."""

    SIZE = 256

    def __init__(self, code: Code) -> None:
        self._content = code.rng.randbytes(self.SIZE)
        self._place = code.calls.data(self._content)
        self.end = self._place + self.SIZE // 2
        calls = code.calls
        calls.store(calls.address("kernel_tss") + 4, self.end)  # esp0
        for entry in range(4):  # ring 3 sees 16 MB of machine memory at its own address
            calls.store(calls.address("kernel_directory") + 4 * entry, entry << 22 | 0x87)

    def check(self, results: Results) -> None:
        """Nothing but the frame has changed."""
        seen = results.read(self._place, self.SIZE)
        end = self.SIZE // 2
        same("the record below the frame", seen[: end - FRAME_USER], self._content[: end - FRAME_USER])
        same("the record above it", seen[end:], self._content[end:])


def check_user(trap: Trap, results: Results, stack: Address, top: int, code: int) -> None:
    """What the handler of a trap from ring 3 must have seen, besides registers."""
    same("eip and cs", trap.words[10:12], (code, UCODE))
    same("esp and ss", trap.words[13:15], (results.at(stack) - 0x40000000, DATA))
    same("ds and es in the handler", (trap.ds, trap.es), (DATA, DATA))
    same("flags in the handler", flags(trap.eflags & KNOWN), flags(0))
    holds(top - 128 <= trap.stack < top, "the handler runs at the top of the kernel stack",
          f"just below {top:#x}", trap.stack)  # fmt: skip
    holds(trap.ebp == 0 or trap.chain[0] == 0, "the chain of frame pointers ends", 0, trap.chain)


@points(3)
@rule(
    "From ring 3 the frame lies in the VM's record, and the kernel runs on its own stack and segments.",
    section=SECTION,
    breakpoint="trap_entry",
)
def test_a_trap_from_ring_3(bench: Bench) -> None:
    """Nothing that a guest has in its registers may reach the kernel as anything but data."""
    code, rng = Code(bench), bench.rng
    record = Record(code)
    runs = []
    sets = [sum(some) for count in range(5) for some in combinations((CF, DF, AC, ID), count)]
    rng.shuffle(sets)  # all 16, one for each run
    for vector, text, error in (
        (6, b"\x0f\x0b", 0),
        (13, b"\xfa", 0),  # cli
        (GATE, bytes((0xCD, GATE)), 0),
        (14, b"\xa1" + NOWHERE.to_bytes(4, "little"), 4),
    ):
        for segments in ((DATA, DATA), (0, DATA), (DATA, UCODE), (0, 0)):
            start = replace(Registers.some(rng, sets.pop()), ds=segments[0], es=segments[1])
            place = code.place(text)
            behind = len(text) if vector == GATE else 0
            runs.append((vector, error, place, behind, code.run_user(place, start)))
    results = code.calls.run()
    traps, top = code.traps(results), code.calls.address("kernel_stack_top")
    same("traps", [trap.vector for trap in traps], [vector for vector, *_ in runs])
    for trap, (vector, error, place, behind, run) in zip(traps, runs):
        same("where the frame lies", trap.frame, results.at(record.end) - FRAME_USER)
        same(f"error code of vector {vector}", trap.error, error)
        holds(trap.general == run.before.general(), "registers in the frame",
              named(run.before.general()), named(trap.general))  # fmt: skip
        check_user(trap, results, code.stack, top, results.at(place) - 0x40000000 + behind)
    record.check(results)
