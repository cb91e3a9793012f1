# SPDX-License-Identifier: Apache-2.0
"""The program under test and how to run it. ctest passes DUOTGT, SOURCE and PRINT_CONFIG_KEYS."""

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

SOURCE = os.environ.get("SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
DUOTGT = os.environ.get("DUOTGT") or os.path.join(SOURCE, "build", "duotgt")
PRINT_CONFIG_KEYS = os.environ.get("PRINT_CONFIG_KEYS") or os.path.join(
    SOURCE, "build", "tests", "print_config_keys")
CHAP = ("host", "0123456789abcdef")  # name and password in all files of them
SECONDS = 60  # only so that a hang becomes a failure

# The daemon's default directories, for all that this process starts: never those of the host.
STATE = tempfile.TemporaryDirectory(prefix="duotgt-state-")
RUN = tempfile.TemporaryDirectory(prefix="duotgt-run-")
os.environ["STATE_DIRECTORY"] = STATE.name
os.environ["RUNTIME_DIRECTORY"] = RUN.name


def run(*args, **more):
    """A command that ends by itself."""
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=SECONDS,
                          errors="replace", stdin=subprocess.DEVNULL, check=False, **more)


def duotgt(*args, **more):
    return run(DUOTGT, *args, **more)


def initiator(tool, *args):
    """A libiscsi or QEMU tool; its failure is the test's."""
    path = shutil.which(tool)
    if not path:
        raise AssertionError(f"{tool} is not installed (apt install libiscsi-bin qemu-utils "
                             "qemu-block-extra)")
    done = run(path, *args)
    if done.returncode:
        raise AssertionError(f"{tool} {args}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def logs_in(url):
    return run(shutil.which("iscsi-inq"), url).returncode == 0


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


def load_schema():
    with open(os.path.join(SOURCE, "docs", "duotgt.schema.json"), encoding="utf-8") as file:
        return json.load(file)


class Server:
    """duotgt in the foreground; its lines come through a queue, so that waiting has a limit."""

    def __init__(self, *args, cwd=None, program=(DUOTGT,)):
        self.process = subprocess.Popen([*program, *map(str, args)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        text=True, errors="replace", cwd=cwd)
        self.out, self.err, self.lines = [], [], queue.Queue()
        self.readers = [threading.Thread(target=self._read, args=pair) for pair in
                        ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        for reader in self.readers:
            reader.start()

    def _read(self, pipe, kept):
        for line in pipe:
            kept.append(line)
            if pipe is self.process.stdout:
                self.lines.put(line)
        if pipe is self.process.stdout:
            self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def urls(self, count):
        """Of the first @count ready lines."""
        found = []
        while len(found) < count:
            line = self.lines.get(timeout=SECONDS)
            if line is None:
                raise AssertionError(f"ended early:\n{''.join(self.out + self.err)}")
            match = re.fullmatch(r"ready (iscsi://\S+:\d+/\S+/\d+)\n", line)
            if match:
                found.append(match[1])
        return found

    def end(self, number=signal.SIGTERM):
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def secret_file(path, folder, text):
    """A file of that name in @folder, for its owner alone; its new path."""
    path = os.path.join(folder, os.path.basename(path))
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    return path


def into_folder(config, folder):
    """A copy of a configuration whose files are in @folder and whose ports are free ones."""
    config = json.loads(json.dumps(config))
    for storage in config["storages"]:
        if "path" in storage.get("protection", {}):
            tuples = storage["protection"]["path"]
            storage["protection"]["path"] = os.path.join(folder, os.path.basename(tuples))
        if "encryption" in storage:
            storage["encryption"]["keyFile"] = secret_file(storage["encryption"]["keyFile"],
                                                           folder, "0f" * 32 + "\n")
        kind, colon, path = storage.get("path", "").rpartition(":")
        if "/" not in path:
            continue
        path = os.path.join(folder, os.path.basename(path))
        storage["path"] = kind + colon + path
        if not storage.get("deviceSize"):
            with open(path, "wb") as file:
                file.truncate(1 << 20)
    for target in config.get("iscsitargets", {}).values():
        if "chapFile" in target:
            target["chapFile"] = secret_file(target["chapFile"], folder, " ".join(CHAP) + "\n")
    for portal in config.get("iscsiportals", []):
        host = portal["portal"].rpartition(":")[0]
        portal["portal"] = ("127.0.0.1" if host[0] == "[" and not has_ipv6() else host) + ":0"
    return config


def count_ready(config):
    """How many ready lines a configuration makes."""
    return sum(len(target["luns"]) * sum(map(len, target["tpgts"].values()))
               for target in config.get("iscsitargets", {}).values())


def serve_and_look(config, folder):
    """Starts a configuration, looks at every LUN through every portal, ends it."""
    config = into_folder(config, folder)
    path = os.path.join(folder, "duotgt.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    discs = {s["deviceID"] for s in config["storages"] if s.get("path", "").startswith("cdrom:")}
    offline = {s["deviceID"] for s in config["storages"] if s.get("online") is False}
    with Server("daemon", "--config", path) as server:
        urls = server.urls(count_ready(config))
        for url in urls:
            portal, iqn, lun = url[len("iscsi://"):].split("/")
            listed = initiator("iscsi-ls", f"iscsi://{portal}")
            for name in config["iscsitargets"]:
                groups = config["iscsitargets"][name]["tpgts"]
                if len(config["iscsiportals"]) == len(sum(groups.values(), [])):
                    assert f"Target:{name} " in listed, f"{name} is not in:\n{listed}"
            device = config["iscsitargets"][iqn]["luns"][lun]
            if device not in offline:
                kind = "MMC" if device in discs else "DIRECT_ACCESS"
                if "chapFile" in config["iscsitargets"][iqn]:
                    assert not logs_in(url), f"{url}: without a password"
                    url = url.replace("//", "//" + "%".join(CHAP) + "@")
                assert kind in initiator("iscsi-inq", url), url
        if "tcmu" in config:
            assert server.lines.get(timeout=SECONDS) == "ready tcmu\n"
        code = server.end()
        assert code == 0, f"ended with {code}:\n{''.join(server.err)}"
    assert server.lines.get(timeout=SECONDS) is None, "more on stdout than ready lines"
    return config


def main():
    """unittest, and a name per line, for ctest's log."""
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
