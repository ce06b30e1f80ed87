# SPDX-License-Identifier: MIT
"""The virtual console: who has the real one, what is typed for it, what each VM said last."""

from __future__ import annotations

import re
import time

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab

LEAVE = "\x1d"  # Ctrl-]

# Says back what it is given, "<" before each piece; "q" ends it.
ECHO = """
static int run(void)
{
    char b[300];
    for (;;) {
        i32 n = gate(VI_CONSOLE_READ, (u32)(b + 1), sizeof b - 1);
        if (n == -E_AGAIN) {
            CHECK(VREGS->console_waiting == 0);
            CHECK(idle(IDLE_FOREVER) == (i32)VIRQ_CONSOLE);
            continue;
        }
        CHECK(n > 0);
        b[0] = '<';
        gate(VI_CONSOLE_WRITE, (u32)b, (u32)n + 1);
        if (b[1] == 'q')
            return 7;
    }
}
"""

# Its number, in a line that ends in a piece of ESC sequence; then it sleeps.
TALKER = r"""
static int run(void)
{
    for (u32 i = 0; i < 100; i++)
        say_number("\033[31mword ", VREGS->number * 1000 + i);
    idle(IDLE_FOREVER);
    return 0;
}
"""


def test_input_goes_to_the_vm_in_focus(lab: Lab) -> None:
    """A person talks to one VM; Ctrl-] leads back to the kernel's monitor."""
    machine = lab.boot(lab.program(ECHO, count=2))
    machine.expect("^denali> ")
    machine.serial.send("console 2\r")
    machine.expect("^console: vm 2; Ctrl-] leads away$")
    machine.serial.send("a")
    machine.expect("^<a")
    machine.serial.send("b" + LEAVE)
    machine.expect("^console: the kernel's monitor$")
    machine.serial.send("console 1\r")
    machine.expect("^console: vm 1;")
    machine.serial.send("c")
    machine.expect("^<c")
    assert machine.counter("console_input_dropped") == 0


def test_vm_that_ends_gives_the_console_back(lab: Lab) -> None:
    """Else nobody could type any more."""
    machine = lab.boot(lab.program(ECHO))
    machine.expect("^denali> ")
    machine.serial.send("console 1\r")
    machine.expect("^console: vm 1;")
    machine.serial.send("q")
    machine.expect("^vm 1: terminated, status 7$")
    machine.expect("^console: the kernel's monitor$")
    assert "dead 1" in machine.monitor("vms")


def test_unread_input_is_bounded_and_dropped_with_the_focus(lab: Lab) -> None:
    """256 bytes wait; what comes after is counted; the next in focus gets none of it."""
    deaf = "static int run(void) { for (;;) idle(IDLE_FOREVER); return 0; }"
    machine = lab.boot(lab.program(deaf), lab.program(ECHO))
    machine.expect("^denali> ")
    machine.serial.send("console 1\r")
    machine.expect("^console: vm 1;")
    machine.serial.send("x" * 300)
    deadline = time.monotonic() + 20
    while machine.counter("console_input_dropped") < 44 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert machine.counter("console_input_dropped") == 44
    machine.serial.send(LEAVE)
    machine.expect("^console: the kernel's monitor$")
    machine.serial.send("console 2\r")
    machine.expect("^console: vm 2;")
    machine.serial.send("y")
    machine.expect("^<y")
    assert "x" not in machine.serial.text().rpartition("console: vm 1")[2]


def test_last_output_of_50_vms_is_kept_apart(lab: Lab) -> None:
    """Each VM's page keeps its own last bytes, and the console shows them on demand."""
    machine = lab.boot(lab.program(TALKER, count=50), options="console=focus")
    machine.expect("^denali> ")
    while "idle 50 " not in machine.monitor("vms"):
        pass
    for number in (1, 17, 50):
        before = len(machine.serial.text())
        machine.serial.send(f"console {number}\r")
        machine.expect(f"^console: vm {number};")
        text = machine.serial.text()[before:]
        words = [int(word) for word in re.findall(r"word (\d+)", text)]
        assert words[-1] == number * 1000 + 99
        assert all(word // 1000 == number for word in words[1:])
        machine.serial.send(LEAVE)
        machine.expect("^console: the kernel's monitor$")


def test_no_guest_drives_the_terminal(lab: Lab) -> None:
    """Escape sequences of a VM become dots, whether it has the focus or not; in UTF-8, too."""
    source = r"""
    static int run(void)
    {
        char b[4];
        say("\033[2J\a\177\302\233x\303\251\n");
        while (gate(VI_CONSOLE_READ, (u32)b, 4) < 0)
            idle(IDLE_FOREVER);
        say("ab\rc\033[2J\302");
        say("\233\n");
        return 0;
    }
    """
    machine = lab.boot(lab.program(source), options="when-done=exit")
    machine.expect(r"^\[vm 1\] \.\[2J\.\.\ufffd\.xé$")
    machine.serial.send("console 1\r")
    machine.expect("^console: vm 1;")
    machine.serial.send("\r")
    assert machine.wait() == EXIT_DONE
    data = machine.log.read_bytes()
    assert b"ab\rc.[2J\xc2.\r\n" in data
    assert b"\x1b" not in data and b"\x9b" not in data


def test_focus_mode_shows_the_vm_in_focus_alone(lab: Lab) -> None:
    """console=focus: a thousand VMs' chatter doesn't reach the terminal, and isn't lost."""
    chatter = "static int run(void) { for (;;) { say_number(\"tick \", VREGS->number); " \
        "idle(now() + 20000000); } return 0; }"
    machine = lab.boot(lab.program(chatter, count=8), options="console=focus")
    machine.expect("^denali> ")
    machine.serial.send("console 5\r")
    machine.expect("^console: vm 5;")
    machine.expect("^tick 5$")
    machine.expect("^tick 5$")
    assert "tick 4" not in machine.serial.text()
    assert machine.counter("console_lost") == 0


def test_the_one_in_focus_waits_for_room(lab: Lab) -> None:
    """200 KB of output in focus: -E_AGAIN while the line is busy, and not a line is lost."""
    source = """
    static char line[] = "00000 abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz\\n";
    static int run(void)
    {
        char b[4];
        u32 again = 0;
        while (gate(VI_CONSOLE_READ, (u32)b, 4) < 0)
            idle(IDLE_FOREVER);
        for (u32 i = 0; i < 3000; i++) {
            u32 done = 0;
            for (u32 n = i, d = 5; d-- > 0; n /= 10)
                line[d] = '0' + n % 10;
            while (done < sizeof line - 1) {
                i32 n = gate(VI_CONSOLE_WRITE, (u32)(line + done), sizeof line - 1 - done);
                CHECK(n > 0 || n == -E_AGAIN);
                done += n > 0 ? n : 0;
                again += n < 0;
            }
        }
        return again > 0;
    }
    """
    machine = lab.boot(lab.program(source), options="when-done=exit")
    machine.expect("^denali> ")
    machine.serial.send("console 1\r")
    machine.expect("^console: vm 1;")
    machine.serial.send("\r")
    machine.expect("^vm 1: terminated, status 1$")
    assert machine.wait() == EXIT_DONE
    numbers = re.findall("^([0-9]{5}) abc", machine.serial.text(), re.MULTILINE)
    assert numbers == [f"{i:05}" for i in range(3000)]


def test_console_read_rejects_before_it_takes(lab: Lab) -> None:
    """A bad address or a room too large costs no input."""
    source = """
    static int run(void)
    {
        char b[8];
        while (VREGS->console_waiting < 2)
            idle(IDLE_FOREVER);
        CHECK(gate(VI_CONSOLE_READ, 0, 2) == -E_FAULT);
        CHECK(gate(VI_CONSOLE_READ, VREGS->memory_size - 1, 2) == -E_FAULT);
        CHECK(gate(VI_CONSOLE_READ, ~0u, 2) == -E_FAULT);
        CHECK(gate(VI_CONSOLE_READ, (u32)b, CONSOLE_MAX + 1) == -E_TOOLONG);
        CHECK(gate(VI_CONSOLE_READ, (u32)b, 0) == 0);
        CHECK(gate(VI_CONSOLE_READ, (u32)b, 1) == 1 && b[0] == 'h');
        CHECK(gate(VI_CONSOLE_READ, (u32)b, 8) == 1 && b[0] == 'i');
        CHECK(gate(VI_CONSOLE_READ, (u32)b, 8) == -E_AGAIN);
        return 0;
    }
    """
    machine = lab.boot(lab.program(source), options="when-done=exit")
    machine.expect("^denali> ")
    machine.serial.send("console 1\r")
    machine.expect("^console: vm 1;")
    machine.serial.send("hi")
    machine.expect("^vm 1: terminated, status 0$")


def test_a_vms_page_keeps_its_output(lab: Lab) -> None:
    """console_written counts, and byte n stands at n modulo CONSOLE_KEPT."""
    source = """
    static int run(void)
    {
        static char text[700];
        for (u32 i = 0; i < sizeof text; i++)
            text[i] = 'a' + i % 26;
        u32 sent = 0;
        for (u32 i = 0; i < 5; i++)
            sent += gate(VI_CONSOLE_WRITE, (u32)text, sizeof text);
        CHECK(VREGS->console_written == sent && sent > CONSOLE_KEPT);
        i32 last = gate(VI_CONSOLE_WRITE, (u32)"end", 3);
        CHECK(last == 3 && VREGS->console_written == sent + 3);
        CHECK(VREGS->console[sent % CONSOLE_KEPT] == 'e');
        CHECK(VREGS->console[(sent + 2) % CONSOLE_KEPT] == 'd');
        return 0;
    }
    """
    machine = lab.boot(lab.program(source), options="when-done=exit")
    machine.expect("^vm 1: terminated, status 0$")
