#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make profile: where Denali's instructions go, by function, kernel and guest.

    profile.py --build DIR [--lines N] null|switch|echo|keep|new

Runs one of the benchmark's loads under a QEMU plugin that counts blocks, and prints instructions
per operation (a virtual instruction, a switch, a frame, a request), the largest first. The counts
include boot and start-up, which the length of the load makes small. QEMU's time is not in
proportion: a call and its return cost as much as 30 plain instructions, more after an address
space was changed.
"""

from __future__ import annotations

import argparse
import bisect
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conf.qemu import Run  # noqa: E402
from grade.bench import network, runner  # noqa: E402
from grade.bench.groups import Setting, Side  # noqa: E402
from grade.harness.elf import Elf  # noqa: E402
from grade.harness.keeper import make_folder, remove_folder  # noqa: E402
from grade.harness.machine import Machine  # noqa: E402

SECONDS = 4
CLIENTS = {"echo": 64, "keep": 32, "new": 8}


@dataclass(frozen=True)
class Work:
    """A load: the guest that runs, and what counts its operations while it does."""

    program: str
    run: Run
    count: Callable[[Machine], float]


@dataclass
class Function:
    """What was counted for one function."""

    instructions: int = 0
    calls: int = 0


def work(setting: Setting, name: str) -> Work:
    """The load called `name`."""
    if name == "null":
        module = setting.module("bench-null", 1, "n=1000000")
        run = setting.ours(module, "when-done=exit")
        return Work("bench-null", run, lambda machine: _ended(machine, 1000000))
    if name == "switch":
        module = setting.module("bench-switch", 32, "n=400 vms=32")
        run = setting.ours(module, "when-done=exit")
        return Work("bench-switch", run, lambda machine: _ended(machine, 400 * 32))
    clients, tools = CLIENTS[name], setting.build / "bench"
    if name == "echo":
        run = setting.ours(setting.module("frames"), netdev=network.netdev())
        return Work("frames", run, lambda machine: _echo(machine, tools / "echo", clients))
    run = setting.web(Side.OURS)
    if name == "new":
        return Work("httpd", run, lambda machine: _new(machine, tools / "http", clients))
    return Work("httpd", run, lambda machine: _keep(machine, clients))


def _ended(machine: Machine, operations: int) -> float:
    machine.wait(60)
    return operations


def _echo(machine: Machine, tool: Path, window: int) -> float:
    network.wait_echo(machine, 1)
    return network.load(tool, 1, window, SECONDS) * SECONDS


def _new(machine: Machine, tool: Path, clients: int) -> float:
    network.first_page(machine, 1)
    return network.load(tool, 1, clients, SECONDS, network.OBJECT) * SECONDS


def _keep(machine: Machine, clients: int) -> float:
    network.first_page(machine, 1)
    return network.wrk(1, clients, SECONDS) * SECONDS


def blocks(setting: Setting, load: Work) -> tuple[str, float]:
    """The plugin's output, and how many operations there were."""
    folder = make_folder()
    try:
        out = folder / "blocks"
        plugin = f"{setting.build}/bench/blocks.so,out={out}"
        run = replace(load.run, extra=(*load.run.extra, "-plugin", plugin))
        with runner.boot(run) as machine:
            operations = load.count(machine)
            if machine.running():
                machine.qmp.command("quit")  # the plugin writes when QEMU ends by itself
                machine.wait_crash()
        return out.read_text(), operations
    finally:
        remove_folder(folder)


def functions(text: str, files: dict[str, Path]) -> dict[str, Function]:
    """Blocks added up by function; `files` are the programs by the name to show."""
    programs = {name: Elf(path) for name, path in files.items()}
    ranges = [range(s.vaddr, s.vaddr + s.memsz) for elf in programs.values() for s in elf.segments]
    starts = sorted(
        (symbol.address, f"{name}: {symbol.name}")
        for name, elf in programs.items()
        for symbol in elf.symbols.values()
        if symbol.name and any(symbol.address in place for place in ranges)
    )
    addresses = [address for address, _ in starts]
    found: dict[str, Function] = {}
    for line in text.splitlines():
        address, instructions, times = int(line.split()[0], 16), *map(int, line.split()[1:])
        at = bisect.bisect_right(addresses, address) - 1
        known = at >= 0 and any(address in place for place in ranges)
        function = found.setdefault(starts[at][1] if known else "firmware: all", Function())
        function.instructions += instructions * times
        function.calls += times if known and addresses[at] == address else 0
    return found


def table(found: dict[str, Function], operations: float, lines: int) -> str:
    """The largest functions, and the sum for each program."""
    total = sum(function.instructions for function in found.values())
    sums: Counter[str] = Counter()
    for name, function in found.items():
        sums[name.partition(":")[0]] += function.instructions
    text = f"{total / operations:12,.1f}  instructions for each of {operations:,.0f}\n"
    for name, count in sums.most_common(4):
        text += f"{count / operations:12,.1f}  {100 * count / total:5.1f}%  {name}\n"
    text += f"\ninstructions  {'':6}  {'calls':>7}  each operation\n"
    for name in sorted(found, key=lambda name: -found[name].instructions)[:lines]:
        each = found[name].instructions
        text += f"{each / operations:12,.1f}  {100 * each / total:5.1f}%  "
        text += f"{found[name].calls / operations:7.2f}  {name}\n"
    return text


def main() -> int:
    """Profile what was asked for."""
    parser = argparse.ArgumentParser(description="Instructions per operation, by function.")
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build folder")
    parser.add_argument("--lines", type=int, default=40, help="how many functions (40)")
    parser.add_argument("what", choices=["null", "switch", *CLIENTS])
    options = parser.parse_args()
    network.enter([sys.executable, *sys.argv])
    problem = network.prepare()
    if problem and options.what in CLIENTS:
        print(f"not measured: {problem}", file=sys.stderr)
        return 1
    setting = Setting(options.build, SECONDS)
    load = work(setting, options.what)
    try:
        text, operations = blocks(setting, load)
    except runner.FAILURES as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    guest = options.build / "user" / f"{load.program}.elf"
    files = {"kernel": options.build / "kern/denali", "guest": guest}
    print(table(functions(text, files), operations, options.lines), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
