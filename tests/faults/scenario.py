# SPDX-License-Identifier: ISC
"""What the server goes through while one of its calls is harmed.

life      a fresh start; mail to maildirs and over TLS, small, large, to
          several; a refused recipient and its notification, a deferred one, one
          that the operator deletes; stop; start, a message, stop
recovery  the start of a server that was killed in the middle of its work (a
          snapshot of it), the end of that work, stop
"""
import os
import shutil
import time

from page import Fault
from world import Broken, Client, Watch, until

ALICE, BOB, DAN = ("%s@example.org" % name for name in ("alice", "bob", "dan"))
CAROL, NOBODY, LATER, NEVER = ("%s@example.net" % name for name in (
    "carol", "nobody", "later", "never"))
LARGE, SMALL = 200000, 2000

KILL = Fault("kill-before", "", 1)
SNAPSHOTS = ("acknowledged", "receiving", "unflushed", "settling", "stopping")


# --- parts ---

def mail(world):
    world.send(BOB, [ALICE], SMALL)
    world.send(BOB, [ALICE, CAROL], LARGE, tls=True)
    world.send(BOB, [ALICE, DAN, CAROL, NOBODY], SMALL)
    world.send(BOB, [ALICE], SMALL, success=True)
    world.send(BOB, [LATER], SMALL)
    world.send(BOB, [NEVER], SMALL)


def delete(world):
    """The operator deletes what nobody takes; told of success once is told for
    ever."""
    def gone():
        world.look()
        if world.deleted is None:
            world.command("queue", "stats")
            world.deleted = "asked"
        if world.command("queue", "delete", "--recipient", NEVER) is None:
            world.note("a command failed")
            # it may have been done, and only the answer got lost
            return NEVER not in world.queue_left()
        world.deleted = "told"
        return True
    until(lambda: NEVER in world.sink.asked, 5)
    if not until(gone):
        world.problem("the operator cannot delete")


def check_empty(world):
    left = world.queue_left()
    if world.deleted == "told" and NEVER in left:
        world.problem("deleted mail is back")
    for one in left:
        world.note("in the queue: " + one)


def probe(world):
    """Whoever was not harmed goes on, and so do the others by now."""
    begun = time.monotonic()
    world.send(BOB, [ALICE, CAROL], SMALL)
    world.wait_fates()
    world.notes["recovery"] = round(time.monotonic() - begun, 3)


# --- whole runs ---

def life(world):
    world.start()
    mail(world)
    delete(world)
    world.wait_fates()
    world.stop()
    if world.page.order().fired:
        return
    world.start()
    check_empty(world)
    probe(world)
    world.stop()


def recovery(world):
    world.start()
    world.wait_fates()
    if not world.page.order().fired:
        probe(world)
    world.stop()


def run(world, scenario, snapshot=None, point=None, fault=None,
        occurrence=1, must_end=False):
    """One run of life or recovery; problems and notes are the world's."""
    world.reset(snapshot)
    if point:
        world.page.arm(point, fault, occurrence)
    world.must_end = must_end
    watch = Watch(world.page)
    begun = time.monotonic()
    try:
        scenario(world)
        order = world.page.order()
        world.page.disarm()
        if order.fired:
            # what it left behind must be fit for another start
            world.start()
            check_empty(world)
            probe(world)
            world.stop()
    except Broken:
        pass
    finally:
        watch.end()
        world.kill_all()
    world.judge()
    order = world.page.order()
    if must_end and order.sent_after > 2:    # another thread may just do so
        world.problem("speaks after a failed flush")
    return order.fired, time.monotonic() - begun


# --- snapshots ---

class Snapshot:
    """A queue that was left in the middle of its work, and the ledger of
    it."""

    def __init__(self, kind, state, world):
        self.kind, self.state = kind, state
        self.messages = world.messages
        self.receipts = list(world.sink.receipts)
        self.asked = list(world.sink.asked)


def flush_point(world):
    """The queue's flush of its log."""
    found = [point for point in world.page.points() if point.role == "queue"
             and point.call == "sync" and "queue/log." in point.what]
    return max(found, key=lambda point: point.count).key


def receive_half(world):
    message = world.message(BOB, [ALICE, CAROL], LARGE)
    client = Client(world.port)
    client.begin(message)
    client.socket.sendall(message.text()[:LARGE * 3 // 4])
    # the queue has it when its log has grown past the first chunks
    log = os.path.join(world.state, "queue", "log.0000000001")
    before = os.path.getsize(log)
    until(lambda: os.path.getsize(log) > before + LARGE // 4, 2)
    return client


def wait_struck(world):
    if not until(lambda: world.page.order().fired):
        world.problem("the snapshot's kill did not come")


def make_snapshot(world, kind, folder, page_write=None):
    """page_write: the key of a point in the checkpoint of a stop."""
    world.reset()
    world.start()
    client = None
    world.send(BOB, [LATER], SMALL)
    until(lambda: LATER in world.sink.asked)
    world.sink.door.clear()
    world.send(BOB, [CAROL], SMALL)
    world.send(BOB, [ALICE, CAROL], LARGE)
    world.send(BOB, [ALICE, DAN, CAROL, NOBODY], SMALL)
    if kind == "receiving":
        client = receive_half(world)
    elif kind == "unflushed":
        world.page.arm(flush_point(world), KILL)
        world.attempt(world.message(BOB, [ALICE, CAROL], SMALL), False)
    elif kind == "settling":
        world.page.arm(flush_point(world), KILL)
        world.sink.door.set()
        wait_struck(world)
    elif kind == "stopping":
        # in the last checkpoint, with some of the pages written
        world.page.arm(page_write, KILL)
        world.process.terminate()
        wait_struck(world)
    world.kill_all()
    if client:
        client.close()
    copy = os.path.join(folder, kind)
    # the first are made again at each start, and large; sockets cannot be
    # copied
    shutil.copytree(world.state, copy, ignore=shutil.ignore_patterns(
        "reserve", "spare", "spare.new", "control", "submit"))
    return Snapshot(kind, copy, world)
