# SPDX-License-Identifier: ISC
"""What testssl.sh, Debian's, finds on the ports that people and other servers
use: no protocol, cipher or vulnerability of which it says more than that it is
well. With POSTERN_LONG in the environment it looks at everything it knows, for
some minutes."""
import json
import os
import shutil
import subprocess

import pytest

from postern import PEERS, free_port

LONG = bool(os.environ.get("POSTERN_LONG"))
# -p protocols, -s classes of ciphers, -L one vulnerability, -U all of them;
# -f forward secrecy, -S what certificate and parameters are the default, -P the
# order of ciphers, -g tolerance of odd hellos, -e each cipher, -c what known
# clients would get
EVERYTHING = "-p -s -f -U -S -P -g -e -c".split()
SHORT = {"25": ["-p", "-s", "-L"], "465": ["-p", "-s", "-L"],
         "587": ["-p", "-s", "-U"]}

# What it says of anything but "fine" that is so in a laboratory; each begins
# with the words of its finding. About protocols, ciphers and vulnerabilities
# there is nothing here.
EXPECTED = {
    # about the scanner's own OpenSSL, not ours
    "engine_problem": "No engine or GOST support",
    # a note that a port which is not HTTP's is none
    "service": "Couldn't determine service",
    # it hangs up before the ticket comes, now and then
    "sessionresumption_ticket": "check failed because of connect problem",
    # revocation: the laboratory's authority publishes no lists and answers
    # no questions
    "cert_revocation": "Neither CRL nor OCSP URI provided",
}


@pytest.fixture(scope="module")
def one(module_server, make_certificate):
    # neither nearly over nor longer than authorities may sign
    certificate = make_certificate("mx.example.org", days=(-1, 100))
    ports = {"587": free_port(), "465": free_port()}
    server = module_server(certificate=certificate, text=(
        'listen submission { addresses = { "127.0.0.1" } port = %(587)d }\n'
        'listen submissions { addresses = { "127.0.0.1" } port = %(465)d }\n' %
        ports))
    server.ports = dict(ports, **{"25": server.port})
    return server


def scan(server, port, authority, folder):
    root = os.path.join(os.path.abspath(PEERS), "root")
    # it does not take a path with a space in it
    known = os.path.join(folder, "authority.pem")
    shutil.copy(authority.chain, known)
    report = os.path.join(folder, "report.json")
    done = subprocess.run(
        ["bash", os.path.join(root, "usr/bin/testssl"), "--warnings", "batch",
         "--nodns", "none", "--color", "0", "--quiet", "--add-ca", known,
         "--jsonfile", report, *(EVERYTHING if LONG else SHORT[port]),
         *([] if port == "465" else ["-t", "smtp"]), "--ip", "127.0.0.1",
         "mx.example.org:%d" % server.ports[port]],
        env=dict(os.environ, TESTSSL_INSTALL_DIR=os.path.join(
            root, "etc/testssl"), PATH=os.environ["PATH"] + ":" +
            os.path.join(os.path.abspath(PEERS), "bin"), TMPDIR=folder),
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=1200 if LONG else 240)
    with open(report) as text:
        return json.load(text), done.stdout + done.stderr


@pytest.mark.parametrize("port", ["25", "465", "587"])
def test_no_findings(one, authority, tmp_path, port):
    """TLS-105 to TLS-117."""
    findings, text = scan(one, port, authority, str(tmp_path))
    said = {finding["id"]: finding for finding in findings}
    # it did look, and saw a server
    for identifier in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3",
                       "cipherlist_NULL", "cipherlist_AVERAGE", "LUCKY13"):
        assert identifier in said, text
    assert said["TLS1_3"]["severity"] == "OK"
    assert said["TLS1_2"]["severity"] == "OK"
    bad = [(finding["id"], finding["severity"], finding["finding"])
           for finding in findings
           if finding["severity"] not in ("OK", "INFO") and not
           finding["finding"].startswith(EXPECTED.get(finding["id"], "\0"))]
    assert not bad, bad
