# SPDX-License-Identifier: ISC
"""Second opinions on the lab's worlds by programs that have nothing to do with
Postern: Debian's ldns-dane judges the chain that each host shows against its
TLSA records, and Debian's postfix-mta-sts-resolver says which MTA-STS policy a
domain has. Each difference is listed with the clause that decides it; one that
is gone is a failure, too."""
import ast
import json
import os

import pytest

from lab_worlds import identifier, inside, worlds
from postern import PEERS

LDNS = os.path.abspath(os.path.join(PEERS, "bin/ldns-dane"))
RESOLVER = os.path.abspath(os.path.join(PEERS, "bin/mta-sts-query"))

# (scenario, faults, host): (ours, theirs, why)
DANE_DIFFERENCES = {
    ("dane-ta-left-out-whole", (), "mx.example.net"): (
        "yes", "no", "RFC 7671 5.2.2: a whole certificate in the DNS is the "
        "trust anchor even when the host does not show it; ldns-dane looks "
        "among what was shown"),
    ("tls-domain-in-certificate", (), "mx.example.net"): (
        "yes", "no", "RFC 7672 3.2.2: behind signed MX records the domain's "
        "own name counts, too; ldns-dane knows the base domain alone"),
}

# (scenario, faults, domain): (ours, theirs, why)
MX = ("enforce", ["mx.provider.example"])
STS_DIFFERENCES = {
    ("sts-cut-short", (), "cut.example"): (
        None, ("enforce", ["backup.pr", "mx.provider.example"]),
        "RFC 9112 8: an answer that is ended by the connection alone is whole "
        "only behind a farewell of TLS; theirs believes a host that was cut"),
    **{("sts-malformed", (), f"{name}.example"): (
        None, ("enforce", [pattern]),
        "RFC 8461 3.2: mx is a domain, or \"*.\" and a domain")
       for name, pattern in (("dot-behind", "mx.provider.example."),
                             ("dot", ".provider.example"),
                             ("part", "m*.provider.example"),
                             ("address", "192.0.2.10"))},
    **{("sts-private-address", (), f"{name}.example"): (
        None, MX, "RFC 6890 2.2.2: no public web server is there; theirs "
        "connects to whatever a stranger's record names")
       for name in ("private", "loopback", "link")},
    **{("sts-record-invalid", (), f"{name}.example"): (
        None, MX, "RFC 8461 3.1: an id is 1 to 32 letters and digits")
       for name in ("long", "hyphen")},
    ("sts-max-age", (), "century.example"): (
        MX, None, "RFC 8461 3.2: ten digits are within the grammar; what "
        "passes a year is held for a year, and no reason to go without"),
    ("sts-tolerated", (), "twice.example"): (
        MX, ("none", ["mx.provider.example"]),
        "RFC 8461 3.2: of a key that is said twice the first counts"),
    ("sts-tolerated", (), "lines.example"): (
        MX, None, "RFC 8461 3.2: extension values may be UTF-8"),
    ("sts-web-certificate", (), "common.example"): (
        None, MX, "RFC 8461 3.3: only names in subjectAltName are compared"),
}

# Each host that TLSA records bind and that showed a certificate is asked once
# more, for the chain as it stands, which ldns-dane then judges by what the DNS
# says for the base domain. Where all records are of usage 3 it is told not to
# look at names (RFC 7672 3.1.1), which it does otherwise.
DANE_SCRIPT = r"""
configure dane
"$LAB_POSTERN" policy probe --standalone --json "$1" \
    -c "$LAB_DIR/probe.conf" >"$LAB_DIR/probe" 2>&1
sed 's/^/probe /' "$LAB_DIR/probe"
python3 - "$LAB_DIR/probe" >"$LAB_DIR/hosts" <<'END'
import json, sys
names = {}
for line in open(sys.argv[1]):
    said = json.loads(line) if line.startswith("{") else {}
    for host in said.get("hosts", []):
        names[host["name"]] = any(
            not record.startswith("3 ") for record in host.get("tlsa", []))
    if "verdict" in said and said.get("source") in ("dane", "half-dane"):
        tls = said.get("tls", {})
        if tls.get("chain") and tls.get("sni"):
            print(said["host"], said["address"], tls["sni"],
                  "" if names[said["host"]] else "-n")
END
while read -r host address base names; do
	case $address in
	*:*) place="[$address]:25" ;;
	*) place="$address:25" ;;
	esac
	timeout 10 openssl s_client -starttls smtp -name mta.origin.example \
	    -servername "$base" -connect "$place" -showcerts \
	    </dev/null >"$LAB_DIR/chain.pem" 2>/dev/null
	timeout 20 "$2" $names -c "$LAB_DIR/chain.pem" -f "$LAB_CA" verify \
	    "$base" 25 >"$LAB_DIR/said" 2>&1
	echo "ldns $host $address $? $(tr '\n' ' ' <"$LAB_DIR/said")"
done <"$LAB_DIR/hosts"
"""

STS_SCRIPT = r"""
configure auto
"$LAB_POSTERN" policy explain --standalone --json "$1" \
    -c "$LAB_DIR/probe.conf" 2>&1 | sed 's/^/explain /'
SSL_CERT_FILE=$LAB_CA timeout 90 "$2" -v fatal "$1" 2>&1 | sed 's/^/resolver /'
"""


def split(done, *words):
    """The lines of each who spoke."""
    said = {word: [] for word in words}
    for line in done.stdout.splitlines():
        who, _, rest = line.partition(" ")
        if who in said:
            said[who].append(rest)
    return said


def compare(differences, key, ours, theirs, done):
    expected = differences.get(key)
    if expected is None:
        assert ours == theirs, f"{key}\n{done.stdout}{done.stderr}"
    else:
        assert (ours, theirs) == expected[:2], (
            f"{key}: {expected[2]}\n{done.stdout}{done.stderr}")


# The chains of the TLS worlds say little about TLSA records that those of DANE
# do not say: for long runs.
CHAINS = ("dane-", "tls-") if "POSTERN_LONG" in os.environ else ("dane-",)


@pytest.mark.parametrize("name,faults,domain", worlds(*CHAINS),
                         ids=identifier)
def test_ldns_dane(name, faults, domain):
    """DANE-85 to DANE-112, by chains that really were shown."""
    done = inside(name, faults, DANE_SCRIPT, domain, LDNS)
    said = split(done, "probe", "ldns")
    judged = {}
    for line in said["ldns"]:
        host, address, status, _ = (line + " ").split(" ", 3)
        judged[host, address] = "yes" if status == "0" else "no"
    for line in said["probe"]:
        shown = json.loads(line) if line.startswith("{") else {}
        place = shown.get("host"), shown.get("address")
        if place not in judged or "verdict" not in shown:
            continue
        ours = "yes" if shown["tls"]["verified"] else "no"
        compare(DANE_DIFFERENCES, (name, faults, place[0]), ours,
                judged[place], done)


def our_policy(said):
    """The policy that first mail would go by: (mode, names) or nothing."""
    for line in said:
        plan = json.loads(line) if line.startswith("{") else {}
        for fact in plan.get("facts", []):
            if fact["query"] == "STS" and fact["result"] == "data":
                policy = fact["data"][0]
                return policy["mode"], sorted(policy["mx"])
    return None


def their_policy(said):
    for line in said:
        if line.startswith("(<STSFetchResult.VALID"):
            policy = ast.literal_eval(line.partition(">, ")[2][:-1])[1]
            names = [name.lower() for name in policy["mx"]]
            return policy["mode"], sorted(names)
    return None


@pytest.mark.parametrize("name,faults,domain", worlds("sts-"), ids=identifier)
def test_mta_sts_resolver(name, faults, domain):
    """STS-1 to STS-49: what is found, fetched and believed."""
    done = inside(name, faults, STS_SCRIPT, domain, RESOLVER)
    said = split(done, "explain", "resolver")
    compare(STS_DIFFERENCES, (name, faults, domain),
            our_policy(said["explain"]), their_policy(said["resolver"]), done)
