# SPDX-License-Identifier: Apache-2.0
"""Who may log in to a target that asks for a password, and to whom it proves itself."""

import base64
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import time

import servers
from initiator import FULL_FEATURE, LoginRefused, OPERATIONAL, SECURITY, Session, encode_text
from promise import Skipped, equal, need, promise, run, still_serves

USER, PASSWORD = "host", "swordfish-of-the-host"
TARGET_USER, TARGET_PASSWORD = "disk", "swordfish-of-the-disk"
HASHES = {"5": hashlib.md5, "6": hashlib.sha1, "7": hashlib.sha256, "8": hashlib.sha3_256}
INITIATOR_ERROR, AUTH_FAILED, MISSING_PARAMETER = 0x0200, 0x0201, 0x0207


def chap_file(place, *words, name="target.chap", mode=0o600):
    """USER PASSWORD, and in a second line the other two, if there are four."""
    lines = [" ".join(words[i:i + 2]) for i in range(0, len(words), 2)]
    return servers.secret_file(place.folder, name, "\n".join(lines) + "\n", mode)


def serve(place, *words):
    path = chap_file(place, *(words or (USER, PASSWORD, TARGET_USER, TARGET_PASSWORD)))
    return place.serve("ram:1M", more=["--chap-file", path])


def binary(text):
    """What a value of CHAP_C or CHAP_R stands for."""
    return base64.b64decode(text[2:]) if text[1] in "bB" else bytes.fromhex(text[2:])


def chap_login(server, user=USER, password=PASSWORD, *, algorithms="5", back=None,
               encode=lambda data: "0x" + data.hex()):
    """
    A login by CHAP. back: the password that the target has to prove itself with. Returns the
    session, whose challenge is the target's; LoginRefused when there is none.
    """
    session = Session(server.address, server.iqn, login=False)
    session.learn(session.login_step(
        encode_text(session.identity() + [("AuthMethod", "CHAP,None")]), SECURITY, OPERATIONAL))
    equal(session.params["AuthMethod"], "CHAP", "AuthMethod")
    session.learn(session.login_step(encode_text([("CHAP_A", algorithms)]), SECURITY,
                                     transit=False))
    digest = HASHES[session.params["CHAP_A"]]
    session.challenge = binary(session.params["CHAP_C"])
    answer = digest(bytes([int(session.params["CHAP_I"])]) + password.encode()
                    + session.challenge).digest()
    pairs, ours = [("CHAP_N", user), ("CHAP_R", encode(answer))], os.urandom(24)
    if back:
        pairs += [("CHAP_I", "200"), ("CHAP_C", encode(ours))]
    rsp = session.login_step(encode_text(pairs), SECURITY, OPERATIONAL)
    session.learn(rsp)
    equal(rsp.flags & 0x8F, 0x81, "T, CSG and NSG of the answer")
    if back:
        equal(session.params["CHAP_N"], TARGET_USER, "CHAP_N")
        equal(binary(session.params["CHAP_R"]), digest(b"\xc8" + back.encode() + ours).digest(),
              "CHAP_R")
    rsp = session.login_step(encode_text(session.offered()), OPERATIONAL, FULL_FEATURE)
    session.learn(rsp)
    session.begin(rsp)
    session.settle()
    return session


def is_refused(server, status, *args, **more):
    try:
        chap_login(server, *args, **more)
    except LoginRefused as why:
        equal(f"{why.status:04x}", f"{status:04x}", f"status of a login with {args} {more}")
        return
    raise AssertionError(f"a login with {args} {more} succeeded")


@promise
def libiscsi_gets_in_with_the_password_only(place):
    need("iscsi-readcapacity16", "iscsi-ls", "qemu-img")

    def gets_in(url, tool=("iscsi-readcapacity16",)):
        done = subprocess.run([*tool, url], capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            assert "uthenticat" in done.stderr or "Wrong CHAP" in done.stderr, done.stderr
        return done.returncode == 0

    with serve(place) as server:
        url = server.urls[0]
        mine = servers.with_user(url, USER, PASSWORD)
        mutual = f"?target_user={TARGET_USER}&target_password="
        equal(gets_in(mine), True, "with the password")
        equal(gets_in(mine, ("qemu-img", "info")), True, "QEMU with the password")
        equal(gets_in(mine + mutual + TARGET_PASSWORD), True, "both ways")
        equal(gets_in(url), False, "without any")
        equal(gets_in(url, ("qemu-img", "info")), False, "QEMU without any")
        equal(gets_in(servers.with_user(url, USER, PASSWORD + "x")), False, "a wrong password")
        equal(gets_in(servers.with_user(url, USER + "x", PASSWORD)), False, "a wrong user")
        equal(gets_in(servers.with_user(url, TARGET_USER, TARGET_PASSWORD)), False,
              "the target's own")
        equal(gets_in(mine + mutual + "x" * 16), False, "another target is expected")
        assert server.iqn in run(["iscsi-ls", url.rpartition("/iqn.")[0]]), "discovery"
        log = server.stderr
        equal(log.count("authentication failed"), 5, f"failures in the log, but for that of the "
              f"initiator's own making:\n{log}")
        for secret in (PASSWORD, TARGET_PASSWORD):
            assert secret not in log, f"a password is in the log:\n{log}"
    with serve(place, USER, PASSWORD) as server:  # and nothing to prove itself with
        mine = servers.with_user(server.urls[0], USER, PASSWORD)
        equal(gets_in(mine), True, "with the password")
        equal(gets_in(mine + mutual + TARGET_PASSWORD), False, "both ways")


@promise
def every_hash_and_encoding_will_do(place):
    def base64_of(data):
        return "0b" + base64.b64encode(data).decode()

    with serve(place) as server:
        for number in HASHES:
            for more in ({}, {"encode": base64_of}, {"back": TARGET_PASSWORD},
                         {"back": TARGET_PASSWORD, "encode": base64_of}):
                chap_login(server, algorithms=f"99,{number},5", **more).logout()
            is_refused(server, AUTH_FAILED, password=TARGET_PASSWORD, algorithms=number)
        is_refused(server, AUTH_FAILED, algorithms="56")
        is_refused(server, AUTH_FAILED, encode=lambda data: "0x" + data.hex() + "00")
        is_refused(server, AUTH_FAILED, encode=lambda data: base64_of(b"oversize" + data))
        is_refused(server, INITIATOR_ERROR, encode=lambda data: data.hex())


@promise
def there_is_no_way_round(place):
    def status(*steps):
        session = Session(server.address, server.iqn, login=False)
        try:
            for pairs, csg, nsg in steps:
                first = session.identity() if not session.params else []
                session.learn(session.login_step(encode_text(first + pairs), csg, nsg))
        except LoginRefused as why:
            equal(session.conn.wait_closed(), [], "PDUs after the refusal")
            return f"{why.status:04x}"
        return "success"

    chap = [("AuthMethod", "CHAP")]
    with serve(place) as server:
        for pairs, csg, nsg in (([], OPERATIONAL, FULL_FEATURE), ([], SECURITY, OPERATIONAL),
                                ([], SECURITY, FULL_FEATURE),
                                ([("AuthMethod", "None")], SECURITY, FULL_FEATURE),
                                ([("AuthMethod", "KRB5,None")], SECURITY, OPERATIONAL)):
            equal(status((pairs, csg, nsg)), "0201", f"{pairs} from stage {csg} to {nsg}")
        equal(status((chap, SECURITY, FULL_FEATURE), ([], OPERATIONAL, FULL_FEATURE)), "0200",
              "the next stage without having been let there")
        equal(status((chap, SECURITY, FULL_FEATURE), ([], SECURITY, FULL_FEATURE)), "0207",
              "nothing in place of the next step")
        equal(status((chap, SECURITY, OPERATIONAL), ([("CHAP_A", "5")], SECURITY, OPERATIONAL),
                     ([("CHAP_N", USER)], SECURITY, OPERATIONAL)), "0207", "no CHAP_R")
        chap_login(server).logout()


@promise
def no_challenge_comes_twice(place):
    seen = []
    for _ in range(2):
        with serve(place) as server:
            for _ in range(100):
                session = chap_login(server)
                seen.append(session.challenge)
                session.conn.close()
    equal(len(set(seen)), 200, "challenges")
    equal({len(challenge) for challenge in seen}, {32}, "their lengths")


@promise
def a_challenge_is_not_answered_for_who_sent_none(place):
    """The target's own challenge, sent back: the answer to it would be the way in."""
    with serve(place) as server:
        session = Session(server.address, server.iqn, login=False)
        for pairs in (session.identity() + [("AuthMethod", "CHAP")], [("CHAP_A", "5")]):
            session.learn(session.login_step(encode_text(pairs), SECURITY, transit=False))
        challenge = session.params["CHAP_C"]
        answer = hashlib.md5(bytes([int(session.params["CHAP_I"])]) + PASSWORD.encode()
                             + binary(challenge)).hexdigest()
        try:
            session.learn(session.login_step(encode_text(
                [("CHAP_N", USER), ("CHAP_R", "0x" + answer), ("CHAP_I", "1"),
                 ("CHAP_C", challenge)]), SECURITY, OPERATIONAL))
        except LoginRefused as why:
            equal(why.status, AUTH_FAILED, "status")
            equal(session.conn.wait_closed(), [], "PDUs after the refusal")
            return
        raise AssertionError(f"{session.params} is the answer to the target's own challenge")


@promise
def files_that_will_not_do_are_refused(place):
    def fails(code, *words):
        place.fails_to_start(["serve", "ram:1M", "--portal", "127.0.0.1:0", "--chap-file", path],
                             code, path, *words)

    path = chap_file(place, USER, PASSWORD, mode=0o640)
    fails(5, "mode 0640", "chmod 600")
    chap_file(place, USER)
    fails(7, "line 1: is not USER PASSWORD")
    chap_file(place, USER, PASSWORD, TARGET_USER)
    fails(7, "line 2: is not USER PASSWORD")
    chap_file(place, USER, PASSWORD, TARGET_USER, PASSWORD)
    fails(7, "line 2: has the PASSWORD of line 1")
    chap_file(place, USER, PASSWORD, TARGET_USER, "tooshort")
    fails(7, "line 2: its PASSWORD has less than 12 bytes")
    os.remove(path)
    fails(3, "No such file")
    chap_file(place, USER, "short")  # is for the administrator to judge
    with place.serve("ram:1M", more=["--chap-file", path]) as server:
        assert "password has less than 12 bytes" in server.stderr, server.stderr
        chap_login(server, password="short").logout()


@promise
def one_password_never_serves_both_ways(place):
    """Also not at two targets: who knows the one could pass for the other."""
    config = servers.classic_config([(place.image(1 << 20), 1 << 20)],
                                    targets={servers.IQN + end: [0] for end in "ab"})
    a, b = config["iscsitargets"].values()
    a["chapFile"] = chap_file(place, USER, PASSWORD, name="a.chap")
    b["chapFile"] = chap_file(place, USER, PASSWORD, TARGET_USER, TARGET_PASSWORD, name="b.chap")
    place.daemon(config, 2).stop()  # one initiator, two targets
    chap_file(place, USER, "another-password", TARGET_USER, PASSWORD, name="b.chap")
    place.fails_to_start(["daemon", "--config", os.path.join(place.folder, "duotgt.json")], 7,
                         "b.chap", "has the password of an initiator of " + servers.IQN + "a")


@promise
def targets_that_share_a_password_are_told_of(place):
    """RFC 7143 9.2.1: several targets should not; one line says so, and not what it is."""
    names = [servers.IQN + end for end in "abcd"]
    config = servers.classic_config([(place.image(1 << 20), 1 << 20)],
                                    targets={name: [0] for name in names})

    def warnings(*accounts):
        for name, account in zip(names, accounts):
            config["iscsitargets"][name]["chapFile"] = chap_file(
                place, USER, PASSWORD, *account, name=name[-1] + ".chap")
        with place.daemon(config, len(names)) as server:
            log = server.stderr
        for word in (PASSWORD, TARGET_PASSWORD):
            assert word not in log, f"a password is in the log:\n{log}"
        return [line.partition("warning: ")[2] for line in log.splitlines() if "warning" in line]

    one, two, three = ((TARGET_USER, TARGET_PASSWORD + end) for end in ("", "-2", "-3"))
    says = "prove themselves with the same password"
    why = ": who knows it can pass for either"
    equal(warnings(one, two, three, ()), [], "with passwords of their own")
    equal(warnings((), one, two, one), [f"{names[1]} and {names[3]} {says}{why}"], "two of them")
    equal(warnings(one, ("other", TARGET_PASSWORD), two, two), [
        f"{names[0]} and {names[1]} {says} (others that share one: 1){why}"], "two pairs")


# ---- reload ----

def reload(server, config, expect="configuration reloaded"):
    with open(server.config_path, "w") as file:
        json.dump(config, file)
    start, end = len(server.stderr), time.monotonic() + 20
    server.process.send_signal(signal.SIGHUP)
    while expect not in server.stderr[start:]:
        assert time.monotonic() < end and server.alive, server.stderr
        time.sleep(0.02)


def daemon(place):
    config = servers.classic_config([(place.image(1 << 20), 1 << 20)])
    target, = config["iscsitargets"].values()
    target["chapFile"] = chap_file(place, USER, PASSWORD, TARGET_USER, TARGET_PASSWORD)
    # Little memory, for who has to look through all of it.
    config["performance"] = {"numaBufferPoolSize": 16, "numaBufferSize": 65536}
    server = place.daemon(config)
    server.config_path = os.path.join(place.folder, "duotgt.json")
    return server, config, target


@promise
def passwords_change_while_it_serves(place):
    server, config, target = daemon(place)
    with server:
        session = chap_login(server)
        chap_file(place, USER, "a-new-password")
        chap_login(server).logout()  # nobody has told the daemon yet
        reload(server, config)
        is_refused(server, AUTH_FAILED)
        new = chap_login(server, password="a-new-password")
        chap_file(place, USER, "b-new-password", mode=0o644)
        reload(server, config, "nothing has changed")
        chap_file(place, USER, "b-new-password", TARGET_USER, "b-new-password")
        reload(server, config, "nothing has changed")
        chap_login(server, password="a-new-password").logout()
        path = target.pop("chapFile")
        reload(server, config)
        still_serves(server)  # without any
        target["chapFile"] = path
        chap_file(place, USER, PASSWORD)
        reload(server, config)
        try:
            Session(server.address, server.iqn)
        except LoginRefused as why:
            equal(why.status, AUTH_FAILED, "status of a login without a password")
        else:
            raise AssertionError("a login without a password succeeded")
        for old in (session, new):  # nobody was disturbed
            old.read(0, 1)
            old.logout()
        chap_login(server).logout()


def memory_has(pid, secret):
    """How often a text is in what a process may write to."""
    count, step = 0, 16 << 20
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            low, high, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            low, high = int(low, 16), int(high, 16)
            if not mode.startswith("rw") or high - low > 1 << 29:  # a sanitizer's map of all memory
                continue
            for at in range(low, high, step):
                with contextlib.suppress(OSError):
                    memory.seek(at)
                    piece = memory.read(min(step + len(secret) - 1, high - at))
                    count += piece.count(secret.encode())
    return count


@promise
def a_password_that_is_gone_is_nowhere(place):
    server, config, target = daemon(place)
    with server:
        for number in HASHES:
            chap_login(server, algorithms=number, back=TARGET_PASSWORD).logout()
            is_refused(server, AUTH_FAILED, user=USER + "x", algorithms=number)
        try:
            found = memory_has(server.pid, PASSWORD)
        except PermissionError as why:
            raise Skipped(f"memory of a child cannot be read: {why}") from None
        assert found, "the search finds nothing at all"
        del target["chapFile"]
        reload(server, config)
        still_serves(server)
        for secret in (PASSWORD, TARGET_PASSWORD):
            equal(memory_has(server.pid, secret), 0, f"copies of {secret}")
