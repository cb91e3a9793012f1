#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hand-over socket of a real daemon: who may, what is answered, what a client leaves behind."""

import array
import errno
import json
import os
import signal
import socket
import stat
import struct
import tempfile
import time
import unittest
from unittest import mock

import common

CHECK, SERVE, START, RESIZE, CACHE, RELEASE = range(1, 7)
IN_USE = 4
SIZE = 1 << 20
RING = 64 << 10


def request(kind, string="", size=0, block_size=0, map_len=0, on=0, device="", version=1):
    packet = struct.pack(">BBQIQB", version, kind, size, block_size, map_len, on)
    for text in (string, device):
        packet += struct.pack(">H", len(text)) + text.encode()
    return packet


class Client:
    """The plug-in's side."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(common.SECONDS)
        self.sock.connect(path)

    def send(self, packet, *fds):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([packet], rights)

    def answer(self):
        """(errno, text), or None at the end of the connection."""
        packet = self.sock.recv(4096)
        if not packet:
            return None
        version, kind, error, length = struct.unpack(">BBIH", packet[:8])
        assert (version, kind, length) == (1, 0x80, len(packet) - 8), packet
        return error, packet[8:].decode()

    def ask(self, *args, fds=(), **more):
        self.send(request(*args, **more), *fds)
        return self.answer()

    def serve(self, string="duotgt/data", **more):
        ring = ring_file()
        fields = {"map_len": RING, "device": "uio5", "size": SIZE, "block_size": 512, **more}
        try:
            return self.ask(SERVE, string, fds=[ring], **fields)
        finally:
            os.close(ring)

    def close(self):
        self.sock.close()


def ring_file():
    """Memory with a mailbox at its start and nothing in the ring."""
    fd = os.memfd_create("ring")
    os.ftruncate(fd, RING)
    os.pwrite(fd, struct.pack("<HHIII", 2, 0xf, 4096, 16384, 0), 0)
    return fd


class Handover(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="duotgt-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = self.path("run", "tcmu.sock")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def config(self, name="duotgt.json", **more):
        config = {
            "storages": [{"deviceID": 7, "name": "data", "path": "ram:1M"},
                         {"deviceID": 9, "path": "ram:1M"},
                         {"deviceID": 8, "path": self.path("disk.img"), "deviceSize": SIZE}],
            "iscsiportals": [{"id": 0, "portal": "127.0.0.1:0"}],
            "iscsitargets": {"iqn.2026-11.org.example:a": {"tpgts": {"1": [0]}, "luns": {"0": 9}}},
            "stateDir": self.path("state"), "runDir": self.path("run"), **more}
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return self.path(name)

    def daemon(self):
        server = common.Server("daemon", "--config", self.config())
        self.addCleanup(server.__exit__)
        server.urls(1)
        for _ in range(1000 * common.SECONDS):
            if os.path.exists(self.socket):
                break
            time.sleep(0.001)
        return server

    def client(self):
        client = Client(self.socket)
        self.addCleanup(client.close)
        return client

    def says(self, answer, error, text):
        self.assertEqual(answer[0], error, answer)
        self.assertIn(text, answer[1])

    def test_strings_are_judged(self):
        self.daemon()
        client = self.client()
        for string in ("duotgt/data", "duotgt/7", "duotgt/8", f"duotgt/{self.folder}/new.img"):
            self.assertEqual(client.ask(CHECK, string), (0, ""))
        self.says(client.ask(CHECK, "duotgt/other"), errno.ENOENT, "other is no storage")
        self.says(client.ask(CHECK, "duotgt/9"), errno.EBUSY, "is an iSCSI LUN already")
        self.says(client.ask(CHECK, "duot/data"), errno.EINVAL, "begins with duotgt/")
        self.says(client.ask(CHECK, "duotgt//no/such/file"), errno.ENOENT, "its folder")
        self.says(client.ask(CHECK, "duotgt//dev/null"), errno.EINVAL, "neither a file")
        self.says(client.ask(CHECK, "duotgt/data", block_size=4096), errno.EINVAL,
                  "expected 512")

    def test_a_device_comes_and_goes(self):
        server = self.daemon()
        client, other = self.client(), self.client()
        self.assertEqual(client.serve(), (0, ""))
        self.assertEqual(client.serve()[0], errno.EBUSY)
        self.says(other.serve(), errno.EBUSY, "served to the kernel already")
        self.assertEqual(client.ask(RESIZE, size=SIZE), (0, ""))
        self.assertEqual(client.ask(CACHE, on=0), (0, ""))
        self.assertEqual(client.ask(RELEASE), (0, ""))
        self.assertEqual(client.ask(RELEASE)[0], errno.ENODEV)
        self.assertEqual(other.serve(), (0, ""))
        self.assertEqual(server.end(), 0)
        self.assertIsNone(other.answer())

    def test_a_path_is_opened_for_its_device(self):
        self.daemon()
        client, other = self.client(), self.client()
        path = self.path("new.img")
        self.assertEqual(client.serve(f"duotgt/{path}"), (0, ""))
        self.assertEqual(os.stat(path).st_size, SIZE)
        self.says(other.serve(f"duotgt/{path}"), errno.EBUSY, "in use")
        self.assertEqual(client.ask(RESIZE, size=2 * SIZE), (0, ""))
        self.assertEqual(os.stat(path).st_size, 2 * SIZE)
        self.assertEqual(client.ask(RELEASE), (0, ""))
        self.assertEqual(other.serve(f"duotgt/{path}", size=2 * SIZE), (0, ""))

    def test_a_client_that_dies(self):
        self.daemon()
        for _ in range(20):
            client, other = self.client(), self.client()
            self.assertEqual(client.serve(), (0, ""))
            client.close()
            # answered when nothing is left of the other one
            self.assertEqual(other.ask(CHECK, "duotgt/data"), (0, ""))
            self.assertEqual(other.serve(), (0, ""))
            self.assertEqual(other.ask(RELEASE), (0, ""))
            other.close()

    def test_what_makes_no_sense(self):
        server = self.daemon()
        client = self.client()
        self.assertEqual(client.ask(START)[0], errno.ENODEV)
        self.assertEqual(client.ask(SERVE, "duotgt/data", map_len=RING, device="uio0")[0],
                         errno.EBADF)
        with open("/dev/null", "r+b") as null:
            self.says(client.ask(SERVE, "duotgt/data", map_len=RING, device="uio0",
                                 fds=[null.fileno()]), errno.ENODEV, "cannot be mapped")
        no_ring = os.memfd_create("no ring")
        os.ftruncate(no_ring, RING)
        self.says(client.ask(SERVE, "duotgt/data", map_len=RING, device="uio0", fds=[no_ring]),
                  errno.EPROTO, "ring")
        os.close(no_ring)
        self.assertEqual(client.ask(CHECK, "duotgt/data"), (0, ""))
        self.says(client.ask(CHECK, "duotgt/data", version=2), errno.EPROTONOSUPPORT, "version")
        self.assertIsNone(client.answer())
        for packet in (b"\x01", request(9), request(CHECK), request(START) + b"\0", b"\x01" * 2000):
            stranger = self.client()
            stranger.send(packet)
            self.assertIsNone(stranger.answer())
        hasty = self.client()
        hasty.send(request(CHECK, "duotgt/data"))
        hasty.close()
        self.assertEqual(self.client().ask(CHECK, "duotgt/data"), (0, ""))
        self.assertEqual(server.end(), 0)

    def test_no_descriptor_stays(self):
        server = self.daemon()
        folder = f"/proc/{server.process.pid}/fd"

        def count():
            self.client().ask(CHECK, "duotgt/data")
            return len(os.listdir(folder))
        client = self.client()
        client.serve()
        client.ask(RELEASE)
        client.close()
        before = count()
        for n in (1, 2, 3):
            client = self.client()
            client.send(request(CHECK, "duotgt/data"), *[0] * n)
            client.answer()
            client.close()
        client = self.client()
        client.serve()
        client.close()
        # the connections of count() itself stay
        self.assertEqual(count(), before + 1)

    def test_two_daemons(self):
        server = self.daemon()
        self.assertEqual(stat.S_IMODE(os.stat(self.path("run")).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o600)
        second = self.config("second.json", storages=[{"deviceID": 9, "path": "ram:1M"}])
        done = common.duotgt("daemon", "--config", second)
        self.assertEqual(done.returncode, IN_USE, done.stderr)
        self.assertIn("another daemon has it", done.stderr)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        self.assertTrue(os.path.exists(self.socket))
        self.daemon()
        self.assertEqual(self.client().ask(CHECK, "duotgt/data"), (0, ""))

    def test_the_default_directory_is_that_of_systemd(self):
        with open(self.config(), encoding="utf-8") as file:
            config = json.load(file)
        del config["runDir"]
        with open(self.path("default.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        first, second = self.path("first"), self.path("no", "such")
        for directory, there in ((first + ":" + second, True), (second, False)):
            with mock.patch.dict(os.environ, {"RUNTIME_DIRECTORY": directory}), \
                    common.Server("daemon", "--config", self.path("default.json")) as server:
                server.urls(1)
                self.assertEqual(server.end(), 0)
            self.assertEqual("cannot hand devices over" in "".join(server.err), not there)
        self.assertTrue(os.path.isdir(first))

    def test_a_change_takes_a_restart(self):
        server = self.daemon()
        self.config(runDir=self.path("other"))
        server.process.send_signal(signal.SIGHUP)
        for _ in range(1000 * common.SECONDS):
            if "runDir" in "".join(server.err):
                break
            time.sleep(0.001)
        self.assertIn("runDir: a change takes a restart", "".join(server.err))
        self.assertEqual(server.end(), 0)


if __name__ == "__main__":
    common.main()
