# SPDX-License-Identifier: MIT
"""The throughput sink under a real iperf."""

from __future__ import annotations

import pytest

from grade.harness.accounts import check_sums
from grade.harness.lab import Lab
from grade.harness.packet import vm_address


@pytest.mark.parametrize("streams", [1, 4])
def test_iperf_and_the_sink_count_the_same_bytes(lab: Lab, streams: int) -> None:
    """TCP's bytes are all there: what the client says it sent is what the VM says it received."""
    tap = lab.tap()
    machine = lab.boot(lab.guest("sink"), tap=tap)
    machine.expect("sink: serving")
    line = ("iperf", "-c", vm_address(1), "-n", "8M", "-P", str(streams), "-y", "C")
    report = tap.command(*line).stdout
    sent = sum(int(row.split(",")[7]) for row in report.splitlines()[:streams])
    received = []
    for _ in range(streams):
        match = machine.expect(r"sink: received (\d+) bytes in (\d+) ms")
        received.append(int(match[1]))
    # iperf counts its header or doesn't, by the version: 24 bytes at most, per stream.
    assert sent >= streams * (8 << 20)
    assert abs(sum(received) - sent) <= 60 * streams, (report, received)
    check_sums(machine)
