# SPDX-License-Identifier: MIT
"""Processes that the harness starts: each leads its own session, none outlives the harness.

Three things kill a process that is left over: `end` in the ordinary case, the kernel's parent-death
signal when the harness dies (setpriv, which then becomes the program), and the keeper, which also
reaches what the program itself has started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from grade.harness.keeper import keeper
from grade.harness.verdict import Infrastructure

_TICKS = os.sysconf("SC_CLK_TCK")
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

Stream = int | IO[Any] | None


def start(
    line: Sequence[str],
    *,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `line` in a session of its own; a program that isn't there is infrastructure."""
    need(line[0])
    try:
        process = subprocess.Popen(
            [*_DIES_WITH_US, *line],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise Infrastructure(f"can't start {line[0]}: {error}") from error
    keeper().tell(f"+group {process.pid}")
    return process


def need(program: str) -> None:
    """Infrastructure unless `program` is installed (`make setup` installs what the suite needs)."""
    if shutil.which(program) is None:
        raise Infrastructure(f"{program} isn't installed; see make setup")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group, and wait for it; may be called twice."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):  # what was typed after the end
                stream.close()
    keeper().tell(f"-group {process.pid}")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, all threads; 0.0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
