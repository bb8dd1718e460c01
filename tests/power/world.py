# SPDX-License-Identifier: ISC
"""What is around the server whose power is cut: the load, the place its mail
goes to, the ledger of both, and the servers themselves.

A message is "message N" and lines behind it; its digest is the ledger's. Half
of them stay here (alice, a maildir in the faulted tree), half leave by SMTP to
the Sink, which is outside: what it has, it keeps. Some of those go to a domain
that the Sink puts off for a while, so that their rows change.
"""
import ctypes
import hashlib
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "system"))
sys.path.insert(0, os.path.join(TOP, "tests", "bench", "throughput"))
os.environ.setdefault("POSTERN_SRCDIR", TOP)

import smtp_peer
from postern import Postern, free_port, is_running, until
from servers import BenchPostfix, processes

ACCEPTED, RECEIVED = 1, 2       # what marks in the recording say
HERE_TOO, AWAY, LATER = "alice@example.org", "carol@example.net", \
    "dan@later.example"
PLACES = {HERE_TOO: "here", AWAY: "away", LATER: "away"}
LARGE = {1 << 10: 30, 12 << 10: 30, 100 << 10: 20, 300 << 10: 20}
SIZES = {1 << 10: 25, 3 << 10: 25, 6 << 10: 20, 12 << 10: 15, 40 << 10: 10,
         120 << 10: 3, 300 << 10: 2}


def build_recorder(folder):
    """The preloaded library, from its sources."""
    made = os.path.join(folder, "record.so")
    sources = [os.path.join(TOP, "tests", "preload", name)
               for name in ("record.c", "record_log.c", "scope.c")]
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE",
                    "-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-I" + TOP,
                    "-o", made] + sources, check=True,
                   stdin=subprocess.DEVNULL)
    os.chmod(made, 0o755)
    return made


class Recorder:
    """One recording: its log, and what servers must find in their
    environment to write it."""

    def __init__(self, library, log, scope, delay=0):
        self.log = log
        self.environment = {
            "LD_PRELOAD": library, "POSTERN_SCOPE": scope,
            "POSTERN_RECORD": log, "POSTERN_RECORD_DELAY": str(delay)}
        os.environ["POSTERN_RECORD"] = log
        # A copy: the library opens its log once in a process.
        copy = log + ".so"
        shutil.copy(library, copy)
        self.library = ctypes.CDLL(copy)
        self.library.postern_record_mark.argtypes = [ctypes.c_uint64,
                                                     ctypes.c_uint64]
        self.library.postern_record_mark.restype = ctypes.c_uint64
        if self.library.postern_record_begin(log.encode()) != 0:
            raise OSError("cannot begin " + log)

    def hold(self):
        """Until release(), nobody is between a change and its record."""
        self.library.record_lock()

    def release(self):
        self.library.record_unlock()

    def mark(self, what, number):
        if self.library.postern_record_mark(what, number) == 0:
            raise AssertionError("the recording is not open")


class Ledger:
    """number -> (digest, recipients), and what came where."""

    def __init__(self, sizes):
        self.lock = threading.Lock()
        self.sizes = sizes      # how large messages are -> how many of 100
        self.sent = {}
        self.next = 0

    def add(self, dice):
        """(number, text, recipients) of a new message."""
        size = dice.choices(list(self.sizes),
                            list(self.sizes.values()))[0]
        line = bytes(dice.choices(b"abcdefghijkl", k=70)) + b"\r\n"
        to = dice.choices([[HERE_TOO], [AWAY], [LATER], [HERE_TOO, AWAY]],
                          [40, 35, 17, 8])[0]
        with self.lock:
            number = self.next
            self.next += 1
            # No page of one message is like that of another.
            body = b"message %d\r\n" % number + b"".join(
                b"%d.%d " % (number, i) + line
                for i in range(size // 80 + 1))
            self.sent[number] = (digest_of(body), to)
        return number, body, to

    def knows(self, body):
        """The number of a body that is as it was sent; else None."""
        match = re.match(rb"message (\d+)\r?\n", body)
        number = int(match.group(1)) if match else -1
        with self.lock:
            sent = self.sent.get(number)
        return number if sent and sent[0] == digest_of(body) else None


def digest_of(body):
    return hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()


def body_of(mail):
    """What is behind the header; b"" when there is no end of it."""
    return mail.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


class Sink(threading.Thread):
    """Where mail goes that leaves. on_mail(data) is called before the 250;
    while puts_off is set, most mail to LATER is told to come again. What was
    sent before generation was counted up is from a server that is gone."""

    def __init__(self, on_mail):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.on_mail = on_mail
        self.puts_off = False
        self.generation = 0
        self.dice = random.Random(self.port)
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        try:
            connection.settimeout(120)
            with connection:
                self.talk(connection, connection.makefile("rb"))
        except OSError:
            pass    # its power was cut

    def talk(self, connection, stream):
        generation = self.generation
        connection.sendall(b"220 sink.example ESMTP\r\n")
        for line in stream:
            verb = line[:4].upper()
            reply = b"250 2.0.0 fine"
            if verb == b"EHLO":
                reply = b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME"
            elif verb == b"RCPT" and b"@later." in line and self.puts_off \
                    and self.dice.random() < 0.7:
                reply = b"451 4.2.0 come again"
            elif verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                data = []
                for line in stream:
                    if line == b".\r\n":
                        break
                    data.append(line)
                else:
                    return
                if generation != self.generation:
                    return
                self.on_mail(b"".join(data))
            elif verb == b"QUIT":
                reply = b"221 2.0.0 bye"
            connection.sendall(reply + b"\r\n")
            if verb == b"QUIT":
                return


class Sender(threading.Thread):
    """Sends until told to stop, and marks each 250."""

    def __init__(self, server, ledger, recorder, seed, pause):
        super().__init__(daemon=True)
        self.server, self.ledger, self.recorder = server, ledger, recorder
        self.dice = random.Random(seed)
        self.pause = pause
        self.accepted = 0
        self.done = False

    def run(self):
        client = None
        while not self.done:
            number, body, to = self.ledger.add(self.dice)
            try:
                if client is None:
                    client = smtplib.SMTP("127.0.0.1", self.server.port,
                                          timeout=30)
                client.sendmail("bob@example.com", to, b"Subject: power\r\n"
                                b"X-Number: %d\r\n\r\n" % number + body)
                self.recorder.mark(ACCEPTED, number)
                self.accepted += 1
            except (OSError, smtplib.SMTPException):
                client = None
                time.sleep(0.02)
            if self.pause:
                time.sleep(self.dice.uniform(0, 2 * self.pause))
        if client is not None:
            client.close()


# --- servers ---

def kill_tree(process):
    """Stopped first, so that the father starts no more of them."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
    pids = list(processes(process.pid)) + [process.pid]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait(10)
    until(lambda: not any(is_running(pid) for pid in pids), 20,
          "killed processes to be gone")


# One authority to trust, for the time it takes to read them all: no TLS here.
POSTERN_TEXT = """
run-directory = "%(folder)s/run"
trust-file = "%(folder)s/trust.pem"
relay-from = { 127.0.0.1 }
allow-loopback = yes
retry-first = 1s
retry-max = 2s
max-sessions-per-client = 200
log-level = info
route "example.net" { host = "127.0.0.1" port = %(sink)d mx = no }
route "later.example" { host = "127.0.0.1" port = %(sink)d mx = no }
"""


TRUST = "/etc/ssl/certs/ca-certificates.crt"
PEM_END = "-----END CERTIFICATE-----"


class PowerPostern(Postern):
    """In unprivileged mode; everything it keeps is below folder/state."""
    kind = "postern"

    def __init__(self, folder, sink):
        super().__init__(folder, text=POSTERN_TEXT % {
            "folder": folder, "sink": sink.port})
        with open(TRUST) as every, \
                open(os.path.join(folder, "trust.pem"), "w") as out:
            out.write(every.read().partition(PEM_END)[0] + PEM_END + "\n")
        self.scope = self.parts["state"]

    def empty_scope(self):
        os.mkdir(self.scope)

    def power(self, recorder=None):
        self.environment = recorder.environment if recorder else None
        self.start(wait=False)

    def is_up(self):
        """None: it gave up."""
        if self.process.poll() is not None:
            return None
        return self.log_count(" ready ") > self.ready_before

    def waiting(self):
        """(all messages in the queue, those of them that are damaged)"""
        code, out, _ = self.command("queue", "list", "--all", "--json")
        if code not in (0, 1):
            return None
        lines = [line for line in out.splitlines() if line.startswith("{")]
        return len(lines), sum('"held-by":"queue"' in line.replace(" ", "")
                               for line in lines)

    def boxes(self):
        return [self.maildir("alice")]

    def cut(self):
        """All processes gone, and none made meanwhile."""
        kill_tree(self.process)
        self.log.close()
        shutil.rmtree(os.path.join(self.folder, "run"), True)

    def quiet(self):
        """What it said since it was last started, for people."""
        return self.read_log()

    def forget(self):
        open(self.log_path, "wb").close()


POSTFIX_TEXT = """
virtual_mailbox_domains = example.org
virtual_mailbox_base = %(spool)s/mail
virtual_mailbox_maps = static:alice/
virtual_uid_maps = static:1
virtual_gid_maps = static:1
virtual_minimum_uid = 1
# Else no file of its processes may be larger, and the recording is one.
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
default_transport = smtp
relayhost = [127.0.0.1]:%(sink)d
disable_dns_lookups = yes
smtp_host_lookup = native
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C
 LD_LIBRARY_PATH LD_PRELOAD POSTERN_SCOPE POSTERN_RECORD POSTERN_RECORD_DELAY
export_environment = TZ LANG=C LD_LIBRARY_PATH
 LD_PRELOAD POSTERN_SCOPE POSTERN_RECORD POSTERN_RECORD_DELAY
"""


def is_complete(path):
    """A message of Postfix says by its mode that all of it is there, and has
    no point in its name; of one that was never answered the rest lies about
    for a day or two."""
    try:
        return "." not in os.path.basename(path) and \
            os.stat(path).st_mode & 0o100 != 0
    except FileNotFoundError:
        return False


class PowerPostfix(BenchPostfix):
    """Debian's; what it keeps is folder/state, maildirs too."""
    kind = "postfix"

    def __init__(self, folder, sink):
        self.scope = os.path.join(folder, "state")
        os.makedirs(folder, exist_ok=True)
        super().__init__(folder, self.scope, POSTFIX_TEXT % {
            "spool": self.scope, "sink": sink.port})
        self.say_once(self.path("etc/main.cf"))
        with open(self.path("etc/master.cf"), "a") as out:
            out.write("virtual unix - n n - - virtual\n"
                      "relay unix - - n - - smtp\n")
        smtp_peer.shutil.copytree(self.scope, self.path("empty"))
        shutil.rmtree(self.scope)

    @staticmethod
    def say_once(path):
        """Of what main.cf says twice the last. Each process would warn, its
        postlogd too, which then waits for itself when its socket is full."""
        said = {}
        with open(path) as file:
            for entry in re.findall(r"^[^#\s].*(?:\n[ \t].*)*", file.read(),
                                    re.M):
                said[entry.partition("=")[0].strip()] = entry
        with open(path, "w") as out:
            out.write("\n".join(said.values()) + "\n")

    def empty_scope(self):
        """As a package's first start leaves it, on the disk."""
        shutil.copytree(self.path("empty"), self.scope)
        for name in os.listdir(self.scope):
            if name != "pid":
                shutil.chown(os.path.join(self.scope, name), "daemon")
        os.mkdir(os.path.join(self.scope, "mail"))
        shutil.chown(os.path.join(self.scope, "mail"), "daemon")

    def power(self, recorder=None):
        root, libraries = self.root, os.path.join(self.root,
                                                  "usr/lib/postfix")
        with open(os.path.join(smtp_peer.PEERS, "env")) as env:
            for line in env:
                if line.startswith("LD_LIBRARY_PATH="):
                    libraries = line.split("=", 1)[1].strip().strip("'")
        environment = dict(os.environ, MAIL_CONFIG=self.path("etc"),
                           LD_LIBRARY_PATH=libraries)
        if recorder:
            environment.update(recorder.environment)
        with open(self.path("stderr"), "wb") as errors:
            # As its own start script does: names of files are their inodes'.
            subprocess.run([os.path.join(root, "usr/sbin/postsuper")],
                           env=environment, stdin=subprocess.DEVNULL,
                           stdout=errors, stderr=errors, check=False)
            self.process = subprocess.Popen(
                [os.path.join(root, "usr/lib/postfix/sbin/master"), "-c",
                 self.path("etc"), "-d"], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=errors, start_new_session=True)

    def is_up(self):
        if self.process.poll() is not None:
            return None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def waiting(self):
        count = 0
        for name in ("maildrop", "incoming", "active", "deferred", "hold",
                     "corrupt"):
            for root, _, files in os.walk(os.path.join(self.scope, name)):
                count += sum(is_complete(os.path.join(root, one))
                             for one in files)
        damaged = len(os.listdir(os.path.join(self.scope, "corrupt")))
        return count, damaged

    def boxes(self):
        return [os.path.join(self.scope, "mail", "alice", "new")]

    def cut(self):
        kill_tree(self.process)

    def quiet(self):
        return self.log()

    def forget(self):
        for name in ("maillog", "stderr"):
            open(self.path(name), "wb").close()
        # postsuper writes to it as another user.
        os.chmod(self.path("maillog"), 0o666)


SERVERS = {"postern": PowerPostern, "postfix": PowerPostfix}
