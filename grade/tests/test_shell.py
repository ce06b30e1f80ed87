# SPDX-License-Identifier: MIT
"""The supervisor as a person has it: a boot script, and a shell on the console."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest

from conf import boot
from conf.qemu import EXIT_DONE, raw_disk
from grade.harness.lab import Lab
from grade.harness.process import end, start
from grade.harness.shell import Shell

pytestmark = pytest.mark.long

COMMANDS = (
    "vms stat top machine create start stop kill destroy console disks mkdisk rmdisk vm disk focus "
    "echo history help halt"
).split()

UP, LEFT = "\x1b[A", "\x1b[D"
CTRL_BRACKET = "\x1d"

SCRIPT = """# a comment
echo before
vm httpd count=2   # another
vm nothing
create echo mem=1K
frobnicate "
vm echo args="a b  c" mem=8M
stop 99
vm httpd number=7 stopped
echo after
"""


def test_boot_script_does_what_is_right_and_says_what_is_wrong(lab: Lab) -> None:
    """One mistake must not cost the other services: each line that fails is named, with its
    number, and all the others are done."""
    shell = Shell(lab, SCRIPT, ("httpd", "echo"))
    said = shell.booted
    assert "before\n" in said and "after\n" in said
    assert "VMs 1 to 2: httpd, 2 of 2\n" in said and "VM 3: echo\n" in said
    assert "test.boot:4: vm: no image nothing among the boot modules\n" in said
    assert "test.boot:5: create: mem=1K: wanted mem=64K to mem=48M\n" in said
    assert 'test.boot:6: supervisor: a quote (") has no end\n' in said
    assert "test.boot:8: stop: no VM 99\n" in said
    assert "test.boot: 4 lines failed\n" in said
    states = shell.states()
    assert set(states) == {0, 1, 2, 3, 7} and states[7] == "stopped"
    stat = shell.run("stat 3")
    assert "arguments: a b  c\n" in stat and "memory: 8192K" in stat


def test_lines_are_edited_and_remembered(lab: Lab) -> None:
    """What is typed wrong is corrected, what was typed before comes back."""
    shell = Shell(lab)
    shell.type("echo hallo" + LEFT * 3 + "\x7fe\x05 you\r")
    assert shell.answer() == "hello you\n"
    assert shell.run("echo two") == "two\n"
    shell.type(UP + UP + "!\r")
    assert shell.answer() == "hello you!\n"
    shell.type("echo lost\x03")
    assert shell.answer() == ""
    shell.type("echo x\x15echo y\r")
    assert shell.answer() == "y\n"
    assert re.sub(" +", " ", shell.run("history")).split("\n ")[0:3] == [
        " echo hello you", "echo two", "echo hello you!",
    ]  # fmt: skip


def test_every_command_is_explained(lab: Lab) -> None:
    """`help` lists them all; each one's help says how it is written."""
    shell = Shell(lab)
    assert re.findall(r"^  ([a-z]+) ", shell.run("help"), re.MULTILINE) == COMMANDS
    for command in COMMANDS:
        assert shell.run(f"help {command}").startswith(command)


ERRORS = {
    "frobnicate": "supervisor: no command frobnicate; try help",
    "stat": "stat: usage: stat K",
    "stat 17": "stat: no VM 17",
    "stat x": "stat: x is no number",
    "stop 17": "stop: no VM 17",
    "stop 1-": "stop: 1- is neither a number nor a range such as 3-10",
    "stop 4294967295": "stop: no VM 4294967295",
    "kill 20-30": "0 VMs ended\nkill: nothing to do in 20-30",
    "stop 0-0 1": "stop: usage: stop K|FIRST-LAST",
    "start 1": "start: VM 1 (idle): in use",
    "stop 0": "stop: VM 0 (running): not permitted",
    "kill 0": "kill: VM 0 (running): not permitted",
    "destroy 17": "destroy: no VM 17",
    "create": "create: usage: create IMAGE",
    "create nothing": "create: no image nothing among the boot modules",
    "create echo number=1": "create: echo: VM 1 exists already",
    "create echo disk=none": "create: echo: no virtual disk none",
    "create echo colour=red": "create: colour=red: unknown word",
    "console 17": "console: no VM 17",
    "console me": "console: me is neither a number nor `kernel'",
    "vms sleepy": "vms: no VM is sleepy",
    "vms 17": "vms: no VM 17",
    "mkdisk x": "mkdisk: usage: mkdisk NAME SIZE",
    "mkdisk x 1M": "mkdisk: the machine has no disk (make qemu DISK=file)",
    "mkdisk x 1Q": "mkdisk: 1Q is no size such as 64M or 1G",
    "help me": "help: no command me",
    'echo "': 'supervisor: a quote (") has no end',
}


def test_mistakes_get_a_line_that_helps(lab: Lab) -> None:
    """An error says what was wrong, in the words that were typed, and changes nothing."""
    shell = Shell(lab, "vm echo", ("echo",))
    shell.wait_for(1, "idle")
    before = shell.states()
    for line, error in ERRORS.items():
        assert shell.run(line).startswith(error), line
    assert shell.states() == before


def test_vms_are_made_stopped_started_and_destroyed(lab: Lab) -> None:
    """A VM's whole life from the shell; ranges do it for many; numbers are free again."""
    shell = Shell(lab, "vm echo count=4", ("echo", "spin"))
    shell.wait_for(4, "idle")
    shell.run("stop 2")
    shell.wait_for(2, "dead")
    assert "terminated, status 0" in shell.run("stat 2")
    assert shell.run("start 2") == ""
    shell.wait_for(2, "idle")
    assert shell.run("create spin") == "VM 5: spin\n"
    assert shell.run("stop 5") == ""  # it doesn't listen
    assert shell.states()[5] in ("ready", "running")
    assert "2 VMs ended\n" in shell.run("kill 4-9")
    shell.wait_for(5, "dead")
    assert "2 VMs destroyed\n" in shell.run("destroy 4-9")
    assert set(shell.states()) == {0, 1, 2, 3}
    assert shell.run("create echo count=3 stopped") == "VMs 4 to 6: echo, 3 of 3, stopped\n"
    assert "3 VMs started\n" in shell.run("start 1-9")
    shell.wait_for(6, "idle")


def test_console_of_a_vm_is_shown_and_left(lab: Lab) -> None:
    """`console K` shows what K said while nobody looked; Ctrl-] comes back to the shell."""
    shell = Shell(lab, "vm echo", ("echo",))
    shell.wait_for(1, "idle")
    shell.type("console 1\r")
    shell.machine.expect(r"^echo: serving$")
    shell.machine.expect(r"^console: vm 1")
    shell.type(CTRL_BRACKET)
    shell.answer()
    assert shell.run("echo back") == "back\n"


def test_console_of_a_vm_that_is_out_is_shown(lab: Lab) -> None:
    """What a VM said goes out with it; `console K` waits until it is there again."""
    shell = Shell(lab, "vm echo", ("echo",), options="swap=ram swap-ram=4M")
    shell.wait_for(1, "idle")
    shell.type("console kernel\r")
    shell.machine.expect(r"^console: the kernel's monitor\s+denali> ")
    shell.machine.monitor("out 1")
    shell.type(CTRL_BRACKET)
    shell.answer()
    shell.wait_for(1, "out")
    shell.type("console 1\r")
    shell.machine.expect(r"^echo: serving$")
    shell.machine.expect(r"^console: vm 1")


def test_any_guest_can_have_its_lines_edited(lab: Lab) -> None:
    """The editor is the library's, not the shell's: another VM's console has it too, history
    included; its end gives the console back."""
    shell = Shell(lab, "vm talk", ("talk",))
    shell.wait_for(1, "idle")
    shell.type("console 1\r")
    shell.machine.expect(r"^console: vm 1.*$")
    shell.type("hallo" + LEFT * 3 + "\x7fe\r")
    shell.machine.expect(r"^You said: hello$")
    shell.type(UP + " again\r")
    shell.machine.expect(r"^You said: hello again$")
    shell.type("bye\r")
    shell.machine.expect(r"^vm 1: terminated, status 0")
    shell.machine.expect(r"^denali# ")
    assert shell.run("echo back") == "back\n"


def test_script_may_give_the_console_away(lab: Lab) -> None:
    """`focus K` as the script's last word: what K says is what the person sees first."""
    machine = lab.boot(
        lab.guest("supervisor", words=("supervisor",)),
        lab.text("f.boot", "vm hello\nvm echo\nfocus 2\n", ("script",)),
        lab.guest("hello", words=("image",)),
        lab.guest("echo", words=("image",)),
    )
    machine.expect(r"^console: vm 2")


def test_top_shows_who_runs_until_a_key(lab: Lab) -> None:
    """The busy VM is on top, with nearly the whole CPU, each second anew; a key ends it."""
    shell = Shell(lab, "vm echo count=3\nvm spin", ("echo", "spin"))
    shell.type("top\r")
    for _ in range(2):
        found = shell.machine.expect(r"CPU% +used +quanta +image\n +(\d+) \w+ +(\d+)\.\d%")
        assert int(found[1]) == 4 and int(found[2]) > 60
    shell.type("q")
    shell.machine.expect(r"^denali# ")
    assert shell.run("echo on") == "on\n"


def test_machine_adds_up(lab: Lab) -> None:
    """Memory, VMs and modules as they are."""
    shell = Shell(lab, "vm echo count=3", ("echo",))
    text = shell.run("machine")
    found = re.search(r"memory: (\d+) KB free of (\d+) KB", text)
    assert found and 0 < int(found[1]) < int(found[2]) <= 256 << 10
    assert "VMs: 4, " in text and "boot modules: 3" in text


def test_virtual_disks_are_made_and_destroyed(lab: Lab) -> None:
    """`disk` in a script makes one unless it's there; a disk that somebody has isn't destroyed."""
    image = lab.folder() / "disk.img"
    tool = ["/usr/bin/python3", "conf/mkdisk"]
    subprocess.run([*tool, "create", str(image), "64M"], check=True, capture_output=True)
    script = "disk data-1 4M\ndisk data-1 4M\ndisk data-2 1M\nvm echo count=2 disk=data-%\n"
    shell = Shell(lab, script, ("echo",), disk=raw_disk(image))
    assert "failed" not in shell.booted
    text = shell.run("disks")
    assert re.search(r"data-1 +4096 KB +VM 1\n", text), text
    assert re.search(r"data-2 +1024 KB +VM 2\n", text), text
    assert "2 virtual disks\n" in text
    assert "exists already" in shell.run("mkdisk data-1 4M")
    assert "in use" in shell.run("rmdisk data-2")
    assert shell.run("mkdisk third 64K") == "disk third: 64K\n"
    assert shell.run("rmdisk third") == ""
    assert "no disk third" in shell.run("rmdisk third")
    listed = subprocess.run(
        [*tool, "list", str(image)], check=True, capture_output=True, text=True
    ).stdout
    assert "data-1" in listed and "data-2" in listed and "third" not in listed


def test_a_thousand_vms_are_listed_in_pages(lab: Lab) -> None:
    """Forty lines fill a screen; who asks for more gets all of them, and the sums are right."""
    shell = Shell(lab, "vm echo count=1000", ("echo",), options="vms=1200", memory=512)
    assert "VMs 1 to 1000: echo, 1000 of 1000\n" in shell.booted
    shell.wait_for(1000, "idle", 60.0)
    page = shell.run("vms")
    assert len(page.splitlines()) == 42
    assert "1001 VMs: 1 running, 1000 idle; 40 shown" in page
    assert list(shell.states("990-2000")) == list(range(990, 1001))
    assert len(shell.states("idle")) == 1000
    assert "1000 VMs asked to end\n" in shell.run("stop 1-1000", 60.0)
    shell.wait_for(1000, "dead", 60.0)


def test_halt_ends_everything_in_order(lab: Lab) -> None:
    """Who listens ends with status 0; who doesn't is ended after its time; the machine stops."""
    shell = Shell(lab, "vm echo count=3\nvm spin", ("echo", "spin"), options="when-done=exit")
    shell.wait_for(3, "idle")
    shell.type("halt\r")
    assert shell.machine.wait(60.0) == EXIT_DONE
    text = shell.machine.serial.text()
    assert len(re.findall(r"^vm [123]: terminated, status 0", text, re.MULTILINE)) == 3
    assert "1 VMs didn't, and are ended now" in text
    assert re.search(r"^vm 4: killed", text, re.MULTILINE)


@pytest.mark.parametrize("seed", range(3))
def test_shell_survives_any_keys(lab: Lab, seed: int) -> None:
    """Random bytes at the prompt, control characters too (but not those that leave the shell): it
    still obeys, and nothing else has changed."""
    rng = random.Random(seed)
    shell = Shell(lab, "vm echo", ("echo",))
    shell.wait_for(1, "idle")
    for _ in range(60):
        keys = bytes(rng.choice([b for b in range(1, 127) if b != 0x1D]) for _ in range(20))
        shell.type(keys.decode("ascii"))
        shell.machine.expect("(?s:.)", 20.0)
    shell.type("\x1b\x03\r")
    shell.type("\x15echo end-of-noise\r")
    shell.machine.expect(r"^end-of-noise\ndenali# ")
    assert shell.states()[1] == "idle"


def test_make_qemu_runs_a_script_and_obeys_make_control(lab: Lab) -> None:
    """What a person does: boot a script of one's own, then give commands from another terminal. The
    key is in no command line, and in a file that nobody else can read."""
    script = lab.folder() / "own.boot"
    script.write_text("vm httpd count=2\nvm echo\n")
    out = script.with_name("out")
    environ = {**os.environ, "BOOT": str(script), "PROGRAMS": ""}
    with open(out, "wb") as file:
        line = ["/usr/bin/python3", "conf/run", "--build", str(lab.build), "qemu"]
        process = start(line, stdin=subprocess.PIPE, stdout=file, environment=environ)
    try:
        text = _wait_for_text(out, "denali# ")
        page = re.search(r"http://localhost:(\d+)/", text)
        run = re.search(r"QMP: (\S+)/qmp", text)
        assert page and run and "own.boot: 3 VMs" in text and "VM 3: echo" in text
        answer = subprocess.run(
            ["conf/control", "vms", "1-9"],
            env={**os.environ, "RUN": run[1]}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 0 and "4 VMs:" in answer.stdout, answer
        key = (Path(run[1]) / "key").read_text()
        assert (Path(run[1]) / "key").stat().st_mode & 0o777 == 0o600
        assert (Path(run[1]) / "control").stat().st_mode & 0o777 == 0o600
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        assert len(key) == 64 and key not in shown.stdout
    finally:
        assert process.stdin is not None
        process.stdin.write(b"\x01x")
        process.stdin.flush()
        process.wait(10)
        end(process)


def _wait_for_text(path: Path, text: str, seconds: float = 60.0) -> str:
    deadline = time.monotonic() + seconds
    while text not in path.read_text(errors="replace"):
        assert time.monotonic() < deadline, path.read_text(errors="replace")
        time.sleep(0.05)
    return path.read_text(errors="replace").replace("\r", "")


@pytest.mark.parametrize("name", ["web", "mixed", "1000"])
def test_scripts_of_the_project_boot_without_a_complaint(lab: Lab, name: str) -> None:
    """conf/*.boot as they are; site.boot needs a disk, and is tried with one elsewhere."""
    path = Path("conf") / f"{name}.boot"
    wanted = boot.read(path)
    shell = Shell(
        lab, path.read_text(), wanted.programs, options=f"vms={wanted.vms}", memory=512
    )
    assert "failed" not in shell.booted and "test.boot:" not in shell.booted
    assert len(shell.states()) == wanted.vms + 1
