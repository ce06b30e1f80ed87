# SPDX-License-Identifier: MIT
"""Judges functions of a kernel by calling them: a table of calls goes in, results come out.

    calls = Calls(bench)
    table = calls.data(1 << 16)
    calls.call("frame_init", table, 64 << 20, calls.data(ranges), 1)
    frame = calls.call("frame_alloc", 1, 0)
    calls.call("frame_free", frame)                       # the result of an earlier call
    calls.call("memset", frame + KERNEL_BASE, 7, 4096)    # plus something
    results = calls.run()
    same("the first frame", results[frame], 0x200000)

The machine boots a kernel that is linked from the tree's own objects, with grade/driver in place of
kern/main.c. Nothing has been initialised in it: all of RAM is mapped at KERNEL_BASE, interrupts are
off, and calls are all that happens, in their order. So an exercise is judged without the others.
With `whole`, kern/main.c brings the kernel up before the first call, up to its loop.

The table is a boot module, so what a run does depends on nothing but its module: it can be recorded
and replayed. Results are read from outside, out of the machine's memory.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from conf.qemu import EXIT_PANIC, Module
from grade.graded.bench import Bench
from grade.harness.elf import PF_W, Elf
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.serial import Budget
from grade.harness.verdict import Crashed, Infrastructure, TimedOut, Wrong

_MAGIC = 0x6C6C6163
_HEADER = struct.Struct("<9I")  # struct table of grade/driver/main.c
_CALL = struct.Struct("<20I")  # struct call
_RESULT = 18 * 4  # where a call's result stands in it
_MADE, _DONE = 7 * 4, 8 * 4
_NONE, _LOW, _HIGH, _DATA = range(4)
_ARGUMENTS = 8
_POLL = 0.002


@dataclass(frozen=True)
class Result:
    """What call `number` will return: its low half (eax), or the high one; and a literal on top."""

    number: int
    high: bool = False
    add: int = 0

    def __add__(self, more: int) -> Result:
        return replace(self, add=self.add + more)

    @property
    def both(self) -> tuple[Result, Result]:
        """A 64-bit result as two arguments."""
        return self, replace(self, high=True)


@dataclass(frozen=True)
class Address:
    """A place in the data area, by its offset; as an argument it is a pointer to there."""

    offset: int

    def __add__(self, more: int) -> Address:
        return Address(self.offset + more)


@dataclass(frozen=True)
class Remark:
    """What is told of a call besides its arguments."""

    text: str


Value = int | Result | Address
Argument = Value | tuple[Value, ...]


def wide(value: int) -> tuple[int, int]:
    """A 64-bit argument."""
    return value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF


class Calls:
    """A table of calls being made. `memory` is the machine's RAM in MB; `whole` brings up the whole
    kernel first, with `modules` and `options`."""

    def __init__(
        self,
        bench: Bench,
        *,
        memory: int = 64,
        whole: bool = False,
        modules: Sequence[Module | str] = (),
        options: str = "",
        record: bool = True,
    ) -> None:
        self._bench = bench
        self._memory, self._whole, self._record = memory, whole, record
        self._modules, self._options = modules, options
        self._calls: list[bytes] = []
        self._texts: list[tuple[str, tuple[Value | Remark, ...]]] = []
        self._data = bytearray()
        self._words: list[int] = []

    @cached_property
    def kernel(self) -> Elf:
        """The kernel with the driver in it."""
        path = self._bench.build / "grade/driver/denali"
        if not path.exists():
            raise Infrastructure(f"{path} isn't there: make grade-driver")
        return Elf(path)

    def address(self, name: str) -> int:
        """Address of a function or an object of the kernel, as an argument."""
        symbol = self.kernel.symbols.get(name)
        if symbol is None:
            raise Wrong(f"the kernel has no `{name}` (or it is static)", f"`{name}`", "none")
        return symbol.address

    def data(self, content: bytes | int, align: int = 16) -> Address:
        """Room in the data area: these bytes, or so many zeros; `align` up to a page."""
        self._data.extend(bytes(-len(self._data) % align))
        place = Address(len(self._data))
        self._data.extend(content if isinstance(content, bytes) else bytes(content))
        return place

    def words(self, values: Iterable[int], align: int = 16) -> Address:
        """Room in the data area with 32-bit words."""
        return self.data(b"".join(struct.pack("<I", v & 0xFFFFFFFF) for v in values), align)

    def point(self, at: Address, to: Address) -> None:
        """Let the word of the data area at `at` be a pointer to `to`."""
        self._data[at.offset : at.offset + 4] = struct.pack("<I", to.offset & 0xFFFFFFFF)
        self._words.append(at.offset)

    def call(self, function: str | Value, *arguments: Argument) -> Result:
        """Call a function by name, or code at an address, with up to 8 words."""
        flat: list[Value] = []
        for argument in arguments:
            flat.extend(argument if isinstance(argument, tuple) else (argument,))
        if len(flat) > _ARGUMENTS:
            raise ValueError(f"{len(flat)} words of arguments; at most {_ARGUMENTS} are possible")
        target = self.address(function) if isinstance(function, str) else function
        pairs = [_encode(value) for value in (target, *flat)]
        pairs += [(0, 0)] * (_ARGUMENTS - len(flat))
        self._calls.append(_CALL.pack(*(word for pair in pairs for word in pair), 0, 0))
        name = function if isinstance(function, str) else _text(function)
        self._texts.append((name, tuple(flat)))
        return Result(len(self._calls) - 1)

    def load(self, address: Value) -> Result:
        """Read a word of the kernel's memory at this moment."""
        return self.call("driver_load", address)

    def store(self, address: Value, value: Value) -> None:
        """Write a word of the kernel's memory."""
        self.call("driver_store", address, value)

    def copy(self, to: Value, source: Value, length: int) -> None:
        """Copy bytes within the kernel's memory, at this moment."""
        self.call("memcpy", to, source, length)

    def remark(self, text: str) -> None:
        """Add to the last call what its arguments don't tell; `describe` says it."""
        name, values = self._texts[-1]
        self._texts[-1] = (name, (*values, Remark(text)))

    def run(self, seconds: float = 5.0, panics: str = "") -> Results:
        """Boot, make all calls, and stop the machine behind the last. With `panics`, which says
        where, the kernel must panic in one of them. A panic that isn't wanted, or a reset, raises Crashed and says in
        which call; the kernel's time is limited to `seconds` of QEMU's CPU."""
        path = self._bench.folder() / "table"
        path.write_bytes(self._table())
        machine = self._bench.boot(
            Module(path, words=("data",)),
            *self._modules,
            options=self._options,
            memory=self._memory,
            extra=("-S",),
            kernel=self.kernel.path,
            record=self._record,
        )
        results = Results(machine, self)
        machine.qmp.command("cont")
        self._wait(machine, results, seconds, panics)
        return results

    def describe(self, number: int) -> str:
        """A call as a person would write it."""
        if number >= len(self._texts):
            return "after the last call"
        name, values = self._texts[number]
        words = ", ".join(_text(value) for value in values if not isinstance(value, Remark))
        remarks = "".join(f" {value.text}" for value in values if isinstance(value, Remark))
        return f"in call {number + 1}: {name}({words}){remarks}"

    @property
    def count(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    def result_at(self, number: int) -> int:
        """Where in the table the result of a call stands."""
        return _HEADER.size + number * _CALL.size + _RESULT

    @property
    def data_at(self) -> int:
        """Where in the table the data area begins."""
        return -(-(self._words_at + 4 * len(self._words)) // PAGE) * PAGE

    @property
    def _words_at(self) -> int:
        return _HEADER.size + len(self._calls) * _CALL.size

    def _table(self) -> bytes:
        header = _HEADER.pack(
            _MAGIC, self._whole, _HEADER.size, len(self._calls), self._words_at,
            len(self._words), self.data_at, 0, 0,
        )  # fmt: skip
        words = b"".join(struct.pack("<I", word) for word in self._words)
        table = header + b"".join(self._calls) + words
        return table.ljust(self.data_at, b"\0") + bytes(self._data)

    def _wait(self, machine: Machine, results: Results, seconds: float, panics: str) -> None:
        """Until the last call has returned, or the machine has ended."""
        budget = Budget(machine.pid, seconds)
        while machine.running():
            if results.done:
                if panics:
                    raise Wrong(f"the kernel must panic {panics}, and say why", "a panic", "it went on")
                machine.qmp.command("stop")
                results.check_text()
                return
            if spent := budget.spent():
                what = f"{self.describe(results.made)}: it didn't return {spent}"
                if budget.starved():
                    raise Infrastructure(f"{what}: the host gave QEMU too little CPU time")
                raise TimedOut(machine.serial.report(what))
            time.sleep(_POLL)
        try:
            status = machine.wait_crash()
            if not (panics and status == EXIT_PANIC):
                machine.wait()
        except Crashed as crash:
            raise Crashed(f"{self.describe(results.made)}: {crash}") from None


class Results:
    """What came of the calls of a table, read from the machine's memory."""

    def __init__(self, machine: Machine, calls: Calls) -> None:
        self.machine = machine
        self._calls = calls
        self._memory = machine.memory  # mapped now: it outlives the machine
        self._pointer = calls.kernel.address("driver_table")

    @property
    def made(self) -> int:
        """How many calls have returned."""
        return self._word_of_table(_MADE)

    @property
    def done(self) -> bool:
        """Whether all have."""
        return self._word_of_table(_DONE) != 0

    def check_text(self) -> None:
        """Wrong if the kernel's code or constants, the driver's among them, are no longer those that
        were linked: what it then says of itself means nothing."""
        for segment in self._calls.kernel.segments:
            if segment.vaddr >= KERNEL_BASE and not segment.flags & PF_W:
                seen = self._memory.read(segment.vaddr - KERNEL_BASE, segment.filesz)
                differ = (n for n, byte in enumerate(segment.data) if seen[n] != byte)
                if seen != segment.data:
                    raise Wrong("the kernel changes its own code or constants", "no change",
                                f"a change at {segment.vaddr + next(differ):#x}")  # fmt: skip

    def __getitem__(self, result: Result) -> int:
        """A 32-bit result."""
        return self._word_of_table(self._calls.result_at(result.number) + 4 * result.high)

    def signed(self, result: Result) -> int:
        """A 32-bit result that may be negative."""
        value = self[result]
        return value - (1 << 32) if value >> 31 else value

    def flag(self, result: Result) -> bool:
        """A result that is a bool: its low byte alone counts."""
        return self[result] & 0xFF != 0

    def wide(self, result: Result) -> int:
        """A 64-bit result."""
        low, high = result.both
        return self[low] | self[high] << 32

    def at(self, place: Address | int) -> int:
        """The address in the kernel of a place in the data area."""
        if isinstance(place, int):
            return place
        return self._memory.word(self._pointer - KERNEL_BASE) + self._calls.data_at + place.offset

    def read(self, place: Address | int, length: int) -> bytes:
        """Memory in the data area, or at an address of the kernel, as it is at the end."""
        return self._memory.read(self.at(place) - KERNEL_BASE, length)

    def words(self, place: Address | int, count: int) -> list[int]:
        """The same as 32-bit words."""
        return list(struct.unpack(f"<{count}I", self.read(place, 4 * count)))

    def word(self, place: Address | int) -> int:
        """One word."""
        return self.words(place, 1)[0]

    def _word_of_table(self, offset: int) -> int:
        table = self._memory.word(self._pointer - KERNEL_BASE)
        return self._memory.word(table - KERNEL_BASE + offset) if table else 0


def _encode(value: Value) -> tuple[int, int]:
    match value:
        case Result(number, high, add):
            return (_HIGH if high else _LOW) + 4 * number, add & 0xFFFFFFFF
        case Address(offset):
            return _DATA, offset & 0xFFFFFFFF
        case _:
            return _NONE, value & 0xFFFFFFFF


def _text(value: Value) -> str:
    match value:
        case Result(number, _, add):
            return f"result {number + 1}" + (f" + {add:#x}" if add else "")
        case Address(offset):
            return f"data + {offset:#x}"
        case _:
            return f"{value:#x}" if value > 9 else str(value)
