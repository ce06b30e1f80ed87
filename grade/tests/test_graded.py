# SPDX-License-Identifier: MIT
"""The grading judged by itself: a mark must not depend on the host, on luck, or on who runs beside.

Small made-up labs: each test writes graded tests of its own and grades the suite's own build.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from grade.graded.grading import GraderError, grade_tree
from grade.graded.results import GradingResult, read_result, write_json
from grade.harness.lab import Lab
from labs.course import Exercise, LabSpec

_HEAD = """
import os
from grade.graded.bench import Bench
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same
pytestmark = exercise("2.1")
"""

_HELLO = """
@points({points})
@rule("VMs run.", section="lab2.html#vms", breakpoint="guest_enter")
def test_a_guest_runs(bench: Bench) -> None:
    "It is what the kernel is for."
    machine = bench.boot("hello")
    machine.expect("^vm 1: terminated, status 0$")
"""


def _spec(*points: int, needs: tuple[str, ...] = ()) -> LabSpec:
    """A lab whose exercises 2.1, 2.2 ... are worth `points`; the last one needs `needs`."""
    exercises = tuple(
        Exercise(
            number=f"2.{number}",
            title=f"Exercise {number}",
            file=f"kern/file{number}.c",
            functions=(f"function_{number}",),
            points=worth,
            needs=needs if number == len(points) else (),
            hint=f"hint {number}",
            section=f"lab2.html#exercise-2-{number}",
        )
        for number, worth in enumerate(points, 1)
    )
    return LabSpec(2, "A made-up lab", "", exercises, {})


class Made:
    """A made-up lab in a folder, and the build that is graded with it."""

    def __init__(self, lab: Lab) -> None:
        self.folder = lab.folder() / "lab2"
        self.folder.mkdir()
        self.build = lab.build

    def add(self, text: str, number: int = 1) -> None:
        """Add a file of tests for exercise 2.`number`."""
        head = _HEAD.replace('"2.1"', f'"2.{number}"')
        (self.folder / f"test_2_{number}.py").write_text(head + text)

    def grade(
        self, *points: int, key: str = "c0ffee", jobs: int = 2, needs: tuple[str, ...] = ()
    ) -> GradingResult:
        """Grade the build; the exercises are worth `points`."""
        spec = _spec(*points, needs=needs)
        return grade_tree(
            self.build, 2, None, key, jobs, tests=self.folder, spec=spec,
            compiler=os.environ.get("DENALI_CC", "gcc"),
        )  # fmt: skip


@pytest.fixture
def made(lab: Lab) -> Made:
    """A made-up lab."""
    return Made(lab)


def _verdicts(result: GradingResult) -> dict[str, tuple[str, int]]:
    return {test.name: (test.verdict, test.points) for test in result.tests}


@contextmanager
def _both_cores_busy() -> Iterator[None]:
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(2)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


_MIXED = (
    _HELLO.format(points=3)
    + r"""
@points(4)
def test_what_is_drawn(bench: Bench) -> None:
    "Two gradings with one key draw the same."
    number = bench.rng.randrange(1 << 30)
    source = f'static int run(void) {{ say_number("drawn ", {number}); return 0; }}'
    machine = bench.boot(bench.program(source, count=3))
    machine.expect_all(*(f"vm {vm}: terminated" for vm in (1, 2, 3)))
    same("what the guests said", machine.serial.text().count(f"drawn {number}"), 3)
    same("the number that was drawn", number, -1)

@points(5)
def test_when_the_timer_comes(bench: Bench) -> None:
    "Instruction counting makes a run the same to the bit."
    source = "static int run(void) { idle(now() + 1234567); say_number(\"at \", (u32)now()); return 0; }"
    machine = bench.boot(bench.program(source))
    machine.expect("vm 1: terminated")
    same("what the clock said", machine.serial.lines(1), [])
"""
)


@pytest.mark.long
def test_two_gradings_give_the_same_also_on_a_busy_host(made: Made) -> None:
    """A mark that changes from run to run is no mark: not even what was seen may differ."""
    made.add(_MIXED)
    first = made.grade(12)
    with _both_cores_busy():
        second = made.grade(12)
    assert _verdicts(first) == _verdicts(second)
    assert [test.seen for test in first.tests] == [test.seen for test in second.tests]
    assert first.points == 3 and [test.verdict for test in first.tests] == ["pass", "fail", "fail"]


@pytest.mark.long
def test_the_key_decides_what_is_drawn_and_no_verdict(made: Made) -> None:
    """Secrets differ between gradings, and a replay with the key of one draws its secrets again."""
    made.add(_MIXED)
    first, other = made.grade(12, key="1"), made.grade(12, key="2")
    assert first.key == "1" and _verdicts(first) == _verdicts(other)
    assert first.tests[1].seen != other.tests[1].seen


@pytest.mark.long
def test_two_gradings_at_once_dont_disturb_each_other(made: Made) -> None:
    """A class is graded in parallel, and a student has two terminals."""
    made.add(_MIXED)
    alone = made.grade(12)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: made.grade(12), range(2)))
    for result in both:
        assert _verdicts(result) == _verdicts(alone)
        assert [test.seen for test in result.tests] == [test.seen for test in alone.tests]


@pytest.mark.long
def test_killed_qemu_is_infrastructure_and_loses_nothing_else(made: Made) -> None:
    """The host's trouble is never a mark against the code, and never takes other marks along."""
    made.add(
        _HELLO.format(points=3)
        + """
@points(4)
def test_killed(bench: Bench) -> None:
    machine = bench.boot("hello")
    machine.expect("isolation kernel")
    os.kill(machine.pid, 9)
    machine.expect("never")

@points(5)
def test_killed_while_memory_is_read(bench: Bench) -> None:
    machine = bench.boot("hello")
    machine.expect("isolation kernel")
    os.kill(machine.pid, 9)
    machine.spaces()
"""
    )
    result = made.grade(12)
    lost = ("infrastructure", 0)
    assert _verdicts(result) == {
        "test_a_guest_runs": ("pass", 3),
        "test_killed": lost,
        "test_killed_while_memory_is_read": lost,
    }
    assert "killed QEMU (signal 9)" in result.tests[1].message
    assert result.exercises[0].verdict == "infrastructure"


@pytest.mark.long
def test_what_could_not_be_judged_is_tried_again_alone(made: Made) -> None:
    """A host that had no time for a test while others ran may have it when they have ended."""
    made.add(
        _HELLO.format(points=3)
        + """
from pathlib import Path
@points(4)
def test_killed_twice(bench: Bench) -> None:
    tries = Path(__file__).with_suffix(".tries")
    with tries.open("a") as file:
        file.write("x")
    machine = bench.boot("hello")
    if tries.stat().st_size < 3:
        os.kill(machine.pid, 9)
    machine.expect("vm 1: terminated, status 0")
"""
    )
    assert _verdicts(made.grade(7)) == {
        "test_a_guest_runs": ("pass", 3),
        "test_killed_twice": ("pass", 4),
    }


@pytest.mark.host
def test_a_crash_is_a_crash_whatever_the_test_was_doing(made: Made) -> None:
    """QEMU's status 0 is a reset, never a success; and a harness that lost its machine to the
    kernel's crash has seen that crash, not trouble of its own."""
    made.add(
        """
@points(5)
def test_reset(bench: Bench) -> None:
    machine = bench.boot("hello")
    machine.expect("isolation kernel")
    machine.qmp.command("system_reset")
    machine.expect("never")

@points(5)
def test_reset_while_memory_is_read(bench: Bench) -> None:
    machine = bench.boot("hello")
    machine.expect("isolation kernel")
    machine.qmp.command("system_reset")
    while True:
        machine.spaces()
"""
    )
    result = made.grade(10)
    assert {verdict for verdict, _ in _verdicts(result).values()} == {"crash"}
    assert all("reset" in test.message for test in result.tests)


@pytest.mark.host
def test_a_test_that_takes_its_worker_down_scores_nothing(made: Made) -> None:
    """The table of points is made before anything runs, by a process that nothing runs in."""
    made.add(
        _HELLO.format(points=3)
        + """
@points(7)
def test_dies(bench: Bench) -> None:
    bench.boot("hello").expect("isolation kernel")
    os.kill(os.getpid(), 9)
"""
    )
    result = made.grade(10)
    assert _verdicts(result) == {"test_a_guest_runs": ("pass", 3), "test_dies": ("crash", 0)}
    assert (result.points, result.possible) == (3, 10)


@pytest.mark.host
def test_a_machine_that_sleeps_for_ever_is_told_at_once(made: Made) -> None:
    """Most wrong kernels hang: a student who waits 20 s for each of them stops asking."""
    made.add(
        """
@points(5)
def test_sleeps(bench: Bench) -> None:
    bench.boot("hello").expect("never", seconds=60)
"""
    )
    result = made.grade(5)
    assert result.tests[0].verdict == "timeout" and "nothing wakes it" in result.tests[0].message
    assert result.tests[0].seconds < 30


@pytest.mark.parametrize(
    ("text", "points", "what"),
    [
        (_HELLO.format(points=3), 4, "2.1: its tests are worth 3, not 4"),
        (_HELLO.format(points=3) + "def", 3, "SyntaxError"),
        (_HELLO.format(points=3) + 'pytestmark = exercise("9.9")', 3, "no exercise '9.9'"),
    ],
)
@pytest.mark.host
def test_a_wrong_table_of_points_is_an_error_not_a_mark(
    made: Made, text: str, points: int, what: str
) -> None:
    """A test that is lost by a slip of the staff's must not lower anybody's grade."""
    made.add(text)
    with pytest.raises(GraderError, match=what):
        made.grade(points)


_STUB = """
@points({points})
def test_reaches_a_stub(bench: Bench) -> None:
    says = "Lab 2, exercise {stub}: f is yours to write"
    source = 'static int run(void) {{ say("' + says + '"); return 7; }}'
    machine = bench.boot(bench.program(source))
    machine.expect("vm 1: terminated, status 0$")
"""


@pytest.mark.host
def test_what_isnt_written_is_told_apart_from_what_is_wrong(made: Made) -> None:
    """A wall of crashes says nothing to who has written one function of six."""
    made.add(_STUB.format(points=5, stub="2.1"), 1)
    made.add(_STUB.format(points=6, stub="2.1"), 2)
    made.add("@points(7)\ndef test_plain(bench: Bench) -> None:\n    holds(False, 'no')\n", 3)
    result = made.grade(5, 6, 7, needs=("2.1",))
    assert [e.verdict for e in result.exercises] == ["not written", "needs 2.1", "needs 2.1"]
    assert result.points == 0
    assert "function" not in result.tests[0].stub_text and "yours to write" in result.tests[0].stub_text


@pytest.mark.host
def test_a_failure_says_who_crossed_and_why(made: Made) -> None:
    """"Output didn't match" teaches nothing: the last crossings say who ran and why it left."""
    made.add(
        r"""
@points(5)
@rule("Say what you see.", section="lab2.html#x", breakpoint="gate_dispatch")
def test_sees(bench: Bench) -> None:
    "Why."
    source = 'static int run(void) { for (;;) say("again and again\\n"); return 0; }'
    machine = bench.boot("hello", bench.program(source))
    machine.expect(r"\[vm 2\] again")
    machine.qmp.command("stop")
    same("the answer", 41, 42)
"""
    )
    [test] = made.grade(5).tests
    assert (test.message, test.expected, test.seen) == ("the answer", "42", "41")
    assert (test.rule, test.section, test.breakpoint) == (
        "Say what you see.", "lab2.html#x", "gate_dispatch",
    )  # fmt: skip
    assert any(line.startswith("vm 2 left ring 3 at 0x2") for line in test.crossings)
    assert any("int 0x80" in line and "(" in line for line in test.crossings)
    assert any("again and again" in line for line in test.console)
    assert test.rerun == "make grade T=test_sees"


@pytest.mark.host
def test_a_panic_has_names(made: Made) -> None:
    """A backtrace is where the search for a kernel's error begins."""
    made.add(
        """
@points(5)
def test_panics(bench: Bench) -> None:
    machine = bench.boot()
    machine.expect("^denali> ")
    gdb = machine.gdb()
    gdb.set_registers(eip=0xFFC01000)
    gdb.detach()
    machine.serial.send("\\r")
    machine.expect("^never")
"""
    )
    [test] = made.grade(5).tests
    assert test.verdict == "crash" and test.message.startswith("panic: page fault in ring 0")
    assert any(" main+0x" in line for line in test.backtrace), test.backtrace


@pytest.mark.host
def test_nothing_of_the_users_own_changes_a_grade(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has told their own pytest to stop at the first failure must not lose points by it."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing --maxfail=1")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    made.add(_HELLO.format(points=3))
    assert made.grade(3).points == 3


@pytest.mark.host
def test_a_build_folder_may_have_any_name(made: Made) -> None:
    """QEMU's -initrd splits at spaces and commas; a student's home folder may have both."""
    place = made.folder.parent / "a b, c"
    place.symlink_to(made.build.resolve())
    made.build = place
    made.add(_HELLO.format(points=3))
    assert made.grade(3).points == 3


@pytest.mark.host
def test_a_kernel_cant_see_that_it_is_graded(made: Made) -> None:
    """Forgers look at names: those of a graded machine have the shape of make qemu's."""
    made.add(
        r"""
import re
@points(3)
def test_names(bench: Bench) -> None:
    machine = bench.boot(bench.program("static int run(void) { return 0; }", count=2))
    machine.expect("vm 2: terminated")
    same("the module's name", re.findall(r"vms 1 to 2: (build/user/[a-z]+-0),", machine.serial.text()) != [], True)
    same("the kernel's name", "-kernel build/kern/denali " in machine.command, True)
"""
    )
    assert made.grade(3).points == 3


@pytest.mark.host
def test_a_result_survives_its_file(made: Made, tmp_path: Path) -> None:
    """Everything is exported from the one file: what it doesn't hold is lost."""
    made.add(_HELLO.format(points=3))
    result = made.grade(3)
    result.build_output = "ünïcode, \x1b[31m and <b>"
    write_json(tmp_path / "lab2.json", result.to_json())
    assert read_result(tmp_path / "lab2.json") == result
    write_json(tmp_path / "old.json", {**result.to_json(), "schema": 0})
    with pytest.raises(ValueError, match="schema 0"):
        read_result(tmp_path / "old.json")
