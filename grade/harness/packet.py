# SPDX-License-Identifier: MIT
"""Ethernet frames, built and taken apart: ARP, IPv4, ICMP, UDP, TCP.

Builders compute right checksums unless told otherwise (`checksum=`); parsers check them and raise
ValueError at the first thing that is wrong, so a parsed packet is a right one. Addresses are text,
as people write them.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from conf.qemu import GATEWAY, vm_address, vm_mac

HOST_IP = GATEWAY
HOST_MAC = "52:54:00:12:34:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"
ETH_IP, ETH_ARP = 0x0800, 0x0806
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

__all__ = ["vm_address", "vm_mac"]


def mac_bytes(mac: str) -> bytes:
    """An Ethernet address in bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(to: str, sender: str, kind: int, payload: bytes) -> bytes:
    """A frame, padded to Ethernet's minimum of 60 bytes."""
    return (mac_bytes(to) + mac_bytes(sender) + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def arp(
    operation: int, mac: str, ip: str, target_mac: str, target_ip: str, to: str = BROADCAST
) -> bytes:
    """An ARP frame: operation 1 asks, 2 answers."""
    body = struct.pack(">HHBBH", 1, ETH_IP, 6, 4, operation)
    body += mac_bytes(mac) + socket.inet_aton(ip)
    body += mac_bytes(target_mac) + socket.inet_aton(target_ip)
    return ethernet(to, mac, ETH_ARP, body)


def arp_request(ip: str, mac: str = HOST_MAC, sender: str = HOST_IP) -> bytes:
    """Ask everybody who has `ip`."""
    return arp(1, mac, sender, "00:00:00:00:00:00", ip)


def ipv4(source: str, target: str, protocol: int, payload: bytes, ident: int = 0) -> bytes:
    """An IPv4 packet without options."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, 0x4000, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def icmp_echo(ident: int, sequence: int, data: bytes = b"denali") -> bytes:
    """An ICMP echo request."""
    head = struct.pack(">BBHHH", 8, 0, 0, ident, sequence)
    return head[:2] + struct.pack(">H", checksum(head + data)) + head[4:] + data


def udp(
    source: str, source_port: int, target: str, port: int, data: bytes, sum16: int | None = None
) -> bytes:
    """A UDP datagram inside its IPv4 packet; `sum16` replaces the right checksum."""
    head = struct.pack(">HHHH", source_port, port, 8 + len(data), 0)
    right = checksum(_pseudo(source, target, UDP, head + data)) or 0xFFFF
    head = head[:6] + struct.pack(">H", right if sum16 is None else sum16)
    return ipv4(source, target, UDP, head + data)


def tcp(
    source: str,
    source_port: int,
    target: str,
    port: int,
    sequence: int,
    acknowledge: int = 0,
    flags: int = SYN,
    data: bytes = b"",
    window: int = 8192,
) -> bytes:
    """A TCP segment without options inside its IPv4 packet."""
    head = struct.pack(
        ">HHIIBBHHH", source_port, port, sequence & 0xFFFFFFFF, acknowledge & 0xFFFFFFFF,
        5 << 4, flags, window, 0, 0,
    )  # fmt: skip
    right = checksum(_pseudo(source, target, TCP, head + data))
    return ipv4(source, target, TCP, head[:16] + struct.pack(">H", right) + head[18:] + data)


def to_vm(number: int, packet: bytes, mac: str = HOST_MAC) -> bytes:
    """A frame that carries an IPv4 packet from the host to a VM."""
    return ethernet(vm_mac(number), mac, ETH_IP, packet)


def udp_to_vm(number: int, port: int, data: bytes, source_port: int = 4000) -> bytes:
    """A UDP frame from the host to a VM."""
    return to_vm(number, udp(HOST_IP, source_port, vm_address(number), port, data))


def ping_vm(number: int, sequence: int, data: bytes = b"denali") -> bytes:
    """An ICMP echo frame from the host to a VM."""
    return to_vm(number, ipv4(HOST_IP, vm_address(number), ICMP, icmp_echo(7, sequence, data)))


@dataclass(frozen=True)
class Frame:
    """A parsed frame. `kind` is arp, icmp, udp, tcp or other; fields of other kinds are 0 or
    empty. `source` and `target` are IPv4 addresses, for ARP those of sender and target."""

    to: str
    sender: str
    kind: str
    source: str = ""
    target: str = ""
    data: bytes = b""
    operation: int = 0  # ARP's operation, ICMP's type
    source_port: int = 0
    port: int = 0
    sequence: int = 0
    acknowledge: int = 0
    flags: int = 0


def parse(frame: bytes) -> Frame:
    """Take a frame apart; ValueError if any length or checksum in it is wrong."""
    if len(frame) < 14:
        raise ValueError(f"{len(frame)} bytes are no frame")
    to, sender = frame[:6].hex(":"), frame[6:12].hex(":")
    kind = struct.unpack_from(">H", frame, 12)[0]
    if kind == ETH_ARP:
        return _parse_arp(to, sender, frame[14:])
    if kind == ETH_IP:
        return _parse_ip(to, sender, frame[14:])
    return Frame(to, sender, "other", data=frame[14:])


def _parse_arp(to: str, sender: str, body: bytes) -> Frame:
    if len(body) < 28 or body[:6] != bytes.fromhex("000108000604"):
        raise ValueError("malformed ARP")
    source, target = socket.inet_ntoa(body[14:18]), socket.inet_ntoa(body[24:28])
    operation = struct.unpack_from(">H", body, 6)[0]
    return Frame(to, sender, "arp", source, target, body[8:14], operation)


def _parse_ip(to: str, sender: str, packet: bytes) -> Frame:
    if len(packet) < 20 or packet[0] != 0x45:
        raise ValueError("malformed IPv4 header")
    if checksum(packet[:20]):
        raise ValueError("wrong IPv4 checksum")
    length = struct.unpack_from(">H", packet, 2)[0]
    if not 20 <= length <= len(packet):
        raise ValueError(f"IPv4 length {length} in {len(packet)} bytes")
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    frame = Frame(to, sender, "other", source, target, packet[20:length])
    parser = {ICMP: _parse_icmp, UDP: _parse_udp, TCP: _parse_tcp}.get(packet[9])
    return parser(frame) if parser else frame


def _parse_icmp(frame: Frame) -> Frame:
    body = frame.data
    if len(body) < 8 or checksum(body):
        raise ValueError("wrong ICMP checksum or length")
    sequence = struct.unpack_from(">H", body, 6)[0]
    return Frame(
        frame.to, frame.sender, "icmp", frame.source, frame.target, body[8:], body[0],
        sequence=sequence,
    )  # fmt: skip


def _parse_udp(frame: Frame) -> Frame:
    body = frame.data
    source_port, port, length, sum16 = struct.unpack_from(">HHHH", body)
    if not 8 <= length <= len(body):
        raise ValueError(f"UDP length {length} in {len(body)} bytes")
    body = body[:length]
    if sum16 and checksum(_pseudo(frame.source, frame.target, UDP, body)):
        raise ValueError("wrong UDP checksum")
    return Frame(
        frame.to, frame.sender, "udp", frame.source, frame.target, body[8:],
        source_port=source_port, port=port,
    )  # fmt: skip


def _parse_tcp(frame: Frame) -> Frame:
    body = frame.data
    if len(body) < 20 or checksum(_pseudo(frame.source, frame.target, TCP, body)):
        raise ValueError("wrong TCP checksum or length")
    source_port, port, sequence, acknowledge = struct.unpack_from(">HHII", body)
    return Frame(
        frame.to, frame.sender, "tcp", frame.source, frame.target, body[body[12] >> 4 << 2 :], 0,
        source_port, port, sequence, acknowledge, body[13],
    )  # fmt: skip


def _pseudo(source: str, target: str, protocol: int, body: bytes) -> bytes:
    """The pseudo header and the body that a transport checksum covers."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return addresses + struct.pack(">BBH", 0, protocol, len(body)) + body
