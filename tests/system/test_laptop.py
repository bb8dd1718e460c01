# SPDX-License-Identifier: ISC
"""The scenario that started this project: a laptop sends everything through the
server at home, over a port of its own, with a certificate that the server
knows, and only under TLS with that server. Somebody in the path takes STARTTLS
away: the mail waits on the laptop, and goes out once when that ends."""
import email
import re
import select
import socket
import ssl
import threading
import time

import pytest

from postern import Talk, free_port, until
from smtp_peer import Stranger

OUTSIDE = "carol@example.net"      # neither the laptop's nor the home's
KEYWORD = re.compile(rb"(?im)^250([- ])STARTTLS\r\n")


def without_keyword(lines):
    """An EHLO reply with the STARTTLS line taken out, still well formed."""
    kept = KEYWORD.sub(b"", lines)
    last = re.findall(rb"(?m)^250[- ][^\r\n]*\r\n", kept)[-1]
    return kept.replace(last, b"250 " + last[4:])


def mangled(lines):
    return KEYWORD.sub(rb"250\1XXXXXXXA" + b"\r\n", lines)


class Path(threading.Thread):
    """Who sits between the two. .mode: "open" passes everything on; "gone" and
    "mangled" change what EHLO offers; "refused" answers STARTTLS with 502
    itself; "stolen" answers it with 220 and shakes hands with a certificate of
    its own. .clear is what the client said outside TLS, line by line.
    """
    LIMIT = 1 << 20     # bytes of one connection and direction

    def __init__(self, target, certificate):
        super().__init__(daemon=True)
        self.target, self.certificate = target, certificate
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mode = "open"
        self.clear = []
        self.stolen = []    # lines heard inside the stolen TLS
        self.connections = 0
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        mode = self.mode
        try:
            with client, socket.create_connection(
                    ("127.0.0.1", self.target), 10) as server:
                client.settimeout(20)
                server.settimeout(20)
                if self.in_clear(client, server, mode):
                    self.pass_on(client, server)
        except (OSError, EOFError, ssl.SSLError):
            pass    # one side went away

    def reply(self, server):
        text = b""
        while not re.search(rb"(?m)^\d{3} [^\r\n]*\r\n\Z", text):
            more = server.recv(4096)
            if not more or len(text) > 65536:
                raise EOFError
            text += more
        return text

    def in_clear(self, client, server, mode):
        """Command by command, until TLS begins; true then."""
        client.sendall(self.reply(server))
        stream = client.makefile("rb", buffering=0)
        for _ in range(100):
            line = stream.readline(4096)
            if not line:
                return False
            self.clear.append(line.decode("latin-1").rstrip("\r\n"))
            starts = line.strip().upper() == b"STARTTLS"
            if starts and mode == "refused":
                client.sendall(b"502 5.5.1 never heard of it\r\n")
                continue
            if starts and mode == "stolen":
                client.sendall(b"220 2.0.0 come in\r\n")
                self.steal(client)
                return False
            server.sendall(line)
            answer = self.reply(server)
            if line[:4].upper() == b"EHLO" and mode in ("gone", "mangled"):
                assert KEYWORD.search(answer), answer
                answer = (without_keyword if mode == "gone"
                          else mangled)(answer)
            client.sendall(answer)
            if starts and answer.startswith(b"220"):
                return True
        return False

    def steal(self, client):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.chain, self.certificate.key)
        with context.wrap_socket(client, server_side=True) as secured:
            for line in secured.makefile("rb"):
                self.stolen.append(line.decode("latin-1").rstrip("\r\n"))
                secured.sendall(b"250 2.0.0 fine\r\n")

    def pass_on(self, client, server):
        counts = {client: 0, server: 0}
        while max(counts.values()) < self.LIMIT:
            ready, _, _ = select.select([client, server], [], [], 20)
            for one in ready:
                data = one.recv(65536)
                if not data:
                    return
                counts[one] += len(data)
                (server if one is client else client).sendall(data)
            if not ready:
                return

    def close(self):
        self.listener.close()


class World:
    """home, with the laptops' port; the world behind it; somebody in the path
    to it; and a laptop for each test."""

    def __init__(self, server, make_certificate, authority):
        self.server = server
        self.authority = authority
        self.own = make_certificate("home.example.org")
        self.outside = Stranger()
        self.port = free_port()
        self.home = server(
            name="home.example.org", users=("alice",), certificate=self.own,
            text='relay-from = { 192.0.2.1 }\nallow-loopback = yes\n'
            'retry-first = 1s\nreuse-idle = 1s\n'
            'listen laptops { addresses = { "127.0.0.1" } port = %d '
            "tls = require client-certificates = yes "
            "relay = authenticated }\n"
            'route "example.net" { host = "127.0.0.1" port = %d mx = no '
            "level = may }\n" % (self.port, self.outside.port))
        self.path = Path(self.port, make_certificate("home.example.org",
                                                     issuer=None))
        self.count = 0

    def laptop(self, certificate=None, level="fingerprint", port=None):
        """A laptop's Postern; certificate: what it shows as a client."""
        known = {
            "fingerprint": 'fingerprints = { "%s" }' % self.own.fingerprint(),
            "secure": 'names = { "home.example.org" }',
        }[level]
        text = ('allow-loopback = yes\nretry-first = 1h\nretry-max = 1h\n'
                'reuse-idle = 1s\nlog-level = debug\ntrust-file = "%s"\n' %
                self.authority.chain)
        if certificate:
            text += ('certificate laptop { chain = "%s" key = "%s" }\n' % (
                certificate.chain, certificate.key))
        # as the example in postern.conf(5) has it
        text += ('route "*" { host = "127.0.0.1" port = %d mx = no %s '
                 "level = %s %s }\n" % (
                     port or self.path.port,
                     "certificate = laptop" if certificate else "", level,
                     known))
        self.count += 1
        return self.server(name="laptop%d.example.com" % self.count,
                           domain="laptop%d.example.com" % self.count,
                           users=("alice",), text=text)

    def arrived(self, marker):
        """Messages at the outside host with that subject."""
        return [message for message in self.outside.messages
                if marker in message[3]]


@pytest.fixture(scope="module")
def world(module_server, make_certificate, authority):
    one = World(module_server, make_certificate, authority)
    yield one
    one.path.close()
    one.outside.close()


@pytest.fixture(scope="module")
def listed(world, make_certificate):
    """A laptop's certificate that the home knows."""
    one = make_certificate("laptop.example.org", issuer=None)
    world.home.command("relay", "allow", "--cert", one.chain, "--name",
                       "laptop", check=0)
    assert "laptop" in world.home.command("relay", "list", check=0)[1]
    return one


def mail(laptop, subject, to=OUTSIDE, sender="alice@example.org"):
    return laptop.send(to, sender, b"Subject: %s\r\n\r\nprivate words\r\n" %
                       subject)


def count_stays(world, marker, count, seconds=2):
    """That many have arrived, and no more come."""
    until(lambda: len(world.arrived(marker)) >= count, 30,
          world.home.read_log)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert len(world.arrived(marker)) == count
        time.sleep(0.1)


@pytest.mark.parametrize("level", ["fingerprint", "secure"])
def test_listed_certificate_relays(world, listed, level):
    """TLS-16, TLS-45: through the home to anywhere."""
    world.path.mode = "open"
    before = len(world.path.clear)
    laptop = world.laptop(listed, level)
    subject = b"listed-%s" % level.encode()
    mail(laptop, subject)
    count_stays(world, subject, 1, 0.5)
    laptop.wait_log('level %s"' % level)
    laptop.wait_empty()
    message = email.message_from_bytes(world.arrived(subject)[0][3])
    home, own = message.get_all("Received")
    assert "home.example.org" in home and "with ESMTPS" in home
    assert "laptop" in own
    # nothing of the mail in clear, on the part of the way that is ours
    heard = world.path.clear[before:]
    assert [line.split()[0] for line in heard] == ["EHLO", "STARTTLS"], heard


def test_known_by_its_key(world, make_certificate):
    """The home lists what it sees: another certificate with the same name,
    even from a known authority, has no rights; and the list takes effect at
    once, both ways."""
    world.path.mode = "open"
    one = make_certificate("second.example.org")
    twin = make_certificate("second.example.org")
    world.home.command("relay", "allow", "--cert", one.chain, "--name",
                       "second", check=0)
    try:
        for who, code in ((one, 250), (twin, None), (None, None)):
            talk = as_laptop(world, who)
            talk.say("EHLO laptop.example.org")
            assert talk.code("MAIL FROM:<alice@example.org>") in (250, 530)
            got = talk.code("RCPT TO:<%s>" % OUTSIDE)
            assert got == code or (code is None and got in (530, 550, 503))
            talk.code("QUIT")
            talk.close()
    finally:
        world.home.command("relay", "revoke", "second", check=0)
    assert "second" not in world.home.command("relay", "list", check=0)[1]
    talk = as_laptop(world, one)
    talk.say("EHLO laptop.example.org")
    talk.say("MAIL FROM:<alice@example.org>")
    assert talk.code("RCPT TO:<%s>" % OUTSIDE) in (530, 550, 503)
    talk.close()


def test_last_one_revoked(server, world, make_certificate):
    """The right goes with the last certificate of the list, too, at once; and
    the configuration is in order without any."""
    port = free_port()
    home = server(name="home.example.org", certificate=world.own, text=(
        'relay-from = { 192.0.2.1 }\nlisten laptops { addresses = { '
        '"127.0.0.1" } port = %d tls = require client-certificates = yes '
        "relay = authenticated }\n" % port))
    one = make_certificate("only.example.org", issuer=None)
    home.command("relay", "allow", "--cert", one.chain, "--name", "only",
                 check=0)
    for listed in (True, False):
        talk = as_laptop(world, one, port)
        talk.say("EHLO laptop.example.org")
        talk.say("MAIL FROM:<alice@example.org>")
        assert (talk.code("RCPT TO:<%s>" % OUTSIDE) == 250) == listed
        talk.close()
        if listed:
            home.command("relay", "revoke", "only", check=0)
    home.command("reload", check=0)


def as_laptop(world, certificate, port=None):
    """A conversation under TLS with the laptops' port."""
    talk = Talk(port or world.port)
    talk.say("EHLO laptop.example.org")
    assert talk.code("STARTTLS") == 220
    context = ssl.create_default_context(cafile=world.authority.chain)
    if certificate:
        context.load_cert_chain(certificate.chain, certificate.key)
    talk.socket = context.wrap_socket(talk.socket,
                                      server_hostname="home.example.org")
    return talk


@pytest.mark.parametrize("kind", ["none", "unlisted", "expired"])
def test_without_rights_it_does_not_relay(world, listed, make_certificate,
                                          kind):
    """TLS-16: an unlisted certificate never breaks the handshake; it gives no
    rights. The refusal is said under TLS by the host itself, so the laptop's
    user hears of it (SMTP-62): at home, which takes mail for its own
    domain from anybody."""
    world.path.mode = "open"
    shown = {"none": None,
             "unlisted": make_certificate("laptop.example.org", issuer=None),
             "expired": make_certificate("laptop.example.org", issuer=None,
                                         days=(-30, -1))}[kind]
    laptop = world.laptop(shown)
    subject = b"without-" + kind.encode()
    identifier = mail(laptop, subject)
    until(lambda: [text for text in world.home.messages("alice")
                   if subject in text], 30,
          lambda: laptop.read_log()[-3000:])
    (report,) = [text for text in world.home.messages("alice")
                 if subject in text]
    assert b"Return-Path: <>" in report and b"5.7." in report
    laptop.wait_empty()
    assert not world.arrived(subject)
    assert identifier in laptop.read_log()


def test_home_insists_on_tls(world, listed):
    """TLS-15: nothing but what leads to TLS is heard in clear."""
    talk = Talk(world.port)
    code, texts = talk.say("EHLO laptop.example.org")
    assert code == 250 and "STARTTLS" in texts
    assert not [text for text in texts if text.upper().startswith("AUTH")]
    for line in ("MAIL FROM:<alice@example.org>", "RCPT TO:<%s>" % OUTSIDE,
                 "DATA", "RSET", "VRFY alice"):
        code, texts = talk.say(line)
        assert (code, texts[0][:5]) == (530, "5.7.0"), line
    assert talk.code("NOOP") == 250
    assert talk.code("QUIT") == 221


@pytest.mark.parametrize("mode", ["gone", "mangled", "refused", "stolen"])
def test_mail_waits_while_starttls_is_stripped(world, listed, mode):
    """TLS-46, TLS-55 to TLS-64: the mail waits on the laptop, nothing is said
    in clear but what leads to TLS; when the stripping ends and the queue is
    told to try, it goes out, once."""
    world.path.mode = mode
    connections = world.path.connections
    del world.path.clear[:]
    laptop = world.laptop(listed)
    subject = b"stripped-" + mode.encode()
    identifier = mail(laptop, subject)
    laptop.wait_log("status=4.7", 30)
    # once more by hand, and it still waits
    world.path.mode = mode
    laptop.command("queue", "retry", identifier, check=0)
    laptop.wait_log("status=4.7", 30, 2)
    assert world.path.connections > connections
    heard = list(world.path.clear)
    assert heard and {line.split()[0].upper() for line in heard} <= {
        "EHLO", "STARTTLS", "QUIT"}, heard
    assert not any("@" in line or "private" in line for line in heard)
    if mode == "stolen":
        assert not [line for line in world.path.stolen
                    if not re.match("(?i)(EHLO [^@]*|QUIT)$", line)]
    (entry,) = laptop.queue("list")
    assert entry["id"] == identifier
    assert entry["recipients"][0]["status"].startswith("4.7.")
    assert not world.arrived(subject)
    assert not [text for text in world.home.messages("alice")
                if subject in text]     # no report either

    world.path.mode = "open"
    laptop.command("queue", "retry", "--all", check=0)
    laptop.wait_empty()
    count_stays(world, subject, 1)
    secure, sender, recipients, data = world.arrived(subject)[0]
    assert sender.startswith("<alice@example.org>")
    assert recipients == ["<%s>" % OUTSIDE] and b"private words" in data


def test_stripped_while_down(world, listed):
    """The laptop is shut while the mail waits: it goes out all the same, once,
    when it is opened elsewhere."""
    world.path.mode = "gone"
    laptop = world.laptop(listed)
    mail(laptop, b"laptop-shut")
    laptop.wait_log("status=4.7", 30)
    laptop.stop()
    world.path.mode = "open"
    laptop.start()
    laptop.command("queue", "retry", "--all", check=0)
    laptop.wait_empty()
    count_stays(world, b"laptop-shut", 1)
