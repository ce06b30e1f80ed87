# SPDX-License-Identifier: MIT
"""Lab 0: make doctor finds each thing that a machine may lack; make demo shows a live page."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from conf import doctor
from grade.harness.process import end, start
from labs import demo

ROOT = Path(__file__).resolve().parent.parent.parent
STAFFS = ("ctags", "unifdef", "bwrap", "patch")
TOOLS = ("gcc", "ld", "as", "qemu-system-i386", "git", "gdb", "make", *STAFFS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that is all of PATH, with every tool in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return folder


def fake(folder: Path, name: str, script: str) -> None:
    """In place of a tool, a script."""
    (folder / name).unlink()
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def examine(path: Path, **environment: str) -> tuple[int, str]:
    """What the doctor says, with `path` for PATH; a port that is free unless a test says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = environment.pop("port", str(probe.getsockname()[1]))
    line = ["/usr/bin/python3", str(ROOT / "conf/doctor.py"), "--build", str(path), "--port", port]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False,
        env={"PATH": str(path), "LC_ALL": "C.UTF-8"} | environment,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.quick
def test_a_machine_with_everything_is_well(path: Path) -> None:
    """Otherwise nobody would read what it says."""
    status, said = examine(path)
    notes = [line for line in said.splitlines() if line.startswith("note: emulation is slow")]
    assert status == 0 and (said == "all well\n" or said.splitlines() == notes), said


@pytest.mark.quick
@pytest.mark.parametrize("tool", ["gcc", "ld", "qemu-system-i386", "git", "gdb", "make", *STAFFS])
def test_a_tool_that_is_missing_is_named_with_its_package(path: Path, tool: str) -> None:
    """One line, with a command that can be typed."""
    (path / tool).unlink()
    status, said = examine(path)
    line = next(line for line in said.splitlines() if f"there is no {tool};" in line)
    assert status == 1 and re.search(r"type: sudo apt-get install \S+", line), said


FAKES = (
    ("gcc", "exit 1", "gcc makes no 32-bit code"),
    ("qemu-system-i386", "echo QEMU emulator version 5.2.0", "qemu-system-i386 is 5.2, not 7.2"),
    (
        "qemu-system-i386",
        'case $1 in --version) echo version 7.2.0;; --help) echo "-qmp -gdb";; esac',
        "has no -icount, -fw_cfg, -object, -initrd",
    ),
    ("qemu-system-i386", "echo QEMU emulator version 9.9.0", "has no -icount"),
    ("make", "echo GNU Make 3.81", "make is older than 4.0"),
)


@pytest.mark.quick
@pytest.mark.parametrize(("tool", "script", "complaint"), FAKES)
def test_a_tool_that_will_not_do_is_told(
    path: Path, tool: str, script: str, complaint: str
) -> None:
    """A wrong version fails later, and then nobody thinks of it."""
    fake(path, tool, script)
    status, said = examine(path)
    assert status == 1 and complaint in said, said


def test_other_versions_and_slow_machines_are_notes(path: Path) -> None:
    """They cost no points, so they are no failure."""
    real = shutil.which("qemu-system-i386")
    script = f'case $1 in --version) echo version 9.9.0;; *) exec {real} "$@"; esac'
    fake(path, "qemu-system-i386", script)
    status, said = examine(path)
    assert status == 0 and "note: qemu-system-i386 is 9.9; grading is tested with 7.2" in said


@pytest.mark.quick
def test_a_taken_port_and_a_plain_locale_are_notes(path: Path) -> None:
    """The page is elsewhere then; text looks odd."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = examine(path, port=str(port), LC_ALL="C")
    assert status == 0 and f"note: port {port} is taken" in said
    assert "the locale isn't UTF-8" in said
    assert "isn't installed" in examine(path, LC_ALL="xx_YY.UTF-8")[1]


@pytest.mark.quick
def test_what_this_machine_cannot_lack_is_told_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full disk, an old Python, no pytest, a QEMU that hangs or is slow."""
    settings = doctor.Settings(tmp_path, "gcc", 0)

    def said(check: doctor.Check) -> str:
        return "\n".join(map(str, check(settings)))

    usage = shutil.disk_usage(tmp_path)._replace(free=5 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert "5 MB are free" in said(doctor.check_disk)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_arguments: False)
        assert "can't be written to" in said(doctor.check_disk)
    monkeypatch.setattr(doctor, "MINIMUM_PYTHON", (99, 0))
    monkeypatch.setattr(doctor, "MODULES", {"nosuchmodule": "nosuchpackage"})
    assert "is older than 3.11" in said(doctor.check_python)
    assert "no module nosuchmodule" in said(doctor.check_python)
    monkeypatch.setattr(doctor, "SLOWEST_LOOP", 0.0)
    assert "emulation is slow" in said(doctor.check_speed)
    monkeypatch.setattr(doctor, "loop_rom", lambda: b"\xf4" * 65536)
    monkeypatch.setattr(doctor, "QEMU", "false")
    assert "can't run a loop (status 1)" in said(doctor.check_speed)


@pytest.mark.course
def test_the_demo_shows_a_live_page(tmp_path: Path) -> None:
    """From images without symbols, as a course's tree has them."""
    demo.build_demo(tmp_path / "demo")
    symbols = ["nm", str(tmp_path / "demo/kern/denali")]
    assert subprocess.run(symbols, capture_output=True, text=True, check=True).stdout == ""
    log = tmp_path / "log"
    with open(log, "wb") as output:
        machine = start(
            [str(ROOT / "conf/demo"), str(tmp_path / "demo")],
            environment={**os.environ, "VMS": "50"}, stdin=subprocess.PIPE,
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (page := _page(log)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert "<title>Denali VM 1</title>" in page, log.read_text(errors="replace")[-2000:]
    finally:
        end(machine)


def _page(log: Path) -> str:
    """VM 1's page; "" as long as it isn't there."""
    found = re.search(r"http://localhost:\d+/", log.read_text(errors="replace"))
    if not found:
        return ""
    try:
        with urllib.request.urlopen(found[0], timeout=5) as answer:  # noqa: S310
            return str(answer.read().decode())
    except OSError:
        return ""
