# SPDX-License-Identifier: MIT
"""Batches of cases: one boot of a machine each, with neighbours who must notice nothing.

A batch is fixed by the seed and its number. Four kinds take turns: VMs that each try a random
program or random virtual instructions (grade/fuzz/case.c), the same with too little RAM for them
(grade/fuzz/pressure.py), random images as boot modules, and random frames from the wire. All run
under -icount with the meter of kernel entries; but for frames and what is typed under pressure, the
same batch is the same run. After each, the referee's chain must be right, the kernel's records must
agree (the monitor's `check`) and no entry have been too long.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from conf.qemu import EXIT_DONE, Module
from conf.vdisk import BLOCK_SIZE, Volume
from grade.fuzz import generate, pressure
from grade.harness.entry import LIMIT, Entries, EntryMeter
from grade.harness.guest import build
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.memory import KERNEL_BASE
from grade.harness.verdict import Crashed, TimedOut

FOLDER = Path(__file__).resolve().parent
# Cases in a batch. QEMU translates code once for each frame that it lies in: private is slow.
SIZES = {"vms": 1500, "pressure": 600, "private": 100, "images": 60, "frames": 2000}
_FIRST_CASE = 5  # VMs 1 to 4 are the referee, the server, the reaper, the sink (referee.c)
_FINDING = 0x5EEDFA00  # the status of a VM that found something wrong, plus one of (case.c):
_FINDINGS = (
    "a virtual instruction had a result that none has",
    "an instruction of the supervisor's wasn't refused",
    "an unknown instruction did something",
    "the gate changed a register",
    "the gate changed a flag",
    "a page held a wrong word",
)
_DISK_OWNERS = 24  # so many cases have a virtual disk of their own
_ROUNDS = 40  # links of the referee's chain
# Judged is the machine's time. QEMU may take a hundred times longer for some programs, such as one
# that writes to a page of translated code without end.
_VIRTUAL_SECONDS, _VIRTUAL_SECONDS_PRESSED = 5.0, 60.0
_PATIENCE = 15  # waits of 60 s of QEMU's CPU time
_LAST_LINE = r"^\[vm 1\] (referee|FINDING.*) (\d+)$|^vm [12]: killed: (swap: page-in .*)$"


@dataclass
class Outcome:
    """What came of one batch."""

    cases: int
    entries: Entries | None = None
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Batch `number` of a seed, with `cases` cases, counted from `first`."""

    seed: int
    number: int
    first: int
    cases: int

    @property
    def kind(self) -> str:
        """vms, pressure (with swap), private (VMs that share no page of their image), images or
        frames."""
        kinds = {2: "pressure", 4: "pressure", 5: "private", 6: "images", 7: "frames"}
        return kinds.get(self.number % 8, "vms")

    @property
    def rng(self) -> random.Random:
        """The batch's own random numbers."""
        return random.Random(f"{self.seed} {self.number}")


def batches(seed: int, cases: int) -> list[Batch]:
    """The batches that `cases` cases make."""
    result: list[Batch] = []
    first = 0
    while first < cases:
        batch = Batch(seed, len(result), first, 0)
        size = SIZES[batch.kind]
        result.append(replace(batch, cases=min(size, cases - first)))
        first += size
    return result


class Fuzzer:
    """Runs batches with the kernel of `build`; consoles' logs are kept below `logs`."""

    def __init__(self, build_folder: Path, logs: Path) -> None:
        self._build, self._logs = build_folder, logs
        self._stack = ExitStack()
        self._lab = Lab(build_folder, logs, self._stack)
        self._guests = {
            name: build((FOLDER / f"{name}.c").read_text(), self._lab.folder())
            for name in ("referee", "case", "ballast")
        }

    def close(self) -> None:
        """Remove what all batches share."""
        self._stack.close()

    def run(self, batch: Batch) -> Outcome:
        """Run one batch; what is wrong is in the outcome, an infrastructure error is raised."""
        outcome = Outcome(batch.cases)
        runs: dict[str, Callable[[_Bench], None]] = {
            "vms": _run_vms, "private": _run_vms, "images": _run_images, "frames": _run_frames,
            "pressure": _run_pressure,
        }  # fmt: skip
        with ExitStack() as stack:
            lab = Lab(self._build, self._logs / f"batch{batch.number}", stack)
            bench = _Bench(batch, lab, self._guests, outcome)
            try:
                runs[batch.kind](bench)
            except (AssertionError, Crashed, TimedOut, BrokenPipeError) as problem:
                outcome.findings.append(str(problem))
            if not outcome.findings:
                lab.remove_logs()
        return outcome


def _virtual_seconds(machine: Machine) -> float:
    """The kernel's time when it last charged a VM for its quantum."""
    at = machine.kernel.address("charged_from") - KERNEL_BASE
    return int.from_bytes(machine.memory.read(at, 8), "little") / 1e9


def _verdict(machine: Machine, limit: float = _VIRTUAL_SECONDS) -> re.Match[str]:
    """The referee's last line: its word, and the end of its chain; no word: it, or the server,
    ended with the page that the swap disk lost."""
    for patience in range(_PATIENCE, 0, -1):
        try:
            return machine.expect(_LAST_LINE, 60)
        except TimedOut:
            if patience == 1 or _virtual_seconds(machine) > limit:
                raise
    raise AssertionError("not reached")


class _Bench:
    """What the three kinds of batch have in common."""

    def __init__(
        self, batch: Batch, lab: Lab, guests: dict[str, Path], outcome: Outcome
    ) -> None:
        self.batch, self.lab, self.outcome = batch, lab, outcome
        self._guests = guests
        self.rng = batch.rng
        self.meter = EntryMeter(lab.folder(), lab.build)
        self._secret = self.rng.getrandbits(32)
        self._rounds = pressure.ROUNDS if batch.kind == "pressure" else _ROUNDS

    def neighbours(self, cases: int) -> Module:
        """VMs 1 to 4, who look after `cases` VMs."""
        return Module(
            self._guests["referee"],
            4,
            "128K",
            f"{self._secret} {_FIRST_CASE} {cases} {self._rounds}",
        )

    def ballast(self, count: int, size: str) -> Module:
        """`count` VMs that use all their memory, of `size`."""
        return Module(self._guests["ballast"], count, size, "0")

    def cases(self, count: int, skip: int = 0, disks: tuple[str, ...] = ()) -> Module:
        """`count` cases, after `skip` others of the batch."""
        args = f"{self.batch.seed} {self.batch.first} {_FIRST_CASE}"
        assert skip + count <= self.batch.cases
        return Module(self._guests["case"], count, "128K", args, disks)

    def options(self) -> str:
        """The kernel's options: every policy has its turn."""
        choices = [
            f"sched={self.rng.choice(('rr', 'rr', 'turn'))}",
            f"share={'off' if self.batch.kind == 'private' else 'on'}",
            f"back={'all' if self.batch.kind == 'private' else 'touch'}",
            f"quantum={self.rng.choice((211, 300, 499))}us",
        ]
        return " ".join(choices) + f" seed={self.rng.randbytes(32).hex()} wall=0"

    def link(self) -> int:
        """The last link of the referee's chain."""
        link = self._secret
        for _ in range(self._rounds):
            link = (link * 1664525 + 1013904223) & 0xFFFFFFFF
        return link

    def judge(self, machine: Machine) -> None:
        """The neighbours worked on, the records agree, no entry was too long; the end."""
        self.judge_chain(machine, _verdict(machine))
        self.judge_rest(machine)

    def judge_chain(self, machine: Machine, found: re.Match[str]) -> None:
        """The neighbours worked on."""
        if found[3] and self.batch.kind == "pressure":
            return  # what may happen to any VM happened to one of them
        assert found[1] == "referee", machine.serial.report(found[0])
        assert int(found[2]) == self.link(), machine.serial.report("the chain is broken")

    def judge_rest(self, machine: Machine) -> None:
        """The records agree, no entry was too long; the end."""
        machine.serial.send("check\r")  # guests' lines may come between what is echoed
        problems = machine.expect(r"^check: .*: (\d+) problems$", 60)[1]
        assert problems == "0", machine.serial.report("the kernel's records disagree")
        text = machine.serial.text()
        findings = re.findall(r"^vm (\d+): terminated, status (\d+)$", text, re.M)
        for vm, status in findings:
            kind = int(status) - _FINDING
            assert not 0 <= kind < len(_FINDINGS), f"VM {vm}: {_FINDINGS[kind]}"
        assert "PROBLEM" not in text
        machine.serial.send("quit\r")
        assert machine.wait() == EXIT_DONE
        self.outcome.entries = self.meter.read()
        assert self.outcome.entries.entries > 0, "no entry of the kernel was measured"
        assert self.outcome.entries.longest <= LIMIT, str(self.outcome.entries)


def _volume(bench: _Bench, owners: int) -> tuple[Path, list[bytes]]:
    """A disk image: one disk for each of the first cases, one that all may read, and one that
    nobody has, whose two blocks are returned."""
    path = bench.lab.folder() / "disk"
    secrets = [bench.rng.randbytes(BLOCK_SIZE) for _ in range(2)]
    with Volume.create(path, 1024, disks=63) as volume:
        volume.add("site", 8, True)
        for k in range(1, owners + 1):
            volume.add(f"own-{k}", 4, False)
            if k == owners // 2:
                volume.add("nobodys", 2, False)
        for k, secret in enumerate(secrets):
            if owners >= 2:
                volume.write(volume.find("nobodys"), k, secret)
    return path, secrets if owners >= 2 else []


def _run_vms(bench: _Bench) -> None:
    cases = bench.batch.cases
    owners = min(_DISK_OWNERS, cases - 1)
    image, secrets = _volume(bench, owners)
    plan = bench.rng.choice(("100us", "10us,2ms:eio,50us", "1us", "3ms,7us:eio"))
    modules = [Module(image, words=("ramdisk",)), bench.neighbours(cases)]
    if owners:
        modules.append(bench.cases(owners, 0, ("site", "own-%")))
    modules.append(bench.cases(cases - owners, owners, ("site",)))
    machine = bench.lab.boot(
        *modules,
        options=f"{bench.options()} disk=ram ramdisk-plan={plan}",
        memory=512,
        icount=True,
        extra=bench.meter.options,
    )
    last = _FIRST_CASE + cases - 1
    machine.expect(rf"^vms \d+ to {last}: .*, {cases - owners} of {cases - owners} started$", 60)
    found = _verdict(machine)
    for secret in secrets:
        places = len(list(machine.memory.find(secret[:64])))
        assert places == 1, f"a block that is nobody's lies at {places} places in memory"
        at = next(machine.memory.find(secret[:64]))
        assert machine.memory.read(at, BLOCK_SIZE) == secret, "a block that is nobody's changed"
    assert found[1] == "referee"
    machine.serial.rewind()
    bench.judge(machine)


def _run_pressure(bench: _Bench) -> None:
    """The cases with RAM for some of them, swap in RAM, and somebody who types."""
    cases = bench.batch.cases
    owners = min(_DISK_OWNERS, cases - 1)
    image, _ = _volume(bench, owners)
    load = pressure.draw(bench.rng, cases)
    modules = [Module(image, words=("ramdisk",)), bench.neighbours(cases)]
    if owners:
        modules.append(bench.cases(owners, 0, ("site", "own-%")))
    modules.append(bench.cases(cases - owners, owners, ("site",)))
    modules.append(bench.ballast(load.ballast, load.ballast_size))
    machine = bench.lab.boot(
        *modules,
        options=f"{load.options} wall=0",
        memory=load.memory,
        icount=True,
        extra=bench.meter.options,
    )
    with pressure.typing(machine, load.commands):
        found = _verdict(machine, _VIRTUAL_SECONDS_PRESSED)
    bench.judge_chain(machine, found)
    bench.judge_rest(machine)


def _run_images(bench: _Bench) -> None:
    cases = bench.batch.cases
    images = [generate.image(bench.rng) for _ in range(cases)]
    modules = [replace(bench.lab.image(data), memory="16M") for data in images]
    machine = bench.lab.boot(
        bench.neighbours(0),
        *modules,
        options=bench.options(),
        memory=512,
        icount=True,
        extra=bench.meter.options,
    )
    bench.judge(machine)


def _run_frames(bench: _Bench) -> None:
    wire = bench.lab.wire()
    wire.lenient = True
    machine = bench.lab.boot(
        bench.neighbours(0),
        "echo",
        "httpd",
        options=bench.options(),
        memory=512,
        wire=wire,
        icount=True,
        extra=bench.meter.options,
    )
    wire.echo(5, b"before", seconds=60)
    for _ in range(bench.batch.cases):
        wire.send(generate.frame(bench.rng, 6))
    wire.echo(5, b"after", seconds=60)
    wire.ping(6, seconds=60)
    bench.judge(machine)
