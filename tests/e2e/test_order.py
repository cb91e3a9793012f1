# SPDX-License-Identifier: Apache-2.0
"""Task attributes, TAS, and the task management of RFC 7144, over the wire."""

import struct

import wire
from initiator import read16, write16
from promise import equal, equal_bytes, login, promise, still_serves

LUN_RESET, CLEAR_TASK_SET = 5, 4
QUERY_TASK, QUERY_TASK_SET, NEXUS_RESET, QUERY_ASYNC_EVENT = range(9, 13)
COMPLETE, NOT_SUPPORTED, SUCCEEDED, REJECTED = 0, 5, 7, 255
ORDERED, HEAD_OF_QUEUE = 2, 3
TASK_ABORTED = 0x40
R2T_ONLY = {"InitialR2T": "Yes", "ImmediateData": "No"}
LEVEL_2 = {"iSCSIProtocolLevel": "2", **R2T_ONLY}
OTHER = "iqn.2026-01.org.example:other"
DATA = b"\xC3" * 4096


def held_write(session, attr=1):
    """A write that waits for data; returns its PDU and the TTT of its R2T."""
    pdu = session.scsi(write16(0, 8), edtl=4096, write=True, attr=attr)
    session.send(pdu)
    return pdu, session.expect(wire.R2T, pdu.itt).ttt


def manage(session, function, **more):
    return session.expect(wire.TMF_RSP, session.task_management(function, **more))


def start_read(session, attr):
    return session.send(session.scsi(read16(0, 8), edtl=4096, read=True, attr=attr))


@promise
def ordered_waits_for_older_data(place):
    """A READ behind a WRITE reads what that wrote, if either of them is ORDERED."""
    for write_attr, read_attr in ((1, ORDERED), (ORDERED, 1), (ORDERED, ORDERED)):
        with place.serve() as server:
            session = login(server, keys=R2T_ONLY)
            pdu, ttt = held_write(session, write_attr)
            itt = start_read(session, read_attr)
            session.ping()  # nothing else has come first
            head = start_read(session, HEAD_OF_QUEUE)
            equal_bytes(session.finish(head).data, bytes(4096), "HEAD OF QUEUE waits for none")
            session.send_burst(pdu.itt, ttt, DATA, 0, 4096)
            equal(session.finish(pdu.itt).status, 0, "status of the write")
            equal_bytes(session.finish(itt).data, DATA, "what was read")
            session.logout()


@promise
def queries_tell_what_is_there(place):
    with place.serve() as server:
        session = login(server, keys=LEVEL_2)
        equal(session.params["iSCSIProtocolLevel"], "2", "iSCSIProtocolLevel")
        equal(manage(session, QUERY_TASK_SET).bhs[2], COMPLETE, "QUERY TASK SET")
        pdu, ttt = held_write(session)
        named = {"ref_itt": pdu.itt, "ref_cmdsn": pdu.get32(24)}
        equal(manage(session, QUERY_TASK, **named).bhs[2], SUCCEEDED, "QUERY TASK")
        equal(manage(session, QUERY_TASK_SET).bhs[2], SUCCEEDED, "QUERY TASK SET")
        session.send_burst(pdu.itt, ttt, DATA, 0, 4096)
        equal(session.finish(pdu.itt).status, 0, "status of the write that was asked about")
        equal(manage(session, QUERY_TASK, **named).bhs[2], COMPLETE, "QUERY TASK afterwards")

        equal(manage(session, QUERY_ASYNC_EVENT).bhs[2], COMPLETE, "QUERY ASYNCHRONOUS EVENT")
        other = login(server, keys=R2T_ONLY, name=OTHER)
        equal(manage(other, LUN_RESET).bhs[2], COMPLETE, "LOGICAL UNIT RESET of another")
        answer = manage(session, QUERY_ASYNC_EVENT)
        equal(answer.bhs[2], SUCCEEDED, "QUERY ASYNCHRONOUS EVENT with a unit attention")
        equal(bytes(answer.bhs[8:11]), b"\x16\x29\x03", "Additional Response Information")
        session.logout()
        other.logout()


@promise
def queries_need_protocol_level_2(place):
    with place.serve() as server:
        for keys, level, version in ((R2T_ONLY, None, 0x961), (LEVEL_2, "2", 0x962),
                                     ({**R2T_ONLY, "iSCSIProtocolLevel": "1"}, "1", 0x961),
                                     ({**R2T_ONLY, "iSCSIProtocolLevel": "0"}, "0", 0x960)):
            session = login(server, keys=keys)
            equal(session.params.get("iSCSIProtocolLevel"), level, "iSCSIProtocolLevel")
            inquiry = session.command(bytes((0x12, 0, 0, 0, 96, 0)), read_len=96).data
            assert version in struct.unpack(">8H", inquiry[58:74]), \
                f"{version:#x} is not among the version descriptors {inquiry[58:74].hex()}"
            for function in (QUERY_TASK, QUERY_TASK_SET, QUERY_ASYNC_EVENT, NEXUS_RESET):
                if level == "2":
                    break
                equal(manage(session, function, ref_itt=99, ref_cmdsn=session.cmdsn - 1).bhs[2],
                      NOT_SUPPORTED, f"function {function}")
            session.logout()


@promise
def nexus_reset_ends_the_session(place):
    with place.serve() as server:
        session = login(server, keys=LEVEL_2)
        pdu, ttt = held_write(session)
        itt = session.task_management(NEXUS_RESET)
        session.send_burst(pdu.itt, ttt, DATA, 0, 4096)  # what was asked for is still awaited
        equal(session.expect(wire.TMF_RSP, itt).bhs[2], COMPLETE, "I_T NEXUS RESET")
        try:
            session.recv()
            raise AssertionError("the connection is still there")
        except wire.Closed:
            pass
        session = login(server, keys=LEVEL_2)
        after = session.read(0, 8)
        assert after in (DATA, bytes(4096)), "half of the aborted write has been done"
        equal_bytes(session.read(0, 8), after, "blocks once the function was answered")
        session.logout()
        still_serves(server)


def set_tas(session):
    """TAS of the Control mode page, by what MODE SENSE tells of it."""
    page = bytearray(session.command(bytes((0x1A, 8, 0x0A, 0, 255, 0)), read_len=255).data)
    page[0] = page[2] = 0
    page[4] &= 0x3F
    page[4 + 5] |= 0x40
    done = session.command(bytes((0x15, 0x10, 0, 0, len(page), 0)), out=bytes(page))
    equal(done.status, 0, "status of MODE SELECT")


@promise
def with_tas_aborted_commands_have_a_status(place):
    """Of another nexus: its command is answered once its data has come, and writes nothing."""
    for function in (LUN_RESET, CLEAR_TASK_SET):
        with place.serve() as server:
            loser, other = login(server, keys=R2T_ONLY), login(server, keys=R2T_ONLY, name=OTHER)
            set_tas(other)
            loser.settle()
            pdu, ttt = held_write(loser)
            behind = start_read(loser, ORDERED)  # waits for the write
            loser.ping()  # and has come, though another reactor serves the other session
            equal(manage(other, function).bhs[2], COMPLETE, f"function {function} of another")
            equal(loser.finish(behind).status, TASK_ABORTED, "status of the read that waited")
            loser.ping()  # the write has none yet
            loser.send_burst(pdu.itt, ttt, DATA, 0, 4096)
            equal(loser.finish(pdu.itt).status, TASK_ABORTED, "status of the write")
            result = loser.command(bytes(6))
            if function == CLEAR_TASK_SET:
                equal(result.status, 0, "no unit attention beside the status")
            else:
                equal(result.asc, (6, 0x29, 0x03), "unit attention of a reset")
            equal_bytes(loser.read(0, 8), bytes(4096), "blocks of the aborted write")
            loser.logout()
            other.logout()
