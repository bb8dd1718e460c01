# SPDX-License-Identifier: ISC
"""postern queue history, and notifications of delay, on a running server."""
import re

import pytest

from postern import dead_port, until
from smtp_peer import Stranger


@pytest.fixture(scope="module")
def world(module_server):
    """A server whose next hops are a Stranger and a port where nobody is."""
    peer = Stranger()
    one = module_server(text=(
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1h\nretry-max = 1h\ndelay-warning = 1s\n"
        'route "peer.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'route "*.dead.example" { host = "127.0.0.1" port = %d mx = no }\n'
    ) % (peer.port, dead_port()))
    one.peer = peer
    yield one
    peer.close()


def entry_of(one, identifier):
    found = one.queue("history", identifier)
    return found[0] if found else None


def test_delivered_at_once(world):
    identifier = world.send("bob@peer.example", "ann@peer.example",
                            b"Subject: the plan\r\n\r\nof attack\r\n")
    entry = until(lambda: entry_of(world, identifier), 60)
    assert entry["sender"] == "ann@peer.example"
    (recipient,) = entry["recipients"]
    assert recipient["outcome"] == "relayed"
    assert recipient["address"] == "bob@peer.example"
    assert recipient["host"].endswith("[127.0.0.1]")
    assert recipient["verdict"] == "none"
    assert len(entry["attempts"]) == 1
    # A line for people, and each attempt below it.
    code, out, err = world.command("queue", "history", identifier)
    assert code == 0, err
    assert re.search(r"^\S+Z  %s  relayed +bob@peer.example from "
                     r"<ann@peer.example> at " % identifier, out)
    assert "attempt 1  relayed" in out
    # Neither header nor body is kept.
    code, out, err = world.command("queue", "history", "--json")
    assert "the plan" not in out and "of attack" not in out


def test_attempts(world):
    world.peer.replies["RCPT"] = "450 4.2.1 not now"
    identifier = world.send("eve@peer.example", "ann@peer.example")

    def tried(times):
        found = world.queue("show", identifier)
        return found and len(found[0]["attempts"]) == times and found[0]
    shown = until(lambda: tried(1), 60)
    assert shown["attempts"][0]["text"] == "not now"
    assert shown["attempts"][0]["recipients"] == ["eve@peer.example"]
    assert not world.queue("history", identifier)
    del world.peer.replies["RCPT"]
    world.command("queue", "retry", identifier, check=0)
    entry = until(lambda: entry_of(world, identifier), 60)
    assert [one["outcome"] for one in entry["attempts"]] == [
        "deferred", "relayed"]
    assert [one["attempt"] for one in entry["attempts"]] == [1, 2]
    # What was in the way of mail that has arrived is found.
    assert identifier in [one["id"] for one in world.queue(
        "history", "--reason", "reply", "--outcome", "relayed")]


def test_operators_end(world):
    identifier = world.send("max@one.dead.example", "")
    until(lambda: world.queue("show", identifier)[0]["attempts"], 60)
    world.command("queue", "delete", identifier, check=0)
    entry = until(lambda: entry_of(world, identifier), 60)
    assert entry["recipients"][0]["outcome"] == "deleted"
    assert [one["outcome"] for one in entry["attempts"]] == [
        "deferred", "deleted"]
    assert entry["attempts"][0]["reason"] == "connect"


@pytest.mark.parametrize("words,code", [
    (("--outcome", "deleted"), 0), (("--outcome", "expired"), 1),
    (("--since", "2026-01-01"), 0), (("--until", "2020-01-01"), 1),
    (("--since", "yesterday"), 64), (("--outcome", "deferred"), 64),
    (("--newer", "1d", "--limit", "1"), 0), (("--older", "1d"), 1),
    (("-v", "--sender", "<>"), 0), (("--state", "held"), 64)])
def test_selectors(world, words, code):
    # The test above may have run in another process, with its own server.
    if not world.queue("history", "--outcome", "deleted"):
        test_operators_end(world)
    found, out, err = world.command("queue", "history", *words)
    assert found == code, (out, err)
    if "--limit" in words:
        assert len(out.splitlines()) == 1


def test_delay(world):
    """SMTP-125: the sender is told, once, though nobody tries again."""
    identifier = world.send("joe@two.dead.example", "ann@three.dead.example")

    def notifications():
        return [one for one in world.queue("list", "--sender", "<>")
                if one["recipients"][0]["address"] ==
                "ann@three.dead.example"]
    (told,) = until(notifications, 60)
    code, out, err = world.command("queue", "cat", told["id"])
    assert "Action: delayed" in out and "\nWill-Retry-Until: " in out
    assert "X-Postern-Queue-Id: " + identifier in out
    world.command("queue", "retry", identifier, check=0)
    until(lambda: len(world.queue("show", identifier)[0]["attempts"]) == 2,
          60)
    assert len(notifications()) == 1
