# SPDX-License-Identifier: MIT
"""Real clients on a tap: each is served, or refused in the way that it understands.

After every test the kernel's counters must add up: no frame and no interrupt may be missing.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from grade.harness.accounts import check_sums
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.packet import vm_address
from grade.harness.tap import Tap

CLIENT = str(Path(__file__).resolve().parent.parent / "harness/http_client.py")


def _web(lab: Lab, count: int = 2, guest: str = "httpd") -> tuple[Machine, Tap]:
    """`count` web servers, all of which have served a page."""
    tap = lab.tap()
    machine = lab.boot(lab.guest(guest, count=count), tap=tap)
    machine.expect(f"^vms 1 to {count}")
    for number in range(1, count + 1):
        tap.curl(number, "/", "--retry", "10", "--retry-connrefused")
    return machine, tap


@pytest.mark.quick
def test_page_shows_its_own_vm(lab: Lab) -> None:
    """The reason for all of it: a page from inside a VM, with that VM's number, its address and how
    many requests it has served."""
    machine, tap = _web(lab, count=3)
    for served in (2, 3):
        page = tap.curl(3)
        assert "<title>Denali VM 3</title>" in page and "10.1.0.3" in page
        found = re.search(r'id="requests">\s*(\d+)', page)
        assert found and int(found[1]) == served
    status = json.loads(tap.curl(2, "/status.json"))
    assert 2 in status.values()
    check_sums(machine)


def test_curl_gets_errors_where_they_are_due(lab: Lab) -> None:
    """A missing page is 404, an unknown method is refused, HEAD has no body, and the connection
    goes on where it may."""
    machine, tap = _web(lab)
    for path, method, status in (
        ("/nothing", "GET", "404"),
        ("/", "BREW", "501"),
        ("/../index.html", "GET", "404"),
        ("/", "GET", "200"),
    ):
        url = f"http://{vm_address(1)}{path}"
        options = ("--path-as-is", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method)
        answer = tap.command("curl", *options, "--max-time", "10", url).stdout
        assert answer == status or (status == "404" and answer == "400"), f"{method} {path}"
    urls = [f"http://{vm_address(2)}/"] * 20
    counts = tap.command("curl", "-s", "-w", "%{num_connects}", "-o", "/dev/null", *urls).stdout
    assert "</html>" in counts
    check_sums(machine)


@pytest.mark.parametrize(
    "kind, count",
    [("orderly", 2000), ("active", 2000), ("split", 1), ("pipeline", 50), ("half", 1)],
)
def test_client_with_manners_is_served(lab: Lab, kind: str, count: int) -> None:
    """Clients that reset hide what TIME_WAIT does to a server; real ones close in an orderly way,
    from either side. Split reads, pipelining and half-closing are what real networks bring."""
    machine, tap = _web(lab)
    tap.command(sys.executable, CLIENT, kind, vm_address(1), str(count), seconds=120)
    check_sums(machine)


@pytest.mark.parametrize("kind, count", [("garbage", 60), ("hold", 100)])
def test_client_without_manners_is_survived(lab: Lab, kind: str, count: int) -> None:
    """Rubbish, and more connections than there is room for: the server refuses, closes, and serves
    the next honest client."""
    machine, tap = _web(lab)
    tap.command(sys.executable, CLIENT, kind, vm_address(1), str(count), seconds=120)
    assert "Denali VM 2" in tap.curl(2)
    check_sums(machine)


def _wrk(tap: Tap, seconds: int, *options: str) -> str:
    line = ("wrk", "-c", "32", "-t", "2", "-d", f"{seconds}s", "--timeout", "10s", *options)
    return tap.command(*line, f"http://{vm_address(1)}/", seconds=seconds + 60).stdout


@pytest.mark.parametrize(
    "seconds", [pytest.param(2, marks=pytest.mark.quick), pytest.param(30, marks=pytest.mark.course)]
)
def test_plain_wrk_sees_no_error(lab: Lab, seconds: int) -> None:
    """32 keep-alive connections from a client that sends no header of its own: no socket error, no
    status but 200, no connection that is forgotten; and the counters add up afterwards."""
    machine, tap = _web(lab)
    report = _wrk(tap, seconds)
    requests = re.search(r"(\d+) requests in", report)
    assert requests and int(requests[1]) >= 100 * seconds, report
    assert "Socket errors" not in report and "Non-2xx" not in report, report
    assert "Denali VM 1" in tap.curl(1)
    check_sums(machine)


def test_wrk_with_a_connection_for_each_request(lab: Lab) -> None:
    """`Connection: close` must be answered by closing, every time, with the whole page."""
    machine, tap = _web(lab)
    report = _wrk(tap, 3, "-H", "Connection: close")
    assert "Non-2xx" not in report and not re.search(r"(connect|timeout) [1-9]", report), report
    check_sums(machine)


@pytest.mark.parametrize("options", [(), ("-k",)])
def test_ab_completes_every_request(lab: Lab, options: tuple[str, ...]) -> None:
    """ab speaks HTTP/1.0: with -k it asks for keep-alive, without it wants the connection's end."""
    machine, tap = _web(lab)
    url = f"http://{vm_address(1)}/object.html"
    report = tap.command("ab", "-q", "-c", "8", "-n", "3000", *options, url).stdout
    assert re.search(r"Complete requests:\s+3000\b", report), report
    assert re.search(r"Failed requests:\s+0\b", report), report
    assert "Non-2xx" not in report
    check_sums(machine)


def test_nc_talks_to_echo(lab: Lab) -> None:
    """TCP and UDP port 7 give back what they got, from a client that ends its side first."""
    tap = lab.tap()
    machine = lab.boot(lab.guest("echo", count=2), tap=tap)
    machine.expect("^vms 1 to 2")
    text = "".join(f"line {i} of many\n" for i in range(3000))
    tap.command("ping", "-c", "1", "-W", "10", vm_address(2))
    assert tap.command("nc", "-N", "-w", "10", vm_address(1), "7", stdin=text).stdout == text
    assert tap.command("nc", "-u", "-W", "1", "-w", "5", vm_address(2), "7", stdin="x").stdout == "x"
    refused = tap.command("nc", "-w", "5", "-z", vm_address(1), "8", check=False)
    assert refused.returncode == 1
    check_sums(machine)


def test_flood_ping_loses_nothing(lab: Lab) -> None:
    """Twenty thousand echo requests as fast as they come back."""
    machine, tap = _web(lab)
    report = tap.command("ping", "-f", "-q", "-c", "20000", vm_address(1), seconds=120).stdout
    received = re.search(r"(\d+) received", report)
    assert received and int(received[1]) >= 19990, report
    big = tap.command("ping", "-q", "-c", "3", "-s", "1472", "-M", "do", vm_address(2)).stdout
    assert "3 received" in big
    check_sums(machine)


def test_nmap_sees_one_open_port(lab: Lab) -> None:
    """A connect scan of a thousand ports: the web server is open, every other port is closed, by an
    answer, not by silence; and the server still serves."""
    machine, tap = _web(lab)
    line = ("nmap", "-sT", "-Pn", "-n", "-p", "1-1000", "-oG", "-", vm_address(1))
    report = tap.command(*line, seconds=120).stdout
    assert "Ports: 80/open/tcp//http///" in report
    assert re.search(r"Ignored State: closed \(999\)", report), report
    assert "Denali VM 1" in tap.curl(1)
    check_sums(machine)


def test_absent_vm_does_not_answer(lab: Lab) -> None:
    """An address that is no VM's must stay silent: somebody else may have it."""
    machine, tap = _web(lab)
    silent = tap.command("ping", "-c", "2", "-i", "0.2", "-W", "1", vm_address(3), check=False)
    assert silent.returncode == 1 and " 0 received" in silent.stdout
    machine.check()
