# SPDX-License-Identifier: MIT
"""The benchmark's network: a namespace of its own with one tap, and the clients that load a VM.

`enter` runs the whole benchmark again inside a new network namespace; a user namespace makes that
possible without root. Nothing outside is touched, and everything disappears with the process.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from conf import qemu
from grade.bench.runner import Failure
from grade.harness.machine import Machine

TAP = "tap0"
VMS = 64  # permanent neighbours on the tap
INSIDE = "DENALI_BENCH_NAMESPACE"  # environment: set in the process that `enter` started
OBJECT = "/object.html"  # what clients ask for: 2,258 bytes, as in the paper
ATTEMPT = 0.004  # seconds between two attempts to connect
PAGE_LIMIT = 20.0  # seconds until the first page must have come


def enter(arguments: list[str]) -> None:
    """Replace this process by `arguments` in a new namespace, if that can be had; else return."""
    if os.environ.get(INSIDE) or not shutil.which("unshare"):
        return
    for flags in ("-Urn", "-n"):
        if subprocess.run(["unshare", flags, "true"], capture_output=True).returncode == 0:
            os.environ[INSIDE] = "1"
            sys.stdout.flush()
            os.execvp("unshare", ["unshare", flags, *arguments])


def prepare() -> str | None:
    """Make the tap, with VMs 1 to VMS as permanent neighbours. None, or why it can't be had."""
    if not os.environ.get(INSIDE):
        return "no network namespace: `unshare -Urn true` fails"
    steps = ["link set lo up", f"tuntap add dev {TAP} mode tap"]
    steps += [f"addr add {qemu.GATEWAY}/8 dev {TAP}", f"link set {TAP} up"]
    for number in range(1, VMS + 1):
        where = f"{qemu.vm_address(number)} lladdr {qemu.vm_mac(number)}"
        steps.append(f"neigh replace {where} dev {TAP} nud permanent")
    for step in steps:
        done = subprocess.run(["ip", *step.split()], capture_output=True, text=True)
        if done.returncode:
            return f"`ip {step}` fails: {done.stderr.strip()}"
    quiet = Path(f"/proc/sys/net/ipv6/conf/{TAP}/disable_ipv6")
    if os.access(quiet, os.W_OK):
        quiet.write_text("1")
    return None


def netdev() -> str:
    """The -netdev value of the tap."""
    return qemu.tap_network(TAP)


def first_page(machine: Machine, number: int) -> None:
    """Wait until VM `number` has sent a whole page.

    A lost SYN is repeated after a second only, so a new attempt starts every few milliseconds; the
    first one that connects asks.
    """
    where = (qemu.vm_address(number), 80)
    end = time.monotonic() + PAGE_LIMIT
    with ExitStack() as stack, selectors.DefaultSelector() as pending:
        while time.monotonic() < end:
            machine.check()
            attempt = stack.enter_context(socket.socket())
            attempt.setblocking(False)
            attempt.connect_ex(where)
            pending.register(attempt, selectors.EVENT_WRITE, attempt)
            for key, _ in pending.select(ATTEMPT):
                pending.unregister(key.fileobj)
                if _whole_page(key.data):
                    return
                key.data.close()
    raise Failure(f"no page from {where[0]} in {PAGE_LIMIT:.0f} s")


def _whole_page(client: socket.socket) -> bool:
    """Ask a connected socket for a page and read to the end; False if the connection is no good."""
    client.settimeout(2)
    answer = b""
    try:
        client.sendall(b"GET / HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n\r\n")
        while part := client.recv(65536):
            answer += part
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.") and b" 200 " in answer[:16]


def get_page(number: int) -> None:
    """Fetch one page of VM `number`, over a connection that the server closes."""
    try:
        with socket.create_connection((qemu.vm_address(number), 80), 5) as client:
            good = _whole_page(client)
    except OSError:
        good = False
    if not good:
        raise Failure(f"VM {number} gave no page")


def wait_echo(machine: Machine, number: int) -> None:
    """Wait until VM `number` echoes a datagram."""
    where = (qemu.vm_address(number), 7)
    end = time.monotonic() + PAGE_LIMIT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.05)
        client.connect(where)
        while time.monotonic() < end:
            machine.check()
            try:
                client.send(b"here?")
                client.recv(64)
                return
            except OSError:
                time.sleep(ATTEMPT)  # not there yet, in one of several ways
    raise Failure(f"no echo from {where[0]} in {PAGE_LIMIT:.0f} s")


def load(tool: Path, number: int, window: int, seconds: int, *more: str) -> float:
    """What one of load/'s tools counts per second against VM `number`; Failure on any error."""
    done = _run([str(tool), qemu.vm_address(number), str(window), str(seconds), *more], seconds)
    counts = json.loads(done)
    bad = {key: counts[key] for key in ("lost", "wrong", "errors") if counts.get(key)}
    if bad:
        raise Failure(f"{tool.name} with {window}: {bad} of {counts['done']}")
    return float(counts["per_second"])


def spread(vms: int, window: int, seconds: float) -> int:
    """Keep `window` datagrams of the echo on their way to VMs 1 to `vms`, each of which gets a new
    one for each that it sends back, for so long; how many came back."""
    back, end = 0, time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        for turn in range(window):
            client.sendto(b"e" * 22, (qemu.vm_address(turn % vms + 1), 7))
        while time.monotonic() < end:
            try:
                data, sender = client.recvfrom(64)
            except TimeoutError:
                raise Failure(f"{window} datagrams were lost") from None
            client.sendto(data, sender)
            back += 1
    return back


def wrk(number: int, connections: int, seconds: int) -> float:
    """Requests per second over kept connections, by wrk, with no header of its own."""
    if not shutil.which("wrk"):
        raise Failure("no wrk: apt-get install wrk")
    line = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}"]
    text = _run([*line, f"http://{qemu.vm_address(number)}{OBJECT}"], seconds)
    errors = re.search(r"(Socket errors|Non-2xx).*", text)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    if errors or not rate:
        raise Failure(f"wrk -c{connections}: {errors.group(0) if errors else text}")
    return float(rate.group(1))


def _run(line: list[str], seconds: int) -> str:
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + 15)
    except subprocess.TimeoutExpired:
        raise Failure(f"{line[0]} hangs") from None
    if done.returncode:
        raise Failure(f"{line[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
