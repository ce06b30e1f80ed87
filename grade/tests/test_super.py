# SPDX-License-Identifier: MIT
"""VM 0: what the supervisor may do to VMs, and that nobody else may."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from conf.qemu import EXIT_DONE, Module
from grade.harness.entry import EntryMeter
from grade.harness.lab import Lab
from grade.harness.machine import Machine

VM_0 = ("supervisor",)

# What a supervisor needs besides grade/guest/guest.h.
HELP = r"""
static struct vm_request request;
static struct vm_info info;
static struct machine_info machine UNUSED;

static void copy(char *to, const char *from)
{
    while ((*to++ = *from++))
        ;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static i32 make(u32 number, const char *image, const char *args)
{
    for (u32 i = 0; i < sizeof request; i++)
        ((char *)&request)[i] = 0;
    request.number = number;
    copy(request.image, image);
    copy(request.args, args);
    return gate(VI_VM_CREATE, (u32)&request, 0);
}

static UNUSED int is(u32 number, const char *state)
{
    return gate(VI_VM_INSPECT, number, (u32)&info) == 0 && same(info.state, state);
}

static UNUSED void await(u32 number, const char *state)
{
    while (!is(number, state))
        idle(now() + 200000);
}
"""

# Ends at once with 5; the argument "wait": when it is asked to; "spin": never.
WORKER = r"""
static int run(void)
{
    if (VREGS->args[0] == 's')
        for (;;)
            ;
    if (VREGS->args[0] == 'w')
        return idle(IDLE_FOREVER) == (i32)VIRQ_CONTROL ? 6 : 7;
    return 5;
}
"""


def named(lab: Lab, source: str, name: str, words: tuple[str, ...] = ("image",)) -> Module:
    """A guest of `source` in a module called `name`."""
    module = lab.program(source, words=words)
    path = lab.folder() / name
    shutil.copy(module.image, path)
    return replace(module, image=path)


def boot(
    lab: Lab, body: str, *others: Module, options: str = "", memory: int = 256, worker: str = WORKER,
    icount: bool = False,
) -> Machine:  # fmt: skip
    """A machine whose supervisor runs `body`, with an image "worker" to make VMs of. `icount`: time is
    counted in instructions, for what must happen within a quantum."""
    supervisor = lab.program(HELP + f"static int run(void) {{ {body} return 0; }}", words=VM_0)
    images = (named(lab, worker, "worker"), *others)
    return lab.boot(
        supervisor, *images, options=f"when-done=exit {options}", memory=memory, icount=icount
    )


def finish(machine: Machine) -> str:
    """Wait for the supervisor's good end, and the machine's; what was on the console."""
    machine.expect("^vm 0: terminated, status 0$", seconds=60)
    assert machine.wait() == EXIT_DONE
    return machine.serial.text()


def test_a_vm_is_made_started_and_started_again(lab: Lab) -> None:
    """A VM's definition outlives its end: each life begins clean."""
    machine = boot(lab, """
        CHECK(make(0, "worker", "hello") == 1 && is(1, "stopped"));
        CHECK(same(info.image, "worker") && same(info.args, "hello"));
        CHECK(info.memory_size == 16 << 20 && info.frames == 0);
        for (u32 i = 0; i < 3; i++) {
            CHECK(gate(VI_VM_START, 1, 0) == 0);
            await(1, "dead");
            CHECK(same(info.reason, "terminated, status 5") && info.quanta == 1);
        }
        CHECK(gate(VI_VM_DESTROY, 1, 0) == 0 && is(1, "free"));
    """)
    assert finish(machine).count("vm 1: terminated, status 5\n") == 3


def test_each_life_has_another_seed(lab: Lab) -> None:
    """What one life knew of its random numbers is worth nothing in the next."""
    worker = """
    static int run(void)
    {
        say_number("seed ", *(volatile u32 *)VREGS->seed);
        CHECK(VREGS->virqs_posted == 0 && VREGS->console_written < 100);
        return 5;
    }
    """
    machine = boot(lab, """
        for (u32 i = 0; i < 4; i++) {
            CHECK(make(1, "worker", "") == 1 && gate(VI_VM_START, 1, 0) == 0);
            await(1, "dead");
            CHECK(gate(VI_VM_START, 1, 0) == 0);
            await(1, "dead");
            CHECK(gate(VI_VM_DESTROY, 1, 0) == 0);
        }
    """, worker=worker, options="console=all")
    seeds = re.findall(r"^\[vm 1\] seed (\d+)", finish(machine), re.MULTILINE)
    assert len(seeds) == len(set(seeds)) == 8


def test_stop_asks_and_kill_ends(lab: Lab) -> None:
    """STOP_ASK posts an interrupt; STOP_NOW ends whoever doesn't listen."""
    machine = boot(lab, """
        CHECK(make(0, "worker", "wait") == 1 && make(0, "worker", "spin") == 2);
        CHECK(gate(VI_VM_STOP, 1, STOP_NOW) == -E_INVAL);
        CHECK(gate(VI_VM_START, 1, 0) == 0 && gate(VI_VM_START, 2, 0) == 0);
        CHECK(gate(VI_VM_START, 1, 0) == -E_BUSY && gate(VI_VM_DESTROY, 1, 0) == -E_BUSY);
        await(1, "idle");
        while (!is(2, "ready") || info.run_time == 0)
            idle(now() + 100000);
        CHECK(gate(VI_VM_STOP, 1, STOP_ASK) == 0 && gate(VI_VM_STOP, 2, STOP_ASK) == 0);
        await(1, "dead");
        CHECK(same(info.reason, "terminated, status 6"));
        CHECK(is(2, "ready") && info.run_time > 0);
        CHECK(gate(VI_VM_STOP, 2, STOP_NOW) == 0);
        i32 again = gate(VI_VM_DESTROY, 2, 0); /* it gives back its memory meanwhile */
        CHECK(again == -E_BUSY);
        await(2, "dead");
        CHECK(same(info.reason, "killed: by the supervisor"));
        CHECK(gate(VI_VM_STOP, 2, STOP_NOW) == -E_INVAL);
    """, icount=True)
    finish(machine)


def test_every_error_of_create(lab: Lab) -> None:
    """A request may hold anything; a refused one leaves nothing behind."""
    machine = boot(lab, r"""
      for (u32 turn = 0; turn < 2; turn++) { /* the second has all its pages */
        CHECK(gate(VI_MACHINE_INSPECT, (u32)&machine, 0) == 0);
        u32 free = machine.frames_free, vms = machine.vms, last = machine.numbers - 1;
        CHECK(make(0, "nothing", "") == -E_NOENT && make(0, "", "") == -E_NOENT);
        CHECK(make(last + 1, "worker", "x") == -E_INVAL && make(~0u, "worker", "x") == -E_INVAL);
        CHECK(make(last, "worker", "x") == (i32)last && make(last, "worker", "x") == -E_EXISTS);
        CHECK(gate(VI_VM_DESTROY, last, 0) == 0);
        for (u32 part = 0; part < 2 + DISKS_PER_VM; part++) {
            make(0, "worker", "");
            gate(VI_VM_DESTROY, 1, 0);
            char *text = part == 0 ? request.image : part == 1 ? request.args
                         : request.disks[part - 2];
            for (u32 i = 0; i < (part == 1 ? ARGS_MAX : NAME_SIZE); i++)
                text[i] = 'w';
            CHECK(gate(VI_VM_CREATE, (u32)&request, 0) == -E_INVAL);
        }
        static const u32 sizes[] = {1, 4096, 65535, (48 << 20) + 1, 0x40000000, 0xffffffff};
        for (u32 i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            make(0, "nothing", "");
            copy(request.image, "worker");
            request.memory_size = sizes[i];
            CHECK(gate(VI_VM_CREATE, (u32)&request, 0) == -E_INVAL);
        }
        make(0, "nothing", "args that are given back");
        copy(request.image, "worker");
        copy(request.disks[5], "nodisk");
        CHECK(gate(VI_VM_CREATE, (u32)&request, 0) < 0);
        static const u32 bad[] = {0, 0xff0, 0x40000000, 0xfffffff0, 16 << 20, (16 << 20) - 8};
        for (u32 i = 0; i < sizeof bad / sizeof *bad; i++) {
            CHECK(gate(VI_VM_CREATE, bad[i], 0) == -E_FAULT);
            CHECK(gate(VI_VM_INSPECT, 0, bad[i]) == -E_FAULT);
            CHECK(gate(VI_MACHINE_INSPECT, bad[i], 0) == -E_FAULT);
        }
        CHECK(gate(VI_VM_CREATE, 0x2000, 0) < 0); /* its own text as a request */
        CHECK(gate(VI_MACHINE_INSPECT, (u32)&machine, 0) == 0);
        CHECK(machine.vms == vms && (turn == 0 || machine.frames_free == free));
        CHECK(is(1, "free"));
      }
    """)
    finish(machine)


def test_numbers_are_checked_and_the_supervisor_spares_itself(lab: Lab) -> None:
    """No number outside the table is a VM; VM 0 neither kills nor frees VM 0."""
    machine = boot(lab, """
        CHECK(gate(VI_MACHINE_INSPECT, (u32)&machine, 0) == 0);
        u32 none[] = {1, machine.numbers - 1, machine.numbers, 65536, 0x7fffffff, 0xffffffff};
        for (u32 i = 0; i < 6; i++) {
            CHECK(gate(VI_VM_START, none[i], 0) == -E_NOENT);
            CHECK(gate(VI_VM_STOP, none[i], STOP_NOW) == -E_NOENT);
            CHECK(gate(VI_VM_DESTROY, none[i], 0) == -E_NOENT);
            CHECK(gate5(VI_CONSOLE_HISTORY, none[i], (u32)&info, 8, 0, 0) == -E_NOENT);
            if (none[i] != CONSOLE_KERNEL)
                CHECK(gate(VI_CONSOLE_FOCUS, none[i], 0) == -E_NOENT);
            if (none[i] >= machine.numbers)
                CHECK(gate(VI_VM_INSPECT, none[i], (u32)&info) == -E_NOENT);
        }
        CHECK(gate(VI_VM_DESTROY, 0, 0) == -E_PERM && gate(VI_VM_STOP, 0, STOP_NOW) == -E_PERM);
        CHECK(gate(VI_VM_START, 0, 0) == -E_BUSY && gate(VI_VM_STOP, 0, 2) == -E_INVAL);
        CHECK(gate(VI_VM_STOP, 0, STOP_ASK) == 0 && idle(0) == (i32)VIRQ_CONTROL);
        CHECK(is(0, "running") && machine.vms == 1 && machine.focus == 0);
    """)
    finish(machine)


def test_others_are_refused_every_instruction_of_the_supervisor(lab: Lab) -> None:
    """Privilege is one check, but everywhere: also for numbers that are not given out."""
    source = """
    static int run(void)
    {
        static char page[4096];
        for (u32 number = VI_SUPERVISOR; number < VI_COUNT; number++)
            for (u32 argument = 0; argument < 4; argument++)
                CHECK(gate5(number, argument, (u32)page, (u32)page, 16, 0) == -E_PERM);
        CHECK(gate(VI_COUNT, 0, 0) == -E_NOSYS);
        return 3;
    }
    """
    machine = lab.boot(lab.program(source, count=2), options="when-done=exit")
    machine.expect_all("^vm 1: terminated, status 3$", "^vm 2: terminated, status 3$")
    assert machine.wait() == EXIT_DONE


def test_hundreds_of_lives_leave_nothing_behind(lab: Lab) -> None:
    """600 VMs made, started, killed at some point of their life, destroyed: no frame is lost,
    numbers are used again, and the kernel's records agree."""
    machine = boot(lab, """
        static const char *const kinds[] = {"", "wait", "spin", "an argument of some length"};
        u32 frames = 0;
        for (u32 round = 0; round < 21; round++) {
            for (u32 k = 1; k <= 30; k++) {
                CHECK(make(0, "worker", kinds[(round + k) % 4]) == (i32)k);
                if (k % 5)
                    CHECK(gate(VI_VM_START, k, 0) == 0);
            }
            idle(now() + round * 100000ull);
            for (u32 k = 1; k <= 30; k++) {
                gate(VI_VM_STOP, k, STOP_NOW);
                while (gate(VI_VM_DESTROY, k, 0) == -E_BUSY)
                    idle(now() + 100000);
                CHECK(is(k, "free"));
            }
            CHECK(gate(VI_MACHINE_INSPECT, (u32)&machine, 0) == 0 && machine.vms == 1);
            if (round > 0)
                CHECK(machine.frames_free == frames);
            frames = machine.frames_free;
        }
        gate(VI_CONSOLE_FOCUS, CONSOLE_KERNEL, 0);
        idle(IDLE_FOREVER);
    """)
    machine.expect("^console: the kernel's monitor$", seconds=60)
    assert " 0 problems" in machine.monitor("check")
    assert machine.kernel_word("counter_vms_killed") > 200


def test_a_number_is_not_given_while_its_frames_are_under_way(lab: Lab) -> None:
    """What a VM sent may wait in another's queue when its sender is long gone: the number stays
    taken, else its next VM would pay for it."""
    sender = """
    static int run(void)
    {
        static u8 frame[60] = {2, 0, 10, 1, 0, 1, 2, 0, 10, 1, 0, 2, 8, 0, 0x45};
        frame[26] = 10, frame[27] = 1, frame[29] = 2;
        CHECK(VREGS->number == 2);
        for (u32 i = 0; i < 3; i++)
            CHECK(gate(VI_PACKET_SEND, (u32)frame, sizeof frame) == 0);
        return 4;
    }
    """
    machine = boot(lab, """
        CHECK(make(1, "worker", "wait") == 1 && make(2, "sender", "") == 2);
        CHECK(gate(VI_VM_START, 1, 0) == 0 && gate(VI_VM_START, 2, 0) == 0);
        await(2, "dead");
        CHECK(same(info.reason, "terminated, status 4") && info.packets_sent == 3);
        CHECK(gate(VI_VM_DESTROY, 2, 0) == 0);
        CHECK(make(2, "worker", "") == -E_AGAIN && make(0, "worker", "") == 3);
        gate(VI_VM_STOP, 1, STOP_NOW);
        await(1, "dead");
        CHECK(make(2, "worker", "") == 2);
    """, named(lab, sender, "sender"), worker="""
    static int run(void)
    {
        for (;;)
            idle(IDLE_FOREVER);
        return 0;
    }
    """)
    finish(machine)


@pytest.mark.parametrize("backing", ["touch", "all"])
def test_memory_that_runs_out_ends_one_vm(lab: Lab, backing: str) -> None:
    """VMs are started until there is no memory: those that began go on, the one too many ends with
    its reason, and all that it had is back."""
    machine = boot(lab, """
        u32 k = 0, ended = 0;
        for (k = 1; k <= 40 && !ended; k++) {
            CHECK(make(k, "worker", "wait") == (i32)k);
            request.memory_size = 48 << 20;
            CHECK(gate(VI_VM_DESTROY, k, 0) == 0);
            CHECK(gate(VI_VM_CREATE, (u32)&request, 0) == (i32)k);
            gate(VI_VM_START, k, 0);
            do
                idle(now() + 100000);
            while (is(k, "entering") || is(k, "dying") || is(k, "ready") || is(k, "running"));
            ended = is(k, "dead");
        }
        CHECK(ended && k > 3 && k < 30);
        CHECK(info.reason[0] == 'k');
        say_number("at ", k);
        CHECK(is(1, "idle") && is(2, "idle"));
        for (u32 i = 1; i < k; i++)
            gate(VI_VM_STOP, i, STOP_NOW);
    """, options=f"back={backing}", worker="""
    static int run(void)
    {
        for (u32 at = 0x100000; at < VREGS->memory_size; at += 4096)
            *(volatile char *)at = 1;
        idle(IDLE_FOREVER);
        return 0;
    }
    """)
    assert "out of memory" in finish(machine)


def test_start_with_all_memory_at_once_is_sliced(lab: Lab) -> None:
    """back=all gives 12,288 pages: the supervisor isn't kept waiting meanwhile, and may change its
    mind."""
    machine = boot(lab, """
        CHECK(make(1, "worker", "wait") == 1);
        CHECK(gate(VI_VM_START, 1, 0) == 0);
        CHECK(is(1, "entering") && gate(VI_VM_START, 1, 0) == -E_BUSY);
        CHECK(gate(VI_VM_DESTROY, 1, 0) == -E_BUSY && gate(VI_VM_STOP, 1, STOP_ASK) == -E_BUSY);
        CHECK(info.frames < 4094);
        await(1, "idle");
        CHECK(info.frames == 4094);
        CHECK(gate(VI_VM_STOP, 1, STOP_NOW) == 0);
        await(1, "dead");
        CHECK(gate(VI_VM_START, 1, 0) == 0 && is(1, "entering"));
        CHECK(gate(VI_VM_STOP, 1, STOP_NOW) == 0);
        await(1, "dead");
        CHECK(info.frames == 0 && gate(VI_VM_DESTROY, 1, 0) == 0);
    """, options="back=all share=off")
    finish(machine)


def test_modules_are_read_by_index(lab: Lab) -> None:
    """Data and script are the supervisor's to read, images aren't; the machine names the script."""
    machine = boot(lab, """
        static char text[8192];
        CHECK(gate(VI_MACHINE_INSPECT, (u32)&machine, 0) == 0);
        CHECK(machine.modules == 4 && machine.script_module == 3);
        CHECK(same(machine.script, "some.boot"));
        CHECK(gate5(VI_MODULE_READ, 2, 0, (u32)text, 8192, 0) == 4096);
        CHECK(gate5(VI_MODULE_READ, 2, 4096, (u32)text, 8192, 0) == 904 && text[903] == 'x');
        CHECK(gate5(VI_MODULE_READ, 2, 5000, (u32)text, 8192, 0) == 0);
        CHECK(gate5(VI_MODULE_READ, 2, 0xffffffff, (u32)text, 0xffffffff, 0) == 0);
        CHECK(gate5(VI_MODULE_READ, 2, 0, 0xfffffff0, 64, 0) == -E_FAULT);
        CHECK(gate5(VI_MODULE_READ, 0, 0, (u32)text, 64, 0) == -E_PERM);
        CHECK(gate5(VI_MODULE_READ, 4, 0, (u32)text, 64, 0) == -E_NOENT);
        CHECK(gate5(VI_MODULE_READ, 3, 5, (u32)text, 64, 0) == 4 && text[0] == 'h');
    """, lab.text("data.txt", "x" * 5000), lab.text("some.boot", "echo hi!\n", ("script",)))
    finish(machine)


def test_history_and_focus_are_the_supervisors_to_give(lab: Lab) -> None:
    """It reads what a VM said last, as it may be shown, and hands it the console."""
    worker = r"""
    static int run(void)
    {
        char b[4];
        say("one\ntwo\033[2J\n");
        while (gate(VI_CONSOLE_READ, (u32)b, 4) < 0)
            idle(IDLE_FOREVER);
        say("got it\n");
        return 0;
    }
    """
    machine = boot(lab, r"""
        static char text[4096];
        CHECK(make(1, "worker", "") == 1 && gate(VI_VM_START, 1, 0) == 0);
        await(1, "idle");
        i32 n = gate5(VI_CONSOLE_HISTORY, 1, (u32)text, 4096, 0, 0);
        CHECK(n == 12 && same(text, "one\ntwo.[2J\n"));
        CHECK(gate5(VI_CONSOLE_HISTORY, 1, (u32)text, 4, 0, 0) == 4 && text[3] == '\n');
        CHECK(gate5(VI_CONSOLE_HISTORY, 1, (u32)text, 4097, 0, 0) == -E_TOOLONG);
        CHECK(gate5(VI_CONSOLE_HISTORY, 1, 4, 4096, 0, 0) == -E_FAULT);
        say("\033[1mmine\n");
        CHECK(gate(VI_CONSOLE_FOCUS, 1, 0) == 0);
        CHECK(idle(IDLE_FOREVER) == (i32)VIRQ_CONSOLE);
    """, worker=worker)
    machine.expect("^\x1b\\[1mmine$")
    machine.expect("^console: vm 1;")
    machine.serial.send("x")
    machine.expect("^got it$")
    machine.expect("^console: vm 0;")
    finish(machine)


def test_ctrl_bracket_goes_between_supervisor_and_monitor(lab: Lab) -> None:
    """From the supervisor to the monitor, and back; from a VM to the supervisor."""
    machine = boot(lab, """
        char b[8];
        for (;;)
            if (gate(VI_CONSOLE_READ, (u32)b, 8) > 0 && b[0] == 'q')
                return 0;
            else
                idle(IDLE_FOREVER);
    """)
    machine.expect("^vm 0: .*the supervisor$")
    assert "denali>" not in machine.serial.text()
    machine.serial.send("\x1d")
    machine.expect("^console: the kernel's monitor$")
    assert "vm 0     running" in machine.monitor("vms") or "vm 0     idle" in machine.monitor("vms")
    machine.serial.send("\x1d")
    machine.expect("^console: vm 0;")
    machine.serial.send("q")
    finish(machine)


def test_a_supervisor_that_ends_leaves_the_rest_alone(lab: Lab) -> None:
    """VM 0 may fail: its VMs go on, the console is the monitor's, and it can be started again."""
    machine = boot(lab, """
        CHECK(make(0, "worker", "wait") > 0);
        CHECK(gate(VI_VM_START, 1, 0) == 0 || is(1, "idle"));
        await(1, "idle");
        *(volatile int *)0 = 1;
    """)
    machine.expect("^vm 0: killed: page fault: write of 00000000")
    machine.expect("^console: the kernel's monitor$")
    assert "vm 1     idle" in machine.monitor("vms")
    assert "ended: killed: page fault" in machine.monitor("vm 0")
    machine.serial.send("start 0\r")
    machine.expect("^vm 0: killed: page fault")
    assert "started 2 times" in machine.monitor("vm 0")


def test_monitor_starts_stops_and_kills(lab: Lab) -> None:
    """Without a supervisor, the monitor is there."""
    machine = lab.boot(lab.program(WORKER, args="wait", count=2))
    machine.expect("^denali> ")
    machine.monitor("stop 1")
    machine.expect("^vm 1: terminated, status 6$")
    machine.monitor("kill 2")
    assert "ended: killed: on the console" in machine.monitor("vm 2")
    machine.monitor("start 1")
    assert "idle" in machine.monitor("vm 1")
    for line in ("start 3", "stop x", "kill 99999999999", "vm", "console 7"):
        assert "there is no VM" in machine.monitor(line)


def test_no_request_of_the_supervisor_takes_long(lab: Lab) -> None:
    """Starting a VM with 48 MB at once, freeing it, reading a history, a whole console line after
    another: no entry of the kernel is longer than the limit."""
    meter = EntryMeter(lab.folder(), lab.build)
    body = """
        static char text[4096];
        for (u32 k = 1; k <= 3; k++) {
            CHECK(make(0, "worker", "an argument") == (i32)k && gate(VI_VM_DESTROY, k, 0) == 0);
            request.memory_size = 48 << 20;
            CHECK(gate(VI_VM_CREATE, (u32)&request, 0) == (i32)k);
            CHECK(gate(VI_VM_START, k, 0) == 0);
        }
        await(2, "idle");
        CHECK(gate5(VI_CONSOLE_HISTORY, 2, (u32)text, 4096, 0, 0) == CONSOLE_KEPT);
        for (u32 k = 1; k <= 3; k++)
            CHECK(gate(VI_VM_STOP, k, STOP_NOW) == 0);
        CHECK(make(0, "nothing", "") == -E_NOENT && make(0, "worker", "") == 4);
        for (u32 k = 1; k <= 3; k++)
            await(k, "dead");
        CHECK(gate(VI_MACHINE_INSPECT, (u32)&machine, 0) == 0);
    """
    worker = r"""
    static char many[3000];
    static int run(void)
    {
        for (u32 i = 0; i < sizeof many; i++)
            many[i] = (char)0xc2;
        for (u32 i = 0; i < 10; i++)
            gate(VI_CONSOLE_WRITE, (u32)many, sizeof many);
        for (u32 at = 0x100000; at < 0x400000; at += 4096)
            *(volatile char *)at = 1;
        for (u32 i = 0; i < 0x300000;)
            i += (u32)gate(VI_DISCARD, 0x100000 + i, 0x300000 - i);
        return idle(IDLE_FOREVER);
    }
    """
    supervisor = lab.program(HELP + f"static int run(void) {{ {body} return 0; }}", words=VM_0)
    machine = lab.boot(
        supervisor, named(lab, worker, "worker"), options="when-done=exit back=all share=off",
        icount=True, extra=meter.options,
    )
    finish(machine)
    meter.read().check()
