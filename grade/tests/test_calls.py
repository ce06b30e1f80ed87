# SPDX-License-Identifier: MIT
"""The grader's driver and its tables of calls: what every test of lab 1 relies on."""

from __future__ import annotations

import pytest

from grade.graded.bench import Bench
from grade.graded.calls import Calls, wide
from grade.harness.memory import KERNEL_BASE
from grade.harness.verdict import Crashed, TimedOut, Wrong

pytestmark = pytest.mark.quick


def test_results_and_places_are_arguments_of_later_calls(bench: Bench) -> None:
    """A table is a program: without this, no more than pure functions could be judged."""
    calls = Calls(bench)
    text = calls.data(b"abcdef\0")
    copy = calls.data(16)
    to = calls.call("memcpy", copy, text + 1, 6)
    length = calls.call("strlen", to)
    found = calls.call("strchr", to + 1, ord("f"))
    calls.store(found, length)
    results = calls.run()
    assert results[to] == results.at(copy) and results[length] == 5
    assert results.read(copy, 9) == b"bcde\x05\0\0\0\0"


def test_words_of_the_data_may_point_into_it(bench: Bench) -> None:
    """Lists and stacks are made of pointers; where the table will lie, nobody knows before."""
    calls = Calls(bench)
    target = calls.words([0xFEED])
    pointer = calls.data(4)
    calls.point(pointer, target)
    word = calls.load(calls.load(pointer))
    results = calls.run()
    assert results[word] == 0xFEED and results.word(pointer) == results.at(target)


def test_64_bits_go_in_and_come_out(bench: Bench) -> None:
    """Time is 64 bits wide."""
    far = bench.rng.getrandbits(62)
    calls = Calls(bench)
    calls.call("driver_map")
    calls.call("lapic_init")
    rates = calls.words([10**6, 10**6, 0, 0, 1 << 24])  # a tick is a nanosecond
    calls.copy(calls.address("clock_rates"), rates, 20)
    deadline = calls.call("driver_arm_in", wide(far))
    after = calls.call("driver_counter")
    calls.call("timer_arm", *deadline.both)
    results = calls.run()
    assert 0 < results.wide(after) - (results.wide(deadline) - far) < 1000
    armed = results.read(calls.address("timer_deadline"), 8)
    assert int.from_bytes(armed, "little") == results.wide(deadline)


def test_a_crash_says_in_which_call(bench: Bench) -> None:
    """A student sees what was called, with what, and the panic's backtrace."""
    calls = Calls(bench)
    calls.call("strlen", calls.data(b"\0"))
    calls.call("frame_free", 0x5000)
    with pytest.raises(Crashed, match=r"in call 2: frame_free\(0x5000\).*(?s:.*)frame_free\+"):
        calls.run()


def test_a_panic_that_must_come_is_no_crash(bench: Bench) -> None:
    """What came before it stays readable; a kernel that goes on instead is wrong."""
    calls = Calls(bench)
    length = calls.call("strlen", calls.data(b"four\0"))
    calls.call("frame_free", 0)
    results = calls.run(panics="here")
    assert results[length] == 4 and results.made == 1
    calls = Calls(bench)
    calls.call("strlen", calls.data(b"\0"))
    with pytest.raises(Wrong, match="must panic"):
        calls.run(panics="here")


def test_a_call_that_never_returns_is_a_timeout(bench: Bench) -> None:
    """And it is said which."""
    calls = Calls(bench)
    calls.call(calls.data(b"\xeb\xfe"))  # jmp to itself
    with pytest.raises(TimedOut, match="in call 1: data"):
        calls.run(seconds=0.5)


def test_a_missing_function_is_the_students_fault(bench: Bench) -> None:
    """Who renames a function reads its name, not a traceback."""
    with pytest.raises(Wrong, match="frame_allocate"):
        Calls(bench).call("frame_allocate", 1, 0)


def test_two_runs_are_the_same_to_the_tick(bench: Bench) -> None:
    """A verdict about time must be the same on every machine, at every load."""
    seen = []
    for _ in range(2):
        calls = Calls(bench)
        ticks = [calls.call("driver_counter") for _ in range(50)]
        results = calls.run()
        seen.append([results.wide(tick) for tick in ticks])
    assert seen[0] == seen[1] and len(set(seen[0])) == 50


def test_the_whole_kernel_is_there_before_the_first_call(bench: Bench) -> None:
    """Later labs call functions that want VMs: kern/main.c makes them, up to its loop."""
    calls = Calls(bench, whole=True, memory=128, modules=("hello",))
    frame = calls.call("frame_alloc", 1, 1)
    calls.store(frame + KERNEL_BASE, 0x12345678)
    results = calls.run()
    assert results.word(results[frame] + KERNEL_BASE) == 0x12345678
    assert "1 of 1 started" in results.machine.serial.text()


def test_a_kernel_that_writes_over_code_is_no_witness(bench: Bench) -> None:
    """The driver's own code lies there: who changes that makes it say anything."""
    calls = Calls(bench)
    calls.store(calls.address("driver_counter"), 0xC3C3C3C3)
    with pytest.raises(Wrong, match="code or constants"):
        calls.run()
