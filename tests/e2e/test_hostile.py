# SPDX-License-Identifier: Apache-2.0
"""Connections that never log in, or never listen: they cost the target little and others nothing."""

import contextlib
import random
import select
import socket
import time

import wire
from promise import equal, login, promise, still_serves

COUNT = 1000
LOGIN_TIMER = 15  # seconds, iscsi/server.h
GOOD_LOGIN_LIMIT = 1.0  # seconds; a requirement, so that this test may assert time


def half_a_header():
    return bytes(wire.Pdu(wire.LOGIN_REQ, 0x87, immediate=True).bhs)[:24]


def cut_off(conns, seconds):
    """Waits until the target has ended all; returns the number that it has not."""
    poll = select.poll()
    alive = {sock.fileno(): sock for sock in conns}
    for fd in alive:
        poll.register(fd, select.POLLIN)
    end = time.monotonic() + seconds
    while alive and time.monotonic() < end:
        for fd, _ in poll.poll(200):
            try:
                ended = not alive[fd].recv(65536)
            except OSError:
                ended = True
            if ended:
                poll.unregister(fd)
                alive.pop(fd).close()
    return len(alive)


def besiege(place, name, payload):
    with place.serve() as server:
        still_serves(server)
        conns = []
        begun = time.monotonic()
        try:
            for _ in range(COUNT):
                sock = socket.create_connection(server.address, 10)
                conns.append(sock)
                bytes_to_send = payload()
                if bytes_to_send:
                    sock.sendall(bytes_to_send)
        except OSError as error:
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise
        worst = max(still_serves(server) for _ in range(5))
        print(f"{len(conns)} connections that send {name}: a good login takes "
              f"{worst * 1000:.1f} ms at worst")
        assert len(conns) == COUNT, f"only {len(conns)} connections were accepted"
        assert worst < GOOD_LOGIN_LIMIT, f"a good login took {worst:.2f} s"
        left = cut_off(conns, LOGIN_TIMER + 5)
        print(f"the last of them was cut after {time.monotonic() - begun:.1f} s")
        assert not left, f"{left} connections are still there {LOGIN_TIMER + 5} s later"
        still_serves(server)


@promise(seconds=90, slow=True)
def connections_that_send_nothing(place):
    besiege(place, "nothing", lambda: b"")


@promise(seconds=90, slow=True)
def connections_that_send_half_a_header(place):
    besiege(place, "half a header", half_a_header)


@promise(seconds=90, slow=True)
def connections_that_send_random_bytes(place):
    chance = random.Random(8)
    besiege(place, "random bytes", lambda: chance.randbytes(chance.randint(1, 400)))


@promise(seconds=60, slow=True)
def slow_login_is_cut_too(place):
    """A byte now and then does not set the login timer back."""
    with place.serve() as server:
        sock = socket.create_connection(server.address, 10)
        begun = time.monotonic()
        try:
            for byte in half_a_header():
                sock.sendall(bytes([byte]))
                if select.select([sock], [], [], 1)[0] and not sock.recv(1000):
                    break
        except OSError:
            pass
        took = time.monotonic() - begun
        assert took < LOGIN_TIMER + 5, f"still there after {took:.0f} s"
        still_serves(server)


@promise(seconds=60)
def who_asks_and_never_listens_is_not_heard(place):
    """His pings wait in the sockets, not in memory; once he listens, each has its answer."""
    one = wire.BHS_LEN
    ping = wire.Pdu(wire.NOP_OUT, immediate=True, ttt=wire.RESERVED_TAG)
    with place.serve() as server:
        session = login(server)
        session.ping()
        sock = session.conn.sock
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 65536)
        stream = bytearray()
        ping.put32(24, session.cmdsn)
        for itt in range(300000):
            ping.put32(16, itt)
            stream += ping.bhs
        sock.settimeout(1)
        sent = 0
        with contextlib.suppress(socket.timeout):
            while sent < len(stream):
                sent += sock.send(stream[sent:sent + 65536])
        print(f"{sent // one} pings were taken")
        assert sent < len(stream), "all of them were taken"
        still_serves(server)

        sock.settimeout(20)
        for itt in range(sent // one):
            answer = session.recv()
            assert (answer.opcode, answer.itt) == (wire.NOP_IN, itt), f"{answer}, not {itt}"
        sock.sendall(stream[sent:(sent // one + 1) * one])
        equal(session.recv().itt, sent // one, "the ping that was cut in two")
        session.logout()
