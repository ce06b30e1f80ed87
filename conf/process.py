# SPDX-License-Identifier: MIT
"""One QEMU process for a person: started, waited for, never left behind.

QEMU dies with its parent, whatever kills that. A private QMP channel (a socket pair that no other
process can reach) tells why the machine stopped, because exit status 0 alone means both "the person
quit" and "the machine reset itself after a triple fault". `ended` turns that into one sentence.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

from conf import qemu

PR_SET_PDEATHSIG = 1


class Machine:
    """A running QEMU. `wait` until it ends, or `stop` it; both may be called more than once."""

    def __init__(self, line: list[str], folder: Path, stdin: int | None = None) -> None:
        """Start `line` in `folder` (the checkout: paths in it are relative)."""
        self.shutdown_reason = ""
        self._started = threading.Event()
        self._channel, theirs = socket.socketpair()
        with theirs:
            events = ["-chardev", f"socket,id=events,fd={theirs.fileno()}"]
            events += ["-mon", "chardev=events,mode=control"]
            self.process = subprocess.Popen(
                line + events,
                cwd=folder,
                stdin=stdin,
                pass_fds=(theirs.fileno(),),
                preexec_fn=_die_with_parent,
            )
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def wait(self, timeout: float | None = None) -> int:
        """QEMU's exit status; subprocess.TimeoutExpired after `timeout` seconds."""
        status = self.process.wait(timeout)
        self._watcher.join(1)
        return status

    def stop(self) -> int:
        """End QEMU: politely, then for good after 3 seconds."""
        self._execute("quit")
        try:
            return self.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.wait()

    def started(self) -> bool:
        """Whether QEMU got as far as making the machine (its arguments and ports were good)."""
        return self._started.is_set()

    def _execute(self, command: str) -> None:
        with contextlib.suppress(OSError):  # it may have ended already
            self._channel.sendall(json.dumps({"execute": command}).encode())

    def _watch(self) -> None:
        with self._channel, self._channel.makefile() as lines:
            for line in lines:
                message = json.loads(line)
                if "QMP" in message:
                    self._execute("qmp_capabilities")
                elif "return" in message:
                    self._started.set()
                elif message.get("event") == "SHUTDOWN":
                    self.shutdown_reason = message["data"]["reason"]


def ended(status: int, reason: str) -> tuple[int, str]:
    """Our exit status, and a sentence about how the machine ended ("" when a person quit)."""
    if status == qemu.EXIT_DONE:
        return 0, "every VM has ended"
    if status == qemu.EXIT_PANIC:
        return 1, "the kernel panicked; its last words are above"
    if status == qemu.EXIT_FATAL:
        return 1, "the kernel refused to start; the reason is above"
    if status == qemu.EXIT_RESET and reason == "guest-reset":
        return 1, "the machine reset itself: a triple fault, or a fault before traps were set up"
    if status == 0 or -status in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        return 0, ""
    return 1, f"QEMU ended with status {status}"


@contextlib.contextmanager
def terminal_kept() -> Iterator[None]:
    """Give the terminal back as it was, and leave Ctrl-C to QEMU meanwhile."""
    saved = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        if saved is not None:
            with contextlib.suppress(termios.error):  # it may have gone away
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def _die_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
