# SPDX-License-Identifier: Apache-2.0
"""
A small iSCSI initiator on wire.py: one connection, one session, one command after the other, or
each step by hand. It does nothing behind the caller's back, so that a test can do it wrong.
"""

import os
import struct

import wire
from wire import Connection, Pdu, RESERVED_TAG

NAME = "iqn.2026-01.org.example:initiator"
SECURITY, OPERATIONAL, FULL_FEATURE = 0, 1, 3

# What is offered unless a test says otherwise. A value of None leaves the key out.
OFFER = {
    "HeaderDigest": "None", "DataDigest": "None", "ErrorRecoveryLevel": "0",
    "InitialR2T": "No", "ImmediateData": "Yes", "MaxOutstandingR2T": "1",
    "MaxConnections": "1", "MaxBurstLength": "262144", "FirstBurstLength": "65536",
    "MaxRecvDataSegmentLength": "65536", "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes",
    "DefaultTime2Wait": "2", "DefaultTime2Retain": "0",
}


class LoginRefused(Exception):
    def __init__(self, status):
        super().__init__(f"login refused with status {status:04x}")
        self.status = status


def encode_text(pairs):
    return b"".join(f"{key}={value}".encode() + b"\0" for key, value in pairs)


def decode_text(data):
    """List of (key, value); AssertionError for what is not text."""
    assert not data or data.endswith(b"\0"), "text does not end with NUL"
    return [tuple(pair.decode().split("=", 1)) for pair in data.split(b"\0")[:-1]]


class Result:
    """How a command ended."""

    def __init__(self, status, sense, data, flags, residual):
        self.status, self.sense, self.data = status, sense, data
        self.overflow = residual if flags & 4 else 0
        self.underflow = residual if flags & 2 else 0

    @property
    def asc(self):
        """(sense key, ASC, ASCQ), from fixed or descriptor sense; None without."""
        if not self.sense:
            return None
        if self.sense[0] & 0x7F >= 0x72:
            return self.sense[1] & 15, self.sense[2], self.sense[3]
        return self.sense[2] & 15, self.sense[12], self.sense[13]

    def __repr__(self):
        return f"<status {self.status:#04x} sense {self.asc} {len(self.data)} bytes>"


class Session:
    """
    target None makes a discovery session. keys override OFFER. After login(), params holds what
    was settled on.
    """

    def __init__(self, address, target=None, *, keys=None, isid=None, tsih=0, cid=0,
                 name=NAME, timeout=20, login=True):
        self.conn = Connection(address, timeout)
        self.target, self.name, self.cid, self.tsih = target, name, cid, tsih
        self.isid = isid or b"\x80" + os.urandom(5)
        self.offer = {**OFFER, **(keys or {})}
        self.cmdsn, self.expstatsn, self.next_itt = 1, 0, 1
        self.maxcmdsn = 1
        self.params = {}
        if login:
            self.login()

    # ---- login ----

    def identity(self):
        pairs = [("InitiatorName", self.name)]
        if self.target:
            pairs += [("TargetName", self.target), ("SessionType", "Normal")]
        else:
            pairs += [("SessionType", "Discovery")]
        return pairs

    def offered(self):
        return [(key, value) for key, value in self.offer.items() if value is not None]

    def login_step(self, text, csg=OPERATIONAL, nsg=FULL_FEATURE, *, transit=True, more=False,
                   version=(0, 0)):
        """Sends one Login Request and returns the response, whatever it says."""
        flags = (0x80 if transit else 0) | (0x40 if more else 0) | csg << 2
        req = Pdu(wire.LOGIN_REQ, flags | (nsg if transit else 0), immediate=True, itt=0x1061,
                  data=text)
        req.bhs[2], req.bhs[3] = version
        req.bhs[8:14] = self.isid
        struct.pack_into(">HH", req.bhs, 14, self.tsih, 0)
        req.put32(16, 0x1061)
        struct.pack_into(">HH", req.bhs, 20, self.cid, 0)
        req.put32(24, self.cmdsn)
        req.put32(28, self.expstatsn)
        self.conn.send(req)
        rsp = self.conn.recv()
        assert rsp.opcode == wire.LOGIN_RSP, f"{rsp} in answer to a login request"
        return rsp

    def login(self):
        """The shortest login: all keys at once, straight into full feature phase."""
        text = encode_text(self.identity() + self.offered())
        for _ in range(5):
            rsp = self.login_step(text)
            self.learn(rsp)
            text = b""
            if rsp.flags & 0x83 == 0x83:
                return self.begin(rsp)
        raise AssertionError("login does not come to an end")

    def learn(self, rsp):
        status = struct.unpack_from(">H", rsp.bhs, 36)[0]
        if status:
            raise LoginRefused(status)
        self.params.update(decode_text(rsp.data))
        self.expstatsn = rsp.statsn + 1

    def begin(self, rsp):
        """Full feature phase begins with the final login response."""
        self.tsih = struct.unpack_from(">H", rsp.bhs, 14)[0]
        self.conn.header_digest = self.settled("HeaderDigest") == "CRC32C"
        self.conn.data_digest = self.settled("DataDigest") == "CRC32C"
        self.maxcmdsn = rsp.maxcmdsn

    def settled(self, key):
        """What holds for a key: the target's answer, else our offer."""
        return self.params.get(key, self.offer.get(key))

    def number(self, key, default):
        return int(self.settled(key) or default)

    @property
    def max_send(self):
        """Bytes of a data segment that the target takes. Not our own MaxRecvDataSegmentLength."""
        return int(self.params.get("MaxRecvDataSegmentLength", 8192))

    # ---- full feature phase, step by step ----

    def new_itt(self):
        self.next_itt += 1
        return self.next_itt

    def send(self, pdu, spoil=None, cmdsn=None):
        """Numbers a request and sends it; returns its ITT."""
        if pdu.opcode != wire.DATA_OUT:
            pdu.put32(24, self.cmdsn if cmdsn is None else cmdsn)
            if not pdu.bhs[0] & 0x40 and cmdsn is None:
                self.cmdsn = self.cmdsn + 1 & 0xFFFFFFFF
        pdu.put32(28, self.expstatsn)
        self.conn.send(pdu, spoil)
        return pdu.itt

    def recv(self, timeout=None):
        pdu = self.conn.recv(timeout)
        has_statsn = pdu.opcode != wire.R2T and not (
            pdu.opcode == wire.DATA_IN and not pdu.flags & 1) and not (
            pdu.opcode == wire.NOP_IN and pdu.itt == RESERVED_TAG)
        if has_statsn:
            assert pdu.statsn == self.expstatsn, \
                f"{pdu} has StatSN {pdu.statsn:#x}, expected {self.expstatsn:#x}"
            self.expstatsn = self.expstatsn + 1 & 0xFFFFFFFF
        self.maxcmdsn = pdu.maxcmdsn
        return pdu

    def heed_nop_in(self, pdu):
        """Whether it is one that the target began: a ping, which is answered, or window news."""
        if pdu.opcode != wire.NOP_IN or pdu.itt != RESERVED_TAG:
            return False
        if pdu.ttt != RESERVED_TAG:
            self.send(Pdu(wire.NOP_OUT, immediate=True, itt=RESERVED_TAG, ttt=pdu.ttt))
        return True

    def expect(self, opcode, itt=None):
        """The next PDU must be this one. NOP-In pings of the target are answered on the way."""
        while True:
            pdu = self.recv()
            if opcode != wire.NOP_IN and self.heed_nop_in(pdu):
                continue
            assert pdu.opcode == opcode, f"{pdu} came, opcode {opcode:#04x} was expected"
            assert itt is None or pdu.itt == itt, f"{pdu} came, ITT {itt:#x} was expected"
            return pdu

    def scsi(self, cdb, *, lun=0, edtl=0, read=False, write=False, immediate=b"", final=True,
             attr=1, itt=None):
        """A SCSI Command PDU, not yet sent."""
        flags = (0x80 if final else 0) | (0x40 if read else 0) | (0x20 if write else 0) | attr
        pdu = Pdu(wire.SCSI_CMD, flags, lun=lun, itt=itt or self.new_itt(), data=immediate,
                  ahs=extended_cdb(cdb))
        pdu.put32(20, edtl)
        pdu.bhs[32:32 + len(cdb[:16])] = cdb[:16]
        return pdu

    def data_out(self, itt, ttt, sn, offset, data, final, lun=0):
        pdu = Pdu(wire.DATA_OUT, 0x80 if final else 0, lun=lun, itt=itt, ttt=ttt, data=data)
        pdu.put32(36, sn)
        pdu.put32(40, offset)
        return pdu

    def send_burst(self, itt, ttt, data, offset, length, lun=0):
        """Data-Out PDUs for one R2T, or for unsolicited data."""
        sn, end = 0, offset + length
        while offset < end:
            n = min(self.max_send, end - offset)
            self.send(self.data_out(itt, ttt, sn, offset, data[offset:offset + n],
                                    offset + n == end, lun))
            sn, offset = sn + 1, offset + n

    # ---- whole commands ----

    def start_write(self, cdb, data, *, lun=0, edtl=None):
        """The command with all the unsolicited data that was settled on; returns its ITT."""
        edtl = len(data) if edtl is None else edtl
        first = min(self.number("FirstBurstLength", 65536), edtl)
        n = min(first, self.max_send) if self.settled("ImmediateData") == "Yes" else 0
        unsolicited = self.settled("InitialR2T") == "No" and n < first
        pdu = self.scsi(cdb, lun=lun, edtl=edtl, write=True, immediate=data[:n],
                        final=not unsolicited)
        self.send(pdu)
        if unsolicited:
            self.send_burst(pdu.itt, RESERVED_TAG, data, n, first - n, lun)
        return pdu.itt

    def finish(self, itt, out=b"", lun=0):
        """Answers R2Ts and gathers Data-In until the status is there."""
        got = bytearray()
        data_sn = 0
        while True:
            pdu = self.recv()
            if self.heed_nop_in(pdu):
                continue
            assert pdu.itt == itt, f"{pdu} while waiting for task {itt:#x}"
            if pdu.opcode == wire.R2T:
                self.send_burst(itt, pdu.ttt, out, pdu.get32(40), pdu.get32(44), lun)
            elif pdu.opcode == wire.DATA_IN:
                assert pdu.get32(36) == data_sn, f"{pdu} has DataSN {pdu.get32(36)}"
                assert pdu.get32(40) == len(got), f"{pdu} has offset {pdu.get32(40)}"
                assert len(pdu.data) <= self.own_max_recv, f"{pdu} is longer than we accept"
                data_sn += 1
                got += pdu.data
                if pdu.flags & 1:
                    return Result(pdu.bhs[3], b"", bytes(got), pdu.flags, pdu.get32(44))
            else:
                assert pdu.opcode == wire.SCSI_RSP, f"{pdu} while waiting for a status"
                assert pdu.bhs[2] == 0, f"iSCSI response {pdu.bhs[2]:#04x}"
                sense = pdu.data[2:2 + struct.unpack(">H", pdu.data[:2])[0]] if pdu.data else b""
                return Result(pdu.bhs[3], sense, bytes(got), pdu.flags, pdu.get32(44))

    @property
    def own_max_recv(self):
        return int(self.offer["MaxRecvDataSegmentLength"] or 8192)

    def command(self, cdb, *, lun=0, read_len=0, out=b"", edtl=None):
        """One command from CDB to status. edtl overrides the expected data transfer length."""
        if out:
            return self.finish(self.start_write(cdb, out, lun=lun, edtl=edtl), out, lun)
        edtl = read_len if edtl is None else edtl
        return self.finish(self.send(self.scsi(cdb, lun=lun, edtl=edtl, read=edtl > 0)))

    def settle(self, lun=0):
        """Takes the unit attentions that await every new nexus."""
        for _ in range(8):
            if self.command(bytes(6), lun=lun).status == 0:
                return
        raise AssertionError("TEST UNIT READY does not become good")

    def read(self, lba, n_blocks, *, lun=0, block=512):
        result = self.command(read16(lba, n_blocks), lun=lun, read_len=n_blocks * block)
        assert result.status == 0, f"READ(16) at {lba}: {result}"
        return result.data

    def write(self, lba, data, *, lun=0, block=512):
        result = self.command(write16(lba, len(data) // block), lun=lun, out=data)
        assert result.status == 0, f"WRITE(16) at {lba}: {result}"

    def ping(self, data=b"ping"):
        """NOP-Out with an answer: proves that the session lives."""
        itt = self.send(Pdu(wire.NOP_OUT, immediate=True, itt=self.new_itt(), ttt=RESERVED_TAG,
                            data=data))
        return self.expect(wire.NOP_IN, itt)

    def task_management(self, function, *, lun=0, ref_itt=RESERVED_TAG, ref_cmdsn=0):
        """Sent as immediate; returns the ITT. The answer is an expect(wire.TMF_RSP) away."""
        pdu = Pdu(wire.TMF_REQ, 0x80 | function, immediate=True, lun=lun, itt=self.new_itt())
        pdu.put32(20, ref_itt)
        pdu.put32(32, ref_cmdsn)
        return self.send(pdu)

    def text(self, pairs):
        """A text negotiation of one request; gathers an answer of several PDUs."""
        itt, ttt, out = self.new_itt(), RESERVED_TAG, encode_text(pairs)
        answer = b""
        for _ in range(10000):
            self.send(Pdu(wire.TEXT_REQ, itt=itt, ttt=ttt, data=out))
            rsp = self.expect(wire.TEXT_RSP, itt)
            answer += rsp.data
            assert len(rsp.data) <= self.own_max_recv, f"{rsp} is longer than we accept"
            if rsp.flags & 0x80:
                assert rsp.ttt == RESERVED_TAG, "a final text response with a transfer tag"
                return decode_text(answer)
            ttt, out = rsp.ttt, b""
        raise AssertionError("the text answer does not end")

    def logout(self, reason=0, cid=None):
        pdu = Pdu(wire.LOGOUT_REQ, 0x80 | reason, immediate=True, itt=self.new_itt())
        struct.pack_into(">H", pdu.bhs, 20, self.cid if cid is None else cid)
        return self.expect(wire.LOGOUT_RSP, self.send(pdu)).bhs[2]

    def close_quietly(self):
        """Logs out when that still works, then closes."""
        try:
            self.logout()
        except (wire.Closed, OSError, AssertionError):
            pass
        self.conn.close()


# ---- CDBs ----


def extended_cdb(cdb):
    """The AHS for what of a CDB has no place in the header."""
    more = cdb[16:]
    return struct.pack(">HBB", len(more) + 1, 1, 0) + more + bytes(wire.pad(len(more))) \
        if more else b""


def read16(lba, n_blocks):
    return struct.pack(">BBQIBB", 0x88, 0, lba, n_blocks, 0, 0)


def write16(lba, n_blocks, fua=False):
    return struct.pack(">BBQIBB", 0x8A, 8 if fua else 0, lba, n_blocks, 0, 0)


def read10(lba, n_blocks):
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, n_blocks, 0)


def write10(lba, n_blocks):
    return struct.pack(">BBIBHB", 0x2A, 0, lba, 0, n_blocks, 0)


def inquiry(length=36, page=None):
    return struct.pack(">BBBHB", 0x12, page is not None, page or 0, length, 0)


def report_luns(length=4096, select=0):
    return struct.pack(">BBB3xIBB", 0xA0, 0, select, length, 0, 0)


READ_CAPACITY_16 = struct.pack(">BB8xIBB", 0x9E, 0x10, 32, 0, 0)
SYNCHRONIZE_CACHE_10 = struct.pack(">BBIBHB", 0x35, 0, 0, 0, 0, 0)
