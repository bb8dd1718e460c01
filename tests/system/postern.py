# SPDX-License-Identifier: ISC
"""A running Postern for the system tests, and the small things around it.

Ports are asked of the kernel; nothing waits by sleeping for a fixed time:
until() looks again until a deadline. Every process started here is ended by
its own number.
"""
import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BINARY = os.environ.get("POSTERN", "./postern")
SRCDIR = os.environ.get("POSTERN_SRCDIR", ".")
PEERS = os.environ.get("POSTERN_PEERS", "build-peers")

_shared = None


def shared_binary():
    """The program where every user may run it: the checkout may be in a home
    that only its owner sees."""
    global _shared
    if _shared is None:
        folder = tempfile.mkdtemp(prefix="postern-shared.")
        atexit.register(shutil.rmtree, folder, True)
        os.chmod(folder, 0o755)
        _shared = os.path.join(folder, "postern")
        shutil.copy(BINARY, _shared)
        os.chmod(_shared, 0o755)
    return _shared


reservations = []    # sockets that keep others from our ports


def bound(address, port):
    """A socket that is bound there and does not listen; None if it cannot
    be."""
    one = socket.socket()
    try:
        one.bind((address, port))
    except OSError:
        one.close()
        return None
    return one


def free_port():
    """A port of 127.0.0.1 that nobody listens on; below those that the kernel
    gives to clients. No other test, of this run or another one, is given it:
    the same port of an address that nobody uses is ours while we run."""
    while True:
        port = random.randrange(15000, 32000)
        reservation = bound("127.86.0.1", port)
        if reservation is None:
            continue
        probe = bound("127.0.0.1", port)
        if probe is None:
            reservation.close()
            continue
        probe.close()
        reservations.append(reservation)
        return port


def dead_port():
    """A port of 127.0.0.1 that refuses connections as long as we run."""
    while True:
        port = free_port()
        one = bound("127.0.0.1", port)
        if one is not None:
            reservations.append(one)
            return port


# Seconds are said for a machine of one's own; others may be this much slower.
PATIENCE = 3


def until(condition, seconds=20, what=None):
    """Calls condition until it is true; returns what it returned. what, or
    what it returns at the end, is said when that does not come about."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %s s: %s" % (
                seconds, what() if callable(what) else what or condition))
        time.sleep(0.02)


class Postern:
    """One server in unprivileged mode below a folder of its own."""

    def __init__(self, folder, name="mx.example.org", text="", users=("alice",),
                 domain="example.org", certificate=None, workers=1,
                 listener="", low_space="1M", environment=None, prefix=(),
                 trust_anchor=""):
        self.folder = str(folder)
        self.port = free_port()
        self.path = os.path.join(self.folder, "postern.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.process = None
        self.log = None
        self.parts = {
            "name": name, "workers": workers, "domain": domain,
            "users": ", ".join('"%s"' % user for user in users),
            "port": self.port, "state": os.path.join(self.folder, "state"),
            "listener": listener, "low_space": low_space,
            "anchor": trust_anchor,   # path of the DNS root's key
        }
        self.environment = environment   # added to ours
        self.prefix = list(prefix)       # a command that runs the server
        self.certificate = certificate
        self.text = text
        os.makedirs(self.folder, exist_ok=True)
        self.configure()

    def configure(self, text=None):
        """Writes the configuration file again, with other text below."""
        if text is not None:
            self.text = text
        certificate = ""
        if self.certificate:
            certificate = 'certificate "%s" { chain = "%s" key = "%s" }\n' % (
                self.parts["name"], self.certificate.chain,
                self.certificate.key)
        with open(self.path, "w") as out:
            out.write((
                'hostname = "%(name)s"\n'
                'state-directory = "%(state)s"\n'
                "drop-privileges = no\n"
                "smtpd-workers = %(workers)d\n"
                "low-space = %(low_space)s\n"
                'trust-anchor-file = "%(anchor)s"\n'
                'domain "%(domain)s" { users = { %(users)s } }\n'
                'listen smtp { addresses = { "127.0.0.1" } port = %(port)d '
                "%(listener)s }\n") % self.parts + certificate + self.text)

    def start(self, wait=True):
        self.log = open(self.log_path, "ab")
        self.ready_before = self.log_count(" ready ")
        self.process = subprocess.Popen(
            self.prefix + [BINARY, "run", "-c", self.path],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=dict(os.environ, **(self.environment or {})))
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("postern ended with %s:\n%s" % (
                    self.process.returncode, self.read_log()[-3000:]))
            return self.log_count(" ready ") > self.ready_before
        until(ready, 30, lambda: "postern ready:\n" + self.read_log()[-3000:])

    def stop(self, seconds=40):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise
        self.forget_spares()

    def forget_spares(self):
        """What the queue keeps for a full disk is made again at a start."""
        for name in ("reserve", "spare"):
            try:
                os.unlink(os.path.join(self.parts["state"], "queue", name))
            except OSError:
                pass

    def kill_all(self):
        """kill -9 of the supervisor and every role at once."""
        pids = self.role_pids() + [self.process.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)

        def gone():
            return not any(os.path.exists("/proc/%d" % pid) and
                           is_running(pid) for pid in pids)
        until(gone, 10, "killed processes to be gone")

    def role_pids(self):
        """Processes of the roles, from /proc: works when all else fails."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open("/proc/%s/stat" % entry) as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == self.process.pid:
                found.append(int(entry))
        return found

    def pid_of(self, role, instance=0):
        """The process of a role; 0 when there is none just now."""
        for line in self.command("status", "--json")[1].splitlines():
            entry = json.loads(line)
            if entry.get("role") == role and entry.get("instance",
                                                       0) == instance:
                return entry["pid"]
        return 0

    def read_log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_count(self, text):
        return self.read_log().count(text)

    def wait_log(self, text, seconds=20, count=1):
        until(lambda: self.log_count(text) >= count, seconds, lambda:
              "%r in the log:\n%s" % (text, self.read_log()[-3000:]))

    def command(self, *words, check=None, text=True):
        """Runs postern with words and our configuration: code, out, err."""
        done = subprocess.run([BINARY, *words, "-c", self.path],
                              capture_output=True, text=text, timeout=60,
                              stdin=subprocess.DEVNULL)
        if check is not None:
            assert done.returncode == check, (words, done)
        return done.returncode, done.stdout, done.stderr

    def policy(self, *words, check=None):
        """The objects that `postern policy ... --json` prints."""
        code, out, err = self.command("policy", *words, "--json")
        assert code in ((0, 1) if check is None else (check,)), (words, code,
                                                                 out, err)
        return [json.loads(line) for line in out.splitlines()
                if line.startswith("{")]

    def queue(self, *words):
        """The objects that `postern queue ... --json` prints, but for what
        `show` says of the next attempts: next_attempts() has those."""
        return [one for one in self.queue_lines(*words)
                if "policy" not in one and "problem" not in one]

    def next_attempts(self, identifier):
        """What `postern queue show` says of them, by domain: a plan, or null
        where policy could not be asked."""
        return {one["domain"]: one.get("policy")
                for one in self.queue_lines("show", identifier)
                if "policy" in one or "problem" in one}

    def queue_lines(self, *words):
        code, out, err = self.command("queue", *words, "--json")
        assert code in (0, 1), (words, code, out, err)
        return [json.loads(line) for line in out.splitlines()
                if line.startswith("{")]

    def send(self, recipient="alice@example.org", sender="bob@example.net",
             body=b"Subject: x\r\n\r\nx\r\n"):
        """One message; returns the identifier that its 250 names."""
        talk = Talk(self.port)
        code, texts = talk.mail(recipient, sender, body)
        assert code == 250, texts
        talk.code("QUIT")
        talk.close()
        return texts[0].split()[-1]

    def wait_empty(self, seconds=30):
        until(lambda: not self.queue("list"), seconds,
              "the queue to be empty")

    def maildir(self, user, domain=None):
        return os.path.join(self.parts["state"], "mail",
                            domain or self.parts["domain"], user, "new")

    def messages(self, user, domain=None):
        folder = self.maildir(user, domain)
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
        texts = []
        for name in names:
            with open(os.path.join(folder, name), "rb") as mail:
                texts.append(mail.read())
        return texts

    def wait_messages(self, user, count=1, seconds=20, domain=None):
        until(lambda: len(self.messages(user, domain)) >= count, seconds,
              lambda: "%d message(s) for %s; log:\n%s" % (
                  count, user, self.read_log()[-3000:]))
        return self.messages(user, domain)


def is_running(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Talk:
    """A raw SMTP conversation: what is sent and read is what you see."""

    def __init__(self, port, host="127.0.0.1", greeting=True):
        self.socket = socket.create_connection((host, port), 20)
        self.rest = b""
        self.greeting = self.reply() if greeting else None

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.socket.sendall(data)

    def line(self):
        while b"\n" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("closed; rest %r" % self.rest)
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def reply(self):
        """(code, [texts]) of one reply, however many lines it has."""
        texts = []
        while True:
            line = self.line()
            texts.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), texts

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def code(self, line):
        return self.say(line)[0]

    def mail(self, recipient="alice@example.org", sender="bob@example.net",
             body=b"Subject: x\r\n\r\nx\r\n"):
        """A whole transaction; the reply to the first command refused, or to
        the message."""
        recipients = [recipient] if isinstance(recipient, str) else recipient
        for line in ["EHLO client.example", "MAIL FROM:<%s>" % sender] + [
                "RCPT TO:<%s>" % one for one in recipients] + ["DATA"]:
            code, texts = self.say(line)
            if code >= 400:
                return code, texts
        self.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return self.reply()

    def closed(self):
        """True when the server closed and said nothing more."""
        try:
            return not self.rest and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()
