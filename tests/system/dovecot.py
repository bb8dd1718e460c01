# SPDX-License-Identifier: ISC
"""Debian's Dovecot as the server of mailboxes: LMTP in, IMAP out, accounts for
both; started from the folder where it was unpacked.

It runs in namespaces of its own: there it sees its files where Debian would
have installed them, and believes itself an ordinary user, which it is when the
tests are; outside it is whoever runs the tests. So it reads and writes what
that user may, as Postern without privileges does."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from postern import PEERS, free_port, until

LAUNCH = """
mount -t overlay -o lowerdir="$1/usr":/usr none /usr &&
exec unshare -U --map-user=1 --map-group=1 /usr/sbin/dovecot -F -c "$2"
"""


class Dovecot:
    """users: {address: password}; mail: the directory below which maildirs
    are DOMAIN/USER. .lmtp and .auth are paths of sockets, .port is IMAP's."""

    def __init__(self, folder, users, mail=None, more=""):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        # The path of a socket has room for 107 letters.
        self.run = tempfile.mkdtemp(prefix="dv.")
        self.port = free_port()
        self.lmtp = os.path.join(self.run, "lmtp")
        self.auth = os.path.join(self.run, "auth-client")
        self.mail = mail or self.path("mail")
        self.more = more
        self.process = None
        with open(self.path("users"), "w") as out:
            for user, password in users.items():
                out.write("%s:{PLAIN}%s\n" % (user, password))

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        with open(self.path("dovecot.conf"), "w") as out:
            out.write(CONF % {
                "run": self.run, "d": self.folder, "port": self.port,
                "mail": self.mail} + self.more)
        root = os.path.join(os.path.abspath(PEERS), "root")
        self.process = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", LAUNCH, "dovecot", root,
             self.path("dovecot.conf")], stdin=subprocess.DEVNULL,
            stdout=open(self.path("stderr"), "ab"), stderr=subprocess.STDOUT)

        def listening():
            if self.process.poll() is not None:
                raise AssertionError("dovecot ended: " + self.log())
            with socket.socket() as probe:
                return os.path.exists(self.lmtp) and \
                    probe.connect_ex(("127.0.0.1", self.port)) == 0
        until(listening, 15, lambda: "dovecot to listen: " + self.log())
        return self

    def log(self):
        text = ""
        for name in ("log", "stderr"):
            try:
                text += open(self.path(name), errors="replace").read()
            except OSError:
                pass
        return text

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        shutil.rmtree(self.run, ignore_errors=True)


CONF = """
base_dir = %(run)s
state_dir = %(d)s/state
log_path = %(d)s/log
auth_verbose = yes
ssl = no
disable_plaintext_auth = no
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = daemon
default_internal_group = daemon
default_login_user = daemon
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:%(mail)s/%%d/%%n
recipient_delimiter = +
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %(d)s/users
}
userdb {
  driver = static
  args = uid=1 gid=1 home=%(d)s/home/%%u
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %(port)d
  }
  inet_listener imaps {
    port = 0
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0600
  }
}
service auth {
  unix_listener auth-client {
    mode = 0600
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
"""
