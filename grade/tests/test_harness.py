# SPDX-License-Identifier: MIT
"""The harness judged by itself: what it promises must hold before its verdicts mean anything."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.qemu import EXIT_RESET
from grade.harness import packet
from grade.harness.lab import Lab
from grade.harness.qmp import Qmp
from grade.harness.serial import Serial, echo, is_half
from grade.harness.verdict import Crashed, Infrastructure, TimedOut, Verdict, classify

pytestmark = pytest.mark.quick

# A run of the harness that something kills from outside: it prints what must be gone afterwards.
_VICTIM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
import sys, time
from contextlib import ExitStack
from pathlib import Path
from grade.harness.keeper import keeper
from grade.harness.lab import Lab
lab = Lab(Path(sys.argv[1]), Path(sys.argv[2]), ExitStack())
folder, tap = lab.folder(), lab.tap()
machine = lab.boot(tap=tap)
machine.expect("denali: ")
print(folder, machine.gdb_path.parent, machine.pid, tap._holder.pid, keeper().pid, flush=True)
time.sleep(600)
"""


def _gone(things: list[str]) -> bool:
    """Whether every path and process id of `things` is gone."""
    return not any(Path(t if t.startswith("/") else f"/proc/{t}").exists() for t in things)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("printf 'used 14'; sleep 0.2; echo 59; sleep 60", "1459"),
        ("printf 'used 14'; sleep 0.2", "14"),
        ("printf 'used 14'; sleep 60", "14"),
    ],
    ids=["goes on", "ends", "stays"],
)
def test_half_a_number_is_waited_for(tmp_path: Path, script: str, said: str) -> None:
    """The log is read while QEMU writes it. What stays half until the time is over is all."""
    log = tmp_path / "log"
    with log.open("wb") as out, subprocess.Popen(["sh", "-c", script], stdout=out) as process:
        serial = Serial(log, process, "sh")
        assert serial.expect(r"used (\d+)", seconds=0.3)[1] == said
        process.kill()


@pytest.mark.parametrize(
    ("pattern", "text", "half"),
    [
        (r"used (\d+)", "used 14", True),
        (r"^ended$", "ended", True),
        (r"^<a", "<a", False),
        (r"^> ", "> ", False),
        (r"used (\d+)", "used 14\n", False),
    ],
)
def test_what_cannot_go_on_is_no_half(pattern: str, text: str, half: bool) -> None:
    """Who waits for the other half of a word that is whole waits for ten seconds."""
    match = re.search(pattern, "before\n" + text, re.MULTILINE)
    assert match and is_half(match) is half


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_a_run_that_is_killed(
    lab: Lab, tmp_path: Path, number: signal.Signals
) -> None:
    """An orphaned QEMU, namespace or socket would spoil every later run on this machine."""
    script = lab.folder() / "victim.py"
    script.write_text(_VICTIM)
    line = [sys.executable, str(script), str(lab.build), str(tmp_path)]
    victim = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=_with_root())
    assert victim.stdout is not None
    things = victim.stdout.readline().split()
    assert len(things) == 5 and not _gone(things[:4])
    victim.send_signal(number)
    victim.wait(30)
    victim.stdout.close()
    deadline = time.monotonic() + 20
    while not _gone(things) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _gone(things), f"of {things}, some are left after {number.name}"


def test_an_echo_is_found_in_pieces() -> None:
    """A VM that ends while somebody types breaks the line; what is not an echo stays none."""
    text = "denali> \nvm 3: terminated\nc\nvm 58: terminated\nvm 9: terminated\nhe\nvm 4: gone\nck\nchecked\n"
    found = re.search(echo("check") + "\n(.*)", text)
    assert found and found[1] == "checked"
    assert not re.search(echo("check") + "\n", "denali> che\nvm 1: terminated\nchecked\n")


def _with_root() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path.cwd())}


_VERDICTS = """
import os, pathlib, pytest
from grade.harness.verdict import Crashed, Infrastructure, TimedOut
def test_pass(): pass
def test_fail(): assert 1 == 2
def test_timeout(): raise TimedOut("slept for ever")
@pytest.mark.points(5)
def test_crash(): raise Crashed("panic: no")
def test_infrastructure(): raise Infrastructure("no tap")
def test_second_try(tmp_path_factory):
    mark = pathlib.Path(__file__).with_name("tried")
    if not mark.exists():
        mark.touch()
        raise Infrastructure("a busy host")
def test_worker(): os.kill(os.getpid(), 9)
"""


def test_every_verdict_is_told_apart(lab: Lab) -> None:
    """An infrastructure error is tried again and is never a mark; a crash is no plain failure; a
    test that takes its process down has not passed."""
    folder = lab.folder()
    (folder / "conftest.py").write_text(Path("grade/conftest.py").read_text())
    (folder / "test_inner.py").write_text(_VERDICTS)
    line = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(folder), "-n", "1"]
    line += ["-p", "no:cacheprovider", f"--results={folder / 'results'}", str(folder)]
    run = subprocess.run(line, capture_output=True, text=True, env=_with_root(), check=False)
    results = json.loads((folder / "results").read_text())
    found = {name.rpartition("::")[2]: entry["verdict"] for name, entry in results.items()}
    worker, again = found.pop("test_worker"), found.pop("test_second_try")
    assert found == {f"test_{verdict.value}": verdict.value for verdict in Verdict}, run.stdout
    assert (worker, again) == ("crash", "pass")
    assert "panic: no" in run.stdout and "INFRASTRUCTURE" in run.stdout


def test_pattern_that_never_comes_is_a_timeout_with_all_that_is_needed(lab: Lab) -> None:
    """A person must see what was waited for, what was there, and how to run it again."""
    machine = lab.boot()
    machine.expect("denali> ")
    with pytest.raises(TimedOut) as caught:
        machine.expect("no such line", seconds=0.3)
    for part in ("no such line", "isolation kernel", str(machine.log), "qemu-system-i386"):
        assert part in str(caught.value)
    assert classify(caught.value) is Verdict.TIMEOUT


def test_reset_is_a_crash(lab: Lab) -> None:
    """QEMU's status 0 is a triple fault under -no-reboot: read as success, it would pass."""
    machine = lab.boot()
    machine.expect("denali> ")
    machine.qmp.command("system_reset")
    with pytest.raises(Crashed, match="triple fault") as caught:
        machine.expect("no such line")
    assert classify(caught.value) is Verdict.CRASH
    assert machine.wait_crash() == EXIT_RESET


@pytest.mark.parametrize("leaves", [True, False])
def test_who_leaves_while_it_is_asked_is_not_halted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    """A machine ends when it likes: a question that is open then is no fault of the host's. One
    that goes on and doesn't answer is."""
    machine = lab.boot("hello")

    def ask(_: Qmp) -> dict[str, int]:
        if leaves:
            os.kill(machine.pid, signal.SIGTERM)
        raise Infrastructure("QMP: QEMU closed the connection")

    monkeypatch.setattr(Qmp, "registers", ask)
    monkeypatch.setattr("grade.harness.machine.LEAVING", 5.0 if leaves else 0.1)
    if leaves:
        assert not machine.halted()
    else:
        with pytest.raises(Infrastructure):
            machine.halted()


def test_missing_program_is_infrastructure(lab: Lab) -> None:
    """A tool that isn't there says nothing about the kernel: never a failed test, never a pass."""
    with pytest.raises(Infrastructure) as caught:
        lab.tap().command("denali-no-such-program")
    assert classify(caught.value) is Verdict.INFRASTRUCTURE


def test_memory_is_read_and_written_where_the_machine_has_it(lab: Lab) -> None:
    """The harness's own view of RAM must be the machine's: QMP's monitor is the witness."""
    machine = lab.boot()
    machine.expect("denali> ")
    address = machine.run.memory * (1 << 20) // 2
    machine.memory.write(address, b"\xef\xbe\xad\xde")
    assert "0xdeadbeef" in machine.qmp.monitor(f"xp /1xw {address:#x}")
    with machine.stopped():
        space = machine.memory.spaces(machine.qmp.registers()["cr3"])[0]
        assert space.word(0x40000000 + address) == 0xDEADBEEF


def test_gdb_client_agrees_with_the_monitor(lab: Lab) -> None:
    """Sweeps and pokes stand on the gdb stub: registers read there must be the CPU's."""
    machine = lab.boot()
    machine.expect("denali> ")
    gdb = machine.gdb()
    registers, monitor = gdb.registers(), machine.qmp.registers()
    gdb.detach()
    assert (registers["eip"], registers["esp"]) == (monitor["eip"], monitor["esp"])


def test_frames_are_built_and_taken_apart_alike() -> None:
    """A checker that accepts wrong checksums would accept a machine that sends them."""
    frame = packet.udp_to_vm(3, 7, b"hello")
    parsed = packet.parse(frame)
    assert (parsed.kind, parsed.target, parsed.port, parsed.data) == ("udp", "10.1.0.3", 7, b"hello")
    for at in (14 + 8, 14 + 20 + 8):  # IPv4's time to live, the first byte of UDP's data
        wrong = bytearray(frame)
        wrong[at] ^= 0x10
        with pytest.raises(ValueError, match="checksum"):
            packet.parse(bytes(wrong))


def test_tap_is_private(lab: Lab) -> None:
    """Two runs, or two users, on one host must not see each other's interfaces."""
    first, second = lab.tap(), lab.tap()
    first.command("ip", "tuntap", "add", "dev", "tap7", "mode", "tap")
    assert "tap0" in first.command("ip", "link").stdout
    assert "tap7" not in second.command("ip", "link").stdout
    assert "tap7" not in Path("/proc/net/dev").read_text()
