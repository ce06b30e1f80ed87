# SPDX-License-Identifier: MIT
"""The fuzzer, for as long as a test run allows; `make fuzz CASES=... SEED=...` goes on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grade.fuzz.batches import batches
from grade.harness.lab import Lab

CASES = 8000


@pytest.mark.long
def test_fuzzer_finds_nothing(lab: Lab) -> None:
    """Thousands of random guests, instructions, register pages, images and frames: the
    neighbours still serve, the records agree, no entry of the kernel is longer than 50,000
    instructions."""
    line = [sys.executable, "grade/fuzz/fuzz.py", "--build", str(lab.build), "--cases", str(CASES)]
    result = subprocess.run(line, capture_output=True, text=True, check=False, timeout=900)
    print(result.stdout[-4000:], result.stderr[-4000:])
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == f"{CASES} cases, 0 findings"


def test_batches_are_the_same_for_the_same_seed() -> None:
    """A finding can be had again; and every case is in one batch."""
    one, two = batches(7, CASES), batches(7, CASES)
    assert one == two and sum(batch.cases for batch in one) == CASES
    assert one[0].rng.random() == two[0].rng.random() != batches(8, CASES)[0].rng.random()
