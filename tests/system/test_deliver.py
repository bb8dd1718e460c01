# SPDX-License-Identifier: ISC
"""Mail going out: what each level demands, and that what it forbids never
happens; to a second Postern, to Debian's Postfix, to strangers."""
import email
import os
import smtplib
import socket
import ssl
import struct
import subprocess

import pytest

from postern import PEERS, free_port, until
from smtp_peer import Postfix, Stranger

ANYWHERE = 'relay-from = { 127.0.0.1 }\nallow-loopback = yes\n' \
           'retry-first = 1s\nretry-max = 2s\nreuse-idle = 1s\n'


def send(port, to="carol@example.net", sender="bob@example.org",
         body=b"Subject: out\r\n\r\nHello\r\n", **more):
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail(sender, [to] if isinstance(to, str) else to, body,
                        **more)


def to_port(port, level="may", more=""):
    return ANYWHERE + (
        'route "example.net" { host = "127.0.0.1" port = %d mx = no }\n'
        'destination "example.net" { level = %s %s }\n' % (port, level, more))


@pytest.fixture
def stranger():
    made = []

    def make(**options):
        one = Stranger(**options)
        made.append(one)
        return one
    yield make
    for one in made:
        one.close()


def test_two_posterns_by_name(server, make_certificate, authority):
    """The whole path: accepted, queued, delivered over verified TLS to a
    second Postern, kept in its maildir."""
    two = server(name="mx.example.net", domain="example.net",
                 users=("carol",),
                 certificate=make_certificate("mx.example.net"))
    one = server(text=to_port(two.port, "secure",
                              'names = { "mx.example.net" }') +
                 'trust-file = "%s"\n' % authority.chain)
    send(one.port)
    (got,) = two.wait_messages("carol")
    hops = email.message_from_bytes(got).get_all("Received")
    assert len(hops) == 2 and "with ESMTPS" in hops[0]
    one.wait_log("tls=secure")
    one.wait_empty()


def implicit_to_port(port, level, more=""):
    return to_port(port, level, more).replace("mx = no", "mx = no tls = implicit")


def test_implicit_tls_route(server, stranger, make_certificate, authority):
    """A port for TLS alone: the handshake first, the greeting inside."""
    peer = stranger(certificate=make_certificate("mx.example.net"),
                    implicit=True)
    one = server(text=implicit_to_port(peer.port, "secure",
                                       'names = { "mx.example.net" }') +
                 'trust-file = "%s"\n' % authority.chain)
    send(one.port)
    until(lambda: peer.messages, 20, one.read_log)
    assert peer.messages[0][0] and not peer.clear
    one.wait_log("tls=secure")
    one.wait_empty()


@pytest.mark.parametrize("level, more", [
    ("may", "no-starttls = clear broken-tls = clear"), ("none", ""),
    ("encrypt", "")])
def test_implicit_tls_never_goes_in_clear(server, stranger, level, more):
    """The port answers with a banner in clear: the mail waits, and not a byte
    of SMTP is heard, whatever the fallback options say."""
    peer = stranger()
    one = server(text=implicit_to_port(peer.port, level, more))
    send(one.port)
    until(lambda: peer.connections >= 3, 30, one.read_log)
    one.wait_log("reason=tls-handshake")
    assert not [line for line in peer.clear if line.isprintable()
                and line[:4].upper() in ("EHLO", "HELO", "MAIL", "STAR")]
    assert not peer.messages
    assert one.queue("list")


def test_postfix_receives(server, make_certificate, authority, tmp_path):
    """A real peer: Debian's Postfix takes it over verified TLS."""
    peer = Postfix(tmp_path / "pf", make_certificate("mx.example.net"))
    peer.start()
    try:
        one = server(text=to_port(peer.port, "secure",
                                  'names = { "mx.example.net" }') +
                     'trust-file = "%s"\n' % authority.chain)
        send(one.port)
        until(lambda: peer.messages("user"), 20, one.read_log() + peer.log())
        (got,) = peer.messages("user")
        assert b"Subject: out" in got
        one.wait_empty()
    finally:
        peer.stop()


def test_smtp_sink_receives(server):
    """A real peer that only counts: Postfix's smtp-sink."""
    port = free_port()
    user = ["-u", "daemon"] if os.geteuid() == 0 else []
    sink = subprocess.Popen(
        [os.path.join(PEERS, "bin/smtp-sink"), *user, "127.0.0.1:%d" % port,
         "20"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        one = server(text=to_port(port))
        for _ in range(10):
            send(one.port)
        one.wait_log(" delivery relayed ", count=10)
        one.wait_empty()
    finally:
        sink.terminate()
        sink.wait(10)


def test_opportunistic_uses_tls(server, stranger, certificate):
    peer = stranger(certificate=certificate)
    one = server(text=to_port(peer.port))
    send(one.port)
    until(lambda: peer.messages)
    assert peer.messages[0][0] is True
    assert [word.split()[0] for word in peer.clear] == ["EHLO", "STARTTLS"]


def test_opportunistic_without_tls_goes_in_clear(server, stranger):
    peer = stranger()
    one = server(text=to_port(peer.port))
    send(one.port)
    until(lambda: peer.messages)
    one.wait_log("tls=none")


def test_level_none_does_not_try(server, stranger, certificate):
    """TLS-70."""
    peer = stranger(certificate=certificate)
    one = server(text=to_port(peer.port, "none"))
    send(one.port)
    until(lambda: peer.messages)
    assert peer.messages[0][0] is False


LEVELS = [("encrypt", ""), ("verify", 'names = { "mx.example.net" }'),
          ("secure", 'names = { "mx.example.net" }'),
          ("fingerprint", 'fingerprints = { "%s" }' % ("ab" * 32))]


def garbage(connection):
    """Behind the ClientHello: what comes before it is an injection, another
    symptom, and never a reason for clear text."""
    connection.recv(1, socket.MSG_PEEK)
    connection.sendall(b"250 this is not TLS\r\n")


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))


def wait(connection):
    while connection.recv(4096):
        pass


SYMPTOMS = {
    "keyword-absent": dict(keywords=["PIPELINING", "8BITMIME"]),
    "keyword-mangled": dict(keywords=["PIPELINING", "XXXXXXXA"],
                            replies={"STARTTLS": "500 what"}),
    "ehlo-refused": dict(replies={"EHLO": "502 no"}),
    "starttls-500": dict(keywords=["STARTTLS"],
                         replies={"STARTTLS": "500 5.5.1 what"}),
    "starttls-454": dict(keywords=["STARTTLS"],
                         replies={"STARTTLS": "454 4.7.0 not now"}),
    "starttls-554": dict(keywords=["STARTTLS"],
                         replies={"STARTTLS": "554 5.7.0 never"}),
    "clear-after-220": dict(keywords=["STARTTLS"], after_starttls=garbage),
    "reset-after-220": dict(keywords=["STARTTLS"], after_starttls=reset),
    "injection": dict(keywords=["STARTTLS"], after_starttls=wait, replies={
        "STARTTLS": "220 go\r\n250-evil\r\n250 AUTH PLAIN"}),
    "greeting-554": dict(greeting="554 5.7.1 go away"),
    "greeting-421": dict(greeting="421 4.3.2 later"),
    "everything-530": dict(replies={"EHLO": "530 5.7.0 first"}),
}


@pytest.mark.parametrize("level,more", LEVELS, ids=[l[0] for l in LEVELS])
@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_symptom_under_required_tls(server, stranger, authority, symptom,
                                    level, more):
    """TLS-46, TLS-55 to TLS-64: whatever the stripping looks like, no mail is
    said in clear and nothing becomes permanent; mended, it is delivered."""
    peer = stranger(**SYMPTOMS[symptom])
    one = server(text=to_port(peer.port, level, more) +
                 'trust-file = "%s"\n' % authority.chain)
    send(one.port)
    one.wait_log("status=4.", 30)
    assert not any(line.upper().startswith(("MAIL", "RCPT", "DATA"))
                   for line in peer.clear), peer.clear
    assert peer.messages == []
    (entry,) = one.queue("list")
    assert entry["recipients"][0]["status"].startswith("4.")
    assert one.messages("bob") == []     # no bounce either


def test_required_tls_delivers_when_mended(server, stranger, certificate):
    """Deferring is not doing nothing: once the fault is gone it arrives."""
    peer = stranger(certificate=certificate,
                    keywords=["PIPELINING"])
    one = server(text=to_port(peer.port, "encrypt"))
    send(one.port)
    one.wait_log("status=4.")
    peer.keywords = None
    until(lambda: peer.messages, 30)
    assert peer.messages[0][0] is True
    one.wait_empty()


@pytest.mark.parametrize("what", ["wrong-name", "self-signed", "expired"])
@pytest.mark.parametrize("level", ["verify", "secure"])
def test_wrong_certificate_is_refused(server, stranger, make_certificate,
                                      authority, what, level):
    """TLS-44, TLS-95 to 98: QUIT right after the handshake, deferred."""
    options = {"wrong-name": dict(name="mx.evil.example"),
               "self-signed": dict(name="mx.example.net", issuer=None),
               "expired": dict(name="mx.example.net", days=(-30, -1))}[what]
    peer = stranger(certificate=make_certificate(**options))
    one = server(text=to_port(peer.port, level,
                              'names = { "mx.example.net" }') +
                 'trust-file = "%s"\n' % authority.chain)
    send(one.port)
    one.wait_log("status=4.7.", 30)
    assert peer.messages == []
    assert all(line.upper().split()[0] in ("EHLO", "QUIT")
               for line in peer.secured), peer.secured
    entry = one.queue("list")[0]
    assert entry["recipients"][0]["reason"] == "certificate"


def test_fingerprint_matches(server, stranger, make_certificate):
    other = make_certificate("anything.example", issuer=None)
    peer = stranger(certificate=other)
    one = server(text=to_port(peer.port, "fingerprint",
                              'fingerprints = { "%s" }' %
                              other.fingerprint()))
    send(one.port)
    until(lambda: peer.messages)
    assert peer.messages[0][0] is True


def test_old_tls_counts_as_none(server, stranger, certificate):
    """TLS-105, TLS-108: TLS 1.1 is no TLS; under encrypt it defers."""
    peer = stranger(certificate=certificate,
                    tls_version=ssl.TLSVersion.TLSv1_1)
    one = server(text=to_port(peer.port, "encrypt"))
    send(one.port)
    one.wait_log("status=4.")
    assert peer.messages == []


def test_broken_tls_defers_until_the_time(server, stranger):
    """broken-tls = clear-after T: deferred first, then in clear, on a fresh
    connection, and the log says so."""
    peer = stranger(keywords=["STARTTLS"], after_starttls=garbage)
    one = server(text=to_port(peer.port, "may",
                              'broken-tls = "clear-after 4s"'))
    send(one.port)
    one.wait_log("status=4.7")
    assert peer.messages == []
    until(lambda: peer.messages, 30, one.read_log())
    assert peer.messages[0][0] is False
    one.wait_log("tls=none")


def test_no_starttls_may_defer(server, stranger):
    peer = stranger()
    one = server(text=to_port(peer.port, "may", "no-starttls = defer"))
    send(one.port)
    one.wait_log("status=4.7")
    assert peer.messages == []


def test_permanent_refusal_makes_a_report(server, stranger, certificate):
    """SMTP-62, SMTP-124, SMTP-128 to 131: the sender hears why."""
    peer = stranger(certificate=certificate,
                    replies={"RCPT": "550 5.1.1 no such user here"})
    one = server(text=to_port(peer.port), users=("bob",))
    send(one.port)
    (got,) = one.wait_messages("bob")
    report = email.message_from_bytes(got)
    assert report["Return-Path"] == "<>"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, original = report.get_payload()
    fields = status.get_payload()[1]
    assert fields["Action"] == "failed"
    assert fields["Status"] == "5.1.1"
    assert "carol@example.net" in fields["Final-Recipient"]
    assert "no such user here" in fields["Diagnostic-Code"]
    assert "Subject: out" in original.as_string()
    one.wait_empty()


def test_no_report_about_a_report(server, stranger):
    """SMTP-127, SMTP-180: the null sender is never written to; postmaster
    hears of it."""
    peer = stranger(replies={"RCPT": "550 5.1.1 no"})
    one = server(text=to_port(peer.port) +
                 'postmaster = "alice@example.org"\n')
    send(one.port, sender="")
    one.wait_messages("alice")
    one.wait_empty()


def test_recipients_of_several_domains(server, stranger):
    """SMTP-161: one transaction a place, each place its own recipients."""
    peer = stranger()
    one = server(text=to_port(peer.port) +
                 'route "other.example" { transport = discard }\n')
    send(one.port, to=["carol@example.net", "dave@other.example",
                       "erin@example.net"])
    until(lambda: peer.messages)
    assert peer.messages[0][2] == ["<carol@example.net>",
                                   "<erin@example.net>"]
    one.wait_empty()


def test_dots_survive(server, stranger):
    """SMTP-59: lines of dots arrive as they were."""
    peer = stranger()
    one = server(text=to_port(peer.port))
    send(one.port, body=b"Subject: d\r\n\r\n.\r\n..\r\n.a\r\n")
    until(lambda: peer.messages)
    assert peer.messages[0][3].endswith(b"\r\n\r\n..\r\n...\r\n..a\r\n")


def test_connection_is_used_again(server, stranger, certificate):
    """One connection for several messages to one place under one plan."""
    peer = stranger(certificate=certificate)
    one = server(text=to_port(peer.port) + "destination-concurrency = 1\n")
    for _ in range(5):
        send(one.port)
    until(lambda: len(peer.messages) == 5)
    assert peer.connections < 5


def test_lost_final_reply_is_tried_again(server, stranger):
    """SMTP-66: no reply to the final dot is no success: it comes again."""
    peer = stranger(replies={".": None})
    one = server(text=to_port(peer.port))
    send(one.port)
    one.wait_log("status=4.")
    peer.replies = {}
    until(lambda: len(peer.messages) >= 2, 30)
    one.wait_empty()
