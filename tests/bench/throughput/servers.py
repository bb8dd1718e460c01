# SPDX-License-Identifier: ISC
"""The servers, each as its own users run it, with the same outside: start,
stop, is_empty, counts (from its log) and what all its processes use.

All take mail for anybody from 127.0.0.1, keep the queue in a folder of the
bench's disk, and log to a file beside that disk. Their configurations are in
conf/, every setting that is not a default with its reason; "@NAME@" in them is
filled in here.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import smtp_peer
from accounting import Group, add_seconds, processes
from postern import BINARY, PEERS, Postern, free_port, is_running, until

CONF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conf")


class Setup:
    """How a server is to be set up; the same for all servers of a row.

    certificate: has .chain and .key; None: no TLS
    text: {kind: more lines of its configuration}
    sessions: how many it must have room for
    environment: for its processes, as LD_PRELOAD
    holding: nothing leaves until .let_go()
    anchor: a file with the DNS root's key, for a server that validates itself
    """

    def __init__(self, certificate=None, text=None, sessions=250,
                 environment=None, holding=False, anchor=""):
        self.certificate = certificate
        self.text = text or {}
        self.sessions = sessions
        self.environment = environment or {}
        self.holding = holding
        self.anchor = anchor


def conf(name, **values):
    """The text of conf/name, its places filled in."""
    with open(os.path.join(CONF, name)) as source:
        text = source.read()
    return re.sub("@([A-Z]+)@", lambda place: str(values[place[1]]), text)


def overridden(text, more):
    """Without the settings that are made again in more: Postfix warns of those
    in each process."""
    again = {line.split("=")[0].strip() for line in more.splitlines()
             if line.strip() and line[0] not in "# \t"}
    return "\n".join(line for line in text.splitlines()
                     if line.split("=")[0].strip() not in again)


class Counted:
    """What its processes use: as a group of the kernel where there is one, else
    from the tree below .process."""

    group = None
    setup = Setup()

    def enter(self):
        self.group = Group()
        return self.group

    def pids(self):
        if self.group and self.group.path:
            return self.group.pids()
        return list(processes(self.process.pid))

    def roles(self):
        """{pid: name} where the name of the command does not say enough."""
        return {}

    def seconds(self):
        """{role: processor seconds so far}; what no living process has is
        "ended"."""
        found = add_seconds(self.process.pid, self.roles())
        total = self.group.seconds() if self.group else None
        if total is not None:
            found["ended"] = 0
            found["ended"] = total - sum(found.values())
        return found

    def flushes(self):
        """How many there were, as tests/preload/flushes.c has counted."""
        path = self.setup.environment.get("POSTERN_FLUSHES")
        if path is None:
            return 0
        with open(path, "rb") as counted:
            return int.from_bytes(counted.read(8), sys.byteorder)

    def forget_group(self):
        if self.group:
            self.group.release()


class BenchPostern(Counted, Postern):
    kind = "postern"

    def __init__(self, folder, queue, text="", setup=None):
        self.setup = setup = setup or Setup()
        more = setup.text.get("postern", 'route "*" { transport = discard }\n')
        super().__init__(folder, workers=0, certificate=setup.certificate,
                         text=conf("postern.conf", QUEUE=queue) + more + text,
                         environment=setup.environment,
                         trust_anchor=setup.anchor)

    def start(self, wait=True):
        with self.enter():
            return super().start(wait)

    def stop(self, seconds=40):
        super().stop(seconds)
        self.forget_group()

    def hold(self):
        self.command("queue", "pause", "*", "--reason", "bench", check=0)

    def let_go(self):
        self.command("queue", "resume", "*", check=0)

    def is_empty(self):
        return not self.queue("list", "--limit", "1", "--all")

    def roles(self):
        """The supervisor included."""
        names = {self.process.pid: "supervisor"}
        for line in self.command("status", "--json")[1].splitlines():
            entry = json.loads(line)
            if entry.get("pid") and entry.get("role"):
                names[entry["pid"]] = entry["role"]
        return names

    def counts(self):
        accepted = delivered = 0
        with open(self.log_path, "rb") as log:
            for line in log:
                accepted += b" accept " in line
                delivered += b" delivery " in line and b"discard" in line
        return {"accepted": accepted, "discarded": delivered}

    @staticmethod
    def version():
        done = subprocess.run([BINARY, "version"], capture_output=True,
                              text=True, check=False)
        return done.stdout.strip()


class BenchPostfix(Counted, smtp_peer.Postfix):
    kind = "postfix"

    def __init__(self, folder, queue, text="", setup=None):
        self.spool = queue
        self.text = text
        self.setup = setup or Setup()
        super().__init__(folder)

    def main_cf(self):
        values = {"ROOT": self.root, "FOLDER": self.folder,
                  "QUEUE": self.spool,
                  "PROCESSES": max(250, self.setup.sessions + 50)}
        text = conf("postfix.main.cf", **values)
        if self.setup.certificate:
            text += conf("postfix.tls.cf", KEY=self.setup.certificate.key,
                         CHAIN=self.setup.certificate.chain)
        text += (self.setup.text.get("postfix") or
                 conf("postfix.discard.cf")).replace("@FOLDER@", self.folder)
        return overridden(text, self.text) + "\n" + self.text

    def configure(self):
        for name in ("incoming active deferred bounce defer flush saved hold "
                     "corrupt trace pid private public maildrop").split():
            os.makedirs(os.path.join(self.spool, name))
            owner = "root" if name == "pid" else "daemon"
            shutil.chown(os.path.join(self.spool, name), owner)
        for name in ("etc", "data"):
            os.makedirs(self.path(name))
        shutil.copy(os.path.join(self.root, "etc/postfix/postfix-files"),
                    self.path("etc"))
        shutil.chown(self.path("data"), "daemon")
        for name, text in (("dynamicmaps.cf", ""),
                           ("main.cf", self.main_cf()),
                           ("master.cf", self.master_cf(
                               not self.setup.holding))):
            with open(self.path("etc", name), "w") as out:
                out.write(text)

    def master_cf(self, with_manager):
        """Without the queue's manager nothing leaves."""
        text = conf("postfix.master.cf", PORT=self.port)
        return text if with_manager else re.sub("(?m)^qmgr ", "#qmgr ", text)

    def hold(self):
        assert self.setup.holding

    def let_go(self):
        """The manager comes, and finds all of it in incoming."""
        with open(self.path("etc", "master.cf"), "w") as out:
            out.write(self.master_cf(True))
        self.process.send_signal(signal.SIGHUP)

    def start(self):
        self.environment = self.setup.environment
        with self.enter():
            return super().start()

    def is_empty(self):
        for name in ("maildrop", "incoming", "active", "deferred"):
            with os.scandir(os.path.join(self.spool, name)) as entries:
                for entry in entries:
                    # deferred is hashed: folders of one letter.
                    if not entry.is_dir() or os.listdir(entry.path):
                        return False
        return True

    def counts(self):
        accepted = delivered = removed = 0
        with open(self.path("maillog"), "rb") as log:
            for line in log:
                accepted += b"postfix/smtpd" in line and b": client=" in line
                delivered += b"postfix/discard" in line and \
                    b"status=sent" in line
                removed += b"postfix/qmgr" in line and line.endswith(
                    b": removed\n")
        return {"accepted": accepted, "discarded": min(delivered, removed)}

    def stop(self):
        """All its processes, not only the first."""
        pids = list(processes(self.process.pid)) if self.process else []
        super().stop()
        until(lambda: not any(is_running(pid) for pid in pids), 20,
              "postfix's processes to end")
        self.forget_group()

    @staticmethod
    def version():
        done = subprocess.run(
            [os.path.join(PEERS, "bin", "postconf"), "-d", "-h",
             "mail_version"], capture_output=True, text=True, check=False)
        return "Postfix " + done.stdout.strip()


class Sink(Counted):
    """The trivial receiver: the floor, and where drained mail goes."""

    kind = "sink"

    def __init__(self, folder, program, certificate=None, address="127.0.0.1",
                 port=0):
        self.folder = folder
        self.port = port or free_port()
        self.counts_path = os.path.join(folder, "sink.counts")
        self.command = [program, "--port", str(self.port), "--address",
                        address, "--counts", self.counts_path]
        if certificate:
            self.command += ["--certificate", certificate.chain,
                             "--key", certificate.key]
        self.process = None

    def start(self):
        with self.enter():
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line == "listening\n", "the sink does not listen"
        return self

    def told(self):
        """What it has counted so far."""
        with open(self.counts_path, "rb") as counts:
            data = counts.read()
        numbers = [int.from_bytes(data[at:at + 8], sys.byteorder)
                   for at in range(0, len(data), 8)]
        return dict(zip(("messages", "connections", "handshakes", "resumed",
                         "octets"), numbers))

    def is_empty(self):
        return True

    def counts(self):
        number = self.told()["messages"]
        return {"accepted": number, "discarded": number}

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.forget_group()

    @staticmethod
    def version():
        return "the trivial sink, one process for each processor"
