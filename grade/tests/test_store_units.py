# SPDX-License-Identifier: MIT
"""The block store, compiled for the host, on a disk whose power fails (grade/unit/store_test.c).

"Completed means it survives" is all that it may rely on: what was under way at a crash is on the
disk, or isn't, or is torn, in any order.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}", "-DLAB=7"]
SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = [
    "grade/unit/store_test.c",
    "ilwaco/store_block.c",
    "ilwaco/store_index.c",
    "ilwaco/store_log.c",
    "ilwaco/store_scan.c",
    "ilwaco/store_super.c",
    "lib/crc32.c",
]


def build(folder: Path, *flags: str) -> Path:
    """The driver."""
    program = folder / "store_test"
    sources = [str(ROOT / source) for source in SOURCES]
    subprocess.run(["gcc", *FLAGS, *flags, "-o", str(program), *sources], check=True)
    return program


def agree(program: Path, *args: str) -> None:
    """Run the driver; its last line says that all agrees."""
    run = subprocess.run(
        [str(program), *args],
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},  # the power fails: nobody frees
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0 and "agree" in run.stdout, (args, run.stdout, run.stderr)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_crash_leaves_what_was_synced_and_a_prefix_of_the_rest(tmp_path: Path, seed: str) -> None:
    """1,000 crashes, each at a random write: no record in part, none without its predecessors."""
    agree(build(tmp_path), "crash", seed, "500")


@pytest.mark.quick
def test_damage_costs_what_was_damaged(tmp_path: Path) -> None:
    """Blocks destroyed, alone and in runs: what stood elsewhere is as it was; the rest an error."""
    agree(build(tmp_path, *SANITIZERS), "damage", "1", "60")


@pytest.mark.quick
def test_a_hostile_disk_gives_errors(tmp_path: Path) -> None:
    """Right checksums, wrong contents, under sanitizers: no access outside, no end of time."""
    agree(build(tmp_path, *SANITIZERS), "hostile", "1", "150")


@pytest.mark.quick
def test_a_failed_write_ends_writing(tmp_path: Path) -> None:
    """After a write failed nothing more is acknowledged; what was, is there at the next opening."""
    agree(build(tmp_path, *SANITIZERS), "fail", "1", "100")


@pytest.mark.quick
def test_a_full_store_can_be_read(tmp_path: Path) -> None:
    """-E_FULL, -E_PERM, -E_NOENT, -E_DAMAGED: each where it belongs, and nothing is lost."""
    agree(build(tmp_path, *SANITIZERS), "full")
