# SPDX-License-Identifier: ISC
"""What a server is loaded with: one run of a client, until the queue is empty,
and its figures."""
import json
import os
import resource
import subprocess
import time

from accounting import MemoryWatch
from postern import PEERS
from programs import program

SENDER, RECIPIENT = "load@example.com", "sink@example.net"


class Failed(Exception):
    """A message was refused or lost, or the queue did not get empty."""


class Load:
    """What clients do. Until messages are sent, or no new one after seconds;
    client: ours ("load"), or Debian's smtp-source ("source"), which has no
    TLS, does not time and wants a number of messages."""

    def __init__(self, messages=None, seconds=None, size=4096, connections=20,
                 per_connection=0, tls=False, resume=False, pipelining=False,
                 client="load", sender=SENDER, recipient=RECIPIENT, spread=None,
                 timeout=120, threads=2):
        self.messages, self.seconds, self.size = messages, seconds, size
        self.connections, self.per_connection = connections, per_connection
        self.tls, self.resume, self.pipelining = tls, resume, pipelining
        self.client, self.sender, self.recipient = client, sender, recipient
        self.spread = spread
        self.timeout, self.threads = timeout, threads

    def command(self, port, folder):
        if self.client == "source":
            return [os.path.join(PEERS, "bin/smtp-source"),
                    "-s", str(self.connections), "-m", str(self.messages),
                    "-l", str(self.size), "-f", self.sender,
                    "-t", self.recipient, "127.0.0.1:%d" % port]
        words = [program("load_client", folder), "--port", str(port),
                 "--messages", str(self.messages or 10000000),
                 "--size", str(self.size),
                 "--connections", str(self.connections),
                 "--per-connection", str(self.per_connection),
                 "--sender", self.sender, "--recipient", self.recipient,
                 "--threads", str(self.threads),
                 "--timeout", str(self.timeout)]
        for name in ("tls", "resume", "pipelining"):
            if getattr(self, name):
                words.append("--" + name)
        for name in ("seconds", "spread"):
            if getattr(self, name):
                words += ["--" + name, str(getattr(self, name))]
        return words


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wait_empty(server, timeout, name):
    """Until everything that was accepted is where it belongs."""
    end = time.monotonic() + timeout
    while not server.is_empty():
        if time.monotonic() > end:
            raise Failed("%s, %s: the queue is not empty after %d s" % (
                server.kind, name, timeout))
        time.sleep(0.02)


def send(server, load, folder, name):
    """The client's own words, and what it took of a processor."""
    own = children_seconds()
    done = subprocess.run(load.command(server.port, folder),
                          capture_output=True, text=True,
                          timeout=load.timeout * 3, stdin=subprocess.DEVNULL)
    own = children_seconds() - own
    if done.returncode:
        raise Failed("%s, %s: status %d: %s%s" % (
            server.kind, name, done.returncode, done.stdout, done.stderr))
    if load.client == "source":
        return {"accepted": load.messages}, own
    return json.loads(done.stdout), own


def spent(before, after, messages):
    """{role: microseconds of processor a message}; what the ended have used
    that was counted for a role before is taken from theirs."""
    used = {role: (seconds - before.get(role, 0)) * 1e6 / messages
            for role, seconds in after.items()}
    for role in set(before) - set(after):
        used["ended"] -= before[role] * 1e6 / messages
    for role, value in list(used.items()):
        if value < 0:
            used["ended"] += value
            used[role] = 0
    return {role: round(value, 1) for role, value in used.items()
            if value >= 0.05}


def run_load(server, load, folder, name="load", until_empty=True):
    """One load, until the queue is empty: its figures."""
    memory = MemoryWatch(server.pids)
    before, flushes = server.seconds(), server.flushes()
    begin = time.monotonic()
    try:
        told, own = send(server, load, folder, name)
        sent = time.monotonic()
        if until_empty:
            wait_empty(server, load.timeout, name)
        end = time.monotonic()
        roles = spent(before, server.seconds(), told["accepted"] or 1)
    finally:
        most = memory.stop()
    messages = told["accepted"]
    figures = {"messages": messages,
               "accept_per_second": messages / (sent - begin),
               "per_second": messages / (end - begin),
               "seconds": end - begin,
               "client_us": round(own * 1e6 / messages, 1),
               "server_us": round(sum(roles.values()), 1),
               "us_by_role": roles, "memory_mib": most,
               "flushes": (server.flushes() - flushes) / messages,
               "load_average": os.getloadavg()[0]}
    for key in ("reply_ms", "transaction_ms", "handshakes", "resumed",
                "connections", "tls"):
        if key in told:
            figures[key] = told[key]
    return figures
