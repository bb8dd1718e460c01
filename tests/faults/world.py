# SPDX-License-Identifier: ISC
"""One server under faults, its clients, and the judge.

The ledger knows each message by its number, which stands in its subject and in
its body. `problems` are broken promises; `notes` is what may happen under a
fault and is only counted.
"""
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

from page import FOR_EVER, Page
from sink import Sink

PATIENCE = 30.0        # nothing may take longer, however loaded the machine
FOR_EVER_SECONDS = 0.5  # how long a fault "for ever" is left there
SUBJECT = re.compile(rb"^Subject: fault-(\d+)", re.M)


def until(condition, seconds=PATIENCE):
    """What condition returned when it was true; None: it never was."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            return None
        time.sleep(0.01)


class Broken(Exception):
    """The world cannot go on; the problem is noted already."""


class Message:
    """What was sent, and what became of it."""

    def __init__(self, number, sender, recipients, size):
        self.number = number
        self.sender = sender
        self.recipients = recipients
        line = b"number %d of this test, and some text behind it.\r\n" % number
        self.body = line * max(1, size // len(line))
        self.digest = hashlib.sha256(self.body).hexdigest()
        self.accepted = []        # recipients that a 250 at the end covers
        self.state = "unknown"    # or accepted, refused: a reply came
        self.success = False      # asks to hear of success

    def text(self):
        return (b"From: <%s>\r\nSubject: fault-%d\r\n\r\n" % (
            self.sender.encode(), self.number)) + self.body


class Client:
    """One SMTP connection; replies are (code, last line)."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.stream = self.socket.makefile("rb")
        self.expect(220)

    def reply(self):
        while True:
            line = self.stream.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            if line[3:4] != b"-":
                return int(line[:3]), line.decode("latin-1").strip()

    def expect(self, wanted):
        code, text = self.reply()
        if code != wanted:
            raise Refused(code, text)
        return text

    def say(self, line, wanted=250):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.expect(wanted)

    def start_tls(self):
        self.say("STARTTLS", 220)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.stream = self.socket.makefile("rb")

    def begin(self, message, tls=False):
        """Until the body may be sent."""
        self.say("EHLO client.example")
        if tls:
            self.start_tls()
            self.say("EHLO client.example")
        self.say("MAIL FROM:<%s>" % message.sender)
        for one in message.recipients:
            self.say("RCPT TO:<%s>%s" % (
                one, " NOTIFY=SUCCESS" if message.success else ""))
        self.say("DATA", 354)

    def close(self):
        self.stream.close()
        self.socket.close()


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class World:
    def __init__(self, program, shim, folder, certificate):
        self.program, self.shim, self.folder = program, shim, folder
        os.makedirs(folder)
        self.state = os.path.join(folder, "state")
        self.log_path = os.path.join(folder, "log")
        self.page = Page(os.path.join(folder, "page"))
        self.sink = Sink(certificate)
        self.certificate = certificate
        self.port = self.find_port()
        self.configuration = os.path.join(folder, "postern.conf")
        self.configure()
        self.process = None
        self.closed = False
        self.reset()

    @staticmethod
    def find_port():
        with socket.create_server(("127.0.0.1", 0)) as one:
            return one.getsockname()[1]

    def configure(self):
        with open(self.configuration, "w") as out:
            out.write(
                'hostname = "mx.example.org"\n'
                'state-directory = "%s"\n'
                "drop-privileges = no\nsmtpd-workers = 1\nlow-space = 1M\n"
                "queue-cache = 8M\nallow-loopback = yes\n"
                "retry-first = 1s\nretry-max = 2s\n"
                'trust-anchor-file = ""\ntrust-file = "%s"\n'
                'domain "example.org" { users = { "alice", "bob", "dan" } }\n'
                'listen smtp { addresses = { "127.0.0.1" } port = %d }\n'
                'certificate "mx.example.org" { chain = "%s" key = "%s" }\n'
                'route "example.net" { host = "127.0.0.1" port = %d mx = no '
                "}\n"
                'destination "example.net" { level = encrypt }\n' % (
                    self.state, self.certificate.chain, self.port,
                    self.certificate.chain,
                    self.certificate.key, self.sink.port))

    # --- a run's beginning and end ---

    def reset(self, snapshot=None):
        """An empty world, or one as the snapshot has it."""
        shutil.rmtree(self.state, True)
        self.page.forget()
        self.sink.reset()
        self.messages = {}
        self.problems, self.notes = [], {}
        self.starts = 0
        self.must_end = False    # who is struck
        self.seen = {}           # mail that was read already
        self.deleted = None      # None, "asked" or "told" (by a success)
        open(self.log_path, "wb").close()
        if snapshot:
            shutil.copytree(snapshot.state, self.state)
            self.messages = dict(snapshot.messages)
            self.sink.receipts = list(snapshot.receipts)
            self.sink.asked = list(snapshot.asked)

    def note(self, what, count=1):
        self.notes[what] = self.notes.get(what, 0) + count

    def problem(self, text):
        if text not in self.problems:
            self.problems.append(text)

    def close(self):
        if not self.closed:
            self.closed = True
            self.kill_all()
            self.sink.close()
            self.page.close()

    # --- the server ---

    def ours(self):
        """Processes that have our page, by what their environment says."""
        wanted = b"POSTERN_FAULTS_PAGE=" + self.page.path.encode() + b"\0"
        found = []
        for path in glob.glob("/proc/[0-9]*/environ"):
            try:
                with open(path, "rb") as file:
                    if wanted in file.read() + b"\0":
                        found.append(int(path.split("/")[2]))
            except OSError:
                continue
        return found

    def kill_all(self):
        for _ in range(200):
            pids = self.ours()
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.process:
                self.process.poll()
            time.sleep(0.005)
        if self.process:
            self.process.wait()
        self.process = None

    def start(self):
        environment = dict(
            os.environ, LD_PRELOAD=self.shim, POSTERN_SCOPE=self.state,
            POSTERN_FAULTS_PAGE=self.page.path)
        self.starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", "-c", self.configuration],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment)
        self.wait_ready()

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def wait_ready(self):
        """Ready, or ended and started again."""
        seen = self.log().count(" ready hostname")

        def ready():
            return (self.process.poll() is not None or
                    self.log().count(" ready hostname") > seen)
        if not until(ready):
            self.problem("not ready in %d s" % PATIENCE)
            raise Broken
        self.look()

    def look(self):
        """As systemd does: who has ended is started again, when what harmed it
        for ever is gone."""
        if self.process.poll() is None:
            return
        self.note("supervisor ended")
        if not until(lambda: not self.ours(), 10):
            self.problem("roles outlive the supervisor")
            self.kill_all()
        order = self.page.order()
        if order.times > 1 and order.fired:
            self.page.disarm()
        if self.starts > 6:
            self.problem("does not start")
            raise Broken
        self.start()

    def check_ended(self):
        """A process that could not flush its store is gone."""
        pid = self.page.order().pid
        if self.must_end and pid and not until(
                lambda: not os.path.exists("/proc/%d" % pid), 5):
            self.problem("goes on after a failed flush")

    def stop(self):
        self.check_ended()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        # a role that does not end is killed after half a minute
        if not until(lambda: self.process.poll() is not None, 2 * PATIENCE):
            self.problem("does not stop")
            raise Broken
        if not until(lambda: not self.ours(), 10):
            self.problem("roles outlive the supervisor at the stop")
            self.kill_all()

    def command(self, *words):
        """The objects that it printed; None: it failed."""
        try:
            done = subprocess.run(
                [self.program, *words, "-c", self.configuration, "--json"],
                capture_output=True, text=True, timeout=PATIENCE,
                stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            self.problem("a command hangs: " + " ".join(words))
            return None
        if done.returncode != 0:
            return None
        return [json.loads(line) for line in done.stdout.splitlines()
                if line.startswith("{")]

    # --- sending ---

    def message(self, sender, recipients, size, **more):
        number = len(self.messages) + 1
        message = Message(number, sender, recipients, size)
        message.__dict__.update(more)
        self.messages[number] = message
        return message

    def attempt(self, message, tls):
        """One try; leaves what came of it in the message."""
        client, body_sent = None, False
        try:
            client = Client(self.port)
            client.begin(message, tls)
            body_sent = True
            client.socket.sendall(message.text())
            client.say(".")
            message.state = "accepted"
            message.accepted = message.recipients
            client.say("QUIT", 221)
        except Refused as refusal:
            if message.state == "unknown":
                message.state = "refused"
            if refusal.code >= 500:
                self.problem("refused for good: %s" % refusal)
            self.note("refused for now")
        except (EOFError, OSError, ValueError) as failure:
            if isinstance(failure, TimeoutError):
                self.problem("a session hangs")
            if message.state == "unknown" and not body_sent:
                message.state = "refused"     # it cannot have come whole
            self.note("connection broke")
        finally:
            if client is not None:
                client.close()
        return message.state == "accepted"

    def send(self, sender, recipients, size, tls=False, **more):
        """Tries, as clients do, until it is taken: each try is a message."""
        end = time.monotonic() + PATIENCE
        while True:
            self.look()
            message = self.message(sender, recipients, size, **more)
            if self.attempt(message, tls):
                return message
            if time.monotonic() > end:
                self.problem("mail is not taken")
                raise Broken
            time.sleep(0.05)

    # --- judging ---

    def arrived(self):
        """(number, recipient) -> [digest, ...] of what came, and the set of
        (number, recipient, action) of what senders were told."""
        came, told = {}, set()
        for path in glob.glob(os.path.join(
                self.state, "mail", "example.org", "*", "new", "*")):
            if path not in self.seen:
                self.seen[path] = self.read_mail(path)
            number, digest, reports = self.seen[path]
            told |= reports
            if digest:
                came.setdefault((number, path.split("/")[-3] +
                                 "@example.org"), []).append(digest)
        for place, (recipients, text) in enumerate(list(self.sink.receipts)):
            if place not in self.seen:
                self.seen[place] = self.read_text(
                    text.replace(b"\r\n", b"\n"))
            number, digest, _ = self.seen[place]
            for one in recipients:
                came.setdefault((number, one), []).append(digest)
        return came, told

    def read_mail(self, path):
        with open(path, "rb") as file:
            text = file.read()
        if b"\nContent-Type: multipart/report" in text:
            return 0, None, self.report(text)
        return self.read_text(text)

    @staticmethod
    def read_text(text):
        """number, digest, reports"""
        head, _, body = text.partition(b"\n\n")
        match = SUBJECT.search(head)
        number = int(match.group(1)) if match else 0
        return number, hashlib.sha256(
            body.replace(b"\n", b"\r\n")).hexdigest(), set()

    @staticmethod
    def report(text):
        match = SUBJECT.search(text)
        number = int(match.group(1)) if match else 0
        recipients = re.findall(
            rb"^Final-Recipient: rfc822; ?(\S+)\n(?:.*\n)*?Action: (\w+)",
            text, re.M)
        return {(number, one.decode(), action.decode())
                for one, action in recipients}

    def open_fates(self):
        """What must still come, as (number, recipient)."""
        came, told = self.arrived()
        missing = []
        for message in self.messages.values():
            for one in message.accepted:
                local = one.split("@")[0]
                if local == "never":
                    continue
                if local == "nobody":
                    if (message.number, one, "failed") not in told:
                        missing.append((message.number, one))
                    continue
                if (message.number, one) not in came:
                    missing.append((message.number, one))
                elif message.success and (message.number, one,
                                          "delivered") not in told:
                    missing.append((message.number, one + " (told)"))
        return missing

    def wait_fates(self):
        """All that was promised happens, and nobody has to help."""
        def settled():
            self.look()
            return not self.open_fates()
        if not until(settled):
            self.problem("neither arrived nor told: %s" % self.open_fates())

    def judge(self):
        """What can be said of the mail at the end of a run."""
        came, told = self.arrived()
        twice = 0
        for (number, recipient), digests in came.items():
            message = self.messages.get(number)
            if message is None or recipient not in message.recipients:
                self.problem("never sent: %d to %s" % (number, recipient))
                continue
            if any(digest != message.digest for digest in digests):
                self.problem("corrupt: %d to %s" % (number, recipient))
            if message.state == "refused":
                self.problem("arrived though refused: %d to %s" % (
                    number, recipient))
            twice += len(digests) - 1
        for number, recipient, action in told:
            good = recipient.split("@")[0] not in ("nobody", "never")
            if action == "failed" and good:
                self.problem("returned: %d to %s" % (number, recipient))
        if twice:
            self.note("arrived twice", twice)
        if self.sink.clear:
            self.problem("sent in clear where TLS is demanded")
        log = self.log()
        for line in log.splitlines():
            if " role died " in line and "signal=" in line and \
                    "signal=Killed" not in line:
                self.problem("a role crashed: " + line)
            if "body is damaged" in line or "level=bug" in line:
                self.problem("the log says: " + line)
        for text in ("looking closer", "salvag", "did not stop in time"):
            if text in log:
                self.note("log: " + text)

    def queue_left(self):
        """Recipients in the queue, by address; retried while the queue role is
        away."""
        found = until(lambda: self.listing())
        if found is None:
            self.problem("queue list does not answer")
            raise Broken
        return found[0]

    def listing(self):
        self.look()
        lines = self.command("queue", "list")
        if lines is None:
            # exit code 1 says that there is none; or the role is away
            done = self.command("queue", "stats")
            return None if done is None else [[]]
        return [[one["address"] for line in lines
                 for one in line.get("recipients", [])]]


class Watch(threading.Thread):
    """Takes away a fault that is there for ever, a while after it first
    struck."""

    def __init__(self, page):
        super().__init__(daemon=True)
        self.page = page
        self.ended = threading.Event()
        self.start()

    def run(self):
        struck = None
        while not self.ended.wait(0.01):
            order = self.page.order()
            if not order.fired:
                continue
            now = time.monotonic()
            struck = struck or now
            if order.times == FOR_EVER and now - struck > FOR_EVER_SECONDS:
                self.page.disarm()
                return

    def end(self):
        self.ended.set()
        self.join()
