# SPDX-License-Identifier: Apache-2.0
"""Task management over the wire: RFC 7143 11.5, 11.6."""

import time

import wire

from initiator import NAME, write16
from promise import equal, equal_bytes, login, promise, still_serves

ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, COLD_RESET = \
    range(1, 8)
COMPLETE, NO_TASK, NO_LUN, NO_REASSIGN, NOT_SUPPORTED = 0, 1, 2, 4, 5
TUR = bytes(6)
R2T_ONLY = {"InitialR2T": "Yes", "ImmediateData": "No"}


def held_write(session, lba=0, n_blocks=8):
    """A write that waits for data; returns its PDU and the TTT of its R2T."""
    pdu = session.scsi(write16(lba, n_blocks), edtl=n_blocks * 512, write=True)
    session.send(pdu)
    return pdu, session.expect(wire.R2T, pdu.itt).ttt


def manage(session, function, **more):
    return session.expect(wire.TMF_RSP, session.task_management(function, **more)).bhs[2]


def late_data_is_dropped(session, pdu, ttt):
    """
    Once the task is said to be gone it changes the medium no more. What comes for it costs the
    session nothing more than a Reject.
    """
    session.write(0, b"\x77" * 4096)
    session.send_burst(pdu.itt, ttt, b"\xEE" * 4096, 0, 4096)
    itt = session.send(wire.Pdu(wire.NOP_OUT, immediate=True, itt=session.new_itt(),
                                ttt=wire.RESERVED_TAG, data=b"after late data"))
    while True:
        answer = session.recv()
        if answer.opcode == wire.NOP_IN and answer.itt == itt:
            break
        equal(answer.opcode, wire.REJECT, f"{answer} in answer to late data")
    equal_bytes(session.read(0, 8), b"\x77" * 4096, "blocks of the aborted write")


@promise
def abort_task_ends_a_write(place):
    with place.serve() as server:
        session = login(server, keys=R2T_ONLY)
        pdu, ttt = held_write(session)
        equal(manage(session, ABORT_TASK, ref_itt=pdu.itt, ref_cmdsn=pdu.get32(24)), COMPLETE,
              "ABORT TASK")
        late_data_is_dropped(session, pdu, ttt)
        equal(manage(session, ABORT_TASK, ref_itt=pdu.itt, ref_cmdsn=pdu.get32(24)), NO_TASK,
              "ABORT TASK again")
        session.logout()


@promise
def abort_task_set_and_resets_end_writes(place):
    """They wait for the data that was asked for (RFC 7143 4.2.3.3); the write has no status."""
    for function in (ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET):
        with place.serve() as server:
            session = login(server, keys=R2T_ONLY)
            pdu, ttt = held_write(session)
            itt = session.task_management(function)
            session.send_burst(pdu.itt, ttt, b"\xEE" * 4096, 0, 4096)
            equal(session.expect(wire.TMF_RSP, itt).bhs[2], COMPLETE, f"function {function}")
            for _ in range(3):  # a reset leaves unit attentions
                if session.command(TUR).status == 0:
                    break
            late_data_is_dropped(session, pdu, ttt)
            session.logout()


@promise
def lun_reset_is_told_to_others(place):
    with place.serve() as server:
        session, other = login(server), login(server, name=NAME + ".other")
        equal(manage(session, LUN_RESET), COMPLETE, "LUN RESET")
        result = other.command(TUR)
        equal((result.status, result.asc[:2]), (2, (6, 0x29)), "TEST UNIT READY of the other")
        other.settle()
        equal(manage(session, LUN_RESET, lun=9), NO_LUN, "LUN RESET of an absent LUN")
        session.settle()
        session.logout()
        other.logout()


@promise
def abort_task_set_spares_others(place):
    with place.serve() as server:
        session = login(server, keys=R2T_ONLY)
        other = login(server, name=NAME + ".other", keys=R2T_ONLY)
        theirs, ttt = held_write(other)
        equal(manage(session, ABORT_TASK_SET), COMPLETE, "ABORT TASK SET")
        other.send_burst(theirs.itt, ttt, b"\x55" * 4096, 0, 4096)
        equal(other.expect(wire.SCSI_RSP, theirs.itt).bhs[3], 0, "status of the other's write")
        session.logout()
        other.logout()


@promise
def cold_reset_closes_all_sessions(place):
    with place.serve() as server:
        session, other = login(server), login(server, name=NAME + ".other")
        session.task_management(COLD_RESET)
        answers = session.conn.wait_closed()
        equal([pdu.opcode for pdu in answers if pdu.opcode == wire.TMF_RSP][:1],
              [pdu.opcode for pdu in answers][:1], "what came before the end")
        other.conn.wait_closed()
        still_serves(server)


@promise
def every_function_code_is_answered(place):
    """All values of the byte that holds the function, the F bit included."""
    with place.serve() as server:
        for byte in range(256):
            if byte & 0x7F == COLD_RESET:
                continue
            session = login(server)
            pdu = wire.Pdu(wire.TMF_REQ, byte, immediate=True, itt=session.new_itt(),
                           ttt=wire.RESERVED_TAG)
            session.send(pdu)
            answer = session.recv()
            assert answer.opcode in (wire.TMF_RSP, wire.REJECT), f"{byte:#x}: {answer}"
            if answer.opcode == wire.TMF_RSP:
                expected = {ABORT_TASK: (NO_TASK,), ABORT_TASK_SET: (COMPLETE,),
                            CLEAR_ACA: (COMPLETE,), CLEAR_TASK_SET: (COMPLETE,),
                            LUN_RESET: (COMPLETE,), WARM_RESET: (COMPLETE,),
                            8: (NO_REASSIGN, NOT_SUPPORTED)}.get(byte & 0x7F, (NOT_SUPPORTED,))
                assert answer.bhs[2] in expected, f"function {byte:#x}: response {answer.bhs[2]}"
            else:
                equal(byte & 0x80, 0, "F bit of a rejected function")
            session.ping()
            session.logout()


NACA, BUSY, ACA_ACTIVE, SIMPLE, ACA = 0x04, 0x08, 0x30, 1, 4
FAILS_WITH_NACA = bytes([0x28, 0, 0x7F, 0, 0, 0, 0, 0, 1, NACA])  # READ past the end


def status(session, cdb, attr=SIMPLE, read_len=0):
    return session.finish(session.send(session.scsi(cdb, attr=attr, edtl=read_len,
                                                    read=read_len > 0))).status


@promise
def aca_keeps_all_away_until_it_is_cleared(place):
    """SAM-5: auto contingent allegiance, cleared by CLEAR ACA of the faulted I_T nexus."""
    with place.serve_image() as server:
        session, other = login(server, keys=R2T_ONLY), login(server, name=NAME + ".other")
        waits, ttt = held_write(session)
        equal(status(session, FAILS_WITH_NACA, read_len=512), 2, "a READ past the end")
        equal(status(session, TUR), ACA_ACTIVE, "a SIMPLE command of the faulted nexus")
        equal(status(session, TUR, ACA), 0, "one with the ACA attribute")
        equal(status(other, TUR), BUSY, "a command of another nexus")
        equal(status(other, FAILS_WITH_NACA, read_len=512), ACA_ACTIVE, "one with NACA")
        equal(manage(other, CLEAR_ACA), COMPLETE, "CLEAR ACA of another nexus")
        session.send_burst(waits.itt, ttt, b"\x66" * 4096, 0, 4096)
        equal(status(session, TUR), ACA_ACTIVE, "still a SIMPLE command")
        equal(manage(session, CLEAR_ACA), COMPLETE, "CLEAR ACA")
        equal(session.expect(wire.SCSI_RSP, waits.itt).bhs[3], 0, "status of the blocked write")
        equal(status(other, TUR), 0, "a command of another nexus")
        equal_bytes(other.read(0, 8), b"\x66" * 4096, "what the blocked write has written")
        session.logout()
        other.logout()


@promise
def aca_ends_with_its_session(place):
    with place.serve() as server:
        session, other = login(server), login(server, name=NAME + ".other")
        equal(status(session, FAILS_WITH_NACA, read_len=512), 2, "a READ past the end")
        equal(status(other, TUR), BUSY, "a command of another nexus")
        session.logout()
        # The answer to the logout goes out before the last of the session.
        for _ in range(50):
            if status(other, TUR) == 0:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("BUSY still, though the session has ended")
        other.logout()
