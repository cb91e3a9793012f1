#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The manual pages hold: their examples run, their options are those of --help, and every key of the
JSON file is in duotgt.json(5). Only ports, folders and the host's name are changed on the way.
"""

import json
import os
import re
import shlex
import tempfile
import unittest

import jsonschema

import common

HOST_PART = re.compile(r"iscsi://127\.0\.0\.1:3260")


def page(name):
    with open(os.path.join(common.SOURCE, "docs", name + ".scd"), encoding="utf-8") as file:
        return file.read()


def blocks(name):
    """The literal blocks of a page, out of the section EXAMPLES."""
    text = page(name).partition("\n# EXAMPLES\n")[2]
    found = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    assert found, f"{name} has no examples"
    return found


def options_of_page(verb):
    """{option: what follows it} of a verb's section."""
    section = re.search(rf"^# duotgt {verb}\n(.*?)(?=^# )", page("duotgt.8"), re.M | re.S)[1]
    return {name: argument or "" for name, argument in re.findall(
        r"^(?:\*-\w\*, )?\*(--[a-z-]+)\*(?: _([A-Z:]+)_)?$", section, re.M)}


def options_of_help(verb):
    done = common.duotgt("help", verb)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^  (?:-\w, )?(--[a-z-]+)=?([A-Z:]*) ", done.stdout, re.M))


class Pages(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="duotgt-")
        self.addCleanup(self.folder.cleanup)

    def local(self, text):
        """Its paths in a folder of ours, its port a free one."""
        text = text.replace("/srv/duotgt", self.folder.name).replace("/etc/duotgt",
                                                                     self.folder.name)
        return re.sub(r"--portal 127\.0\.0\.1:\d+", "--portal 127.0.0.1:0", text)

    def test_options_are_those_of_help(self):
        for verb in ("serve", "daemon", "storage"):
            with self.subTest(verb):
                self.assertGreater(len(options_of_help(verb)), 1)
                self.assertEqual(options_of_page(verb), options_of_help(verb))

    def test_verbs_are_those_of_help(self):
        done = common.duotgt("--help")
        verbs = re.findall(r"^  ([a-z]+) ", done.stdout.partition("Verbs:")[2]
                           .partition("Options:")[0], re.M)
        self.assertEqual(verbs, ["serve", "daemon", "storage", "help"])
        for verb in verbs:
            self.assertIn(f"*duotgt {verb}*", page("duotgt.8"))

    def test_every_key_is_explained(self):
        rows = [json.loads(line) for line in
                common.run(common.PRINT_CONFIG_KEYS).stdout.splitlines()]
        self.assertGreater(len(rows), 30)
        for row in rows:
            pattern = rf"\*{re.escape(row['key'])}\*"
            if "parameters" not in row["place"]:
                pattern = f"^{pattern} \\("
            self.assertRegex(page("duotgt.json.5"), re.compile(pattern, re.M), row)

    def serve_block(self, commands):
        """`duotgt serve`, and the ready lines that the page promises."""
        (command, lines), = commands
        words = shlex.split(self.local(command))[1:]
        if "--portal" not in words:
            words += ["--portal", "127.0.0.1:0"]
        with common.Server(*words) as server:
            urls = server.urls(len(lines))
            for url, line in zip(urls, lines):
                wanted = re.escape(line.partition(" ")[2])
                wanted = re.sub(r":(3260|40001)/", r":\\d+/", wanted)
                self.assertRegex(url, wanted.replace("myhost", r"[a-z0-9.-]+") + "$")
            self.assertEqual(server.end(), 0, server.err)

    def client_block(self, commands):
        """Initiators' tools, at a server of ours."""
        with common.Server("serve", "ram:8M", "--portal", "127.0.0.1:0") as server:
            url, = server.urls(1)
            for command, _ in commands:
                command = re.sub(r"iscsi://\S+/0$", url, command)
                command = HOST_PART.sub(url.rpartition("/iqn.")[0], command)
                tool, *words = shlex.split(command)
                self.assertTrue(common.initiator(tool, *words), command)
            self.assertEqual(server.end(), 0, server.err)

    def check_block(self, commands):
        (command, lines), = commands
        done = common.duotgt(*shlex.split(self.local(command))[1:], cwd=self.folder.name)
        wanted = re.escape(self.local(lines[0])).replace(r"\.\.\.", ".*")
        self.assertRegex(done.stdout + done.stderr, f"^{wanted}\n$")

    def run_block(self, text):
        commands = []
        for line in text.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        if not commands[0][0].startswith("duotgt "):
            return self.client_block(commands)
        if " --check " in commands[0][0]:
            return self.check_block(commands)
        return self.serve_block(commands)

    def test_examples_of_the_program(self):
        with open(os.path.join(self.folder.name, "duotgt.json"), "w", encoding="utf-8") as file:
            file.write(blocks("duotgt.json.5")[0])
        for text in blocks("duotgt.8"):
            with self.subTest(text):
                self.run_block(text)

    def test_examples_of_the_file(self):
        judge = jsonschema.Draft202012Validator(common.load_schema())
        with open(os.path.join(self.folder.name, "wrong.json"), "w", encoding="utf-8") as file:
            file.write('{"storages": [\n  {"deviceID": 1000, "path": "/srv/disk", "blockshift": 12}'
                       '\n], "iscsiportals": [], "iscsitargets": {}}\n')
        for text in blocks("duotgt.json.5"):
            with self.subTest(text):
                if text.startswith("$ "):
                    self.run_block(text)
                    continue
                config = json.loads(text)
                self.assertEqual(list(judge.iter_errors(config)), [])
                common.serve_and_look(config, self.folder.name)


if __name__ == "__main__":
    common.main()
