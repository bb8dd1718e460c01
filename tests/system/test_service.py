# SPDX-License-Identifier: ISC
"""The life of the service: start, stop, reload, check, systemd, dead roles."""
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest

from postern import BINARY, Talk, free_port, is_running, until

HALF = "Subject: half\r\n\r\nfirst half\r\n"


def run(*words, timeout=60):
    """postern with exactly these words: code, out, err."""
    done = subprocess.run([BINARY, *words], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def secure(port, certificate=None):
    """A conversation under TLS that has said EHLO."""
    talk = Talk(port)
    talk.say("EHLO client.example")
    assert talk.code("STARTTLS") == 220
    context = ssl._create_unverified_context()
    talk.socket = context.wrap_socket(talk.socket)
    assert talk.code("EHLO client.example") == 250
    return talk


def shown(talk):
    """The certificate that the server showed, as bytes."""
    return talk.socket.getpeercert(binary_form=True)


def der(certificate):
    with open(certificate.chain) as pem:
        return ssl.PEM_cert_to_DER_cert(pem.read())


def in_data(talk, recipient="alice@example.org"):
    """Brings a conversation into the middle of a message."""
    assert talk.code("EHLO client.example") == 250
    assert talk.code("MAIL FROM:<bob@example.net>") == 250
    assert talk.code("RCPT TO:<%s>" % recipient) == 250
    assert talk.code("DATA") == 354
    talk.send(HALF)
    return talk


def refused(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def running(one, role):
    """Its process, when it is one that runs: 0 would be the test's group."""
    return until(lambda: one.pid_of(role), 20, role + " to run")


# --- the command line ---

@pytest.mark.parametrize("words,needle", [
    ([], "usage: postern COMMAND"),
    (["bogus"], 'no command "postern bogus"; there are: run stop'),
    (["-c"], "no command"),
    (["run", "extra"], "takes no operands"),
    (["run", "-c"], "value is missing"),
    (["status", "--nope"], "\"--nope\" is no option"),
    (["stop", "now"], "takes no operands"),
    (["reload", "-x"], "\"-x\" is no option"),
    (["check", "x"], "takes no operands"),
    (["conf"], "usage: postern conf COMMAND"),
    (["conf", "bogus"], "there are: check print sample manual"),
    (["conf", "sample", "x"], "takes no operands"),
    (["queue"], "usage: postern queue COMMAND"),
    (["queue", "bogus"], "there are: list show cat"),
    (["queue", "list", "--older", "soon"], "a time is expected"),
    (["queue", "list", "--older", "99999999999999999999"],
     "a time is expected"),
    (["queue", "list", "--newer", "5w"], "a time is expected"),
    (["queue", "list", "--limit", "-1"], "a number is expected"),
    (["queue", "list", "--limit", "3m"], "a number is expected"),
    (["queue", "list", "--sender", b"\xff\xfe"], "is not UTF-8"),
    (["queue", "list", "--send"], "\"--send\" is no option"),
    (["queue", "hold", b"\xff"], "UTF-8|identifier"),
    (["--role=king"], 'no role "king"'),
], ids=lambda value: None if isinstance(value, str) else " ".join(
    str(word) for word in value) or "nothing")
def test_wrong_usage(words, needle):
    """Exit 64 and a sentence that names what was wrong, on stderr only."""
    code, out, err = run(*words)
    assert (code, out) == (64, ""), (code, out, err)
    assert any(one in err for one in needle.split("|")), err
    assert "Sanitizer" not in err


@pytest.mark.parametrize("words", [
    ["--help"], ["help"], ["-h"], ["run", "--help"], ["stop", "-h"],
    ["reload", "-h"], ["status", "-h"], ["check", "-h"], ["conf", "--help"],
    ["conf", "print", "-h"], ["queue", "help"], ["queue", "list", "--help"],
    ["version"], ["--version"]], ids=" ".join)
def test_help_is_no_error(words):
    code, out, err = run(*words)
    assert (code, err) == (0, "") and "postern" in out


@pytest.mark.parametrize("words", [["status"], ["stop"], ["reload"],
                                   ["queue", "list"], ["queue", "hold", "1"]],
                         ids=" ".join)
def test_server_is_not_running(server, words):
    """Exit 69, and it says so."""
    code, out, err = server(start=False).command(*words)
    assert code == 69 and "the server is not running" in err and out == ""


@pytest.mark.parametrize("words", [["run"], ["check"], ["conf", "check"],
                                   ["conf", "print"], ["status"]],
                         ids=" ".join)
@pytest.mark.parametrize("what,needle", [
    ("missing", "No such file"), ("folder", "directory"),
    ("typing", "postern.conf:2"), ("nul", "zero byte"),
    ("empty", "it is empty")])
def test_configuration_is_wrong(tmp_path, words, what, needle):
    """Exit 78 with the path, whatever reads the file."""
    path = tmp_path / "postern.conf"
    if what == "folder":
        path.mkdir()
    elif what == "typing":
        path.write_text('hostname = "mx.example.org"\nhostnaem = "x"\n')
    elif what == "nul":
        path.write_bytes(b'hostname = "mx.example.org"\n\0\nlow-space = 1M\n')
    elif what == "empty":
        path.write_text("")
    code, out, err = run(*words, "-c", str(path))
    assert code == 78, (code, out, err)
    assert str(path) in out + err and needle in out + err, (out, err)
    assert "Sanitizer" not in err


def test_conf_print_is_a_configuration(server, certificate, tmp_path):
    """What is in force, printed, means the same when it is read."""
    one = server(start=False, certificate=certificate, text=(
        'route "*.example.net" { host = "127.0.0.1" port = 26 mx = no }\n'
        'destination "bank.example" { level = secure names = { "a.b" } }\n'
        'relay-from = { 192.0.2.0/24, "2001:db8::/32" }\n'))
    printed = one.command("conf", "print", check=0)[1]
    again = tmp_path / "again.conf"
    again.write_text(printed)
    assert run("conf", "check", "-c", str(again))[0] == 0
    assert run("conf", "print", "-c", str(again))[1] == printed
    assert "2001:db8::/32" in printed and "level = secure" in printed


def test_conf_sample(tmp_path):
    """Every line of the sample can be put in force."""
    sample = run("conf", "sample")[1]
    lines = [line[1:] if line.startswith("#") and line[1:2] != " " else line
             for line in sample.splitlines()]
    path = tmp_path / "sample.conf"
    path.write_text("\n".join(lines) + "\n")
    code, out, err = run("conf", "check", "-c", str(path))
    assert (code, "no mistake found" in out) == (0, True), err


# --- things that keep it from starting ---

def fails(one, *needles):
    """`run` ends with 78 and says these things; so does `check`."""
    for words in (["run"], ["check"]):
        code, out, err = one.command(*words)
        assert code == 78, (words, code, out, err)
        for needle in needles:
            assert needle in out + err, (words, needle, out, err)


def test_parents_of_directories(server, tmp_path):
    """What is above our directories and missing is made so that others get
    through to the sockets, whatever the umask."""
    one = server(start=False, text='run-directory = "%s/a/b/run"\n' % tmp_path)
    one.start()
    for part in ("a", "a/b", "a/b/run"):
        assert stat.S_IMODE(os.stat(tmp_path / part).st_mode) == 0o755, part


def test_second_instance(server):
    """A second one on the same run-directory is refused and says why; the
    first one goes on."""
    one = server()
    two = server(start=False)
    text = two.text + 'run-directory = "%s/run"\n' % one.parts["state"]
    two.configure(text)
    code, _, err = two.command("run")
    assert code == 78 and "Postern runs already" in err, err
    assert one.parts["state"] + "/run" in err
    one.send()
    one.wait_messages("alice")
    assert one.command("status")[0] == 0


def test_second_instance_on_the_queue(server):
    """Nor may two share a queue below different run-directories."""
    one = server()
    two = server(start=False, text='queue-directory = "%s/queue"\n' %
                 one.parts["state"])
    two.start(wait=False)
    try:
        until(lambda: two.process.poll() is not None or
              two.log_count("in use by another process"), 20)
        assert two.log_count(" ready ") == 0
    finally:
        two.stop()
    one.send()
    one.wait_messages("alice")


def test_port_in_use(server):
    """The address, the cause, the remedy."""
    one = server(start=False)
    with socket.socket() as other:
        other.bind(("127.0.0.1", one.port))
        other.listen()
        fails(one, "127.0.0.1:%d" % one.port, "Address already in use",
              "choose another port")


def test_address_of_another_machine(server):
    one = server(start=False, listener="")
    one.configure('listen other { addresses = { "192.0.2.77" } port = %d }\n' %
                  free_port())
    fails(one, "192.0.2.77", "does not have that address")


@pytest.mark.parametrize("what", [
    "no-chain", "no-key", "folder", "empty", "text", "key-as-chain",
    "chain-as-key", "mismatch", "unreadable"])
def test_certificate_is_wrong(server, certificate, make_certificate, tmp_path,
                              what):
    """`run` and `check` name certificate, path and reason."""
    chain, key = certificate.chain, certificate.key
    bad = str(tmp_path / "bad.pem")
    needles = [bad]
    if what == "no-chain":
        chain, needles = bad, [bad, "No such file"]
    elif what == "no-key":
        key, needles = bad, [bad, "No such file"]
    elif what == "folder":
        os.mkdir(bad)
        key = bad
    elif what in ("empty", "text"):
        with open(bad, "w") as out:
            out.write("" if what == "empty" else "not a certificate\n")
        chain = bad
    elif what == "key-as-chain":
        chain, needles = key, [key]
    elif what == "chain-as-key":
        key, needles = chain, [chain]
    elif what == "mismatch":
        key = make_certificate("other.example").key
        needles = [chain, key, "does not belong"]
    elif what == "unreadable":
        if os.geteuid() == 0:
            # root reads everything: a file that nobody can read
            bad = "/proc/self/mem"
            chain, needles = bad, [bad]
        else:
            with open(bad, "w") as out:
                out.write("x")
            os.chmod(bad, 0)
            key, needles = bad, [bad, "Permission denied"]
    one = server(start=False)
    one.configure('certificate "mx.example.org" { chain = "%s" key = "%s" }\n'
                  % (chain, key))
    fails(one, *needles)
    if what == "unreadable" and os.geteuid() != 0:
        os.chmod(bad, 0o600)    # for who looks through the folder later


# --- status ---

def test_status_and_check(server, certificate):
    """Both forms of status have every role and listener; check looks at a
    configuration that does not run."""
    one = server(certificate=certificate, workers=2)
    lines = [json.loads(line) for line in
             one.command("status", "--json", check=0)[1].splitlines() if line]
    assert lines[0]["role"] == "supervisor" and lines[0]["serving"] is True
    assert lines[0]["pid"] == one.process.pid
    roles = [line for line in lines[1:] if "role" in line]
    assert sorted(line["role"] for line in roles) == [
        "delivery", "directory", "mailbox", "policy", "queue", "smtpd",
        "smtpd"]
    assert sorted(line["pid"] for line in roles) == sorted(one.role_pids())
    assert all(line["state"] == "running" and line["restarts"] == 0
               for line in roles)
    assert lines[-2:] == [
        {"listener": "smtp@127.0.0.1:%d" % one.port},
        {"listener": "local@unix:%s/run/submit" % one.parts["state"]}]
    text = one.command("status", check=0)[1]
    for word in ("mx.example.org", "serving", "queue", "smtpd", "listening"):
        assert word in text
    other = server(start=False, certificate=certificate)
    out = other.command("check", check=0)[1]
    for word in ("1 certificate(s)", "can listen on", "STARTTLS offered",
                 "mail for example.org is accepted", "it will be made"):
        assert word in out, out
    assert not os.path.exists(other.parts["state"])


# --- reload ---

@pytest.mark.parametrize("by", ["command", "signal"])
def test_reload_keeps_sessions(server, certificate, make_certificate, by):
    """New certificate and domain at once for new sessions; one that is in the
    middle of a message finishes it."""
    one = server(certificate=certificate)
    old = in_data(secure(one.port))
    idle = secure(one.port)
    pids = sorted(one.role_pids())
    one.certificate = make_certificate("mx.example.org")
    one.configure('domain "new.example" { users = { carol } }\n')
    if by == "command":
        assert "reloaded" in one.command("reload", check=0)[1]
    else:
        one.process.send_signal(signal.SIGHUP)
    one.wait_log(" reloaded ")
    new = secure(one.port)
    assert shown(new) == der(one.certificate) != der(certificate)
    assert shown(old) == der(certificate)
    code, texts = new.mail("carol@new.example")
    assert code == 250, texts
    old.send("second half\r\n.\r\n")
    assert old.reply()[0] == 250
    (got,) = one.wait_messages("alice")
    assert got.endswith(b"first half\nsecond half\n")
    one.wait_messages("carol", domain="new.example")
    for talk in (old, idle):
        assert talk.mail()[0] == 250
        assert talk.code("QUIT") == 221
    one.wait_messages("alice", 3)
    assert sorted(one.role_pids()) == pids


def test_reload_takes_a_domain_away(server):
    one = server(text='domain "gone.example" { users = { carol } }\n')
    talk = Talk(one.port)
    assert talk.mail("carol@gone.example")[0] == 250
    one.wait_messages("carol", domain="gone.example")
    one.configure("relay-from = { 192.0.2.1 }\n")
    one.command("reload", check=0)
    assert Talk(one.port).mail("carol@gone.example")[0] == 550


@pytest.mark.parametrize("by", ["command", "signal"])
@pytest.mark.parametrize("what", ["syntax", "key", "chain-gone", "port"])
def test_bad_reload_keeps_the_old_state(server, certificate, make_certificate,
                                        tmp_path, what, by):
    """Said on the command (78) and in the log; everything else as before."""
    own = "relay-from = { 192.0.2.1 }\n"
    one = server(certificate=certificate, text=own)
    old = in_data(Talk(one.port))
    good = open(one.path).read()
    more = own + 'domain "new.example" { users = { carol } }\n'
    taken = socket.create_server(("127.0.0.1", 0))
    if what == "syntax":
        needle = "levle"
        one.configure(more + 'destination "*" { levle = may }\n')
    elif what == "key":
        needle = "does not belong"
        one.certificate = make_certificate("mx.example.org")
        one.certificate.key = certificate.key
        one.configure(more)
    elif what == "chain-gone":
        needle = str(tmp_path / "none.pem")
        one.certificate = make_certificate("mx.example.org")
        one.certificate.chain = needle
        one.configure(more)
    else:
        port = taken.getsockname()[1]
        needle = "127.0.0.1:%d" % port
        one.configure(more + 'listen more { addresses = { "127.0.0.1" } '
                      'port = %d }\n' % port)
    if by == "command":
        code, out, err = one.command("reload")
        assert code == 78 and needle in err and out == "", (code, out, err)
    if by == "signal" or what != "syntax":
        # a file that cannot be read does not say where the server is
        if by == "signal":
            one.process.send_signal(signal.SIGHUP)
        one.wait_log("reload failed")
        line = [line for line in one.read_log().splitlines()
                if "reload failed" in line][-1]
        assert needle in line, line
    old.send(".\r\n")
    assert old.reply()[0] == 250
    new = secure(one.port)
    assert shown(new) == der(certificate)
    assert new.mail("carol@new.example")[0] >= 400
    assert new.code("RSET") == 250
    taken.close()
    # and a good one works afterwards
    with open(one.path, "w") as out:
        out.write(good.replace(own, more))
    one.command("reload", check=0)
    assert secure(one.port).mail("carol@new.example")[0] == 250


def test_one_reload_at_a_time(server):
    """A second one is told so (75); one whose asker went away is finished all
    the same."""
    one = server()
    policy = running(one, "policy")
    os.kill(policy, signal.SIGSTOP)
    try:
        asking = [subprocess.Popen([BINARY, "reload", "-c", one.path],
                                   stderr=subprocess.PIPE, text=True)
                  for _ in range(2)]
        until(lambda: any(each.poll() is not None for each in asking))
        first, second = sorted(asking, key=lambda each: each.poll() is None)
        assert first.returncode == 75
        assert "under way already" in first.communicate()[1]
        assert second.poll() is None
        second.kill()
        second.communicate()
        assert one.command("status")[0] == 0
        assert one.log_count(" reloaded ") == 0
    finally:
        os.kill(policy, signal.SIGCONT)
    one.wait_log(" reloaded ")
    one.command("reload", check=0)


def test_listeners_come_and_go(server, certificate):
    """A new port is open when reload has answered, an old one closed; who came
    in through it stays."""
    one = server(certificate=certificate)
    extra = free_port()
    section = 'listen more { addresses = { "127.0.0.1" } port = %d %s }\n'
    one.configure(section % (extra, "tls = none"))
    one.command("reload", check=0)
    guest = Talk(extra)
    assert "STARTTLS" not in guest.say("EHLO client.example")[1]
    assert "more@127.0.0.1:%d" % extra in one.command("status")[1]
    # its rules follow too
    one.configure(section % (extra, "tls = offer"))
    one.command("reload", check=0)
    assert "STARTTLS" in Talk(extra).say("EHLO client.example")[1]
    one.configure("")
    one.command("reload", check=0)
    until(lambda: refused(extra))
    assert guest.mail()[0] == 250
    assert Talk(one.port).code("NOOP") == 250
    assert "more@" not in one.command("status")[1]


def test_listener_is_renamed(server):
    """The same port under another name is not "in use" by ourselves."""
    one = server()
    text = open(one.path).read()
    with open(one.path, "w") as out:
        out.write(text.replace("listen smtp {", "listen public {"))
    one.command("reload", check=0)
    assert "listening public@127.0.0.1:%d" % one.port in \
        one.command("status")[1]
    assert Talk(one.port).mail()[0] == 250
    one.wait_log("listener=public")
    # another address of the same port cannot be had: said as it is
    with open(one.path, "w") as out:
        out.write(text.replace('{ "127.0.0.1" }', '{ "0.0.0.0" }'))
    code, _, err = one.command("reload")
    assert code == 78 and "changes with a restart only" in err, err
    assert Talk(one.port).mail()[0] == 250
    one.wait_messages("alice", 2)


# --- stop ---

@pytest.mark.parametrize("by", ["command", "signal"])
def test_stop_finishes_what_is_in_flight(server, by):
    """A message under way is taken (RFC 5321 4.5.3.2: nothing is cut), the
    idle are sent away with 421, nobody gets in; then status 0 and no process
    is left."""
    one = server()
    talk = in_data(Talk(one.port))
    idle = Talk(one.port)
    pids = one.role_pids()
    stopping = None
    if by == "signal":
        one.process.send_signal(signal.SIGTERM)
    else:
        stopping = subprocess.Popen([BINARY, "stop", "-c", one.path],
                                    stdout=subprocess.PIPE, text=True)
    code, texts = idle.reply()
    assert (code, texts[0][:5]) == (421, "4.3.2")
    assert idle.closed()
    until(lambda: refused(one.port))
    assert one.process.poll() is None
    talk.send("second half\r\n.\r\n")
    assert talk.reply()[0] == 250
    one.process.wait(20)
    assert one.process.returncode == 0
    if stopping:
        assert "stopping" in stopping.communicate(timeout=20)[0]
        assert stopping.returncode == 0
    assert not any(is_running(pid) for pid in pids)
    if not one.messages("alice"):
        one.start()
    (got,) = one.wait_messages("alice")
    assert got.endswith(b"first half\nsecond half\n")


def test_stop_does_not_wait_for_ever(server):
    """A client that stalls inside a message has stop-timeout; what was not
    acknowledged is not kept."""
    one = server(text="stop-timeout = 2s\n")
    talk = in_data(Talk(one.port))
    stopping = subprocess.Popen([BINARY, "stop", "-c", one.path],
                                stdout=subprocess.DEVNULL)
    assert one.process.wait(10) == 0
    assert stopping.wait(10) == 0
    try:
        assert talk.reply()[0] == 421
    except (EOFError, ConnectionResetError):
        pass
    one.start()
    assert one.queue("list") == [] and one.messages("alice") == []


def test_start_after_the_supervisor_was_killed(server):
    """Roles do not outlive it; its socket and lock are no obstacle."""
    one = server()
    pids = one.role_pids()
    one.process.kill()
    one.process.wait(10)
    until(lambda: not any(is_running(pid) for pid in pids), 20,
          "roles to end")
    assert stat.S_ISSOCK(os.stat(one.parts["state"] + "/run/control").st_mode)
    assert one.command("status")[0] == 69
    one.start()
    one.send()
    one.wait_messages("alice")


# --- systemd ---

@pytest.mark.parametrize("abstract", [False, True])
def test_notify_socket(server, tmp_path, abstract):
    """sd_notify(3): ready, reloading with its time, ready, stopping."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name if abstract else name)
        listener.settimeout(30)
        one = server(environment={
            "NOTIFY_SOCKET": "@" + name if abstract else name})

        def state():
            return listener.recv(4096).decode().split("\n")
        assert state() == ["READY=1"]
        assert Talk(one.port).code("NOOP") == 250
        one.process.send_signal(signal.SIGHUP)
        reloading, when = state()
        assert reloading == "RELOADING=1"
        key, value = when.split("=")
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert key == "MONOTONIC_USEC" and 0 < now - int(value) < 30e6
        assert state() == ["READY=1"]
        # a reload that fails ends as well
        one.configure("bogus = 1\n")
        one.process.send_signal(signal.SIGHUP)
        assert state()[0] == "RELOADING=1"
        assert state() == ["READY=1"]
        one.process.send_signal(signal.SIGTERM)
        assert state() == ["STOPPING=1"]
        assert one.process.wait(20) == 0


def test_journal_style(server):
    """Under systemd records carry a priority and no time stamp."""
    one = server(environment={"JOURNAL_STREAM": "8:1"})
    lines = one.read_log().splitlines()
    assert all(line[0] == "<" and line[2] == ">" for line in lines), lines


# --- roles that die ---

@pytest.fixture(scope="module")
def survivor(module_server):
    return module_server()


def kill(one, role):
    """kill -9; its channels are closed when this returns."""
    pid = running(one, role)
    os.kill(pid, signal.SIGKILL)
    one.wait_log("role died role=%s instance=0 pid=%d " % (role, pid))
    return pid


def works_again(one, role, dead, talk=None):
    """Mail goes all the way within 5 s of the death, in an old session."""
    end = time.monotonic() + 5
    before = len(one.messages("alice"))
    talk = talk or Talk(one.port)
    while True:
        code, texts = talk.mail()
        if code == 250:
            break
        assert code == 451, texts
        assert time.monotonic() < end, texts
        assert talk.code("RSET") == 250
        time.sleep(0.02)
    one.wait_messages("alice", before + 1,
                      max(end - time.monotonic(), 0.1))
    until(lambda: one.pid_of(role) not in (0, dead))


@pytest.mark.parametrize("role", ["queue", "delivery", "mailbox", "policy",
                                  "directory"])
def test_idle_session_survives(survivor, role):
    """kill -9 of anything but smtpd: an idle session goes on."""
    talk = Talk(survivor.port)
    assert talk.code("EHLO client.example") == 250
    works_again(survivor, role, kill(survivor, role), talk)
    assert talk.code("QUIT") == 221


def test_smtpd_dies(survivor):
    """Its sessions are lost, new ones are answered."""
    talk = Talk(survivor.port)
    dead = kill(survivor, "smtpd")
    assert talk.closed()
    works_again(survivor, "smtpd", dead)


def test_queue_dies_within_a_message(survivor):
    """451 for what was pending, nothing of it kept; then it works."""
    before = len(survivor.messages("alice"))
    talk = in_data(Talk(survivor.port))
    dead = kill(survivor, "queue")
    talk.send(".\r\n")
    code, texts = talk.reply()
    assert code == 451, texts
    works_again(survivor, "queue", dead, talk)
    assert len(survivor.messages("alice")) == before + 1


def test_directory_dies_within_an_answer(survivor):
    """The RCPT that waits for it gets 451 and can be said again."""
    talk = Talk(survivor.port)
    talk.say("EHLO client.example")
    talk.say("MAIL FROM:<bob@example.net>")
    pid = running(survivor, "directory")
    os.kill(pid, signal.SIGSTOP)
    talk.send("RCPT TO:<alice@example.org>\r\n")
    talk.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        talk.reply()
    talk.socket.settimeout(20)
    os.kill(pid, signal.SIGKILL)
    code, texts = talk.reply()
    assert code in (250, 451), texts
    until(lambda: talk.code("RCPT TO:<alice@example.org>") == 250, 5)
    assert talk.code("RSET") == 250
    works_again(survivor, "directory", pid, talk)


def test_policy_dies_within_an_answer(survivor):
    """Clients whose names are being looked up are greeted all the same."""
    pid = running(survivor, "policy")
    os.kill(pid, signal.SIGSTOP)
    talk = Talk(survivor.port, greeting=False)
    os.kill(pid, signal.SIGKILL)
    assert talk.reply()[0] == 220
    works_again(survivor, "policy", pid, talk)


def test_every_role_at_once(survivor):
    for pid in survivor.role_pids():
        os.kill(pid, signal.SIGKILL)

    def greeted():
        try:
            return Talk(survivor.port).greeting[0] == 220
        except (EOFError, OSError):
            return False
    until(greeted, 20)

    def sent():
        try:
            return Talk(survivor.port).mail()[0] == 250
        except (EOFError, OSError):
            return False
    before = len(survivor.messages("alice"))
    until(sent, 20)
    survivor.wait_messages("alice", before + 1)
