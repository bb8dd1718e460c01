# SPDX-License-Identifier: ISC
"""Limits and tests of clients with the real processes: a rate that two smtpd
share, greylisting over a restart, a list in the DNS (Debian's NSD), who talks
before the greeting. The client is a stranger here: another address of
127.0.0.0/8 for each test."""
import os
import signal
import socket
import time

import pytest

from postern import Talk, free_port
from test_dns import NameServer

ZONE = """
$ORIGIN bl.example.
$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
21.0.0.127 A 127.0.0.4
22.0.0.127 A 127.255.255.254
"""

TEXT = """
relay-from = { 192.0.2.1 }
ipv6 = no
message-rate = "6/1h"
greylist = on
greylist-delay = 1s
dnsbl = { bl.example, dead.example }
resolver-timeout = 2s
stub-zones = { "bl.example 127.0.0.1@%d", "dead.example 127.0.0.1@%d" }
"""


class Stranger(Talk):
    """A client with that last number in its address."""

    def __init__(self, port, number):
        self.socket = socket.socket()
        self.socket.settimeout(20)
        self.socket.bind(("127.0.0.%d" % number, 0))
        self.socket.connect(("127.0.0.1", port))
        self.rest = b""


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    one = NameServer(folder, free_port(), ["bl.example", "dead.example"])
    one.write("bl.example", ZONE)    # and a SERVFAIL for dead.example
    yield one.start("bl.example")
    one.stop()


@pytest.fixture(scope="module")
def guarded(module_server, names):
    return module_server(workers=2, text=TEXT % (names.port, names.port))


def test_rate_of_two_workers(guarded):
    """Each worker gives what the other one has left."""
    pids = [guarded.pid_of("smtpd", number) for number in (0, 1)]
    codes = []
    for turn in range(4):
        os.kill(pids[turn % 2], signal.SIGSTOP)
        try:
            talk = Stranger(guarded.port, 11)
            assert talk.reply()[0] == 220
            talk.code("HELO x")
            for _ in range(2):
                codes.append(talk.say("MAIL FROM:<a@client.example>"))
                talk.code("RSET")
            talk.close()
        finally:
            os.kill(pids[turn % 2], signal.SIGCONT)
    assert [code for code, _ in codes] == [250] * 6 + [450] * 2, codes
    text = codes[6][1][0]
    assert text.startswith("4.7.1 message-rate of 127.0.0.11 is used up "
                           "(6 in 3600 s), come again in "), text
    assert 590 <= int(text.split()[-2]) <= 600, text
    other = Stranger(guarded.port, 12)
    other.reply()
    other.code("HELO x")
    assert other.code("MAIL FROM:<a@client.example>") == 250
    other.close()


def test_list(guarded):
    talk = Stranger(guarded.port, 21)
    assert talk.reply() == (554, ["5.7.1 127.0.0.21 is listed in bl.example "
                                  "(127.0.0.4)"])
    assert talk.closed()
    guarded.wait_log("smtpd reject addr=127.0.0.21 check=dnsbl ")
    # The list refuses to answer, and another one does not answer at all.
    talk = Stranger(guarded.port, 22)
    assert talk.reply()[0] == 220
    talk.close()
    guarded.wait_log("list-refuses list=bl.example answer=127.255.255.254")
    guarded.wait_log("list-failed list=dead.example")


def test_greylist(guarded):
    """What was seen before the restart is known behind it."""
    def send(recipient):
        talk = Stranger(guarded.port, 31)
        assert talk.reply()[0] == 220
        code, texts = talk.mail(recipient, "b@client.example")
        talk.close()
        return code, texts

    assert send("alice@example.org") == (
        451, ["4.7.1 greylisted, come again in 1 seconds"])
    begin = time.monotonic()
    guarded.stop()
    guarded.start()
    time.sleep(max(0, begin + 1.1 - time.monotonic()))
    assert send("alice@example.org")[0] == 250
    assert send("alice@example.org")[0] == 250
    guarded.wait_messages("alice", 2)


def test_greylist_is_listed_and_forgotten(guarded):
    """By an operator, for all of a network at once."""
    listed = guarded.command("policy", "greylist", "list", "client.example",
                             check=0)[1]
    assert "127.0.0.0/24" in listed
    assert "all of @client.example, last at " in listed
    forgotten = guarded.command("policy", "greylist", "forget", "127.0.0.200",
                                check=0)[1]
    assert "127.0.0.200: forgotten, " in forgotten
    guarded.command("policy", "greylist", "list", check=1)
    guarded.wait_log("verb=greylist-forget ")


def test_early_talker(guarded):
    guarded.configure(guarded.text + "greeting-delay = 30s\n")
    guarded.command("reload", check=0)
    quiet = Stranger(guarded.port, 41)
    talk = Stranger(guarded.port, 42)
    begin = time.monotonic()
    talk.send("EHLO x\r\n")
    assert talk.reply() == (554, ["5.5.0 wait for the greeting"])
    assert time.monotonic() - begin < 10
    guarded.wait_log("reject addr=127.0.0.42 check=early-talker ")
    # The other one still waits for it.
    quiet.socket.settimeout(0.2)
    with pytest.raises(socket.timeout):
        quiet.socket.recv(1)
    quiet.close()
    guarded.wait_log('disconnect reason=lost')
