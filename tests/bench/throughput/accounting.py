# SPDX-License-Identifier: ISC
"""What a server uses: processor time and memory of all its processes, those
that have ended included.

A group of the kernel (cgroup v2) counts the time of whatever was started in it;
no controller is needed for that. Where none can be made, the processes below
the server's first one are added up, and the children that they have waited for;
what has left that tree is missing then.
"""
import itertools
import os
import signal
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
numbers = itertools.count()


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


def unified():
    """(folder of cgroup v2, folder of our own group in it), or None."""
    try:
        with open("/proc/self/mounts") as mounts:
            places = [line.split()[1] for line in mounts
                      if line.split()[2] == "cgroup2"]
        with open("/proc/self/cgroup") as groups:
            own = [line.strip()[3:] for line in groups
                   if line.startswith("0::")]
    except OSError:
        return None
    if not places or not own:
        return None
    return places[0], os.path.join(places[0], own[0].lstrip("/"))


class Group:
    """The processes of one server. They are born in it: entered() is us in
    there while they are started."""

    def __init__(self):
        self.path = None
        where = unified()
        if where is None:
            return
        self.home = where[1]
        path = os.path.join(self.home, "postern-bench.%d.%d" % (
            os.getpid(), next(numbers)))
        try:
            os.mkdir(path)
            self.path = path
            self.seconds()
        except (OSError, KeyError):
            self.release()

    def move(self, folder):
        with open(os.path.join(folder, "cgroup.procs"), "w") as out:
            out.write(str(os.getpid()))

    def __enter__(self):
        if self.path:
            try:
                self.move(self.path)
            except OSError:
                self.release()
        return self

    def __exit__(self, *_):
        if self.path:
            self.move(self.home)

    def seconds(self):
        """Processor seconds of all that ever ran in it; None: not known."""
        if not self.path:
            return None
        with open(os.path.join(self.path, "cpu.stat")) as stat:
            words = dict(line.split() for line in stat)
        return int(words["usage_usec"]) / 1e6

    def pids(self):
        if not self.path:
            return []
        with open(os.path.join(self.path, "cgroup.procs")) as procs:
            return [int(line) for line in procs]

    def end(self):
        """Whoever is still there goes: all were started by us."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def release(self):
        end = time.monotonic() + 5
        while self.path:
            try:
                os.rmdir(self.path)
                self.path = None
            except OSError:
                self.end()
                if time.monotonic() > end:
                    return
                time.sleep(0.02)


def proportional(pids):
    """MiB of these processes, each page by its share (Pss)."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as lines:
                total += sum(int(line.split()[1]) for line in lines
                             if line.startswith("Pss:"))
        except OSError:
            pass
    return total / 1024


class MemoryWatch(threading.Thread):
    """The most memory while it runs, looked at twice a second and at its
    end."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids = pids       # a function
        self.most = 0
        self.ended = threading.Event()
        self.start()

    def look(self):
        self.most = max(self.most, proportional(self.pids()))

    def run(self):
        while not self.ended.wait(0.5):
            self.look()

    def stop(self):
        self.ended.set()
        self.join()
        self.look()
        return self.most
