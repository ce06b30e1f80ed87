#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make scale: many web VMs on one machine, each asked for its own number, then all of them loaded.

    scale.py --build DIR [N=10000] [MEM=1G] [DISKS=0] [SWAPDIR=DIR] [THROTTLE=2002] [SWEEP=K]
             [LOAD=SECONDS] [REQUESTS=K] [ZIPF=1.0] [CONNECTIONS=8] [TIMEOUT=30] [SEED=1] [OPTIONS="gate=fifo ..."]

    N            VMs, made by one boot script: 10.1.0.1 and the addresses that follow
    MEM          RAM of the machine
    DISKS        swap disks, 0 to 4: sparse files, a region of 16 MB for each VM
    SWAPDIR      where these are: by default DIR; /dev/shm leaves the host's disk out of it
    THROTTLE     how slow they are: transfers a second each, or iops-total=100,bps-total=20000000, or 2002
    SWEEP        how many VMs are asked for their number; by default all, or 5,000 above 10,000
    LOAD         for how many seconds they are loaded (10), or REQUESTS= how often
    ZIPF         the exponent of their popularity: 1/k^ZIPF for the k-th; 0: all are alike
    CONNECTIONS  requests at a time, each with a connection of its own
    TIMEOUT      seconds until a request has failed
    OPTIONS      more options of the kernel, so that policies are compared by changing a word

Everything happens in a network namespace that ends with the run. Prints a summary, and writes
DIR/scale.json and the report DIR/scale.html. Status 0: all that were asked answered, without error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conf import qemu, tap  # noqa: E402
from conf.rundir import RunError  # noqa: E402
from grade.bench import scale_report  # noqa: E402
from grade.bench.runner import FAILURES, Failure  # noqa: E402
from grade.bench.scale_measure import measured  # noqa: E402
from grade.bench.scale_run import Plan, size, throttling  # noqa: E402

INSIDE = "DENALI_SCALE_NAMESPACE"  # environment: this process has a network namespace of its own
SWEEP_ALL = 10_000  # up to so many VMs, all are asked
SWEEP_SAMPLE = 5_000  # of more
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
SETTINGS = (
    "N MEM DISKS SWAPDIR THROTTLE SWEEP LOAD REQUESTS ZIPF CONNECTIONS TIMEOUT SEED OPTIONS".split()
)


def whole(settings: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    """The setting as a number from `low` to `high`; RunError if it is none."""
    text = settings.get(name, "") or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise RunError(f"{name}={text}: a number from {low:,} to {high:,} is wanted")
    return int(text)


def real(settings: dict[str, str], name: str, default: float) -> float:
    """The setting as a number from 0 on; RunError if it is none."""
    text = settings.get(name, "") or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise RunError(f"{name}={text}: a number is wanted")
    return value


def read_plan(build: Path, settings: dict[str, str]) -> Plan:
    """The plan that a person's settings ask for; RunError for one that makes no sense."""
    vms = whole(settings, "N", 10_000, 1, qemu.VM_MAX - 1)
    throttling(settings.get("THROTTLE", ""))
    folder = Path(settings["SWAPDIR"]) if settings.get("SWAPDIR") else None
    if folder and not folder.is_dir():
        raise RunError(f"SWAPDIR={folder}: no such folder")
    plan = Plan(
        build=build,
        vms=vms,
        memory=size(settings.get("MEM", "") or "1G") >> 20,
        disks=whole(settings, "DISKS", 0, 0, 4),
        swap_folder=folder,
        throttle=settings.get("THROTTLE", ""),
        options=settings.get("OPTIONS", ""),
        sample=whole(settings, "SWEEP", 0 if vms <= SWEEP_ALL else SWEEP_SAMPLE, 0, vms),
        requests=whole(settings, "REQUESTS", 0, 0, 100_000_000),
        seconds=real(settings, "LOAD", 10.0),
        zipf=real(settings, "ZIPF", 1.0),
        connections=whole(settings, "CONNECTIONS", 8, 1, 1024),
        timeout=real(settings, "TIMEOUT", 30.0),
        seed=whole(settings, "SEED", 1, 1, 0x7FFFFFFF),
    )
    if plan.memory < 64:
        raise RunError("MEM: at least 64M are wanted")
    return plan


def enter_namespace(arguments: list[str]) -> None:
    """Become the same program in a network namespace of its own, unless this is it already."""
    if os.environ.get(INSIDE):
        return
    tap.check_tun()
    root = os.geteuid() == 0
    tap.check_namespaces(root)
    line = [*tap.namespace_command(root), sys.executable, *arguments]
    os.execvpe(line[0], line, {**os.environ, INSIDE: "1"})


def more_ports() -> None:
    """Let clients here use nearly all ports: a server's TIME_WAIT keeps one for a while."""
    if os.access(EPHEMERAL, os.W_OK):
        EPHEMERAL.write_text("2048 65535")


def run(plan: Plan) -> bool:
    """All of it, inside the namespace. Writes the report; whether all answered without error."""
    more_ports()
    with tap.interface(plan.vms), measured(plan) as result:
        result["plan"] = {name: _plain(value) for name, value in asdict(plan).items()}
        (plan.build / "scale.json").write_text(json.dumps(result, indent=1) + "\n")
        (plan.build / "scale.html").write_text(scale_report.page(result))
        print(summary(result), end="")
        print(f"report: {plan.build / 'scale.html'}", flush=True)
        return bool(result["answered"] == result["asked"] and result["errors"] == 0)


def _plain(value: object) -> object:
    """For json."""
    return str(value) if isinstance(value, Path) else value


def summary(result: dict[str, Any]) -> str:
    """The result for a terminal."""
    return (
        f"{result['vms']:,} VMs: started in {result['started_s']:.1f} s, "
        f"{result['answered']:,} of {result['asked']:,} answered with their own number\n"
        f"load: {result['requests_per_s']:,.0f} requests/s, p50 {result['p50_ms']:.1f} ms, "
        f"p99 {result['p99_ms']:.1f} ms, {result['errors']} errors\n"
        f"memory: {result['bytes_per_idle_vm'] / 1024:.1f} KB for each VM in, "
        f"{result['kernel_bytes_per_out_vm']:.0f} bytes for each that is out\n"
    )


def arguments() -> tuple[Path, dict[str, str]]:
    """The build folder and the settings of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build folder")
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE")
    chosen = parser.parse_args()
    settings = dict(word.partition("=")[::2] for word in chosen.settings)
    if wrong := sorted(set(settings) - set(SETTINGS)):
        parser.error(f"no setting {wrong[0]}: there are {', '.join(SETTINGS)}")
    return chosen.build.resolve(), settings


def main() -> int:
    """Run the module's docstring."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `finally`
    build, settings = arguments()
    try:
        plan = read_plan(build, settings)
        enter_namespace(sys.argv)
        return 0 if run(plan) else 1
    except (RunError, *FAILURES, Failure) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
