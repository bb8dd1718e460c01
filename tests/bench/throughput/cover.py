# SPDX-License-Identifier: ISC
"""What servers look for at fixed places: the name server, in resolv.conf; and
what Exim and OpenSMTPD have compiled in: places in /etc and /var, users, and
libraries that are only unpacked. All of it lies over the machine's own, in our
mount namespace, and goes away with it."""
import os
import re
import shutil
import subprocess

from loads import Failed
from postern import PEERS
from programs import program

USERS = (("Debian-exim", 60102, "/var/spool/exim4"),
         ("opensmtpd", 60103, "/var/lib/opensmtpd/empty"),
         ("opensmtpq", 60104, "/var/lib/opensmtpd/empty"))
PLACES = ("/etc", "/var/spool", "/var/lib")


def mount(*words):
    done = subprocess.run(["mount", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Failed("mount %s: %s" % (" ".join(words), done.stderr.strip()))


class Cover:
    """Made once for a run, below a folder, with the name server of resolv.conf;
    release() before the folder is deleted."""

    def __init__(self, folder, digest):
        self.folder = folder
        self.names = None
        self.root = os.path.join(PEERS, "root")
        os.mkdir(folder)
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)
        for place in PLACES:
            self.over(place)
        self.users()
        self.libraries()
        for name in ("/var/spool/smtpd", "/var/lib/opensmtpd/empty",
                     "/etc/exim4"):
            os.makedirs(name, exist_ok=True)
        # Set-user-ID does not work everywhere; here it does.
        self.exim = os.path.join(folder, "exim4")
        shutil.copy(os.path.join(self.root, "usr/sbin/exim4"), self.exim)
        os.chmod(self.exim, 0o4755)
        self.programs()
        self.names = subprocess.Popen(
            [program("names", os.path.dirname(folder)), "--tlsa", digest],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.names.stdout.readline() != "listening\n":
            raise Failed("the name server does not listen")

    def over(self, place):
        upper = self.folder + place + "/upper"
        work = self.folder + place + "/work"
        os.makedirs(upper)
        os.makedirs(work)
        mount("-t", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % (
            place, upper, work), "overlay", place)

    @staticmethod
    def users():
        for name, number, home in USERS:
            with open("/etc/passwd", "a") as out:
                out.write("%s:x:%d:%d::%s:/usr/sbin/nologin\n" % (
                    name, number, number, home))
            with open("/etc/group", "a") as out:
                out.write("%s:x:%d:\n" % (name, number))
        for name, text in (
                ("hosts", "127.0.0.1 localhost\n"),
                ("nsswitch.conf", "passwd: files\ngroup: files\n"
                 "hosts: files dns\nservices: files\n"),
                ("resolv.conf", "nameserver 127.0.0.1\n"
                 "options edns0 trust-ad\n")):
            # It may be a link to what is not ours.
            path = os.path.join("/etc", name)
            if os.path.lexists(path):
                os.unlink(path)
            with open(path, "w") as out:
                out.write(text)

    def libraries(self):
        with open(os.path.join(PEERS, "env")) as lines:
            path = re.search("^LD_LIBRARY_PATH='(.*)'", lines.read(), re.M)[1]
        listed = os.path.join(self.folder, "libraries")
        with open(listed, "w") as out:
            out.write(path.replace(":", "\n") +
                      "\ninclude /etc/ld.so.conf\n")
        subprocess.run(["ldconfig", "-X", "-f", listed, "-C",
                        "/etc/ld.so.cache"], capture_output=True, check=False)

    def programs(self):
        """OpenSMTPD starts its helpers by their compiled-in path, and mail that
        is queued by hand goes through a program that no row needs."""
        place = "/usr/libexec/opensmtpd"
        if not os.path.isdir(place):
            return
        mount("--bind", self.root + place, place)

    def release(self):
        if self.names:
            self.names.kill()
            self.names.wait()
        for place in PLACES[::-1]:
            subprocess.run(["umount", "-l", place], check=False,
                           capture_output=True)
        subprocess.run(["umount", "-l", self.folder], check=False,
                       capture_output=True)
