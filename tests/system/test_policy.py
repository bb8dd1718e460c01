# SPDX-License-Identifier: ISC
"""postern policy: explain, probe, list and forget, with a real name server
and mail hosts on the loopback. Signed zones are the laboratory's business."""
import json

import pytest

from postern import free_port
from test_dns import NameServer, same_port

ZONE = """
$ORIGIN example.
$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 127.0.0.1
mx1 A 127.0.0.2
mx2 A 127.0.0.3
mx3 A 127.0.0.4
good MX 10 mx1
good MX 20 mx2
wrong MX 10 mx2
none MX 0 .
alias CNAME good
_mta-sts.untold TXT "v=STSv1; id=1;"
untold MX 10 mx1
plain MX 10 mx3
"""


@pytest.fixture(scope="module")
def world(module_server, tmp_path_factory, make_certificate, authority):
    names = NameServer(tmp_path_factory.mktemp("names"), free_port(),
                       ["example"])
    names.write("example", ZONE)
    names.start("example")
    port, peers = same_port({
        "127.0.0.2": dict(certificate=make_certificate("mx1.example")),
        "127.0.0.3": dict(certificate=make_certificate("other.example")),
        "127.0.0.4": {}})
    one = module_server(text=(
        "allow-loopback = yes\nipv6 = no\nresolver-timeout = 5s\n"
        'trust-file = "%s"\n'
        'stub-zones = { "example 127.0.0.1@%d" }\n'
        'destination "good.example" { level = verify }\n'
        'destination "wrong.example" { level = verify }\n'
        'route "*.example" { port = %d mx = yes }\n' % (
            authority.chain, names.port, port)))
    one.peers, one.names = peers, names
    yield one
    names.stop()
    for peer in peers.values():
        peer.close()


def objects(text):
    return [json.loads(line) for line in text.splitlines()
            if line.startswith("{")]


def explain(one, *words, check=0):
    _, out, _ = one.command("policy", "explain", *words, "--json",
                            check=check)
    (said,) = objects(out)
    return said


def test_explains_the_plan_that_mail_gets(world):
    """DANE-45: the facts in the order of the questions, each with its status;
    the hosts in order of preference."""
    said = explain(world, "someone@Good.example")
    assert said["domain"] == "good.example" and said["level"] == "verify"
    assert said["destination"] == "good.example"
    asked = [(fact["query"], fact["name"]) for fact in said["facts"]]
    assert asked[0] == ("MX", "good.example")
    assert asked.index(("A", "mx1.example")) < asked.index(
        ("A", "mx2.example"))
    assert all(fact["dnssec"] == "insecure" for fact in said["facts"])
    assert said["facts"][0]["data"] == [
        {"preference": 10, "host": "mx1.example"},
        {"preference": 20, "host": "mx2.example"}] or sorted(
            item["host"] for item in said["facts"][0]["data"]) == [
                "mx1.example", "mx2.example"]
    assert [(host["name"], host["addresses"], host["requirement"],
             host["skip"]) for host in said["hosts"]] == [
                 ("mx1.example", ["127.0.0.2"], "name", False),
                 ("mx2.example", ["127.0.0.3"], "name", False)]
    assert said["decisions"] and "status" not in said


def test_explains_for_people(world):
    code, out, err = world.command("policy", "explain", "good.example")
    assert code == 0 and err == ""
    assert out.startswith("good.example: mail goes to mx1.example, over TLS")
    for words in ("What was asked, and what came back", "MX good.example",
                  "insecure (not signed)", "What follows from it",
                  "10 mx1.example", "1. mx1.example, preference 10",
                  "2. mx2.example, preference 20", "127.0.0.2",
                  "must show", "otherwise"):
        assert words in out, out
    assert max(map(len, out.splitlines())) <= 100


def test_an_alias_is_shown(world):
    said = explain(world, "alias.example")
    assert said["facts"][0]["alias"] == "good.example"


def test_no_host_is_status_1(world):
    said = explain(world, "none.example", check=1)
    assert said["status"]["outcome"] == "failed"
    assert said["status"]["status"] == "5.1.10"
    assert "addresses" not in [fact["query"] for fact in said["facts"]]
    said = explain(world, "nowhere.example", check=1)
    assert said["facts"][0]["result"] == "nxdomain"


def test_own_domain_has_no_plan(world):
    assert explain(world, "alice@example.org")["transport"] == "maildir"


@pytest.mark.parametrize("waited,goes", [("0", False), ("2h", True)])
def test_age_counts(world, waited, goes):
    """STS-17: a domain whose MTA-STS policy may be there, and is not known,
    waits for an hour; here the server of the policy cannot be found, which
    is no such case: STS-87."""
    said = explain(world, "--waited", waited, "untold.example")
    assert said["waited"] == (7200 if goes else 0)
    (fact,) = [fact for fact in said["facts"] if fact["query"] == "STS"]
    assert fact["result"] == "nodata" and fact["reason"]
    assert said["hosts"][0]["requirement"] == "opportunistic"


def test_probe_connects_and_sends_no_mail(world):
    """The right certificate at the first host; the other host has a name that
    is not its own."""
    before = [len(peer.messages) for peer in world.peers.values()]
    _, out, _ = world.command("policy", "probe", "good.example", "--json",
                              check=0)
    plan, *shown = objects(out)
    assert plan["domain"] == "good.example"
    by_host = {one["host"]: one for one in shown}
    assert by_host["mx1.example"]["mail"] is True
    assert by_host["mx1.example"]["tls"]["verified"] is True
    chain = by_host["mx1.example"]["tls"]["chain"]
    assert "mx1.example" in chain[0]["names"]
    assert by_host["mx2.example"]["mail"] is False
    assert by_host["mx2.example"]["verdict"] == "refused"
    for peer in world.peers.values():
        assert not any(line.startswith("MAIL")
                       for line in peer.clear + peer.secured)
    assert before == [len(peer.messages) for peer in world.peers.values()]


def test_probe_for_people(world):
    code, out, _ = world.command("policy", "probe", "good.example")
    assert code == 0
    assert "mx1.example [127.0.0.2]" in out and "mail would go here" in out
    assert "no mail here" in out and "chain 0" in out


def test_probe_where_nobody_fits_is_status_1(world):
    _, out, _ = world.command("policy", "probe", "wrong.example", "--json",
                              check=1)
    assert [one["mail"] for one in objects(out)[1:]] == [False]


def test_nothing_is_remembered(world):
    code, out, err = world.command("policy", "list")
    assert (code, out) == (1, "") and "no MTA-STS policy" in err
    code, _, err = world.command("policy", "forget", "good.example")
    assert code == 1 and "remembered" in err


def test_standalone_says_the_same(world):
    served = explain(world, "good.example")
    alone = explain(world, "good.example", "--standalone")
    for key in ("level", "hosts", "decisions", "next-hop"):
        assert served[key] == alone[key]
    _, out, err = world.command("policy", "probe", "--standalone", "--json",
                                "good.example", check=0)
    assert err.count("trust anchor") == 0
    assert [one["mail"] for one in objects(out)[1:]] == [True, False]


def test_without_a_server(world, server):
    """The command asks the world itself and says so in one line."""
    one = server(start=False, text=world.text)
    code, out, err = one.command("policy", "explain", "plain.example")
    assert code == 0 and "mail goes to mx3.example" in out
    assert err.count("\n") == 1 and "no server is running" in err
    code, _, err = one.command("policy", "list")
    assert code == 69 and "not running" in err


@pytest.mark.parametrize("words", [
    ("explain",), ("explain", "a", "b"), ("explain", "no domain"),
    ("explain", "user@"), ("explain", "-x", "a"), ("explain", "[1.2.3]"),
    ("explain", "--waited", "soon", "a"), ("list", "a"),
    ("list", "--standalone"), ("forget",), ("nothing",), (),
])
def test_wrong_usage(world, words):
    code, out, err = world.command("policy", *words)
    assert code == 64 and out == "" and err
