# SPDX-License-Identifier: MIT
"""The labs' text: it has every section that graders name, and shows what a machine shows.

A code block after `<!-- shown: STAGE LAB, boot|grade|monitor "COMMAND" -->` or
`<!-- gdb: STAGE LAB, GUEST=program VMS=n -->` (without: hello, if the stage has it) is compared with
what the tree of that stage does; STAGE is `reference` or `skeleton`. Its numbers may
be others, and "..." stands for anything.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from conf import rundir
from grade.harness.process import end, start
from labs.course import labs, load
from labs.stage import every_exercise, write_stage

pytestmark = pytest.mark.host

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = ROOT / "handouts"
MARK = re.compile(r"^<!-- (shown|gdb): (\w+) (\d)(?:, ([^>]+))? -->\n```[^\n]*\n:caption:[^\n]*\n(.*?)^```$",
                  re.MULTILINE | re.DOTALL)  # fmt: skip
NUMBER = re.compile(r"(?:0x)?(?=[0-9a-f]*[0-9])[0-9a-f]+")


@dataclass(frozen=True)
class Shown:
    """A code block, and where it comes from."""

    chapter: str
    kind: str  # gdb, boot, grade, or monitor "COMMAND"
    stage: str
    lab: int
    text: str
    settings: str = ""  # of a gdb block: NAME=value NAME=value


def _blocks() -> list[Shown]:
    return [
        Shown(path.name, kind, stage, int(lab), text, how)
        if kind == "gdb"
        else Shown(path.name, how, stage, int(lab), text)
        for path in sorted(TEXT.glob("lab*.md"))
        for kind, stage, lab, how, text in MARK.findall(path.read_text())
    ]


def _pattern(line: str) -> str:
    """A pattern for a line that is shown: other numbers will do, and "..." is anything."""
    words = (re.escape(part) for part in re.split(r"\.\.\.|@@", NUMBER.sub("@@", line.strip())))
    return ".*?".join(words)


@functools.cache
def _tree(stage: str, lab: int) -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """The tree of a stage, built; it goes with the process."""
    folder = tempfile.TemporaryDirectory()
    tree = Path(folder.name) / "tree"
    write_stage(tree, lab, every_exercise(lab) if stage == "skeleton" else ())
    _make(tree, "kernel", "programs")
    return tree, folder


def _make(tree: Path, *targets: str) -> str:
    drop = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VMS", "GUEST", "LAB", "ARGS")
    line = ["nice", "make", "-s", "-C", str(tree), "SETUP=no", *targets]
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    done = subprocess.run(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False, timeout=300, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def _console(tree: Path, command: str, wanted: list[str]) -> str:
    """What the console says after the boot and a command, until all that is wanted is there."""
    log = tree / "console.log"
    with open(log, "wb") as output:
        machine = start(
            [sys.executable, str(tree / "conf/run"), "qemu"], stdin=subprocess.PIPE,
            stdout=output, stderr=output, environment={**os.environ, "PROGRAMS": _programs(tree)},
        )  # fmt: skip
    try:
        deadline, asked = time.monotonic() + 60, False
        while time.monotonic() < deadline:
            said = log.read_text(errors="replace").replace("\r", "")
            if "denali> " in said and not asked and machine.stdin:
                machine.stdin.write(command.encode() + b"\r")
                machine.stdin.flush()
                asked = True
            if all(re.search(line, said) for line in wanted):
                break
            time.sleep(0.2)
        return said
    finally:
        end(machine)


def _programs(tree: Path) -> str:
    return " ".join(path.stem for path in (tree / "build/user").glob("*.elf"))


def _settings(tree: Path, words: str) -> dict[str, str]:
    programs = _programs(tree).split()
    found = {"GUEST": "hello"} if "hello" in programs else {}
    found |= dict(word.split("=", 1) for word in words.split())
    assert not found or found["GUEST"] in programs
    return found


def _gdb(tree: Path, commands: list[str], settings: str) -> str:
    """What gdb with the pack prints on a machine that stands before its first instruction."""
    machine = start(
        [sys.executable, str(tree / "conf/run"), "qemu-gdb"], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        environment={**os.environ, "PROGRAMS": _programs(tree), **_settings(tree, settings)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not (folder := rundir.newest(tree, "qemu-gdb")) or not (folder / "gdb").exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        line = ["gdb", "-q", "-nx", "-batch", str(tree / "build/kern/denali")]
        line += ["-ex", f"target remote {folder / 'gdb'}", "-x", str(tree / "conf/gdb/denali.py")]
        line += [word for command in [*commands, "kill"] for word in ("-ex", command)]
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False
        )
        return done.stdout + done.stderr
    finally:
        end(machine)


@pytest.mark.quick
def test_every_exercise_has_the_section_that_graders_name() -> None:
    """`make grade` sends a student there."""
    for lab in labs():
        spec = load(lab)
        for exercise in spec.exercises:
            page, _, anchor = exercise.section.partition("#")
            text = (TEXT / page.replace(".html", ".md")).read_text()
            head = f"({anchor})=\n### Exercise {exercise.number}: {exercise.title}\n\n"
            assert head in text, exercise.number
            section = text.split(head)[1].split("\n## ")[0]
            assert section.startswith(f"{exercise.points} points."), exercise.number
            assert f"`{exercise.file}`" in section, exercise.number
            for function in exercise.functions:
                assert f"`{function}`" in section, f"{exercise.number}: {function}"


@pytest.mark.quick
def test_every_lab_has_questions_a_rubric_and_a_challenge() -> None:
    """As many answers to judge as questions; the rubric is for the staff alone."""
    for lab in labs():
        text = (TEXT / f"lab{lab}.md").read_text()
        questions = re.findall(r"^\d\. ", text.split("\n## Questions\n")[1], re.MULTILINE)
        rubric = (ROOT / f"labs/lab{lab}/rubric.md").read_text()
        assert 2 <= len(questions) <= 5
        assert len(re.findall(r"^\d\. \*\*", rubric, re.MULTILINE)) == len(questions)
        assert "- **" in text.split("\n## Challenges\n")[1]


def test_the_text_of_a_lab_builds_in_its_tree_and_can_be_searched_and_printed(
    tmp_path: Path,
) -> None:
    """A student has only that tree; what later labs tell isn't in it, nor is the rubric."""
    write_stage(tmp_path / "tree", 1, every_exercise(1))
    _make(tmp_path / "tree", "handouts")
    _make(tmp_path / "tree", "handouts", "PRINT=1")
    pages = tmp_path / "tree/build/handouts"
    assert 'id="exercise-1-1"' in (pages / "lab1.html").read_text()
    assert not (pages / "lab2.html").exists() and not list((tmp_path / "tree").rglob("rubric*"))
    assert (pages / "search.html").exists()
    assert "memmap_us" in (pages / "searchindex.js").read_text()
    printed = (tmp_path / "tree/build/handouts-print/index.html").read_text()
    assert "Whose memory is it?" in printed and "The virtual architecture" in printed


@pytest.mark.parametrize("block", _blocks(), ids=lambda b: f"{b.chapter}-{b.kind}")
def test_a_machine_shows_what_the_labs_text_shows(block: Shown) -> None:
    """A reader who types what the text says sees what it shows."""
    tree, _ = _tree(block.stage, block.lab)
    prompt = "(gdb) " if block.kind == "gdb" else "denali> "
    lines = block.text.splitlines()
    commands = [line.removeprefix(prompt) for line in lines if line.startswith(prompt)]
    wanted = [_pattern(x) for x in lines if x.strip() and not x.startswith(prompt)]
    if block.kind == "gdb":
        said = _gdb(tree, commands, block.settings)
    elif block.kind == "grade":
        said = _make(tree, "grade")
    else:
        said = _console(tree, commands[0] if commands else "", wanted)
    missing, at = [], 0
    for line in wanted:  # gdb's answers come in the order of the questions
        found = re.search(line, said[at:])
        missing += [] if found else [line]
        at += found.end() if found and block.kind == "gdb" else 0
    assert wanted and not missing, f"{missing}\n{said[-4000:]}"
