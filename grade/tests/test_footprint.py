# SPDX-License-Identifier: MIT
"""What a web VM keeps of its memory when it has come to rest."""

from __future__ import annotations

import re
import sys
import time

import pytest

from grade.harness.lab import Lab
from grade.harness.machine import Machine

OVERHEAD = 3  # pages besides its own: directory, one page table, registers
REST = 30.0  # seconds at most, until TIME_WAIT is over and the last clock has stopped


def _pages(machine: Machine) -> int:
    """Pages of VM 1's own."""
    found = re.search(r"vm 1: \w+, httpd, (\d+) KB", machine.monitor("vm 1"))
    assert found
    return int(found[1]) // 4


def _rested(machine: Machine, pages: int) -> int:
    """Waits until VM 1 has at most so many pages; how many it has."""
    end = time.monotonic() + REST
    while _pages(machine) > pages and time.monotonic() < end:
        time.sleep(0.5)
    return _pages(machine)


# Opens COUNT connections to VM 1, all of them before the first request; each gets the page.
CLIENT = """
import socket, sys
clients = [socket.create_connection(("10.1.0.1", 80), 10) for _ in range(int(sys.argv[1]))]
for client in clients:
    client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
for client in clients:
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    assert b" 200 OK\\r\\n" in answer[:20] and b"</html>" in answer, answer
"""


@pytest.mark.long
@pytest.mark.parametrize("burst", [1, 32])
def test_an_idle_web_vm_keeps_two_pages(lab: Lab, burst: int) -> None:
    """One page of stack and data, one of a thread: 20 KB with tables and registers; also after 32
    connections at once. And it serves on."""
    tap = lab.tap()
    machine = lab.boot(lab.guest("httpd"), tap=tap)
    machine.expect("^denali> ")
    tap.curl(1, "/", "--retry", "10", "--retry-connrefused")
    for _ in range(2):
        tap.command(sys.executable, "-c", CLIENT, str(burst))
        assert _rested(machine, 2) + OVERHEAD <= 5
