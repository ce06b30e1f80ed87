# SPDX-License-Identifier: MIT
"""The protocol of the control port without a machine: the supervisor's side, compiled for the host
with sanitizers, against the Python client and against attackers who know everything but the key."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.remote import COMMAND, END, OUTPUT, RemoteError, Session, read_key
from grade.tests.test_shell_units import compile_program

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
NONCE, OTHER_NONCE = b"n" * 32, b"o" * 32
HELLO, WELCOME, CODE = 40, 32, 32

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = ("grade/unit/protocol_test.c", "user/super/protocol.c", "lib/sha256.c")
    return compile_program(tmp_path_factory.mktemp("protocol"), *sources)


def _talk(server: Path, sent: bytes, nonce: bytes = NONCE) -> tuple[int, bytes]:
    """Status and answer of a server that is sent all of it."""
    run = subprocess.run(
        [server, KEY.hex(), nonce.hex()], input=sent, capture_output=True, check=False
    )
    assert b"Sanitizer" not in run.stderr, run.stderr.decode()
    return run.returncode, run.stdout


def _client(nonce: bytes = NONCE, key: bytes = KEY) -> tuple[Session, bytes]:
    """A client that has read the server's hello, and its answer."""
    session = Session(key)
    return session, session.answer(b"DENALI01" + nonce, b"c" * 32)


def _records(session: Session, data: bytes) -> list[tuple[int, bytes]]:
    """Open all records in `data`."""
    opened = []
    while data:
        length = 4 + struct.unpack(">H", data[2:4])[0] + CODE
        opened.append(session.open(data[:length]))
        data = data[length:]
    return opened


def test_who_knows_the_key_is_obeyed(server: Path) -> None:
    """Both sides prove the key, and every command's answer comes back in order; any length."""
    session, sent = _client()
    lines = ["vms", "", "x" * 1024, "stop 3-10"]
    status, answer = _talk(server, sent + b"".join(session.seal(line) for line in lines))
    assert status == 0
    session.check_welcome(answer[HELLO : HELLO + WELCOME])
    expected = [r for line in lines for r in ((OUTPUT, line.encode()), (END, b"\0"))]
    assert _records(session, answer[HELLO + WELCOME :]) == expected


def test_another_key_is_told_nothing(server: Path) -> None:
    """Not even a code made with the right key: a wrong answer is met with silence."""
    _, sent = _client(key=OTHER_KEY)
    assert _talk(server, sent) == (1, b"DENALI01" + NONCE)


def test_any_changed_bit_of_the_answer_is_refused(server: Path) -> None:
    """Nonce and code alike: 64 bytes, a bit of each."""
    _, sent = _client()
    for at in range(len(sent)):
        changed = bytearray(sent)
        changed[at] ^= 1 << at % 8
        assert _talk(server, bytes(changed)) == (1, b"DENALI01" + NONCE), at


def test_a_recorded_session_opens_no_other(server: Path) -> None:
    """The whole of what a client once sent, again: the server's nonce is new."""
    session, sent = _client()
    sent += session.seal("vms")
    assert _talk(server, sent)[0] == 0
    assert _talk(server, sent, OTHER_NONCE) == (1, b"DENALI01" + OTHER_NONCE)


def test_the_servers_own_words_prove_nothing_to_it(server: Path) -> None:
    """Reflection: what the server sent, as welcome or as a record, isn't a client's."""
    session, sent = _client()
    _, answer = _talk(server, sent + session.seal("vms"))
    welcome, records = answer[HELLO : HELLO + WELCOME], answer[HELLO + WELCOME :]
    assert _talk(server, sent[:32] + welcome)[0] == 1
    assert _talk(server, sent + records)[0] == 1
    as_command = bytes([COMMAND]) + records[1:]
    assert _talk(server, sent + as_command)[0] == 1


ATTACKS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "twice": lambda one, two: one + one,
    "second first": lambda one, two: two + one,
    "second alone": lambda one, two: two,
    "contents changed": lambda one, two: one[:4] + b"X" + one[5:],
    "code changed": lambda one, two: one[:-1] + bytes([one[-1] ^ 1]),
    "code cut to zeros": lambda one, two: one[:-CODE] + bytes(CODE),
    "longer by a byte of its code": lambda one, two: one[:3] + bytes([one[3] + 1]) + one[4:] + b"?",
    "shorter": lambda one, two: one[:3] + bytes([one[3] - 1]) + one[4:],
    "another kind": lambda one, two: bytes([OUTPUT]) + one[1:],
    "an unknown kind": lambda one, two: b"\x09" + one[1:],
    "reserved byte set": lambda one, two: one[:1] + b"\x01" + one[2:],
    "too long": lambda one, two: b"\x01\x00\xff\xff" + bytes(70000),
    "after a forged one": lambda one, two: one[:-1] + b"?" + one,
    "cut short": lambda one, two: one[:-1],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_records_are_taken_whole_in_order_and_once(server: Path, attack: str) -> None:
    """Who sits on the cable can change, drop, repeat and reorder; a server that notices closes."""
    session, sent = _client()
    one, two = session.seal("stop 1"), session.seal("stop 2")
    status, answer = _talk(server, sent + ATTACKS[attack](one, two))
    opened = _records(session, answer[HELLO + WELCOME :])
    first = [(OUTPUT, b"stop 1"), (END, b"\0")]
    assert status == 1 and opened == (first if attack == "twice" else [])


def test_the_client_believes_no_forger(server: Path) -> None:
    """The other way round: an answer that was changed, repeated or reordered isn't shown."""
    session, sent = _client()
    _, answer = _talk(server, sent + session.seal("vms"))
    records = answer[HELLO + WELCOME :]
    length = 4 + 3 + CODE
    forged = [records[:4] + b"V" + records[5:], records[length:] + records[:length]]
    for data in forged:
        fresh, _ = _client()
        with pytest.raises(RemoteError):
            _records(fresh, data)
    fresh, _ = _client()
    with pytest.raises(RemoteError, match="know the key"):
        fresh.check_welcome(bytes(32))
    with pytest.raises(RemoteError, match="nobody"):
        Session(KEY).answer(b"HTTP/1.0" + NONCE)


def test_key_files_are_checked() -> None:
    """A short key would be a weak one, silently."""
    assert read_key(KEY.hex() + "\n") == KEY
    for text in ("", "00" * 31, "00" * 33, "zz" * 32):
        with pytest.raises(RemoteError):
            read_key(text)
