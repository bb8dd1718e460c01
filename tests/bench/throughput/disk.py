# SPDX-License-Identifier: ISC
"""Where all queues lie: an ext4 of its own in a sparse file, mounted by a loop
device without online discard, or a tmpfs, in a mount namespace that ends with
us; or a plain folder, on whatever it is on."""
import os
import shutil
import subprocess
import tempfile
import time

MAKE = ["mkfs.ext4", "-q", "-F", "-m", "0", "-E",
        "nodiscard,lazy_itable_init=0,lazy_journal_init=0"]
MOUNT_OPTIONS = "loop,nodiscard,noatime"


class NoDisk(Exception):
    """The loop mount cannot be had here."""


class Disk:
    """A folder for everything of one run; gone after release()."""

    def __init__(self, folder, size_gigabytes=4, loop=True, kind=None):
        self.folder = tempfile.mkdtemp(prefix="postern-bench.", dir=folder)
        os.chmod(self.folder, 0o755)
        self.file = os.path.join(self.folder, "disk")
        self.queues = os.path.join(self.folder, "m")
        self.mounted = False
        os.mkdir(self.queues)
        kind = kind or ("loop" if loop else "plain")
        try:
            if kind == "loop":
                self.mount(size_gigabytes)
            elif kind == "tmpfs":
                self.command("mount", "-t", "tmpfs", "-o", "mode=0755,size=%dg"
                             % size_gigabytes, "tmpfs", self.queues)
                self.mounted = True
        except BaseException:
            self.release()
            raise

    @staticmethod
    def command(*words):
        try:
            done = subprocess.run(words, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, check=False)
        except FileNotFoundError as error:
            raise NoDisk(str(error)) from error
        if done.returncode:
            raise NoDisk("%s: %s" % (" ".join(words), done.stderr.strip()))

    def mount(self, size_gigabytes):
        with open(self.file, "wb") as out:
            out.truncate(size_gigabytes << 30)
        self.command(*MAKE, self.file)
        self.command("mount", "-o", MOUNT_OPTIONS, self.file, self.queues)
        self.mounted = True

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def queue(self, name):
        """A fresh folder on the mounted file system."""
        path = os.path.join(self.queues, name)
        os.mkdir(path)
        return path

    def forget(self, path):
        """Deletes a folder, and waits until the disk is quiet again."""
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["sync", "-f", self.queues], check=False)

    def release(self):
        end = time.monotonic() + 10
        while self.mounted:
            done = subprocess.run(["umount", self.queues],
                                  capture_output=True, text=True)
            self.mounted = done.returncode != 0
            if self.mounted and time.monotonic() > end:
                subprocess.run(["umount", "-l", self.queues], check=False)
                break
            if self.mounted:
                time.sleep(0.1)
        # Whatever could not be unmounted is not walked into.
        subprocess.run(["rm", "-rf", "--one-file-system", self.folder],
                       check=False)

    def describe(self):
        """The file systems: of the queues and of the file below them."""
        words = {}
        with open("/proc/mounts") as mounts:
            for line in mounts:
                device, point, kind, options = line.split()[:4]
                words[point] = "%s (%s)" % (kind, options)
        below = self.folder
        while below not in words and below != "/":
            below = os.path.dirname(below)
        inner = words.get(self.queues)
        if inner and not inner.startswith("tmpfs"):
            inner = "loop-mounted " + inner
        return {"queues": inner or "a plain folder",
                "below": words.get(below, "?")}
