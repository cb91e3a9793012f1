/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Framing: a stream of bytes becomes PDUs. No socket here. Data segments go straight to where
 * their owner wants them; only headers are gathered. Source: RFC 7143 11.2, 13.1 (digests).
 */
#include "iscsi/pdu.h"
#include <sys/uio.h>

enum iscsi_rx_event {
	RX_MORE,	    /* all input used; nothing complete */
	RX_HEADER,	    /* a header is complete; set the destination of its data, then go on */
	RX_PDU,		    /* the PDU is complete, its data at the destination */
	RX_BAD_DATA_DIGEST, /* the PDU is complete, its data is damaged */
	RX_BAD_HEADER_DIGEST, /* fatal from here on: the stream is lost */
	RX_TOO_LONG,	      /* its data segment is longer than we have declared */
};

struct iscsi_rx {
	/* set by the owner, at any time between PDUs */
	bool header_digest, data_digest;
	uint32_t max_data; /* bytes of a data segment that are accepted */

	/* the PDU under way, valid from RX_HEADER until the next step after its end */
	struct iscsi_bhs bhs;
	uint8_t ahs[ISCSI_AHS_MAX];
	uint32_t ahs_len, data_len;

	/* own */
	enum { RX_IN_BHS, RX_IN_AHS, RX_IN_HDIGEST, RX_AT_HEADER, RX_IN_DATA, RX_IN_TAIL } stage;
	uint32_t got; /* bytes of the stage */
	uint32_t crc;
	uint8_t tail[8];	  /* header digest; padding and data digest */
	const struct iovec *dest; /* NULL: dropped */
	int n_dest;
	size_t dest_off; /* into dest[0] */
};

void iscsi_rx_init(struct iscsi_rx *rx);

/**
 * iscsi_rx_step() - use up input until something happens
 * @p, @len: the input; moved on by what was used
 * After RX_HEADER, iscsi_rx_dest() or iscsi_rx_drop() must be called before the next step.
 */
enum iscsi_rx_event iscsi_rx_step(struct iscsi_rx *rx, const uint8_t **p, size_t *len);

/* The data of this PDU goes to @iov (lent until its end), from @offset bytes in; it has room. */
void iscsi_rx_dest(struct iscsi_rx *rx, const struct iovec *iov, int n_iov, size_t offset);

/* The data of this PDU is of no interest. */
void iscsi_rx_drop(struct iscsi_rx *rx);

/* Bytes of the data segment that are still to come and have a destination; 0 outside of data. */
uint32_t iscsi_rx_wanted(const struct iscsi_rx *rx);

/* Where they go, for receiving without a copy. Return: entries written, at most @max. */
int iscsi_rx_iov(const struct iscsi_rx *rx, struct iovec *iov, int max);

/* @len bytes have been received there. */
void iscsi_rx_received(struct iscsi_rx *rx, size_t len);

#define ISCSI_RX_AHEAD_MAX (4 + 4 + ISCSI_BHS_LEN + 4)

/* Bytes from the end of this PDU's data to the end of the next one's header, AHS aside; at most
 * ISCSI_RX_AHEAD_MAX. Who receives data without a copy may receive these with it, as input. */
uint32_t iscsi_rx_ahead(const struct iscsi_rx *rx);
