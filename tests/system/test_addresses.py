# SPDX-License-Identifier: ISC
"""Aliases, catch-all, plus-addresses, SRS and relay domains, on a real server
with real connections; the files are changed under it and read again."""
import email
import json
import os

import pytest

from postern import Talk, until
from smtp_peer import Stranger

CONFIGURATION = '''
aliases-file = "%(folder)s/aliases"
srs-domain = example.org
srs-secret-file = "%(folder)s/secret"
allow-loopback = yes
domain second.example { users = { carol } aliases-file = "%(folder)s/own" }
domain catch.example { users = { dora } catch-all = "alice@example.org" }
domain relay.example { users = { erin } relay = yes }
route elsewhere.example { host = "127.0.0.1" port = %(port)d level = may }
route relay.example { host = "127.0.0.1" port = %(port)d level = may }
route sender.example { host = "127.0.0.1" port = %(port)d level = may }
'''

ALIASES = '''# all domains
team: alice@example.org, carol@second.example,
\tfar@elsewhere.example
"the boss": alice
away@example.org: far@elsewhere.example
self: alice
'''


class World:
    def __init__(self, server, tmp_path, replies=None):
        self.folder = tmp_path
        self.stranger = Stranger(replies=replies)
        (tmp_path / "aliases").write_text(ALIASES)
        (tmp_path / "own").write_text("boss: carol\n")
        (tmp_path / "secret").write_text("a secret of the tests\n")
        text = CONFIGURATION % {"folder": tmp_path,
                                "port": self.stranger.port}
        self.server = server(text=text, domain="example.org",
                             users=("alice", "bob"))

    def code(self, recipient, sender="bob@sender.example"):
        talk = Talk(self.server.port)
        talk.say("EHLO client.example")
        talk.say("MAIL FROM:<%s>" % sender)
        code, texts = talk.say("RCPT TO:<%s>" % recipient)
        talk.code("QUIT")
        talk.close()
        return code, texts[0][:5]

    def wait(self, count):
        until(lambda: len(self.stranger.messages) >= count, 20,
              lambda: "%d at the stranger; log:\n%s" % (
                  count, self.server.read_log()[-3000:]))
        return self.stranger.messages


def path_of(line):
    """What stands between < and > of a MAIL or RCPT line."""
    return line.split("<", 1)[1].split(">", 1)[0]


@pytest.fixture
def world(server, tmp_path):
    made = World(server, tmp_path)
    yield made
    made.stranger.close()


def test_alias_to_several_domains(world):
    world.server.send("team@example.org", "bob@sender.example")
    (one,) = world.server.wait_messages("alice")
    (two,) = world.server.wait_messages("carol", domain="second.example")
    for text in (one, two):
        assert email.message_from_bytes(text)["Return-Path"] == \
            "<bob@sender.example>"
    ((_, sender, recipients, _),) = world.wait(1)
    assert path_of(sender).startswith("SRS0=")
    assert path_of(sender).endswith("=sender.example=bob@example.org")
    assert [path_of(one) for one in recipients] == ["far@elsewhere.example"]
    world.server.wait_empty()


def test_who_is_there(world):
    """SMTP-21 and 5.1.1 at RCPT."""
    for recipient in ("alice@example.org", "ALICE+shop@example.org",
                      "carol@second.example", "boss@second.example",
                      '"The Boss"@example.org', "nobody@catch.example",
                      "postmaster", "Postmaster@relay.example",
                      "abuse@second.example", "erin@relay.example"):
        assert world.code(recipient)[0] == 250, recipient
    for recipient in ("nobody@example.org", "boss@example.org",
                      "nobody+alice@second.example", "eve@relay.example",
                      "SRS0=AAAA=BB=a.example=b@example.org"):
        assert world.code(recipient) == (550, "5.1.1"), recipient


def test_plus_and_catch_all(world):
    world.server.send("Alice+Shop@example.org")
    world.server.send("who-ever@catch.example")
    world.server.wait_messages("alice", 2)
    world.server.wait_empty()
    assert os.listdir(os.path.dirname(os.path.dirname(
        world.server.maildir("alice")))) == ["alice"]


def test_relay_domain(world):
    """What is sent on is as it was written, and the sender, too."""
    world.server.send("Erin+X@relay.example", "bob@sender.example")
    ((_, sender, recipients, _),) = world.wait(1)
    assert path_of(sender) == "bob@sender.example"
    assert [path_of(one) for one in recipients] == ["Erin+X@relay.example"]


def test_srs_out_and_back(world):
    """SMTP-182: the null sender stays null on its way out and back."""
    world.server.send("away@example.org", "bob@sender.example")
    ((_, sender, _, _),) = world.wait(1)
    world.server.send(path_of(sender), "")
    _, back = world.wait(2)
    assert path_of(back[1]) == ""
    assert [path_of(one) for one in back[2]] == ["bob@sender.example"]
    world.server.send("away@example.org", "")
    assert path_of(world.wait(3)[2][1]) == ""
    # One of ours need not be rewritten.
    world.server.send("away@example.org", "alice@example.org")
    assert path_of(world.wait(4)[3][1]) == "alice@example.org"


def test_bounce_of_forwarded(server, tmp_path):
    """The report goes to who wrote it, not to the rewritten address."""
    world = World(server, tmp_path, replies={
        "RCPT": "550 5.7.1 not wanted here"})
    try:
        world.server.send("away@example.org", "alice@example.org")
        (report,) = world.server.wait_messages("alice")
        assert b"Final-Recipient: rfc822; far@elsewhere.example" in report
        assert b"Original-Recipient: rfc822; away@example.org" in report
        # And to the true sender of mail that was rewritten.
        world.server.send("away@example.org", "bob@sender.example")
        world.server.wait_log("to=bob@sender.example")
    finally:
        world.stranger.close()


def test_bounce_to_rewritten(server, tmp_path):
    """Mail that we sent on came back to us, from where it fails: the report is
    for who wrote it, behind our own rewritten name. A name that we did not
    make is nobody's."""
    world = World(server, tmp_path)
    refusing = Stranger(replies={"RCPT": "550 5.7.1 not wanted here"})
    try:
        world.server.configure(world.server.text + (
            'route refused.example { host = "127.0.0.1" port = %d level = may '
            "}\n" % refusing.port))
        world.server.command("reload", check=0)
        world.server.send("away@example.org", "bob@sender.example")
        rewritten = path_of(world.wait(1)[0][1])
        assert rewritten.startswith("SRS0=")
        world.server.send("x@refused.example", rewritten)
        (_, sender, recipients, report) = world.wait(2)[1]
        assert path_of(sender) == ""
        assert [path_of(one) for one in recipients] == ["bob@sender.example"]
        assert b"Final-Recipient: rfc822; x@refused.example" in report
        world.server.send("x@refused.example", "SRS0=AAAA=BB=sender.example="
                          "bob@example.org")
        world.server.wait_log("notification-lost")
        world.server.wait_empty()
        assert len(world.stranger.messages) == 2
    finally:
        world.stranger.close()
        refusing.close()


def test_bounce_to_alias(server, tmp_path):
    """Notifications to a domain of ours go through its aliases, and those
    for the postmaster do not go round."""
    world = World(server, tmp_path, replies={
        "RCPT": "550 5.7.1 not wanted here"})
    try:
        world.server.send("x@elsewhere.example", "self@example.org")
        (report,) = world.server.wait_messages("alice")
        assert b"To: <self@example.org>" in report
        assert not world.server.messages("self")
        # The postmaster's own mail is refused over there.
        (tmp_path / "aliases").write_text(
            "postmaster: far@elsewhere.example\n")
        world.server.command("reload", check=0)
        until(lambda: world.code("team@example.org")[0] == 550, 10)
        world.server.send("x@elsewhere.example", "")
        world.server.wait_log("failed r=far@elsewhere.example")
        world.server.wait_empty()
        assert world.server.log_count("queue notify") == 2
        world.server.send("x@elsewhere.example", "nobody@example.org")
        world.server.wait_log("notification-lost")
        world.server.wait_empty()
        assert not world.server.messages("nobody")
    finally:
        world.stranger.close()


def test_queue_show(server, tmp_path):
    world = World(server, tmp_path, replies={
        "RCPT": "450 4.2.0 come again"})
    try:
        identifier = world.server.send("away@example.org",
                                       "bob@sender.example")
        world.server.wait_log("defer")
        (line,) = world.server.queue("show", identifier)
        (one,) = line["recipients"]
        assert line["sender"] == "bob@sender.example"
        assert one["original"] == "away@example.org"
        assert one["sender"].startswith("SRS0=")
        _, shown, _ = world.server.command("queue", "show", identifier)
        assert "away@example.org" in shown and "SRS0=" in shown
    finally:
        world.stranger.close()


def test_address_command(world):
    _, out, _ = world.server.command(
        "address", "--json", "--sender", "x@sender.example",
        "team@example.org", check=0)
    found = json.loads(out)
    assert found["answer"] == "found" and found["by-alias"]
    assert [one["address"] for one in found["targets"]] == [
        "alice@example.org", "carol@second.example", "far@elsewhere.example"]
    assert [one["forwarded"] for one in found["targets"]] == [
        False, False, True]
    assert found["forward-sender"].startswith("SRS0=")
    assert "aliases:2" in found["steps"][0]["what"]
    _, out, _ = world.server.command("address", "nobody@example.org", check=1)
    assert "550 5.1.1" in out
    # a name alone is of the first domain
    _, out, _ = world.server.command("address", "team", check=0)
    assert "goes to alice@example.org" in out


def test_wrong_file_and_reload(world):
    """postern check says it before; a reload keeps what was in force."""
    aliases = world.folder / "aliases"
    aliases.write_text("a: b\nb: a\n")
    code, out, _ = world.server.command("check")
    assert code != 0
    assert "aliases:1: the alias leads in a circle: a@" in out
    assert "\n\n" not in out.split("The outside")[0].rstrip()
    code, _, err = world.server.command("reload")
    assert code != 0 and err.count("\n") == 1, err
    until(lambda: "reload failed" in world.server.read_log(), 10)
    assert "\\x0a" not in world.server.read_log()
    assert world.code("team@example.org")[0] == 250
    aliases.write_text("new: alice@example.org\n")
    world.server.command("reload", check=0)
    until(lambda: world.code("new@example.org")[0] == 250, 10)
    assert world.code("team@example.org") == (550, "5.1.1")
