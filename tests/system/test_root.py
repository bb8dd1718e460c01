# SPDX-License-Identifier: ISC
"""Started by root: each role is a user of its own, in an empty root, without
a way back; and mail flows all the same.

The users are those of packaging/sysusers.conf, in an /etc/passwd that only a
private mount namespace sees."""
import base64
import email
import grp
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature)

from postern import (BINARY, SRCDIR, Postern, Talk, dead_port, free_port,
                     shared_binary, until)
from smtp_peer import Stranger
from test_dns import NameServer

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root and unshare")

# The last one runs only where a listener serves policies.
ROLES = ("smtpd", "queue", "delivery", "mail", "policy", "directory", "sts")
USER_OF = {"smtpd": "smtpd", "queue": "queue", "delivery": "delivery",
           "mailbox": "mail", "policy": "policy", "directory": "directory"}


def free_ids(count):
    """Numbers that no user and no group has."""
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {
        entry.gr_gid for entry in grp.getgrall()}
    return [number for number in range(900, 60000)
            if number not in taken][:count]


class Rooted(Postern):
    """A server that sees other users than we do, and drops to them."""

    def __init__(self, folder, **options):
        ids = free_ids(len(ROLES) + 2)
        self.ids = dict(zip(ROLES + ("group", "member"), ids))
        folder = str(folder)
        os.makedirs(folder, exist_ok=True)
        passwd, group = folder + "/passwd", folder + "/group"
        for name, path in (("passwd", passwd), ("group", group)):
            shutil.copy("/etc/" + name, path)
        with open(passwd, "a") as users, open(group, "a") as groups:
            groups.write("postern:x:%d:\n" % self.ids["group"])
            for role in ROLES:
                number = self.ids[role]
                users.write("postern-%s:x:%d:%d::/:/usr/sbin/nologin\n" % (
                    role, number, number))
                groups.write("postern-%s:x:%d:\n" % (role, number))
        self.enter = ["unshare", "--mount", "sh", "-ec",
                      'mount --bind "$1" /etc/passwd\n'
                      'mount --bind "$2" /etc/group\n'
                      'shift 2; exec "$@"', "sh", passwd, group]
        super().__init__(
            folder, prefix=self.enter,
            # a process that gave up its rights cannot be looked into
            environment={"ASAN_OPTIONS": "detect_leaks=0"}, **options)

    def configure(self, text=None):
        super().configure(text)
        with open(self.path) as old:
            lines = old.read().replace("drop-privileges = no\n", "")
        state = self.parts["state"]
        with open(self.path, "w") as out:
            out.write('run-directory = "%s/run"\nmail-directory = "%s/mail"\n'
                      % (state, state) + lines)

    def inside(self, *words):
        """postern with these words, where the users exist."""
        done = subprocess.run(
            [*self.enter, BINARY, *words, "-c", self.path], text=True,
            capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def roles(self):
        """{role: pid}"""
        lines = [json.loads(line) for line in self.command(
            "status", "--json", check=0)[1].splitlines() if line]
        return {line["role"]: line["pid"] for line in lines[1:]
                if "role" in line}


@pytest.fixture(scope="module")
def one(certificate):
    # tmp_path of pytest is for its owner only; roots are entered as root, but
    # a member of the group has to reach the socket
    folder = tempfile.mkdtemp(prefix="postern-root-")
    os.chmod(folder, 0o755)
    peer = Stranger(certificate=certificate)
    names = NameServer(folder + "/names", free_port(), ["example"])
    names.write("example", "$ORIGIN example.\n$TTL 60\n"
                "@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\n"
                "ns A 127.0.0.1\nbymx MX 10 ns\n")
    server = Rooted(folder + "/s", certificate=certificate, text=(
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1s\nretry-max = 2s\n"
        'stub-zones = { "example 127.0.0.1@%d" }\n'
        'route "bymx.example" { port = %d }\n'
        'route "out.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'route "dead.example" { host = "127.0.0.1" port = %d mx = no }\n' % (
            names.port, peer.port, peer.port, dead_port())))
    server.peer = peer
    try:
        names.start("example")
        server.start()
        yield server
    finally:
        server.stop()
        names.stop()
        peer.close()
        log = server.read_log()
        shutil.rmtree(folder)
    assert server.process.returncode == 0
    assert "Sanitizer: " not in log and "runtime error" not in log, log


def status_of(pid):
    with open("/proc/%d/status" % pid) as text:
        return dict(line.rstrip("\n").split(":\t", 1) for line in text
                    if ":\t" in line)


def test_each_role_is_confined(one):
    """Its own uid and gid in all four places, no other group, no capability
    in any set, no_new_privs, a root directory of its own, no core."""
    roots = {"queue": "queue", "mailbox": "mail", "policy": "policy",
             "smtpd": "run/empty", "delivery": "run/empty",
             "directory": "run/empty"}
    roles = one.roles()
    assert set(roles) == set(USER_OF)
    for role, pid in roles.items():
        status = status_of(pid)
        number = str(one.ids[USER_OF[role]])
        assert status["Uid"].split() == [number] * 4, role
        assert status["Gid"].split() == [number] * 4, role
        assert status["Groups"].split() == [], role
        assert status["NoNewPrivs"] == "1", role
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, (role, name)
        assert os.readlink("/proc/%d/root" % pid) == os.path.join(
            one.parts["state"], roots[role]), role
        assert os.readlink("/proc/%d/cwd" % pid) == os.readlink(
            "/proc/%d/root" % pid), role
        with open("/proc/%d/limits" % pid) as limits:
            core = [line.split() for line in limits
                    if line.startswith("Max core")][0]
        assert core[4:6] == ["0", "0"], role
    assert os.listdir(one.parts["state"] + "/run/empty") == []


def test_no_role_can_reach_another(one):
    """What each has open: no directory, and nothing of root's but what it was
    given."""
    for role, pid in one.roles().items():
        for number in os.listdir("/proc/%d/fd" % pid):
            path = "/proc/%d/fd/%s" % (pid, number)
            try:
                target = os.readlink(path)
            except FileNotFoundError:
                continue
            if not target.startswith("/") or target.startswith("/dev/"):
                continue
            assert role in ("queue", "mailbox", "policy"), (role, target)
            assert target.startswith(one.parts["state"]), (role, target)
            if role == "policy":
                assert target.startswith(one.parts["state"] + "/policy/")


class SignedRoot(threading.Thread):
    """A name server that knows the key of its root, signed, and no more."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        private = ec.generate_private_key(ec.SECP256R1())
        point = private.public_key().public_bytes(
            serialization.Encoding.X962,
            serialization.PublicFormat.UncompressedPoint)
        key = struct.pack("!HBB", 257, 3, 13) + point[1:]
        tag = sum(byte << 8 if i % 2 == 0 else byte
                  for i, byte in enumerate(key))
        tag = (tag + (tag >> 16)) & 0xffff
        now = int(time.time())
        record = b"\0" + struct.pack("!HHIH", 48, 1, 600, len(key)) + key
        head = struct.pack("!HBBIIIH", 48, 13, 0, 600, now + 86400,
                           now - 86400, tag) + b"\0"
        r, s = decode_dss_signature(private.sign(
            head + record, ec.ECDSA(hashes.SHA256())))
        signature = head + r.to_bytes(32, "big") + s.to_bytes(32, "big")
        self.answer = record + b"\0" + struct.pack(
            "!HHIH", 46, 1, 600, len(signature)) + signature
        self.anchor = ". IN DNSKEY 257 3 13 %s\n" % base64.b64encode(
            point[1:]).decode()
        self.start()

    def run(self):
        edns = b"\0" + struct.pack("!HHIH", 41, 1232, 0x8000, 0)
        while True:
            try:
                query, sender = self.socket.recvfrom(4096)
            except OSError:
                return
            knows = query[12:17] == b"\0\0\x30\0\1"
            end = query.index(b"\0", 12) + 5
            self.socket.sendto(
                query[:2] + struct.pack("!HHHHH", 0x8180 if knows else 0x8182,
                                        1, 2 if knows else 0, 0, 1) +
                query[12:end] + (self.answer if knows else b"") + edns, sender)


def test_trust_anchor_is_kept_inside_the_root():
    """RFC 5011: the state file is made before the chroot, and libunbound
    writes it again after it, as the role's own user."""
    folder = tempfile.mkdtemp(prefix="postern-root-")
    os.chmod(folder, 0o755)
    root = SignedRoot()
    packaged = os.path.join(folder, "root.key")
    with open(packaged, "w") as out:
        out.write(root.anchor)
    server = Rooted(folder + "/s", text=(
        "resolver = forward\nforwarders = { \"127.0.0.1@%d\" }\n"
        "resolver-timeout = 10s\n" % root.port))
    with open(server.path) as old:
        lines = old.read().replace('trust-anchor-file = ""',
                                   'trust-anchor-file = "%s"' % packaged)
    with open(server.path, "w") as out:
        out.write(lines)
    state = server.parts["state"] + "/policy/root.anchor"
    try:
        server.start()
        server.wait_log("DNSSEC answers validate", 30)
        with open(state) as kept:
            text = kept.read()
        assert "last_success" in text and ";;state=2 [  VALID  ]" in text
        assert root.anchor.split()[-1] in text
        found = os.stat(state)
        assert found.st_uid == server.ids["policy"]
        assert found.st_mode & 0o777 == 0o600
        # it begins again with what libunbound wrote
        server.stop()
        server.start()
        server.wait_log("DNSSEC answers validate", 30, count=2)
        assert "set aside" not in server.read_log()
    finally:
        server.stop()
        root.socket.close()
        log = server.read_log()
        shutil.rmtree(folder)
    assert "Sanitizer: " not in log and "runtime error" not in log, log


def test_files_belong_to_their_users(one):
    """The queue is the queue's alone, maildirs are the mail user's, the
    socket is root's and the group's."""
    one.send()
    (path,) = until(lambda: os.path.isdir(one.maildir("alice")) and
                    os.listdir(one.maildir("alice")))[:1]
    state = one.parts["state"]
    folder = one.maildir("alice")
    wanted = {
        os.path.join(folder, path): ("mail", 0o600), folder: ("mail", 0o700),
        os.path.dirname(folder): ("mail", 0o700),
        state + "/queue": ("queue", 0o700),
        state + "/policy": ("policy", 0o700),
        state + "/mail": ("mail", 0o750),
    }
    for name in os.listdir(state + "/queue"):
        wanted[state + "/queue/" + name] = ("queue", None)
    for name, (role, mode) in wanted.items():
        status = os.stat(name)
        assert status.st_uid == one.ids[role], name
        assert mode is None or status.st_mode & 0o777 == mode, (
            name, oct(status.st_mode))
        assert status.st_mode & 0o007 == 0, name
    control = os.stat(state + "/run/control")
    assert (control.st_uid, control.st_gid) == (0, one.ids["group"])
    assert control.st_mode & 0o777 == 0o660
    empty = os.stat(state + "/run/empty")
    assert empty.st_uid == 0 and empty.st_mode & 0o222 == 0


def test_mail_flows_both_ways(one, authority):
    """TLS in, maildir; and TLS out: certificates, keys and the list of
    authorities are there although no role can open a file."""
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    assert talk.code("STARTTLS") == 220
    context = ssl.create_default_context(cafile=authority.chain)
    talk.socket = context.wrap_socket(talk.socket,
                                      server_hostname="mx.example.org")
    before = len(one.messages("alice"))
    assert talk.mail()[0] == 250
    (got, *_) = one.wait_messages("alice", before + 1)
    assert "ESMTPS" in "".join(
        email.message_from_bytes(message)["Received"]
        for message in one.messages("alice"))
    assert talk.mail("bob@out.example")[0] == 250
    assert talk.mail("bob@bymx.example")[0] == 250    # policy asks the DNS
    until(lambda: len(one.peer.messages) == 2, 20, one.read_log)
    assert [secure for secure, *_ in one.peer.messages] == [True, True]


@pytest.mark.parametrize("role", list(USER_OF))
def test_restart_of_a_role(one, role):
    """kill -9: its successor is confined the same way, and mail works."""
    dead = until(lambda: one.roles()[role])
    os.kill(dead, signal.SIGKILL)
    pid = until(lambda: one.roles()[role] not in (0, dead) and
                one.roles()[role])

    def confined():
        status = status_of(pid)
        return status["NoNewPrivs"] == "1" and status["Uid"].split() == [
            str(one.ids[USER_OF[role]])] * 4
    until(confined)
    before = len(one.messages("alice"))

    def sent():
        try:
            return Talk(one.port).mail()[0] == 250
        except (EOFError, OSError):
            return False
    until(sent)
    one.wait_messages("alice", before + 1)


def test_reload(one, make_certificate):
    """The supervisor, still root, reads what the roles cannot: a new key and
    a new domain; the roles stay the same processes."""
    pids = one.roles()
    fresh = make_certificate("mx.example.org")
    os.chmod(fresh.key, 0o600)
    old, one.certificate = one.certificate, fresh
    text = one.text
    one.configure(text + 'domain "new.example" { users = { carol } }\n')
    code, out, err = one.inside("reload")
    assert code == 0, err
    talk = Talk(one.port)
    talk.say("EHLO client.example")
    talk.code("STARTTLS")
    talk.socket = ssl._create_unverified_context().wrap_socket(talk.socket)
    with open(fresh.chain) as pem:
        assert talk.socket.getpeercert(binary_form=True) == \
            ssl.PEM_cert_to_DER_cert(pem.read())
    assert talk.mail("carol@new.example")[0] == 250
    one.wait_messages("carol", domain="new.example")
    assert one.roles() == pids
    one.certificate = old
    one.configure(text)
    assert one.inside("reload")[0] == 0


def test_group_may_look(one):
    """A member of the control group sees metadata and nothing else; another
    user does not get in."""
    identifier = one.send("x@dead.example")

    def ask(groups, *words):
        done = subprocess.run(
            [shared_binary(), *words, "-c", one.path], capture_output=True,
            text=True, timeout=60, user=one.ids["member"], group=one.ids["member"],
            extra_groups=groups, cwd="/", stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr
    member = [one.ids["group"]]
    for words in (["status"], ["queue", "list"], ["queue", "show", identifier],
                  ["queue", "stats"]):
        assert ask(member, *words)[0] == 0, words
    for words in (["queue", "cat", identifier], ["queue", "delete", "--all"],
                  ["queue", "retry", "--all"], ["reload"], ["stop"]):
        code, text = ask(member, *words)
        assert code == 77 and "permission denied" in text.lower(), (words,
                                                                    text)
    code, text = ask([], "queue", "list")
    assert code == 77 and "not in the group" in text, text
    assert one.command("queue", "cat", identifier)[0] == 0
    one.command("queue", "delete", identifier, check=0)


def test_stop_and_start_again(one):
    """What the first start gave to its users is in order for the second."""
    identifier = one.send("x@dead.example")
    one.command("queue", "hold", identifier, check=0)
    one.stop()
    assert one.process.returncode == 0
    one.start()
    (entry,) = one.queue("show", identifier)
    assert entry["state"] == "held"
    one.command("queue", "delete", identifier, check=0)
    before = len(one.messages("alice"))
    one.send()
    one.wait_messages("alice", before + 1)


def test_missing_users_are_named(tmp_path):
    """Without the users neither run nor check goes on, and both say what to
    do."""
    one = Rooted(tmp_path / "s")
    for words in (["run"], ["check"]):
        code, out, err = one.command(*words)
        assert code == 78, (words, out, err)
        assert 'no user "postern-' in out + err
        assert "systemd-sysusers" in out + err
    code, out, err = one.inside("check")
    assert "no user" not in out and code == 0, out


def test_foreign_directory_is_refused(tmp_path):
    """A queue that belongs to somebody else is not taken over."""
    one = Rooted(tmp_path / "s")
    os.makedirs(one.parts["state"] + "/queue")
    os.chown(one.parts["state"] + "/queue", 65534, 65534)
    code, out, err = one.inside("run")
    assert code == 78 and "belongs to user 65534" in err, err


def test_the_users_are_those_of_the_package():
    """This file and packaging/sysusers.conf speak of the same users."""
    with open(os.path.join(SRCDIR, "packaging/sysusers.conf")) as text:
        names = {line.split()[1] for line in text if line[:1] in "ug"}
    assert names == {"postern"} | {"postern-" + role for role in ROLES}
