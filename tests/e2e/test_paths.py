# SPDX-License-Identifier: Apache-2.0
"""Two portal groups as two paths: their states, who changes them; and what a LU keeps of settings."""

import json
import os
import signal
import time

import initiator
import servers
from initiator import inquiry
from promise import equal, login, promise

TEST_UNIT_READY = bytes(6)
RTPG = bytes([0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0])
SAVE = 1
STATE_CHANGED, STANDBY, TRANSITION = (6, 0x2A, 6), (2, 4, 0x0B), (2, 4, 0x0A)
OPTIMIZED, NON_OPTIMIZED = 0, 1


def asc(session, cdb=TEST_UNIT_READY, out=b""):
    """Sense key, ASC and ASCQ of a command, or None when it was good."""
    result = session.command(cdb, out=out)
    assert result.status in (0, 2), result
    return result.asc if result.status else None


def states(session):
    """{group: (state, preferred, [ports])} of REPORT TARGET PORT GROUPS."""
    data, found = session.command(RTPG, read_len=64).data, {}
    equal(int.from_bytes(data[:4], "big"), len(data) - 4, "RETURN DATA LENGTH")
    data = data[4:]
    while data:
        n_ports = data[7]
        ports = [int.from_bytes(data[10 + 4 * i:12 + 4 * i], "big") for i in range(n_ports)]
        found[data[2] << 8 | data[3]] = (data[0] & 0xF, bool(data[0] & 0x80), ports)
        data = data[8 + 4 * n_ports:]
    return found


def set_state(group, state):
    """CDB and parameter list of SET TARGET PORT GROUPS."""
    return bytes([0xA4, 0x0A, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]), bytes([0, 0, 0, 0, state, 0, 0, group])


def config_of_two_paths(place, alua=None):
    config = servers.classic_config([("ram:16M", 0)], portals=("127.0.0.1:0", "127.0.0.1:0"))
    target = config["iscsitargets"][servers.IQN]
    target["tpgts"] = {"1": [0], "2": [1]}
    if alua:
        target["alua"] = alua
    config["stateDir"] = os.path.join(place.folder, "state")
    return config


def two_paths(server):
    """A session by each portal."""
    sessions = [initiator.Session(servers.split_url(url)[0], server.iqn) for url in server.urls]
    for session in sessions:
        session.settle()
    return sessions


def reload(place, server, config, text="configuration reloaded"):
    with open(os.path.join(place.folder, "duotgt.json"), "w") as file:
        json.dump(config, file)
    start, end = len(server.stderr), time.monotonic() + 20
    server.process.send_signal(signal.SIGHUP)
    while text not in server.stderr[start:]:
        assert time.monotonic() < end and server.alive, server.stderr[start:]
        time.sleep(0.02)


@promise
def all_portals_are_one_group_by_default(place):
    with place.daemon(config_of_two_paths(place), 2) as server:
        one, two = two_paths(server)
        equal(states(one), {1: (OPTIMIZED, False, [1, 2])}, "groups")
        equal(one.command(inquiry(), read_len=36).data[5] & 0x30, 0x10, "TPGS")
        equal(asc(two), None, "TEST UNIT READY")


@promise
def the_configuration_changes_states(place):
    alua = {"groups": {"1": {"tpgts": [1], "preferred": True},
                       "2": {"tpgts": [2], "state": "standby"}}}
    config = config_of_two_paths(place, alua)
    with place.daemon(config, 2) as server:
        one = initiator.Session(server.address, server.iqn)
        two = initiator.Session(servers.split_url(server.urls[1])[0], server.iqn)
        one.settle()
        asc(two)  # POWER ON
        equal(states(one), {1: (OPTIMIZED, True, [1]), 2: (2, False, [2])}, "groups")
        equal(asc(two), STANDBY, "TEST UNIT READY by the second path")
        alua["groups"]["2"]["state"] = "active/non-optimized"
        reload(place, server, config)
        equal(asc(one), STATE_CHANGED, "TEST UNIT READY")
        equal(asc(two), STATE_CHANGED, "TEST UNIT READY by the second path")
        equal(asc(two), None, "its next")
        equal(states(two)[2][0], NON_OPTIMIZED, "state")
        alua["hook"] = "/bin/true"
        reload(place, server, config, "takes a restart")


@promise
def an_initiator_changes_states_and_the_hook_hears(place):
    told, go = os.path.join(place.folder, "told"), os.path.join(place.folder, "go")
    hook = os.path.join(place.folder, "hook")
    with open(hook, "w") as file:
        file.write(f'#!/bin/sh\necho "$@" >> {told}\nn=0\n'
                   f'while [ ! -e {go} ] && [ $n -lt 1000 ]; do sleep 0.02; n=$((n+1)); done\n')
    os.chmod(hook, 0o700)
    alua = {"groups": {"1": {"tpgts": [1]}, "2": {"tpgts": [2]}}, "explicit": True, "hook": hook}
    with place.daemon(config_of_two_paths(place, alua), 2) as server:
        one, two = two_paths(server)
        cdb, out = set_state(2, 2)
        itt = one.start_write(cdb, out)
        end = time.monotonic() + 20
        while (seen := asc(two)) != TRANSITION:
            assert seen is None and time.monotonic() < end, seen
        with open(go, "w"):
            pass
        equal(one.finish(itt, out).status, 0, "SET TARGET PORT GROUPS")
        equal(asc(one), None, "TEST UNIT READY of who has asked")
        equal(asc(two), STATE_CHANGED, "TEST UNIT READY")
        equal(asc(two), STANDBY, "its next")
        with open(told) as file:
            equal(file.read(), f"{server.iqn} 2 standby\n", "what the hook was told")


@promise
def saved_mode_pages_outlive_the_process(place):
    config = config_of_two_paths(place)
    config["storages"][0]["uuid"] = "00112233-4455-6677-8899-aabbccddeeff"
    sense = bytes([0x1A, 8, 0x0A, 0, 255, 0])
    page = bytes([0, 0, 0, 0, 0x0A, 0x0A, 2, 0x10, 0, 0x40, 0, 0, 0, 0, 0, 0])  # TAS
    select = bytes([0x15, 0x10 | SAVE, 0, 0, len(page), 0])
    server = place.daemon(config, 2)
    equal(asc(login(server), select, page), None, "MODE SELECT (6)")
    server.kill()
    with place.daemon(config, 2) as server:
        data = login(server).command(sense, read_len=255).data
        equal(data[4 + 5], 0x40, "TAS in the control page")
