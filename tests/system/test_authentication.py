# SPDX-License-Identifier: ISC
"""Who mail is really from: our signatures as others verify them, those of
others as we do, SPF and DMARC by records in a name server (NSD), and what
`postern check-message` says of all that. The other side is dkimpy."""
import base64
import json
import os
import smtplib
import subprocess
import sys

import pytest

from postern import BINARY, PEERS, Postern, Talk, free_port, until
from test_dns import NameServer

sys.path.append(os.path.join(PEERS, "root/usr/lib/python3/dist-packages"))
import dkim

RECORDS = """\
$ORIGIN .
$TTL 60
@ SOA ns.chain. hostmaster.chain. 1 60 60 60 60
@ NS ns.chain.
ns.chain. A 127.0.0.1
bank.example. TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.bank.example. TXT "v=DMARC1; p=reject"
list.example. TXT "v=spf1 ip4:127.0.0.0/8 -all"
thief.example. TXT "v=spf1 -all"
_dmarc.soft.example. TXT "v=DMARC1; p=quarantine"
soft.example. TXT "v=spf1 -all"
"""

MESSAGE = (b"From: Teller <teller@bank.example>\r\nTo: alice@example.org\r\n"
           b"Subject: a statement\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
           b"Message-ID: <1@bank.example>\r\n\r\nYour money is here.\r\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """.server, .names, .private (of dkimpy's signatures)."""
    class World:
        pass
    world = World()
    world.sent = 0
    folder = tmp_path_factory.mktemp("authentication")
    world.folder = str(folder)
    world.private = subprocess.run(
        ["openssl", "genrsa", "-traditional", "2048"], check=True,
        capture_output=True).stdout
    public = subprocess.run(
        ["openssl", "rsa", "-pubout", "-outform", "DER"], check=True,
        input=world.private, capture_output=True).stdout
    text = base64.b64encode(public).decode()
    world.names = NameServer(folder / "names", free_port(), ["."])
    world.names.write(".", RECORDS + 's1._domainkey.bank.example. TXT '
                      '"v=DKIM1; k=rsa; p=%s" "%s"\n' % (text[:200],
                                                        text[200:]))
    world.names.start("ns.chain")
    world.server = Postern(
        str(folder / "postern"), users=("alice", "eve"), text=(
            "relay-from = { 127.0.0.9 }\nspf = observe\ndmarc = observe\n"
            'stub-zones = { ". 127.0.0.1@%d" }\n'
            "domain strict.example { users = { alice } spf = enforce "
            "dmarc = enforce }\n" % world.names.port))
    world.server.start()
    yield world
    world.server.stop()
    world.names.stop()


def signed(world, message=MESSAGE, domain=b"bank.example"):
    return dkim.sign(message, b"s1", domain, world.private) + message


def results(message):
    """Our field, unfolded."""
    head = message.split(b"\n\n")[0].split(b"\r\n\r\n")[0].decode()
    unfolded = head.replace("\r\n", "\n").replace("\n ", " ").replace(
        "\n\t", " ")
    found = [line for line in unfolded.split("\n")
             if line.startswith("Authentication-Results:")]
    assert len(found) == 1, head
    return " ".join(found[0].split())


def deliver(world, message, sender="teller@bank.example",
            recipient="alice@example.org"):
    """What stands in the maildir then. A field that nobody signs marks it."""
    world.sent += 1
    mark = b"X-Mark: %d.\r\n" % world.sent
    talk = Talk(world.server.port)
    code, texts = talk.mail(recipient, sender, mark + message)
    talk.close()
    assert code == 250, texts

    def found():
        return [one for one in world.server.messages("alice")
                if mark.strip() in one]
    until(found, 20, lambda: world.server.read_log()[-2000:])
    return found()[0]


def test_good_mail(world):
    """AUTHN-19 to 21, 45, 70, 77: SPF, DKIM and DMARC pass."""
    found = results(deliver(world, signed(world)))
    assert "spf=pass" in found and "smtp.mailfrom=bank.example" in found
    assert "dkim=pass" in found and "header.d=bank.example" in found
    assert "dmarc=pass" in found and "header.from=bank.example" in found


def test_changed_mail(world):
    """A body that was changed: DKIM fails, and SPF alone carries DMARC."""
    found = results(deliver(world, signed(world).replace(b"here", b"gone")))
    assert "dkim=fail" in found and "dmarc=pass" in found


def test_forwarded_mail(world):
    """AUTHN-70: another's MAIL FROM passes SPF, but does not align; the
    signature does."""
    found = results(deliver(world, signed(world), sender="bounce@list.example"))
    assert "spf=pass" in found and "smtp.mailfrom=list.example" in found
    assert "dkim=pass" in found and "dmarc=pass" in found


def test_disowned_mail(world):
    """AUTHN-74, 75: observed here, refused where the domain enforces."""
    message = MESSAGE.replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n")
    found = results(deliver(world, message, sender="x@list.example"))
    assert "dkim=none" in found and "dmarc=fail" in found
    talk = Talk(world.server.port)
    code, texts = talk.mail("alice@strict.example", "x@list.example", message)
    assert code == 550 and "DMARC" in texts[0], texts
    # One recipient's domain only observes: nobody loses the mail (README).
    code, texts = talk.mail(["alice@strict.example", "alice@example.org"],
                            "x@list.example", message)
    assert code == 250, texts
    talk.close()


def test_spf_is_enforced_for_each_recipient(world):
    """AUTHN-57: refused at RCPT for the domain that enforces it."""
    talk = Talk(world.server.port)
    talk.say("EHLO client.example")
    assert talk.code("MAIL FROM:<x@thief.example>") == 250
    code, texts = talk.say("RCPT TO:<alice@strict.example>")
    assert code == 550 and texts[0].startswith("5.7.23"), texts
    assert talk.code("RCPT TO:<alice@example.org>") == 250
    talk.close()
    world.server.wait_log("reply=\"550 5.7.23")


def test_forged_results_are_cut(world):
    """AUTHN-34: fields that claim to be ours, in any dress; others stay."""
    forged = (b"Authentication-Results: mx.example.org; dmarc=pass\r\n"
              b"authentication-RESULTS :\r\n (x) MX.example.org 1; spf=pass\r\n"
              b"Authentication-Results: other.example; dkim=pass\r\n")
    got = deliver(world, forged + MESSAGE)
    assert got.count(b"mx.example.org; dmarc=pass") == 0
    assert got.lower().count(b"authentication-results") == 2, got
    assert b"other.example; dkim=pass" in got


def test_what_the_command_says(world):
    """`postern check-message`: each decision; nothing is kept."""
    path = os.path.join(world.folder, "message")
    with open(path, "wb") as out:
        out.write(signed(world))
    before = len(world.server.messages("alice"))
    code, out, err = world.server.command(
        "check-message", path, "--from", "teller@bank.example", "--to",
        "alice@example.org", "--to", "nobody@example.org", "--client",
        "127.0.0.5", "--json")
    assert code == 0, (out, err)
    said = [json.loads(line) for line in out.splitlines()]
    found = {one["check"]: one for one in said if "check" in one}
    assert [found[name]["result"] for name in ("spf", "dkim", "dmarc")] == [
        "pass"] * 3, said
    assert any(one.get("reply", "").startswith("550 5.1.1") for one in said)
    assert found["message"]["recipients"] == ["alice@example.org"]
    code, out, err = world.server.command(
        "check-message", path, "--from", "x@thief.example", "--to",
        "alice@strict.example", "--client", "203.0.113.5")
    assert code == 1 and "5.7.23" in out, (out, err)
    assert len(world.server.messages("alice")) == before
    assert not world.server.queue("list")


def records_of(server):
    code, out, err = server.command("dkim", "dns", "--json")
    assert code == 0, err
    return {one["name"]: one["data"].replace('" "', "").strip('"')
            for one in map(json.loads, out.splitlines())}


def test_our_signatures(world):
    """AUTHN-1 to 12: made after the record was seen, by both algorithms, and
    dkimpy verifies them; after a rotation the old record stays."""
    server, names = world.server, world.names
    server.command("dkim", "new", "example.org", check=0)
    code, out, err = server.command("dkim", "activate", "example.org")
    assert code == 1 and "not published" in err, err
    text = open(names.path("..zone")).read()
    for name, data in records_of(server).items():
        text += '%s. TXT "%s" "%s"\n' % (name, data[:200], data[200:])
    names.write(".", text)
    names.stop()
    names.start("ns.chain")
    server.command("dkim", "activate", "example.org", check=0)
    before = len(server.messages("eve"))
    client = smtplib.SMTP("127.0.0.1", server.port,
                          source_address=("127.0.0.9", 0))
    client.sendmail("alice@example.org", ["eve@example.org"],
                    "From: alice@example.org\nTo: eve@example.org\n"
                    "Subject: a  folded\n  one\nDate: Mon, 23 Nov 2026 "
                    "10:00:00 +0000\n\n.dot\n trailing \t \n\n\n")
    client.quit()
    got = server.wait_messages("eve", before + 1)[-1]
    known = records_of(server)

    def text_of(name, timeout=5):
        name = (name.decode() if isinstance(name, bytes) else name)
        return known[name.rstrip(".")].encode()
    start = got.index(b"DKIM-Signature:")
    message = got[start:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    count = message.count(b"DKIM-Signature:")
    assert count == 2, message
    checker = dkim.DKIM(message)
    assert checker.verify(idx=0, dnsfunc=text_of)
    assert checker.verify(idx=1, dnsfunc=text_of)
    spoilt = dkim.DKIM(message.replace(b"dot", b"dots"))
    with pytest.raises(dkim.ValidationError):
        spoilt.verify(idx=0, dnsfunc=text_of)
    # The next pair takes over, and the first one's records stay.
    server.command("dkim", "new", "example.org", check=0)
    server.command("dkim", "activate", "example.org", "--force", check=0)
    states = [json.loads(line)["state"] for line in server.command(
        "dkim", "list", "--json", check=0)[1].splitlines()]
    assert sorted(states) == ["active", "active", "retired", "retired"]
    assert len(records_of(server)) == 4


def test_whose_mail_is_signed(world):
    """A user's From has to be in the domain of the sender's address: on a
    server for several organisations nobody signs as another one."""
    server = world.server
    path = os.path.join(world.folder, "from-another")
    with open(path, "w") as out:
        out.write("From: boss@example.org\n\nx\n")
    server.command("dkim", "new", "example.org", check=0)
    server.command("dkim", "activate", "example.org", "--force", check=0)
    for name, result in (("alice@example.org", "signed"),
                         ("alice@strict.example", "none")):
        subprocess.run([BINARY, "user", "add", name, "-c", server.path],
                       input="a long password\n", text=True, check=True,
                       stdout=subprocess.DEVNULL)
        code, out, err = server.command(
            "check-message", path, "--from", name, "--to", "a@far.example",
            "--client", "203.0.113.5", "--user", name, "--json")
        said = [json.loads(line) for line in out.splitlines()]
        assert code == 0, (out, err)
        assert [one["result"] for one in said
                if one.get("check") == "dkim-sign"] == [result], out


def test_keys_before_the_start(tmp_path):
    """What `postern dkim` refuses, and that a file of keys with a mistake is
    told by `check` and at the start, not by every process for itself."""
    server = Postern(str(tmp_path / "one"), text='milter none { socket = "%s" }'
                     "\nmilters = none\n" % (tmp_path / "none"))

    def dkim(code, *words):
        return "".join(server.command("dkim", *words, check=code)[1:])
    assert "no keys" in dkim(0, "list")
    dkim(1, "list", "example.org")
    assert "a selector is" in dkim(65, "new", "example.org", "--selector",
                                   "a_b")
    for name in ("one", "two"):
        dkim(0, "new", "example.org", "--algorithm", "rsa", "--selector", name)
    assert "another --selector" in dkim(65, "new", "example.org",
                                        "--algorithm", "rsa", "--selector",
                                        "one")
    assert "more than one RSA key" in dkim(1, "activate", "--force",
                                           "example.org")
    assert "no key typo" in dkim(1, "activate", "--force", "example.org",
                                 "typo")
    dkim(0, "activate", "--force", "example.org", "two")
    assert "it is active" in dkim(1, "activate", "example.org", "two")
    assert "retire it first" in dkim(1, "remove", "--force", "example.org",
                                     "two")
    out = server.command("check", check=0)[1]
    assert "advice   milter none: %s/none: No such file" % tmp_path in out
    with open(os.path.join(server.parts["state"], "dkim-keys"), "a") as keys:
        keys.write("a word\n")
    assert "dkim-keys:3:" in server.command("check", check=78)[1]
    with pytest.raises(AssertionError, match="ended with 78"):
        server.start()
