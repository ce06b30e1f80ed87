# SPDX-License-Identifier: MIT
"""Real clients: a network namespace with a tap, in which curl, wrk, ping and nmap run.

The namespace has no name: a process holds it, and it is gone with that process and its users. Root
makes it directly; others through a user namespace, where those are allowed. Where it can't be had,
that is an infrastructure verdict, not a silent skip.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from conf.qemu import GATEWAY, vm_address, vm_mac
from grade.harness.process import end, need, start
from grade.harness.verdict import Infrastructure

TAP = "tap0"


class Tap:
    """A namespace with a tap. `prefix` runs a command inside; clients' output goes to `logs`."""

    def __init__(self, logs: Path) -> None:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._logs = logs
        self._count = 0
        self._holder = start(["unshare", *user, "--net", "sleep", "infinity"])
        enter = ["--user", "--preserve-credentials"] if user else []
        self.prefix = ("nsenter", f"--target={self._holder.pid}", *enter, "--net", "--")
        try:
            self._wait_for_namespace()
            self._set_up()
        except BaseException:
            end(self._holder)
            raise

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._holder)

    def command(
        self, *line: str, seconds: float = 60.0, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a client in the namespace. `check`: a status other than 0 fails the test, with the
        client's output. Its wall limit is generous; it counts as a failure to answer."""
        result = self._run(line, seconds, stdin)
        if check and result.returncode != 0:
            raise AssertionError(
                f"{' '.join(line)}: status {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def start(self, *line: str, output: Path) -> subprocess.Popen[bytes]:
        """Start a client that runs on; the caller ends it with process.end."""
        with open(output, "wb") as file:
            return start([*self.prefix, *line], stdout=file, stderr=file)

    def curl(self, number: int, path: str = "/", *options: str) -> str:
        """Fetch a page of VM `number`; anything but success fails the test."""
        url = f"http://{vm_address(number)}{path}"
        return self.command("curl", "-sS", "--fail", "--max-time", "20", *options, url).stdout

    def neighbours(self, count: int) -> None:
        """Make permanent neighbours of VMs 1 to `count`: the host's own table ends at 1,024."""
        lines = (
            f"neigh replace {vm_address(k)} lladdr {vm_mac(k)} dev {TAP} nud permanent"
            for k in range(1, count + 1)
        )
        self.command("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def _run(
        self, line: Sequence[str], seconds: float, stdin: str
    ) -> subprocess.CompletedProcess[str]:
        need(line[0])
        self._count += 1
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"client{self._count}"
        path.with_suffix(".in").write_text(stdin)
        with (
            open(path.with_suffix(".in"), "rb") as source,
            open(path.with_suffix(".out"), "w+") as out,
            open(path.with_suffix(".err"), "w+") as err,
        ):
            process = start([*self.prefix, *line], stdin=source, stdout=out, stderr=err)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{' '.join(line)}: no end in {seconds:g} s") from None
            finally:
                end(process)
        texts = [path.with_suffix(s).read_text(errors="replace") for s in (".out", ".err")]
        return subprocess.CompletedProcess(list(line), status, texts[0], texts[1])

    def _wait_for_namespace(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self._holder.poll() is not None:
                raise Infrastructure("no network namespace: unshare --net is not permitted here")
            try:
                name = Path(f"/proc/{self._holder.pid}/comm").read_text().strip()
            except OSError:
                continue
            if name == "sleep":  # unshare has become the program: it is inside
                return
            time.sleep(0.005)
        raise Infrastructure("unshare --net doesn't come up")

    def _set_up(self) -> None:
        steps = (
            "link set lo up",
            f"tuntap add dev {TAP} mode tap",
            f"addr add {GATEWAY}/8 dev {TAP}",
            f"link set {TAP} up",
        )
        self._no_ipv6()
        for step in steps:
            result = subprocess.run(
                [*self.prefix, "ip", *step.split()], capture_output=True, text=True
            )
            if result.returncode != 0:
                raise Infrastructure(f"no tap: ip {step}: {result.stderr.strip()}")

    def _no_ipv6(self) -> None:
        """Keep the host's router solicitations off the tap; where that isn't allowed they stay."""
        line = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"
        subprocess.run([*self.prefix, "sh", "-c", line], capture_output=True)
