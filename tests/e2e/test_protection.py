# SPDX-License-Identifier: Apache-2.0
"""Protection information: blocks of 520 and 4104 bytes on the wire, and what is kept of them."""

import os
import random
import struct

import servers
from initiator import READ_CAPACITY_16, inquiry
from promise import equal, equal_bytes, login, promise

MIB = 1 << 20
GUARD, APPLICATION, REFERENCE = (0xB, 0x10, 1), (0xB, 0x10, 2), (0xB, 0x10, 3)
INVALID_OPCODE, INVALID_FIELD = (5, 0x20, 0), (5, 0x24, 0)
ESCAPE = b"\xff" * 8
TUPLES_AT = 8192  # in their store, where they are inverted


def crc_table():
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8BB7 if crc & 0x8000 else 0)) & 0xFFFF
        table.append(crc)
    return table


TABLE = crc_table()


def guard(data):
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ TABLE[crc >> 8 ^ byte]
    return crc


def unit(data, app, ref):
    """A block and its tuple."""
    return data + struct.pack(">HHI", guard(data), app, ref & 0xFFFFFFFF)


def cdb16(opcode, protect, lba, n_blocks):
    return struct.pack(">BBQIBB", opcode, protect << 5, lba, n_blocks, 0, 0)


def cdb32(action, protect, lba, n_blocks, ref=0, app=0, mask=0):
    return struct.pack(">BB4xBBHBBQIHHI", 0x7F, 0, 0, 0x18, action, protect << 5, 0, lba, ref, app,
                       mask, n_blocks)


def read(session, protect, lba, n_blocks, block=512, **more):
    size = block + (8 if protect else 0)
    return session.command(cdb16(0x88, protect, lba, n_blocks), read_len=n_blocks * size, **more)


def write(session, protect, lba, data, block=512):
    size = block + (8 if protect else 0)
    return session.command(cdb16(0x8A, protect, lba, len(data) // size), out=data)


def good(result, what):
    equal((result.status, result.asc), (0, None), what)
    return result


def failed(result, asc, lba, what):
    equal(result.asc, asc, what)
    if lba is not None:
        equal(result.sense[0] & 0x80, 0x80, f"{what}: VALID")
        equal(struct.unpack(">I", result.sense[3:7])[0], lba, f"{what}: INFORMATION")


def config_of(place, kind, size=16 * MIB, block_shift=9):
    path = os.path.join(place.folder, "disk.img")
    config = servers.classic_config([(path, size)], block_shift=block_shift)
    config["storages"][0]["protection"] = {"type": kind}
    return config, path


def type_of(session):
    flags = session.command(READ_CAPACITY_16, read_len=32).data[12]
    return (flags >> 1 & 7) + 1 if flags & 1 else 0


def some_units(seed, lba, n_blocks, app, block=512):
    chance = random.Random(seed)
    return b"".join(unit(chance.randbytes(block), app, lba + i) for i in range(n_blocks))


def patch(path, offset, change):
    """Changes a byte of a file behind the server's back."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ change]))


@promise
def tuples_go_both_ways(place):
    for block_shift in (9, 12):
        block = 1 << block_shift
        config, path = config_of(place, 1, block_shift=block_shift)
        with place.daemon(config) as server:
            session = login(server)
            equal(session.command(inquiry(), read_len=36).data[5] & 1, 1, "PROTECT")
            equal(type_of(session), 1, "P_TYPE")
            sent = some_units(block, 10, 300, 0xCAFE, block)
            good(write(session, 1, 10, sent, block), "WRITE of 300 blocks with tuples")
            got = good(read(session, 1, 10, 300, block), "READ of them")
            equal_bytes(got.data, sent, "blocks and tuples")
            equal((got.underflow, got.overflow), (0, 0), "residual")
            got = good(read(session, 1, 9, 1, block), "READ of a block that was never written")
            equal(got.data, bytes(block) + ESCAPE, "a fresh block")
            # Without tuples on the wire they are made, and looked at, all the same.
            plain = random.Random(3).randbytes(2 * block)
            good(write(session, 0, 500, plain, block), "WRITE without tuples")
            got = good(read(session, 1, 501, 1, block), "READ of a tuple that was made")
            equal(got.data[block:block + 2], struct.pack(">H", guard(plain[block:])), "guard")
            equal(got.data[block + 4:], struct.pack(">I", 501), "reference tag")
            equal_bytes(good(read(session, 0, 500, 2, block), "READ").data, plain, "blocks")
        equal(os.path.exists(path + ".pi"), True, "the file beside the image is there")
        os.remove(path)
        os.remove(path + ".pi")


@promise
def residuals_count_tuples(place):
    config, _ = config_of(place, 3)
    with place.daemon(config) as server:
        session = login(server)
        sent = some_units(1, 0, 4, 1)
        good(write(session, 1, 0, sent), "WRITE")
        cdb = cdb16(0x88, 1, 0, 4)
        got = good(session.command(cdb, read_len=2500), "READ with more room than there is data")
        equal((got.underflow, got.overflow), (2500 - 4 * 520, 0), "residual")
        equal_bytes(got.data, sent, "data")
        got = good(session.command(cdb, read_len=4 * 512), "READ with room for the blocks alone")
        equal((got.underflow, got.overflow), (0, 4 * 8), "residual")
        equal_bytes(got.data, sent[:4 * 512], "data")
        got = session.command(cdb16(0x8A, 1, 100, 4), out=sent[:520])
        equal((got.status, got.overflow), (0, 3 * 520), "WRITE of less than its CDB says")
        equal_bytes(read(session, 1, 100, 2).data, sent[:520] + bytes(512) + ESCAPE,
                    "of which the blocks that have come are written")


@promise
def what_is_wrong_on_the_wire_is_not_written(place):
    config, _ = config_of(place, 1)
    with place.daemon(config) as server:
        session = login(server)
        before = some_units(1, 0, 200, 1)
        good(write(session, 1, 0, before), "WRITE")
        wrong = bytearray(some_units(2, 0, 200, 1))
        wrong[150 * 520 + 512] ^= 1
        failed(write(session, 1, 0, bytes(wrong)), GUARD, 150, "a wrong guard")
        wrong[150 * 520 + 512] ^= 1
        wrong[77 * 520 + 519] ^= 1
        failed(write(session, 1, 0, bytes(wrong)), REFERENCE, 77, "a wrong reference tag")
        failed(write(session, 5, 0, bytes(wrong)), REFERENCE, 77, "likewise, WRPROTECT 101b")
        failed(write(session, 2, 0, bytes(wrong)), REFERENCE, 77, "likewise, WRPROTECT 010b")
        equal_bytes(read(session, 1, 0, 200).data, before, "what was there before")
        for protect in (6, 7):
            equal(session.command(cdb16(0x8A, protect, 0, 1), out=bytes(520)).asc, INVALID_FIELD,
                  f"WRPROTECT {protect}")
        good(write(session, 4, 0, bytes(wrong)), "WRPROTECT 100b looks at the guard alone")
        failed(read(session, 1, 0, 200), REFERENCE, 77, "READ of the wrong tag")
        equal_bytes(good(read(session, 3, 0, 200), "RDPROTECT 011b").data, bytes(wrong), "all")


@promise
def what_goes_bad_is_found(place):
    config, path = config_of(place, 1)
    with place.daemon(config) as server:
        session = login(server)
        good(write(session, 1, 0, some_units(5, 0, 2000, 9)), "WRITE")
        patch(path, 1234 * 512 + 99, 0x10)
        for protect in (0, 1, 4):
            failed(read(session, protect, 0, 2000), GUARD, 1234, f"RDPROTECT {protect}")
        failed(session.command(struct.pack(">BBIBHB", 0x28, 0, 1234, 0, 1, 0), read_len=512),
               GUARD, 1234, "READ (10)")
        patch(path, 1234 * 512 + 99, 0x10)
        good(read(session, 1, 0, 2000), "READ after it was put right")
        patch(path + ".pi", TUPLES_AT + 1500 * 8 + 7, 0x01)
        failed(read(session, 1, 0, 2000), REFERENCE, 1500, "a tag that has turned")
        patch(path + ".pi", TUPLES_AT + 1500 * 8, 0x80)
        failed(read(session, 0, 1400, 200), GUARD, 1500, "a guard that has turned")


@promise
def tuples_outlive_the_process(place):
    config, path = config_of(place, 1)
    sent = some_units(7, 100, 500, 0xBEEF)
    server = place.daemon(config)
    good(write(login(server), 1, 100, sent), "WRITE")
    server.kill()
    with place.daemon(config) as server:
        session = login(server)
        equal_bytes(good(read(session, 1, 100, 500), "READ after kill -9").data, sent, "all")
    patch(path, 300 * 512, 0x01)
    with place.daemon(config) as server:
        session = login(server)
        failed(read(session, 0, 100, 500), GUARD, 300, "changed while nothing served it")
        good(read(session, 1, 100, 200), "READ of what comes before")
    os.remove(path + ".pi")
    with place.daemon(config) as server:
        got = good(read(login(server), 1, 300, 1), "READ once the tuples are gone")
        equal(got.data[512:], ESCAPE, "tuple")


@promise
def type_2_names_its_tags(place):
    config, _ = config_of(place, 2)
    with place.daemon(config) as server:
        session = login(server)
        sent = b"".join(unit(bytes([i]) * 512, 0xA500 | i, 0xFFFFFFF0 + i) for i in range(32))
        tags = {"ref": 0xFFFFFFF0, "app": 0xA500, "mask": 0xFF00}
        good(session.command(cdb32(0x0B, 1, 40, 32, **tags), out=sent), "WRITE (32)")
        got = good(session.command(cdb32(0x09, 1, 40, 32, **tags), read_len=len(sent)),
                   "READ (32)")
        equal_bytes(got.data, sent, "blocks and tuples")
        got = good(session.command(cdb32(0x09, 0, 40, 32, **tags), read_len=32 * 512),
                   "READ (32) without tuples")
        equal_bytes(got.data, b"".join(bytes([i]) * 512 for i in range(32)), "blocks")
        failed(session.command(cdb32(0x09, 1, 40, 32, **dict(tags, ref=5)), read_len=len(sent)),
               REFERENCE, 40, "READ (32) that expects another reference tag")
        failed(session.command(cdb32(0x0A, 1, 40, 32, **dict(tags, mask=0xFF01))), APPLICATION, 41,
               "VERIFY (32) that expects another application tag")
        good(session.command(cdb32(0x0A, 4, 40, 32)), "VERIFY (32) of the guard alone")
        for opcode, length in ((0x88, 520), (0x8A, 0)):
            result = session.command(cdb16(opcode, 1, 40, 1), read_len=length,
                                     out=b"" if length else bytes(520))
            equal(result.asc, INVALID_OPCODE, f"{opcode:02X}h with a protect field")
        good(read(session, 0, 40, 32), "READ (16) without")


@promise
def a_format_changes_the_type_for_good(place):
    config, _ = config_of(place, 1, size=MIB)
    server = place.daemon(config)
    session = login(server)
    good(write(session, 1, 0, some_units(1, 0, 8, 1)), "WRITE")
    good(session.command(bytes([4, 0xD0, 0, 0, 0, 0]), out=bytes([1, 0, 0, 0])), "FORMAT UNIT")
    equal(type_of(session), 3, "P_TYPE after FMTPINFO 11b and PROTECTION FIELD USAGE 001b")
    equal(read(session, 1, 0, 1).data, bytes(512) + ESCAPE, "a formatted block")
    equal(session.command(cdb32(0x09, 0, 0, 1), read_len=512).asc, INVALID_OPCODE, "READ (32)")
    server.kill()
    with place.daemon(config) as server:
        session = login(server)
        equal(type_of(session), 3, "P_TYPE after a restart")
        good(session.command(bytes([4, 0, 0, 0, 0, 0])), "FORMAT UNIT without protection")
        equal(type_of(session), 0, "P_TYPE")
        equal(read(session, 1, 0, 1).asc, INVALID_FIELD, "RDPROTECT without protection")
        good(write(session, 0, 0, bytes(4096)), "WRITE")
