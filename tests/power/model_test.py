#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What recording.py says a power cut may leave, on recordings made by hand:
each case names every tree that may come out, and all of them must, and no
other, in many draws."""
import os
import shutil
import sys
import tempfile

import recording
from recording import (ALLOCATE, CREATE, FLUSH, LINK, MKDIR, PAGE, RENAME,
                       SECTOR, TRUNCATE, UNLINK, WRITE)

FILE, FOLDER = os.geteuid() << 32 | 0o100600, os.geteuid() << 32 | 0o40700
OLD, NEW, MORE = b"o" * PAGE, b"n" * PAGE, b"m" * PAGE
ROOT = 1        # its inode
DRAWS = 200


class Made:
    """A recording of these (kind, first, second, data)."""

    def __init__(self, *records):
        self.records = [(kind, 0, first, second, data)
                        for kind, first, second, data in records]


def trees(made, mode, unit, honest_until):
    """Every tree that was drawn: {name: bytes} as a sorted tuple."""
    found = set()
    folder = tempfile.mkdtemp(prefix="postern-power-model-", dir="/dev/shm"
                              if os.access("/dev/shm", os.W_OK) else None)
    try:
        for seed in range(DRAWS):
            disk = recording.Disk(made, mode=mode)
            disk.inodes[ROOT] = disk.root
            disk.honest_until = honest_until
            disk.advance(len(made.records))
            path = os.path.join(folder, "tree")
            disk.image(path, seed, unit)
            found.add(tuple(sorted(read(path))))
            shutil.rmtree(path)
    finally:
        shutil.rmtree(folder)
    return found


def read(path):
    for root, folders, files in os.walk(path):
        for name in files:
            whole = os.path.join(root, name)
            with open(whole, "rb") as file:
                yield os.path.relpath(whole, path), file.read()
        for name in folders:
            yield os.path.relpath(os.path.join(root, name), path), None


def tree(**files):
    return tuple(sorted(files.items()))


def new(name, inode=2):
    return (CREATE, inode, FILE, name)


def sync(inode, before):
    return (FLUSH, inode, before, "")


BASE = (new("a"), (WRITE, 2, 0, OLD), sync(2, 3), sync(ROOT, 4))
NOTHING, WAS = tree(), tree(a=OLD)

# name, records, mode, unit, honest until, trees that may be found
CASES = [
    ("what was flushed stays", BASE, "strict", PAGE, None, {WAS}),
    ("a lying disk keeps some of it", BASE, "strict", PAGE, 0,
     {NOTHING, WAS, tree(a=b""), tree(a=bytes(PAGE))}),
    ("a page is old or new", BASE + ((WRITE, 2, 0, NEW),), "strict", PAGE,
     None, {WAS, tree(a=NEW)}),
    ("of two writes any may be the last", BASE + (
        (WRITE, 2, 0, NEW), (WRITE, 2, 0, MORE)), "strict", PAGE, None,
     {WAS, tree(a=NEW), tree(a=MORE)}),
    ("a later write may be there and an earlier one not",
     (new("a"), (WRITE, 2, 0, OLD + OLD), sync(2, 3), sync(ROOT, 4),
      (WRITE, 2, 0, NEW), (WRITE, 2, PAGE, MORE)), "strict", PAGE, None,
     {tree(a=OLD + OLD), tree(a=NEW + OLD), tree(a=OLD + MORE),
      tree(a=NEW + MORE)}),
    ("a write that began after the flush is not flushed",
     BASE + ((WRITE, 2, 0, NEW), sync(2, 5)), "strict", PAGE, None,
     {WAS, tree(a=NEW)}),
    ("a flushed file is lost with its name", (
        new("a"), (WRITE, 2, 0, OLD), sync(2, 3)), "strict", PAGE, None,
     {NOTHING, WAS}),
    ("unless the journal has its name", (
        new("a"), (WRITE, 2, 0, OLD), sync(2, 3)), "ext4", PAGE, None, {WAS}),
    ("a name may come back", BASE + ((UNLINK, 0, 0, "a"),), "strict", PAGE,
     None, {NOTHING, WAS}),
    ("a rename is one change", BASE + ((RENAME, 2, 0, "a\0b"),), "strict",
     PAGE, None, {WAS, tree(b=OLD)}),
    ("names change in any order", BASE + (
        (LINK, 2, 0, "a\0b"), (UNLINK, 0, 0, "a")), "strict", PAGE, None,
     {WAS, NOTHING, tree(b=OLD), tree(a=OLD, b=OLD)}),
    ("but not in a journal", BASE + (
        (LINK, 2, 0, "a\0b"), (UNLINK, 0, 0, "a")), "ext4", PAGE, None,
     {WAS, tree(b=OLD), tree(a=OLD, b=OLD)}),
    ("a folder is lost with all in it", (
        (MKDIR, 3, FOLDER, "d"), new("d/a"), (WRITE, 2, 0, OLD), sync(2, 4),
        sync(3, 5)), "strict", PAGE, None,
     {NOTHING, tree(**{"d": None, "d/a": OLD})}),
    ("a file grows by zeros, or not", BASE + ((ALLOCATE, 2, 2 * PAGE, ""),),
     "strict", PAGE, None, {WAS, tree(a=OLD + bytes(PAGE))}),
    ("it may be cut off", BASE + ((TRUNCATE, 2, 0, ""),), "strict", PAGE,
     None, {WAS, tree(a=b""), tree(a=bytes(PAGE))}),
]


def torn(unit):
    """Trees in which the page is neither old nor new."""
    return trees(Made(*BASE, (WRITE, 2, 0, NEW)), "strict", unit,
                 None) - {WAS, tree(a=NEW)}


def run():
    """(passed, failed)"""
    failed = 0
    for name, records, mode, unit, honest_until, wanted in CASES:
        found = trees(Made(*records), mode, unit, honest_until)
        if found != wanted:
            failed += 1
            print("FAILED %s: %d trees wanted, %d found, of them %d wanted" % (
                name, len(wanted), len(found), len(found & wanted)))
    if torn(PAGE) or not torn(SECTOR):
        failed += 1
        print("FAILED pages are torn by sectors only")
    return len(CASES) + 1 - failed, failed


if __name__ == "__main__":
    counts = run()
    print("model: %d passed, %d failed" % counts)
    sys.exit(counts[1] > 0)
