# SPDX-License-Identifier: ISC
"""The outside of the scale bench, in threads and processes of its own: names,
destinations that do not answer, one that does, and clients that keep time."""
import multiprocessing
import os
import queue
import random
import signal
import socket
import struct
import subprocess
import threading
import time

DEAD, LIVE, LATE = "dead.lab", "live.test", "late.test"


# --- names ---

def answer_for(question):
    """The answer to one query: dN.dead.lab has the address 127.64+.x.y, one
    of its own for each N; nothing else has any data."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]])
        at += 1 + question[at]
    at += 1
    kind = struct.unpack("!H", question[at:at + 2])[0]
    end = at + 4
    number = labels[0][1:].decode("ascii", "replace").lower()
    head = question[:2] + struct.pack("!HHHHH", 0x8400, 1, 0, 0, 0)
    if kind == 1 and len(labels) == 3 and number.isdigit():
        value = int(number) + 1
        address = bytes([127, 64 + (value >> 16), value >> 8 & 255,
                         value & 255])
        head = question[:2] + struct.pack("!HHHHH", 0x8400, 1, 1, 0, 0)
        return head + question[12:end] + b"\xc0\x0c" + struct.pack(
            "!HHIH", 1, 1, 86400, 4) + address
    if len(labels) > 2 and kind != 1:
        # No such type: with an SOA, so that it is remembered.
        zone = question[at - 1 - sum(len(one) + 1 for one in labels[-2:]):at]
        soa = b"\xc0\x0c" + struct.pack("!HHHIIIII", 0, 0, 0, 0, 0, 0, 0, 0)
        data = b"\x00\x00" + struct.pack("!IIIII", 1, 86400, 86400, 86400,
                                         86400)
        soa = zone + struct.pack("!HHIH", 6, 1, 86400, len(data)) + data
        head = question[:2] + struct.pack("!HHHHH", 0x8400, 1, 0, 1, 0)
        return head + question[12:end] + soa
    return head + question[12:end]


def serve_names(one):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        question, peer = one.recvfrom(4096)
        try:
            one.sendto(answer_for(question), peer)
        except (IndexError, struct.error):
            pass


class Names:
    """A name server in a process of its own."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.process = multiprocessing.Process(
            target=serve_names, args=(self.socket,), daemon=True)
        self.process.start()

    def stop(self):
        self.process.kill()
        self.process.join()
        self.socket.close()


# --- hosts ---

class Dead:
    """A port of all 127.x.y.z that refuses, or (hanging) never answers: its
    queue of connections is full, so that the kernel drops what comes."""

    def __init__(self, hanging):
        self.socket = socket.socket()
        self.fillers = []
        while True:
            self.port = random.randrange(15000, 32000)
            try:
                self.socket.bind(("0.0.0.0", self.port))
                break
            except OSError:
                continue
        if hanging:
            self.socket.listen(0)
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", self.port))
                self.fillers.append(one)

    def stop(self):
        for one in self.fillers:
            one.close()
        self.socket.close()


class Sink(threading.Thread):
    """A host that takes everything, and says when: .arrived is {subject:
    monotonic time}; .port is told when it listens."""

    def __init__(self, port=0):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.arrived = {}
        self.times = []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        try:
            self.talk(connection)
        except OSError:
            pass
        connection.close()

    def talk(self, connection):
        rest = b""
        data = None
        connection.sendall(b"220 sink.test ESMTP\r\n")
        while True:
            got = connection.recv(65536)
            if not got:
                return
            rest += got
            while b"\n" in rest:
                line, rest = rest.split(b"\n", 1)
                if data is not None:
                    data = self.take(connection, data, line)
                    continue
                verb = line[:4].upper()
                if verb == b"DATA":
                    connection.sendall(b"354 go on\r\n")
                    data = b""
                elif verb == b"QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return
                else:
                    connection.sendall(b"250 ok\r\n")

    def take(self, connection, subject, line):
        line = line.rstrip(b"\r")
        if line != b".":
            return line[9:] if line.startswith(b"Subject: ") else subject
        now = time.monotonic()
        self.times.append(now)
        self.arrived.setdefault(subject.decode(), now)
        connection.sendall(b"250 ok\r\n")
        return None

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


# --- a client that keeps time ---

class Client:
    """One kept connection; send() returns how long the 250 took."""

    def __init__(self, port):
        self.port = port
        self.socket = None
        self.rest = b""

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.expect(b"220")
        self.say(b"EHLO client.test\r\n", b"250")

    def expect(self, code):
        while True:
            while b"\n" not in self.rest:
                got = self.socket.recv(65536)
                if not got:
                    raise OSError("closed")
                self.rest += got
            line, self.rest = self.rest.split(b"\n", 1)
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise OSError(line.decode("latin-1"))

    def say(self, text, code):
        self.socket.sendall(text)
        self.expect(code)

    def send(self, subject, recipient, sender="client@load.test"):
        if self.socket is None:
            self.connect()
        self.say(b"MAIL FROM:<%s>\r\n" % sender.encode(), b"250")
        self.say(b"RCPT TO:<%s>\r\n" % recipient.encode(), b"250")
        self.say(b"DATA\r\n", b"354")
        begin = time.monotonic()
        self.say(b"Subject: %s\r\n\r\n%s\r\n.\r\n" % (
            subject.encode(), b"x" * 1000), b"250")
        self.accepted = time.monotonic()
        return self.accepted - begin

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


class Steady(threading.Thread):
    """So many messages a second to a host that is up, until stop(): .replies
    are the seconds until each 250, .sent {subject: when that came}."""

    def __init__(self, port, recipient, rate, name):
        super().__init__(daemon=True)
        self.client = Client(port)
        self.recipient = recipient
        self.rate = rate
        self.label = name
        self.replies = []
        self.sent = {}
        self.error = None
        self.ended = threading.Event()
        self.start()

    def run(self):
        begin = time.monotonic()
        number = 0
        try:
            while not self.ended.is_set():
                subject = "%s-%d" % (self.label, number)
                self.replies.append(self.client.send(subject, self.recipient))
                self.sent[subject] = self.client.accepted
                number += 1
                # Open loop: what came late does not make the next one late.
                wait = begin + number / self.rate - time.monotonic()
                if wait > 0:
                    self.ended.wait(wait)
        except OSError as error:
            self.error = error
        self.client.close()

    def stop(self):
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error


# --- looking at the server ---

def memory_of(pid):
    """(RSS, PSS) of a process in MB; PSS counts shared pages by share."""
    values = {}
    try:
        with open("/proc/%d/smaps_rollup" % pid) as rollup:
            for line in rollup:
                words = line.split()
                if words[0] in ("Rss:", "Pss:"):
                    values[words[0]] = int(words[1]) / 1024
    except OSError:
        return 0, 0
    return values.get("Rss:", 0), values.get("Pss:", 0)


class Watch(threading.Thread):
    """The most memory that the queue's process had, and its log files."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.folder = os.path.join(server.parts["state"], "queue")
        self.most = {}          # phase: (RSS, PSS, log files)
        self.phase = "start"
        self.pid = 0
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.5):
            rss, pss = memory_of(self.pid) if self.pid else (0, 0)
            logs = 0
            try:
                logs = sum(name.startswith("log.")
                           for name in os.listdir(self.folder))
            except OSError:
                pass
            old = self.most.get(self.phase, (0, 0, 0))
            self.most[self.phase] = (max(old[0], rss), max(old[1], pss),
                                     max(old[2], logs))

    def stop(self):
        self.ended.set()
        self.join()


def disk_of(folder):
    """{kind of file: (files, MB on the disk)}"""
    kinds = {}
    for name in os.listdir(folder):
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError:
            continue
        kind = name.split(".")[0]
        files, size = kinds.get(kind, (0, 0))
        kinds[kind] = files + 1, size + status.st_blocks * 512 / 1e6
    return kinds


def seconds_of(pid):
    """Processor seconds so far."""
    with open("/proc/%d/stat" % pid) as stat:
        words = stat.read().rsplit(")", 1)[1].split()
    return sum(int(word) for word in words[11:13]) / os.sysconf("SC_CLK_TCK")
