# SPDX-License-Identifier: ISC
"""The page of memory that the test shares with tests/preload/inject.c, and what
the addresses in it mean."""
import bisect
import collections
import errno
import mmap
import os
import re
import struct
import subprocess

CALLS = ("open create read write truncate allocate sync rename link unlink "
         "mkdir close send receive accept map memfd").split()
ROLES = ("supervisor queue smtpd delivery mailbox policy directory "
         "sts-server fetch").split()
KINDS = ["none", "error", "short", "kill-before", "kill-after"]
FOR_EVER = 0xffffffff
MANY = 50            # interruptions in a row; for ever would be a busy loop

POINTS, FRAMES, WHAT = 8192, 14, 64
ROLE_COUNT, ROLE_NAME = 16, 16
ORDER_AT = ROLE_COUNT * ROLE_NAME
ORDER = struct.Struct("<IIQIIiIIiI4x")
LOST_AT = ORDER_AT + ORDER.size
POINTS_AT = LOST_AT + 8
POINT = struct.Struct("<QIIIIII%dQ%ds" % (FRAMES, WHAT))
PAGE_BYTES = POINTS_AT + POINT.size * POINTS

Point = collections.namedtuple("Point", "key role call what frames count")
Order = collections.namedtuple("Order", "armed fault key occurrence times "
                               "error seen fired pid sent_after")


class Fault(collections.namedtuple("Fault", "kind error times")):
    """What is to happen: error is an errno's name or empty."""

    def __str__(self):
        text = self.error or self.kind
        if self.times == FOR_EVER:
            text += " for ever"
        elif self.times > 1:
            text += " %d times" % self.times
        elif not self.kills():
            text += " once"
        return text

    def kills(self):
        return self.kind.startswith("kill")


def errors(*names):
    return [Fault("error", name, times) for name in names
            for times in (1, FOR_EVER)]


ONCE_INTERRUPTED = [Fault("error", "EINTR", 1)]
INTERRUPTED = ONCE_INTERRUPTED + [Fault("error", "EINTR", MANY)]
SHORT = [Fault("short", "", 1), Fault("short", "", FOR_EVER)]
KILLS = [Fault("kill-before", "", 1), Fault("kill-after", "", 1)]

# What each call can meet; for sockets "the device failed" has other names.
FAULTS = {
    "open": errors("EIO", "EMFILE"),
    "create": errors("EIO", "ENOSPC", "EMFILE"),
    "read": errors("EIO") + ONCE_INTERRUPTED + SHORT,
    "write": errors("EIO", "ENOSPC") + INTERRUPTED + SHORT,
    "truncate": errors("EIO", "ENOSPC") + ONCE_INTERRUPTED,
    "allocate": errors("EIO", "ENOSPC") + ONCE_INTERRUPTED,
    "sync": errors("EIO", "ENOSPC") + ONCE_INTERRUPTED,
    "rename": errors("EIO", "ENOSPC"),
    "link": errors("EIO", "ENOSPC"),
    "unlink": errors("EIO"),
    "mkdir": errors("EIO", "ENOSPC"),
    "close": errors("EIO") + ONCE_INTERRUPTED,
    "send": errors("EPIPE") + INTERRUPTED + SHORT,
    "receive": errors("ECONNRESET") + INTERRUPTED + SHORT,
    "accept": errors("EMFILE", "ECONNABORTED") + ONCE_INTERRUPTED,
    "map": errors("ENOMEM"),
    "memfd": errors("EMFILE", "ENOMEM"),
}
for one in FAULTS.values():
    one += KILLS


class Page:
    """A new page at path; it goes with close()."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as out:
            out.truncate(PAGE_BYTES)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), PAGE_BYTES)
        for number, role in enumerate(ROLES):
            at = number * ROLE_NAME
            self.memory[at:at + len(role)] = role.encode()

    def close(self):
        self.memory.close()
        os.unlink(self.path)

    def forget(self):
        """No points, no order."""
        self.memory[ORDER_AT:] = bytes(PAGE_BYTES - ORDER_AT)

    def arm(self, key, fault, occurrence=1):
        error = getattr(errno, fault.error) if fault.error else 0
        self.disarm()
        ORDER.pack_into(self.memory, ORDER_AT, 0, KINDS.index(fault.kind),
                        key, occurrence, fault.times, error, 0, 0, 0, 0)
        struct.pack_into("<I", self.memory, ORDER_AT, 1)

    def disarm(self):
        struct.pack_into("<I", self.memory, ORDER_AT, 0)

    def order(self):
        return Order(*ORDER.unpack_from(self.memory, ORDER_AT))

    def lost(self):
        return struct.unpack_from("<I", self.memory, LOST_AT)[0]

    def points(self):
        found = []
        for number in range(POINTS):
            row = POINT.unpack_from(self.memory,
                                    POINTS_AT + number * POINT.size)
            if row[0] and row[2]:
                key, count, _, role, call, depth, _ = row[:7]
                found.append(Point(
                    key, ROLES[role], CALLS[call],
                    row[7 + FRAMES].split(b"\0")[0].decode(),
                    row[7:7 + depth], count))
        return found


class Symbols:
    """Function names for frames of a program and of the Berkeley DB that it
    uses."""

    def __init__(self, program):
        libraries = subprocess.run(["ldd", program], capture_output=True,
                                   text=True, check=True).stdout
        library = re.search(r"=> (\S*/libdb-\S+)", libraries)
        self.tables = [self.read(["nm", "-C", program])]
        if library:
            self.tables.append(self.read(["nm", "-D", library.group(1)]))

    @staticmethod
    def read(command):
        text = subprocess.run(command, capture_output=True, text=True,
                              check=True).stdout
        rows = sorted((int(line.split()[0], 16),
                       line.split()[2].split("@")[0].split(".")[0])
                      for line in text.splitlines()
                      if len(line.split()) == 3 and line.split()[1] in "tTwW")
        return [row[0] for row in rows], [row[1] for row in rows]

    def name(self, frame):
        module, offset = frame >> 48, frame & ((1 << 48) - 1)
        if module >= len(self.tables):
            return "?"
        starts, names = self.tables[module]
        # a return address may be the first byte behind its function
        at = bisect.bisect_right(starts, offset - 1) - 1
        return names[at] if at >= 0 else "?"

    def stack(self, point):
        return [self.name(frame) for frame in point.frames]
