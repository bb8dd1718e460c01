#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What filters and signatures cost Postern, beside Postfix with the same.

    run.py [--rounds N] [--messages N] [--size BYTES] [--loads A,B] [--plain]

In turn, each with an empty queue on the same disk, a warm-up, then the loads of
throughput/loads.py, timed until the queue is empty; Postern gets three times as
many, to be as long about it:

  none      no filter
  milter    opendkim, which verifies; the messages have no signature to verify
  signed    signed with RSA: Postfix by opendkim, Postern by itself, which signs
            with Ed25519, too

Needs root; ends with 77 where there is no loop mount, with 1 when a message was
lost or refused. POSTERN and POSTERN_PEERS as for the system tests.
"""
import argparse
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "..", "throughput"),
                os.path.join(TOP, "tests", "system")]
os.environ.setdefault("POSTERN", os.path.join(os.getcwd(), "postern"))
os.environ.setdefault("POSTERN_SRCDIR", TOP)
os.environ.setdefault("POSTERN_PEERS", os.path.join(TOP, "build-peers"))

from accounting import add_seconds
from bench import verify
from disk import Disk, NoDisk
from filters import OpenDkim
from inside import NoNamespace, enter
from loads import SENDER, Failed, Load, run_load
from servers import BenchPostern, BenchPostfix
from smtp_peer import Stranger

SKIP = 77
DOMAIN = SENDER.split("@")[1]
LOADS = {"source": {"client": "source"}, "kept": {},
         "single": {"per_connection": 1}}
CASES = ("none", "milter", "signed")
SERVERS = ("postern", "postfix")


def parse():
    parser = argparse.ArgumentParser(
        usage=__doc__.split("\n\n")[1].strip(), add_help=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=1500)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--loads", default="source,kept")
    parser.add_argument("--warm-up", type=int, default=100)
    parser.add_argument("--timeout", type=int, default=120)
    parser.add_argument("--plain", action="store_true")
    return parser.parse_args()


def make_filter(folder, case):
    """opendkim signs for the hosts that it takes for its own."""
    key = subprocess.run(["openssl", "genrsa", "-traditional", "2048"],
                         check=True, capture_output=True).stdout
    return OpenDkim(folder, DOMAIN, "s1", key,
                    "127.0.0.1" if case == "signed" else "192.0.2.1")


def make_postern(folder, queue, case, socket):
    text = {"none": "", "signed": 'domain %s { users = "*" }\n' % DOMAIN,
            "milter": 'milter one { socket = "%s" }\n'
            "milters = { one }\n" % socket}[case]
    server = BenchPostern(folder, queue, text)
    if case == "signed":
        server.command("dkim", "new", DOMAIN, check=0)
        server.command("dkim", "activate", DOMAIN, "--force", check=0)
    return server


def make_postfix(folder, queue, case, socket):
    return BenchPostfix(folder, queue, "" if case == "none" else
                        "smtpd_milters = unix:%s\n" % socket)


def check_signatures(disk):
    """That both do sign; outside of what is timed."""
    stranger = Stranger()
    folder = disk.path("check-postern")
    os.mkdir(folder)
    server = make_postern(folder, disk.queue("check-postern"), "signed", None)
    # The first route that fits is taken.
    server.configure('route "example.net" { host = "127.0.0.1" port = %d '
                     "mx = no }\nallow-loopback = yes\n" % stranger.port +
                     server.text)
    server.start()
    try:
        run_load(server, Load(client="source", messages=1), disk.folder)
    finally:
        server.stop()
    data = stranger.messages[0][3]
    if data.count(b"DKIM-Signature:") != 2:
        raise Failed("Postern has not signed: %r" % data)
    folder = disk.path("check-postfix")
    os.mkdir(folder)
    opendkim = make_filter(folder + ".filter", "signed")
    opendkim.write("fields", "/^DKIM-Signature:/ WARN\n")
    server = make_postfix(folder, disk.queue("check-postfix"), "signed",
                          opendkim.socket)
    with open(server.path("etc", "main.cf"), "a") as out:
        out.write("milter_header_checks = regexp:%s\n" %
                  opendkim.path("fields"))
    try:
        opendkim.start().up()
        server.start()
        run_load(server, Load(client="source", messages=1), disk.folder)
    finally:
        server.stop()
        opendkim.stop()
    if "DKIM-Signature: v=1" not in server.log():
        raise Failed("opendkim has not signed: " + server.log())


def spent(filter_):
    """Seconds of processor so far."""
    if filter_.process is None:
        return 0
    return sum(add_seconds(filter_.process.pid, {}).values())


def run_one(kind, case, turn, disk, options):
    """{load: (messages a second, us of the server's and the filter's processor
    for each)}."""
    name = "%s-%s-%d" % (kind, case, turn)
    os.mkdir(disk.path(name))
    filter_ = make_filter(disk.path(name + ".filter"), case)
    uses_filter = case == "milter" or (case, kind) == ("signed", "postfix")
    make = make_postern if kind == "postern" else make_postfix
    server = make(disk.path(name), disk.queue(name), case, filter_.socket)
    messages = options.messages * (3 if kind == "postern" else 1)
    rates, wanted = {}, options.warm_up
    try:
        if uses_filter:
            filter_.start().up()
        server.start()
        run_load(server, Load(messages=options.warm_up, per_connection=1),
                 disk.folder)
        for load in options.loads.split(","):
            before = spent(filter_)
            figures = run_load(server, Load(
                messages=messages, size=options.size, **LOADS[load]),
                disk.folder)
            rates[load] = (figures["per_second"], figures["server_us"],
                           (spent(filter_) - before) * 1e6 / messages)
            wanted += messages
    finally:
        server.stop()
        filter_.stop()
    verify(server, wanted)
    print("round %d  %-8s %-8s %s" % (turn + 1, case, kind, "  ".join(
        "%s %.0f/s, %.0f and %.0f us" % (load, *rate)
        for load, rate in rates.items())), flush=True)
    return rates


def bench(options, disk):
    check_signatures(disk)
    found = {}
    for turn in range(options.rounds):
        for case in CASES:
            # Neither is always the first on a disk that has just been quiet.
            for kind in SERVERS if turn % 2 == 0 else SERVERS[::-1]:
                for load, rate in run_one(kind, case, turn, disk,
                                          options).items():
                    found.setdefault((load, kind, case), []).append(rate)
    tell(found)


def tell(found):
    """Medians."""
    print("\n%-7s %-8s %-7s %10s %14s %8s %8s %8s %7s" % (
        "load", "server", "case", "messages/s", "least..most", "of none",
        "us", "filter's", "times"))
    middle = {key: [statistics.median(column) for column in zip(*rates)]
              for key, rates in found.items()}
    for (load, kind, case), (rate, server, other) in sorted(
            middle.items(), key=lambda item: (item[0][0], CASES.index(
                item[0][2]), item[0][1])):
        rates = [one[0] for one in found[load, kind, case]]
        print("%-7s %-8s %-7s %10.0f %14s %8.2f %8.0f %8.0f %7s" % (
            load, kind, case, rate, "%.0f..%.0f" % (min(rates), max(rates)),
            rate / middle[load, kind, "none"][0], server, other,
            "%.1f" % (rate / middle[load, "postfix", case][0])
            if kind == "postern" else ""))


def main():
    options = parse()
    if os.geteuid() != 0:
        print("filters: only root can mount a loop device and start Postfix")
        return SKIP
    try:
        enter()
    except NoNamespace as error:
        print("filters: %s" % error)
        return SKIP
    disk = None
    try:
        disk = Disk("/var/tmp", loop=not options.plain)
        bench(options, disk)
    except NoDisk as error:
        print("filters: no loop mount here: %s" % error)
        return SKIP
    except (Failed, AssertionError) as error:
        print("filters: FAILED: %s" % error)
        return 1
    finally:
        if disk:
            disk.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
