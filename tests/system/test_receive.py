# SPDX-License-Identifier: ISC
"""Mail coming in, from real clients: smtplib, swaks, openssl, posttls-finger;
and raw conversations where a client would be too polite."""
import email
import os
import smtplib
import ssl
import subprocess

import pytest

from postern import PEERS, Talk, until

MAIL = b"From: bob@example.net\r\nTo: alice@example.org\r\n" \
       b"Subject: hello\r\n\r\nHello.\r\n..dots\r\n.\r\nend\r\n"


def trusting(authority):
    context = ssl.create_default_context(cafile=authority.chain)
    return context


def test_smtplib_starttls(server, certificate, authority):
    """The main job's first half: STARTTLS, a message, a maildir."""
    one = server(certificate=certificate)
    with smtplib.SMTP("127.0.0.1", one.port, "client.example") as client:
        client._host = "mx.example.org"
        client.starttls(context=trusting(authority))
        client.sendmail("bob@example.net", ["alice@example.org"], MAIL)
    (got,) = one.wait_messages("alice")
    message = email.message_from_bytes(got)
    assert message["Return-Path"] == "<bob@example.net>"
    assert message["Subject"] == "hello"
    received = message["Received"]
    assert "client.example" in received and "[127.0.0.1]" in received
    assert "with ESMTPS" in received and "TLS" in received
    # TLS ends lines with CRLF; a maildir with LF; the dots are as sent
    assert got.endswith(b"\n\nHello.\n..dots\n.\nend\n")


def test_received_names_the_queue_id(server):
    """SMTP-70 to 75: the id in the 250 is the one in the Received line."""
    one = server()
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<bob@example.net>")
    talk.say("RCPT TO:<alice@example.org>")
    assert talk.code("DATA") == 354
    code, texts = talk.say("Subject: x\r\n\r\nx\r\n.")
    assert code == 250
    (got,) = one.wait_messages("alice")
    received = email.message_from_bytes(got)["Received"]
    identifier = received.split(" id ")[1].split()[0].rstrip(";")
    assert identifier in texts[0]
    assert "for <alice@example.org>" in received
    assert talk.code("QUIT") == 221


def test_swaks(server, certificate):
    one = server(certificate=certificate)
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1:%d" % one.port, "--tls", "--from",
         "bob@example.net", "--to", "alice@example.org"],
        capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout
    assert "TLS started with cipher TLSv1.3" in done.stdout
    one.wait_messages("alice")


def test_openssl_s_client(server, certificate, authority):
    one = server(certificate=certificate)
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-connect",
         "127.0.0.1:%d" % one.port, "-CAfile", authority.chain,
         "-verify_hostname", "mx.example.org", "-verify_return_error",
         "-crlf", "-quiet"], input="QUIT\n", capture_output=True,
        text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "221" in done.stdout


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_tls_refused(server, certificate, version):
    """TLS-105."""
    one = server(certificate=certificate)
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-connect",
         "127.0.0.1:%d" % one.port, version, "-cipher", "ALL@SECLEVEL=0"],
        input="", capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "alert protocol version" in done.stderr, done.stderr


def test_posttls_finger(server, certificate):
    one = server(certificate=certificate)
    done = subprocess.run(
        [os.path.join(PEERS, "bin/posttls-finger"), "-c", "-l", "encrypt",
         "-L", "summary", "[127.0.0.1]:%d" % one.port],
        capture_output=True, text=True, timeout=30)
    assert "TLS connection established" in done.stdout + done.stderr, done
    assert "TLSv1.3" in done.stdout + done.stderr


def test_smtp_source(server):
    """A real load client: 50 messages over 5 connections, none lost."""
    one = server()
    subprocess.run(
        [os.path.join(PEERS, "bin/smtp-source"), "-s", "5", "-m", "50", "-l",
         "4096", "-f", "bob@example.net", "-t", "alice@example.org",
         "127.0.0.1:%d" % one.port], check=True, timeout=60)
    assert len(one.wait_messages("alice", 50)) == 50


def test_no_open_relay(server):
    """Strangers may send to our domains only; forms that hide a relay too."""
    one = server(text="relay-from = { 192.0.2.1 }\n")
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    assert talk.code("MAIL FROM:<bob@example.net>") == 250
    for path in ("<eve@example.com>", "<@example.org:eve@example.com>",
                 "<@a.example,@b.example:eve@example.com>"):
        code, texts = talk.say("RCPT TO:" + path)
        assert (code, texts[0][:5]) == (550, "5.7.1"), path
    # ours by domain, so they are users that do not exist
    for path in ("<eve%example.com@example.org>",
                 '<"eve@example.com"@example.org>'):
        code, texts = talk.say("RCPT TO:" + path)
        assert (code, texts[0][:5]) == (550, "5.1.1"), path
    assert talk.code("RCPT TO:<alice@example.org>") == 250
    assert talk.code("RCPT TO:<Postmaster>") == 250
    assert talk.code("QUIT") == 221


def test_listed_network_may_relay(server):
    one = server(text='relay-from = { 127.0.0.0/8 }\n'
                 'route "*" { transport = discard }\n')
    with smtplib.SMTP("127.0.0.1", one.port) as client:
        client.sendmail("bob@example.net", ["eve@example.com"], MAIL)
    one.wait_log("discard")
    one.wait_empty()


def test_injection_before_handshake(server, certificate):
    """TLS-26, TLS-27: what follows STARTTLS in clear is never obeyed."""
    one = server(certificate=certificate)
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.send("STARTTLS\r\nRSET\r\nEHLO evil.example\r\n")
    code, texts = talk.reply()
    assert code in (503, 554)
    assert talk.closed()


def test_state_forgotten_by_starttls(server, certificate, authority):
    """TLS-9, TLS-5, TLS-6: EHLO is needed again; STARTTLS is gone."""
    one = server(certificate=certificate)
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    assert talk.code("STARTTLS") == 220
    talk.socket = trusting(authority).wrap_socket(
        talk.socket, server_hostname="mx.example.org")
    assert talk.code("MAIL FROM:<bob@example.net>") == 503
    code, texts = talk.say("EHLO client.example")
    assert code == 250 and "STARTTLS" not in texts
    assert talk.code("STARTTLS") == 503
    assert talk.code("MAIL FROM:<bob@example.net>") == 250


def test_tls_cut_in_data(server, certificate, authority):
    """TLS-34: TLS that ends without close_notify inside DATA is a lost
    connection, not the end of the message."""
    one = server(certificate=certificate)
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.say("STARTTLS")
    talk.socket = trusting(authority).wrap_socket(
        talk.socket, server_hostname="mx.example.org",
        suppress_ragged_eofs=False)
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<bob@example.net>")
    talk.say("RCPT TO:<alice@example.org>")
    talk.say("DATA")
    talk.send("Subject: cut\r\n\r\nhalf\r\n")
    os.close(talk.socket.detach())
    one.wait_log("disconnect")
    assert one.messages("alice") == []
    assert one.queue("list") == []


@pytest.mark.parametrize("end", [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n",
    b"\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"])
def test_smuggling(server, end):
    """SMTP-1, SMTP-2, SMTP-4, SMTP-7: nothing else ends a message, and what
    tries to is refused as a whole."""
    one = server()
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<bob@example.net>")
    talk.say("RCPT TO:<alice@example.org>")
    talk.say("DATA")
    talk.send(b"Subject: a\r\n\r\nfirst" + end +
              b"MAIL FROM:<eve@example.net>\r\n"
              b"RCPT TO:<alice@example.org>\r\nDATA\r\n"
              b"Subject: smuggled\r\n\r\nx\r\n.\r\n")
    code, texts = talk.reply()
    assert code == 550 and texts[0].startswith("5.6."), texts
    assert talk.closed()
    assert one.messages("alice") == [] and one.queue("list") == []


def test_http_is_shown_the_door(server):
    one = server()
    talk = Talk(one.port)
    talk.send("POST / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert talk.reply()[0] in (500, 554)
    assert talk.closed()


def test_bdat(server):
    """SMTP-102 to 104: chunks of any size, an empty last one."""
    one = server()
    talk = Talk(one.port)
    assert "CHUNKING" in talk.say("EHLO client.example")[1]
    talk.say("MAIL FROM:<bob@example.net>")
    talk.say("RCPT TO:<alice@example.org>")
    data = b"Subject: a\r\n\r\n.\r\nx\r\n"
    for part, last in ((data[:12], b""), (data[12:19], b""), (b"", b""),
                       (data[19:], b" LAST")):
        talk.send(b"BDAT %d%s\r\n" % (len(part), last) + part)
        assert talk.reply()[0] == 250
    assert talk.code("BDAT 0 LAST") == 503
    (got,) = one.wait_messages("alice")
    assert got.endswith(b"Subject: a\n\n.\nx\n")


def test_large_message_both_ways(server):
    """Ten megabytes through every credit window, byte for byte."""
    one = server()
    body = b"".join(b"%08d %s\r\n" % (i, b"x" * 60) for i in range(140000))
    with smtplib.SMTP("127.0.0.1", one.port, timeout=60) as client:
        client.sendmail("bob@example.net", ["alice@example.org"],
                        b"Subject: big\r\n\r\n" + body)
    (got,) = one.wait_messages("alice", seconds=60)
    assert got.endswith(b"Subject: big\n\n" + body.replace(b"\r\n", b"\n"))


def test_size_limits(server):
    """SMTP-93, SMTP-95: a declared size is refused at once, an undeclared
    one after the data."""
    one = server(text="max-message-size = 64K\n")
    talk = Talk(one.port)
    assert "SIZE 65536" in talk.say("EHLO client.example")[1]
    code, texts = talk.say("MAIL FROM:<bob@example.net> SIZE=70000")
    assert (code, texts[0][:5]) == (552, "5.3.4")
    assert talk.code("MAIL FROM:<bob@example.net> SIZE=100") == 250
    assert talk.code("RCPT TO:<alice@example.org>") == 250
    assert talk.code("DATA") == 354
    talk.send(b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 1 +
              (b"y" * 70 + b"\r\n") * 2000 + b".\r\n")
    code, texts = talk.reply()
    assert (code, texts[0][:5]) == (552, "5.3.4")
    assert talk.code("NOOP") == 250


def test_too_many_errors(server):
    """SMTP-38: unknown commands do not close; abuse does, with 421."""
    one = server(text="max-errors = 5\n")
    talk = Talk(one.port)
    codes = [talk.code("BOGUS") for _ in range(4)]
    assert set(codes) == {500}
    talk.send("BOGUS\r\nBOGUS\r\nBOGUS\r\n")
    while True:
        code = talk.reply()[0]
        if code == 421:
            break
        assert code == 500
    assert talk.closed()


def test_pipelining(server):
    """SMTP-82: replies in order, all of them, in one flight."""
    one = server()
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.send("MAIL FROM:<bob@example.net>\r\nRCPT TO:<eve@example.org>\r\n"
              "RCPT TO:<alice@example.org>\r\nDATA\r\n")
    assert [talk.reply()[0] for _ in range(4)] == [250, 550, 250, 354]
    talk.send("Subject: p\r\n\r\nx\r\n.\r\nRSET\r\nQUIT\r\n")
    assert [talk.reply()[0] for _ in range(3)] == [250, 250, 221]


def test_idle_client_is_sent_away(server):
    """SMTP-54: with 421, and only after the configured time."""
    one = server(text="command-timeout = 2s\n")
    talk = Talk(one.port)
    talk.socket.settimeout(10)
    code, texts = talk.reply()
    assert code == 421
    assert talk.closed()


def test_session_limit_per_client(server):
    """Somebody who opens too many is told so, whichever of the processes
    takes the connections; others still get in."""
    one = server(text="max-sessions-per-client = 3\n", workers=4)
    talks = [Talk(one.port) for _ in range(3)]
    refused = Talk(one.port)
    assert refused.greeting[0] == 421
    talks.pop().close()
    until(lambda: Talk(one.port).greeting[0] == 220)
