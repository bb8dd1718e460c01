# SPDX-License-Identifier: ISC
"""Fixtures: certificates made once, servers that end with their test."""
import datetime
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postern import Postern


class Certificate:
    """chain and key are paths; names are what it is for."""

    def __init__(self, folder, name, names, issuer=None, days=(-1, 30),
                 ca=False):
        self.private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca, None), True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [x509.DNSName(one) for one in names]), False)
        self.certificate = builder.sign(
            issuer.private if issuer else self.private, hashes.SHA256())
        self.chain = os.path.join(folder, name + ".pem")
        self.key = os.path.join(folder, name + ".key")
        with open(self.chain, "wb") as out:
            out.write(self.certificate.public_bytes(
                serialization.Encoding.PEM))
        with open(self.key, "wb") as out:
            out.write(self.private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))

    def fingerprint(self):
        return self.certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Certificate(str(tmp_path_factory.mktemp("ca")), "Test Authority",
                       None, ca=True)


@pytest.fixture(scope="session")
def make_certificate(authority, tmp_path_factory):
    """make_certificate(name, names, ...): signed by the authority unless
    issuer=None is given."""
    def make(name, names=None, **more):
        more.setdefault("issuer", authority)
        return Certificate(str(tmp_path_factory.mktemp("cert")), name,
                           names or [name], **more)
    return make


@pytest.fixture(scope="session")
def certificate(make_certificate):
    return make_certificate("mx.example.org")


def make_servers(folder):
    """What both fixtures below yield; all it made end with the scope."""
    made = []

    def make(start=True, **options):
        one = Postern(folder / ("s%d" % len(made)), **options)
        made.append(one)
        return one.start() if start else one

    yield make
    problems = []
    for one in reversed(made):
        if one.process is None or one.process.poll() is not None:
            continue
        try:
            one.stop()
        except Exception as problem:  # the others must end too
            problems.append(problem)
    if problems:
        raise problems[0]


@pytest.fixture
def server(tmp_path):
    """server(**options) makes and starts a Postern; all end with the test."""
    yield from make_servers(tmp_path)


@pytest.fixture(scope="module")
def module_server(tmp_path_factory):
    """The same for a server that the tests of a file share."""
    yield from make_servers(tmp_path_factory.mktemp("shared"))
