# SPDX-License-Identifier: MIT
"""The key-value server, under the clients that people use for Redis, and under nobody's."""

from __future__ import annotations

import random
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grade.harness.accounts import check_sums
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.packet import vm_address
from grade.harness.process import end, start
from grade.harness.tap import Tap
from grade.harness.verdict import Infrastructure

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("session", "resp", "command", "strings", "keys", "info", "glob", "table", "cells")
ADDRESS = vm_address(1)


def _compile(folder: Path) -> Path:
    """The server without network and disk, for this host, with sanitizers."""
    program = folder / "kv_test"
    sources = ["grade/unit/kv_test.c", *(f"user/kv/{part}.c" for part in PARTS)]
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-fsanitize=address,undefined"]
    line = ["gcc", *flags, "-fno-sanitize-recover=undefined", f"-I{ROOT}", "-DLAB=7"]
    subprocess.run([*line, "-o", str(program), *(str(ROOT / s) for s in sources)], check=True)
    return program


def _talk(program: Path, text: bytes, cells: int = 4000, piece: int = 0) -> bytes:
    line = [str(program), "talk", str(cells), str(piece)]
    return subprocess.run(line, input=text, capture_output=True, check=True).stdout


def request(*words: bytes | str) -> bytes:
    """A request as an array of byte strings."""
    parts = [w.encode() if isinstance(w, str) else w for w in words]
    head = b"*%d\r\n" % len(parts)
    return head + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


INTEGER = b"-ERR value is not an integer or out of range\r\n"
SYNTAX = b"-ERR syntax error\r\n"
TALKS: list[tuple[bytes, bytes]] = [
    (b"PING\r\n", b"+PONG\r\n"),
    (b"ping hello\n", b"$5\r\nhello\r\n"),
    (b"\r\n\r\n  \r\nPING\r\n*0\r\n*-1\r\nPING\r\n", b"+PONG\r\n+PONG\r\n"),
    (b"SET k \"a\\r\\n\\x00 b\" \r\nGET 'k'\r\n", b"+OK\r\n$6\r\na\r\n\0 b\r\n"),
    (b'SET k "a\r\n', b"-ERR Protocol error: unbalanced quotes in request\r\n"),
    (request("SET", b"k\0\r\n", b"\0\xff\r\n*1") + request("GET", b"k\0\r\n"),
     b"+OK\r\n$6\r\n\0\xff\r\n*1\r\n"),
    (b"GET none\r\nGET\r\nGET a b\r\n", b"$-1\r\n" + b"-ERR wrong number of arguments for 'get' command\r\n" * 2),
    (b"FOO bar baz\r\n", b"-ERR unknown command 'FOO', with args beginning with: 'bar' 'baz' \r\n"),
    (b"INCR n\r\nincr n\r\nDECR n\r\nGET n\r\n", b":1\r\n:2\r\n:1\r\n$1\r\n1\r\n"),
    (b"SET n x\r\nINCR n\r\nSET n 01\r\nINCR n\r\nSET n ' 1'\r\nINCR n\r\n", (b"+OK\r\n" + INTEGER) * 3),
    (b"SET n 9223372036854775807\r\nINCR n\r\nSET m -9223372036854775808\r\nDECR m\r\nINCR m\r\n",
     (b"+OK\r\n-ERR increment or decrement would overflow\r\n") * 2 + b":-9223372036854775807\r\n"),
    (b"SET k 1 NX\r\nSET k 2 NX\r\nSET k 3 XX\r\nSET j 1 XX\r\nGET k\r\n",
     b"+OK\r\n$-1\r\n+OK\r\n$-1\r\n$1\r\n3\r\n"),
    (b"SET k 1 NX XX\r\nSET k 1 EX\r\nSET k 1 EX 1 PX 1\r\nSET k 1 what\r\n", SYNTAX * 4),
    (b"SET k 1 EX 0\r\nSET k 1 PX -5\r\nSET k 1 EX 9223372036854775807\r\n",
     b"-ERR invalid expire time in 'set' command\r\n" * 3),
    (b"SET k 1 EX x\r\nEXPIRE k x\r\nSELECT x\r\n", INTEGER * 3),
    (b"SET k 1 EX 100\r\nTTL k\r\nPERSIST k\r\nTTL k\r\nPERSIST k\r\nTTL j\r\n",
     b"+OK\r\n:100\r\n:1\r\n:-1\r\n:0\r\n:-2\r\n"),
    (b"SET k 1\r\nEXPIRE k 10\r\nTTL k\r\nSET k 2\r\nTTL k\r\nEXPIRE k -1\r\nEXISTS k\r\nEXPIRE k 1\r\n",
     b"+OK\r\n:1\r\n:10\r\n+OK\r\n:-1\r\n:1\r\n:0\r\n:0\r\n"),
    (b"SET a 1\r\nSET b 2\r\nEXISTS a b a c\r\nDEL a c a\r\nDBSIZE\r\n", b"+OK\r\n" * 2 + b":3\r\n:1\r\n:1\r\n"),
    (b"SET h[l]o 1\r\nKEYS h\\[*\r\nKEYS h[a-c[]l?o\r\nKEYS h[^x]?[]]o\r\nKEYS H*\r\n",
     b"+OK\r\n" + b"*1\r\n$5\r\nh[l]o\r\n" * 2 + b"*0\r\n" * 2),
    (b"SELECT 0\r\nSELECT 1\r\n", b"+OK\r\n-ERR DB index is out of range\r\n"),
    (b"CONFIG GET save\r\nCONFIG GET nothing\r\nCOMMAND DOCS\r\n", b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n*0\r\n*0\r\n"),
    (b"SET a 1\r\nFLUSHALL\r\nDBSIZE\r\nGET a\r\n", b"+OK\r\n+OK\r\n:0\r\n$-1\r\n"),
    (b"QUIT\r\nPING\r\n", b"+OK\r\n"),
    (b"*x\r\nPING\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*2000000000\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\nPING\r\n", b"-ERR Protocol error: expected '$', got 'P'\r\n"),
    (b"*1\r\n$-1\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$99999999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"x" * 600, b"-ERR Protocol error: too big inline request\r\n"),
    (request("GET", b"k" * 256) + request("SET", "", "x"), b"-ERR a key has 1 to 255 bytes here\r\n" * 2),
]  # fmt: skip


@pytest.mark.quick
def test_replies_are_those_of_redis_however_the_request_is_cut(tmp_path: Path) -> None:
    """Requests come in whatever pieces the network makes: byte by byte, in random ones, at once."""
    program = _compile(tmp_path)
    for text, expected in TALKS:
        for piece in (1, 0, 4096):
            assert _talk(program, text, piece=piece) == expected, (text, piece)


@pytest.mark.quick
def test_memory_that_is_full_refuses_and_goes_on(tmp_path: Path) -> None:
    """When no cell is left for data: an error in Redis's words, what is there stays readable, and
    what is deleted makes room; a request larger than memory is read to its end and refused."""
    program = _compile(tmp_path)
    oom = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
    sets = b"".join(request("SET", f"key{i}", "v" * 500) for i in range(60))
    answers = _talk(program, sets + b"GET key0\r\nDEL key0\r\nSET new 1\r\nDBSIZE\r\n", cells=400)
    made = answers.count(b"+OK") - 1
    assert 20 < made < 45 and answers.count(oom) == 60 - made
    assert answers.endswith(b"$500\r\n%s\r\n:1\r\n+OK\r\n:%d\r\n" % (b"v" * 500, made))
    huge = request("SET", "huge", b"v" * 900_000)
    assert _talk(program, huge + b"PING\r\n", cells=400) == oom + b"+PONG\r\n"
    larger = request("SET", "huge", b"v" * 3_000_000)
    answer = _talk(program, larger + b"PING\r\n", cells=40000)
    assert answer == b"-ERR string exceeds maximum allowed size\r\n+PONG\r\n"


@pytest.mark.parametrize("seed", range(3))
def test_no_bytes_break_the_server(tmp_path: Path, seed: int) -> None:
    """Random requests, damaged ones, and bytes that are none, from clients that come and go, under
    sanitizers; at the end every cell is free again."""
    run = [str(_compile(tmp_path)), "fuzz", str(seed), "100000"]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


# --- on the machine --------------------------------------------------------------------------


def _server(lab: Lab, memory: str = "") -> tuple[Machine, Tap]:
    tap = lab.tap()
    machine = lab.boot(lab.guest("kvd", memory=memory), tap=tap)
    machine.expect("kv: serving")
    return machine, tap


def _cli(tap: Tap, *words: str, stdin: str = "", options: tuple[str, ...] = ()) -> str:
    line = ("redis-cli", "-h", ADDRESS, *options, *words)
    return tap.command(*line, stdin=stdin).stdout.strip()


@pytest.mark.quick
def test_redis_cli_is_served(lab: Lab) -> None:
    """The real client, one command after the other."""
    machine, tap = _server(lab)
    session = [
        ("PING", "PONG"),
        ("SET greeting 'hello world' EX 100", "OK"),
        ("GET greeting", '"hello world"'),
        ("TTL greeting", "(integer) 100"),
        ("INCR visits", "(integer) 1"),
        ("EXISTS greeting visits", "(integer) 2"),
        ("DEL greeting", "(integer) 1"),
        ("KEYS *", '1) "visits"'),
        ("GET", "(error) ERR wrong number of arguments for 'get' command"),
        ("DBSIZE", "(integer) 1"),
    ]
    typed = "\n".join(line for line, _ in session) + "\n"
    answers = _cli(tap, stdin=typed, options=("--no-raw",)).replace("\n\n", "\n").splitlines()
    assert answers == [answer for _, answer in session]
    assert "persistence:none, RAM only" in _cli(tap, "INFO")
    check_sums(machine)


def test_values_of_a_megabyte_come_back_whole(lab: Lab) -> None:
    """A value far larger than every buffer and window on its way, both ways; one byte more than the
    limit is refused."""
    machine, tap = _server(lab)
    text = "".join(f"{i:07d}\n" for i in range(1 << 17))
    assert _cli(tap, "SET", "big", stdin=text, options=("-x",)) == "OK"
    assert _cli(tap, "GET", "big") == text.strip()
    refused = tap.command(
        "redis-cli", "-h", ADDRESS, "-x", "SET", "big", stdin=text + "x", check=False
    )
    assert "ERR string exceeds maximum allowed size" in refused.stdout
    check_sums(machine)


def _benchmark(tap: Tap, *options: str) -> dict[str, float]:
    """redis-benchmark's requests a second by test; an error reply ends it with a status."""
    line = ("redis-benchmark", "-h", ADDRESS, "-q", "--csv", *options)
    report = tap.command(*line, seconds=120).stdout
    return {name: float(rate) for name, rate in re.findall(r'^"(\w+)","([\d.]+)"', report, re.M)}


def _wait_alone(tap: Tap) -> None:
    """Until nobody else is connected."""
    for _ in range(100):
        if re.search(r"connected_clients:1\s", _cli(tap, "INFO") + "\n"):
            return
        time.sleep(0.1)
    raise AssertionError("somebody stays connected")


@pytest.mark.parametrize("clients, pipeline", [(50, 1), (10, 16), (1, 500)])
def test_redis_benchmark_completes(lab: Lab, clients: int, pipeline: int) -> None:
    """Every request of the real load generator is answered without an error, one at a time and in
    pipelines."""
    machine, tap = _server(lab)
    load = ("-n", "20000", "-c", str(clients), "-P", str(pipeline), "-r", "1000", "-e")
    rates: dict[str, float] = {}
    for kind in ("ping_mbulk", "set", "get", "incr"):
        rates |= _benchmark(tap, *load, "-t", kind)
        _wait_alone(tap)  # 50 that close and 50 that open are more than the server's 64
    assert set(rates) == {"PING_MBULK", "SET", "GET", "INCR"} and min(rates.values()) > 1000
    assert int(_cli(tap, "DBSIZE")) <= 2001
    check_sums(machine)


def test_full_memory_is_an_error_that_passes(lab: Lab) -> None:
    """A VM of 2 MB is filled until it refuses; it still answers, and has room again when something
    is deleted."""
    machine, tap = _server(lab, memory="2M")
    fill = "".join(f"SET key{i} {'v' * 400}\n" for i in range(4000))
    answers = _cli(tap, stdin=fill).split("\n")
    assert answers.count("OK") > 1000 and any(a.startswith("OOM command") for a in answers)
    assert _cli(tap, "GET", "key0") == "v" * 400
    assert _cli(tap, "DEL", "key0") == "1" and _cli(tap, "SET", "new", "x") == "OK"
    assert _cli(tap, "FLUSHALL") == "OK" and _cli(tap, "DBSIZE") == "0"
    check_sums(machine)


_RUDE = """
import random, socket, sys
address, rng = (sys.argv[1], 6379), random.Random(11)
held = []
for i in range(200):
    s = socket.create_connection(address, 10)
    s.settimeout(10)
    kind = i % 5
    try:
        if kind == 0:    # rubbish
            s.sendall(bytes(rng.randrange(256) for _ in range(rng.randrange(3000))))
        elif kind == 1:  # half a request, and gone
            s.sendall(b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\na\\r\\n$1000000\\r\\n" + b"x" * 5000)
        elif kind == 2:  # sends for ever, reads never
            s.setblocking(False)
            s.send(b"GET big\\r\\n" * 4000)
            held.append(s)
            if len(held) > 20:
                held.pop(0).close()
            continue
        elif kind == 3:  # announces much
            s.sendall(b"*1000000\\r\\n$500000000\\r\\n" + b"y" * 3000)
        else:            # ends its side first, and wants its answers
            s.sendall(b"PING\\r\\n" * 10)
            s.shutdown(socket.SHUT_WR)
            got = b""
            while data := s.recv(4096):
                got += data
            assert got == b"+PONG\\r\\n" * 10, got
    except (ConnectionResetError, BrokenPipeError, BlockingIOError):
        pass
    s.close()
"""


def test_rude_clients_are_survived(lab: Lab) -> None:
    """Rubbish, half requests, replies that nobody reads, lengths that never come: the next honest
    client is served, and no memory is gone."""
    machine, tap = _server(lab)
    assert _cli(tap, "SET", "big", stdin="b" * 100_000, options=("-x",)) == "OK"
    tap.command("/usr/bin/python3", "-c", _RUDE, ADDRESS, seconds=120)
    assert _cli(tap, "PING") == "PONG"
    assert _cli(tap, "DEL", "big") == "1"
    used = re.search(r"used_memory:(\d+)", _cli(tap, "INFO"))
    assert used and int(used[1]) < 64_000
    check_sums(machine)


# --- beside the real one ---------------------------------------------------------------------

_KEYS = ("a", "b", "c", "k[1]", "\x00\r\n", "")
_VALUES = ("1", "-1", "x", "", "9223372036854775807", "-9223372036854775808", " 1", "007", "-0", "v" * 300)  # fmt: skip
_NUMBERS = ("1", "100", "-1", "0", "x", "9223372036854775807", "92233720368547758", "")


class Redis:
    """The real server, in memory only, on a socket of its own. Debian's redis-tools brings it under
    the name of a checker: the program's own name says which of the two it is."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "redis.sock"
        options = f'--port 0 --unixsocket {self._path} --save "" --appendonly no --dir {folder}'
        line = ["bash", "-c", f"exec -a redis-server redis-check-rdb {options}"]
        self._process = start(line)

    def talk(self, requests: bytes) -> bytes:
        """What it answers to bytes that it must not take for an error of the protocol."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            for _ in range(200):
                try:
                    client.connect(str(self._path))
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                raise Infrastructure("no real Redis to compare with")
            client.sendall(request("FLUSHALL") + requests + request("QUIT"))
            answer = b""
            while data := client.recv(65536):
                answer += data
        assert answer.startswith(b"+OK\r\n") and answer.endswith(b"+OK\r\n")
        return answer[5:-5]

    def close(self) -> None:
        """End it."""
        end(self._process)


@pytest.fixture
def redis() -> Iterator[Redis]:
    """The real server for one test."""
    folder = make_folder()
    server = Redis(folder)
    yield server
    server.close()
    remove_folder(folder)


def _random_command(rng: random.Random) -> list[str]:
    key, value, number = (rng.choice(words) for words in (_KEYS[:-1], _VALUES, _NUMBERS))
    options = [w for o in ("EX", "PX", "NX", "XX") if rng.random() < 0.15
               for w in ([o, rng.choice(_NUMBERS)] if o in ("EX", "PX") else [o])]  # fmt: skip
    commands = (
        ["SET", key, value, *options], ["SET", key, value], ["GET", key], ["DEL", key, rng.choice(_KEYS[:-1])],
        ["INCR", key], ["DECR", key], ["EXISTS", key, key], ["EXPIRE", key, number], ["TTL", key],
        ["PERSIST", key], ["DBSIZE"], ["PING", value], ["PING"], ["ECHO", value], ["SELECT", "0" if number == "1" else number],
        ["FOO", key, value], ["GET"], ["SET", key], ["ping", "a", "b"], ["KEYS", "nothing*"], ["FLUSHALL"],
    )  # fmt: skip
    return list(rng.choice(commands))


def test_random_commands_are_answered_as_by_redis(tmp_path: Path, redis: Redis) -> None:
    """The same bytes to both: every reply is the same, errors by the word."""
    program, rng = _compile(tmp_path), random.Random(8)
    for _ in range(30):
        commands = [_random_command(rng) for _ in range(200)]
        requests = b"".join(request(*command) for command in commands)
        ours, theirs = _talk(program, requests, piece=4096), redis.talk(requests)
        if ours != theirs:  # say where
            lines = zip(ours.split(b"\r\n"), theirs.split(b"\r\n"), strict=False)
            different = next((pair for pair in lines if pair[0] != pair[1]), None)
            raise AssertionError(f"we and Redis: {different}")


def test_patterns_match_as_those_of_redis(tmp_path: Path, redis: Redis) -> None:
    """KEYS with random patterns, good and malformed ones, on one random key at a time."""
    program, rng = _compile(tmp_path), random.Random(9)
    requests = b""
    for _ in range(4000):
        key = "".join(rng.choice("ab-]^[") for _ in range(rng.randrange(1, 5)))
        pattern = "".join(rng.choice("ab*?[]^-\\") for _ in range(rng.randrange(7)))
        requests += request("FLUSHALL") + request("SET", key, "1") + request("KEYS", pattern)
    ours, theirs = _talk(program, requests, piece=4096), redis.talk(requests)
    if ours != theirs:
        between = b"+OK\r\n+OK\r\n"
        pairs = list(zip(ours.split(between), theirs.split(between), strict=True))
        index = next(i for i, pair in enumerate(pairs) if pair[0] != pair[1])
        asked = requests.split(b"FLUSHALL")[index]
        raise AssertionError(f"{asked!r}: we and Redis: {pairs[index]}")
