#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""kill -9 of any role, at random moments, under load.

    kill.py [--kills N] [--seed S] [--roles queue,smtpd,...]

Two Posterns in unprivileged mode: the first takes mail from several clients
and delivers half of it to its own maildir and half over TLS to the second,
which nobody harms. A role of the first, chosen at random (the supervisor and
all roles at once among the choices), is killed at a random moment, N times.

The ledger is kept here, outside of what is killed: each message with its
digest, and whether it got 250. At the end:

  I1  every message that got 250 arrived               (loss = 0)
  I2  nothing arrived that differs from what was sent  (corrupt = 0)
  I3  what arrived twice is counted                    (allowed, reported)
  I4  nothing arrived that was never sent; what got no 250 may have arrived
      only if the connection broke before the reply    (reported)
  I6  a fresh message gets its 250 within five seconds of each kill

How many kills fell between the write of a batch and its flush is what the queue
says when it starts again: its progress page (queue/store_progress.c) survives
the process.
Prints "crash: N passed, N failed" at the end.
"""
import argparse
import collections
import hashlib
import os
import random
import re
import shutil
import signal
import smtplib
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
os.environ.setdefault("POSTERN_SRCDIR", os.path.join(HERE, "..", ".."))

from conftest import Certificate
from postern import Postern, until

ROLES = ("queue", "smtpd", "delivery", "mailbox", "policy", "directory",
         "everything")
RECOVERY_SECONDS = 5.0


class Ledger:
    """What was sent: number -> (digest, accepted). Several threads write."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}
        self.accepted = set()
        self.refused = set()     # a reply came, and it was not 250
        self.next = 0

    def add(self, body):
        with self.lock:
            number = self.next
            self.next += 1
        text = b"message %d\r\n%s" % (number, body)
        with self.lock:
            self.sent[number] = hashlib.sha256(
                text.replace(b"\r\n", b"\n")).hexdigest()
        return number, text


class Sender(threading.Thread):
    """Sends until told to stop; a broken connection is simply made anew."""

    def __init__(self, port, ledger, seed):
        super().__init__(daemon=True)
        self.port = port
        self.ledger = ledger
        self.random = random.Random(seed)
        self.done = False

    def run(self):
        client = None
        while not self.done:
            size = self.random.choice([200, 2000, 5000, 20000, 150000])
            to = self.random.choice(["alice@example.org",
                                     "carol@example.net"])
            line = bytes(self.random.choices(b"abcdefgh", k=70)) + b"\r\n"
            number, text = self.ledger.add(line * (size // 72 + 1))
            try:
                if client is None:
                    client = smtplib.SMTP("127.0.0.1", self.port, timeout=20)
                client.sendmail("bob@example.org", [to],
                                b"Subject: crash\r\n\r\n" + text)
                with self.ledger.lock:
                    self.ledger.accepted.add(number)
            except smtplib.SMTPResponseException:
                with self.ledger.lock:
                    self.ledger.refused.add(number)
                client = self.drop(client)
            except smtplib.SMTPRecipientsRefused:
                with self.ledger.lock:
                    self.ledger.refused.add(number)
                client = self.drop(client)
            except (OSError, smtplib.SMTPException):
                client = self.drop(client)
                time.sleep(0.02)
        self.drop(client)

    @staticmethod
    def drop(client):
        if client is not None:
            try:
                client.close()
            except OSError:
                pass
        return None


def recovery(server, ledger):
    """Seconds until a message gets its 250 again."""
    start = time.monotonic()
    while True:
        number, text = ledger.add(b"probe\r\n")
        try:
            with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
                client.sendmail("bob@example.org", ["alice@example.org"],
                                b"Subject: crash\r\n\r\n" + text)
            with ledger.lock:
                ledger.accepted.add(number)
            return time.monotonic() - start
        except (OSError, smtplib.SMTPException):
            if time.monotonic() - start > 60:
                return 60.0
            time.sleep(0.01)


def role_pid(server, role):
    for pid in server.role_pids():
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as line:
                if b"--role=" + role.encode() in line.read().split(b"\0"):
                    return pid
        except OSError:
            pass
    return 0


def kill_one(server, role):
    """Kills it; False if it was not there."""
    if role == "everything":
        pids = server.role_pids() + [server.process.pid]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        server.process.wait(10)
        until(lambda: not any(os.path.exists("/proc/%d" % pid)
                              for pid in pids), 10)
        server.start(wait=False)
        return True
    pid = role_pid(server, role)
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def arrived(folders):
    """number -> [digest, ...] of everything in these maildirs."""
    found = collections.defaultdict(list)
    for folder in folders:
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), "rb") as mail:
                body = mail.read().split(b"\n\n", 1)[1]
            match = re.match(rb"message (\d+)\n", body)
            number = int(match.group(1)) if match else -1
            found[number].append(hashlib.sha256(body).hexdigest())
    return found


def judge(ledger, found, times, window, kills):
    """Prints the figures; returns the invariants as (name, held)."""
    lost = [n for n in ledger.accepted if n not in found]
    corrupt = [n for n, digests in found.items()
               if any(d != ledger.sent.get(n) for d in digests)]
    twice = sum(len(digests) - 1 for digests in found.values())
    unknown = [n for n in found if n not in ledger.sent]
    after_refusal = [n for n in found if n in ledger.refused]
    silent = [n for n in found if n not in ledger.accepted
              and n not in ledger.refused]
    slow = [t for t in times if t > RECOVERY_SECONDS]
    times = sorted(times) or [0]
    print("kills %d, messages sent %d, answered 250 %d, arrived %d" % (
        kills, len(ledger.sent), len(ledger.accepted), len(found)))
    print("lost %d, corrupt %d, twice %d, arrived without a reply %d, "
          "arrived after a refusal %d" % (
              len(lost), len(corrupt), twice, len(silent),
              len(after_refusal)))
    print("recovery: median %.2f s, longest %.2f s" % (
        times[len(times) // 2], times[-1]))
    print("kills between write and flush: %d" % window)
    return [("I1 nothing lost", not lost), ("I2 nothing corrupt", not corrupt),
            ("I4 nothing unsent or refused arrived",
             not unknown and not after_refusal),
            ("I6 recovery within five seconds", not slow)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--senders", type=int, default=6)
    parser.add_argument("--roles", default=",".join(ROLES))
    options = parser.parse_args()
    print("seed %d" % options.seed)
    dice = random.Random(options.seed)
    folder = tempfile.mkdtemp(prefix="postern-crash-")
    certificate = Certificate(folder, "mx.example.net", ["mx.example.net"])
    two = Postern(os.path.join(folder, "two"), name="mx.example.net",
                  domain="example.net", users=("carol",),
                  certificate=certificate)
    one = Postern(os.path.join(folder, "one"), text=(
        "allow-loopback = yes\nretry-first = 1s\nretry-max = 2s\n"
        "max-sessions-per-client = 200\n"
        'route "example.net" { host = "127.0.0.1" port = %d mx = no }\n'
        'destination "example.net" { level = encrypt }\n' % two.port))
    ledger = Ledger()
    times, kills = [], 0
    ok = False
    try:
        two.start()
        one.start()
        senders = [Sender(one.port, ledger, options.seed + i)
                   for i in range(options.senders)]
        for sender in senders:
            sender.start()
        roles = options.roles.split(",")
        while kills < options.kills:
            time.sleep(dice.uniform(0.02, 0.5))
            kills += kill_one(one, dice.choice(roles))
            times.append(recovery(one, ledger))
        for sender in senders:
            sender.done = True
        for sender in senders:
            sender.join(30)
        one.command("queue", "retry", "--all")
        one.wait_empty(120)
        two.wait_empty(60)
        found = arrived([one.maildir("alice"), two.maildir("carol")])
        results = judge(ledger, found, times, one.log_count(
            "queue recovered unflushed="), kills)
        for name, held in results:
            print("%s %s" % ("ok    " if held else "FAILED", name))
        failed = sum(not held for _, held in results)
        ok = failed == 0
        print("crash: %d passed, %d failed" % (len(results) - failed, failed))
    finally:
        for server in (one, two):
            try:
                server.stop()
            except Exception as problem:  # pylint: disable=broad-except
                print("stopping:", problem)
        if ok:
            shutil.rmtree(folder)
        else:
            print("kept:", folder)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
