# SPDX-License-Identifier: Apache-2.0
"""
The tests of libiscsi that assert something that no target decides, or that none may do, judged by
what they are about: expected.json names them and the expressions. And those that are played by our
own initiator from the start, since they sleep for minutes or hang: INSTEAD. Nothing else comes here.
"""

import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import initiator  # noqa: E402
import servers  # noqa: E402
import wire  # noqa: E402
from cunit import FAIL, PASS, Outcome  # noqa: E402

SANITIZE_SECONDS = 300  # until it has to have ended
SANITIZE_PASSES = 6     # so that it is still under way when the target has been reset
WAIT_SECONDS = 5  # as long as libiscsi's tests wait
TMF_COMPLETE = 0
LUN_RESET = 5


def rejudge(outcome, rule, url):
    """
    Another outcome for a failed test, or the same one. Only the assertions that the rule names may
    have failed; any other keeps the failure, and so does a crash of iscsi-test-cu unless the rule
    knows of it.
    """
    if outcome.crashed and not rule.get("crashes_itself"):
        return outcome
    if not outcome.asserts or set(outcome.asserts) - set(rule["own_asserts"]):
        return outcome
    why = LATER[rule["later"]](outcome, url)
    if why:
        return Outcome(outcome.name, FAIL, f"{outcome.reason}; later assertions: {why}",
                       outcome.output, outcome.asserts)
    return Outcome(outcome.name, PASS, f"by its later assertions; {outcome.reason}",
                   outcome.output)


def in_the_output(outcome, url):
    """The test went on after the assertion, and its later assertions held."""
    del url
    return None if "received all expected responses" in outcome.output else \
        "the test did not reach the responses"


def replayed(outcome, url):
    """
    LUNResetSimpleAsync leaves at once when its assertion fails and never looks at the target.
    Its conversation again: WRITE(10) of 8 blocks sent, LOGICAL UNIT RESET sent, then within 5 s
    FUNCTION COMPLETE, and the write either good or never answered.
    """
    del outcome
    address, iqn, lun = servers.split_url(url)
    session = initiator.Session(address, iqn)
    session.settle(lun)
    data = bytes(8 * 512)
    write = session.start_write(initiator.write10(0, 8), data, lun=lun)
    reset = session.task_management(LUN_RESET, lun=lun)
    end = time.monotonic() + WAIT_SECONDS
    try:
        while time.monotonic() < end:
            pdu = session.recv(WAIT_SECONDS)
            if pdu.opcode == wire.SCSI_RSP and pdu.itt == write and pdu.bhs[3] == 0:
                continue
            if pdu.opcode == wire.R2T and pdu.itt == write:
                session.send_burst(write, pdu.ttt, data, pdu.get32(40), pdu.get32(44), lun)
                continue
            if pdu.opcode == wire.TMF_RSP and pdu.itt == reset:
                session.close_quietly()
                return None if pdu.bhs[2] == TMF_COMPLETE else f"LUN RESET: response {pdu.bhs[2]}"
            return f"unexpected {pdu}"
    except (TimeoutError, wire.Closed) as error:
        return f"{type(error).__name__} while waiting for the answer to LUN RESET"
    return "no answer to LUN RESET"


def usage_of_every_command(outcome, url):
    """
    OneCommand keeps 16 bytes of CDB USAGE DATA: of a CDB with 32 bytes it drops all, and asserts
    what it never read. The same questions again: all commands, then each, whose usage data must
    be as long as its CDB and begin with its operation code.
    """
    del outcome
    address, iqn, lun = servers.split_url(url)
    session = initiator.Session(address, iqn)
    session.settle(lun)

    def ask(options, opcode=0, action=0):
        cdb = struct.pack(">BBBBHIBB", 0xA3, 0x0C, options, opcode, action, 65535, 0, 0)
        return session.command(cdb, lun=lun, read_len=65535)

    every = ask(0).data[4:]
    for at in range(0, len(every), 8):
        opcode, action, flags, length = struct.unpack(">BxHxBH", every[at:at + 8])
        one = ask(2 if flags & 1 else 1, opcode, action)
        usage = one.data[4:]
        if one.status or one.data[1] & 7 != 3 or usage[:1] != bytes([opcode]) or \
                len(usage) != length or struct.unpack(">H", one.data[2:4])[0] != length:
            return f"operation code {opcode:02x}, service action {action:x}: {one}"
    session.close_quietly()
    return None if every else "no command is reported"


def caw_of_other_sizes(outcome, url):
    """
    InvalidDataOutSize means to change NUMBER OF LOGICAL BLOCKS of a COMPARE AND WRITE on its way,
    but looks for the PDUs that are not SCSI commands: both go out with the number that fits the
    data, which is compared and is not the same. Its conversation again with the numbers it names,
    and a look at the medium.
    """
    wrong = [line for line in outcome.output.splitlines() if "[FAILED]" in line]
    if len(wrong) != 2 or not all(line.rstrip().endswith("(0x0e)/(0x1d00)") for line in wrong):
        return "not both are a MISCOMPARE"
    address, iqn, lun = servers.split_url(url)
    session = initiator.Session(address, iqn)
    session.settle(lun)
    before = bytes([0x5a]) * 512 * 4
    session.write(0, before, lun=lun)
    for number in (1, 3, 0):
        cdb = struct.pack(">BBQ3xBxx", 0x89, 0, 0, number)
        # What is compared is what is there, so that nothing but the length stands against it.
        result = session.command(cdb, lun=lun, out=before[:1024] + bytes([0xa6]) * 1024)
        if result.status != 2 or result.asc != (5, 0x24, 0):
            return f"{number} blocks, data-out of 4: {result}"
    after = session.read(0, 4, lun=lun)
    session.close_quietly()
    return None if after == before else "something was written"


def send_targets(url):
    """
    What Simple and Invalid ask, answered as RFC 7143 wants it of a session that is not one of
    discovery: All "MUST NOT be supported" there (appendix C), a key that is not known is
    NotUnderstood (6.2), a name that no target has finds none, and nothing of it costs the session,
    whose own target can be asked for.
    """
    address, iqn, lun = servers.split_url(url)
    session = initiator.Session(address, iqn)
    session.settle(lun)
    for key, value, want in (("SendTargetsPlease", "All", ["NotUnderstood"]),
                             ("SendTargets", "Alle", []), ("SendTargets", "A", []),
                             ("sENDtARGETS", "aLL", ["NotUnderstood"]),
                             ("SendTargets", "All", ["Reject"])):
        answer = session.text([(key, value)])
        if answer != [(key, word) for word in want]:
            return f"{key}={value}: {answer}"
        for name in ("", iqn):
            answer = session.text([("SendTargets", name)])
            keys = [key for key, _ in answer]
            if keys[:2] != ["TargetName", "TargetAddress"] or answer[0][1] != iqn or \
                    set(keys[2:]) - {"TargetAddress"}:
                return f"SendTargets={name}: {answer}"
    session.logout()
    return None


def send_targets_again(outcome, url):
    del outcome
    return send_targets(url)


LATER = {"in the output": in_the_output, "replayed": replayed,
         "every command asked for": usage_of_every_command,
         "with other sizes": caw_of_other_sizes, "as RFC 7143 has it": send_targets_again}


# ---- Sanitize.Reset ----

ABORT_TASK, ABORT_TASK_SET, WARM_RESET, COLD_RESET = 1, 2, 6, 7
TEST_UNIT_READY, START, INQUIRY = bytes(6), bytes([0x1B, 1, 0, 0, 1, 0]), initiator.inquiry(36)
SANITIZING = (2, 0x04, 0x1B)


def after_attentions(session, cdb, lun, read_len=0):
    """What a command is told once no unit attention is left."""
    while True:
        result = session.command(cdb, lun=lun, read_len=read_len)
        if result.status != 2 or result.asc[0] != 6:
            return result


def begin_sanitize(session, lun):
    """SANITIZE (OVERWRITE) with zeroes, not IMMED; returns its PDU. It is answered at the end."""
    pattern = bytes(512)
    data = struct.pack(">BxH", SANITIZE_PASSES, len(pattern)) + pattern
    pdu = session.scsi(struct.pack(">BB5xHB", 0x48, 0x01, len(data), 0), lun=lun, edtl=len(data),
                       write=True, immediate=data)
    session.send(pdu)
    return pdu


def is_told_to_all(session, lun):
    """Why commands are not kept from the medium, and no others; None when they are."""
    for what, cdb, read_len in (("TEST UNIT READY", TEST_UNIT_READY, 0),
                                ("START STOP UNIT", START, 0),
                                ("READ (16)", initiator.read16(0, 1), 512)):
        result = after_attentions(session, cdb, lun, read_len)
        if result.asc != SANITIZING:
            return f"{what}: {result}"
    result = session.command(INQUIRY, lun=lun, read_len=36)
    return None if result.status == 0 else f"INQUIRY: {result}"


def sanitize_survives_resets(url):
    """The conversation of Sanitize.Reset, without its sleeps. Returns why not, or None."""
    address, iqn, lun = servers.split_url(url)
    session = initiator.Session(address, iqn)
    session.settle(lun)
    sanitize = begin_sanitize(session, lun)
    why = is_told_to_all(session, lun)
    if why:
        return why
    for function in (ABORT_TASK, ABORT_TASK_SET, LUN_RESET, WARM_RESET):
        itt = session.task_management(function, lun=lun, ref_itt=sanitize.itt,
                                      ref_cmdsn=sanitize.get32(24))
        session.expect(wire.TMF_RSP, itt)
    why = is_told_to_all(session, lun)
    if why:
        return f"after the warm reset: {why}"
    session.task_management(COLD_RESET)
    session.conn.wait_closed()
    session = initiator.Session(address, iqn)
    why = is_told_to_all(session, lun)
    if why:
        return f"after the cold reset: {why}"
    end = time.monotonic() + SANITIZE_SECONDS
    while after_attentions(session, TEST_UNIT_READY, lun).status:
        if time.monotonic() > end:
            return "the sanitize operation does not end"
        time.sleep(0.2)
    session.logout()
    return None


INSTEAD = {
    "ALL.Sanitize.Reset": (sanitize_survives_resets, "which does not sleep for minutes"),
    # libiscsi takes no answer but a Reject PDU for a refusal: at any other text it drops the
    # connection, and the test waits for its answer for ever.
    "ALL.iSCSISendTargets.Invalid": (send_targets, "which takes NotUnderstood for an answer"),
}


def play_instead(name, url):
    play, how = INSTEAD[name]
    try:
        why = play(url)
    except (AssertionError, OSError, wire.Closed) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        return Outcome(name, FAIL, why, why)
    return Outcome(name, PASS, f"played by our own initiator, {how}", "")
