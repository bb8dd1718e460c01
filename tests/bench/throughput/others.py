# SPDX-License-Identifier: ISC
"""Exim and OpenSMTPD, with the same outside as the servers of servers.py."""
import os
import resource
import shutil
import signal
import socket
import subprocess

from postern import PEERS, free_port, is_running, until
from programs import program
from servers import Counted, Setup, Sink, conf


class Daemon(Counted):
    """What both have in common: a process in the foreground on .port."""

    def __init__(self, folder, queue, text="", setup=None, cover=None):
        self.folder, self.spool, self.text = folder, queue, text
        self.setup = setup or Setup()
        self.cover = cover
        self.port = free_port()
        self.process = None
        self.configure()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    @staticmethod
    def room():
        """Descriptors for all sessions."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def launch(self, command):
        with self.enter():
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL,
                stdout=open(self.path("out"), "wb"), stderr=subprocess.STDOUT,
                env=dict(os.environ, **self.setup.environment),
                start_new_session=True, preexec_fn=self.room)

        def listening():
            if self.process.poll() is not None:
                raise AssertionError("%s ended: %s" % (self.kind, self.log()))
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        until(listening, 15, lambda: "%s to listen: %s" % (
            self.kind, self.log()))
        return self

    def log(self):
        text = ""
        for name in ("mainlog", "paniclog", "out"):
            try:
                with open(self.path(name), errors="replace") as log:
                    text += log.read()[-3000:]
            except OSError:
                pass
        return text

    def stop(self):
        pids = self.pids() if self.process else []
        for pid in pids:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        if self.process:
            self.process.wait(20)
        until(lambda: not any(is_running(pid) for pid in pids), 20,
              "%s's processes to end" % self.kind)
        self.forget_group()


class BenchExim(Daemon):
    kind = "exim"

    def configure(self):
        certificate, tls = self.setup.certificate, ""
        if certificate:
            key = self.path("key")
            shutil.copy(certificate.key, key)
            shutil.chown(key, "Debian-exim")
            tls = conf("exim.tls.conf", CHAIN=certificate.chain, KEY=key)
        routers, transports = self.setup.text.get("exim") or (
            conf("exim.discard.conf"), "")
        with open("/etc/exim4/exim4.conf", "w") as out:
            out.write(conf("exim.conf", EXIM=self.cover.exim, QUEUE=self.spool,
                           FOLDER=self.folder, PORT=self.port, TLS=tls,
                           ROUTERS=routers, TRANSPORTS=transports))
        os.chmod("/etc/exim4/exim4.conf", 0o644)
        for folder in (self.spool, self.folder):
            shutil.chown(folder, "Debian-exim", "Debian-exim")

    def start(self):
        return self.launch([self.cover.exim, "-bdf"])

    def is_empty(self):
        for _, _, names in os.walk(os.path.join(self.spool, "input")):
            if names:
                return False
        return True

    def counts(self):
        accepted = done = 0
        with open(self.path("mainlog"), "rb") as log:
            for line in log:
                accepted += b" <= load@" in line
                done += line.endswith(b" Completed\n")
        return {"accepted": accepted, "discarded": done}

    @staticmethod
    def version():
        done = subprocess.run(
            ["dpkg-deb", "-f"] + [os.path.join(PEERS, "debs", name)
             for name in os.listdir(os.path.join(PEERS, "debs"))
             if name.startswith("exim4-daemon-heavy_")] + ["Version"],
            capture_output=True, text=True, check=False)
        return "Exim " + done.stdout.strip()


class BenchOpenSmtpd(Daemon):
    """Mail that others drop goes to a sink of its own, whose processes are not
    counted."""
    kind = "opensmtpd"

    def configure(self):
        certificate, tls, listener = self.setup.certificate, "", ""
        self.sink = Sink(self.folder, program("sink", self.folder))
        if certificate:
            key = self.path("key")
            shutil.copy(certificate.key, key)
            os.chmod(key, 0o600)
            tls = 'pki one cert "%s"\npki one key "%s"\n' % (
                certificate.chain, key)
            listener = "tls pki one"
        action = self.setup.text.get("opensmtpd") or conf(
            "opensmtpd.discard.conf", SINK=self.sink.port)
        with open(self.path("smtpd.conf"), "w") as out:
            out.write(conf("opensmtpd.conf", PORT=self.port, TLS=tls,
                           LISTENER=listener, ACTION=action))

    def start(self):
        self.sink.start()
        os.chmod(self.spool, 0o711)
        subprocess.run(["mount", "--bind", self.spool, "/var/spool/smtpd"],
                       check=True)
        return self.launch([os.path.join(PEERS, "root/usr/sbin/smtpd"), "-d",
                            "-f", self.path("smtpd.conf")])

    def is_empty(self):
        for place in ("incoming", "temporary", "queue"):
            for _, _, names in os.walk(os.path.join(self.spool, place)):
                if names:
                    return False
        return True

    def counts(self):
        number = self.sink.told()["messages"]
        return {"accepted": number, "discarded": number}

    def stop(self):
        super().stop()
        self.sink.stop()
        subprocess.run(["umount", "/var/spool/smtpd"], check=False)

    @staticmethod
    def version():
        names = [name for name in os.listdir(os.path.join(PEERS, "debs"))
                 if name.startswith("opensmtpd_")]
        return "OpenSMTPD " + (names[0].split("_")[1] if names else "?")
