# SPDX-License-Identifier: ISC
"""Servers that a sender meets: a scriptable one for what real ones will not
do, and Debian's Postfix for what they do."""
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

from postern import PEERS, free_port, until


class Stranger(threading.Thread):
    """An SMTP server that misbehaves as told, and remembers what it saw.

    replies: {verb: text} instead of the usual answer; keywords: what EHLO
    lists; certificate: offers STARTTLS with it; after_starttls: called with
    the connected socket instead of a handshake; implicit: TLS comes first;
    requiretls: REQUIRETLS is listed under "tls", or "always".

    While it runs a test may set .strip: what somebody in the path makes of
    STARTTLS ("gone", "mangled", "blocked"; None: nothing), and clear .door: no
    connection is greeted until it is set.
    """

    def __init__(self, certificate=None, replies=None, keywords=None,
                 after_starttls=None, greeting="220 stranger.example ESMTP",
                 tls_version=None, address="127.0.0.1", port=0,
                 implicit=False, requiretls=None):
        super().__init__(daemon=True)
        self.listener = socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address
            else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        self.certificate = certificate
        self.replies = replies or {}
        self.keywords = keywords
        self.after_starttls = after_starttls
        self.greeting = greeting
        self.tls_version = tls_version
        self.implicit = implicit
        self.requiretls = requiretls
        self.strip = None
        self.door = threading.Event()
        self.door.set()
        self.mails = []      # (connection's number, secure, MAIL line)
        self.clear = []      # commands seen in clear
        self.secured = []    # commands seen under TLS
        self.messages = []   # (secure, sender, recipients, data); sender is
        #                      what stands behind MAIL FROM:, parameters too
        self.connections = 0
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve,
                             args=(connection, self.connections),
                             daemon=True).start()

    def close(self):
        self.listener.close()

    def offered(self, secure):
        if self.keywords is not None:
            return list(self.keywords)
        words = ["PIPELINING", "SIZE 50000000", "8BITMIME",
                 "ENHANCEDSTATUSCODES"]
        if self.certificate and not secure and self.strip != "gone":
            words.append("XXXXXXXA" if self.strip == "mangled"
                         else "STARTTLS")
        if self.requiretls and (secure or self.requiretls == "always"):
            words.append("REQUIRETLS")
        return words

    def handshake(self, connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.chain, self.certificate.key)
        if self.tls_version:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = self.tls_version
        return context.wrap_socket(connection, server_side=True)

    def serve(self, connection, number):
        try:
            connection.settimeout(30)
            self.talk(connection, number)
        except (OSError, EOFError, ssl.SSLError):
            pass    # the other side went away: its business
        finally:
            connection.close()

    def talk(self, connection, number):
        secure = self.implicit
        if secure:
            connection = self.handshake(connection)
        stream = connection.makefile("rb")
        sender, recipients = None, []

        def answer(text):
            connection.sendall(text.encode() + b"\r\n")

        self.door.wait(30)
        answer(self.greeting)
        while True:
            line = stream.readline()
            if not line:
                return
            text = line.decode("latin-1").rstrip("\r\n")
            verb = text.split(" ")[0].upper()
            (self.secured if secure else self.clear).append(text)
            if verb in self.replies:
                reply = self.replies[verb]
                if reply is None:
                    return      # closes
                answer(reply)
                if verb != "STARTTLS" or not reply.startswith("220"):
                    continue
            if verb in ("EHLO", "LHLO"):
                words = ["stranger.example"] + self.offered(secure)
                for word in words[:-1]:
                    answer("250-" + word)
                answer("250 " + words[-1])
            elif verb == "STARTTLS" and self.strip:
                answer("502 5.5.1 what")
            elif verb == "STARTTLS":
                if verb not in self.replies:
                    answer("220 go ahead")
                if self.after_starttls:
                    self.after_starttls(connection)
                    return
                connection = self.handshake(connection)
                stream = connection.makefile("rb")
                secure = True
            elif verb == "MAIL":
                sender, recipients = text[10:], []
                self.mails.append((number, secure, text))
                answer("250 2.1.0 fine")
            elif verb == "RCPT":
                recipients.append(text[8:])
                answer("250 2.1.5 fine")
            elif verb == "DATA":
                answer("354 go on")
                data = b""
                more = stream.readline()
                while more != b".\r\n":
                    if not more:
                        return
                    data += more
                    more = stream.readline()
                if recipients:
                    self.messages.append((secure, sender, recipients, data))
                final = self.replies.get(".", "250 2.0.0 taken")
                if final is None:
                    return
                answer(final)
            elif verb == "QUIT":
                answer("221 2.0.0 bye")
                return
            else:
                answer("250 2.0.0 fine")


class Postfix:
    """Debian's Postfix, unpacked, delivering to Maildirs below folder; more:
    lines for main.cf. .environment is for its processes; main.cf says which of
    it they get."""

    environment = {}

    def __init__(self, folder, certificate=None, domain="example.net",
                 more=""):
        self.more = more
        self.folder = str(folder)
        self.root = os.path.join(PEERS, "root")
        self.port = free_port()
        self.domain = domain
        self.certificate = certificate
        self.process = None
        self.configure()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def configure(self):
        for name in ("incoming active deferred bounce defer flush saved hold "
                     "corrupt trace pid private public maildrop").split():
            os.makedirs(self.path("spool", name), exist_ok=True)
        os.makedirs(self.path("etc"), exist_ok=True)
        os.makedirs(self.path("data"), exist_ok=True)
        os.makedirs(self.path("mail"), exist_ok=True)
        shutil.copy(os.path.join(self.root, "etc/postfix/postfix-files"),
                    self.path("etc"))
        open(self.path("etc/dynamicmaps.cf"), "w").close()
        tls = ""
        if self.certificate:
            tls = ("smtpd_tls_security_level = may\n"
                   "smtpd_tls_chain_files = %s %s\n" % (
                       self.certificate.key, self.certificate.chain))
        with open(self.path("etc/main.cf"), "w") as out:
            out.write(MAIN_CF % {
                "root": self.root, "d": self.folder, "domain": self.domain,
            } + tls + self.more)
        with open(self.path("etc/master.cf"), "w") as out:
            out.write(MASTER_CF % self.port)
        # Its users must not be root's: daemon and man exist everywhere.
        for name in ("data", "mail"):
            shutil.chown(self.path(name), "daemon")
        for name in os.listdir(self.path("spool")):
            shutil.chown(self.path("spool", name), "daemon")
        shutil.chown(self.path("spool", "pid"), "root")
        walk = str(self.folder)
        while walk not in (tempfile.gettempdir(), "/"):
            os.chmod(walk, 0o755)
            walk = os.path.dirname(walk)

    def start(self):
        libraries = os.path.join(self.root, "usr/lib/postfix")
        for line in open(os.path.join(PEERS, "env")):
            if line.startswith("LD_LIBRARY_PATH="):
                libraries = line.split("=", 1)[1].strip().strip("'")
        environment = dict(os.environ, MAIL_CONFIG=self.path("etc"),
                           LD_LIBRARY_PATH=libraries)
        environment.pop("LD_PRELOAD", None)
        environment.update(self.environment)
        self.process = subprocess.Popen(
            [os.path.join(self.root, "usr/lib/postfix/sbin/master"), "-c",
             self.path("etc"), "-d"], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.path("stderr"), "wb"), start_new_session=True)

        def listening():
            if self.process.poll() is not None:
                raise AssertionError("postfix ended: " + self.log())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        until(listening, 15, "postfix to listen; " + self.log())
        return self

    def log(self):
        text = ""
        for name in ("maillog", "stderr"):
            try:
                text += open(self.path(name), errors="replace").read()
            except OSError:
                pass
        return text

    def messages(self, user):
        folder = self.path("mail", user, "new")
        try:
            return [open(os.path.join(folder, name), "rb").read()
                    for name in sorted(os.listdir(folder))]
        except FileNotFoundError:
            return []

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


MAIN_CF = """
compatibility_level = 3.6
daemon_directory = %(root)s/usr/lib/postfix/sbin
command_directory = %(root)s/usr/sbin
shlib_directory = %(root)s/usr/lib/postfix
meta_directory = %(d)s/etc
queue_directory = %(d)s/spool
data_directory = %(d)s/data
mail_owner = daemon
setgid_group = man
default_privs = nobody
maillog_file = %(d)s/maillog
maillog_file_prefixes = /
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
myhostname = mx.%(domain)s
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = %(domain)s
virtual_mailbox_base = %(d)s/mail
virtual_mailbox_maps = static:user/
virtual_uid_maps = static:1
virtual_gid_maps = static:1
virtual_minimum_uid = 1
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
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
