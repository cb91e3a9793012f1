# SPDX-License-Identifier: Apache-2.0
"""Real data through real initiators: what was written is what is on the backing file."""

import os
import random

import initiator
import servers
from promise import equal_bytes, login, need, promise, run, run_together

IMAGE_BYTES = 48 << 20
N_FILES = 3000


def make_ext4(place, block_size=1024):
    """An ext4 image with some thousand files of all sizes."""
    need("mkfs.ext4", "e2fsck", "qemu-img")
    tree = os.path.join(place.folder, "tree")
    chance = random.Random(7143)
    for i in range(N_FILES):
        folder = os.path.join(tree, f"d{i % 61}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"file{i}"), "wb") as file:
            file.write(chance.randbytes(int(2 ** chance.uniform(0, 14))))
    with open(os.path.join(tree, "large"), "wb") as file:
        file.write(chance.randbytes(9 << 20))
    path = servers.image(place.folder, IMAGE_BYTES, "ext4.img")
    run(["mkfs.ext4", "-q", "-F", "-b", str(block_size), "-d", tree, path])
    return path


def qemu_target(url, header_digest=None, offset=0, size=None):
    """The options by which qemu-img opens a LUN, or a part of it."""
    (host, port), iqn, lun = servers.split_url(url)
    options = f"driver=raw,offset={offset},file.driver=iscsi,file.transport=tcp," \
              f"file.portal={host}:{port},file.target={iqn},file.lun={lun}"
    if size:
        options += f",size={size}"
    if header_digest:
        options += f",file.header-digest={header_digest}"
    return options


def convert(source, target):
    return ["qemu-img", "convert", "-n", "--image-opts", "--target-image-opts",
            f"driver=raw,file.driver=file,file.filename={source}", target]


def compare(source, target):
    run(["qemu-img", "compare", "--image-opts",
         f"driver=raw,file.driver=file,file.filename={source}", target])


def check_file_system(path, source, offset=0):
    """The image at an offset of a backing file is the source, byte for byte, and sound."""
    with open(path, "rb") as backing, open(source, "rb") as file:
        backing.seek(offset)
        got, expected = backing.read(IMAGE_BYTES), file.read()
    equal_bytes(got, expected, f"{path} from {offset} on")
    part = path + ".part"
    with open(part, "wb") as file:
        file.write(got)
    run(["e2fsck", "-f", "-n", part])
    os.unlink(part)


def write_and_check(source, disk, target):
    run(convert(source, target))
    compare(source, target)
    check_file_system(disk, source)


@promise(seconds=120)
def image_written_by_qemu(place):
    """By URL, in the words that the README has."""
    source, disk = make_ext4(place), place.image(IMAGE_BYTES)
    with place.serve(disk) as server:
        url = server.urls[0]
        run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, url])
        run(["qemu-img", "compare", "-f", "raw", "-F", "raw", source, url])
        check_file_system(disk, source)


@promise(seconds=120)
def image_in_blocks_of_4096(place):
    source, disk = make_ext4(place, block_size=4096), place.image(IMAGE_BYTES)
    with place.serve(disk, more=["--block-size", "4096"]) as server:
        write_and_check(source, disk, qemu_target(server.urls[0]))


@promise(seconds=120)
def image_with_header_digests(place):
    """The target takes nothing but CRC32C here, so that digests are in use if it works at all."""
    source, disk = make_ext4(place), place.image(IMAGE_BYTES)
    config = servers.classic_config([(disk, IMAGE_BYTES)], parameters={"HeaderDigest": "CRC32C"})
    with place.daemon(config) as server:
        write_and_check(source, disk, qemu_target(server.urls[0], "crc32c"))
        url = server.urls[0] + "?header_digest=crc32c"
        assert str(IMAGE_BYTES // 512 - 1) in run(["iscsi-readcapacity16", url]), "capacity"


@promise(seconds=180)
def four_sessions_to_four_luns(place):
    source = make_ext4(place)
    disks = [place.image(IMAGE_BYTES, f"disk{i}.img") for i in range(4)]
    with place.serve(*disks) as server:
        run_together([convert(source, qemu_target(url)) for url in server.urls])
        for disk, url in zip(disks, server.urls):
            compare(source, qemu_target(url))
            check_file_system(disk, source)


@promise(seconds=180)
def four_sessions_to_one_lun(place):
    """Each writes an area of its own."""
    source, disk = make_ext4(place), place.image(4 * IMAGE_BYTES)
    with place.serve(disk) as server:
        targets = [qemu_target(server.urls[0], offset=i * IMAGE_BYTES, size=IMAGE_BYTES)
                   for i in range(4)]
        run_together([convert(source, target) for target in targets])
        for i, target in enumerate(targets):
            compare(source, target)
            check_file_system(disk, source, i * IMAGE_BYTES)


def image_with(place, parameters):
    source, disk = make_ext4(place), place.image(IMAGE_BYTES)
    config = servers.classic_config([(disk, IMAGE_BYTES)], parameters=parameters)
    with place.daemon(config) as server:
        session = login(server)
        for key, value in parameters.items():
            assert session.settled(key) == ("Yes" if value else "No"), f"{key} is not in force"
        session.logout()
        write_and_check(source, disk, qemu_target(server.urls[0]))


@promise(seconds=120)
def image_with_r2t_and_immediate_data(place):
    image_with(place, {"InitialR2T": True, "ImmediateData": True})


@promise(seconds=120)
def image_with_r2t_only(place):
    image_with(place, {"InitialR2T": True, "ImmediateData": False})


@promise(seconds=120)
def image_with_unsolicited_and_immediate_data(place):
    image_with(place, {"InitialR2T": False, "ImmediateData": True})


@promise(seconds=120)
def image_with_unsolicited_data_only(place):
    image_with(place, {"InitialR2T": False, "ImmediateData": False})


def exchange(session, disk, chance, rounds, n_blocks=2048):
    """Random writes, each read back by SCSI and on the backing file."""
    for _ in range(rounds):
        length = chance.randint(1, 600)
        lba = chance.randrange(n_blocks - length)
        data = chance.randbytes(length * 512)
        session.write(lba, data)
        equal_bytes(session.read(lba, length), data, f"read of {length} blocks at {lba}")
        if disk:
            with open(disk, "rb") as file:
                file.seek(lba * 512)
                equal_bytes(file.read(len(data)), data, f"backing file at block {lba}")


@promise
def both_digests(place):
    disk = place.image()
    with place.serve(disk) as server:
        session = login(server, keys={"HeaderDigest": "CRC32C", "DataDigest": "CRC32C"})
        assert session.conn.header_digest and session.conn.data_digest, session.params
        exchange(session, disk, random.Random(1), 20)
        session.logout()


@promise(seconds=120)
def every_way_to_send_data(place):
    """All combinations of the keys that say when data may be sent, with odd burst lengths."""
    disk = place.image()
    chance = random.Random(2)
    with place.serve(disk) as server:
        for initial_r2t in ("Yes", "No"):
            for immediate in ("Yes", "No"):
                for digest in ("None", "CRC32C"):
                    session = login(server, keys={
                        "InitialR2T": initial_r2t, "ImmediateData": immediate,
                        "DataDigest": digest, "MaxBurstLength": "20480",
                        "FirstBurstLength": "9216", "MaxRecvDataSegmentLength": "4608"})
                    exchange(session, disk, chance, 4)
                    session.logout()


@promise
def data_of_two_sessions_on_many_reactors(place):
    """What one session has written, another sees, wherever its connection runs."""
    with place.serve(place.image(), more=["--reactors", "4"]) as server:
        sessions = [login(server) for _ in range(8)]
        for i, writer in enumerate(sessions):
            data = bytes([i + 1]) * 65536
            writer.write(i * 128, data)
            for reader in sessions:
                equal_bytes(reader.read(i * 128, 128), data, f"block {i * 128}")
        for session in sessions:
            session.logout()


@promise
def flushed_data_survives_a_kill(place):
    disk = place.image()
    server = place.serve(disk)
    session = login(server)
    data = random.Random(3).randbytes(1 << 20)
    session.write(1000, data)
    result = session.command(initiator.SYNCHRONIZE_CACHE_10)
    assert result.status == 0, result
    server.kill()
    with place.serve(disk) as again:
        session = login(again)
        equal_bytes(session.read(1000, 2048), data, "data after the restart")
        session.logout()
