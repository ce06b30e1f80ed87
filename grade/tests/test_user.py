# SPDX-License-Identifier: MIT
"""What a user does first: `make qemu`, look at the page in a browser, attach a debugger.

These run conf/run, as make does, with the build under test.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grade.harness.lab import Lab
from grade.harness.process import end, need, start
from grade.harness.verdict import TimedOut

BROWSER = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
).split()


@contextmanager
def _running(lab: Lab, kind: str, pattern: str, **variables: str) -> Iterator[re.Match[str]]:
    """conf/run `kind`, once it has printed `pattern`; ended as Ctrl-A x does."""
    log = lab.folder() / "out"
    line = ["/usr/bin/python3", "conf/run", "--build", str(lab.build), kind]
    environ = {**os.environ, **variables}
    with open(log, "wb") as out:
        process = start(
            line, stdin=subprocess.PIPE, stdout=out, stderr=out, environment=environ
        )
    try:
        yield _wait_for(log, pattern)
    finally:
        try:
            assert process.stdin is not None
            process.stdin.write(b"\x01x")
            process.stdin.flush()
            process.wait(10)
        except BrokenPipeError:
            pass  # the debugger has ended it already
        finally:
            end(process)


def _wait_for(log: Path, pattern: str, seconds: float = 60.0) -> re.Match[str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if match := re.search(pattern, text):
            return match
        time.sleep(0.05)
    raise TimedOut(f"{pattern!r} isn't in\n{log.read_text(errors='replace')}")


def _wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _curl(url: str) -> str:
    line = ["curl", "-sS", "--fail", "--retry", "20", "--retry-connrefused", "--retry-all-errors"]
    return subprocess.run(
        [*line, "--retry-delay", "1", "--max-time", "60", url], capture_output=True, text=True
    ).stdout


def test_curl_and_browser_show_the_page_of_make_qemu(lab: Lab) -> None:
    """The promise of the first screen: type `make qemu`, open the address that it prints. The
    browser is a real one: its document has VM 1's number, its picture is not blank."""
    with _running(lab, "qemu", r"http://localhost:(\d+)/") as match:
        url = f"http://127.0.0.1:{match[1]}/"
        assert "<title>Denali VM 1</title>" in _curl(url)
        dom, picture = _browse(lab, url)
        assert "Virtual machine 1" in dom
        assert re.search(r'id="number">\s*1\b', dom) and "10.1.0.1" in dom
        assert struct.unpack(">II", picture[16:24]) == (800, 600) and len(picture) > 5000


def _browse(lab: Lab, url: str) -> tuple[str, bytes]:
    """The document as the browser has it, and a picture of it."""
    need("chromium")
    folder = lab.folder()
    base = ["chromium", *BROWSER, "--window-size=800,600"]
    shot = [*base, f"--user-data-dir={folder / 'one'}", f"--screenshot={folder / 'page.png'}", url]
    _browser(shot, folder / "log")
    _browser([*base, f"--user-data-dir={folder / 'two'}", "--dump-dom", url], folder / "dom")
    return (folder / "dom").read_text(errors="replace"), (folder / "page.png").read_bytes()


def _browser(line: list[str], output: Path) -> None:
    """Run the browser to its end; its children die with its group."""
    with open(output, "wb") as out:
        process = start(line, stdout=out)
        try:
            process.wait(120)
        finally:
            end(process)


@pytest.mark.long
def test_two_runs_do_not_collide(lab: Lab) -> None:
    """Two users on one machine: each gets a port of its own and its own page."""
    with _running(lab, "qemu", r"http://localhost:(\d+)/", VMS="1") as one:
        assert "Denali VM 1" in _curl(f"http://127.0.0.1:{one[1]}/")  # it has its port by now
        with _running(lab, "qemu", r"http://localhost:(\d+)/", VMS="2") as two:
            assert one[1] != two[1]
            for match in (one, two):
                assert "Denali VM 1" in _curl(f"http://127.0.0.1:{match[1]}/")


def test_tap_reaches_every_address(lab: Lab) -> None:
    """`make qemu-tap` gives a network in which each VM has its own address; a command given to it
    runs there, its output and status come back, and nothing stays behind."""
    out = lab.folder() / "out"
    environ = {**os.environ, "VMS": "5", "CMD": "curl -sS http://10.1.0.5/ && exit 7"}
    line = ["/usr/bin/python3", "conf/run", "--build", str(lab.build), "qemu-tap"]
    with open(out, "wb") as file:
        process = start(line, stdout=file, stderr=file, environment=environ)
        try:
            status = process.wait(60)
        finally:
            end(process)
    assert "<title>Denali VM 5</title>" in out.read_text() and status == 7, out.read_text()


def _gdb(lab: Lab, folder: str, *commands: str) -> str:
    """`make gdb` with commands typed, as soon as QEMU listens; what it printed."""
    _wait_until(lambda: Path(folder, "gdb").exists())
    script = lab.folder() / "commands"
    script.write_text("\n".join(["set pagination off", *commands, "kill", "quit"]) + "\n")
    out = script.with_name("out")
    environ = {**os.environ, "RUN": folder}
    with open(script, "rb") as stdin, open(out, "wb") as stdout:
        line = ["/usr/bin/python3", "conf/run", "--build", str(lab.build), "gdb"]
        process = start(line, stdin=stdin, stdout=stdout, stderr=stdout, environment=environ)
    try:
        process.wait(60)
    finally:
        end(process)
    return out.read_text(errors="replace")


def test_gdb_shows_kernel_and_guest_symbols(lab: Lab) -> None:
    """`make gdb` attaches to `make qemu-gdb`, stops in the kernel by name, shows its source lines,
    and then a guest's function by name, at the guest's own address."""
    need("gdb")
    with _running(lab, "qemu-gdb", r"RUN=(\S+?)\)", VMS="2") as match:
        text = _gdb(
            lab, match[1], "break vm_create_all", "continue", "backtrace", "delete",
            "guest httpd", "hbreak main", "continue", "info symbol $pc",
        )  # fmt: skip
    assert re.search(r"Breakpoint [\d.]+, vm_create_all \(.*kern/vmcreate\.c:\d+", text), text
    assert re.search(r"#1 .* main \(.*kern/main\.c:\d+", text), text
    assert re.search(r"Breakpoint [\d.]+, main \((.|\n)*?user/httpd\.c:\d+", text), text
    assert re.search(r"^(\(gdb\) )?main( \+ \d+)? in section \.text", text, re.MULTILINE), text


def test_tools_are_there() -> None:
    """A suite without its browser or debugger would pass by not looking."""
    for program in ("curl", "chromium", "gdb"):
        assert shutil.which(program), f"{program} isn't installed"
