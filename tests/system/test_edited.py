# SPDX-License-Identifier: ISC
"""Mail that a filter has changed, on its way through the queue: delivered,
returned and kept over a crash as it was changed; held when a filter wants
that."""
import socket
import struct
import threading

import pytest

from postern import until
from smtp_peer import Stranger

VERSION, ACTIONS = 6, 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40
NO_ANSWER = b"DAQK"       # macros, abort, quit


def text(*words):
    return b"".join(word + b"\0" for word in words)


class Filter(threading.Thread):
    """Answers "continue" to everything; .changes are sent at the end of each
    message: packets without their length."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.changes = []
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(connection,),
                             daemon=True).start()

    def talk(self, connection):
        stream = connection.makefile("rb")

        def say(packet):
            connection.sendall(struct.pack(">I", len(packet)) + packet)
        while True:
            head = stream.read(4)
            if len(head) < 4:
                return
            packet = stream.read(struct.unpack(">I", head)[0])
            command = packet[:1]
            if command == b"O":
                say(b"O" + struct.pack(">III", VERSION, ACTIONS, 0))
                continue
            if command == b"Q":
                return
            if command in NO_ANSWER:
                continue
            for change in self.changes if command == b"E" else []:
                say(change)
            say(b"c")


@pytest.fixture
def one(server):
    refusing = Stranger(replies={"RCPT": "550 5.1.1 nobody here"})
    silent = Stranger(replies={"RCPT": "450 4.2.0 later"})
    milter = Filter()
    one = server(text="relay-from = { 127.0.0.1 }\n"
                 "allow-loopback = yes\nretry-first = 1h\n"
                 'route "refuse.example" { host = "127.0.0.1" port = %d '
                 'mx = no }\n'
                 'route "later.example" { host = "127.0.0.1" port = %d '
                 'mx = no }\n'
                 'milter sieve { host = "127.0.0.1" port = %d }\n'
                 "milters = { sieve }\n" % (
                     refusing.port, silent.port, milter.port))
    one.milter, one.later = milter, silent
    return one


CHANGES = [b"h" + text(b"X-Checked", b"yes"),
           b"m" + struct.pack(">I", 1) + text(b"Subject", b""),
           b"b" + b"the new body\r\n"]
BODY = b"Subject: old\r\nTo: you\r\n\r\n" + b"the old body\r\n" * 20000


def test_delivered_and_returned(one):
    """The mailbox, the report and `queue cat` have what the filter made."""
    one.milter.changes = CHANGES
    one.send(sender="alice@example.org", body=BODY)
    message, = one.wait_messages("alice")
    header, body = message.replace(b"\r\n", b"\n").split(b"\n\n", 1)
    assert body == b"the new body\n"
    assert b"\nX-Checked: yes" in header and b"\nTo: you" in header
    assert b"Subject:" not in header
    one.send("x@refuse.example", "alice@example.org", BODY)
    report = [text for text in one.wait_messages("alice", 2)
              if text != message][0]
    assert b"X-Checked: yes" in report and b"Subject: old" not in report


def test_kept(one):
    """Over a crash of everything; the original is kept as well, to look at."""
    one.milter.changes = CHANGES
    identifier = one.send("x@later.example", "alice@example.org", BODY)
    one.wait_log("m=%s queue defer" % identifier)
    before = one.command("queue", "cat", identifier, text=False, check=0)[1]
    assert before.endswith(b"\r\n\r\nthe new body\r\n")
    one.kill_all()
    one.start()
    assert one.command("queue", "cat", identifier, text=False)[1] == before
    assert one.command("queue", "cat", "--original", identifier,
                       text=False)[1] == BODY
    (entry,) = one.queue("show", identifier)
    assert entry["edited"] and entry["size"] == len(before)
    empty = one.send("x@later.example", "alice@example.org", b"")
    assert one.command("queue", "cat", "--original", empty,
                       text=False)[:2] == (0, b"")
    one.command("queue", "delete", empty, check=0)
    one.later.replies = {}
    one.command("queue", "retry", "--all", check=0)
    until(lambda: one.later.messages, what="the delivery")
    assert one.later.messages[0][3].replace(b"\n", b"\r\n").replace(
        b"\r\r", b"\r") == before


def test_held(one):
    """Safe, and not sent before somebody lets it go."""
    one.milter.changes = [b"q" + text(b"smells")]
    identifier = one.send(sender="alice@example.org")
    (entry,) = one.queue("show", identifier)
    recipient = entry["recipients"][0]
    assert entry["state"] == "held" and recipient["held-by"] == "filter"
    assert "smells" in recipient["held"]
    out = one.command("queue", "list", check=0)[1]
    assert "smells" in out and "by a filter" in out
    one.command("queue", "retry", "--all")
    one.kill_all()
    one.start()
    assert one.messages("alice") == []
    one.command("queue", "release", identifier, check=0)
    one.wait_messages("alice")
