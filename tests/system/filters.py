# SPDX-License-Identifier: ISC
"""Debian's filters, unpacked: rspamd, opendkim, clamav-milter with its clamd.
Each is a process group of its own that can be stopped, stalled and killed, and
that is there when its socket takes connections."""
import os
import signal
import socket
import subprocess

from postern import PEERS, until

ROOT = os.path.abspath(os.path.join(PEERS, "root"))
# The harmless files that every virus scanner and rspamd know; in two pieces,
# so that this file is neither.
EICAR = (rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-"
         rb"ANTIVIRUS-TEST-FILE!$H+H*")
GTUBE = b"JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def wanting():
    """What is missing to run them; None when nothing is."""
    for name in ("rspamd", "opendkim", "clamd", "clamav-milter"):
        if not os.access(os.path.join(PEERS, "bin", name), os.X_OK):
            return "no %s in %s" % (name, PEERS)
    return None


class Program:
    """Starts at once; up() waits."""

    def __init__(self, folder, name, words, configuration):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.socket = self.path("socket")
        self.words = [os.path.join(PEERS, "bin", name)] + [
            word % self.values() for word in words]
        self.name = name
        self.process = None
        self.write("conf", configuration % self.values())

    def values(self):
        return {"d": self.folder, "socket": self.path("socket"),
                "conf": self.path("conf"), "root": ROOT,
                "share": os.path.join(ROOT, "usr/share/rspamd")}

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "wb" if isinstance(text, bytes)
                  else "w") as out:
            out.write(text)

    def start(self):
        try:
            os.unlink(self.socket)
        except FileNotFoundError:
            pass
        self.process = subprocess.Popen(
            self.words, stdin=subprocess.DEVNULL,
            stdout=open(self.path("log"), "ab"), stderr=subprocess.STDOUT,
            start_new_session=True)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("%s ended:\n%s" % (self.name, self.log()))
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket) == 0

    def up(self):
        until(self.answers, 30, lambda: "%s:\n%s" % (self.name, self.log()))
        return self

    def log(self):
        with open(self.path("log"), errors="replace") as log:
            return log.read()

    def signal(self, number):
        """To it and its children."""
        os.killpg(self.process.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self):
        """However it stands. Not gently: those that are made with libmilter
        take five seconds to notice."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


# A list of top level domains as it is takes 20 seconds to be compiled.
RSPAMD = """
options {
  url_tld = "%(d)s/tld"; tempdir = "%(d)s"; pidfile = "%(d)s/pid";
  control_socket = "%(d)s/control mode=0600";
  filters = "dkim"; local_addrs = []; enable_test_patterns = true;
  dns { nameserver = ["127.0.0.1:{port}"]; timeout = 2s; retransmits = 2; }
}
logging { type = "console"; level = "info"; }
actions { reject = 15; add_header = 6; subject = "***SPAM*** %%s"; }
metric { name = "default"; symbol "SEES" { score = 1.0; } }
dkim { check_local = true; }
lua = "%(d)s/sees.lua";
modules { path = "%(share)s/plugins/milter_headers.lua"; }
modules { path = "%(share)s/plugins/dkim_signing.lua"; }
dkim_signing { enabled = true; sign_networks = "127.0.0.0/8";
  sign_local = true; use_domain = "header"; try_fallback = false;
  allow_username_mismatch = true; allow_hdrfrom_mismatch = true;
  domain { "rspamd.example" { path = "%(d)s/key"; selector = "s1"; } } }
milter_headers { skip_local = false; skip_authenticated = false;
  use = ["x-spamd-result"]; }
worker "rspamd_proxy" {
  bind_socket = "%(socket)s mode=0666";
  milter = yes; timeout = 10s; count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
"""

# A symbol that tells what rspamd was given: what others put into the header,
# the size of the body (without the empty line, which rspamd counts), the
# envelope.
SEES = """
rspamd_config:register_symbol({ name = 'SEES', type = 'normal', score = 1.0,
  callback = function(task)
    local from = task:get_from('smtp')
    local to = {}
    for _, one in ipairs(task:get_recipients('smtp') or {}) do
      table.insert(to, one.addr)
    end
    local virus = task:get_header('X-Virus-Status') and 'scanned' or 'not'
    local signed = task:get_header('DKIM-Signature') and 'signed' or 'not'
    return true, 1.0, 'virus=' .. virus, 'dkim=' .. signed,
      'subject=' .. (task:get_header('Subject') or ''),
      'body=' .. tostring(task:get_rawbody():len() - 2),
      'from=' .. ((from or {{}})[1].addr or ''), 'to=' .. table.concat(to, '+')
  end })
"""


class Rspamd(Program):
    """dns_port: of the name server it asks; key: what it signs mail of
    rspamd.example with."""

    def __init__(self, folder, dns_port, key):
        words = ["-f", "--insecure", "-c", "%(conf)s"] + [
            "--var=" + one for one in (
                "RUNDIR=%(d)s", "DBDIR=%(d)s", "CONFDIR=%(d)s",
                "LOCAL_CONFDIR=%(d)s", "LOGDIR=%(d)s", "SHAREDIR=%(share)s",
                "PLUGINSDIR=%(share)s/plugins", "RULESDIR=%(share)s/rules",
                "LUALIBDIR=%(share)s/lualib")]
        super().__init__(folder, "rspamd", words,
                         RSPAMD.replace("{port}", str(dns_port)))
        self.write("tld", "example\norg\nnet\n")
        self.write("key", key.decode())
        self.write("sees.lua", SEES)


OPENDKIM = """
Syslog no
Background no
Mode sv
UMask 000
Socket local:%(socket)s
InternalHosts %(d)s/internal
ExternalIgnoreList %(d)s/internal
AuthservID opendkim.example
AlwaysAddARHeader yes
RequireSafeKeys no
Canonicalization relaxed/simple
Domain {domain}
Selector {selector}
KeyFile %(d)s/key
TestPublicKeys %(d)s/records
"""


class OpenDkim(Program):
    """Signs for domain what comes from hosts of ours, verifies the rest; key:
    in PEM. Told the records: its libunbound reads ResolverConfiguration anew
    for each session, and two at a time break it."""

    def __init__(self, folder, domain, selector, key, ours="127.0.0.9"):
        super().__init__(
            folder, "opendkim", ["-f", "-x", "%(conf)s"],
            OPENDKIM.replace("{domain}", domain).replace(
                "{selector}", selector))
        self.write("internal", ours + "\n")
        self.write("key", key)
        os.chmod(self.path("key"), 0o600)
        self.publish({})

    def publish(self, records):
        """Before the start."""
        self.write("records", "".join("%s %s\n" % one
                                      for one in records.items()))


CLAMD = """
Foreground yes
LocalSocket %(socket)s
DatabaseDirectory %(d)s/db
TemporaryDirectory %(d)s
PidFile %(d)s/pid
LogTime yes
"""


class Clamd(Program):
    """Knows one virus."""

    def __init__(self, folder):
        super().__init__(folder, "clamd", ["-c", "%(conf)s"], CLAMD)
        os.makedirs(self.path("db"))
        self.write("db/test.ndb", "Test.Eicar:0:*:%s\n" % EICAR.hex())


CLAMAV_MILTER = """
Foreground yes
MilterSocket %(socket)s
MilterSocketMode 666
ClamdSocket unix:{clamd}
PidFile %(d)s/pid
TemporaryDirectory %(d)s
OnInfected {action}
RejectMsg there is %%v in it
AddHeader Replace
"""


class ClamavMilter(Program):
    """action: Reject, Quarantine, ..."""

    def __init__(self, folder, clamd, action):
        super().__init__(
            folder, "clamav-milter", ["-c", "%(conf)s"],
            CLAMAV_MILTER.replace("{clamd}", clamd.socket).replace(
                "{action}", action))
