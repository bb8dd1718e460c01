# SPDX-License-Identifier: ISC
"""Completion in bash: that it knows every command and option there is, as the
program itself says, and no other."""
import os
import re
import subprocess

import pytest

from postern import BINARY, SRCDIR, dead_port, until

SCRIPT = os.path.join(SRCDIR, "packaging/completion/postern")


def complete(*words, folder="/"):
    """What bash offers for the last word; the first is the program."""
    quoted = " ".join("'%s'" % word for word in (BINARY, *words))
    done = subprocess.run(
        ["bash", "--norc", "-c",
         'source "%s"; compopt() { :; }; COMP_WORDS=(%s); COMP_CWORD=%d; '
         '_postern; printf "%%s\\n" "${COMPREPLY[@]}"' % (
             SCRIPT, quoted, len(words))],
        capture_output=True, text=True, timeout=60, cwd=folder,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stderr == "", done
    return sorted(done.stdout.split())


def said(*words):
    done = subprocess.run([BINARY, *words, "--help"], capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, (words, done)
    return done.stdout


def commands(*words):
    """Those that --help lists below these."""
    return sorted(re.findall(r"^  postern %s([a-z][a-z-]*)" % "".join(
        word + " " for word in words), said(*words), re.MULTILINE))


def options(*words):
    """Those that --help explains."""
    return sorted(set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", said(*words),
                                 re.MULTILINE)))


def test_commands():
    """Every level of every command."""
    assert complete("") == commands() and len(commands()) > 10
    assert complete("que") == ["queue"]
    assert complete("xyz") == []
    for words in (["policy"], ["policy", "memory"], ["dkim"], ["user"],
                  ["relay"], ["sts"], ["table"], ["queue", "hold-rule"],
                  ["queue"]):
        assert complete(*words, "") == commands(*words), words
        assert len(commands(*words)) > 1, words
    assert "--domain" not in complete("policy", "explain", "-")
    assert {"--json", "--level", "-c"} & set(complete(
        "policy", "explain", "-"))


@pytest.mark.parametrize("name", commands("queue"))
def test_queue_options(name):
    """What --help of a sub-command explains is what is offered."""
    below = [] if name != "hold-rule" else ["add"]
    words = ["queue", name, *below]
    assert complete(*words, "--") == options(*words)
    assert "--json" in options(*words)


def test_queue_words():
    """States, reasons and levels; files where files are wanted."""
    assert complete("queue", "list", "--state", "") == [
        "active", "deferred", "held"]
    assert complete("queue", "list", "--reason", "dane") == ["dane-mismatch"]
    offered = complete("queue", "hold", "--failure", "")
    reasons = said("queue", "hold").split("REASONS: ")[1]
    listed = reasons.split(";")[0].replace("\n", " ").split(", ")
    assert offered == sorted(word.strip() for word in listed)
    assert complete("queue", "list", "--tag", "r") == ["requiretls"]
    assert complete("queue", "list", "--tag", "=", "r") == ["requiretls"]
    assert len(complete("queue", "list", "--tag", "=")) == 3
    assert complete("queue", "set-tls", "12", "--reason", "x", "dane") == [
        "dane", "dane-only"]
    assert complete("queue", "list", "-c", "/etc/hostna") == ["/etc/hostname"]
    assert complete("queue", "import", "/etc/hostna") == ["/etc/hostname"]
    assert complete("queue", "list", "--older", "") == []


def test_identifiers(server):
    """Those of the running server, where its configuration is named."""
    one = server(text='relay-from = { 127.0.0.1 }\nallow-loopback = yes\n'
                 'route "*.dead.example" { host = "127.0.0.1" port = %d '
                 "mx = no }\n" % dead_port())
    ids = sorted([one.send("a@b.dead.example"), one.send("c@d.dead.example")])
    until(lambda: len(one.queue("list")) == 2)
    assert complete("queue", "show", "-c", one.path, "") == ids
    assert complete("queue", "show", "-c", one.path, ids[0]) == [ids[0]]
    one.stop()
    assert complete("queue", "show", "-c", one.path, "") == []
