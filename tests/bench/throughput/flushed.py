# SPDX-License-Identifier: ISC
"""That a server's 250 comes behind a flush of what it answers for, as the kernel
saw it: strace records what its processes read, write and flush, in one order.

A message is known by its sender, x-N-x@marked.test. It is bound to a session by the
MAIL command read there; to a file below the queue by the write that has its
sender in it, or its place in a file that is renamed; it is safe when a flush of
that file, begun behind that write, has ended. The end of its data read, the next
250 on that session is its answer, and is looked at when its write begins.
"""
import os
import re
import shutil
import subprocess
import time

from loads import Failed, Load, send
from postern import is_running

CALLS = ("read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,"
         "sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,link,linkat")
LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)", re.S)
CALL = re.compile(r"(\w+)\((\d+)<(.*?)>(?:[,) ]|$)")
MARK = re.compile(rb"x-(\d+)-x@marked\.test")
MAIL = re.compile(rb"MAIL FROM:<x-(\d+)-x@marked\.test>", re.I)
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
READS = ("read", "readv", "recvfrom", "recvmsg")
SENDS = ("sendto", "sendmsg") + WRITES
FLUSHES = ("fsync", "fdatasync")


class NoTrace(Exception):
    """strace is not there, or may not look."""


class Judge:
    """Takes calls in their order; .answered and .early are what came of it."""

    def __init__(self, queue):
        self.queue = os.path.realpath(queue)
        self.at = {}          # session: number of the message
        self.ending = set()   # sessions whose data has ended
        self.written = {}     # file: numbers that are in it, not yet safe
        self.safe = set()
        self.answered, self.early = set(), set()
        self.flushes = 0

    def begin(self, name, place, text):
        """What a call has to be judged by before it is done; returned to be
        given to end()."""
        if name in FLUSHES:
            self.flushes += 1
            return set(self.written.get(place, ()))
        if name in SENDS and place.startswith("socket:") and \
                place in self.ending and b'"250 ' in text:
            self.ending.discard(place)
            number = self.at.pop(place)
            self.answered.add(number)
            if number not in self.safe:
                self.early.add(number)
        return None

    def end(self, name, place, text, state):
        if name in FLUSHES:
            self.safe |= state or set()
            self.written.setdefault(place, set()).difference_update(
                state or ())
        elif name in READS and place.startswith("socket:"):
            found = MAIL.search(text)
            if found:
                self.at[place] = int(found[1])
            if place in self.at and rb"\r\n.\r\n" in text:
                self.ending.add(place)
        elif name in WRITES and place.startswith(self.queue):
            numbers = {int(one) for one in MARK.findall(text)}
            self.written.setdefault(place, set()).update(numbers)

    def take(self, lines):
        waiting = {}          # thread: the call it is in
        for line in lines:
            match = LINE.match(line)
            if not match:
                continue
            thread, resumed, rest = match.groups()
            if resumed:
                known = waiting.pop(thread, None)
                if known and not re.search(r"= -1 ", rest[-80:]):
                    name, place, text, state = known
                    self.end(name, place, text + rest.encode("latin-1"),
                             state)
                continue
            call = CALL.match(rest)
            if not call:
                continue
            name, _, place = call.groups()
            place = place.strip("<>")
            text = rest.encode("latin-1")
            state = self.begin(name, place, text)
            if rest.rstrip().endswith("<unfinished ...>"):
                waiting[thread] = name, place, text, state
            elif not re.search(r"= -1 ", rest[-80:]):
                self.end(name, place, text, state)


def attach(server, path):
    """strace on all processes of the server; one that was born meanwhile, of a
    parent not yet looked at, makes it begin again."""
    if shutil.which("strace") is None:
        raise NoTrace("there is no strace")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pids = server.pids()
        tracer = subprocess.Popen(
            ["strace", "-f", "-q", "-y", "-s", "100000", "-e",
             "trace=" + CALLS, "-o", path] +
            [word for pid in pids for word in ("-p", str(pid))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        while tracer.poll() is None and time.monotonic() < end:
            if all(is_traced(pid) for pid in pids):
                break
            time.sleep(0.02)
        if tracer.poll() is None and all(is_traced(pid)
                                         for pid in server.pids()):
            return tracer
        refused = tracer.poll() is not None
        tracer.terminate()
        tracer.wait(60)
        if refused and all(is_running(pid) for pid in pids):
            break
    raise NoTrace("strace may not look at processes here")


def record(server, load, folder):
    """Lines of strace over all processes of a server while a load runs."""
    path = os.path.join(folder, "strace-%s" % server.kind)
    tracer = attach(server, path)
    try:
        send(server, load, folder, "flushed")
    finally:
        tracer.terminate()
        tracer.wait(60)
    with open(path, encoding="latin-1", newline="\n") as lines:
        found = lines.readlines()
    os.unlink(path)
    return found


def is_traced(pid):
    try:
        with open("/proc/%d/status" % pid) as status:
            return any(line.startswith("TracerPid:") and
                       line.split()[1] != "0" for line in status)
    except OSError:
        return True     # it has ended


def check(server, queue, folder, messages=200):
    """(messages answered, flushes), or Failed. The judge has to find fault with
    the same record when it is told of no flush."""
    load = Load(messages=messages, size=600, per_connection=100,
                sender="x-#-x@marked.test", spread=1000000, threads=1)
    lines = record(server, load, folder)
    judge, blind = Judge(queue), Judge(queue)
    judge.take(lines)
    blind.take(line for line in lines if not re.search(
        r"\b(fsync|fdatasync)\b", line[:60]))
    if len(judge.answered) != messages or judge.early:
        raise Failed("%s: of %d messages %d were answered in sight, %d of "
                     "them before they were flushed" % (
                         server.kind, messages, len(judge.answered),
                         len(judge.early)))
    if len(blind.early) != messages:
        raise Failed("%s: without any flush only %d of %d messages would have "
                     "been found" % (server.kind, len(blind.early), messages))
    return len(judge.answered), judge.flushes
