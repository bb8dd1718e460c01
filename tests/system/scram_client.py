# SPDX-License-Identifier: ISC
"""SCRAM-SHA-256 (RFC 5802, RFC 7677) as a client, written from the standard and
not from our own: a second opinion on base/scram.c."""
import base64
import hashlib
import hmac
import os


def coded(data):
    return base64.b64encode(data).decode()


class Scram:
    def __init__(self, user, password, binding=None, flag=None):
        """binding: the bytes of tls-exporter, for -PLUS; flag: another gs2
        header than the right one."""
        self.user, self.password = user, password
        self.binding = binding or b""
        self.header = flag or ("p=tls-exporter,," if binding else "n,,")
        self.nonce = coded(os.urandom(18))
        self.bare = "n=%s,r=%s" % (
            user.replace("=", "=3D").replace(",", "=2C"), self.nonce)

    def first(self):
        return self.header + self.bare

    def final(self, challenge):
        parts = dict(part.split("=", 1) for part in challenge.split(","))
        assert parts["r"].startswith(self.nonce)
        self.salt, self.iterations = parts["s"], int(parts["i"])
        bound = "c=%s,r=%s" % (coded(self.header.encode() + self.binding),
                               parts["r"])
        said = ",".join([self.bare, challenge, bound]).encode()
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(self.salt),
            self.iterations)
        key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(key).digest()
        mask = hmac.digest(stored, said, "sha256")
        self.server = hmac.digest(
            hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        return bound + ",p=" + coded(bytes(a ^ b for a, b in zip(key, mask)))

    def verify(self, message):
        assert message == "v=" + coded(self.server), message


def login(talk, scram):
    """The last reply of a login over a Talk: (code, texts)."""
    name = "SCRAM-SHA-256" + ("-PLUS" if scram.binding else "")
    code, texts = talk.say("AUTH %s %s" % (name, coded(
        scram.first().encode())))
    if code != 334:
        return code, texts
    code, texts = talk.say(coded(scram.final(base64.b64decode(
        texts[0]).decode()).encode()))
    if code != 334:
        return code, texts
    scram.verify(base64.b64decode(texts[0]).decode())
    return talk.say("")
