#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Say what this machine lacks for the labs, and what to type: `make doctor`.

    conf/doctor.py [--build FOLDER] [--cc COMPILER] [--port 8080]

One line for each problem, with the command that mends it; "all well" if there is none. Nothing is
changed. A problem that only slows things or spoils their looks is a "note", and no failure: ends with 1
if there is a problem, otherwise with 0. Other versions than the official ones are notes.
"""

from __future__ import annotations

import argparse
import importlib.util
import locale
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MINIMUM_QEMU = (7, 2)
MINIMUM_PYTHON = (3, 11)
FREE_DISK = 2 << 30  # bytes: builds, logs, and sparse swap disks as they fill
SLOWEST_LOOP = 10.0  # seconds for what takes half of one where the labs are tested
QEMU = "qemu-system-i386"
QEMU_OPTIONS = ("-icount", "-qmp", "-fw_cfg", "-gdb", "-object", "-initrd")
CROSS = ("i686-elf-", "i686-linux-gnu-")
MODULES = {"pytest": "python3-pytest", "xdist": "python3-pytest-xdist"}
LOOP = 100_000_000  # rounds of two instructions
LOOP_STATUS = 33  # what QEMU ends with


@dataclass(frozen=True)
class Problem:
    """One line of the report."""

    what: str
    fix: str
    serious: bool = True

    def __str__(self) -> str:
        return f"{'problem' if self.serious else 'note'}: {self.what}; {self.fix}"


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    build: Path
    compiler: str
    port: int


Check = Callable[[Settings], Iterator[Problem]]


def install(package: str) -> str:
    """How to get a Debian package."""
    return f"type: sudo apt-get install {package}"


def said_by(*line: str) -> str:
    """What a command prints, "" if it can't be run or fails."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def version_in(text: str) -> tuple[int, ...]:
    """The first version number of a text, (0,) if it has none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)?", text)
    return (int(found[1]), int(found[2])) if found else (0,)


def check_compiler(settings: Settings) -> Iterator[Problem]:
    """Something that compiles for the 386, and a linker."""
    names = [settings.compiler, *(f"{prefix}gcc" for prefix in CROSS)]
    compiler = next((name for name in names if shutil.which(name.split()[0])), "")
    pc = platform.machine() in ("x86_64", "i686", "i386")
    package = "gcc binutils" if pc else "gcc-i686-linux-gnu binutils-i686-linux-gnu"
    if not compiler:
        yield Problem(f"there is no {settings.compiler}", install(package))
    elif not compiles(compiler):
        yield Problem(f"{compiler} makes no 32-bit code", install(package))
    if not any(shutil.which(name) for name in ("ld", *(f"{prefix}ld" for prefix in CROSS))):
        yield Problem("there is no ld", install(package))


def compiles(compiler: str) -> bool:
    """Does it compile for the 386, without a C library?"""
    line = [*compiler.split(), "-m32", "-ffreestanding", "-xc", "-c", "-o", os.devnull, "-"]
    try:
        done = subprocess.run(line, input=b"int x;", capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def check_qemu(_settings: Settings) -> Iterator[Problem]:
    """QEMU for the 386, with the options that the labs use."""
    name = QEMU
    if not shutil.which(name):
        yield Problem(f"there is no {name}", install("qemu-system-x86"))
        return
    version = version_in(said_by(name, "--version"))
    if version < MINIMUM_QEMU:
        yield Problem(
            f"{name} is {'.'.join(map(str, version))}, not 7.2 or later", install("qemu-system-x86")
        )
        return
    words = said_by(name, "--help").split()
    missing = [option for option in QEMU_OPTIONS if option not in words]
    if missing:
        yield Problem(f"{name} has no {', '.join(missing)}", install("qemu-system-x86"))
    elif version != MINIMUM_QEMU:
        shown = ".".join(map(str, version))
        yield Problem(f"{name} is {shown}; grading is tested with 7.2", "expect small differences", False)


def check_python(_settings: Settings) -> Iterator[Problem]:
    """Python 3.11 where make looks for it, and what runs the tests."""
    if sys.version_info[:2] < MINIMUM_PYTHON:
        yield Problem(f"{sys.executable} is older than 3.11", install("python3") + " (Debian 12)")
    for module, package in MODULES.items():
        if importlib.util.find_spec(module) is None:
            yield Problem(f"Python has no module {module}", install(package))


def check_commands(_settings: Settings) -> Iterator[Problem]:
    """Other commands."""
    for command, package in (("git", "git"), ("gdb", "gdb"), ("make", "make")):
        if not shutil.which(command):
            yield Problem(f"there is no {command}", install(package))
    staff = {"ctags": "universal-ctags", "unifdef": "unifdef", "bwrap": "bubblewrap", "patch": "patch"}
    for command, package in staff.items() if (ROOT / "grade/submission").exists() else ():
        if not shutil.which(command):
            yield Problem(f"there is no {command}", install(package))
    if shutil.which("make") and version_in(said_by("make", "--version")) < (4, 0):
        yield Problem("make is older than 4.0", install("make") + " (macOS: use gmake)")


def check_disk(settings: Settings) -> Iterator[Problem]:
    """Room for what is built."""
    folder = settings.build
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield Problem(f"{folder} can't be written to", f"type: sudo chown -R $USER {folder}")
    free = shutil.disk_usage(folder).free
    if free < FREE_DISK:
        yield Problem(f"{free >> 20} MB are free at {folder}, 2,048 are needed", "type: make clean")


def check_speed(_settings: Settings) -> Iterator[Problem]:
    """How fast QEMU emulates: a loop, in place of the firmware, that ends the machine."""
    if not shutil.which(QEMU):
        return
    with tempfile.TemporaryDirectory() as folder:
        rom = Path(folder) / "rom"
        rom.write_bytes(loop_rom())
        line = [QEMU, "-nodefaults", "-display", "none", "-accel", "tcg", "-bios", str(rom)]
        line += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        begin = time.monotonic()
        try:
            status = subprocess.run(line, capture_output=True, timeout=60, check=False).returncode
        except subprocess.TimeoutExpired:
            status = LOOP_STATUS
        seconds = time.monotonic() - begin
    if status != LOOP_STATUS:
        yield Problem(f"{QEMU} can't run a loop (status {status})", install("qemu-system-x86"))
    elif seconds > SLOWEST_LOOP:
        yield Problem(
            f"emulation is slow: {seconds:.0f} s for {2 * LOOP // 1_000_000} million instructions",
            "close other programs; points don't depend on it", False,
        )  # fmt: skip


def loop_rom() -> bytes:
    """64 KB of firmware: LOOP rounds of two instructions, then the end with LOOP_STATUS."""
    count = LOOP.to_bytes(4, "little")
    loop = b"\x66\xb9" + count + b"\x66\x49\x75\xfc"  # mov $LOOP, %ecx; 1: dec %ecx; jnz 1b
    loop += bytes((0xB0, LOOP_STATUS >> 1, 0xE6, 0xF4, 0xF4))  # mov, %al; out %al, $0xf4; hlt
    reset = b"\xea\x00\x00\x00\xf0"  # ljmp $0xf000, $0
    return loop.ljust(0xFFF0, b"\xf4") + reset.ljust(16, b"\xf4")


def check_port(settings: Settings) -> Iterator[Problem]:
    """The port of the page."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError:
            yield Problem(
                f"port {settings.port} is taken",
                "the next free one is used, or type: make qemu PORT=8090", False,
            )  # fmt: skip


def check_locale(_settings: Settings) -> Iterator[Problem]:
    """A locale in which text outside of ASCII can be printed."""
    try:
        locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        yield Problem("the locale that is set isn't installed", "type: export LC_ALL=C.UTF-8", False)
        return
    if locale.nl_langinfo(locale.CODESET).upper() != "UTF-8":
        yield Problem("the locale isn't UTF-8", "type: export LC_ALL=C.UTF-8", False)


CHECKS: tuple[Check, ...] = (
    check_compiler, check_qemu, check_python, check_commands,
    check_disk, check_speed, check_port, check_locale,
)  # fmt: skip


def problems(settings: Settings) -> list[Problem]:
    """All of them, in the order of the checks."""
    return [problem for check in CHECKS for problem in check(settings)]


def main(argv: list[str]) -> int:
    """Run the module's docstring's command line."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--port", type=int, default=8080)
    chosen = parser.parse_args(argv)
    found = problems(Settings(chosen.build.resolve(), chosen.cc, chosen.port))
    for problem in found:
        print(problem)
    if not found:
        print("all well")
    return 1 if any(problem.serious for problem in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
