# SPDX-License-Identifier: ISC
"""SMTPUTF8 (RFC 6531 to 6533) with real peers: Python's smtplib and Debian's
Postfix as clients, Postfix and a server without it as next hops. SMTP-76,
SMTP-137 to SMTP-143."""
import email
import email.policy
import smtplib

import pytest

from postern import until
from smtp_peer import Postfix, Stranger

RELAY = ('relay-from = { 127.0.0.1 }\nallow-loopback = yes\n'
         'retry-first = 1s\nretry-max = 2s\nreuse-idle = 1s\n')
LOCAL = "j\u00f6rg"
FOLDER = "j%c3%b6rg"
CHINESE = "\u7528\u6237"


def to_port(port, domain="example.net"):
    return RELAY + (
        'route "%s" { host = "127.0.0.1" port = %d mx = no }\n'
        'destination "%s" { level = may }\n' % (domain, port, domain))


def send(port, to, sender, body, options=("SMTPUTF8", "BODY=8BITMIME"),
         rcpt_options=()):
    with smtplib.SMTP("127.0.0.1", port, "client.example",
                      timeout=30) as client:
        client.ehlo()
        assert client.has_extn("smtputf8") and client.has_extn("8bitmime")
        return client.sendmail(sender, to, body, list(options),
                               list(rcpt_options))


def message(subject="\u00fcber"):
    return ("From: <%s@example.org>\r\nSubject: %s\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n" % (
                LOCAL, subject)).encode()


@pytest.fixture
def postfix(tmp_path):
    made = []

    def make(more="", domain="example.net"):
        one = Postfix(tmp_path / ("pf%d" % len(made)), domain=domain,
                      more=more + "smtputf8_enable = yes\n")
        with open(one.path("etc/master.cf"), "a") as out:
            out.write("smtp unix - - n - - smtp\n"
                      "relay unix - - n - - smtp\n")
        made.append(one)
        return one.start()
    yield make
    for one in made:
        one.stop()


def test_mailbox_with_utf8_local_part(server):
    """smtplib sends to a user whose name is not ASCII, in a domain of ours that
    is written with U-labels; everything is in the file as it was sent."""
    one = server(domain="b\u00fccher.example", users=(LOCAL,))
    refused = send(one.port, ["%s@b\u00fccher.example" % LOCAL],
                   "%s@example.net" % CHINESE, message())
    assert not refused
    (got,) = one.wait_messages(FOLDER, domain="xn--bcher-kva.example")
    lines = got.decode().splitlines()
    assert lines[0] == "Return-Path: <%s@example.net>" % CHINESE
    assert lines[1] == "Delivered-To: %s@xn--bcher-kva.example" % LOCAL
    parsed = email.message_from_bytes(got, policy=email.policy.SMTPUTF8)
    assert "with UTF8SMTP id " in parsed["Received"]
    assert parsed["Subject"] == "\u00fcber"
    assert "Gr\u00fc\u00dfe" in parsed.get_content()


def test_smtplib_send_message(server):
    """What Python makes of international addresses by itself."""
    one = server(users=(LOCAL,))
    mail = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
    mail["From"] = "%s@example.net" % CHINESE
    mail["To"] = "%s@example.org" % LOCAL
    mail["Subject"] = "\u00fcber"
    mail.set_content("x")
    with smtplib.SMTP("127.0.0.1", one.port, timeout=30) as client:
        client.send_message(mail)
    (got,) = one.wait_messages(FOLDER)
    assert ("To: %s@example.org" % LOCAL).encode() in got


def test_utf8_needs_the_keyword(server):
    one = server(users=(LOCAL,))
    with smtplib.SMTP("127.0.0.1", one.port, timeout=30) as client:
        client.ehlo()
        client.command_encoding = "utf-8"
        code, text = client.docmd("MAIL", "FROM:<%s@example.net>" % LOCAL)
        assert (code, text[:5]) == (553, b"5.6.7")
        assert client.docmd("MAIL", "FROM:<a@example.net>")[0] == 250
        code, text = client.docmd("RCPT", "TO:<%s@example.org>" % LOCAL)
        assert (code, text[:5]) == (553, b"5.6.7")


def test_postfix_is_next_hop(server, postfix):
    """Addresses and header arrive there as they were; Postfix calls the
    protocol UTF8SMTP, so it was told."""
    peer = postfix()
    one = server(text=to_port(peer.port))
    send(one.port, ["%s@example.net" % CHINESE], "%s@example.org" % LOCAL,
         message())
    until(lambda: peer.messages("user"), 20,
          lambda: one.read_log() + peer.log())
    (got,) = peer.messages("user")
    text = got.decode()
    assert "Return-Path: <%s@example.org>" % LOCAL in text
    assert "Delivered-To: %s@example.net" % CHINESE in text
    assert "with UTF8SMTP" in hops_of(got)[0]
    assert "Subject: \u00fcber" in text
    one.wait_empty()


def test_postfix_is_told_only_what_is_needed(server, postfix):
    """SMTP-141: an ASCII message for a U-label domain, said with SMTPUTF8, goes
    on as an ordinary one to the A-label."""
    peer = postfix(domain="xn--bcher-kva.example")
    one = server(text=to_port(peer.port, "xn--bcher-kva.example"))
    send(one.port, ["user@b\u00fccher.example"], "bob@example.org",
         b"Subject: x\r\n\r\nx\r\n", ["SMTPUTF8"])
    until(lambda: peer.messages("user"), 20,
          lambda: one.read_log() + peer.log())
    (got,) = peer.messages("user")
    assert "with ESMTP" in hops_of(got)[0]
    assert b"Delivered-To: user@xn--bcher-kva.example" in got
    one.wait_empty()


def test_postfix_is_client(server, postfix):
    """Postfix has a message for a mailbox of ours that is not ASCII."""
    one = server(users=(LOCAL,))
    peer = postfix("mynetworks = 127.0.0.0/8\n"
                   "relayhost = [127.0.0.1]:%d\n" % one.port)
    send(peer.port, ["%s@example.org" % LOCAL], "%s@example.net" % CHINESE,
         message())
    until(lambda: one.messages(FOLDER), 30,
          lambda: one.read_log() + peer.log())
    (got,) = one.messages(FOLDER)
    hops = hops_of(got)
    assert len(hops) == 2 and "with UTF8SMTP" in hops[0]
    assert ("Return-Path: <%s@example.net>" % CHINESE).encode() in got


def hops_of(got):
    """What Received fields say; the first one is the last hop."""
    return email.message_from_bytes(
        got, policy=email.policy.SMTPUTF8).get_all("Received")


def parts_of(report):
    parsed = email.message_from_bytes(report)
    assert parsed.get_content_type() == "multipart/report"
    return {part.get_content_type(): part for part in parsed.walk()}


def test_host_without_smtputf8(server):
    """SMTP-140, SMTP-143: such a host gets not a word of it, the sender gets a
    report in the types of RFC 6533, by SMTPUTF8 into his own mailbox."""
    peer = Stranger(keywords=["PIPELINING", "8BITMIME"])
    try:
        one = server(users=(LOCAL,), text=to_port(peer.port))
        send(one.port, ["%s@example.net" % CHINESE],
             "%s@example.org" % LOCAL, message(),
             ["SMTPUTF8", "BODY=8BITMIME"],
             ["ORCPT=utf-8;%s@example.net" % CHINESE])
        (report,) = one.wait_messages(FOLDER)
        assert not peer.messages
        assert not [line for line in peer.clear if line[:4] == "MAIL"]
        one.wait_log("5.6.7")
        parts = parts_of(report)
        assert {"text/plain", "message/global-delivery-status",
                "message/global-headers"} <= set(parts)
        assert b"Status: 5.6.7" in report
        for field in (b"Original", b"Final"):
            assert field + b"-Recipient: utf-8; =E7=94=A8=E6=88=B7" \
                b"@example.net\n" in report
        # But for the name of who reads it, everything is 7-bit.
        assert [line for line in report.splitlines()
                if not line.isascii()] == [
                    ("Delivered-To: %s@example.org" % LOCAL).encode(),
                    ("To: <%s@example.org>" % LOCAL).encode()]
        one.wait_empty()
    finally:
        peer.close()


def test_host_without_smtputf8_gets_the_others(server):
    """Only one of two recipients cannot be said to it."""
    peer = Stranger(keywords=["PIPELINING", "8BITMIME"])
    try:
        one = server(users=("alice",), text=to_port(peer.port))
        send(one.port, ["%s@example.net" % CHINESE, "carol@example.net"],
             "alice@example.org", b"Subject: x\r\n\r\nx\r\n", ["SMTPUTF8"])
        until(lambda: peer.messages, 20, one.read_log)
        (got,) = peer.messages
        assert "SMTPUTF8" not in got[1]
        assert len(got[2]) == 1 and "carol" in got[2][0]
        (report,) = one.wait_messages("alice")
        assert b"5.6.7" in report and b"carol" not in report
        one.wait_empty()
    finally:
        peer.close()
