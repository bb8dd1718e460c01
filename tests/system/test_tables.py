# SPDX-License-Identifier: ISC
"""Long lists in tables, under a running server: 200,000 users and 100,000
aliases; what is made anew holds at once, what is missing, cut or wrong changes
nothing."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from postern import BINARY, Talk, until
from test_root import Rooted

USERS, ALIASES = 200000, 100000

CONFIGURATION = '''
aliases-file = "%(folder)s/aliases.cdb"
domain big.example { users-file = "%(folder)s/users.cdb" }
domain own.example { users = { carol } aliases-file = "%(folder)s/own.cdb"
  catch-all = "user7@big.example" }
'''


class World:
    def __init__(self, server, folder):
        self.folder = folder
        (folder / "users").write_text(
            "".join("user%d\n" % i for i in range(USERS)))
        (folder / "aliases").write_text(
            "".join("alias%d: user%d@big.example\n" % (i, i)
                    for i in range(ALIASES)))
        (folder / "own").write_text("boss: carol\n")
        self.server = server(text=CONFIGURATION % {"folder": folder},
                             domain="example.org", users=("alice",),
                             start=False)
        self.built = self.build()
        self.server.start()

    def build(self, *words, check=0):
        return self.server.command("table", "build", *words, check=check)

    def path(self, name):
        return str(self.folder / name)

    def codes(self, *recipients):
        talk = Talk(self.server.port)
        talk.say("EHLO client.example")
        talk.say("MAIL FROM:<bob@sender.example>")
        found = [talk.code("RCPT TO:<%s>" % one) for one in recipients]
        talk.code("QUIT")
        talk.close()
        return found

    def add(self, name, text):
        """Behind the list, for the length of a test; gives what it was."""
        with open(self.path(name), "r+") as out:
            before = out.read()
            out.write(text)
        return before

    def restore(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)
        self.build(self.path(name + ".cdb"))


@pytest.fixture(scope="module")
def world(module_server, tmp_path_factory):
    return World(module_server, tmp_path_factory.mktemp("lists"))


def test_known_and_unknown(world):
    assert "200000 users" in world.built[1]
    assert "100000 aliases" in world.built[1]
    assert "no server is running" in world.built[1]
    assert world.codes(
        "user0@big.example", "User199999@Big.Example",
        "user5+shop@big.example", "alias0@example.org",
        "alias99999@big.example", "Alias5+x@own.example",
        "boss@own.example", "anybody@own.example",
        "postmaster@big.example", "alice@example.org") == [250] * 10
    assert world.codes(
        "user200000@big.example", "user-1@big.example", "*@big.example",
        "alias100000@example.org", "user1@example.org", "boss@example.org",
        "\"user1 \"@big.example") == [550] * 7
    out = world.server.command("address", "alias3@own.example", check=0)[1]
    assert "goes to user3@big.example" in out
    assert world.path("aliases") + ":4" in out
    shown = json.loads(subprocess.run(
        [BINARY, "table", "show", "-j", world.path("users.cdb")],
        capture_output=True, text=True, check=True).stdout)
    assert (shown["kind"], shown["entries"], shown["from"]) == (
        "users", USERS, world.path("users"))


def test_made_anew_holds_at_once(world):
    before = world.add("users", "newcomer\n")
    os.utime(world.path("users"), (2e9, 2e9))
    open_session = Talk(world.server.port)
    open_session.say("EHLO client.example")
    open_session.say("MAIL FROM:<bob@sender.example>")
    assert open_session.code("RCPT TO:<newcomer@big.example>") == 550
    code, out, _ = world.server.command("check")
    assert "run postern table build" in out
    os.chmod(world.path("users.cdb"), 0o640)
    assert "reloaded" in world.build(world.path("users.cdb"))[1]
    assert os.stat(world.path("users.cdb")).st_mode & 0o777 == 0o640
    assert open_session.code("RCPT TO:<newcomer@big.example>") == 250
    assert world.codes("newcomer@big.example", "user1@big.example",
                       "newcomers@big.example") == [250, 250, 550]
    open_session.close()
    world.restore("users", before)
    assert world.codes("newcomer@big.example") == [550]


@pytest.mark.parametrize("name, line, words", [
    ("aliases", "x y: user1@big.example\n",
     "aliases:100001: \"x y\" cannot be an alias"),
    ("aliases", "a: b\nb: a\n", "aliases:100001: the alias leads in a circle"),
    ("aliases", "alias5: alice\n",
     "aliases:100001: alias5 is there already, in line 6"),
    ("aliases", "a@far.example: alice\n", "that is no domain of ours"),
    ("users", "user@example.org\n", "users:200001: not the local part"),
])
def test_faults_change_nothing(world, name, line, words):
    with open(world.path(name + ".cdb"), "rb") as table:
        kept = table.read()
    before = world.add(name, line)
    _, _, problem = world.build(world.path(name + ".cdb"), check=65)
    assert words in problem
    with open(world.path(name + ".cdb"), "rb") as table:
        assert table.read() == kept
    assert not [one for one in os.listdir(world.folder)
                if one.endswith(".new")]
    with open(world.path(name), "w") as out:
        out.write(before)


def test_file_is_cut_under_the_server(world):
    """No process ends, nobody is told that nobody is there, and a reload
    leaves what holds; neither does the death of a role lose it."""
    pids = world.server.role_pids()
    os.truncate(world.path("users.cdb"), 4096)
    assert world.codes("user77777@big.example", "nobody@big.example") == [
        250, 550]
    code, _, problem = world.server.command("reload")
    assert code == 78 and "users.cdb: it is" in problem
    assert "users.cdb" in world.server.command("check", check=78)[2]
    os.unlink(world.path("aliases.cdb"))
    code, _, problem = world.server.command("reload")
    assert "aliases.cdb: No such file" in problem
    assert world.codes("user77777@big.example", "alias77777@example.org") == [
        250, 250]
    assert sorted(world.server.role_pids()) == sorted(pids)
    os.kill(world.server.pid_of("directory"), signal.SIGKILL)
    until(lambda: world.codes("alias77777@example.org") == [250], 20,
          "the directory to be back")
    assert world.codes("user77777@big.example", "nobody@big.example") == [
        250, 550]
    world.build()
    assert world.codes("user77777@big.example", "alias1@example.org") == [
        250, 250]


def test_newaliases(server, tmp_path):
    """What an alias's table was made from is read again, as elsewhere."""
    (tmp_path / "aliases").write_text("first: alice\n")
    other = server(text='aliases-file = "%s/aliases.cdb"\n' % tmp_path,
                   start=False)
    link = tmp_path / "newaliases"
    link.symlink_to(os.path.abspath(BINARY))

    def newaliases():
        return subprocess.run([link, "-C", other.path], capture_output=True,
                              text=True, timeout=60)
    other.command("table", "build", check=0)
    other.start()
    (tmp_path / "aliases").write_text("first: alice\nsecond: alice\n")
    assert "2 aliases" in newaliases().stdout
    assert "goes to alice@" in other.command("address", "second", check=0)[1]
    other.send("second@example.org")
    other.wait_messages("alice")
    (tmp_path / "aliases").write_text("first: |/bin/sh\n")
    done = newaliases()
    assert done.returncode == 65 and "aliases:1: " in done.stderr


def test_nothing_is_kept(server, tmp_path):
    """Old tables go, with their descriptors and their memory."""
    (tmp_path / "aliases").write_text("first: alice\n")
    one = server(text='aliases-file = "%s/aliases.cdb"\n' % tmp_path,
                 start=False)
    one.command("table", "build", check=0)
    one.start()
    pids = [one.process.pid, one.pid_of("directory"), one.pid_of("queue")]

    def kept():
        found = []
        for pid in pids:
            names = []
            for fd in os.listdir("/proc/%d/fd" % pid):
                try:
                    names.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
                except OSError:
                    pass
            with open("/proc/%d/maps" % pid) as maps:
                found.append((sum("postern-table" in name for name in names),
                              maps.read().count("postern-table")))
        return found
    assert kept() == [(1, 1)] * 3
    for _ in range(3):
        one.command("reload", check=0)
    assert kept() == [(1, 1)] * 3


def test_wrong_names(world, server):
    """What is not named, or of the other kind, or not there."""
    world.build(world.path("other.cdb"), check=64)
    world.build(world.path("users"), check=64)
    world.build("-x", check=64)
    other = server(text='domain a.example { users-file = "%s" }\n' %
                   world.path("own.cdb"), start=False)
    assert "it is a table of aliases, not of users" in \
        other.command("check", check=78)[2]
    other.configure('aliases-file = "%s/none.cdb"\n' % other.folder)
    assert "none.cdb: No such file or directory" in \
        other.command("check", check=78)[2]
    assert "/none: cannot read this file: No such file" in \
        other.command("table", "build", check=65)[2]
    with pytest.raises(AssertionError, match="ended with 78"):
        other.start()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None,
                    reason="needs root and unshare")
def test_roles_that_may_open_nothing():
    """Another user, an empty root: the table comes as a descriptor, to a role
    that may not read the file itself."""
    folder = tempfile.mkdtemp(prefix="postern-tables-")
    os.chmod(folder, 0o755)
    one = Rooted(folder + "/s", text='aliases-file = "%s/a.cdb"\n' % folder)

    def aliases(text):
        with open(folder + "/a", "w") as out:
            out.write(text)
        os.chmod(folder + "/a", 0o600)
        one.command("table", "build", check=0)
    try:
        aliases("first: alice\n")
        one.start()
        assert os.stat(folder + "/a.cdb").st_mode & 0o777 == 0o600
        one.send("first@example.org")
        aliases("second: alice\n")
        one.send("second@example.org")
        talk = Talk(one.port)
        assert talk.mail("first@example.org")[0] == 550
        talk.close()
    finally:
        one.stop()
        shutil.rmtree(folder)
