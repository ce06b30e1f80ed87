# SPDX-License-Identifier: MIT
"""QEMU's machine protocol: JSON commands over a UNIX socket, 0.3 to 1 ms each."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

from grade.harness.verdict import Infrastructure


class Qmp:
    """One connection. Events that arrive between answers are kept in `events`."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = _connect(path, timeout)
        self._stream = self._socket.makefile("rw")
        self._read()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """Run one command and give back its result; an error answer is infrastructure."""
        text = json.dumps({"execute": name, "arguments": arguments})
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
            while True:
                answer = self._read()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise Infrastructure(f"QMP {name}: {answer['error']}")
                self.events.append(answer)
        except OSError as error:
            raise Infrastructure(f"QMP {name}: {error}") from error

    def monitor(self, line: str) -> str:
        """Run a command of the human monitor and give back its text."""
        return str(self.command("human-monitor-command", **{"command-line": line}))

    def registers(self) -> dict[str, int]:
        """The CPU's registers by lower-case name (eip, esp, cr3 ...), and `halted`, `cpl`."""
        text = self.monitor("info registers")
        found = re.findall(r"\b([A-Z][A-Z0-9]{1,2}|CPL|HLT|EFL)=\s*([0-9a-f]+)", text)
        values = {name.lower(): int(value, 16) for name, value in found}
        values["halted"] = values.get("hlt", 0)
        return values

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise Infrastructure("QMP: QEMU closed the connection")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _connect(path: Path, timeout: float) -> socket.socket:
    """Connect to a socket that QEMU may not have made yet."""
    deadline = time.monotonic() + timeout
    while True:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.settimeout(timeout)
            channel.connect(str(path))
            return channel
        except OSError as error:
            channel.close()
            if time.monotonic() > deadline:
                raise Infrastructure(f"no QEMU listens on {path}: {error}") from error
            time.sleep(0.01)
