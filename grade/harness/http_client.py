#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""HTTP clients with manners and without, to run inside a tap's namespace.

    http_client.py KIND HOST [N]

    KIND      what it does; it exits with status 1 and a line on standard error at the first surprise
    orderly   N connections, 8 at a time, one request each; reads all, then closes its own side
    active    the same, but closes first, so that the end of the connection is the client's
    split     a request that arrives byte by byte
    pipeline  N requests sent at once on one connection; as many answers, in order
    half      sends a request, shuts its sending side down, must still get the answer
    garbage   N connections with rubbish; the server answers an error or closes, and lives
    hold      N connections held open at once; those that are accepted are served at the end
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 20.0
CLOSE = b"GET / HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n\r\n"
KEEP = b"GET / HTTP/1.1\r\nHost: vm\r\n\r\n"


def connect(host: str) -> socket.socket:
    """A connection to the server."""
    return socket.create_connection((host, 80), TIMEOUT)


def read_answer(stream: socket.socket, rest: bytes = b"") -> tuple[bytes, bytes]:
    """One answer with its length, and what came behind it; ValueError if it is cut or wrong."""
    data = rest
    while b"\r\n\r\n" not in data:
        data += _more(stream)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    if not lines[0].startswith("http/1."):
        raise ValueError(f"no answer but {lines[0]!r}")
    length = next(int(x.split(":")[1]) for x in lines if x.startswith("content-length:"))
    while len(body) < length:
        body += _more(stream)
    return head + body[:length], body[length:]


def _more(stream: socket.socket) -> bytes:
    data = stream.recv(65536)
    if not data:
        raise ValueError("the connection ended in the middle of an answer")
    return data


def expect_ok(answer: bytes) -> None:
    """ValueError unless it is the page."""
    if b" 200 " not in answer[:20] or b"</html>" not in answer:
        raise ValueError(f"not the page: {answer[:80]!r}")


def one_orderly(host: str) -> None:
    """One request; the server closes first."""
    with connect(host) as stream:
        stream.sendall(CLOSE)
        answer, rest = read_answer(stream)
        expect_ok(answer)
        if rest or stream.recv(1):
            raise ValueError("bytes behind the answer")


def one_active(host: str) -> None:
    """One request; the client closes first."""
    with connect(host) as stream:
        stream.sendall(KEEP)
        expect_ok(read_answer(stream)[0])
        stream.shutdown(socket.SHUT_WR)
        if stream.recv(1):
            raise ValueError("bytes behind the answer")


def many(one: Callable[[str], None], host: str, count: int) -> None:
    """`count` times `one`, 8 at a time; the first failure is raised."""
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: one(host), range(count)):
            pass


def split(host: str, _: int) -> None:
    """Every byte a segment of its own."""
    with connect(host) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(CLOSE)):
            stream.sendall(CLOSE[at : at + 1])
        expect_ok(read_answer(stream)[0])


def pipeline(host: str, count: int) -> None:
    """Requests that don't wait for answers."""
    with connect(host) as stream:
        stream.sendall(KEEP * (count - 1) + CLOSE)
        rest = b""
        for _ in range(count):
            answer, rest = read_answer(stream, rest)
            expect_ok(answer)


def half(host: str, _: int) -> None:
    """The client has said all that it will say."""
    with connect(host) as stream:
        stream.sendall(CLOSE)
        stream.shutdown(socket.SHUT_WR)
        expect_ok(read_answer(stream)[0])


def garbage(host: str, count: int) -> None:
    """Rubbish, long lines, odd methods: an error or an end, but no hang and no page of memory."""
    dice = random.Random(3)
    long_line = b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\n\r\n"
    fixed = [b"\r\n\r\n", b"BREW / HTCPCP/1.0\r\n\r\n", b"GET\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n",
             b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", long_line,
             b"GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n"]  # fmt: skip
    for i in range(count):
        data = fixed[i] if i < len(fixed) else dice.randbytes(dice.randrange(1, 3000))
        with connect(host) as stream:
            try:
                stream.sendall(data)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(65536):
                    pass
            except TimeoutError:
                raise
            except OSError:
                pass  # reset, broken pipe, not connected any more: a refusal, too
    one_orderly(host)


def hold(host: str, count: int) -> None:
    """More connections than a server may have: the surplus is refused or waits, none is served
    wrong, and afterwards there is room again."""
    held = []
    for _ in range(count):
        try:
            held.append(socket.create_connection((host, 80), 2.0))
        except (TimeoutError, ConnectionRefusedError):
            break
    if len(held) < 16:
        raise ValueError(f"only {len(held)} connections at once")
    served = 0
    for stream in held:
        try:
            stream.settimeout(10)
            stream.sendall(CLOSE)
            expect_ok(read_answer(stream)[0])
            served += 1
        except (TimeoutError, ConnectionResetError):
            pass
        stream.close()
    if served < 16:
        raise ValueError(f"only {served} of {len(held)} were served")
    one_orderly(host)


KINDS: dict[str, Callable[[str, int], None]] = {
    "orderly": lambda host, count: many(one_orderly, host, count),
    "active": lambda host, count: many(one_active, host, count),
    "split": split,
    "pipeline": pipeline,
    "half": half,
    "garbage": garbage,
    "hold": hold,
}


if __name__ == "__main__":
    try:
        KINDS[sys.argv[1]](sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {type(error).__name__}: {error}")
