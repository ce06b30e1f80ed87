# SPDX-License-Identifier: MIT
"""Exercise 3.2: `virq_deliver`, one call at a time against a model, and at every instruction of a guest.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from grade.graded.bench import Bench
from grade.graded.calls import Address, Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import same
from grade.lab3.sweeps import sweep
from grade.lab3.virqs import MASK, RUNNING, Records, State, state_at

pytestmark = exercise("3.2")

SECTION = "lab3.html#exercise-3-2"
FRAME = "edi esi ebp unused ebx edx ecx eax vector error eip cs eflags esp ss".split()
EAX, EIP, EFLAGS = FRAME.index("eax"), FRAME.index("eip"), FRAME.index("eflags")
TF, DF = 1 << 8, 1 << 10
GUEST = 0x200CD5  # EFLAGS_GUEST: CF PF AF ZF SF OF DF ID
PAGE_WORDS = 1024
ENABLE, HANDLER, SAVED_EIP, SAVED_EFLAGS, BITS = range(5)  # words of the register page
ROUNDS = 48


@dataclass
class Delivery:
    """One call: what was there, and where to look for what is there afterwards."""

    state: State
    frame: list[int]
    page: list[int]
    after: Address
    frame_after: Address
    page_after: Address


class Deliveries:
    """Calls of virq_deliver for made-up VMs."""

    def __init__(self, bench: Bench) -> None:
        self.records = Records(bench)
        self.made: list[Delivery] = []
        self.counter = self.records.counter("virq_delivered")

    def deliver(self, pending: bool, enabled: bool, in_idle: bool) -> None:
        """One with random registers, and a page that a guest has scribbled over."""
        rng, calls = self.records.rng, self.records.calls
        vm = self.records.record(1 + rng.randrange(8))
        state = State(RUNNING, rng.randrange(1, 32) if pending else 0, rng.getrandbits(32),
                      rng.getrandbits(32), rng.getrandbits(32), int(in_idle))  # fmt: skip
        frame = [rng.getrandbits(32) for _ in FRAME]
        page = [rng.getrandbits(32) for _ in range(PAGE_WORDS)]
        page[HANDLER] = rng.choice((page[HANDLER], 0, 4, 0xFFF, 0x40100000, 0xFFFFFFFF))
        page[ENABLE] = rng.choice((1, 1, 0x100, rng.getrandbits(32) | 1)) if enabled else 0
        content = calls.words(page, align=4096)
        calls.call("driver_set_vregs", vm, content)
        self.records.set(vm, state)
        registers = calls.call("driver_vm_regs", vm)
        calls.copy(registers, calls.words(frame), 4 * len(FRAME))
        calls.call("virq_deliver", vm)
        kept = calls.data(4 * len(FRAME))
        calls.copy(kept, registers, 4 * len(FRAME))
        self.made.append(Delivery(state, frame, page, self.records.get(vm), kept, content))


def upcall(one: Delivery) -> bool:
    """Whether it is one."""
    return one.state.pending != 0 and one.page[ENABLE] != 0


def model(one: Delivery) -> tuple[State, list[int], list[int]]:
    """Record, registers and page as they have to be afterwards."""
    state, frame, page = replace(one.state, in_idle=0), list(one.frame), list(one.page)
    if upcall(one):
        page[ENABLE], page[BITS] = 0, one.state.pending
        page[SAVED_EIP], page[SAVED_EFLAGS] = frame[EIP], frame[EFLAGS] & GUEST
        frame[EIP] = page[HANDLER]
        frame[EFLAGS] &= ~(TF | DF)
    elif one.state.pending and one.state.in_idle:
        frame[EAX] = one.state.pending
    else:
        return state, frame, page
    return replace(state, pending=0, delivered=(state.delivered + 1) & MASK), frame, page


def about(one: Delivery) -> str:
    """The case in words."""
    flag = "set" if one.page[ENABLE] else "clear"
    idle = ", in idle" if one.state.in_idle else ""
    return f"with bits {one.state.pending:#x} pending, the flag {flag}{idle}"


def check(one: Delivery, results: Results) -> None:
    """Compare everything with the model."""
    state, frame, page = model(one)
    same(f"the VM's record {about(one)}", state_at(results, one.after), state)
    found = results.words(one.frame_after, len(FRAME))
    for name, seen, wanted in zip(FRAME, found, frame):
        same(f"{name} of the VM {about(one)}", f"{seen:#x}", f"{wanted:#x}")
    content = results.words(one.page_after, PAGE_WORDS)
    for word, (seen, wanted) in enumerate(zip(content, page)):
        same(f"the word at {4 * word:#x} of its register page {about(one)}", f"{seen:#x}", f"{wanted:#x}")


@points(7)
@rule("An upcall saves EIP and EFLAGS in the register page, clears the flag, and enters the handler.",
      SECTION, "virq_deliver")  # fmt: skip
def test_an_upcall_is_an_interrupt_built_by_software(bench: Bench) -> None:
    """The guest's handler has to be able to put everything back as it was. Where it is, is the guest's
    word: who has a bad one ends by it, and doesn't live on out of everyone's reach."""
    deliveries = Deliveries(bench)
    for i in range(ROUNDS):
        deliveries.deliver(pending=True, enabled=True, in_idle=i % 3 == 0)
    last = deliveries.records.counter("virq_delivered")
    results = deliveries.records.calls.run()
    for one in deliveries.made:
        check(one, results)
    same("counter virq_delivered", results[last] - results[deliveries.counter], ROUNDS)


@points(5)
@rule("Without the flag bits stay pending; idle gives them back as its result.", SECTION, "virq_deliver")
def test_who_has_interrupts_off_is_left_alone(bench: Bench) -> None:
    """A critical section that is interrupted nevertheless isn't one."""
    deliveries = Deliveries(bench)
    for i in range(ROUNDS):
        deliveries.deliver(pending=i % 4 != 0, enabled=False, in_idle=i % 2 == 0)
        deliveries.deliver(pending=False, enabled=True, in_idle=i % 2 == 0)
    results = deliveries.records.calls.run()
    for one in deliveries.made:
        check(one, results)


@points(8)
@rule("An upcall between any two instructions changes no register and no flag.", SECTION, "virq_deliver")
def test_no_instruction_notices_an_upcall(bench: Bench) -> None:
    """An interrupt that changes a register once in a million times is the hardest bug there is."""
    sweep(bench, "grade", "between two instructions of the guest, with the grader's own handler")
