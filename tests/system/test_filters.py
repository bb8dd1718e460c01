# SPDX-License-Identifier: ISC
"""Debian's rspamd, opendkim and clamav-milter as filters of Postern: what each
does for a living, all in one chain, and each of them dead, stalled and slow.
Signatures of ours as they and dkimpy verify them."""
import base64
import email
import os
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings

import pytest

from filters import (EICAR, GTUBE, ClamavMilter, Clamd, OpenDkim,
                     Rspamd, wanting)
from postern import PEERS, Postern, Talk, free_port, until
from test_authentication import records_of
from test_dns import NameServer
from test_edited import Filter, text

sys.path.append(os.path.join(PEERS, "root/usr/lib/python3/dist-packages"))
import dkim

pytestmark = pytest.mark.skipif(wanting() is not None, reason=str(wanting()))

KNOWN = "127.0.0.9"     # signed for; 127.0.0.1 is a stranger
POLICIES = ("tempfail", "accept", "reject")
FILTERS = ("rspamd", "opendkim", "clamav")
DEADLINE = 1            # of those that are to fail, for each answer
# How they are asked: straight or behind a relay, and seconds for a message.
KINDS = (("straight", False, 300), ("slow", True, 300), ("promise", True, 4))
# Nothing may take longer, not even on a machine that has much else to do.
BOUND = 12

RECORDS = """\
$ORIGIN .
$TTL 60
@ SOA ns.chain. hostmaster.chain. 1 60 60 60 60
@ NS ns.chain.
ns.chain. A 127.0.0.1
example.org. TXT "v=spf1 -all"
_dmarc.example.org. TXT "v=DMARC1; p=reject"
"""


def quoted(data):
    return " ".join('"%s"' % data[at:at + 200]
                    for at in range(0, len(data), 200))


class Relay(threading.Thread):
    """In front of a filter: its answers come as .manner says: "late" by .delay
    seconds, "dripping" byte by byte, "promised" for ever, or as they are."""

    def __init__(self, path, behind):
        super().__init__(daemon=True)
        self.behind = behind
        self.manner, self.delay = None, 0.2
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(50)
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.behind)
            for way in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.carry, args=way,
                                 daemon=True).start()

    def carry(self, source, target, slowly):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if slowly and self.manner:
                    self.send_slowly(target, data)
                else:
                    target.sendall(data)
        except OSError:
            pass        # the other side has gone
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def send_slowly(self, target, data):
        while self.manner == "promised":
            target.sendall(struct.pack(">I", 1) + b"p")
            time.sleep(self.delay)
        for byte in data if self.manner == "dripping" else ():
            time.sleep(self.delay)
            target.sendall(bytes([byte]))
        if self.manner != "dripping":
            time.sleep(self.delay)
            target.sendall(data)


class World:
    """The filters, the name server and one Postern with a listener for each
    chain: .ports by name."""

    def __init__(self, folder):
        self.folder = folder
        self.sent = 0
        self.key = subprocess.run(
            ["openssl", "genrsa", "-traditional", "2048"], check=True,
            capture_output=True).stdout
        self.names = NameServer(folder / "names", free_port(), ["."])
        self.clamd = Clamd(folder / "clamd").start()
        self.rspamd = Rspamd(folder / "rspamd", self.names.port,
                             self.key).start()
        self.opendkim = OpenDkim(folder / "opendkim", "signed.example", "s1",
                                 self.key)
        self.clamav = ClamavMilter(folder / "clamav", self.clamd, "Reject")
        self.hold = ClamavMilter(folder / "hold", self.clamd, "Quarantine")
        self.programs = [self.rspamd, self.opendkim, self.clamav, self.hold,
                         self.clamd]
        self.python, self.last = Filter(), Filter()
        self.relays = {}
        self.ports = {}
        self.server = Postern(
            str(folder / "postern"), users=("alice", "bob"), text=(
                "relay-from = { %s }\nspf = observe\ndmarc = observe\n"
                'stub-zones = { ". 127.0.0.1@%d" }\n' % (
                    KNOWN, self.names.port)
                + self.sections()))

    def section(self, name, socket_path, more=""):
        return 'milter %s { socket = "%s" %s }\n' % (name, socket_path, more)

    def listener(self, name, *chain):
        self.ports[name] = free_port()
        return ('listen %s { service = smtp addresses = { "127.0.0.1" } '
                "port = %d milters = { %s } }\n" % (
                    name, self.ports[name], ", ".join(chain)))

    def sections(self):
        """Each by itself, in chains, and with short deadlines and every
        policy: straight, and behind a relay."""
        out = "".join(
            'milter %s { host = "127.0.0.1" port = %d }\n' % (
                name, getattr(self, name).port)
            for name in ("python", "last"))
        for name in FILTERS + ("hold",):
            out += self.section(name, getattr(self, name).socket)
            out += self.listener("only-" + name, name)
        out += self.listener("chain", "opendkim", "clamav", "rspamd")
        out += self.listener("changed", "python", "opendkim", "clamav",
                             "rspamd")
        out += self.listener("twice", "python", "rspamd", "last")
        for name in FILTERS:
            behind = getattr(self, name).socket
            relayed = str(self.folder / name / "relay")
            self.relays[name] = Relay(relayed, behind)
            out += self.section("relayed-" + name, relayed)
            for policy in POLICIES:
                for kind, is_relayed, seconds in KINDS:
                    word = "%s-%s-%s" % (kind, name, policy)
                    out += self.section(
                        word, relayed if is_relayed else behind,
                        "failure = %s connect-timeout = %ds "
                        "reply-timeout = %ds message-timeout = %ds" % (
                            policy, DEADLINE, DEADLINE, seconds))
                    out += self.listener(word, word)
        return out + self.listener("relayed", *(
            "relayed-" + name for name in ("opendkim", "clamav", "rspamd")))

    def start(self):
        """Our key is published before anything is signed with it."""
        self.server.command("dkim", "new", "example.org", check=0)
        public = subprocess.run(
            ["openssl", "rsa", "-pubout", "-outform", "DER"], check=True,
            input=self.key, capture_output=True).stdout
        records = records_of(self.server)
        for domain in ("signed.example", "rspamd.example"):
            records["s1._domainkey." + domain] = (
                "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode())
        self.records = records
        self.zone = RECORDS + "".join(
            "%s. TXT %s\n" % (name, quoted(data))
            for name, data in records.items())
        self.names.write(".", self.zone)
        self.names.start("ns.chain")
        self.opendkim.publish(records)
        self.clamd.up()     # or its filters take it for dead at first
        for program in (self.opendkim, self.clamav, self.hold):
            program.start()
        self.server.start()
        self.server.command("dkim", "activate", "example.org", check=0)
        for program in self.programs:
            program.up()
        return self

    def stop(self):
        try:
            self.server.stop()
        finally:
            self.names.stop()
            for program in self.programs:
                program.stop()

    def mark(self, message):
        self.sent += 1
        return b"X-Mark: %d.\r\n" % self.sent + message

    def found(self, message, user="alice"):
        """It, as it stands in the maildir."""
        mark = message.split(b"\r\n")[0]

        def look():
            return [one for one in self.server.messages(user) if mark in one]
        until(look, 20, lambda: self.server.read_log()[-2000:])
        return look()[0].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def send(self, chain, message, sender="bob@example.net",
             recipient="alice@example.org"):
        talk = Talk(self.ports[chain])
        talk.socket.settimeout(60)
        answer = talk.mail(recipient, sender, message)
        talk.close()
        return answer

    def deliver(self, chain, message, **more):
        """What the recipient has, as an email.message; never marked in what
        is signed."""
        message = self.mark(message)
        code, texts = self.send(chain, message, **more)
        assert code == 250, texts
        return email.message_from_bytes(self.found(message))

    def submit(self, port, message, sender):
        """From a client that is known; what the recipient has."""
        message = self.mark(message)
        with smtplib.SMTP("127.0.0.1", port,
                          source_address=(KNOWN, 0)) as client:
            client.sendmail(sender, ["alice@example.org"], message)
        return self.found(message)

    def text_of(self, name, timeout=5):
        """dkimpy's way to the records."""
        name = name.decode() if isinstance(name, bytes) else name
        data = self.records.get(name.rstrip("."))
        return data and data.encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("filters"))
    try:
        yield world.start()
    finally:
        world.stop()


def message(body, subject=b"clean", sender=b"bob@example.net", more=b""):
    return (b"From: <%s>\r\nTo: <alice@example.org>\r\nSubject: %s\r\n"
            b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
            b"Message-ID: <1@example.net>\r\n%s\r\n%s\r\n" % (
                sender, subject, more, body))


def attached(content):
    """In base64: whoever finds it has taken the message apart."""
    return message(
        b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\n"
        b"Content-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=a.com\r\n\r\n" +
        base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--x--",
        more=b'MIME-Version: 1.0\r\n'
             b'Content-Type: multipart/mixed; boundary="x"\r\n')


def seen(found):
    """What rspamd says it was given: {what: value}."""
    result = " ".join(found["X-Spamd-Result"].split())
    assert "SEES" in result, result
    inside = result.split("SEES(", 1)[1].split("[", 1)[1].split("]", 1)[0]
    return dict(one.strip().split("=", 1) for one in inside.split(","))


def test_rspamd(world):
    """Refuses its test message, changes a subject, adds its fields: without
    a chain all three would arrive, and as they were."""
    code, texts = world.send("only-rspamd", message(b"X" + GTUBE))
    assert code >= 500 and "Gtube" in texts[0], texts
    world.server.wait_log("milter=rspamd stage=content action=reject")
    found = world.deliver("only-rspamd", message(b"hello"))
    assert found.get_payload() == "hello\r\n"
    assert found["Subject"] == "clean" and "X-Spam" not in found
    told = seen(found)
    assert told["from"] == "bob@example.net"
    assert told["to"] == "alice@example.org" and told["subject"] == "clean"
    found = world.deliver("only-rspamd", message(b"Z" + GTUBE))
    assert found.get_all("Subject") == ["***SPAM*** clean"]
    found = world.deliver("only-rspamd", message(b"Y" + GTUBE))
    assert found["X-Spam"] == "Yes"


def test_clamav(world):
    """Refuses a virus, lets the rest through with its fields; or has it held:
    nobody gets it before it is released."""
    code, texts = world.send("only-clamav", attached(EICAR))
    assert code == 550 and "there is Test.Eicar" in texts[0], texts
    found = world.deliver("only-clamav", attached(EICAR[:-1]))
    assert found["X-Virus-Status"] == "Clean"
    assert found["X-Virus-Scanned"].startswith("clamav-milter")
    virus = world.mark(attached(EICAR))
    code, texts = world.send("only-hold", virus)
    assert code == 250, texts
    identifier = texts[0].split()[-1]
    (entry,) = world.server.queue("show", identifier)
    assert entry["state"] == "held", entry
    assert entry["recipients"][0]["held-by"] == "filter"
    assert "quarantined by clamav-milter" in entry["recipients"][0]["held"]
    world.server.command("queue", "release", identifier, check=0)
    found = email.message_from_bytes(world.found(virus))
    assert "Infected" in found["X-Virus-Status"]
    assert found.get_payload(1).get_payload(decode=True) == EICAR


def test_rspamd_signs(world):
    """Its signature comes through us as an edit, and holds for us."""
    found = world.deliver("only-rspamd", message(
        b"signed by rspamd\r\n", sender=b"x@rspamd.example"),
        sender="x@rspamd.example")
    text = found.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    signed = text[text.index(b"DKIM-Signature:"):]
    assert b"d=rspamd.example" in signed, text
    found = world.deliver("only-opendkim", signed, sender="x@rspamd.example")
    (our,) = [" ".join(one.split())
              for one in found.get_all("Authentication-Results")
              if one.strip().startswith("mx.example.org")]
    assert "dkim=pass" in our and "header.d=rspamd.example" in our, our
    assert "dkim=fail" not in our


def test_opendkim_signs(world):
    """What it signs on its way through the chain is whole where it arrives:
    one octet more or less between the two and dkimpy would say no."""
    body = (b".a line with a dot\r\n\r\n  spaces \t at the end \r\n" +
            bytes(range(0xa0, 0xff)) + b"\r\n" + b"x" * 900 + b"\r\n\r\n")
    got = world.submit(world.ports["chain"], message(
        body, sender=b"carol@signed.example"), "carol@signed.example")
    found = email.message_from_bytes(got)
    assert "d=signed.example" in found["DKIM-Signature"]
    assert dkim.verify(got, dnsfunc=world.text_of)
    assert not dkim.verify(got.replace(b"a line", b"another"),
                           dnsfunc=world.text_of)
    # Those behind it in the chain have seen its signature.
    assert seen(found)["dkim"] == "signed"
    assert found["X-Virus-Status"] == "Clean"
    # Coming back from a stranger it is verified by us, too.
    found = world.deliver("only-clamav", got[got.index(b"DKIM-Signature:"):],
                          sender="carol@signed.example")
    (our,) = [one for one in found.get_all("Authentication-Results")
              if one.startswith("mx.example.org")]
    assert "dkim=pass" in our and "signed.example" in our, our


# NSD and a resolv.conf that leads to it, for programs that know no other way;
# in namespaces of its own. $1 folder; the rest: messages.
INSIDE = """
ip link set lo up
echo 'nameserver 127.0.0.1' >"$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
"$2/bin/nsd" -d -c "$1/nsd.conf" 2>"$1/log" &
nsd=$!
for turn in $(seq 100); do
	"$2/bin/drill" -t -Q @127.0.0.1 ns.chain A 2>/dev/null | grep -q . && break
	sleep 0.05
done
folder=$1 peers=$2
shift 2
for one; do
	"$peers/bin/opendkim-testmsg" -C -t "$folder" <"$one" 2>&1 &&
	    echo "$one good" || echo "$one bad"
done
kill $nsd
"""


def ask_opendkim(world, messages):
    """Which of them opendkim-testmsg finds well signed; None: it cannot be
    asked here."""
    folder = world.folder / "testmsg"
    names = NameServer(folder, 53, ["."])
    names.write(".", world.zone)
    paths = []
    for number, one in enumerate(messages):
        paths.append(names.path("m%d" % number))
        with open(paths[-1], "wb") as out:
            out.write(one)
    spaces = ["unshare", "-mn"] + (["-Ur"] if os.geteuid() else [])
    if subprocess.run(spaces + ["true"], capture_output=True).returncode:
        return None
    done = subprocess.run(
        spaces + ["sh", "-c", INSIDE, "inside", str(folder),
                  os.path.abspath(PEERS)] + paths, timeout=60,
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    verdicts = [path + " good" in done.stdout.split("\n") for path in paths]
    assert len(done.stdout.strip().split("\n")) >= len(paths), done
    return verdicts, done


def test_our_signatures(world):
    """AUTHN-1 to 12: made by us, verified by dkimpy, opendkim-testmsg,
    opendkim, rspamd, and by ourselves when it comes back; each of the two
    stands by itself. Spoilt, none of them takes it."""
    got = world.submit(world.server.port, message(
        b"a word of ours\r\n\r\n .\r\n trailing \t \r\n\r\n",
        sender=b"alice@example.org"), "alice@example.org")
    signed = got[got.index(b"DKIM-Signature:"):]
    second = signed.index(b"\r\nDKIM-Signature:", 1) + 2
    rest = signed.index(b"\r\nReceived:") + 2
    both = [signed[:second] + signed[rest:], signed[second:]]
    assert [one.count(b"DKIM-Signature:") for one in both] == [1, 1], signed
    spoilt = signed.replace(b"a word", b"a lie")
    for one in both:
        assert dkim.verify(one, dnsfunc=world.text_of), one
    asked = ask_opendkim(world, both + [spoilt])
    if asked is None:
        warnings.warn("opendkim-testmsg was not asked: no namespaces here")
    else:
        assert asked[0] == [True, True, False], asked[1]
    found = world.deliver("chain", signed, sender="alice@example.org")
    results = [" ".join(one.split())
               for one in found.get_all("Authentication-Results")]
    (theirs,) = [one for one in results if one.startswith("opendkim.example")]
    (our,) = [one for one in results if one.startswith("mx.example.org")]
    assert theirs.count("dkim=pass") >= 1 and "dkim=fail" not in theirs, theirs
    assert our.count("dkim=pass") == 2 and "dmarc=pass" in our, our
    told = " ".join(found["X-Spamd-Result"].split())
    allowed = told.split("R_DKIM_ALLOW", 1)[1].split("]")[0]
    assert allowed.count("example.org:") == 2, told
    found = world.deliver("chain", spoilt, sender="alice@example.org")
    assert "R_DKIM_REJECT" in found["X-Spamd-Result"]
    results = str(found.get_all("Authentication-Results"))
    assert "dkim=pass" not in results and "dkim=fail" in results, results


def test_chain(world):
    """Each sees what the ones before it have changed, and what comes out is
    all of it; a megabyte in, another one out."""
    line = b"so much to say, and all of it is new to them all today\r\n"
    old, new = line * 20000, line.upper() * 19000
    world.python.changes = (
        [b"b" + new[at:at + 60000] for at in range(0, len(new), 60000)] +
        [b"m" + struct.pack(">I", 1) + text(b"Subject", b"changed"),
         b"h" + text(b"X-Python", b"was here"),
         b"+" + text(b"<bob@example.org>")])
    sent = world.mark(message(old, sender=b"carol@example.net"))
    code, texts = world.send("changed", sent)
    assert code == 250, texts
    got = world.found(sent)
    found = email.message_from_bytes(got)
    assert got.split(b"\r\n\r\n", 1)[1] == new
    told = seen(found)
    assert told["subject"] == "changed" and told["virus"] == "scanned"
    assert told["body"] == str(len(new)), told
    assert found["X-Python"] == "was here"
    for name in ("X-Python", "X-Virus-Status", "X-Spamd-Result", "Subject"):
        assert len(found.get_all(name)) == 1, name
    assert "opendkim.example" in str(found.get_all("Authentication-Results"))
    assert world.found(sent, "bob").split(b"\r\n\r\n", 1)[1] == new
    # What we sign is what goes out, not what came in.
    got = world.submit(world.ports["changed"], message(
        old, sender=b"alice@example.org"), "alice@example.org")
    assert got.split(b"\r\n\r\n", 1)[1] == new
    for number in range(2):
        assert dkim.DKIM(got[got.index(b"DKIM-Signature:"):]).verify(
            idx=number, dnsfunc=world.text_of)
    # What one puts in, the next ones refuse; the first of them answers.
    world.python.changes = [b"b" + EICAR + b"\r\n"]
    code, texts = world.send("changed", message(b"hello"))
    assert code == 550 and "Eicar" in texts[0], texts
    world.python.changes = [b"b" + b"X" + GTUBE + b"\r\n"]
    code, texts = world.send("changed", message(b"hello"))
    assert code >= 500 and "Gtube" in texts[0], texts
    # What one takes away, they do not see.
    world.python.changes = [b"b" + b"nothing at all\r\n"]
    found = world.deliver("changed", message(b"X" + GTUBE))
    assert found.get_payload() == "nothing at all\r\n"


def test_envelope(world):
    """A filter sends it to somebody else, in another one's name; where two
    make a new body, the second one's goes out, whole."""
    last = b"said by the last of them\r\n" * 9000
    world.python.changes = [
        b"-" + text(b"<alice@example.org>"), b"+" + text(b"<bob@example.org>"),
        b"e" + text(b"<other@example.net>"),
        b"b" + b"said by the first of them\r\n" * 2000]
    world.last.changes = [b"b" + last[at:at + 50000]
                          for at in range(0, len(last), 50000)]
    sent = world.mark(message(b"hello"))
    code, texts = world.send("twice", sent)
    assert code == 250, texts
    got = world.found(sent, "bob")
    assert got.split(b"\r\n\r\n", 1)[1] == last
    assert b"Return-Path: <other@example.net>" in got
    world.server.wait_empty()
    assert sent.split(b"\r\n")[0] not in b"".join(
        world.server.messages("alice"))
    # Nobody is left: as if taken, and gone; no identifier, but a log line.
    world.python.changes = [b"-" + text(b"<alice@example.org>")]
    code, texts = world.send("twice", message(b"hello"))
    assert (code, texts) == (250, ["2.0.0 accepted"])
    world.server.wait_log(" smtpd discard ")
    assert not world.server.queue("list")


# --- they do not work ---

class Session(threading.Thread):
    """One message through one chain; before_end() is called when all but the
    final dot was said. Its answer, and how long anything took at most."""

    def __init__(self, world, chain, before_end=None):
        super().__init__()
        self.port, self.chain = world.ports[chain], chain
        self.before_end = before_end or (lambda: None)
        self.answer = self.after = self.problem = None
        self.reached_end = False
        self.longest = 0
        self.start()

    def timed(self, function, *words):
        begin = time.monotonic()
        result = function(*words)
        self.longest = max(self.longest, time.monotonic() - begin)
        return result

    def run(self):
        try:
            self.talk()
        except Exception as problem:    # told by outcomes()
            self.problem = problem
            self.before_end()

    def talk(self):
        talk = self.timed(Talk, self.port)
        self.answer = self.until_content(talk)
        self.before_end()
        if self.answer is None:
            self.reached_end = True
            talk.send(".\r\n")
            self.answer = self.timed(talk.reply)
        self.after = self.timed(talk.say, "RSET")[0]
        talk.close()

    def until_content(self, talk):
        """The first refusal."""
        for line in ("EHLO client.example", "MAIL FROM:<bob@example.net>",
                     "RCPT TO:<alice@example.org>", "DATA"):
            answer = self.timed(talk.say, line)
            if answer[0] >= 400:
                return answer
        talk.send(message(b"hello"))
        return None


def outcomes(world, kind, event=None, names=FILTERS):
    """A session for each filter and policy, all at the same time; event() in
    the midst of them all. Checks every answer."""
    barrier = threading.Barrier(len(names) * len(POLICIES), action=event)
    sessions = [(policy, Session(
        world, "%s-%s-%s" % (kind, name, policy), event and (
            lambda: barrier.wait(30)))) for name in names
                for policy in POLICIES]
    for policy, session in sessions:
        session.join(60)
        assert not session.is_alive() and session.problem is None, (
            session.chain, session.problem)
        code, texts = session.answer
        wanted = {"tempfail": 451, "accept": 250, "reject": 550}[policy]
        assert code == wanted, (session.chain, code, texts)
        # The session goes on, and nothing had to wait beyond the deadlines.
        assert session.after == 250, (session.chain, session.after)
        assert session.longest < BOUND, (session.chain, session.longest)
    # On a machine that is slow enough some fail before.
    assert event is None or any(one.reached_end for _, one in sessions)
    return [session for _, session in sessions]


def signal_all(world, number):
    for name in FILTERS:
        getattr(world, name).signal(number)


def recovered(world):
    """All of them filter again: a policy that has hit leaves nothing."""
    found = world.deliver("chain", message(b"hello"))
    assert found["X-Virus-Status"] == "Clean" and seen(found)


def test_stalled(world):
    """SIGSTOP: connections are made and nothing is answered; before a session
    and before the end of a message. With a deadline that does not hold, or the
    default of 30 s, BOUND is passed."""
    skipped = world.server.log_count(" milter-skipped ")
    try:
        signal_all(world, signal.SIGSTOP)
        outcomes(world, "straight")
    finally:
        signal_all(world, signal.SIGCONT)
    world.server.wait_log(" milter-skipped ", count=skipped + len(FILTERS))
    recovered(world)
    try:
        outcomes(world, "straight",
                 lambda: signal_all(world, signal.SIGSTOP))
    finally:
        signal_all(world, signal.SIGCONT)
    recovered(world)


def test_slow(world):
    """Late but in time: all is well. Byte by byte, later than allowed, or
    always promising: the policy."""
    def behave(manner, delay):
        for relay in world.relays.values():
            relay.manner, relay.delay = manner, delay
    behave("late", 0.05)
    found = world.deliver("relayed", message(b"hello"))
    assert found["X-Virus-Status"] == "Clean" and seen(found)
    # If each byte gave it another second it would have a minute or two.
    behave(None, 0)
    outcomes(world, "slow", lambda: behave("dripping", DEADLINE * 0.7))
    # Progress is believed, as long as a message may take.
    behave(None, 0)
    sessions = outcomes(world, "promise", lambda: behave("promised", 0.2))
    assert max(one.longest for one in sessions) > 2 * DEADLINE
    behave(None, 0)


def test_killed(world):
    """SIGKILL in the midst of a message, then nobody there; then they are back
    and nothing has to be restarted. clamd away: its filter says so itself."""
    program = world.clamd
    program.kill()
    code, texts = world.send("only-clamav", message(b"hello"))
    assert code == 451, texts
    program.start()
    outcomes(world, "straight", lambda: [
        getattr(world, name).kill() for name in FILTERS])
    outcomes(world, "straight")
    program.up()
    for name in FILTERS:
        getattr(world, name).start()
    for name in FILTERS:
        getattr(world, name).up()
    recovered(world)
