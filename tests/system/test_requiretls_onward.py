# SPDX-License-Identifier: ISC
"""REQUIRETLS and TLS-Required: No (RFC 8689) where mail changes hands inside:
through aliases to other domains, with SRS and without, from people who log in,
and to stores of mailboxes by LMTP. The names are signed, the processes real."""
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile

import pytest

from postern import BINARY, free_port, until
from smtp_peer import Stranger
from test_requiretls import (LETTER, OPTIONAL, goes, has_demand, make,
                             report_in, submit, text, waits)
from tls_world import World

PASSWORD = "Kranewitt 1512"
SRS = 'srs-domain = example.org\nsrs-secret-file = "%s/secret"\n'


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_certificate, authority):
    one = World(tmp_path_factory.mktemp("names"), make_certificate, authority,
                ["auto", "more", "dane", "back", "pair", "plain"],
                dane=["dane"], pairs=["pair"])
    yield one
    one.close()


def own_path(line):
    return line.split("<", 1)[1].split(">", 1)[0]


# --- aliases ---

@pytest.fixture(params=["plain sender", "srs"])
def by_alias(request, world, server, certificate, tmp_path):
    """by_alias(domains): a server whose far@example.org is carol at each of the
    domains; .srs."""
    def start(*domains, more=()):
        srs = request.param == "srs"
        (tmp_path / "aliases").write_text("far: %s\n" % ", ".join(
            [one.user() for one in domains] + list(more)))
        (tmp_path / "secret").write_text("a secret of the tests\n")
        one = make(world, server, certificate, text=text(world) +
                   'aliases-file = "%s/aliases"\n' % tmp_path +
                   (SRS % tmp_path if srs else ""))
        one.srs = srs
        return one
    return start


def check_sender(one, mail, home):
    path = own_path(mail[2])
    if one.srs:
        assert path.startswith("SRS0=") and path.endswith("@example.org")
    else:
        assert path == home.user("ann")


def test_alias_keeps_the_demand(world, by_alias):
    """REQ-18, REQ-80, REQ-81: sent on by an alias it has the parameter still;
    what came without goes without."""
    domain, home = world.domain("auto", requiretls="tls"), world.domain("back")
    one = by_alias(domain)
    submit(one, "far@example.org", sender=home.user("ann"))
    goes(one, domain)
    submit(one, "far@example.org", sender=home.user("ann"), demand=False)
    goes(one, domain, 2)
    assert [(mail[1], has_demand(mail)) for mail in domain.peer.mails] == [
        (True, True), (True, False)]
    for mail in domain.peer.mails:
        check_sender(one, mail, home)
    one.wait_log("requiretls=yes")


@pytest.mark.parametrize("options,status", [
    (dict(), "5.7.30"), (dict(certificate=None), "5.7.10")],
    ids=["no keyword", "no TLS"])
def test_alias_returns_it(world, by_alias, options, status):
    """REQ-43, REQ-44, REQ-70, REQ-71, REQ-81: where no host of the alias can,
    it goes back to who sent it, not to a name of ours, no more of it than its
    header, and by REQUIRETLS."""
    domain = world.domain("auto", **options)
    home = world.domain("back", requiretls="tls")
    one = by_alias(domain)
    submit(one, "far@example.org", sender=home.user("ann"),
           more=["RET=FULL"])
    goes(one, home)
    assert domain.peer.mails == [] and domain.peer.messages == []
    (mail,) = home.peer.mails
    assert mail[1] and own_path(mail[2]) == "" and has_demand(mail)
    ((_, _, recipients, report),) = home.peer.messages
    assert recipients == ["<%s>" % home.user("ann")]
    words, fields, original = report_in(report)
    assert fields["Action"] == "failed" and fields["Status"] == status
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"eyes only" not in report
    one.wait_empty()


def test_alias_of_several(world, by_alias):
    """REQ-18, REQ-48, REQ-81: each copy has the demand: the one that can keep
    it goes, the one in a maildir of ours is kept, and the one that cannot goes
    back alone."""
    can, cannot = world.domain("auto", requiretls="tls"), world.domain("auto")
    home = world.domain("back", requiretls="tls")
    one = by_alias(can, cannot, more=["bob@example.org"])
    submit(one, "far@example.org", sender=home.user("ann"))
    goes(one, can)
    goes(one, home)
    (kept,) = one.wait_messages("bob")
    assert b"eyes only" in kept
    assert has_demand(can.peer.mails[0]) and cannot.peer.mails == []
    words, fields, _ = report_in(home.peer.messages[0][3])
    assert cannot.user() in fields["Final-Recipient"]
    assert can.user() not in words
    one.wait_empty()
    assert len(home.peer.messages) == len(can.peer.messages) == 1


def test_notification_from_there_comes_back(world, by_alias):
    """REQ-70, REQ-80: what the next host returns later comes by REQUIRETLS to
    the name that it was given, and leaves by REQUIRETLS to who sent it."""
    domain = world.domain("auto", requiretls="tls")
    home = world.domain("back", requiretls="tls")
    one = by_alias(domain)
    submit(one, "far@example.org", sender=home.user("ann"))
    goes(one, domain)
    submit(one, own_path(domain.peer.mails[0][2]), sender="")
    goes(one, home)
    (mail,) = home.peer.mails
    assert mail[1] and own_path(mail[2]) == "" and has_demand(mail)
    assert home.peer.messages[0][2] == ["<%s>" % home.user("ann")]


def test_alias_keeps_the_wish_for_less(world, by_alias):
    """REQ-16, REQ-57, REQ-61, REQ-80: TLS-Required: No is with the message, and
    in it, behind an alias: it goes where DANE makes other mail wait."""
    domain = world.domain("dane", certificate=world.other)
    home = world.domain("back")
    one = by_alias(domain)
    held = submit(one, "far@example.org", sender=home.user("ann"),
                  demand=False)
    assert waits(one, held)["reason"] == "dane-mismatch"
    submit(one, "far@example.org", sender=home.user("ann"), demand=False,
           body=OPTIONAL)
    goes(one, domain)
    ((secure, _, _, data),) = domain.peer.messages
    assert secure and b"\nTLS-Required: No\r\n" in data
    assert not has_demand(domain.peer.mails[0])
    check_sender(one, domain.peer.mails[0], home)
    assert one.queue("show", held)


# --- people who log in ---

class Office:
    """A server with a submission port of each kind, and a user, bob."""

    def __init__(self, world, maker, certificate, more=""):
        self.authority = world.authority
        self.ports = {"587": free_port(), "465": free_port()}
        self.server = make(world, maker, certificate, text=more + text(
            world).replace("relay-from = { 127.0.0.1 }",
                       "relay-from = { 192.0.2.1 }") + "".join(
            'listen %s { addresses = { "127.0.0.1" } port = %d }\n' % (
                name, self.ports[port]) for name, port in (
                ("submission", "587"), ("submissions", "465"))))
        done = subprocess.run(
            [BINARY, "user", "add", "bob@example.org", "-c",
             self.server.path], input=(PASSWORD + "\n") * 2,
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done

    def client(self, kind, login=True):
        context = ssl.create_default_context(cafile=self.authority.chain)
        # The name that the certificate is for
        context.check_hostname = False
        if kind == "465":
            client = smtplib.SMTP_SSL("127.0.0.1", self.ports[kind],
                                      timeout=30, context=context)
        else:
            client = smtplib.SMTP("127.0.0.1", self.ports[kind], timeout=30)
            client.starttls(context=context)
        client.ehlo()
        if login:
            client.login("bob@example.org", PASSWORD)
        return client

    def send(self, kind, to, body=LETTER, demand=False):
        with self.client(kind) as client:
            code, reply = client.mail("bob@example.org",
                                      ["REQUIRETLS"] * demand)
            assert code == 250, reply
            assert client.rcpt(to)[0] == 250
            code, reply = client.data(body)
            assert code == 250, reply
            return reply.decode().split()[-1]


@pytest.fixture(scope="module")
def office(world, module_server, certificate):
    return Office(world, module_server, certificate)


@pytest.mark.parametrize("kind", ["587", "465"])
def test_submitted_with_the_demand(world, office, kind):
    """REQ-3, REQ-15, REQ-24, REQ-46."""
    domain = world.domain("more", requiretls="tls")
    with office.client(kind, login=False) as client:
        assert client.has_extn("requiretls")
        # it stands for no login
        assert client.mail("bob@example.org", ["REQUIRETLS"])[0] == 530
    office.send(kind, domain.user(), demand=True)
    office.send(kind, domain.user())
    goes(office.server, domain, 2)
    assert sorted(has_demand(mail) for mail in domain.peer.mails) == [
        False, True]
    assert all(mail[1] for mail in domain.peer.mails)


def test_submission_offers_it_under_tls_only(office):
    """REQ-5, REQ-6, REQ-24: in clear neither the keyword nor the
    parameter."""
    with smtplib.SMTP("127.0.0.1", office.ports["587"], timeout=30) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert not client.has_extn("requiretls")
        assert client.mail("bob@example.org", ["REQUIRETLS"])[0] == 530


def test_submitted_and_returned(world, office):
    """REQ-24, REQ-43, REQ-44, REQ-71: and who sent it reads why, at home."""
    domain = world.domain("more")
    before = len(office.server.messages("bob"))
    office.send("587", domain.user(), demand=True)
    report = office.server.wait_messages("bob", before + 1)[-1]
    words, fields, original = report_in(report)
    assert domain.user() in fields["Final-Recipient"]
    assert fields["Status"] == "5.7.30"
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"eyes only" not in report and domain.peer.mails == []


@pytest.fixture(scope="module")
def busy(world):
    return world.domain("pair", requiretls="tls",
                        replies={"RCPT": "450 4.2.0 later"})


@pytest.mark.parametrize("demand,head,tag", [
    (False, b"TLS-Required: No\r\n", "optional"),
    (False, b"tls-required:\r\n NO\r\n", "optional"),
    (False, b"TLS-Required: No\r\nTLS-Required: No\r\n", None),
    (False, b"TLS-Required: Yes\r\n", None),
    (False, b"X-TLS-Required: No\r\n", None),
    (True, b"TLS-Required: No\r\n", "requiretls"),
    (True, b"", "requiretls")])
def test_submitted_tags(office, busy, demand, head, tag):
    """REQ-15 to REQ-17, REQ-19, REQ-20, REQ-24: read as any other mail."""
    identifier = office.send("465", busy.user(), head + LETTER, demand)
    waits(office.server, identifier)
    (entry,) = office.server.queue("show", identifier)
    assert entry.get("tls-tag") == tag


def test_submitted_wish_for_less(world, server, certificate):
    """REQ-23, REQ-24, REQ-57, REQ-61: who logs in is heeded where strangers are
    not; the header goes on, and REQUIRETLS is not asked for."""
    office = Office(world, server, certificate, "tls-required-no = relay\n")
    domain = world.domain("dane", certificate=world.other, requiretls="tls")
    office.send("587", domain.user(), OPTIONAL)
    goes(office.server, domain)
    ((secure, _, _, data),) = domain.peer.messages
    assert secure and b"\nTLS-Required: No\r\n" in data
    assert not has_demand(domain.peer.mails[0])
    # From outside, to a mailbox of ours: not heeded, and told
    submit(office.server, "bob@example.org", sender="x@example.net",
           demand=False, body=OPTIONAL)
    assert b"\nTLS-Required: No\n" in office.server.wait_messages("bob")[0]
    assert office.server.log_count("tag=optional") == 1


# --- LMTP ---

class Store(Stranger):
    """The same on a Unix socket, for one recipient a message."""

    def __init__(self, path, **options):
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(path)
        self.unix.listen()
        super().__init__(**options)

    def run(self):
        self.listener.close()
        self.listener = self.unix
        super().run()


@pytest.fixture
def store():
    folder = tempfile.mkdtemp(prefix="postern-lmtp.")
    one = Store(os.path.join(folder, "lmtp"))
    one.path = os.path.join(folder, "lmtp")
    yield one
    one.close()
    shutil.rmtree(folder)


def test_lmtp_by_unix_socket(world, server, certificate, store):
    """REQ-48: nobody reads there what is said: no TLS, no keyword and no
    parameter, and the mail is in the mailbox."""
    one = make(world, server, certificate, text=text(world) +
               'route "store.example" { transport = lmtp socket = "%s" }\n' %
               store.path)
    submit(one, "carol@store.example")
    until(lambda: store.messages, 20, one.read_log)
    ((secure, _, recipients, data),) = store.messages
    assert not secure and recipients == ["<carol@store.example>"]
    assert b"eyes only" in data and not has_demand(store.mails[0])
    assert store.clear[0].startswith("LHLO ")
    submit(one, "carol@store.example", demand=False, body=OPTIONAL)
    until(lambda: len(store.messages) == 2, 20, one.read_log)
    assert b"\nTLS-Required: No\r\n" in store.messages[1][3]
    one.wait_empty()
    assert one.log_count(" delivered r=") == 2


def by_lmtp(world, host, level=""):
    return text(world, 'route "store.example" { transport = lmtp host = "%s" '
                "port = %d %s }\n" % (host, world.port, level))


def test_lmtp_over_tcp(world, server, certificate):
    """REQ-3, REQ-35, REQ-37, REQ-46, REQ-48: with a network between, all of
    section C: the host that the route names proves its name, and offers
    it."""
    domain = world.domain("plain", requiretls="tls")
    one = make(world, server, certificate, text=by_lmtp(world, domain.host))
    submit(one, "carol@store.example")
    goes(one, domain)
    (mail,) = domain.peer.mails
    assert mail[1] and has_demand(mail)
    assert domain.peer.secured[0].startswith("LHLO ")
    one.wait_empty()


@pytest.mark.parametrize("options,status", [
    (dict(), "5.7.30"),
    (dict(certificate=None, requiretls="always"), "5.7.10"),
    (dict(certificate="other", requiretls="tls"), "5.7.10")],
    ids=["no keyword", "no TLS", "another host"])
def test_lmtp_over_tcp_returned(world, server, certificate, options, status):
    """REQ-42 to REQ-44, REQ-48: any of it missing, and it goes back; other mail
    is taken."""
    options = dict(options)
    if options.get("certificate") == "other":
        options["certificate"] = world.other
    domain = world.domain("plain", **options)
    one = make(world, server, certificate, text=by_lmtp(world, domain.host))
    submit(one, "carol@store.example")
    words, fields, original = report_in(one.wait_messages("bob")[0])
    assert fields["Status"] == status
    assert original.get_content_type() == "text/rfc822-headers"
    assert domain.peer.mails == []
    submit(one, "carol@store.example", demand=False)
    goes(one, domain)


def test_lmtp_over_tcp_by_address(world, server, certificate):
    """REQ-33, REQ-48: an address, loopback or not, has no name to prove; where
    it shows the certificate that the route pins, it needs none."""
    domain = world.domain("plain", requiretls="tls")
    address = domain.peer.listener.getsockname()[0]
    one = make(world, server, certificate, text=by_lmtp(world, address))
    submit(one, "carol@store.example")
    words, fields, _ = report_in(one.wait_messages("bob")[0])
    assert fields["Status"] == "5.7.10" and domain.peer.connections == 0
    one = make(world, server, certificate, text=by_lmtp(
        world, address, 'level = fingerprint fingerprints = { "%s" }' %
        world.good.fingerprint()))
    submit(one, "carol@store.example")
    goes(one, domain)
    assert domain.peer.mails[0][1] and has_demand(domain.peer.mails[0])


def test_lmtp_takes_it(world, server, certificate):
    """REQ-3, REQ-5, REQ-6: as a server of LMTP: under TLS, and not in
    clear."""
    port = free_port()
    domain = world.domain("more", requiretls="tls")
    one = make(world, server, certificate, text=text(world) +
               'listen lmtp { addresses = { "127.0.0.1" } port = %d '
               "relay = any }\n" % port)
    with smtplib.LMTP("127.0.0.1", port) as client:
        client.ehlo()
        assert not client.has_extn("requiretls")
        assert client.mail("x@example.net", ["REQUIRETLS"])[0] == 555
        client.starttls()
        client.ehlo()
        assert client.has_extn("requiretls")
        assert client.mail("bob@example.org", ["REQUIRETLS"])[0] == 250
        assert client.rcpt(domain.user())[0] == 250
        assert client.data(LETTER)[0] == 250
    goes(one, domain)
    assert has_demand(domain.peer.mails[0])
