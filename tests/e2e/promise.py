# SPDX-License-Identifier: Apache-2.0
"""
What a test of this folder is: a function that takes a Place, named after the promise that it
holds duotgt to, and registered with @promise. It raises, or it passes.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time

import initiator
import servers
import wire

PROMISES = {}  # name: function


class Skipped(Exception):
    """The machine lacks something; the text says what."""


def promise(function=None, *, seconds=60, slow=False):
    """seconds: after this long the test is killed and failed. slow: left out by --quick."""

    def register(fn):
        fn.seconds, fn.slow = seconds, slow
        PROMISES[f"{fn.__module__.removeprefix('test_')}.{fn.__name__}"] = fn
        return fn

    return register(function) if function else register


class Place:
    """Where one test runs: an engine, a binary, a folder of its own."""

    def __init__(self, binary, engine, folder):
        self.binary, self.engine, self.folder = binary, engine, folder

    def image(self, size=64 << 20, name="disk.img"):
        return servers.image(self.folder, size, name)

    def serve(self, *specs, **more):
        """A running duotgt, 64 MiB of memory as its disk unless told otherwise."""
        return servers.serve(self.binary, specs or ("ram:64M",), self.engine, **more)

    def serve_image(self, size=64 << 20, **more):
        return self.serve(self.image(size), **more)

    def daemon(self, config, n_ready=1):
        config.setdefault("performance", {})["engine"] = self.engine
        return servers.daemon(self.binary, config, self.folder, n_ready)

    def fails_to_start(self, args, code, *words, env=None):
        """duotgt must end with code, one clear line that has the words, and nothing on stdout."""
        done = subprocess.run([self.binary, *args], capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL, env=env, check=False)
        said = done.stderr.strip()
        equal(done.returncode, code, f"exit code of duotgt {' '.join(args)}, which said: {said}")
        equal(done.stdout, "", "stdout")
        equal(len(said.splitlines()), 1, f"number of lines on stderr, which are: {said}")
        for word in words:
            assert word in said, f"{word!r} is not in: {said}"


def equal(got, expected, what):
    assert got == expected, f"{what}: {got!r}, expected {expected!r}"


def equal_bytes(got, expected, what):
    """As equal(), without printing megabytes."""
    if got == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
              min(len(got), len(expected)))
    raise AssertionError(f"{what}: {len(got)} bytes, expected {len(expected)}; "
                         f"they differ from byte {at} on")


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skipped(f"{program} is not installed")


def run(argv):
    """A program that must succeed; returns its output."""
    return run_together([argv])[0]


def run_together(commands):
    """
    Starts all, waits for all; each must succeed. libiscsi tries to reconnect for ever, so that
    the death of a server ends them, too.
    """
    started = []
    for argv in commands:
        out = tempfile.TemporaryFile("w+", errors="replace")
        started.append((argv, out, subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT,
                                                    stdin=subprocess.DEVNULL)))
    while any(process.poll() is None for _, _, process in started):
        dead = [server for server in servers.RUNNING if not server.alive]
        if dead:
            for _, _, process in started:
                process.kill()
                process.wait()
            raise AssertionError(f"{dead[0].name} died with {dead[0].process.returncode}")
        time.sleep(0.02)
    outputs = []
    for argv, out, process in started:
        out.seek(0)
        outputs.append(out.read())
        out.close()
        assert process.returncode == 0, \
            f"{' '.join(argv)}\nended with {process.returncode}:\n{outputs[-1]}"
    return outputs


def login(server, **more):
    """A session that has taken its unit attentions."""
    session = initiator.Session(server.address, server.iqn, **more)
    session.settle()
    return session


def still_serves(server):
    """A new initiator finds all as it should be. Returns how long its login took, in seconds."""
    assert server.alive, f"{server.name} died with {server.process.returncode}:\n{server.stderr}"
    start = time.monotonic()
    session = initiator.Session(server.address, server.iqn)
    took = time.monotonic() - start
    session.settle()
    session.read(0, 8)
    equal(session.logout(), 0, "logout response")
    session.conn.close()
    return took


def expect_reject(session, reason, request):
    """The next PDU is a Reject with this reason and the header of the rejected request."""
    pdu = session.expect(wire.REJECT)
    equal(pdu.bhs[2], reason, "Reject reason")
    equal(pdu.itt, wire.RESERVED_TAG, "ITT of a Reject")
    equal(bytes(pdu.data[:wire.BHS_LEN]), bytes(request.bhs), "header in the Reject")
    return pdu


def listening(pid):
    """(address as /proc/net/tcp{,6} writes it) of all sockets that a process listens on."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            continue
        if found:
            inodes.add(found.group(1))
    places = []
    for table in ("tcp", "tcp6"):
        if not os.path.exists(f"/proc/net/{table}"):
            continue
        with open(f"/proc/net/{table}") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        places += [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
    return sorted(places)
