# SPDX-License-Identifier: ISC
"""What was sent, what got 250, what arrived: kept outside of what is killed.

A message has a number, which is in its sender's address, so that everybody who
meets it knows it. For each of its recipients ("relay": at the sink; "local": in
the maildir) there is a Way: when each try began that its next hop has seen, and
each copy that arrived, with its digest. Times are time.monotonic().

Each entry is written to a file as well, a line each, for whoever wants to look.
"""
import bisect
import collections
import hashlib
import json
import threading
import time

# What got no 250 and is not settled so long after is not looked for any more.
LAPSE_SECONDS = 300
SENDER = "n%d@example.org"
# Whose death may make a copy come twice: those who know of a try.
DELIVERERS = {"relay": ("queue", "delivery", "everything"),
              "local": ("queue", "mailbox", "everything")}


def digest(content):
    """Of a message as it was sent, whatever the ends of its lines are now."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


class Way:
    """One recipient of a message. A copy is (its try began not before, not
    after, its digest): the next hop reads late what was sent before a kill, but
    nothing that was sent before its own last reply. The maildir tells only when
    a copy was there."""
    __slots__ = ("begun", "copies")

    def __init__(self):
        self.begun = []
        self.copies = []


class Message:
    __slots__ = ("digest", "begun", "sent", "verdict", "answered",
                 "identifier", "settled", "ways")

    def __init__(self, text, kinds):
        self.digest = digest(text)
        self.begun = time.monotonic()
        self.answered = None     # when the answer to all of it came
        self.sent = None         # when its last byte was about to leave
        self.verdict = None      # "250", "refused", None: nobody knows
        self.identifier = None   # the queue's
        self.settled = None      # the queue had it no more at that time
        self.ways = {kind: Way() for kind in kinds}


class Ledger:
    """Several threads write."""

    def __init__(self, path):
        self.lock = threading.RLock()
        self.file = open(path, "w")
        self.messages = []
        self.by_identifier = {}
        self.kills = []          # (not before, role, not after)
        self.foreign = []        # arrived and never sent
        self.open = set()        # numbers of those not known to be settled

    def write(self, what, **more):
        self.file.write(json.dumps(dict(more, t=round(time.monotonic(), 4),
                                        what=what)) + "\n")

    def add(self, make_text, kinds):
        """A new message: its number and its text."""
        with self.lock:
            number = len(self.messages)
            text = make_text(number)
            one = Message(text, kinds)
            self.messages.append(one)
            self.open.add(number)
            self.write("message", n=number, digest=one.digest, to=kinds)
        return number, text

    def sending(self, number):
        self.messages[number].sent = time.monotonic()

    def answered(self, number, code, text):
        with self.lock:
            one = self.messages[number]
            one.verdict = "250" if code == 250 else "refused"
            one.answered = time.monotonic()
            if code == 250:
                self.identify(number, text.split()[-1])
            self.write("answer", n=number, code=code, text=text)

    def identify(self, number, identifier):
        with self.lock:
            self.messages[number].identifier = identifier
            self.by_identifier[identifier] = number

    def find(self, number, kind):
        """The way of a message, None if it should not come there."""
        with self.lock:
            if number is None or not 0 <= number < len(self.messages):
                return None
            return self.messages[number].ways.get(kind)

    def trying(self, number, kind, earliest):
        way = self.find(number, kind)
        if way is not None:
            way.begun.append(earliest)

    def received(self, number, kind, content, begun=None):
        """begun: (not before, not after)."""
        way = self.find(number, kind)
        found = digest(content)
        with self.lock:
            if way is None:
                self.foreign.append((number, kind, found))
            else:
                earliest, latest = begun or (0, time.monotonic())
                way.copies.append((earliest, latest, found))
            self.write("receipt", n=number, kind=kind, digest=found)

    def killed(self, role, when, state):
        """when: not before; it has just happened."""
        with self.lock:
            self.kills.append((when, role, time.monotonic()))
            self.write("kill", role=role, at=round(when, 4), state=state)

    def removed(self, identifier):
        """The queue says that it is done with it."""
        with self.lock:
            number = self.by_identifier.get(identifier)
            if number is not None and self.messages[number].settled is None:
                self.messages[number].settled = time.monotonic()

    def listed(self, identifiers, asked):
        """The queue was asked at that time what it has: what arrived before,
        and is not there, is settled. Lines of a log can be lost with who
        wrote them; this cannot."""
        now = time.monotonic()
        with self.lock:
            for number in list(self.open):
                one = self.messages[number]
                there = one.identifier in identifiers
                if one.settled is None and one.identifier and not there and \
                        self.arrived_by(one, asked):
                    one.settled = now
                lapsed = one.verdict != "250" and one.sent is not None and \
                    now - one.sent > LAPSE_SECONDS
                if one.settled is not None or lapsed:
                    self.open.discard(number)

    @staticmethod
    def arrived_by(one, when):
        return all(way.copies and way.copies[0][1] < when
                   for way in one.ways.values())

    def unsettled(self):
        """How many arrived of which the queue may not know it yet."""
        with self.lock:
            return sum(1 for number in self.open
                       if self.messages[number].settled is None and
                       any(way.copies for way in
                           self.messages[number].ways.values()))

    def close(self):
        self.file.close()


class Judgement:
    """The invariants, from a ledger that nobody writes any more."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.lost, self.corrupt, self.refused = [], [], []
        self.silent = 0          # arrived, and nobody had said 250
        self.twice = 0           # copies beyond the first
        self.unexplained = []    # copies that no kill explains
        self.kills = sorted(ledger.kills)
        self.in_flight = [0] * len(self.kills)
        # Of each role: (not before, place among all), (not after, place).
        self.of_role = collections.defaultdict(lambda: ([], []))
        for place, (earliest, role, latest) in enumerate(self.kills):
            self.of_role[role][0].append((earliest, place))
            self.of_role[role][1].append((latest, place))
        self.recoveries = self.find_recoveries()
        for number, one in enumerate(ledger.messages):
            for kind, way in one.ways.items():
                self.judge(number, one, kind, way)

    def find_recoveries(self):
        """(role, seconds) of each kill: until the first 250 of a message that
        was begun after it, by whichever client."""
        messages = self.ledger.messages
        begins = [one.begun for one in messages]
        found = []
        for when, role, _ in self.kills:
            first = float("inf")
            for one in messages[bisect.bisect(begins, when):]:
                if one.begun > first:
                    break
                if one.verdict == "250":
                    first = min(first, one.answered)
            found.append((role, first - when))
        return found

    def kills_within(self, kind, begin, end):
        """Places of the kills then that can lose the result of a try."""
        places = []
        for role in DELIVERERS[kind]:
            earliest, latest = self.of_role[role]
            first = bisect.bisect_left(latest, (begin, -1))
            last = bisect.bisect_right(earliest, (end, len(self.kills)))
            places += [place for _, place in earliest[first:last]]
        return sorted(places)

    def judge(self, number, one, kind, way):
        copies = way.copies
        if not copies:
            if one.verdict == "250":
                self.lost.append((number, kind))
        elif one.verdict == "refused":
            self.refused.append((number, kind))
        elif one.verdict is None:
            self.silent += 1
        if any(found != one.digest for _, _, found in copies):
            self.corrupt.append((number, kind))
        self.twice += max(len(copies) - 1, 0)
        if one.sent is None or (not copies and not way.begun and
                                one.verdict != "250"):
            return
        begin = max(min(way.begun, default=0), one.sent)
        end = one.settled if one.settled is not None else float("inf")
        for place in self.kills_within(kind, begin, end):
            self.in_flight[place] += 1
        self.explain(number, one, kind, copies)

    def explain(self, number, one, kind, copies):
        """Between the begin of a try whose copy arrived and the begin of the
        next one there was a kill, another one for each copy."""
        copies = sorted(copies, key=lambda copy: copy[1])
        used = -1
        for copy, after in zip(copies, copies[1:]):
            begin, end = max(copy[0], one.sent), after[1]
            places = [place for place in self.kills_within(kind, begin, end)
                      if place > used]
            if places:
                used = places[0]
            else:
                self.unexplained.append((number, kind, begin, end))
