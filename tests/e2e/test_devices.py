# SPDX-License-Identifier: Apache-2.0
"""Devices that change under their initiators: media, sizes, LUNs that come and go; and discs."""

import contextlib
import json
import os
import signal
import struct
import time

import initiator
import servers
import wire
from initiator import READ_CAPACITY_16, inquiry, read10, report_luns
from promise import equal, equal_bytes, login, promise

TEST_UNIT_READY = bytes(6)
EJECT, LOAD = bytes([0x1B, 0, 0, 0, 2, 0]), bytes([0x1B, 0, 0, 0, 3, 0])
PREVENT, ALLOW = bytes([0x1E, 0, 0, 0, 1, 0]), bytes([0x1E, 0, 0, 0, 0, 0])
NO_MEDIUM, MEDIUM_CHANGED, PREVENTED = (2, 0x3A, 0), (6, 0x28, 0), (5, 0x53, 2)
CAPACITY_CHANGED, LUNS_CHANGED, NO_LU = (6, 0x2A, 9), (6, 0x3F, 0x0E), (5, 0x25, 0)
POWER_ON, OFFLINE = (6, 0x29, 0), (2, 4, 0x12)
MIB = 1 << 20


def asc(session, cdb=TEST_UNIT_READY, lun=0):
    """Sense key, ASC and ASCQ of a command, or None when it was good."""
    result = session.command(cdb, lun=lun)
    assert result.status in (0, 2), result
    return result.asc if result.status else None


def blocks(session, lun=0):
    result = session.command(READ_CAPACITY_16, lun=lun, read_len=32)
    equal(result.status, 0, f"READ CAPACITY (16) of LUN {lun}, {result}")
    return struct.unpack(">Q", result.data[:8])[0] + 1


def luns(session):
    data = session.command(report_luns(1 << 18), read_len=1 << 18).data
    equal(struct.unpack(">I", data[:4])[0], len(data) - 8, "LUN LIST LENGTH")
    return [entry[0] & 0x3FFF for entry in struct.iter_unpack(">H6x", data[8:])]


# ---- media ----

@promise
def a_medium_is_ejected_loaded_and_held(place):
    with place.serve(place.image(16 * MIB) + "?removable=on") as server:
        one, two = login(server), login(server)
        equal(one.command(inquiry(), read_len=36).data[1], 0x80, "RMB")
        equal(asc(one, PREVENT), None, "PREVENT")
        equal(asc(two, EJECT), PREVENTED, "eject while the other prevents it")
        equal(one.logout(), 0, "logout")
        end = time.monotonic() + 20
        while asc(two, EJECT) == PREVENTED:  # a nexus ends after the answer to its logout
            assert time.monotonic() < end, "who has left prevents it still"
        equal(asc(two), NO_MEDIUM, "TEST UNIT READY")
        three = initiator.Session(server.address, server.iqn)
        equal(asc(three), POWER_ON, "first command of another")
        equal(asc(three), NO_MEDIUM, "its second")
        equal(asc(two, LOAD), None, "load")
        equal(asc(two), None, "TEST UNIT READY of who loaded it")
        equal(asc(three), MEDIUM_CHANGED, "the other's")
        equal(asc(three), None, "and its next")
        two.write(0, b"\x42" * 512)
        equal_bytes(three.read(0, 1), b"\x42" * 512, "block 0")


# ---- discs ----

def disc_image(place, size, name="disc.iso"):
    path = place.image(size, name)
    with open(path, "r+b") as file:
        for lba in (0, 16, size // 2048 - 1):
            file.seek(lba * 2048)
            file.write(struct.pack(">I", lba) * 512)
    return path


@promise
def a_disc_is_read_and_not_written(place):
    path = disc_image(place, 8 * MIB)
    with place.serve(f"cdrom:{path}") as server:
        session = login(server)
        equal(session.command(inquiry(), read_len=36).data[:2], b"\x05\x80", "device type, RMB")
        last = 8 * MIB // 2048 - 1
        equal(session.command(bytes([0x25]) + bytes(9), read_len=8).data,
              struct.pack(">II", last, 2048), "READ CAPACITY (10)")
        for lba in (0, 16, last):
            result = session.command(read10(lba, 1), read_len=2048)
            equal_bytes(result.data, struct.pack(">I", lba) * 512, f"block {lba}")
        equal(asc(session, initiator.write10(0, 0)), (5, 0x20, 0), "WRITE (10)")
        toc = session.command(bytes([0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0]), read_len=20).data
        equal(toc[16:], struct.pack(">I", last + 1), "lead-out in the TOC")
        equal(asc(session, EJECT), None, "eject")
        equal(asc(session), NO_MEDIUM, "TEST UNIT READY")
    with open(path, "rb") as file:
        equal(len(file.read()), 8 * MIB, "size of the image")


@promise
def two_targets_may_have_the_same_disc(place):
    """Reading alone, nobody is in anybody's way."""
    path = disc_image(place, MIB)
    with place.serve(f"cdrom:{path}") as one, place.serve(f"cdrom:{path}") as two:
        for server in (one, two):
            equal(login(server).command(read10(16, 1), read_len=2048).status, 0, "READ (10)")


# ---- a daemon whose configuration changes ----

class Daemon:
    """`duotgt daemon` with storages and LUNs that can be changed while it runs."""

    def __init__(self, place, storages, lun_map):
        self.path = os.path.join(place.folder, "duotgt.json")
        self.config = {
            "storages": storages,
            "iscsiportals": [{"id": 0, "portal": "127.0.0.1:0"}],
            "iscsitargets": {servers.IQN: {"tpgts": {"1": [0]}, "luns": lun_map}},
        }
        self.server = place.daemon(self.config, len(lun_map))

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *error):
        self.server.__exit__(*error)

    @property
    def luns(self):
        return self.config["iscsitargets"][servers.IQN]["luns"]

    def wait_log(self, text, start):
        """Until the log, from the character start on, has the text."""
        end = time.monotonic() + 20
        while text not in self.server.stderr[start:]:
            assert time.monotonic() < end and self.server.alive, \
                f"{text!r} is not in: {self.server.stderr[start:]}"
            time.sleep(0.02)

    def reload(self, expect="configuration reloaded", text=None):
        """Writes the configuration (or other text), sends SIGHUP, waits for the log to tell."""
        with open(self.path, "w") as file:
            file.write(json.dumps(self.config) if text is None else text)
        start = len(self.server.stderr)
        self.server.process.send_signal(signal.SIGHUP)
        self.wait_log(expect, start)
        return start


def is_open(server, path):
    found = []
    for fd in os.listdir(f"/proc/{server.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{server.pid}/fd/{fd}"))
    return os.path.realpath(path) in found


@promise
def a_lun_is_added_and_removed_live(place):
    first, second = place.image(name="a.img"), place.image(name="b.img")
    with Daemon(place, [{"deviceID": 1, "path": first}], {"0": 1}) as daemon:
        session = login(daemon.server)
        session.write(0, b"\x11" * 512)
        daemon.config["storages"].append({"deviceID": 2, "path": second})
        daemon.luns["7"] = 2
        daemon.reload()
        equal(asc(session), LUNS_CHANGED, "TEST UNIT READY after the change")
        equal(luns(session), [0, 7], "LUNs")
        session.settle(7)
        session.write(5, b"\x22" * 512, lun=7)
        equal_bytes(session.read(0, 1), b"\x11" * 512, "block 0 of LUN 0")

        del daemon.config["storages"][1], daemon.luns["7"]
        start = daemon.reload()
        equal(asc(session, lun=7), NO_LU, "TEST UNIT READY of the LUN that is gone")
        equal(asc(session), LUNS_CHANGED, "TEST UNIT READY of the other")
        equal(luns(session), [0], "LUNs")
        daemon.wait_log("closed", start)
        assert not is_open(daemon.server, second), "its file is open still"
        assert is_open(daemon.server, first), "the other file is closed"
        equal_bytes(session.read(0, 1), b"\x11" * 512, "block 0 of LUN 0")
        with open(second, "rb") as file:
            file.seek(5 * 512)
            equal_bytes(file.read(512), b"\x22" * 512, "block 5 of the file that is gone")


@promise
def what_is_under_way_at_a_removed_lun_is_finished(place):
    """Its data is still to come when the LUN goes."""
    with Daemon(place, [{"deviceID": 1, "path": "ram:1M"}, {"deviceID": 2, "path": "ram:1M"}],
                {"0": 1, "1": 2}) as daemon:
        session = login(daemon.server, keys={"ImmediateData": "No", "InitialR2T": "Yes"})
        session.settle(1)
        data = b"\x5a" * 4096
        itt = session.start_write(initiator.write10(0, 8), data, lun=1)
        r2t = session.expect(wire.R2T, itt)
        del daemon.config["storages"][1], daemon.luns["1"]
        start = daemon.reload()
        session.send_burst(itt, r2t.ttt, data, 0, len(data), 1)
        equal(session.finish(itt, data, 1).status, 0, "status of the WRITE")
        daemon.wait_log("closed", start)
        equal(asc(session, lun=1), NO_LU, "the next command")


@promise(seconds=90, slow=True)
def who_never_sends_his_data_holds_no_lun_for_ever(place):
    with Daemon(place, [{"deviceID": 1, "path": "ram:1M"}, {"deviceID": 2, "path": "ram:1M"}],
                {"0": 1, "1": 2}) as daemon:
        session = login(daemon.server, keys={"ImmediateData": "No", "InitialR2T": "Yes"})
        session.settle(1)
        itt = session.start_write(initiator.write10(0, 8), b"\x5a" * 4096, lun=1)
        session.expect(wire.R2T, itt)
        del daemon.config["storages"][1], daemon.luns["1"]
        daemon.wait_log("closed", daemon.reload())


@promise
def a_wrong_file_changes_nothing(place):
    path = place.image()
    with Daemon(place, [{"deviceID": 1, "path": path}], {"0": 1}) as daemon:
        session = login(daemon.server)
        for text, complaint in (
                ("{", "bad JSON"),
                (json.dumps({**daemon.config, "nonsense": 1}), "nonsense"),
                (json.dumps({**daemon.config, "storages": []}), "storages")):
            daemon.reload("nothing has changed", text)
            assert complaint in daemon.server.stderr, f"no {complaint} in the log"

        def refused(change, complaint):
            before = json.dumps(daemon.config)
            change(daemon.config)
            start = daemon.reload("nothing has changed")
            assert complaint in daemon.server.stderr[start:], daemon.server.stderr[start:]
            daemon.config = json.loads(before)

        def append(storage):
            return lambda config: config["storages"].append(storage)

        refused(append({"deviceID": 2, "path": path}), "in use")
        refused(append({"deviceID": 2, "path": path + ".absent"}), "does not exist")
        refused(lambda c: c["storages"][0].update(readOnly=True), "readOnly")
        refused(lambda c: c["storages"][0].update(path="ram:1M"), "path")
        refused(lambda c: c["iscsiportals"][0].update(portal="[::1]:0"), "iscsiportals")
        refused(lambda c: c["performance"].update(reactors=3), "performance")
        refused(lambda c: c["iscsitargets"][servers.IQN].update(parameters={"MaxBurstLength": 512}),
                "parameters")
        equal(asc(session), None, "TEST UNIT READY after all of these")
        equal(luns(session), [0], "LUNs")
        daemon.reload()
        equal(asc(session), None, "TEST UNIT READY after a reload that differs in nothing")


@promise
def a_file_grows_under_its_initiators(place):
    path = place.image(4 * MIB)
    with Daemon(place, [{"deviceID": 1, "path": path}], {"0": 1}) as daemon:
        one, two = login(daemon.server), login(daemon.server)
        equal(blocks(one), 4 * MIB // 512, "blocks")
        os.truncate(path, 6 * MIB)
        equal(asc(one), None, "TEST UNIT READY before anybody has looked")
        daemon.reload("resized")
        for session in (one, two):
            equal(asc(session), CAPACITY_CHANGED, "TEST UNIT READY")
            equal(asc(session), None, "the next")
            equal(blocks(session), 6 * MIB // 512, "blocks")
        one.write(6 * MIB // 512 - 1, b"\x77" * 512)
        # a file that has become smaller by itself is not believed
        os.truncate(path, MIB)
        daemon.reload("would shrink")
        equal(asc(one), None, "TEST UNIT READY")
        equal(blocks(one), 6 * MIB // 512, "blocks")


@promise
def a_size_that_is_written_down_is_made(place):
    path = os.path.join(place.folder, "new.img")
    storage = {"deviceID": 1, "path": path, "deviceSize": 2 * MIB, "thinProvisioning": True}
    with Daemon(place, [storage], {"0": 1}) as daemon:
        session = login(daemon.server)
        session.write(0, b"\x31" * 512)
        storage["deviceSize"] = 8 * MIB
        daemon.reload("resized")
        equal(asc(session), CAPACITY_CHANGED, "TEST UNIT READY")
        equal(blocks(session), 8 * MIB // 512, "blocks")
        equal(os.path.getsize(path), 8 * MIB, "size of the file")
        session.write(8 * MIB // 512 - 1, b"\x32" * 512)
        # smaller, because it says so; the file keeps what it has
        storage["deviceSize"] = MIB
        daemon.reload("resized")
        equal(asc(session), CAPACITY_CHANGED, "TEST UNIT READY")
        equal(blocks(session), MIB // 512, "blocks")
        equal(os.path.getsize(path), 8 * MIB, "size of the file")
        equal_bytes(session.read(0, 1), b"\x31" * 512, "block 0")


@promise
def serve_looks_at_sizes_too(place):
    path = place.image(4 * MIB)
    with place.serve(path) as server:
        session = login(server)
        os.truncate(path, 5 * MIB)
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while blocks_or_none(session) != 5 * MIB // 512:
            assert time.monotonic() < end, "the LUN does not grow"
            time.sleep(0.02)


def blocks_or_none(session):
    result = session.command(READ_CAPACITY_16, read_len=32)
    return struct.unpack(">Q", result.data[:8])[0] + 1 if result.status == 0 else None


@promise
def a_lu_goes_offline_and_back(place):
    storage = {"deviceID": 1, "path": "ram:1M"}
    with Daemon(place, [storage], {"0": 1}) as daemon:
        session = login(daemon.server)
        storage["online"] = False
        daemon.reload()
        equal(asc(session), OFFLINE, "TEST UNIT READY")
        storage["online"] = True
        daemon.reload()
        equal(asc(session), None, "TEST UNIT READY")


@promise
def reloads_do_not_disturb_a_session_at_work(place):
    """LUNs come and go by the dozen while a session writes and reads back elsewhere."""
    with Daemon(place, [{"deviceID": 1, "path": "ram:4M"}], {"0": 1}) as daemon:
        session = login(daemon.server)
        for turn in range(10):
            for i in range(12):
                daemon.config["storages"].append({"deviceID": 100 + i, "path": "ram:1M"})
                daemon.luns[str(turn * 20 + 1 + i)] = 100 + i
            daemon.reload()
            assert asc(session) in (LUNS_CHANGED, None)
            session.write(turn, bytes([turn]) * 512)
            session.settle(turn * 20 + 12)
            del daemon.config["storages"][1:]
            for i in range(12):
                del daemon.luns[str(turn * 20 + 1 + i)]
            daemon.reload()
            assert asc(session) in (LUNS_CHANGED, None)
            equal_bytes(session.read(turn, 1), bytes([turn]) * 512, f"block {turn}")
        equal(luns(session), [0], "LUNs")


# ---- many ----

@promise(seconds=120, slow=True)
def a_target_has_all_the_luns_there_can_be(place):
    count = 16383
    storages = [{"deviceID": i, "path": "null:1M"} for i in range(count)]
    with Daemon(place, storages, {str(i): i for i in range(count)}) as daemon:
        session = login(daemon.server)
        equal(luns(session), list(range(count)), "LUNs")
        for lun in (1, 255, 256, 257, 9999, count - 1):
            session.settle(lun)
            equal(blocks(session, lun), 2048, f"blocks of {lun}")
        for length in (0, 4, 8, 12, 16, 4096, 131071, 131072, 131073):
            data = session.command(report_luns(length), read_len=length).data
            equal(len(data), min(length, 8 + 8 * count), f"bytes of an answer of {length}")


# ---- blocks ----

@promise
def physical_blocks_are_as_configured(place):
    storage = {"deviceID": 1, "path": "ram:1M", "blockShift": 9, "physicalBlockShift": 12,
               "lowestAlignedLBA": 7}
    with Daemon(place, [storage], {"0": 1}) as daemon:
        data = login(daemon.server).command(READ_CAPACITY_16, read_len=32).data
        equal(data[13], 3, "physical exponent")
        equal(struct.unpack(">H", data[14:16])[0] & 0x3FFF, 7, "lowest aligned LBA")


@promise
def an_initiator_is_told_where_to_manage(place):
    config = servers.classic_config([(place.image(MIB), MIB)])
    target = next(iter(config["iscsitargets"].values()))
    target["managementAddresses"] = {"storageConfiguration": "https://storage.example.org/"}
    with place.daemon(config) as server:
        session = login(server)
        data = session.command(inquiry(255, page=0x85), read_len=255).data
        equal(data[4:8], bytes([0x41, 0, 0, 32]), "the descriptor")
        equal(data[8:], b"https://storage.example.org/\0\0\0\0", "its address")
