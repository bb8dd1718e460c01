# SPDX-License-Identifier: ISC
"""An operator changes his mind, and it holds at once: exceptions, pins, levels
of single messages, reloads and MTA-STS policies; for mail that waits, for
connections that stand idle, for attempts under way. Real processes and DNS."""
import os
import random
import re
import socket
import ssl
import threading
import time

import pytest

from postern import until
from tls_world import EACH, World


def policy_address(number):
    return "127.23.%d.%d" % (policy_net, number + 1)


# Others may run this file at the same time, and the port is 443 for all.
policy_net = random.randrange(1, 255)


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_certificate, authority):
    records = ["mta-sts.d%d.sts. 1 A %s\n_mta-sts.d%d.sts. 0 TXT "
               '"v=STSv1; id=first%d;"' % (number, policy_address(number),
                                           number, number)
               for number in range(EACH)]
    one = World(tmp_path_factory.mktemp("names"), make_certificate, authority,
                ["strict", "auto", "may", "sts"], records=records)
    yield one
    one.close()


def text(world, more="", may="may"):
    """Nothing is tried again by itself, and connections stay open."""
    return world.text(
        "retry-first = 1h\nretry-max = 1h\nreuse-idle = 5m\n"
        'destination "*.strict" { level = strict }\n'
        'destination "*.may" { level = %s }\n' % may + more)


def make(world, maker):
    return maker(text=text(world), trust_anchor=world.names.anchor)


@pytest.fixture(scope="module")
def one(world, module_server):
    return make(world, module_server)


def deliver(one, domain, secure):
    """One message that goes at once."""
    before = len(domain.peer.messages)
    one.send(domain.user())
    until(lambda: len(domain.peer.messages) > before, 20, one.read_log)
    assert domain.peer.messages[-1][0] is secure


def recipient_of(one, identifier):
    (message,) = one.queue("show", identifier)
    return message["recipients"][0]


def wait(one, identifier, reason, attempts=1):
    """Until it was tried so often; why it waits."""
    def tried():
        found = one.queue("show", identifier)
        assert found, "it is gone; log:\n" + one.read_log()[-3000:]
        recipient = found[0]["recipients"][0]
        return (recipient["state"] == "deferred" and
                recipient["attempts"] >= attempts and recipient)
    recipient = until(tried, 20, one.read_log)
    assert recipient["reason"] == reason, recipient
    return recipient


def held_up(one, domain, reason):
    """A new message that waits."""
    before = len(domain.peer.messages)
    identifier = one.send(domain.user())
    wait(one, identifier, reason)
    assert len(domain.peer.messages) == before
    return identifier


def except_(one, domain, level="may", until_="1h", reason="ticket 1", *more):
    """The exception, and how many messages were tried again."""
    made, *retried = one.policy("exception", "add", domain.name, "--level",
                                level, "--until", until_, "--reason", reason,
                                *more, check=0)
    return made, retried[0]["retried"] if retried else None


def revoke(one, made):
    _, retried = one.policy("exception", "revoke", str(made["id"]), check=0)
    return retried["retried"]


def retry(one, domain):
    one.command("queue", "retry", "--domain", domain.name, check=0)


# --- exceptions ---

def test_exception_sends_what_waits(world, one):
    """The destination publishes nothing, and the level demands that it does:
    the mail waits. With an exception it goes at once, in an hour's pause
    between attempts; each use is logged and counted. Revoked, the next one
    waits, and says why."""
    domain = world.domain("strict", certificate=None)
    held_up(one, domain, "policy")
    made, retried = except_(one, domain, reason="ticket 41: no TLS yet")
    assert retried == 1
    until(lambda: domain.peer.messages, 20, one.read_log)
    assert domain.peer.messages[0][0] is False
    line = until(lambda: [line for line in one.read_log().splitlines()
                          if "exception-used" in line and
                          domain.name in line])[0]
    assert "id=%d" % made["id"] in line and "ticket 41" in line, line
    deliver(one, domain, False)
    (listed,) = [entry for entry in one.policy("exception", "list", check=0)
                 if entry["domain"] == domain.name]
    assert listed["uses"] >= 2 and listed["used"] >= listed["made"]
    assert (listed["id"], listed["level"], listed["reason"]) == (
        made["id"], "may", "ticket 41: no TLS yet")
    assert "uid %d" % os.getuid() in listed["author"]
    assert listed["until"] > listed["made"]
    table = one.command("policy", "exception", "list", check=0)[1]
    assert domain.name in table and "ticket 41" in table
    assert revoke(one, made) == 0
    held_up(one, domain, "policy")
    assert one.command("policy", "exception", "revoke",
                       str(made["id"]))[0] == 1


def test_exception_runs_out(world, one):
    """It ends by itself, also for a connection that was opened under it and
    stands idle: the next mail waits again."""
    domain = world.domain("auto", certificate=None)
    pin(one, domain, "--level", "encrypt")
    held_up(one, domain, "no-starttls")
    made, retried = except_(one, domain, until_="4s")
    assert retried == 1
    until(lambda: len(domain.peer.messages) == 1, 20, one.read_log)
    until(lambda: re.search(r"exception-ended .*\bid=%d\b" % made["id"],
                            one.read_log()), 20, one.read_log)
    assert not [entry for entry in one.policy("exception", "list")
                if entry["id"] == made["id"]]
    held_up(one, domain, "no-starttls")
    assert len(domain.peer.messages) == 1


def test_revoked_while_a_connection_is_idle(world, one):
    """The clear connection that the exception allowed is used again while it
    lasts, and for nothing after that. New mail waits, and goes under TLS when
    there is TLS."""
    domain = world.domain("auto", certificate=None)
    one.command("policy", "memory", "pin", domain.name, "--level", "encrypt",
                "--reason", "they promised", check=0)
    held_up(one, domain, "no-starttls")
    tried = domain.peer.connections
    made, _ = except_(one, domain)
    until(lambda: len(domain.peer.messages) == 1, 20, one.read_log)
    deliver(one, domain, False)
    assert domain.peer.connections == tried + 1     # one for both
    assert "QUIT" not in domain.peer.clear[-3:]
    assert revoke(one, made) == 0
    held_up(one, domain, "no-starttls")
    assert domain.peer.connections == tried + 2     # a fresh one
    assert len(domain.peer.mails) == 2
    domain.peer.certificate = world.good
    retry(one, domain)
    until(lambda: len(domain.peer.messages) == 3, 20, one.read_log)
    assert domain.peer.messages[-1][0] is True


def test_exception_stands_over_a_restart(world, server):
    """Made, and the server is killed: it is there, and so is its end."""
    one = make(world, server)
    domain = world.domain("strict", certificate=None)
    made, _ = except_(one, domain)
    one.kill_all()
    one.start()
    (again,) = one.policy("exception", "list", check=0)
    assert again == dict(made, uses=0)
    deliver(one, domain, False)


def test_no_retry(world, one):
    """--no-retry leaves the mail to its schedule."""
    domain = world.domain("strict")
    identifier = held_up(one, domain, "policy")
    made, retried = except_(one, domain, "encrypt", "1h", "later",
                            "--no-retry")
    assert retried is None
    assert recipient_of(one, identifier)["attempts"] == 1
    plan = one.next_attempts(identifier)[domain.name]
    assert plan["exception"]["id"] == made["id"]
    assert plan["hosts"][0]["requirement"] == "encrypted"
    retry(one, domain)
    until(lambda: domain.peer.messages, 20, one.read_log)
    assert domain.peer.messages[0][0] is True


# --- pins ---

def pin(one, domain, *words):
    one.command("policy", "memory", "pin", domain.name, "--reason", "because",
                *words, check=0)


def test_a_pin_binds_the_next_mail(world, one):
    """Mail in clear before; a pin later the next one waits, with an idle clear
    connection at hand; without the pin it goes in clear again."""
    domain = world.domain("auto", certificate=None)
    deliver(one, domain, False)
    pin(one, domain, "--level", "encrypt")
    identifier = held_up(one, domain, "no-starttls")
    plan = one.next_attempts(identifier)[domain.name]
    assert plan["pin"]["level"] == "encrypt"
    assert plan["hosts"][0]["source"] == "pin"
    one.command("policy", "memory", "unpin", domain.name, check=0)
    retry(one, domain)
    until(lambda: len(domain.peer.messages) == 2, 20, one.read_log)
    assert domain.peer.messages[-1][0] is False


@pytest.mark.parametrize("level", ["verify", "fingerprint"])
def test_pins_of_a_certificate(world, one, level):
    """A TLS connection that anybody could have made stands idle and is not
    good enough any more: the host shows the wrong certificate, then the right
    one."""
    domain = world.domain("may", certificate=world.other)
    deliver(one, domain, True)
    pin(one, domain, "--level", level, *(
        ["--fingerprint", world.good.fingerprint()]
        if level == "fingerprint" else []))
    held_up(one, domain, "certificate")
    domain.peer.certificate = world.good
    retry(one, domain)
    until(lambda: len(domain.peer.messages) == 2, 20, one.read_log)
    assert domain.peer.messages[-1][0] is True


# --- an attempt that is under way ---

def set_pin(one, world, domain):
    pin(one, domain, "--level", "encrypt")


def end_exception(one, world, domain):
    made, = [entry for entry in one.policy("exception", "list", check=0)
             if entry["domain"] == domain.name]
    revoke(one, made)


def reload(one, world, domain):
    one.configure(text(world, 'destination "%s" { level = encrypt }\n' %
                       domain.name))
    one.command("reload", check=0)


@pytest.mark.parametrize("change", [set_pin, end_exception, reload])
def test_change_during_the_opening(world, server, one, change):
    """The host is slow to greet when TLS comes to be demanded: the attempt is
    made anew, and nothing is said in clear."""
    if change is reload:
        one = make(world, server)
    domain = world.domain("auto", certificate=None)
    if change is end_exception:
        pin(one, domain, "--level", "encrypt")
        except_(one, domain)
    domain.peer.door.clear()
    identifier = one.send(domain.user())
    until(lambda: domain.peer.connections == 1, 20, one.read_log)
    change(one, world, domain)
    until(lambda: domain.peer.connections == 2, 20, one.read_log)
    domain.peer.door.set()
    wait(one, identifier, "no-starttls")
    assert domain.peer.mails == []
    domain.peer.certificate = world.good
    retry(one, domain)
    until(lambda: domain.peer.messages, 20, one.read_log)
    assert domain.peer.messages[0][0] is True


# --- the configuration ---

def test_reload_from_may_to_encrypt(world, server):
    """Mail in the queue, and a connection that stands idle in clear: neither
    is what it was."""
    one = make(world, server)
    domain = world.domain("may", certificate=None)
    domain.peer.replies["RCPT"] = "450 4.2.0 later"
    identifier = one.send(domain.user("early"))
    wait(one, identifier, "reply")
    domain.peer.replies.clear()
    deliver(one, domain, False)
    seen = domain.peer.connections
    one.configure(text(world, may="encrypt"))
    one.command("reload", check=0)
    retry(one, domain)
    wait(one, identifier, "no-starttls", 2)
    held_up(one, domain, "no-starttls")
    assert domain.peer.connections > seen
    assert len(domain.peer.messages) == 1
    domain.peer.certificate = world.good
    retry(one, domain)
    until(lambda: len(domain.peer.messages) == 3, 20, one.read_log)
    assert [secure for secure, *_ in domain.peer.messages] == [
        False, True, True]


# --- levels of single messages ---

def set_tls(one, identifier, level, reason="ticket 5"):
    (said,) = one.queue("set-tls", identifier, level, "--reason", reason)
    assert (said["verb"], said["messages"], said["level"]) == (
        "set-tls", 1, level)


def test_set_tls_lets_one_message_go(world, one):
    """Two wait; one of them is let go, at once; the other one waits on."""
    domain = world.domain("strict", certificate=None)
    first = held_up(one, domain, "policy")
    second = held_up(one, domain, "policy")
    set_tls(one, second, "may")
    until(lambda: not one.queue("show", second), 20, one.read_log)
    assert [message[0] for message in domain.peer.messages] == [False]
    assert recipient_of(one, first)["state"] == "deferred"
    set_tls(one, first, "encrypt")
    wait(one, first, "no-starttls", 2)
    assert len(domain.peer.messages) == 1


def test_set_tls_holds_and_is_remembered(world, server):
    """Mail that may go in clear is held to a stricter level, with the idle
    connection of another one at hand; who said so, when and why stays with it,
    also when the server is killed. Then the level is taken back."""
    one = make(world, server)
    domain = world.domain("auto", certificate=None)
    domain.peer.replies["RCPT"] = "450 4.2.0 later"
    identifier = one.send(domain.user())
    wait(one, identifier, "reply")
    domain.peer.replies.clear()
    deliver(one, domain, False)
    set_tls(one, identifier, "encrypt", "ticket 77: names")
    wait(one, identifier, "no-starttls", 2)

    def check(level="encrypt"):
        recipient = recipient_of(one, identifier)
        assert recipient["tls-level"] == level
        assert recipient["tls-reason"] == "ticket 77: names"
        assert recipient["tls-author"] == "uid %d" % os.getuid()
        assert time.strptime(recipient["tls-set"][:19], "%Y-%m-%dT%H:%M:%S")
    check()
    shown = one.command("queue", "show", identifier, check=0)[1]
    for word in ("ticket 77: names", "encrypt", "uid %d" % os.getuid()):
        assert word in shown, shown
    one.kill_all()
    one.start()
    check()
    plan = one.next_attempts(identifier)[domain.name]
    assert plan["message-level"] == "encrypt"
    retry(one, domain)
    wait(one, identifier, "no-starttls", 3)
    assert len(domain.peer.messages) == 1
    set_tls(one, identifier, "default", "ticket 77: names")
    until(lambda: len(domain.peer.messages) == 2, 20, one.read_log)
    assert domain.peer.messages[-1][0] is False


# --- an MTA-STS policy that changes ---

class PolicyHost(threading.Thread):
    """HTTPS on port 443 of an address of its own; .mx is what it says now."""

    def __init__(self, address, certificate):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, 443))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.chain, certificate.key)
        self.mx = ""
        self.served = 0
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                with self.context.wrap_socket(connection,
                                              server_side=True) as secure:
                    self.answer(secure)
            except (ssl.SSLError, ConnectionError):
                pass
            except OSError:
                return

    def answer(self, secure):
        secure.settimeout(10)
        asked = b""
        while b"\r\n\r\n" not in asked:
            more = secure.recv(4096)
            if not more:
                return
            asked += more
        body = ("version: STSv1\r\nmode: enforce\r\nmx: %s\r\n"
                "max_age: 86400\r\n" % self.mx).encode()
        self.served += 1
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                       b"Connection: close\r\nContent-Length: %d\r\n\r\n" %
                       len(body) + body)

    def close(self):
        self.listener.close()


def may_listen_on_443():
    try:
        socket.create_server((policy_address(254), 443)).close()
        return True
    except PermissionError:
        return False


@pytest.mark.skipif(not may_listen_on_443(), reason="port 443 is for root")
def test_mta_sts_policy_changes(world, one, make_certificate):
    """STS-20, STS-60: a policy that leaves the host out makes mail wait; the
    next one takes it in, and the mail that waits goes; the one after that
    leaves it out again, and the connection that stands idle is for nothing."""
    domain = world.domain("sts")
    number = int(domain.name[1:].split(".")[0])
    host = PolicyHost(policy_address(number),
                      make_certificate("mta-sts." + domain.name))

    def publish(before, after, mx):
        host.mx = mx
        world.names.change("id=%s%d;" % (before, number),
                           "id=%s%d;" % (after, number))
    try:
        host.mx = "mx.other.example"
        identifier = held_up(one, domain, "sts-mx")
        assert host.served == 1
        publish("first", "second", domain.host)
        time.sleep(1.1)     # a TTL of 0 is the second at hand
        retry(one, domain)
        until(lambda: len(domain.peer.messages) == 1, 20, one.read_log)
        assert domain.peer.messages[0][0] is True and host.served == 2
        until(lambda: [line for line in one.read_log().splitlines()
                       if "m=" + identifier in line and "tls=sts" in line])
        deliver(one, domain, True)
        assert domain.peer.connections == 1
        publish("second", "third", "mx.other.example")
        time.sleep(1.1)
        held_up(one, domain, "sts-mx")
        assert host.served == 3 and len(domain.peer.messages) == 2
    finally:
        host.close()


# --- wrong command lines ---

ADD = ["policy", "exception", "add", "a.example"]
PIN = ["policy", "memory", "pin", "a.example"]


@pytest.mark.parametrize("words,needle", [
    (ADD + ["--until", "1h", "--reason", "x"], "--level"),
    (ADD + ["--level", "strict", "--until", "1h", "--reason", "x"],
     "none, may or encrypt"),
    (ADD + ["--level", "may", "--reason", "x"], "--until"),
    (ADD + ["--level", "may", "--until", "91d", "--reason", "x"], "90 days"),
    (ADD + ["--level", "may", "--until", "2020-01-01", "--reason", "x"],
     "not in the future"),
    (ADD + ["--level", "may", "--until", "2026-02-30", "--reason", "x"],
     "--until"),
    (ADD + ["--level", "may", "--until", "1h"], "--reason"),
    (ADD + ["--level", "may", "--until", "1h", "--reason", ""], "--reason"),
    (["policy", "exception", "add", "*", "--level", "may", "--until", "1h",
      "--reason", "x"], "domain"),
    (["policy", "exception", "revoke", "first"], "number"),
    (["policy", "exception", "revoke"], "number"),
    (PIN + ["--level", "may", "--reason", "x"], "encrypt"),
    (PIN + ["--level", "fingerprint", "--reason", "x"], "fingerprint"),
    (PIN + ["--level", "fingerprint", "--fingerprint", "abc", "--reason",
            "x"], "fingerprint"),
    (PIN + ["--level", "encrypt"], "--reason"),
    (["policy", "memory", "forget"], "name"),
    (["policy", "memory", "import"], "file"),
    (["policy", "events", "--since", "yesterday"], "--since"),
    (["policy", "outcomes", "--day", "2026-13-01"], "--day"),
    (["policy", "explain", "--requiretls", "--tls-optional", "a.example"],
     "requiretls"),
    (["policy", "explain", "--level", "verify", "a.example"], "level"),
    (["queue", "set-tls", "1", "--reason", "x"], "level"),
    (["queue", "set-tls", "1", "verify", "--reason", "x"], "level"),
    (["queue", "set-tls", "1", "may"], "--reason"),
    (["queue", "set-tls", "may", "--reason", "x"], "which messages"),
    (["queue", "list", "--failure", "bad-luck"], "no such reason"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_wrong_usage(one, words, needle):
    """Status 64, a sentence that names what is wrong, and nothing else."""
    code, out, err = one.command(*words)
    assert code == 64 and out == "" and needle.lower() in err.lower(), (
        code, out, err)
