#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A queue of a million messages for destinations that do not answer.

    run.py [--messages N] [--destinations N] [--size BYTES] [--dead refuse|hang]
           [--seconds N] [--work DIR] [--json FILE] [--text TEXT] [--phases A,B]
           [--limits]

Fills a queue through the front door, and then, in phases:

  fresh    mail for a host that is up, ten a second: from its 250 until there
  lists    first pages, a whole list, statistics
  start    from exec to ready, to the first fresh and the first old message at
           its destination; after a clean stop and after kill -9 of everything
  delete   half of it by selector, in parts, beside 50 messages a second; and
           the rest with 5 ms added to every fsync

and all the time what memory the queue has and how many files of log. With
--limits it is a test: it fails when a figure is beyond what README says is to
be reached. POSTERN as for the system tests.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "..", "throughput"),
                os.path.join(HERE, "..", "..", "system")]
os.environ.setdefault("POSTERN", os.path.join(os.getcwd(), "postern"))
os.environ.setdefault("POSTERN_SRCDIR", TOP)

from postern import BINARY, Postern
from programs import library, program
from world import (DEAD, LATE, LIVE, Client, Dead, Names, Sink, Steady, Watch,
                   disk_of, seconds_of)

TEXT = """
queue-directory = "%(folder)s/state/queue"
max-sessions = 1000
max-sessions-per-client = 1000
relay-from = { 127.0.0.1 }
allow-loopback = yes
ipv6 = no
stub-zones = { "dead.lab 127.0.0.1@%(names)d" }
route "*.dead.lab" { port = %(dead)d  mx = no }
route "live.test" { host = "127.0.0.1"  port = %(live)d  mx = no }
route "late.test" { host = "127.0.0.1"  port = %(late)d  mx = no }
"""

# What is to be reached: (figure, at most).
LIMITS = (
    ("fresh p99 s", 2), ("start clean: fresh s", 5), ("start clean: old s", 5),
    ("start killed: fresh s", 5), ("start killed: old s", 5),
    ("list first page ms", 50), ("list selected page ms", 50),
    ("stats s", 1), ("queue PSS MB", 300),
    ("delete: 250 p99 ms", 100), ("delete slow: 250 p99 ms", 100))


def parse():
    parser = argparse.ArgumentParser(
        usage=__doc__.split("\n\n")[1].strip(), add_help=False)
    parser.add_argument("--messages", type=int, default=1000000)
    parser.add_argument("--destinations", type=int, default=10000)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--dead", choices=("refuse", "hang"),
                        default="refuse")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--json")
    parser.add_argument("--text", default="")
    parser.add_argument("--phases", default="fresh,lists,start,delete")
    parser.add_argument("--limits", action="store_true")
    return parser.parse_args()


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share / 100))]


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="postern-scale.",
                                       dir=options.work)
        os.chmod(self.folder, 0o755)
        self.figures = {}
        self.names = Names()
        self.dead = Dead(options.dead == "hang")
        self.live = Sink()
        self.late = Dead(False)
        self.late_sink = None
        self.server = Postern(self.folder, text=TEXT % {
            "folder": self.folder, "names": self.names.port,
            "dead": self.dead.port, "live": self.live.port,
            "late": self.late.port} + options.text)
        self.watch = Watch(self.server)

    def close(self):
        self.watch.stop()
        try:
            self.server.stop(120)
        except (OSError, subprocess.SubprocessError):
            self.server.kill_all()
        self.names.stop()
        self.dead.stop()
        if not os.environ.get("POSTERN_BENCH_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def show_log(self):
        """What the server said was wrong, if anything."""
        done = subprocess.run(
            ["grep", "-aE", "level=(error|fatal|warn)", self.server.log_path],
            stdout=subprocess.PIPE, check=False)
        for line in done.stdout.splitlines()[-20:]:
            print("log: " + line.decode(errors="replace"))

    def note(self, name, value):
        self.figures[name] = value
        print("%-28s %s" % (name, "%.3f" % value if isinstance(value, float)
                            else value), flush=True)

    # --- the server ---

    def start(self, environment=None):
        """Seconds from exec until every role said that it is ready."""
        offset = os.path.getsize(self.server.log_path) \
            if os.path.exists(self.server.log_path) else 0
        begin = time.monotonic()
        self.server.environment = environment
        self.server.log_count = lambda text: 0     # the log is large
        self.server.start(wait=False)
        with open(self.server.log_path, "rb") as log:
            log.seek(offset)
            text = b""
            while b" ready " not in text:
                text += log.read()
                if self.server.process.poll() is not None:
                    raise RuntimeError("it ended: %s" % text[-2000:])
                if time.monotonic() - begin > 120:
                    raise RuntimeError("it is not ready: %s" % text[-2000:])
                time.sleep(0.005)
        ready = time.monotonic() - begin
        self.begin = begin
        self.watch.pid = self.server.pid_of("queue")
        return ready

    def command(self, *words):
        """Seconds, and what it printed."""
        begin = time.monotonic()
        done = subprocess.run(
            [BINARY, "queue", *words, "-c", self.server.path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL)
        seconds = time.monotonic() - begin
        if done.returncode not in (0, 1):
            raise RuntimeError("%s: %s" % (words, done.stderr.decode()))
        return seconds, done.stdout

    # --- phases ---

    def fill(self):
        options = self.options
        self.watch.phase = "fill"
        begin = time.monotonic()
        done = subprocess.run(
            [program("load_client", self.folder), "--port", str(self.server.port),
             "--messages", str(options.messages), "--size", str(options.size),
             "--connections", "20", "--pipelining", "--timeout", "120",
             "--sender", "s#@load.test", "--recipient", "r@d#." + DEAD,
             "--spread", str(options.destinations)],
            stdout=subprocess.PIPE, check=False)
        told = json.loads(done.stdout)
        if done.returncode:
            raise RuntimeError(told)
        self.note("filled messages", told["accepted"])
        self.note("fill a second", told["accepted"] /
                  (time.monotonic() - begin))
        self.note("fill: 250 p99 ms", told["reply_ms"]["p99"])
        self.space("filled")

    def space(self, when):
        """What is on the disk, and how much of it for a message."""
        total = 0
        for kind, (files, size) in sorted(disk_of(
                self.watch.folder).items()):
            self.note("disk %s: %s" % (when, kind), "%d files, %.1f MB" % (
                files, size))
            total += size
        self.note("disk %s: MB" % when, total)
        self.note("disk %s: bytes/message" % when,
                  total * 1e6 / self.options.messages)

    def fresh(self):
        self.watch.phase = "fresh"
        before = seconds_of(self.watch.pid)
        begin = time.monotonic()
        steady = Steady(self.server.port, "a@" + LIVE, 10, "fresh")
        time.sleep(self.options.seconds)
        steady.stop()
        span = time.monotonic() - begin
        used = seconds_of(self.watch.pid) - before
        times, missing = self.ways(steady)
        self.note("fresh messages", len(times))
        self.note("fresh missing", missing)
        self.note("fresh median s", percentile(times, 50))
        self.note("fresh p99 s", percentile(times, 99))
        self.note("fresh most s", max(times))
        self.note("queue's processor share", used / span)

    def ways(self, steady):
        """Seconds from the 250 to the host; and how many never came."""
        end = time.monotonic() + 60
        while any(one not in self.live.arrived for one in steady.sent):
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        times = [max(0.0, self.live.arrived[one] - at)
                 for one, at in steady.sent.items()
                 if one in self.live.arrived]
        return times or [999.0], len(steady.sent) - len(times)

    def lists(self):
        self.watch.phase = "lists"
        last = "d%d.%s" % (self.options.destinations - 1, DEAD)
        for name, words in (
                ("list first page ms", ["--all", "--limit", "20"]),
                ("list selected page ms", ["--domain", "*." + DEAD,
                                           "--limit", "20"]),
                ("list one domain's page ms", ["--domain", last,
                                               "--limit", "20"])):
            times = [self.command("list", *words)[0] for _ in range(11)]
            self.note(name, percentile(times, 50) * 1000)
        times = [self.command("stats")[0] for _ in range(3)]
        self.note("stats s", percentile(times, 50))
        steady = Steady(self.server.port, "a@" + LIVE, 20, "lists")
        seconds, out = self.command("list", "--all", "--json")
        steady.stop()
        self.note("list of all s", seconds)
        self.note("list of all: messages", out.count(b"\n"))
        self.note("list of all: 250 p99 ms",
                  percentile(steady.replies, 99) * 1000)

    def put_late(self, number):
        """Mail for a host that is down; it will be up at the next start."""
        client = Client(self.server.port)
        for i in range(20):
            client.send("late-%s-%d" % (number, i), "a@" + LATE)
        client.close()
        time.sleep(1)

    def first(self, label):
        """From exec until a fresh message is there."""
        client = Client(self.server.port)
        subject = "first-" + label
        while True:
            try:
                client.send(subject, "a@" + LIVE)
                break
            except OSError:
                client.close()
                if time.monotonic() - self.begin > 120:
                    raise
                time.sleep(0.01)
        client.close()
        while subject not in self.live.arrived:
            if time.monotonic() - self.begin > 120:
                return 999.0
            time.sleep(0.005)
        return self.live.arrived[subject] - self.begin

    def first_old(self, sink, already):
        while len(sink.times) == already:
            if time.monotonic() - self.begin > 120:
                return 999.0
            time.sleep(0.005)
        return sink.times[already] - self.begin

    def restart(self, label, end):
        self.watch.phase = "start " + label
        self.put_late(label)
        begin = time.monotonic()
        end()
        self.note("stop %s s" % label, time.monotonic() - begin)
        if self.late_sink is None:
            self.late.stop()
            self.late_sink = Sink(self.late.port)
        already = len(self.late_sink.times)
        self.note("start %s: ready s" % label, self.start())
        self.note("start %s: fresh s" % label, self.first(label))
        self.note("start %s: old s" % label,
                  self.first_old(self.late_sink, already))
        self.note("start %s: queue's processor s" % label,
                  seconds_of(self.watch.pid))

    def starts(self):
        self.restart("clean", lambda: self.server.stop(60))
        # The host is up now: what is to be old has to be held back.
        port = self.late_sink.port
        self.late_sink.stop()
        self.late_sink = None
        self.late = Dead(False)
        self.server.text = self.server.text.replace(
            "port = %d " % port, "port = %d " % self.late.port)
        self.server.configure()
        self.server.process.send_signal(signal.SIGHUP)
        time.sleep(5)
        self.restart("killed", self.server.kill_all)

    def delete_part(self, label, patterns):
        steady = Steady(self.server.port, "a@" + LIVE, 50, label)
        time.sleep(10)
        quiet = list(steady.replies)
        begin = time.monotonic()
        for pattern in patterns:
            self.command("delete", "--domain", pattern)
        seconds = time.monotonic() - begin
        steady.stop()
        busy = steady.replies[len(quiet):]
        self.note("%s: before: 250 p99 ms" % label,
                  percentile(quiet, 99) * 1000)
        self.note("%s: seconds" % label, seconds)
        self.note("%s: 250s" % label, len(busy))
        self.note("%s: 250 median ms" % label, percentile(busy, 50) * 1000)
        self.note("%s: 250 p99 ms" % label, percentile(busy, 99) * 1000)
        self.note("%s: 250 most ms" % label, max(busy) * 1000)

    def delete(self):
        self.watch.phase = "delete"
        self.delete_part("delete", ["*%d.%s" % (i, DEAD) for i in range(5)])
        self.server.stop(120)
        self.start({"LD_PRELOAD": library("tests/preload/flushes",
                                          self.folder),
                    "POSTERN_SYNC_MILLISECONDS": "5"})
        self.watch.phase = "delete slow"
        self.delete_part("delete slow", ["*." + DEAD])
        self.space("deleted")
        left = self.command("list", "--all", "--limit", "1000", "--json")[1]
        self.note("left messages", sum(DEAD.encode() in line
                                       for line in left.splitlines()))

    def run(self):
        print("%s, %d processors, load average %s" % (
            time.strftime("%d %B %Y %H:%M"), os.cpu_count(),
            " ".join("%.1f" % one for one in os.getloadavg())))
        self.start()
        self.fill()
        phases = {"fresh": self.fresh, "lists": self.lists,
                  "start": self.starts, "delete": self.delete}
        for name in self.options.phases.split(","):
            if name:
                phases[name]()

    def conclude(self):
        for phase, (rss, pss, logs) in list(self.watch.most.items()):
            self.note("most in " + phase, "RSS %.0f MB, PSS %.0f MB, "
                      "%d log files" % (rss, pss, logs))
        self.note("queue PSS MB", max(
            [pss for _, pss, _ in self.watch.most.values()] or [0]))
        print("load average %s" % " ".join(
            "%.1f" % one for one in os.getloadavg()))

    def misses(self):
        return ["%s is %.3f, over %g" % (name, self.figures[name], most)
                for name, most in LIMITS
                if self.figures.get(name, 0) > most]


def stop(signal_number, _):
    raise SystemExit(128 + signal_number)


def main():
    options = parse()
    signal.signal(signal.SIGTERM, stop)
    bench = Bench(options)
    try:
        bench.run()
    except BaseException:
        bench.show_log()
        raise
    finally:
        bench.conclude()
        bench.close()
        if options.json:
            with open(options.json, "w") as out:
                json.dump(bench.figures, out, indent=1)
                out.write("\n")
    misses = bench.misses()
    for miss in misses:
        print("scale: " + miss)
    return 1 if misses and options.limits else 0


if __name__ == "__main__":
    sys.exit(main())
