#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A queue on a small disk that is full again and again.

    full.py [--cycles N] [--megabytes N] [--hold SECONDS]

Makes a file system in a file (64 MiB of ext4 on a loop device), mounts it, and
puts the queue of a Postern there; needs root. What it mounted is unmounted at
the end, and after Ctrl-C and SIGTERM, too. Each cycle:

  by mail    messages for a host that takes none just now, until 452 4.3.1
  delivered  that host takes all of them; mail is accepted again by itself
  by others  a file of somebody else grows to the last block, takes each one
             that becomes free, and does so for a while. Meanwhile mail goes on
             to be sent to us, and the host takes what is in the queue
  freed      that file goes away; mail is accepted again by itself, and all that
             is kept is delivered

The ledger is here and in the host that mail goes to, on another disk. It fails
when something that got 250 has not arrived, or arrived changed; when something
was refused with another code than 451 or 452, or arrived all the same; when mail
was not accepted again within a minute; or when any process but the queue ended.
A queue that ended by itself because it could not write, and was started again
by the supervisor, is counted. Ends in "disk: N passed, N failed".
"""
import argparse
import collections
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
os.environ.setdefault("POSTERN_SRCDIR", os.path.join(HERE, "..", ".."))

from postern import Postern, Talk, until

CONFIGURATION = """
queue-directory = "%s/queue"
relay-from = { 127.0.0.1 }
allow-loopback = yes
retry-first = 1h
queue-cache = 4M
route "*" { host = "127.0.0.1" port = %d mx = no }
"""
MEGABYTE = 1 << 20


def digest(text):
    return hashlib.sha256(text).hexdigest()


class Disk:
    """A file system of its own; also a context."""

    def __init__(self, folder, megabytes):
        self.image = os.path.join(folder, "image")
        self.place = os.path.join(folder, "disk")
        self.megabytes = megabytes
        self.mounted = False

    def __enter__(self):
        with open(self.image, "wb") as out:
            out.truncate(self.megabytes * MEGABYTE)
        os.mkdir(self.place)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", self.image],
                       check=True, timeout=60)
        done = subprocess.run(["mount", "-o", "loop", self.image, self.place],
                              timeout=60, check=False)
        if done.returncode != 0:
            sys.exit(2)
        self.mounted = True
        return self

    def __exit__(self, *_):
        for option in ([], [], ["-l"]):
            if not self.mounted:
                break
            # The loop device goes with the last use of it.
            done = subprocess.run(["umount"] + option + [self.place],
                                  timeout=60, check=False)
            self.mounted = done.returncode != 0
            time.sleep(0.5 if self.mounted else 0)


class Ballast(threading.Thread):
    """Somebody else's file: takes what is there, and what becomes free."""

    def __init__(self, disk):
        super().__init__(daemon=True)
        self.path = os.path.join(disk.place, "ballast")
        self.done = False
        self.last_block = threading.Event()
        self.size = 0

    def take(self, out):
        step = MEGABYTE
        while step >= 1024:
            try:
                os.posix_fallocate(out.fileno(), self.size, step)
                self.size += step
            except OSError:
                step //= 2

    def run(self):
        with open(self.path, "wb") as out:
            while not self.done:
                self.take(out)     # until not even a block is given
                self.last_block.set()
                time.sleep(0.01)

    def remove(self):
        self.done = True
        self.join(30)
        os.unlink(self.path)


class Host(threading.Thread):
    """Where all mail goes: 451 while .closed, else it is written down."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.closed = True
        self.received = collections.defaultdict(list)   # number: digests
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                connection.sendall(b"220 host.example\r\n")
                self.talk(connection, connection.makefile("rb"))
            except OSError:
                pass

    def content(self, stream):
        lines = []
        line = stream.readline()
        while line and line != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
            line = stream.readline()
        return b"".join(lines) if line else None

    def note(self, text):
        text = text[text.index(b"Subject: "):]
        self.received[int(text.split()[1])].append(digest(text))

    def talk(self, connection, stream):
        line = stream.readline()
        while line and not line.startswith(b"QUIT"):
            reply = b"250 ok\r\n"
            if line.startswith(b"MAIL"):
                refuses = self.closed   # all of this message
            if line[:4] in (b"MAIL", b"RCPT") and refuses:
                reply = b"451 4.2.0 not now\r\n"
            elif line.startswith(b"DATA") and refuses:
                reply = b"554 5.5.1 no recipients\r\n"
            elif line.startswith(b"DATA"):
                connection.sendall(b"354 go\r\n")
                text = self.content(stream)
                if text is None:
                    return
                self.note(text)
            connection.sendall(reply)
            line = stream.readline()


class World:
    def __init__(self, folder, disk, options):
        self.disk = disk
        self.options = options
        self.dice = random.Random(options.seed)
        self.host = Host()
        self.server = Postern(
            os.path.join(folder, "server"), low_space="1M",
            text=CONFIGURATION % (disk.place, self.host.port))
        self.sent = {}           # number: digest
        self.accepted = set()
        self.refused = set()
        self.next = 1
        self.codes = collections.Counter()      # while full by others
        self.full_codes = collections.Counter()  # the refusals of mail
        self.while_full = 0      # delivered
        self.back = []           # seconds until mail is accepted again
        self.restarts = 0        # of the queue
        self.problems = []

    def problem(self, cycle, text):
        print("cycle %d: %s" % (cycle, text), flush=True)
        self.problems.append((cycle, text))

    def send(self, size=None):
        """One message; its code, 0 when the connection broke."""
        size = size or self.dice.choice((1000, 60000, 300000))
        number, self.next = self.next, self.next + 1
        text = b"Subject: %d\r\n\r\n" % number + (
            bytes(self.dice.choices(b"abcdefgh", k=70)) + b"\r\n") * (
                size // 72 + 1)
        self.sent[number] = digest(text)
        try:
            talk = Talk(self.server.port)
            try:
                code, texts = talk.mail("carol@example.net",
                                        "bob@example.org", text)
            finally:
                talk.close()
        except (OSError, EOFError):
            return 0, ""
        if code == 250:
            self.accepted.add(number)
        else:
            self.refused.add(number)
        return code, texts[0]

    def pids(self):
        found = {}
        for pid in self.server.role_pids():
            try:
                with open("/proc/%d/cmdline" % pid) as line:
                    found[line.read().split("\0")[1]] = pid
            except (OSError, IndexError):
                pass
        return found

    def missing(self):
        return [number for number in self.accepted
                if number not in self.host.received]

    def deliver_all(self, seconds=120):
        self.host.closed = False

        def gone():
            self.server.command("queue", "retry", "--all")
            return not self.missing() and self.server.command(
                "queue", "list")[0] == 1
        until(gone, seconds, lambda: "all to be delivered; missing %s; log:\n%s"
              % (self.missing()[:5], self.server.read_log()[-3000:]))

    def accepts_again(self, seconds=60):
        began = time.monotonic()
        until(lambda: self.send(1000)[0] == 250, seconds,
              lambda: "mail to be accepted again:\n" +
              self.server.read_log()[-3000:])
        return time.monotonic() - began

    def fill_once(self):
        for count in range(2000):
            code, text = self.send(300000)
            if code != 250:
                break
        return count, code, text

    def fill_by_mail(self, cycle):
        self.host.closed = True
        # What was delivered leaves its room by and by: logs go at checkpoints.
        end = time.monotonic() + 60
        count, code, text = self.fill_once()
        while count < 3 and code == 452 and time.monotonic() < end:
            time.sleep(0.2)
            count, code, text = self.fill_once()
        self.full_codes["%s %s" % (code, text[:5])] += 1
        if count < 3 or code != 452 or not text.startswith("4.3.1"):
            self.problem(cycle, "after %d messages: %s %s" % (count, code,
                                                              text))
        code, text = self.send(1000)
        self.full_codes["%s %s" % (code, text[:5])] += 1
        if code not in (250, 452):
            self.problem(cycle, "a small one: %s %s" % (code, text))
        return count

    def fill_by_others(self, cycle):
        self.host.closed = True
        # Mail to be delivered meanwhile; what was deleted may not be free yet.
        for _ in range(10):
            until(lambda: self.send()[0] == 250, 60, "mail to be accepted")
        ballast = Ballast(self.disk)
        ballast.start()
        if not ballast.last_block.wait(60):
            self.problem(cycle, "the disk is not full")
        end = time.monotonic() + self.options.hold
        before = len(self.host.received)
        opened = False
        while time.monotonic() < end:
            code, text = self.send()
            self.codes[code] += 1
            if code not in (0, 250, 451, 452):
                self.problem(cycle, "while full: %s %s" % (code, text))
            if not opened and time.monotonic() > end - self.options.hold / 2:
                opened = True
                self.host.closed = False
                self.server.command("queue", "retry", "--all")
            time.sleep(0.02)
        self.while_full += len(self.host.received) - before
        ballast.remove()

    def cycle(self, cycle):
        pids = self.pids()
        count = self.fill_by_mail(cycle)
        self.deliver_all()
        self.back.append(self.accepts_again())
        self.fill_by_others(cycle)
        self.back.append(self.accepts_again())
        self.deliver_all()
        after = self.pids()
        if len(after) != len(pids):
            until(lambda: len(self.pids()) == len(pids), 30)
            after = self.pids()
        ended = [role for role, pid in pids.items() if after.get(role) != pid]
        self.restarts += any("queue" in role for role in ended)
        if [role for role in ended if "queue" not in role]:
            self.problem(cycle, "ended: %s" % ended)
        return count


def judge(world):
    host = world.host
    lost = world.missing()
    changed = [number for number, digests in host.received.items()
               if set(digests) != {world.sent.get(number)}]
    after_refusal = [number for number in world.refused
                     if number in host.received]
    twice = sum(len(digests) - 1 for digests in host.received.values())
    print("messages %d, answered 250 %d, refused %d, broken off %d; lost %d, "
          "changed %d, twice %d, after a refusal %d" % (
              len(world.sent), len(world.accepted), len(world.refused),
              len(world.sent) - len(world.accepted) - len(world.refused),
              len(lost), len(changed), twice, len(after_refusal)))
    print("refused because of mail: %s" % dict(world.full_codes))
    print("while full because of others (0: broken off): %s; delivered then: "
          "%d" % (dict(sorted(world.codes.items())), world.while_full))
    times = sorted(world.back)
    print("accepted again after: median %.2f s, longest %.2f s; cycles in "
          "which the queue was started again: %d" % (
              times[len(times) // 2], times[-1], world.restarts))
    return [("nothing lost", not lost), ("nothing changed", not changed),
            ("nothing refused arrives", not after_refusal),
            ("451 and 452 only, and by itself again", not world.problems)]


def run(folder, options):
    with Disk(folder, options.megabytes) as disk:
        world = World(folder, disk, options)
        world.server.start()
        try:
            began = time.monotonic()
            for cycle in range(1, options.cycles + 1):
                count = world.cycle(cycle)
                if cycle % 10 == 0 or options.cycles < 10:
                    print("cycle %d after %.0f s: %d messages filled the disk"
                          % (cycle, time.monotonic() - began, count),
                          flush=True)
            return judge(world)
        finally:
            world.host.listener.close()
            world.server.stop()


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--hold", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("full.py: needs root to mount a file system")
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    print("seed %d" % options.seed)
    folder = tempfile.mkdtemp(prefix="postern-disk-")
    results = []
    try:
        results = run(folder, options)
    finally:
        if not os.path.exists(os.path.join(folder, "server")) or (
                results and all(held for _, held in results)):
            shutil.rmtree(folder, True)
        else:
            print("kept:", folder)
    for name, held in results:
        print("%s %s" % ("ok    " if held else "FAILED", name))
    failed = sum(not held for _, held in results)
    print("disk: %d passed, %d failed" % (len(results) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
