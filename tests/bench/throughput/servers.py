# SPDX-License-Identifier: ISC
"""The two servers, each as its own users run it, with the same outside: start,
stop, is_empty, counts (from its log) and the processes it is made of.

Both take mail for anybody from 127.0.0.1, drop all of it ("discard"), keep the
queue in a folder of the bench's disk, and log to a file beside that disk.
"""
import json
import os
import subprocess

import smtp_peer
from postern import BINARY, Postern, is_running, until

TICKS = os.sysconf("SC_CLK_TCK")

POSTERN_TEXT = """
queue-directory = "%s"
max-sessions = 5000
max-sessions-per-client = 5000
relay-from = { 127.0.0.1 }
route "*" { transport = discard }
"""

# Not Debian's defaults, and why:
#  in_flow_delay 0           no brake on the senders: it would be what is measured
#  smtpd_peername_lookup no  it need not look up the name of 127.0.0.1
#  default_transport         the discard service, for all domains
#  smtpd_relay_restrictions  the one check an open relay must not be without
# Left as they are because they are not in the way: 100 processes of a kind,
# 20 deliveries at a time to one destination, 20000 active messages; the limits
# on clients do not hold for mynetworks. No chroot, no TLS, no milter.
MAIN_CF = """
compatibility_level = 3.6
daemon_directory = %(root)s/usr/lib/postfix/sbin
command_directory = %(root)s/usr/sbin
shlib_directory = %(root)s/usr/lib/postfix
meta_directory = %(d)s/etc
queue_directory = %(spool)s
data_directory = %(d)s/data
mail_owner = daemon
setgid_group = man
default_privs = nobody
maillog_file = %(d)s/maillog
maillog_file_prefixes = /
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
myhostname = mx.example.org
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
default_transport = discard:
smtpd_relay_restrictions = permit_mynetworks, reject
in_flow_delay = 0
smtpd_peername_lookup = no
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH
export_environment = TZ LANG=C LD_LIBRARY_PATH
"""

MASTER_CF = """
127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def processes(root):
    """{pid: (command, seconds, seconds of its children that have ended)} of
    root and of everything below it."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as stat:
                text = stat.read()
        except OSError:
            continue
        words = text.rsplit(")", 1)[1].split()
        table[int(entry)] = (
            int(words[1]), text.split("(", 1)[1].rsplit(")", 1)[0],
            sum(int(word) for word in words[11:13]) / TICKS,
            sum(int(word) for word in words[13:15]) / TICKS)
    found = {}
    for pid, entry in table.items():
        above = pid
        while above in table and above != root:
            above = table[above][0]
        if above == root:
            found[pid] = entry[1:]
    return found


def add_seconds(root, names):
    """{role: processor seconds so far}; names: {pid: role} where known."""
    total = {"ended": 0}
    for pid, (name, seconds, ended) in processes(root).items():
        role = names.get(pid, name)
        total[role] = total.get(role, 0) + seconds
        total["ended"] += ended
    return total


class BenchPostern(Postern):
    kind = "postern"

    def __init__(self, folder, queue, text=""):
        super().__init__(folder, workers=0,
                         text=POSTERN_TEXT % queue + text)

    def is_empty(self):
        return not self.queue("list", "--limit", "1", "--all")

    def roles(self):
        """{pid: name}, the supervisor included."""
        names = {self.process.pid: "supervisor"}
        for line in self.command("status", "--json")[1].splitlines():
            entry = json.loads(line)
            if entry.get("pid") and entry.get("role"):
                names[entry["pid"]] = entry["role"]
        return names

    def seconds(self):
        return add_seconds(self.process.pid, self.roles())

    def counts(self):
        accepted = delivered = 0
        with open(self.log_path, "rb") as log:
            for line in log:
                accepted += b" accept " in line
                delivered += b" delivery " in line and b"discard" in line
        return {"accepted": accepted, "discarded": delivered}

    @staticmethod
    def version():
        done = subprocess.run([BINARY, "version"], capture_output=True,
                              text=True, check=False)
        return done.stdout.strip()


class BenchPostfix(smtp_peer.Postfix):
    kind = "postfix"

    def __init__(self, folder, queue, text=""):
        self.spool = queue
        self.text = text
        super().__init__(folder)

    def configure(self):
        for name in ("incoming active deferred bounce defer flush saved hold "
                     "corrupt trace pid private public maildrop").split():
            os.makedirs(os.path.join(self.spool, name))
            owner = "root" if name == "pid" else "daemon"
            smtp_peer.shutil.chown(os.path.join(self.spool, name), owner)
        for name in ("etc", "data"):
            os.makedirs(self.path(name))
        smtp_peer.shutil.copy(
            os.path.join(self.root, "etc/postfix/postfix-files"),
            self.path("etc"))
        smtp_peer.shutil.chown(self.path("data"), "daemon")
        for name, text in (
                ("dynamicmaps.cf", ""),
                ("main.cf", MAIN_CF % {"root": self.root, "d": self.folder,
                                       "spool": self.spool} + self.text),
                ("master.cf", MASTER_CF % self.port)):
            with open(self.path("etc", name), "w") as out:
                out.write(text)

    def is_empty(self):
        for name in ("maildrop", "incoming", "active", "deferred"):
            with os.scandir(os.path.join(self.spool, name)) as entries:
                for entry in entries:
                    # deferred is hashed: folders of one letter.
                    if not entry.is_dir() or os.listdir(entry.path):
                        return False
        return True

    def seconds(self):
        return add_seconds(self.process.pid, {})

    def counts(self):
        accepted = delivered = removed = 0
        with open(self.path("maillog"), "rb") as log:
            for line in log:
                accepted += b"postfix/smtpd" in line and b": client=" in line
                delivered += b"postfix/discard" in line and \
                    b"status=sent" in line
                removed += b"postfix/qmgr" in line and line.endswith(
                    b": removed\n")
        return {"accepted": accepted, "discarded": min(delivered, removed)}

    def stop(self):
        """All its processes, not only the first."""
        pids = list(processes(self.process.pid)) if self.process else []
        super().stop()
        until(lambda: not any(is_running(pid) for pid in pids), 20,
              "postfix's processes to end")

    @staticmethod
    def version():
        done = subprocess.run(
            [os.path.join(smtp_peer.PEERS, "bin", "postconf"), "-d", "-h",
             "mail_version"], capture_output=True, text=True, check=False)
        return "Postfix " + done.stdout.strip()
