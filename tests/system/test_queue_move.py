# SPDX-License-Identifier: ISC
"""Queues that go elsewhere: export and import between two servers, backups that
are started from, and what verify says of damage that was planted."""
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile

import pytest

from postern import BINARY, dead_port, until
from smtp_peer import Stranger

LARGE = b"Subject: large\r\n\r\n" + b"".join(
    b"line %d of many\r\n" % i for i in range(9000))
TEXT = ("relay-from = { 127.0.0.1 }\nallow-loopback = yes\n"
        "retry-first = 1h\nretry-max = 1h\n"
        'route "*.there.example" { host = "127.0.0.1" port = %d mx = no }\n')


@pytest.fixture
def one(server):
    """A server with mail for hosts that nobody answers for."""
    one = server(text=TEXT % dead_port())
    one.ids = [
        one.send("a@one.there.example", "ann@example.org"),
        one.send(["b@one.there.example", "c@two.there.example"],
                 "ben@example.org", LARGE),
        one.send("d@two.there.example", ""),
    ]
    one.command("queue", "hold", "--note", "look at it", one.ids[2], check=0)

    def tried():
        return all(entry["state"] != "active" for entry in one.queue("list"))
    until(tried, 30, "all to be tried")
    return one


def export(one, path, *words, code=0):
    """Standard output in a file; returns what was said."""
    result, out, err = one.command("queue", "export", *words, text=False)
    assert result == code, (result, err)
    path.write_bytes(out)
    return err.decode()


def told(one):
    """What `queue show` says that does not differ from host to host."""
    return sorted((entry["sender"], entry["arrival"], entry["size"],
                   [(each["address"], each["attempts"], each["held"],
                     each["state"]) for each in entry["recipients"]])
                  for entry in one.queue("show", "--all"))


def content(one):
    return sorted(one.command("queue", "cat", entry["id"], text=False,
                              check=0)[1] for entry in one.queue("list"))


def deliver_to(one, peer):
    """The hosts are there now."""
    one.configure(TEXT % peer.port)
    one.command("reload", check=0)
    one.command("queue", "release", "--all")
    one.command("queue", "retry", "--all")
    one.wait_empty()
    return sorted(recipient.split("<")[1].split(">")[0]
                  for mail in peer.messages for recipient in mail[2])


def test_moved(one, server, tmp_path):
    """All of it arrives at the other host, once, and is delivered there."""
    other = server(text=TEXT % dead_port())
    archive = tmp_path / "mail.tar"
    before, bodies = told(one), content(one)
    assert "exported 3 messages" in export(one, archive, "--all", "--remove")
    assert not one.queue("list")
    names = tarfile.open(archive).getnames()
    assert names[0] == "manifest.json" and names[-1] == "totals.json"
    assert names[1:-1] == [name for identifier in sorted(one.ids)
                           for name in (identifier + ".json",
                                        identifier + ".body")]
    code, out, _ = other.command("queue", "import", str(archive), "--dry-run")
    assert code == 0 and not other.queue("list")
    other.command("queue", "import", str(archive), check=0)
    assert told(other) == before and content(other) == bodies
    out = other.command("queue", "import", str(archive), check=0)[1]
    assert "imported 0 messages" in out and told(other) == before
    other.kill_all()
    other.start()
    assert told(other) == before and content(other) == bodies
    peer = Stranger()
    assert deliver_to(other, peer) == [
        "a@one.there.example", "b@one.there.example", "c@two.there.example",
        "d@two.there.example"]
    assert any(LARGE.split(b"\r\n\r\n")[1] in mail[3]
               for mail in peer.messages)
    peer.close()


def test_export_changes_nothing(one, tmp_path):
    """Without a word about it all stays; with --hold it stays held."""
    before = told(one)
    export(one, tmp_path / "a", "--domain", "two.there.example")
    names = tarfile.open(tmp_path / "a").getnames()
    assert len(names) == 6 and told(one) == before
    export(one, tmp_path / "b", "--all", "--hold")
    assert {entry["state"] for entry in one.queue("list")} == {"held"}
    rows = tarfile.open(tmp_path / "b")
    held = [each["held"] for identifier in one.ids for each in json.load(
        rows.extractfile(identifier + ".json"))["recipients"]]
    assert held == ["", "", "", "look at it"]


def test_no_room_for_the_archive(one):
    """What cannot be written whole is not removed, and goes on as before."""
    one.command("queue", "hold", "--note", "mine", "--recipient", "c@*",
                check=0)
    before = told(one)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "queue", "export", "--all", "--remove",
                               "-c", one.path], stdout=full, timeout=60,
                              stderr=subprocess.PIPE)
    assert done.returncode == 74, done
    assert [entry[:3] for entry in told(one)] == [
        entry[:3] for entry in before]
    assert {each["address"]: each["held"] for entry in one.queue(
        "show", "--all") for each in entry["recipients"]} == {
            "a@one.there.example": "", "b@one.there.example": "",
            "c@two.there.example": "mine",
            "d@two.there.example": "look at it"}


def remade(path, change):
    """The archive with other members: change(name, data) or None for none."""
    out = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=out,
                                                 mode="w") as new:
        for member in old.getmembers():
            data = change(member.name, old.extractfile(member).read())
            if data is not None:
                about = tarfile.TarInfo(member.name)
                about.size = len(data)
                new.addfile(about, io.BytesIO(data))
    return out.getvalue()


def test_bad_archives(one, tmp_path):
    """Nothing of an archive is taken in that is not whole and right."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    export(one, good, "--all")
    body = one.ids[0] + ".body"
    whole = good.read_bytes()
    for data in (whole[:len(whole) // 2], b"nothing of the kind",
                 remade(good, lambda name, data: None
                        if name == "totals.json" else data),
                 remade(good, lambda name, data: None
                        if name == body else data),
                 remade(good, lambda name, data: data.replace(b"x", b"y")
                        if name == body else data),
                 remade(good, lambda name, data: data.replace(
                     b'"length"', b'"width"')),
                 remade(good, lambda name, data: data.replace(
                     b'"messages": 3', b'"messages": 2'))):
        bad.write_bytes(data)
        code, _, err = one.command("queue", "import", str(bad), "--again")
        assert code == 65, (code, err)
    assert len(one.queue("list")) == 3


def test_backup(one, tmp_path):
    """A copy of the queue at work, which a server starts from."""
    place = tmp_path / "copy"
    before, bodies = told(one), content(one)
    one.command("queue", "backup", str(place), check=0)
    assert one.command("queue", "backup", str(place))[0] == 64
    one.command("queue", "verify", "--directory", str(place), check=0)
    folder = os.path.join(one.parts["state"], "queue")
    until(lambda: not [name for name in os.listdir(folder)
                       if name.startswith("backup.")], 20, "no remains")
    # The queue is still nobody else's, and another folder is none.
    code, out, err = one.command("queue", "verify", "--directory", folder)
    assert (code, out) == (75, "") and "a server works on it" in err, err
    code, out, err = one.command("queue", "verify", "--directory",
                                 str(tmp_path))
    assert (code, out) == (64, "") and "this is no queue" in err, err
    assert not list(tmp_path.glob("*.db"))
    one.command("queue", "delete", "--all", check=0)
    one.stop()
    shutil.rmtree(folder)
    shutil.copytree(place, folder)
    one.start()
    assert told(one) == before and content(one) == bodies
    one.command("queue", "verify", check=0)


def test_copy_of_nobody(one, tmp_path):
    """A role that was taken over names a copy that it never made."""
    one.stop()
    folder = os.path.join(one.parts["state"], "queue")
    place, other = tmp_path / "copy", tmp_path / "other"
    other.mkdir()
    (other / "lock").write_text("not yours")
    os.symlink(other, os.path.join(folder, "backup.1"))
    path = os.path.join(one.parts["state"], "run", "control")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        for name, expected in (("backup.1", 70), ("backup.2", 70),
                               ("..", 69), ("backup./..", 69)):
            command = subprocess.Popen(
                [BINARY, "queue", "backup", str(place), "-c", one.path],
                stderr=subprocess.PIPE)
            role = listener.accept()[0]
            role.recv(4096)
            role.sendall(json.dumps({"copy": name}).encode() + b"\n")
            role.shutdown(socket.SHUT_WR)
            err = command.communicate(timeout=60)[1]
            role.close()
            assert command.returncode == expected, (name, err)
            assert not place.exists()
    os.unlink(path)
    assert os.listdir(other) == ["lock"]
    os.unlink(os.path.join(folder, "backup.1"))
    one.start()


def flip(path, needle):
    """One bit of the first page that has these bytes."""
    with open(path, "r+b") as file:
        data = file.read()
        at = data.index(needle)
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))


def test_damage_is_found(one, tmp_path):
    """A body that is not what came in: verify of a copy says so, the server
    salvages at its start, holds it, and the report can be read later."""
    place = tmp_path / "copy"
    one.command("queue", "backup", str(place), check=0)
    one.stop()
    folder = os.path.join(one.parts["state"], "queue")
    for where in (str(place), folder):
        flip(os.path.join(where, "segment.0000000000000001.db"),
             b"line 4000 of many")
    code, out, err = one.command("queue", "verify", "--directory", str(place))
    assert code == 65, (out, err)
    one.start()
    # The page is met by verify itself; the role begins anew and salvages.
    one.command("queue", "verify", "--quick")
    one.wait_log("salvage is complete", 60)
    until(lambda: one.command("queue", "list")[0] == 0, 30, "the queue")
    code, out, _ = one.command("queue", "verify", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 65
    # in the queue at work, and in the copy of it
    assert [line["message"] for line in lines if "problem" in line] == [
        one.ids[1], one.ids[1]]
    assert [line["finding"]["message"] for line in lines
            if "salvaged" in line] == [one.ids[1]]
    assert {each["held-by"] for each in one.queue(
        "show", one.ids[1])[0]["recipients"]} == {"queue"}
