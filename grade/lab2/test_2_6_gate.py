# SPDX-License-Identifier: MIT
"""Exercise 2.6: `gate_dispatch`, with instructions of the grader's own, and by guests that try it.

In the kernel that makes calls, some numbers belong to instructions that note how they were called.
"""

from __future__ import annotations

from dataclasses import dataclass

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Result, Results
from grade.graded.marks import exercise, points, rule
from grade.harness.verdict import holds, same
from grade.lab2.vms import E_NOSYS, E_PERM, Witness, endings, run_out

pytestmark = exercise("2.6")

SECTION = "lab2.html#exercise-2-6"
SUPERVISOR, COUNT = 16, 29  # VI_SUPERVISOR, VI_COUNT
OURS = (1, 5, 9, 15)  # grade/driver/vms.c registers these
PRIVILEGED = (16, 21, 28)
KERNELS = (2, 3)  # terminate, console_write: not called here
FRAME = "edi esi ebp unused ebx edx ecx eax vector error eip cs eflags esp ss".split()
EAX = FRAME.index("eax")
_PROBE = 17 * 4  # bytes of struct driver_probe: number, vm, 15 registers


@dataclass(frozen=True)
class Dispatch:
    """One call of gate_dispatch: who asked for what, with which registers; what came of it."""

    vm: int
    number: int
    result: int
    before: list[int]
    after: Address
    probes: Result


class Gate:
    """A gate that has gathered its instructions, in a table of calls."""

    def __init__(self, bench: Bench) -> None:
        self.rng, self.calls = bench.rng, Calls(bench, record=False)
        self.calls.call("gate_init")
        self._vms = {vm: self.calls.call("driver_vm", vm, 1 << 20) for vm in (0, 1, 7)}
        self.made: list[Dispatch] = []

    def dispatch(self, vm: int, number: int) -> None:
        """Let a VM ask for `number`, with random registers and a random result."""
        before = [self.rng.getrandbits(32) for _ in FRAME]
        before[EAX] = number
        result = self.rng.choice((0, 1, -1, -6, self.rng.randrange(-1000, 1 << 31)))
        registers = self.calls.call("driver_vm_regs", self._vms[vm])
        self.calls.copy(registers, self.calls.words(before), 4 * len(FRAME))
        self.calls.store(self.calls.address("driver_probe_result"), result)
        self.calls.call("gate_dispatch", self._vms[vm])
        self.calls.remark(f"with {number:#x} in eax of VM {vm}")
        after = self.calls.data(4 * len(FRAME))
        self.calls.copy(after, registers, 4 * len(FRAME))
        probes = self.calls.load(self.calls.address("driver_probe_count"))
        self.made.append(Dispatch(vm, number, result, before, after, probes))


    def dispatch_behind(self, table: int) -> None:
        """The same with the first number behind the last, while the word behind the kernel's table
        of instructions is one that could be called."""
        behind, kept = table + 4 * COUNT, self.calls.words([0])
        self.calls.copy(kept, behind, 4)
        self.calls.copy(behind, table + 4 * OURS[0], 4)
        for vm in self._vms:
            self.dispatch(vm, COUNT)
        self.calls.copy(behind, kept, 4)


def expected(one: Dispatch) -> tuple[int, bool]:
    """The model: eax afterwards, and whether an instruction was carried out."""
    if SUPERVISOR <= one.number < COUNT and one.vm != 0:
        return E_PERM, False
    if one.number in (*OURS, *PRIVILEGED):
        return one.result, True
    return E_NOSYS, False


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def check(gate: Gate, results: Results) -> int:
    """All dispatches against the model. Gives how many instructions were carried out."""
    carried = 0
    for one in gate.made:
        what = f"gate_dispatch for VM {one.vm} with number {one.number:#x}"
        value, runs = expected(one)
        carried += runs
        after = results.words(one.after, len(FRAME))
        same(f"eax after {what}", _signed(after[EAX]), value)
        for name, was, now in zip(FRAME, one.before, after):
            if name != "eax":
                same(f"{name} after {what}", now, was)
        same(f"instructions carried out so far, after {what}", results[one.probes], carried)
    return carried


@points(4)
@rule(
    "A number leads to its instruction, which is carried out once; its result is in eax.",
    section=SECTION,
    breakpoint="gate_dispatch",
)
def test_each_number_leads_to_its_instruction(bench: Bench) -> None:
    """The gate is the one way in: what it calls, and for whom, is what a guest can do."""
    gate = Gate(bench)
    asked = [(vm, number) for vm in (1, 7, 0) for number in OURS]
    asked += [(0, number) for number in PRIVILEGED] * 2
    bench.rng.shuffle(asked)
    for vm, number in asked:
        gate.dispatch(vm, number)
    results = gate.calls.run()
    check(gate, results)
    log = gate.calls.address("driver_probes")
    for i, one in enumerate(gate.made):
        words = results.words(log + _PROBE * i, 17)
        what = f"carried out as {i + 1}., for VM {one.vm} with number {one.number}"
        same(f"instruction and VM that were {what}", words[:2], [one.number, one.vm])
        same(f"the VM's registers when it was {what}", words[2:], one.before)


@points(4)
@rule(
    "Any other number is refused, and nothing has changed but eax; the supervisor's are its alone.",
    section=SECTION,
    breakpoint="gate_dispatch",
)
def test_every_other_number_is_refused(bench: Bench) -> None:
    """A number from a guest that is used as an index before it is compared is a call to anywhere."""
    gate, rng = Gate(bench), bench.rng
    numbers = [n for n in range(64) if n not in (*OURS, *KERNELS)]
    numbers += [0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFFFE, 0x40000001, 0x20000005]
    numbers += [1 << 30 | n for n in (OURS[1], 16)] + [0x100 + OURS[1], 0x10000 + OURS[2], 0xFFFFFFF0]
    numbers += [rng.randrange(COUNT, 1 << 32) for _ in range(40)] + [(1 << 32) - n for n in range(1, 40)]
    rng.shuffle(numbers)
    for number in numbers:
        gate.dispatch(rng.choice((1, 7)), number)
        if number not in PRIVILEGED:
            gate.dispatch(0, number)
        if rng.random() < 0.3:  # the control: what is good still works in between
            gate.dispatch(rng.choice((1, 7)), rng.choice(OURS))
    table = gate.calls.kernel.symbols.get("instructions")  # static: by another name, or none
    if table and table.size == 4 * COUNT:
        gate.dispatch_behind(table.address)
    results = gate.calls.run()
    holds(check(gate, results) > 10, "good numbers in between are carried out")


_HOSTILE = """
static u32 numbers[] = {%(numbers)s};
static int
run(void)
{
	for (u32 i = 0; i < ARRAY_LEN(numbers); i++) {
		u32 b = numbers[i] * 2654435761u, c = b ^ i, d = ~b, si = b + 1, di = c + 2;

		CHECK(gate5(numbers[i], b, c, d, si, di) == (numbers[i] - %(privileged)d < %(count)d ? -E_PERM : -E_NOSYS));
	}
	static const u32 bad[] = {0, 4, 0xfff, 0x1000000, 0xfffffff, 0x3ffffff0, 0x40000000, 0x40100000,
				  0xf0000000, 0xffffffff, 0xfffffff0, 0xfffff000};
	for (u32 i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(gate(VI_CONSOLE_WRITE, bad[i], 64) == -E_FAULT);
	CHECK(gate(VI_CONSOLE_WRITE, VREGS->memory_size - 8, 16) == -E_FAULT);
	CHECK(gate(VI_CONSOLE_WRITE, (u32)numbers, CONSOLE_MAX + 1) == -E_TOOLONG);
	CHECK(gate(VI_CONSOLE_WRITE, 0x40100000, 0) <= 0);
	return %(status)d;
}
"""


@points(2)
@rule(
    "No number that a guest can think of harms the kernel, or another VM.",
    section=SECTION,
    breakpoint="gate_dispatch",
)
def test_guests_may_ask_for_anything(bench: Bench) -> None:
    """Three VMs try every kind of number and pointer at once; beside them one works."""
    witness, rng = Witness.draw(bench.rng), bench.rng
    numbers = [0, COUNT, COUNT + 1, 100, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, *range(SUPERVISOR, COUNT)]
    numbers += [rng.randrange(COUNT, 1 << 32) for _ in range(200)]
    status = rng.randrange(1, 1 << 16)
    words = {"numbers": ", ".join(f"{n}u" for n in numbers), "privileged": SUPERVISOR,
             "count": COUNT - SUPERVISOR, "status": status}  # fmt: skip
    machine = bench.boot(
        witness.module(bench), bench.program(_HOSTILE % words, count=3), options="when-done=exit quantum=50us"
    )
    run_out(machine)
    witness.check(machine, 1)
    for vm in (2, 3, 4):
        same(f"how VM {vm} ended, which checks every answer itself",
             endings(machine).get(vm), f"terminated, status {status}")  # fmt: skip
