#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""duotgt storage: facts for scripts, the same as the service tells initiators."""

import json
import os
import tempfile
import unittest

import common

FAILED, USAGE, NOT_FOUND, CONFIG = 1, 2, 3, 7


class Storage(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="duotgt-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.image = os.path.join(self.folder, "disk one.img")
        with open(self.image, "wb") as file:
            file.truncate((1 << 20) + 512)
        self.config = os.path.join(self.folder, "duotgt.json")
        self.write([{"deviceID": 1, "name": "data", "path": self.image},
                    {"deviceID": 2, "path": "ram:1M", "writeCache": False},
                    {"deviceID": 3, "path": self.image, "readOnly": True, "blockShift": 12},
                    {"deviceID": 4, "path": "ram:2M", "uuid":
                     "01234567-89ab-4def-8123-456789abcdef"}])

    def write(self, storages, **more):
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"storages": storages, "iscsiportals": [{"id": 1, "portal": "127.0.0.1:0"}],
                       "iscsitargets": {"iqn.2026-11.io.duotgt.test:a": {
                           "tpgts": {"1": [1]}, "luns": {str(s["deviceID"]): s["deviceID"]
                                                         for s in storages}}}, **more}, file)

    def facts(self, storage):
        done = common.duotgt("storage", "--config", self.config, storage)
        self.assertEqual((done.returncode, done.stderr), (0, ""), storage)
        return dict(line.split(" ", 1) for line in done.stdout.splitlines())

    def test_by_name_and_by_number(self):
        facts = self.facts("data")
        self.assertEqual(facts, self.facts("1"))
        self.assertEqual(facts["dev_config"], "duotgt/data")
        self.assertEqual(self.facts("1?mode=raw")["dev_config"], "duotgt/data?mode=raw")
        self.assertEqual(facts["name"], "data")
        self.assertEqual(facts["size"], str((1 << 20) + 512))
        self.assertEqual((facts["block_size"], facts["max_sectors"]), ("512", "8192"))
        self.assertEqual((facts["write_cache"], facts["max_data_area_mb"]), ("1", "256"))

    def test_of_other_kinds(self):
        ram, again = self.facts("2"), self.facts("3")
        self.assertEqual((ram["name"], ram["size"], ram["write_cache"]), ("2", str(1 << 20), "0"))
        self.assertNotIn("serial", ram)  # it is another disk at each start
        self.assertEqual((again["block_size"], again["size"], again["write_cache"]),
                         ("4096", str(1 << 20), "0"))
        self.assertEqual(self.facts("4")["serial"], "0123456789ab4def8123456789abcdef")

    def test_of_a_small_pool(self):
        self.write([{"deviceID": 1, "path": self.image}],
                   performance={"numaBufferSize": 65536, "numaBufferPoolSize": 16})
        facts = self.facts("1")
        self.assertEqual((facts["max_sectors"], facts["max_data_area_mb"]), ("512", "16"))

    def test_who_serves_and_reserves(self):
        self.assertEqual((self.facts("data")["server"], self.facts("data")["reservations"]),
                         ("runner", "lio"))
        storages = [{"deviceID": 1, "path": self.image},
                    {"deviceID": 2, "path": "ram:1M", "bothFrontEnds": True}]
        self.write(storages, tcmu={"reservations": "duotgt"})
        for storage, owner in (("1", "duotgt"), ("2", "none")):
            facts = self.facts(storage)
            self.assertEqual((facts["server"], facts["reservations"]), ("daemon", owner))

    def test_of_a_path(self):
        facts = self.facts(self.image)
        self.assertEqual(facts["dev_config"], "duotgt/" + self.image)
        self.assertEqual((facts["name"], facts["size"]), ("disk_one.img", str((1 << 20) + 512)))
        self.assertEqual(facts["serial"], self.facts("data")["serial"])

    def test_serials_are_those_that_initiators_see(self):
        self.write([{"deviceID": 1, "path": self.image, "readOnly": True},
                    {"deviceID": 3, "path": self.image, "readOnly": True},
                    {"deviceID": 4, "path": "ram:2M",
                     "uuid": "01234567-89ab-4def-8123-456789abcdef"}])
        with common.Server("daemon", "--config", self.config) as server:
            urls = server.urls(3)
            seen = {url.rsplit("/", 1)[1]: url for url in urls}
            for storage in ("1", "3", "4"):
                text = common.initiator("iscsi-inq", "-e", "1", "-c", "128", seen[storage])
                self.assertIn(self.facts(storage)["serial"], text)
            self.assertNotEqual(self.facts("1")["serial"], self.facts("3")["serial"])
            self.assertEqual(server.end(), 0)

    def test_refuses(self):
        os.truncate(self.image, 100)
        for code, *args in ((USAGE,), (USAGE, "a", "b"), (USAGE, "a,b"), (USAGE, ""),
                            (NOT_FOUND, "nothing"), (NOT_FOUND, self.folder + "/nothing"),
                            (CONFIG, "data"), (CONFIG, self.image), (FAILED, self.folder)):
            done = common.duotgt("storage", "--config", self.config, *args)
            self.assertEqual((done.returncode, done.stdout), (code, ""), (args, done.stderr))
            self.assertRegex(done.stderr, r"\Aduotgt: [^\n]+\n\Z")


if __name__ == "__main__":
    common.main()
