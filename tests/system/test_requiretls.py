# SPDX-License-Identifier: ISC
"""REQUIRETLS and TLS-Required: No (RFC 8689) from the client that submits to
the host that takes the mail, with a signed DNS and real processes."""
import email
import smtplib

import pytest

from postern import until
from tls_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_certificate, authority):
    one = World(tmp_path_factory.mktemp("names"), make_certificate, authority,
                ["auto", "dane", "pair", "plain", "back"], dane=["dane"],
                pairs=["pair"], records=["two.chain. A 127.0.0.1"])
    yield one
    one.close()


def text(world, more=""):
    return more + world.text(
        "retry-first = 1s\nretry-max = 1s\nreuse-idle = 5m\n"
        "connect-timeout = 5s\n")


def make(world, maker, certificate, **options):
    options.setdefault("text", text(world))
    return maker(users=("bob",), certificate=certificate,
                 trust_anchor=world.names.anchor, **options)


@pytest.fixture(scope="module")
def one(world, module_server, certificate):
    return make(world, module_server, certificate)


LETTER = b"Subject: private matters\r\n\r\nfor your eyes only\r\n"
OPTIONAL = b"TLS-Required: No\r\n" + LETTER


def submit(one, *users, sender="bob@example.org", demand=True, body=LETTER,
           more=()):
    """Over STARTTLS, as MAIL ... REQUIRETLS wants it; the identifier."""
    with smtplib.SMTP("127.0.0.1", one.port, timeout=30) as client:
        client.starttls()
        client.ehlo()
        assert client.has_extn("requiretls")
        assert client.mail(sender, ["REQUIRETLS"] * demand + list(more))[0] \
            == 250
        for user in users:
            assert client.rcpt(user)[0] == 250
        code, reply = client.data(body)
        assert code == 250, reply
        return reply.decode().split()[-1]


def has_demand(mail):
    return "REQUIRETLS" in mail[2].upper().split()


def goes(one, domain, count=1):
    until(lambda: len(domain.peer.messages) >= count, 20, one.read_log)


def report_in(text):
    """The text, the fields of the recipient, and the original of a
    notification."""
    message = email.message_from_bytes(text)
    assert message.get_content_type() == "multipart/report", text
    words, status, original = message.get_payload()
    return words.get_payload(), status.get_payload()[1], original


def waits(one, identifier):
    """The recipient, when it was tried and waits."""
    def tried():
        found = one.queue("show", identifier)
        assert found, "it is gone; log:\n" + one.read_log()[-3000:]
        recipient = found[0]["recipients"][0]
        return recipient["state"] == "deferred" and recipient["attempts"] \
            and recipient["reason"] and recipient
    return until(tried, 20, one.read_log)


# --- on its way ---

def test_through_two_servers(world, server, one, make_certificate):
    """REQ-15, REQ-22, REQ-31, REQ-35 to REQ-37, REQ-46: the parameter goes from
    hop to hop, each authenticated; what comes without it goes without it."""
    two = make(world, server, make_certificate("two.chain"), name="two.chain")
    domain = world.domain("auto", requiretls="tls")
    first = make(world, server, one.certificate, text=text(
        world, 'route "%s" { host = "two.chain" port = %d mx = no }\n' % (
            domain.name, two.port)))
    submit(first, domain.user())
    goes(first, domain)
    submit(first, domain.user(), demand=False)
    goes(two, domain, 2)
    assert [(mail[1], has_demand(mail)) for mail in domain.peer.mails] == [
        (True, True), (True, False)]
    two.wait_log("requiretls=yes")
    first.wait_log("requiretls=yes")


@pytest.mark.parametrize("group,secure", [("auto", "verified"),
                                          ("dane", "dane")])
def test_delivered_with_the_demand(world, one, group, secure):
    """REQ-35, REQ-36, REQ-46: by DANE, and by the web's authorities where the
    MX records are signed."""
    domain = world.domain(group, requiretls="tls")
    identifier = submit(one, domain.user())
    goes(one, domain)
    (mail,) = domain.peer.mails
    assert mail[1] and has_demand(mail)
    one.wait_log("m=%s delivery relayed" % identifier)
    (line,) = [line for line in one.read_log().splitlines()
               if "m=%s delivery relayed" % identifier in line]
    assert "tls=%s" % secure in line and "requiretls=yes" in line


def test_in_clear_it_is_no_parameter(one):
    """REQ-5, REQ-6: neither offered nor taken outside of TLS."""
    with smtplib.SMTP("127.0.0.1", one.port, timeout=30) as client:
        client.ehlo()
        assert not client.has_extn("requiretls")
        assert client.mail("bob@example.org", ["REQUIRETLS"])[0] >= 500


# --- returned ---

def no_tls(connection):
    connection.recv(4096)
    connection.sendall(b"250 this is not TLS\r\n")


FAULTS = {
    "no keyword": (dict(), "5.7.30"),
    "keyword in clear only": (dict(keywords=["PIPELINING", "REQUIRETLS"],
                                   certificate=None), "5.7.10"),
    "stripped": (dict(certificate=None, requiretls="always"), "5.7.10"),
    "handshake": (dict(after_starttls=no_tls, requiretls="tls"), "5.7.10"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_returned_at_once(world, one, fault):
    """REQ-40, REQ-42 to REQ-44, REQ-70 to REQ-72: no host can: the message is
    not sent and goes back at once; no more of it than its header, whatever RET
    says; and the notification is sent with REQUIRETLS, too."""
    options, status = FAULTS[fault]
    domain = world.domain("auto", **options)
    home = world.domain("back", requiretls="tls")
    identifier = submit(one, domain.user(), sender=home.user("ann"),
                        more=["RET=FULL"])
    goes(one, home)
    assert domain.peer.messages == [] and domain.peer.mails == []
    (mail,) = home.peer.mails
    assert mail[1] and mail[2].upper().startswith("MAIL FROM:<>")
    assert has_demand(mail)
    words, fields, original = report_in(home.peer.messages[0][3])
    assert fields["Action"] == "failed" and fields["Status"] == status
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"eyes only" not in home.peer.messages[0][3]
    assert "private matters" in str(original)
    until(lambda: not one.queue("show", identifier))


def test_unsigned_mx_is_not_enough(world, one):
    """REQ-31: nobody vouches for the host's name: returned, without asking
    it."""
    domain = world.domain("plain", requiretls="tls")
    before = len(one.messages("bob"))
    submit(one, domain.user())
    words, fields, _ = report_in(one.wait_messages("bob", before + 1)[-1])
    assert domain.name in fields["Final-Recipient"]
    assert fields["Status"] == "5.7.10"
    assert domain.peer.connections == 0


def test_notification_without_the_keyword(world, one):
    """REQ-73: the sender's own host does not know REQUIRETLS: the notification
    reaches it all the same, under TLS and without the parameter."""
    domain = world.domain("auto")
    home = world.domain("back")
    submit(one, domain.user(), sender=home.user("ann"))
    goes(one, home)
    (mail,) = home.peer.mails
    assert mail[1] and not has_demand(mail)
    assert b"eyes only" not in home.peer.messages[0][3]


@pytest.mark.parametrize("level", ["none", "may", "encrypt"])
def test_nobody_lowers_it(world, one, level):
    """An exception for the destination: the mail of others goes in clear, the
    one with the demand goes back."""
    domain = world.domain("auto", certificate=None)
    home = world.domain("back", requiretls="tls")
    one.command("policy", "exception", "add", domain.name, "--level", level,
                "--until", "1h", "--reason", "x", check=0)
    submit(one, domain.user(), sender=home.user("ann"))
    goes(one, home)
    assert domain.peer.mails == []
    submit(one, domain.user(), demand=False)
    if level != "encrypt":
        goes(one, domain)
        assert not domain.peer.messages[0][0]


# --- kept waiting ---

def test_waits_for_a_host_that_is_down(world, one):
    """REQ-45: of two hosts one cannot, and the other one is down, which may
    pass: the message waits; the operator can select it and cannot lower it;
    when the first host can, it is delivered."""
    domain = world.domain("pair", certificate=None, requiretls="tls")
    before = len(one.messages("bob"))
    identifier = submit(one, domain.user())
    recipient = waits(one, identifier)
    assert recipient["status"].startswith("4.")
    (entry,) = one.queue("show", identifier)
    assert entry["tls-tag"] == "requiretls"
    (said,) = one.queue("set-tls", identifier, "may", "--reason", "hurry")
    assert said["requiretls"] == 1 and said["notice"]
    assert one.next_attempts(identifier)[domain.name]["wish"] == "requiretls"
    until(lambda: recipient["attempts"] + 1 < one.queue(
        "show", identifier)[0]["recipients"][0]["attempts"], 20, one.read_log)
    assert domain.peer.mails == []
    domain.peer.certificate = world.good
    goes(one, domain)
    assert has_demand(domain.peer.mails[0])
    assert len(one.messages("bob")) == before


def test_waits_over_a_crash(world, server, certificate):
    """REQ-22: the demand is with the message, however the server ended."""
    one = make(world, server, certificate)
    domain = world.domain("pair", requiretls="tls")
    domain.peer.replies["RCPT"] = "450 4.2.0 later"
    identifier = submit(one, domain.user())
    waits(one, identifier)
    one.kill_all()
    domain.peer.replies.clear()
    domain.peer.mails.clear()
    one.start()
    goes(one, domain)
    assert all(mail[1] and has_demand(mail) for mail in domain.peer.mails)


# --- beside other mail ---

def test_never_on_one_connection(world, one):
    """REQ-47: mail with and without the demand, at the same time and one after
    the other, to one host: no connection has both."""
    domain = world.domain("auto", requiretls="tls")
    for number in range(12):
        submit(one, domain.user("u%d" % number), demand=number % 2 == 0)
        if number >= 6:
            goes(one, domain, number + 1)
    kinds = {}
    for mail in domain.peer.mails:
        kinds.setdefault(mail[0], set()).add(has_demand(mail))
    assert sorted(len(kind) for kind in kinds.values()) == [1] * len(kinds)
    demanded = [has_demand(mail) for mail in domain.peer.mails]
    assert demanded.count(True) == demanded.count(False) == 6
    assert len(kinds) < 12      # they are used again by their own kind


# --- TLS-Required: No ---

def test_optional_goes_where_dane_fails(world, one):
    """REQ-16, REQ-55 to REQ-57, REQ-61, REQ-62: a certificate that the TLSA
    records do not name makes mail wait; the one whose sender says No goes,
    under TLS, with its header, and the failure is counted all the same."""
    domain = world.domain("dane", certificate=world.other)
    held = submit(one, domain.user("early"), demand=False)
    assert waits(one, held)["reason"] == "dane-mismatch"
    submit(one, domain.user("late"), demand=False, body=OPTIONAL)
    goes(one, domain)
    ((secure, _, recipients, data),) = domain.peer.messages
    assert secure and recipients == ["<%s>" % domain.user("late")]
    assert b"\nTLS-Required: No\r\n" in data
    assert one.queue("show", held)

    def failures():
        return sum(entry["summary"]["total-failure-session-count"]
                   for day in ("yesterday", "today")
                   for entry in one.policy("outcomes", "--day", day)
                   if entry["domain"] == domain.name)
    until(lambda: failures() >= 2)


def test_optional_does_not_lower_what_is_configured(world, server,
                                                    certificate):
    """REQ-60: the administrator's level stays."""
    one = make(world, server, certificate,
               text=text(world) + 'destination "*" { level = encrypt }\n')
    domain = world.domain("dane", certificate=None)
    identifier = submit(one, domain.user(), demand=False, body=OPTIONAL)
    assert waits(one, identifier)["reason"] == "no-starttls"
    (entry,) = one.queue("show", identifier)
    assert entry["tls-tag"] == "optional"
    assert domain.peer.messages == []


def test_parameter_goes_before_the_header(world, one):
    """REQ-17: both at once: the demand holds, the header stays in the
    message."""
    domain = world.domain("dane", certificate=world.other, requiretls="tls")
    identifier = submit(one, domain.user(), body=OPTIONAL)
    one.wait_log("m=%s delivery " % identifier)
    assert domain.peer.connections and domain.peer.mails == []
    other = world.domain("dane", requiretls="tls")
    submit(one, other.user(), body=OPTIONAL)
    goes(one, other)
    assert has_demand(other.peer.mails[0])
    assert b"\nTLS-Required: No\r\n" in other.peer.messages[0][3]
