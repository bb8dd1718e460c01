# SPDX-License-Identifier: ISC
"""Our own MTA-STS policies: served by HTTPS, looked at from outside, enforce
only when everything agrees; and the records of `postern dns`. The DNS is
Debian's NSD with a signed root."""
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time

import pytest

from postern import free_port, until
from tls_world import SignedNames, hash_of_key, ldns

PATH = "/.well-known/mta-sts.txt"
NAMES = ["mx.example.org", "mta-sts.example.org"]


def policy(mode, mx=("mx.example.org",), max_age=1209600):
    return "".join(["version: STSv1\r\n", "mode: %s\r\n" % mode] +
                   ["mx: %s\r\n" % one for one in mx] +
                   ["max_age: %d\r\n" % max_age])


def identifier(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Zone:
    """The names of example.org; parts are changed by tests."""

    def __init__(self, folder):
        self.parts = {}
        self.names = None
        self.folder = folder

    def text(self):
        lines = ["$ORIGIN .", "$TTL 60",
                 "@ SOA ns.chain. hostmaster.chain. 1 60 60 60 60",
                 "@ NS ns.chain.", "ns.chain. A 127.0.0.1",
                 "plain. NS ns.chain."]
        return "\n".join(lines + [line for part in self.parts.values()
                                  for line in part]) + "\n"

    def write(self, **parts):
        """Other records, at once."""
        self.parts.update(parts)
        if self.names is None:
            self.names = SignedNames(self.folder, self.text(),
                                     "$ORIGIN plain.\n@ 60 SOA ns.chain. "
                                     "h.chain. 1 60 60 60 60\n"
                                     "@ 60 NS ns.chain.\n")
            return
        self.names.root_text = self.text()
        self.names.sign()
        self.names.stop()
        self.names.start("plain")


def txt(text):
    return ['_mta-sts.example.org. TXT "v=STSv1; id=%s;"' % identifier(text)]


GOOD = dict(
    mx=["example.org. MX 10 mx.example.org."],
    host=["mx.example.org. A 127.0.0.1"],
    web=["mta-sts.example.org. A 127.0.0.1"],
    txt=txt(policy("testing")), tlsa=[], other=[])


@pytest.fixture(scope="module")
def zone(tmp_path_factory):
    one = Zone(tmp_path_factory.mktemp("names"))
    one.write(**GOOD)
    yield one
    one.names.stop()


@pytest.fixture(scope="module")
def good(make_certificate):
    return make_certificate("mx.example.org", NAMES)


@pytest.fixture
def publisher(server, zone, good, authority):
    """publisher(domain options, ...): a server that serves policies."""
    if zone.parts != GOOD:
        zone.write(**GOOD)

    def make(options="mta-sts = enforce", certificate=good, start=True,
             more=""):
        web = free_port()
        text = (
            "allow-loopback = yes\nipv6 = no\nresolver-timeout = 5s\n"
            "log-level = debug\nsts-fetch-timeout = 8s\n"
            'trust-file = "%s"\nstub-zones = ". 127.0.0.1@%d"\n'
            'listen mta-sts { addresses = { "127.0.0.1" } port = %d }\n'
            'domain "example.org" { users = "*" %%s }\n' % (
                authority.chain, zone.names.port, web)) + more
        one = server(start=False, domain="home.example",
                     certificate=certificate, text=text % options,
                     trust_anchor=zone.names.anchor)
        one.web, one.template, one.ca = web, text, authority.chain
        return one.start() if start else one

    return make


def change(one, options):
    """Other options of the domain; what the reload says."""
    one.configure(one.template % options)
    return one.command("reload")


class Web:
    """A connection to the server of policies: bytes out, answers in."""

    def __init__(self, one, name="mta-sts.example.org", version=None):
        context = ssl.create_default_context(cafile=one.ca)
        if version:
            context.minimum_version = context.maximum_version = version
        raw = socket.create_connection(("127.0.0.1", one.web), 20)
        self.socket = context.wrap_socket(raw, server_hostname=name)
        self.rest = b""

    def send(self, text):
        self.socket.sendall(text.encode("latin-1"))

    def more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            return False
        self.rest += data
        return bool(data)

    def answer(self, head_only=False):
        """(status, fields, body)"""
        while b"\r\n\r\n" not in self.rest:
            assert self.more(), self.rest
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = 0 if head_only else int(fields["content-length"])
        while len(self.rest) < length:
            assert self.more(), self.rest
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(lines[0].split()[1]), fields, body.decode()

    def get(self, path=PATH, host="mta-sts.example.org", method="GET",
            more=""):
        self.send("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (
            method, path, host, more))
        return self.answer(method == "HEAD")

    def closed(self):
        """True when the server closed and said nothing more."""
        while self.more():
            pass
        return not self.rest

    def close(self):
        self.socket.close()


def served(one):
    web = Web(one)
    status, _, body = web.get()
    web.close()
    return body if status == 200 else status


def status(one):
    code, out, err = one.command("sts", "status", "example.org", "--json")
    assert out, err
    answer = json.loads(out)
    assert (code == 0) == (answer["problems"] == 0)
    return answer


def problems(answer):
    return [(entry["about"], entry["text"]) for entry in answer["findings"]
            if entry["kind"] == "problem"]


# --- the way to enforce ---

def test_enforce_when_all_agrees(publisher, zone):
    """STS-120, STS-123, STS-128: approved, then served, then the record."""
    one = publisher()
    assert served(one) == policy("testing")
    before = status(one)
    assert problems(before) == [] and before["in-force"] == "testing"
    code, out, _ = one.command("sts", "publish", "example.org")
    assert code == 0 and "approved" in out, out
    enforced = policy("enforce")
    assert identifier(enforced) in out
    until(lambda: served(one) == enforced, 10)
    # the record comes behind the policy
    (problem,) = problems(status(one))
    assert problem[0] == "txt" and identifier(policy("testing")) in problem[1]
    code, out, _ = one.command("sts", "publish", "example.org")
    assert code == 1 and identifier(enforced) in out
    zone.write(txt=txt(enforced))
    assert problems(status(one)) == []
    code, out, _ = one.command("sts", "publish", "example.org")
    assert code == 0 and "Nothing is to be changed" in out
    # it outlives a restart
    one.stop()
    one.start()
    assert served(one) == enforced


WRONG = {
    "txt missing": (dict(txt=[]), "txt", "there is no TXT record"),
    "txt old": (dict(txt=txt("something else")), "txt", "has the id"),
    "txt twice": (dict(txt=txt("a") + txt("b")), "txt", "not valid"),
    "txt malformed": (dict(txt=['_mta-sts.example.org. TXT "v=STSv1"']),
                      "txt", "not valid"),
    "mx not listed": (
        dict(other=["example.org. MX 20 mx2.example.org.",
                    "mx2.example.org. A 127.0.0.1"]),
        "mx", "mx2.example.org is a mail host of example.org and not in"),
    "mx elsewhere": (
        dict(mx=["example.org. MX 10 mx2.example.org.",
                 "mx2.example.org. A 127.0.0.1"]),
        "mx", "mx2.example.org is a mail host"),
    "null mx": (dict(mx=["example.org. MX 0 ."]), "mx", "takes no mail"),
    "no mx": (dict(mx=["example.org. TXT x"]), "mx",
              "example.org is a mail host"),
    "no such domain": (dict(mx=[], txt=[], host=[], web=[]), "mx",
                       "there is no such name"),
    "policy host without address": (dict(web=[]), "policy",
                                    "cannot be fetched"),
    "policy host elsewhere": (
        dict(web=["mta-sts.example.org. A 127.0.0.9"]), "policy",
        "cannot connect"),
    "wrong tlsa": (
        dict(tlsa=["_%d._tcp.mx.example.org. TLSA 3 1 1 " + "00" * 32]),
        "tlsa", "none of them is for certificate"),
}


@pytest.mark.parametrize("name", WRONG)
def test_enforce_is_refused(publisher, zone, name):
    """STS-128, DANE-148, DANE-154: what disagrees is named, and mode testing
    stays."""
    parts, about, words = WRONG[name]
    one = publisher()
    zone.write(**{key: [line % one.port if "%d" in line else line
                        for line in part] for key, part in parts.items()})
    found = problems(status(one))
    assert any(kind == about and words in text for kind, text in found), found
    code, out, _ = one.command("sts", "publish", "example.org")
    assert code == 1 and "Mode enforce is refused" in out, out
    assert not os.path.exists(os.path.join(one.parts["state"],
                                           "sts-approvals"))
    assert served(one) == policy("testing")


@pytest.mark.parametrize("about,words,options", [
    ("certificate", "would not believe", dict(issuer=None)),
    ("policy", "sts-webpki-invalid", dict(issuer=None)),
    ("certificate", "expired", dict(days=(-20, -10))),
])
def test_enforce_needs_a_believed_certificate(publisher, make_certificate,
                                              about, words, options):
    """STS-128: a certificate of nobody, and one that has expired."""
    one = publisher(certificate=make_certificate("mx.example.org", NAMES,
                                                 **options))
    found = problems(status(one))
    assert any(kind == about and words in text for kind, text in found), found
    code, out, _ = one.command("sts", "publish", "example.org")
    assert code == 1 and "refused" in out


def test_wildcard_is_noted(publisher):
    """STS-127: a pattern allows hosts that nobody has thought of."""
    one = publisher('mta-sts = enforce mta-sts-mx = "*.example.org"')
    notes = [entry["text"] for entry in status(one)["findings"]
             if entry["kind"] == "note"]
    assert any("also allows hosts that are not yours" in text
               for text in notes), notes


def test_right_tlsa(publisher, zone, good):
    """DANE-148: a record for the certificate, which is shown."""
    one = publisher()
    zone.write(tlsa=["_%d._tcp.mx.example.org. TLSA 3 1 1 %s" % (
        one.port, hash_of_key(good))])
    answer = status(one)
    assert problems(answer) == []
    assert any(entry["about"] == "tlsa" and "shows what" in entry["text"]
               for entry in answer["findings"]), answer


@pytest.mark.parametrize("names,words", [
    (["mx.example.org"], "for mta-sts.example.org"),
    (["mta-sts.example.org"], "for mx.example.org"),
])
def test_names_are_checked_before(publisher, make_certificate, names, words):
    """STS-124, STS-128: check and reload refuse enforce without certificates
    for its names, with the line; testing may be tried."""
    one = publisher("mta-sts = testing", make_certificate(
        "mx.example.org", names))
    code, out, err = change(one, "mta-sts = enforce")
    assert code == 78 and words in err, err
    line = open(one.path).read()[:open(one.path).read().index(
        "mta-sts = enforce")].count("\n") + 1
    assert "%s:%d: domain example.org" % (one.path, line) in err
    code, out, _ = one.command("check")
    assert code == 78 and words in out
    assert one.pid_of("sts") != 0


def test_mail_host_elsewhere_needs_no_certificate_here(publisher,
                                                       make_certificate):
    """The policy may name hosts that are not this one: then only they are
    asked."""
    one = publisher('mta-sts = enforce mta-sts-mx = "mx2.example.org"',
                    make_certificate("x", ["mta-sts.example.org"]))
    found = problems(status(one))
    assert any("mx.example.org is a mail host of example.org and not in" in
               text for _, text in found), found


def test_approved_policy_stays_while_another_is_not(publisher, zone):
    """STS-121: what was approved stays in force; the next one asks again."""
    one = publisher()
    assert one.command("sts", "publish", "example.org")[0] == 0
    until(lambda: served(one) == policy("enforce"), 10)
    zone.write(txt=txt(policy("enforce")))
    names = ("mx.example.org", "mx2.example.org")
    assert change(one, 'mta-sts = enforce mta-sts-mx = { %s, %s }' % names)[
        0] == 0
    assert served(one) == policy("enforce")
    answer = status(one)
    assert answer["in-force"] == "earlier" and problems(answer) == []
    assert one.command("sts", "publish", "example.org")[0] == 0
    until(lambda: served(one) == policy("enforce", names), 10)
    # and what the administrator weakens is weak at once
    assert change(one, "mta-sts = testing")[0] == 0
    assert served(one) == policy("testing")
    assert change(one, "mta-sts = none")[0] == 0
    assert served(one) == 404


def test_withdrawal(publisher, zone):
    """STS-122: mode none for a day, a new id, and a day on which all may be
    removed."""
    one = publisher("mta-sts = enforce mta-sts-max-age = 30d")
    zone.write(txt=txt(policy("testing", max_age=2592000)))
    assert one.command("sts", "publish", "example.org")[0] == 0
    assert change(one, "mta-sts = withdraw mta-sts-max-age = 7d")[0] == 0
    none = policy("none", max_age=86400)
    assert served(one) == none
    assert ("withdraw" in [about for about, _ in problems(status(one))])
    code, out, _ = one.command("sts", "publish", "example.org")
    assert code == 0 and identifier(none) in out, out
    zone.write(txt=txt(none))
    answer = status(one)
    assert problems(answer) == []
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2592000))
    (note,) = [entry["text"] for entry in answer["findings"]
               if entry["about"] == "withdraw"]
    assert day in note


def test_damaged_approvals_approve_nothing(publisher):
    one = publisher()
    assert one.command("sts", "publish", "example.org")[0] == 0
    path = os.path.join(one.parts["state"], "sts-approvals")
    text = open(path).read()
    assert "example.org enforce" in text
    open(path, "w").write(text.replace("mx.example.org", "mx.evil.example"))
    assert one.command("reload")[0] == 0
    assert served(one) == policy("testing")
    one.wait_log("bad-lines=1")


def test_show(publisher):
    one = publisher("mta-sts = testing", start=False)
    code, out, _ = one.command("sts", "show", "EXAMPLE.org", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["policy"] == policy("testing")
    assert answer["id"] == identifier(policy("testing"))
    assert answer["txt"] == "v=STSv1; id=%s;" % answer["id"]
    assert one.command("sts", "show", "home.example")[0] == 1
    assert one.command("sts", "show", "elsewhere.example")[0] == 65
    assert one.command("sts", "show")[0] == 64


# --- the server, and clients that are not kind ---

@pytest.fixture(scope="module")
def open_server(module_server, good, authority):
    web = free_port()
    one = module_server(
        domain="home.example", certificate=good, text=(
            "log-level = debug\n"
            'listen mta-sts { addresses = { "127.0.0.1" } port = %d }\n'
            'domain "example.org" { users = "*" mta-sts = testing }\n' % web))
    one.web, one.ca = web, authority.chain
    return one


def test_answers(open_server):
    """STS-123, STS-124: text/plain and nothing but the policy of that host."""
    web = Web(open_server)
    code, fields, body = web.get()
    assert code == 200 and body == policy("testing")
    assert fields["content-type"] == "text/plain"
    assert fields["cache-control"] == "no-store"
    code, fields, body = web.get(method="HEAD")
    assert code == 200 and body == ""
    assert int(fields["content-length"]) == len(policy("testing"))
    for path in ("/", "/.well-known/mta-sts.txt/", PATH + "?x", "/" + PATH,
                 PATH.upper(), "/.well-known/../.well-known/mta-sts.txt"):
        assert web.get(path)[0] == 404, path
    assert web.get(host="MTA-STS.example.org:443")[0] == 200
    assert web.get("https://mta-sts.example.org" + PATH)[0] == 200
    code, fields, _ = web.get(more="Connection: close\r\n")
    assert code == 200 and fields["connection"] == "close"
    assert web.closed()


def test_other_hosts(open_server):
    """A certificate is shown for its own names; each host has its policy."""
    web = Web(open_server, "mx.example.org")
    assert web.get(host="mx.example.org")[0] == 404
    # what was asked for by TLS is what is served
    assert web.get()[0] == 421
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized"):
        Web(open_server, "other.example.net")
    with pytest.raises(ssl.SSLError):
        Web(open_server, version=ssl.TLSVersion.TLSv1_1)
    assert Web(open_server, version=ssl.TLSVersion.TLSv1_2).get()[0] == 200


HOST = "Host: mta-sts.example.org\r\n"
GET = "GET %s HTTP/1.1\r\n" % PATH


@pytest.mark.parametrize("text,code", [
    (GET + "\r\n", 400),                                    # no host
    (GET + HOST + HOST + "\r\n", 400),
    (GET + HOST + "X : y\r\n\r\n", 400),
    (GET + HOST + " folded\r\n\r\n", 400),
    (GET + HOST + "X: a\rb\r\n\r\n", 400),
    (GET + HOST + "X: a\x00b\r\n\r\n", 400),
    (GET + HOST + "nocolon\r\n\r\n", 400),
    (GET.replace("\r", "") + HOST + "\r\n", 400),
    ("GET  %s HTTP/1.1\r\n" % PATH + HOST + "\r\n", 400),
    ("GET %s HTTP/1.1 \r\n" % PATH + HOST + "\r\n", 400),
    ("GET %s HTTP/2.0\r\n" % PATH + HOST + "\r\n", 505),
    ("POST %s HTTP/1.1\r\n" % PATH + HOST + "Content-Length: 1\r\n\r\nx",
     405),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("EHLO x\r\n\r\n", 400),
    (GET + HOST + "X: " + "x" * 9000 + "\r\n\r\n", 431),
    (GET + HOST + "X: y\r\n" * 100 + "\r\n", 431),
    ("GET /" + "x" * 9000 + " HTTP/1.1\r\n" + HOST + "\r\n", 431),
    # a second request inside of what another server takes for a body
    (GET + HOST + "Content-Length: 60\r\n\r\n" + GET + HOST + "\r\n", 413),
    (GET + HOST + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\n" + GET + HOST + "\r\n", 413),
    (GET + HOST + "Content-Length: +0\r\n\r\n" + GET + HOST + "\r\n", 413),
])
def test_bad_requests(open_server, text, code):
    """One answer, and the connection is closed: nothing behind it is read."""
    web = Web(open_server)
    web.send(text)
    got, fields, _ = web.answer()
    assert got == code and fields["connection"] == "close"
    assert web.closed()
    assert Web(open_server).get()[0] == 200


def test_pipelined_requests(open_server):
    """In order, each with its answer; no connection lasts for ever."""
    web = Web(open_server)
    web.send((GET + HOST + "\r\n") * 25)
    answers = [web.answer() for _ in range(20)]
    assert {code for code, _, _ in answers} == {200}
    assert answers[-1][1]["connection"] == "close"
    assert web.closed()


def test_slow_clients(open_server):
    """A byte at a time, nothing at all, half a handshake: ten seconds."""
    start = time.monotonic()
    slow, silent = Web(open_server), Web(open_server)
    half = socket.create_connection(("127.0.0.1", open_server.web), 20)
    half.sendall(b"\x16\x03\x01")
    text = (GET + HOST + "X: " + "x" * 1000).encode()
    for at in range(len(text)):
        try:
            slow.socket.sendall(text[at:at + 1])
        except OSError:
            break
        time.sleep(0.1)
        if time.monotonic() - start > 20:
            break
    assert time.monotonic() - start < 15
    assert silent.closed() and half.recv(100) == b""
    assert time.monotonic() - start < 15
    assert served(open_server) == policy("testing")


def is_gone(one):
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_many_connections(open_server):
    """One address has a part of the room, not all."""
    raw = [socket.create_connection(("127.0.0.1", open_server.web), 20)
           for _ in range(40)]
    for one in raw:
        one.setblocking(False)
    until(lambda: sum(map(is_gone, raw)) >= 40 - 16, 8)
    assert sum(map(is_gone, raw)) < 40
    for one in raw:
        one.close()
    until(lambda: can_fetch(open_server), 5)


def can_fetch(one):
    try:
        return served(one) == policy("testing")
    except OSError:
        return False


def test_reload_changes_certificate_and_policy(publisher, make_certificate):
    """At once, for connections that come then."""
    one = publisher("mta-sts = testing")
    before = Web(one).socket.getpeercert()["serialNumber"]
    fresh = make_certificate("mx.example.org", NAMES)
    one.certificate = fresh
    assert change(one, "mta-sts = testing mta-sts-max-age = 1d")[0] == 0
    web = Web(one)
    assert web.socket.getpeercert()["serialNumber"] != before
    assert web.get()[2] == policy("testing", max_age=86400)
    one.wait_log("sts-request ")
    one.stop()
    assert one.log_count("sts-requests served=1 refused=0") == 1


def test_role_is_only_there_when_it_is_needed(publisher):
    """Nothing listens for policies: no process for them; a reload changes
    that, both ways."""
    one = publisher("mta-sts = testing", start=False)
    whole = one.template % "mta-sts = testing"
    without = "".join(line + "\n" for line in whole.splitlines()
                      if not line.startswith("listen mta-sts"))
    one.configure(without)
    one.start()
    assert one.pid_of("sts") == 0
    one.configure(whole)
    assert one.command("reload")[0] == 0
    until(lambda: can_fetch(one), 10)
    assert one.pid_of("sts") != 0
    one.configure(without)
    assert one.command("reload")[0] == 0
    until(lambda: one.pid_of("sts") == 0, 10)
    assert not can_fetch(one)


# --- the zone file ---

def test_dns(publisher, zone, good, tmp_path):
    """DANE-149 to DANE-151, DANE-154: what is printed loads as it stands, and
    says what the certificate says."""
    one = publisher("mta-sts = testing", more=(
        'listen submissions { addresses = { "127.0.0.1" } port = %d }\n'
        'listen submission { addresses = { "127.0.0.1" } port = %d }\n' % (
            free_port(), free_port())))
    code, out, err = one.command("dns", "example.org")
    assert code == 0, err
    (tmp_path / "zone").write_text(out)
    lines = [line.split(None, 4) for line in ldns(
        "read-zone", "zone", cwd=str(tmp_path)).splitlines()]
    found = {(name, kind): data for name, _, _, kind, data in lines}
    assert found["example.org.", "MX"] == "10 mx.example.org."
    assert found["_%d._tcp.mx.example.org." % one.port,
                 "TLSA"] == "3 1 1 " + hash_of_key(good)
    assert found["_mta-sts.example.org.", "TXT"] == (
        '"v=STSv1; id=%s;"' % identifier(policy("testing")))
    assert found["mta-sts.example.org.", "CNAME"] == "mx.example.org."
    assert found["_smtp._tls.example.org.", "TXT"] == (
        '"v=TLSRPTv1; rua=mailto:postmaster@home.example"')
    assert found["example.org.", "TXT"] == '"v=spf1 mx -all"'
    assert ("_submission._tcp.example.org.", "SRV") in found
    assert ("_submissions._tcp.example.org.", "SRV") in found
    assert "RFC 7671 8.1" in out
    objects = [json.loads(line) for line in one.command(
        "dns", "example.org", "--json")[1].splitlines()]
    assert len(objects) >= len(found)
    # of another domain: the mail host is not in its zone
    other = one.command("dns", "home.example")[1]
    assert "\n; mx.example.org. 3600 IN" in other


def test_dns_next_certificate(publisher, make_certificate):
    """DANE-149, DANE-152: the record of the next key stands beside."""
    one = publisher("mta-sts = testing", start=False)
    fresh = make_certificate("mx.example.org", NAMES)
    out = one.command("dns", "example.org", fresh.chain)[1]
    assert out.count(" TLSA 3 1 1 ") == 2 and hash_of_key(fresh) in out
    assert one.command("dns", "example.org", one.path)[0] == 65


def test_dns_check(publisher, zone, good):
    """DANE-148, DANE-154: the DNS against the configured certificates."""
    one = publisher("mta-sts = testing")
    assert one.command("dns", "check", "example.org")[0] == 0
    name = "_%d._tcp.mx.example.org. TLSA 3 1 1 " % one.port
    zone.write(tlsa=[name + hash_of_key(good), name + "00" * 32])
    code, out, _ = one.command("dns", "check", "example.org")
    assert code == 0, out
    zone.write(tlsa=[name + hash_of_key(good), name.replace(
        "3 1 1", "3 0 1") + "00" * 32])
    code, out, _ = one.command("dns", "check", "example.org")
    assert code == 1 and "records 3 0 1" in out, out


def test_dns_of_each_listener(publisher, zone, good, make_certificate):
    """DANE-149, DANE-154: a port's record is of what that listener shows, not
    of what another one of the same service has."""
    other = make_certificate("home.example.org", ["home.example.org"])
    port = free_port()
    one = publisher("mta-sts = testing", more=(
        'certificate home { chain = "%s" key = "%s" }\n'
        'listen laptops { addresses = { "127.0.0.1" } port = %d '
        "certificates = home }\n" % (other.chain, other.key, port)))
    out = one.command("dns", "example.org")[1]
    records = dict(line.split(" ", 1) for line in out.splitlines()
                   if " TLSA 3 1 1 " in line)
    assert records["_%d._tcp.mx.example.org." % port].endswith(
        hash_of_key(other))
    assert records["_%d._tcp.mx.example.org." % one.port].endswith(
        hash_of_key(good))
    assert "WARNING: certificate home is not for mx.example.org" in out
    zone.write(tlsa=["_%d._tcp.mx.example.org. TLSA 3 1 1 %s" % each
                     for each in ((one.port, hash_of_key(good)),
                                  (port, hash_of_key(good)))])
    code, out, _ = one.command("dns", "check", "example.org")
    assert code == 1 and "none of them is for certificate home" in \
        " ".join(out.split()), out


def test_no_tlsa_without_a_certificate(server):
    """DANE-151: nothing is printed for a port that has no TLS."""
    one = server(start=False)
    out = one.command("dns", "example.org")[1]
    assert "IN TLSA" not in out and "publish no TLSA record" in out


# --- senders ---

def test_senders_accept_it(good, authority, tmp_path):
    """STS-1, STS-20, STS-22, STS-120: our own sender, and Debian's
    postfix-mta-sts-resolver, find, fetch and believe what we publish, in both
    modes, at the ports that the world uses."""
    unshare = ["unshare", "-r", "-n", "-m"]
    if subprocess.run(unshare + ["ip", "link", "set", "lo", "up"],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces here")
    done = subprocess.run(
        unshare + [sys.executable,
                   os.path.join(os.path.dirname(__file__), "sts_inside.py"),
                   str(tmp_path), good.chain, good.key, authority.chain],
        capture_output=True, text=True, timeout=180, check=False,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["refused"][0] == 1 and "refused" in found["refused"][1]
    for mode in ("testing", "enforce"):
        seen = found[mode]
        assert "mode: " + mode in seen["shown"]["policy"], seen
        assert seen["sender"] == [mode, ["mx.example.org"], "sts" if mode ==
                                  "enforce" else "opportunistic"], seen
        assert seen["peer"].startswith("(<STSFetchResult.VALID"), seen
        assert "'mode': '%s'" % mode in seen["peer"], seen
        assert seen["publish"][0] == 0, seen
    assert "approved" in found["testing"]["publish"][1]
    assert "Nothing is to be changed" in found["enforce"]["publish"][1]
