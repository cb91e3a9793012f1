# SPDX-License-Identifier: Apache-2.0
"""iSCSI PDUs on a TCP connection, with digests: RFC 7143 11. Knows nothing of sessions."""

import socket
import struct

NOP_OUT, SCSI_CMD, TMF_REQ, LOGIN_REQ = 0x00, 0x01, 0x02, 0x03
TEXT_REQ, DATA_OUT, LOGOUT_REQ, SNACK_REQ = 0x04, 0x05, 0x06, 0x10
NOP_IN, SCSI_RSP, TMF_RSP, LOGIN_RSP = 0x20, 0x21, 0x22, 0x23
TEXT_RSP, DATA_IN, LOGOUT_RSP = 0x24, 0x25, 0x26
R2T, ASYNC_MSG, REJECT = 0x31, 0x32, 0x3F

RESERVED_TAG = 0xFFFFFFFF
BHS_LEN = 48


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def pad(length):
    return -length & 3


class Closed(Exception):
    """The target ended the connection."""


class Pdu:
    """One PDU: its 48 header bytes as they are on the wire, AHS and data without padding."""

    def __init__(self, opcode=0, flags=0x80, *, immediate=False, lun=0, itt=None, ttt=None,
                 data=b"", ahs=b""):
        self.bhs = bytearray(BHS_LEN)
        self.bhs[0] = opcode | (0x40 if immediate else 0)
        self.bhs[1] = flags
        self.bhs[8:16] = lun_bytes(lun)
        if itt is not None:
            self.put32(16, itt)
        if ttt is not None:
            self.put32(20, ttt)
        self.ahs, self.data = ahs, bytes(data)
        self.set_lengths(len(ahs) // 4, len(data))

    def set_lengths(self, ahs_words, data_len):
        self.bhs[4] = ahs_words
        self.bhs[5:8] = data_len.to_bytes(3, "big")

    def put32(self, at, value):
        struct.pack_into(">I", self.bhs, at, value & 0xFFFFFFFF)

    def get32(self, at):
        return struct.unpack_from(">I", self.bhs, at)[0]

    opcode = property(lambda self: self.bhs[0] & 0x3F)
    flags = property(lambda self: self.bhs[1])
    itt = property(lambda self: self.get32(16))
    ttt = property(lambda self: self.get32(20))
    statsn = property(lambda self: self.get32(24))
    expcmdsn = property(lambda self: self.get32(28))
    maxcmdsn = property(lambda self: self.get32(32))

    def __repr__(self):
        return f"<PDU {self.opcode:#04x} flags {self.flags:#04x} itt {self.itt:#x} " \
               f"{len(self.data)} bytes>"


def lun_bytes(lun):
    """A LUN below 256 by peripheral device addressing, else flat: SAM-5."""
    return struct.pack(">H", lun if lun < 256 else 0x4000 | lun) + bytes(6)


class Connection:
    """A TCP connection that carries PDUs. Raises Closed when the target ends it."""

    def __init__(self, address, timeout=20):
        self.sock = socket.create_connection(address, timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.header_digest = self.data_digest = False
        self.seen = b""  # received, not yet taken

    def send(self, pdu, spoil=None):
        """spoil: "header" or "data" sends that digest wrong; it must be in use."""
        self.send_bytes(self.encode(pdu, spoil))

    def encode(self, pdu, spoil=None):
        out = bytes(pdu.bhs) + pdu.ahs
        if self.header_digest:
            out += struct.pack("<I", crc32c(out) ^ (spoil == "header"))
        if pdu.data:
            body = pdu.data + bytes(pad(len(pdu.data)))
            out += body
            if self.data_digest:
                out += struct.pack("<I", crc32c(body) ^ (spoil == "data"))
        return out

    def send_bytes(self, raw):
        try:
            self.sock.sendall(raw)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def recv(self, timeout=None):
        """The next PDU, its digests checked. TimeoutError when there is none in time."""
        pdu = Pdu()
        pdu.bhs = bytearray(self._take(BHS_LEN, timeout))
        pdu.ahs = self._take(pdu.bhs[4] * 4)
        if self.header_digest:
            self._check(bytes(pdu.bhs) + pdu.ahs, "header")
        length = int.from_bytes(pdu.bhs[5:8], "big")
        if length:
            body = self._take(length + pad(length))
            if self.data_digest:
                self._check(body, "data")
            pdu.data = body[:length]
        return pdu

    def _check(self, covered, what):
        digest = struct.unpack("<I", self._take(4))[0]
        assert digest == crc32c(covered), f"wrong {what} digest from the target"

    def _take(self, length, timeout=None):
        self.sock.settimeout(timeout or self.timeout)
        while len(self.seen) < length:
            try:
                more = self.sock.recv(1 << 18)
            except ConnectionResetError as error:
                raise Closed(str(error)) from error
            if not more:
                raise Closed("end of stream")
            self.seen += more
        taken, self.seen = self.seen[:length], self.seen[length:]
        return taken

    def wait_closed(self, timeout=20):
        """Reads on until the target closes; returns the PDUs that came before."""
        pdus = []
        while True:
            try:
                pdus.append(self.recv(timeout))
            except Closed:
                return pdus

    def reset(self):
        """Drops the connection with a TCP reset, as a machine that dies would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()
