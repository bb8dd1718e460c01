#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""kill -9 of any role, at random moments, under a steady load.

    kill.py [--kills N] [--rate N] [--gap LOW,HIGH] [--seed S] [--roles A,B]
            [--keep FOLDER]

A Postern in unprivileged mode takes mail over TLS at so many messages a second
and relays each of them over TLS to a server of ours; every fourth goes to a
maildir as well. A role, chosen at random (the supervisor and all roles at once
among the choices), is killed, N times; the next one after the server has
accepted a message again and a while between LOW and HIGH seconds more.

The ledger (ledger.py) is kept here, outside of what is killed, and so is the
server that mail is relayed to. At the end:

  I1  every message that got 250 arrived, at each recipient    (lost = 0)
  I2  nothing arrived that differs from what was sent          (corrupted = 0)
  I3  what arrived twice was in flight at a kill of a role that knew of it:
      between the begin of its try (not before the end of its content here, and
      the next hop's last reply) and the moment from which the queue is known to
      be done with it; each further copy has a kill of its own, and that kill
      lies between the begins of both tries
  I4  nothing arrived that was never sent; what got no 250 may have arrived
      only if the connection broke before the reply            (reported)
  I5  nothing arrived outside of TLS
  I6  a message that is begun after the kill gets its 250 within five seconds
      of it, of whichever client

Where kills fell is what clients, next hop, maildir and ledger saw at that
moment; of the queue also its progress page (queue/store_progress.c), which
survives it: the next start says how many batches were written and not flushed.
Prints "crash: N passed, N failed" at the end.
"""
import argparse
import collections
import os
import random
import shutil
import signal
import smtplib
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
sys.path.insert(0, HERE)
os.environ.setdefault("POSTERN_SRCDIR", os.path.join(HERE, "..", ".."))

from conftest import Certificate
from ledger import Judgement, Ledger
from load import (Collector, LogReader, Pace, Sender, Sink, client_context,
                  open_session, send_one)
from postern import Postern, is_running, until

ROLES = ("queue", "smtpd", "delivery", "mailbox", "policy", "directory",
         "everything")
RECOVERY_SECONDS = 5.0
CONFIGURATION = """
allow-loopback = yes
retry-first = 1s
retry-max = 2s
max-sessions-per-client = 200
route "example.net" { host = "127.0.0.1" port = %d mx = no }
destination "example.net" { level = encrypt }
"""
# What a kill can fall into, and how the table at the end says it.
MOMENTS = {
    "hello": "a client in greeting, TLS or EHLO",
    "envelope": "a client in MAIL or DATA",
    "recipient": "a client in RCPT",
    "content": "content coming in",
    "answer": "a client waits for its 250",
    "unflushed": "a batch written and not flushed",
    "to-hello": "next hop: greeting, TLS or EHLO",
    "to-envelope": "next hop: MAIL to DATA",
    "to-content": "next hop: content",
    "to-taken": "next hop: has it, its 250 on the way",
    "writing": "a file of the maildir half written",
    "unsettled": "arrived, not known to be settled",
    "none": "none of these",
}


class World:
    """The server that is killed, and everything around it that is not."""

    def __init__(self, folder, options):
        self.folder = folder
        self.dice = random.Random(options.seed)
        self.ledger = Ledger(os.path.join(folder, "ledger"))
        hop = Certificate(folder, "mx.example.net", ["mx.example.net"])
        self.sink = Sink(hop, self.ledger)
        self.server = Postern(
            os.path.join(folder, "server"),
            certificate=Certificate(folder, "mx.example.org",
                                    ["mx.example.org"]),
            text=CONFIGURATION % self.sink.port)
        self.reader = LogReader(self.ledger)
        self.collector = Collector(self.server.maildir("alice"), self.ledger)
        self.pace = Pace(options.rate)
        self.senders = [Sender(self.server.port, self.ledger, self.pace,
                               options.seed + i)
                        for i in range(options.senders)]
        self.context = client_context()
        self.left_behind = set()     # half written files of the dead
        self.moments = []            # (role, set of moments) of each kill
        self.depth = []              # messages in the queue after each

    def start_server(self, wait):
        self.server.log_path = os.path.join(
            self.folder, "log.%d" % len(self.reader.paths))
        if self.server.log is not None:
            self.server.log.close()
        self.server.start(wait=wait)
        self.reader.paths.append(self.server.log_path)

    def start(self):
        self.start_server(True)
        for thread in [self.reader, self.collector] + self.senders:
            thread.start()

    def moment(self):
        """What is going on just now."""
        seen = {one.state for one in self.senders} - {"idle"}
        seen |= {"to-" + state for state in
                 list(self.sink.states.values()) if state != "between"}
        if self.collector.half_written() - self.left_behind:
            seen.add("writing")
        if self.ledger.unsettled():
            seen.add("unsettled")
        return seen

    def role_pid(self, role):
        for pid in self.server.role_pids():
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as line:
                    if b"--role=" + role.encode() in line.read().split(b"\0"):
                        return pid
            except OSError:
                pass
        return 0

    def kill(self, role):
        """Kills it; the time, or None if it was not there."""
        supervisor = self.server.process
        pids = [self.role_pid(role)]
        if role == "everything":
            # It must not start one anew while the others are being killed.
            supervisor.send_signal(signal.SIGSTOP)
            pids = self.server.role_pids() + [supervisor.pid]
        if 0 in pids:
            return None
        seen = self.moment()
        when = time.monotonic()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return None
        self.ledger.killed(role, when, sorted(seen))
        self.moments.append((role, seen))
        if role == "everything":
            supervisor.wait(10)
            until(lambda: not any(map(is_running, pids)), 10)
            self.start_server(False)
        return when

    def fresh_message(self):
        try:
            client = open_session(self.server.port, self.context)
            try:
                send_one(client, self.ledger,
                         lambda number: b"Subject: crash\r\n\r\nprobe\r\n",
                         ["local"], lambda state: None)
                return True
            finally:
                client.close()
        except (OSError, smtplib.SMTPException):
            return False

    def recover(self, role, killed):
        while not self.fresh_message() and time.monotonic() - killed < 60:
            time.sleep(0.01)
        if role in ("mailbox", "everything"):
            self.left_behind |= self.collector.half_written()

    def ask_queue(self):
        """What it still has; None while it cannot say."""
        asked = time.monotonic()
        code, out, err = self.server.command("queue", "list", "--json")
        if code == 1 and "no message matches" in err:
            listed = []
        elif code != 0:
            return None
        else:
            listed = [line.split('"id":"', 1)[1].split('"', 1)[0]
                      for line in out.splitlines() if '"id":"' in line]
        self.ledger.listed(set(listed), asked)
        return len(listed)

    def kill_and_recover(self, role):
        killed = self.kill(role)
        if killed is None:
            return False
        self.recover(role, killed)
        depth = self.ask_queue()
        if depth is not None:
            self.depth.append(depth)
        return True

    def drain(self):
        """No more load; everything that is kept is delivered."""
        for sender in self.senders:
            sender.done = True
        for sender in self.senders:
            sender.join(60)
        self.server.command("queue", "retry", "--all")
        until(lambda: self.ask_queue() == 0, 180, "the queue to be empty")
        self.collector.done = True
        self.collector.join(60)
        self.collector.collect()

    def stop(self):
        for thread in self.senders + [self.reader, self.collector]:
            thread.done = True
        try:
            self.server.stop()
        finally:
            self.sink.close()
            self.ledger.close()

    def unflushed(self):
        """Adds to each kill of the queue what its next start has said."""
        kills = self.ledger.kills
        for when, _ in self.reader.unflushed:
            for place in range(len(kills) - 1, -1, -1):
                at, role, _ = kills[place]
                if at < when and role in ("queue", "everything"):
                    self.moments[place][1].add("unflushed")
                    break


def percentile(values, share):
    values = sorted(values) or [0.0]
    return values[min(int(len(values) * share), len(values) - 1)]


def report_recoveries(recoveries):
    print("recovery, seconds from the kill to the first 250 of a message begun "
          "after it:")
    for role in ("all",) + ROLES:
        times = [took for of, took in recoveries if role in ("all", of)]
        if times:
            print("  %-11s %5d kills   median %.2f   p99 %.2f   longest %.2f"
                  % (role, len(times), percentile(times, 0.5),
                     percentile(times, 0.99), max(times)))


def report_moments(moments):
    """Of how many kills of each role was this going on?"""
    counts = {role: collections.Counter() for role in ROLES}
    for role, seen in moments:
        counts[role].update(seen or {"none"})
    print("where kills fell (how many of them; several things can be going "
          "on):")
    print("  %-36s %s" % ("", " ".join("%10s" % role for role in ROLES)))
    for name, text in MOMENTS.items():
        print("  %-36s %s" % (text, " ".join(
            "%10d" % counts[role][name] for role in ROLES)))


def judge(world, seconds):
    """Prints the figures; returns the invariants as (name, held)."""
    ledger = world.ledger
    world.unflushed()
    found = Judgement(ledger)
    answered = sum(one.verdict == "250" for one in ledger.messages)
    relayed = sum(len(one.ways["relay"].copies) > 0
                  for one in ledger.messages if "relay" in one.ways)
    slow = [took for _, took in found.recoveries if took > RECOVERY_SECONDS]
    print("kills %d in %.0f s; load: %.0f messages a second were to be sent, "
          "%.0f were, %.0f got 250, %.0f arrived at the next hop" % (
              len(world.moments), seconds, 1 / world.pace.step,
              len(ledger.messages) / seconds, answered / seconds,
              relayed / seconds))
    print("messages %d, answered 250 %d, refused %d, broken off %d; in the "
          "queue after a kill: median %d, most %d" % (
              len(ledger.messages), answered,
              sum(one.verdict == "refused" for one in ledger.messages),
              sum(one.verdict is None for one in ledger.messages),
              percentile(world.depth, 0.5), max(world.depth, default=0)))
    print("lost %d, corrupted %d, twice %d (unexplained %d) of %d in flight "
          "at kills, arrived without a reply %d, after a refusal %d, never "
          "sent %d, in clear %d" % (
              len(found.lost), len(found.corrupt), found.twice,
              len(found.unexplained), sum(found.in_flight), found.silent,
              len(found.refused), len(ledger.foreign), world.sink.clear))
    for name in ("lost", "corrupt", "unexplained", "refused"):
        if getattr(found, name):
            print("  %s: %s" % (name, getattr(found, name)[:10]))
    report_recoveries(found.recoveries)
    report_moments(world.moments)
    return [("I1 nothing lost", not found.lost),
            ("I2 nothing corrupted", not found.corrupt),
            ("I3 twice only what was in flight at a kill",
             not found.unexplained and
             found.twice <= sum(found.in_flight)),
            ("I4 nothing unsent or refused arrived",
             not ledger.foreign and not found.refused),
            ("I5 nothing in clear", world.sink.clear == 0),
            ("I6 recovery within five seconds", not slow)]


def run(world, options):
    """Kills, then drains; the seconds under load."""
    low, high = (float(part) for part in options.gap.split(","))
    roles = options.roles.split(",")
    kills = 0
    began = time.monotonic()
    while kills < options.kills:
        time.sleep(world.dice.uniform(low, high))
        kills += world.kill_and_recover(world.dice.choice(roles))
        if kills % 100 == 0 and kills < options.kills:
            print("%d kills after %.0f s" % (kills, time.monotonic() - began),
                  flush=True)
    seconds = time.monotonic() - began
    world.drain()
    return seconds


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--gap", default="0.02,0.2")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--keep", help="folder that stays, with the ledger")
    return parser.parse_args()


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    options = parse_options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    print("seed %d" % options.seed, flush=True)
    folder = options.keep or tempfile.mkdtemp(prefix="postern-crash-")
    os.makedirs(folder, exist_ok=True)
    world = World(folder, options)
    ok = False
    try:
        world.start()
        results = judge(world, run(world, options))
        for name, held in results:
            print("%s %s" % ("ok    " if held else "FAILED", name))
        failed = sum(not held for _, held in results)
        ok = failed == 0
        print("crash: %d passed, %d failed" % (len(results) - failed, failed))
    finally:
        try:
            world.stop()
        except Exception as problem:  # pylint: disable=broad-except
            print("stopping:", problem)
        if ok and not options.keep:
            shutil.rmtree(folder)
        else:
            print("kept:", folder)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
