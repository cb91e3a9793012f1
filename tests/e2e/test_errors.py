# SPDX-License-Identifier: Apache-2.0
"""What an initiator does wrong costs that connection at most, never another or the process."""

import os
import random

import wire
from initiator import NAME, read16, write16
from promise import equal, equal_bytes, expect_reject, login, promise, still_serves
from wire import Pdu, RESERVED_TAG

PROTOCOL_ERROR, NOT_SUPPORTED, SNACK_REJECT = 0x04, 0x05, 0x03
R2T_ONLY = {"InitialR2T": "Yes", "ImmediateData": "No"}
DIGESTS = {"HeaderDigest": "CRC32C", "DataDigest": "CRC32C"}


def survives(server, session):
    """Session goes on or is closed; everybody else is served."""
    try:
        session.ping()
    except (wire.Closed, AssertionError):
        pass
    session.conn.close()
    still_serves(server)


@promise
def unknown_opcodes_are_rejected(place):
    with place.serve() as server:
        session = login(server)
        for opcode in (0x07, 0x0F, 0x11, 0x17, 0x1C, 0x1F):
            pdu = Pdu(opcode, immediate=True, itt=session.new_itt())
            session.send(pdu)
            expect_reject(session, NOT_SUPPORTED, pdu)
        session.ping()
        session.logout()


@promise
def opcodes_of_targets_do_no_harm(place):
    with place.serve() as server:
        for opcode in range(0x20, 0x40):
            session = login(server)
            session.send(Pdu(opcode, immediate=True, itt=session.new_itt()))
            survives(server, session)


@promise
def snack_is_rejected(place):
    """ErrorRecoveryLevel is 0."""
    with place.serve() as server:
        session = login(server)
        for kind in range(4):
            pdu = Pdu(wire.SNACK_REQ, 0x80 | kind, itt=session.new_itt(), ttt=RESERVED_TAG)
            pdu.bhs[0] |= 0x40
            session.send(pdu)
            answer = session.expect(wire.REJECT)
            assert answer.bhs[2] in (SNACK_REJECT, PROTOCOL_ERROR, NOT_SUPPORTED), answer.bhs[2]
            equal(bytes(answer.data[:48]), bytes(pdu.bhs), "header in the Reject")
        session.ping()
        session.logout()


@promise
def second_login_in_full_feature_phase(place):
    with place.serve() as server:
        session = login(server)
        session.send(Pdu(wire.LOGIN_REQ, 0x87, immediate=True, itt=session.new_itt()))
        survives(server, session)


@promise
def bad_header_digest_costs_the_connection(place):
    with place.serve() as server:
        session, other = login(server, keys=DIGESTS), login(server, name=NAME + ".other")
        session.send(session.scsi(bytes(6)), spoil="header")
        for pdu in session.conn.wait_closed():
            assert pdu.opcode in (wire.ASYNC_MSG, wire.REJECT), pdu
        other.ping()
        other.logout()
        still_serves(server)


@promise
def bad_data_digest_writes_nothing(place):
    """Immediate, unsolicited, or solicited; the task fails or the connection ends."""
    disk = place.image()
    with place.serve(disk) as server:
        for keys in ({}, {"ImmediateData": "No"}, R2T_ONLY):
            session = login(server, keys={**DIGESTS, **keys})
            spoilt_write(session, b"\xEE" * 4096)
            survives(server, session)
            with open(disk, "rb") as file:
                equal_bytes(file.read(4096), bytes(4096), f"medium with {keys}")


def spoilt_write(session, data):
    """One write whose data has a wrong digest, up to what comes back, which must not be GOOD."""
    immediate = session.settled("ImmediateData") == "Yes"
    solicited = session.settled("InitialR2T") == "Yes"
    pdu = session.scsi(write16(0, 8), edtl=4096, write=True,
                       immediate=data if immediate else b"", final=immediate or solicited)
    try:
        session.send(pdu, spoil="data" if immediate else None)
        if not immediate:
            ttt = session.expect(wire.R2T, pdu.itt).ttt if solicited else RESERVED_TAG
            session.send(session.data_out(pdu.itt, ttt, 0, 0, data, True), spoil="data")
        while True:
            answer = session.recv(5)
            if answer.opcode == wire.SCSI_RSP:
                assert answer.bhs[3] != 0, "GOOD for data with a wrong digest"
                return
            assert answer.opcode in (wire.REJECT, wire.ASYNC_MSG, wire.R2T), answer
            if immediate and answer.opcode == wire.REJECT:
                return  # the command itself was rejected: there is no task
    except (wire.Closed, TimeoutError):
        return


@promise
def long_ahs_does_no_harm(place):
    """1,020 bytes, the most that fit; sound ones, nonsense, and one that never comes whole."""
    chance = random.Random(4)
    with place.serve() as server:
        for ahs in (bytes(1020), b"\0\x09\1" + bytes(1017), b"\xff" * 1020, chance.randbytes(1020),
                    chance.randbytes(8), b"\0\5\2\0" + bytes(4), b"\0\x11\1\0" + bytes(16)):
            for opcode in (wire.NOP_OUT, wire.SCSI_CMD, wire.TEXT_REQ, wire.DATA_OUT):
                session = login(server)
                pdu = Pdu(opcode, immediate=True, itt=session.new_itt(), ttt=RESERVED_TAG, ahs=ahs)
                try:
                    session.send(pdu)
                    session.recv(0.05)
                except (wire.Closed, TimeoutError):
                    pass
                session.conn.close()
        session = login(server)
        pdu = Pdu(wire.SCSI_CMD, immediate=True, itt=session.new_itt())
        pdu.set_lengths(255, 0)
        session.conn.send_bytes(bytes(pdu.bhs) + b"\1")
        session.conn.reset()
        still_serves(server)


@promise
def data_segment_beyond_our_limit(place):
    """16 MiB announced: no such buffer is made, the connection ends or the PDU is rejected."""
    with place.serve() as server:
        for opcode in (wire.NOP_OUT, wire.SCSI_CMD, wire.TEXT_REQ, wire.DATA_OUT, wire.TMF_REQ):
            session = login(server)
            pdu = Pdu(opcode, immediate=True, itt=session.new_itt(), ttt=RESERVED_TAG)
            pdu.set_lengths(0, 0xFFFFFF)
            try:
                session.send(pdu)
                session.conn.send_bytes(bytes(1 << 20))
                session.conn.reset()
            except (wire.Closed, OSError):
                session.conn.close()
        still_serves(server)


@promise
def data_out_for_nothing(place):
    """Unknown ITT, unknown TTT, wrong offset, wrong DataSN, too much: never lands, never kills."""
    disk = place.image()
    with place.serve(disk) as server:
        def attack(**wrong):
            session = login(server, keys=R2T_ONLY)
            pdu = session.scsi(write16(0, 8), edtl=4096, write=True)
            session.send(pdu)
            ttt = session.expect(wire.R2T, pdu.itt).ttt
            fields = {"itt": pdu.itt, "ttt": ttt, "sn": 0, "offset": 0, "data": b"\xEE" * 4096,
                      "final": True, **wrong}
            try:
                session.send(session.data_out(**fields))
            except wire.Closed:
                pass
            survives(server, session)

        attack(itt=0x12345)
        attack(ttt=0x54321)
        attack(ttt=RESERVED_TAG)
        attack(sn=7)
        attack(offset=2048)
        attack(offset=0xFFFFF000)
        attack(data=b"\xEE" * 8192)
        with open(disk, "rb") as file:
            file.seek(4096)
            equal_bytes(file.read(1 << 20), bytes(1 << 20), "medium past the write")


@promise
def itt_in_use_again(place):
    with place.serve() as server:
        session = login(server, keys=R2T_ONLY)
        first = session.scsi(write16(0, 8), edtl=4096, write=True)
        session.send(first)
        session.expect(wire.R2T, first.itt)
        session.send(session.scsi(bytes(6), itt=first.itt))
        survives(server, session)


@promise
def sessions_killed_while_writing(place):
    """Connections reset at random points of writes and reads; others go on meanwhile."""
    disk = place.image()
    chance = random.Random(5)
    with place.serve(disk) as server:
        steady = login(server, name=NAME + ".steady")
        for i in range(60):
            session = login(server, keys=R2T_ONLY if i % 2 else None)
            whole = session.conn.encode(session.scsi(write16(2048, 512), edtl=1 << 18, write=True))
            session.conn.send_bytes(whole)
            session.cmdsn += 1
            if i % 3 == 0:
                burst = session.data_out(session.next_itt, RESERVED_TAG, 0, 0, bytes(8192), False)
                session.conn.send_bytes(session.conn.encode(burst)[:chance.randint(1, 8000)])
            if i % 3 == 1:
                for _ in range(8):
                    session.send(session.scsi(read16(0, 512), edtl=1 << 18, read=True))
            session.conn.reset()
            data = os.urandom(4096)
            steady.write(8 * i, data)
            equal_bytes(steady.read(8 * i, 8), data, "data of the session that goes on")
        steady.logout()
        still_serves(server)


@promise
def random_pdus_of_every_opcode(place):
    """Random headers with sound lengths after a good login."""
    chance = random.Random(6)
    with place.serve() as server:
        for i in range(400):
            session = login(server) if i % 4 == 0 else session
            pdu = Pdu(data=chance.randbytes(chance.choice((0, 0, 16, 512))))
            pdu.bhs[:] = chance.randbytes(48)
            pdu.bhs[0] = i & 0x3F | chance.choice((0, 0x40))
            pdu.set_lengths(0, len(pdu.data))
            try:
                pdu.put32(24, session.cmdsn)
                session.conn.send(pdu)
            except (wire.Closed, OSError):
                pass
            if i % 4 == 3:
                session.conn.reset()
        still_serves(server)
