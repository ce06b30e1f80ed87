# SPDX-License-Identifier: MIT
"""The build: what a change rebuilds, what help lists, and the rules of labs/files.toml.

Each works on a copy of the tree, so that the tree under test stays as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from grade.harness.lab import Lab

pytestmark = pytest.mark.host


@pytest.fixture
def tree(lab: Lab) -> Path:
    """A copy of what git has."""
    copy = lab.folder() / "tree"
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if Path(name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, copy / name)
    return copy


def _make(tree: Path, *words: str) -> list[str]:
    """Run make in `tree`; the files that it compiled."""
    environ = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "CC", "O")}
    line = ["make", "--no-print-directory", "SETUP=no", *words]
    result = subprocess.run(line, cwd=tree, capture_output=True, text=True, env=environ)
    assert result.returncode == 0, result.stdout + result.stderr
    return re.findall(r"^ +(?:CC|AS) +(\S+)", result.stdout, re.MULTILINE)


def test_change_rebuilds_what_it_must_and_no_more(tree: Path) -> None:
    """A build that forgets a file tests yesterday's kernel; one that rebuilds all is not used."""
    everything = _make(tree, "kernel")
    assert len(everything) > 20 and _make(tree, "kernel") == []
    (tree / "kern/frame.c").touch()
    assert _make(tree, "kernel") == ["kern/frame.c"]
    (tree / "kern/frame.h").touch()
    users = _make(tree, "kernel")
    assert "kern/frame.c" in users and 1 < len(users) < len(everything)
    staged = _make(tree, "kernel", "LAB=1")
    assert len(staged) > 10 and set(staged) < set(everything), "other flags must rebuild everything"


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_the_first_build_keeps_what_it_unpacked(tree: Path, jobs: str) -> None:
    """make counts a source that a rule brings as intermediate, and used to remove it: the
    next build had no lwIP."""
    shutil.copytree("build/lwip-download", tree / "build/lwip-download")
    sources = [f"core/{name}" for name in ("def", "ip", "ipv4/icmp")]
    objects = [f"build/lwip-obj/{source}.o" for source in sources]
    assert len(_make(tree, jobs, *objects)) == 3
    assert all((tree / f"build/lwip/src/{source}.c").is_file() for source in sources)
    assert _make(tree, jobs, *objects) == []


def test_help_lists_every_target(tree: Path) -> None:
    """A target that help doesn't show is known to its author alone."""
    fragments = [tree / "GNUmakefile", *tree.glob("*/Makefrag"), *tree.glob("*/*/Makefrag")]
    text = "\n".join(path.read_text() for path in fragments)
    listed = set(re.findall(r"^([a-z][a-z-]*):[^=\n]*## ", text, re.MULTILINE))
    named = set(re.findall(r"[a-z][a-z-]+", " ".join(re.findall(r"^\.PHONY: (.*)$", text, re.M))))
    shown = subprocess.run(
        ["make", "SETUP=no", "help"], cwd=tree, capture_output=True, text=True
    ).stdout
    for target in listed:
        assert re.search(rf"^ +{target}\b", shown, re.MULTILINE), f"help doesn't show {target}"
    internal = {"check-core", "check-long", "demo-images"}  # what another target calls
    assert {name for name in named if not name.startswith("check-stage")} - listed <= internal


def _check(tree: Path) -> str:
    return subprocess.run(
        ["labs/check", str(tree)], capture_output=True, text=True
    ).stderr


def test_labs_check_sees_every_broken_rule(tree: Path) -> None:
    """The course's branches are generated from this list: a file that nobody owns would be in no
    student's tree."""
    assert _check(tree) == ""
    (tree / "kern/stray.c").write_text("int x;\n")
    assert "kern/stray.c: no lab owns it" in _check(tree)
    (tree / "kern/stray.c").unlink()
    (tree / "kern/frame.c").rename(tree / "kern/moved")
    assert "kern/frame.c: listed, but not there" in _check(tree)
    (tree / "kern/moved").rename(tree / "kern/frame.c")
    with open(tree / "kern/frame.c", "a") as file:
        file.write('#if LAB >= 3\n#endif\n#include "kern/cow.h"\n')
    assert "kern/frame.c: `#if LAB`" in _check(tree)
    assert "kern/frame.c: lab 1 includes kern/cow.h of lab 7" in _check(tree)
