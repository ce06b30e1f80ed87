# SPDX-License-Identifier: MIT
"""Made-up pieces of machine code, what each does to the registers, and their runs in the driver.

A *window* is a random sequence in which every register and the carry flag depend on all that came
before: who loses one of them at any point changes the end. `Code` makes a table of calls out of
windows and single instructions, and reads back what was trapped on the way.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Results

MASK = 0xFFFFFFFF
CF, FIXED, IF, DF, OF, NT, AC, ID = 1, 2, 1 << 9, 1 << 10, 1 << 11, 1 << 14, 1 << 18, 1 << 21
TF, RF = 1 << 8, 1 << 16
KCODE, UCODE, DATA = 0x08, 0x1B, 0x23
TIMER = 0x61

_NAMES = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
_MIXED = (0, 1, 2, 3, 5, 6, 7)  # all but esp
_STACK = 512  # bytes of a window's own stack


@dataclass(frozen=True)
class Registers:
    """struct driver_registers: the state before or after a piece of code."""

    eax: int
    ecx: int
    edx: int
    ebx: int
    esp: int
    ebp: int
    esi: int
    edi: int
    eflags: int
    ds: int = DATA
    es: int = DATA

    @staticmethod
    def some(rng: random.Random, eflags: int) -> Registers:
        """Random registers; esp is filled in when they are used."""
        values = {name: rng.getrandbits(32) for name in _NAMES}
        return Registers(**values | {"esp": 0}, eflags=eflags | FIXED)

    def general(self) -> dict[str, int]:
        """The general registers but for esp, which no frame keeps."""
        return {name: getattr(self, name) for name in _NAMES if name != "esp"}

    def words(self) -> list[int]:
        """As they stand in memory."""
        return [getattr(self, field.name) for field in fields(self)]


SIZE = 4 * len(fields(Registers))


class State:
    """Registers by number and the carry flag, while a window is followed."""

    def __init__(self, start: Registers) -> None:
        self.registers = [getattr(start, name) for name in _NAMES]
        self.carry = start.eflags & CF

    def add(self, to: int, by: int, carry: int = 0) -> None:
        """add, adc."""
        total = self.registers[to] + self.registers[by] + carry
        self.registers[to], self.carry = total & MASK, total >> 32

    def subtract(self, to: int, by: int, borrow: int = 0) -> None:
        """sub, sbb."""
        total = self.registers[to] - self.registers[by] - borrow
        self.registers[to], self.carry = total & MASK, int(total < 0)

    def rotate(self, to: int, by: int) -> None:
        """rol by 1 to 31."""
        value = self.registers[to]
        self.registers[to] = (value << by | value >> (32 - by)) & MASK
        self.carry = self.registers[to] & 1

    def swap(self, a: int, b: int) -> None:
        """xchg: no flag changes."""
        self.registers[a], self.registers[b] = self.registers[b], self.registers[a]

    def general(self) -> dict[str, int]:
        """As Registers.general."""
        return {name: self.registers[n] for n, name in enumerate(_NAMES) if name != "esp"}


Effect = Callable[[State], None]


@dataclass(frozen=True)
class Step:
    """One instruction, and what it does."""

    code: bytes
    effect: Effect


def _some_step(rng: random.Random, a: int, b: int) -> Step:
    """Mix register b into a."""
    pair = 0xC0 | b << 3 | a
    by = rng.randrange(1, 32)
    return rng.choice(
        (
            Step(bytes((0x01, pair)), lambda state: state.add(a, b)),
            Step(bytes((0x11, pair)), lambda state: state.add(a, b, state.carry)),
            Step(bytes((0x11, pair)), lambda state: state.add(a, b, state.carry)),
            Step(bytes((0x29, pair)), lambda state: state.subtract(a, b)),
            Step(bytes((0x19, pair)), lambda state: state.subtract(a, b, state.carry)),
            Step(bytes((0xC1, 0xC0 | a, by)), lambda state: state.rotate(a, by)),
            Step(bytes((0x87, pair)), lambda state: state.swap(a, b)),
        )
    )


def some_window(rng: random.Random, length: int) -> list[Step]:
    """Random instructions; one in ten goes through the stack."""
    steps: list[Step] = []
    while len(steps) < length:
        a, b = rng.sample(_MIXED, 2)
        if length - len(steps) >= 4 and rng.random() < 0.1:  # push a, push b, pop a, pop b
            codes = (0x50 | a, 0x50 | b, 0x58 | a, 0x58 | b)
            effects: tuple[Effect, ...] = (_nothing, _nothing, *_popped(a, b))
            steps += [Step(bytes((code,)), effect) for code, effect in zip(codes, effects)]
        else:
            steps.append(_some_step(rng, a, b))
    return steps


def _nothing(_: State) -> None:
    """A push changes memory alone."""


def _popped(a: int, b: int) -> tuple[Effect, Effect]:
    """The two pops, behind which a and b have changed places."""
    kept: list[int] = []

    def first(state: State) -> None:
        kept[:] = [state.registers[a]]
        state.registers[a] = state.registers[b]

    def second(state: State) -> None:
        state.registers[b] = kept[0]

    return first, second


@dataclass(frozen=True)
class Trap:
    """struct driver_trap: one call of trap_dispatch."""

    frame: int
    words: tuple[int, ...]
    eflags: int
    ds: int
    es: int
    ebp: int
    chain: tuple[int, int]
    stack: int

    @property
    def general(self) -> dict[str, int]:
        """The registers in the frame, at the offsets of struct trapframe."""
        order = ("edi", "esi", "ebp", "esp", "ebx", "edx", "ecx", "eax")
        return {name: value for name, value in zip(order, self.words) if name != "esp"}

    @property
    def vector(self) -> int:
        """Which trap it was."""
        return self.words[8]

    @property
    def error(self) -> int:
        """Its error code, 0 if it has none."""
        return self.words[9]

    @property
    def eip(self) -> int:
        """Where it came from."""
        return self.words[10]


_TRAP = struct.Struct("<24I")


@dataclass(frozen=True)
class Run:
    """One execution: what it started from, where its state stands afterwards, its code's place."""

    before: Registers
    after: Address
    code: Address


class Code:
    """A table of calls that runs pieces of code with traps noted, in ring 0 or 3."""

    def __init__(self, bench: Bench, traps: int = 64) -> None:
        self.rng = bench.rng
        self.calls = calls = Calls(bench)
        self.stack = calls.data(_STACK) + _STACK // 2
        self._log = calls.data(traps * _TRAP.size)
        for name in ("trap_init", "desc_init", "driver_map", "lapic_init"):
            calls.call(name)
        calls.store(calls.address("driver_traps_max"), traps)
        calls.store(calls.address("driver_traps"), self._log)

    def place(self, code: bytes) -> Address:
        """Code in the data area, with the way back behind it."""
        way_back = b"\xff\x25" + struct.pack("<I", self.calls.address("driver_return"))
        return self.calls.data(code + way_back)

    def run(self, code: Address, before: Registers, resume: int, ticks: int = 0) -> Run:
        """Execute it in ring 0; a fault goes on `resume` bytes behind its beginning. The timer is
        started with `ticks` just before."""
        self.calls.store(self.calls.address("driver_resume"), code + resume)
        return self._run("driver_execute", code, code, before, self.stack, ticks)

    def run_user(self, code: Address, before: Registers) -> Run:
        """Execute it in ring 3, where machine memory is mapped at its own address."""
        low = -0x40000000
        return self._run("driver_execute_user", code, code + low, before, self.stack + low, 0)

    def _run(
        self, how: str, code: Address, at: Address, before: Registers, stack: Address, ticks: int
    ) -> Run:
        calls, registers = self.calls, self.calls.address("driver_registers")
        place = calls.words(before.words())
        calls.point(place + 16, stack)
        calls.copy(registers, place, SIZE)
        calls.store(calls.address("driver_code"), at)
        calls.call(how, ticks)
        after = calls.data(SIZE)
        calls.copy(after, registers, SIZE)
        return Run(before, after, code)

    def traps(self, results: Results) -> list[Trap]:
        """What was noted, in order."""
        count = results.word(self.calls.address("driver_traps_count"))
        found = []
        for words in _TRAP.iter_unpack(results.read(self._log, count * _TRAP.size)):
            eflags, ds, es, ebp, *chain, stack, _ = words[16:]
            pair = (chain[0], chain[1])
            found.append(Trap(words[0], words[1:16], eflags, ds, es, ebp, pair, stack))
        return found

    def after(self, results: Results, run: Run) -> Registers:
        """The registers that a run ended with."""
        return Registers(*results.words(run.after, SIZE // 4))

    def before(self, results: Results, run: Run) -> Registers:
        """Those that it started from, its stack pointer filled in."""
        return replace(run.before, esp=results.at(self.stack))
