# SPDX-License-Identifier: MIT
"""The kernel's state machine in a process, driven by random events (grade/unit/world).

First that it holds: seeds, sizes of memory, policies, disks that fail. Then that the world would
see it if it didn't: each mutant is one wrong line of the kernel, and has to be caught.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from grade.unit.world import world

pytestmark = pytest.mark.long

CC = os.environ.get("DENALI_CC", "gcc")
EVENTS = 60000
FAILING = "fail-reads=10 fail-writes=50"

RUNS = [
    f"frames=200 {FAILING}",
    f"frames=110 disks=4 {FAILING} swap-block=64",
    "frames=200 disks=1 share=off delay=30000",
    "frames=160 gate=heat sched=plain replace=clock back=all",
    "frames=90 disks=3 delay=10000 calm=0",
    "frames=100 delay=10000 by-timer=1",
]

# What has to happen for a run to mean anything, in the runs above together.
MUST_HAPPEN = (
    "faults restarts upcalls idles discards kills killed_leaving killed_out killed_queued "
    "killed_entering killed_waiting terminations starts undefinitions dma "
    "dma_of_the_dying tlb_hits disk_reads disk_writes failed_reads failed_writes failed_for_good "
    "deaths_by_failure outs requeued ins checks"
).split()


@dataclass(frozen=True)
class Mutant:
    """One wrong line: in `file`, `right` becomes `wrong`."""

    name: str
    file: str
    right: str
    wrong: str


MUTANTS = [
    Mutant(
        "an event while it leaves is lost",
        "kern/vmswap.c",
        "vm->pending || !vm->in_idle",
        "!vm->in_idle",
    ),
    Mutant("an event while it is out is lost", "kern/virq.c", "vm->state == VM_OUT", "false"),
    Mutant(
        "the dirty bit isn't looked at",
        "kern/evict.c",
        "old & PTE_D && !zero",
        "false && !zero",
    ),
    Mutant(
        "a failed transfer counts as done",
        "kern/swapdisk.c",
        "io->done(io, status)",
        "io->done(io, 0)",
    ),
    Mutant("a write is tried four times", "kern/swapdisk.c", "WRITE_TRIES 3u", "WRITE_TRIES 4u"),
    Mutant("a write is tried twice", "kern/swapdisk.c", "WRITE_TRIES 3u", "WRITE_TRIES 2u"),
    Mutant(
        "who wakes runs at once",
        "kern/virq.c",
        "vm->state == VM_IDLE)\n\t\tvm_enter_state(vm, VM_READY)",
        "vm->state == VM_IDLE)\n\t\tvm_enter_state(vm, VM_RUNNING)",
    ),
    Mutant(
        "a VM is queued twice",
        "kern/gate_fifo.c",
        "vm_queue_put(&gate_asking, vm);",
        "vm_queue_put(&gate_asking, vm), vm_queue_put(&gate_asking, vm);",
    ),
    Mutant(
        "no flush when a page is clean",
        "kern/swap.c",
        "run_flush(vm, page);\n\tresident_set_busy",
        "resident_set_busy",
    ),
    Mutant("two writes of one block", "kern/swap.c", "vm->swap_dropped == 0 ?", "true ?"),
    Mutant("a page under DMA is cleaned", "kern/swap.c", " && !vdisk_busy(vm, page)", ""),
    Mutant(
        "what is stored is forgotten on the way out",
        "kern/vmswap.c",
        "entry & PTE_STORED ? stored : CODE_NONE",
        "CODE_NONE",
    ),
    Mutant("a discarded page is the image's again", "kern/evict.c", "? PTE_ZERO : 0", "? 0 : 0"),
    Mutant(
        "the last to ask comes in first",
        "kern/gate_fifo.c",
        "vm_queue_put(&gate_asking",
        "vm_queue_put_first(&gate_asking",
    ),
    Mutant(
        "a wait for a page never ends",
        "kern/swap.c",
        "vm_enter_state(vm, VM_READY);",
        "work_add(&vm->work);",
    ),
    Mutant("a promise isn't taken back", "kern/gatekeeper.c", "promised -= vm->promise;", ""),
    Mutant(
        "frames are freed before they are written",
        "kern/swap.c",
        "return vm->swap_ios > 0;\n}\n\nVM_HOLD",
        "return vm->swap_ios > 900;\n}\n\nVM_HOLD",
    ),
    Mutant(
        "what the kernel writes isn't dirty",
        "kern/backing.c",
        "*entry |= PTE_D; /* the kernel",
        "/* the kernel",
    ),
]


def run(program: Path, seed: int, events: int, options: str) -> subprocess.CompletedProcess[str]:
    """One run of the world, by a command that can be given again."""
    line = [str(program), str(seed), str(events), *options.split()]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the world is built."""
    path = tmp_path_factory.mktemp("world")
    world.build(path, CC)
    return path


@pytest.mark.quick
@pytest.mark.parametrize("options", RUNS)
def test_every_record_and_page_is_right_whatever_happens(folder: Path, options: str) -> None:
    """Random events, 4 seeds: the checker finds nothing, every page is what its VM wrote last,
    nobody waits for ever, no event is lost, and VMs end when told to or when their disk fails."""
    for seed in range(1, 5):
        done = run(folder / "world", seed, EVENTS, options)
        assert done.returncode == 0, f"{done.args}\n{done.stdout[:6000]}"


def test_the_world_is_a_hard_one(folder: Path) -> None:
    """A run in which nothing fails, ends or goes out proves nothing."""
    counts: Counter[str] = Counter()
    for options in RUNS:
        for line in run(folder / "world", 1, EVENTS, options).stdout.splitlines()[:-1]:
            what, count = line.split()
            counts[what] += int(count)
    never = [what for what in MUST_HAPPEN if counts[what] < 10]
    assert not never


def test_few_transfers_at_a_time_are_enough(folder: Path) -> None:
    """With two records for transfers in place of 128 everybody has to wait for one, again and
    again."""
    source = "kern/swapdisk.c"
    text = (world.ROOT / source).read_text()
    last = '#include "lib/abi.h"\n'
    assert last in text
    few = f"{last}#undef SWAP_IO_MAX\n#define SWAP_IO_MAX 2u\n"
    program = world.build(folder, CC, {source: text.replace(last, few, 1)})
    for seed, options in ((1, RUNS[0]), (2, RUNS[-1]), (4, RUNS[-1])):
        done = run(program, seed, EVENTS, options)
        assert done.returncode == 0, f"{done.args}\n{done.stdout[:6000]}"


def test_the_same_seed_is_the_same_run(folder: Path) -> None:
    """What was found can be found again."""
    first, again = (run(folder / "world", 9, EVENTS, RUNS[0]).stdout for _ in range(2))
    assert first == again


@pytest.mark.parametrize("mutant", MUTANTS, ids=[m.name.replace(" ", "-") for m in MUTANTS])
def test_a_wrong_line_is_caught(folder: Path, mutant: Mutant) -> None:
    """Who watches has to be watched: one wrong line of the kernel, some seeds, and a finding."""
    text = (world.ROOT / mutant.file).read_text()
    assert mutant.right in text, f"{mutant.file} has changed: give the mutant its new text"
    program = world.build(folder, CC, {mutant.file: text.replace(mutant.right, mutant.wrong, 1)})
    for seed in range(1, 6):
        for options in RUNS:
            try:
                if run(program, seed, EVENTS * seed, options).returncode != 0:
                    return
            except subprocess.TimeoutExpired:
                return  # an entry of the kernel that never ends is found as well
    pytest.fail("nobody noticed")
