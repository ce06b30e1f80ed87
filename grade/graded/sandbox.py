# SPDX-License-Identifier: MIT
"""Where other people's sources are compiled: a place with compilers in it and nothing else.

A compiler reads what a source tells it to (#include, .incbin), so it runs where neither the reference
nor the grader is: in a bubblewrap sandbox with /usr, the tree and no network, with bounds on time,
memory and files, as nobody in a user namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SECONDS = 300  # of wall-clock time for a build
CPU_SECONDS = 240
FILE_BYTES = 256 << 20
MEMORY_BYTES = 4 << 30
PROCESSES = 256
NOBODY = 65534
OUTPUT = 20000  # characters of what was said that are kept


class NoSandbox(Exception):
    """There is no sandbox on this machine; the text says why, and what to do."""


class SandboxError(Exception):
    """The command failed, or ran out of its bounds; the text is what it said."""


def check() -> None:
    """NoSandbox unless a command can be run in one."""
    if not shutil.which("bwrap"):
        raise NoSandbox("bubblewrap isn't installed (Debian: bubblewrap)")
    done = subprocess.run(
        _bwrap(None, ["/bin/true"]), capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode != 0:
        raise NoSandbox(f"bubblewrap can't make a sandbox here: {done.stderr.strip()}")


def run(tree: Path, command: list[str], sandbox: bool = True) -> str:
    """Run `command` in `tree`, which it may write to; give back what it said. Without `sandbox` only
    the bounds hold. SandboxError if it fails."""
    line = _bwrap(tree, command) if sandbox else command
    try:
        done = subprocess.run(
            [*_bounds(), *line],
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"not done after {SECONDS} s") from error
    said = done.stdout[-OUTPUT:]
    if done.returncode != 0:
        raise SandboxError(said or f"ended with {done.returncode}")
    return said


def _bounds() -> list[str]:
    return ["prlimit", f"--cpu={CPU_SECONDS}", f"--fsize={FILE_BYTES}", f"--as={MEMORY_BYTES}", "--core=0"]


def _bwrap(tree: Path | None, command: list[str]) -> list[str]:
    line = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    line += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if Path(f"/{name}").is_symlink():
            line += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif Path(f"/{name}").is_dir():
            line += ["--ro-bind", f"/{name}", f"/{name}"]
    for name in ("/etc/alternatives", "/etc/ld.so.cache"):
        line += ["--ro-bind-try", name, name]
    line += ["--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LC_ALL", "C.UTF-8"]
    line += ["--uid", str(NOBODY), "--gid", str(NOBODY)]
    if tree is not None:
        line += ["--bind", str(tree), "/tree", "--chdir", "/tree"]
    return [*line, "--", "prlimit", f"--nproc={PROCESSES}", *command]
