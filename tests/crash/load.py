# SPDX-License-Identifier: ISC
"""The load of the crash test: who sends, over TLS and at a steady rate; where
what is relayed arrives, a server of our own that writes into the ledger before
it says 250; who empties the maildir; who reads the log.

Each keeps in .state what it is at, so that a kill can be told apart by what it
fell into.
"""
import os
import random
import re
import smtplib
import socket
import ssl
import threading
import time

from ledger import SENDER

RECIPIENT = {"relay": "carol@example.net", "local": "alice@example.org"}
SIZES = [200] * 8 + [2000] * 8 + [5000] * 6 + [20000] * 3 + [150000]
# Large messages come in two parts, and the next hop does not answer at once:
# kills are to fall into both.
SLOW_BYTES = 10000
SLOW_SECONDS = 0.05
TAKEN_SECONDS = 0.03
NUMBER = re.compile(rb"<n(\d+)@example\.org>")
IDENTIFIER = re.compile(rb"\sid ([0-9a-f]+)\s")


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def number_of(text):
    match = NUMBER.search(text)
    return int(match.group(1)) if match else None


def note(ledger, number, kind, text, begun=None):
    """A copy has arrived. Above what was sent stand the fields of who took
    it in, with the queue's identifier."""
    at = text.find(b"Subject: crash")
    match = IDENTIFIER.search(text[:max(at, 0)])
    if match and number is not None:
        ledger.identify(number, match.group(1).decode())
    ledger.received(number, kind, text[max(at, 0):], begun)


class Pace:
    """Turns at a steady rate, whoever takes them. A turn that nobody came for
    within a second is left out: a load that has stopped is not made up for."""

    def __init__(self, rate):
        self.lock = threading.Lock()
        self.step = 1.0 / rate
        self.next = time.monotonic()
        self.begun = self.next
        self.taken = 0

    def wait(self):
        with self.lock:
            now = time.monotonic()
            self.next = max(self.next, now - 1.0)
            mine = self.next
            self.next += self.step
            self.taken += 1
        time.sleep(max(mine - time.monotonic(), 0))


def open_session(port, context):
    """A client under TLS, greeted."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=20)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        client.starttls(context=context)
        client.ehlo()
        return client
    except BaseException:
        client.close()
        raise


def send_one(client, ledger, make_text, kinds, enter):
    """One message; enter(state) is told how far it is. An exception unless it
    got its 250."""
    number, text = ledger.add(make_text, kinds)
    steps = [("envelope", "MAIL FROM:<%s>" % (SENDER % number))] + [
        ("recipient", "RCPT TO:<%s>" % RECIPIENT[kind]) for kind in kinds] + [
            ("envelope", "DATA")]
    for state, step in steps:
        enter(state)
        code, reply = client.docmd(step)
        if code == -1:
            raise smtplib.SMTPServerDisconnected("no reply")
        if code not in (250, 354):
            ledger.answered(number, code, reply.decode())
            raise smtplib.SMTPDataError(code, reply)
    enter("content")
    client.send(text[:len(text) // 2])
    if len(text) > SLOW_BYTES:
        time.sleep(random.uniform(0, SLOW_SECONDS))
    ledger.sending(number)
    client.send(text[len(text) // 2:] + b".\r\n")
    enter("answer")
    code, reply = client.getreply()
    if code == -1:
        raise smtplib.SMTPServerDisconnected("no reply")
    ledger.answered(number, code, reply.decode())
    if code != 250:
        raise smtplib.SMTPDataError(code, reply)


class Sender(threading.Thread):
    """Sends until told to stop; a broken connection is made anew.

      idle -> hello -> envelope -> recipient -> content -> answer -> idle
    """

    def __init__(self, port, ledger, pace, seed):
        super().__init__(daemon=True)
        self.port = port
        self.ledger = ledger
        self.pace = pace
        self.random = random.Random(seed)
        self.context = client_context()
        self.client = None
        self.left = 0            # messages on this connection
        self.done = False
        self.state = "idle"

    def enter(self, state):
        self.state = state

    def text(self, number):
        size = self.random.choice(SIZES)
        line = bytes(self.random.choices(b"abcdefgh", k=70)) + b"\r\n"
        return (b"Subject: crash\r\n\r\nmessage %d\r\n" % number +
                line * (size // 72 + 1))

    def connect(self):
        while self.client is None and not self.done:
            self.state = "hello"
            try:
                self.client = open_session(self.port, self.context)
                self.left = self.random.randint(1, 30)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    def drop(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def turn(self):
        self.connect()
        if self.client is None:
            return
        kinds = ["relay"] + ["local"] * (self.random.random() < 0.25)
        try:
            send_one(self.client, self.ledger, self.text, kinds, self.enter)
            self.left -= 1
            if self.left == 0:
                self.client.docmd("QUIT")
                self.drop()
        except (OSError, smtplib.SMTPException):
            self.drop()

    def run(self):
        while not self.done:
            self.state = "idle"
            self.pace.wait()
            self.turn()
        self.drop()


class Sink(threading.Thread):
    """The host that mail is relayed to: STARTTLS, and only mail under it. What
    has come whole is in the ledger before it gets its 250."""

    def __init__(self, certificate, ledger):
        super().__init__(daemon=True)
        self.ledger = ledger
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.chain, certificate.key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.states = {}         # connection's number: state
        self.clear = 0           # mail outside of TLS: there must be none
        self.start()

    def run(self):
        number = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self.serve, args=(connection, number),
                             daemon=True).start()

    def serve(self, connection, number):
        self.states[number] = "hello"
        try:
            connection.settimeout(60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(b"220 mx.example.net ESMTP\r\n")
            if self.commands(connection, connection.makefile("rb"), number,
                             False):
                connection = self.context.wrap_socket(connection,
                                                      server_side=True)
                self.commands(connection, connection.makefile("rb"), number,
                              True)
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            del self.states[number]
            connection.close()

    @staticmethod
    def line(stream):
        line = stream.readline(4096)
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def content(self, stream):
        lines = []
        while True:
            line = self.line(stream)
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def take(self, stream, number, mail, begun):
        self.states[number] = "content"
        content = self.content(stream)
        note(self.ledger, mail, "relay", content, begun)
        self.states[number] = "taken"
        time.sleep(random.uniform(0, TAKEN_SECONDS))

    def commands(self, connection, stream, number, secure):
        """True when TLS is to begin."""
        mail, begun, recipients = None, None, 0
        replied = time.monotonic()
        while True:
            verb = self.line(stream)
            word = verb[:4].upper()
            reply = b"250 2.0.0 ok\r\n"
            if word == b"EHLO":
                reply = b"250-mx.example.net\r\n%s250-PIPELINING\r\n" \
                    b"250 8BITMIME\r\n" % (b"" if secure else
                                           b"250-STARTTLS\r\n")
            elif word == b"STAR":
                connection.sendall(b"220 2.0.0 go\r\n")
                return True
            elif word == b"MAIL":
                self.states[number] = "envelope"
                self.clear += not secure
                mail, recipients = number_of(verb), 0
                begun = replied, time.monotonic()
                self.ledger.trying(mail, "relay", replied)
            elif word == b"RCPT":
                recipients += 1
            elif word == b"DATA":
                connection.sendall(b"354 go\r\n")
                self.take(stream, number, mail if recipients == 1 else None,
                          begun)
            elif word == b"QUIT":
                connection.sendall(b"221 2.0.0 bye\r\n")
                return False
            replied = time.monotonic()    # what answers it comes later
            connection.sendall(reply)
            if word == b"DATA":
                self.states[number] = "between"

    def close(self):
        self.listener.close()


class Collector(threading.Thread):
    """Takes what is new in a maildir into the ledger, and away."""

    def __init__(self, folder, ledger):
        super().__init__(daemon=True)
        self.folder = folder     # .../new
        self.ledger = ledger
        self.done = False

    def collect(self):
        if not os.path.isdir(self.folder):
            return
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            with open(path, "rb") as mail:
                text = mail.read()
            note(self.ledger, number_of(text), "local", text)
            os.unlink(path)

    def half_written(self):
        """Names of files that are being written, or were when one died."""
        try:
            return set(os.listdir(os.path.join(
                os.path.dirname(self.folder), "tmp")))
        except FileNotFoundError:
            return set()

    def run(self):
        while not self.done:
            self.collect()
            time.sleep(0.1)


class LogReader(threading.Thread):
    """Follows the server's log. What it learns, it learns late, never early:
    a time that is later makes a bound wider."""

    ACCEPT = re.compile(rb" m=([0-9a-f]+) smtpd accept from=n(\d+)@")
    REMOVED = re.compile(rb"m=([0-9a-f]+) queue removed")
    UNFLUSHED = re.compile(rb"queue recovered unflushed=(\d+)")

    def __init__(self, ledger):
        super().__init__(daemon=True)
        self.paths = []          # each start has a log of its own
        self.ledger = ledger
        self.unflushed = []      # (when it was read, batches)
        self.done = False

    def line(self, line):
        match = self.REMOVED.search(line)
        if match:
            self.ledger.removed(match.group(1).decode())
            return
        match = self.ACCEPT.search(line)
        if match:
            self.ledger.identify(int(match.group(2)), match.group(1).decode())
            return
        match = self.UNFLUSHED.search(line)
        if match:
            self.unflushed.append((time.monotonic(), int(match.group(1))))

    def follow(self, path, is_last):
        rest = b""
        with open(path, "rb") as log:
            while not self.done:
                last = is_last()
                more = log.read(1 << 16)
                if not more and not last:
                    return
                if not more:
                    time.sleep(0.02)
                *lines, rest = (rest + more).split(b"\n")
                for line in lines:
                    self.line(line)

    def run(self):
        place = 0
        while not self.done:
            if place < len(self.paths):
                place += 1
                self.follow(self.paths[place - 1],
                            lambda: place == len(self.paths))
            else:
                time.sleep(0.02)
