# SPDX-License-Identifier: MIT
"""The other end of a machine's network cable: raw Ethernet frames, one per datagram.

Nothing but the test is on it: what it sends arrives as it is, and what it receives is everything
that left the machine. Frames between VMs don't come here, as they don't leave the machine.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from grade.harness import packet
from grade.harness.packet import Frame
from grade.harness.verdict import Infrastructure, TimedOut


class Wire:
    """A cable: `local` is this end's socket, `remote` the one that QEMU will bind. With `lenient`
    set, `wait` passes over frames with errors: a guest may send what it likes."""

    def __init__(self, folder: Path) -> None:
        self.local = folder / "here"
        self.remote = folder / "there"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(str(self.local))
        self.lenient = False
        self.seen: list[bytes] = []  # everything received, in order

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, frame: bytes, seconds: float = 20.0) -> None:
        """Put one frame on the wire; waits while QEMU has no room, or isn't there yet."""
        deadline = time.monotonic() + seconds
        self._socket.settimeout(seconds)
        while True:
            try:
                self._socket.sendto(frame, str(self.remote))
                return
            except OSError as error:
                early = isinstance(error, (FileNotFoundError, ConnectionRefusedError))
                if not early or self.seen or time.monotonic() > deadline:
                    raise Infrastructure(f"QEMU takes no frame: {error}") from error
            time.sleep(0.01)

    def receive(self, seconds: float = 5.0) -> bytes | None:
        """The next frame from the machine, or None if none comes in time."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            frame = self._socket.recv(65536)
        except TimeoutError:
            return None
        self.seen.append(frame)
        return frame

    def wait(self, wanted: Callable[[Frame], bool], seconds: float = 10.0) -> Frame:
        """The next frame that is `wanted`; others are dropped. ARP requests for the host are
        answered meanwhile. A frame with a wrong checksum is an error of the machine."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            raw = self.receive(left)
            if raw is None:
                break
            frame = self._parse(raw)
            if frame is not None and wanted(frame):
                return frame
            if frame is not None:
                self._answer_arp(frame)
        raise TimedOut(f"no such frame within {seconds:g} s; {len(self.seen)} others were seen")

    def drain(self, quiet: float = 0.3) -> list[Frame]:
        """All frames until none comes for `quiet` seconds."""
        frames = []
        while (raw := self.receive(quiet)) is not None:
            frames.append(packet.parse(raw))
        return frames

    def ask(self, frame: bytes, wanted: Callable[[Frame], bool], seconds: float = 10.0) -> Frame:
        """Send `frame` and wait for its answer, sending it again after a second: a frame may be
        lost while the machine starts."""
        deadline = time.monotonic() + seconds
        while True:
            self.send(frame)
            try:
                return self.wait(wanted, min(1.0, seconds))
            except TimedOut:
                if time.monotonic() > deadline:
                    raise

    def ping(self, number: int, sequence: int = 1, seconds: float = 10.0) -> None:
        """Ping VM `number` until it answers with what it was sent."""
        data = b"ping %d.%d" % (number, sequence)
        self.ask(
            packet.ping_vm(number, sequence, data),
            lambda f: f.kind == "icmp" and f.operation == 0 and f.data == data,
            seconds,
        )

    def echo(self, number: int, data: bytes, port: int = 7, seconds: float = 10.0) -> Frame:
        """Send a UDP datagram to VM `number` and give back the frame that echoes it."""
        return self.ask(
            packet.udp_to_vm(number, port, data),
            lambda f: f.kind == "udp" and f.data == data and f.source_port == port,
            seconds,
        )

    def _parse(self, raw: bytes) -> Frame | None:
        try:
            return packet.parse(raw)
        except ValueError:
            if not self.lenient:
                raise
            return None

    def _answer_arp(self, frame: Frame) -> None:
        if frame.kind == "arp" and frame.operation == 1 and frame.target == packet.HOST_IP:
            answer = packet.arp(
                2, packet.HOST_MAC, packet.HOST_IP, frame.sender, frame.source, frame.sender
            )
            self.send(answer)
