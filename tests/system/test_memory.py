# SPDX-License-Identifier: ISC
"""What is remembered of destinations and hosts, and what comes of it, with real
processes: a signed DNS, mail hosts that lose STARTTLS, restarts and damage."""
import json
import os
import time

import pytest

from postern import until
from tls_world import World

KNOWN = 2       # memory-observations


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_certificate, authority):
    one = World(tmp_path_factory.mktemp("names"), make_certificate, authority,
                ["warn", "wait", "look"])
    yield one
    one.close()


def text(world, more=""):
    """No connection is used twice: each message shows again what is there."""
    return world.text(
        "memory-observations = %d\nretry-first = 1s\nretry-max = 1s\n"
        "reuse-idle = 0\n"
        'destination "*.wait" { memory = defer }\n'
        'destination "*.look" { memory = observe }\n' % KNOWN + more)


def make(world, maker):
    return maker(text=text(world), trust_anchor=world.names.anchor)


@pytest.fixture(scope="module")
def one(world, module_server):
    """The server that tests share which neither stop nor change it."""
    return make(world, module_server)


def deliver(one, domain, count=1):
    """Messages one after the other, each under TLS or not as the host likes."""
    for _ in range(count):
        before = len(domain.peer.messages)
        one.send(domain.user())
        until(lambda: len(domain.peer.messages) > before, 20, one.read_log)


def known(one, domain, count=KNOWN):
    """Delivered so often that TLS is expected."""
    deliver(one, domain, count)

    def learnt():
        shown = {next(iter(entry)): entry
                 for entry in one.policy("memory", "show", domain.name)}
        return shown and shown["destination"]["tls"] >= count
    until(learnt)


def waiting(one, domain, reason="no-starttls"):
    """The recipient that waits, once it was tried."""
    def entry():
        for message in one.queue("list", "--domain", domain.name):
            for recipient in message["recipients"]:
                if recipient["reason"] == reason:
                    return recipient
        return None
    return until(entry, 20, one.read_log)


def events(one, domain, kind="downgrade"):
    return [event for event in one.policy("events", domain.name)
            if event["kind"] == kind]


def without(entries, *members):
    """Objects that can be compared: in an order, without what may differ."""
    return sorted(json.dumps({key: value for key, value in entry.items()
                              if key not in members}, sort_keys=True)
                  for entry in entries)


# --- the ladder: observe, warn, defer ---

@pytest.mark.parametrize("strip,signature", [
    ("gone", "keyword-gone"), ("mangled", "keyword-mangled")])
def test_warn_sends_and_tells(world, one, strip, signature):
    """TLS-55, TLS-56: memory = warn. Stripped after it was known, the mail goes
    in clear, a line of the log warns, and the event says what was expected and
    what was seen."""
    domain = world.domain("warn")
    known(one, domain)
    assert [secure for secure, *_ in domain.peer.messages] == [True] * KNOWN
    assert not events(one, domain)
    domain.peer.strip = strip
    deliver(one, domain)
    assert domain.peer.messages[-1][0] is False
    (event,) = until(lambda: events(one, domain))
    assert event["signature"] == signature and event["count"] == 1
    assert event["host"] == domain.host and event["mail"] == "clear"
    assert event["expected"]["memory"]
    assert "PIPELINING" in str(event["seen"]["keywords"])
    assert ("XXXXXXXA" in str(event["seen"]["keywords"])) == (
        strip == "mangled")
    assert "127.21." in event["address"]
    line, = [line for line in one.read_log().splitlines()
             if "policy downgrade" in line and domain.name in line]
    assert "level=warn" in line and signature in line
    # once more within the hour: the same event, counted
    deliver(one, domain)
    until(lambda: events(one, domain)[0]["count"] == 2)
    assert one.log_count("policy downgrade domain=" + domain.name) <= 1


def test_blocked_command_is_told(world, one):
    """TLS-57: offered, but refused. broken-tls decides, which makes the mail
    wait; nothing is said in clear."""
    domain = world.domain("warn")
    known(one, domain)
    domain.peer.strip = "blocked"
    one.send(domain.user())
    waiting(one, domain, "starttls-refused")
    (event,) = until(lambda: events(one, domain))
    assert event["signature"] == "command-blocked"
    assert event["mail"] == "waited"
    assert event["seen"]["reply"].startswith("502")
    assert len(domain.peer.messages) == KNOWN


def test_observe_is_silent(world, one):
    """memory = observe: remembered, and nothing else."""
    domain = world.domain("look")
    known(one, domain)
    domain.peer.strip = "gone"
    deliver(one, domain)
    assert domain.peer.messages[-1][0] is False
    until(lambda: "lost-since" in one.policy("memory", "show",
                                             domain.name)[0])


def test_once_is_not_enough(world, one):
    """Below memory-observations nothing is expected: mail goes in clear."""
    domain = world.domain("wait")
    known(one, domain, KNOWN - 1)
    domain.peer.strip = "gone"
    deliver(one, domain)
    assert domain.peer.messages[-1][0] is False


def test_defer_waits_until_tls_is_back(world, one):
    """memory = defer: stripped, the mail waits, tried again and again, and
    goes under TLS when that is there again."""
    domain = world.domain("wait")
    known(one, domain)
    domain.peer.strip = "gone"
    identifier = one.send(domain.user())
    waiting(one, domain)
    seen = domain.peer.connections
    until(lambda: domain.peer.connections >= seen + 2, 20, one.read_log)
    assert len(domain.peer.messages) == KNOWN
    plan = one.next_attempts(identifier)[domain.name]
    assert plan["hosts"][0]["requirement"] == "encrypted"
    assert plan["hosts"][0]["source"] == "memory"
    (event,) = until(lambda: events(one, domain))
    assert event["mail"] == "waited" and event["signature"] == "keyword-gone"
    domain.peer.strip = None
    until(lambda: len(domain.peer.messages) > KNOWN, 20, one.read_log)
    assert all(secure for secure, *_ in domain.peer.messages)


def test_defer_ends_with_forgetting(world, one):
    """The same, but the host has no TLS any more: `memory forget` lets the
    waiting mail go in clear, at its next turn."""
    domain = world.domain("wait")
    known(one, domain)
    domain.peer.strip = "gone"
    one.send(domain.user())
    waiting(one, domain)
    assert len(domain.peer.messages) == KNOWN
    # the destination and its host are remembered apart
    for name in (domain.name, domain.host):
        (said,) = one.policy("memory", "forget", name, check=0)
        assert said == {"forgotten": 1, "name": name}
    until(lambda: len(domain.peer.messages) > KNOWN, 20, one.read_log)
    assert domain.peer.messages[-1][0] is False
    assert one.command("policy", "memory", "forget", "never." +
                       domain.name)[0] == 1


# --- looking, taking along ---

def test_list_and_show(world, one):
    """What people and programs see of it."""
    domain = world.domain("warn")
    known(one, domain)
    shown = one.policy("memory", "show", domain.name, check=0)
    (entry,) = shown
    assert entry["destination"] == domain.name
    assert (entry["tls"], entry.get("clear", 0)) == (KNOWN, 0)
    assert entry["version"] == "TLSv1.3"
    assert set(entry["expects"]) >= {"tls", "web"}
    assert time.strptime(entry["tls-last"][:19], "%Y-%m-%dT%H:%M:%S")
    (host,) = one.policy("memory", "show", domain.host, check=0)
    assert host["host"] == domain.host and host["tls"] == KNOWN
    listed = one.policy("memory", "list", domain.name, check=0)
    assert without(listed) == without([entry, host])
    out = one.command("policy", "memory", "list", check=0)[1]
    assert domain.name in out and domain.host in out
    out = one.command("policy", "memory", "show", domain.name, check=0)[1]
    assert domain.name in out and "TLSv1.3" in out
    domain.peer.strip = "gone"
    deliver(one, domain)
    until(lambda: "LOST" in one.command("policy", "memory", "list",
                                        domain.name)[1])
    code, out, err = one.command("policy", "memory", "show",
                                 "nobody.example")
    assert code == 1 and out == "" and err


def test_export_and_import(world, one, tmp_path):
    """What was exported, forgotten and imported again is the same, with its
    pin, and binds. A bad line is named and holds up no other."""
    domain = world.domain("wait")
    known(one, domain)
    (pinned,) = one.policy("memory", "pin", domain.name, "--level", "encrypt",
                           "--reason", "ticket 12", check=0)
    assert pinned == {"pinned": domain.name, "level": "encrypt"}
    exported = [entry for entry in one.policy("memory", "export", check=0)
                if domain.name in str(entry)]
    assert sorted(next(iter(entry)) for entry in exported) == [
        "destination", "host", "pin"]
    pin = [entry for entry in exported if "pin" in entry][0]
    assert pin["reason"] == "ticket 12" and "uid" in pin["author"]
    assert pin["made"]
    path = str(tmp_path / "memory")
    with open(path, "w") as out:
        for entry in exported:
            out.write(json.dumps(entry) + "\n")
    for words in (["forget", domain.name], ["forget", domain.host],
                  ["unpin", domain.name]):
        one.command("policy", "memory", *words, check=0)
    assert one.command("policy", "memory", "show", domain.name)[0] == 1
    one.command("policy", "memory", "import", path, check=0)
    again = [entry for entry in one.policy("memory", "export", check=0)
             if domain.name in str(entry)]
    assert without(again) == without(exported)
    host = [entry for entry in exported if "host" in entry][0]
    with open(path, "w") as out:
        for name in (7, "new." + domain.name):
            out.write(json.dumps(dict(host, host=name)) + "\n")
    code, out, err = one.command("policy", "memory", "import", path)
    assert code == 65 and ":1: " in err and ":2:" not in err
    (entry,) = one.policy("memory", "show", "new." + domain.name)
    assert entry["tls"] == KNOWN
    # what was taken over binds as what was seen
    domain.peer.strip = "gone"
    one.command("policy", "memory", "unpin", domain.name, check=0)
    one.send(domain.user())
    waiting(one, domain)
    assert len(domain.peer.messages) == KNOWN


# --- over restarts ---

def test_memory_survives(world, server):
    """A restart changes nothing. A crash loses the last seconds at most: what
    is older is there and binds."""
    one = make(world, server)
    domain = world.domain("wait")
    known(one, domain)
    before = without(one.policy("memory", "export"))
    one.stop()
    one.start()
    assert without(one.policy("memory", "export")) == before
    deliver(one, domain)
    time.sleep(4)       # twice the ledger's delay: what is promised is a time
    deliver(one, domain)
    one.wait_empty()    # else it may be delivered twice, and counted so
    one.kill_all()
    one.start()
    entry, = one.policy("memory", "show", domain.name)
    assert KNOWN + 1 <= entry["tls"] <= KNOWN + 2
    domain.peer.strip = "gone"
    one.send(domain.user())
    waiting(one, domain)
    assert len(domain.peer.messages) == KNOWN + 2


def overwrite(path):
    """As long as before, but nothing of it."""
    size = os.path.getsize(path)
    with open(path, "r+b") as out:
        out.write(b"\xa5\x5a not a ledger" * (min(size, 65536) // 14 + 1))
        out.truncate(size)


def truncate(path):
    os.truncate(path, os.path.getsize(path) // 2 & ~511)


@pytest.mark.parametrize("damage", [overwrite, truncate, os.unlink])
def test_damaged_ledger(world, server, damage):
    """The server starts, says what was lost, and mail flows; what is learnt
    from then on is kept."""
    one = make(world, server)
    domain = world.domain("warn")
    known(one, domain)
    one.stop()
    folder = os.path.join(one.parts["state"], "policy", "ledger")
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    hurt = [path for path in paths if os.path.isfile(path)
            and not os.path.basename(path).startswith("__db")]
    assert hurt, paths
    if damage is os.unlink:     # one of them only: the table itself
        hurt = [path for path in hurt if "log." not in path]
        assert hurt, paths
    for path in hurt:
        damage(path)
    # libdb keeps two blocks of an environment whose recovery failed, for ever:
    # known, once a start, and nothing that we could give back.
    one.environment = {"ASAN_OPTIONS": "detect_leaks=0"}
    one.start()
    deliver(one, domain)
    assert domain.peer.messages[-1][0] is True
    until(lambda: one.policy("memory", "show", domain.name))
    if damage is not os.unlink:
        assert "ledger" in "".join(
            line for line in one.read_log().splitlines()
            if "level=error" in line)
    one.stop()
    one.environment = None
    one.start()
    assert one.policy("memory", "show", domain.name)
