# SPDX-License-Identifier: Apache-2.0
"""The login phase as seen on the wire: every status it can end with, stages, keys, sessions."""

import struct

import initiator
import servers
import wire
from initiator import FULL_FEATURE, OPERATIONAL, SECURITY, Session, encode_text
from promise import equal, login, promise, still_serves


def refused(server, status, text, **step):
    """One Login Request must be refused with the status, and the connection closed."""
    options = {key: step.pop(key) for key in ("tsih", "isid", "cid") if key in step}
    session = Session(server.address, server.iqn, login=False, **options)
    rsp = session.login_step(text, **step)
    got = struct.unpack_from(">H", rsp.bhs, 36)[0]
    assert got == status, f"status {got:04x}, expected {status:04x} for {text!r} {step} {options}"
    equal(session.conn.wait_closed(), [], "PDUs after the refusal")


def names(server, **change):
    """The identifying keys as text; a change of None leaves one out."""
    pairs = {"InitiatorName": initiator.NAME, "TargetName": server.iqn, "SessionType": "Normal",
             **change}
    return encode_text((key, value) for key, value in pairs.items() if value is not None)


@promise
def refusals_have_the_right_status(place):
    with place.serve() as server:
        refused(server, 0x0207, names(server, InitiatorName=None))
        refused(server, 0x0207, names(server, TargetName=None))
        refused(server, 0x0203, names(server, TargetName="iqn.2026-01.org.example:absent"))
        refused(server, 0x0205, names(server), version=(9, 7))
        refused(server, 0x0209, names(server, SessionType="Sideways"))
        refused(server, 0x020A, names(server), tsih=0x7143)
        refused(server, 0x0201, names(server, AuthMethod="CHAP"), csg=SECURITY, nsg=OPERATIONAL)
        still_serves(server)


@promise
def wrong_requests_are_initiator_errors(place):
    with place.serve() as server:
        twice = names(server) + encode_text([("MaxBurstLength", "65536")] * 2)
        refused(server, 0x0200, twice)
        refused(server, 0x0200, b"no equals sign here\0")
        refused(server, 0x0200, names(server), csg=2)
        refused(server, 0x0200, names(server), csg=OPERATIONAL, nsg=SECURITY)
        refused(server, 0x0200, names(server), csg=FULL_FEATURE)
        refused(server, 0x0200, names(server, InitiatorName="not an iSCSI name"))
        refused(server, 0x0200, names(server, InitiatorName="iqn." + "x" * 300))
        refused(server, 0x0200, names(server), more=True)  # C and T together
        still_serves(server)


@promise
def other_pdus_are_invalid_during_login(place):
    with place.serve() as server:
        for opcode in (wire.NOP_OUT, wire.SCSI_CMD, wire.TMF_REQ, wire.TEXT_REQ, wire.DATA_OUT,
                       wire.LOGOUT_REQ, wire.SNACK_REQ, 0x1C, wire.REJECT):
            conn = wire.Connection(server.address)
            conn.send(wire.Pdu(opcode, immediate=True, itt=1))
            rsps = conn.wait_closed()
            if rsps:  # the answer is optional, the end is not
                equal(rsps[0].opcode, wire.LOGIN_RSP, "opcode of the answer")
                equal(struct.unpack_from(">H", rsps[0].bhs, 36)[0], 0x020B, "status")
        still_serves(server)


@promise
def a_second_connection_is_too_many(place):
    """MaxConnections is 1."""
    with place.serve() as server:
        first = login(server)
        refused(server, 0x0206, names(server), tsih=first.tsih, isid=first.isid, cid=1)
        first.ping()
        first.logout()


@promise
def keys_split_over_pdus(place):
    """C = 1 until the last; the target answers each with an empty response."""
    with place.serve() as server:
        text = encode_text(Session(server.address, server.iqn, login=False).identity()
                           + list(initiator.OFFER.items()) + [("X-org.example.long", "v" * 5000)])
        for size in (len(text) // 2, 700, 61):
            session = Session(server.address, server.iqn, login=False)
            parts = [text[i:i + size] for i in range(0, len(text), size)]
            for part in parts[:-1]:
                rsp = session.login_step(part, transit=False, more=True)
                session.learn(rsp)
                equal((rsp.data, rsp.flags & 0xC0), (b"", 0), "answer to a partial request")
            rsp = session.login_step(parts[-1])
            session.learn(rsp)
            equal(rsp.flags & 0x83, 0x83, "flags of the final response")
            equal(session.params["X-org.example.long"], "NotUnderstood", "the unknown key")
            session.begin(rsp)
            session.settle()
            session.logout()


@promise
def too_much_login_text_is_refused(place):
    with place.serve() as server:
        session = Session(server.address, server.iqn, login=False)
        session.learn(session.login_step(encode_text(session.identity()), transit=False, more=True))
        try:
            for _ in range(100):
                session.learn(session.login_step(b"X-a=" + b"v" * 4000, transit=False, more=True))
        except (initiator.LoginRefused, wire.Closed):
            still_serves(server)
            return
        raise AssertionError("400,000 bytes of login text were taken")


@promise
def security_stage_with_none(place):
    with place.serve() as server:
        session = Session(server.address, server.iqn, login=False)
        rsp = session.login_step(
            encode_text(session.identity() + [("AuthMethod", "CHAP,None")]), SECURITY, OPERATIONAL)
        session.learn(rsp)
        equal(session.params["AuthMethod"], "None", "AuthMethod")
        equal(rsp.flags & 0x8F, 0x81, "T, CSG and NSG of the answer")
        rsp = session.login_step(encode_text(session.offered()))
        session.learn(rsp)
        equal(rsp.flags & 0x8F, 0x87, "T, CSG and NSG of the answer")
        session.begin(rsp)
        session.settle()
        session.logout()


@promise
def several_requests_in_a_stage(place):
    """T = 0 keeps the stage open; each request brings some keys."""
    with place.serve() as server:
        session = Session(server.address, server.iqn, login=False)
        session.learn(session.login_step(encode_text(session.identity()), transit=False))
        for pair in session.offered():
            rsp = session.login_step(encode_text([pair]), transit=False)
            session.learn(rsp)
            equal(rsp.flags & 0x80, 0, "T without having been asked for")
        rsp = session.login_step(b"")
        session.learn(rsp)
        session.begin(rsp)
        session.settle()
        session.logout()


@promise
def each_key_has_its_own_rule(place):
    """Minimum, AND, OR, list, and declared keys; what makes no sense is Reject or a refusal."""
    with place.serve() as server:
        session = login(server, keys={
            "MaxBurstLength": "16777215", "FirstBurstLength": "512", "MaxOutstandingR2T": "1",
            "MaxConnections": "65535", "ErrorRecoveryLevel": "2", "InitialR2T": "Yes",
            "ImmediateData": "No", "DataPDUInOrder": "Yes", "DefaultTime2Retain": "0",
            "HeaderDigest": "X-org.example,None", "DataDigest": "None,CRC32C",
            "MaxRecvDataSegmentLength": "512", "OFMarker": "No", "IFMarker": "Yes"})
        got = session.params
        assert 512 <= int(got["MaxBurstLength"]) <= 16777215, got
        equal(got["FirstBurstLength"], "512", "FirstBurstLength: the minimum")
        equal(got["MaxConnections"], "1", "MaxConnections: the minimum")
        equal(got["ErrorRecoveryLevel"], "0", "ErrorRecoveryLevel: the minimum")
        equal(got["InitialR2T"], "Yes", "InitialR2T: OR")
        equal(got["ImmediateData"], "No", "ImmediateData: AND")
        equal(got["HeaderDigest"], "None", "HeaderDigest: first of the list that is known")
        equal(got["DataDigest"], "None", "DataDigest: first of the list")
        assert got.get("IFMarker") in ("No", "Reject", "NotUnderstood"), got
        assert int(got["MaxRecvDataSegmentLength"]) >= 512, got
        session.logout()


@promise
def reinstatement_ends_the_old_session(place):
    """The same ISID and TSIH 0: old connection closed, old tasks gone, the new session works."""
    disk = place.image()
    with place.serve(disk) as server:
        old = login(server, keys={"InitialR2T": "Yes", "ImmediateData": "No"})
        write = old.scsi(initiator.write16(0, 8), edtl=4096, write=True)
        old.send(write)
        ttt = old.expect(wire.R2T, write.itt).ttt
        new = login(server, isid=old.isid)
        old.conn.wait_closed()
        try:  # what still comes for the old write must not land
            old.send_burst(write.itt, ttt, b"\xEE" * 4096, 0, 4096)
        except (wire.Closed, OSError):
            pass
        equal(new.read(0, 8), bytes(4096), "blocks that the old session was about to write")
        new.write(0, b"\x11" * 4096)
        equal(new.read(0, 8), b"\x11" * 4096, "blocks that the new session wrote")
        assert new.tsih and new.tsih != 0xFFFF, new.tsih
        new.logout()


@promise
def another_initiator_has_its_own_session(place):
    """The same ISID under another name, and another ISID under the same name, end nothing."""
    with place.serve() as server:
        first = login(server)
        second = login(server, isid=first.isid, name=initiator.NAME + ".other")
        third = login(server)
        for session in (first, second, third):
            session.ping()
        assert len({first.tsih, third.tsih}) == 2, "TSIHs must differ"
        for session in (first, second, third):
            session.logout()


@promise
def login_again_and_again(place):
    """Sessions leave nothing behind that would stop the next one."""
    with place.serve() as server:
        isid = b"\x80\0\0\0\0\1"
        for i in range(300):
            session = Session(server.address, server.iqn, isid=isid)
            if i % 3 == 0:
                session.logout()
            elif i % 3 == 1:
                session.conn.reset()
        still_serves(server)


@promise
def discovery_lists_targets(place):
    with place.serve() as server:
        host, port = server.address
        session = Session(server.address)
        record = [("TargetName", server.iqn), ("TargetAddress", f"{host}:{port},1")]
        equal(session.text([("SendTargets", "All")]), record, "SendTargets=All")
        equal(session.text([("SendTargets", server.iqn)]), record, "SendTargets by name")
        absent = session.text([("SendTargets", "iqn.2026-01.org.example:absent")])
        equal(absent, [], "SendTargets of an absent target")
        equal(session.logout(), 0, "logout response")


@promise
def discovery_session_takes_no_commands(place):
    with place.serve() as server:
        session = Session(server.address)
        request = session.scsi(bytes(6))
        session.send(request)
        pdu = session.conn.recv()
        equal(pdu.opcode, wire.REJECT, "opcode of the answer to a SCSI command")
        still_serves(server)
        session.conn.close()


@promise
def normal_session_sees_its_own_target_only(place):
    disks = [(place.image(name=f"disk{i}.img"), 64 << 20) for i in range(2)]
    iqns = [servers.IQN + str(i) for i in range(2)]
    config = servers.classic_config(disks, targets={iqns[0]: [0], iqns[1]: [1]})
    with place.daemon(config, n_ready=2) as server:
        address, iqn, _ = servers.split_url(server.urls[1])
        session = Session(address, iqn)
        listed = [value for key, value in session.text([("SendTargets", "")])
                  if key == "TargetName"]
        equal(listed, [iqn], "targets for SendTargets=")
        answer = session.text([("SendTargets", "All")])  # must not be supported here
        assert "TargetName" not in dict(answer), answer
        session.ping()
        session.logout()


@promise
def discovery_answer_of_any_length(place):
    """1,000 targets through a window of 512 bytes, and of 64 KiB; and one of them by its name."""
    count = 1000
    disk = (place.image(), 64 << 20)
    iqns = [f"{servers.IQN}.{i:04}" for i in range(count)]
    config = servers.classic_config([disk], targets={iqn: [0] for iqn in iqns})
    with place.daemon(config, n_ready=count) as server:
        for window in ("512", "65536"):
            session = Session(server.address, keys={"MaxRecvDataSegmentLength": window})
            answer = session.text([("SendTargets", "All")])
            equal(sorted(value for key, value in answer if key == "TargetName"), iqns,
                  f"targets listed with MaxRecvDataSegmentLength={window}")
            one = session.text([("SendTargets", iqns[count // 2])])
            equal([value for key, value in one if key == "TargetName"], [iqns[count // 2]],
                  "targets listed for a name")
            session.logout()
