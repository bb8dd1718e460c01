# SPDX-License-Identifier: ISC
"""A recording of tests/preload/record.c, and the trees that a power cut in it
may leave.

Disk follows the log from its beginning. Of each file it has what is on the
disk for certain (what a flush covered) and what was written since, in order;
of each folder the same for its names. image() draws one of the trees that may
be found after a cut at that point, by a seeded generator:

  contents  a page (4096 bytes; "tear": sectors of 512) is as some write since
            its last flush left it, or as that flush left it: each on its own,
            so writes are dropped, reordered and torn
  sizes     any that the file has had since
  names     "strict": each change of a folder that was not flushed with that
            folder is there or not, on its own; a flushed file is lost with
            the folder's entry for it. A rename is one change: both names, or
            none
            "ext4": changes of names are in the journal in order, so that a
            cut leaves a beginning of them; whatever flushes a file whose
            inode changed (new, longer, another mode), or a folder, flushes
            the journal so far
"""
import mmap
import os
import random
import shutil
import stat
import struct

(CREATE, MKDIR, SYMLINK, LINK, RENAME, EXCHANGE, UNLINK, RMDIR, WRITE, TRUNCATE,
 ALLOCATE, FLUSH, FLUSH_ALL, MAP, MODE, MARK, LOST) = range(1, 18)
HEAD = struct.Struct("<IBBHIIQQQ")
MAGIC = 0x50574331
DATA_ONLY = 1
PAGE, SECTOR = 4096, 512


class Recording:
    """The records: a list of (kind, flags, first, second, data)."""

    def __init__(self, path):
        self.records = []
        with open(path, "rb") as log:
            size = os.fstat(log.fileno()).st_size
            whole = mmap.mmap(log.fileno(), 0, prot=mmap.PROT_READ) if size \
                else b""
        view = memoryview(whole)
        at = 0
        while at + HEAD.size <= size:
            (magic, kind, flags, _, _, length, sequence, first,
             second) = HEAD.unpack_from(view, at)
            end = at + HEAD.size + length
            # A process that was killed in the middle of the last one.
            if magic != MAGIC or end > size or \
                    sequence != len(self.records) + 1:
                break
            data = view[at + HEAD.size:end]
            if kind not in (WRITE, MARK):
                data = bytes(data).decode(errors="surrogateescape")
            self.records.append((kind, flags, first, second, data))
            at = end

    def marks(self, what):
        """[(sequence, number)] of the marks of this kind."""
        return [(i + 1, record[3]) for i, record in enumerate(self.records)
                if record[0] == MARK and record[2] == what]

    def points(self):
        """Where a cut is worth while: not inside of the zeros that a log file
        is made of, which would be most of them."""
        return [i + 1 for i, (kind, _, _, _, data) in enumerate(self.records)
                if kind != WRITE or bytes(data[:PAGE]).strip(b"\0")]

    def points_at_names(self, folder):
        """Where names change that are directly in this folder, and what comes
        around it."""
        near = set()
        for i, (kind, _, _, _, data) in enumerate(self.records):
            if kind in (CREATE, LINK, RENAME, UNLINK) and \
                    os.path.dirname(data.split("\0")[0]) == folder:
                near.update(range(i - 5, i + 40))
        return [point for point in self.points() if point in near]

    def unrecordable(self):
        return [record[4] for record in self.records if record[0] == LOST]


class File:
    """Bytes on the disk (beyond them zeros, up to size) and what came since."""

    def __init__(self, mode, owner):
        self.data = bytearray()
        self.size = 0
        self.mode, self.owner = mode, owner     # on the disk
        self.pending = []      # (sequence, WRITE | TRUNCATE | ALLOCATE | MODE,
        #                         number, bytes)
        self.used = 0          # end of what was ever written but zeros
        self.mapped = False
        self.changed = 0       # sequence of the inode's last change but mtime
        self.longest = 0

    def add(self, sequence, kind, number, data=b""):
        if kind == WRITE:
            end = number + len(data)
            if number >= self.used and data == bytes(len(data)):
                kind, number, data = ALLOCATE, end, b""
            else:
                self.used = max(self.used, end)
            if end > self.longest:
                self.longest = self.changed_now(sequence, end)
        elif kind == TRUNCATE:
            self.longest = self.changed_now(sequence, number)
        elif kind == ALLOCATE:
            self.longest = self.changed_now(sequence,
                                            max(self.longest, number))
        self.pending.append((sequence, kind, number, data))

    def changed_now(self, sequence, value):
        self.changed = sequence
        return value

    def apply(self, kind, number, data):
        """To what is on the disk."""
        if kind == WRITE:
            end = number + len(data)
            if len(self.data) < end:
                self.data.extend(bytes(end - len(self.data)))
            self.data[number:end] = data
            self.size = max(self.size, end)
        elif kind == TRUNCATE:
            del self.data[number:]
            self.size = number
        elif kind == ALLOCATE:
            self.size = max(self.size, number)
        else:
            self.mode, self.owner = number & 0xffffffff, number >> 32

    def flush(self, before):
        left = []
        for change in self.pending:
            if change[0] < before:
                self.apply(*change[1:])
            else:
                left.append(change)
        self.pending = left

    def live(self):
        """Another file, as the processes see this one."""
        other = File(self.mode, self.owner)
        other.data, other.size = bytearray(self.data), self.size
        for change in self.pending:
            other.apply(*change[1:])
        return other


class Folder:
    def __init__(self, mode, owner):
        self.mode, self.owner = mode, owner
        self.live = {}      # name -> node
        self.disk = {}      # name -> (sequence, node or None)


class Start:
    """A copy of the tree that a recording begins with; names -> inodes there."""

    def __init__(self, tree, copy):
        self.path = copy
        self.inodes = {"": os.stat(tree).st_ino}
        shutil.copytree(tree, copy, symlinks=True)
        for root, folders, files in os.walk(tree):
            for name in folders + files:
                path = os.path.join(root, name)
                about = os.lstat(path)
                inside = path[len(tree):]
                self.inodes[inside] = about.st_ino
                os.chown(copy + inside, about.st_uid, about.st_gid,
                         follow_symlinks=False)


class Other:
    """A socket, a symbolic link: not in any image."""


class Draw:
    """What becomes of one thing that has had n versions since its flush."""

    def __init__(self, dice, now, kind=None):
        self.dice = dice
        self.kind = kind or dice.choices(
            ["drop", "keep", "prefix", "random"], [5, 5, 20, 70])[0]
        self.until = dice.randrange(now + 1)
        if self.kind == "prefix":    # the last ones matter most
            self.until = max(0, now - int(dice.expovariate(1 / 60)))

    def for_file(self):
        """Chance of the newest version for all of one file."""
        return self.dice.choice([0.0, 0.1, 0.5, 0.5, 0.9, 1.0])

    def version(self, sequences, chance):
        """How many of these changes are kept, the first ones."""
        count = len(sequences)
        if self.kind == "drop":
            return 0
        if self.kind == "keep":
            return count
        if self.kind == "prefix":
            return sum(one <= self.until for one in sequences)
        if self.dice.random() < chance:
            return count
        return self.dice.randrange(count)


def draw_file(file, draw, unit):
    """(bytes, size, mode, owner) of a file in an image."""
    if file.mapped:
        data = bytes(file.longest) if draw.dice.random() < 0.5 else \
            draw.dice.randbytes(file.longest)
        return data, file.longest, file.mode, file.owner
    if not file.pending:
        return file.data, file.size, file.mode, file.owner
    chance = draw.for_file()
    touched, sizes, size = {}, [], file.size
    ends = []
    for sequence, kind, number, data in file.pending:
        if kind == WRITE:
            places = range(number // unit, (number + len(data) - 1) // unit + 1)
            new = max(size, number + len(data))
        elif kind == TRUNCATE:
            places = range(number // unit, (file.used + unit - 1) // unit)
            new = number
        else:
            places = ()
            new = max(size, number) if kind == ALLOCATE else size
        for place in places:
            touched.setdefault(place, []).append(sequence)
        if new != size:
            sizes.append(sequence)
            ends.append(new)
            size = new
    kept = {place: draw.version(sequences, chance)
            for place, sequences in touched.items()}
    data = bytearray(file.data)
    mode, owner = file.mode, file.owner
    for sequence, kind, number, change in file.pending:
        if kind == MODE and draw.version([sequence], chance):
            mode, owner = number & 0xffffffff, number >> 32
        if kind not in (WRITE, TRUNCATE):
            continue
        end = number + len(change) if kind == WRITE else file.used
        if len(data) < end:
            data.extend(bytes(end - len(data)))
        if kind == TRUNCATE:
            change = bytes(max(0, end - number))
        for place in range(number // unit, (end + unit - 1) // unit):
            left = kept.get(place, 0)
            if left <= 0:
                continue
            kept[place] = left - 1
            start = max(number, place * unit)
            stop = min(end, (place + 1) * unit)
            data[start:stop] = change[start - number:stop - number]
    keep = draw.version(sizes, chance) if sizes else 0
    size = ends[keep - 1] if keep else file.size
    del data[size:]
    return data, size, mode, owner


class Disk:
    """mode: "strict" or "ext4". lie: so many records before the cut flushes
    begin to be ignored (a disk that lies): the harness's own test."""

    def __init__(self, recording, start=None, mode="strict"):
        self.records = recording.records
        self.mode = mode
        self.now = 0
        self.root = Folder(0o40755, os.geteuid())
        self.inodes = {}
        self.names = []     # pending: (sequence, [(folder, name, node), ...])
        self.journal = 0    # ext4: all names before this are on the disk
        self.honest_until = None
        if start is not None:
            self.take(start.path, "", self.root, start.inodes)

    def take(self, path, inside, folder, inodes):
        """A tree that was there, on the disk, when the recording began."""
        about = os.stat(path)
        folder.mode, folder.owner = about.st_mode, about.st_uid
        self.inodes[inodes[inside]] = folder
        for entry in os.scandir(path):
            about = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                node = Folder(about.st_mode, about.st_uid)
                self.take(entry.path, inside + "/" + entry.name, node, inodes)
            elif stat.S_ISREG(about.st_mode):
                node = File(about.st_mode, about.st_uid)
                with open(entry.path, "rb") as file:
                    node.data = bytearray(file.read())
                node.size = node.used = node.longest = len(node.data)
            else:
                node = Other()
            self.inodes[inodes[inside + "/" + entry.name]] = node
            folder.live[entry.name] = node
            folder.disk[entry.name] = (0, node)

    # --- names ---

    def folder(self, path):
        node = self.root
        for part in path.split("/") if path else ():
            node = node.live[part]
        return node

    def place(self, path):
        head, _, name = path.rpartition("/")
        return self.folder(head), name

    def change_names(self, sequence, effects):
        for folder, name, node in effects:
            if node is None:
                folder.live.pop(name, None)
            else:
                folder.live[name] = node
        self.names.append((sequence, effects))

    def make(self, sequence, path, inode, node):
        self.inodes[inode] = node
        if isinstance(node, File):
            node.changed = sequence
        self.change_names(sequence, [(*self.place(path), node)])

    def move(self, kind, sequence, text):
        one, other = text.split("\0")
        from_folder, from_name = self.place(one)
        to_folder, to_name = self.place(other)
        node = from_folder.live.get(from_name) or Other()
        old = to_folder.live.get(to_name)
        effects = [(to_folder, to_name, node)]
        if kind == RENAME and node is old:
            return
        if kind == RENAME:
            effects.append((from_folder, from_name, None))
        elif kind == EXCHANGE:
            effects.append((from_folder, from_name, old))
        self.change_names(sequence, effects)

    # --- flushes ---

    def names_done(self, is_done):
        left = []
        for sequence, effects in self.names:
            if not is_done(sequence, effects):
                left.append((sequence, effects))
                continue
            for folder, name, node in effects:
                if folder.disk.get(name, (0, None))[0] <= sequence:
                    folder.disk[name] = (sequence, node)
        self.names = left

    def commit(self, before):
        """ext4's journal."""
        if before > self.journal:
            self.journal = before
            self.names_done(lambda sequence, _: sequence < before)

    def flush(self, inode, before):
        node = self.inodes.get(inode)
        if isinstance(node, File):
            node.flush(before)
            if self.mode == "ext4" and node.changed >= self.journal:
                self.commit(before)
        elif isinstance(node, Folder) and self.mode == "ext4":
            self.commit(before)
        elif isinstance(node, Folder):
            self.names_done(lambda sequence, effects: sequence < before and
                            any(one[0] is node for one in effects))

    def flush_all(self, before):
        for node in set(self.inodes.values()):
            if isinstance(node, File):
                node.flush(before)
        self.names_done(lambda sequence, _: sequence < before)
        self.journal = max(self.journal, before)

    # --- going on ---

    def advance(self, until):
        """To just behind the record with that sequence."""
        while self.now < until:
            self.step(self.now + 1, *self.records[self.now])
            self.now += 1

    def step(self, sequence, kind, _flags, first, second, data):
        if kind == WRITE:
            node = self.inodes.get(first)
            if isinstance(node, File):
                node.add(sequence, WRITE, second, data)
        elif kind in (TRUNCATE, ALLOCATE, MODE):
            node = self.inodes.get(first)
            if isinstance(node, File):
                node.add(sequence, kind, second)
                node.changed = sequence
            elif isinstance(node, Folder):
                node.mode, node.owner = second & 0xffffffff, second >> 32
        elif kind in (FLUSH, FLUSH_ALL):
            if self.honest_until is not None and sequence > self.honest_until:
                return
            if kind == FLUSH:
                self.flush(first, second)
            else:
                self.flush_all(second)
        elif kind == CREATE:
            self.make(sequence, data, first, File(second & 0xffffffff,
                                                  second >> 32))
        elif kind == MKDIR:
            self.make(sequence, data, first, Folder(second & 0xffffffff,
                                                    second >> 32))
        elif kind == SYMLINK:
            self.make(sequence, data.split("\0")[0], first, Other())
        elif kind in (LINK, RENAME, EXCHANGE):
            self.move(kind, sequence, data)
        elif kind in (UNLINK, RMDIR):
            self.change_names(sequence, [(*self.place(data), None)])
        elif kind == MAP and isinstance(self.inodes.get(first), File):
            self.inodes[first].mapped = True

    # --- images ---

    def draw_names(self, draw):
        """(folder, name) -> node, of changes that a cut happened to leave."""
        chance = draw.for_file()
        first = self.names[0][0] if self.names else 0
        until = draw.dice.randrange(first - 1, self.now + 1) if first else 0
        drawn = {}
        for sequence, effects in self.names:
            if self.mode == "ext4" and draw.kind == "random":
                kept = sequence <= until
            else:
                kept = draw.version([sequence], chance)
            for folder, name, node in effects if kept else ():
                if folder.disk.get(name, (0, None))[0] <= sequence:
                    drawn[folder, name] = node
        return drawn

    def image(self, path, seed, unit=PAGE, kind=None):
        """Makes a tree at path, which is not there yet; what the draw was, or
        had to be."""
        draw = Draw(random.Random(seed), self.now, kind)
        drawn = self.draw_names(draw)
        changed = {}
        for (folder, name), node in drawn.items():
            changed.setdefault(folder, {})[name] = node
        written = {}

        def put_folder(folder, path):
            os.mkdir(path)
            names = {name: node for name, (_, node) in folder.disk.items()}
            names.update(changed.get(folder, {}))
            for name, node in names.items():
                inner = os.path.join(path, name)
                if isinstance(node, Folder):
                    put_folder(node, inner)
                elif isinstance(node, File) and node in written:
                    os.link(written[node], inner)
                elif isinstance(node, File):
                    written[node] = inner
                    put_file(inner, *draw_file(node, draw, unit))
            own(path, folder.mode, folder.owner)

        put_folder(self.root, path)
        return draw.kind

    def differences(self, path):
        """Where the tree at path is not what the recording led to: nothing,
        or else the recorder has missed something."""
        found = []

        def look(folder, path):
            there = {entry.name: entry for entry in os.scandir(path)}
            for name in set(there) | set(folder.live):
                node, entry = folder.live.get(name), there.get(name)
                inner = os.path.join(path, name)
                about = entry.stat(follow_symlinks=False) if entry else None
                if about and not stat.S_ISDIR(about.st_mode) and \
                        not stat.S_ISREG(about.st_mode):
                    continue
                if node is None or about is None:
                    if not isinstance(node, Other):
                        found.append("%s: %s" % (inner, "not recorded" if about
                                                 else "not there"))
                elif isinstance(node, Folder):
                    look(node, inner)
                elif isinstance(node, File) and not node.mapped:
                    compare(node.live(), inner, about)

        def compare(node, path, about):
            with open(path, "rb") as file:
                data = file.read()
            if about.st_size != node.size or data != bytes(node.data).ljust(
                    node.size, b"\0"):
                found.append("%s: other bytes (size %d, recorded %d)" % (
                    path, about.st_size, node.size))
            if (about.st_mode, about.st_uid) != (node.mode, node.owner):
                found.append("%s: mode %o, recorded %o" % (
                    path, about.st_mode, node.mode))

        look(self.root, path)
        return found


def own(path, mode, owner):
    os.chmod(path, mode & 0o7777)
    if owner != os.geteuid():
        os.chown(path, owner, -1)


def put_file(path, data, size, mode, owner):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(data)[:size]
        while view:
            view = view[os.write(fd, view):]
        if len(data) < size:
            os.ftruncate(fd, size)
        if mode & 0o7777 != 0o600:
            os.fchmod(fd, mode & 0o7777)
        if owner != os.geteuid():
            os.fchown(fd, owner, -1)
    finally:
        os.close(fd)
