# SPDX-License-Identifier: ISC
"""Smuggling and injection, on every kind of port and at every split: whatever
the way a sequence is cut into packets or TLS records, it means the same, and
nothing that stands behind refused content ever becomes a message. The mailboxes
and the queue are looked at, not only the answers."""
import base64
import concurrent.futures
import hashlib
import hmac
import os
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

from postern import BINARY, Talk, free_port
from smtp_peer import Stranger

USER, WORD = "alice@example.org", "Eichelh\u00e4her.12"
EVE = (b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<victim@example.org>\r\n"
       b"DATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n")
HEAD = b"Subject: outer\r\n\r\nfirst"
KINDS = ["smtp", "smtp-tls", "submission", "submissions"]
PRINTER = "127.3.0.1"   # listed in bare-newline-from
PAUSE = 0.004       # between two parts: the server reads the first one alone
AT_A_TIME = 12      # sessions that wait for each other's pauses


class Login:
    """SCRAM-SHA-256 (RFC 7677), which costs the server no password hashing;
    ours is done once."""

    def __init__(self):
        self.salted = {}

    def key(self, salt, count):
        if (salt, count) not in self.salted:
            self.salted[salt, count] = hashlib.pbkdf2_hmac(
                "sha256", WORD.encode(), salt, count)
        return self.salted[salt, count]

    def log_in(self, talk, flag="n"):
        """235, or the reply that is not. flag: what RFC 5802 6 has the client
        say about channel binding."""
        def mac(key, text):
            return hmac.new(key, text.encode(), "sha256").digest()
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = "n=%s,r=%s" % (USER, nonce)
        code, texts = talk.say("AUTH SCRAM-SHA-256 " + base64.b64encode(
            (flag + ",," + first).encode()).decode())
        if code != 334:
            return code
        challenge = base64.b64decode(texts[0]).decode()
        part = dict(item.split("=", 1) for item in challenge.split(","))
        assert part["r"].startswith(nonce) and len(part["r"]) > len(nonce)
        last = "c=%s,r=%s" % (base64.b64encode(
            (flag + ",,").encode()).decode(), part["r"])
        whole = ",".join((first, challenge, last))
        salted = self.key(base64.b64decode(part["s"]), int(part["i"]))
        key = mac(salted, "Client Key")
        proof = bytes(a ^ b for a, b in zip(key, mac(
            hashlib.sha256(key).digest(), whole)))
        code, texts = talk.say(base64.b64encode(("%s,p=%s" % (
            last, base64.b64encode(proof).decode())).encode()).decode())
        if code == 334:     # what the server has to say, too
            said = base64.b64decode(texts[0]).decode()
            assert said == "v=" + base64.b64encode(mac(mac(
                salted, "Server Key"), whole)).decode()
            code, texts = talk.say("")
        return code


class Target:
    """The server; .ports by kind; talk(kind) is ready for MAIL."""

    def __init__(self, make, certificate, authority):
        self.ports = {kind: free_port() for kind in (
            "submission", "submissions", "proxy", "proxies")}
        self.context = ssl.create_default_context(cafile=authority.chain)
        self.login = Login()
        self.outside = Stranger()
        lines = ['listen %s { addresses = { "127.0.0.1" } port = %d %s }\n' % (
            name, port, {
                "proxy": "service = smtp proxy-from = { 127.0.0.1 }",
                "proxies": "service = submission tls = implicit "
                "proxy-from = { 127.0.0.1 }"}.get(name, ""))
            for name, port in self.ports.items()]
        self.server = make(
            certificate=certificate, users=("alice", "victim"), workers=2,
            text="relay-from = { 192.0.2.1, %s }\nmax-message-size = 64K\n"
            "bare-newline-from = { %s }\nallow-loopback = yes\n"
            "max-sessions-per-client = 500\nreuse-idle = 1s\n" % (
                PRINTER, PRINTER) +
            'route "example.net" { host = "127.0.0.1" port = %d mx = no '
            "level = may }\n" % self.outside.port + "".join(lines))
        self.ports["smtp"] = self.ports["smtp-tls"] = self.server.port
        done = subprocess.run(
            [BINARY, "user", "add", USER, "-c", self.server.path],
            input=(WORD + "\n") * 2, capture_output=True, text=True,
            timeout=60)
        assert done.returncode == 0, done

    def connect(self, kind, source="127.0.0.1"):
        talk = Talk.__new__(Talk)
        talk.rest = b""
        talk.socket = socket.create_connection(
            ("127.0.0.1", self.ports[kind]), 20, (source, 0))
        talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return talk

    def wrap(self, talk):
        talk.socket = self.context.wrap_socket(
            talk.socket, server_hostname="mx.example.org",
            suppress_ragged_eofs=True)

    def talk(self, kind, login=True):
        """Greeted, under TLS but for smtp, logged in where that is asked."""
        talk = self.connect(kind)
        if kind == "submissions":
            self.wrap(talk)
        assert talk.reply()[0] == 220
        if kind in ("smtp-tls", "submission"):
            talk.say("EHLO client.example")
            assert talk.code("STARTTLS") == 220
            self.wrap(talk)
        assert talk.code("EHLO client.example") == 250
        if login and kind.startswith("submission"):
            assert self.login.log_in(talk) == 235
        return talk

    def open_data(self, kind):
        talk = self.talk(kind)
        for line, code in (("MAIL FROM:<alice@example.org>", 250),
                           ("RCPT TO:<victim@example.org>", 250),
                           ("DATA", 354)):
            assert talk.code(line) == code, line
        return talk

    def count(self):
        return len(self.server.messages("victim"))


def rest(talk):
    """Everything that is still said, until the other side closes."""
    said = talk.rest
    talk.socket.settimeout(10)
    try:
        while True:
            more = talk.socket.recv(65536)
            if not more:
                return said
            said += more
    except (ConnectionResetError, BrokenPipeError):
        return said
    except ssl.SSLError as problem:
        assert "timed out" not in str(problem)
        return said


def codes(said):
    """The replies' codes, in order, in what was said."""
    return [int(line[:3]) for line in said.split(b"\r\n")
            if re.match(rb"\d{3}( |$)", line)]


def send_parts(talk, parts):
    """One after the other; whoever hangs up in between has heard enough."""
    try:
        for number, part in enumerate(parts):
            if number:
                time.sleep(PAUSE)
            talk.socket.sendall(part)
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
        pass


def splits(data, first, last):
    """In one piece; in two, cut at every place from first to last; and byte by
    byte between these."""
    yield [data]
    for cut in range(first, last + 1):
        yield [data[:cut], data[cut:]]
    yield ([data[:first]] + [data[at:at + 1] for at in range(first, last)] +
           [data[last:]])


def each(work, cases):
    """work(case) for all of them, some at a time; the first failure counts."""
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(work, cases))


@pytest.fixture(scope="module")
def target(module_server, certificate, authority):
    one = Target(module_server, certificate, authority)
    yield one
    one.outside.close()


@pytest.fixture(autouse=True)
def nothing_smuggled(target):
    """After each test: no message but those that the test wanted, nobody's
    mailbox has what was smuggled, nothing is in the queue, and the same
    processes run."""
    pids = sorted(target.server.role_pids())
    yield
    target.server.wait_empty()
    for user in ("victim", "alice", "postmaster"):
        for text in target.server.messages(user):
            # in the header: as a message of its own
            assert b"smuggled" not in text.split(b"\n\n")[0], text
    assert sorted(target.server.role_pids()) == pids


# --- the end of data ---

ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n",
        b"\n.\r", b"\r.\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\r\n.\r\n",
        b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\n\r\n", b"\r\n.\r\0\n"]


@pytest.mark.parametrize("kind", KINDS)
def test_ends_of_data(target, kind):
    """SMTP-1, SMTP-2, SMTP-4, SMTP-7: 550 5.6 and the end of the session, for
    each sequence at each split; what follows is not heard."""
    before = target.count()

    def work(case):
        end, parts = case
        talk = target.open_data(kind)
        send_parts(talk, parts)
        said = rest(talk)
        assert re.fullmatch(rb"550[ -]5\.6\.\d+ [^\r\n]*\r\n", said), (
            end, parts, said)
        talk.close()
    each(work, [(end, parts) for end in ENDS for parts in splits(
        HEAD + end + EVE, len(HEAD), len(HEAD) + len(end))])
    assert target.count() == before


def test_ends_of_data_from_an_old_device(target):
    """SMTP-4, SMTP-6: where lone newlines are put right, they still end no
    message: one comes of it at most, here and at the next host, to which it is
    said with its lone dots doubled."""
    before, outside = target.count(), len(target.outside.messages)

    def work(end):
        talk = target.connect("smtp", PRINTER)
        assert talk.reply()[0] == 220
        for line, code in (("EHLO printer.example", 250),
                           ("MAIL FROM:<alice@example.org>", 250),
                           ("RCPT TO:<victim@example.org>", 250),
                           ("RCPT TO:<dora@example.net>", 250),
                           ("DATA", 354)):
            assert talk.code(line) == code, line
        send_parts(talk, [HEAD + end + EVE + b"QUIT\r\n"])
        said = codes(rest(talk))
        assert said in ([250, 221], [550]), (end, said)
        talk.close()
        return said[0] == 250
    # of these one has a true end, behind its lone CR
    ends = [end for end in ENDS if b"\r\n.\r\n" not in end]
    assert len(ends) == len(ENDS) - 1
    taken = sum(each(work, ends))
    assert taken >= 3      # those with line feeds only, at least
    target.server.wait_messages("victim", before + taken)
    target.server.wait_empty()
    assert target.count() == before + taken
    got = target.outside.messages[outside:]
    assert len(got) == taken
    for _, sender, recipients, data in got:
        assert recipients == ["<dora@example.net>"]
        assert b"Subject: outer\r\n" in data
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
        assert not re.search(rb"(?m)^\.\r\n", data)


@pytest.mark.parametrize("kind", KINDS)
def test_true_end_of_data(target, kind):
    """SMTP-2, SMTP-59: the same splits of what does end a message, with dots
    before it: one message, its text as it was, and the commands behind it (of
    which a group may consist, SMTP-82) obeyed."""
    before = target.count()
    text = b"\r\n..\r\n...x\r\n..MAIL FROM:<eve@example.net>\r\n.\r\n"
    data = HEAD + text + b"RSET\r\nNOOP\r\nQUIT\r\n"
    cases = list(splits(data, len(HEAD), len(HEAD) + len(text)))

    def work(parts):
        talk = target.open_data(kind)
        send_parts(talk, parts)
        assert codes(rest(talk)) == [250, 250, 250, 221], parts
        talk.close()
    each(work, cases)
    target.server.wait_messages("victim", before + len(cases))
    got = target.server.messages("victim")[before:]
    assert len(got) == len(cases)
    for one in got:
        assert one.endswith(b"\n\nfirst\n.\n..x\n"
                            b".MAIL FROM:<eve@example.net>\n")


@pytest.mark.parametrize("kind", KINDS)
def test_after_refusal_of_a_long_message(target, kind):
    """SMTP-95: what is too long is read to its end, and is no commands."""
    before = target.count()

    def work(_):
        talk = target.open_data(kind)
        send_parts(talk, [HEAD + b"\r\n" + (b"x" * 70 + b"\r\n") * 1200,
                          EVE[:-3], b".\r\nQUIT\r\n"])
        assert codes(rest(talk)) == [552, 221]
        talk.close()
    each(work, range(3))
    assert target.count() == before


@pytest.mark.parametrize("kind", KINDS)
def test_content_before_354(target, kind):
    """SMTP-8, SMTP-58, SMTP-86: a message that was sent along with a DATA that
    is refused, or not yet answered, is neither a message nor commands."""
    before = target.count()
    groups = [
        b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<nobody@example.org>\r\n"
        b"DATA\r\n",
        b"MAIL FROM:<alice@example.org>\r\nDATA\r\n", b"DATA\r\n",
        b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<alice@example.org>\r\n"
        b"DATA\r\n"]

    def work(group):
        talk = target.talk(kind)
        send_parts(talk, [group + EVE])
        said = codes(rest(talk))
        assert said[-1] == 554 and 221 not in said, (group, said)
        assert said.count(250) <= group.count(b"\r\n") - 1, (group, said)
        talk.close()
    each(work, groups)
    assert target.count() == before


# --- BDAT ---

WRONG_CHUNKS = [
    b"BDAT\r\n", b"BDAT LAST\r\n", b"BDAT -1\r\n", b"BDAT +20 LAST\r\n",
    b"BDAT 0x20 LAST\r\n", b"BDAT 20LAST\r\n", b"BDAT 20 LAS\r\n",
    b"BDAT 20 20 LAST\r\n", b"BDAT 20 LAST LAST\r\n", b"BDAT 2 0\r\n",
    b"BDAT 18446744073709551615 LAST\r\n",
    b"BDAT 18446744073709551636 LAST\r\n", b"BDAT 4294967316 LAST\r\n",
    b"BDAT 99999999999999999999999 LAST\r\n"]


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_no_size(target, kind):
    """SMTP-107, SMTP-108: a size that nobody can read leaves open where the
    chunk ends, so nothing behind it is obeyed; an absurd one has no end that
    counts."""
    before = target.count()

    def work(line):
        talk = target.talk(kind)
        for command in ("MAIL FROM:<alice@example.org>",
                        "RCPT TO:<victim@example.org>"):
            assert talk.code(command) == 250
        send_parts(talk, [line + b"RSET\r\n" + EVE + b"QUIT\r\n"])
        try:
            talk.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass    # the other side was quicker
        said = codes(rest(talk))
        assert not set(said) & {250, 354, 221}, (line, said)
        talk.close()
    each(work, WRONG_CHUNKS)
    assert target.count() == before


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_no_commands(target, kind):
    """SMTP-102, SMTP-107: what looks like an end and commands is content when
    it stands in a chunk, wherever that is split; a CRLF that two chunks share
    is one."""
    before = target.count()
    body = HEAD + b"\r\n.\r\n" + EVE
    cut = len(HEAD) + 1     # between CR and LF
    one = b"BDAT %d\r\n" % cut + body[:cut]
    two = b"BDAT %d LAST\r\n" % (len(body) - cut) + body[cut:]
    data = one + two + b"QUIT\r\n"
    cases = [*splits(data, len(one) - 3, len(one) + 22),
             *splits(data, len(one + two) - 4, len(one + two) + 3)]

    def work(parts):
        talk = target.talk(kind)
        for command in ("MAIL FROM:<alice@example.org>",
                        "RCPT TO:<victim@example.org>"):
            assert talk.code(command) == 250
        send_parts(talk, parts)
        assert codes(rest(talk)) == [250, 250, 221], parts
        talk.close()
    each(work, cases)
    target.server.wait_messages("victim", before + len(cases))
    got = target.server.messages("victim")[before:]
    assert len(got) == len(cases)
    for text in got:
        assert text.endswith(body.replace(b"\r\n", b"\n"))


BAD_CHUNKS = [[b"first\n.\n" + EVE], [b"first\r", b".\r\n" + EVE],
              [b"first\r\n.\r"], [b"first\n", b"\r\n"], [b"first\r\n\0.\r\n"],
              [b"first\r", b""]]


@pytest.mark.parametrize("kind", KINDS)
def test_bare_newlines_in_chunks(target, kind):
    """SMTP-5, SMTP-7, SMTP-103: refused as in DATA; the octets of the chunk and
    of those behind it are read and forgotten, or the session ends."""
    before = target.count()

    def work(case):
        bad, together = case
        chunks = [b"Subject: outer\r\n\r\n" + bad[0]] + bad[1:]
        sent = [b"BDAT %d%s\r\n" % (
            len(chunk), b" LAST" if number == len(chunks) - 1 else b"") + chunk
            for number, chunk in enumerate(chunks)]
        talk = target.talk(kind)
        for command in ("MAIL FROM:<alice@example.org>",
                        "RCPT TO:<victim@example.org>"):
            assert talk.code(command) == 250
        send_parts(talk, [b"".join(sent) + b"QUIT\r\n"] if together
                   else sent + [b"QUIT\r\n"])
        said = codes(rest(talk))
        assert 550 in said and not set(said) & {354}, (case, said)
        # chunks before the one that shows it may have been taken
        assert said.index(550) <= len(chunks) - 1, (case, said)
        talk.close()
    each(work, [(bad, together) for bad in BAD_CHUNKS
                for together in (True, False)])
    assert target.count() == before


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_out_of_order(target, kind):
    """SMTP-103, SMTP-104, SMTP-108: the octets of a chunk that is refused are
    not obeyed; DATA after BDAT neither."""
    before = target.count()
    chunk = b"BDAT %d LAST\r\n" % len(EVE) + EVE
    mail = b"MAIL FROM:<alice@example.org>\r\n"
    good, bad = (b"RCPT TO:<%s@example.org>\r\n" % one
                 for one in (b"victim", b"nobody"))
    cases = [chunk, mail + chunk, mail + bad + chunk,
             mail + bad + chunk + chunk,
             mail + good + b"BDAT 6\r\nfirst\nBDAT 3\r\nabc" + chunk,
             b"BDAT 70000\r\n" + EVE * 500 + b"x" * (70000 - len(EVE) * 500),
             mail + good + b"BDAT 70000 LAST\r\n" + (EVE * 500)[:70000]
             + b"x" * (70000 - len(EVE * 500))]

    def work(case):
        talk = target.talk(kind)
        send_parts(talk, [case + b"QUIT\r\n"])
        said = codes(rest(talk))
        assert 354 not in said and 200 < said[0] < 600, (case[:60], said)
        assert set(said) & {503, 550, 552, 554}, (case[:60], said)
        talk.close()
    each(work, cases)

    talk = target.talk(kind)
    for command in ("MAIL FROM:<alice@example.org>",
                    "RCPT TO:<victim@example.org>"):
        talk.say(command)
    talk.send(b"BDAT 5\r\nabc\r\n")
    assert talk.reply()[0] == 250
    assert talk.code("DATA") == 503
    talk.close()
    assert target.count() == before


# --- lines ---

LINES = [b"MAIL FROM:<alice@example.org>\nRCPT TO:<victim@example.org>\r\n",
         b"MAIL FROM:<alice@example.org>\rRCPT TO:<victim@example.org>\r\n",
         b"NOOP\nMAIL FROM:<alice@example.org>\n", b"NOOP\r\r\n",
         b"\r", b"\n", b"RSET\r\0\n"]


@pytest.mark.parametrize("kind", KINDS)
def test_ends_of_lines(target, kind):
    """SMTP-1, SMTP-4: a lone CR or LF ends the session, not a line; at each
    split. SMTP-7: NUL makes a line wrong, but no end of it."""
    before = target.count()

    def work(parts):
        talk = target.talk(kind)
        send_parts(talk, parts)
        said = codes(rest(talk))
        assert said == [500], (parts, said)
        talk.close()
    each(work, [parts for line in LINES for parts in splits(
        line + EVE, 0 if len(line) < 12 else len(line) // 2 - 3,
        len(line)) if all(parts)])
    talk = target.talk(kind)
    for parts in splits(b"RSET\0MAIL FROM:<alice@example.org>\r\n", 3, 6):
        send_parts(talk, parts)
        assert talk.reply()[0] == 500
    assert talk.code("RCPT TO:<victim@example.org>") == 503
    talk.close()
    assert target.count() == before


# --- STARTTLS ---

@pytest.mark.parametrize("kind", ["smtp", "submission"])
def test_commands_behind_starttls(target, kind):
    """TLS-8, TLS-26, TLS-27: what comes behind STARTTLS in clear, in whatever
    packet, is neither obeyed in clear nor under TLS; the session ends."""
    before = target.count()
    first = b"STARTTLS\r\n"
    tails = [b"EHLO evil.example\r\n" + EVE, b"RSET\r\n", b"\r\n", b"N",
             b"NOOP\r\nQUIT\r\n",
             b"AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHg=\r\n"]

    def work(parts):
        talk = target.connect(kind)
        assert talk.reply()[0] == 220
        assert talk.code("EHLO client.example") == 250
        send_parts(talk, parts)
        try:
            talk.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        said = rest(talk)
        # a reset on its way may have taken the reply along
        assert not said or re.match(rb"(220|503|554) [^\r\n]*\r\n", said), (
            parts, said)
        # behind that only TLS speaks, if anything: alerts are not replies
        assert len(codes(said)) <= 1, (parts, said)
        talk.close()
    each(work, [parts for tail in tails for parts in splits(
        first + tail, 6, len(first) + 1) if all(parts)])
    assert target.count() == before


@pytest.mark.parametrize("kind", ["smtp", "submission"])
def test_handshake_behind_commands(target, kind):
    """TLS-27, TLS-30: with commands between STARTTLS and a good handshake there
    is no session under TLS in which they might come to life."""
    for tail in (b"EHLO evil.example\r\n", b"NOOP\r\n", EVE):
        talk = target.connect(kind)
        talk.reply()
        talk.say("EHLO client.example")
        talk.send(b"STARTTLS\r\n" + tail)
        code = talk.reply()[0]
        assert code in (503, 554)
        with pytest.raises(OSError):
            target.wrap(talk)
            talk.socket.sendall(b"NOOP\r\n")
            assert talk.socket.recv(100) == b"", "there is a session"
            raise OSError
        talk.close()


@pytest.mark.parametrize("kind", ["smtp", "submission"])
def test_starttls_in_a_group(target, kind):
    """SMTP-8, SMTP-84: EHLO and STARTTLS in one packet, as whoever injects
    them would send it; and nothing of a mail begun before survives (TLS-9)."""
    for group in (b"EHLO evil.example\r\nSTARTTLS\r\n",
                  b"EHLO evil.example\r\nSTARTTLS\r\nEHLO evil.example\r\n" +
                  EVE, b"NOOP\r\nSTARTTLS\r\n" + EVE):
        talk = target.connect(kind)
        talk.reply()
        talk.say("EHLO client.example")
        send_parts(talk, [group])
        said = codes(rest(talk))
        assert said[-1] in (503, 554) and 220 not in said, (group, said)
        talk.close()


@pytest.mark.parametrize("kind", ["submissions", "proxies"])
def test_clear_words_on_the_port_of_tls(target, kind):
    """TLS-33: not a word of SMTP is answered in clear."""
    def work(parts):
        talk = target.connect(kind)
        send_parts(talk, ([b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"]
                          if kind == "proxies" else []) + parts)
        try:
            talk.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        said = rest(talk)
        assert not codes(said) and b"220" not in said, (parts, said)
        talk.close()
    each(work, list(splits(b"EHLO client.example\r\n" + EVE, 0, 21))[:1] + [
        [b"EHLO x\r\n", EVE], [b"\r\n"], [b"STARTTLS\r\n"]])


# --- AUTH ---

def plain(word):
    return base64.b64encode(("\0%s\0%s" % (USER, word)).encode())


@pytest.mark.parametrize("kind", ["submission", "submissions"])
def test_mail_behind_auth(target, kind):
    """SMTP-8, SMTP-84 (RFC 4954 4): a response is one line, of the one who was
    asked for it; commands that were sent along are not obeyed, and never with
    rights that the login did not give."""
    before = target.count()
    groups = [
        b"AUTH PLAIN\r\n" + plain("wrong") + b"\r\n" + EVE,
        b"AUTH PLAIN\r\n*\r\n" + EVE,
        b"AUTH PLAIN\r\n\r\n" + EVE,
        b"AUTH PLAIN\r\n" + EVE,
        b"AUTH LOGIN\r\n" + base64.b64encode(USER.encode()) + b"\r\n" + EVE,
        b"AUTH PLAIN " + plain("wrong") + b"\r\n" + EVE,
        b"AUTH PLAIN\r\n" + plain(WORD) + b"\n" + EVE,
        b"AUTH PLAIN\r\n" + plain(WORD) + b"\0\r\n" + EVE,
        b"AUTH PLAIN " + plain(WORD) + b"\n" + EVE,
        b"AUTH PLAIN " + plain(WORD) + b"\r" + EVE,
        b"AUTH PLAIN =" + plain(WORD) + b"\r\n" + EVE,
        b"AUTH PLAIN " + plain(WORD) + b" x\r\n" + EVE]
    for number, group in enumerate(groups):
        talk = target.connect(kind)
        talk.socket.close()
        # of an address of its own, for failures are counted
        talk.socket = socket.create_connection(
            ("127.0.0.1", target.ports[kind]), 20,
            ("127.%d.2.%d" % (90 + (kind == "submissions"), number + 1), 0))
        if kind == "submissions":
            target.wrap(talk)
        assert talk.reply()[0] == 220
        if kind == "submission":
            talk.say("EHLO client.example")
            assert talk.code("STARTTLS") == 220
            target.wrap(talk)
        talk.say("EHLO client.example")
        send_parts(talk, [group + b"QUIT\r\n"])
        said = codes(rest(talk))
        assert 235 not in said and 354 not in said and 250 not in said, (
            group, said)
        talk.close()
    assert target.count() == before


def test_split_response(target):
    """A response that comes byte by byte is the same response."""
    for parts in splits(b"AUTH PLAIN " + plain(WORD) + b"\r\n", 8, 14):
        talk = target.talk("submissions", login=False)
        send_parts(talk, parts)
        assert talk.reply()[0] == 235
        talk.close()
    talk = target.talk("submissions", login=False)
    assert talk.code("AUTH PLAIN") == 334
    send_parts(talk, [bytes([one]) for one in plain(WORD) + b"\r\n"])
    assert talk.reply()[0] == 235
    talk.close()


def test_scram_when_plus_was_hidden(target):
    """RFC 5802 6: a client that could bind to the channel, and says that it was
    not offered to, has heard somebody else's list; with a right password it is
    refused. One that cannot is let in."""
    talk = target.talk("submissions", login=False)
    assert target.login.log_in(talk, "y") == 535
    assert target.login.log_in(talk, "n") == 235
    talk.close()


# --- PROXY ---

ONE = b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 25\r\n"
LISTED = b"PROXY TCP4 192.0.2.1 192.0.2.8 1111 25\r\n"     # in relay-from


def binary(address):
    """Version 2, for TCP over IPv4."""
    return (b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack(">H", 12) +
            socket.inet_aton(address) + socket.inet_aton("192.0.2.8") +
            struct.pack(">HH", 1111, 25))


def may_relay(talk):
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<alice@example.org>")
    return talk.code("RCPT TO:<dora@example.net>") == 250


@pytest.mark.parametrize("header", [LISTED, binary("192.0.2.1")],
                         ids=["text", "binary"])
def test_proxy_header_at_each_split(target, header):
    """The header names the client, in whatever packets it comes."""
    def work(parts):
        talk = target.connect("proxy")
        send_parts(talk, parts)
        assert talk.reply()[0] == 220
        assert may_relay(talk), parts
        talk.close()
    each(work, [parts for parts in splits(header, 0, len(header))
                if all(parts)])


@pytest.mark.parametrize("kind", ["proxy", "proxies"])
def test_proxy_header_twice(target, kind):
    """The second is nobody's word: in one packet with the first it is input
    before the greeting (SMTP-8), later a wrong command; the client stays who
    it was."""
    seconds = [LISTED, binary("192.0.2.1")]
    for first in (ONE, binary("192.0.2.7")):
        for second in seconds:
            talk = target.connect(kind)
            send_parts(talk, [first + second])
            said = rest(talk)
            assert 220 not in codes(said) and 250 not in codes(said), said
            talk.close()
            talk = target.connect(kind)
            talk.send(first)
            if kind == "proxies":
                target.wrap(talk)
            assert talk.reply()[0] == 220
            talk.send(second)
            code = talk.reply()[0]
            assert code in (500, 554), code
            try:
                assert not may_relay(talk)
            except (EOFError, OSError):
                pass    # closed: as good
            talk.close()


def test_commands_behind_the_proxy_header(target):
    """SMTP-8: the header does not open a back door for early input."""
    before = target.count()

    def work(parts):
        talk = target.connect("proxy")
        send_parts(talk, parts)
        said = codes(rest(talk))
        assert said == [554], (parts, said)
        talk.close()
    data = ONE + b"EHLO client.example\r\n" + EVE
    each(work, [[data], [ONE[:20], data[20:]], [ONE[:-1], data[len(ONE) - 1:]]])
    assert target.count() == before


BAD_HEADERS = [
    b"EHLO client.example\r\n", b"PROXY\r\n", b"PROXY TCP4\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.8 1111 25\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.8 1111 25\r",
    b"PROXY TCP4 192.0.2.1 192.0.2.8 1111 99999\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.8 1111 25\r\n",
    b"PROXY TCP4 192.0.2.01 192.0.2.8 1111 25\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.8 1111 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.8 1111 25 x\r\n",
    b"PROXY  TCP4 192.0.2.1 192.0.2.8 1111 25\r\n",
    b"proxy TCP4 192.0.2.1 192.0.2.8 1111 25\r\n",
    b"PROXY " + b"x" * 200 + b"\r\n", b"\r\n\r\n\0\r\nQUIT\r",
    binary("192.0.2.1").replace(b"\x21\x11", b"\x31\x11"),
    binary("192.0.2.1").replace(b"\x21\x11\0\x0c", b"\x21\x11\0\x04")]


def test_bad_proxy_headers(target):
    """No header, or one that is wrong: closed, without a greeting."""
    def work(header):
        talk = target.connect("proxy")
        send_parts(talk, [header, EVE])
        try:
            talk.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        said = codes(rest(talk))
        assert not set(said) & {220, 250, 354}, (header, said)
        talk.close()
    each(work, BAD_HEADERS)


@pytest.mark.parametrize("kind", KINDS)
def test_proxy_header_from_anybody(target, kind):
    """Where nobody was listed for it the header is a wrong command, in clear
    and under TLS."""
    talk = target.talk(kind, login=False)
    assert talk.code(LISTED.decode().rstrip()) == 500
    if kind.startswith("smtp"):
        assert not may_relay(talk)
    else:
        assert talk.code("MAIL FROM:<alice@example.org>") == 530
    talk.close()
    if kind in ("smtp", "submission"):
        talk = target.connect(kind)
        send_parts(talk, [LISTED + b"QUIT\r\n"])
        # either it was there before the greeting, or it is a command (before
        # TLS, where TLS comes first: TLS-15)
        said = codes(rest(talk))
        wrong = 530 if kind == "submission" else 500
        assert said in ([554], [220, wrong, 221]), said
        talk.close()
