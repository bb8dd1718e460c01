# SPDX-License-Identifier: ISC
"""The worlds of the lab's scenarios, for those who look at them from inside:
second opinions of other programs."""
import json
import os
import subprocess

import pytest

from postern import BINARY, SRCDIR

DATA = os.path.join(SRCDIR, "tools/lab")

# What a probe inside is configured with, as a shell function: $1 is the level.
CONFIGURE = r"""
configure() {
	cat >"$LAB_DIR/probe.conf" <<END
hostname = mta.origin.example
state-directory = "$LAB_DIR/state"
drop-privileges = no
root-hints-file = $LAB_HINTS
trust-anchor-file = $LAB_ANCHOR
trust-file = $LAB_CA
resolver-timeout = 6s
connect-timeout = 4s
greeting-timeout = 4s
reply-timeout = 4s
handshake-timeout = 4s
destination "*" { level = $1 }
END
}
"""


def listed():
    """Each scenario with its text."""
    lines = subprocess.run(
        [BINARY, "lab", "list", "--data", DATA, "--json"],
        capture_output=True, text=True, check=True).stdout.splitlines()
    for scenario in map(json.loads, lines):
        path = os.path.join(DATA, "scenarios",
                            scenario["scenario"] + ".scenario")
        with open(path, encoding="utf-8") as text:
            yield scenario, text.read()


def worlds(*prefixes):
    """(scenario, faults, domain) of each distinct world of the scenarios of
    those names, but for those with routes of their own: other programs have
    none. Those for long runs, and more than every fourth of the others, only
    when POSTERN_LONG is set: each world takes a second."""
    found = []
    for scenario, text in listed():
        name = scenario["scenario"]
        if not name.startswith(prefixes) or "routes" in text or (
                "in-depth = yes" in text and
                "POSTERN_LONG" not in os.environ):
            continue
        for step in scenario["steps"]:
            domain = step["to"].partition("@")[2]
            world = (name, tuple(step["faults"]), domain)
            if domain and world not in found:
                found.append(world)
    return found if "POSTERN_LONG" in os.environ else found[::4]


def inside(name, faults, script, *words):
    """What the script says inside the world."""
    command = [BINARY, "lab", "shell", "--data", DATA, "--mta", "none"]
    for fault in faults:
        command += ["--fault", fault]
    done = subprocess.run(
        command + [name, "--", "sh", "-c", CONFIGURE + script, "sh", *words],
        capture_output=True, text=True, timeout=180, check=False,
        stdin=subprocess.DEVNULL)
    if done.returncode == 77:
        pytest.skip("no lab here: " + done.stderr.strip())
    return done


def identifier(value):
    """How a parameter is called in the name of its test."""
    return value if isinstance(value, str) else "+".join(value) or "healed"
