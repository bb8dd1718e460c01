# SPDX-License-Identifier: ISC
"""postern queue: what the operator sees and does, on a running server."""
import json
import os
import subprocess
import time

import pytest

from postern import (BINARY, PEERS, Talk, dead_port, shared_binary,
                     until)
from smtp_peer import Stranger

NOBODY = 65534
ESCAPES = "450 4.2.0 \x1b[2J\x1b]0;pwned\x07 \x9b31m \x7f later"


@pytest.fixture(scope="module")
def world(module_server):
    """A server with mail that waits for several reasons.

    .dead      nobody listens there: reason connect
    .clear     no TLS, under a level that demands it: reason no-starttls
    .later     answers 450 with what a terminal must not see
    ids        {name: identifier}
    """
    clear = Stranger()
    later = Stranger(replies={"RCPT": ESCAPES})
    one = module_server(text=(
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1h\nretry-max = 1h\n"
        'route "*.dead.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'route "clear.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'route "later.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'destination "clear.example" { level = encrypt }\n'
    ) % (dead_port(), clear.port, later.port))
    one.ids = {
        "one": one.send("carol@one.dead.example", "ann@example.org"),
        "two": one.send("Dave@two.dead.example", "ben@example.org"),
        "both": one.send(["erin@one.dead.example", "fred@two.dead.example",
                          "gina@clear.example"], "ann@example.org"),
        "clear": one.send("hugo@clear.example", ""),
        "later": one.send("ines@later.example", "eve@evil.example"),
    }

    def settled():
        return all(recipient["status"].startswith("4")
                   for entry in one.queue("list")
                   for recipient in entry["recipients"])
    until(settled, 30, "all to be tried")
    yield one
    clear.close()
    later.close()


def names(one, *words):
    """The names of those that are listed, in order."""
    known = {identifier: name for name, identifier in one.ids.items()}
    return [known[entry["id"]] for entry in one.queue("list", *words)
            if entry["id"] in known]


def state_of(one, identifier):
    entries = one.queue("show", identifier)
    return entries[0]["state"] if entries else None


# --- looking ---

@pytest.mark.parametrize("words,found", [
    ([], "one two both clear later"),
    (["--all"], "one two both clear later"),
    (["--sender", "ann@example.org"], "one both"),
    (["--sender", "ANN@*"], "one both"),
    (["--sender", "<>"], "clear"),
    (["--recipient", "dave@two.dead.example"], "two"),
    (["--recipient", "*@two.dead.example"], "two both"),
    (["--domain", "one.dead.example"], "one both"),
    (["--domain", "*.dead.example"], "one two both"),
    (["--domain", "clear.example", "--sender", "ann@example.org"], "both"),
    (["--state", "deferred"], "one two both clear later"),
    (["--state", "held"], ""),
    (["--reason", "no-starttls"], "both clear"),
    (["--reason", "connect"], "one two both"),
    (["--older", "1h"], ""),
    (["--newer", "1h"], "one two both clear later"),
    (["--older", "0", "--newer", "7d", "--domain", "later.example"], "later"),
    (["--limit", "2"], "one two"),
    (["--sender", "ann*", "--limit", "1"], "one"),
    (["--sender", "[a]nn@example.org"], ""),
    (["--domain", "nowhere.example"], ""),
    (["--larger", "1M"], ""),
    (["--larger", "10", "--smaller", "1k"], "one two both clear later"),
    (["--host", "127.0.0.1", "--domain", "later.example"], "later"),
    (["--host", "*0.0.1", "--reason", "reply"], "later"),
    (["--host", "mx.nowhere.example"], ""),
    (["--user", "<>"], "one two both clear later"),
    (["--user", "uid *"], ""),
    (["--tag", "none", "--sender", "eve@*"], "later"),
    (["--tag", "requiretls"], ""),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_selectors(world, words, found):
    """Each alone and together; exit 1 and a word when nothing matches."""
    assert names(world, *words) == found.split()
    code, out, err = world.command("queue", "list", *words)
    if found:
        assert code == 0 and out
    else:
        assert (code, out) == (1, "") and "no message matches" in err


def test_identifiers(world):
    """One, several, in any case; those that are not there do not count."""
    ids = world.ids
    assert names(world, ids["two"], ids["one"]) == ["two", "one"]
    assert names(world, ids["two"].upper()) == ["two"]
    assert names(world, "1", ids["one"], "2") == ["one"]
    assert world.command("queue", "list", "123abc")[0] == 1
    for wrong in ("xyz", "0", "12345678123456781", "../../etc"):
        code, _, err = world.command("queue", "show", wrong)
        assert code == 64 and "identifier" in err, (wrong, err)


@pytest.mark.parametrize("words,needle", [
    (["list", "--state", "dead"], "active, deferred or held"),
    (["list", "--reason", "bad-luck"], "no such reason"),
    (["list", "--sender", ""], "not empty"),
    (["list", "--limit", "0"], "a number is expected"),
    (["list", "--tag", "tls"], "requiretls, optional or none"),
    (["list", "--larger", "big"], "a size is expected"),
    (["list", "--host", ""], "not empty"),
    (["list", "--domain", "a.example", "--domain", "b.example"],
     "given twice"),
    (["cat"], "say which messages"),
    (["cat", "--original"], "say which messages"),
    (["delete", "--all", "--original"], "is no option"),
    (["delete", "--all", "-v"], "goes with --dry-run"),
    (["redirect", "--all"], "ADDRESS is missing"),
    (["stats", "--by", "colour"], "domain, host, state"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_wrong_selectors(world, words, needle):
    code, out, err = world.command("queue", *words)
    assert code == 64 and needle in err and out == "", (code, out, err)


def test_list_shape(world):
    """What a program may rely on in --json."""
    entry, = [entry for entry in world.queue("list")
              if entry["id"] == world.ids["both"]]
    assert set(entry) == {"id", "sender", "arrival", "size", "state",
                          "notification", "selected", "recipients"}
    assert entry["sender"] == "ann@example.org"
    assert entry["state"] == "deferred" and entry["notification"] is False
    assert entry["selected"] == 3 and entry["size"] > 17
    assert time.strptime(entry["arrival"][:19], "%Y-%m-%dT%H:%M:%S")
    by_address = {one["address"]: one for one in entry["recipients"]}
    assert sorted(by_address) == ["erin@one.dead.example",
                                  "fred@two.dead.example",
                                  "gina@clear.example"]
    erin, gina = (by_address["erin@one.dead.example"],
                  by_address["gina@clear.example"])
    assert set(erin) == {"address", "domain", "state", "attempts", "next",
                         "tried", "reason", "status", "text", "host", "tls",
                         "held", "held-by", "tls-level"}
    assert erin["domain"] == "one.dead.example" and erin["tls-level"] is None
    assert (erin["reason"], erin["status"]) == ("connect", "4.4.1")
    assert "127.0.0.1" in erin["host"] and "refused" in erin["text"]
    assert gina["reason"] == "no-starttls"
    assert gina["status"].startswith("4.7.")
    assert erin["next"] > entry["arrival"]
    # only the recipients that were selected
    entry, = world.queue("list", "--recipient", "erin*")
    assert entry["selected"] == 1 and len(entry["recipients"]) == 1


def test_show_shape(world):
    entry, = world.queue("show", world.ids["one"])
    assert entry["client"] and entry["helo"] == "client.example"
    assert entry["protocol"] == "ESMTP" and entry["tls"] is None
    assert entry["accepted"] == 1
    text = world.command("queue", "show", world.ids["one"], check=0)[1]
    for word in (world.ids["one"], "from <ann@example.org>",
                 "carol@one.dead.example", "deferred", "connect", "4.4.1",
                 "127.0.0.1", "client.example"):
        assert word in text, text


def test_stats(world):
    """By domain, most recipients first, then the totals."""
    lines = world.queue("stats")
    total = lines[-1]["total"]
    domains = {line["domain"]: line for line in lines[:-1]}
    assert {"one.dead.example", "two.dead.example", "clear.example",
            "later.example"} <= set(domains)
    assert domains["one.dead.example"]["messages"] == 2
    assert domains["clear.example"]["deferred"] == 2
    counts = [line["recipients"] for line in lines[:-1]]
    assert counts == sorted(counts, reverse=True)
    assert total["recipients"] == sum(counts)
    assert total["messages"] == len(world.queue("list"))
    assert "clear.example" in world.command("queue", "stats", check=0)[1]


def test_cat_is_what_was_sent(world):
    """Byte for byte behind our Received line, which is CRLF too."""
    body = (b"Subject: bytes\r\n\r\n.dot\r\n..dots\r\n" + bytes(
        byte for byte in range(1, 256) if byte not in b"\r\n") +
        b"\r\n" + b"x" * 900 + b"\r\n") + b"tail\r\n" * 30000
    identifier = world.send("kim@cat.dead.example", "ann@example.org", body)
    code, out, err = world.command("queue", "cat", identifier, text=False)
    assert (code, err) == (0, b"")
    assert out.endswith(b"\r\n" + body)
    prefix = out[:-len(body)]
    assert prefix.startswith(b"Received: from client.example")
    assert identifier.encode() in prefix and b"\n" not in \
        prefix.replace(b"\r\n", b"")
    assert world.command("queue", "cat", "--original", identifier,
                         text=False, check=0)[1] == body
    assert world.command("queue", "cat", "123abc")[0] == 1


def test_nothing_reaches_the_terminal(world):
    """Bytes that a terminal would obey are escaped, in every form of output
    and in the log; what is left is legible."""
    for words in (["show", world.ids["later"]], ["list"], ["stats"],
                  ["show", world.ids["later"], "--json"]):
        out = world.command("queue", *words, text=False, check=0)[1]
        bad = [byte for byte in out if byte < 32 and byte != 10
               or byte == 127]
        assert not bad and b"\xc2\x9b" not in out, out
    out = world.command("queue", "show", world.ids["later"])[1]
    assert "pwned" in out and "later" in out
    with open(world.log_path, "rb") as log:
        text = log.read()
    assert b"\x1b" not in text and b"\x07" not in text


def test_addresses_do_not_reach_the_terminal(world):
    """Control characters are not let into an address in the first place, nor
    into a note of the operator."""
    talk = Talk(world.port)
    talk.say("EHLO client.example")
    for path in ('<"a\x1b[2Jb"@example.org>', "<a\x07@example.org>",
                 '<"a\\\x1b"@example.org>'):
        assert talk.code("MAIL FROM:" + path) in (501, 553), path
    for note in ("why\x1b[31m", "two\nlines", "x" * 201):
        code, _, err = world.command("queue", "hold", world.ids["one"],
                                     "--note", note)
        assert code == 64 and "one line of at most 200 bytes" in err, err
    assert state_of(world, world.ids["one"]) == "deferred"


# --- changing ---

@pytest.mark.parametrize("verb", ["hold", "release", "retry", "delete",
                                  "bounce"])
def test_change_wants_a_selection(world, verb):
    """Nothing is changed when nothing was said; --all must be said."""
    before = world.queue("list")
    code, out, err = world.command("queue", verb)
    assert code == 64 and "say which messages" in err and out == ""
    assert world.command("queue", verb, "--domain", "nowhere.example")[0] == 1
    assert world.command("queue", verb, "123abc")[0] == 1
    assert [entry["id"] for entry in world.queue("list")] == [
        entry["id"] for entry in before]


def test_hold_and_release(world):
    """Held mail is not tried, not even by retry; released mail is."""
    identifier = world.send("h@hold.dead.example", "ann@example.org")
    until(lambda: state_of(world, identifier) == "deferred")
    code, out, _ = world.command("queue", "hold", identifier, "--json")
    assert code == 0
    assert json.loads(out.splitlines()[0]) == {
        "verb": "hold", "messages": 1, "recipients": 1}
    entry, = world.queue("show", identifier)
    assert entry["state"] == "held"
    assert entry["recipients"][0]["held"] == "held by the operator"
    assert entry["recipients"][0]["held-by"] == "operator"
    assert world.command("queue", "hold", identifier)[0] == 1   # it is held
    assert world.command("queue", "retry", identifier)[0] == 1
    attempts = entry["recipients"][0]["attempts"]
    world.command("queue", "release", "--state", "held", "--domain",
                  "hold.dead.example", check=0)
    until(lambda: world.queue("show", identifier)[0]["recipients"][0]
          ["attempts"] > attempts, 20, "an attempt after the release")
    world.command("queue", "delete", identifier, check=0)


def test_retry(world):
    """Now, not in an hour."""
    identifier = world.send("r@retry.dead.example", "ann@example.org")

    def attempts():
        return world.queue("show", identifier)[0]["recipients"][0]["attempts"]
    until(lambda: state_of(world, identifier) == "deferred")
    for _ in range(2):
        before = attempts()
        world.command("queue", "retry", "--domain", "retry.dead.example",
                      check=0)
        until(lambda: attempts() > before)
    world.command("queue", "delete", identifier, check=0)


def test_delete_recipients(world):
    """Only those selected; the last one takes the message along. Nobody is
    told."""
    identifier = world.send(["a@del.dead.example", "b@del.dead.example",
                             "c@other.dead.example"], "alice@example.org")
    before = len(world.messages("alice"))
    world.command("queue", "delete", identifier, "--recipient", "b@*",
                  check=0)
    entry, = world.queue("show", identifier)
    assert sorted(one["address"] for one in entry["recipients"]) == [
        "a@del.dead.example", "c@other.dead.example"]
    world.command("queue", "delete", identifier, check=0)
    assert world.queue("show", identifier) == []
    assert world.command("queue", "cat", identifier)[0] == 1
    assert len(world.messages("alice")) == before


def test_bounce(world):
    """The sender gets a notification that says who decided and why."""
    before = len(world.messages("alice"))
    identifier = world.send(["x@bounce.dead.example", "y@bounce.dead.example"],
                            "alice@example.org",
                            b"Subject: coming back\r\n\r\nx\r\n")
    world.command("queue", "bounce", identifier, "--recipient", "x@*",
                  "--note", "the project is over", check=0)
    report = world.wait_messages("alice", before + 1)[-1]
    for word in (b"multipart/report", b"x@bounce.dead.example",
                 b"the project is over", b"Action: failed", b"Status: 5.",
                 b"Subject: coming back"):
        assert word in report, report.decode()
    assert b"y@bounce" not in report
    entry, = world.queue("show", identifier)
    assert [one["address"] for one in entry["recipients"]] == [
        "y@bounce.dead.example"]
    world.command("queue", "delete", identifier, check=0)


def test_held_survives(server):
    """Over a restart and over a crash."""
    one = server(text="relay-from = { 127.0.0.1 }\nretry-first = 1h\n"
                 'allow-loopback = yes\n'
                 'route "dead.example" { host = "127.0.0.1" port = %d '
                 'mx = no }\n' % dead_port())
    identifier = one.send("carol@dead.example")
    one.command("queue", "hold", "--all", "--note", "until monday", check=0)
    one.stop()
    one.start()
    entry, = one.queue("show", identifier)
    assert entry["state"] == "held"
    assert entry["recipients"][0]["held"] == "until monday"
    one.kill_all()
    one.start()
    assert one.queue("list")[0]["state"] == "held"
    one.command("queue", "delete", "--all", check=0)
    assert one.queue("list") == []


# --- who may ---

@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_others_may_only_look(world):
    """Whoever reaches the socket may see metadata; mail and changes are for
    root and the owner (77). The socket itself is 0660."""
    control = world.parts["state"] + "/run/control"
    assert os.stat(control).st_mode & 0o777 == 0o660

    def as_nobody(*words):
        done = subprocess.run(
            [shared_binary(), *words, "-c", world.path], capture_output=True,
            text=True, timeout=60, user=NOBODY, group=NOBODY,
            extra_groups=[], cwd="/", stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr
    changed = []
    folder = os.path.dirname(control)
    try:
        while folder != "/":
            mode = os.stat(folder).st_mode & 0o777
            if mode & 0o055 != 0o055:
                changed.append((folder, mode))
                os.chmod(folder, mode | 0o055)
            folder = os.path.dirname(folder)
        code, text = as_nobody("queue", "list")
        assert code == 77 and "Permission denied" in text, text
        os.chmod(control, 0o666)
        for words in (["queue", "list"], ["queue", "show", world.ids["one"]],
                      ["queue", "stats"], ["status"]):
            code, text = as_nobody(*words)
            assert code == 0, (words, code, text)
        before = [entry["id"] for entry in world.queue("list")]
        for words in (["queue", "cat", world.ids["one"]],
                      ["queue", "hold", "--all"],
                      ["queue", "release", "--all"],
                      ["queue", "retry", "--all"],
                      ["queue", "delete", "--all"],
                      ["queue", "bounce", "--all"], ["reload"], ["stop"]):
            code, text = as_nobody(*words)
            assert code == 77 and "permission denied" in text.lower(), (
                words, code, text)
        assert [entry["id"] for entry in world.queue("list")] == before
        assert world.process.poll() is None
    finally:
        os.chmod(control, 0o660)
        for path, mode in changed:
            os.chmod(path, mode)


# --- a large queue ---

def resident(pid):
    """Bytes of memory that a process has in use."""
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS of %d" % pid)


def test_twenty_thousand(server):
    """A queue of 20,000 messages is not read into memory to be listed, and
    the first line does not wait for the last."""
    count = 20000
    one = server(
        text='relay-from = { 127.0.0.1 }\nretry-first = 1h\n'
             'allow-loopback = yes\nactive-messages = 100\n'
             'route "*" { host = "127.0.0.1" port = %d mx = no }\n' %
             dead_port(),
        # freed memory counts in the sanitizer's quarantine
        environment={"ASAN_OPTIONS": "quarantine_size_mb=1:"
                     "thread_local_quarantine_size_kb=16"})
    subprocess.run(
        [os.path.join(PEERS, "bin/smtp-source"), "-s", "20", "-m", str(count),
         "-l", "256", "-d", "-f", "bob@example.net", "-t",
         "carol@dead.example", "127.0.0.1:%d" % one.port],
        check=True, timeout=240)
    pid = one.pid_of("queue")
    before = resident(pid)
    started = time.monotonic()
    listing = subprocess.Popen(
        [BINARY, "queue", "list", "--json", "-c", one.path],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    first = json.loads(listing.stdout.readline())
    seconds = time.monotonic() - started
    most, seen = 0, {first["id"]}
    for number, line in enumerate(listing.stdout):
        if line.startswith(b"{"):
            seen.add(json.loads(line)["id"])
        if number % 1000 == 0:
            most = max(most, resident(pid))
    assert listing.wait(60) == 0
    assert len(seen) == count
    assert seconds < 3, seconds
    assert most - before < 24 << 20, (before, most)
    # a reader that stops reading holds nobody up, and costs little
    stuck = subprocess.Popen(
        [BINARY, "queue", "list", "--json", "-c", one.path],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    stuck.stdout.readline()
    assert len(one.queue("list", "--limit", "5")) == 5
    one.command("queue", "hold", "--all", check=0)
    assert resident(pid) - before < 32 << 20
    stuck.kill()
    stuck.wait()
    total = one.queue("stats")[-1]["total"]
    assert (total["messages"], total["held"]) == (count, count)
    one.command("queue", "delete", "--all", check=0)
    assert one.queue("list") == []
