# SPDX-License-Identifier: ISC
"""Rows about what is merely there: open sessions, and mail that waits."""
import subprocess

from accounting import proportional
from loads import Failed, Load, run_load, send
from programs import program
from servers import Setup


class Held:
    """So many sessions that are open and greeted, and say nothing."""

    def __init__(self, server, bench, sessions, tls):
        words = [program("load_client", bench.disk.folder),
                 "--port", str(server.port), "--hold", "--timeout", "120",
                 "--connections", str(sessions)]
        self.process = subprocess.Popen(
            words + ["--tls"] * tls, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        if line != "held %d" % sessions:
            self.end()
            raise Failed("%s: %s, of %d sessions" % (
                server.kind, line or "none held", sessions))

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


class Alone:
    """A row that starts its own server."""

    family = None
    short = False

    def run_alone(self, bench, kind):
        server = bench.server(kind, self.setup(bench))
        try:
            server.start()
            return self.measure(bench, server)
        finally:
            bench.end(server)


class Sessions(Alone):
    """Memory of open sessions, all processes of the server together; what the
    kernel has for their sockets is not in it."""

    def __init__(self, name, text, sessions, tls, wanted,
                 servers=("postern", "postfix")):
        self.name, self.text, self.sessions = name, text, sessions
        self.tls, self.wanted, self.servers = tls, wanted, servers

    def setup(self, bench):
        return Setup(certificate=bench.certificate if self.tls else None,
                     sessions=self.sessions, environment=bench.environment)

    def measure(self, bench, server):
        # What is made once for all, at the first session, is not theirs.
        run_load(server, Load(messages=50, tls=self.tls), bench.disk.folder)
        before = proportional(server.pids())
        held = Held(server, bench, self.sessions, self.tls)
        try:
            after = proportional(server.pids())
        finally:
            held.end()
        return {"memory_mib": after, "us_by_role": {}, "more": {
            "kib_a_session": (after - before) * 1024 / self.sessions}}


class Beside(Alone):
    """The rate of a load with something beside it, as a share of the rate of
    the same load without it, on the same server."""

    def __init__(self, name, text, beside, wanted, servers=("postern",),
                 **load):
        self.name, self.text, self.beside = name, text, beside
        self.wanted, self.servers, self.load = wanted, servers, load

    def setup(self, bench):
        return Setup(certificate=bench.certificate, sessions=11000,
                     environment=bench.environment, text={
                         "postern": 'route "dead.test" { host = "127.0.0.1" '
                         'port = 1 mx = no }\nallow-loopback = yes\n'
                         'route "*" { transport = discard }\n'})

    def measure(self, bench, server):
        load = Load(seconds=bench.options.seconds, **self.load)
        folder = bench.disk.folder
        run_load(server, Load(messages=300), folder)
        without = run_load(server, load, folder, self.name)
        held = self.beside(bench, server)
        try:
            # Only what can get empty is waited for: the dead mail stays.
            figures = run_load(server, load, folder, self.name,
                               until_empty=held is not None)
        finally:
            if held:
                held.end()
        figures["more"] = {"beside": figures["accept_per_second"] /
                           without["accept_per_second"]}
        return figures


def idle_sessions(bench, server):
    return Held(server, bench, 10000, True)


def deferred_messages(bench, server):
    """100,000 for a host that refuses; in parts with a short run."""
    count = 100000 if bench.options.seconds >= 3 else 10000
    send(server, Load(messages=count, size=1024, recipient="r@dead.test",
                      pipelining=True), bench.disk.folder, "deferred")
