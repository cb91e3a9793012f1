# SPDX-License-Identifier: Apache-2.0
"""The full feature phase: numbering, residuals, pings, data sequences, LUNs that are not there."""

import struct

import initiator
import wire
from initiator import read16, report_luns, write16
from promise import equal, equal_bytes, login, promise, still_serves
from wire import Pdu, RESERVED_TAG

TUR = bytes(6)


@promise
def ping_is_echoed(place):
    with place.serve() as server:
        session = login(server)
        for data in (b"", b"x", b"four", bytes(range(256)) * 16):
            pdu = session.ping(data)
            equal(pdu.data, data, "ping data")
            equal(pdu.ttt, RESERVED_TAG, "TTT of an answer to a ping")
        # One that wants no answer gets none: the next PDU answers the next ping.
        session.send(Pdu(wire.NOP_OUT, immediate=True, itt=RESERVED_TAG, ttt=RESERVED_TAG))
        session.ping(b"next")
        session.logout()


def ignored(server, *offsets):
    """
    Commands so far from the next CmdSN get no answer, neither now nor when the window comes to
    them: an answer to another task than the one just sent would be seen. Nor are they kept where
    they would be in the way of commands that wait for a hole to be filled.
    """
    session = login(server)
    for offset in offsets:
        session.send(session.scsi(TUR), cmdsn=session.cmdsn + offset & 0xFFFFFFFF)
        session.ping(b"nothing before this")
    for i in range(max(offsets) + 2):
        equal(session.command(TUR).status, 0, f"status of command {i} inside the window")
    fill_a_hole(session)
    session.logout()


def fill_a_hole(session):
    """The second of two commands first; both are answered, in the order of CmdSN."""
    first, second = session.scsi(TUR), session.scsi(TUR)
    hole = session.cmdsn
    session.send(second, cmdsn=hole + 1 & 0xFFFFFFFF)
    session.ping(b"no answer yet")
    session.send(first, cmdsn=hole)
    session.cmdsn = hole + 2 & 0xFFFFFFFF
    session.expect(wire.SCSI_RSP, first.itt)
    session.expect(wire.SCSI_RSP, second.itt)


@promise
def commands_outside_the_window_are_ignored(place):
    with place.serve() as server:
        session = login(server)
        session.ping()
        window = (session.maxcmdsn - session.cmdsn + 1) & 0xFFFFFFFF
        session.logout()
        ignored(server, window, window + 1, 5000)
        ignored(server, -1, -5000)


@promise
def commands_run_in_the_order_of_cmdsn(place):
    """One that comes early waits for the hole to be filled."""
    with place.serve() as server:
        session = login(server)
        fill_a_hole(session)
        session.logout()


@promise
def cmdsn_wraps(place):
    with place.serve() as server:
        session = initiator.Session(server.address, server.iqn, login=False)
        session.cmdsn = 0xFFFFFFF0
        session.login()
        session.settle()
        for i in range(64):
            equal(session.command(TUR).status, 0, f"status of command {i}")
        assert session.cmdsn < 0x1000, session.cmdsn
        session.logout()


@promise
def many_commands_at_once(place):
    """As many as the window allows; all end, each once."""
    with place.serve() as server:
        session = login(server)
        session.write(0, bytes(range(256)) * 1024)
        session.ping()
        room = (session.maxcmdsn - session.cmdsn + 1) & 0xFFFFFFFF
        assert 1 <= room <= 100000, f"window of {room} commands"
        pending = {session.send(session.scsi(read16(i % 256, 1), edtl=512, read=True)): i % 256
                   for i in range(room)}
        while pending:
            pdu = session.recv()
            equal((pdu.opcode, pdu.flags & 1, pdu.bhs[3]), (wire.DATA_IN, 1, 0), "Data-In, S bit")
            lba = pending.pop(pdu.itt)
            equal_bytes(pdu.data, (bytes(range(256)) * 2), f"block {lba}")
        session.logout()


@promise
def read_residuals(place):
    """EDTL above and below what the CDB asks for."""
    with place.serve() as server:
        session = login(server)
        data = bytes(range(256)) * 8
        session.write(0, data)
        under = session.command(read16(0, 2), edtl=2048)
        equal((under.status, under.underflow, under.overflow), (0, 1024, 0), "long EDTL")
        equal_bytes(under.data, data[:1024], "data of an underflow")
        over = session.command(read16(0, 4), edtl=1024)
        equal((over.status, over.underflow, over.overflow), (0, 0, 1024), "short EDTL")
        equal_bytes(over.data, data[:1024], "data of an overflow")
        odd = session.command(read16(0, 1), edtl=100)
        equal((odd.status, odd.overflow, odd.data), (0, 412, data[:100]), "EDTL of 100 bytes")
        inquiry = session.command(initiator.inquiry(36), edtl=1000)
        equal(inquiry.underflow, 1000 - 36, "underflow of INQUIRY")
        none = session.command(read16(0, 2), edtl=0)
        equal(none.overflow, 1024, "EDTL of 0")
        session.logout()


@promise
def write_residuals(place):
    """Nothing lands on the medium that was not sent, nor what no CDB asked for."""
    disk = place.image()
    with place.serve(disk) as server:
        session = login(server)
        session.write(0, b"\xAA" * 4096)
        under = session.command(write16(0, 2), out=b"\x11" * 2048)
        equal((under.status, under.underflow), (0, 1024), "more data than the CDB says")
        equal_bytes(session.read(0, 8), b"\x11" * 1024 + b"\xAA" * 3072, "blocks after it")
        over = session.command(write16(4, 4), out=b"\x22" * 1024)
        equal((over.underflow, over.overflow), (0, 1024), "less data than the CDB says")
        part = session.command(write16(4, 1), out=b"\x33" * 200)
        equal((part.status, part.asc, part.underflow, part.overflow), (2, (5, 0x0E, 3), 0, 312),
              "less data than a block")
        equal_bytes(session.read(4, 2), b"\x22" * 1024, "blocks of what was refused")
        after = session.read(4, 4)
        equal_bytes(after[1024:], b"\xAA" * 1024, "blocks for which no data came")
        session.logout()


@promise
def reads_are_split_by_the_initiators_limit(place):
    with place.serve() as server:
        session = login(server, keys={"MaxRecvDataSegmentLength": "512", "MaxBurstLength": "1024"})
        data = bytes(i % 251 for i in range(10240))
        session.write(3, data)
        equal_bytes(session.read(3, 20), data, "data in pieces of 512 bytes")
        session.logout()


@promise
def declared_limit_can_change_in_full_feature_phase(place):
    """MaxRecvDataSegmentLength is declared anew by text; answers keep to it at once."""
    with place.serve() as server:
        session = login(server)
        answer = dict(session.text([("MaxRecvDataSegmentLength", "1024")]))
        assert "Reject" not in answer.values(), answer
        session.offer["MaxRecvDataSegmentLength"] = "1024"
        equal(len(session.read(0, 64)), 32768, "bytes read")
        session.logout()


@promise
def unknown_text_key_is_not_understood(place):
    with place.serve() as server:
        session = login(server)
        equal(session.text([("X-org.example.what", "1")]),
              [("X-org.example.what", "NotUnderstood")], "answer")
        session.ping()
        session.logout()


@promise
def several_r2ts_at_once(place):
    """MaxOutstandingR2T of 4: never more are out, and their data may be interleaved by R2T."""
    disk = place.image()
    with place.serve(disk) as server:
        session = login(server, keys={
            "InitialR2T": "Yes", "ImmediateData": "No", "MaxOutstandingR2T": "4",
            "MaxBurstLength": "8192", "FirstBurstLength": "8192"})
        data = bytes(i * 7 % 253 for i in range(65536))
        itt = session.send(session.scsi(write16(0, 128), edtl=len(data), write=True))
        allowed = session.number("MaxOutstandingR2T", 1)
        assert 1 <= allowed <= 4, allowed
        asked = 0
        while asked < len(data):
            pdu = session.expect(wire.R2T, itt)
            equal(pdu.get32(40), asked, "buffer offset of an R2T")
            asked += pdu.get32(44)
            assert pdu.get32(44) <= 8192, "R2T longer than MaxBurstLength"
            session.send_burst(itt, pdu.ttt, data, pdu.get32(40), pdu.get32(44))
        session.expect(wire.SCSI_RSP, itt)
        equal_bytes(session.read(0, 128), data, "what was written")
        session.logout()


@promise
def absent_luns_are_answered_as_spc_says(place):
    with place.serve("ram:64M", "ram:64M") as server:
        session = login(server)
        session.settle(1)
        inquiry = session.command(initiator.inquiry(), lun=7, read_len=36)
        equal((inquiry.status, inquiry.data[0]), (0, 0x7F), "INQUIRY of an absent LUN")
        tur = session.command(TUR, lun=7)
        equal((tur.status, tur.asc), (2, (5, 0x25, 0)), "TEST UNIT READY of an absent LUN")
        luns = session.command(report_luns(), read_len=4096, lun=7).data
        equal(struct.unpack(">I", luns[:4])[0], 16, "bytes of LUNs by REPORT LUNS")
        equal(luns[8:24], bytes(8) + b"\0\1" + bytes(6), "LUN list")
        session.logout()


@promise
def new_nexus_has_a_unit_attention(place):
    """Power on, once per initiator port; INQUIRY and REPORT LUNS pass it by."""
    with place.serve() as server:
        session = initiator.Session(server.address, server.iqn)
        equal(session.command(initiator.inquiry(), read_len=36).status, 0, "INQUIRY")
        equal(session.command(report_luns(), read_len=4096).status, 0, "REPORT LUNS")
        first = session.command(TUR)
        equal((first.status, first.asc[:2]), (2, (6, 0x29)), "first TEST UNIT READY")
        equal(session.command(TUR).status, 0, "second TEST UNIT READY")
        session.logout()


@promise
def unknown_command_is_illegal(place):
    with place.serve() as server:
        session = login(server)
        for cdb in (bytes([0xC1]) + bytes(15), bytes([0x9E, 0x1F]) + bytes(14)):
            result = session.command(cdb)
            equal((result.status, result.asc[0]), (2, 5), f"CDB {cdb.hex()}")
        beyond = session.command(read16(1 << 40, 1), read_len=512)
        equal((beyond.status, beyond.asc), (2, (5, 0x21, 0)), "READ beyond the end")
        overflow = session.command(read16((1 << 64) - 1, 2), read_len=1024)
        equal((overflow.status, overflow.asc), (2, (5, 0x21, 0)), "LBA + count past 2^64")
        session.logout()


@promise
def logout_in_each_way(place):
    with place.serve() as server:
        session = login(server)
        equal(session.logout(0), 0, "close the session")
        session.conn.wait_closed()
        session = login(server)
        equal(session.logout(1), 0, "close the connection")
        session.conn.wait_closed()
        session = login(server)
        equal(session.logout(1, cid=99), 1, "close a connection that does not exist")
        session.ping()
        equal(session.logout(2), 2, "recovery is not supported")
        session.ping()
        session.logout()
        still_serves(server)


@promise
def read_only_refuses_writes(place):
    with place.serve_image(more=["--read-only"]) as server:
        session = login(server)
        result = session.command(write16(0, 1), out=bytes(512))
        equal((result.status, result.asc), (2, (7, 0x27, 0)), "WRITE to a read-only LUN")
        equal(session.read(0, 1), bytes(512), "block 0")
        session.logout()
