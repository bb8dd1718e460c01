# SPDX-License-Identifier: ISC
"""Listeners of every kind, met by real clients: python's ssl and smtplib,
openssl s_client. TLS from the first byte, certificates of clients, tickets,
names, reload, PROXY headers, LMTP."""
import os
import re
import smtplib
import socket
import ssl
import struct
import subprocess
import time

import pytest

from postern import Talk, free_port, until

MAIL = b"Subject: x\r\n\r\nx\r\n"


class Secure(Talk):
    """A conversation under TLS from the first byte, or behind STARTTLS."""

    def __init__(self, port, context=None, name="mx.example.org",
                 starttls=False, before=b"", session=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.rest = b""
        if before:
            self.socket.sendall(before)
        if starttls:
            self.greeting = self.reply()
            self.say("EHLO client.example")
            assert self.code("STARTTLS") == 220
        context = context or lax()
        self.socket = context.wrap_socket(self.socket, server_hostname=name,
                                          session=session)
        self.rest = b""
        if not starttls:
            self.greeting = self.reply()

    def hello(self):
        code, texts = self.say("EHLO client.example")
        assert code == 250
        return texts

    def relays(self):
        """Whether it takes mail for elsewhere."""
        self.hello()
        code, _ = self.say("MAIL FROM:<alice@example.org>")
        if code == 530:
            return False
        assert code == 250
        code, texts = self.say("RCPT TO:<somebody@far.example>")
        assert code in (250, 550), texts
        assert self.code("RSET") == 250
        return code == 250


def lax(certificate=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate.chain, certificate.key)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def listen(name, port, settings):
    return ('listen %s { addresses = { "127.0.0.1" } port = %d %s }\n'
            % (name, port, settings))


@pytest.fixture
def ports():
    return {name: free_port() for name in ("submission", "submissions",
                                           "laptops", "balanced",
                                           "balanced-tls")}


def test_implicit(server, certificate, authority, ports):
    """RFC 8314 3.3: TLS first, by a client that checks it; nothing in
    clear."""
    one = server(certificate=certificate, text=listen(
        "submissions", ports["submissions"], "relay = any")
        + 'relay-from = { "127.0.0.0/8" }\n')
    context = ssl.create_default_context(cafile=authority.chain)
    with smtplib.SMTP_SSL("127.0.0.1", ports["submissions"],
                          "client.example", context=named(context)) as client:
        client.sendmail("bob@example.net", ["alice@example.org"], MAIL)
    (got,) = one.wait_messages("alice")
    assert b"with ESMTPS" in got
    # RFC 6409 8: what the client left out
    assert re.search(rb"^Date: .*\d\d\d\d ", got, re.M)
    assert re.search(rb"^Message-ID: <.*@mx.example.org>", got, re.M)
    clear = socket.create_connection(("127.0.0.1", ports["submissions"]), 20)
    clear.sendall(b"EHLO client.example\r\n")
    try:
        answer = clear.recv(100)
    except ConnectionResetError:
        answer = b""
    assert answer[:1] in (b"\x15", b""), answer    # an alert, no SMTP
    one.wait_log("clear text instead of TLS")


class named(ssl.SSLContext):
    """A context that asks for our name, whatever the address."""

    def __new__(cls, context):
        self = context
        wrap = self.wrap_socket
        self.wrap_socket = lambda sock, server_hostname=None: wrap(
            sock, server_hostname="mx.example.org")
        return self

    def __init__(self, context):
        pass


def test_submission(server, certificate, ports):
    """TLS before anything else, then a login, or nothing; AUTH is not shown
    in clear."""
    one = server(certificate=certificate, text=listen(
        "submission", ports["submission"], "relay = authenticated"))
    talk = Talk(ports["submission"])
    _, texts = talk.say("EHLO client.example")
    assert "STARTTLS" in texts
    assert not [text for text in texts if text.startswith("AUTH")]
    assert talk.say("MAIL FROM:<alice@example.org>") == (
        530, ["5.7.0 must issue STARTTLS first"])
    talk.code("QUIT")
    talk = Secure(ports["submission"], starttls=True)
    texts = talk.hello()
    assert "STARTTLS" not in texts
    assert [text for text in texts if text.startswith("LIMITS RCPTMAX=")]
    assert talk.say("MAIL FROM:<alice@example.org>") == (
        530, ["5.7.0 authentication required"])
    # RFC 9325 4.2: no CBC
    done = openssl("s_client", "-starttls", "smtp", "-connect",
                   "127.0.0.1:%d" % ports["submission"], "-tls1_2",
                   "-cipher", "ECDHE-ECDSA-AES128-SHA")
    assert done.returncode != 0
    for version in ("-tls1", "-tls1_1"):
        done = openssl("s_client", "-starttls", "smtp", "-connect",
                       "127.0.0.1:%d" % ports["submission"], version,
                       "-cipher", "DEFAULT@SECLEVEL=0")
        assert done.returncode != 0, version


def openssl(*words, text="QUIT\n"):
    return subprocess.run(["openssl", *words], input=text, text=True,
                          capture_output=True, timeout=30)


def test_client_certificates(server, certificate, make_certificate, ports):
    """Listed by digest: it relays. Any other, and none: nothing breaks, and
    nothing is gained. Revoked: the right ends at once, also in a session that
    is resumed."""
    one = server(certificate=certificate, text=listen(
        "laptops", ports["laptops"],
        "tls = require client-certificates = yes relay = authenticated"))
    port = ports["laptops"]
    listed = make_certificate("laptop")
    by_key = make_certificate("phone", issuer=None)
    expired = make_certificate("old", issuer=None, days=(-9, -2))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for shown in (None, listed, expired):
            assert not Secure(port, lax(shown, version),
                              starttls=True).relays()
    one.command("relay", "allow", "--cert", listed.chain, "--name", "laptop",
                check=0)
    one.command("relay", "allow", "--cert", listed.chain, "--name", "again",
                check=65)
    one.command("relay", "allow", "--key-digest", key_digest(by_key),
                "--name", "phone", check=0)
    _, out, _ = one.command("relay", "list", check=0)
    assert listed.fingerprint() in out and "phone" in out
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert Secure(port, lax(listed, version), starttls=True).relays()
        assert Secure(port, lax(by_key, version), starttls=True).relays()
        assert not Secure(port, lax(expired, version),
                          starttls=True).relays()
    one.wait_log("listed=laptop")
    one.wait_log("listed=no fingerprint=" + expired.fingerprint())
    # the other listener asks for none and gives no right by one
    context = lax(listed)
    talk = Secure(one.port, context, starttls=True)
    talk.hello()
    assert talk.code("MAIL FROM:<alice@example.org>") == 250
    code, _ = talk.say("RCPT TO:<somebody@far.example>")
    relayed_by_network = code == 250    # 127.0.0.1 is in relay-from
    assert relayed_by_network

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = lax(listed, version)
        if version == ssl.TLSVersion.TLSv1_2:
            one.command("relay", "list", check=0)
        first = Secure(port, context, starttls=True)
        assert first.relays()
        session = first.socket.session
        again = Secure(port, context, starttls=True, session=session)
        assert again.socket.session_reused
        assert again.relays()
        session = again.socket.session
        open_one = again
        one.command("relay", "revoke", "laptop", check=0)
        # the session under way, a resumed one, and a new one
        assert open_one.code("MAIL FROM:<alice@example.org>") in (250, 530)
        assert open_one.code("RSET") == 250
        assert not open_one.relays()
        resumed = Secure(port, context, starttls=True, session=session)
        assert resumed.socket.session_reused
        assert not resumed.relays()
        assert not Secure(port, context, starttls=True).relays()
        one.command("relay", "allow", "--cert", listed.chain, "--name",
                    "laptop", check=0)
    # a list that is wrong is refused, the old one holds
    path = os.path.join(one.parts["state"], "relay-certificates")
    with open(path) as file:
        before = file.read()
    with open(path, "a") as file:
        file.write("nonsense\n")
    code, _, err = one.command("reload")
    assert code != 0 and "relay-certificates:" in err, err
    assert Secure(port, lax(listed), starttls=True).relays()
    with open(path, "w") as file:
        file.write(before)
    assert one.command("relay", "revoke", "nobody")[0] == 65


def key_digest(certificate):
    done = subprocess.run(
        "openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform "
        "der | openssl sha256 -r" % certificate.chain, shell=True, text=True,
        capture_output=True, timeout=30)
    return done.stdout.split()[0]


def test_tickets(server, certificate, ports):
    """TLS-118, TLS-117: a ticket opens at its listener, in every process and
    over a reload, and at no other listener."""
    one = server(certificate=certificate, workers=2, text=listen(
        "submissions", ports["submissions"], "") + listen(
        "submission", ports["submission"], ""))
    context = lax()
    first = Secure(ports["submissions"], context)
    first.hello()
    session = first.socket.session
    assert session.has_ticket
    for _ in range(8):      # whoever of the two accepts
        again = Secure(ports["submissions"], context, session=session)
        assert again.socket.session_reused
        again.close()
    one.command("reload", check=0)
    assert Secure(ports["submissions"], context,
                  session=session).socket.session_reused
    for port in (ports["submission"], one.port):
        assert not Secure(port, context, starttls=True,
                          session=session).socket.session_reused
    one.wait_log("resumed=yes", count=8)
    # a process that begins anew has the same secrets
    before = [one.pid_of("smtpd", 0), one.pid_of("smtpd", 1)]
    for pid in before:
        os.kill(pid, 9)
    for instance in (0, 1):
        until(lambda: one.pid_of("smtpd", instance) not in [0] + before)

    def resumed():
        try:
            return Secure(ports["submissions"], context,
                          session=session).socket.session_reused
        except OSError:
            return False
    until(resumed, 20, lambda: one.read_log()[-2000:])


def shown(port, name, *words):
    """The certificate for that name: its subject, as openssl sees it."""
    done = openssl("s_client", "-connect", "127.0.0.1:%d" % port,
                   *(("-servername", name) if name else ("-noservername",)),
                   *words)
    subject = re.search(r"subject=CN = (\S+)", done.stdout)
    return subject and subject.group(1)


def section(name, certificate):
    return 'certificate "%s" { chain = "%s" key = "%s" }\n' % (
        name, certificate.chain, certificate.key)


def test_names(server, certificate, make_certificate, ports, tmp_path):
    """TLS-119, DANE-146: by name, else the first one; each listener its own;
    RSA and ECDSA side by side; new files without dropping a session; a key
    that does not fit is refused and the old pair stays."""
    extra = make_certificate("mail.example.net")
    rsa_chain, rsa_key = str(tmp_path / "rsa.pem"), str(tmp_path / "rsa.key")
    done = openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                   "/CN=rsa.example.org", "-addext",
                   "subjectAltName=DNS:mx.example.org", "-days", "9",
                   "-keyout", rsa_key, "-out", rsa_chain)
    assert done.returncode == 0, done.stderr
    text = section("mail.example.net", extra) + (
        'certificate "rsa" { chain = "%s" key = "%s" }\n' % (
            rsa_chain, rsa_key)) + listen(
        "submissions", ports["submissions"], "") + listen(
        "other", ports["laptops"], 'service = submission tls = implicit '
        'certificates = { "mail.example.net" }')
    one = server(certificate=certificate, text=text)
    port, other = ports["submissions"], ports["laptops"]
    assert shown(port, "mail.example.net") == "mail.example.net"
    assert shown(port, "mx.example.org") == "mx.example.org"
    assert shown(port, "unknown.example") == "mx.example.org"
    assert shown(port, None) == "mx.example.org"
    for name in ("mx.example.org", "mail.example.net", None):
        assert shown(other, name) == "mail.example.net"
    assert shown(port, "mx.example.org", "-tls1_2", "-cipher",
                 "ECDHE-RSA-AES256-GCM-SHA384") == "rsa.example.org"
    assert shown(port, "mx.example.org", "-sigalgs",
                 "RSA-PSS+SHA256") == "rsa.example.org"

    talk = Secure(port)
    talk.hello()
    renewed = make_certificate("mail.example.net", ["mail.example.net",
                                                    "new.example.net"])
    # only the key is new: refused, nothing changes
    os.replace(renewed.key, extra.key)
    code, _, err = one.command("reload")
    assert code != 0 and "does not belong" in err, err
    assert shown(port, "mail.example.net") == "mail.example.net"
    assert shown(port, "new.example.net") == "mx.example.org"
    os.replace(renewed.chain, extra.chain)
    one.command("reload", check=0)
    assert shown(port, "new.example.net") == "mail.example.net"
    assert talk.code("NOOP") == 250     # through all of it
    assert talk.code("QUIT") == 221


def v2(client, port):
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(
        "!H4s4sHHBH3s", 18, socket.inet_aton(client),
        socket.inet_aton("198.51.100.1"), port, 25, 4, 3, b"xyz")


def test_proxy(server, certificate, ports):
    """The client that the balancer names, in log, limits and rights, in clear
    and before implicit TLS; a connection without a header is closed."""
    text = 'relay-from = { "192.0.2.0/24" }\n' + listen(
        "balanced", ports["balanced"],
        'proxy-from = { "127.0.0.1/32" } max-sessions-per-client = 1')
    text += listen("balanced-tls", ports["balanced-tls"],
                   'service = submission tls = implicit '
                   'proxy-from = { "127.0.0.1/32" }')
    one = server(certificate=certificate, text=text)

    def connect(header, port=ports["balanced"]):
        talk = Talk(port, greeting=False)
        talk.send(header)
        talk.greeting = talk.reply()
        return talk

    talk = connect(b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 25\r\n")
    assert talk.greeting[0] == 220
    code, texts = talk.mail("somebody@far.example", "alice@example.org")
    assert code == 250, texts
    one.wait_log("connect addr=192.0.2.9")
    # the same client once more, by the other version
    assert connect(v2("192.0.2.9", 4712)).greeting[0] == 421
    talk = connect(v2("203.0.113.5", 4713))
    assert talk.mail("somebody@far.example")[0] == 550
    assert talk.code("RSET") == 250
    assert talk.mail("alice@example.org")[0] == 250
    (got,) = one.wait_messages("alice")
    assert b"[203.0.113.5]" in got
    talk = Talk(ports["balanced"], greeting=False)
    talk.send("EHLO client.example\r\n")
    assert talk.closed()
    # TLS in the same segment as the header
    talk = Secure(ports["balanced-tls"], before=v2("192.0.2.9", 4714))
    assert talk.greeting[0] == 220
    assert talk.relays()
    talk = Secure(ports["balanced-tls"], before=v2("203.0.113.6", 4715))
    assert not talk.relays()
    # elsewhere it is no command
    talk = Talk(one.port)
    assert talk.code("PROXY TCP4 192.0.2.9 198.51.100.1 4711 25") == 500




def test_lmtp(server, tmp_path):
    """SMTP-188, SMTP-189: smtplib's LMTP over our Unix socket, an answer for
    each recipient (of which smtplib reads one only); SMTP-75."""
    path = str(tmp_path / "lmtp")
    one = server(users=("alice", "bob"), text='listen lmtp { socket = "%s" }\n'
                 % path)
    with smtplib.LMTP(path, local_hostname="client.example") as client:
        refused = client.sendmail("c@example.net", [
            "alice@example.org", "nobody@example.org"], MAIL)
    assert list(refused) == ["nobody@example.org"]
    (got,) = one.wait_messages("alice")
    assert b"(userid %d)" % os.getuid() in got
    assert re.search(rb"with LMTP\s+id ", got)
    assert b"\nMessage-ID:" not in got
    # several, the same recipient twice
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(20)
    raw.connect(path)
    stream = raw.makefile("rwb")

    def reply():
        while True:
            line = stream.readline()
            if line[3:4] != b"-":
                return line

    def say(line):
        stream.write(line.encode() + b"\r\n")
        stream.flush()
        return reply()
    assert reply().startswith(b"220 ")
    assert say("EHLO client.example").startswith(b"500 ")
    assert say("LHLO client.example").startswith(b"250 ")
    assert say("MAIL FROM:<>").startswith(b"250 ")
    assert say("DATA").startswith(b"503 ")
    for name in ("alice", "bob", "alice"):
        assert say("RCPT TO:<%s@example.org>" % name).startswith(b"250 ")
    assert say("RCPT TO:<nobody@example.org>").startswith(b"550 ")
    assert say("DATA").startswith(b"354 ")
    stream.write(MAIL + b".\r\n")
    stream.flush()
    for _ in range(3):
        assert reply().startswith(b"250 2.0.0 accepted as ")
    one.wait_messages("bob")
    assert say("QUIT").startswith(b"221 ")


def test_many_listeners(server, certificate, ports):
    """A slow handshake on one listener keeps nobody waiting, and is ended."""
    one = server(certificate=certificate, text="handshake-timeout = 2s\n"
                 + listen("submissions", ports["submissions"], ""))
    silent = socket.create_connection(("127.0.0.1", ports["submissions"]), 20)
    talk = Talk(one.port)
    assert talk.greeting[0] == 220
    began = time.monotonic()
    silent.settimeout(20)
    assert silent.recv(1) == b""
    assert 1 < time.monotonic() - began < 10
    one.wait_log("handshake timeout")
