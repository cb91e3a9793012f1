#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The state directory: which one it is, how it is made, and when the start fails without it."""

import json
import os
import stat
import tempfile
import unittest
from unittest import mock

import common

NOT_FOUND = 3


class StateDir(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="duotgt-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def config(self, **more):
        config = {
            "storages": [{"deviceID": 1, "path": "ram:1M"}],
            "iscsiportals": [{"id": 0, "portal": "127.0.0.1:0"}],
            "iscsitargets": {"iqn.2026-11.org.example:a": {"tpgts": {"1": [0]}, "luns": {"0": 1}}},
            **more}
        with open(self.path("duotgt.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return self.path("duotgt.json")

    def serves(self, *args, env=None):
        """Starts and ends. Returns what it logged."""
        with mock.patch.dict(os.environ, env or {}), common.Server(*args) as server:
            server.urls(1)
            self.assertEqual(server.end(), 0)
        return "".join(server.err)

    def refuses(self, code, *args, says):
        done = common.duotgt(*args)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(says, done.stderr)

    def assert_made(self, path):
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700)
        self.assertTrue(os.path.isdir(path))

    def test_serve_makes_the_one_that_is_named(self):
        self.serves("serve", "ram:1M", "--portal", "127.0.0.1:0", "--state-dir", self.path("state"))
        self.assert_made(self.path("state"))

    def test_daemon_makes_the_one_that_is_named(self):
        self.serves("daemon", "--config", self.config(stateDir=self.path("state")))
        self.assert_made(self.path("state"))

    def test_one_that_is_there_stays_as_it_is(self):
        os.mkdir(self.path("state"))
        os.chmod(self.path("state"), 0o750)
        self.serves("daemon", "--config", self.config(stateDir=self.path("state")))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("state")).st_mode), 0o750)

    def test_the_default_one_is_that_of_systemd(self):
        self.serves("daemon", "--config", self.config(),
                    env={"STATE_DIRECTORY": self.path("first") + ":" + self.path("second")})
        self.assert_made(self.path("first"))
        self.assertFalse(os.path.exists(self.path("second")))

    def test_without_the_default_one_it_serves_all_the_same(self):
        said = self.serves("daemon", "--config", self.config(),
                           env={"STATE_DIRECTORY": self.path("no", "such")})
        self.assertIn(self.path("no", "such"), said)
        self.assertIn("not kept", said)

    def test_the_one_that_is_named_has_to_be_usable(self):
        missing = self.path("no", "such")
        self.refuses(NOT_FOUND, "daemon", "--config", self.config(stateDir=missing), says=missing)
        self.refuses(NOT_FOUND, "serve", "ram:1M", "--portal", "127.0.0.1:0", "--state-dir",
                     missing, says=missing)
        # a file is no directory
        self.refuses(NOT_FOUND, "daemon", "--config", self.config(stateDir=self.config()),
                     says="duotgt.json")


if __name__ == "__main__":
    common.main()
