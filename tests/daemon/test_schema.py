#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Holds the JSON Schema and the parser together: the same keys with the same types and ranges, and
one verdict on the same documents, but for what a schema cannot say.
"""

import copy
import glob
import json
import os
import subprocess
import unittest

import jsonschema

import common

SCHEMA = common.load_schema()
JUDGE = jsonschema.Draft202012Validator(SCHEMA)
IQN = "iqn.2026-11.org.example:a"

# A document with all keys.
FULL = {
    "$schema": "duotgt.schema.json", "version": 1, "stateDir": "/srv/duotgt/state",
    "runDir": "/srv/duotgt/run",
    "storages": [
        {"deviceID": 1, "name": "data-1.a_B", "path": "file:/srv/a", "online": True,
         "thinProvisioning": False,
         "blockShift": 9, "backendType": "file", "enableNUMA": True, "numaNode": 0,
         "ioUringQueueDepth": 64, "deviceSize": 1048576, "readOnly": False, "direct": False,
         "physicalBlockShift": 12, "lowestAlignedLBA": 7, "removable": True,
         "writeSameToEnd": True, "backgroundBytesPerSecond": 1048576,
         "writeCache": True, "uuid": "00112233-4455-6677-8899-aabbccddeeff",
         "bothFrontEnds": True,
         "protection": {"type": 2, "path": "/srv/a.tags"}},
        {"deviceID": 2, "backendType": "ram", "deviceSize": 4096},
        {"deviceID": 3, "path": "ram:4096", "encryption": {"keyFile": "/srv/key"}},
    ],
    "iscsiportals": [{"id": 0, "portal": "127.0.0.1:0"}],
    "iscsitargets": {IQN: {
        "tpgts": {"1": [0]}, "luns": {"0": 1},
        "parameters": {
            "InitialR2T": "No", "ImmediateData": True, "MaxBurstLength": 16777215,
            "FirstBurstLength": 1024, "MaxRecvDataSegmentLength": 8192, "MaxOutstandingR2T": 1,
            "DefaultTime2Wait": 2, "DefaultTime2Retain": 0, "HeaderDigest": "None",
            "DataDigest": "CRC32C,None"},
        "alua": {
            "groups": {"10": {"state": "active/non-optimized", "preferred": True, "tpgts": [1]}},
            "implicit": True, "explicit": True, "referrals": True, "hook": "/usr/bin/true"},
        "chapFile": "/etc/duotgt/target.chap",
        "managementAddresses": {
            "unspecified": "https://a.example.org/", "storageConfiguration": "ssh://10.0.0.1",
            "diagnostics": "https://[fe80::1]/x?y=z#a", "status": "snmp://a", "logging": "a:b",
            "codeDownload": "https://a", "copyService": "https://a",
            "administrativeConfiguration": "https://a"}}},
    "tcmu": {"reservations": "duotgt", "alua": "lio", "paths": False, "replies": True},
    "performance": {
        "enableNUMA": True, "enableIoUring": False, "ioUringQueueDepth": 64,
        "numaBufferPoolSize": 64, "numaBufferSize": 65536, "reactors": 2,
        "busyPollMicroseconds": 50, "engine": "epoll"},
    "memory": {"limit": 67108864},
}

# Where the parser's tables are found in the document, and in the schema.
PLACES = {
    "": ((), SCHEMA),
    "tcmu": (("tcmu",), SCHEMA["$defs"]["tcmu"]),
    "storages[]": (("storages", 0), SCHEMA["$defs"]["storage"]),
    "storages[].protection": (("storages", 0, "protection"), SCHEMA["$defs"]["protection"]),
    "storages[].encryption": (("storages", 2, "encryption"), SCHEMA["$defs"]["encryption"]),
    "iscsiportals[]": (("iscsiportals", 0), SCHEMA["$defs"]["portal"]),
    "iscsitargets{}": (("iscsitargets", IQN), SCHEMA["$defs"]["target"]),
    "iscsitargets{}.parameters": (("iscsitargets", IQN, "parameters"),
                                  SCHEMA["$defs"]["parameters"]),
    "iscsitargets{}.managementAddresses": (("iscsitargets", IQN, "managementAddresses"),
                                           SCHEMA["$defs"]["managementAddresses"]),
    "iscsitargets{}.alua": (("iscsitargets", IQN, "alua"), SCHEMA["$defs"]["alua"]),
    "iscsitargets{}.alua.groups{}": (("iscsitargets", IQN, "alua", "groups", "10"),
                                     SCHEMA["$defs"]["aluaGroup"]),
    "performance": (("performance",), SCHEMA["$defs"]["performance"]),
    "memory": (("memory",), SCHEMA["properties"]["memory"]),
}

# (what is set where, the value): refused by both
BAD = [
    (("storages", 0, "protection"), {}), (("storages", 0, "protection"), {"type": 4}),
    (("storages", 0, "protection", "path"), ""),
    (("storages", 0, "encryption"), {"keyFile": "/srv/key"}),  # beside protection
    (("storages", 2, "encryption"), {}), (("storages", 2, "encryption", "keyFile"), ""),
    (("storages", 0, "name"), ""), (("storages", 0, "name"), "7"),
    (("storages", 0, "name"), "a/b"), (("storages", 0, "name"), "x" * 65),
    (("storages",), []), (("iscsiportals",), []), (("iscsitargets",), {}), (("stateDir",), ""),
    (("runDir",), ""),
    (("storages", 1), 7), (("iscsiportals", 0), None),
    (("storages", 0, "path"), "C:foo"), (("storages", 0, "path"), "iouring:/a"),
    (("storages", 0, "blockShift"), 8), (("storages", 0, "blockShift"), 1),
    (("storages", 0, "uuid"), "00112233445566778899aabbccddeeff"),
    (("storages", 0, "physicalBlockShift"), 8), (("storages", 0, "physicalBlockShift"), 27),
    (("storages", 0, "lowestAlignedLBA"), 16384),
    (("storages", 0, "backgroundBytesPerSecond"), 1048575),
    (("storages", 0, "backgroundBytesPerSecond"), 1),
    (("storages", 1), {"deviceID": 2, "deviceSize": 512}),
    (("storages", 1), {"deviceID": 2, "backendType": "cdrom"}),
    (("storages", 1), {"deviceID": 2, "path": "/x", "numaNode": 0}),
    (("iscsiportals", 0, "portal"), "localhost:3260"), (("iscsiportals", 0, "portal"), "::1"),
    (("iscsiportals", 0, "portal"), ""), (("iscsiportals", 0, "portal"), "127.0.0.1:x"),
    (("iscsitargets", "disk"), FULL["iscsitargets"][IQN]),
    (("iscsitargets", "iqn."), FULL["iscsitargets"][IQN]),
    (("iscsitargets", "iqn.2026-11.org.example:a b"), FULL["iscsitargets"][IQN]),
    (("iscsitargets", "eui.0123"), FULL["iscsitargets"][IQN]),
    (("iscsitargets", IQN, "tpgts"), {}), (("iscsitargets", IQN, "luns"), {}),
    (("iscsitargets", IQN, "tpgts", "0"), [0]), (("iscsitargets", IQN, "tpgts", "01"), [0]),
    (("iscsitargets", IQN, "tpgts", "1"), []), (("iscsitargets", IQN, "tpgts", "1"), [0, 0]),
    (("iscsitargets", IQN, "tpgts", "1"), 0), (("iscsitargets", IQN, "tpgts", "1"), ["0"]),
    (("iscsitargets", IQN, "luns", "00"), 1), (("iscsitargets", IQN, "luns", "-1"), 1),
    (("iscsitargets", IQN, "luns", "0"), "1"), (("iscsitargets", IQN, "luns", ""), 1),
    (("iscsitargets", IQN, "alua"), {}), (("iscsitargets", IQN, "alua", "groups"), {}),
    (("iscsitargets", IQN, "alua", "groups", "0"), {"tpgts": [1]}),
    (("iscsitargets", IQN, "alua", "groups", "10", "tpgts"), []),
    (("iscsitargets", IQN, "alua", "groups", "10", "tpgts"), [1, 1]),
    (("iscsitargets", IQN, "alua", "groups", "10", "state"), "transitioning"),
    (("iscsitargets", IQN, "alua"), {"groups": {"1": {"tpgts": [1]}}, "implicit": False}),
    (("iscsitargets", IQN, "alua", "hook"), "true"),
    (("iscsitargets", IQN, "managementAddresses"), {}),
    (("iscsitargets", IQN, "chapFile"), ""), (("iscsitargets", IQN, "chapFile"), ["/a"]),
    *((("iscsitargets", IQN, "managementAddresses", "status"), uri)
      for uri in ("", "a", ":a", "1a:b", "a:", "a:b c", "a:\u00e4", "a:" + "b" * 1019)),
    (("performance", "numaBufferSize"), 100000), (("performance", "numaBufferPoolSize"), 15),
    (("memory", "limit"), 33554431), (("memory", "limit"), "64M"),
]

# refused by the parser; more than a schema can say
BEYOND = [
    (("storages", 1, "protection"), {"type": 1, "path": "/x.pi"}),
    (("storages", 1), {"deviceID": 2, "path": "null:1M", "protection": {"type": 1}}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "protection": {"type": 1}}),
    (("storages", 1), {"deviceID": 2, "path": "block:/dev/x", "protection": {"type": 1}}),
    (("storages", 2, "path"), "null:4096"),
    (("storages", 2), {"deviceID": 3, "path": "cdrom:/x", "encryption": {"keyFile": "/k"}}),
    (("storages", 1, "name"), "data-1.a_B"), (("storages", 1, "name"), "a\n"),
    (("storages", 1, "deviceID"), 1), (("storages", 0, "deviceSize"), 100),
    (("storages", 1, "path"), "ram:1M"), (("storages", 1, "direct"), True),
    (("storages", 0, "path"), "file:"), (("iscsiportals", 0, "portal"), "1.2.3:4"),
    (("iscsiportals", 0, "portal"), "1.2.3.4:65536"),
    (("iscsiportals", 0, "id"), 1), (("iscsitargets", IQN, "luns", "0"), 4),
    (("iscsitargets", IQN, "luns", "16384"), 1), (("iscsitargets", IQN, "tpgts", "65536"), [0]),
    (("iscsitargets", IQN, "tpgts", "2"), [0]),
    (("iscsitargets", IQN.upper()), FULL["iscsitargets"][IQN]),
    (("iscsitargets", IQN, "parameters", "MaxBurstLength"), 1023),
    (("iscsitargets", IQN, "alua", "groups", "10", "tpgts"), [2]),
    (("iscsitargets", IQN, "alua", "groups", "65536"), {"tpgts": [1]}),
    (("iscsitargets", IQN, "alua", "groups", "11"), {"tpgts": [1]}),
    (("performance", "enableNUMA"), False), (("performance", "enableIoUring"), True),
    (("performance", "numaBufferPoolSize"), 513),  # more than half of the limit
    (("storages", 0, "blockShift"), 9.0), (("storages", 0, "physicalBlockShift"), 24),
    (("storages", 0, "lowestAlignedLBA"), 8),
    (("storages", 1), {"deviceID": 2, "path": "/x", "lowestAlignedLBA": 1}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "blockShift": 9}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "readOnly": False}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "removable": False}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "thinProvisioning": True}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "writeSameToEnd": True}),
]

GOOD = [
    (("storages", 1, "protection"), {"type": 0}), (("storages", 0, "protection"), {"type": 3}),
    (("storages", 1), {"deviceID": 2, "path": "block:/dev/x",
                       "protection": {"type": 1, "path": "/x.pi"}}),
    (("performance", "numaBufferPoolSize"), 512), (("memory", "limit"), 0),
    (("memory", "limit"), 33554432),
    (("storages", 0, "name"), "x" * 64), (("storages", 1, "name"), "7.a"),
    (("storages", 0, "backgroundBytesPerSecond"), 0),
    (("version",), 1), (("storages", 0, "blockShift"), 0), (("storages", 0, "path"), "rel.img"),
    (("storages", 0, "path"), "dir/a:b"), (("storages", 0, "path"), "ram:512"),
    (("storages", 0, "numaNode"), -1), (("storages", 0, "deviceSize"), 0),
    (("storages", 1), {"deviceID": 2, "path": "null:1T"}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x"}),
    (("storages", 1), {"deviceID": 2, "path": "cdrom:/x", "blockShift": 11, "readOnly": True,
                       "removable": True, "direct": True}),
    (("storages", 1), {"deviceID": 2, "path": "/x", "blockShift": 12, "physicalBlockShift": 26,
                       "lowestAlignedLBA": 16383}),
    (("storages", 1), {"deviceID": 2, "path": "/x", "enableNUMA": False, "numaNode": 0}),
    (("iscsiportals", 0, "portal"), "[::1]"), (("iscsiportals", 0, "portal"), "10.0.0.1"),
    (("iscsiportals", 0, "portal"), "[fe80::1%eth0]:65535"),
    (("iscsitargets", "eui.0123456789abcdef"), FULL["iscsitargets"][IQN]),
    (("iscsitargets", "NAA.0123456789abcdef0123456789ABCDEF"), FULL["iscsitargets"][IQN]),
    (("iscsitargets", "iqn.2026-11.org.example:\u00e4\u3042"), FULL["iscsitargets"][IQN]),
    (("iscsitargets", IQN, "luns", "16383"), 2), (("iscsitargets", IQN, "luns", "1"), 1),
    (("iscsitargets", IQN, "managementAddresses", "status"), "a:" + "b" * 1018),
    (("iscsitargets", IQN, "parameters"), {}), (("performance",), {}),
    (("performance", "numaBufferPoolSize"), 0), (("performance", "numaBufferPoolSize"), 16),
]


def changed(where, value):
    document = copy.deepcopy(FULL)
    place = document
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    return document


def reach(where):
    place = FULL
    for step in where:
        place = place[step]
    return place


class Verdicts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.judge = subprocess.Popen([common.PRINT_CONFIG_KEYS, "--judge"], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @classmethod
    def tearDownClass(cls):
        cls.judge.communicate()
        assert cls.judge.returncode == 0

    def parser_says(self, document):
        """(accepted, complaint)"""
        self.judge.stdin.write(json.dumps(document) + "\n")
        self.judge.stdin.flush()
        verdict = self.judge.stdout.readline().rstrip("\n")
        if verdict == "ok":
            return True, ""
        self.assertRegex(verdict, r"^\d+:\d+: .*found .*expected ")
        return False, verdict

    def verdicts(self, document):
        return self.parser_says(document)[0], JUDGE.is_valid(document)


class Documents(Verdicts):
    def test_schema_is_sound(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_good(self):
        self.assertEqual(self.verdicts(FULL), (True, True))
        for where, value in GOOD:
            with self.subTest(where=where, value=value):
                document = changed(where, value)
                self.assertEqual(self.parser_says(document), (True, ""))
                self.assertEqual(list(JUDGE.iter_errors(document)), [])

    def test_bad(self):
        for where, value in BAD:
            with self.subTest(where=where, value=value):
                self.assertEqual(self.verdicts(changed(where, value)), (False, False))

    def test_beyond_the_schema(self):
        for where, value in BEYOND:
            with self.subTest(where=where, value=value):
                self.assertEqual(self.verdicts(changed(where, value)), (False, True))

    def test_examples(self):
        paths = glob.glob(os.path.join(common.SOURCE, "examples", "*.json"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(path=path), open(path, encoding="utf-8") as file:
                self.assertEqual(self.verdicts(json.load(file)), (True, True))


class Keys(Verdicts):
    """Key by key, out of the parser's own tables."""

    def setUp(self):
        super().setUp()
        done = common.run(common.PRINT_CONFIG_KEYS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.rows = [json.loads(line) for line in done.stdout.splitlines()]

    def each(self):
        for row in self.rows:
            with self.subTest(place=row["place"], key=row["key"]):
                where, schema = PLACES[row["place"]]
                yield row, where, schema

    def test_keys_are_the_same(self):
        for place, (_, schema) in PLACES.items():
            rows = [row for row in self.rows if row["place"] == place]
            self.assertEqual({row["key"] for row in rows}, set(schema["properties"]), place)
            self.assertEqual({row["key"] for row in rows if row["required"]},
                             set(schema.get("required", [])), place)
            self.assertIs(schema["additionalProperties"], False, place)
        self.assertEqual({row["place"] for row in self.rows}, set(PLACES))

    def test_full_document_has_every_key(self):
        for row, where, _ in self.each():
            if (row["place"], row["key"]) != ("storages[]", "encryption"):  # beside protection
                self.assertIn(row["key"], reach(where))

    def test_types_and_ranges_are_the_same(self):
        types = {"flag": "boolean", "number": "integer", "text": "string", "list": "array",
                 "object": "object"}
        for row, _, schema in self.each():
            rule = schema["properties"][row["key"]]
            while "$ref" in rule:
                rule = SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]]
            if row["kind"] == "choice":
                self.assertEqual(rule["enum"], row["choices"])
            elif row["kind"] == "yes_no":
                self.assertEqual(rule, SCHEMA["$defs"]["yesNo"])
            else:
                self.assertEqual(rule["type"], types[row["kind"]])
            if row["kind"] == "number":
                self.assertEqual((rule["minimum"], rule["maximum"]), (row["min"], row["max"]))

    def test_wrong_types_are_refused_by_both(self):
        values = {"flag": True, "number": 1, "text": "x", "list": [], "object": {}}
        for row, where, _ in self.each():
            for kind, value in [*values.items(), ("null", None), ("real", 1.5)]:
                if kind == row["kind"] or (kind == "flag" and row["kind"] == "yes_no"):
                    continue
                document = changed((*where, row["key"]), value)
                self.assertEqual(self.verdicts(document), (False, False), value)

    def test_ranges_are_held_by_both(self):
        for row, where, _ in self.each():
            if row["kind"] != "number":
                continue
            for value in (row["min"] - 1, row["max"] + 1):
                if abs(value) < 1 << 63:  # JSON's own limit, for jansson
                    document = changed((*where, row["key"]), value)
                    self.assertEqual(self.verdicts(document), (False, False), value)

    def test_what_is_required_is_missed_by_both(self):
        for row, where, _ in self.each():
            document = copy.deepcopy(FULL)
            place = document
            for step in where:
                place = place[step]
            place.pop(row["key"], None)
            if row["required"]:
                self.assertEqual(self.verdicts(document), (False, False))

    def test_an_unknown_key_is_refused_by_both(self):
        for place, (where, _) in PLACES.items():
            document = changed((*where, "unknown"), 1)
            accepted, why = self.parser_says(document)
            self.assertFalse(accepted or JUDGE.is_valid(document), place)
            self.assertIn("unknown: found an unknown key, expected one of ", why)


if __name__ == "__main__":
    common.main()
