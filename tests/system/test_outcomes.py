# SPDX-License-Identifier: ISC
"""What is counted of each session, and what the queue says of mail that failed
on its TLS: numbers and words, exact for what was played."""
import json

import pytest

from postern import until
from test_requiretls import submit
from tls_world import World


def not_tls(connection):
    connection.recv(4096)
    connection.sendall(b"250 this is not TLS\r\n")


# name: group, options of the host, messages, why they wait (None: they go)
PLAYED = {
    "good": ("dane", dict(), 3, None),
    "mismatch": ("dane", dict(certificate="other"), 2, "dane-mismatch"),
    "stripped": ("dane", dict(certificate=None), 1, "no-starttls"),
    "nothing": ("auto", dict(), 2, None),
    "clear": ("auto", dict(certificate=None), 1, None),
    "broken": ("auto", dict(after_starttls=not_tls), 1, "tls-handshake"),
    "unsigned": ("plain", dict(), 1, None),
    "configured": ("encrypt", dict(certificate=None), 1, "no-starttls"),
    "refused": ("encrypt", dict(keywords=["STARTTLS"], replies={
        "STARTTLS": "554 5.7.0 never"}), 1, "starttls-refused"),
    "greylisted": ("auto", dict(replies={"RCPT": "450 4.2.0 later"}), 1,
                   "reply"),
    "demanded": ("pair", dict(), 1, "requiretls"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_certificate, authority):
    one = World(tmp_path_factory.mktemp("names"), make_certificate, authority,
                ["dane", "auto", "plain", "encrypt", "pair"], dane=["dane"],
                pairs=["pair"])
    yield one
    one.close()


@pytest.fixture(scope="module")
def one(world, module_server, certificate):
    """A server that has played all that; .ids {name: identifiers}, .domains
    {name: domain}. Each message is a session of its own and the only try."""
    one = module_server(
        certificate=certificate, trust_anchor=world.names.anchor,
        text="retry-first = 1h\nretry-max = 1h\nreuse-idle = 0\n" +
        world.text('destination "*.encrypt" { level = encrypt }\n'))
    one.ids, one.domains = {}, {}
    for name, (group, options, count, reason) in PLAYED.items():
        options = dict(options)
        if options.get("certificate") == "other":
            options["certificate"] = world.other
        domain = one.domains[name] = world.domain(group, **options)
        one.ids[name] = []
        for number in range(count):
            identifier = submit(one, domain.user(), demand=True) \
                if name == "demanded" else one.send(domain.user())
            one.ids[name].append(identifier)
            one.wait_log("m=%s queue %s" % (
                identifier, "defer" if reason else "removed"))
    yield one


def recipient_of(one, identifier):
    (message,) = one.queue("show", identifier)
    return message["recipients"][0]


def outcomes(one):
    """Of today; and of yesterday, which for a server that began today says
    nothing, but for tests that run over midnight."""
    return [entry for day in ("yesterday", "today")
            for entry in one.policy("outcomes", "--day", day)]


def counted(one, name):
    """[(type, successes, failures)] by policy of a domain, and the result types
    of the failures with their numbers."""
    policies, details = {}, {}
    for entry in outcomes(one):
        if entry["domain"] != one.domains[name].name:
            continue
        sums = policies.setdefault(entry["policy"]["policy-type"], [0, 0])
        sums[0] += entry["summary"]["total-successful-session-count"]
        sums[1] += entry["summary"]["total-failure-session-count"]
        for failure in entry.get("failure-details", []):
            details[failure["result-type"]] = details.get(
                failure["result-type"], 0) + failure["failed-session-count"]
    return [(kind, *sums) for kind, sums in policies.items()], details


NUMBERS = {
    "good": ([("tlsa", 3, 0)], {}),
    "mismatch": ([("tlsa", 0, 2)], {"tlsa-invalid": 2}),
    "stripped": ([("tlsa", 0, 1)], {"starttls-not-supported": 1}),
    "nothing": ([("no-policy-found", 2, 0)], {}),
    "clear": ([("no-policy-found", 0, 1)], {"starttls-not-supported": 1}),
    "broken": ([("no-policy-found", 0, 1)], {"validation-failure": 1}),
    "unsigned": ([("no-policy-found", 1, 0)], {}),
    "configured": ([("no-policy-found", 0, 1)],
                   {"starttls-not-supported": 1}),
    "refused": ([("no-policy-found", 0, 1)], {"starttls-not-supported": 1}),
    "greylisted": ([("no-policy-found", 1, 0)], {}),
}


def test_outcomes_are_exact(world, one):
    """RPT-20 to RPT-25, RPT-30 to RPT-40, RPT-58: by policy and host, each
    session once; a host that nobody could connect to, and mail that waits for
    another reason, are no failures of TLS."""
    for name, numbers in NUMBERS.items():
        until(lambda: counted(one, name) == numbers, 20,
              lambda: "%s: %s" % (name, counted(one, name)))
    for name, numbers in NUMBERS.items():   # and not more than that
        assert counted(one, name) == numbers, name
    domain = one.domains["mismatch"]
    entry = [entry for entry in outcomes(one)
             if entry["domain"] == domain.name][-1]
    policy, (failure,) = entry["policy"], entry["failure-details"]
    assert policy["policy-domain"] == domain.host   # the TLSA base domain
    assert any("3 1 1 " in text for text in policy["policy-string"])
    assert failure["receiving-mx-hostname"] == domain.host
    assert failure["receiving-ip"].startswith("127.21.")
    entry = [entry for entry in outcomes(one)
             if entry["domain"] == one.domains["good"].name][-1]
    assert not entry.get("failure-details")
    text = one.command("policy", "outcomes", "--day", entry["day"],
                       check=0)[1]
    assert domain.name in text and "tlsa-invalid" in text
    code, out, err = one.command("policy", "outcomes", "--day", "2020-02-29")
    assert code == 1 and out == "" and err


@pytest.mark.parametrize("words,names", [
    (["--failure", "no-starttls"], "stripped configured"),
    (["--reason", "no-starttls"], "stripped configured"),
    (["--failure", "broken-tls"], "broken refused"),
    (["--reason", "tls-handshake"], "broken"),
    (["--reason", "starttls-refused"], "refused"),
    (["--reason", "dane-mismatch"], "mismatch"),
    (["--failure", "requiretls"], "demanded"),
    (["--reason", "tls"],
     "mismatch stripped broken configured refused demanded"),
    (["--reason", "reply"], "greylisted"),
    (["--reason", "no-starttls", "--domain", "*.encrypt"], "configured"),
    (["--reason", "sts-cert"], ""),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_selected_by_failure(one, words, names):
    """Each class selects its messages and no others."""
    wanted = sorted(sum((one.ids[name] for name in names.split()), []))
    assert sorted(entry["id"] for entry in one.queue("list", *words)) \
        == wanted


NEXT = {     # requirement and source of the next attempt; text of the last
    "mismatch": ("dane", "dane", "TLSA"),
    "stripped": ("dane", "dane", "STARTTLS"),
    "broken": ("opportunistic", "none", "TLS"),
    "configured": ("encrypted", "level", "STARTTLS"),
    "demanded": ("name", "requiretls", "REQUIRETLS"),
}


@pytest.mark.parametrize("name", NEXT)
def test_show_names_the_next_attempt(one, name):
    """What the last attempt met, and what the next one will ask for and by
    whose word, for people and as JSON."""
    requirement, source, text = NEXT[name]
    identifier, domain = one.ids[name][0], one.domains[name]
    recipient = recipient_of(one, identifier)
    assert recipient["reason"] == PLAYED[name][3]
    assert domain.host in recipient["host"] and text in recipient["text"]
    assert "127.21." in recipient["host"]
    plan = one.next_attempts(identifier)[domain.name]
    host = plan["hosts"][0]
    assert (host["name"], host["requirement"], host["source"]) == (
        domain.host, requirement, source)
    shown = one.command("queue", "show", identifier, check=0)[1]
    for word in (recipient["reason"], domain.host, "next"):
        assert word in shown, shown


def test_outcomes_survive(world, server):
    """After a restart the same, and counting goes on from there."""
    one = server(trust_anchor=world.names.anchor,
                 text="retry-first = 1h\nretry-max = 1h\nreuse-idle = 0\n" +
                 world.text())
    one.domains = {"good": world.domain("dane"),
                   "bad": world.domain("dane", certificate=world.other)}

    def play(tries):
        identifier = one.send(one.domains["good"].user())
        one.wait_log("m=%s queue removed" % identifier)
        identifier = one.send(one.domains["bad"].user())
        one.wait_log("m=%s queue defer" % identifier)
        until(lambda: counted(one, "good") == ([("tlsa", tries, 0)], {}))
        until(lambda: counted(one, "bad") == (
            [("tlsa", 0, tries)], {"tlsa-invalid": tries}))
    play(1)
    before = sorted(json.dumps(entry, sort_keys=True)
                    for entry in outcomes(one))
    one.stop()
    one.start()
    assert sorted(json.dumps(entry, sort_keys=True)
                  for entry in outcomes(one)) == before
    one.command("queue", "delete", "--all", check=0)
    play(2)
