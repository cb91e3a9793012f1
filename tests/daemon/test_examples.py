#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every configuration in examples/ starts, serves each LUN through each portal, and ends well."""

import glob
import json
import os
import tempfile
import unittest

import common


class Examples(unittest.TestCase):
    def test_each_one(self):
        paths = sorted(glob.glob(os.path.join(common.SOURCE, "examples", "*.json")))
        self.assertIn("classic.json", [os.path.basename(path) for path in paths])
        with open(os.path.join(common.SOURCE, "examples", "README.md"), encoding="utf-8") as file:
            listed = file.read()
        for path in paths:
            name = os.path.basename(path)
            with self.subTest(name), tempfile.TemporaryDirectory(prefix="duotgt-") as folder:
                self.assertIn(f"`{name}`", listed)
                done = common.duotgt("daemon", "--check", "--config", path)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                with open(path, encoding="utf-8") as file:
                    config = json.load(file)
                served = common.serve_and_look(config, folder)
                self.files_are_as_asked(served)

    def files_are_as_asked(self, config):
        for storage in config["storages"]:
            size = storage.get("deviceSize")
            if not size or "/" not in storage.get("path", ""):
                continue
            found = os.stat(storage["path"].partition(":")[2] or storage["path"])
            self.assertEqual(found.st_size, size)
            if storage.get("thinProvisioning"):
                self.assertLess(found.st_blocks * 512, size)
            else:
                self.assertGreaterEqual(found.st_blocks * 512, size)


if __name__ == "__main__":
    common.main()
