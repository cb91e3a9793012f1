# SPDX-License-Identifier: Apache-2.0
"""The program as its operator sees it: start, refusals, portals, the end, files that go wrong."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import initiator
import servers
import wire
from initiator import read16, write16
from promise import (Skipped, equal, equal_bytes, listening, login, need, promise, run,
                     still_serves)

FAILED, USAGE, NOT_FOUND, IN_USE, CONFIG_INVALID = 1, 2, 3, 4, 7


@promise
def a_file_is_served_once_at_a_time(place):
    disk = place.image()
    with place.serve(disk) as server:
        place.fails_to_start(["serve", disk, "--portal", "127.0.0.1:0"], IN_USE, disk)
        still_serves(server)
    place.serve(disk).stop()


@promise
def a_missing_file_is_named(place):
    path = os.path.join(place.folder, "absent.img")
    place.fails_to_start(["serve", path, "--portal", "127.0.0.1:0"], NOT_FOUND, path)
    assert not os.path.exists(path), "it was made"


@promise
def a_taken_port_is_named(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        place.fails_to_start(["serve", "ram:1M", "--portal", f"127.0.0.1:{port}"], IN_USE,
                             str(port))


@promise
def nothing_is_half_started(place):
    """One LUN of two is missing: the other is neither served nor kept locked."""
    disk = place.image()
    absent = os.path.join(place.folder, "absent.img")
    place.fails_to_start(["serve", disk, absent, "--portal", "127.0.0.1:0"], NOT_FOUND, absent)
    place.serve(disk).stop()


@promise
def wrong_usage_says_so(place):
    for args in (["serve"], ["serve", "ram:1M", "--engine", "steam"], ["frobnicate"],
                 ["serve", "ram:1M", "--no-such-option"]):
        done = subprocess.run([place.binary, *args], capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL, check=False)
        equal(done.returncode, USAGE, f"exit code of {args}, which said {done.stderr}")
        assert done.stderr.strip(), f"{args} says nothing"


@promise
def a_wrong_configuration_starts_nothing(place):
    path = os.path.join(place.folder, "duotgt.json")
    with open(path, "w") as file:
        file.write('{\n "storages": [],\n "nonsense": 1\n}\n')
    for more in ([], ["--check"]):
        place.fails_to_start(["daemon", "--config", path, *more], CONFIG_INVALID, path)


@promise
def size_makes_a_file_and_keeps_it(place):
    path = os.path.join(place.folder, "new.img")
    with place.serve(path, more=["--size", "16M"]) as server:
        session = login(server)
        session.write(0, b"\x33" * 512)
        session.logout()
    equal(os.path.getsize(path), 16 << 20, "size of the file")
    with place.serve(path, more=["--size", "16M"]) as server:
        equal(login(server).read(0, 1), b"\x33" * 512, "block 0 after a restart")


@promise
def sigterm_and_sigint_end_it_well(place):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = place.serve_image()
        session = login(server)
        server.process.send_signal(number)
        equal(server.process.wait(20), 0, f"exit code on {signal.Signals(number).name}")
        session.conn.close()


@promise
def sessions_are_told_of_the_end(place):
    """Async message 1, target requests logout; a session that logs out is answered."""
    server = place.serve_image()
    session = login(server)
    server.process.send_signal(signal.SIGTERM)
    pdu = session.expect(wire.ASYNC_MSG)
    equal((pdu.itt, pdu.bhs[36]), (wire.RESERVED_TAG, 1), "ITT and AsyncEvent")
    equal(session.logout(), 0, "logout response")
    equal(server.process.wait(20), 0, "exit code")


@promise
def writes_that_were_answered_survive_sigterm(place):
    """SIGTERM in the midst of writes: each that was answered with GOOD is on the file."""
    disk = place.image()
    server = place.serve(disk)
    session = login(server)
    done = 0
    timer = threading.Timer(0.3, server.process.send_signal, [signal.SIGTERM])
    timer.start()
    try:
        while done < 8000:
            result = session.finish(session.start_write(write16(done * 8, 8), mark(done)),
                                    mark(done))
            if result.status:
                break
            done += 1
    except (wire.Closed, AssertionError):
        pass  # the async message, or the end
    timer.join()
    equal(server.process.wait(20), 0, "exit code")
    assert done, "no write came through"
    with open(disk, "rb") as file:
        for i in range(done):
            equal_bytes(file.read(4096), mark(i), f"write {i} of {done}")


def mark(i):
    return (i + 1).to_bytes(4, "big") * 1024


@promise
def a_truncated_file_gives_errors(place):
    """Sense data, no crash, no short data; and it works again once the file is whole."""
    disk = place.image()
    with place.serve(disk) as server:
        session = login(server)
        session.write(0, b"\x44" * 4096)
        os.truncate(disk, 0)
        result = session.command(read16(1000, 8), read_len=4096)
        equal(result.status, 2, "status of a read beyond the end of the file")
        assert result.asc[0] in (3, 4), f"sense {result.asc}"
        session.ping()
        os.truncate(disk, 64 << 20)
        equal(session.read(1000, 8), bytes(4096), "blocks of the file that was made whole")
        session.logout()


@promise
def an_unlinked_file_is_served_on(place):
    disk = place.image()
    with place.serve(disk) as server:
        session = login(server)
        os.unlink(disk)
        session.write(8, b"\x55" * 512)
        equal(session.read(8, 1), b"\x55" * 512, "block 8")
        session.logout()


@promise
def a_full_medium_is_an_error(place):
    """A file on a file system without room: the write fails with sense, the target lives."""
    mount = os.path.join(place.folder, "small")
    os.mkdir(mount)
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "none", mount], capture_output=True,
            check=False).returncode:
        raise Skipped("a full medium needs the right to mount a tmpfs")
    try:
        with place.serve(servers.image(mount, 16 << 20)) as server:
            session = login(server)
            data = b"\x66" * (1 << 20)
            statuses = []
            for i in range(6):
                result = session.command(write16(i * 2048, 2048), out=data)
                statuses.append((result.status, result.asc))
            equal(statuses[0], (0, None), "first megabyte")
            equal(statuses[-1][0], 2, f"status without room, of {statuses}")
            equal_bytes(session.read(0, 2048), data, "first megabyte, read back")
            session.logout()
    finally:
        run(["umount", "-l", mount])


def proc_address(host, port):
    """As /proc/net/tcp and tcp6 write it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.inet_pton(family, host)
    words = [raw[i:i + 4][::-1].hex().upper() for i in range(0, len(raw), 4)]
    return f"{''.join(words)}:{port:04X}"


@promise
def it_listens_on_its_portals_only(place):
    portals = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"]
    if not os.path.exists("/proc/net/if_inet6") or not open("/proc/net/if_inet6").read():
        portals.pop()
        print("no IPv6 on this machine: without [::1]")
    disk = place.image()
    config = servers.classic_config([(disk, 64 << 20)], portals=portals)
    with place.daemon(config, n_ready=len(portals)) as server:
        addresses = [servers.split_url(url)[0] for url in server.urls]
        equal(listening(server.pid), sorted(proc_address(*address) for address in addresses),
              "listening sockets")
        equal(sorted(host for host, _ in addresses),
              sorted(portal.rsplit(":", 1)[0].strip("[]") for portal in portals), "hosts")
        for address in addresses:
            session = initiator.Session(address, server.iqn)
            session.settle()
            session.logout()
        need("iscsi-ls")
        for host, port in addresses:
            portal = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            assert server.iqn in run(["iscsi-ls", f"iscsi://{portal}"]), portal


@promise
def several_luns_are_listed(place):
    need("iscsi-ls")
    with place.serve("ram:1M", "ram:2M", "null:3M") as server:
        host, port = server.address
        shown = run(["iscsi-ls", "-s", f"iscsi://{host}:{port}"])
        for lun in range(3):
            assert f"Lun:{lun}" in shown.replace(" ", ""), shown
        equal(len(server.urls), 3, "ready lines")


@promise
def it_reports_how_buffers_are_used(place):
    """On SIGUSR1; it serves on, and what was handed out can only grow."""
    def handed_out():
        before = len(server.stderr)
        server.process.send_signal(signal.SIGUSR1)
        for _ in range(200):
            found = re.findall(r"buffers: \d+ of \d+ KiB in use; handed out: (\d+)\n",
                               server.stderr[before:])
            if found:
                return int(found[0])
            time.sleep(0.05)
        raise AssertionError(f"no report:\n{server.stderr}")

    with place.serve() as server:
        session = login(server)
        first = handed_out()
        for _ in range(10):
            session.read(0, 8)
        equal(handed_out(), first + 10, "buffers handed out after ten reads")
        session.logout()
        still_serves(server)
