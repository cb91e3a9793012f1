# SPDX-License-Identifier: Apache-2.0
"""Reservations over the wire: between initiators, over sessions, over kill -9 of the program."""

import os
import random
import shutil
import struct
import time

import servers
import wire
from initiator import NAME, read10, write10, write16
from promise import equal, login, need, promise, run

PR_IN, PR_OUT, RESERVE, RELEASE, TUR = 0x5E, 0x5F, 0x16, 0x17, bytes(6)
READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS = range(4)
(REGISTER, RESERVE_PR, RELEASE_PR, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE,
 REGISTER_AND_MOVE) = range(8)
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS, WE_REGISTRANTS, EA_REGISTRANTS, WE_ALL, EA_ALL = 1, 3, 5, 6, 7, 8
APTPL = 1
GOOD, CHECK, CONFLICT = 0x00, 0x02, 0x18
DISK_MIB = 4  # a file: two threads at one block of memory are what the thread sanitizer reports
UUID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"


def pr_out(session, action, kind=0, key=0, sa_key=0, flags=0):
    """PERSISTENT RESERVE OUT with the basic list; returns its status."""
    cdb = struct.pack(">BBBxxLB", PR_OUT, action, kind, 24, 0)
    return session.command(cdb, out=struct.pack(">QQ4xB3x", key, sa_key, flags)).status


def pr_in(session, action):
    result = session.command(struct.pack(">BB5xHB", PR_IN, action, 4096, 0), read_len=4096)
    equal(result.status, GOOD, f"PERSISTENT RESERVE IN {action}")
    return result.data


def keys(session):
    data = pr_in(session, READ_KEYS)
    return list(struct.unpack(f">{(len(data) - 8) // 8}Q", data[8:]))


def reserved(session):
    """(type, key) of the reservation, or None."""
    data = pr_in(session, READ_RESERVATION)
    return (data[21] & 15, struct.unpack_from(">Q", data, 8)[0]) if len(data) > 8 else None


def register(session, key, flags=0):
    equal(pr_out(session, REGISTER_AND_IGNORE, sa_key=key, flags=flags), GOOD, "registering")


def told(session):
    """The unit attention of the next command, as (ASC, ASCQ)."""
    result = session.command(TUR)
    return result.asc[1:] if result.status == CHECK else None


@promise
def a_reservation_keeps_others_out(place):
    with place.serve_image(DISK_MIB << 20) as server:
        holder, other = login(server), login(server, name=NAME + ".other")
        register(holder, 1)
        register(other, 2)
        for kind, reads, writes in ((WRITE_EXCLUSIVE, GOOD, CONFLICT),
                                    (EXCLUSIVE_ACCESS, CONFLICT, CONFLICT),
                                    (WE_REGISTRANTS, GOOD, GOOD), (EA_REGISTRANTS, GOOD, GOOD),
                                    (WE_ALL, GOOD, GOOD), (EA_ALL, GOOD, GOOD)):
            equal(pr_out(holder, RESERVE_PR, kind, 1), GOOD, f"RESERVE of type {kind}")
            for session, read, write in ((holder, GOOD, GOOD), (other, reads, writes)):
                equal(session.command(read10(0, 1), read_len=512).status, read,
                      f"READ under type {kind}")
                equal(session.command(write10(0, 1), out=bytes(512)).status, write,
                      f"WRITE under type {kind}")
            equal(pr_out(holder, RELEASE_PR, kind, 1), GOOD, f"RELEASE of type {kind}")
            other.settle()


@promise
def a_write_refused_changes_nothing(place):
    """Its data comes all the same, as it does with a conflict, and is not written."""
    with place.serve_image(DISK_MIB << 20) as server:
        holder, other = login(server), login(server, name=NAME + ".other")
        holder.write(0, b"\x11" * 4096)
        register(holder, 1)
        equal(pr_out(holder, RESERVE_PR, WRITE_EXCLUSIVE, 1), GOOD, "RESERVE")
        equal(other.command(write16(0, 8), out=b"\x22" * 4096).status, CONFLICT, "WRITE")
        equal(holder.read(0, 8), b"\x11" * 4096, "the blocks")


@promise
def registrations_outlive_sessions(place):
    with place.serve_image(DISK_MIB << 20) as server:
        isid = b"\x80\x12\x34\x56\x78\x9a"
        session, watcher = login(server, isid=isid), login(server, name=NAME + ".other")
        register(session, 1)
        equal(pr_out(session, RESERVE_PR, EXCLUSIVE_ACCESS, 1), GOOD, "RESERVE")
        session.logout()
        session.conn.close()
        equal(watcher.command(read10(0, 1), read_len=512).status, CONFLICT, "READ of another")
        # another ISID is another initiator port
        stranger = login(server)
        equal(stranger.command(read10(0, 1), read_len=512).status, CONFLICT, "READ by its sibling")
        again = login(server, isid=isid)
        again.read(0, 1)
        equal(pr_out(again, RELEASE_PR, EXCLUSIVE_ACCESS, 1), GOOD, "RELEASE")
        watcher.read(0, 1)


@promise
def reserve_6_ends_with_its_session(place):
    reserve, release = bytes((RESERVE, 0, 0, 0, 0, 0)), bytes((RELEASE, 0, 0, 0, 0, 0))
    with place.serve() as server:
        for cut in (False, True):
            session, other = login(server), login(server, name=NAME + ".other")
            equal(session.command(reserve).status, GOOD, "RESERVE (6)")
            equal(other.command(reserve).status, CONFLICT, "RESERVE (6) of another")
            if not cut:
                session.logout()
            session.conn.close()
            for _ in range(100):  # a cut connection has to be noticed first
                if other.command(TUR).status == GOOD:
                    break
                time.sleep(0.02)
            equal(other.command(reserve).status, GOOD, "RESERVE (6) after it")
            equal(other.command(release).status, GOOD, "RELEASE (6)")


@promise
def preempt_and_abort_ends_writes(place):
    """The write of the preempted waits for data; when the command is GOOD, none is taken."""
    with place.serve_image(DISK_MIB << 20) as server:
        victim = login(server, keys={"InitialR2T": "Yes", "ImmediateData": "No"})
        other = login(server, name=NAME + ".other")
        register(victim, 1)
        register(other, 2)
        equal(pr_out(victim, RESERVE_PR, WRITE_EXCLUSIVE, 1), GOOD, "RESERVE")
        pdu = victim.scsi(write16(0, 8), edtl=4096, write=True)
        victim.send(pdu)
        ttt = victim.expect(wire.R2T, pdu.itt).ttt
        equal(pr_out(other, PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 2, 1), GOOD, "PREEMPT AND ABORT")
        equal((keys(other), reserved(other)), ([2], (WRITE_EXCLUSIVE, 2)), "what is left")
        other.write(0, b"\x33" * 4096)
        victim.send_burst(pdu.itt, ttt, b"\x44" * 4096, 0, 4096)
        attentions = set()
        while True:
            code = told(victim)
            if not code:
                break
            attentions.add(code)
        assert (0x2A, 0x05) in attentions, f"REGISTRATIONS PREEMPTED is not in {attentions}"
        equal(other.read(0, 8), b"\x33" * 4096, "the blocks")
        equal(victim.command(write16(0, 8), out=b"\x44" * 4096).status, CONFLICT, "another WRITE")


@promise
def the_two_portal_groups_are_two_nexuses(place):
    """One initiator port through two groups: ALL_TG_PT registers it with both."""
    path = place.image(DISK_MIB << 20)
    config = servers.classic_config([(path, DISK_MIB << 20)], ("127.0.0.1:0", "127.0.0.1:0"))
    config["iscsitargets"][servers.IQN]["tpgts"] = {"1": [0], "2": [1]}
    isid = b"\x80\x12\x34\x56\x78\x9a"
    with place.daemon(config, n_ready=2) as server:
        one = login(server, isid=isid)
        address = servers.split_url(server.urls[1])[0]
        two = type(one)(address, server.iqn, isid=isid)
        two.settle()
        register(one, 1)
        equal(pr_out(one, RESERVE_PR, EA_REGISTRANTS, 1), GOOD, "RESERVE")
        one.read(0, 1)
        equal(two.command(read10(0, 1), read_len=512).status, CONFLICT, "READ through the other")
        equal(pr_out(one, REGISTER, 0, 1, 0), GOOD, "unregistering")
        register(one, 2, flags=4)
        equal(keys(one), [2, 2], "keys with ALL_TG_PT")
        ports = sorted(struct.unpack_from(">H", pr_in(one, READ_FULL_STATUS), 8 + at + 18)[0]
                       for at in full_status_offsets(one))
        equal(ports, [1, 2], "relative target ports")
        equal(pr_out(one, RESERVE_PR, EA_REGISTRANTS, 2), GOOD, "RESERVE")
        two.read(0, 1)


def full_status_offsets(session):
    """Where the descriptors of READ FULL STATUS begin, behind its header."""
    data, at, found = pr_in(session, READ_FULL_STATUS)[8:], 0, []
    while at < len(data):
        found.append(at)
        at += 24 + struct.unpack_from(">L", data, at + 20)[0]
    return found


def persistent_config(place, path):
    config = servers.classic_config([(path, DISK_MIB << 20)])
    config["storages"][0]["uuid"] = UUID
    config["stateDir"] = os.path.join(place.folder, "state")
    return config


@promise(seconds=120)
def aptpl_outlives_kill_9(place):
    """At random moments of an initiator that changes its key again and again."""
    path = place.image(DISK_MIB << 20)
    config = persistent_config(place, path)
    isid, seed = b"\x80\x12\x34\x56\x78\x9a", random.randrange(1 << 32)
    chance = random.Random(seed)
    print("seed", seed)
    key = 0
    for _ in range(8):
        server = place.daemon(config)
        session = login(server, isid=isid)
        if key:  # what was told as done, or what was under way
            assert keys(session) in ([key], [key + 1]), f"{keys(session)} after {key}"
            key = keys(session)[0]
            equal(reserved(session), (WRITE_EXCLUSIVE, key), "the reservation")
        else:
            key = 1
            register(session, key, APTPL)
            equal(pr_out(session, RESERVE_PR, WRITE_EXCLUSIVE, key), GOOD, "RESERVE")
        stop_at = time.monotonic() + chance.random() * 0.1
        while time.monotonic() < stop_at:
            equal(pr_out(session, REGISTER, 0, key, key + 1, APTPL), GOOD, "REGISTER")
            key += 1
        # one more is under way, and not waited for
        cdb = struct.pack(">BBBxxLB", PR_OUT, REGISTER, 0, 24, 0)
        session.start_write(cdb, struct.pack(">QQ4xB3x", key, key + 1, APTPL))
        server.kill()
        session.conn.close()
    # a clean end keeps it as well, and CLEAR ends it
    with place.daemon(config) as server:
        session = login(server, isid=isid)
        key = keys(session)[0]
    with place.daemon(config) as server:
        session = login(server, isid=isid)
        equal(reserved(session), (WRITE_EXCLUSIVE, key), "the reservation")
        equal(pr_out(session, CLEAR, 0, key), GOOD, "CLEAR")
    with place.daemon(config) as server:
        equal(keys(login(server)), [], "keys after CLEAR")


@promise
def without_a_state_directory_aptpl_is_refused(place):
    with place.serve() as server:
        session = login(server)
        equal(pr_in(session, REPORT_CAPABILITIES)[2] & 1, 0, "PTPL_C")
        cdb = struct.pack(">BBBxxLB", PR_OUT, REGISTER, 0, 24, 0)
        result = session.command(cdb, out=struct.pack(">QQ4xB3x", 0, 1, APTPL))
        equal((result.status, result.asc), (CHECK, (5, 0x26, 0)), "REGISTER with APTPL")
    with place.serve(more=("--state-dir", os.path.join(place.folder, "state"))) as server:
        session = login(server)
        equal(pr_in(session, REPORT_CAPABILITIES)[2] & 1, 1, "PTPL_C")
        register(session, 1, APTPL)
        equal(pr_in(session, REPORT_CAPABILITIES)[3] & 1, 1, "PTPL_A")


@promise
def a_damaged_state_file_is_told(place):
    """Serving without its reservations would let in whom they keep out."""
    path = place.image(DISK_MIB << 20)
    config = persistent_config(place, path)
    with place.daemon(config) as server:
        register(login(server), 1, APTPL)
    (name,) = [name for name in os.listdir(config["stateDir"]) if name.endswith(".pr")]
    name = os.path.join(config["stateDir"], name)
    with open(name, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"X")
    place.fails_to_start(["daemon", "--config", os.path.join(place.folder, "duotgt.json")], 1,
                         name, "damaged")
    shutil.rmtree(config["stateDir"])
    with place.daemon(config) as server:
        equal(keys(login(server)), [], "keys")


@promise
def libiscsi_pr_tool(place):
    """Where it is installed: Debian's libiscsi-bin has it not."""
    need("iscsi-pr")
    with place.serve() as server:
        def pr(name, *args):
            return run(["iscsi-pr", "-i", f"{NAME}.{name}", *args, server.urls[0]])

        pr("a", "-G", "-S", "0x1234")
        assert "0x1234" in pr("a", "-k")
        pr("a", "-R", "-S", "0x1234", "-T", "5")
        assert "Write Exclusive, Registrants Only" in pr("b", "-r")
        pr("b", "-G", "-S", "0x5678")
        pr("b", "-P", "-K", "0x1234", "-S", "0x5678", "-T", "3")
        assert "Exclusive Access" in pr("b", "-r") and "0x1234" not in pr("b", "-k")
        pr("b", "-C", "-S", "0x5678")
        assert "0 registered" in pr("a", "-k")
