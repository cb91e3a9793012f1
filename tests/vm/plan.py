# SPDX-License-Identifier: Apache-2.0
"""Which tests there are, what they need, and what came of them."""

import collections
import fnmatch
import glob
import os
import re

import lab

Test = collections.namedtuple("Test", "name seconds")

# In a group's file: test_NAME() { # at most N s
TEST = re.compile(r"^test_(\w+)\(\) \{ # at most (\d+) s$", re.MULTILINE)

# Beside the program, in its build folder; those that are there go along.
OTHERS = ("handler_duotgt.so", "tests/vm_load", "tests/caw_load")


def load(folder, only, kind="test"):
    """{group: tests} of the files KIND_GROUP.sh that @only names, in the order of the files."""
    groups = {}
    for path in sorted(glob.glob(os.path.join(folder, kind + "_*.sh"))):
        group = os.path.basename(path)[len(kind) + 1:-len(".sh")]
        tests = [Test(name, int(seconds)) for name, seconds in TEST.findall(lab.read(path))
                 if wanted(group, name, only)]
        if tests:
            groups[group] = tests
    return groups


def wanted(group, name, only):
    return not only or any(fnmatch.fnmatchcase(group, glob_) or
                           fnmatch.fnmatchcase(f"{group}.{name}", glob_) for glob_ in only)


def programs(binary):
    beside = [os.path.join(os.path.dirname(binary), name) for name in OTHERS]
    return [binary] + [path for path in beside if os.path.exists(path)]


def outcome(folder, test, console):
    """(name, verdict, seconds, notes, output) of a test, by what the guest left in its share."""
    results = os.path.join(folder, "results")
    verdict, _, seconds = lab.read(os.path.join(results, test.name)).strip().partition(" ")
    output = lab.read(os.path.join(results, test.name + ".log"))
    notes = lab.read(os.path.join(results, test.name + ".notes")).splitlines()
    if not verdict:
        verdict, seconds = "FAILED", "0"
        output += (f"the guest ended, or was ended, before it had a result; its console:\n"
                   f"{console[-3000:]}\n{lab.read(os.path.join(folder, 'log'))[-3000:]}")
    return test.name, verdict, float(seconds), notes, output
