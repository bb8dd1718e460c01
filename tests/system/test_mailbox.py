# SPDX-License-Identifier: ISC
"""Mailboxes: quota as Dovecot and Courier keep it (Maildir++), loops, and what
final delivery writes. SMTP-78, SMTP-115, SMTP-174."""
import imaplib
import os

import pytest

from dovecot import Dovecot
from postern import PEERS, Talk, until

RETRY = "retry-first = 1s\nretry-max = 1s\n"


def quota(server, size, more="", **options):
    """A server whose maildirs hold so much: the option goes into its domain
    section."""
    one = server(**options)
    one.stop()
    one.configure(RETRY + more)
    with open(one.path) as conf:
        text = conf.read()
    assert "users = {" in text
    with open(one.path, "w") as conf:
        conf.write(text.replace("users = {", "quota = %s users = {" % size,
                                1))
    return one.start()


def box(one, user="alice"):
    return os.path.dirname(one.maildir(user))


def size_file(one, user="alice"):
    try:
        with open(os.path.join(box(one, user), "maildirsize")) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def sizes(one):
    return sum(len(text) for text in one.messages("alice"))


def large(count):
    return b"Subject: x\r\n\r\n" + (b"y" * 98 + b"\r\n") * (count + 1)


def test_quota(server):
    """What fits is delivered and noted; what does not waits with 4.2.2, and is
    delivered when there is room again."""
    one = quota(server, "10K")
    one.send(body=large(30))
    one.wait_messages("alice")
    one.send(body=large(30))
    one.wait_messages("alice", 2)
    names = os.listdir(one.maildir("alice"))
    for name in names:
        assert ",S=%d" % os.stat(os.path.join(
            one.maildir("alice"), name)).st_size in name
    one.send(body=large(50))
    one.wait_log("status=4.2.2")
    assert len(one.messages("alice")) == 2
    assert not os.listdir(os.path.join(box(one), "tmp"))

    def counted():
        """Not while it is made anew, which each further attempt may do."""
        lines = [line.split() for line in size_file(one).splitlines()]
        return lines and lines[0] == ["10240S"] and [sum(
            int(line[part]) for line in lines[1:]) for part in (0, 1)] == [
                sizes(one), 2]
    until(counted, 20, lambda: size_file(one))
    # A smaller one still fits.
    one.send(body=b"Subject: small\r\n\r\nx\r\n")
    one.wait_messages("alice", 3)
    # The reader deletes as Dovecot does, and says so in the file.
    name = os.path.join(one.maildir("alice"), names[0])
    length = os.stat(name).st_size
    os.unlink(name)
    with open(os.path.join(box(one), "maildirsize"), "a") as file:
        file.write("-%d -1\n" % length)
    one.wait_messages("alice", 3)
    until(lambda: any(len(text) > 5000 for text in one.messages("alice")),
          20, one.read_log)
    one.wait_empty()


def test_quota_is_seen_anew(server):
    """Somebody empties the maildir without a word in maildirsize."""
    one = quota(server, "4K")
    one.send(body=large(30))
    one.wait_messages("alice")
    one.send(body=large(30))
    one.wait_log("status=4.2.2")
    folder = one.maildir("alice")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    # Long ago: what it says is doubted.
    name = os.path.join(box(one), "maildirsize")
    if os.path.exists(name):
        os.utime(name, (1, 1))
    one.wait_messages("alice")
    one.wait_empty()


def test_quota_of_one_is_not_that_of_another(server):
    """One copy for each; who has no room is the only one that waits."""
    one = quota(server, "4K", users=("alice", "carol"))
    one.send(body=large(30))
    one.wait_messages("alice")
    talk = Talk(one.port)
    for line in ("EHLO c.example", "MAIL FROM:<bob@example.net>",
                 "RCPT TO:<alice@example.org>", "RCPT TO:<carol@example.org>"):
        assert talk.code(line) == 250
    assert talk.code("DATA") == 354
    talk.send(large(30).decode() + ".\r\n")
    talk.reply()
    talk.close()
    (got,) = one.wait_messages("carol")
    assert got.count(b"Delivered-To: carol@example.org") == 1
    assert b"alice" not in got
    one.wait_log("status=4.2.2")
    assert len(one.messages("alice")) == 1


DOVECOT_QUOTA = """
mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=20480
}
"""


@pytest.mark.skipif(
    not os.path.exists(os.path.join(PEERS, "root/usr/sbin/dovecot")),
    reason="no Dovecot among the peers")
def test_quota_with_dovecot(server, tmp_path):
    """Both count in one file: what we deliver Dovecot sees, what is appended
    and expunged by IMAP we see, and nobody has to count anew."""
    one = quota(server, "20K")
    peer = Dovecot(tmp_path / "dovecot", {"alice@example.org": "secret"},
                   os.path.dirname(os.path.dirname(box(one))), DOVECOT_QUOTA)
    one.send(body=large(60))
    (first,) = one.wait_messages("alice")
    peer.start()
    try:
        with imaplib.IMAP4("127.0.0.1", peer.port) as imap:
            imap.login("alice@example.org", "secret")
            used = int(imap.getquotaroot("INBOX")[1][1][0].split(
                b"STORAGE ")[1].split()[0])
            assert used in (len(first) // 1024, len(first) // 1024 + 1)
            imap.append("INBOX", None, None, large(100))
            lines = size_file(one).splitlines()
            assert lines[0] == "20480S", lines
            assert len(lines) > 2
            # 6 KB and 10 KB are there.
            one.send(body=large(70))
            one.wait_log("status=4.2.2")
            # Who counts anew takes the file away first.
            until(lambda: size_file(one).startswith("20480S\n"))
            imap.select("INBOX")
            imap.store("1:*", "+FLAGS", "\\Deleted")
            imap.expunge()
            one.wait_empty()
            imap.noop()
            assert imap.select("INBOX")[1] == [b"1"]
    finally:
        peer.stop()


def test_loop(server):
    """Mail that was in this mailbox before goes in a circle: it goes back, at
    once. The same words elsewhere than in the header, or for another
    mailbox, mean nothing."""
    one = server(users=("alice", "carol"))
    one.send(sender="carol@example.org",
             body=b"Delivered-To: alice@example.org\r\nSubject: x\r\n\r\n")
    (report,) = one.wait_messages("carol")
    assert b"Status: 5.4.6" in report and b"Action: failed" in report
    assert not one.messages("alice")
    one.send(body=b"Delivered-To: carol@example.org\r\n"
             b"Delivered-To: aalice@example.org\r\n\r\n"
             b"Delivered-To: alice@example.org\r\n")
    one.wait_messages("alice")
    one.wait_empty()


def test_return_path(server):
    """SMTP-78: one Return-Path, the first line, with the envelope's sender."""
    one = server()
    one.send(sender="real@example.net", body=b"Received: x\r\n"
             b"Return-Path: <forged@example.com>\r\nReturn-Path:\r\n"
             b" <folded@example.com>\r\nSubject: x\r\n\r\nReturn-Path: y\r\n")
    (got,) = one.wait_messages("alice")
    lines = got.split(b"\n")
    assert lines[0] == b"Return-Path: <real@example.net>"
    assert lines[1] == b"Delivered-To: alice@example.org"
    assert [line for line in lines if b"eturn-" in line] == [
        lines[0], b"Return-Path: y"]
    assert b"forged" not in got and b"folded" not in got
