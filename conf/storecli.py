# SPDX-License-Identifier: MIT
"""The sub-commands of conf/mkdisk about what a block store holds (conf/store.py)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from conf import store
from conf.store import Store
from conf.vdisk import BLOCK_SIZE, VdiskError, Volume, blocks_of

SITE = "site"  # the disk's name


def pack(volume: Volume, name: str, folder: Path) -> None:
    """The files of `folder` become the records of disk `name`."""
    store.fill(volume, volume.find(name), store.site(folder))


def make_site(args: argparse.Namespace) -> None:
    """A new image with one shared disk that holds a folder's files; replaces an old one."""
    records = list(store.site(args.folder))
    blocks = store.blocks_for(records)
    new = args.image.with_name(args.image.name + ".new")
    new.unlink(missing_ok=True)
    try:
        with Volume.create(new, blocks + 64, disks=63) as volume:
            disk = volume.add(SITE, blocks, read_only=True)
            store.fill(volume, disk, records)
    except VdiskError:
        new.unlink(missing_ok=True)
        raise
    new.replace(args.image)
    size = sum(len(value) for _, value in records)
    print(f"{args.image}: disk {SITE!r}, {len(records)} files, {size} bytes")


def unpack(args: argparse.Namespace) -> None:
    """Write a disk's records as files."""
    with Volume.open(args.image) as volume:
        found = read(volume, args.name)
    print(f"{store.unpack(found, args.folder)} files")


def records(args: argparse.Namespace) -> None:
    """One line a record: bytes and key."""
    with Volume.open(args.image) as volume:
        found = read(volume, args.name)
    for key, value in sorted(found.records.items()):
        print(f"{len(value):>10} {key.decode('utf-8', 'backslashreplace')}")
    print(f"{len(found.records)} records, {found.used} of {found.blocks} blocks used")


def verify(args: argparse.Namespace) -> None:
    """Read everything; damage is a finding."""
    with Volume.open(args.image) as volume:
        found = read(volume, args.name)
    if found.damaged or found.lost:
        raise VdiskError(f"disk {args.name!r} is damaged")
    print(f"disk {args.name!r}: {len(found.records)} records, all is well")


def compact(args: argparse.Namespace) -> None:
    """Copy the records that live to a new disk of the same image."""
    with Volume.open(args.image, change=True) as volume:
        old = volume.find(args.name)
        found = read(volume, args.name)
        if found.damaged or found.lost:
            print("mkdisk: what is damaged isn't copied", file=sys.stderr)
        new = volume.add(args.new, blocks_of(args.size) if args.size else old.blocks)
        try:
            store.fill(volume, new, found.records.items())
        except VdiskError:
            volume.remove(args.new)
            raise
    kept = sum(map(len, found.records)) + sum(map(len, found.records.values()))
    before = found.used * BLOCK_SIZE
    print(f"{args.new}: {len(found.records)} records, {kept} bytes; they took {before}")


def read(volume: Volume, name: str) -> Store:
    """The store on disk `name`; what isn't as it should be goes to standard error."""
    found = Store.open(volume, volume.find(name))
    if found.damaged:
        print(f"mkdisk: {name}: {found.damaged} blocks are damaged", file=sys.stderr)
    return found


def register(commands: Any) -> None:
    """Add the sub-commands to mkdisk's (argparse's class for them has no public name)."""

    def command(name: str, run: object, text: str, *arguments: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument("image", type=Path)
        for argument in arguments:
            sub.add_argument(argument, type=Path if argument == "folder" else str)
        return sub

    command("site", make_site, "make an image that holds a folder's files", "folder")
    command("unpack", unpack, "copy a store's records to files", "name", "folder")
    command("records", records, "list a store's records", "name")
    command("verify", verify, "read all of a store", "name")
    sub = command("compact", compact, "copy what lives to a new virtual disk of the same image", "name", "new")
    sub.add_argument("--size", default="", help="of the new disk; by default that of the old one")
