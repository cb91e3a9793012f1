# SPDX-License-Identifier: Apache-2.0
"""
The loads of tests/bench/run. A load has variants, which take turns in every round, and goals:
ratios between variants. What is measured here and what is hoped for stand side by side.
"""

import dataclasses
import functools
import os
import subprocess
import sys
import typing

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import clients  # noqa: E402
import servers  # noqa: E402

KIB = 1024
CANNED_FILE = "canned, with the file"
URING, EPOLL = "duotgt uring", "duotgt epoll"
PEERS = {kind.name for kind in (servers.Tgtd, servers.Istgt)}


class Canned(servers.Duotgt):
    """Says "ready URL" as duotgt does."""

    name = "canned"

    def __init__(self, mib, *options):
        super().__init__(os.path.join(clients.BUILD, "tests", "bench_canned"),
                         [*options, "0", str(mib)])
        self.wait_ready(1)


@dataclasses.dataclass
class Goal:
    """of's field, divided by to's (as it is, where to is ""), is at_least or at_most so much."""

    of: str
    to: str
    field: str
    at_least: typing.Optional[float] = None
    at_most: typing.Optional[float] = None

    def met(self, value):
        return value >= self.at_least if self.at_least is not None else value <= self.at_most


@dataclasses.dataclass
class Variant:
    name: str
    start: typing.Callable  # () -> server
    measure: typing.Callable  # (server, seconds) -> {field: number}


@dataclasses.dataclass
class Load:
    name: str
    title: str
    variants: list
    goals: list


class Place:
    """Where the rounds take place: the program, the file that all serve, what is installed."""

    def __init__(self, binary, folder, mib):
        self.binary, self.mib = binary, mib
        self.path = os.path.join(folder, "disk.img")
        self.slow_path = os.path.join(folder, "slow.img")
        with open(self.slow_path, "wb") as file:
            file.truncate(64 << 20)
        with open(self.path, "wb") as file:
            for _ in range(mib):
                file.write(os.urandom(1 << 20))
        self.engines, self.left_out = [], []
        for engine in servers.ENGINES:
            why_not = servers.why_no_engine(engine)
            if why_not:
                self.left_out.append(f"duotgt {engine}: {why_not}")
            else:
                self.engines.append(engine)

    def duotgt(self, engine, *specs, more=()):
        return servers.serve(self.binary, specs or [self.path], engine, more=more)

    def contestants(self):
        """{name: function that starts the server}, the canned server first."""
        found = {"canned": lambda: Canned(self.mib),
                 CANNED_FILE: lambda: Canned(self.mib, "--file", self.path)}
        for engine in self.engines:
            found[f"duotgt {engine}"] = functools.partial(self.duotgt, engine)
        for kind in (servers.Tgtd, servers.Istgt):
            if kind.available:
                found[kind.name] = functools.partial(kind, self.path)
            else:
                self.left_out.append(f"{kind.name}: not installed")
        return found


def pinned(start):
    """A server on the CPU where targets are, whatever threads it has."""
    def on_target_cpu():
        with clients.on(clients.TARGET_CPUS):
            return start()
    return on_target_cpu


def with_latency(client, shape):
    """The client that the load names, then the load generator for latencies and its own rate."""
    def measure(server, seconds):
        row = client(server, shape, seconds) if client else {}
        own = clients.bench_load(server, shape, seconds)
        if not client:
            return own
        return {**row, "p50": own["p50"], "p99": own["p99"], "p999": own["p999"],
                "load_iops": own["iops"], "load_target_us_per_io": own["target_us_per_io"]}
    return measure


def side_by_side(place, name, title, client, shape, iops=None, cpu=None, cpu_tgtd=None):
    """All contestants under one shape of load, with the goals of a row of the table."""
    names = place.contestants()
    variants = [Variant(name_, pinned(start), with_latency(client, shape))
                for name_, start in names.items()]
    goals = []
    for engine in (URING, EPOLL):
        if engine in names:
            goals += [Goal(engine, "canned", "iops", at_least=iops),
                      Goal(engine, "canned", "target_us_per_io", at_most=cpu)]
            if "tgtd" in names:
                goals.append(Goal(engine, "tgtd", "target_us_per_io", at_most=cpu_tgtd))
    if URING in names and EPOLL in names:
        goals = [goal for goal in goals if goal.of == URING] + [
            Goal(EPOLL, URING, "iops", at_least=0.85),
            Goal(EPOLL, URING, "target_us_per_io", at_most=1.25)]
    return Load(name, title, variants, goals)


def digests(place, name, title, shape):
    """Both digests against none. iscsi-perf and qemu-img know no data digests: our own client."""
    variants, goals = [], []
    for engine in place.engines:
        plain = f"duotgt {engine}"
        for name_, options in ((plain, []), (f"{plain}, digests", ["--digests", "both"])):
            variants.append(Variant(name_, pinned(functools.partial(place.duotgt, engine)),
                                    with_latency(None, {**shape, "options": options})))
        goals.append(Goal(f"{plain}, digests", plain, "iops", at_least=0.85))
    return Load(name, title, variants, goals)


def null_store(place):
    shape = {"block": 4 * KIB, "depth": 32, "read": 100, "sessions": 2}
    measure = with_latency(None, shape)
    variants, goals = [], []
    for engine in place.engines:
        file, null = f"duotgt {engine}", f"duotgt {engine}, null"
        variants += [
            Variant(file, pinned(functools.partial(place.duotgt, engine)), measure),
            Variant(null, pinned(functools.partial(place.duotgt, engine, f"null:{place.mib}M")),
                    measure)]
        goals += [Goal(null, file, "iops", at_least=1),
                  Goal(null, file, "target_us_per_io", at_most=1)]
    return Load("null", "the null back end against the file, 4 KiB reads", variants, goals)


def polling(place):
    """Busy polling: faster one by one; and how long a target goes on after a command."""
    help_text = subprocess.run([place.binary, "serve", "--help"], capture_output=True, text=True,
                               check=False).stdout
    engines = place.engines if "--busy-poll" in help_text else []
    if not engines:
        place.left_out.append("busy polling: this duotgt has none")
    one = {"block": 4 * KIB, "depth": 1, "read": 100}
    seldom = {**one, "options": ["--rate", "100"]}
    fast = [Variant("canned", pinned(place.contestants()["canned"]),
                    with_latency(clients.iscsi_perf, one))]
    fast.append(Variant("canned, never asleep", pinned(lambda: Canned(place.mib, "--spin")),
                        with_latency(clients.iscsi_perf, one)))
    calm, fast_goals, calm_goals = [], [], []
    for engine in engines:
        name = f"duotgt {engine}, polling"
        start = pinned(functools.partial(place.duotgt, engine, more=["--busy-poll", "500"]))
        fast.append(Variant(name, start, with_latency(clients.iscsi_perf, one)))
        fast_goals.append(Goal(name, "canned", "iops", at_least=1.4))
        calm.append(Variant(name, start, with_latency(None, seldom)))
        calm_goals.append(Goal(name, "", "target_us_per_io", at_most=1000))
    return [Load("poll-4k-1", "random read 4 KiB, 1 deep, polling for 500 us (iscsi-perf)",
                 fast if engines else [], fast_goals),
            Load("poll-idle", "100 reads of 4 KiB a second, polling for 500 us: idle again within "
                 "1 ms (bench_load)", calm, calm_goals)]


def ceiling(place):
    """Several cheap clients: what the target can do by itself."""
    shape = {"block": 4 * KIB, "depth": 32, "read": 100, "sessions": 8}
    variants = [Variant(name, pinned(start), with_latency(None, shape))
                for name, start in place.contestants().items()]
    return Load("ceiling", "the target's own limit: 8 sessions of the cheapest client, "
                "4 KiB reads, 32 deep each", variants, [])


def reactors(place):
    """Two reactors and the load on the same two CPUs, against one reactor there."""
    shape = {"block": 4 * KIB, "depth": 16, "read": 70, "sessions": 8,
             "options": ["--threads", "2"]}
    both = set(clients.CPUS[:2])
    variants, goals = [], []

    def start(engine, n):
        with clients.on(both):
            return place.duotgt(engine, more=["--reactors", str(n)])

    def measure(server, seconds):
        return clients.bench_load(server, shape, seconds, both)

    for engine in place.engines if len(both) > 1 else []:
        one, two = f"duotgt {engine}, 1 reactor", f"duotgt {engine}, 2 reactors"
        variants += [Variant(one, functools.partial(start, engine, 1), measure),
                     Variant(two, functools.partial(start, engine, 2), measure)]
        goals.append(Goal(two, one, "iops", at_least=1))
    return Load("reactors", "reactors that share their two CPUs with the load generator, "
                "8 sessions x 16 deep, 4 KiB, 70 % reads", variants, goals)


def neighbour(place):
    """
    A LUN beside one whose disk takes 20 ms for everything; and beside one that is asked as often,
    and answers at once, so that what the clients take from one another is on both sides.
    """
    quiet = {"block": 4 * KIB, "depth": 4, "read": 100, "options": ["--rate", "4000"]}
    specs = [place.path, f"delay:20000:{place.slow_path}", f"null:{place.mib}M"]
    variants, goals = [], []

    def beside(lun, server, seconds):
        other = [os.path.join(clients.BUILD, "tests", "bench_load"), "--depth", "32", "--read", "50",
                 "--sessions", "2", "--rate", "3000", "--seconds", str(seconds + 2),
                 server.urls[lun]]
        with clients.on(clients.CLIENT_CPUS):
            process = subprocess.Popen(other, stdout=subprocess.DEVNULL)
        with process:
            row = clients.bench_load(server, quiet, seconds)
            process.terminate()
        return row

    for engine in place.engines:
        fast, slow = f"duotgt {engine}, beside a fast LUN", f"duotgt {engine}, beside a slow LUN"
        start = pinned(functools.partial(place.duotgt, engine, *specs))
        variants += [Variant(fast, start, functools.partial(beside, 2)),
                     Variant(slow, start, functools.partial(beside, 1))]
        goals.append(Goal(slow, fast, "p99", at_most=1.2))
    return Load("neighbour", "4,000 reads of 4 KiB a second beside 3,000 to a disk that takes "
                "20 ms, or no time", variants, goals)


def all_loads(place):
    perf, qemu = clients.iscsi_perf, clients.qemu_img
    row = functools.partial(side_by_side, place)
    small, large = {"block": 4 * KIB}, {"block": 256 * KIB}
    return [
        row("read-4k-32", "random read 4 KiB, 32 deep (iscsi-perf)", perf,
            {**small, "depth": 32, "read": 100}, iops=0.90, cpu=2.0, cpu_tgtd=1 / 5),
        row("read-4k-1", "random read 4 KiB, 1 deep, no polling (iscsi-perf)", perf,
            {**small, "depth": 1, "read": 100}, iops=0.95, cpu=1.6, cpu_tgtd=2 / 3),
        row("read-256k-16", "random read 256 KiB, 16 deep (iscsi-perf)", perf,
            {**large, "depth": 16, "read": 100}, iops=0.85, cpu=1.6, cpu_tgtd=1 / 3),
        row("write-4k-32", "write 4 KiB, 32 deep (qemu-img bench)", qemu,
            {**small, "depth": 32, "read": 0}, iops=0.90, cpu=1.7, cpu_tgtd=1 / 3),
        row("write-256k-8", "write 256 KiB, 8 deep (qemu-img bench)", qemu,
            {**large, "depth": 8, "read": 0}, iops=0.80, cpu=1.8, cpu_tgtd=1 / 3),
        row("mixed-4k", "70 % reads, 4 KiB, 32 sessions x 8 deep (bench_load)", None,
            {**small, "depth": 8, "read": 70, "sessions": 32}, iops=0.80, cpu=2.0,
            cpu_tgtd=1 / 4),
        digests(place, "digests-4k", "both digests, 4 KiB reads, 32 deep (bench_load)",
                {**small, "depth": 32, "read": 100}),
        digests(place, "digests-256k", "both digests, 256 KiB reads, 16 deep (bench_load)",
                {**large, "depth": 16, "read": 100}),
        *polling(place),
        null_store(place),
        ceiling(place),
        reactors(place),
        neighbour(place),
    ]
