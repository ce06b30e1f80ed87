# SPDX-License-Identifier: MIT
"""The key-value server with a disk: what it has acknowledged is there again, whatever happens."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conf.vdisk import Volume
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.packet import vm_address
from grade.harness.process import end
from grade.harness.tap import Tap

pytestmark = pytest.mark.long

ADDRESS = vm_address(1)

# Writes through several connections, several commands at a time; a line for each that was
# acknowledged, written before the next is sent. No faster than 5,000 a second: what it writes has to
# fit in, on any machine. Ends when the server does.
_WRITER = """
import os, select, socket, sys, time
address, first, connections, depth = sys.argv[1], int(sys.argv[2]), 4, 5
sockets = {}
for i in range(connections):
    s = socket.create_connection((address, 6379), 10)
    sockets[s] = [b"", [], 0, i]
def send(s):
    state = sockets[s]
    for _ in range(depth):
        key = "c%d:%d" % (state[3], first + state[2])
        state[1].append(key)
        state[2] += 1
        s.sendall(b"SET %s v%s\\r\\n" % (key.encode(), key.encode() * (state[2] % 40)))
    time.sleep(0.001)
try:
    for s in sockets:
        send(s)
    while True:
        ready = select.select(list(sockets), [], [], 1)[0]
        if not ready:
            sys.exit(0)
        for s in ready:
            state = sockets[s]
            data = s.recv(65536)
            if not data:
                sys.exit(0)
            state[0] += data
            while b"\\r\\n" in state[0]:
                line, state[0] = state[0].split(b"\\r\\n", 1)
                assert line == b"+OK", line
                os.write(1, state[1].pop(0).encode() + b"\\n")
            if not state[1]:
                send(s)
except (ConnectionError, TimeoutError):
    pass
"""


def _volume(lab: Lab, blocks: int) -> Path:
    path = lab.folder() / "disk.img"
    with Volume.create(path, blocks + 64) as volume:
        volume.add("kv", blocks)
    return path


@contextmanager
def _server(lab: Lab, tap: Tap, disk: Path | None, options: str = "") -> Iterator[Machine]:
    """The server on that disk, for as long as the caller wants it: then QEMU is killed."""
    drive = f"file={disk},format=raw,cache=writeback" if disk else None
    machine = lab.boot(
        lab.guest("kvd", disks=("kv",), memory="48M"), tap=tap, disk=drive, options=options
    )
    machine.expect("kv: serving", seconds=60)
    try:
        yield machine
    finally:
        machine.close()


def _cli(tap: Tap, *words: str, stdin: str = "") -> str:
    return tap.command("redis-cli", "-h", ADDRESS, *words, stdin=stdin, check=False).stdout.strip()


def _values(tap: Tap, keys: list[str]) -> list[str]:
    return _cli(tap, stdin="".join(f"GET {key}\n" for key in keys)).split("\n") if keys else []


def test_what_was_acknowledged_survives_a_killed_machine(lab: Lab) -> None:
    """QEMU is killed at random moments while four clients write; after each, every write that was
    acknowledged since the beginning is there, with its value."""
    tap, disk, rng = lab.tap(), _volume(lab, 16384), random.Random(2002)
    acknowledged: list[str] = []
    for trial in range(5):
        output = lab.folder() / f"acknowledged{trial}"
        with _server(lab, tap, disk):
            got = _values(tap, acknowledged)
            for key, value in zip(acknowledged, got, strict=True):
                count = (int(key.partition(":")[2]) % 100000 + 1) % 40
                assert value == "v" + key * count, key
            writer = tap.start("python3", "-c", _WRITER, ADDRESS, str(100000 * trial), output=output)
            time.sleep(0.3 + rng.random())
        writer.wait(20)
        end(writer)
        lines = output.read_text().split("\n")
        assert len(lines) > 20, "the writer was not served"
        acknowledged += [line for line in lines[:-1] if re.fullmatch(r"c\d:\d+", line)]


@pytest.mark.parametrize("knows_date", [True, False])
def test_all_kinds_of_changes_are_found_again(lab: Lab, knows_date: bool) -> None:
    """A value replaced, a key deleted, one that expires and one that has, a number, a megabyte, and
    everything deleted. Without the date, time stands still while the machine is off."""
    tap, disk = lab.tap(), _volume(lab, 16384)

    def date() -> str:
        return f"wall={time.time_ns()}" if knows_date else ""

    big = "".join(f"{i:07d}\n" for i in range(100_000))
    with _server(lab, tap, disk, date()):
        assert _cli(tap, "INFO").count("acknowledged when synced") == 1
        typed = "SET a 1\nSET a 2\nSET b 1\nDEL b\nINCR n\nINCR n\nSET e 1 EX 1000\nSET f 1 PX 1\n"
        typed += "SET g 1 EX 1000\nPERSIST g\nSET h 1\nEXPIRE h 1000\nSET i '' \n"
        assert "ERR" not in _cli(tap, stdin=typed)
        assert _cli(tap, "-x", "SET", "big", stdin=big) == "OK"
    with _server(lab, tap, disk, date()):
        assert sorted(_cli(tap, "KEYS", "*").split()) == ["a", "big", "e", "g", "h", "i", "n"]
        assert _values(tap, ["a", "i", "n"]) == ["2", "", "2"]
        assert _cli(tap, "GET", "big") == big.strip()
        ttl = [int(_cli(tap, "TTL", key)) for key in ("e", "g", "h")]
        assert 900 < ttl[0] <= 1000 and ttl[1] == -1 and 900 < ttl[2] <= 1000
        assert _cli(tap, "FLUSHALL") == "OK" and _cli(tap, "SET", "last", "1") == "OK"
    with _server(lab, tap, disk, date()):
        assert _cli(tap, "KEYS", "*") == "last"


def test_full_disk_refuses_changes_and_serves_what_it_has(lab: Lab) -> None:
    """Where there is no room a change is refused, in words; what is there can be read, also after
    the next start; and the refused change was not made."""
    tap, disk = lab.tap(), _volume(lab, 100)
    with _server(lab, tap, disk):
        fill = "".join(f"SET key{i} {'v' * 3000}\n" for i in range(150))
        answers = _cli(tap, stdin=fill).split("\n")
        made = answers.index(next(a for a in answers if a != "OK"))
        assert made > 10 and "MISCONF" in answers[made] and "No space left" in answers[made]
        assert "No space left" in _cli(tap, "DEL", "key0")
        assert _cli(tap, "EXISTS", f"key{made}") == "0"
    with _server(lab, tap, disk):
        assert _cli(tap, "DBSIZE") == str(answers.count("OK"))
        assert _cli(tap, "GET", "key0") == "v" * 3000


def test_failing_disk_is_never_acknowledged(lab: Lab) -> None:
    """When a write fails, nobody is told that it went well: who waits is cut off; from then on
    changes are refused, and what is in memory can still be read."""
    tap, disk = lab.tap(), _volume(lab, 1024)
    with Volume.open(disk) as volume:
        sector = (volume.find("kv").first + 20) * 8
    drive = f"driver=blkdebug,image.driver=file,image.filename={disk},inject-error.0.event=none"
    drive += f",inject-error.0.iotype=write,inject-error.0.errno=5,inject-error.0.sector={sector}"
    machine = lab.boot(lab.guest("kvd", disks=("kv",)), tap=tap, disk=drive)
    machine.expect("kv: serving")
    answers = [_cli(tap, "SET", f"key{i}", "v" * 3000) for i in range(200)]
    made = answers.count("OK")
    assert 5 < made < 200 and answers[:made] == ["OK"] * made
    machine.expect("kv: the disk: the device failed")
    assert "closed" in answers[made] or answers[made] == "" or "Error" in answers[made]
    assert all("MISCONF" in answer for answer in answers[made + 1 :])
    assert _cli(tap, "GET", "key0") == "v" * 3000
    assert "aof_last_write_status:the device failed" in _cli(tap, "INFO")


@pytest.mark.parametrize("seed", range(2))
def test_disk_of_rubbish_is_refused(lab: Lab, seed: int) -> None:
    """Bytes that are no store end the server with a reason, before anybody is served."""
    tap, disk = lab.tap(), _volume(lab, 64)
    with Volume.open(disk) as volume:
        first = volume.find("kv").first
    data = bytearray(disk.read_bytes())
    data[first * 4096 : (first + 8) * 4096] = random.Random(seed).randbytes(8 * 4096)
    disk.write_bytes(bytes(data))
    drive = f"file={disk},format=raw"
    machine = lab.boot(lab.guest("kvd", disks=("kv",)), tap=tap, disk=drive)
    machine.expect("kv: the disk: damaged")
    machine.expect("vm 1: terminated, status 127")


def test_clients_share_a_sync(lab: Lab) -> None:
    """Each sync costs a block at least. Twenty clients with sixteen commands under way each must not
    cost a block per command."""
    tap, disk = lab.tap(), _volume(lab, 16384)
    with _server(lab, tap, disk):
        load = ("-h", ADDRESS, "-q", "-t", "set", "-n", "5000", "-c", "20", "-P", "16", "-e")
        tap.command("redis-benchmark", *load, seconds=120)
        used = re.search(r"disk_blocks_used:(\d+)", _cli(tap, "INFO"))
        assert used and int(used[1]) < 1000
