# SPDX-License-Identifier: MIT
"""labs/check on exercises: each rule about holes is broken once, and told."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.host
ROOT = Path(__file__).resolve().parent.parent.parent
Edit = Callable[[str, str, str], None]  # file, old text, new text
LAB1, LAB2 = "labs/lab1/lab.toml", "labs/lab2/lab.toml"


def check(tree: Path) -> str:
    """What labs/check says of a tree."""
    line = [str(ROOT / "labs/check"), str(tree)]
    return subprocess.run(line, capture_output=True, text=True, check=False).stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and the course's data; each test leaves them as they were."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("kern", "lib", "ilwaco", "user"):
        shutil.copytree(ROOT / folder, copy / folder)
    (copy / "labs").mkdir()
    shutil.copy(ROOT / "labs/files.toml", copy / "labs")
    for lab in ROOT.glob("labs/lab?"):
        (copy / "labs" / lab.name).mkdir()
        shutil.copy(lab / "lab.toml", copy / "labs" / lab.name)
        if (lab / "skeleton").exists():
            shutil.copytree(lab / "skeleton", copy / "labs" / lab.name / "skeleton")
    assert check(copy) == ""
    return copy


@pytest.fixture
def edit(tree: Path) -> Iterator[Edit]:
    """A function that changes a text of the tree, which is put back in the end."""
    before: dict[Path, str] = {}

    def change(name: str, old: str, new: str) -> None:
        path = tree / name
        text = before.setdefault(path, path.read_text())
        assert old in text, f"{name} has no {old}: the test breaks nothing"
        path.write_text(text.replace(old, new, 1))

    yield change
    for path, text in before.items():
        path.write_text(text)


BROKEN = {
    "points": (LAB1, "points = 15", "points = 14", f"{LAB1}: 99 points, not 100"),
    "numbers": (LAB1, '"1.6"', '"1.7"', f"{LAB1}: the exercises are numbered 1.1, 1.2, 1.3, 1.4, 1.5, 1.7"),
    "needs": (LAB2, 'needs = ["2.1"]', 'needs = ["2.9"]', f"{LAB2}: 2.2 needs 2.9, which isn't there"),
    "later needs": (LAB2, 'needs = ["2.1"]', 'needs = ["3.1"]', f"{LAB2}: 2.2 needs 3.1, which isn't there"),
    "circle": (LAB2, 'needs = ["2.1"]', 'needs = ["2.8"]', f"{LAB2}: 2.2 needs itself"),
    "gone": (LAB1, "kern/kmap.c", "kern/kmapp.c", "kern/kmapp.c: has a hole, but isn't there"),
    "other lab's": (LAB1, "kern/kmap.c", "kern/door.c", "kern/door.c: holes of lab 1 and of lab 2"),
    "later file": (LAB1, "kern/kmap.c", "kern/vmlist.c", "kern/vmlist.c: a hole of lab 1, but a file of lab 2"),
    "dispatcher": (LAB1, "kern/kmap.c", "kern/main.c", "kern/main.c: a hole in a file that isn't the same"),
    "no function": (LAB1, '"frame_free"', '"frame_fre"', "kern/frame.c: 0 functions frame_fre, not one"),
    "two exercises": (LAB2, '["space_destroy"]', '["space_map"]', "space_map is the hole of 2 exercises"),
    "no entry": (LAB1, '"trap_entry"', '"trap_entrance"', "kern/trapentry.S: no ENTRY(trap_entrance)"),
    "cut unknown": (LAB1, '"timer_ticks"', '"timer_tocks"', "kern/clock.c: no timer_tocks to cut"),
    "cut public": (LAB1, '"timer_ticks"', '"clock_now"', "clock_now is cut, but others may use it"),
    "cut elsewhere": (LAB1, '"kern/clock.c" = [', '"kern/uart.c" = [', f"{LAB1}: cuts kern/uart.c, which has no hole"),
    "skeleton": (LAB2, "user/attack.c", "user/hello.c", "user/hello.c: a whole file without labs/lab2/skeleton"),
    "whole and part": (LAB1, '["frame_alloc", "frame_free"]', "[]", "kern/frame.c: a whole file without"),
    "static": ("kern/frame.c", "void\nframe_free(", "static void\nframe_free(", "kern/frame.c: frame_free is static"),
    "condition": ("kern/gate.c", "gate_dispatch(struct vm *vm)\n{\n", "gate_dispatch(struct vm *vm)\n{\n#ifdef A\n#endif\n", "kern/gate.c: #if inside gate_dispatch"),
    "assembly": ("kern/trapentry.S", "ENTRY(trap_entry)\n", "ENTRY(trap_entry)\n#if A\n#endif\n", "#if inside trap_entry"),
    "macro": ("kern/gate.c", "gate_dispatch(struct vm *vm)", "MAKE(gate_dispatch)", "functions gate_dispatch, not one"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_told(tree: Path, edit: Edit, case: str) -> None:
    """A hole that can't be cut, or that the next lab changes, would show in a student's tree only."""
    name, old, new, told = BROKEN[case]
    edit(name, old, new)
    assert told in check(tree)
