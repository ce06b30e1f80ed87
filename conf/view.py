#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draw a running machine in the browser, from outside: what stands behind make view.

    conf/view.py [--build FOLDER] [--port PORT] [--run FOLDER] [--no-start]

Serves a page at http://localhost:8080 or the next free port, to this host alone. It shows physical
memory by use, and from lab 2 on every VM, of the newest `make qemu` or `make qemu-gdb` of this
checkout; if none runs, it starts one (--no-start: it waits). It reads RAM through QMP, on a
connection for each picture, so that others may have it too; the machine runs on. When the machine
ends, the last picture stays until the next one starts.

Everything on the page that comes out of the machine is text to it: a guest can't write markup.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from conf import layout, live, rundir  # noqa: E402
from conf.inside import Absent, Inside  # noqa: E402
from conf.layout import NoLayout  # noqa: E402
from conf.picture import picture  # noqa: E402
from conf.rundir import RunError  # noqa: E402
from conf.tracering import KERNEL_BASE, Kernel  # noqa: E402
from grade.harness.qmp import Qmp  # noqa: E402
from grade.harness.verdict import Infrastructure  # noqa: E402

PAGE = ROOT / "conf/view.html"
PORT_FIRST, PORT_TRIES = 8080, 100
FRESH = 0.4  # seconds that a picture is good for, whoever asks
ANSWER_SECONDS = 2.0  # for QEMU; somebody else may have the connection
KINDS = ("qemu", "qemu-gdb")


class Source:
    """Pictures of the newest machine. Thread-safe."""

    def __init__(self, kernel: Path, run: Path | None = None) -> None:
        self._kernel_file = kernel
        self._chosen = run
        self._lock = threading.Lock()
        self._last: dict[str, Any] = {}
        self._asked: tuple[float, int | None] = (0.0, None)
        self._inside: Inside | None = None
        self._seen: tuple[Path, int] | None = None  # the run and the kernel file that _inside is for

    def state(self, first: int | None) -> dict[str, Any]:
        """What the page shows: "status", "message", and the last picture if there was one."""
        with self._lock:
            when, before = self._asked
            if time.monotonic() - when > FRESH or before != first:
                self._last = {**self._last, **self._look(first)}
                self._asked = (time.monotonic(), first)
            return self._last

    def _look(self, first: int | None) -> dict[str, Any]:
        run = self._run()
        if run is None:
            return _said("ended" if self._last.get("memory") else "waiting", "No machine runs: make qemu")
        try:
            drawn = self._draw(run, first)
        except Absent as absent:
            return _said("starting", f"The machine starts: {absent}")
        except (Infrastructure, TimeoutError, ConnectionError):
            busy = "QEMU doesn't answer: it ends, or somebody else reads the machine"
            return _said("busy" if rundir.alive(run) else "ended", busy)
        except (NoLayout, ValueError, OSError) as error:
            return _said("error", str(error))
        return {**_said("running", ""), **drawn, "seconds": time.monotonic()}

    def _run(self) -> Path | None:
        if self._chosen is not None:
            return self._chosen if rundir.alive(self._chosen) else None
        found = [run for kind in KINDS if (run := rundir.newest(ROOT, kind)) is not None]
        return max(found, key=lambda path: path.stat().st_mtime_ns) if found else None

    def _draw(self, run: Path, first: int | None) -> dict[str, Any]:
        with (
            contextlib.closing(Qmp(run / "qmp", ANSWER_SECONDS)) as qmp,
            tempfile.TemporaryDirectory() as folder,
        ):
            ram = int(qmp.command("query-memory-size-summary")["base-memory"])
            inside = self._inside_of(run, live.Ram(qmp, Path(folder)))
            running = bool(qmp.command("query-status")["running"])
            return {**picture(inside, ram, first), "ram": ram, "stopped": not running}

    def _inside_of(self, run: Path, ram: live.Ram) -> Inside:
        """The reader; what it knows of the kernel's file is kept while that stays the same."""
        seen = (run, self._kernel_file.stat().st_mtime_ns)
        if self._inside is None or self._seen != seen:
            kernel = Kernel(self._kernel_file, ROOT)
            _check_same(kernel, ram)
            self._inside = Inside(ram.read, kernel, layout.of_kernel(self._kernel_file))
            self._seen = seen
        self._inside.read = ram.read
        return self._inside


def _check_same(kernel: Kernel, ram: live.Ram) -> None:
    """ValueError unless the kernel in RAM is the one in the file."""
    for segment in kernel.elf.segments:
        if segment.vaddr >= KERNEL_BASE and not segment.flags & 2:  # code: it never changes
            data = segment.data[:4096]
            there = ram.read(segment.vaddr - KERNEL_BASE, len(data))
            if not any(there):
                raise Absent("the kernel isn't loaded yet")
            if there != data:
                raise ValueError("The kernel was built anew since this machine started: start it again")
            return


def _said(status: str, message: str) -> dict[str, Any]:
    return {"status": status, "message": message}


class Server(ThreadingHTTPServer):
    """The page and its data, for this host alone."""

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, port: int, source: Source) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.source = source


class Handler(BaseHTTPRequestHandler):
    """Answers GET / and GET /state."""

    server: Server

    def do_GET(self) -> None:
        """The page, or its data."""
        at = urlsplit(self.path)
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in ("localhost", "127.0.0.1"):  # another site's name for this host
            self._answer(403, "text/plain", b"This page is for localhost.\n")
        elif at.path == "/":
            self._page()
        elif at.path == "/state":
            first = parse_qs(at.query).get("first", [""])[0]
            number = int(first) if first.isascii() and first.isdecimal() else None
            state = self.server.source.state(number)
            self._answer(200, "application/json", json.dumps(state).encode())
        else:
            self._answer(404, "text/plain", b"There is nothing here.\n")

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        text = PAGE.read_text().replace("@NONCE@", nonce)
        only = f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        only += "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
        self._answer(200, "text/html; charset=utf-8", text.encode(), only)

    def _answer(self, status: int, kind: str, body: bytes, policy: str = "default-src 'none'") -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def serve(port: int | None, source: Source) -> Server:
    """A server on `port`, or on the first that is free from 8080 on."""
    ports = [port] if port else range(PORT_FIRST, PORT_FIRST + PORT_TRIES)
    for number in ports:
        with contextlib.suppress(OSError):
            return Server(number, source)
    raise RunError(f"port {port} is taken: choose another PORT=" if port else "no port is free")


@contextlib.contextmanager
def machine(chosen: argparse.Namespace) -> Iterator[None]:
    """A machine runs inside, if it is wanted and there is none."""
    runs = any(rundir.newest(ROOT, kind) for kind in KINDS)
    if runs or chosen.run or chosen.no_start:
        yield
    else:
        with live.booted(chosen.build) as folder:
            print(f"No machine ran: one was started, as `make qemu` does it ({folder}).")
            yield


def main(arguments: list[str]) -> int:
    """Run the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="conf/view.py"
    )
    parser.add_argument("--build", default="build", help="the build folder (make's O)")
    parser.add_argument("--port", type=int, help="of this host, instead of 8080 or the next")
    parser.add_argument("--run", type=Path, help="the folder of the run to draw")
    parser.add_argument("--no-start", action="store_true", help="start no machine, wait for one")
    chosen = parser.parse_args(arguments)
    os.environ.pop("PORT", None)  # make's: the page's here, not that of a machine which is started
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        with machine(chosen):
            source = Source(ROOT / chosen.build / "kern/denali", chosen.run)
            server = serve(chosen.port, source)
            print(f"http://localhost:{server.server_port}/   Ctrl-C ends this.", flush=True)
            server.serve_forever()
    except RunError as error:
        print(f"conf/view.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
