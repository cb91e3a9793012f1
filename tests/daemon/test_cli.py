#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, one line of complaint, nothing left behind, ready lines, the end."""

import os
import re
import signal
import socket
import tempfile
import unittest

import common

OK, FAILED, USAGE, NOT_FOUND, IN_USE, PERMISSION, CONFIG = 0, 1, 2, 3, 4, 5, 7
FREE = ("--portal", "127.0.0.1:0")


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="duotgt-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def image(self, name="disk.img", size=1 << 20):
        with open(self.path(name), "wb") as file:
            file.truncate(size)
        return self.path(name)

    def refuses(self, code, *args, says="", **more):
        done = common.duotgt(*args, **more)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aduotgt: [^\n]+\n\Z", args)
        self.assertIn(says, done.stderr)


class Usage(Case):
    def test_help_and_version(self):
        for args in (["--help"], ["help"], ["-h"], ["help", "serve"], ["help", "daemon"],
                     ["serve", "--help"], ["daemon", "-h"], ["--version"]):
            done = common.duotgt(*args)
            self.assertEqual((done.returncode, done.stderr), (OK, ""), args)
            self.assertTrue(done.stdout)
        self.assertRegex(common.duotgt("--version").stdout, r"\Aduotgt \d+\.\d+\.\d+\n\Z")

    def test_wrong_usage(self):
        for args, says in (
                ([], "no verb"), (["frobnicate"], "frobnicate"), (["help", "me"], "me"),
                (["serve"], "no SPEC"), (["serve", "--nonsense", "ram:1M"], "--nonsense"),
                (["serve", "ram:"], "needs a size"), (["serve", "tape:/x"], "tape"),
                (["serve", "ram:1M", "--size", "1M"], "has a size already"),
                (["serve", "ram:1M", "--portal", "localhost:1"], "localhost"),
                (["serve", "ram:1M", "--portal", "[::1"], "[::1"),
                (["serve", "ram:1M", "--iqn", "disk one"], "disk one"),
                (["serve", "ram:1M", "--engine", "steam"], "steam"),
                (["serve", "ram:1M", "--reactors", "-1"], "-1"),
                (["serve", "ram:1M", "--reactors", "x"], "x"),
                (["serve", "ram:1M", "--busy-poll", "1001"], "1001"),
                (["serve", "ram:1M", "--block-size", "1000"], "1000"),
                (["serve", "ram:1000"], "multiple"), (["serve", "/x", "--size", "0"], "--size"),
                (["serve", "/x", "--size", "1X"], "1X"),
                (["serve", "ram:1M", "--log-level", "loud"], "loud"),
                (["daemon", "more"], "more"), (["daemon", "--check", "--log-level", "x"], "x")):
            with self.subTest(args):
                self.refuses(USAGE, *args, says=says)


class Refusals(Case):
    def test_a_missing_file(self):
        self.refuses(NOT_FOUND, "serve", self.path("absent"), *FREE, says="--size")
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_file_that_is_too_small(self):
        self.refuses(CONFIG, "serve", self.image(size=100), *FREE, says="disk.img")
        self.refuses(CONFIG, "serve", self.image(size=4096), "--size", "1M", *FREE,
                     says="disk.img")
        self.assertEqual(os.path.getsize(self.path("disk.img")), 4096)

    def test_a_storage_is_named_once(self):
        disk, key = self.image("disk.img", 100), self.path("absent.key")
        hint = ' (a size would make it: --size, or "deviceSize")'
        absent, state = self.path("absent"), ("--state-dir", self.folder)
        for spec, text, *more in (
                (disk, f"file:{disk}: smaller than one block"),
                ("cdrom:" + disk, f"cdrom:{disk}: smaller than one block"),
                ("ram:1M?key-file=x", "ram: encryption needs a state directory to keep its key "
                 'in ("stateDir", --state-dir)'),
                (absent, f"{absent}: does not exist{hint}"),
                (f"{self.image('large.img')}?key-file={key}", f"{self.path('large.img')}: key "
                 f"file {key}: No such file or directory", *state)):
            with self.subTest(spec):
                done = common.duotgt("serve", spec, *more, *FREE)
                self.assertEqual(done.stderr, f"duotgt: error: {text}\n")

    def test_a_file_that_is_not_writable(self):
        nobody = ()
        if os.geteuid() == 0:  # root may write everything
            nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
            if common.run(*nobody, common.DUOTGT, "--version").returncode:
                self.skipTest("another user cannot run the program where it is")
        os.chmod(self.image(), 0o444)
        os.chmod(self.folder, 0o755)
        done = common.run(*nobody, common.DUOTGT, "serve", self.path("disk.img"), *FREE)
        self.assertEqual(done.returncode, PERMISSION, done.stderr)
        self.assertRegex(done.stderr, r"\Aduotgt: [^\n]*disk.img[^\n]*\n\Z")

    def test_a_folder(self):
        done = common.duotgt("serve", self.folder, *FREE)
        self.assertNotEqual(done.returncode, OK)
        self.assertIn(self.folder, done.stderr)

    def test_a_taken_port_makes_no_file(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            portal = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refuses(IN_USE, "serve", self.path("new"), "--size", "1M", "--portal", portal,
                         says=portal)
        self.assertEqual(os.listdir(self.folder), [])

    def test_an_address_of_another_host(self):
        self.refuses(NOT_FOUND, "serve", "ram:1M", "--portal", "192.0.2.1:0", says="192.0.2.1")

    def test_a_file_in_use(self):
        with common.Server("serve", self.image(), *FREE) as server:
            server.urls(1)
            self.refuses(IN_USE, "serve", self.path("disk.img"), *FREE, says="disk.img")
            self.assertEqual(server.end(), OK)

    def test_configurations(self):
        path = self.path("duotgt.json")
        self.refuses(NOT_FOUND, "daemon", "--config", path, says=path)
        self.refuses(FAILED, "daemon", "--config", self.folder, says=self.folder)
        for text, place in (("", "1:1"), ('{\n "storages": [],\n "x": 1}', "3:2"),
                            ('{"version": 1, "version": 1}', "1:24")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            for more in ((), ("--check",)):
                self.refuses(CONFIG, "daemon", "--config", path, *more,
                             says=f"{path}:{place}: ")

    def test_a_numa_node_that_is_not_there(self):
        with open(self.path("duotgt.json"), "w", encoding="utf-8") as file:
            file.write("""{"storages": [{"deviceID": 1, "path": "ram:1M", "enableNUMA": true,
                "numaNode": 1023}], "iscsiportals": [{"id": 0, "portal": "127.0.0.1:0"}],
                "iscsitargets": {"iqn.2026-11.org.example:a": {"tpgts": {"1": [0]},
                "luns": {"0": 1}}}}""")
        self.refuses(CONFIG, "daemon", "-c", self.path("duotgt.json"), says="numaNode")


class Serving(Case):
    def test_ready_lines_are_all_of_stdout(self):
        portals = ["127.0.0.1:0"] + (["[::1]:0"] if common.has_ipv6() else [])
        args = [word for portal in portals for word in ("--portal", portal)]
        with common.Server("serve", self.image(), "ram:1M", "--iqn", "IQN.2026-11.org.example:A",
                           *args) as server:
            urls = server.urls(2 * len(portals))
            for url, portal in zip(urls[::2], portals):
                self.assertRegex(url, re.escape(f"iscsi://{portal[:-1]}")
                                 + r"\d+/iqn\.2026-11\.org\.example:a/0$")
                common.initiator("iscsi-inq", url)
            self.assertEqual(server.end(), OK, server.err)
        self.assertEqual([line for line in server.out if not line.startswith("ready ")], [])
        self.assertEqual(len(server.out), len(urls))

    def test_a_file_is_made_sparse_and_private(self):
        with common.Server("serve", self.path("new"), "--size", "64M", *FREE) as server:
            server.urls(1)
            self.assertEqual(server.end(signal.SIGINT), OK, server.err)
        made = os.stat(self.path("new"))
        self.assertEqual(made.st_size, 64 << 20)
        self.assertLess(made.st_blocks * 512, 1 << 20)
        self.assertEqual(made.st_mode & 0o077, 0)

    def test_both_engines(self):
        with common.Server("serve", "ram:1M", "--engine", "epoll", *FREE) as server:
            server.urls(1)
            self.assertEqual(server.end(), OK)
        self.assertIn("epoll", "".join(server.err))

    def test_identity_is_kept_and_not_shared(self):
        def serial_numbers(*specs):
            with common.Server("serve", *specs, *FREE) as server:
                pages = [common.initiator("iscsi-inq", "-e", "1", "-c", "128", url)
                         for url in server.urls(len(specs))]
                self.assertEqual(server.end(), OK)
            return pages
        one, two = self.image("one"), self.image("two")
        first, again = serial_numbers(one, two), serial_numbers(two, one)
        self.assertEqual(first, again[::-1])
        self.assertNotEqual(*first)
        self.assertNotEqual(*serial_numbers("ram:1M", "ram:1M"))

    def test_read_only_twice_is_two_disks(self):
        path = self.image()
        with common.Server("serve", path, path, "--read-only", *FREE) as server:
            pages = {common.initiator("iscsi-inq", "-e", "1", "-c", "131", url)
                     for url in server.urls(2)}
            self.assertEqual(len(pages), 2)
            self.assertEqual(server.end(), OK)

    def test_listens_nowhere_else(self):
        with common.Server("serve", "ram:1M", *FREE) as server:
            url, = server.urls(1)
            port = int(re.search(r":(\d+)/", url)[1])
            with socket.socket() as other:
                other.bind(("127.0.0.2", port))  # taken if it listened on 0.0.0.0
                other.listen()
            self.assertEqual(server.end(), OK)

    def test_systemd_is_told(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(self.path("notify"))
            manager.settimeout(common.SECONDS)
            os.environ["NOTIFY_SOCKET"] = self.path("notify")
            try:
                with common.Server("serve", "ram:1M", *FREE) as server:
                    self.assertEqual(manager.recv(100), b"READY=1")
                    self.assertEqual(server.end(), OK)
                    self.assertEqual(manager.recv(100), b"STOPPING=1")
            finally:
                del os.environ["NOTIFY_SOCKET"]

    def test_stdout_may_be_closed(self):
        with common.Server("serve", "ram:1M", *FREE, program=(
                "sh", "-c", 'exec "$0" "$@" >/dev/full', common.DUOTGT)) as server:
            while not any("stdout" in line for line in server.err):
                self.assertIsNone(server.process.poll(), server.err)
                server.readers[1].join(0.05)
            self.assertEqual(server.end(), OK)


if __name__ == "__main__":
    common.main()
