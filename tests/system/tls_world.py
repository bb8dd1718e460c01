# SPDX-License-Identifier: ISC
"""A world for tests of what TLS mail gets: Debian's NSD with a root zone that
is signed (ldns-signzone) and, below it, a zone that is not; and a mail host for
each domain that a test takes, on an address of its own and one port for all."""
import hashlib
import os
import subprocess

from cryptography.hazmat.primitives import serialization

from postern import PEERS, free_port
from smtp_peer import Stranger
from test_dns import NameServer

EACH = 12       # domains of a group
LIBRARIES = [line.split("=", 1)[1].strip().strip("'")
             for line in open(os.path.join(PEERS, "env"))
             if line.startswith("LD_LIBRARY_PATH=")][0]


def ldns(name, *words, cwd):
    done = subprocess.run(
        [os.path.join(PEERS, "root/usr/bin", "ldns-" + name), *words],
        cwd=cwd, env=dict(os.environ, LD_LIBRARY_PATH=LIBRARIES),
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (name, words, done)
    return done.stdout.strip()


class SignedNames(NameServer):
    """The name server; .anchor is the file with the root's key."""

    def __init__(self, folder, root_text, plain_text):
        super().__init__(folder, free_port(), [".", "plain"])
        self.root_text = root_text
        self.write("plain", plain_text)
        self.key = ldns("keygen", "-a", "ECDSAP256SHA256", "-k", ".",
                        cwd=self.folder)
        self.anchor = self.path(self.key + ".key")
        self.sign()
        self.start("plain")

    def sign(self):
        with open(self.path("unsigned"), "w") as out:
            out.write(self.root_text)
        ldns("signzone", "-f", "signed", "-o", ".", "unsigned", self.key,
             cwd=self.folder)
        os.replace(self.path("signed"), self.path("..zone"))

    def change(self, before, after):
        """Other text in the root zone, at once."""
        assert before in self.root_text, before
        self.root_text = self.root_text.replace(before, after)
        self.sign()
        self.stop()
        self.start("plain")


def hash_of_key(certificate):
    return hashlib.sha256(certificate.private.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class Domain:
    """A domain of its own for a test: .name, .host, and the host itself, which
    is there from now on."""

    def __init__(self, world, name, address, options):
        self.name, self.host = name, "mx." + name
        options.setdefault("certificate", world.good)
        self.peer = Stranger(address=address, port=world.port, **options)

    def user(self, local="carol"):
        return "%s@%s" % (local, self.name)


class World:
    """groups: names of top-level domains, each with EACH domains below it,
    which are d0.GROUP and so on; their host is mx.d0.GROUP. Signed all, but in
    the group plain; with TLSA records, for the certificate .good, in the groups
    named in dane; in those named in pairs there is a second host, which refuses
    connections. .other is a certificate for another name, from nobody.
    records: more lines for the root.
    """

    def __init__(self, folder, make_certificate, authority, groups, dane=(),
                 pairs=(), records=()):
        self.port, self.authority = free_port(), authority
        self.groups = list(groups)
        self.good = make_certificate("mx.good.example", [
            "mx.d%d.%s" % (number, group) for group in self.groups
            for number in range(EACH)])
        self.other = make_certificate("mx.other.example", issuer=None)
        self.taken = {}
        zones = {True: ["$ORIGIN ."], False: ["$ORIGIN plain."]}
        for lines in zones.values():
            lines += ["$TTL 60",
                      "@ SOA ns.chain. hostmaster.chain. 1 60 60 60 60",
                      "@ NS ns.chain."]
        zones[True] += ["ns.chain. A 127.0.0.1", "plain. NS ns.chain.",
                        *records]
        for group in self.groups:
            for number in range(EACH):
                name = "d%d.%s." % (number, group)
                lines = zones[group != "plain"]
                lines += ["%s MX 10 mx.%s" % (name, name),
                          "mx.%s A %s" % (name, self.address(group, number))]
                if group in dane:
                    lines.append("_%d._tcp.mx.%s TLSA 3 1 1 %s" % (
                        self.port, name, hash_of_key(self.good)))
                if group in pairs:
                    lines += ["%s MX 20 mx2.%s" % (name, name),
                              "mx2.%s A 127.22.0.1" % name]
        self.names = SignedNames(folder, *("\n".join(
            zones[signed]) + "\n" for signed in (True, False)))
        self.peers = []

    def address(self, group, number):
        return "127.21.%d.%d" % (self.groups.index(group), number + 1)

    def text(self, more=""):
        """For the configuration of a server."""
        return (
            "allow-loopback = yes\nipv6 = no\nresolver-timeout = 5s\n"
            "relay-from = { 127.0.0.1 }\n"
            'trust-file = "%s"\n'
            'stub-zones = { ". 127.0.0.1@%d", "plain 127.0.0.1@%d" }\n' % (
                self.authority.chain, self.names.port, self.names.port) +
            "".join('route "*.%s" { port = %d mx = yes }\n' % (
                group, self.port) for group in self.groups) + more)

    def domain(self, group, **options):
        """One that no test has had yet; options are those of its host."""
        number = self.taken[group] = self.taken.get(group, -1) + 1
        assert number < EACH, "EACH is too small"
        one = Domain(self, "d%d.%s" % (number, group),
                     self.address(group, number), options)
        self.peers.append(one.peer)
        return one

    def close(self):
        self.names.stop()
        for peer in self.peers:
            peer.close()
