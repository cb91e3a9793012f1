# SPDX-License-Identifier: Apache-2.0
"""Copy offload: what shares its space where the file system can, and is copied where it cannot."""

import contextlib
import os
import random
import shutil
import struct
import subprocess
import time

import initiator
import servers
from promise import Skipped, equal, equal_bytes, login, promise

MIB = 1 << 20
DISK_BYTES = 48 * MIB
OTHER_IQN = "iqn.2026-01.org.example:other"
DONE, ABORTED, IN_BACKGROUND = 0x01, 0x60, 0x12
ZERO_TOKEN = struct.pack(">IHH", 0xffff0001, 0, 0x1f8) + bytes(504)


# ---- the commands ----

def out_cdb(action, list_id, length):
    """EXTENDED COPY has its list identifier in the parameter list."""
    return struct.pack(">BBIIIBB", 0x83, action, 0, list_id, length, 0, 0)


def in_cdb(action, list_id, length):
    return struct.pack(">BBIIIBB", 0x84, action, list_id, 0, length, 0, 0)


def designator(session, lun):
    """The first designator of page 83: four bytes of header, and the NAA."""
    result = session.command(initiator.inquiry(252, page=0x83), lun=lun, read_len=252)
    equal(result.status, 0, "INQUIRY")
    length = result.data[7]
    return result.data[4:8 + length]


def cscd(name, block=512):
    head = bytes([0xe4, 0, 0, 0]) + name
    return head + bytes(28 - len(head)) + b"\0" + block.to_bytes(3, "big")


def segment(source, target, n_blocks, from_lba, to_lba):
    return struct.pack(">BBHHHHHQQ", 0x02, 0, 0x18, source, target, 0, n_blocks, from_lba, to_lba)


def xcopy_lid1(session, names, segments, lun=0):
    cscds, list_of_segments = b"".join(map(cscd, names)), b"".join(segments)
    data = struct.pack(">BBHIII", 1, 0, len(cscds), 0, len(list_of_segments), 0)
    data += cscds + list_of_segments
    return session.command(out_cdb(0x00, 0, len(data)), lun=lun, out=data)


def xcopy_lid4(session, names, segments, list_id):
    """In the background."""
    cscds, list_of_segments = b"".join(map(cscd, names)), b"".join(segments)
    data = bytearray(48)
    data[0], data[3], data[15], data[16] = 1, 0x20, 0x02, 0xff
    struct.pack_into(">I", data, 20, list_id)
    struct.pack_into(">HH", data, 42, len(cscds), len(list_of_segments))
    data += cscds + list_of_segments
    return session.command(out_cdb(0x01, 0, len(data)), out=bytes(data))


def state(session, list_id, lun=0):
    """(COPY OPERATION STATUS, TRANSFER COUNT)"""
    result = session.command(in_cdb(0x05, list_id, 256), lun=lun, read_len=256)
    equal(result.status, 0, "RECEIVE COPY STATUS")
    return result.data[5], struct.unpack_from(">Q", result.data, 16)[0]


def wait(session, list_id, lun=0):
    while True:
        now, count = state(session, list_id, lun)
        if now != IN_BACKGROUND:
            return now, count
        time.sleep(0.01)


def ranges(*pairs):
    return b"".join(struct.pack(">QII", lba, n, 0) for lba, n in pairs)


def populate_token(session, *pairs, lun=0, list_id=1):
    body = ranges(*pairs)
    data = struct.pack(">HBBIIHH", 14 + len(body), 0, 0, 0, 0, 0, len(body)) + body
    result = session.command(out_cdb(0x10, list_id, len(data)), lun=lun, out=data)
    equal(result.status, 0, "POPULATE TOKEN")
    result = session.command(in_cdb(0x07, list_id, 1024), lun=lun, read_len=1024)
    equal(result.status, 0, "RECEIVE ROD TOKEN INFORMATION")
    equal(len(result.data), 38 + 512, "length of it")
    return result.data[38:]


def write_using_token(session, token, *pairs, lun=0, list_id=2, immed=False):
    body = ranges(*pairs)
    data = struct.pack(">HBBIQ", 534 + len(body), immed, 0, 0, 0) + token + bytes(6)
    data += struct.pack(">H", len(body)) + body
    return session.command(out_cdb(0x11, list_id, len(data)), lun=lun, out=data)


# ---- file systems ----

@contextlib.contextmanager
def mounted(place, mkfs, kind):
    """A file system of its own in an image on a loop device."""
    if os.geteuid() != 0:
        raise Skipped("mounting a loop device needs root")
    if not shutil.which(mkfs[0]):
        raise Skipped(f"{mkfs[0]} is not installed")
    image = servers.image(place.folder, 400 * MIB, "file-system.img")
    folder = os.path.join(place.folder, "mounted")
    os.mkdir(folder)
    made = subprocess.run([*mkfs, image], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    done = subprocess.run(["mount", "-o", "loop", "-t", kind, image, folder],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skipped(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def used_bytes(folder):
    os.sync()
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    now = os.statvfs(folder)
    return (now.f_blocks - now.f_bfree) * now.f_frsize


def random_file(path, size, seed):
    data = random.Random(seed).randbytes(size)
    with open(path, "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    return data


def content(path):
    with open(path, "rb") as file:
        return file.read()


def copies(place, folder):
    """
    A whole disk in segments, then by a token, to two other LUNs.
    Returns the bytes of the file system that each took.
    """
    disks = [os.path.join(folder, f"disk{i}.img") for i in range(3)]
    data = random_file(disks[0], DISK_BYTES, 1)
    for disk in disks[1:]:
        with open(disk, "wb") as file:
            file.truncate(DISK_BYTES)
    config = servers.classic_config([(disk, DISK_BYTES) for disk in disks])
    n_blocks = DISK_BYTES // 512
    step = 32768
    took = []
    with place.daemon(config) as server:
        session = login(server)
        for lun in (1, 2):
            session.settle(lun)
        before = used_bytes(folder)
        names = [designator(session, lun) for lun in (0, 1)]
        result = xcopy_lid1(session, names, [segment(0, 1, step, lba, lba)
                                             for lba in range(0, n_blocks, step)])
        equal(result.status, 0, "EXTENDED COPY")
        after = used_bytes(folder)
        took.append(after - before)
        token = populate_token(session, (0, n_blocks))
        result = write_using_token(session, token, (0, n_blocks), lun=2, immed=True)
        equal(result.status, 0, "WRITE USING TOKEN")
        equal(wait(session, 2, lun=2), (DONE, n_blocks), "end of it")
        took.append(used_bytes(folder) - after)
        session.logout()
    for disk in disks[1:]:
        equal_bytes(content(disk), data, disk)
    return took


def sharing(place, mkfs, kind):
    with mounted(place, mkfs, kind) as folder:
        for what, took in zip(("EXTENDED COPY", "WRITE USING TOKEN"), copies(place, folder)):
            print(f"{kind}: {what} of {DISK_BYTES} bytes took {took} bytes of space")
            assert took < DISK_BYTES / 20, f"{what} took {took} bytes of space on {kind}"


@promise(seconds=180)
def no_space_is_taken_on_xfs(place):
    sharing(place, ["mkfs.xfs", "-q", "-m", "reflink=1"], "xfs")


@promise(seconds=180)
def no_space_is_taken_on_btrfs(place):
    sharing(place, ["mkfs.btrfs", "-q"], "btrfs")


@promise(seconds=180)
def on_ext4_it_is_copied(place):
    with mounted(place, ["mkfs.ext4", "-q"], "ext4") as folder:
        for what, took in zip(("EXTENDED COPY", "WRITE USING TOKEN"), copies(place, folder)):
            assert took >= DISK_BYTES, f"{what} took only {took} bytes"


# ---- anywhere ----

@promise(seconds=120)
def copies_of_any_range(place):
    """Ranges that no file system can share as they are, within a disk and between two."""
    chance = random.Random(4)
    size = 8 * MIB
    disks = [place.image(size, f"disk{i}.img") for i in range(2)]
    model = [bytearray(random_file(disk, size, i)) for i, disk in enumerate(disks)]
    with place.daemon(servers.classic_config([(disk, size) for disk in disks])) as server:
        session = login(server)
        session.settle(1)
        names = [designator(session, lun) for lun in (0, 1)]
        for _ in range(60):
            source, target = chance.randrange(2), chance.randrange(2)
            n = chance.choice((1, 7, 8, 100, 2048, 5000))
            from_lba, to_lba = (chance.randrange(size // 512 - n) for _ in range(2))
            if chance.random() < 0.5:
                result = xcopy_lid1(session, names, [segment(source, target, n, from_lba, to_lba)])
            else:
                token = populate_token(session, (from_lba, n), lun=source)
                result = write_using_token(session, token, (to_lba, n), lun=target)
            equal(result.status, 0, "a copy")
            model[target][to_lba * 512:(to_lba + n) * 512] = \
                model[source][from_lba * 512:(from_lba + n) * 512]
        result = write_using_token(session, ZERO_TOKEN, (5, 100), (1000, 1), lun=1)
        equal(result.status, 0, "zeroes")
        for lba, n in ((5, 100), (1000, 1)):
            model[1][lba * 512:(lba + n) * 512] = bytes(n * 512)
        for lun in (0, 1):
            got = b"".join(session.read(lba, 1024, lun=lun) for lba in range(0, size // 512, 1024))
            equal_bytes(got, bytes(model[lun]), f"LUN {lun}")
        session.logout()
    for disk, expected in zip(disks, model):
        equal_bytes(content(disk), bytes(expected), disk)


@promise
def tenants_cannot_name_each_others_disks(place):
    size = 4 * MIB
    disks = [place.image(size, f"disk{i}.img") for i in range(2)]
    before = [random_file(disk, size, i) for i, disk in enumerate(disks)]
    config = servers.classic_config([(disk, size) for disk in disks],
                                    targets={servers.IQN: [0], OTHER_IQN: [1]})
    with place.daemon(config, n_ready=2) as server:
        mine = initiator.Session(server.address, servers.IQN)
        other = initiator.Session(server.address, OTHER_IQN)
        names = []
        for session in (mine, other):
            session.settle()
            names.append(designator(session, 0))
        token = populate_token(mine, (0, 8))
        for session in (mine, other):
            for source, target in ((0, 1), (1, 0)):
                result = xcopy_lid1(session, names, [segment(source, target, 8, 0, 8)])
                equal((result.status, result.asc), (2, (0x0a, 0x0d, 0x02)), "EXTENDED COPY")
        result = write_using_token(other, token, (0, 8))
        equal((result.status, result.asc), (2, (0x05, 0x23, 0x04)), "WRITE USING TOKEN")
        mine.logout()
        other.logout()
    for disk, data in zip(disks, before):
        equal_bytes(content(disk), data, disk)


def to_and_fro():
    """8 GB that no file system can share: blocks do not begin at the same places."""
    return [segment(i & 1, ~i & 1, 65000, 1, 66002) for i in range(256)]


@promise(seconds=120)
def background_copy_is_aborted(place):
    """It ends at once, and what is behind the point it has reached stays as it was."""
    size = 64 * MIB
    disks = [place.image(size, f"disk{i}.img") for i in range(2)]
    random_file(disks[0], size, 3)
    with place.daemon(servers.classic_config([(disk, size) for disk in disks])) as server:
        session = login(server)
        session.settle(1)
        names = [designator(session, lun) for lun in (0, 1)]
        equal(xcopy_lid4(session, names, to_and_fro(), 9).status, 0, "EXTENDED COPY")
        now, _ = state(session, 9)
        equal(now, IN_BACKGROUND, "state")
        result = session.command(struct.pack(">BBI10x", 0x83, 0x1c, 9))
        equal(result.status, 0, "COPY OPERATION ABORT")
        now, count = state(session, 9)
        equal(now, ABORTED, "state")
        time.sleep(0.2)
        equal(state(session, 9), (ABORTED, count), "state after a while")
        session.logout()


@promise(seconds=120)
def service_ends_in_the_middle_of_a_copy(place):
    """SIGTERM does not wait for it, and leaves nothing behind that a sanitizer would find."""
    size = 64 * MIB
    disks = [place.image(size, f"disk{i}.img") for i in range(2)]
    random_file(disks[0], size, 3)
    with place.daemon(servers.classic_config([(disk, size) for disk in disks])) as server:
        session = login(server)
        session.settle(1)
        names = [designator(session, lun) for lun in (0, 1)]
        equal(xcopy_lid4(session, names, to_and_fro(), 9).status, 0, "EXTENDED COPY")
        equal(state(session, 9)[0], IN_BACKGROUND, "state")
