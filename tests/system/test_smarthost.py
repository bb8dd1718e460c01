# SPDX-License-Identifier: ISC
"""Mail that leaves by a route: through a smarthost that we log in at or show a
certificate to, to a store of mailboxes by LMTP, by the addresses and names that
the configuration says. What a tap on the wire sees is looked at byte by byte:
a password is said to nobody but a host that proved who it is."""
import base64
import email
import imaplib
import os
import re
import smtplib
import socket
import ssl
import threading

import pytest

from dovecot import Dovecot
from postern import free_port, until
from smtp_peer import Postfix, Stranger
from tls_world import World

NAME = "smart.example.com"
USER, PASSWORD = "laptop", "correct horse 7"
PLAIN = base64.b64encode(("\0%s\0%s" % (USER, PASSWORD)).encode()).decode()
BASE = 'relay-from = { 127.0.0.1 }\nallow-loopback = yes\n' \
       'retry-first = 1s\nretry-max = 2s\nreuse-idle = 1s\nipv6 = no\n'
SECRETS = [PASSWORD.encode(), PLAIN.encode(), base64.b64encode(
    PASSWORD.encode()), b"AUTH "]
KEYWORD = re.compile(rb"(?im)^250[- ]STARTTLS\r\n")


class Tap(threading.Thread):
    """In the path to a host: .said has every byte of the client, .heard of the
    server. strip: the STARTTLS line is taken out of what EHLO offers."""

    def __init__(self, target, strip=False):
        super().__init__(daemon=True)
        self.target, self.strip = target, strip
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.said, self.heard = b"", b""
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for words in ((client, server, "said"), (server, client, "heard")):
                threading.Thread(target=self.carry, args=words,
                                 daemon=True).start()

    def carry(self, source, to, name):
        try:
            while True:
                data = source.recv(65536)
                if name == "heard" and self.strip:
                    data = KEYWORD.sub(b"", data)
                setattr(self, name, getattr(self, name) + data)
                if not data:
                    to.shutdown(socket.SHUT_WR)
                    return
                to.sendall(data)
        except OSError:
            pass    # one of them went away

    def close(self):
        self.listener.close()

    def has_secret(self):
        return [one for one in SECRETS if one in self.said]


@pytest.fixture
def smarthost(make_certificate):
    """smarthost(words): a host with AUTH in its EHLO, in clear and under TLS,
    and a tap before it. .tap, and what Stranger has."""
    made = []

    def make(mechanisms="PLAIN LOGIN", strip=False, names=(NAME,), issuer=True,
             auth="235 2.7.0 in", **more):
        more.setdefault("certificate", make_certificate(
            names[0], list(names), **({} if issuer else {"issuer": None})))
        one = Stranger(keywords=["PIPELINING", "8BITMIME", "SIZE 50000000",
                                 "STARTTLS", "AUTH " + mechanisms],
                       replies={"AUTH": auth}, **more)
        one.tap = Tap(one.port, strip)
        made.extend([one, one.tap])
        return one
    yield make
    for one in made:
        one.close()


def credentials(tmp_path, user=USER, password=PASSWORD):
    path = tmp_path / "credentials"
    path.write_text("%s\n%s\n" % (user, password))
    path.chmod(0o600)
    return str(path)


def by_route(authority, port, path=None, level="secure",
             known='names = { "%s" }' % NAME, more="", top=""):
    return (BASE + 'trust-file = "%s"\n' % authority.chain + top +
            'route "*" { host = "127.0.0.1" port = %d mx = no level = %s %s '
            "%s %s }\n" % (port, level, known, 'credentials-file = "%s"' % path
                           if path else "", more))


def send(port, to="carol@example.net", body=b"Subject: out\r\n\r\nHello\r\n",
         sender="bob@example.org", **more):
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail(sender, [to] if isinstance(to, str) else to, body,
                        **more)


def waits(one, reason, count=1):
    """The message is deferred for that reason; its line in the queue."""
    until(lambda: "reason=%s" % reason in one.read_log(), 30,
          lambda: one.read_log()[-3000:])
    (row,) = one.queue("list")
    return row


def no_secret_in(text):
    for secret in (PASSWORD, PLAIN):
        assert secret not in text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, None],
                         ids=["tls12", "tls13"])
@pytest.mark.parametrize("level", ["secure", "fingerprint"])
def test_logged_in_under_tls(server, smarthost, authority, tmp_path, level,
                             version):
    """TLS-95; 4954 4: in TLS with the right host, and nowhere else."""
    host = smarthost(tls_version=version)
    known = {"secure": 'names = { "%s" }' % NAME,
             "fingerprint": 'fingerprints = { "%s" }' %
             host.certificate.fingerprint()}[level]
    one = server(text=by_route(authority, host.tap.port, credentials(tmp_path),
                               level, known, top="log-level = debug\n"))
    send(one.port)
    until(lambda: host.messages, 20, one.read_log)
    assert "AUTH PLAIN " + PLAIN in host.secured
    assert not any("AUTH" in line or "MAIL" in line for line in host.clear)
    assert not host.tap.has_secret()
    assert b"EHLO" in host.tap.said
    one.wait_empty()
    no_secret_in(one.read_log())
    assert "tls=secure" in one.read_log()


def test_stripped(server, smarthost, authority, tmp_path):
    """STARTTLS is gone, AUTH is still shown: nothing is said, and the mail goes
    out once it is back."""
    host = smarthost(strip=True)
    one = server(text=by_route(authority, host.tap.port,
                               credentials(tmp_path)))
    send(one.port)
    row = waits(one, "no-starttls")
    assert not host.tap.has_secret() and b"MAIL" not in host.tap.said
    assert b"AUTH PLAIN LOGIN" in host.tap.heard
    host.tap.strip = False
    one.command("queue", "retry", row["id"], check=0)
    until(lambda: host.messages, 20, one.read_log)
    one.wait_empty()
    assert len(host.messages) == 1 and not host.tap.has_secret()


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_wrong_certificate(server, smarthost, authority, tmp_path, wrong):
    host = smarthost(names=("other.example",) if wrong == "name" else (NAME,),
                     issuer=wrong == "name")
    one = server(text=by_route(authority, host.tap.port,
                               credentials(tmp_path)))
    send(one.port)
    waits(one, "certificate")
    assert not any(line.startswith(("AUTH", "MAIL")) for line in
                   host.clear + host.secured)
    assert not host.tap.has_secret()


@pytest.mark.parametrize("how", ["set-tls", "exception"])
@pytest.mark.parametrize("strip", [True, False])
def test_nothing_lowers_it(server, smarthost, authority, tmp_path, how, strip):
    """An operator allows clear for the message, or for the destination: the
    password is not theirs to give."""
    host = smarthost(names=("other.example",))
    one = server(text=by_route(authority, host.tap.port, credentials(tmp_path),
                               top="log-level = debug\n"))
    if how == "exception":
        one.policy("exception", "add", "example.net", "--level", "may",
                   "--until", "1h", "--reason", "test")
    send(one.port)
    row = waits(one, "certificate" if how == "set-tls" else "login")
    host.tap.strip = strip
    if how == "set-tls":
        one.command("queue", "set-tls", row["id"], "may", "--reason", "test",
                    check=0)
    one.command("queue", "retry", row["id"], check=0)
    one.wait_log("reason=login")
    assert not host.messages and not host.tap.has_secret()
    assert not any(line.startswith(("AUTH", "MAIL")) for line in
                   host.clear + host.secured)
    no_secret_in(one.read_log())


@pytest.mark.parametrize("level", ["may", "encrypt", "none", "auto"])
def test_refused_by_check(server, smarthost, authority, tmp_path, level):
    host = smarthost()
    one = server(start=False, text=by_route(
        authority, host.port, credentials(tmp_path), level, ""))
    code, _, err = one.command("check")
    assert code != 0 and "credentials-file" in err and "level" in err


def test_wrong_password(server, smarthost, authority, tmp_path):
    """It never bounces; the right one takes it away after a reload."""
    host = smarthost(auth="535 5.7.8 who are you?")
    path = credentials(tmp_path)
    one = server(text=by_route(authority, host.tap.port, path))
    send(one.port)
    row = waits(one, "login")
    (shown,) = one.queue("show", row["id"])
    text = str(shown)
    assert "535 5.7.8 who are you?" in text and USER in text
    no_secret_in(text + one.read_log())
    credentials(tmp_path, "else", "other")
    one.command("reload", check=0)
    # Not before: the next attempt may begin at any moment.
    host.replies["AUTH"] = "235 2.7.0 in"
    one.command("queue", "retry", row["id"])
    until(lambda: host.messages, 20, one.read_log)
    other = base64.b64encode(b"\0else\0other").decode()
    assert "AUTH PLAIN " + other in host.secured
    assert not one.messages("bob", "example.org")


@pytest.mark.parametrize("text, line", [
    ("\n", 1), ("user\n", 2), ("\nword\n", 1), ("user\nword\nmore\n", 3),
    ("us\x01er\nword\n", 1), ("user\nwo\x7frd\n", 2)])
def test_bad_credentials_file(server, authority, tmp_path, text, line):
    """FILE:LINE in the complaint, and not a word of what stands there."""
    path = credentials(tmp_path)
    with open(path, "w") as out:
        out.write(text)
    one = server(start=False, text=by_route(authority, 2525, path))
    code, out, _ = one.command("check")
    assert code != 0 and "%s:%d: " % (path, line) in " ".join(out.split())
    one.start(wait=False)
    until(lambda: "%s:%d" % (path, line) in one.read_log() or
          one.process.poll() is not None, 20, one.read_log)
    assert "%s:%d: " % (path, line) in one.read_log(), one.read_log()
    assert "word\n" not in one.read_log()


def test_login_by_login(server, smarthost, authority, tmp_path):
    """A host that has nothing else, with prompts of its own."""
    host = smarthost("LOGIN", auth="334 V2hvPw==")
    host.replies[base64.b64encode(USER.encode()).decode().upper()] = "334 "
    host.replies[base64.b64encode(PASSWORD.encode()).decode().upper()] = \
        "235 2.7.0 in"
    one = server(text=by_route(authority, host.tap.port,
                               credentials(tmp_path)))
    send(one.port)
    until(lambda: host.messages, 20, one.read_log)
    assert not host.tap.has_secret()


def test_logins_kept_apart(server, smarthost, authority, tmp_path):
    """Two routes to one host, and mail that goes there without: a connection
    is never another's, however long it is kept."""
    host = smarthost()
    for user in "ab":
        (tmp_path / user).write_text("%s\nword-%s\n" % (user, user))
    route = ('route "%s.example" { host = "127.0.0.1" port = %d mx = no level '
             '= secure names = { "%s" } %s }\n')
    one = server(text=BASE.replace("reuse-idle = 1s", "reuse-idle = 60s") +
                 'trust-file = "%s"\n' % authority.chain + "".join(
        route % (name, host.port, NAME, more) for name, more in (
            ("a", 'credentials-file = "%s"' % (tmp_path / "a")),
            ("b", 'credentials-file = "%s"' % (tmp_path / "b")),
            ("c", ""))))
    for name in "abcabc":
        before = len(host.messages)
        send(one.port, "carol@%s.example" % name)
        until(lambda: len(host.messages) > before, 20, one.read_log)
    logins = [line for line in host.secured if line.startswith("AUTH")]
    assert logins == ["AUTH PLAIN " + base64.b64encode(
        ("\0%s\0word-%s" % (user, user)).encode()).decode() for user in "ab"]
    assert host.connections == 3
    by_connection = {}
    for number, secure, line in host.mails:
        by_connection.setdefault(number, []).append(line)
    assert [len(lines) for lines in by_connection.values()] == [2, 2, 2]


def test_probe_logs_in(server, smarthost, authority, tmp_path):
    """`policy probe` does what mail would do, up to MAIL."""
    host = smarthost()
    one = server(text=by_route(authority, host.tap.port,
                               credentials(tmp_path)))
    code, out, err = one.command("policy", "probe", "example.net")
    assert code == 0, (out, err)
    assert "AUTH PLAIN " + PLAIN in host.secured
    host.replies["AUTH"] = "535 5.7.8 who are you?"
    code, out, err = one.command("policy", "probe", "example.net")
    assert code != 0 and "who are you?" in " ".join(out.split())
    assert not any(line.startswith("MAIL") for line in host.secured)
    one.stop()
    code, out, err = one.command("policy", "probe", "example.net")
    assert code != 0 and "who are you?" in " ".join(out.split()), (out, err)
    no_secret_in(out + one.read_log())


@pytest.mark.parametrize("good", [True, False])
def test_logged_in_by_dane(server, make_certificate, authority, tmp_path, good):
    """Level dane-only: TLSA records say who it is; another key, and nothing is
    said."""
    world = World(str(tmp_path / "names"), make_certificate, authority,
                  ["dane"], dane=["dane"])
    more = {} if good else {"certificate": world.other}
    to = world.domain("dane", keywords=["STARTTLS", "AUTH PLAIN"],
                      replies={"AUTH": "235 2.7.0 in"}, **more)
    try:
        one = server(trust_anchor=world.names.anchor, text=(
            'route "example.net" { host = "%s" port = %d mx = no level = '
            'dane-only credentials-file = "%s" }\n' % (
                to.host, world.port, credentials(tmp_path)) +
            "retry-first = 1s\n" + world.text()))
        send(one.port)
        if good:
            until(lambda: to.peer.messages, 20, one.read_log)
            assert "AUTH PLAIN " + PLAIN in to.peer.secured
            assert "tls=dane" in one.read_log()
            one.wait_empty()
        else:
            waits(one, "dane-mismatch")
            assert not any(line.startswith(("AUTH", "MAIL")) for line in
                           to.peer.secured + to.peer.clear)
    finally:
        world.close()


@pytest.mark.parametrize("implicit", [False, True], ids=["587", "465"])
def test_records_do_not_bind_who_logs_in(server, make_certificate, authority,
                                         tmp_path, implicit):
    """DANE-28: submission is by the name that the route says, whatever TLSA
    records there are for its port; and never by them where he does not say
    so."""
    world = World(str(tmp_path / "names"), make_certificate, authority,
                  ["dane"], dane=["dane"])
    to = world.domain("dane", certificate=make_certificate("mx.d0.dane"),
                      keywords=["STARTTLS", "AUTH PLAIN"], implicit=implicit,
                      replies={"AUTH": "235 2.7.0 in"})
    try:
        assert to.host == "mx.d0.dane"
        one = server(trust_anchor=world.names.anchor, text=(
            'route "example.net" { host = "%s" port = %d mx = no level = '
            'secure tls = %s credentials-file = "%s" }\n' % (
                to.host, world.port, "implicit" if implicit else "starttls",
                credentials(tmp_path)) + "retry-first = 1s\n" + world.text()))
        send(one.port)
        until(lambda: to.peer.messages, 20, one.read_log)
        assert "AUTH PLAIN " + PLAIN in to.peer.secured
        one.wait_empty()
        assert "tls=secure" in one.read_log()
    finally:
        world.close()


def test_reload_refuses_bad_credentials(server, smarthost, authority,
                                        tmp_path):
    """The old ones stay in force."""
    host = smarthost()
    path = credentials(tmp_path)
    one = server(text=by_route(authority, host.tap.port, path))
    with open(path, "w") as out:
        out.write("only a name\n")
    code, out, err = one.command("reload")
    assert code != 0 and path + ":2: " in " ".join((out + err).split())
    send(one.port)
    until(lambda: host.messages, 20, one.read_log)
    assert "AUTH PLAIN " + PLAIN in host.secured


# --- real peers ---

@pytest.mark.parametrize("mechanisms", ["scram-sha-256 plain", "plain",
                                        "login"])
def test_postfix_with_sasl(server, make_certificate, authority, tmp_path,
                           mechanisms):
    """Debian's Postfix with Dovecot's SASL takes mail from nobody else."""
    dovecot = Dovecot(tmp_path / "dovecot", {USER: PASSWORD},
                      more="auth_mechanisms = %s\nservice auth {\n"
                      "unix_listener auth-client {\nmode = 0666\n}\n}\n" %
                      mechanisms)
    os.chmod(dovecot.run, 0o755)
    dovecot.start()
    postfix = Postfix(tmp_path / "postfix", make_certificate(NAME), more=(
        "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n"
        "smtpd_sasl_path = %s\nsmtpd_tls_auth_only = yes\n"
        "smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n" %
        dovecot.auth))
    tap = Tap(postfix.port)
    try:
        postfix.start()
        one = server(text=by_route(authority, tap.port, credentials(tmp_path),
                                   top="log-level = debug\n"))
        send(one.port)
        until(lambda: postfix.messages("user"), 30,
              lambda: one.read_log()[-3000:] + postfix.log() + dovecot.log())
        assert "mechanism=" + mechanisms.split()[0].upper() in one.read_log()
        one.wait_empty()
        assert not tap.has_secret()
        no_secret_in(one.read_log())
    finally:
        tap.close()
        postfix.stop()
        dovecot.stop()


def test_postfix_by_certificate(server, make_certificate, authority,
                                tmp_path):
    """By the fingerprint of what we show; without it nothing is relayed."""
    own = make_certificate("laptop.example.org", issuer=None)
    table = tmp_path / "clients"
    table.write_text("/^%s$/ laptop\n" % ":".join(
        re.findall("..", own.fingerprint().upper())))
    postfix = Postfix(tmp_path / "postfix", make_certificate(NAME), more=(
        "smtpd_tls_ask_ccert = yes\nsmtpd_tls_fingerprint_digest = sha256\n"
        "relay_clientcerts = regexp:%s\nsmtpd_recipient_restrictions = "
        "permit_tls_clientcerts, reject\n" % table))
    section = 'certificate laptop { chain = "%s" key = "%s" }\n' % (
        own.chain, own.key)
    try:
        postfix.start()
        one = server(text=by_route(authority, postfix.port, top=section,
                                   more="certificate = laptop"))
        send(one.port)
        until(lambda: postfix.messages("user"), 30,
              lambda: one.read_log()[-3000:] + postfix.log())
        one.wait_empty()
        two = server(text=by_route(authority, postfix.port))
        send(two.port, sender="alice@example.org")
        two.wait_log("failed")
        assert len(postfix.messages("user")) == 1
    finally:
        postfix.stop()


def test_postern_with_scram_plus(server, make_certificate, authority,
                                 tmp_path):
    """Two Posterns: the best mechanism of all, bound to the TLS session."""
    import subprocess
    from postern import BINARY
    port = free_port()
    two = server(name=NAME, domain="example.net", users=("carol",),
                 certificate=make_certificate(NAME), text=(
                     'listen submission { addresses = { "127.0.0.1" } '
                     "port = %d }\n" % port))
    done = subprocess.run(
        [BINARY, "user", "add", "carol@example.net", "-c", two.path],
        input=(PASSWORD + "\n") * 2, capture_output=True, text=True)
    assert done.returncode == 0, done
    tap = Tap(port)
    one = server(text=by_route(authority, tap.port, credentials(
        tmp_path, "carol@example.net"), top="log-level = debug\n"))
    send(one.port, sender="carol@example.net")
    two.wait_messages("carol")
    one.wait_log("mechanism=SCRAM-SHA-256-PLUS")
    one.wait_empty()
    assert not tap.has_secret()
    no_secret_in(one.read_log() + two.read_log())
    tap.close()


# --- names, addresses, families ---

@pytest.mark.parametrize("family, name, source", [
    ("ipv4", "four.example.org", "127.0.0.7"),
    ("ipv6", "six.example.org", "::1")])
def test_hello_and_source(server, authority, family, name, source):
    """The name for the family, and the address that we come from."""
    here = "127.0.0.1" if family == "ipv4" else "::1"
    seen = []
    listener = socket.create_server((here, 0), family=socket.AF_INET
                                    if family == "ipv4" else socket.AF_INET6)

    def serve():
        connection, peer = listener.accept()
        connection.sendall(b"220 x ESMTP\r\n")
        seen.extend([peer[0], connection.recv(1000)])
        connection.close()
    threading.Thread(target=serve, daemon=True).start()
    text = by_route(
        authority, listener.getsockname()[1], level="may", known="",
        top="hello-ipv4 = four.example.org\nhello-ipv6 = six.example.org\n"
        'source-addresses = { "127.0.0.7", "::1" }\n')
    one = server(text=text.replace('host = "127.0.0.1"', 'host = "%s"' % here)
                 .replace("ipv6 = no", ""))
    send(one.port)
    until(lambda: len(seen) == 2, 20, one.read_log)
    assert seen == [source, b"EHLO %s\r\n" % name.encode()]
    listener.close()


def test_discard(server, authority):
    one = server(text=BASE + 'route "example.net" { transport = discard }\n')
    send(one.port)
    one.wait_log("discarded")
    one.wait_empty()


def test_explained(server, smarthost, authority, tmp_path, make_certificate):
    """`policy explain` and `queue show` say which way it goes, as whom; never a
    word of the password."""
    host = smarthost(auth="535 5.7.8 no")
    own = make_certificate("laptop.example.org", issuer=None)
    path = credentials(tmp_path)
    one = server(text=by_route(
        authority, host.port, path, more="certificate = laptop", top=
        'certificate laptop { chain = "%s" key = "%s" }\n' % (own.chain,
                                                              own.key)))
    (plan,) = one.policy("explain", "example.net")
    assert plan["route"] == {
        "pattern": "*", "transport": "smtp", "level": "secure",
        "credentials": path, "certificate": "laptop"}
    assert plan["next-hop"]["port"] == host.port
    assert plan["hosts"][0]["reason"] == "route *: level secure"
    _, text, _ = one.command("policy", "explain", "example.net", check=0)
    assert "by route *, smtp" in text and "(route *)" in text
    text = " ".join(text.split())
    assert "credentials of " in text and path in text
    assert "shows certificate laptop" in text
    send(one.port)
    row = waits(one, "login")
    _, shown, _ = one.command("queue", "show", row["id"], check=0)
    assert "by route *, smtp" in shown and "port %d" % host.port in shown
    no_secret_in(text + shown)


# --- LMTP ---

@pytest.fixture
def dovecot(tmp_path):
    one = Dovecot(tmp_path / "dovecot", {
        "carol@example.net": PASSWORD, "dave@example.net": PASSWORD,
    })
    yield one
    one.stop()


def inbox(dovecot, user):
    with imaplib.IMAP4("127.0.0.1", dovecot.port) as client:
        client.login(user, PASSWORD)
        client.select()
        _, found = client.search(None, "ALL")
        return [client.fetch(number, "(RFC822)")[1][0][1]
                for number in found[0].split()]


def to_lmtp(socket_path):
    return BASE + ('route "example.net" { transport = lmtp socket = "%s" }\n' %
                   socket_path)


def test_dovecot_lmtp(server, dovecot):
    """SMTP-188, SMTP-189: over its Unix socket; each recipient for itself. Read
    back by IMAP, byte for byte."""
    dovecot.start()
    one = server(text=to_lmtp(dovecot.lmtp))
    body = b"Subject: kept\r\n\r\n.dot\r\n..two\r\nend\r\n"
    send(one.port, ["carol@example.net", "dave@example.net"], body)
    one.wait_log(" delivered r=", count=2)
    one.wait_empty()
    for user in ("carol@example.net", "dave@example.net"):
        (kept,) = inbox(dovecot, user)
        assert kept.endswith(body), kept
        head = email.message_from_bytes(kept)
        assert head["Return-Path"] == "<bob@example.org>"
    assert "relay=%s " % dovecot.lmtp in one.read_log()
    send(one.port, "carol@example.net", b"Subject: second\r\n\r\nx\r\n")
    until(lambda: len(inbox(dovecot, "carol@example.net")) == 2, 20)
    assert email.message_from_bytes(inbox(dovecot, "carol@example.net")[1])[
        "Delivered-To"] == "carol@example.net"


def test_dovecot_is_away(server, dovecot):
    """It waits, and is there when Dovecot is; a DSN says "delivered"."""
    one = server(text=to_lmtp(dovecot.lmtp), users=("bob",))
    with smtplib.SMTP("127.0.0.1", one.port, timeout=30) as client:
        client.sendmail("bob@example.org", ["carol@example.net"],
                        b"Subject: later\r\n\r\nx\r\n",
                        rcpt_options=["NOTIFY=SUCCESS"])
    row = waits(one, "connect")
    dovecot.start()
    one.command("queue", "retry", row["id"])
    until(lambda: dovecot.process and inbox(dovecot, "carol@example.net"), 20,
          one.read_log)
    (report,) = one.wait_messages("bob")
    assert b"Action: delivered" in report
    one.wait_empty()


class Lmtp(threading.Thread):
    """A server on a Unix socket that answers the message for so many
    recipients and is gone then; .attempts has the recipients of each."""

    def __init__(self, path, answers):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.answers, self.attempts = list(answers), []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.serve(connection, connection.makefile("rb"))

    def serve(self, connection, stream):
        connection.sendall(b"220 x LMTP\r\n")
        taken = []
        for line in stream:
            verb = line[:4].upper()
            if verb == b"RCPT":
                taken.append(line[9:-3].decode())
            if verb == b"DATA":
                connection.sendall(b"354 go\r\n")
                while stream.readline() != b".\r\n":
                    pass
                self.attempts.append(taken)
                count = self.answers.pop(0)
                for _ in taken[:count]:
                    connection.sendall(b"250 2.1.5 kept\r\n")
                if count < len(taken):
                    return
                taken = []
                continue
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else
                               b"250 fine\r\n")
            if verb == b"QUIT":
                return

    def close(self):
        self.listener.close()


def test_lmtp_cut(server, tmp_path):
    """SMTP-190: cut behind the first reply. Who was answered gets it once, the
    others later, and nobody is lost."""
    path = "/tmp/lm%d" % os.getpid()
    if os.path.exists(path):
        os.unlink(path)
    host = Lmtp(path, [1, 1, 9])
    try:
        one = server(text=to_lmtp(path))
        send(one.port, ["a@example.net", "b@example.net", "c@example.net"])
        one.wait_empty()
        assert host.attempts == [
            ["a@example.net", "b@example.net", "c@example.net"],
            ["b@example.net", "c@example.net"], ["c@example.net"]]
    finally:
        host.close()
        os.unlink(path)


def test_lmtp_over_tcp(server, make_certificate, authority):
    """Host and port without MX: the level holds as for SMTP."""
    host = Stranger(certificate=make_certificate(NAME))
    one = server(text=by_route(authority, host.port, more="transport = lmtp")
                 .replace("mx = no", ""))
    send(one.port)
    until(lambda: host.messages, 20, one.read_log)
    assert host.secured[0] == "LHLO mx.example.org"
    one.wait_empty()
    one.wait_log(" delivered r=")
    host.close()
