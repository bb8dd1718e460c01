#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""How many messages a second Postern takes in and gets rid of, beside Postfix.

    run.py [--rounds N] [--messages N] [--size BYTES] [--loads A,B,...]
           [--servers postern,postfix] [--json FILE] [--work DIR] [--plain]
           [--floor RATIO] [--postern-text TEXT] [--postfix-text TEXT]

In one run, in turn: a server with an empty queue, some messages to warm it up,
then each load, timed from its first connection until the queue is empty. Loads:

  source     Debian's smtp-source -s 20: a connection for each message
  single     our load client, the same way, which times each 250
  kept       our load client, 20 connections kept
  pipelined  the same with MAIL, RCPT and DATA in one packet

Needs root, for the mount and for Postfix; ends with 77 where that cannot be
had, with 1 when a message was lost or refused or left over. POSTERN and
POSTERN_PEERS say where the servers are, as for the system tests. With --floor
it is a test, whose last line counts: each server did its work, and on each
load Postern reached that many times Postfix's rate; --plain is then tried
where no loop device is to be had.
"""
import argparse
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "..", "system"))
sys.path.insert(0, HERE)
os.environ.setdefault("POSTERN", os.path.join(os.getcwd(), "postern"))
os.environ.setdefault("POSTERN_SRCDIR", TOP)
os.environ.setdefault("POSTERN_PEERS", os.path.join(TOP, "build-peers"))

from disk import Disk, NoDisk
from servers import BINARY, BenchPostern, BenchPostfix

SKIP = 77
INSIDE = "POSTERN_BENCH_INSIDE"
SENDER, RECIPIENT = "load@example.com", "sink@example.net"
CONNECTIONS = 20
SERVERS = {"postern": BenchPostern, "postfix": BenchPostfix}


def parse():
    parser = argparse.ArgumentParser(
        usage=__doc__.split("\n\n")[1].strip(), add_help=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--loads", default="source,single,kept")
    parser.add_argument("--servers", default="postern,postfix")
    parser.add_argument("--warm-up", type=int, default=300)
    parser.add_argument("--timeout", type=int, default=300)
    parser.add_argument("--json")
    parser.add_argument("--work", default="/var/tmp")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--postern-text", default="")
    parser.add_argument("--postfix-text", default="")
    parser.add_argument("--floor", type=float)
    return parser.parse_args()


# --- loads ---

def build_client(folder):
    """The load client of the build folder; else one made here."""
    built = os.path.join(os.path.dirname(BINARY),
                         "tests/bench/throughput/load_client")
    if os.access(built, os.X_OK):
        return built
    made = os.path.join(folder, "load_client")
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2",
         "-o", made, os.path.join(HERE, "load_client.c"), "-ljansson"],
        check=True, stdin=subprocess.DEVNULL)
    return made


def load_command(name, client, port, messages, size):
    if name == "source":
        return [os.path.join(os.environ["POSTERN_PEERS"], "bin/smtp-source"),
                "-s", str(CONNECTIONS), "-m", str(messages), "-l", str(size),
                "-f", SENDER, "-t", RECIPIENT, "127.0.0.1:%d" % port]
    extra = {"single": ["--per-connection", "1"], "kept": [],
             "pipelined": ["--pipelining"]}[name]
    return [client, "--port", str(port), "--messages", str(messages),
            "--size", str(size), "--connections", str(CONNECTIONS),
            "--sender", SENDER, "--recipient", RECIPIENT] + extra


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Failed(Exception):
    pass


def run_load(server, name, client, options, messages):
    """One load, until the queue is empty: its figures."""
    command = load_command(name, client, server.port, messages, options.size)
    before = server.seconds()
    own = children_seconds()
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True,
                          timeout=options.timeout, stdin=subprocess.DEVNULL)
    sent = time.monotonic()
    own = children_seconds() - own
    if done.returncode:
        raise Failed("%s, %s: status %d: %s%s" % (
            server.kind, name, done.returncode, done.stdout, done.stderr))
    while not server.is_empty():
        if time.monotonic() - begin > options.timeout:
            raise Failed("%s, %s: the queue is not empty after %d s" % (
                server.kind, name, options.timeout))
        time.sleep(0.02)
    end = time.monotonic()
    used = {role: round((seconds - before.get(role, 0)) * 1e6 / messages, 1)
            for role, seconds in server.seconds().items()}
    figures = {"seconds": end - begin, "per_second": messages / (end - begin),
               "sent_seconds": sent - begin,
               "client_us": round(own * 1e6 / messages, 1),
               "server_us": round(sum(used.values()), 1),
               "us_by_role": {role: spent for role, spent in used.items()
                              if spent > 0}}
    if name != "source":
        told = json.loads(done.stdout)
        figures["reply_ms"] = told["reply_ms"]
        figures["transaction_ms"] = told["transaction_ms"]
    return figures


# --- rounds ---

def make_server(kind, number, disk, options):
    name = "%s-%d" % (kind, number)
    folder = disk.path(name)
    os.mkdir(folder)
    text = {"postern": options.postern_text, "postfix": options.postfix_text}
    return SERVERS[kind](folder, disk.queue(name), text[kind])


def verify(server, wanted):
    """Nothing lost, nothing twice: as the server's own log tells it."""
    counts = server.counts()
    if counts != {"accepted": wanted, "discarded": wanted}:
        raise Failed("%s: %d messages, but the log tells of %s" % (
            server.kind, wanted, counts))


def run_round(kind, number, disk, client, options):
    """{load: figures} of one server with a fresh queue."""
    server = make_server(kind, number, disk, options)
    result = {}
    wanted = options.warm_up
    try:
        server.start()
        run_load(server, "single", client, options, options.warm_up)
        for name in options.loads.split(","):
            load = os.getloadavg()[0]
            result[name] = run_load(server, name, client, options,
                                    options.messages)
            result[name]["load_before"] = load
            wanted += options.messages
            tell(kind, number, name, result[name])
    finally:
        server.stop()
        keep = os.environ.get("POSTERN_BENCH_KEEP_LOG")
        if keep:
            subprocess.run(["cp", "-r", server.folder, keep], check=False)
    verify(server, wanted)
    disk.forget(disk.path(os.path.basename(server.folder)))
    disk.forget(os.path.join(disk.queues, os.path.basename(server.folder)))
    return result


# --- what is told ---

def tell(kind, number, name, figures):
    latency = figures.get("reply_ms")
    roles = sorted(figures["us_by_role"].items(), key=lambda item: -item[1])
    print("round %d  %-9s %-8s %7.0f/s  %s server %.0f us/message (%s), "
          "client %.0f us" % (
              number + 1, name, kind, figures["per_second"],
              "250: p50 %.2f p99 %.2f ms " % (latency["p50"], latency["p99"])
              if latency else "", figures["server_us"],
              ", ".join("%s %.0f" % role for role in roles[:6]),
              figures["client_us"]), flush=True)


def median(rounds, *path):
    values = []
    for entry in rounds:
        for key in path:
            entry = entry.get(key) if entry else None
        if entry is not None:
            values.append(entry)
    return statistics.median(values) if values else None


def summarise(rounds, options):
    """{load: {server: medians, "ratio": ...}}"""
    summary = {}
    for name in options.loads.split(","):
        row = {}
        for kind, results in rounds.items():
            loads = [result[name] for result in results]
            rates = [figures["per_second"] for figures in loads]
            row[kind] = {
                "per_second": statistics.median(rates),
                "least": min(rates), "most": max(rates),
                "p50_ms": median(loads, "reply_ms", "p50"),
                "p99_ms": median(loads, "reply_ms", "p99"),
                "transaction_p50_ms": median(loads, "transaction_ms", "p50"),
                "transaction_p99_ms": median(loads, "transaction_ms", "p99"),
                "server_us": median(loads, "server_us"),
                "client_us": median(loads, "client_us"),
            }
        if len(row) == 2:
            row["ratio"] = (row["postern"]["per_second"] /
                            row["postfix"]["per_second"])
        summary[name] = row
    return summary


def number(value, form="%.2f"):
    return "-" if value is None else form % value


def print_table(summary):
    print("\n%-10s %-8s %10s %17s %9s %9s %9s %8s" % (
        "load", "server", "messages/s", "least..most", "250 p50", "250 p99",
        "us/msg", "ratio"))
    for name, row in summary.items():
        for kind in ("postern", "postfix"):
            if kind not in row:
                continue
            cell = row[kind]
            print("%-10s %-8s %10.0f %17s %6s ms %6s ms %9s %8s" % (
                name, kind, cell["per_second"],
                "%.0f..%.0f" % (cell["least"], cell["most"]),
                number(cell["p50_ms"]), number(cell["p99_ms"]),
                number(cell["server_us"], "%.0f"),
                number(row.get("ratio"), "%.2f")
                if kind == "postern" else ""))


def cpu_model():
    with open("/proc/cpuinfo") as cpus:
        for line in cpus:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine(disk, kinds):
    facts = {"processors": os.cpu_count(), "processor": cpu_model(),
             "kernel": platform.release(),
             "memory_mb": os.sysconf("SC_PAGE_SIZE") *
             os.sysconf("SC_PHYS_PAGES") >> 20,
             "load_average": list(os.getloadavg())}
    for kind in kinds:
        facts[kind] = SERVERS[kind].version()
    facts.update(disk.describe())
    return facts


# --- the whole ---

def stop(signal_number, _):
    raise SystemExit(128 + signal_number)


def write_json(options, facts, summary, rounds):
    with open(options.json, "w") as out:
        json.dump({"machine": facts, "messages": options.messages,
                   "size": options.size, "connections": CONNECTIONS,
                   "summary": summary, "rounds": rounds}, out, indent=1)
        out.write("\n")


def bench(options, disk):
    """{load: medians}, or Failed."""
    kinds = options.servers.split(",")
    facts = machine(disk, kinds)
    for key, value in facts.items():
        print("%-13s %s" % (key, value))
    print("%-13s %d messages of %d bytes, %d rounds\n" % (
        "run", options.messages, options.size, options.rounds), flush=True)
    client = build_client(disk.folder)
    rounds = {kind: [] for kind in kinds}
    for turn in range(options.rounds):
        # Neither is always the first on a disk that has just been quiet.
        for kind in kinds if turn % 2 == 0 else kinds[::-1]:
            rounds[kind].append(run_round(kind, turn, disk, client, options))
    summary = summarise(rounds, options)
    print_table(summary)
    if options.json:
        write_json(options, facts, summary, rounds)
    return summary


def run(options, loop):
    disk = None
    try:
        disk = Disk(options.work, loop=loop)
        return bench(options, disk)
    finally:
        if disk:
            disk.release()


def run_somewhere(options):
    try:
        return run(options, not options.plain)
    except NoDisk as error:
        if options.floor is None:
            raise
        print("no loop mount here (%s): on a plain folder" % error)
        return run(options, False)


def judge(options, summary):
    """The counts of a test: two servers that did their work, and ratios."""
    passed, failed = len(options.servers.split(",")), 0
    for name, row in summary.items():
        good = row["ratio"] >= options.floor
        print("%s: %s: %.2f times Postfix (at least %.2f wanted)" % (
            "ok" if good else "FAILED", name, row["ratio"], options.floor))
        passed += good
        failed += not good
    print("bench: %d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def skip(options, why):
    if options.floor is None:
        print("throughput: %s; skipped" % why)
        return SKIP
    print("SKIPPED [1] tests/bench: %s\nbench: 0 passed, 0 failed" % why)
    return 0


def fail(options, why):
    print("throughput: FAILED: %s" % why)
    if options.floor is not None:
        print("bench: 0 passed, 1 failed")
    return 1


def main():
    options = parse()
    if os.geteuid() != 0:
        return skip(options, "only root can mount a loop device and start "
                    "Postfix")
    if INSIDE not in os.environ:
        # The mount goes away with us, however we end.
        os.environ[INSIDE] = "1"
        try:
            os.execvp("unshare", ["unshare", "--mount", sys.executable]
                      + sys.argv)
        except OSError as error:
            return skip(options, "unshare: %s" % error)
    for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(caught, stop)
    try:
        summary = run_somewhere(options)
    except NoDisk as error:
        return skip(options, "no loop mount here: %s" % error)
    except (Failed, AssertionError, subprocess.TimeoutExpired) as error:
        return fail(options, error)
    return 0 if options.floor is None else judge(options, summary)


if __name__ == "__main__":
    sys.exit(main())
