# SPDX-License-Identifier: ISC
"""Rows in which mail leaves by SMTP: drained out of a full queue, or relayed
while it comes in. The trivial receiver takes it, on port 25 of 127.0.0.0/8."""
import os
import time

from loads import Failed, Load, send, spent, wait_empty
from accounting import MemoryWatch
from programs import program
from servers import Setup, Sink, conf
from tls_world import SignedNames

PORT = 25
# Names of the bench's own name server, which nobody has signed.
POSTERN_PLAIN = """
stub-zones = { "bench 127.0.0.1@53" }
allow-loopback = yes
ipv6 = no
"""
# Names that are signed from the root, which Postern validates by itself.
POSTERN_SIGNED = """
stub-zones = { ". 127.0.0.1@%d", "plain 127.0.0.1@%d" }
allow-loopback = yes
ipv6 = no
"""
POSTFIX_MAY = "smtp_tls_security_level = may\n"
# As with a validating resolver on the machine, whose word in the AD bit is
# believed.
POSTFIX_DANE = """smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
"""
SIGNED = """$ORIGIN .
$TTL 86400
@ SOA ns.chain. hostmaster.chain. 1 86400 86400 86400 86400
@ NS ns.chain.
ns.chain. A 127.0.0.1
plain. NS ns.chain.
d0.bench. MX 10 mx.d0.bench.
mx.d0.bench. A 127.64.0.1
_25._tcp.mx.d0.bench. TLSA 3 1 1 %s
"""
PLAIN = """$ORIGIN plain.
$TTL 86400
@ SOA ns.chain. hostmaster.chain. 1 86400 86400 86400 86400
@ NS ns.chain.
"""


class Deliver:
    """What the rows here have in common: a sink of their own, its figures."""

    def __init__(self, name, text, messages, wanted=None, short=False,
                 servers=("postern", "postfix")):
        self.name, self.text, self.messages = name, text, messages
        self.wanted = wanted or {}
        self.short, self.servers = short, servers
        self.family = None

    def sink(self, bench):
        folder = bench.disk.path("receiver")
        os.makedirs(folder, exist_ok=True)
        return Sink(folder, program("sink", bench.disk.folder),
                    bench.certificate, address="0.0.0.0", port=PORT)

    def wait_arrived(self, server, sink, wanted, seconds):
        end = time.monotonic() + seconds
        while sink.told()["messages"] < wanted:
            if time.monotonic() > end:
                raise Failed("%s, %s: %d of %d have arrived after %d s" % (
                    server.kind, self.name, sink.told()["messages"], wanted,
                    seconds))
            time.sleep(0.01)
        wait_empty(server, seconds, self.name)

    def figures(self, server, sink, begin, measured, messages):
        """measured: (the server's seconds before, flushes before, the watch of
        its memory)."""
        before, flushes, memory = measured
        seconds = time.monotonic() - begin
        roles = spent(before, server.seconds(), messages)
        told = sink.told()
        if told["messages"] != messages:
            raise Failed("%s, %s: %d messages, but %d have arrived" % (
                server.kind, self.name, messages, told["messages"]))
        return {"messages": messages, "per_second": messages / seconds,
                "seconds": seconds, "us_by_role": roles,
                "server_us": round(sum(roles.values()), 1),
                "memory_mib": memory.stop(), "client_us": 0,
                "flushes": (server.flushes() - flushes) / messages,
                "out": {key: told[key] for key in (
                    "connections", "handshakes", "resumed")}}

    def run_alone(self, bench, kind):
        sink = self.sink(bench)
        names = self.names(bench, kind)
        server = bench.server(kind, self.setup(bench, names))
        try:
            sink.start()
            server.start()
            return self.measure(bench, server, sink)
        finally:
            bench.end(server)
            sink.stop()
            if names:
                names.stop()

    def names(self, bench, kind):
        return None

    def scaled(self, bench):
        return max(100, self.messages * bench.options.seconds // 3)


class Drain(Deliver):
    """So many messages are in the queue, which then may go."""

    def __init__(self, name, text, messages, destinations, **more):
        super().__init__(name, text, messages, **more)
        self.destinations = destinations

    def setup(self, bench, _):
        return Setup(environment=bench.environment, holding=True, text={
            "postern": POSTERN_PLAIN,
            "postfix": conf("postfix.send.cf", FOLDER="@FOLDER@") +
            POSTFIX_MAY})

    def measure(self, bench, server, sink):
        messages = self.scaled(bench)
        server.hold()
        load = Load(messages=messages, recipient="r@d#.bench",
                    spread=self.destinations, pipelining=True)
        send(server, load, bench.disk.folder, self.name)
        measured = (server.seconds(), server.flushes(),
                    MemoryWatch(server.pids))
        begin = time.monotonic()
        server.let_go()
        self.wait_arrived(server, sink, messages, bench.patience)
        return self.figures(server, sink, begin, measured, messages)


class Relay(Deliver):
    """In by TLS, a hundred messages a connection, and out by TLS that DANE has
    verified, until the queue is empty."""

    def names(self, bench, kind):
        if kind != "postern":
            return None
        folder = bench.disk.path("names-%d" % time.monotonic_ns())
        return SignedNames(folder, SIGNED % bench.digest, PLAIN)

    def setup(self, bench, names):
        return Setup(
            certificate=bench.certificate, environment=bench.environment,
            anchor=names.anchor if names else "", text={
                "postern": POSTERN_SIGNED % (names.port, names.port)
                if names else "",
                "postfix": conf("postfix.send.cf", FOLDER="@FOLDER@") +
                POSTFIX_DANE})

    def measure(self, bench, server, sink):
        messages = self.scaled(bench)
        load = Load(messages=messages, recipient="r@d0.bench", tls=True,
                    per_connection=100)
        measured = (server.seconds(), server.flushes(),
                    MemoryWatch(server.pids))
        begin = time.monotonic()
        told, own = send(server, load, bench.disk.folder, self.name)
        sent = time.monotonic()
        self.wait_arrived(server, sink, messages, bench.patience)
        figures = self.figures(server, sink, begin, measured, messages)
        figures.update(accept_per_second=messages / (sent - begin),
                       reply_ms=told["reply_ms"],
                       client_us=round(own * 1e6 / messages, 1))
        return figures
