# SPDX-License-Identifier: ISC
"""Strangers who mean harm, and a disk that is full: nothing but their own
connection suffers, memory is bounded, nothing that was accepted is lost."""
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from postern import BINARY, Talk, dead_port, until
from smtp_peer import Stranger

# Freed memory would count as used while it is in the sanitizer's quarantine.
SLIM = {"ASAN_OPTIONS": "quarantine_size_mb=1:"
        "thread_local_quarantine_size_kb=16"}
MEGABYTE = 1 << 20


def resident(pid):
    """Bytes of memory that a process has in use."""
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS of %d" % pid)


def push(connection, data, seconds=20):
    """Sends until everything is gone, the other side takes no more for half a
    second, or hangs up; returns how much left."""
    sent, end = 0, time.monotonic() + seconds
    connection.setblocking(False)
    while sent < len(data) and time.monotonic() < end:
        _, writable, _ = select.select([], [connection], [], 0.5)
        if not writable:
            break
        try:
            sent += connection.send(data[sent:sent + 65536])
        except (BrokenPipeError, ConnectionResetError):
            break
    connection.setblocking(True)
    connection.settimeout(20)
    return sent


@pytest.fixture(scope="module")
def one(module_server):
    """The victim that the tests of this file share."""
    return module_server(environment=SLIM, users=("*",), text=(
        "max-recipients = 100\nmax-sessions-per-client = 500\n"))


@pytest.fixture(autouse=True)
def unharmed(request):
    """After each test on the shared server: the same processes as before, and
    mail still flows."""
    if "one" not in request.fixturenames:
        yield
        return
    victim = request.getfixturevalue("one")
    pids = sorted(victim.role_pids())
    yield
    assert sorted(victim.role_pids()) == pids, victim.read_log()[-3000:]
    before = len(victim.messages("unharmed"))
    victim.send("unharmed@example.org")
    victim.wait_messages("unharmed", before + 1)


# --- the control socket ---

def hello(role=0, verb=0, magic=b"POSTERN1"):
    return magic + bytes([role, verb]) + bytes(6)


def control(victim):
    connection = socket.socket(socket.AF_UNIX)
    # waits while the backlog is full, which a timeout would not
    connection.setblocking(True)
    connection.connect(victim.parts["state"] + "/run/control")
    connection.settimeout(20)
    return connection


SMTPD, QUEUE, DELIVERY, POLICY = 1, 2, 3, 5    # base/role.h


def test_role_number(one):
    """The numbers below mean what they should: a real request by hand."""
    with control(one) as connection:
        connection.sendall(hello(QUEUE) +
                           b'{"verb":"stats","arguments":{}}\n')
        answer = connection.makefile().read().splitlines()
    assert json.loads(answer[-1])["end"] == 0
    assert "total" in json.loads(answer[-2])


@pytest.mark.parametrize("data", [
    b"", b"P", b"POSTERN1", hello()[:15], b"\0" * 16, b"\xff" * 16,
    b"GET / HTTP/1.1\r\n\r\n", hello(magic=b"POSTERN2"), hello(255),
    hello(200, 200) + b"x" * 100000], ids=range(10))
def test_wrong_hello(one, data):
    """Closed without a word, whoever hangs up first."""
    with control(one) as connection:
        if data:
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass
    assert one.command("status")[0] == 0


def nested(depth):
    return b'{"verb":"list","arguments":{"id":' + b"[" * depth + \
        b"]" * depth + b"}}\n"


@pytest.mark.parametrize("data", [
    hello(0, 99), hello(SMTPD) +
    b'{"verb":"trial","arguments":{"client":"nobody"}}\n', hello(DELIVERY, 1) + b"\n", hello(4),
    hello(POLICY) + b'{"verb":"explain","arguments":{"domain":7}}\n',
    hello(POLICY) + b'{"verb":"explain","arguments":{"domain":"a b"}}\n',
    hello(POLICY) + b'{"verb":"explain","arguments":{"domain":"[x]"}}\n',
    hello(POLICY) + b'{"verb":"sts-forget","arguments":{"domain":[]}}\n',
    hello(POLICY) + b'{"verb":"explain","arguments":{"domain":"' +
    b"a." * 400 + b'"}}\n', hello(6),
    hello(QUEUE) + b"\n", hello(QUEUE) + b"nonsense\n",
    hello(QUEUE) + b"[]\n", hello(QUEUE) + b'"verb"\n',
    hello(QUEUE) + b'{"verb":"list"}\n',
    hello(QUEUE) + b'{"verb":7,"arguments":{}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":[]}\n',
    hello(QUEUE) + b'{"verb":"destroy","arguments":{}}\n',
    hello(QUEUE) + b'{"verb":"list","verb":"list","arguments":{}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"colour":"red"}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"id":"-1"}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"id":{}}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"id":[1,null,"zz"]}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"older":-5}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"older":"x"}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"older":1e300}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"limit":"all"}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"sender":["a"]}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"sender":"a\\u0000b"}}\n',
    hello(QUEUE) + b'{"verb":"delete","arguments":{"all":"yes"}}\n',
    hello(QUEUE) + b'{"verb":"delete","arguments":{"all":false}}\n',
    hello(QUEUE) + b'{"verb":"hold","arguments":{"all":true,"note":7}}\n',
    hello(QUEUE) + b'{"verb":"list","arguments":{"sender":"\xff\xfe"}}\n',
    hello(QUEUE) + b'{"verb":"list\0","arguments":{}}\n',
    hello(QUEUE) + nested(10), hello(QUEUE) + nested(20000),
    hello(QUEUE) + b"x" * 70000,
    hello(QUEUE) + b'{"verb":"' + b"y" * 60000 + b'","arguments":{}}\n',
], ids=range(38))
def test_wrong_request(one, data):
    """One line with an exit code and a sentence; then closed."""
    with control(one) as connection:
        connection.sendall(data)
        text = connection.makefile("rb").read()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 1, text
    assert lines[0]["end"] in (1, 64, 69) and lines[0]["message"], lines
    if b'"list","arguments":{"sender":"a' not in data:
        assert lines[0]["end"] != 1 or b"note" in data


def test_half_a_request(one):
    """Whoever hangs up in the middle, or after a verb that has much to say."""
    for data in (hello(QUEUE), hello(QUEUE) + b'{"verb":"li',
                 hello(QUEUE) + b'{"verb":"list","arguments":{}}\n',
                 hello(QUEUE) + b'{"verb":"stats","arguments":{}}\n',
                 hello(0, 1)):
        for _ in range(5):
            connection = control(one)
            connection.sendall(data)
            connection.close()
    assert one.command("queue", "stats")[0] == 0


def test_descriptors_of_others(one):
    """A connection that a role has is none of the supervisor's: what happens
    on it is not taken for something on the next one."""
    for _ in range(200):
        passed = control(one)
        passed.sendall(hello(QUEUE))
        with control(one) as connection:
            passed.close()
            connection.sendall(hello(QUEUE) +
                               b'{"verb":"stats","arguments":{}}\n')
            answer = connection.makefile().read().splitlines()
            assert json.loads(answer[-1])["end"] == 0


def test_random_requests(one):
    """Bytes from a fixed seed."""
    source = random.Random(1)
    for turn in range(200):
        with control(one) as connection:
            data = source.randbytes(source.randrange(1, 400))
            if turn % 2:
                data = hello(QUEUE) + data + b"\n"
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                connection.makefile("rb").read()
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert one.command("status")[0] == 0


def test_silent_connections(one):
    """A hundred who say nothing do not keep a command out."""
    silent = [control(one) for _ in range(100)]
    for words in (["status"], ["queue", "stats"], ["reload"]):
        code, _, err = one.command(*words)
        assert code == 0, (words, err)
    # cut in the middle: not a command, closed at once
    for connection in silent[-30:]:
        try:
            connection.sendall(b"POST")
            assert connection.recv(1) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed before: it had been silent for too long
    assert one.command("status")[0] == 0
    for connection in silent:
        connection.close()


# --- SMTP: rubbish ---

def test_random_bytes(one):
    """Rubbish ends each connection or is answered with 5xx; meanwhile a
    decent client is served."""
    source = random.Random(2)
    decent = Talk(one.port)
    for turn in range(60):
        talk = Talk(one.port)
        data = source.randbytes(source.randrange(1, 3000))
        if turn % 3 == 0:
            data = bytes(byte & 0x7f for byte in data)
        if turn % 2:
            talk.send("EHLO client.example\r\n")
        push(talk.socket, data + b"\r\n")
        try:
            talk.socket.shutdown(socket.SHUT_WR)
            rest = talk.rest + talk.socket.makefile("rb").read()
        except (OSError, ConnectionResetError):
            continue
        for line in rest.splitlines():
            assert line[:1] in b"245" and line[:3].isdigit(), line
    assert decent.mail("alice@example.org")[0] == 250


def test_rubbish_for_a_handshake(server, certificate):
    """After 220 only TLS is read: anything else ends the connection."""
    victim = server(certificate=certificate)
    source = random.Random(3)
    pid = victim.pid_of("smtpd")
    for turn in range(30):
        talk = Talk(victim.port)
        talk.say("EHLO client.example")
        assert talk.code("STARTTLS") == 220
        data = source.randbytes(source.randrange(1, 600))
        if turn % 2:    # looks like a record of a handshake
            data = struct.pack("!BHH", 22, 0x0301, len(data)) + data
        push(talk.socket, data)
        try:
            talk.socket.shutdown(socket.SHUT_WR)
            rest = talk.socket.makefile("rb").read()
        except OSError:
            rest = b""      # it hung up first
        assert not rest.startswith((b"2", b"4", b"5")), rest
    assert victim.pid_of("smtpd") == pid


@pytest.mark.parametrize("where", ["command", "data", "bdat-line"])
def test_endless_line(one, where):
    """SMTP-24: a line without end is not kept."""
    pid = one.pid_of("smtpd")
    before = resident(pid)
    talk = Talk(one.port)
    if where != "command":
        talk.say("EHLO client.example")
        talk.say("MAIL FROM:<bob@example.net>")
        assert talk.code("RCPT TO:<alice@example.org>") == 250
    if where == "data":
        assert talk.code("DATA") == 354
    if where == "bdat-line":
        talk.send("BDAT 1")
    push(talk.socket, b"1" * (40 * MEGABYTE))
    assert resident(pid) - before < 8 * MEGABYTE
    try:
        if where == "data":
            talk.socket.sendall(b"\r\n.\r\n")
        code, texts = talk.reply()
        assert code in (500, 501, 550, 552, 421), texts
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert one.messages("alice", "example.org").count(b"1" * 1000) == 0


def test_replies_nobody_reads(one):
    """Who sends commands and never reads costs no memory."""
    pid = one.pid_of("smtpd")
    before = resident(pid)
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    push(talk.socket, b"NOOP x\r\n" * (2 * MEGABYTE))
    assert resident(pid) - before < 8 * MEGABYTE


def test_recipients_over_the_limit(one):
    """SMTP-55: those within it are kept, the others are told to come again;
    asking for too many is no crime."""
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.send("MAIL FROM:<bob@example.net>\r\n" + "".join(
        "RCPT TO:<many%d@example.org>\r\n" % i for i in range(1100)))
    assert talk.reply()[0] == 250
    replies = [talk.reply() for _ in range(1100)]
    assert [code for code, _ in replies[:100]] == [250] * 100
    assert {(code, texts[0][:5]) for code, texts in replies[100:]} == {
        (452, "4.5.3")}
    assert talk.code("DATA") == 354
    assert talk.code("Subject: many\r\n\r\nx\r\n.") == 250
    one.wait_messages("many0")
    one.wait_messages("many99")
    assert one.messages("many100") == []


@pytest.mark.parametrize("size,codes", [
    ("99999999999999999999", (552, 501)), ("18446744073709551615", (552,)),
    ("9223372036854775808", (552,)), ("-1", (501,)), ("", (501,)),
    ("1e9", (501,)), ("0x10", (501,)), ("1 SIZE=1", (501,))])
def test_absurd_sizes(one, size, codes):
    """SMTP-93, SMTP-94."""
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    code, texts = talk.say("MAIL FROM:<bob@example.net> SIZE=" + size)
    assert code in codes, texts
    assert talk.code("MAIL FROM:<bob@example.net> SIZE=0") == 250


@pytest.mark.parametrize("size", [
    "18446744073709551615", "18446744073709551616", "9223372036854775807",
    "4294967296", "-1", "1 LAST LAST", "1 FIRST", "", "LAST", "0x1"])
def test_absurd_chunks(one, size):
    """SMTP-94, SMTP-107: refused, never waited for, never an overflow."""
    pid = one.pid_of("smtpd")
    before = resident(pid)
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<bob@example.net>")
    assert talk.code("RCPT TO:<absurd@example.org>") == 250
    talk.send("BDAT %s\r\n" % size)
    push(talk.socket, b"x" * MEGABYTE)
    talk.socket.settimeout(5)
    try:
        # 4 GB might be swallowed: no reply before they are there
        code, texts = talk.reply()
        assert code in (421, 501, 552, 554), texts
    except TimeoutError:
        assert size == "4294967296"
    except (ConnectionResetError, EOFError):
        pass
    talk.close()
    assert resident(pid) - before < 8 * MEGABYTE
    assert one.messages("absurd") == []


def test_tiny_chunks(one):
    """SMTP-102: ten thousand chunks of one byte are one message."""
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<bob@example.net>")
    talk.say("RCPT TO:<tiny@example.org>")
    head, count = b"Subject: tiny\r\n\r\n", 10000
    body = head + b"".join(b"%07d\r\n" % i for i in range(
        (count - len(head)) // 9))
    replies = []

    def read():
        replies.extend(talk.reply()[0] for _ in range(len(body) + 1))
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    talk.send(b"".join(b"BDAT 1\r\n" + body[i:i + 1]
                       for i in range(len(body))) + b"BDAT 0 LAST\r\n")
    reader.join(60)
    assert replies == [250] * (len(body) + 1)
    (got,) = one.wait_messages("tiny")
    assert got.endswith(body.replace(b"\r\n", b"\n"))


def test_slow_clients(one):
    """Two hundred who type with one finger cost the others nothing."""
    stop = threading.Event()
    slow = []
    for _ in range(200):
        talk = Talk(one.port, greeting=False)
        slow.append(talk.socket)

    def drip():
        for byte in (b"EHLO client.example\r\nMAIL FROM:<bob@example.net>\r\n"
                     b"RCPT TO:<alice@example.org>\r\nDATA\r\n" +
                     b"x" * 10000):
            for connection in slow:
                connection.send(bytes([byte]))
            if stop.wait(0.01):
                return
    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started = time.monotonic()
    for _ in range(20):
        assert Talk(one.port).mail("quick@example.org")[0] == 250
    one.wait_messages("quick", 20)
    assert time.monotonic() - started < 20
    stop.set()
    thread.join(20)
    for connection in slow:
        connection.close()


def test_dripping_has_an_end(server):
    """Deadlines are for the whole: a byte now and then does not move them."""
    victim = server(text="command-timeout = 2s\ndata-timeout = 2s\n"
                    "message-timeout = 4s\n")
    command, data = Talk(victim.port), Talk(victim.port)
    data.say("EHLO client.example")
    data.say("MAIL FROM:<bob@example.net>")
    data.say("RCPT TO:<alice@example.org>")
    assert data.code("DATA") == 354
    ended = {}
    started = time.monotonic()
    while len(ended) < 2:
        assert time.monotonic() - started < 20, ended
        for name, talk in (("command", command), ("data", data)):
            if name in ended:
                continue
            readable, _, _ = select.select([talk.socket], [], [], 0.1)
            if readable:
                ended[name] = talk.reply()[0], time.monotonic() - started
            else:
                talk.send(b"x")
    assert ended["command"][0] == 421 and ended["command"][1] > 1
    assert ended["data"][0] == 421 and ended["data"][1] > 3
    assert victim.messages("alice") == []


# --- a full disk ---

@pytest.fixture
def disk(tmp_path):
    """A file system of 2 GB with nothing else on it."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    image, folder = tmp_path / "image", tmp_path / "disk"
    with open(image, "wb") as out:
        out.truncate(2048 * MEGABYTE)
    folder.mkdir()
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", str(image)],
                   check=True, timeout=60)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        pytest.skip("cannot mount: " + done.stderr)
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=60)
    image.unlink()


@pytest.fixture
def small(disk, server):
    """A server whose queue is on that disk, and whose mail waits."""
    peer = Stranger()
    peer.servers = []

    def make(low_space):
        victim = server(low_space=low_space, text=waiting(disk, dead_port()))
        peer.servers.append(victim)
        # the queue says how much mail it takes: a third of what it may fill;
        # soon it will need 32 MB of that for its log
        spare = 3 * victim.queue("stats")[-1]["total"]["space"]
        assert spare > 100 * MEGABYTE
        occupy(disk / "first", spare - 100 * MEGABYTE)
        return victim
    make.peer = peer
    yield make
    for victim in peer.servers:
        victim.stop()    # before the disk goes
    peer.close()


def waiting(disk, port):
    return (
        'queue-directory = "%s/queue"\nrelay-from = { 127.0.0.1 }\n'
        "allow-loopback = yes\nretry-first = 1h\nqueue-cache = 4M\n"
        'route "*" { host = "127.0.0.1" port = %d mx = no }\n' % (disk, port))


def occupy(path, size):
    with open(path, "wb") as out:
        os.posix_fallocate(out.fileno(), 0, size)


def letter(number, size=512 << 10):
    return b"Subject: %06d\r\n\r\n" % number + (b"y" * 900 + b"\r\n") * (
        size // 902)


def fill(victim, start=0, most=1000):
    """Sends until it is told 452; returns the numbers that were accepted."""
    accepted = []
    talk = Talk(victim.port)
    for number in range(start, start + most):
        code, texts = talk.mail("carol@example.net", "bob@example.org",
                                letter(number))
        if code != 250:
            assert (code, texts[0][:5]) == (452, "4.3.1"), texts
            return accepted
        accepted.append(number)
    raise AssertionError("the disk is never full")


def accepts_again(victim, number, seconds=30):
    """The number, when a message is taken within that time."""
    def sent():
        return Talk(victim.port).mail("carol@example.net", "bob@example.org",
                                      letter(number))[0] == 250
    until(sent, seconds, lambda: "mail to be accepted again:\n" +
          victim.read_log()[-2000:])
    return number


def deliver_all(victim, disk, peer):
    """Everything queued goes out; returns the numbers that arrived."""
    victim.configure(waiting(disk, peer.port))
    victim.command("reload", check=0)

    def gone():
        # what was on its way to nobody waits again: once more, then
        victim.command("queue", "retry", "--all")
        return not victim.queue("list")
    until(gone, 60, lambda: "all to be delivered:\n" +
          victim.read_log()[-2000:])
    return sorted(int(data.split(b"Subject: ")[1][:6])
                  for _, _, _, data in peer.messages)


def test_disk_fills_with_mail(small, disk):
    """452 4.3.1 in time, with room left; what was accepted is delivered. No
    process is restarted."""
    victim = small("8M")
    queue = victim.pid_of("queue")
    accepted = fill(victim)
    assert len(accepted) > 20
    status = os.statvfs(disk)
    assert status.f_bavail * status.f_frsize > 4 * MEGABYTE
    assert len(victim.queue("list")) == len(accepted)
    # the announced size is enough to be refused, and a small one is refused
    # as well
    talk = Talk(victim.port)
    talk.say("EHLO client.example")
    assert talk.code("MAIL FROM:<bob@example.org> SIZE=40000000") == 452
    talk.close()
    # what is queued can be worked with while nothing comes in
    gone = victim.queue("list", "--limit", "2")
    victim.command("queue", "delete", *(entry["id"] for entry in gone),
                   check=0)
    (disk / "first").unlink()
    number = accepts_again(victim, 900000)
    assert deliver_all(victim, disk, small.peer) == accepted[2:] + [number]
    assert victim.pid_of("queue") == queue


def test_small_disk_is_full(tmp_path):
    """Two rounds of tests/disk/full.py on 64 MiB: full because of mail, and to
    the last block because of others; nothing lost, 451 and 452 only, and it
    goes on by itself when there is room."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    full = os.path.join(os.path.dirname(__file__), "..", "disk", "full.py")
    done = subprocess.run(
        [sys.executable, full, "--cycles", "2", "--hold", "1"],
        capture_output=True, text=True, timeout=300,
        env=dict(os.environ, POSTERN=os.path.abspath(BINARY),
                 TMPDIR=str(tmp_path)))
    if done.returncode == 2:
        pytest.skip("cannot mount: " + done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
