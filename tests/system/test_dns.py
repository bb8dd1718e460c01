# SPDX-License-Identifier: ISC
"""Which host mail goes to, with a real name server (Debian's NSD) and mail
hosts on 127.0.0.2 and so on, all on one port; the last octet names them."""
import email
import os
import socket
import struct
import subprocess

import pytest

from postern import PEERS, free_port, until
from smtp_peer import Stranger

ZONE = """
$ORIGIN example.
$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 127.0.0.1

; mail hosts; nobody listens on 9
host2 A 127.0.0.2
host3 A 127.0.0.3
host4 A 127.0.0.4
host5 A 127.0.0.5
host6 A 127.0.0.6
host7 A 127.0.0.7
dead A 127.0.0.9
six AAAA ::1
home A 127.0.0.9
nameless TXT "no address"
other-name CNAME host2

prefer MX 20 host3
prefer MX 10 host2
fallback MX 20 host3
fallback MX 10 dead
busy MX 10 host5
busy MX 20 host6
busy MX 30 host3
null MX 0 .
implicit A 127.0.0.4
alias CNAME prefer
aliasmx MX 10 other-name
several MX 10 two-addresses
two-addresses A 127.0.0.9
two-addresses A 127.0.0.4
nohost MX 10 nowhere.nohost
textonly MX 10 nameless
empty TXT "neither MX nor address"
v6 MX 10 six
loop MX 10 home
behind MX 10 nowhere.nohost
behind MX 20 home
behind MX 30 host2
tls MX 10 host2
tls MX 20 host7
""" + "".join("many MX %d host-with-a-rather-long-name-%03d.many\n" % (
    100 + number, number) for number in range(60)) + "many MX 5 host2\n"

SMALL_ZONE = """
$ORIGIN %s.example.
$TTL 60
@ SOA ns.example. hostmaster.example. 1 60 60 60 60
@ NS ns.example.
@ A 127.0.0.4
"""


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


HAS_IPV6 = has_ipv6()


class NameServer:
    """NSD on a port of 127.0.0.1; a zone without a file is a SERVFAIL."""

    def __init__(self, folder, port, zones):
        self.folder = str(folder)
        self.port = port
        self.process = None
        os.makedirs(self.folder, exist_ok=True)
        with open(self.path("nsd.conf"), "w") as out:
            out.write(
                "server:\n ip-address: 127.0.0.1\n port: %d\n"
                ' username: ""\n zonesdir: "%s"\n database: ""\n'
                ' pidfile: "%s"\n xfrdfile: "%s"\n zonelistfile: "%s"\n'
                ' xfrdir: "%s"\n server-count: 1\n hide-version: yes\n'
                "remote-control:\n control-enable: no\n" % (
                    port, self.folder, self.path("pid"), self.path("xfrd"),
                    self.path("list"), self.folder))
            for zone in zones:
                out.write('zone:\n name: "%s"\n zonefile: "%s.zone"\n' % (
                    zone, zone))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, zone, text):
        with open(self.path(zone + ".zone"), "w") as out:
            out.write(text)

    def start(self, zone):
        self.process = subprocess.Popen(
            [os.path.join(PEERS, "bin/nsd"), "-d", "-c",
             self.path("nsd.conf")], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(self.path("log"), "wb"))
        until(lambda: self.rcode(zone) == 0, 20, "nsd to answer")
        return self

    def rcode(self, name):
        """What it answers about a name; None for nothing."""
        query = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"".join(
            bytes([len(label)]) + label.encode()
            for label in name.split(".")) + b"\0" + struct.pack("!2H", 6, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(1)
            try:
                asking.connect(("127.0.0.1", self.port))
                asking.send(query)
                return asking.recv(512)[3] & 15
            except OSError:
                return None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


def same_port(wanted):
    """Strangers on these addresses, all on one port: {address: options}."""
    for _ in range(50):
        port, made = free_port(), {}
        try:
            for address, options in wanted.items():
                made[address] = Stranger(address=address, port=port,
                                         **options)
            return port, made
        except OSError:
            for one in made.values():
                one.close()
    raise AssertionError("no port is free on all addresses")


SENT = ("prefer fallback busy null nx implicit alias aliasmx several nohost "
        "textonly empty v6 loop behind tls many broken late").split()


@pytest.fixture(scope="module")
def world(module_server, tmp_path_factory, make_certificate, authority):
    """A server that has sent one mail to user@X.example for each X of SENT,
    from alice@example.org."""
    folder = tmp_path_factory.mktemp("dns")
    names = NameServer(folder / "main", free_port(),
                       ["example", "broken.example"])
    names.write("example", ZONE)
    names.start("example")
    late = NameServer(folder / "late", free_port(), ["late.example"])
    late.write("late.example", SMALL_ZONE % "late")
    port, peers = same_port({
        "127.0.0.2": {}, "127.0.0.3": {}, "127.0.0.4": {},
        "127.0.0.5": dict(greeting="421 4.3.2 busy"),
        "127.0.0.6": dict(greeting="554 5.3.2 not at all"),
        "127.0.0.7": dict(certificate=make_certificate("host7.example")),
        **({"::1": {}} if HAS_IPV6 else {})})
    one = module_server(name="home.example", domain="example.org", text=(
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1s\nretry-max = 2s\nresolver-timeout = 5s\n"
        'trust-file = "%s"\n'
        'stub-zones = { "example 127.0.0.1@%d", "late.example 127.0.0.1@%d" }\n'
        'destination "tls.example" { level = verify }\n'
        # only at port 25 is our own name among the hosts ourselves
        'route "loop.example" { port = 25 }\n'
        'route "behind.example" { port = 25 }\n'
        'route "*.example" { port = %d mx = yes }\n' % (
            authority.chain, names.port, late.port, port)))
    one.port_of_peers, one.peers, one.names, one.late = (port, peers, names,
                                                         late)
    for name in SENT:
        one.send("user@%s.example" % name, "alice@example.org")
    yield one
    one.stop()
    names.stop()
    late.stop()
    for peer in peers.values():
        peer.close()


def receivers(one, name):
    """The peers that got the mail to a domain."""
    wanted = "<user@%s.example>" % name
    return [address for address, peer in one.peers.items()
            for message in list(peer.messages) if wanted in message[2]]


def reports(one):
    """{domain: fields of the recipient} of all delivery notifications."""
    found = {}
    for text in one.messages("alice"):
        message = email.message_from_bytes(text)
        if message.get_content_type() != "multipart/report":
            continue
        for fields in message.get_payload()[1].get_payload()[1:]:
            found[fields["Final-Recipient"].split("@")[1]] = fields
    return found


def waiting(one, name):
    """What the queue says of the mail to a domain; None when it is gone."""
    entries = one.queue("list", "--domain", name + ".example")
    return entries[0]["recipients"][0] if entries else None


@pytest.mark.parametrize("name,address", [
    ("prefer", "127.0.0.2"),        # the lower preference, whatever the order
    ("fallback", "127.0.0.3"),      # the first refuses connections
    ("busy", "127.0.0.3"),          # two hosts say 421 and 554 at once
    ("implicit", "127.0.0.4"),      # no MX: the domain's own address
    ("alias", "127.0.0.2"),         # a CNAME at the domain
    ("aliasmx", "127.0.0.2"),       # and one at the mail host
    ("several", "127.0.0.4"),       # the host's other address answers
    pytest.param("v6", "::1", marks=pytest.mark.skipif(
        not HAS_IPV6, reason="no ::1 on this machine")),
    ("many", "127.0.0.2"),          # an answer that needs TCP
])
def test_delivered_to(world, name, address):
    """SMTP-168, SMTP-170: the right host, once, with the address as written."""
    until(lambda: receivers(world, name), 30,
          "mail for %s to arrive" % name)
    assert receivers(world, name) == [address]


@pytest.mark.parametrize("name,status", [
    ("null", "5.1.10"),
    ("nx", "5.1.2"),
    ("nohost", "5.4.4"),
    ("textonly", "5.4.4"),
    ("empty", "5.4.4"),
    ("loop", "5.4.6"),      # we are the best host
    ("behind", "5.4.6"),    # the better one is gone, a worse one counts not
])
def test_returned_at_once(world, name, status):
    """SMTP-171, SMTP-172: what can never arrive goes back right away."""
    until(lambda: name + ".example" in reports(world), 30,
          "a notification about %s" % name)
    fields = reports(world)[name + ".example"]
    assert fields["Action"] == "failed" and fields["Status"] == status
    assert receivers(world, name) == []
    assert waiting(world, name) is None


def test_requirement_holds_for_each_host(world):
    """The best host has no TLS: the next one has, and gets it, verified by
    the name that DNS gave."""
    until(lambda: receivers(world, "tls"), 30)
    assert receivers(world, "tls") == ["127.0.0.7"]
    (message,) = [message for message in world.peers["127.0.0.7"].messages
                  if "<user@tls.example>" in message[2]]
    assert message[0] is True


def test_servfail_waits(world):
    """A name server that is broken says nothing about the domain: 4.4.3, no
    notification; mended, the mail arrives."""
    assert world.names.rcode("broken.example") == 2
    until(lambda: waiting(world, "broken")["status"] == "4.4.3", 30)
    assert waiting(world, "broken")["reason"] == "dns"
    assert "broken.example" not in reports(world)
    world.names.write("broken.example", SMALL_ZONE % "broken")
    world.names.stop()
    world.names.start("broken.example")
    until(lambda: receivers(world, "broken"), 60,
          "the mail for broken.example")
    assert receivers(world, "broken") == ["127.0.0.4"]


def test_dead_name_server_waits(world):
    """The same for one that does not answer at all."""
    until(lambda: waiting(world, "late")["status"] == "4.4.3", 30)
    assert receivers(world, "late") == []
    assert "late.example" not in reports(world)
    world.late.start("late.example")
    until(lambda: receivers(world, "late"), 60, "the mail for late.example")
    assert receivers(world, "late") == ["127.0.0.4"]


def test_strangers_cannot_name_our_own_addresses(world, module_server):
    """SMTP-175: without allow-loopback nothing connects to 127.0.0.0/8,
    whatever the DNS says."""
    one = module_server(name="home.example", users=("alice",), text=(
        "relay-from = { 127.0.0.1 }\nretry-first = 1s\nretry-max = 1s\n"
        'stub-zones = { "example 127.0.0.1@%d" }\n'
        'route "*.example" { port = %d mx = yes }\n' % (
            world.names.port, world.port_of_peers)))
    one.send("trick@prefer.example", "alice@example.org")
    one.wait_log("r=trick@prefer.example")
    one.stop()
    assert not any("trick" in " ".join(peer.clear)
                   for peer in world.peers.values())
