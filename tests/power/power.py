#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Power cuts: what a server promised with 250 survives them.

    power.py [--server postern|postfix] [--cuts N] [--seconds S] [--seed N]
             [--mode strict|ext4] [--tear 4096|512] [--lie N] ...

A server takes and delivers mail while tests/preload/record.c writes down what
it does to its files. Then, for each of N points of that recording, the tree
that a power cut there may have left is made (recording.py says which), the
server is started on it, and must, without help, deliver everything that had
its 250 before the cut and had not arrived yet. README says more.
Prints "power: N passed, N failed" at the end.
"""
import argparse
import collections
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import model_test
import world
from recording import PAGE, Disk, Recording, Start
from world import ACCEPTED, PLACES, RECEIVED, body_of


class Boxes:
    """The server's own maildirs, each file of them read once."""

    def __init__(self, ledger, server):
        self.ledger, self.server = ledger, server
        self.seen, self.found, self.bad = set(), set(), []

    def look(self):
        for box in self.server.boxes():
            names = set(os.listdir(box)) if os.path.isdir(box) else set()
            for name in names - self.seen:
                with open(os.path.join(box, name), "rb") as mail:
                    number = self.ledger.knows(body_of(mail.read()))
                if number is None:
                    self.bad.append(os.path.join(box, name))
                else:
                    self.found.add(number)
            self.seen |= names


class Outside:
    """What the sink has got; while recording, each with its mark."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.recorder = None
        self.found, self.bad = set(), 0
        self.sink = world.Sink(self.on_mail)

    def on_mail(self, data):
        number = self.ledger.knows(body_of(data))
        if number is None:
            self.bad += 1
        elif self.recorder:
            self.recorder.mark(RECEIVED, number)
        if number is not None:
            self.found.add(number)

    def begin(self, recorder=None):
        self.recorder = recorder
        self.found, self.bad = set(), 0
        self.sink.generation += 1


# --- recording ---

class Take:
    """One recording and what is known at its beginning: messages accepted,
    and received outside, before it."""

    def __init__(self, recording, start, accepted=(), received=()):
        self.recording = recording
        self.start = start              # a recording.Start
        self.accepted = set(accepted)
        self.received = set(received)
        self.acceptances = recording.marks(ACCEPTED)
        self.receipts = recording.marks(RECEIVED)

    def before(self, cut):
        """(accepted, received outside) at a cut."""
        return (self.accepted | {n for at, n in self.acceptances if at <= cut},
                self.received | {n for at, n in self.receipts if at <= cut})


def take(server, outside, options, number, before=None):
    """Records the server under load; before: (accepted, received) of the
    tree that it starts on."""
    place = os.path.join(options.folder, "take%d" % number)
    os.mkdir(place)
    recorder = world.Recorder(options.library, os.path.join(place, "log"),
                              server.scope, options.delay)
    if before is None:
        server.empty_scope()
    start = Start(server.scope, os.path.join(place, "start"))
    outside.begin(recorder)
    dice = random.Random(options.seed * 1000 + number)
    server.forget()
    server.power(recorder)
    world.until(server.is_up, 60, lambda: "it to start: " + server.quiet())
    senders = [world.Sender(server, outside.ledger, recorder,
                            dice.random(), options.pause)
               for _ in range(options.senders)]
    for sender in senders:
        sender.start()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end or (
            sum(sender.accepted for sender in senders) < options.messages and
            time.monotonic() < end + 120):
        outside.sink.puts_off = dice.random() < 0.8
        time.sleep(options.seconds / 10)
    for sender in senders:
        sender.done = True
    for sender in senders:
        sender.join(60)
    outside.sink.puts_off = False
    time.sleep(min(1.0, options.seconds / 10))
    recorder.hold()
    try:
        server.cut()
    finally:
        recorder.release()
    recording = Recording(recorder.log)
    disk = Disk(recording, start)
    disk.advance(len(recording.records))
    wrong = disk.differences(server.scope) + recording.unrecordable()
    if wrong:
        raise AssertionError("the recording is not all that was done:\n" +
                             "\n".join(wrong[:20]))
    result = Take(recording, start, *(before or ((), ())))
    kinds = collections.Counter(one[0] for one in recording.records)
    print("recording %d: %d operations, %d flushes, %d accepted, %d received "
          "outside" % (number, len(recording.records), kinds[12] + kinds[13],
                       len(result.acceptances), len(result.receipts)))
    shutil.rmtree(server.scope)
    return result


# --- cutting ---

class Verdict:
    def __init__(self):
        self.lost, self.wrong, self.seconds = set(), 0, 0.0
        self.said = collections.Counter()
        self.mended = False     # torn pages were found and written again
        self.draw = ""
        self.problem = None


SIGNS = ("salvag", "damaged", "checksum", "corrupt")


class Watch:
    """One server after a cut, until all has arrived that is expected and the
    queue is empty, or will not be."""

    def __init__(self, server, outside, expected, verdict):
        self.server, self.outside = server, outside
        self.expected, self.verdict = expected, verdict
        self.boxes = Boxes(outside.ledger, server)
        self.asked = 0.0
        self.waiting = None

    def missing(self):
        self.boxes.look()
        self.verdict.wrong = len(self.boxes.bad) + self.outside.bad
        return {(number, place) for number, place in self.expected
                if number not in (self.boxes.found if place == "here"
                                  else self.outside.found)}

    def is_idle(self, missing):
        """Nothing is on its way any more. Seldom asked while there is: that
        costs."""
        now = time.monotonic()
        if missing and now < self.asked + 0.2:
            return False
        self.asked = now
        self.waiting = self.server.waiting()
        return self.waiting is not None and \
            self.waiting[0] == self.waiting[1]

    def wait(self, patience):
        """What is missing."""
        end = time.monotonic() + patience
        up = False
        while True:
            state = self.server.is_up() if not up else \
                self.server.process.poll() is None or None
            if state is None:
                self.verdict.problem = "it ended by itself"
                return self.missing()
            up = up or state
            if up and self.is_idle(self.missing()):
                return self.missing()
            if time.monotonic() > end:
                self.verdict.problem = "not empty: %s" % (self.waiting,) \
                    if up else "not up"
                return self.missing()
            time.sleep(0.01)


def cut_once(server, outside, one, case, disk, options):
    """One cut: its verdict. case: (place, seed, kind of draw or None)"""
    cut, seed, kind = case
    patience = options.patience if disk.honest_until is None else \
        options.lying_patience
    verdict = Verdict()
    accepted, received = one.before(cut)
    disk.advance(cut)
    shutil.rmtree(server.scope, True)
    verdict.draw = disk.image(server.scope, seed, options.tear, kind)
    expected = {(number, PLACES[to]) for number in accepted
                for to in outside.ledger.sent[number][1]}
    expected -= {(number, "away") for number in received}
    outside.begin()
    server.forget()
    started = time.monotonic()
    server.power()
    try:
        verdict.lost = Watch(server, outside, expected,
                             verdict).wait(patience)
    finally:
        server.cut()
    verdict.seconds = time.monotonic() - started
    said = server.quiet()
    for sign in SIGNS:
        verdict.said[sign] = said.count(sign)
    verdict.mended = "pages were torn, and are whole again" in said
    return verdict


class Sums:
    def __init__(self):
        self.cuts = self.bad_cuts = self.lost = self.wrong = 0
        self.problems = self.loud = self.silent = self.mended = 0
        self.seconds = []
        self.draws = collections.Counter()

    def add(self, verdict):
        self.cuts += 1
        self.draws[verdict.draw] += 1
        self.seconds.append(verdict.seconds)
        self.lost += len(verdict.lost)
        self.wrong += verdict.wrong
        self.problems += verdict.problem is not None
        loud = any(verdict.said.values())
        self.loud += loud
        self.mended += verdict.mended
        bad = bool(verdict.lost or verdict.wrong or verdict.problem)
        self.bad_cuts += bad
        # Damage that nobody was told of.
        self.silent += bool(verdict.lost and not loud)
        return bad

    def show(self):
        times = sorted(self.seconds) or [0]
        return ("cuts %d, with loss or trouble %d: messages lost %d, wrong %d, "
                "did not recover %d; torn pages mended in %d, damage reported "
                "in %d, lost without a word in %d; median %.2f s, longest "
                "%.2f s; %s" % (
                    self.cuts, self.bad_cuts, self.lost, self.wrong,
                    self.problems, self.mended, self.loud, self.silent,
                    times[len(times) // 2], times[-1],
                    ", ".join("%s %d" % one
                              for one in sorted(self.draws.items()))))


def keep_case(server, options, one_number, cut, seed, verdict):
    """What is needed to look at a bad cut again."""
    place = os.path.join(options.folder, "bad-%d-%d" % (one_number, cut))
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "log"), "w") as out:
        out.write(server.quiet())
    with open(os.path.join(place, "case"), "w") as out:
        json.dump({"take": one_number, "cut": cut, "seed": seed,
                   "draw": verdict.draw, "lost": sorted(verdict.lost),
                   "wrong": verdict.wrong, "problem": verdict.problem,
                   "said": verdict.said}, out)


def cut_many(server, outside, takes, options, count, lie=None):
    sums = Sums()
    dice = random.Random(options.seed + 7)
    for number, one in enumerate(takes):
        share = count * (number + 1) // len(takes) - \
            count * number // len(takes)
        points = one.recording.points() if options.names is None else \
            one.recording.points_at_names(options.names)
        if lie is not None:
            points = points[len(points) // 2:]
        disk = Disk(one.recording, one.start, options.mode)
        for cut in sorted(dice.choices(points, k=share)):
            seed = dice.getrandbits(40)
            kind = None
            if lie is not None:
                # Flushes of the past are kept: each cut has its own lie. Every
                # other one leaves nothing of what was not flushed.
                disk = Disk(one.recording, one.start, options.mode)
                disk.honest_until = max(0, cut - lie)
                kind = "drop" if sums.cuts % 2 == 0 else None
            verdict = cut_once(server, outside, one, (cut, seed, kind), disk,
                               options)
            if sums.add(verdict) and options.keep and sums.bad_cuts <= 20:
                keep_case(server, options, number, cut, seed, verdict)
            if options.verbose:
                print(number, cut, verdict.draw, "%.2f" % verdict.seconds,
                      len(verdict.lost), verdict.wrong, verdict.problem or "",
                      dict(verdict.said), flush=True)
    print(("lying disk, " if lie is not None else "") + sums.show(),
          flush=True)
    return sums


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="postern",
                        choices=sorted(world.SERVERS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--again", action="store_true",
                        help="each take but the first begins with recovery "
                        "from a cut in the one before")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--messages", type=int, default=0,
                        help="at least, however long that takes")
    parser.add_argument("--senders", type=int, default=6)
    parser.add_argument("--large", action="store_true",
                        help="many large messages: log files and segments "
                        "get full")
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--delay", type=int, default=3000,
                        help="microseconds that a flush takes longer")
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--lying-cuts", type=int, default=0)
    parser.add_argument("--lie", type=int, default=400,
                        help="operations before the cut in which a lying "
                        "disk flushes nothing")
    parser.add_argument("--mode", default="strict",
                        choices=["strict", "ext4"])
    parser.add_argument("--names", help="only cuts where names in this folder "
                        "of the tree change: queue, policy")
    parser.add_argument("--tear", type=int, default=PAGE)
    parser.add_argument("--single-write", action="store_true",
                        help="of a program made with --enable-breakage: pages "
                        "go to the tables at once; mail has to be lost")
    parser.add_argument("--patience", type=float, default=60)
    parser.add_argument("--lying-patience", type=float, default=10)
    parser.add_argument("--folder", help="on a file system in memory")
    parser.add_argument("--model", action="store_true",
                        help="model_test.py too")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def make_folder(options):
    base = options.folder or ("/dev/shm" if os.access("/dev/shm", os.W_OK)
                              else None)
    folder = tempfile.mkdtemp(prefix="postern-power-", dir=base)
    os.chmod(folder, 0o755)
    return os.path.realpath(folder)


def run(options):
    ledger = world.Ledger(world.LARGE if options.large else world.SIZES)
    outside = Outside(ledger)
    server = world.SERVERS[options.server](
        os.path.join(options.folder, "server"), outside.sink)
    options.library = world.build_recorder(options.folder)
    takes = []
    for number in range(options.takes):
        before = None
        if options.again and takes:
            last = takes[-1]
            disk = Disk(last.recording, last.start, options.mode)
            cut = len(last.recording.records) * 2 // 3
            disk.advance(cut)
            disk.image(server.scope, options.seed + number, options.tear)
            before = last.before(cut)
        takes.append(take(server, outside, options, number, before))
    results = []
    if options.cuts:
        sums = cut_many(server, outside, takes, options, options.cuts)
        if options.single_write:
            results.append(("without the double write torn pages cost mail",
                            sums.bad_cuts > 0))
        else:
            results.append(("%d cuts, nothing lost, nothing wrong, recovers "
                            "alone" % sums.cuts, sums.bad_cuts == 0))
    if options.lying_cuts:
        sums = cut_many(server, outside, takes, options, options.lying_cuts,
                        options.lie)
        results.append(("a lying disk is found out", sums.lost > 0))
    if options.model:
        results.append(("what a cut may leave is what README says",
                        model_test.run()[1] == 0))
    for name, held in results:
        print("%s %s" % ("ok    " if held else "FAILED", name))
    failed = sum(not held for _, held in results)
    print("power: %d passed, %d failed" % (len(results) - failed, failed))
    return failed == 0


def main():
    options = arguments()
    if options.single_write:
        os.environ["POSTERN_BROKEN"] = "single-write"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.folder = make_folder(options)
    ok = False
    try:
        ok = run(options)
    finally:
        if ok or not options.keep:
            shutil.rmtree(options.folder, True)
        else:
            print("kept:", options.folder)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
