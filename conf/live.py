# SPDX-License-Identifier: MIT
"""A running `make qemu` seen from outside: found, or started, and its RAM read through QMP."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from conf import rundir
from conf.rundir import RunError
from grade.harness.qmp import Qmp

ROOT = Path(__file__).resolve().parent.parent
BOOT_SECONDS = 20.0  # for QEMU to make the machine


class Ram:
    """RAM of a machine, read through QMP; the machine runs on."""

    def __init__(self, qmp: Qmp, folder: Path) -> None:
        self._qmp = qmp
        self._file = folder / "ram"

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes at a machine address."""
        self._qmp.command("pmemsave", val=address, size=length, filename=str(self._file))
        return self._file.read_bytes()


@contextlib.contextmanager
def booted(build: str) -> Iterator[Path]:
    """A machine as `make qemu` starts it, without a terminal; gives its run's folder."""
    log = tempfile.TemporaryFile()
    line = [sys.executable, str(ROOT / "conf/run"), "--build", build, "qemu"]
    process = subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield _folder_of(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _folder_of(process: subprocess.Popen[bytes]) -> Path:
    """The folder of the run that `process` made."""
    deadline = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for path in rundir.base().glob("run-*"):
            with contextlib.suppress(OSError, ValueError):
                about = json.loads((path / "about.json").read_text())
                if about.get("pid") == process.pid and (path / "qmp").exists():
                    return path
        time.sleep(0.02)
    raise RunError("the machine didn't start: try make qemu")
