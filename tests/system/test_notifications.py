# SPDX-License-Identifier: ISC
"""Our own notifications are signed like other mail of ours (AUTHN-12), by the
keys that `postern dkim` keeps; another program verifies them."""
import re

import pytest

from smtp_peer import Stranger

dkim = pytest.importorskip("dkim")


@pytest.fixture
def one(server):
    refusing = Stranger(replies={"RCPT": "550 5.1.1 nobody here"})
    yield server(text="relay-from = { 127.0.0.1 }\n"
                 "postmaster = \"alice@example.org\"\n"
                 'allow-loopback = yes\n'
                 'route "refuse.example" { host = "127.0.0.1" port = %d '
                 'mx = no }\n' % refusing.port)


def returned(one, count):
    """The notification number count, as it lies in the mailbox."""
    one.send("nobody@refuse.example", sender="alice@example.org")
    new, = [text for text in one.wait_messages("alice", count)
            if text not in one.seen]
    one.seen.append(new)
    assert b"<nobody@refuse.example>" in new
    return new


def verify(message, records):
    """Domains of the signatures; each must be right."""
    signatures = message.count(b"\nDKIM-Signature:")
    checker = dkim.DKIM(message)
    for number in range(signatures):
        assert checker.verify(idx=number, dnsfunc=lambda name, timeout=5:
                              records[name.decode().rstrip(".")]), message
    return re.findall(rb"\bd=([^;]+);", message[:message.find(b"\r\n\r\n")
                      if b"\r\n\r\n" in message else message.find(b"\n\n")])


def published(one):
    """{name: record} of what `postern dkim` wants in the DNS."""
    _, out, _ = one.command("dkim", "dns", check=0)
    return {name: "".join(re.findall(r'"([^"]*)"', rest)).encode()
            for name, rest in re.findall(
                r"^(\S+\._domainkey\.\S+?)\.?\s(.*?)(?=^\S|\Z)", out,
                re.M | re.S)}


def test_signed(one):
    """None without keys; then two, made with what a reload has brought; the
    domain is ours and that of From."""
    one.seen = []
    assert b"DKIM-Signature" not in returned(one, 1)
    one.command("dkim", "new", "example.org", check=0)
    one.command("dkim", "activate", "example.org", "--force", check=0)
    message = returned(one, 2)
    assert verify(message, published(one)) == [b"example.org"] * 2
    assert b"\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.org>" in \
        message
    one.stop()
    one.start()
    assert len(verify(returned(one, 3), published(one))) == 2
