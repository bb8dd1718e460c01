# SPDX-License-Identifier: ISC
"""postern lab: the command, its outputs, its mistakes; that it works for root
and for anybody, and leaves nothing behind, however it ends.

That all scenarios are correct for Postern is not looked at here: postern lab
run is that test."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid

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
UNFIT = "#!/bin/sh\necho 'some words'\necho 'this one needs a moon'\nexit 77\n"


def environment(**more):
    return dict(os.environ, POSTERN_LAB_DATA=DATA, **more)


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
    with open("/proc/self/mountinfo") as table:
        return table.read()


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
    assert "(RFC 7672 2.2" in done.stdout
    assert "removes one word" in done.stdout


# --- mistakes ---

@pytest.mark.parametrize("words,status,said", [
    ((), 64, "a command is missing"),
    (("dance",), 64, "there is no command dance"),
    (("run", "--jobs", "0"), 64, "--jobs takes a number"),
    (("run", "--frobnicate"), 64, "not known here"),
    (("run", "--mta"), 64, "its value is missing"),
    (("run", "--mta", "nobody"), 64, "there is no driver nobody; there are:"),
    (("shell",), 64, "shell takes a scenario"),
    (("run", "no-such-scenario"), 65, "there is no scenario"),
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


def test_mistakes_in_a_file_have_lines(folder):
    path = write(folder, "bad.scenario",
                 "title = x\nzone example.net {\n\trecord = { }\n}\n")
    done = lab("run", path)
    assert done.returncode == 65
    assert done.stderr.startswith(path + ":3: unknown option 'record' in "
                                  "zone; accepted: records,"), done.stderr


def test_help():
    for words in (("--help",), ("run", "--help")):
        done = lab(*words)
        assert done.returncode == 0 and "postern lab run" in done.stdout


# --- runs ---

@needs_namespaces
def test_run_of_a_file_of_ones_own(folder):
    path = write(folder, "mine.scenario", DEFERRED)
    done = lab("run", path)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SCENARIO", "EXPECTED", "postern", "SECONDS"]
    assert lines[1].split()[:4] == ["mine", "deferred", "ok", "deferred"]
    assert lines[2] == "postern: 1 correct, 0 wrong"


@needs_namespaces
def test_wrong_is_wrong(folder):
    path = write(folder, "mine.scenario", IMPOSSIBLE)
    done = lab("run", path)
    assert done.returncode == 1, done
    assert "WRONG encrypted" in done.stdout
    assert ("postern, step send: expected bounced; it was delivered to "
            "mx.example.net under TLS") in done.stdout


@needs_namespaces
def test_json_has_the_events(folder):
    path = write(folder, "mine.scenario", ENCRYPTED)
    done = lab("run", "--json", path)
    assert done.returncode == 0, done
    entry = json.loads(done.stdout)
    assert entry["scenario"] == "mine"
    mta = entry["mtas"][0]
    assert mta["mta"] == "postern" and mta["correct"] is True
    step = mta["steps"][0]
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
    assert any(line.startswith("# step send: expected bounced")
               for line in lines)


@needs_namespaces
def test_keep(folder):
    path = write(folder, "mine.scenario", ENCRYPTED)
    kept = folder + "/kept"
    assert lab("run", "--keep", kept, path).returncode == 0
    assert sorted(os.listdir(kept)) == [
        "mine.postern.json", "mine.postern.log", "mine.postern.twin.log"]
    with open(kept + "/mine.postern.json") as text:
        assert json.load(text)["steps"][0]["outcome"] == "encrypted"
    with open(kept + "/mine.postern.log") as text:
        assert " relayed " in text.read()


@needs_namespaces
def test_doing_nothing_is_not_deferring(folder):
    driver = write(folder, "lazy", LAZY, 0o755)
    path = write(folder, "mine.scenario", DEFERRED)
    done = lab("run", "--mta", driver, path)
    assert done.returncode == 1, done
    assert "lazy" in done.stdout.splitlines()[0]
    assert "not even after the faults were lifted" in done.stdout


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
    assert "unfit: 0 correct, 0 wrong, 1 skipped" in done.stdout
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
    assert done.returncode == 1
    assert "x A nowhere" in done.stdout


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
    done = lab("run", path, prefix=prefix, HOME="/nonexistent")
    assert done.returncode == 0, done
    assert "ok    encrypted" in done.stdout


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
