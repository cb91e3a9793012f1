# SPDX-License-Identifier: Apache-2.0
"""
Servers under test, all used alike: start, urls[0], address, pid, stop. Duotgt is the subject;
Tgtd and Istgt are there to be compared with, and to try the tests themselves on something else.
"""

import contextlib
import ctypes
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IQN = "iqn.2026-01.org.example:disk"
START_SECONDS = 30

# The daemon's default directories, for all that this process starts: never those of the host.
STATE = tempfile.TemporaryDirectory(prefix="duotgt-state-")
RUN = tempfile.TemporaryDirectory(prefix="duotgt-run-")
os.environ["STATE_DIRECTORY"] = STATE.name
os.environ["RUNTIME_DIRECTORY"] = RUN.name
ENGINES = ("uring", "epoll")


def free_port():
    """For servers that cannot choose one themselves. Another process may take it meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def image(folder, size, name="disk.img"):
    """A sparse file."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def secret_file(folder, name, text, mode=0o600):
    """A file that only its owner may read, unless told otherwise; its path."""
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def why_no_engine(engine):
    """The reason why this machine cannot run an engine, or None."""
    if engine != "uring":
        return None
    release = tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2])
    if release < (5, 19):
        return f"io_uring needs Linux 5.19, this is {os.uname().release}"
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(425, 8, ctypes.create_string_buffer(120))  # io_uring_setup
    if fd < 0:
        return f"io_uring is not allowed here: {os.strerror(ctypes.get_errno())}"
    os.close(fd)
    return None


class StartFailed(Exception):
    def __init__(self, what, code, stderr):
        super().__init__(f"{what} ended with {code} before it was ready:\n{stderr}")
        self.code, self.stderr = code, stderr


RUNNING = []  # servers that should be; who waits for a program looks at them, too


class Server:
    """A process in the foreground, its stderr kept in a file."""

    name = "server"
    process = None
    urls = ()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()
            print(f"--- stderr of {self.name}:\n{self.stderr[-6000:]}---")

    def spawn(self, argv, **more):
        self.log = tempfile.NamedTemporaryFile("w+", prefix="target-stderr-")
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self.log,
                                        stdin=subprocess.DEVNULL, text=True, **more)
        RUNNING.append(self)

    @property
    def stderr(self):
        with open(self.log.name, errors="replace") as file:
            return file.read()

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process.poll() is None

    @property
    def address(self):
        """(host, port) of the first URL."""
        return split_url(self.urls[0])[0]

    @property
    def iqn(self):
        return split_url(self.urls[0])[1]

    def kill(self):
        self.no_longer_expected()
        if self.process and self.alive:
            self.process.kill()
            self.process.wait()

    def no_longer_expected(self):
        if self in RUNNING:
            RUNNING.remove(self)

    def stop(self, timeout=30):
        """SIGTERM. The exit status must be 0: sanitizers report through it too."""
        self.no_longer_expected()
        if not self.alive:
            raise AssertionError(f"{self.name} died with {self.process.returncode}:\n{self.stderr}")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM:\n"
                                 + self.stderr) from None
        if code:
            raise AssertionError(f"{self.name} ended with {code} on SIGTERM:\n{self.stderr}")


def split_url(url):
    """iscsi://host:port/iqn/lun to ((host, port), iqn, lun)."""
    portal, iqn, lun = url[len("iscsi://"):].split("/")
    host, port = portal.rsplit(":", 1)
    return (host.strip("[]"), int(port)), iqn, int(lun)


class Duotgt(Server):
    name = "duotgt"

    def __init__(self, binary, args):
        """args follow the binary's name. Returns once all ready lines have come."""
        self.urls = []
        self.spawn([binary, *args])
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def wait_ready(self, n_lines):
        end = time.monotonic() + START_SECONDS
        while len(self.urls) < n_lines:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise StartFailed(self.name, "no ready line", self.stderr) from None
            if line is None:
                raise StartFailed(self.name, self.process.wait(), self.stderr)
            if line.startswith("ready "):
                self.urls.append(line.split(None, 1)[1])
        return self


def with_user(url, user, password):
    """A URL of libiscsi's for who logs in by CHAP."""
    return url.replace("iscsi://", f"iscsi://{user}%{password}@")


def serve(binary, specs, engine="auto", portals=("127.0.0.1:0",), more=()):
    """`duotgt serve`, ready."""
    args = ["serve", *specs, "--engine", engine, *more]
    for portal in portals:
        args += ["--portal", portal]
    server = Duotgt(binary, args)
    server.name = f"duotgt ({engine})"
    return server.wait_ready(len(specs))


def daemon(binary, config, folder, n_ready=1):
    """`duotgt daemon` on a configuration given as a dictionary, ready."""
    path = os.path.join(folder, "duotgt.json")
    with open(path, "w") as file:
        json.dump(config, file, indent=1)
    server = Duotgt(binary, ["daemon", "--config", path])
    server.name = "duotgt daemon"
    return server.wait_ready(n_ready)


def classic_config(disks, portals=("127.0.0.1:0",), targets=None, block_shift=9, parameters=None):
    """
    A configuration of the classic layout. disks: list of (path, size). One target with all of
    them as LUNs unless targets says {iqn: [index of disk, ...]}.
    """
    targets = targets or {IQN: list(range(len(disks)))}
    config = {
        "storages": [{"deviceID": 1000 + i, "path": path, "online": True,
                      "blockShift": block_shift, "deviceSize": size}
                     for i, (path, size) in enumerate(disks)],
        "iscsiportals": [{"id": i, "portal": portal} for i, portal in enumerate(portals)],
        "iscsitargets": {
            iqn: {"tpgts": {"1": list(range(len(portals)))},
                  "luns": {str(lun): 1000 + disk for lun, disk in enumerate(luns)}}
            for iqn, luns in targets.items()},
    }
    if parameters:
        for target in config["iscsitargets"].values():
            target["parameters"] = parameters
    return config


class Tgtd(Server):
    """Debian's tgtd, with a control socket and port of its own."""

    name = "tgtd"
    available = shutil.which("tgtd") and shutil.which("tgtadm")

    def __init__(self, path):
        port = free_port()
        self.control = str(port % 32768)  # the largest number it takes
        self.spawn(["tgtd", "-f", "-C", self.control, "--iscsi", f"portal=127.0.0.1:{port}"])
        self.urls = [f"iscsi://127.0.0.1:{port}/{IQN}/1"]
        target = ["--mode", "target", "--tid", "1"]
        self._adm(["--op", "new", *target, "-T", IQN], tries=50)
        self._adm(["--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", path])
        self._adm(["--op", "bind", *target, "-I", "ALL"])

    def _adm(self, args, tries=1):
        argv = ["tgtadm", "-C", self.control, "--lld", "iscsi", *args]
        for _ in range(tries):
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        self.kill()
        raise StartFailed("tgtadm", done.returncode, done.stderr + self.stderr)

    def stop(self, timeout=30):
        """tgtd ends by tgtadm, and only without targets; its end is not what we test."""
        self.kill()
        for suffix in ("", ".lock"):
            with contextlib.suppress(OSError):
                os.unlink(f"/var/run/tgtd/socket.{self.control}{suffix}")


ISTGT_CONF = """
[Global]
  NodeBase "iqn.2026-01.org.example"
  PidFile {folder}/istgt.pid
  AuthFile {folder}/auth.conf
  LogFacility "local7"
  MaxSessions 64
  MaxConnections 4
  MaxR2T 32
  QueueDepth 64
[UnitControl]
  AuthMethod None
  Portal UC1 127.0.0.1:{control}
  Netmask 127.0.0.1
[PortalGroup1]
  Portal DA1 127.0.0.1:{port}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask 127.0.0.1
[LogicalUnit1]
  TargetName disk
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  UnitType Disk
  QueueDepth 64
  LUN0 Storage {path} {size}
"""


class Istgt(Server):
    """Debian's istgt, from a configuration of its own."""

    name = "istgt"
    available = shutil.which("istgt")

    def __init__(self, path):
        self.folder = tempfile.mkdtemp(prefix="istgt-")
        port = free_port()
        with open(f"{self.folder}/istgt.conf", "w") as file:
            file.write(ISTGT_CONF.format(
                folder=self.folder, port=port, control=free_port(), path=path,
                size=f"{os.path.getsize(path) >> 20}MB"))
        with open(f"{self.folder}/auth.conf", "w"):
            pass
        self.spawn(["istgt", "-D", "-c", f"{self.folder}/istgt.conf"])
        self.urls = [f"iscsi://127.0.0.1:{port}/{IQN}/0"]
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return
            if not self.alive:
                raise StartFailed(self.name, self.process.returncode, self.stderr)
            time.sleep(0.1)
        self.kill()
        raise StartFailed(self.name, "no listening port", self.stderr)

    def stop(self, timeout=30):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
