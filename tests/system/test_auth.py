# SPDX-License-Identifier: ISC
"""AUTH where it is hardest to see: the same answer in the same time for whoever
is not let in, pauses for who guesses, SCRAM against a client of another hand,
Dovecot's own server behind it. What people do is in test_people.py."""
import base64
import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

from dovecot import Dovecot
from postern import BINARY, Talk, free_port, until
from scram_client import Scram, login

WORD = "Drosselbart-4711"
WRONG = "Rumpelstilz-0815"


def plain(user, password):
    return "AUTH PLAIN " + base64.b64encode(
        ("\0%s\0%s" % (user, password)).encode()).decode()


class Door:
    """A server with AUTH on its one port, and users."""

    def __init__(self, make, certificate, authority, more=""):
        self.authority = authority
        self.server = make(
            certificate=certificate, users=("alice", "bob", "carol"),
            listener="auth = yes max-sessions-per-client = 2000",
            text="log-level = debug\nmax-sessions = 4000\n" + more)

    def user(self, *words, password=None):
        done = subprocess.run(
            [BINARY, "user", *words, "-c", self.server.path],
            input=None if password is None else password + "\n",
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout

    def talk(self, source="127.0.0.1"):
        talk = Talk.__new__(Talk)
        talk.socket = socket.create_connection(
            ("127.0.0.1", self.server.port), 60, (source, 0))
        talk.rest = b""
        talk.reply()
        talk.say("EHLO client.example")
        assert talk.code("STARTTLS") == 220
        context = ssl.create_default_context(cafile=self.authority.chain)
        talk.socket = context.wrap_socket(talk.socket,
                                          server_hostname="mx.example.org")
        talk.offered = talk.say("EHLO client.example")[1]
        return talk


@pytest.fixture(scope="module")
def door(module_server, certificate, authority):
    one = Door(module_server, certificate, authority)
    one.user("add", "alice@example.org", password=WORD)
    one.user("add", "carol@example.org", password=WORD)
    one.user("disable", "carol@example.org")
    yield one
    log = one.server.read_log()
    for word in (WORD, WRONG, "Drosselbart", "Rumpelstilz",
                 base64.b64encode(b"\0" + WORD.encode()).decode()[4:20],
                 base64.b64encode(WORD.encode()).decode()[:16]):
        assert word not in log


def test_scram(door):
    """SMTP-148: a client that is not ours, and a server that proves itself."""
    talk = door.talk()
    assert login(talk, Scram("alice@example.org", WORD))[0] == 235
    talk.close()
    talk = door.talk()
    assert login(talk, Scram("alice@example.org", WRONG)) == (
        535, ["5.7.8 user name or password are not right"])
    # "y": the client was told that we cannot bind, although we said we can
    assert login(talk, Scram("alice@example.org", WORD, flag="y,,"))[0] == 535
    assert login(talk, Scram("alice@example.org", WORD))[0] == 235
    talk.close()


def test_nobody_looks_like_somebody(door):
    """TLS-85: salt and iterations of a user who is not there are the same each
    time, also after a restart, and like all others."""
    def shown(user):
        talk = door.talk("127.0.9.1")
        scram = Scram(user, WRONG)
        assert login(talk, scram)[0] == 535
        talk.close()
        return scram.salt, scram.iterations

    there = shown("alice@example.org")
    before = [shown(user) for user in ("carol@example.org", "nobody",
                                       "zoe@example.org")]
    assert len({there, *before}) == 4
    assert {(len(salt), count) for salt, count in [there, *before]} == {
        (len(there[0]), there[1])}
    door.server.stop()
    door.server.start()
    assert before == [shown(user) for user in (
        "carol@example.org", "nobody", "Zoe@example.org")]


def bind(door, commands):
    """Says lines to `openssl s_client`, which prints what tls-exporter is."""
    process = subprocess.Popen(
        ["timeout", "30", "openssl", "s_client", "-connect", "127.0.0.1:%d" % door.server.port,
         "-starttls", "smtp", "-tls1_3", "-crlf", "-keymatexport",
         "EXPORTER-Channel-Binding", "-keymatexportlen", "32", "-ign_eof",
         "-CAfile", door.authority.chain, "-servername", "mx.example.org"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    lines = []

    def read(want):
        while True:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(lines[-20:])
            line = line.decode().rstrip("\r\n")
            lines.append(line)
            if want(line):
                return line

    key = bytes.fromhex(read(lambda line: "Keying material: " in line)
                        .split(": ")[1])

    def say(line):
        process.stdin.write((line + "\n").encode())
        process.stdin.flush()
        text = read(lambda one: one[:3].isdigit() and one[3:4] == " ")
        return int(text[:3]), [text[4:]]

    try:
        return commands(key, say)
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


def test_scram_plus(door):
    """RFC 9266: bound to the session that OpenSSL's own client has, and to no
    other."""
    class Said:
        def __init__(self, say):
            self.say = say

    def right(key, say):
        assert say("EHLO client.example")[0] == 250
        return login(Said(say), Scram("alice@example.org", WORD, binding=key))

    def other(key, say):
        assert say("EHLO client.example")[0] == 250
        return login(Said(say), Scram("alice@example.org", WORD,
                                      binding=key[:-1] + bytes([key[-1] ^ 1])))

    assert bind(door, right)[0] == 235
    assert bind(door, other)[0] == 535


def test_same_time(door):
    """SMTP-149, TLS-85: what an answer takes tells nobody who is a user. Taken
    in turns, so that whatever else the machine does hits all alike."""
    who = ["alice@example.org", "carol@example.org", "nobody@example.org"]
    took = {user: [] for user in who}
    for turn in range(12):
        # each address may fail ten times, each name twenty
        talk = door.talk("127.0.7.%d" % (turn + 1))
        for user in who[turn % 3:] + who[:turn % 3]:
            begin = time.monotonic()
            code, texts = talk.say(plain(user, WRONG))
            took[user].append(time.monotonic() - begin)
            assert (code, texts) == (
                535, ["5.7.8 user name or password are not right"])
        talk.close()
    # Other tests run beside this one: what is computed shows in the turn
    # that they disturbed least.
    least = {user: min(took[user]) for user in who}
    assert max(least.values()) < 1.5 * min(least.values()), least
    # ... and it is not that nothing is computed
    assert min(least.values()) > 0.004, least


def test_who_guesses_waits(door):
    """SMTP-149: 454 4.7.0, for one address; others go on."""
    seen = []
    for number in range(4):
        talk = door.talk("127.0.8.1")
        for _ in range(4):
            seen.append(talk.say(plain("guess%d" % len(seen), WRONG))[0])
        talk.close()
        if 454 in seen:
            break
    assert seen.index(454) == 11 and set(seen[:11]) == {535}
    talk = door.talk("127.0.8.1")
    assert talk.code(plain("alice@example.org", WORD)) == 454
    talk.close()
    talk = door.talk("127.0.8.2")
    assert talk.code(plain("alice@example.org", WORD)) == 235
    talk.close()

    def let_in():
        one = door.talk("127.0.8.1")
        try:
            return one.code(plain("alice@example.org", WORD)) == 235
        finally:
            one.close()
    until(let_in, 30)


def test_many_at_once(door):
    """Logins by password keep nobody waiting who does not log in."""
    talk = door.talk("127.0.6.1")
    codes = []
    talks = [door.talk("127.0.6.2") for _ in range(40)]

    def one(with_whom):
        codes.append(with_whom.code(plain("alice@example.org", WORD)))

    threads = [threading.Thread(target=one, args=(each,)) for each in talks]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    longest = 0
    while any(thread.is_alive() for thread in threads):
        before = time.monotonic()
        assert talk.code("RCPT TO:<alice@example.org>") == 503
        assert talk.code("MAIL FROM:<a@elsewhere.example>") == 250
        # the directory itself, behind all these passwords
        assert talk.code("RCPT TO:<alice@example.org>") == 250
        assert talk.code("RSET") == 250
        longest = max(longest, time.monotonic() - before)
        if time.monotonic() - begin > 2:
            talk.close()
            talk = door.talk("127.0.6.1")     # no more errors than allowed
            begin = time.monotonic()
        time.sleep(0.2)
    assert codes == [235] * 40
    assert longest < 1.5, longest
    for each in talks + [talk]:
        each.close()


def memory_of(pid):
    """What a process holds in pages of its own, piece by piece; not the shadow
    of a sanitizer, which is larger than any machine."""
    with open("/proc/%d/maps" % pid) as maps, \
            open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            words = line.split()
            begin, end = (int(half, 16) for half in words[0].split("-"))
            if not words[1].startswith("rw") or end - begin > 64 << 20 or \
                    words[-1] in ("[vvar]", "[vsyscall]"):
                continue
            try:
                memory.seek(begin)
                yield memory.read(end - begin)
            except OSError:
                pass                            # gone meanwhile


def test_nothing_stays(door):
    """A password that was used is in nobody's memory any more: buffers of
    connections and channels, TLS's own, the work of the hash."""
    words = [b"Siebenschoen-%d" % number for number in range(3)]
    door.user("add", "bob@example.org", password=words[0].decode())
    talks = [door.talk("127.0.5.1") for _ in range(3)]
    assert talks[0].code(plain("bob@example.org", words[0].decode())) == 235
    assert talks[1].code("AUTH LOGIN") == 334
    assert talks[1].code(base64.b64encode(b"bob").decode()) == 334
    assert talks[1].code(base64.b64encode(words[1]).decode()) == 535
    # no answer is waited for, and the line is longer than one may be
    talks[2].socket.sendall(b"AUTH PLAIN " + base64.b64encode(
        b"\0bob\0" + words[2]) + b"A" * 30000 + b"\r\n")
    assert talks[2].reply()[0] == 500
    for pid in door.server.role_pids() + [door.server.process.pid]:
        for piece in memory_of(pid):
            for word in words:
                assert word not in piece, pid
                for before in (b"\0bob\0", b"\0bob@example.org\0", b""):
                    text = base64.b64encode(before + word)[:-4]
                    assert text[len(before) * 4 // 3 + 2:] not in piece, pid
    for talk in talks:
        talk.close()


def test_file_errors(door, tmp_path):
    """The accounts file is read before it is believed; its errors have a line
    and say no secret."""
    path = os.path.join(door.server.parts["state"], "accounts")
    with open(path) as kept:
        text = kept.read()
    with open(path, "a") as broken:
        broken.write("dora pass-word-of-dora\n")
    try:
        done = subprocess.run(
            [BINARY, "reload", "-c", door.server.path], timeout=60,
            capture_output=True, text=True)
        assert done.returncode != 0
        line = text.count("\n") + 1
        assert "%s:%d: " % (path, line) in done.stdout + done.stderr
        assert "pass-word-of-dora" not in done.stdout + done.stderr
        talk = door.talk()                       # all is as it was
        assert talk.code(plain("alice@example.org", WORD)) == 235
        talk.close()
    finally:
        with open(path, "w") as whole:
            whole.write(text)
    door.server.command("reload", check=0)


def run(server, *words, password=None):
    done = subprocess.run([BINARY, *words, "-c", server.path], timeout=60,
                          input=password, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_before_the_first_start(server, authority):
    """Users and certificates can be listed before there is a state directory;
    the server then takes it as its own. One person has one account."""
    one = server(start=False, users=("alice", "bob"))
    assert not os.path.exists(one.parts["state"])
    for words, password in ((("user", "add", "alice"), WORD),
                            (("relay", "allow", "--cert", authority.chain,
                              "--name", "laptop"), None)):
        code, said = run(one, *words, password=password)
        assert code == 0 and "no server is running" in said, said
    assert os.stat(one.parts["state"]).st_mode & 0o7777 == 0o755
    for twice in ("alice", "alice@example.org", "Alice@EXAMPLE.org"):
        code, said = run(one, "user", "add", twice, password=WRONG)
        assert code == 65 and "there is a user alice already" in said, said
    assert run(one, "user", "add", "bob@example.org", password=WORD)[0] == 0
    code, said = run(one, "user", "add", "bob", password=WRONG)
    assert code == 65 and "there is a user bob@example.org" in said, said
    # nobody is asked for a password in vain
    for words in (("add", "bob"), ("passwd", "zoe")):
        code, said = run(one, "user", *words, "--password-file", "/none")
        assert code == 65 and "there is " in said and "/none" not in said
    one.start()
    assert run(one, "user", "test", "alice", password=WORD)[0] == 0
    code, said = run(one, "user", "disable", "alice")
    assert code == 0 and "reloaded" in said, said


def test_no_directory_for_the_accounts(server, tmp_path):
    """Only the state directory is made; of others the place is said."""
    one = server(start=False, text='accounts-file = "%s/not/there"\n' %
                 tmp_path)
    code, said = run(one, "user", "add", "alice", password=WORD)
    assert code == 65 and "%s/not/there.lock" % tmp_path in said, said
    assert "make its directory first" in said
    assert not (tmp_path / "not").exists()


# --- Dovecot ---

def test_dovecot(server, certificate, authority, tmp_path):
    """auth-socket: users and passwords are Dovecot's, addresses are ours; a
    Dovecot that goes away is 454, one that comes back is used again."""
    dovecot = Dovecot(tmp_path / "dovecot", {"bob@example.org": WORD})
    dovecot.start()
    try:
        door = Door(server, certificate, authority,
                    'auth-socket = "%s"\n' % dovecot.auth)
        door.server.wait_log("auth-socket path=")
        talk = door.talk()
        offered = [one for one in talk.offered if one.startswith("AUTH")]
        assert offered == ["AUTH PLAIN"], offered
        assert talk.code(plain("bob@example.org", WRONG)) == 535
        assert talk.code(plain("nobody@example.org", WORD)) == 535
        assert talk.code("AUTH SCRAM-SHA-256") == 504
        # what a stranger says for a name comes back in the answer, and takes
        # the connection that everybody's logins share from nobody
        for number, name in enumerate(("a" * 400, "c\x01d", "\t" * 8500)):
            other = door.talk("127.0.4.%d" % (number + 1))
            assert other.code("AUTH PLAIN") == 334
            assert (number, other.code(plain(name, WRONG)[11:])) == (
                number, 535)
            other.close()
        assert "auth-socket-lost" not in door.server.read_log()
        assert talk.code("AUTH PLAIN") == 334
        assert talk.code(base64.b64encode(
            ("\0bob@example.org\0" + WORD).encode()).decode()) == 235
        assert talk.code("MAIL FROM:<alice@example.org>") == 553
        assert talk.code("MAIL FROM:<bob+x@example.org>") == 250
        talk.close()
        door.server.wait_log("login user=bob@example.org mechanism=PLAIN")
        assert WORD not in door.server.read_log()
    finally:
        dovecot.stop()


def test_auth_socket_lost(server, certificate, authority, tmp_path):
    """One that goes away in the middle is 454, and is used again when it is
    back; what it says that is not its protocol is not believed."""
    path = str(tmp_path / "auth")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    heard = []

    def serve():
        for number in range(3):
            peer = listener.accept()[0]
            stream = peer.makefile("rwb")
            stream.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\n"
                         b"CUID\t1\nCOOKIE\tff\nDONE\n")
            stream.flush()
            for line in stream:
                words = line.rstrip(b"\n").split(b"\t")
                heard.append(words)
                if words[0] != b"AUTH":
                    continue
                if number == 0:
                    break
                stream.write((b"OK\t%s\n" if number == 1 else
                              b"OK\t%s\tuser=bob@example.org\n") % words[1])
                stream.flush()
            stream.close()
            peer.close()

    threading.Thread(target=serve, daemon=True).start()
    door = Door(server, certificate, authority, 'auth-socket = "%s"\n' % path)
    for number in range(2):
        door.server.wait_log("auth-socket path=", count=number + 1)
        talk = door.talk()
        assert talk.code(plain("bob@example.org", WORD)) == 454
        talk.close()
    door.server.wait_log("auth-socket path=", count=3)
    talk = door.talk()
    assert talk.code(plain("bob@example.org", WORD)) == 235
    talk.close()
    words = [one for one in heard if one[0] == b"AUTH"][-1]
    assert words[2:6] == [b"PLAIN", b"service=smtp", b"secured", b"nologin"]
    assert b"rip=127.0.0.1" in words and words[-1].startswith(b"resp=")
    assert [b"VERSION", b"1", b"1"] in heard
    listener.close()
