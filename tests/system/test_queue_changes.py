# SPDX-License-Identifier: ISC
"""postern queue: dry runs, redirect, who submitted what, several messages at
once, interrupts and exit codes."""
import json
import os
import signal
import socket
import subprocess

import pytest

from postern import BINARY, dead_port, until
from smtp_peer import Stranger
from test_sendmail import sendmail

NOWHERE = "d.dead.example"


@pytest.fixture(scope="module")
def one(module_server, tmp_path_factory):
    """A server; .far is a host that takes everything, .dead.example is down."""
    far = Stranger()
    folder = tmp_path_factory.mktemp("files")
    (folder / "aliases").write_text(
        "team: alice, out@far.example\n")
    server = module_server(text=(
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1h\nretry-max = 1h\n"
        'aliases-file = "%s/aliases"\n'
        'route "*.dead.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'route "far.example" { host = "127.0.0.1" port = %d mx = no '
        "level = may }\n") % (folder, dead_port(), far.port))
    server.far = far
    yield server
    far.close()


def waiting(one, recipient="joe@" + NOWHERE, sender="ann@sender.example"):
    """The identifier of a message that was tried in vain."""
    identifier = one.send(recipient, sender)
    until(lambda: one.queue("show", identifier)[0]["state"] == "deferred", 60)
    return identifier


def test_dry_run(one):
    """It says what would be and changes nothing; the change says the same."""
    ids = [waiting(one), waiting(one, ["a@" + NOWHERE, "b@" + NOWHERE])]
    before = [entry["id"] for entry in one.queue("list")]
    words = ["delete", "--domain", NOWHERE]
    code, out, err = one.command("queue", *words, "-n")
    assert (code, err) == (0, "")
    assert out == ("would delete: 2 message(s), 3 recipient(s); nothing was "
                   "changed\n")
    code, out, _ = one.command("queue", *words, "--dry-run", "-v")
    assert code == 0 and len(out.splitlines()) == 3
    assert all(identifier in out for identifier in ids)
    lines = one.queue(*words, "--dry-run")
    assert [line.get("id") for line in lines] == [*ids, None]
    assert [line["recipients"] for line in lines] == [1, 2, 3]
    assert lines[0]["would"] == "delete" and lines[2]["dry-run"] is True
    assert [entry["id"] for entry in one.queue("list")] == before
    assert "verb=delete" not in one.read_log()
    code, out, _ = one.command("queue", *words)
    assert (code, out) == (0, "delete: 2 message(s), 3 recipient(s)\n")
    assert one.command("queue", *words, "-n")[0] == 1


def test_redirect(one):
    """Another recipient gets it, once; who, from where and by whom is known."""
    identifier = waiting(one, ["a@" + NOWHERE, "b@" + NOWHERE])
    code, out, _ = one.command("queue", "redirect", "new@far.example",
                               identifier)
    assert (code, out) == (0, "redirect to new@far.example: 1 message(s), 2 "
                           "recipient(s)\n")
    until(lambda: not one.queue("show", identifier), 60)
    (_, sender, recipients, _), = one.far.messages
    assert sender.startswith("<ann@sender.example>")
    assert len(recipients) == 1 and "new@far.example" in recipients[0]
    log = [line for line in one.read_log().splitlines() if identifier in line]
    assert any("redirected" in line and "r=a@" + NOWHERE in line and
               "to=new@far.example" in line for line in log)
    assert any("operator" in line and "verb=redirect" in line and
               "uid=%d" % os.getuid() in line for line in log)


def test_redirect_to_us(one):
    """Aliases hold; nobody is refused, and nothing is changed then."""
    identifier = waiting(one)
    before = len(one.messages("alice"))
    for wrong in ("nobody-here@example.org", "joe", "<>", "@far.example",
                  "a b@far.example"):
        code, out, err = one.command("queue", "redirect", wrong, identifier)
        assert code == 64 and out == "" and err, (wrong, out, err)
    entry, = one.queue("show", identifier)
    assert [r["address"] for r in entry["recipients"]] == ["joe@" + NOWHERE]
    one.command("queue", "redirect", "team@example.org", identifier, check=0)
    one.wait_messages("alice", before + 1, 60)
    until(lambda: "out@far.example" in str(one.far.messages), 60)
    until(lambda: not one.queue("show", identifier), 60)


def test_user(one):
    """Who submitted it is known to the operator, and to nobody else."""
    assert sendmail(one, "-f", "alice@example.org", "joe@" + NOWHERE,
                    text="Subject: x\n\nx\n")[0] == 0
    user = "uid %d" % os.getuid()
    until(lambda: one.queue("list", "--user", user, "--state", "deferred"), 60)
    entry, = one.queue("show", "--user", user)
    assert entry["user"] == user
    assert "user: " + user in one.command("queue", "show", "--user", user)[1]
    before = len(one.messages("alice"))
    one.command("queue", "bounce", "--user", user, check=0)
    report = one.wait_messages("alice", before + 1, 60)[-1]
    assert user.encode() not in report
    assert one.queue("list", "--user", user) == []


def test_cat_several(one):
    """A line before each says which it is and how long; one alone has none."""
    ids = [waiting(one, sender="c@sender.example"), waiting(
        one, sender="c@sender.example")]
    single = [one.command("queue", "cat", identifier, text=False, check=0)[1]
              for identifier in ids]
    both = one.command("queue", "cat", "--sender", "c@*", text=False,
                       check=0)[1]
    assert both == b"".join(
        b"==> %s, %d bytes, from <c@sender.example> <==\n%s" % (
            identifier.encode(), len(text), text)
        for identifier, text in zip(ids, single))
    lines = one.queue("cat", *ids)
    for identifier, text in zip(ids, single):
        mine = [line for line in lines if line["id"] == identifier]
        assert mine[0]["size"] == len(text)
        assert bytes.fromhex("".join(line.get("hex", "")
                                     for line in mine)) == text
    one.command("queue", "delete", *ids, check=0)


class Role:
    """The other end of the control socket, for one request."""

    def __init__(self, folder):
        self.path = str(folder / "control")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        configuration = folder / "postern.conf"
        configuration.write_text(
            'hostname = "mx.example.org"\ncontrol-socket = "%s"\n' % self.path)
        self.command = subprocess.Popen(
            [BINARY, "queue", "delete", "--all", "-c", str(configuration)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL)
        self.end, _ = self.listener.accept()
        self.end.settimeout(60)
        self.lines = self.end.makefile("rb")
        assert self.lines.read(16).startswith(b"POSTERN1")
        self.request = json.loads(self.lines.readline())

    def say(self, **answer):
        self.end.sendall(json.dumps(answer).encode() + b"\n")

    def close(self):
        if self.command.poll() is None:
            self.command.kill()
        self.command.communicate()
        self.lines.close()
        self.end.close()
        self.listener.close()


@pytest.fixture
def role(tmp_path):
    one = Role(tmp_path)
    yield one
    one.close()


def test_interrupt(role):
    """An interrupt stops the queue; the command says how far it came."""
    assert role.request["verb"] == "delete"
    assert role.request["arguments"] == {"all": True, "progress": True}
    role.say(progress={"seen": 10, "total": 100, "changed": 9})
    role.command.send_signal(signal.SIGINT)
    assert json.loads(role.lines.readline()) == {"stop": True}
    role.say(verb="delete", messages=12, recipients=13)
    role.say(end=130, message="stopped: what was not reached is as it was")
    out, err = role.command.communicate(timeout=60)
    assert role.command.returncode == 130
    # No terminal, no progress.
    assert out == "delete: 12 message(s), 13 recipient(s)\n"
    assert err == "postern: stopped: what was not reached is as it was\n"


def test_second_interrupt(role):
    """Who is not answered may still leave."""
    role.command.send_signal(signal.SIGINT)
    role.lines.readline()
    role.command.send_signal(signal.SIGINT)
    assert role.command.wait(60) == -signal.SIGINT


def test_progress_on_a_terminal(tmp_path):
    """One line on the terminal, gone at the end; standard output is clean."""
    ours, theirs = os.openpty()
    real = subprocess.Popen

    def popen(words, **options):
        return real(words, **dict(options, stderr=theirs))
    subprocess.Popen = popen
    try:
        one = Role(tmp_path)
    finally:
        subprocess.Popen = real
    os.close(theirs)
    one.say(progress={"seen": 50, "total": 100, "changed": 40})
    one.say(verb="delete", messages=100, recipients=100)
    one.say(end=0, message="")
    out, _ = one.command.communicate(timeout=60)
    shown = b""
    try:
        while True:
            shown += os.read(ours, 4096)
    except OSError:         # the other end is closed
        pass
    os.close(ours)
    one.close()
    assert out == "delete: 100 message(s), 100 recipient(s)\n"
    assert b"50%  50 of 100, 40 changed" in shown and b"[####" in shown
    assert shown.endswith(b"\r\x1b[K") and b"\n" not in shown
