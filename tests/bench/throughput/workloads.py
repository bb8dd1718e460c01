# SPDX-License-Identifier: ISC
"""The rows of the table: what is done, how much of it, and what is wanted.

A row's .run(bench, kind) does its part for one server and gives its figures.
Rows of one family share a server, which is started with an empty queue in each
round; other rows start their own.
"""
import os

from delivering import Drain, Relay
from flushed import check
from holding import (Alone, Beside, Sessions, deferred_messages,
                     idle_sessions)
from loads import Load, run_load
from servers import Setup

ALL = ("postern", "postfix", "exim", "opensmtpd", "sink")


class Accept:
    """Acceptance into a route that drops the mail, until the queue is empty."""

    def __init__(self, name, text, family, wanted=None, short=False,
                 servers=ALL, **load):
        self.name, self.text, self.family = name, text, family
        self.wanted = wanted or {}      # {figure: at least or at most}
        self.short = short              # of --quick, too
        self.servers = servers
        self.load = load

    def run(self, bench, server):
        seconds = bench.options.seconds
        load = dict(self.load)
        if load.get("client") == "source":
            load["messages"] = bench.expected(server.kind) * seconds
        else:
            load["seconds"] = seconds
        return run_load(server, Load(**load), bench.disk.folder, self.name)


class Flushed(Alone):
    """No figures: that each 250 comes behind the flush of its message."""

    text = "each 250 behind the flush of its message, by strace"
    short, wanted = True, {}

    def __init__(self, name, servers):
        self.name, self.servers = name, servers

    def setup(self, bench):
        return Setup(certificate=bench.certificate)

    def measure(self, bench, server):
        queue = os.path.join(bench.disk.queues,
                             os.path.basename(server.folder))
        number, flushes = check(server, queue, bench.disk.folder)
        return {"us_by_role": {}, "more": {"flushed_first": number,
                                           "flushes_seen": flushes}}


CLEAR, TLS, SLOW, LARGE = "accept", "accept-tls", "slow", "large"
QUEUES = ("postern", "postfix")
# OpenSMTPD of Debian 12 has the key in another process, and its way to it fails
# with OpenSSL 3 and an ECDSA key: "EVP lib", no handshake.
WITH_TLS = ("postern", "postfix", "exim", "sink")

ROWS = [
    Flushed("flushed", ("postern",)),
    Flushed("others-flushed", ("postfix", "exim")),
    Accept("clear-1", "4 KiB in clear, 1 session kept", CLEAR, connections=1,
           per_connection=100),
    Accept("clear-20x1", "4 KiB in clear, 20 sessions, one a connection",
           CLEAR, {"ratio": 4}, True, per_connection=1),
    Accept("source-20x1", "the same by smtp-source", CLEAR, client="source"),
    Accept("clear-20x100", "4 KiB in clear, 20 sessions, 100 a connection",
           CLEAR, {"ratio": 6, "cpu": 0.2}, True, per_connection=100),
    Accept("clear-64k-20x100", "64 KiB in clear, 20 sessions, 100 a connection",
           CLEAR, {"ratio": 4}, True, size=65536, per_connection=100),
    Accept("clear-200x1", "4 KiB in clear, 200 sessions, one a connection",
           CLEAR, connections=200, per_connection=1),
    Accept("clear-200x100", "4 KiB in clear, 200 sessions, 100 a connection",
           CLEAR, {"p99": 1}, connections=200, per_connection=100),
    Accept("tls-20x1", "4 KiB, STARTTLS, a full handshake each", TLS,
           {"ratio": 2.5, "of_sink": 0.8, "cpu_of_sink": 1.5}, True, tls=True,
           per_connection=1, servers=WITH_TLS),
    Accept("tls-20x1-resumed", "the same, sessions resumed", TLS, tls=True,
           per_connection=1, resume=True, servers=WITH_TLS),
    Accept("tls-20x10", "4 KiB, STARTTLS, ten a connection", TLS, tls=True,
           per_connection=10, servers=WITH_TLS),
    Accept("tls-20x100", "4 KiB, STARTTLS, 100 a connection", TLS,
           {"ratio": 6, "cpu": 0.2}, True, tls=True, per_connection=100,
           servers=WITH_TLS),
    Accept("tls-64k-20x100", "64 KiB, STARTTLS, 100 a connection", TLS,
           tls=True, size=65536, per_connection=100, servers=WITH_TLS),
    Accept("tls-200x100", "4 KiB, STARTTLS, 200 sessions, 100 a connection",
           TLS, {"p99": 1}, tls=True, connections=200, per_connection=100,
           servers=WITH_TLS),
    Accept("large", "25 MB in clear, 4 sessions", LARGE, size=25 << 20,
           connections=4, servers=QUEUES),
    Accept("slow-20x100", "4 KiB in clear, each flush takes 5 ms longer", SLOW,
           per_connection=100, servers=QUEUES),
    Accept("slow-200x100", "the same, 200 sessions", SLOW, connections=200,
           per_connection=100, servers=QUEUES),
    Relay("relay", "TLS in, 100 a connection, DANE-verified TLS out", 6000,
          {"ratio": 5}, True),
    Drain("drain-one", "20,000 queued, to one TLS host", 20000, 1,
          wanted={"ratio": 5}, short=True),
    Drain("drain-many", "20,000 queued, to 1,000 destinations", 20000, 1000,
          wanted={"ratio": 3}),
    Sessions("sessions", "memory of 2,000 sessions in clear", 2000, False,
             {"memory": 1 / 40, "kib": 30}),
    Sessions("sessions-tls", "memory of 2,000 sessions under TLS", 2000, True,
             {"memory": 1 / 30, "kib": 57}),
    Beside("idle", "clear-20x100 with 10,000 idle TLS sessions beside",
           idle_sessions, {}, per_connection=100),
    Beside("deferred", "clear-20x100 with 100,000 deferred beside",
           deferred_messages, {"beside": 0.9}, per_connection=100),
    Beside("deferred-tls", "tls-20x100 with 100,000 deferred beside",
           deferred_messages, {"beside": 0.9}, per_connection=100, tls=True),
]
