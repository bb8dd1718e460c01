# SPDX-License-Identifier: ISC
"""postern lab: the command, its outputs, its mistakes; that it works for root
and for anybody, and leaves nothing behind, however it ends.

That all scenarios are correct for Postern is not looked at here: postern lab
run is that test."""
import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import xml.etree.ElementTree

import pytest

from postern import BINARY, SRCDIR, until

HERE = os.path.dirname(os.path.abspath(BINARY))
LAB = os.path.join(HERE, "postern-lab")
DATA = os.path.join(os.path.abspath(SRCDIR), "tools", "lab")
UNAVAILABLE = 77

pytestmark = pytest.mark.skipif(not os.path.exists(LAB),
                                reason="there is no postern-lab")

PLAIN = """
title = "A test's own"
zone example.net { records = { "@ MX 10 mx", "mx A 192.0.2.10" } }
certificate mx { names = { mx.example.net }  issuer = self }
host mx.example.net { addresses = { 192.0.2.10 }  certificate = mx }
fault strip { host mx.example.net { path = strip } }
fault gone { zone example.net { answers = { "@ MX servfail" } } }
"""
ENCRYPTED = PLAIN + "step send { to = a@example.net expect = encrypted }\n"
DEFERRED = PLAIN + """
step send { faults = { gone } to = a@example.net expect = deferred
    untouched = { mx.example.net } }
"""
# a step that no sender gets right
IMPOSSIBLE = PLAIN + "step send { to = a@example.net expect = bounced }\n"

# An MTA that takes every message and forgets it.
LAZY = """#!/bin/sh
case $1 in
start) setsid python3 -c '
import os, socketserver
class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 lazy ESMTP\\r\\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\\r\\n")
                while self.rfile.readline() != b".\\r\\n":
                    pass
            self.wfile.write(b"250 ok\\r\\n")
            if verb == b"QUIT":
                return
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(os.environ["LAB_PORT"])), Session).serve_forever()
' </dev/null >>$LAB_DIR/log 2>&1 & ;;
stop|refresh|flush|settled|log) ;;
esac
"""
# One that promises REQUIRETLS and sends on, under TLS, without it.
CARELESS = """#!/bin/sh
case $1 in
start) setsid python3 -c '
import os, smtplib, socketserver, ssl
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(os.environ["LAB_CERTIFICATE"], os.environ["LAB_KEY"])
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
class Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text + b"\\r\\n")
        self.wfile.flush()
    def handle(self):
        offer = b"STARTTLS"
        self.say(b"220 careless ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.say(b"250-careless\\r\\n250 " + offer)
                continue
            self.say(b"354 go on" if verb == b"DATA" else b"220 ok" if
                     verb == b"STAR" else b"250 ok")
            if verb == b"STAR":
                self.request = server.wrap_socket(self.request,
                                                  server_side=True)
                self.setup()
                offer = b"REQUIRETLS"
            elif verb == b"DATA":
                text = b""
                while (more := self.rfile.readline()) != b".\\r\\n":
                    text += more
                with smtplib.SMTP("192.0.2.10") as out:
                    out.starttls(context=client)
                    out.sendmail("alice@origin.example", "a@example.net",
                                 text)
                self.say(b"250 ok")
            elif verb == b"QUIT":
                return
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(os.environ["LAB_PORT"])), Session).serve_forever()
' </dev/null >>$LAB_DIR/log 2>&1 & ;;
log) cat "$LAB_DIR/log" ;;
stop|refresh|flush|settled) ;;
esac
"""
UNFIT = "#!/bin/sh\necho 'some words'\necho 'this one needs a moon'\nexit 77\n"


# Where runs are kept by default: not in the user's own.
STATE = tempfile.mkdtemp(prefix="lab-state-")
os.chmod(STATE, 0o777)
atexit.register(shutil.rmtree, STATE, True)


def environment(**more):
    return dict(os.environ, POSTERN_LAB_DATA=DATA,
                **dict({"XDG_STATE_HOME": STATE}, **more))


def lab(*words, prefix=(), **more):
    return subprocess.run([*prefix, BINARY, "lab", *words],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300, env=environment(**more))


def usable():
    done = lab("run", "--mta", "/bin/false", "plain-no-policy")
    return done.returncode != UNAVAILABLE


needs_namespaces = pytest.mark.skipif(
    os.path.exists(LAB) and not usable(),
    reason="no namespaces on this machine")


@pytest.fixture
def folder():
    """One that anybody can read, unlike tmp_path."""
    path = tempfile.mkdtemp(prefix="lab-test-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        out.write(text)
    os.chmod(path, mode)
    return path


def processes(tag):
    """Those that have our mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as environ:
                if tag.encode() in environ.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def mounts():
    """All but those of other tests, which run beside us."""
    with open("/proc/self/mountinfo") as table:
        return [line for line in table if "/popen-gw" not in line]


# --- list ---

def test_list_names_every_scenario():
    names = sorted(name[:-len(".scenario")] for name in os.listdir(
        DATA + "/scenarios") if name.endswith(".scenario"))
    done = lab("list")
    assert done.returncode == 0, done
    assert [line.split()[0] for line in done.stdout.splitlines()] == names
    done = lab("list", "--json")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["scenario"] for entry in entries] == names
    assert all(entry["title"] and entry["clauses"] and entry["text"]
               for entry in entries)


def test_list_has_what_was_asked_for():
    wanted = set("""dane-3-1-1 dane-2-0-1 dane-mismatch dane-strip
        dane-expired-rrsig dane-wrong-ds dane-tlsa-error-secure-host
        dane-tlsa-error-insecure-host dane-unusable-only sts-enforce
        sts-mx-mismatch sts-strip sts-blocked-with-cache sts-testing
        plain-no-policy asa-mangled-keyword plain-broken-tls-clear-after
        implicit-tls-relay-reset shared-host-other-policy""".split())
    assert wanted <= {line.split()[0]
                      for line in lab("list").stdout.splitlines()}


def test_list_explains_one():
    done = lab("list", "dane-strip")
    assert done.returncode == 0
    assert "clauses: RFC 7672 2.2" in done.stdout
    assert "catalogue: N-01" in done.stdout
    assert "step send: deferred" in done.stdout
    assert "removes one word" in done.stdout


def test_list_has_all_that_a_file_says(folder):
    path = write(folder, "mine.scenario", PLAIN + """
catalogue = { "N-01" }
source = { "a paper" }
in-depth = yes
step send { to = a@example.net expect = encrypted accept = { clear }
    strict = deferred  report = { "starttls-not-supported tlsa" } }
""")
    done = lab("list", "--json", path)
    entry = json.loads(done.stdout)
    assert (entry["catalogue"], entry["source"]) == (["N-01"], ["a paper"])
    assert entry["in-depth"] is True
    assert (entry["expected"], entry["strict"]) == ("encrypted", "deferred")
    step = entry["steps"][0]
    assert (step["strict"], step["accept"], step["report"]) == (
        "deferred", ["clear"], ["starttls-not-supported tlsa"])
    done = lab("list", path)
    assert ("step send: encrypted or clear; strict: deferred; TLSRPT: "
            "starttls-not-supported tlsa") in done.stdout
    assert "source: a paper" in done.stdout
    done = lab("list", "--short", path)
    assert done.returncode == 65
    assert "no scenario is left" in done.stderr


def test_patterns():
    names = [line.split()[0] for line in lab("list").stdout.splitlines()]
    done = lab("list", "sts-*", "dane-strip", "sts-e*")
    assert [line.split()[0] for line in done.stdout.splitlines()
            if line[0] != " "] == [
                name for name in names if name.startswith("sts-")
            ] + ["dane-strip"]
    done = lab("list", "--catalogue", "N-0[12]", "--json")
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert "dane-strip" in [entry["scenario"] for entry in shown]
    assert all(set(entry["catalogue"]) & {"N-01", "N-02"} for entry in shown)
    done = lab("list", "--catalogue", "Q-99")
    assert done.returncode == 65
    assert "postern lab catalogue shows which rows" in done.stderr


# --- the catalogue ---

def test_catalogue_is_complete():
    done = lab("catalogue", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done
    rows = {row["row"]: row
            for row in map(json.loads, done.stdout.splitlines())}
    assert "dane-strip" in rows["N-01"]["scenarios"]
    for row in rows.values():
        assert bool(row["scenarios"]) != bool(row["left-out"]), row
    done = lab("catalogue")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("%d rows, " % len(rows))


def test_catalogue_problems_are_told(folder):
    os.mkdir(folder + "/scenarios")
    write(folder + "/scenarios", "one.scenario",
          ENCRYPTED + 'catalogue = { "N-01", "N-03" }\n')
    write(folder, "catalogue.json", json.dumps([
        {"id": "N-01", "title": "a"}, {"id": "N-02", "title": "b"}]))
    done = lab("catalogue", "--data", folder)
    assert done.returncode == 1
    assert "row N-02 (b) has neither a scenario nor a reason" in done.stderr
    assert "scenario one names row N-03" in done.stderr
    write(folder, "catalogue.json", "[{]")
    done = lab("catalogue", "--data", folder)
    assert done.returncode == 65
    assert done.stderr.startswith(folder + "/catalogue.json:1: ")


# --- mistakes ---

@pytest.mark.parametrize("words,status,said", [
    ((), 64, "a command is missing"),
    (("dance",), 64, "there is no command dance"),
    (("run", "--jobs", "0"), 64, "--jobs takes a number from 1 to 64, not 0"),
    (("run", "--repeat", "x"), 64, "--repeat takes a number"),
    (("run", "--profile", "lax"), 64,
     "--profile takes rfc, strict or both, not lax"),
    (("shell", "--profile", "both", "dane-strip"), 64,
     "--profile takes rfc or strict, not both"),
    (("run", "--frobnicate"), 64,
     "--frobnicate is not known here: run has no such option"),
    (("list", "--tap"), 64, "list has no such option"),
    (("run", "--mta"), 64, "its value is missing"),
    (("run", "--mta", "nobody"), 64, "there is no driver nobody; there are:"),
    (("run", "--mta", "postern", "--mta", "postern"), 64,
     "two MTAs are called postern"),
    (("run", "--keep", "none", "--record", "dane-strip"), 64,
     "--record needs a place"),
    (("run", "--keep", "/nonexistent/x", "dane-strip"), 65,
     "/nonexistent/x: No such file"),
    (("shell",), 64, "shell takes a scenario"),
    (("shell", "dane-*"), 64, "shell takes one scenario"),
    (("show",), 64, "show takes a run"),
    (("show", "12345"), 65, "there is no run 12345"),
    (("show", "/tmp"), 65, "/tmp/results: No such file"),
    (("runs", "x"), 64, "runs takes no names"),
    (("random", "x"), 64, "random takes no names"),
    (("random", "--seed", "x"), 64, "--seed takes a number"),
    (("run", "no-such-scenario"), 65, "there is no scenario"),
    (("run", "no-such-*"), 65, "no scenario fits no-such-*"),
    (("run", "./none.scenario"), 65, "No such file"),
    (("shell", "dane-strip", "--fault", "flood"), 65,
     "dane-strip has no fault flood; it has: strip"),
    (("run", "--data", "/nonexistent"), 64, "no driver postern"),
])
def test_mistakes_are_told(words, status, said):
    done = lab(*words)
    assert done.returncode == status, done
    assert said in done.stderr, done
    assert done.stdout == ""
    if status == 64:
        assert len(done.stderr.splitlines()) == 1, done


def test_mistakes_in_a_file_have_lines(folder):
    path = write(folder, "bad.scenario",
                 "title = x\nzone example.net {\n\trecord = { }\n}\n")
    done = lab("run", path)
    assert done.returncode == 65
    assert done.stderr.startswith(path + ":3: unknown option 'record' in "
                                  "zone; accepted: records,"), done.stderr


def test_two_files_of_one_name(folder):
    os.mkdir(folder + "/x")
    paths = [write(where, "mine.scenario", ENCRYPTED)
             for where in (folder, folder + "/x")]
    done = lab("run", *paths)
    assert done.returncode == 65
    assert "there is a scenario mine already" in done.stderr


def test_help():
    for words in (("--help",), ("run", "--help")):
        done = lab(*words)
        assert done.returncode == 0 and "postern lab run" in done.stdout


# --- runs ---

SCORE = ("%s: %d correct, %d too lax, %d too strict, 0 crashed, 0 hung, "
         "%d not applicable, %d failed")


@needs_namespaces
def test_run_of_a_file_of_ones_own(folder):
    path = write(folder, "mine.scenario", DEFERRED)
    done = lab("run", path)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SCENARIO", "EXPECTED", "postern", "SECONDS"]
    assert lines[1].split()[:4] == ["mine", "deferred", "correct", "deferred"]
    assert lines[3].startswith("too lax: it let happen what may not")
    assert lines[5] == SCORE % ("postern", 1, 0, 0, 0, 0)


@needs_namespaces
def test_wrong_is_wrong(folder):
    path = write(folder, "mine.scenario", IMPOSSIBLE)
    done = lab("run", path)
    assert done.returncode == 1, done
    assert "too lax     encrypted" in done.stdout
    assert ("postern, step send: too lax: expected bounced; it was delivered "
            "to mx.example.net under TLS") in done.stdout


@needs_namespaces
def test_profiles(folder):
    """The same world: clear is right in one profile, waiting in the other.
    The driver hands the profile on; here it is one that does as it is told."""
    driver = write(folder, "told", """#!/bin/sh
[ "$1" = start ] && echo "$LAB_PROFILE" >"$LAB_DIR/profile"
[ "$1" = log ] && cat "$LAB_DIR/profile"
exec "$LAB_DATA/drivers/postern" "$@"
""", 0o755)
    path = write(folder, "mine.scenario", PLAIN.replace(
        "certificate = mx }", "tls = none }", 1) +
        "step send { to = a@example.net  expect = clear }\n")
    kept = folder + "/kept"
    done = lab("run", "--mta", driver, "--profile", "both", "--keep", kept,
               path)
    lines = done.stdout.splitlines()
    assert lines[1].split()[:4] == ["mine", "[rfc]", "clear", "correct"], done
    assert lines[2].split()[:3] == ["mine", "[strict]", "clear"], done
    assert SCORE % ("told [rfc]", 1, 0, 0, 0, 0) in lines
    for name, profile in (("mine.told.log", "rfc"),
                          ("mine.told.strict.log", "strict")):
        with open(os.path.join(kept, name)) as text:
            assert text.readline() == profile + "\n"


@needs_namespaces
def test_repeat(folder):
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--repeat", "2", path)
    assert done.returncode == 0, done
    assert "mine [round 1]" in done.stdout and "mine [round 2]" in done.stdout
    assert SCORE % ("postern", 2, 0, 0, 0, 0) in done.stdout.splitlines()
    # a driver that can do it the first time only
    driver = write(folder, "moody", """#!/bin/sh
[ "$1" = start ] || exec "$LAB_DATA/drivers/postern" "$@"
if [ "$LAB_TEST_ROUND" = 1 ]; then echo 'not today'; exit 77; fi
exec "$LAB_DATA/drivers/postern" "$@"
""", 0o755)
    done = lab("run", "--repeat", "2", "--mta", driver, path,
               LAB_TEST_ROUND="1")
    assert done.returncode == UNAVAILABLE, done


@needs_namespaces
def test_junit(folder):
    good = write(folder, "good.scenario", ENCRYPTED)
    bad = write(folder, "bad.scenario", IMPOSSIBLE)
    unfit = write(folder, "unfit", UNFIT, 0o755)
    done = lab("run", "--junit", "--mta", "postern", "--mta", unfit, good,
               bad)
    assert done.returncode == 1
    root = xml.etree.ElementTree.fromstring(done.stdout)
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures"),
             suite.get("errors"), suite.get("skipped")) for suite in root] \
        == [("postern", "2", "1", "0", "0"), ("unfit", "2", "0", "0", "2")]
    cases = {case.get("name"): case for case in root[0]}
    assert list(cases["good"]) == []
    failure = cases["bad"].find("failure")
    assert failure.get("type") == "too lax"
    assert "expected bounced" in failure.get("message")
    assert root[1][0].find("skipped").get("message") == "this one needs a moon"


@needs_namespaces
def test_json_has_the_events(folder):
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--json", path)
    assert done.returncode == 0, done
    entry = json.loads(done.stdout)
    assert entry["scenario"] == "mine"
    mta = entry["mtas"][0]
    assert mta["mta"] == "postern" and mta["correct"] is True
    assert mta["mark"] == "correct" and mta["profile"] == "rfc"
    step = mta["steps"][0]
    assert step["mark"] == "correct"
    assert (step["expected"], step["outcome"]) == ("encrypted", "encrypted")
    for world in (step["events"], step["twin"]):
        kinds = [event["event"] for event in world
                 if event["actor"] == "mx.example.net"]
        assert kinds.index("connect") < kinds.index("starttls") \
            < kinds.index("handshake") < kinds.index("message")


@needs_namespaces
def test_tap(folder):
    good = write(folder, "good.scenario", ENCRYPTED)
    bad = write(folder, "bad.scenario", IMPOSSIBLE)
    done = lab("run", "--tap", good, bad)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:2] == ["TAP version 14", "1..2"]
    assert "ok 1 - good" in lines and "not ok 2 - bad" in lines
    assert any(line.startswith("# step send: too lax: expected bounced")
               for line in lines)


@needs_namespaces
def test_keep(folder):
    path = write(folder, "mine.scenario", ENCRYPTED)
    kept = folder + "/kept"
    done = lab("run", "--keep", kept, path)
    assert done.returncode == 0
    assert "what was seen: " + kept in done.stdout
    assert sorted(os.listdir(kept)) == [
        "mine.postern.json", "mine.postern.log", "mine.postern.twin.log",
        "results"]
    with open(kept + "/mine.postern.json") as text:
        assert json.load(text)["steps"][0]["outcome"] == "encrypted"
    with open(kept + "/mine.postern.log") as text:
        assert " relayed " in text.read()


@needs_namespaces
def test_runs_are_kept(folder):
    """By number, shown by number and `last`, and listed; none keeps none."""
    path = write(folder, "mine.scenario", DEFERRED)
    more = {"XDG_STATE_HOME": folder + "/state"}
    assert lab("run", path, **more).returncode == 0
    place = folder + "/state/postern-lab/1"
    assert "results" in os.listdir(place)
    assert lab("run", "--keep", "none", path, **more).returncode == 0
    assert os.listdir(folder + "/state/postern-lab") == ["1"]
    done = lab("runs", **more)
    assert done.stdout.splitlines()[0].startswith("1  20")
    assert done.stdout.splitlines()[1] == "  postern: 1 correct"
    entry = json.loads(lab("runs", "--json", **more).stdout)
    assert (entry["run"], entry["status"], entry["directory"]) == (1, 0, place)
    assert entry["results"][0]["mark"] == "correct"
    for run in ("1", "last", place):
        done = lab("show", run, "mine", "send", **more)
        assert done.returncode == 0, done
        for words in ("mine: A test's own", "step send: correct",
                      "expected deferred, came deferred", "faults: gone",
                      "dns:example.net  example.net MX: servfail",
                      "-- after the faults were lifted --",
                      "mx.example.net  >  EHLO mta.origin.example",
                      "mx.example.net  >* MAIL FROM", "TLSv1.3"):
            assert words in done.stdout, (words, done.stdout)
    assert "mine" in lab("show", "last", **more).stdout
    assert " relayed " in lab("show", "last", "mine", "--log",
                              **more).stdout
    kept = json.loads(lab("show", "--json", "1", "mine", **more).stdout)
    with open(place + "/mine.postern.json") as text:
        assert kept == json.load(text)
    for words, said in ((("1", "other"), "has no result of other"),
                        (("1", "mine", "no"), "mine has no step no"),
                        (("1", "mine", "--mta", "exim"), "has no result")):
        done = lab("show", *words, **more)
        assert done.returncode == 65 and said in done.stderr, done


@needs_namespaces
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
def test_record(folder):
    path = write(folder, "mine.scenario", ENCRYPTED)
    kept = folder + "/kept"
    done = lab("run", "--record", "--keep", kept, path)
    assert done.returncode == 0, done
    packets = [name for name in os.listdir(kept) if name.endswith(".pcap")]
    assert packets, os.listdir(kept)
    assert all(os.path.getsize(os.path.join(kept, name)) > 1000
               for name in packets)


@needs_namespaces
def test_doing_nothing_is_not_deferring(folder):
    driver = write(folder, "lazy", LAZY, 0o755)
    path = write(folder, "mine.scenario", DEFERRED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1, done
    assert "lazy" in done.stdout.splitlines()[0]
    assert "not even after the faults were lifted" in done.stdout


@needs_namespaces
def test_a_crash_is_told(folder):
    driver = write(folder, "frail", """#!/bin/sh
[ "$1" = health ] && { echo 'process 7 fell over its feet'; exit 1; }
exec "$LAB_DATA/drivers/postern" "$@"
""", 0o755)
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1, done
    assert done.stdout.splitlines()[1].split()[2] == "crashed", done
    assert "fell over its feet" in done.stdout


@needs_namespaces
def test_a_hang_is_told(folder):
    """It greets, and says no more."""
    driver = write(folder, "mute", LAZY.replace(
        "for line in self.rfile:", "for line in iter(lambda: "
        "__import__(\"time\").sleep(99), 1):"), 0o755)
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1, done
    assert done.stdout.splitlines()[1].split()[2] == "hung", done


REQUIRED = PLAIN + """
fault offer { host mx.example.net { requiretls = yes } }
step without { to = a@example.net requiretls = yes expect = encrypted }
step with { faults = { offer } to = a@example.net requiretls = yes
    header = { "TLS-Required: No" } expect = encrypted }
"""


@needs_namespaces
def test_requiretls_that_is_lost_is_told(folder):
    """REQ-46"""
    driver = write(folder, "careless", CARELESS, 0o755)
    path = write(folder, "mine.scenario", REQUIRED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1, done
    for step in "without", "with":
        assert ("careless, step %s: too lax: expected encrypted; "
                "mx.example.net took the message without REQUIRETLS" % step
                ) in done.stdout


@needs_namespaces
def test_requiretls_that_is_not_offered_is_told(folder):
    driver = write(folder, "lazy", LAZY, 0o755)
    path = write(folder, "mine.scenario", REQUIRED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1, done
    assert done.stdout.splitlines()[1].split()[3] == "hung", done
    assert "it offers no STARTTLS" in done.stdout


@needs_namespaces
def test_what_is_asked_of_the_driver(folder):
    """It hears of REQUIRETLS and memory before it starts anything."""
    driver = write(folder, "modest", """#!/bin/sh
echo "${LAB_REQUIRETLS:-no} ${LAB_MEMORY:-no}"
exit 77
""", 0o755)
    for text, said in ((ENCRYPTED, "no no"), (REQUIRED, "yes no"), (
            ENCRYPTED + "sender { memory = warn }\n", "no warn")):
        path = write(folder, "mine.scenario", text)
        done = lab("run", "--mta", driver, path)
        assert done.returncode == UNAVAILABLE, done
        assert "modest cannot be judged here: " + said in done.stdout


@needs_namespaces
def test_several_mtas_beside_each_other(folder):
    driver = write(folder, "unfit", UNFIT, 0o755)
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--mta", "postern", "--mta", driver, path)
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[0].split() == [
        "SCENARIO", "EXPECTED", "postern", "unfit", "SECONDS"]
    assert "unfit cannot be judged here: this one needs a moon" in done.stdout
    done = lab("run", "--mta", driver, path)
    assert done.returncode == UNAVAILABLE, done
    assert SCORE % ("unfit", 0, 0, 0, 1, 0) in done.stdout
    done = lab("run", "--tap", "--mta", driver, path)
    assert "ok 1 - mine # SKIP this one needs a moon" in done.stdout


@needs_namespaces
def test_a_failing_driver_is_told(folder):
    driver = write(folder, "broken", "#!/bin/sh\necho 'no idea'\nexit 3\n",
                   0o755)
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1
    assert "driver broken: start failed with status 3: no idea" in done.stdout


@needs_namespaces
def test_a_record_that_cannot_be_read_is_told(folder):
    path = write(folder, "mine.scenario", ENCRYPTED.replace(
        "192.0.2.10\" } }", "192.0.2.10\", \"x A nowhere\" } }"))
    done = lab("run", path)
    assert done.returncode == 65
    assert done.stderr.startswith(path + ":3: 'x A nowhere' is no record")


def shell(folder, commands, *words):
    path = write(folder, "mine.scenario", DEFERRED)
    return subprocess.run([BINARY, "lab", "shell", *words, path],
                          input=commands, capture_output=True, text=True,
                          timeout=120, env=environment(SHELL="/bin/sh"))


@needs_namespaces
def test_shell_is_inside(folder):
    done = shell(folder, "hostname; cat /etc/resolv.conf; ls $LAB_DIR\n"
                 "python3 -c 'import socket; print(socket.create_connection("
                 "(\"mx.example.net\", 25)).recv(99))'\nexit 7\n")
    assert done.returncode == 7, done
    assert "This is the world of mine" in done.stdout
    assert "\nTry:\n" in done.stdout
    assert "  postern lab faults strip  " in done.stdout
    assert "`exit` ends it" in done.stdout
    assert "swaks" in done.stdout       # to be tried, or missing
    for words in ("mta.origin.example", "nameserver 127.0.0.1",
                  "postern.conf", "220 mx.example.net ESMTP"):
        assert words in done.stdout, done


@needs_namespaces
def test_shell_cannot_change_the_machine(folder):
    done = shell(folder, "touch %s/inside; touch /etc/inside\n" % folder)
    assert os.listdir(folder) == ["mine.scenario"], done
    assert not os.path.exists("/etc/inside")


@needs_namespaces
def test_shell_has_the_faults(folder):
    done = shell(folder, "python3 -c 'import socket; socket.create_connection("
                 "(\"mx.example.net\", 25)).recv(99)' 2>&1\n"
                 "$LAB_DRIVER log | wc -l\n", "--fault", "gone",
                 "--fault", "strip")
    assert "fault in force  gone" in done.stdout
    assert "fault in force  strip" in done.stdout


@needs_namespaces
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="needs tcpdump")
def test_shell_records(folder):
    done = shell(folder, "python3 -c 'import socket; socket.create_connection("
                 "(\"mx.example.net\", 25)).recv(99)'\nexit 4\n",
                 "--record", folder + "/packets", "--mta", "none")
    assert done.returncode == 4, done
    kept = folder + "/packets/mine.none.pcap"
    assert os.path.getsize(kept) > 1000
    with open(kept, "rb") as packets:
        assert b"220 mx.example.net ESMTP" in packets.read()


EHLO = """python3 -c '
import socket
one = socket.create_connection(("mx.example.net", 25)).makefile("rwb")
one.readline()
one.write(b"EHLO x.example\\r\\n")
one.flush()
words = []
while not words or words[-1][3:4] == b"-":
    words.append(one.readline())
print("offered" if any(b"STARTTLS" in word for word in words) else "missing")
'
"""


@needs_namespaces
def test_faults_from_inside(folder):
    """The world changes under a command that runs in it; nobody's MTA."""
    path = write(folder, "mine.scenario", DEFERRED)
    script = EHLO + "$LAB_POSTERN lab faults strip && " + EHLO + (
        "$LAB_POSTERN lab faults && " + EHLO +
        "$LAB_POSTERN lab faults flood; echo $?; ls $LAB_CERTIFICATES\n"
        "grep -c EHLO $LAB_EVENTS; ls $LAB_DIR; exit 5")
    done = subprocess.run(
        [BINARY, "lab", "shell", "--mta", "none", path, "--", "sh", "-c",
         script], capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL, env=environment())
    assert done.returncode == 5, done
    words = done.stdout.split()
    assert words[:4] == ["offered", "missing", "offered", "65"], done
    assert "mx.pem" in words and "mx.key" in words, done
    assert "has no fault flood" in done.stderr, done


def test_faults_outside(folder):
    done = lab("faults", "strip")
    assert done.returncode == 65, done
    assert "not the inside of a world" in done.stderr


# --- who may run it, and what is left ---

@needs_namespaces
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None,
                    reason="is an ordinary user already")
def test_an_ordinary_user(folder):
    prefix = ["setpriv", "--reuid", "65534", "--regid", "65534",
              "--clear-groups"]
    if subprocess.run([*prefix, "test", "-x", BINARY]).returncode != 0 or \
            subprocess.run([*prefix, "test", "-r", DATA]).returncode != 0 or \
            subprocess.run([*prefix, "unshare", "-Ur", "true"],
                           capture_output=True).returncode != 0:
        pytest.skip("nobody cannot read the build, or make namespaces")
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", path, prefix=prefix, HOME="/nonexistent",
               XDG_STATE_HOME="")
    assert done.returncode == 0, done
    assert "correct     encrypted" in done.stdout
    assert "what is seen is not kept: " in done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None,
                    reason="needs root and unshare")
def test_what_is_missing_is_said(folder):
    """Inside a user namespace that may have none of its own."""
    path = write(folder, "mine.scenario", ENCRYPTED)
    script = ("echo 0 >/proc/sys/user/max_user_namespaces && "
              "echo 0 >/proc/sys/user/max_net_namespaces && "
              "exec setpriv --bounding-set -all --inh-caps -all "
              "--ambient-caps -all \"$@\"")
    if subprocess.run(["unshare", "-Ur", "sh", "-c", script, "sh", "true"],
                      capture_output=True).returncode != 0:
        pytest.skip("the limits cannot be set here")
    done = lab("run", path, prefix=["unshare", "-Ur", "sh", "-c", script,
                                    "sh"])
    assert done.returncode == UNAVAILABLE, done
    assert done.stdout == ""
    assert "user.max_user_namespaces = 0" in done.stderr, done


@needs_namespaces
@pytest.mark.parametrize("how,status", [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_nothing_is_left(folder, how, status):
    tag = "lab-test-tag-" + uuid.uuid4().hex
    names = ["m%d" % number for number in range(6)]
    paths = [write(folder, name + ".scenario", DEFERRED) for name in names]
    before, files = mounts(), sorted(os.listdir("/run"))
    running = subprocess.Popen(
        [BINARY, "lab", "run", "--jobs", "3", *paths],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(LAB_TEST_TAG=tag))

    # servers and several Posterns in several worlds
    until(lambda: len(processes(tag)) > 12, 60, "processes of the lab")
    running.send_signal(how)
    running.communicate(timeout=60)
    assert running.returncode == status
    if how != signal.SIGKILL:
        assert processes(tag) == []
    until(lambda: processes(tag) == [], 30,
          lambda: "nobody to be left: %s" % processes(tag))
    assert mounts() == before
    assert sorted(os.listdir("/run")) == files
    assert sorted(os.listdir(folder)) == [n + ".scenario" for n in names]


@needs_namespaces
def test_control_c_at_a_terminal(folder):
    """SIGINT to the whole group, as a terminal sends it."""
    tag = "lab-test-tag-" + uuid.uuid4().hex
    path = write(folder, "mine.scenario", DEFERRED)
    running = subprocess.Popen(
        [BINARY, "lab", "run", path], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, env=environment(LAB_TEST_TAG=tag))
    until(lambda: len(processes(tag)) > 6, 60, "processes of the lab")
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert processes(tag) == []


def test_without_the_program(folder):
    """A postern that has no postern-lab beside it says so."""
    alone = os.path.join(folder, "postern")
    shutil.copy(BINARY, alone)
    if os.path.exists("/usr/local/lib/postern/postern-lab"):
        pytest.skip("the lab is installed")
    done = subprocess.run([alone, "lab", "list"], capture_output=True,
                          text=True)
    assert done.returncode == 69, done
    assert "make postern-lab" in done.stderr
