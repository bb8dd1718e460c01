# SPDX-License-Identifier: ISC
"""The programs of this folder: those of the build folder, else made here."""
import os
import subprocess

from postern import BINARY

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
SOURCES = {
    "load_client": (["load_client.c", "wire.c"],
                    ["-lssl", "-lcrypto", "-ljansson", "-lpthread"]),
    "sink": (["sink.c", "wire.c"], ["-lssl", "-lcrypto"]),
    "names": (["names.c"], []),
}


def program(name, folder):
    """Its path; one that is made here is made in folder."""
    built = os.path.join(os.path.dirname(os.path.abspath(BINARY)),
                         "tests/bench/throughput", name)
    if os.access(built, os.X_OK):
        return built
    made = os.path.join(folder, name)
    if os.access(made, os.X_OK):
        return made
    sources, libraries = SOURCES[name]
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2",
         "-I" + TOP, "-o", made] + [os.path.join(HERE, one)
                                    for one in sources] + libraries,
        check=True, stdin=subprocess.DEVNULL)
    return made


def library(name, folder):
    """A library for LD_PRELOAD out of one source, made in folder."""
    made = os.path.join(folder, os.path.basename(name) + ".so")
    if not os.path.exists(made):
        subprocess.run(
            [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2",
             "-fPIC", "-shared", "-o", made,
             os.path.join(TOP, name + ".c"), "-ldl"],
            check=True, stdin=subprocess.DEVNULL)
        os.chmod(made, 0o755)
    return made
