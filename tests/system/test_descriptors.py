# SPDX-License-Identifier: ISC
"""No descriptors are left. Each process of the server may have as few as the
test says, and three times as many come: nobody spins, no process ends, who
cannot be served is told so, what was accepted is delivered, and all of it
works again by itself when they leave.

With POSTERN_DESCRIPTORS=256,1024 (say) the same for other limits than 64.
"""
import os
import signal
import socket
import threading
import time

import pytest

from postern import Talk, until

LIMITS = [int(limit) for limit in
          os.environ.get("POSTERN_DESCRIPTORS", "64").split(",")]
LOOK_SECONDS = 1.5
LOOKS = 50
MOST = 0.2              # of a processor; who spins takes all it can get
TICKS = os.sysconf("SC_CLK_TCK")


def few(server, limit, text=""):
    return server(prefix=["prlimit", "--nofile=%d:%d" % (limit, limit)],
                  text=text)


def usage(pid):
    """(Seconds of a processor that it has used, is it on one or wants to be.)
    """
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS, fields[0] == "R"


def all_pids(server):
    return sorted(server.role_pids() + [server.process.pid])


def assert_nobody_spins(server):
    """Both of the time used and of the moments looked at, because others may
    leave little time to who spins."""
    pids = all_pids(server)
    before = [usage(pid)[0] for pid in pids]
    ready = [0] * len(pids)
    for _ in range(LOOKS):
        time.sleep(LOOK_SECONDS / LOOKS)
        for place, pid in enumerate(pids):
            ready[place] += usage(pid)[1]
    shares = [(usage(pid)[0] - then) / LOOK_SECONDS
              for pid, then in zip(pids, before)]
    print("of a processor: %s; ready: %s of %d" % (shares, ready, LOOKS))
    assert max(shares) < MOST, dict(zip(pids, shares))
    assert max(ready) < MOST * LOOKS, dict(zip(pids, ready))


def first_line(connection):
    connection.settimeout(60)
    line = b""
    while not line.endswith(b"\n"):
        more = connection.recv(200)
        if not more:
            break
        line += more
    return line


class Session(Talk):
    """One that was greeted already."""

    def __init__(self, connection):
        self.socket, self.rest = connection, b""


@pytest.mark.parametrize("limit", LIMITS)
def test_clients(server, limit):
    """Of three times as many clients each hears 220 or 421. The sessions that
    there are work, also when another role comes anew meanwhile: its channel is
    a descriptor, too."""
    one = few(server, limit, "max-sessions-per-client = 10000\n")
    pids = all_pids(one)
    clients = [socket.create_connection(("127.0.0.1", one.port), 60)
               for _ in range(3 * limit)]
    lines = [first_line(client) for client in clients]
    served = [client for client, line in zip(clients, lines)
              if line.startswith(b"220 ")]
    told = [line for line in lines if line.startswith(b"421 4.3.2 ")]
    assert len(served) > limit // 3
    assert len(served) + len(told) == len(clients), set(lines)
    assert_nobody_spins(one)
    # It says when it begins to refuse, and not with each.
    assert one.log_count("smtpd accept listener=smtp@127.0.0.1:") == 1
    code, texts = Session(served[0]).mail()
    assert code == 250, texts
    assert one.command("queue", "list")[0] in (0, 1)
    os.kill(one.pid_of("queue"), signal.SIGKILL)

    greeted = iter(served[1:])

    def taken():
        # It is closed without a reply if the queue died behind the end.
        try:
            if Session(next(greeted)).mail()[0] == 250:
                return True
        except EOFError:
            pass
        time.sleep(1)  # there are no more of them than so many
        return False
    until(taken, 60, "a session to find the new queue")
    for client in clients:
        client.close()
    until(lambda: Talk(one.port).greeting[0] == 220, 60, "a greeting")
    one.send()
    one.wait_messages("alice", 3, 60)
    assert len(set(pids) - set(all_pids(one))) == 1, "others ended, too"


def test_commands(server):
    """The same for the socket of the commands: who says nothing there makes
    way for who does."""
    one = few(server, 64)
    pids = all_pids(one)
    path = os.path.join(one.parts["state"], "run", "control")
    silent = []
    for _ in range(192):
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        silent.append(client)
        try:
            client.connect(path)
        except BlockingIOError:
            time.sleep(0.01)    # its backlog is full just now
    assert_nobody_spins(one)
    assert one.command("status")[0] == 0
    code, _, err = one.command("queue", "list")
    assert code == 1 and "no message matches" in err, err
    one.send()
    one.wait_messages("alice", 1, 60)
    for client in silent:
        client.close()
    assert all_pids(one) == pids


class Host(threading.Thread):
    """One for each destination, on addresses of 127.0.0.0/8, all of them this:
    it greets nobody before its door opens."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=1000)
        self.port = self.listener.getsockname()[1]
        self.door = threading.Event()
        self.waiting = 0
        self.taken = []         # a recipient each
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.waiting += 1
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        with connection:
            self.door.wait(300)
            connection.settimeout(60)
            try:
                connection.sendall(b"220 host.example\r\n")
                self.talk(connection, connection.makefile("rb"))
            except OSError:
                pass

    def talk(self, connection, stream):
        recipient, line = None, stream.readline()
        while line and not line.startswith(b"QUIT"):
            if line.startswith(b"RCPT"):
                recipient = line
            if line.startswith(b"DATA"):
                connection.sendall(b"354 go\r\n")
                while line and line != b".\r\n":
                    line = stream.readline()
                self.taken.append(recipient)
            connection.sendall(b"250 ok\r\n")
            line = stream.readline()


@pytest.mark.parametrize("limit", LIMITS)
def test_destinations(server, limit):
    """Mail for three times as many hosts as there are descriptors waits for
    its turn, and no host is blamed for what we do not have."""
    count = 3 * limit
    host = Host()
    one = few(server, limit, (
        "relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1s\nretry-max = 2s\n") + "".join(
            'route "d%d.example" { host = "127.1.%d.%d" port = %d mx = no }\n'
            % (number, number // 200, number % 200 + 1, host.port)
            for number in range(count)))
    pids = all_pids(one)
    talk = Talk(one.port)
    talk.code("EHLO client.example")
    for number in range(count):
        for line in ("MAIL FROM:<bob@example.org>",
                     "RCPT TO:<carol@d%d.example>" % number, "DATA"):
            assert talk.code(line) in (250, 354)
        assert talk.code("Subject: x\r\n\r\nx\r\n.") == 250
    talk.close()
    until(lambda: host.waiting >= min(limit // 6, 100), 60,
          lambda: "connections: %d" % host.waiting)
    assert_nobody_spins(one)
    assert one.command("queue", "list", "--limit", "1")[0] == 0
    host.door.set()
    one.wait_empty(120)
    host.listener.close()
    assert len(set(host.taken)) == len(host.taken) == count
    assert " deferred " not in one.read_log()
    assert all_pids(one) == pids
