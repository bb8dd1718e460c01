# SPDX-License-Identifier: ISC
"""Standing orders at the command line: what is held by a rule, and what is
paused; each as an operator types it."""
import json

import pytest

from postern import until
from smtp_peer import Stranger
from test_deliver import send, to_port


@pytest.fixture
def world(server):
    """A server whose mail for example.net goes to a host of its own."""
    peer = Stranger()
    one = server(text=to_port(peer.port), users=("alice", "bob"))
    yield one, peer
    peer.close()


def say(one, *words, check=0):
    return one.command("queue", *words, check=check)[1]


def test_hold_rule(world):
    one, peer = world
    assert say(one, "hold-rule", "add", "--sender", "*@spam.example",
               "--recipient", "carol@*", "--reason", "ticket 7",
               "--for", "1h") == "rule 1\n"
    send(one.port, ["carol@example.net", "alice@example.org"],
         sender="x@spam.example")
    one.wait_messages("alice")
    (entry,) = one.queue("list")
    (recipient,) = entry["recipients"]
    assert (recipient["address"], recipient["state"], recipient["held"],
            recipient["held-by"]) == ("carol@example.net", "held",
                                      "rule 1: ticket 7", "rule")
    (rule,) = one.queue("hold-rule", "list")
    assert (rule["number"], rule["held"], rule["reason"]) == (1, 1,
                                                              "ticket 7")
    assert rule["ends"] is not None and rule["author"].startswith("uid ")
    text = say(one, "hold-rule", "list")
    assert "sender *@spam.example" in text and "ticket 7" in text
    # what was accepted survives, and so does the rule
    one.stop()
    one.start()
    send(one.port, sender="y@spam.example")
    assert len(one.queue("list", "--state", "held")) == 2
    assert say(one, "hold-rule", "remove", "1") == "rule 1 removed\n"
    assert say(one, "hold-rule", "remove", "1", check=1) == ""
    assert peer.messages == []
    say(one, "release", "--all")
    until(lambda: len(peer.messages) == 2)
    one.wait_empty()
    assert " verb=hold-rule-add number=1 " in one.read_log()


@pytest.mark.parametrize("words", [
    ("hold-rule", "add", "--sender", "a@b.example"),
    ("hold-rule", "add", "--reason", "everything"),
    ("hold-rule", "add", "--sender", "a@b.example", "--reason", "x",
     "--for", "soon"),
    ("hold-rule", "remove", "first"),
    ("hold-rule", "remove"),
    ("hold-rule",),
    ("pause", "example.net"),
    ("pause", "--reason", "x"),
    ("pause", "example.net", "--reason", "x", "--for", "0"),
    ("pause", "example.net", "--reason", "x", "--for", "367d"),
    ("resume",),
])
def test_wrong_lines(world, words):
    one = world[0]
    code, out, err = one.command("queue", *words)
    assert code == 64 and out == "" and err.startswith("postern: "), (code,
                                                                      err)


# By its domain (the queue keeps the job), by the host of the route and by its
# address (the queue and delivery).
@pytest.mark.parametrize("place", ["example.net", "127.0.0.*"])
def test_pause(world, place):
    one, peer = world
    assert say(one, "pause", place, "--reason", "their move") == \
        "%s paused\n" % place
    send(one.port)
    send(one.port, "alice@example.org")
    one.wait_messages("alice")
    (entry,) = one.queue("list")
    (recipient,) = entry["recipients"]
    assert recipient["state"] == "deferred"
    assert recipient["reason"] == "paused"
    assert "their move" in recipient["text"]
    assert place in say(one, "pauses")
    one.stop()
    one.start()
    say(one, "retry", "--all")
    (again,) = one.queue("list", "--reason", "paused")
    assert again["id"] == entry["id"] and peer.messages == []
    assert say(one, "resume", "other.example", check=1) == ""
    assert say(one, "resume", place) == "%s resumed\n" % place
    until(lambda: len(peer.messages) == 1)
    one.wait_empty()
    assert json.loads("[%s]" % say(one, "pauses", "--json")) == []


def test_resume_of_nothing(world):
    """Nothing waited for it: that is no trouble, and none is told."""
    one = world[0]
    say(one, "pause", "example.net", "--reason", "x")
    assert one.command("queue", "resume", "example.net", check=0) == (
        0, "example.net resumed\n", "")
