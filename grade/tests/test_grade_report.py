# SPDX-License-Identifier: MIT
"""What `make grade` shows and remembers: it must help who is stuck, and never mislead."""

from __future__ import annotations

import re
import struct
import threading
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

import pytest

from conf.qemu import Module, Run
from grade.graded import crossings, submission
from grade.graded.bench import Bench
from grade.graded.explain import explain, printable
from grade.graded.history import History, read_history, write_history
from grade.graded.keepsake import keepsake
from grade.graded.report import HINT_FROM, WIDTH, Style, next_exercise, report
from grade.graded.results import ExerciseResult, GradingResult, TestResult
from grade.graded.versions import tool_warnings
from grade.graded.watch import CONSOLE, Watcher
from grade.harness.machine import Machine
from grade.harness.verdict import Wrong, holds, same

pytestmark = [pytest.mark.quick, pytest.mark.host]


def _exercise(number: str, points: int, possible: int, verdict: str) -> ExerciseResult:
    return ExerciseResult(
        number=number, title=f"The title of exercise {number}", file="kern/frame.c",
        functions=["frame_alloc"], section=f"lab1.html#exercise-{number}", hint="Think twice.",
        needs=[], possible=possible, points=points, verdict=verdict,
    )  # fmt: skip


def _test(exercise: str, name: str, points: int, verdict: str) -> TestResult:
    return TestResult(
        id=f"lab1/test.py::{name}", name=name, exercise=exercise, possible=points,
        points=points if verdict == "pass" else 0, verdict=verdict, breakpoint="frame_free",
        message="what went wrong " * 20, expected="7 frames", seen="8 frames",
        crossings=["vm 2 left ring 3 at 0x2014 (main+0x4): int 0x80"], rerun=f"make grade T={name}",
        replay=f"make replay TEST={name}",
    )  # fmt: skip


def _result(*tests: TestResult) -> GradingResult:
    exercises = []
    for number in sorted({test.exercise for test in tests}):
        mine = [test for test in tests if test.exercise == number]
        points, possible = sum(t.points for t in mine), sum(t.possible for t in mine)
        exercises.append(_exercise(number, points, possible, mine[0].verdict))
    return GradingResult(
        lab=1, title="Boot", key="c0ffee", grader="g", compiler="gcc 12.2.0", qemu="7.2.22",
        exercises=exercises, tests=list(tests),
    )  # fmt: skip


def test_a_failure_shows_what_was_expected_and_how_to_run_it_again() -> None:
    """"Output didn't match" is what other graders say."""
    text = report(_result(_test("1.2", "test_no_frame_twice", 5, "fail")), History())
    for part in (
        "1.2 no frame twice", "fail, 5 points", "expected    7 frames", "seen        8 frames",
        "vm 2 left ring 3 at 0x2014 (main+0x4): int 0x80", "lab1.html#exercise-1.2",
        "make grade T=test_no_frame_twice", "make replay TEST=test_no_frame_twice",
    ):  # fmt: skip
        assert part in text, text


def test_the_third_failed_try_brings_a_hint_and_a_breakpoint() -> None:
    """Help that comes at once is read instead of the code; help that never comes is worse."""
    result, history = _result(_test("1.2", "test_x", 5, "fail")), History()
    for _ in range(HINT_FROM - 1):
        assert "hint" not in report(result, history)
        history.note(result)
    text = report(result, history)
    assert "try 3" in text and "Think twice." in text and "break frame_free" in text
    history.note(_result(_test("1.2", "test_x", 5, "pass")))
    assert "hint" not in report(result, history)


def test_neither_a_stub_nor_the_hosts_trouble_is_a_try() -> None:
    """A hint for an exercise that nobody has begun would be given to everybody."""
    history = History()
    for verdict in ("not written", "needs 1.1", "infrastructure", "doesn't build"):
        history.note(_result(_test("1.2", "test_x", 5, verdict)))
    assert history.tries == {}


def test_the_gain_since_last_time_is_shown() -> None:
    """Progress that is seen is what keeps people at it."""
    history = History()
    history.note(_result(_test("1.1", "test_a", 5, "fail"), _test("1.2", "test_b", 7, "pass")))
    text = report(
        _result(_test("1.1", "test_a", 5, "pass"), _test("1.2", "test_b", 7, "pass")), history
    )
    assert re.search(r"1\.1 .* 5/5 +\+5 +pass", text) and "+5  since last time" in text
    text = report(_result(_test("1.1", "test_a", 5, "pass"), _test("1.2", "test_b", 7, "fail")), history)
    assert "-2  since last time" in text


def test_the_keepsake_draws_the_way_up() -> None:
    """Each grading that changed a lab's total is a point of the ridge, others are none."""
    history = History(points={"1.1": 1, "2.1": 9})
    for verdicts in (("fail", "pass"), ("fail", "pass"), ("pass", "pass")):
        result = _result(_test("1.1", "test_a", 5, verdicts[0]), _test("1.2", "test_b", 7, verdicts[1]))
        history.note(result)
    assert history.climb == {"1": [7, 12]}
    result.title, result.submission = "Boot <&> more", "c0ffee"
    drawn = keepsake(result, history.climb["1"])
    assert keepsake(result, history.climb["1"]) == drawn != keepsake(result, [12])
    texts = [element.text for element in ElementTree.fromstring(drawn).iter()]
    assert "Lab 1: Boot <&> more" in texts and "12 of 12 points, 2 steps up" in texts


def test_one_test_alone_changes_no_exercises_points() -> None:
    """`make grade T=NAME` would else seem to lose what the other tests had earned."""
    history = History(points={"1.2": 20})
    result = _result(_test("1.2", "test_x", 5, "pass"))
    result.exercises[0].whole = False
    history.note(result)
    assert history.points == {"1.2": 20} and "last time" not in report(result, history)


def test_history_survives_its_file_and_a_broken_one_is_empty(tmp_path: Path) -> None:
    """It decides what is shown, so nothing may end a grading for it."""
    path = tmp_path / "history.json"
    write_history(path, History({"1.1": 3}, {"t": 2}, {"1": [1, 3]}))
    assert read_history(path) == History({"1.1": 3}, {"t": 2}, {"1": [1, 3]})
    path.write_text('{"points": {"1.1": 3}, "tries": {}}')  # as an earlier version kept it
    assert read_history(path) == History({"1.1": 3})
    for text in ("", "[]", '{"points": 3}', '{"points": {"a": "b"}, "tries": {}}'):
        path.write_text(text)
        assert read_history(path) == History()


def test_the_next_exercise_is_one_that_can_be_begun() -> None:
    """Sending somebody to 2.2 whose 2.1 isn't there costs an evening."""
    result = _result(*(_test(n, f"test_{n}", 5, "fail") for n in ("1.1", "1.2", "1.3")))
    result.exercises[0].needs = ["1.2"]
    first = next_exercise(result)
    assert first is not None and first.number == "1.2"
    for exercise in result.exercises:
        exercise.points = exercise.possible
    assert next_exercise(result) is None
    assert "every point of it" in report(result, History())


def test_who_only_waits_is_not_sent_there_again() -> None:
    """Nothing can be done in 1.1 while 1.3 isn't there: the report says so and goes on to 1.3."""
    tests = [_test("1.1", "test_a", 3, "pass"), _test("1.1", "test_b", 2, "needs 1.3")]
    tests += [_test("1.2", "test_c", 5, "needs 1.3"), _test("1.3", "test_d", 5, "not written")]
    result = _result(*tests)
    first = next_exercise(result)
    assert first is not None and first.number == "1.3"
    text = report(result, History())
    assert re.search(r"waits +1\.1 .*: 2 points, for 1\.3", text) and "waits       1.2" not in text
    result.exercises[2].needs = ["1.1", "1.2"]  # of those nothing but 1.2 isn't begun, and it waits
    first = next_exercise(result)
    assert first is not None and first.number == "1.3"


def test_an_earlier_labs_exercise_comes_first() -> None:
    """Lab 2 can't be begun on a lab 1 whose stubs still stand: say so, and where to go."""
    text = report(_result(_test("2.1", "test_a", 5, "needs 1.2")), History())
    assert "next        1.2, which 2.1 can't do without" in text
    assert "make grade LAB=1 EX=1.2" in text and "write" not in text


def test_what_waits_for_another_exercise_isnt_told_as_a_failure() -> None:
    """A wall of crashes hides the one failure that is there."""
    tests = [_test("1.2", f"test_{i}", 1, v) for i, v in enumerate(("not written", "needs 1.1"))]
    text = report(_result(*tests), History())
    assert "expected" not in text and "not written" in text


def test_every_failure_is_named_and_the_first_few_are_told() -> None:
    """Twenty screens are read by nobody, but nothing may be left out either."""
    result = _result(*(_test("1.2", f"test_number_{i}", 1, "fail") for i in range(9)))
    text, full = report(result, History()), report(result, History(), every=True)
    for i in range(9):
        assert f"number {i}" in text and f"make grade T=test_number_{i}" in full
    assert "make grade EX=1.2" in text and text.count("expected") < full.count("expected") == 9


@pytest.mark.parametrize("style", [Style(), Style(colour=True, blocks=True)])
def test_the_report_fits_a_terminal_and_says_all_without_colour(style: Style) -> None:
    """Whoever can't see green from red, or pipes it to a file, reads the same words."""
    result = _result(
        _test("1.1", "test_a_name_that_is_rather_long_and_goes_on_and_on_for_ever_more", 5, "crash"),
        _test("1.2", "test_b", 7, "pass"),
    )
    result.warnings = ["you changed " + ", ".join(f"kern/file{i}.c" for i in range(20))]
    before = History({"1.1": 100, "1.2": 0}, {test.id: 5 for test in result.tests})
    text = re.sub(r"\x1b\[\d+m", "", report(result, before, style))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "crash" in text and re.search(r"7/7 .*pass", text)
    assert ("\x1b" in report(result, History(), style)) == style.colour


def test_a_tree_that_doesnt_build_shows_what_the_compiler_said() -> None:
    """A compile error is the student's to read, not a traceback of the grader's."""
    result = _result(_test("1.1", "test_a", 5, "doesn't build"))
    result.built, result.tests = False, []
    result.build_output = "kern/frame.c:3:1: error: expected ';'\n" * 60
    text = report(result, History())
    assert "it doesn't build" in text and "kern/frame.c:3:1: error" in text and "35 lines more" in text


def test_nothing_a_kernel_prints_reaches_the_terminal_as_a_command() -> None:
    """A submission's output could else clear the screen, or write marks where there are none."""
    hostile = "a\x1b[2J\x1b]0;title\x07\r\x9b31mb\u202e\u2028c\x00"
    assert printable(hostile) == "a?[2J?]0;title???31mb??c?"
    assert printable("straße ‘quoted’ 日本") == "straße ‘quoted’ 日本"
    assert len(printable("x" * 10000, 100)) < 120


def test_wrong_carries_both_sides() -> None:
    """What a test compares is what its reader wants to see, at the place where it differs."""
    with pytest.raises(Wrong) as caught:
        same("the words", [*range(50), 7, 8], list(range(52)))
    assert "they part at [50]" in caught.value.what
    assert caught.value.seen == "[..., 46, 47, 48, 49, 7, 8], 52 in all"
    with pytest.raises(Wrong) as caught:
        holds(False, "it is so", expected=4096, seen=b"\x01\x02")
    assert (caught.value.expected, caught.value.seen) == ("4096 (0x1000)", "2 bytes, from [0]: 01 02")
    same("equal", 1, 1)
    holds(True, "so it is")


class _Noisy:
    """A machine whose console has more than a kernel may print."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.pid = 0
        self.run = Run()
        self.killed = threading.Event()
        with log.open("wb") as file:
            file.truncate(CONSOLE + 1)

    def running(self) -> bool:
        """Until it is killed."""
        return not self.killed.is_set()

    def kill(self) -> None:
        """Note it."""
        self.killed.set()


def test_a_kernel_that_prints_without_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would else fill the disk of the machine that grades a whole class."""
    monkeypatch.setattr("grade.graded.watch.Memory", lambda *_: object())
    noisy = _Noisy(tmp_path / "console")
    watcher = Watcher(cast(Machine, noisy), None)
    assert noisy.killed.wait(20) and "printed more than 32 MB" in watcher.flooded


def test_what_cant_be_explained_is_still_a_verdict() -> None:
    """A hostile kernel's symbols or tables may be anything: no text of its ends a grading."""

    class Broken:
        """A bench whose machines can't be read."""

        @property
        def machines(self) -> None:
            raise struct.error("a table without end")

    told = explain(Wrong("the frames", "7", "8"), cast(Bench, Broken()))
    assert "the frames" in told.message and "no more can be told" in told.message


_RECORD = b"""Servicing hardware INT=0x61
     7: v=61 e=0000 i=0 cpl=0 IP=0008:40102ac2 pc=40102ac2 SP=0010:40118ff0 env->regs[R_EAX]=0
CR0=8001003f CR2=00000000 CR3=00010000 CR4=00300894
check_exception old: 0xffffffff new 0xe
     8: v=0e e=0007 i=0 cpl=3 IP=001b:00002014 pc=00002014 SP=0023:00006fc0 CR2=00000004
EAX=00000003 EBX=00006feb ECX=00000004 EDX=00000000
CR0=8001003f CR2=00000004 CR3=02292000 CR4=00300894
     9: v=80 e=0000 i=1 cpl=3 IP=001b:000020cb pc=000020cb SP=0023:00006fc0 env->regs[R_EAX]=2
CR0=8001003f CR2=00000004 CR3=02293000 CR4=00300894
    10: v=80 e=0000 i=1 cpl=3 IP=001b:000020"""


def test_crossings_are_read_from_qemus_record() -> None:
    """The order of crossings is the schedule: a line that is misread is a wrong explanation."""
    found = list(crossings.parse(_RECORD))
    nobody = crossings.Symbols(Path("/nonexistent"))
    owners = {0x2292000: 2}
    assert [crossings.in_words(c, owners.get, nobody, {}) for c in found] == [
        "kernel, ring 0, at 0x40102ac2: interrupt of the timer",
        "vm 2 left ring 3 at 0x2014: page fault (address 0x4, error 0x7)",
        "space 0x2293000 left ring 3 at 0x20cb: int 0x80",
    ]


class _Named(crossings.Symbols):
    def name(self, address: int) -> str:
        """Of a program with one function."""
        return "main" if address < 0x2100 else ""


def test_a_guest_that_has_ended_is_named_by_its_program() -> None:
    """Its space is gone by then; where all VMs run one program, that is what it ran."""
    crossing = list(crossings.parse(_RECORD))[-1]
    one, two = _Named(Path("/nonexistent")), _Named(Path("/nonexistent"))
    words = [crossings.in_words(crossing, lambda _: None, one, g) for g in ({1: one, 2: one}, {1: one, 2: two})]
    assert words[0] == "space 0x2293000 left ring 3 at 0x20cb (main): int 0x80"
    assert words[1] == "space 0x2293000 left ring 3 at 0x20cb: int 0x80"
    modules = (Module("a/x"), Module("a/disk", words=("ramdisk",)), Module("a/y", 2))
    assert list(crossings.guests_of(modules, Path("/nonexistent"))) == [1, 2, 3]


def test_a_changed_staff_file_is_noticed_and_isnt_the_submission(tmp_path: Path) -> None:
    """The course's grader uses its own: a student must hear it before the deadline, not after."""
    (tmp_path / "kern").mkdir()
    (tmp_path / "labs").mkdir()
    (tmp_path / "kern/main.c").write_text("main")
    (tmp_path / "kern/gone.c").write_text("gone")
    sums = {name: submission._checksum(tmp_path / name) for name in ("kern/main.c", "kern/gone.c")}
    (tmp_path / submission.STAFF_LIST).write_text("".join(f"{v}  {k}\n" for k, v in sums.items()))
    assert submission.changed_staff_files(tmp_path) == []
    (tmp_path / "kern/mine.c").write_text("int mine;")
    (tmp_path / "kern/local.h").write_text("")
    assert submission.owned_files(tmp_path, 1) == ["kern/local.h", "kern/mine.c"]
    before = submission.submission_hash(tmp_path, 1)
    (tmp_path / "kern/main.c").write_text("changed")
    (tmp_path / "kern/gone.c").unlink()
    assert submission.changed_staff_files(tmp_path) == ["kern/main.c", "kern/gone.c"]
    assert submission.submission_hash(tmp_path, 1) == before
    (tmp_path / "kern/mine.c").write_text("int yours;")
    assert submission.submission_hash(tmp_path, 1) != before


def test_other_tools_than_the_courses_are_named() -> None:
    """Another compiler may change a result: who gets one must know that this is why."""
    assert tool_warnings("gcc 12.2.0", "7.2.22") == [] == tool_warnings("clang 14.0.6", "7.2.1")
    assert tool_warnings("gcc 13.1.0", "8.0.0") == [
        "gcc 13.1.0 here; the course grades with gcc 12.2",
        "qemu 8.0.0 here; the course grades with qemu 7.2",
    ]
