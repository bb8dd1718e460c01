# SPDX-License-Identifier: ISC
"""Our DKIM beside that of python3-dkim: what one signs, the other verifies,
with both kinds of keys (AUTHN-1, AUTHN-2, AUTHN-7, AUTHN-8, AUTHN-18,
AUTHN-22). No server takes part: tests/unit/authentic_dkim_sign_test is called
as a program."""
import base64
import itertools
import os
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

dkim = pytest.importorskip("dkim")

BUILD = os.path.dirname(os.path.abspath(os.environ["POSTERN"]))
PROGRAM = os.path.join(BUILD, "tests/unit/authentic_dkim_sign_test")
WHEN = "2026-11-22T12:42:06Z 2026-11-22T12:42:06Z"

MESSAGES = {
    "plain": b"From: a@example.org\r\nSubject: s\r\n\r\nHello\r\n",
    "empty": b"From: a@example.org\r\n\r\n",
    "lines": b"From: a@example.org\r\n\r\n\r\n\r\n",
    "open": b"From: a@example.org\r\nTo: b\r\n\r\nno end",
    "blanks": b"FROM:  A \t <a@example.org>\r\nTO:  b@x.example,\r\n"
              b"\tc@x.example \r\nSubject:\r\n  folded\r\n \t twice \r\n\r\n"
              b" one \t two  \r\n\t\r\n\r\nthree\t\r\n.dot\r\n \r\n\r\n",
    "repeated": b"Received: x\r\nCc: one\r\nFrom: a@example.org\r\n"
                b"Cc: two\r\nSubject: s\r\nSubject: t\r\n"
                b"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n"
                b" charset=utf-8\r\nList-Id: l\r\nTLS-Required: No\r\n"
                b"Message-ID: <1@example.org>\r\nDate: today\r\n\r\n"
                b"\xc3\xa4\xff\r\n",
    "long": b"From: a@example.org\r\n\r\n" + b"x y\r\n" * 30000,
}


def call(*arguments):
    return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE,
                          check=True).stdout


@pytest.fixture(scope="module", autouse=True)
def program():
    if not os.path.exists(PROGRAM):
        subprocess.run(["make", "-s", os.path.relpath(PROGRAM, BUILD)],
                       cwd=BUILD, check=True, stdout=subprocess.DEVNULL)


class Keys:
    """One of each kind: our file, and the same as others have them."""

    def __init__(self, folder):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ed25519 = ed25519.Ed25519PrivateKey.generate()
        self.file = os.path.join(folder, "dkim-keys")
        with open(self.file, "w", encoding="ascii") as out:
            for selector, kind, key in (("r1", "rsa", self.rsa),
                                        ("e1", "ed25519", self.ed25519)):
                der = key.private_bytes(serialization.Encoding.DER,
                                        serialization.PrivateFormat.PKCS8,
                                        serialization.NoEncryption())
                print("example.org", selector, kind, "active", WHEN,
                      base64.b64encode(der).decode(), file=out)
        self.records = dict(
            line.split(" ", 1)
            for line in call("records", self.file).decode().splitlines())

    def find(self, name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        record = self.records.get(name.rstrip("."))
        return record.encode() if record else None

    def private(self, selector):
        """As dkim.sign() wants it."""
        if selector == b"r1":
            return self.rsa.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption())
        return base64.b64encode(self.ed25519.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw,
            serialization.NoEncryption()))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keys(str(tmp_path_factory.mktemp("keys")))


def verify(keys, path):
    """What we say, a line for each signature."""
    pairs = itertools.chain.from_iterable(keys.records.items())
    return call("verify", str(path), *pairs).decode().splitlines()


def test_records(keys):
    """What we publish are the keys that we were given."""
    public = keys.rsa.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = keys.ed25519.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert keys.records == {
        "r1._domainkey.example.org":
            "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode(),
        "e1._domainkey.example.org":
            "v=DKIM1; k=ed25519; p=" + base64.b64encode(raw).decode()}


@pytest.mark.parametrize("name", MESSAGES)
def test_ours(keys, name, tmp_path):
    """We sign: they verify both, and neither once a byte was changed."""
    path = tmp_path / "message"
    path.write_bytes(MESSAGES[name])
    signed = call("sign", keys.file, "example.org", str(path)) + \
        MESSAGES[name]
    assert signed.count(b"DKIM-Signature: ") == 2
    for index in range(2):
        assert dkim.DKIM(signed).verify(idx=index, dnsfunc=keys.find)
        changed = signed.replace(b"a@example.org", b"b@example.org")
        assert not dkim.DKIM(changed).verify(idx=index, dnsfunc=keys.find)
    path.write_bytes(signed)
    assert [line.split()[0] for line in verify(keys, path)] == ["pass"] * 2


WAYS = [(header, body) for header in (b"simple", b"relaxed")
        for body in (b"simple", b"relaxed")]


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("selector", [b"r1", b"e1"], ids=["rsa", "ed25519"])
def test_theirs(keys, name, selector, tmp_path):
    """They sign in each of the four ways, with l= and without, all eight on
    one message: we verify each, and none once something was added to it."""
    message = MESSAGES[name]
    path = tmp_path / "message"
    ways = list(itertools.product(WAYS, (False, True)))
    fields = b"".join(dkim.DKIM(message).sign(
        selector, b"example.org", keys.private(selector), canonicalize=way,
        length=length, identity=b"me@example.org",
        signature_algorithm=b"rsa-sha256" if selector == b"r1" else
        b"ed25519-sha256") for way, length in ways)
    path.write_bytes(fields + message)
    for way, line in zip(ways, verify(keys, path), strict=True):
        assert line.startswith("pass d=example.org i=me@example.org s=" +
                               selector.decode()), (way, line)
    path.write_bytes(fields + message + b"more\r\n")
    for (way, length), line in zip(ways, verify(keys, path), strict=True):
        # Where the signed part is as it was, what follows is no part of it.
        expected = ("fail ",) if not length else \
            ("policy ",) if name == "plain" else ("fail ", "policy ")
        assert line.startswith(expected), (way, length, line)
