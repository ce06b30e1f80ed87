# SPDX-License-Identifier: MIT
"""`make replay`: a graded failure run again to the instruction, and from the failing assertion back
to the wrong write. On a real mutant, in a tree of its own; QEMU's hangs on the way are provided for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from grade.graded.bench import Bench
from grade.graded.recorder import RECORD, make_qcow2
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.lab import Lab

pytestmark = [pytest.mark.host, pytest.mark.long]

ROOT = Path(__file__).resolve().parent.parent.parent
TEST = "test_a_frame_has_one_owner"
MUTANT = ROOT / "labs/lab1/mutants/1.2-zeroes-too-much.patch"


@dataclass(frozen=True)
class Tree:
    """A copy of this tree with a mutant in it, built for lab 1."""

    folder: Path

    def run(self, *words: str, **environ: str) -> str:
        """Run a command there; what it printed."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "DENALI_"))}
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**plain, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.stdout

    def replay(self, commands: str, *words: str, test: str = TEST, **environ: str) -> str:
        """`make replay` with gdb commands."""
        line = ["make", "-s", "SETUP=no", "LAB=1", "replay", f"TEST={test}", f"CMD={commands}"]
        return self.run(*line, *words, **environ)


@pytest.fixture(name="failed", scope="module")
def look_at_failure(tree: Tree) -> tuple[int, int]:
    """What the failing assertion says."""
    return failure(tree.replay("denali when"))


@pytest.fixture(name="tree", scope="module")
def make_tree() -> Iterator[Tree]:
    """The tree, mutated; gone afterwards."""
    top = make_folder()
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, top / name)
    with open(MUTANT) as patch:
        subprocess.run(["git", "apply", "-"], cwd=top, stdin=patch, check=True)
    yield Tree(top)
    remove_folder(top)


def failure(text: str) -> tuple[int, int]:
    """The frame that was written over, and what its owner had written there."""
    found = re.search(r"into frame (0x\w+).*\n +expected: \[(0x\w+), .*\n +seen: +\[(0x\w+|0), ", text)
    assert found, text
    return int(found[1], 16), int(found[2], 16)


def test_from_the_failing_assertion_back_to_the_wrong_write(
    tree: Tree, failed: tuple[int, int]
) -> None:
    """The aim of it all: the assertion names a frame; who has written there?"""
    frame, secret = failed
    place = f"*(unsigned *){frame + 0x40000000:#x}"
    text = tree.replay(f"denali overwrote {place} {secret:#x}; info breakpoints")
    assert failure(text) == (frame, secret), "the same key, the same frame, the same secret"
    _, _, after = text.partition(f"{place} held {secret:#x} up to here")
    assert re.search(r"#0 .* memset \((.|\n)*#1 .* frame_alloc \(.*kern/frame\.c:\d+", after), text
    assert "No breakpoints or watchpoints" in after, text


def test_the_documented_example_is_what_happens(
    tree: Tree, failed: tuple[int, int]
) -> None:
    """conf/gdb/README.md shows real output: it stays so, addresses aside."""
    shown = re.findall(r"^    (.*)$", (ROOT / "conf/gdb/README.md").read_text(), re.MULTILINE)
    begin = next(i for i, line in enumerate(shown) if line.startswith("lab1/test_1_2"))
    frame, secret = failed
    text = tree.replay(f"denali overwrote *(unsigned *){frame + 0x40000000:#x} {secret:#x}; up")
    expected = [line for line in shown[begin:] if not line.startswith("(gdb)")]
    assert plain("\n".join(expected)) == plain(text)


def plain(text: str) -> str:
    """Text without its numbers, and without trailing blanks."""
    return re.sub(r"0x[0-9a-f]+|\d+", "N", text).strip()


@pytest.mark.course
def test_reverse_continue_finds_the_same_way(
    tree: Tree, failed: tuple[int, int]
) -> None:
    """gdb's own way back, and the way from the start that replaces it when QEMU hangs, meet."""
    frame, _ = failed
    watch = f"watch *(unsigned *){frame + 0x40000000:#x}"
    commands = f"{watch}; denali back; denali when; backtrace 1"
    by_qemu = tree.replay(commands)
    without = tree.replay(commands, DENALI_REVERSE_SECONDS="0.001")
    assert "QEMU hung on its way back: again from instruction" in without, without
    found = [re.findall(r"^(\d+)$", text, re.MULTILINE)[-1:] for text in (by_qemu, without)]
    assert found[0] == found[1] != [], by_qemu + without
    assert re.search(r"#0 .* (driver_store|memset) \(", without), without


def test_a_step_back_is_a_step_back(tree: Tree) -> None:
    """From a line back to the one before it."""
    commands = "denali overwrote frame_count[1] 1; denali when; denali back-step; denali when"
    text = tree.replay(commands)
    first, second = map(int, re.findall(r"^(\d+)$", text, re.MULTILINE))
    assert 0 < first - second < 1000, text


def test_a_function_of_the_guest_can_be_looked_for(tree: Tree) -> None:
    """Half of lab 3 runs in ring 3: its symbols are there, as the kernel knows that VM's program;
    and without anything to stop it nobody is taken back to the firmware."""
    commands = "denali back; break upcall_return; info symbol upcall_return; denali when"
    text = tree.replay(commands, "LAB=3", test="test_upcalls_are_on_again")
    assert re.search(r"^guest symbols: (\w+-0)$", text, re.MULTILINE), text
    assert "The search may begin at `break upcall_return`" in text, text
    assert "set a breakpoint or watchpoint first" in text, text
    assert "ilwaco/upcall.S" in text and "upcall_return in section .text" in text, text
    over = re.search(r"was over: instruction (\d+)", text)
    assert over and text.splitlines()[-1] == over[1] and int(over[1]) > 1_000_000, text


def test_two_recordings_are_one_run(tree: Tree) -> None:
    """A rerun that isn't the same run would lead astray."""
    commands = "denali when; p $eip; p $esp; p frame_count; p/x *(unsigned (*)[64])frame_table"
    one, two = tree.replay(commands), tree.replay(commands)
    assert one == two and re.search(r"This is where the test was over: instruction \d{6,}", one), one


def test_panic_is_where_the_test_was_over(tree: Tree) -> None:
    """A machine that has ended is shown where it panicked."""
    text = tree.replay("denali when; frame function frame_free", test="test_a_wrong_free_panics")
    assert "test_a_wrong_free_panics: pass" in text and "The test passes now" in text, text
    assert re.search(r"#0 .*panic \(", text) and "frame_free (" in text, text


def test_forward_only_works_without_a_recording(tree: Tree) -> None:
    """Plain debugging of the same run: a breakpoint, and from there on."""
    text = tree.replay("break frame_alloc; continue; denali back; finish", "REVERSE=no")
    assert re.search(r"Breakpoint \d+, frame_alloc \(use=FRAME_\w+", text), text
    assert "this run isn't a recording" in text and "Value returned is" in text, text


def test_what_can_not_be_replayed_is_said(tree: Tree) -> None:
    """A sentence for a wrong name, none, and a machine that isn't there."""
    assert "no lab here has a test called test_nobody" in tree.replay("", test="test_nobody")
    assert "say which test" in tree.replay("", test="")
    assert "there is no recording of machine 7" in tree.replay("", "MACHINE=7")


def test_guests_are_replayed_too(lab: Lab, tmp_path: Path) -> None:
    """A whole machine that left in order: its end, its VMs, and backwards into a guest's life."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv(RECORD, str(tmp_path))
        bench = Bench(lab.build, tmp_path / "logs", stack, "7", "test_guests")
        bench.boot("hello", options="when-done=exit").wait()
    line = ["gdb", "-q", "-nx", "-batch", str(tmp_path / "1/files/build/kern/denali")]
    line += ["-x", str(ROOT / "conf/gdb/denali.py"), "-x", str(ROOT / "conf/gdb/replay.py")]
    for command in ("denali vm 1", "hbreak gate_carry_out", "denali back", "denali vm", "denali vms"):
        line += ["-ex", command]
    told = {"DENALI_REPLAY": str(tmp_path / "1"), "DENALI_USER": str(lab.build.resolve() / "user")}
    done = subprocess.run(
        line, env={**os.environ, **told}, capture_output=True, text=True, timeout=120, check=False
    )
    assert "machine_exit (code=" in done.stdout, done.stdout + done.stderr
    assert re.search(r"vm 1: dead, hello, .*\n  ended last: terminated, status 0", done.stdout)
    before = done.stdout.rpartition("gate_carry_out (")[2]
    assert re.search(r"vm 1: running, hello", before), done.stdout + done.stderr


def test_an_empty_image_is_one(tmp_path: Path) -> None:
    """QEMU takes the made-up file for the disk image that it is."""
    make_qcow2(tmp_path / "image", 64 << 20)
    line = ["qemu-system-i386", "-display", "none", "-nodefaults", "-S", "-monitor", "stdio"]
    line += ["-drive", f"file={tmp_path / 'image'},format=qcow2,if=none,id=rr"]
    done = subprocess.run(
        line, input="savevm here\ninfo snapshots\nquit\n", capture_output=True, text=True, timeout=30
    )
    assert re.search(r"here +\S+ [KM]iB", done.stdout), done.stdout + done.stderr
