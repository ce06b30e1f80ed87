# SPDX-License-Identifier: MIT
"""Where other people's sources are compiled: a place with compilers in it and nothing else.

A compiler reads what a source tells it to (#include, .incbin), so it runs where neither the reference
nor the grader is: in a bubblewrap sandbox with /usr, the tree and no network, with bounds on time,
memory and files, as a user who owns nothing but the tree.
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
OWNER = 61999  # the user and the group that root hands a tree over to: of no account
_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin", "LC_ALL": "C.UTF-8"}
OUTPUT = 20000  # characters of what was said that are kept


class NoSandbox(Exception):
    """There is no sandbox on this machine; the text says why, and what to do."""


class SandboxError(Exception):
    """The command failed, or ran out of its bounds; the text is what it said."""


def check() -> None:
    """NoSandbox unless a command can be run in one."""
    if not shutil.which("bwrap"):
        raise NoSandbox("bubblewrap isn't installed (Debian: bubblewrap)")
    line = [*_bounds(), *_bwrap(None, ["/bin/true"])]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise NoSandbox(f"bubblewrap can't make a sandbox here: {done.stderr.strip()}")


def run(tree: Path, command: list[str], sandbox: bool = True) -> str:
    """Run `command` in `tree`, which it may write to; give back what it said. Without `sandbox` only
    the bounds hold, and the rights of a user of no account, if root asks. SandboxError if it fails."""
    _hand_over(tree)
    line = _bwrap(tree, command) if sandbox else command
    try:
        done = subprocess.run(
            [*_bounds(), *line],
            cwd=tree,
            env=_ENVIRONMENT,
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


def _hand_over(tree: Path) -> None:
    """Root gives the tree to the user who builds: a bound on processes doesn't bind root."""
    if os.geteuid() != 0:
        return
    os.chmod(tree.parent, 0o711)  # a temporary folder's: its name can't be guessed
    for path in (tree, *tree.rglob("*")):
        os.chown(path, OWNER, OWNER, follow_symlinks=False)


def _bounds() -> list[str]:
    line = ["prlimit", f"--cpu={CPU_SECONDS}", f"--fsize={FILE_BYTES}", f"--as={MEMORY_BYTES}", "--core=0"]
    if os.geteuid() != 0:
        return line
    line.append(f"--nproc={PROCESSES}")
    owner = [f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups", "--no-new-privs"]
    return [*line, "setpriv", *owner, "--"]


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
    for name, value in _ENVIRONMENT.items():
        line += ["--setenv", name, value]
    if tree is not None:
        line += ["--bind", str(tree), "/tree", "--chdir", "/tree"]
    return [*line, "--", *command]
