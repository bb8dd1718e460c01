# SPDX-License-Identifier: ISC
"""postern queue stats and top, on a running server and on a terminal."""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from postern import BINARY, dead_port, until
from smtp_peer import Stranger

ESCAPES = "421 4.2.0 \x1b[2J\x1b]0;pwned\x07 later"
PATIENCE = 60


@pytest.fixture(scope="module")
def world(module_server):
    """Mail that nobody takes (.dead), and mail that is put off (later)."""
    later = Stranger(replies={"RCPT": ESCAPES})
    one = module_server(text=(
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1h\nretry-max = 1h\n"
        'route "*.dead.example" { host = "127.0.0.1" port = %d mx = no }\n'
        'route "later.example" { host = "127.0.0.1" port = %d mx = no }\n'
    ) % (dead_port(), later.port))
    for _ in range(3):
        one.send("carol@one.dead.example", "ann@example.org")
    one.send(["erin@one.dead.example", "fred@two.dead.example"])
    held = one.send("gina@two.dead.example", "eve@example.org")
    one.send("ines@later.example", "eve@example.org")

    def settled():
        entries = one.queue("list")
        return len(entries) == 6 and all(
            recipient["status"].startswith("4")
            for entry in entries for recipient in entry["recipients"])
    until(settled, PATIENCE, "all to be tried")
    one.command("queue", "hold", held, check=0)
    yield one
    later.close()


def stats(one, *words):
    """Rows by what they are about, and the totals."""
    tables = {}
    for line in one.queue("stats", *words):
        for kind in ("domain", "host", "state", "reason", "class", "age",
                     "total"):
            if kind in line:
                tables.setdefault(kind, {})[
                    "total" if kind == "total" else line[kind]] = line
    return tables, tables["total"]["total"]["total"]


def recipients(table):
    return {name: row["recipients"] for name, row in table.items()
            if row["recipients"]}


def test_tables(world):
    tables, total = stats(world, "--by", "all")
    assert recipients(tables["domain"]) == {
        "one.dead.example": 4, "two.dead.example": 2, "later.example": 1}
    assert tables["domain"]["one.dead.example"]["messages"] == 4
    assert tables["domain"]["two.dead.example"]["held"] == 1
    assert recipients(tables["state"]) == {"deferred": 6, "held": 1}
    assert recipients(tables["reason"]) == {"connect": 6, "reply": 1}
    assert recipients(tables["age"]) == {"<1h": 7}
    assert tables["age"]["<1h"]["messages"] == 6
    assert sum(recipients(tables["host"]).values()) == 7
    assert tables["class"]["tls"]["recipients"] == 0
    assert (total["messages"], total["recipients"]) == (6, 7)
    assert total["bytes"] == sum(row["bytes"]
                                 for row in tables["age"].values()) > 0
    assert "counting" not in total
    counters = total["counters"]
    assert counters["accepted"]["count"] == 6
    assert counters["recipients"]["count"] == 7
    # Those that rested hosts kept from an attempt were not put off.
    assert 3 <= counters["deferred"]["count"] <= 7


def test_what_is_kept_is_what_is_there(world):
    """The counts in memory against a walk over everything."""
    kept, total = stats(world, "--by", "all")
    full, total_full = stats(world, "--by", "all", "--all")
    for kind in ("domain", "host", "state", "reason", "class", "age"):
        assert kept[kind] == full[kind], kind
    for name in ("messages", "recipients", "bytes", "active", "deferred",
                 "held", "domains"):
        assert total[name] == total_full[name]


@pytest.mark.parametrize("words,found", [
    (["--domain", "two.dead.example"], {"two.dead.example": 2}),
    (["--sender", "eve@*"], {"two.dead.example": 1, "later.example": 1}),
    (["--state", "held"], {"two.dead.example": 1}),
    (["--reason", "reply"], {"later.example": 1}),
    (["--older", "1d"], {}),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_selection(world, words, found):
    tables, total = stats(world, *words)
    assert recipients(tables.get("domain", {})) == found
    assert total["recipients"] == sum(found.values())


def test_for_people(world):
    """Largest first, as many rows as wanted, and what is left out is said."""
    text = world.command("queue", "stats", check=0)[1]
    assert re.search(r"^one.dead.example +4 +4 ", text, re.M)
    assert re.search(r"^\(all\) +6 +7 ", text, re.M)
    assert "last minute, a second: accepted" in text
    text = world.command("queue", "stats", "--limit", "1", check=0)[1]
    assert "two.dead" not in text and "2 more domain(s)" in text
    text = world.command("queue", "stats", "--by", "reason,age", check=0)[1]
    assert re.search(r"^connect +6$", text, re.M)
    assert re.search(r"^<1h +6 +7 ", text, re.M)
    assert "one.dead" not in text
    code, _, err = world.command("queue", "stats", "--by", "reason,luck")
    assert code == 64 and "domain, host" in err


# --- top ---

def test_top_as_objects(world):
    """One look: places, the one with most first, then the totals."""
    lines = world.queue("top", "-n", "1", "--sort", "waiting")
    assert "total" in lines[-1]
    places = {line["destination"]: line for line in lines[:-1]}
    dead = [line for name, line in places.items() if "dead" in name
            or line["domains"] == 2]
    assert sum(line["recipients"] for line in dead) == 5
    assert sum(line["held"] for line in dead) == 1
    waiting = [line["recipients"] for line in lines[:-1]]
    assert waiting == sorted(waiting, reverse=True)
    assert world.command("queue", "top", "--count", "0")[0] == 64
    assert world.command("queue", "top", "--sort", "luck")[0] == 64


def test_top_into_a_pipe(world):
    """Two looks, one below the other, and nothing a terminal would obey."""
    code, out, err = world.command("queue", "top", "--count", "2",
                                   "--interval", "1")
    assert code == 0, err
    assert out.count("queue at ") == 2 and "\x1b" not in out
    assert "messages 6, recipients 7" in out


class Screen:
    """The command on a terminal of its own."""

    def __init__(self, configuration, *words, rows=24, columns=200):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.resize(rows, columns, slave)
        self.process = subprocess.Popen(
            [BINARY, "queue", "top", "-c", configuration, *words],
            stdin=slave, stdout=slave, stderr=slave,
            env=dict(os.environ, TERM="xterm"), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave
        self.seen = ""

    def resize(self, rows, columns, slave=None):
        fcntl.ioctl(self.master if slave is None else slave,
                    termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, needle):
        """Until the text has come, from where the last one ended."""
        deadline = time.monotonic() + PATIENCE
        while needle not in self.seen:
            assert time.monotonic() < deadline, (needle, self.seen)
            if select.select([self.master], [], [], 1)[0]:
                self.seen += os.read(self.master, 65536).decode(
                    "utf-8", "replace")
        found, self.seen = self.seen.split(needle, 1)
        return found

    def press(self, key):
        os.write(self.master, key.encode())

    def end(self):
        """What is left to read; the terminal is as it was."""
        code = self.process.wait(PATIENCE)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode(
                "utf-8", "replace")
        assert self.seen.rstrip().endswith("\x1b[?1049l"), self.seen
        assert "\x1b[?25h" in self.seen
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.master)
        os.close(self.slave)
        return code


def lines_of(text):
    """Of the last picture in it, as they are seen."""
    picture = text.rsplit("\x1b[H", 1)[1]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", picture).split("\r\n")


def test_top_on_a_terminal(world):
    """Drawn within the width, sorted anew by a key, drawn anew when the size
    changes, ended by a key."""
    screen = Screen(world.path, "--interval", "1h")
    assert "\x1b[?1049h" in screen.read("\x1b[H")
    screen.read("destination ")
    picture = screen.read("(waiting)")
    assert "later" in picture
    # What a peer said is no command to the terminal.
    assert "\x1b]0;" not in picture and "\x07" not in picture
    screen.press("s")
    assert max(map(len, lines_of(screen.read("(rate)")))) <= 200
    screen.resize(10, 40)
    os.kill(screen.process.pid, signal.SIGWINCH)
    lines = lines_of(screen.read("(rate)"))
    assert len(lines) <= 10 and max(map(len, lines)) <= 40, lines
    screen.press("q")
    assert screen.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGHUP])
def test_top_ended_by_a_signal(world, number):
    screen = Screen(world.path, "--interval", "1h")
    screen.read("(waiting)")
    os.kill(screen.process.pid, number)
    assert screen.end() == -number


def test_top_and_a_server_that_says_nothing(world, tmp_path):
    """Somebody accepts and never answers: keys are heard all the same."""
    path = str(tmp_path / "silent")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(8)
    held = []

    def accept():
        try:
            while True:
                held.append(server.accept()[0])
        except OSError:
            pass
    threading.Thread(target=accept, daemon=True).start()
    with open(world.path, encoding="ascii") as file:
        text = re.sub(r"(?m)^control-socket.*$", "", file.read())
    configuration = tmp_path / "silent.conf"
    configuration.write_text(text + f'\ncontrol-socket = "{path}"\n')
    screen = Screen(str(configuration))
    screen.read("q quit")
    until(lambda: len(held) >= 2, PATIENCE)
    screen.press("q")
    assert screen.end() == 0
    server.shutdown(socket.SHUT_RDWR)
    server.close()


# --- last, since it changes the server ---

def test_a_restart_counts_again(world):
    """The new process has the same numbers, and its own counters."""
    before, _ = stats(world, "--by", "all")
    os.kill(world.pid_of("queue"), signal.SIGKILL)
    until(lambda: world.command("queue", "stats")[0] == 0, PATIENCE)
    until(lambda: "counting" not in stats(world)[1], PATIENCE)
    after, total = stats(world, "--by", "all")
    for name, row in before["domain"].items():
        assert after["domain"][name]["messages"] == row["messages"]
        assert after["domain"][name]["bytes"] == row["bytes"]
    assert total["counters"]["accepted"]["count"] == 0
