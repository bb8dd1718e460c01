# SPDX-License-Identifier: ISC
"""A second opinion on every DANE world of the lab: Debian's posttls-finger, at
level dane and through the lab's validating resolver, beside `postern policy
probe`. Both say what would become of mail; where they may differ, and by which
clause, is in DIFFERENCES. A difference that is gone is a failure, too."""
import json
import os
import re

import pytest

from lab_worlds import identifier, inside, worlds
from postern import PEERS

FINGER = os.path.abspath(os.path.join(PEERS, "bin/posttls-finger"))

# (scenario, faults): (probe, what posttls-finger may say, why)
DIFFERENCES = {
    ("dane-malformed-tlsa", ()): (
        "tls", ["nothing"], "RFC 7671 9: a record that is malformed is "
        "unusable, and no more; Postfix 3.7.11 ends in a panic over one "
        "without data"),
    ("dane-many-records", ()): (
        "verified", ["nothing", "verified"], "RFC 7671 8, 10.1.1: any record "
        "of the set may be the one that matches; Postfix drops those behind "
        "the hundredth, which is another one each time"),
    **{("dane-injected-session", (fault,)): (
        "nothing", ["verified", "tls", "clear"], "RFC 3207 4.2: what comes in "
        "clear behind the reply to STARTTLS was put there by somebody; "
        "Postfix forgets it and goes on")
       for fault in ("session", "one-line")},
    ("dane-greeting-bytes", ("long",)): (
        "nothing", ["verified"], "RFC 5321 4.5.3.1.5: 512 octets are a reply "
        "line; how much more is borne is the client's own affair"),
    ("dane-starttls-blanks", ("bare",)): (
        "nothing", ["verified"], "RFC 5321 2.3.8: a lone LF ends no line"),
    ("dane-insecure-mx-domain-name", ("domain",)): (
        "nothing", ["half"], "RFC 7672 3.2.2: behind unsigned MX records the "
        "only name is the host's; Postfix takes the domain's, too"),
}

SCRIPT = r"""
configure dane
conf=$LAB_DIR/probe.conf
"$LAB_POSTERN" policy probe --standalone --json "$1" -c "$conf" 2>&1 |
    sed 's/^/probe /'
timeout 60 "$2" -c -T 4 -l dane -L summary,verbose -o inet_protocols=all \
    "$1" 2>&1 |
    sed 's/^/finger /'
"""


def of_finger(text):
    """What it says, and of which host and address: it goes on to the next one
    only when it could not connect. Of a host without STARTTLS it says nothing:
    TLSA records that it has named before make TLS a must."""
    whole = "\n".join(text)
    failed = re.search(r"(?:server|CA) certificate verification failed for "
                       r"([^[]+)\[([^]]+)\]", whole)
    if failed:
        return "nothing", failed.groups()
    found = re.search(
        r"(\w+) TLS connection established to ([^[]+)\[([^]]+)\]", whole)
    if not found:
        bad = re.search("TLSA|[Ff]ailed|panic|lost connection|reject", whole)
        named = re.findall(r"TLSA record: _25\._tcp\.(.+?): \d", whole)
        return "nothing" if bad else "clear", (
            (named[-1], None) if named else None)
    place = found.groups()[1:]
    if re.search("lost connection while sending EHLO|EHLO rejected", whole):
        return "nothing", place
    if "log verified as trusted" in whole:
        return "half", place
    return "verified" if found[1] == "Verified" else "tls", place


def of_probe(text, place):
    """What delivery would do there, or at all hosts."""
    words = {"dane": "verified", "half-dane": "half", "none": "clear"}
    hosts = [json.loads(one) for one in text if one[:1] == "{"]
    # Records may stand at an alias, which is no host that was tried.
    if place and place[1] is None and all(
            host.get("host") != place[0] for host in hosts):
        place = None
    for host in hosts:
        if host.get("mail") and place in (
                None, (host["host"], host["address"]), (host["host"], None)):
            return words.get(host["verdict"], "tls")
    return "nothing"


@pytest.mark.parametrize("name,faults,domain", worlds("dane-"), ids=identifier)
def test_same_verdict(name, faults, domain):
    done = inside(name, faults, SCRIPT, domain, FINGER)
    said = {"probe": [], "finger": []}
    for line in done.stdout.splitlines():
        who, _, rest = line.partition(" ")
        said[who].append(rest)
    theirs, place = of_finger(said["finger"])
    verdicts = of_probe(said["probe"], place), theirs
    expected = DIFFERENCES.get((name, faults))
    if expected is None:
        assert verdicts[0] == verdicts[1], done.stdout + done.stderr
    else:
        assert verdicts[0] == expected[0], done.stdout + done.stderr
        assert verdicts[1] in expected[1], done.stdout + done.stderr
