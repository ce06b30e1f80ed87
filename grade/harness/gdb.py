# SPDX-License-Identifier: MIT
"""A client of QEMU's gdb stub, for what QMP can't do: registers, breakpoints, single steps.

Quirks of the stub (QEMU 7.2): connecting stops the machine, and if it ran, a stop packet comes that
nobody asked for, so `stop` it through QMP first; one client at a time; continuing at a breakpoint
doesn't step over it, so `resume_over` does.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from grade.harness.qmp import _connect
from grade.harness.verdict import Infrastructure, TimedOut

REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags")


class Gdb:
    """One connection; the machine is stopped while it is open, except inside `resume`."""

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._socket = _connect(path, timeout)
        self._buffer = b""
        self.ask("?")

    def ask(self, text: str) -> str:
        """Send one packet and give back its answer; an answer E.. is infrastructure."""
        self._send(text)
        answer = self._receive()
        if answer.startswith("E") or (answer == "" and text[0] in "PGMZz"):
            raise Infrastructure(f"gdb stub: {text[:40]!r} gave {answer!r}")
        return answer

    def registers(self) -> dict[str, int]:
        """The general registers, eip and eflags."""
        words = struct.unpack_from("<10I", bytes.fromhex(self.ask("g")))
        return dict(zip(REGISTERS, words))

    def set_registers(self, **values: int) -> None:
        """Set some of the general registers. (QEMU has P only for clients that read its XML.)"""
        everything = bytearray.fromhex(self.ask("g"))
        for name, value in values.items():
            struct.pack_into("<I", everything, 4 * REGISTERS.index(name), value)
        self.ask(f"G{everything.hex()}")

    def read(self, address: int, length: int) -> bytes:
        """Bytes of the current address space; machine addresses after `physical(True)`."""
        return bytes.fromhex(self.ask(f"m{address:x},{length:x}"))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes, where `read` would read them."""
        self.ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def physical(self, on: bool) -> None:
        """Whether addresses are machine addresses from now on."""
        self.ask(f"Qqemu.PhyMemMode:{int(on)}")

    def insert(self, address: int, hardware: bool = True) -> None:
        """Insert a breakpoint."""
        self.ask(f"Z{int(hardware)},{address:x},1")

    def remove(self, address: int, hardware: bool = True) -> None:
        """Remove a breakpoint."""
        self.ask(f"z{int(hardware)},{address:x},1")

    def step(self) -> None:
        """Execute one instruction."""
        self.ask("s")

    def resume(self) -> None:
        """Run until a breakpoint; TimedOut after the connection's limit."""
        self.ask("c")

    def resume_over(self, address: int) -> None:
        """Run on from a breakpoint at `address`, which stays inserted."""
        self.remove(address)
        self.step()
        self.insert(address)
        self.resume()

    def detach(self) -> None:
        """Let the machine run and close the connection."""
        self._send("D")
        self._socket.close()

    def _send(self, text: str) -> None:
        packet = text.encode()
        self._socket.sendall(b"$%s#%02x" % (packet, sum(packet) & 0xFF))

    def _receive(self) -> str:
        """The next packet, acknowledged."""
        while True:
            start = self._buffer.find(b"$")
            stop = self._buffer.find(b"#", start)
            if 0 <= start < stop and len(self._buffer) >= stop + 3:
                packet, self._buffer = self._buffer[start + 1 : stop], self._buffer[stop + 3 :]
                self._socket.sendall(b"+")
                return packet.decode("latin-1")
            self._fill()

    def _fill(self) -> None:
        try:
            data = self._socket.recv(65536)
        except socket.timeout:
            raise TimedOut(f"no stop within {self._timeout:g} s") from None
        if not data:
            raise Infrastructure("gdb stub: QEMU closed the connection")
        self._buffer += data
