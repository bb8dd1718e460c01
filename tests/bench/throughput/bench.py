# SPDX-License-Identifier: ISC
"""The rounds: which server does which row when, and what is made of it."""
import hashlib
import json
import os
import subprocess
import time

from cryptography.hazmat.primitives import serialization

import results
from conftest import Certificate
from cover import Cover
from disk import Disk
from flushed import NoTrace
from loads import Failed, Load, run_load
from others import BenchExim, BenchOpenSmtpd
from programs import library, program
from servers import BenchPostern, BenchPostfix, Setup, Sink, conf
from workloads import SLOW

SERVERS = {"postern": BenchPostern, "postfix": BenchPostfix,
           "exim": BenchExim, "opensmtpd": BenchOpenSmtpd, "sink": Sink}
# Messages a second that smtp-source is sure to be busy with.
EXPECTED = {"postern": 3000, "postfix": 800, "exim": 150, "opensmtpd": 150,
            "sink": 5000}
WARM_UP = 300


def hash_of_key(certificate):
    """What a TLSA record 3 1 1 says of it."""
    return hashlib.sha256(certificate.private.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def base(kind):
    """postfix+NAME is Postfix with the lines of conf/postfix.try-NAME.cf."""
    return kind.partition("+")[0]


def takes(row, kind):
    """postfix+single is the better one only where many hosts take mail, and
    takes minutes for one."""
    return base(kind) in row.servers and (
        kind != "postfix+single" or row.name == "drain-many")


def verify(server, wanted):
    """Nothing lost, nothing twice: as the server's own log tells it."""
    counts = server.counts()
    if counts != {"accepted": wanted, "discarded": wanted}:
        raise Failed("%s: %d messages, but the log tells of %s" % (
            server.kind, wanted, counts))


class Bench:
    def __init__(self, options, rows):
        self.options, self.rows = options, rows
        self.kinds = options.servers.split(",")
        self.disk = Disk(options.work, kind=options.disk)
        self.measured = {row.name: {kind: [] for kind in self.kinds}
                         for row in rows}
        self.serial = 0
        self.patience = 300     # seconds for a queue to get empty
        self.cover = None
        try:
            self.certificate = self.make_certificate()
            self.digest = hash_of_key(self.certificate)
            self.environment = self.make_environment()
            self.cover = Cover(self.disk.path("cover"), self.digest)
        except BaseException:
            self.release()
            raise

    def release(self):
        if self.cover:
            self.cover.release()
        self.disk.release()

    def make_certificate(self):
        one = Certificate(self.disk.folder, "mx.example.org",
                          ["mx.example.org"])
        os.chmod(one.key, 0o644)
        return one

    def make_environment(self):
        """What counts the flushes of all servers."""
        counted = self.disk.path("flushes")
        with open(counted, "wb") as out:
            out.write(bytes(8))
        os.chmod(counted, 0o666)
        return {"LD_PRELOAD": library("tests/preload/flushes",
                                      self.disk.folder),
                "POSTERN_FLUSHES": counted}

    def expected(self, kind):
        return EXPECTED[kind]

    def setup(self, family):
        environment = dict(self.environment)
        if family == SLOW:
            environment["POSTERN_SYNC_MILLISECONDS"] = "5"
        return Setup(certificate=self.certificate, environment=environment)

    def server(self, kind, setup):
        """A new one with an empty queue, not started."""
        self.serial += 1
        kind, _, tried = kind.partition("+")
        name = "%s-%d" % (kind, self.serial)
        folder = self.disk.path(name)
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        if kind == "sink":
            return Sink(folder, program("sink", self.disk.folder),
                        setup.certificate)
        if kind in ("exim", "opensmtpd"):
            return SERVERS[kind](folder, self.disk.queue(name), "", setup,
                                 self.cover)
        text = {"postern": self.options.postern_text,
                "postfix": self.options.postfix_text}.get(kind, "")
        if tried:
            text += conf("postfix.try-%s.cf" % tried)
        return SERVERS[kind](folder, self.disk.queue(name), text, setup)

    def end(self, server):
        server.stop()
        self.keep(server)

    @staticmethod
    def keep(server):
        """Logs and configurations, where somebody wants to look at them."""
        place = os.environ.get("POSTERN_BENCH_KEEP")
        if place:
            subprocess.run(["cp", "-r", server.folder, place], check=False)

    def forget(self, server):
        name = os.path.basename(server.folder)
        self.disk.forget(server.folder)
        self.disk.forget(os.path.join(self.disk.queues, name))

    def family(self, kind, rows, turn):
        """The accepting rows of one family: one server for all."""
        server = self.server(kind, self.setup(rows[0].family))
        wanted = 0
        try:
            server.start()
            load = Load(messages=WARM_UP, tls=rows[0].load.get("tls", False))
            wanted += run_load(server, load, self.disk.folder)["messages"]
            for row in rows:
                figures = row.run(self, server)
                wanted += figures["messages"]
                self.note(row, kind, turn, figures)
        finally:
            self.end(server)
        verify(server, wanted)
        self.forget(server)

    def note(self, row, kind, turn, figures):
        self.measured[row.name][kind].append(figures)
        if "per_second" not in figures:
            print("round %d  %-16s %-9s %s" % (
                turn + 1, row.name, kind, ", ".join(
                    "%s %.1f" % item for item in figures["more"].items())),
                  flush=True)
            return
        roles = sorted(figures["us_by_role"].items(),
                       key=lambda item: -item[1])
        reply = figures.get("reply_ms")
        print("round %d  %-16s %-9s %7.0f/s  %s server %.0f us/message (%s), "
              "client %.0f us" % (
                  turn + 1, row.name, kind, figures["per_second"],
                  "250: p50 %.2f p99 %.2f ms " % (reply["p50"], reply["p99"])
                  if reply else "", figures["server_us"],
                  ", ".join("%s %.0f" % role for role in roles[:6]),
                  figures["client_us"]), flush=True)

    def one_round(self, turn):
        # Nobody is always the first on a disk that has just been quiet.
        kinds = self.kinds[turn % len(self.kinds):] + \
            self.kinds[:turn % len(self.kinds)]
        families = []
        for row in self.rows:
            if row.family not in families:
                families.append(row.family)
        for family in families:
            if family is None:
                continue
            rows = [row for row in self.rows if row.family == family]
            for kind in kinds:
                mine = [row for row in rows if takes(row, kind)]
                if mine:
                    self.family(kind, mine, turn)
        for row in self.rows:
            if row.family is None:
                for kind in kinds:
                    if takes(row, kind):
                        self.alone(row, kind, turn)

    def alone(self, row, kind, turn):
        try:
            self.note(row, kind, turn, row.run_alone(self, kind))
        except NoTrace as error:
            print("SKIPPED [1] tests/bench, %s: %s" % (row.name, error))

    def run(self):
        begin = time.monotonic()
        try:
            facts = results.machine(self.disk, {
                base(kind): SERVERS[base(kind)].version()
                for kind in self.kinds},
                os.environ["POSTERN_SRCDIR"])
            for key, value in facts.items():
                print("%-13s %s" % (key, value))
            print(flush=True)
            for turn in range(self.options.rounds):
                self.one_round(turn)
            facts["minutes"] = "%.1f" % ((time.monotonic() - begin) / 60)
            facts["load after"] = "%.1f %.1f %.1f" % os.getloadavg()
            return self.finish(facts)
        finally:
            self.release()

    def finish(self, facts):
        summary = results.summarise(self.measured)
        lines = results.table(self.rows, summary)
        print("\n" + "\n".join(lines) + "\n")
        for name, words, reached in results.verdicts(self.rows, summary):
            print("%-12s %-18s %s" % ("reached" if reached else
                                      "NOT REACHED", name, words))
        if self.options.json:
            with open(self.options.json, "w") as out:
                json.dump({"machine": facts, "summary": summary,
                           "rounds": self.measured}, out, indent=1)
                out.write("\n")
        if self.options.results:
            results.write_section(
                self.options.results, "table: " + self.options.disk,
                results.report(self.options.command, facts, self.rows,
                               summary))
        return 0 if self.options.floor is None else self.judge(summary)

    def judge(self, summary):
        """The counts of a test: rows that were gone through, and ratios."""
        passed, failed = 0, 0
        for name, row in summary.items():
            passed += len(row["servers"])
            if not row["ratios"].get("cpu"):
                continue
            # The rate is a matter of who else is at the machine; this is not.
            times = 1 / row["ratios"]["cpu"]
            good = times >= self.options.floor
            print("%s: %s: %.1f times Postfix's messages for the same CPU "
                  "(at least %.1f wanted), %.1f times its rate" % (
                      "ok" if good else "FAILED", name, times,
                      self.options.floor, row["ratios"]["ratio"]))
            passed += good
            failed += not good
        print("bench: %d passed, %d failed" % (passed, failed))
        return 1 if failed else 0
