#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
One list of CDBs, asked through a disk, and the answers of two ways held against each other.

    cdbs.py ask /dev/sgN FILE      asks all, writes a line for each answer
    cdbs.py compare FILE FILE      own portal's first, the kernel's second; exit status 1 for a
                                   difference that is not in the table
"""

import collections
import ctypes
import fcntl
import os
import sys

SG_IO = 0x2285
NONE, TO_DEVICE, FROM_DEVICE = -1, -2, -3
BLOCK = 512
ROOM = 8192  # for what comes back

# Left out: FORMAT UNIT and SANITIZE work on in the background, so what follows is a matter of time.
LEFT_OUT = (0x04, 0x48)
WRITES = {0x0a, 0x15, 0x1d, 0x2a, 0x2e, 0x3b, 0x41, 0x42, 0x4c, 0x55, 0x5f, 0x83, 0x89, 0x8a,
          0x8b, 0x8e, 0x93, 0x9c, 0xa4, 0xaa, 0xae}
SERVICE_ACTIONS = (0x5e, 0x5f, 0x83, 0x84, 0x9e, 0x9f, 0xa3, 0xa4, 0xab)


class SgIoHdr(ctypes.Structure):
    """struct sg_io_hdr of scsi/sg.h"""

    _fields_ = [("interface_id", ctypes.c_int), ("dxfer_direction", ctypes.c_int),
                ("cmd_len", ctypes.c_ubyte), ("mx_sb_len", ctypes.c_ubyte),
                ("iovec_count", ctypes.c_ushort), ("dxfer_len", ctypes.c_uint),
                ("dxferp", ctypes.c_void_p), ("cmdp", ctypes.c_void_p),
                ("sbp", ctypes.c_void_p), ("timeout", ctypes.c_uint), ("flags", ctypes.c_uint),
                ("pack_id", ctypes.c_int), ("usr_ptr", ctypes.c_void_p),
                ("status", ctypes.c_ubyte), ("masked_status", ctypes.c_ubyte),
                ("msg_status", ctypes.c_ubyte), ("sb_len_wr", ctypes.c_ubyte),
                ("host_status", ctypes.c_ushort), ("driver_status", ctypes.c_ushort),
                ("resid", ctypes.c_int), ("duration", ctypes.c_uint), ("info", ctypes.c_uint)]


def ask(fd, cdb, direction, data):
    """(status, host status, sense, residual, data) of a command; data is sent or overwritten."""
    command = ctypes.create_string_buffer(bytes(cdb), len(cdb))
    sense = ctypes.create_string_buffer(252)
    buffer = ctypes.create_string_buffer(data, max(len(data), 1))
    header = SgIoHdr(interface_id=ord("S"), dxfer_direction=direction if data else NONE,
                     cmd_len=len(cdb), mx_sb_len=252, dxfer_len=len(data),
                     dxferp=ctypes.addressof(buffer), cmdp=ctypes.addressof(command),
                     sbp=ctypes.addressof(sense), timeout=20000)
    fcntl.ioctl(fd, SG_IO, header)
    told = sense.raw[:header.sb_len_wr]
    told = told[:8 + told[7]] if len(told) > 8 else told
    # More than there is room for is an overflow: then all of the room is filled.
    left = header.resid if header.resid <= len(data) else 0
    got = buffer.raw[:len(data) - left] if direction == FROM_DEVICE and data else b""
    return header.status, header.host_status, told, header.resid, got


# ---- the list ----

def length_of(opcode):
    return (6, 10, 10, 16, 16, 12, 10, 10)[opcode >> 5] if opcode != 0x7f else 32


def with_bytes(opcode, *pairs):
    cdb = bytearray(length_of(opcode))
    cdb[0] = opcode
    for place, value in pairs:
        if place < len(cdb):
            cdb[place] = value
    return cdb


def allocation(opcode):
    """Where a command of its length has its allocation length."""
    return {6: (3, 4), 10: (7, 8), 12: (8, 9), 16: (12, 13), 32: (30, 31)}[length_of(opcode)]


def of_each_opcode():
    """Each opcode, with each byte, length and service action in turn."""
    for opcode in range(256):
        if opcode in LEFT_OUT:
            continue
        high, low = allocation(opcode)
        yield with_bytes(opcode)
        for place in range(1, length_of(opcode)):
            # NACA, in the control byte, would begin a contingent allegiance, which is a state.
            control = 1 if opcode == 0x7f else length_of(opcode) - 1
            yield with_bytes(opcode, (place, 0xfb if place == control else 0xff))
            yield with_bytes(opcode, (place, 0x01), (low, 0x10))
        for length in (1, 4, 8, 36, 96, 252, 255):
            yield with_bytes(opcode, (low, length))
        yield with_bytes(opcode, (high, 0x10))
        if opcode in SERVICE_ACTIONS:
            for action in range(32):
                yield with_bytes(opcode, (1, action), (low, 255))
                yield with_bytes(opcode, (1, action), (low, 16), (2, 0x80))


def of_pages():
    """INQUIRY, MODE SENSE and LOG SENSE of all pages; REPORT SUPPORTED OPERATION CODES of each."""
    for page in range(256):
        for length in (4, 255):
            yield with_bytes(0x12, (1, 1), (2, page), (4, length))
    for page in range(64):
        for control in (0, 0x40, 0x80, 0xc0):
            for subpage in (0, 1, 0xff):
                yield with_bytes(0x1a, (2, control | page), (3, subpage), (4, 255))
                yield with_bytes(0x5a, (1, 8), (2, control | page), (3, subpage), (8, 255))
        yield with_bytes(0x4d, (2, 0x40 | page), (8, 255))
    for opcode in range(256):
        for option in (1, 2, 3):
            yield with_bytes(0xa3, (1, 0x0c), (2, option), (3, opcode), (9, 255))


def of_blocks(blocks):
    """Commands with an address and a length, at the corners of both."""
    for opcode in (0x28, 0x2a, 0x2f, 0x2e, 0x41, 0x34, 0x35, 0x88, 0x8a, 0x8e, 0x8f, 0x93, 0x90,
                   0x91, 0xa8, 0xaa, 0xaf, 0xae, 0x9c):
        size = length_of(opcode)
        for lba in (0, 1, blocks // 2, blocks - 1, blocks, blocks + 1, (1 << 32) - 1, (1 << 64) - 1):
            for count in (0, 1, 2, 8, 9):
                for flags in (0, 0x08, 0x10, 0x20):
                    cdb = with_bytes(opcode, (1, flags))
                    if size == 10:
                        cdb[2:6] = (lba & 0xffffffff).to_bytes(4, "big")
                        cdb[7:9] = count.to_bytes(2, "big")
                    elif size == 12:
                        cdb[2:6] = (lba & 0xffffffff).to_bytes(4, "big")
                        cdb[6:10] = count.to_bytes(4, "big")
                    else:
                        cdb[2:10] = lba.to_bytes(8, "big")
                        cdb[10:14] = count.to_bytes(4, "big")
                    yield cdb


def payload(cdb, direction):
    """What to send, or how much room to offer."""
    if direction == FROM_DEVICE:
        return bytes(ROOM)
    if cdb[0] in (0x2a, 0x8a, 0xaa, 0x2e, 0x8e, 0xae, 0x9c):
        at, n = {10: (7, 2), 12: (6, 4), 16: (10, 4)}[len(cdb)]
        count = int.from_bytes(cdb[at:at + n], "big")
        return bytes([cdb[5]]) * (BLOCK * min(count, 16))
    if cdb[0] in (0x41, 0x93):
        return bytes(BLOCK)
    if cdb[0] == 0x0a:
        return bytes(BLOCK * (cdb[4] or 256))
    high, low = allocation(cdb[0])
    return bytes(cdb[high] << 8 | cdb[low])


def all_cdbs(blocks):
    for source in (of_pages(), of_blocks(blocks), of_each_opcode()):
        for cdb in source:
            yield cdb
            if cdb[0] == 0x1b:  # it may have stopped the unit
                yield with_bytes(0x1b, (4, 1))


def ask_all(device, path):
    fd = os.open(device, os.O_RDWR)
    for _ in range(5):  # unit attentions of the beginning
        ask(fd, bytes(6), NONE, b"")
    capacity = ask(fd, with_bytes(0x25), FROM_DEVICE, bytes(8))[4]
    blocks = int.from_bytes(capacity[:4], "big") + 1
    with open(path, "w", encoding="ascii") as file:
        for cdb in all_cdbs(blocks):
            direction = TO_DEVICE if cdb[0] in WRITES else FROM_DEVICE
            status, host, sense, resid, data = ask(fd, cdb, direction, payload(cdb, direction))
            print(bytes(cdb).hex(), f"{status:02x}", f"{host:x}", sense.hex() or "-", resid,
                  data.rstrip(b"\0").hex() or "-", file=file)


# ---- the differences that there are to be ----

def is_supported_codes(cdb):
    return cdb[0] == 0xa3 and cdb[1] & 0x1f == 0x0c


REASONS = (
    ("REPORT LUNS is answered by the kernel", lambda cdb, own, other: cdb[0] == 0xa0),
    ("reservations are the kernel's",
     lambda cdb, own, other: cdb[0] in (0x16, 0x17, 0x56, 0x57, 0x5e, 0x5f)),
    ("target port groups and ports are the kernel's to name",
     lambda cdb, own, other: cdb[0] in (0xa3, 0xa4) and cdb[1] & 0x1f == 0x0a or
     cdb[0] == 0x12 and cdb[1] == 1 and cdb[2] in (0x00, 0x83, 0x88)),
    ("the transport's version descriptor and TPGS are not told by standard INQUIRY data",
     lambda cdb, own, other: cdb[0] == 0x12 and cdb[1] == 0 and own[0] == other[0] == "00"),
    ("what is the kernel's is not among the supported commands",
     lambda cdb, own, other: is_supported_codes(cdb) and
     (cdb[2] & 0x07 == 0 or cdb[3] in (0x16, 0x17, 0x56, 0x57, 0x5e, 0x5f, 0xa3, 0xa4))),
    ("the kernel takes no CDB of more than 260 bytes",
     lambda cdb, own, other: cdb[0] == 0x7f and cdb[7] > 252),
    ("a clock: the time of the question is in the answer",
     lambda cdb, own, other: cdb[0] == 0xa3 and cdb[1] & 0x1f == 0x0f),
    ("counters: the host's own drivers have asked differently",
     lambda cdb, own, other: cdb[0] == 0x4d and own[0] == other[0] == "00"),
    ("beside sense data the ring has no residual",
     lambda cdb, own, other: own[0] == other[0] == "02" and own[2] == other[2]),
    ("a read of more than the initiator has room for: the ring has no overflow",
     lambda cdb, own, other: own[0] == other[0] == "00" and own[4] == other[4] and
     int(own[3]) > ROOM and other[3] == "0"),
    ("an answer without data cannot be told from one of zeroes: the ring has no residual for it",
     lambda cdb, own, other: own[0] == other[0] and own[0] in ("00", "04") and
     own[4] == other[4] and other[3] == "0"),
)


def reason(cdb, own, other):
    for text, applies in REASONS:
        if applies(cdb, own, other):
            return text
    return None


def compare(own_path, other_path):
    found, unexplained, n = collections.Counter(), 0, 0
    with open(own_path, encoding="ascii") as own_file, open(other_path, encoding="ascii") as other_file:
        for own, other in zip(own_file, other_file, strict=True):
            n += 1
            cdb, *own = own.split()
            other_cdb, *other = other.split()
            assert cdb == other_cdb, "not the same list"
            if own == other:
                continue
            why = reason(bytes.fromhex(cdb), own, other)
            found[why] += 1
            if not why:
                unexplained += 1
                if unexplained <= 60:
                    print(f"{cdb}\n  own    {' '.join(own)[:300]}\n  kernel {' '.join(other)[:300]}")
    print(f"{n} commands, {sum(found.values())} answers differ")
    for why, count in found.most_common():
        print(f"  {count:5}  {why or 'WITHOUT A REASON'}")
    return 1 if unexplained or n < 10000 else 0


def main():
    if sys.argv[1] == "ask":
        return ask_all(*sys.argv[2:4])
    return compare(*sys.argv[2:4])


if __name__ == "__main__":
    sys.exit(main())
