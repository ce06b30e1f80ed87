# SPDX-License-Identifier: MIT
"""Exercise 2.8: `user/attack.c` on kernels that the grader brings, some of them wrong.

A kernel is called wrong if any VM of the attack ends with another status than 0, or if the kernel
stops. Whoever cries wolf on a right kernel has told nothing apart.
"""

from __future__ import annotations

import json
import os
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from conf.qemu import EXIT_DONE, EXIT_PANIC, EXIT_RESET
from grade.graded.bench import Bench, grading_key
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import Infrastructure, TimedOut, holds, same

pytestmark = exercise("2.8")

SECTION = "lab2.html#exercise-2-8"
VMS = 24
WRONG, RIGHT, ENOUGH = 8, 2, 4
KERNELS = "DENALI_KERNELS"  # of the environment: the folder with the kernels
_ROOT = Path(__file__).resolve().parent.parent.parent
_OPTIONS = "when-done=exit back=touch quantum=200us"
_SEED_BYTES = 32


def kernels(truth: str) -> list[Path]:
    """The kernels that are "right" or "wrong", in a fixed order."""
    chosen = os.environ.get(KERNELS)
    built = Path(os.environ.get("DENALI_BUILD", "build")), _ROOT / "build"
    places = [_ROOT / "grade/lab2/kernels", *(place / "grade/lab2/kernels" for place in built)]
    places = [Path(chosen)] if chosen else places
    for place in places:
        if (place / "index.json").exists():
            index: dict[str, str] = json.loads((place / "index.json").read_text())
            return [place / name for name, what in index.items() if what == truth]
    raise Infrastructure("the kernels to attack aren't there: `make kernels` builds them")


_told: dict[tuple[Path, float, str], str] = {}  # what came of earlier runs in this process


def alarm(bench: Bench, kernel: Path, wanted: bool) -> str:
    """What the attack has against `kernel`, or "" if it says nothing. A run is the same to the bit
    each time: one that told what was `wanted` isn't done again."""
    image = bench.build / "user/attack"
    key = image, image.stat().st_mtime, kernel.name
    if bool(_told.get(key)) != wanted or key not in _told:
        _told[key] = run_attack(bench, kernel)
    return _told[key]


def run_attack(bench: Bench, kernel: Path) -> str:
    """Run the attack on `kernel`; its alarm."""
    attack = replace(bench.guest("attack", count=VMS), memory="1M")
    # Else a kernel would be known by what its VMs find in VREGS->seed: it follows from the time.
    seed = random.Random(f"{grading_key()} attack").randbytes(_SEED_BYTES).hex()
    options = f"{_OPTIONS} seed={seed}"
    machine = bench.boot(attack, kernel=kernel, options=options, memory=64, record=False)
    try:
        status = machine.wait_crash(8)
    except TimedOut:
        status = EXIT_DONE  # it says nothing more
    text = machine.serial.text()
    machine.close()
    holds(re.search(r"^vms 1 to \d+:", text, re.MULTILINE), "the kernel to attack starts the attack's VMs",
          f"{VMS} VMs", text[-300:])  # fmt: skip
    if status in (EXIT_PANIC, EXIT_RESET):
        return "the kernel stopped"
    found = re.findall(r"^vm (\d+): terminated, status (-?[1-9]\d*)$", text, re.MULTILINE)
    return ", ".join(f"vm {vm}: status {status}" for vm, status in found)


@points(1)
@rule(
    "An attack ends with proof on a wrong kernel, and with silence on a right one.",
    section=SECTION,
    breakpoint="main",
)
@pytest.mark.parametrize("number", range(1, WRONG + 1))
def test_a_wrong_kernel_is_told_apart(bench: Bench, number: int) -> None:
    """To claim isolation, attack it: this kernel breaks one promise."""
    wrong, right = kernels("wrong")[number - 1], bench.rng.choice(kernels("right"))
    same("what the attack has against a right kernel", alarm(bench, right, False), "")
    holds(alarm(bench, wrong, True), f"the attack has proof that kernel {wrong.name} is wrong",
          "a VM that ends with another status than 0", "silence")  # fmt: skip


@points(2)
@rule(
    f"No alarm about a right kernel, from an attack that tells {ENOUGH} wrong ones apart.",
    section=SECTION,
    breakpoint="main",
)
def test_right_kernels_are_left_alone(bench: Bench) -> None:
    """A test that fails what is right is worth as little as one that passes what is wrong; and
    silence alone is no proof."""
    for kernel in kernels("right"):
        same(f"what the attack has against kernel {kernel.name}, which is right", alarm(bench, kernel, False), "")
    told = 0
    for number, kernel in enumerate(kernels("wrong")):
        told += bool(alarm(bench, kernel, True))
        if told == ENOUGH or told + WRONG - number - 1 < ENOUGH:
            break
    holds(told >= ENOUGH, "wrong kernels that the attack tells apart", f"at least {ENOUGH}", told)
