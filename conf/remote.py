# SPDX-License-Identifier: MIT
"""Commands to the supervisor over the network: the client's side of user/super/protocol.h.

    with Remote("127.0.0.1", 7000, key) as remote:
        answer = remote.command("vms")
        print(answer.text, answer.good)

Nothing is secret but the key; that an answer is the supervisor's own, to this command, whole and in
order, is checked: whatever isn't right raises RemoteError.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

KEY_BYTES = 32
NONCE_BYTES = 32
CODE_BYTES = 32
CONTENTS_MAX = 1024
MAGIC = b"DENALI01"
COMMAND, OUTPUT, END = 1, 2, 3


class RemoteError(Exception):
    """The other side isn't a supervisor that knows the key, or isn't there."""


@dataclass(frozen=True)
class Answer:
    """What a command said, and whether it succeeded."""

    text: str
    good: bool


def derive(key: bytes, label: str, nonces: bytes) -> bytes:
    """A code or a session key; `nonces` are the server's and the client's."""
    return hmac.digest(key, label.encode().ljust(16, b"\0") + nonces, "sha256")


def record_code(key: bytes, number: int, record: bytes) -> bytes:
    """The code of a direction's record `number`, whose head and contents are `record`."""
    return hmac.digest(key, struct.pack(">Q", number) + record, "sha256")


class Session:
    """The bytes of one connection, apart from the connection."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise RemoteError(f"a key has {KEY_BYTES} bytes, this one {len(key)}")
        self._key = key
        self._nonces = b""
        self._sent = self._received = 0
        self._key_out = self._key_in = b""

    def answer(self, hello: bytes, nonce: bytes | None = None) -> bytes:
        """What to answer to the server's hello."""
        if hello[: len(MAGIC)] != MAGIC:
            raise RemoteError("nobody who speaks this protocol")
        own = secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce
        self._nonces = hello[len(MAGIC) :] + own
        self._key_out = derive(self._key, "control: to-vm0!", self._nonces)
        self._key_in = derive(self._key, "control: from-vm", self._nonces)
        return own + derive(self._key, "control: client", self._nonces)

    def check_welcome(self, welcome: bytes) -> None:
        """The server knows the key too, or RemoteError."""
        expected = derive(self._key, "control: server", self._nonces)
        if not hmac.compare_digest(expected, welcome):
            raise RemoteError("the other side doesn't know the key")

    def seal(self, line: str, kind: int = COMMAND) -> bytes:
        """The next record to send."""
        contents = line.encode()
        if len(contents) > CONTENTS_MAX:
            raise RemoteError(f"a command has at most {CONTENTS_MAX} bytes")
        record = struct.pack(">BBH", kind, 0, len(contents)) + contents
        record += record_code(self._key_out, self._sent, record)
        self._sent += 1
        return record

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Kind and contents of the next record that came, or RemoteError."""
        inner, code = record[:-CODE_BYTES], record[-CODE_BYTES:]
        if not hmac.compare_digest(record_code(self._key_in, self._received, inner), code):
            raise RemoteError("a forged or damaged answer")
        self._received += 1
        return inner[0], inner[4:]


class Remote:
    """A connection on which the key is proved. `seconds` limits every single wait."""

    def __init__(self, host: str, port: int, key: bytes, seconds: float = 20.0) -> None:
        self._session = Session(key)
        try:
            self._socket = socket.create_connection((host, port), seconds)
        except OSError as error:
            raise RemoteError(f"{host}:{port}: {error.strerror or error}") from error
        try:
            self._socket.sendall(self._session.answer(self._read(len(MAGIC) + NONCE_BYTES)))
            self._session.check_welcome(self._read(CODE_BYTES))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def command(self, line: str, show: Callable[[str], None] | None = None) -> Answer:
        """Run one line; `show` gets the answer's parts as they come."""
        self._socket.sendall(self._session.seal(line))
        parts: list[str] = []
        while True:
            head = self._read(4)
            kind, contents = self._session.open(
                head + self._read(struct.unpack(">BBH", head)[2] + CODE_BYTES)
            )
            if kind == END:
                return Answer("".join(parts), contents == b"\0")
            parts.append(contents.decode("utf-8", "replace"))
            if show:
                show(parts[-1])

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self._socket.recv(count - len(data))
            except OSError as error:
                raise RemoteError(f"no answer: {error.strerror or error}") from error
            if not part:
                raise RemoteError("the connection was closed: is it the right key?")
            data += part
        return data


def read_key(text: str) -> bytes:
    """A key from its hex digits, as in a key file; RemoteError if it is none."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise RemoteError(f"a key file holds {2 * KEY_BYTES} hex digits")
    return key
