# SPDX-License-Identifier: Apache-2.0
"""COMPARE AND WRITE as what it is for: a lock, or a counter, that many hosts share."""

import os
import re
import socket

from promise import Skipped, equal, listening, promise, run

SESSIONS, BLOCKS = 8, 16
PORTALS = ("127.0.0.1:0", "127.0.0.2:0")


def client(place):
    """The initiator in C that the build puts beside its tests."""
    path = os.path.join(os.path.dirname(place.binary), "tests", "caw_load")
    if not os.access(path, os.X_OK):
        raise Skipped(f"{path} is not built (-DDUOTGT_TESTS=ON)")
    return path


def addresses(pid):
    """HOST:PORT of all portals, from how /proc/net/tcp writes them."""
    found = []
    for place in listening(pid):
        host, port = place.split(":")
        found.append(f"{socket.inet_ntoa(bytes.fromhex(host)[::-1])}:{int(port, 16)}")
    equal(len(found), len(PORTALS), "number of portals")
    return found


def counters(place, count):
    with place.serve_image(portals=PORTALS) as server:
        said = run([client(place), server.iqn, str(SESSIONS), str(BLOCKS), str(count),
                    *addresses(server.pid)])
        good, lost = map(int, re.findall(r"\d+", said))
        equal(good, BLOCKS * count, "number of COMPARE AND WRITE that were GOOD")
        assert lost, "no two sessions ever met at a counter: this has proved nothing"
        print(said.strip())


@promise
def counters_are_exact(place):
    """8 sessions over 2 portals count up 16 blocks, to 400 each."""
    counters(place, 400)


@promise(seconds=400, slow=True)
def counters_are_exact_for_long(place):
    """The same, to 10,000 each."""
    counters(place, 10000)
