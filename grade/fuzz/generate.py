# SPDX-License-Identifier: MIT
"""Random inputs that come from outside a machine: images and frames, from a seeded generator.

Each begins as a right one and is then damaged a little, so that it gets past the first check.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace

from grade.harness import packet
from grade.harness.elf import PF_R, PF_W, PF_X, Image, Segment, code

# idle for ever, again and again: what was mapped is still there when the records are checked
_PROGRAM = bytes.fromhex("b801000000 83cbff 83c9ff cd80 ebf1")
_FIELDS = (
    "0 1 3 4 0x20 0x34 0xfff 0x1000 0x1fff 0x2000 0x2001 0xffff 0x10000 0xfff000 0xffffff 0x1000000 "
    "0x3fffffff 0x40000000 0x40100000 0x7fffffff 0x80000000 0xfffff000 0xfffffff0 0xffffffff"
)
_SHORT = ("phnum", "phentsize", "type", "machine")  # fields of 16 bits
_VALUES = tuple(int(word, 16 if "x" in word else 10) for word in _FIELDS.split())


def _word(rng: random.Random) -> int:
    return rng.choice(_VALUES) if rng.random() < 0.8 else rng.getrandbits(32)


def _segment(rng: random.Random) -> Segment:
    data = rng.randbytes(rng.choice((0, 1, 100, 4096, 6000)))
    vaddr = 0x3000 + 0x1000 * rng.randrange(8) + rng.choice((0, 0, 0, 1, 0x123, 0xFFF))
    flags = rng.choice((PF_R, PF_R | PF_W, PF_R | PF_X, 7, 0))
    segment = Segment(vaddr, len(data), len(data) + rng.choice((0, 0, 5, 4096)), flags, data=data)
    for name in ("vaddr", "filesz", "memsz", "offset", "type"):
        if rng.random() < 0.12:
            value = _word(rng)
            if name == "vaddr" and rng.random() < 0.5:
                value = rng.choice((0, 0x800, 0x1000, 0x1FF0))
            segment = replace(segment, **{name: value})
            if name == "offset":
                segment = replace(segment, data=b"")
    return segment


def image(rng: random.Random) -> bytes:
    """An ELF file that a loader should load, refuse, or load and see end: never anything else."""
    segments = [code(_PROGRAM)]
    for _ in range(rng.randrange(10)):
        segments.append(_segment(rng))
        if segments[-1].offset > 1 << 20:
            break  # nothing can be stored behind it
    file = Image(segments=segments)
    for name in ("entry", "phoff", "phnum", "phentsize", "type", "machine"):
        if rng.random() < 0.08:
            setattr(file, name, _word(rng) & (0xFFFF if name in _SHORT else 0xFFFFFFFF))
    data = bytearray(file.build())
    for _ in range(rng.choice((0, 0, 1, 3))):
        data[rng.randrange(min(len(data), 0x200))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.1:
        del data[rng.randrange(1, len(data)) :]
    return bytes(data)


def _payload(rng: random.Random, vm: int) -> bytes:
    ip = packet.vm_address(vm)
    data = rng.randbytes(rng.choice((0, 1, 8, 64, 512, 1400)))
    kind = rng.randrange(4)
    if kind == 0:
        return packet.udp(packet.HOST_IP, rng.getrandbits(16), ip, rng.choice((7, 80, 9)), data)
    if kind == 1:
        flags = rng.choice((packet.SYN, packet.ACK, packet.RST, packet.FIN | packet.ACK, 0x3F))
        source, sequence = rng.randrange(1024, 1032), rng.getrandbits(32)
        number = rng.getrandbits(32)
        return packet.tcp(
            packet.HOST_IP, source, ip, rng.choice((7, 80)), sequence, number, flags, data
        )
    if kind == 2:
        return packet.ipv4(packet.HOST_IP, ip, packet.ICMP, packet.icmp_echo(1, 1, data))
    return packet.ipv4(packet.HOST_IP, ip, rng.randrange(256), data)


def frame(rng: random.Random, vms: int) -> bytes:
    """A frame from the wire to one of VMs 1 to `vms`, or to nobody."""
    vm = rng.randrange(1, vms + 3)
    if rng.random() < 0.15:
        asked = packet.vm_address(vm)
        whole = bytearray(packet.arp_request(asked))
    elif rng.random() < 0.1:
        whole = bytearray(rng.randbytes(rng.randrange(14, 1515)))
    else:
        whole = bytearray(packet.to_vm(vm, _payload(rng, vm)))
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        at = rng.randrange(min(len(whole), 80))
        if rng.random() < 0.5:
            whole[at] = rng.getrandbits(8)
        elif at + 4 <= len(whole):
            struct.pack_into(">I", whole, at, _word(rng))
    if rng.random() < 0.1:
        del whole[rng.randrange(14, len(whole)) :]
    return bytes(whole[:1514])
