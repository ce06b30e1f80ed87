# SPDX-License-Identifier: MIT
"""What the tests of lab 3 share: records of VMs whose virtual interrupts are looked at one call at a
time (grade/driver/virqs.h), and guests that chain a secret through what they see.
"""

from __future__ import annotations

import random
import re
import struct
from dataclasses import dataclass
from dataclasses import fields as fields_of
from pathlib import Path

from conf.qemu import EXIT_DONE, Module
from conf.vdisk import Volume
from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results
from grade.graded.crossings import told
from grade.harness.elf import Elf
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.verdict import holds, same

TIMER, NETWORK, DISK, CONSOLE, CONTROL = (1 << bit for bit in range(5))  # VIRQ_*
NEW, STOPPED, READY, RUNNING, IDLE, DYING, DEAD, WAITING = range(8)  # enum vm_state
LEAVING, OUT, QUEUED, ENTERING = range(8, 12)
ANY = -1  # where a state isn't compared
STATES = (
    "new", "stopped", "ready", "running", "idle", "dying", "dead", "waiting",
    "leaving", "out", "queued", "entering",
)  # fmt: skip
STATE, POST, RUN, ENQUEUE, RELEASE = range(1, 6)  # enum driver_noted
NEVER = (1 << 64) - 1
MASK = 0xFFFFFFFF
_NOTE = struct.Struct("<3I")
NOTES = 256
E_PERM, E_FAULT, E_INVAL, E_AGAIN, E_NOMEM, E_IO, E_NOENT = -1, -3, -4, -6, -7, -9, -11


@dataclass(frozen=True, repr=False)
class State:
    """struct driver_virq."""

    state: int = READY
    pending: int = 0
    posted: int = 0
    merged: int = 0
    delivered: int = 0
    in_idle: int = 0
    quanta_new: int = 0
    quanta: int = 0
    packets_dropped: int = 0
    frames: int = 0
    queue_length: int = 0

    def words(self) -> list[int]:
        """As the driver has it."""
        return [int(getattr(self, field.name)) for field in fields_of(self)]

    def __repr__(self) -> str:
        """For a person: the state's name, and what isn't 0."""
        counts = {field.name: getattr(self, field.name) for field in fields_of(self)[1:]}
        told = [] if self.state == ANY else [state_name(self.state)]
        told += [f"{name}={value}" for name, value in counts.items() if value]
        return " ".join(told) or "all 0"


def state_name(state: int) -> str:
    """The name of a VM's state."""
    return STATES[state] if 0 <= state < len(STATES) else f"state {state}"


class Records:
    """A kernel that has come up without VMs, with records for `vms` of them, in a table of calls.
    From `note` on, functions of the kernel note that they were called."""

    def __init__(self, bench: Bench, vms: int = 16, memory: int = 64) -> None:
        self.rng: random.Random = bench.rng
        self.calls = Calls(bench, whole=True, options=f"vms={vms}", memory=memory, record=False)
        self._notes = self.calls.data(_NOTE.size * NOTES)

    def record(self, number: int) -> Result:
        """The record of a VM."""
        return self.calls.call("driver_record", number)

    def note(self) -> None:
        """Let functions note their calls from here on."""
        self.calls.store(self.calls.address("driver_notes"), self._notes)
        self.calls.store(self.calls.address("driver_notes_max"), NOTES)
        self.calls.store(self.calls.address("driver_noting"), 1)

    def set(self, vm: Result, state: State) -> None:
        """Make a record so."""
        self.calls.call("driver_virq_set", vm, self.calls.words(state.words()))

    def get(self, vm: Result) -> Address:
        """Look at a record, at this moment; state_at reads it afterwards."""
        place = self.calls.data(4 * len(fields_of(State)))
        self.calls.call("driver_virq_get", vm, place)
        return place

    def noted(self) -> Result:
        """How many calls have been noted, at this moment."""
        return self.calls.load(self.calls.address("driver_note_count"))

    def counter(self, name: str) -> Result:
        """One of the kernel's counters, at this moment."""
        return self.calls.load(self.calls.address(f"counter_{name}"))

    def notes(self, results: Results, first: int, last: int) -> list[tuple[int, int, int]]:
        """The notes from number `first` to before `last`: kind, VM, value."""
        content = results.read(self._notes, _NOTE.size * NOTES)
        found = [_NOTE.unpack_from(content, _NOTE.size * i) for i in range(NOTES)]
        return [(a, b, c) for a, b, c in found[first : min(last, NOTES)]]


def state_at(results: Results, place: Address) -> State:
    """What Records.get looked at."""
    return State(*results.words(place, len(fields_of(State))))


# --- guests ---------------------------------------------------------------------

_CHAIN = """
static u32 chain = %(secret)uu;

/* Each value that must be right is a link: one that isn't breaks the rest. */
static UNUSED void
link_in(u32 value)
{
	chain = chain * 1664525u + 1013904223u + value;
}
"""


@dataclass(frozen=True)
class Chain:
    """A secret, and the values that a guest has to link to it."""

    secret: int

    @classmethod
    def draw(cls, rng: random.Random) -> Chain:
        """One with a new secret."""
        return cls(rng.getrandbits(32))

    def program(
        self, bench: Bench, body: str, count: int = 1, disks: tuple[str, ...] = (), memory: str = "1M"
    ) -> Module:
        """A guest: `body` defines work(), which calls link_in; its chain is printed at the end,
        and told at the gate."""
        text = _CHAIN % {"secret": self.secret} + body + _RUN
        return bench.program(text, count, memory=memory, disks=disks)

    def end(self, values: list[int]) -> int:
        """The last link."""
        link = self.secret
        for value in values:
            link = (link * 1664525 + 1013904223 + (value & MASK)) & MASK
        return link

    def check(self, machine: Machine, vm: int, values: list[int], what: str) -> None:
        """Assert that VM `vm` linked just these values and ended well; `what` it shows."""
        text = machine.serial.text()
        said = f"[vm {vm}] witness {self.end(values)}"
        lines = [x for x in text.splitlines() if re.match(rf"(\[vm {vm}\]|vm {vm}:)", x)]
        holds(said in lines, what, said, " / ".join(lines[-3:]) or "nothing of it on the console")
        holds(told(machine.trace, self.end(values)), f"VM {vm} itself has told so, at the gate",
              f"{self.end(values):#x} in ebx", "no such crossing")  # fmt: skip
        holds(f"vm {vm}: terminated, status 0" in lines, f"VM {vm} ends by itself",
              "terminated, status 0", lines[-1])  # fmt: skip


_RUN = """
static int
run(void)
{
	work();
	say_number("witness ", chain);
	gate(VI_NULL, chain, ~chain);
	return 0;
}
"""


def volume(bench: Bench, blocks: int = 64, fill: dict[str, bytes] | None = None, **disks: int) -> Module:
    """A physical disk for disk=ram, with `disks` (blocks by name; negative: shared, read-only). What
    `fill` has for one is in it from its first block on."""
    path = bench.folder() / "disk"
    with Volume.create(path, blocks, disks=63) as made:
        for name, size in disks.items():
            made.add(name, abs(size), size < 0)
    with Volume.open(path, change=True) as made:
        for name, content in (fill or {}).items():
            made.write(made.find(name), 0, content)
    return Module(path, words=("ramdisk",))


def content(bench: Bench, machine: Machine, image: Module) -> bytes:
    """What a disk=ram made of `image` holds now: the module's memory, found by its superblock."""
    ram = bench.ram(machine)
    assert ram is not None
    head = Path(image.image).read_bytes()[:PAGE]
    place = next(at for at in ram.find(head) if at % PAGE == 0)
    return ram.read(place, Path(image.image).stat().st_size)


def kernel_word(bench: Bench, machine: Machine, name: str) -> int:
    """A word of the kernel's of a machine that has ended."""
    ram = bench.ram(machine)
    assert ram is not None
    return ram.word(Elf(bench.kernel).address(name) - KERNEL_BASE)


def run_out(machine: Machine, seconds: float = 8.0) -> None:
    """Wait until the last VM has ended (option when-done=exit)."""
    same("QEMU's exit status when the last VM has ended", machine.wait(seconds), EXIT_DONE)
