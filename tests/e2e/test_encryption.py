# SPDX-License-Identifier: Apache-2.0
"""Encryption at rest: what is in the file, which key opens it, and its end."""

import os
import random
import shutil
import time

import initiator
import servers
from promise import equal, equal_bytes, login, promise

MIB = 1 << 20
CRYPTO_ERASE, IMMED = 0x03, 0x80
SANITIZE_FAILED = (3, 0x31, 3)


def key_file(place, name="disk.key", digit="7", mode=0o600):
    return servers.secret_file(place.folder, name, digit * 64 + "\n", mode)


def config_of(place, size=16 * MIB):
    path = os.path.join(place.folder, "disk.img")
    config = servers.classic_config([(path, size)])
    config["storages"][0]["encryption"] = {"keyFile": key_file(place)}
    config["storages"][0]["thinProvisioning"] = True
    config["stateDir"] = os.path.join(place.folder, "state")
    return config, path


def good(result, what):
    equal((result.status, result.asc), (0, None), what)
    return result


def everything(folder):
    """All bytes of all files."""
    found = b""
    for where, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(where, name), "rb") as file:
                found += file.read()
    return found


def sanitize(session, flags=0):
    return session.command(bytes([0x48, CRYPTO_ERASE | flags]) + bytes(8))


@promise
def nothing_is_in_the_clear(place):
    config, path = config_of(place)
    text = b"PATIENT RECORD OF MR. X " * 4096
    data = text[:96 * 1024]
    server = place.daemon(config)
    session = login(server)
    session.write(100, data)
    session.write(8000, random.Random(1).randbytes(MIB))
    equal_bytes(session.read(100, 192), data, "read back")
    server.kill()  # what was answered is there all the same
    found = everything(place.folder)
    assert text[:24] not in found, "what was written is in a file"
    assert b"7" * 16 in found, "the search finds nothing at all"
    assert os.stat(path).st_blocks * 512 < 4 * MIB, "a thin disk takes all of its space"
    with place.daemon(config) as server:
        session = login(server)
        equal_bytes(session.read(100, 192), data, "after kill -9")
        equal_bytes(session.read(20000, 64), bytes(64 * 512), "what was never written")


@promise
def only_its_key_opens_it(place):
    config, _ = config_of(place)
    file = os.path.join(place.folder, "duotgt.json")
    key = config["storages"][0]["encryption"]["keyFile"]
    with place.daemon(config) as server:
        login(server).write(0, b"x" * 512)
    args = ["daemon", "--config", file]
    key_file(place, digit="8")
    place.fails_to_start(args, 1, "disk.img", ".key: was not made with the key in " + key)
    key_file(place)
    os.chmod(key, 0o640)
    place.fails_to_start(args, 5, "key file " + key, "mode 0640", "chmod 600")
    os.chmod(key, 0o600)
    with open(key, "a") as out:
        out.write("x")
    place.fails_to_start(args, 7, "expected 32 bytes, or 64 hexadecimal digits")
    os.remove(key)
    place.fails_to_start(args, 3, "key file " + key)
    key_file(place)
    shutil.move(config["stateDir"], config["stateDir"] + ".away")
    place.fails_to_start(args, 4, "something is in the storage")
    shutil.rmtree(config["stateDir"])
    shutil.move(config["stateDir"] + ".away", config["stateDir"])
    with place.daemon(config) as server:
        equal(login(server).read(0, 1), b"x" * 512, "after all that")


@promise
def needs_a_state_directory(place):
    key = key_file(place)
    spec = place.image(MIB) + "?key-file=" + key
    place.fails_to_start(["serve", spec, "--portal", "127.0.0.1:0"], 7, "state directory")
    state = os.path.join(place.folder, "state")
    with place.serve(spec, more=["--state-dir", state]) as server:
        login(server).write(0, b"y" * 512)
    with open(os.path.join(place.folder, "disk.img"), "rb") as file:
        assert b"yyyy" not in file.read(), "what was written is in the file"


@promise
def each_storage_has_its_own_key(place):
    config, _ = config_of(place)
    other = dict(config["storages"][0], deviceID=2000,
                 path=os.path.join(place.folder, "other.img"))
    config["storages"].append(other)
    next(iter(config["iscsitargets"].values()))["luns"]["1"] = 2000
    with place.daemon(config, 2) as server:
        session = login(server)
        session.settle(1)
        data = random.Random(2).randbytes(MIB)
        session.write(0, data)
        session.write(0, data, lun=1)
        equal_bytes(session.read(0, 2048, lun=1), data, "LUN 1")
    with open(config["storages"][0]["path"], "rb") as one, open(other["path"], "rb") as two:
        assert one.read(512) != two.read(512), "two storages have one key"


@promise
def an_erase_leaves_nothing(place):
    config, path = config_of(place)
    data = random.Random(3).randbytes(MIB)
    with place.daemon(config) as server:
        session = login(server)
        session.write(0, data)
        good(session.command(bytes([0x35]) + bytes(9)), "SYNCHRONIZE CACHE")
        before = os.path.join(place.folder, "before.img")
        shutil.copy(path, before)
        good(sanitize(session), "SANITIZE (CRYPTOGRAPHIC ERASE)")
        equal_bytes(session.read(0, 2048), bytes(MIB), "afterwards")
        equal(os.stat(path).st_blocks, 0, "what the file takes")
        session.write(5, b"new!" * 128)
    shutil.copy(before, path)  # a backup of the image is of no use any more
    with place.daemon(config) as server:
        got = login(server).read(0, 2048)
        assert all(got[at:at + 16] != data[at:at + 16] for at in range(0, MIB, 16)), \
            "a part of what was erased can be read"


def after_a_kill(server):
    """A session without unit attentions, and whether the LU is usable."""
    session = initiator.Session(server.address, server.iqn)
    result = session.command(bytes(6))
    while result.status and result.asc[0] == 6:
        result = session.command(bytes(6))
    assert result.status == 0 or result.asc == SANITIZE_FAILED, f"TEST UNIT READY: {result}"
    return session, result.status == 0


@promise
def an_erase_survives_a_kill(place):
    """Whole, or known to be not: never what was there before without a word."""
    config, path = config_of(place, 256 * MIB)
    data = random.Random(4).randbytes(MIB)
    for wait in (0, 0.001, 0.003, 0.01, 0.03):
        server = place.daemon(config)
        session = login(server)
        session.write(0, data)
        good(sanitize(session, IMMED), "SANITIZE with IMMED")
        time.sleep(wait)
        server.kill()
        with place.daemon(config) as server:
            session, usable = after_a_kill(server)
            if not usable:
                good(sanitize(session), "SANITIZE after one that was cut off")
            equal_bytes(session.read(0, 2048), bytes(MIB), f"killed after {wait} s")
        names = [name for name in os.listdir(config["stateDir"]) if ".key" in name
                 and not name.startswith(".")]
        equal(len(names), 1, f"keys that are kept: {names}")
