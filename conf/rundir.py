# SPDX-License-Identifier: MIT
"""A folder for every run: where QEMU's sockets and logs live while it runs.

Each run gets a folder of its own, mode 0700, below $XDG_RUNTIME_DIR or /tmp, so that two users, and
two runs of one user, never meet. It holds `about.json` (which checkout, what kind of run) and is
removed when the run ends. The one who runs holds a lock on `about.json`: a folder whose lock is
free belongs to a run that was killed, and goes when the next one starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

SOCKET_PATH_MAX = 107  # bytes of a UNIX socket's path that the kernel accepts


class RunError(Exception):
    """A run can't start; the text says why and what to do."""


def base(environ: dict[str, str] | None = None) -> Path:
    """The folder of this user's runs, made if need be; RunError if somebody else made it."""
    environment = os.environ if environ is None else environ
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK | os.X_OK) and len(runtime) < SOCKET_PATH_MAX - 40:
        path = Path(runtime) / "denali"
    else:
        path = Path("/tmp") / f"denali-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise RunError(f"{path} belongs to somebody else: set XDG_RUNTIME_DIR to a folder of yours")
    path.chmod(0o700)
    return path


@contextlib.contextmanager
def create(checkout: Path, kind: str, folder: Path | None = None) -> Iterator[Path]:
    """A new folder for a run of `kind` from `checkout`; it is removed at the end, come what may."""
    top = folder or base()
    remove_dead(top)
    path = Path(tempfile.mkdtemp(prefix="run-", dir=top))
    try:
        with (path / "about.json").open("w") as about:
            fcntl.flock(about, fcntl.LOCK_EX)
            json.dump({"checkout": str(checkout), "kind": kind, "pid": os.getpid()}, about)
            about.flush()
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def alive(path: Path) -> bool:
    """Whether the run that made `path` still runs."""
    try:
        with (path / "about.json").open() as about:
            fcntl.flock(about, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def remove_dead(top: Path) -> None:
    """Remove the folders of runs that were killed. A folder of the last second is left alone: its
    maker may not hold its lock yet."""
    for path in top.glob("run-*"):
        with contextlib.suppress(OSError):
            age = path.stat().st_mtime_ns
            if not alive(path) and _now_ns(top) - age > 1_000_000_000:
                shutil.rmtree(path, ignore_errors=True)


def newest(checkout: Path, kind: str, folder: Path | None = None) -> Path | None:
    """The newest live run of `kind` from `checkout`, or None."""
    runs = [path for path in (folder or base()).glob("run-*") if _matches(path, checkout, kind)]
    runs.sort(key=lambda path: path.stat().st_mtime_ns)
    return runs[-1] if runs else None


def _matches(path: Path, checkout: Path, kind: str) -> bool:
    try:
        about = json.loads((path / "about.json").read_text())
    except (OSError, ValueError):
        return False
    return about.get("checkout") == str(checkout) and about.get("kind") == kind and alive(path)


def _now_ns(top: Path) -> int:
    """The file system's own time, so that clocks needn't agree."""
    os.utime(top)
    return top.stat().st_mtime_ns
