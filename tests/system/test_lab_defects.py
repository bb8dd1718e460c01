# SPDX-License-Identifier: ISC
"""The lab sees what it is there to see: each deliberate defect of a build made
with --enable-breakage turns a scenario red that is green without it. The whole
set is run by tests/run-lab."""
import json
import os
import subprocess

import pytest

from postern import BINARY, SRCDIR

DEFECTS = {
    "any-tlsa": ["dane-mismatch"],
    "lookup-errors": ["dane-tlsa-error-secure-host"],
    "mx-match": ["sts-mx-mismatch"],
    "shared-plans": ["shared-host-other-policy"],
    "clear-at-once": ["dane-strip", "sts-strip"],
    "unusable-none": ["dane-unusable-only"],
    "unsigned-records": ["dane-insecure-tlsa"],
    "any-name": ["dane-ta-wrong-name", "tls-domain-in-certificate"],
    "any-date": ["tls-not-yet-valid"],
    "any-issuer": ["tls-missing-intermediate"],
    "usage-ignored": ["dane-usage-2-for-leaf"],
    "sts-over-dane": ["both-dane-fails"],
    "never-enforce": ["sts-strip"],
    "forget-policy": ["sts-blocked-with-cache"],
}


def breakable():
    with open(os.path.join(os.path.dirname(BINARY), "config.h")) as config:
        return "POSTERN_BREAKABLE" in config.read()


def judge(scenarios, defect):
    environment = dict(os.environ)
    environment.pop("POSTERN_BROKEN", None)
    if defect:
        environment["POSTERN_BROKEN"] = defect
    done = subprocess.run(
        [BINARY, "lab", "run", "--data", os.path.join(SRCDIR, "tools/lab"),
         "--json", *scenarios], capture_output=True, text=True, timeout=240,
        env=environment, stdin=subprocess.DEVNULL)
    if done.returncode == 77:
        pytest.skip("no lab here: " + done.stderr.strip())
    return done.returncode, [
        json.loads(line) for line in done.stdout.splitlines()
        if line.startswith("{")]


@pytest.mark.skipif(not breakable(), reason="this build has no defects: "
                    "configure --enable-breakage")
@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_defect_is_seen(defect):
    scenarios = DEFECTS[defect]
    # That they are green without it is what tests/run-lab shows in the check.
    if "POSTERN_LONG" in os.environ:
        status, results = judge(scenarios, None)
        assert (status, len(results)) == (0, len(scenarios)), results
    status, results = judge(scenarios, defect)
    assert status == 1, results
    for result in results:
        assert not result["mtas"][0]["correct"], result
