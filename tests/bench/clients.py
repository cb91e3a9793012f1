# SPDX-License-Identifier: Apache-2.0
"""
The three clients, used alike: run() gives IOPS, MB/s, latencies where the client knows them, and
the CPU time of target and client. Target and client sit on different CPUs.
"""

import contextlib
import json
import os
import re
import subprocess
import threading

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                     "build-release")
CPUS = sorted(os.sched_getaffinity(0))
TARGET_CPUS, CLIENT_CPUS = {CPUS[0]}, {CPUS[-1]}


@contextlib.contextmanager
def on(cpus):
    """What is started inside runs on these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_ns(pid):
    """Time on a CPU of all threads that a process has, in ns."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
    return total


class ClientFailed(Exception):
    pass


def timed(argv, server, cpus=None, patience=20):
    """Runs a client; returns (its output, CPU ns of the target, CPU s of the client)."""
    before = cpu_ns(server.pid)
    with on(cpus or CLIENT_CPUS):
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    alarm = threading.Timer(patience, process.kill)  # of one that waits for its logins for ever
    alarm.start()
    with process:
        output = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    alarm.cancel()
    if process.returncode:
        raise ClientFailed(f"{' '.join(argv)} against {server.name} ended with "
                           f"{process.returncode}:\n{output}\n{server.stderr}")
    return output, cpu_ns(server.pid) - before, usage.ru_utime + usage.ru_stime


def result(iops, block, target_us, client_us, client_load, **more):
    return {"iops": iops, "mb_per_second": iops * block / 1e6, "target_us_per_io": target_us,
            "client_us_per_io": client_us, "client_load": client_load, **more}


def counted(iops, n_ios, block, target_ns, client_s, took):
    """Of a client that is watched from outside."""
    return result(iops, block, target_ns / n_ios / 1000, client_s / n_ios * 1e6, client_s / took)


def iscsi_perf(server, load, seconds):
    """libiscsi's reader. Its time counts in whole seconds."""
    seconds = max(1, round(seconds))
    argv = ["iscsi-perf", "-m", str(load["depth"]), "-b", str(load["block"] // 512), "-r",
            "-t", str(seconds), server.urls[0]]
    output, target_ns, client_s = timed(argv, server, patience=20 + 2 * seconds)
    found = re.findall(r"iops average (\d+)", output)
    if not found or int(found[-1]) == 0:
        raise ClientFailed(f"iscsi-perf against {server.name} did nothing:\n{output}")
    iops = int(found[-1])
    return counted(iops, iops * seconds, load["block"], target_ns, client_s, seconds)


def qemu_img(server, load, seconds):
    """qemu-img bench, one block after another. It counts I/Os: a short run tells how many fit."""
    def once(count):
        argv = ["qemu-img", "bench", "-f", "raw", "-t", "none", "-c", str(count),
                "-d", str(load["depth"]), "-s", str(load["block"])]
        argv += [] if load["read"] else ["-w"]
        output, target_ns, client_s = timed([*argv, server.urls[0]], server)
        took = re.search(r"completed in ([\d.]+) seconds", output)
        return float(took.group(1)), target_ns, client_s

    probe = 4000 if load["block"] <= 16384 else 400
    count = max(probe, int(probe / max(once(probe)[0], 0.001) * seconds))
    took, target_ns, client_s = once(count)
    return counted(count / took, count, load["block"], target_ns, client_s, took)


def bench_load(server, load, seconds, cpus=None):
    """Our own: the cheapest one; it knows latencies, and looks at the target's CPU time itself."""
    argv = [os.path.join(BUILD, "tests", "bench_load"), "--seconds", str(seconds),
            "--warmup", "0.2", "--depth", str(load["depth"]), "--block", str(load["block"]),
            "--read", str(load["read"]), "--sessions", str(load.get("sessions", 1)),
            "--target-pid", str(server.pid), *load.get("options", ()), server.urls[0]]
    told = json.loads(timed(argv, server, cpus, 20 + 2 * seconds)[0])
    latency = told["latency_us"]
    return result(told["iops"], load["block"], told["target_us_per_io"], told["client_us_per_io"],
                  told["client_load"], p50=latency["p50"], p99=latency["p99"],
                  p999=latency["p99.9"])
