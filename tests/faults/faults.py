#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Every call of the roles that matters, harmed in every way that it can be.

    faults.py all --out DIR [--jobs N] [--minutes M] [--only TEXT]
    faults.py one --out DIR NUMBER          one run of it again, and its log
    faults.py report --out DIR
    faults.py short

`all` records which points there are (role, call, file, call stack), plans one
run for each point and fault, and does those that DIR/results does not have yet.
The README says what is checked and what came of it.
"""
import argparse
import collections
import datetime
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import scenario
from page import FAULTS, FOR_EVER, Fault, Symbols
from world import World

# Calls that leave something behind: where a kill falls matters before and
# after them, and the most depends on them.
CHANGES = ("create write truncate allocate sync rename link unlink mkdir "
           "send").split()
CENTRE = ("queue", "mailbox", "smtpd", "delivery", "supervisor")
FAST = "/dev/shm"       # memory: thousands of starts would wear out a disk


class Certificate:
    """For the server and the sink, by itself."""

    def __init__(self, folder):
        names = ["mx.example.net", "mx.example.org"]
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        now = datetime.datetime.utcnow()
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName(
                [x509.DNSName(one) for one in names]), False)
            .sign(private, hashes.SHA256()))
        self.chain = os.path.join(folder, "chain.pem")
        self.key = os.path.join(folder, "key.pem")
        with open(self.chain, "wb") as out:
            out.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(self.key, "wb") as out:
            os.chmod(self.key, 0o600)
            out.write(private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))


class Bench:
    """What all runs of this process share; goes with close()."""

    def __init__(self):
        self.program = os.path.abspath(os.environ.get("POSTERN", "./postern"))
        self.symbols = Symbols(self.program)
        self.folder = tempfile.mkdtemp(
            prefix="postern-faults.", dir=FAST if os.path.isdir(FAST) else None)
        self.certificate = Certificate(self.folder)
        self.shim = os.path.join(self.folder, "inject.so")
        subprocess.run(
            [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O1",
             "-fPIC", "-shared", "-I", TOP, "-o", self.shim,
             os.path.join(TOP, "tests/preload/inject.c"),
             os.path.join(TOP, "tests/preload/scope.c")], check=True)
        self.snapshots = {}

    def world(self, name):
        return World(self.program, self.shim,
                     os.path.join(self.folder, name), self.certificate)

    def close(self):
        shutil.rmtree(self.folder, True)


# --- the plan ---

Job = collections.namedtuple(
    "Job", "number tier scenario key role call what stack fault occurrence")


def plain(what):
    """One user's mailbox is like another's."""
    for user in ("/alice", "/bob", "/dan"):
        what = what.replace(user, "/USER")
    return what


def record(bench, world, kind, times=2):
    """The points of a scenario, over some runs without faults."""
    found = {}
    for _ in range(times):
        harm(bench, world, kind, None, None, 1)
        if world.problems:
            print(world.log()[-3000:])
            raise SystemExit("without any fault: %s" % world.problems)
        for point in world.page.points():
            known = found.get(point.key)
            if known is None or known.count < point.count:
                found[point.key] = point
    same = {}
    for point in sorted(found.values(), key=lambda one: -one.count):
        same.setdefault((point.role, point.call, plain(point.what),
                         point.frames), point)
    return list(same.values())


def harm(bench, world, kind, job, fault, occurrence):
    must_end = bool(
        job and job.role in ("queue", "policy") and job.call == "sync" and
        fault.kind == "error" and
        ("hook_" in job.stack or "store_os_sync_directory" in job.stack))
    if kind == "life":
        return scenario.run(world, scenario.life, None,
                            job and job.key, fault, occurrence, must_end)
    return scenario.run(world, scenario.recovery, bench.snapshots[kind],
                        job and job.key, fault, occurrence, must_end)


def occurrences(point):
    """Besides the first: some spread over the rest, the last among them."""
    count = point.count
    return sorted({1 + (count - 1) * part // 4 for part in (1, 2, 3, 4)} -
                  {1})


def tier_of(point, fault, kind):
    """When it is its turn."""
    centre = point.role in CENTRE
    if point.call in CHANGES and centre:
        return 0 if kind in ("life", scenario.SNAPSHOTS[0]) else 2
    if point.call == "close" or not centre or (
            fault.kind == "kill-after" and point.call not in CHANGES):
        return 3
    return 1 if kind == "life" else 2


def page_write(bench, points):
    """The write of a page in the checkpoint of a stop."""
    return [point.key for point in points
            if point.role == "queue" and point.call == "write" and
            point.what == "queue/messages.db" and
            "__txn_checkpoint" in bench.symbols.stack(point)][0]


def plan(bench, world, kinds):
    """All jobs, the most telling first; the same each time for a program."""
    jobs, seen, stop = [], set(), None
    for kind in kinds:
        if kind != "life":
            bench.snapshots[kind] = scenario.make_snapshot(
                world, kind, os.path.join(bench.folder, "snapshots"), stop)
            if world.problems:
                raise SystemExit("%s: %s" % (kind, world.problems))
        points = record(bench, world, kind, 3 if kind == "life" else 2)
        if kind == "life":
            stop = page_write(bench, points)
        for point in points:
            stack = " < ".join(bench.symbols.stack(point))
            # what the first snapshot has shown need not be shown by all; but
            # what is changed while a queue recovers depends on what it was
            again = point.key in seen and kind != scenario.SNAPSHOTS[0]
            for fault in FAULTS[point.call]:
                if again and not (point.role == "queue" and
                                  point.call in CHANGES and
                                  (fault.kills() or fault.times == 1)):
                    continue
                jobs.append(Job(0, tier_of(point, fault, kind), kind,
                                point.key, point.role, point.call, point.what,
                                stack, fault, 1))
                if fault.times != 1 or kind != "life" or \
                        point.role not in CENTRE or point.call == "close":
                    continue
                for one in occurrences(point):
                    jobs.append(Job(0, 1 if point.call in CHANGES else 2,
                                    kind, point.key, point.role, point.call,
                                    point.what, stack, fault, one))
            if kind != "life":
                seen.add(point.key)
    dice = random.Random(8)
    jobs.sort(key=lambda job: (job.tier, dice.random()))
    return [job._replace(number=number)
            for number, job in enumerate(jobs)]


def name_of(job):
    return "%s|%016x|%s|%d" % (job.scenario, job.key, job.fault,
                               job.occurrence)


# --- running ---

def result_of(job, fired, seconds, world):
    return {"name": name_of(job), "number": job.number, "tier": job.tier,
            "scenario": job.scenario, "role": job.role, "call": job.call,
            "what": job.what, "fault": str(job.fault),
            "occurrence": job.occurrence, "fired": fired,
            "seconds": round(seconds, 2), "problems": world.problems,
            "notes": world.notes, "stack": job.stack}


def work(bench, name, jobs, results, end, folder, keep):
    """One worker: a world of its own, and jobs until there are none."""
    world = bench.world(name)
    try:
        while time.time() < end:
            job = jobs.get()
            if job is None:
                break
            fired, seconds = harm(bench, world, job.scenario, job, job.fault,
                                  job.occurrence)
            result = result_of(job, fired, seconds, world)
            if folder and (world.problems or keep):
                shutil.copy(world.log_path, os.path.join(
                    folder, "log.%d" % job.number))
            if world.problems and folder:
                again = []
                for _ in range(1):
                    harm(bench, world, job.scenario, job, job.fault,
                         job.occurrence)
                    again.append(world.problems)
                result["again"] = again
            results.put(result)
    finally:
        world.close()
        results.put(None)


def run_jobs(bench, todo, workers, end, each, folder=None, keep=False):
    """Calls each with every result."""
    jobs, results = multiprocessing.Queue(), multiprocessing.Queue()
    for job in todo + [None] * workers:
        jobs.put(job)
    processes = [multiprocessing.Process(
        target=work, args=(bench, "w%d" % number, jobs, results, end, folder, keep))
        for number in range(workers)]
    for process in processes:
        process.start()
    running = workers
    try:
        while running > 0:
            result = results.get()
            if result is None:
                running -= 1
            else:
                each(result)
    finally:
        jobs.cancel_join_thread()
        for process in processes:
            if running > 0:
                process.terminate()     # it ends its servers
            process.join()


def read_results(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file]


def prepare(options):
    """The bench, and a plan that fits the results there are."""
    bench = Bench()
    world = bench.world("plan")
    try:
        jobs = plan(bench, world, options.scenarios.split(","))
    except BaseException:
        world.close()
        bench.close()
        raise
    world.close()
    return bench, jobs


def run_all(options):
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, "results")
    bench, jobs = prepare(options)
    try:
        with open(os.path.join(options.out, "plan"), "w") as out:
            for job in jobs:
                out.write(json.dumps({**job._asdict(),
                                      "fault": str(job.fault),
                                      "name": name_of(job)}) + "\n")
        if options.only:
            jobs = [job for job in jobs if options.only in " ".join(
                (job.scenario, job.role, job.call, job.what, str(job.fault),
                 job.stack))]
        known = {one["name"] for one in read_results(path)}
        todo = [job for job in jobs if name_of(job) not in known]
        if options.sample:
            todo = random.Random(options.seed).sample(
                todo, min(options.sample, len(todo)))
        print("%d planned, %d to do" % (len(jobs), len(todo)), flush=True)
        done = [0, 0]
        with open(path, "a") as out:
            def each(result):
                out.write(json.dumps(result) + "\n")
                out.flush()
                done[0] += 1
                done[1] += bool(result["problems"])
                if done[0] % 100 == 0 or result["problems"]:
                    print(time.strftime("%H:%M:%S"), done,
                          result["problems"] and result, flush=True)
            run_jobs(bench, todo, options.jobs,
                     time.time() + options.minutes * 60, each, options.out,
                     options.keep)
    finally:
        bench.close()
    report(options)


def run_one(options):
    """Again, by its number in DIR/plan; its log is printed."""
    with open(os.path.join(options.out, "plan")) as file:
        wanted = [json.loads(line) for line in file][options.number]
    options.scenarios = wanted["scenario"]
    bench, jobs = prepare(options)
    try:
        job = [job for job in jobs if name_of(job) == wanted["name"]][0]
        world = bench.world("one")
        for _ in range(options.repeat):
            fired, seconds = harm(bench, world, job.scenario, job, job.fault,
                                  job.occurrence)
            print(json.dumps(result_of(job, fired, seconds, world), indent=1))
        print(world.log())
        world.close()
    finally:
        bench.close()


# --- what came of it ---

def report(options):
    results = read_results(os.path.join(options.out, "results"))
    with open(os.path.join(options.out, "plan")) as file:
        planned = [json.loads(line) for line in file]
    struck = [one for one in results if one["fired"]]
    bad = [one for one in struck if one["problems"]]
    print("planned %d (points: %d, with their faults: %d)" % (
        len(planned), len({one["key"] for one in planned}),
        len({(one["key"], one["fault"]) for one in planned})))
    print("run %d, struck %d, not reached %d, held %d, broken %d" % (
        len(results), len(struck), len(results) - len(struck),
        len(struck) - len(bad), len(bad)))
    names = [one["name"].split("|") for one in struck]
    print("distinct stack x call x fault that struck: %d" % len(
        {(one[1], one[2]) for one in names}))
    for what in ("scenario", "role", "call", "fault"):
        counts = collections.Counter(one[what] for one in struck)
        print("%s: %s" % (what, ", ".join(
            "%s %d" % pair for pair in counts.most_common())))
    notes = collections.Counter()
    for one in struck:
        for key, count in one["notes"].items():
            if key != "recovery":
                notes[key] += count
    print("notes: %s" % dict(notes))
    seconds = sorted(one["notes"].get("recovery", 0) for one in struck)
    if seconds:
        print("a message and its copies, after the fault: median %.2f s, "
              "longest %.2f s" % (seconds[len(seconds) // 2], seconds[-1]))
    for one in bad:
        print("%(number)d %(scenario)s %(role)s %(call)s %(what)s, %(fault)s, "
              "occurrence %(occurrence)d: %(problems)s" % one)
        print("    again: %s" % one.get("again"))
        print("    " + one["stack"])


# --- the short form ---

# scenario, role, call, part of the file's name, part of the stack, fault
CHOSEN = (
    ("life", "queue", "sync", "queue/log.", "flusher_main",
     Fault("error", "EIO", 1)),
    ("life", "queue", "sync", "queue/log.", "flusher_main",
     Fault("kill-before", "", 1)),
    ("life", "queue", "write", "queue/log.", "flusher_main",
     Fault("kill-after", "", 1)),
    ("life", "queue", "write", "queue/log.", "flusher_main",
     Fault("error", "ENOSPC", FOR_EVER)),
    ("life", "queue", "write", "queue/log.", "flusher_main",
     Fault("short", "", FOR_EVER)),
    ("life", "queue", "send", "channel", "", Fault("kill-before", "", 1)),
    ("life", "mailbox", "sync", "mail/", "maildir_commit",
     Fault("error", "EIO", FOR_EVER)),
    ("life", "mailbox", "link", "mail/", "maildir_commit",
     Fault("kill-after", "", 1)),
    ("life", "delivery", "send", "connection", "transport_push",
     Fault("error", "EPIPE", 1)),
    ("life", "smtpd", "receive", "channel", "", Fault("short", "", FOR_EVER)),
    ("acknowledged", "queue", "write", "queue/", "store_open",
     Fault("kill-before", "", 1)),
    ("acknowledged", "queue", "sync", "", "store_open",
     Fault("error", "EIO", 1)),
)


def find_chosen(points, symbols, chosen):
    kind, role, call, what, frame, fault = chosen
    for point in sorted(points[kind], key=lambda one: (-one.count, one.key)):
        stack = " < ".join(symbols.stack(point))
        if (point.role, point.call) == (role, call) and \
                what in point.what and frame in stack:
            return Job(0, 0, kind, point.key, role, call, point.what, stack,
                       fault, max(1, point.count // 2))
    return None


def run_short(options):
    bench = Bench()
    passed = failed = 0
    world = bench.world("plan")
    try:
        points = {"life": record(bench, world, "life", 1)}
        kind = scenario.SNAPSHOTS[0]
        bench.snapshots[kind] = scenario.make_snapshot(
            world, kind, os.path.join(bench.folder, "snapshots"))
        points[kind] = record(bench, world, kind, 1)
        todo = []
        for number, chosen in enumerate(CHOSEN):
            job = find_chosen(points, bench.symbols, chosen)
            if job is None:
                print("FAILED there is no such point: %s" % (chosen,))
                failed += 1
            else:
                todo.append(job._replace(number=number))
        results = []
        run_jobs(bench, todo, 2, time.time() + 170, results.append)
        failed += len(todo) - len(results)
        for one in sorted(results, key=lambda one: one["number"]):
            held = one["fired"] and not one["problems"]
            passed += bool(held)
            failed += not held
            print("%s %s: %s %s %s, %s%s" % (
                "ok    " if held else "FAILED", one["scenario"], one["role"],
                one["call"], one["what"], one["fault"],
                "" if held else ": %s" % (one["problems"] or "not reached")))
    finally:
        world.close()
        bench.close()
    print("faults: %d passed, %d failed" % (passed, failed))
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("all", "one", "report", "short"))
    parser.add_argument("number", type=int, nargs="?", default=0)
    parser.add_argument("--out", default="faults.out")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", default="")
    parser.add_argument("--scenarios", default=",".join(
        ("life",) + scenario.SNAPSHOTS))
    parser.add_argument("--keep", action="store_true",
                        help="the logs of all runs")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if options.command == "short":
        return 1 if run_short(options) else 0
    {"all": run_all, "one": run_one, "report": report}[options.command](
        options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
