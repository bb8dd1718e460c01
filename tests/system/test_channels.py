# SPDX-License-Identifier: ISC
"""A channel between two roles that ends although nobody died, as it does when
one side breaks the rules, is made anew by the supervisor."""
import ctypes
import os
import socket
import stat

import pytest

from postern import Talk, until

PIDFD_GETFD = 438
SUPERVISOR_CHANNEL = 3


def cut_channels(pid):
    """Shuts down every channel of a role but the supervisor's; how many."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    cut = 0
    for name in os.listdir("/proc/%d/fd" % pid):
        fd = int(name)
        if fd <= SUPERVISOR_CHANNEL or not stat.S_ISSOCK(
                os.stat("/proc/%d/fd/%d" % (pid, fd)).st_mode):
            continue
        copy = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
        if copy < 0:
            continue
        with socket.socket(fileno=copy) as channel:
            if channel.family == socket.AF_UNIX:
                channel.shutdown(socket.SHUT_RDWR)
                cut += 1
    os.close(pidfd)
    return cut


@pytest.mark.skipif(os.geteuid() != 0, reason="pidfd_getfd needs root here")
@pytest.mark.parametrize("role", ["directory", "queue", "mailbox"])
def test_lost_channel_is_made_anew(server, role):
    one = server()
    pids = {name: one.pid_of(name) for name in (
        "directory", "queue", "mailbox", "smtpd")}
    assert cut_channels(pids[role]) >= 1

    def works():
        talk = Talk(one.port)
        talk.say("EHLO client.example")
        talk.say("MAIL FROM:<bob@example.net>")
        if talk.code("RCPT TO:<alice@example.org>") != 250:
            return False
        if talk.code("DATA") != 354:
            return False
        talk.send("Subject: x\r\n\r\nx\r\n.\r\n")
        try:
            return talk.reply()[0] == 250
        except EOFError:
            return False
    until(works, 10, one.read_log()[-2000:])
    one.wait_messages("alice")
    one.wait_empty()
    for name, pid in pids.items():
        assert one.pid_of(name) == pid, name + " was restarted"
