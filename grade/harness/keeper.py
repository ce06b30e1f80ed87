#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Nothing outlives a run: a small process that cleans up after the one that started it.

Every process that uses the harness has one keeper, joined to it by a pipe. Process groups and
temporary folders are registered on that pipe while they exist. When the pipe closes, because the
harness ended, was interrupted or was killed with a signal that it could not catch, the keeper kills
and removes what is still registered, and ends.

    line on the pipe      meaning
    +group PGID           kill this process group at the end
    +folder PATH          remove this folder at the end
    -group PGID           it is gone already; the same for a folder
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO


class Keeper:
    """The pipe to this process's keeper. Use `keeper()`; thread-safe."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The keeper's process id."""
        return self._process.pid

    def owned_by(self, pid: int) -> bool:
        """Whether `pid` started this keeper: a forked child needs its own."""
        return self._owner == pid

    def tell(self, line: str) -> None:
        """Send one line of the table in the module's docstring."""
        assert "\n" not in line and self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


_current: Keeper | None = None


def keeper() -> Keeper:
    """This process's keeper, started at first use."""
    global _current
    if _current is None or not _current.owned_by(os.getpid()):
        _current = Keeper()
    return _current


def make_folder() -> Path:
    """A new temporary folder, removed with the run at the latest; its path is short (sockets)."""
    folder = Path(tempfile.mkdtemp(prefix="denali-"))
    keeper().tell(f"+folder {folder}")
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder of `make_folder` now."""
    shutil.rmtree(folder, ignore_errors=True)
    keeper().tell(f"-folder {folder}")


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _clean(groups: set[int], folders: set[str]) -> None:
    for group in groups:
        _kill_group(group)
    for folder in folders:
        for _ in range(20):  # a process that is dying may still write into it
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):
                break
            time.sleep(0.05)


def _keep(pipe: IO[str]) -> None:
    """Read registrations until the pipe closes, then clean up."""
    groups: set[int] = set()
    folders: set[str] = set()
    for line in pipe:
        kind, _, what = line.rstrip("\n").partition(" ")
        match kind:
            case "+group":
                groups.add(int(what))
            case "-group":
                groups.discard(int(what))
            case "+folder":
                folders.add(what)
            case "-folder":
                folders.discard(what)
    _clean(groups, folders)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _keep(sys.stdin)
