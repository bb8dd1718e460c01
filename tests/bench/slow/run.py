#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Many slow TLS sessions, and honest mail beside them.

    run.py [--sessions N] [--states handshake,command,data] [--seconds S]
           [--rate N] [--workers N] [--clients N]

slow_client.c (made here with cc, as it is) holds so many sessions open and says
a byte in each, every ten seconds: a third of them within the ClientHello behind
STARTTLS, a third within a command under TLS, a third within a message. Limits
and timeouts are set so that the server lets them.

Beside them honest clients, each with a connection, a whole TLS handshake and a
message of its own, so many a second: the time from connect to the greeting, and
to the 250 behind the message. The same is measured before the slow ones come.
Memory is the proportional share (Pss) of all smtpds, and of the queue, before
and with them; what the kernel needs for sockets is not in it.

Ends in "bench: N passed, N failed": it fails when a slow session was lost or an
honest message was not accepted, or, with --limit, when the 99th percentile to
the greeting is longer than that.
"""
import argparse
import json
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "system"))
os.environ.setdefault("POSTERN_SRCDIR", os.path.join(HERE, "..", "..", ".."))

from conftest import Certificate
from postern import Postern, until

CONFIGURATION = """
max-sessions = %d
max-sessions-per-client = 100000
handshake-timeout = 1h
command-timeout = 1h
data-timeout = 1h
message-timeout = 1d
"""


class Honest(threading.Thread):
    """A client that takes turns with others at a steady rate."""

    def __init__(self, port, turns, results):
        super().__init__(daemon=True)
        self.port = port
        self.turns = turns       # iterator of times, shared
        self.results = results   # (to greeting, to 250); None: failed
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def one(self):
        begin = time.monotonic()
        client = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        try:
            greeted = time.monotonic() - begin
            client.starttls(context=self.context)
            client.sendmail("bob@example.com", ["alice@example.org"],
                            b"Subject: honest\r\n\r\nx\r\n")
            accepted = time.monotonic() - begin
            client.quit()
            return greeted, accepted
        finally:
            client.close()

    def run(self):
        for when in self.turns:
            time.sleep(max(when - time.monotonic(), 0))
            try:
                self.results.append(self.one())
            except (OSError, smtplib.SMTPException) as problem:
                print("honest client:", problem)
                self.results.append(None)


class Turns:
    """Times at a rate, for so many seconds; several threads take them."""

    def __init__(self, rate, seconds):
        self.lock = threading.Lock()
        self.begin = time.monotonic()
        self.rate = rate
        self.left = int(rate * seconds)
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            if self.taken >= self.left:
                raise StopIteration
            self.taken += 1
            return self.begin + self.taken / self.rate


def honest_mail(port, options, seconds):
    results = []
    turns = Turns(options.rate, seconds)
    threads = [Honest(port, turns, results) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def say_times(name, results):
    good = [one for one in results if one is not None]
    print("%s: %d messages, %d failed" % (name, len(results),
                                          len(results) - len(good)))
    for place, what in enumerate(("greeting", "250")):
        values = [1000 * one[place] for one in good] or [0.0]
        print("  to %-9s p50 %7.1f ms   p99 %7.1f ms   longest %7.1f ms" % (
            what, percentile(values, 0.5), percentile(values, 0.99),
            max(values)))
    return percentile([one[0] for one in good] or [0.0], 0.99)


def pids_of(server, role):
    found = []
    for pid in server.role_pids():
        with open("/proc/%d/cmdline" % pid, "rb") as line:
            if b"--role=" + role.encode() in line.read().split(b"\0"):
                found.append(pid)
    return found


def memory(server, role):
    """KiB that the processes of a role have for themselves or share."""
    total = 0
    for pid in pids_of(server, role):
        with open("/proc/%d/smaps_rollup" % pid) as lines:
            total += sum(int(line.split()[1]) for line in lines
                         if line.startswith("Pss:"))
    return total


def processor_seconds(server, role):
    total = 0
    for pid in pids_of(server, role):
        with open("/proc/%d/stat" % pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Slow:
    """The slow sessions, in several processes."""

    def __init__(self, folder, port, options):
        program = os.path.join(folder, "slow_client")
        subprocess.run(
            [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2",
             "-o", program, os.path.join(HERE, "slow_client.c"), "-lssl",
             "-lcrypto"], check=True, stdin=subprocess.DEVNULL)
        count = options.processes
        shares = [options.sessions // count + (place < options.sessions % count)
                  for place in range(count)]
        self.processes = [subprocess.Popen(
            [program, "-p", str(port), "-n", str(share), "-S",
             options.states], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True) for share in shares if share > 0]

    def wait_open(self):
        return sum(int(process.stdout.readline().split()[1])
                   for process in self.processes)

    def end(self):
        """What became of them, added up."""
        for process in self.processes:
            process.stdin.close()
        results = [json.loads(process.stdout.read())
                   for process in self.processes]
        for process in self.processes:
            process.wait(60)
        self.processes = []
        why = [one["first_loss"] for one in results if one["first_loss"]]
        for text in why[:3]:
            print("  lost:", text)
        return {key: sum(one[key] for one in results)
                for key in ("wanted", "held", "lost", "bytes")}

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()


def say_memory(options, before, after):
    for role in before:
        grown = after[role] - before[role]
        print("memory of %s: %.1f MiB before, %.1f MiB with them, %.1f KiB a "
              "session" % (role, before[role] / 1024, after[role] / 1024,
                           grown / options.sessions))


def measure(server, folder, options):
    """The figures; True for each promise that was kept."""
    say_times("alone", honest_mail(server.port, options,
                                   min(options.seconds, 20)))
    before = {role: memory(server, role) for role in ("smtpd", "queue")}
    slow = Slow(folder, server.port, options)
    try:
        began = time.monotonic()
        held = slow.wait_open()
        print("open: %d of %d slow sessions (%s) after %.0f s" % (
            held, options.sessions, options.states,
            time.monotonic() - began))
        after = {role: memory(server, role) for role in before}
        used, began = processor_seconds(server, "smtpd"), time.monotonic()
        results = honest_mail(server.port, options, options.seconds)
        share = (processor_seconds(server, "smtpd") - used) / (
            time.monotonic() - began)
        p99 = say_times("beside them", results)
        say_memory(options, before, after)
        print("smtpds used %.0f %% of a processor meanwhile" % (100 * share))
        end = slow.end()
    finally:
        slow.kill()
    print("at the end: %(held)d open, %(lost)d lost; %(bytes)d bytes said "
          "slowly" % end)
    until(lambda: server.send() is not None, 60, "a message behind it all")
    return [held == options.sessions and end["lost"] == 0,
            None not in results and len(results) > 0,
            options.limit is None or p99 < options.limit]


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=10000)
    parser.add_argument("--states", default="handshake,command,data")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float,
                        help="seconds to the greeting, 99th percentile")
    return parser.parse_args()


def main():
    options = parse_options()
    with open("/proc/loadavg") as load:
        print("load of the machine before: %s" % load.read().split()[0])
    folder = tempfile.mkdtemp(prefix="postern-slow-")
    server = Postern(
        os.path.join(folder, "server"), workers=options.workers,
        certificate=Certificate(folder, "mx.example.org", ["mx.example.org"]),
        # Each smtpd has its share; who comes to which one is chance.
        text=CONFIGURATION % (2 * options.sessions + 1000))
    try:
        kept = measure(server.start(), folder, options)
    finally:
        server.stop()
        shutil.rmtree(folder, True)
    print("bench: %d passed, %d failed" % (sum(kept), kept.count(False)))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
