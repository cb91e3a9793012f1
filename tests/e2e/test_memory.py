# SPDX-License-Identifier: Apache-2.0
"""memory.limit: initiators that want more at once than there is are slowed down, never refused."""

import json
import os

import servers
from promise import Skipped, equal, promise, run, still_serves


def load(place, server, *options):
    """The load generator in C that the build puts beside its tests; every command must succeed."""
    path = os.path.join(os.path.dirname(place.binary), "tests", "bench_load")
    if not os.access(path, os.X_OK):
        raise Skipped(f"{path} is not built (-DDUOTGT_TESTS=ON)")
    return json.loads(run([path, *options, server.urls[0]]))


def limited(place, **parameters):
    config = servers.classic_config([(place.image(), 64 << 20)], parameters=parameters)
    config["memory"] = {"limit": 32 << 20}
    config["performance"] = {"engine": place.engine, "reactors": 1}
    return place.daemon(config)


def writes_under_pressure(place, *options, **parameters):
    """16 sessions, 8 commands of 1 MiB from each: 128 MiB at once, for 16 MiB of buffers."""
    with limited(place, **parameters) as server:
        done = load(place, server, "--sessions", "16", "--depth", "8", "--block", "1048576",
                    "--read", "0", "--seconds", "1", "--warmup", "0", *options)
        equal(done["errors"], 0, "commands that failed")
        equal(done["retries"], 0, "commands that were asked to come again (BUSY, TASK SET FULL)")
        still_serves(server)


@promise(seconds=120)
def writers_with_immediate_data_are_slowed(place):
    writes_under_pressure(place)


@promise(seconds=120)
def writers_that_wait_to_be_asked_are_slowed(place):
    writes_under_pressure(place, "--initial-r2t", "--no-immediate")


@promise(seconds=120)
def writers_with_long_first_bursts_are_slowed(place):
    """One such burst is all that can be put aside at a time."""
    writes_under_pressure(place, MaxBurstLength=4 << 20, FirstBurstLength=4 << 20)
