/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a TCMU device is handed over to a running daemon: packets on a Unix socket of the kind
 * SOCK_SEQPACKET, one device a connection. The client asks, the server answers each packet with
 * one. While the connection stands, the server serves the device; when it ends, either side takes
 * the other one for dead.
 *
 *	CHECK	whether the server could serve what a configuration string names; answered when
 *		nothing of a client that has died is under way any more
 *	SERVE	the device itself, with its UIO descriptor; nothing is served yet
 *	START	the ring is the server's from here on
 *	RESIZE	the device has another size
 *	CACHE	the write cache is on or off
 *	RELEASE	answered when what had begun has ended; the ring is the client's again
 */
#include "util/bytes.h"

#define HANDOVER_SOCKET "tcmu.sock" /* in the run directory */
#define HANDOVER_RUN_DIR "/run/duotgt"
#define HANDOVER_VERSION 1
#define HANDOVER_PACKET_MAX 1024
#define HANDOVER_STRING_MAX 255
#define HANDOVER_DEVICE_MAX 63
#define HANDOVER_TEXT_MAX 511

enum handover_kind {
	HANDOVER_CHECK = 1,
	HANDOVER_SERVE = 2,
	HANDOVER_START = 3,
	HANDOVER_RESIZE = 4,
	HANDOVER_CACHE = 5,
	HANDOVER_RELEASE = 6,
};

struct handover_request {
	enum handover_kind kind;
	uint64_t size;				     /* CHECK, SERVE, RESIZE: bytes; 0: unknown */
	uint32_t block_size;			     /* CHECK, SERVE: bytes; 0: unknown */
	uint64_t map_len;			     /* SERVE: bytes of the mapping */
	bool on;				     /* CACHE */
	char config_string[HANDOVER_STRING_MAX + 1]; /* CHECK, SERVE */
	char device[HANDOVER_DEVICE_MAX + 1];	     /* SERVE: "uio0" */
};

struct handover_answer {
	int error;			  /* 0, or an errno */
	char text[HANDOVER_TEXT_MAX + 1]; /* for the operator, when it is not 0 */
};

/* Each into @out, which has HANDOVER_PACKET_MAX bytes. */
void handover_put_request(struct bytes_out *out, const struct handover_request *request);
void handover_put_answer(struct bytes_out *out, const struct handover_answer *answer);

/* Return: 0; -EPROTONOSUPPORT: another version; -EPROTO: no sound packet. */
int handover_get_request(const uint8_t *packet, size_t len, struct handover_request *ret_request);
int handover_get_answer(const uint8_t *packet, size_t len, struct handover_answer *ret_answer);

/* One packet, with descriptor @pass unless it is -1. Return: 0 or -errno. */
int handover_send(int sock, const struct bytes_out *packet, int pass);

/**
 * handover_receive() - one packet, and the descriptor that came with it
 * @buf:    HANDOVER_PACKET_MAX bytes
 * @ret_fd: -1 when there was none; for the caller to close
 * Return: bytes; 0 at the end; -EPROTO: too long, or more than one descriptor; -errno.
 */
int handover_receive(int sock, uint8_t *buf, int *ret_fd);
