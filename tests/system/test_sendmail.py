# SPDX-License-Identifier: ISC
"""Mail of this machine's own programs: sendmail, mailq and newaliases as cron,
PHP, mutt and git call them, the drop directory while the server is down, and
what hostile users put there."""
import email
import os
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from postern import BINARY, PEERS, shared_binary, until
from test_root import Rooted, free_ids

ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None or
    shutil.which("setpriv") is None, reason="needs root, unshare, setpriv")
GIT_SEND_EMAIL = [
    path for path in (
        "/usr/lib/git-core/git-send-email",
        os.path.join(PEERS, "root/usr/lib/git-core/git-send-email"))
    if os.path.exists(path)]


def link(folder, name, binary=BINARY):
    """The program under another name, as packaging/install makes it."""
    path = os.path.join(str(folder), name)
    try:
        os.symlink(os.path.abspath(binary), path)
    except FileExistsError:          # of an earlier call, or another thread's
        pass
    return path


def sendmail(server, *words, text="", name="sendmail", wrap=()):
    """code, out, err"""
    if isinstance(text, str):
        text = text.encode()
    path = link(server.folder, name, wrap and shared_binary() or BINARY)
    done = subprocess.run([*wrap, path, "-C", server.path, *words],
                          input=text, capture_output=True, timeout=120)
    return (done.returncode, done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"))


def dropped(server, prefix="drop-"):
    folder = os.path.join(server.parts["state"], "drop")
    return sorted(name for name in os.listdir(folder)
                  if name.startswith(prefix))


def parsed(text):
    return email.message_from_bytes(text)


@pytest.fixture(scope="module")
def one(module_server):
    """Shared: each test writes to users of its own."""
    return module_server(users=("alice", "root", "bob", "carol", "dave",
                                "erin", "frank", "grace", "heidi", "ivan",
                                "judy", "mallory", "olivia", "peggy"),
                         workers=2)


def test_php(one):
    """mail() of PHP: -t -i, recipients in the header, Bcc is gone."""
    code, out, err = sendmail(
        one, "-t", "-i", "-fwww@example.org",
        text="To: Alice <alice@example.org>\nSubject: hi\n"
             "Bcc: bob@example.org\nX-PHP-Script: x\n\nline\n.\nend\n")
    assert (code, out, err) == (0, "", "")
    text = one.wait_messages("alice")[0]
    copy = one.wait_messages("bob")[0]
    assert text.startswith(b"Return-Path: <www@example.org>\r\n") or \
        text.startswith(b"Return-Path: <www@example.org>\n")
    assert b"Bcc" not in text and b"Bcc" not in copy
    body = text.replace(b"\r\n", b"\n")
    assert body.endswith(b"\n\nline\n.\nend\n")
    message = parsed(text)
    assert message["From"] and "www@example.org" in message["From"]
    assert message["Date"] and message["Message-ID"].endswith(
        "@mx.example.org>")
    assert "(from userid %d)" % os.geteuid() in " ".join(
        message["Received"].split())


def test_cron(one):
    """As cron calls it: a local name, a body of eight bits, -oem."""
    code, _, err = sendmail(
        one, "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "carol",
        text="From: root (Cron Daemon)\nTo: carol\nSubject: Cron <root@x> y\n"
             "Content-Type: text/plain; charset=UTF-8\n\n"
             "progress 1%\rprogress 100%\r\n\u00e4\n")
    assert (code, err) == (0, "")
    text = one.wait_messages("carol")[0].replace(b"\r\n", b"\n")
    assert text.endswith(b"progress 1%\nprogress 100%\n\xc3\xa4\n")
    assert b"From: root (Cron Daemon)\n" in text
    assert text.count(b"\nFrom:") == 1


def test_mutt(one):
    """-oem -oi -f SENDER -- RECIPIENTS; a dot of its own ends the mail only
    without -i."""
    code, _, err = sendmail(
        one, "-oem", "-oi", "-f", "mutt@example.org", "--",
        "dave@example.org, \"D. Two\" <erin@example.org>",
        text="From: mutt@example.org\nTo: dave\nSubject: m\n\na\n.\nb\n")
    assert (code, err) == (0, "")
    for user in ("dave", "erin"):
        text = one.wait_messages(user)[0].replace(b"\r\n", b"\n")
        assert text.endswith(b"\n\na\n.\nb\n")
    code, _, err = sendmail(one, "frank", text="Subject: m\n\na\n.\nb\n")
    assert (code, err) == (0, "")
    text = one.wait_messages("frank")[0].replace(b"\r\n", b"\n")
    assert text.endswith(b"\n\na\n")


class Piped(smtplib.SMTP):
    """smtplib over standard input and output of a process."""

    def __init__(self, words):
        super().__init__(local_hostname="localhost")
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs)
        theirs.close()
        self.sock = ours
        ours.settimeout(60)
        self.file = None
        self.greeting = self.getreply()


def test_bs(one):
    """sendmail -bs is an SMTP server on standard input and output."""
    talk = Piped([link(one.folder, "sendmail"), "-bs", "-C", one.path])
    assert talk.greeting[0] == 220
    talk.ehlo_or_helo_if_needed()
    assert not talk.has_extn("auth")      # never before TLS, nowhere
    talk.sendmail("x@example.org", ["grace@example.org"],
                  b"Subject: bs\r\n\r\n" + b"line\r\n" * 50000)
    talk.quit()
    assert talk.process.wait(20) == 0
    text = one.wait_messages("grace")[0]
    assert text.count(b"line") == 50000


@pytest.mark.skipif(not GIT_SEND_EMAIL, reason="no git-send-email: package "
                    "git-email, or tests/system/peers/unpack")
def test_git_send_email(one, tmp_path):
    """git send-email through our sendmail."""
    environment = dict(os.environ, HOME=str(tmp_path), GIT_CONFIG_NOSYSTEM="1",
                       GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@example.org",
                       GIT_COMMITTER_NAME="A",
                       GITPERLLIB="/usr/share/perl5:" + os.path.join(
                           PEERS, "root/usr/share/perl5"),
                       GIT_COMMITTER_EMAIL="a@example.org")

    def git(*words):
        subprocess.run(["git", *words], cwd=tmp_path, env=environment,
                       check=True, capture_output=True, timeout=60)
    git("init", "-q", "r")
    for number in range(3):
        with open(tmp_path / "r" / "file", "a") as out:
            out.write("%d\n.\n.x\n" % number)
        git("-C", "r", "add", "file")
        git("-C", "r", "commit", "-q", "-m", "change %d" % number)
    git("-C", "r", "format-patch", "-q", "--root", "-o", "../p")
    # --smtp-server takes a path without arguments
    wrapper = tmp_path / "sendmail"
    wrapper.write_text("#!/bin/sh\nexec %s -C %s \"$@\"\n" % (
        link(one.folder, "sendmail"), one.path))
    wrapper.chmod(0o755)
    done = subprocess.run(
        ["perl", GIT_SEND_EMAIL[0], "--quiet", "--confirm=never",
         "--from=A <a@example.org>", "--to=Heidi <heidi@example.org>",
         "--suppress-cc=all", "--smtp-server=%s" % wrapper, str(
             tmp_path / "p")],
        cwd=tmp_path / "r", env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    texts = one.wait_messages("heidi", 3)
    assert len(texts) == 3
    for number, text in enumerate(sorted(
            texts, key=lambda one: parsed(one)["Subject"])):
        assert parsed(text)["Subject"] == "[PATCH %d/3] change %d" % (
            number + 1, number)
        assert b"\n+.x" in text.replace(b"\r\n", b"\n")


def test_refused(one):
    """All recipients or none, the reason on stderr, statuses of sysexits."""
    code, out, err = sendmail(one, "ivan", "nobody-of-that-name",
                              text="Subject: x\n\nx\n")
    assert code == 67 and out == ""
    assert "nobody-of-that-name@example.org: 550 5.1.1" in err
    for words, expected, said in (
            ((), 64, "no recipients"),
            (("-t",), 64, "names no recipients"),
            (("a@@b",), 64, "a recipient"),
            (("-f", "a b", "ivan"), 64, "the sender"),
            (("-bd",), 64, "postern run"),
            (("-Z", "ivan"), 64, "no option")):
        code, _, err = sendmail(one, *words, text="Subject: x\n\nx\n")
        assert (code, said in err) == (expected, True), (words, err)
    code, _, err = sendmail(one, "-t", text="To: a b\n\nx\n")
    assert code == 65 and "field To" in err
    code, _, err = sendmail(one, "ivan", text=b"x" * (51 << 20))
    assert code == 65 and "max-message-size" in err
    time.sleep(0.2)
    assert one.messages("ivan") == [] and dropped(one) == []


def test_null_sender_and_wishes(one):
    """-f <>, and what RFC 3461 lets a program wish for."""
    code, out, err = sendmail(one, "-f", "<>", "-v", "-N", "failure,delay",
                              "-R", "hdrs", "-V", "a b", "judy",
                              text="Subject: x\n\nx\n")
    assert (code, err) == (0, "")
    assert "MAIL FROM:<> RET=HDRS ENVID=a+20b SIZE=" in out
    assert "RCPT TO:<judy@example.org> NOTIFY=FAILURE,DELAY" in out
    text = one.wait_messages("judy")[0]
    assert text.startswith(b"Return-Path: <>")


def test_mailq_and_flush(one):
    """mailq is `postern queue list`, -q tries all of it."""
    code, out, _ = sendmail(one, name="mailq")
    assert code == one.command("queue", "list")[0]
    assert sendmail(one, "-bp")[0] == code
    code, out, err = sendmail(one, "-q")
    assert code in (0, 1), err
    code, out, err = sendmail(one, name="newaliases")
    assert (code, err) == (0, "") and "reloaded" in out


def test_newaliases(server, tmp_path):
    """A wrong file is said, and nothing is reloaded."""
    aliases = tmp_path / "aliases"
    aliases.write_text("info: alice\n")
    one = server(text='aliases-file = "%s"\n' % aliases)
    code, out, err = sendmail(one, name="newaliases")
    assert code == 0 and "1 aliases" in out and "reloaded" in out, err
    one.wait_log(" reloaded ")
    aliases.write_text("info: |/bin/sh\n")
    code, out, err = sendmail(one, "-bi")
    assert code == 65 and str(aliases) in err
    assert one.log_count(" reloaded ") == 1
    assert sendmail(one, "info", text="Subject: x\n\nx\n")[0] == 0
    one.wait_messages("alice")
    # what the server takes, nobody or very many, is no mistake here
    aliases.write_text("# %s\n" % ("x" * 78) * 20000 + "info: alice\n")
    code, out, err = sendmail(one, name="newaliases")
    assert code == 0 and "1 aliases" in out, err
    assert "goes to alice@" in one.command("address", "info", check=0)[1]
    aliases.write_text("")
    code, out, err = sendmail(one, name="newaliases")
    assert code == 0 and "0 aliases" in out, err
    assert "nobody of that name" in one.command("address", "info", check=1)[1]
    aliases.unlink()
    code, out, err = sendmail(one, name="newaliases")
    assert code == 65 and "%s: cannot read this file: No such" % aliases in err


def test_down(server):
    """While the server is down mail waits in the drop directory; it is
    delivered once when it is back."""
    one = server(users=("alice", "bob"))
    one.stop()
    assert not os.path.exists(os.path.join(one.parts["state"],
                                           "run", "submit"))
    for number in range(20):
        code, out, err = sendmail(one, "-i", "alice", "bob",
                                  text="Subject: %d\n\nx\n" % number)
        assert (code, out, err) == (0, "", "")
    files = dropped(one)
    assert len(files) == 20
    folder = os.path.join(one.parts["state"], "drop")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    for name in files:
        assert stat.S_IMODE(os.stat(os.path.join(
            folder, name)).st_mode) == 0o600
    # one that was never finished, one that is old
    for name, age in (("a", 60), ("b", 3 * 86400)):
        path = os.path.join(folder, "temp-" + name * 32)
        open(path, "w").close()
        os.utime(path, (time.time() - age, time.time() - age))
    talk = subprocess.run(
        [link(one.folder, "sendmail"), "-bs", "-C", one.path],
        input=b"", capture_output=True, timeout=60)
    assert talk.returncode == 75 and talk.stdout.startswith(b"421 ")
    one.start()
    one.wait_messages("alice", 20, 60)
    one.wait_messages("bob", 20, 60)
    until(lambda: dropped(one) == [], 20, "files to be gone")
    one.stop()
    one.start()
    time.sleep(1)
    for user in ("alice", "bob"):
        subjects = sorted(int(parsed(text)["Subject"])
                          for text in one.messages(user))
        assert subjects == list(range(20))
    assert dropped(one, "temp-") == ["temp-" + "a" * 32]
    assert dropped(one, "refused-") == []


def test_nowhere_to_leave_it(server):
    """Neither a server nor a place to drop: 75, and the caller hears why."""
    one = server()
    one.stop()
    shutil.rmtree(os.path.join(one.parts["state"], "drop"))
    code, _, err = sendmail(one, "alice", text="Subject: x\n\nx\n")
    assert code == 75 and "drop" in err and "try again" in err


def test_configuration(server):
    """A file that the caller names must be right; without one at the usual
    place what was built in counts, and no mail is lost for that."""
    one = server()
    with open(one.path, "a") as out:
        out.write("nonsense = 1\n")
    code, _, err = sendmail(one, "alice", text="Subject: x\n\nx\n")
    assert code == 78 and "nonsense" in err
    one.configure()
    if os.path.exists("/etc/postern.conf") or os.path.exists(
            "/var/lib/postern"):
        return      # somebody's server
    done = subprocess.run([link(one.folder, "sendmail"), "-i", "alice"],
                          input=b"Subject: x\n\nx\n", capture_output=True,
                          timeout=60)
    assert done.returncode == 75, done.stderr
    assert b"/postern/drop" in done.stderr


def test_many_at_once(server):
    """200 programs at the same moment: each mail arrives once."""
    one = server(users=("alice",), workers=2)
    codes = []

    def send(number):
        codes.append(sendmail(one, "-i", "alice", text=(
            "Subject: %d\n\nx\n" % number))[0])
    threads = [threading.Thread(target=send, args=(number,))
               for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 200
    one.wait_messages("alice", 200, 150)
    until(lambda: dropped(one) == [], 90, "files to be gone")
    subjects = sorted(int(parsed(text)["Subject"])
                      for text in one.messages("alice"))
    assert subjects == list(range(200))


def test_put_aside(server):
    """What the server never takes is put aside with a line in the log, and
    keeps nobody waiting; those recipients that are right get it."""
    one = server(users=("alice",))
    one.stop()
    for words in (("nobody",), ("alice", "nobody"), ("alice",)):
        assert sendmail(one, *words, text="Subject: %s\n\nx\n" %
                        "-".join(words))[0] == 0
    one.start()
    one.wait_messages("alice", 2)
    until(lambda: dropped(one) == [], 20, "files to be gone")
    assert len(dropped(one, "refused-")) == 2
    one.wait_log("put aside", count=2)
    assert "550 5.1.1" in one.read_log()
    assert sorted(parsed(text)["Subject"] for text in one.messages(
        "alice")) == ["alice", "alice-nobody"]


# --- as root: other users, and hostile ones ---

@pytest.fixture(scope="module")
def rooted():
    folder = tempfile.mkdtemp(prefix="postern-drop-")
    os.chmod(folder, 0o755)
    server = Rooted(folder + "/s", users=("alice",))
    ids = free_ids(30)
    server.people = [number for number in ids
                     if number not in server.ids.values()][-3:]
    server.start()
    try:
        yield server
    finally:
        server.stop()
        log = server.read_log()
        shutil.rmtree(folder)
    assert server.process.returncode == 0
    assert "Sanitizer: " not in log and "runtime error" not in log, log


def as_user(number):
    return ("setpriv", "--reuid=%d" % number, "--regid=%d" % number,
            "--clear-groups")


def shell(number, script, *words):
    subprocess.run([*as_user(number), "sh", "-ec", script, "sh", *words],
                   check=True, timeout=60)


def subjects_of(server):
    return sorted(parsed(text)["Subject"] for text in
                  server.messages("alice"))


@ROOT
def test_every_user_may_send(rooted):
    """Without any right, and the server knows who it was."""
    folder = os.path.join(rooted.parts["state"], "drop")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o1733
    user = rooted.people[0]
    code, _, err = sendmail(rooted, "alice", wrap=as_user(user),
                            text="Subject: user\n\nx\n")
    assert (code, err) == (0, "")
    texts = rooted.wait_messages("alice")
    assert "(from userid %d)" % user in " ".join(
        parsed(texts[-1])["Received"].split())
    # What takes rights is refused, and says so.
    code, _, err = sendmail(rooted, "-q", wrap=as_user(user))
    assert code != 0 and "ermission denied" in err
    # Nobody sees what others drop.
    done = subprocess.run([*as_user(user), "ls", folder],
                          capture_output=True, timeout=20)
    assert done.returncode != 0


@ROOT
def test_hostile_files(rooted):
    """Every kind of file, under names that are to be sent: none is followed,
    none is waited for, none keeps the mail of others."""
    rooted.stop()
    one, two, three = rooted.people
    folder = os.path.join(rooted.parts["state"], "drop")
    secret = os.path.join(rooted.folder, "secret")
    with open(secret, "w") as out:
        out.write("postern-drop 1\nfrom \nto alice@example.org\nsize 23\n\n"
                  "Subject: secret\r\n\r\nx\r\n")
    os.chmod(secret, 0o600)
    shell(one, """cd "$1"
        name() { printf 'drop-%032d' $1; }
        mkfifo $(name 1)
        ln -s "$2" $(name 2)
        mkdir $(name 3)
        : >$(name 4); ln $(name 4) $(name 5)
        truncate -s 200M $(name 6)
        echo nonsense >$(name 7)
        python3 -c 'import socket,sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])' $(name 8)
        printf 'postern-drop 1\\nfrom a@example.org\\nto alice@example.org\\n' \
            >$(name 9)
        head='postern-drop 1\\nfrom \\nto alice@example.org\\nsize'
        printf "$head 17\\n\\nSubject: nul\\0\\r\\n\\r\\n" >$(name 10)
        { printf "$head 45\\n\\nSubject: smuggle\\r\\n\\r\\nx\\n.\\r\\n"
          printf 'MAIL FROM:<>\\r\\nRCPT\\r\\n'; } >$(name 11)
        : >other-name; ln -s /etc/shadow temp-x
        """, folder, secret)
    before = subjects_of(rooted)
    for number, user in ((1, two), (2, three)):
        assert sendmail(rooted, "alice", wrap=as_user(user),
                        text="Subject: good %d\n\nx\n" % number)[0] == 0
    # The secret under another owner's name, had the system allowed it.
    os.link(secret, os.path.join(folder, "drop-" + "f" * 32))
    rooted.start()
    until(lambda: subjects_of(rooted) == sorted(before + ["good 1",
                                                          "good 2"]), 30,
          lambda: "the good ones:\n%s\n%s" % (subjects_of(rooted),
                                              rooted.read_log()[-3000:]))
    until(lambda: dropped(rooted) == [], 30,
          lambda: "none to be left: %s" % dropped(rooted))
    aside = dropped(rooted, "refused-")
    assert len(aside) == 12, aside
    assert os.path.exists(os.path.join(folder, "other-name"))
    with open(secret) as text:
        assert "secret" in text.read()
    time.sleep(0.5)
    assert "secret" not in subjects_of(rooted)
    by = {" ".join(parsed(text)["Received"].split()).split("(from userid ")[1]
          .split(")")[0] for text in rooted.messages("alice")
          if parsed(text)["Subject"].startswith("good")}
    assert by == {str(two), str(three)}
    for name in aside + ["other-name", "temp-x"]:
        path = os.path.join(folder, name)
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(
            path) else os.unlink(path)


def find_sender():
    """What /proc says of the process that sends a dropped file."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as text:
                if not text.read().startswith(b"sendmail\0--drained="):
                    continue
            with open("/proc/%s/status" % entry) as text:
                found = dict(line.rstrip("\n").split(":\t", 1)
                             for line in text if ":\t" in line)
            found["fds"] = sorted(int(name) for name in os.listdir(
                "/proc/%s/fd" % entry))
            with open("/proc/%s/environ" % entry, "rb") as text:
                found["environ"] = text.read()
            return found
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


@ROOT
def test_sender_process_is_its_owners(rooted):
    """The process that reads a file has the owner's ids, no other group, no
    way to gain rights, and nothing of the server's."""
    user = rooted.people[0]
    folder = os.path.join(rooted.parts["state"], "drop")
    saved = os.path.join(rooted.folder, "saved")
    rooted.stop()
    assert sendmail(rooted, "alice", wrap=as_user(user),
                    text="Subject: slow\n\nx\n")[0] == 0
    name = dropped(rooted)[0]
    os.rename(os.path.join(folder, name), saved)
    rooted.start()
    smtpd = rooted.pid_of("smtpd")
    before = len(rooted.messages("alice"))
    # It has to wait for a greeting, and can be looked at meanwhile.
    os.kill(smtpd, signal.SIGSTOP)
    try:
        os.rename(saved, os.path.join(folder, name))
        rooted.process.send_signal(signal.SIGHUP)
        seen = until(find_sender, 20, "a process that sends")
    finally:
        os.kill(smtpd, signal.SIGCONT)
    assert seen["Uid"].split() == [str(user)] * 4
    assert len(set(seen["Gid"].split())) == 1
    assert seen["Gid"].split()[0] != "0"
    assert seen["Groups"].strip() == ""
    assert seen["NoNewPrivs"].strip() == "1"
    assert int(seen["CapEff"], 16) == int(seen["CapPrm"], 16) == 0
    assert set(seen["fds"]) <= {0, 1, 2, 3}   # 3 is its own connection
    assert b"SECRET" not in seen["environ"]
    assert seen["environ"].split(b"\0")[0].startswith(b"PATH=")
    rooted.wait_messages("alice", before + 1)
    until(lambda: dropped(rooted) == [], 20, "the file to be gone")
