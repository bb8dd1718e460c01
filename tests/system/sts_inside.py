# SPDX-License-Identifier: ISC
"""For test_sts_publish.py, in namespaces of its own, where port 443 and the
name servers of the machine are ours: a server that publishes a policy, and two
senders who look for it. Prints what each of them found as one JSON object.

sts_inside.py FOLDER CHAIN KEY AUTHORITY
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))

from postern import BINARY, PEERS, Postern
from test_dns import NameServer

ZONE = """$ORIGIN .
$TTL 1
@ SOA ns.chain. h.chain. 1 1 1 1 1
@ NS ns.chain.
ns.chain. A 127.0.0.1
example.org. MX 10 mx.example.org.
mx.example.org. A 127.0.0.2
mta-sts.example.org. A 127.0.0.1
_mta-sts.example.org. TXT "v=STSv1; id=%s;"
"""


class Pair:
    """A certificate as Postern() wants it."""

    def __init__(self, chain, key):
        self.chain, self.key = chain, key


def write(names, identifier):
    names.stop()
    names.write(".", ZONE % identifier)
    names.start("example.org")


def sender(folder, authority):
    """The policy that our own sender finds: a stranger's, to it; and what it
    makes of the mail host."""
    path = os.path.join(folder, "sender.conf")
    with open(path, "w") as out:
        out.write('hostname = mta.origin.example\nstate-directory = "%s/s"\n'
                  "drop-privileges = no\nallow-loopback = yes\n"
                  'trust-file = "%s"\ntrust-anchor-file = ""\n'
                  'stub-zones = ". 127.0.0.1@53"\n' % (folder, authority))
    done = subprocess.run(
        [BINARY, "policy", "probe", "--standalone", "--json", "example.org",
         "-c", path], capture_output=True, text=True, timeout=60)
    policy = verdict = None
    for line in done.stdout.splitlines():
        said = json.loads(line) if line.startswith("{") else {}
        verdict = said.get("verdict", verdict)
        for fact in said.get("facts", []):
            if fact["query"] == "STS" and fact["result"] == "data":
                policy = fact["data"][0]
    if policy and verdict:
        return policy["mode"], policy["mx"], verdict
    return done.stdout + done.stderr


def peer(authority):
    """What Debian's postfix-mta-sts-resolver makes of it."""
    done = subprocess.run(
        [os.path.join(PEERS, "bin/mta-sts-query"), "-v", "fatal",
         "example.org"], env=dict(os.environ, SSL_CERT_FILE=authority),
        capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def main(folder, chain, key, authority):
    resolv = os.path.join(folder, "resolv.conf")
    with open(resolv, "w") as out:
        out.write("nameserver 127.0.0.1\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"],
                   check=True)
    names = NameServer(os.path.join(folder, "names"), 53, ["."])
    write(names, "old")
    one = Postern(os.path.join(folder, "server"), domain="home.example",
                  certificate=Pair(chain, key), text=(
                      'allow-loopback = yes\ntrust-file = "%s"\n'
                      'stub-zones = ". 127.0.0.1@53"\n'
                      'listen public { addresses = { "127.0.0.2" } }\n'
                      'listen mta-sts { addresses = { "127.0.0.1" } }\n'
                      'domain "example.org" { users = "*" '
                      "mta-sts = enforce }\n" % authority))
    one.start()
    found = {"refused": one.command("sts", "publish", "example.org")}
    for step in ("testing", "enforce"):
        shown = json.loads(one.command("sts", "show", "example.org",
                                       "--json")[1])
        write(names, shown["id"])
        found[step] = {"shown": shown, "sender": sender(folder, authority),
                       "peer": peer(authority)}
        found[step]["publish"] = one.command("sts", "publish", "example.org")
    print(json.dumps(found))
    one.stop()
    names.stop()


main(*sys.argv[1:])
