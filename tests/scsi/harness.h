/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A transport without a wire, for the tests of scsi/: a target with LUs and two initiators on one
 * engine. harness_send() plays one command from CDB to status.
 *
 *	struct harness h;
 *
 *	harness_start_disk(&h);
 *	a = SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96);
 *	assert_int_equal(a->status, STATUS_GOOD);
 *	harness_stop(&h);
 */
#include "scsi/lu.h"
#include "scsi/task.h"
#include "scsi/tmf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define HARNESS_NEXUSES 2
#define HARNESS_LUS 8

/* One command. Fields left out are 0. */
struct sent {
	unsigned nexus; /* 0 or 1: which initiator */
	uint32_t lun;
	uint64_t raw_lun; /* instead of lun, when not 0: the eight bytes as one number */
	uint8_t cdb[SCSI_CDB_MAX];
	uint32_t cdb_len; /* 0: all SCSI_CDB_MAX bytes, as from a transport that pads */
	const void *out;  /* data-out; as many bytes as the command wants, up to out_len */
	uint32_t out_len;
	uint32_t expect_in;  /* the most data-in that the initiator takes */
	unsigned n_segments; /* cut the buffer into so many pieces of uneven length; 0: one */
};

/* What came back. Belongs to the harness, until the next command. */
struct answer {
	enum scsi_status status;
	struct scsi_sense sense;
	uint32_t code; /* key << 16 | ASC << 8 | ASCQ, to compare with enum scsi_sense_code */
	uint8_t *data; /* data-in, NULL when there was no buffer for it */
	size_t len;    /* bytes of it: min(in_len, expect_in) */
	uint64_t in_len, out_len, need_in, need_out;
	bool was_pending;
	bool descriptor_sense; /* the format that the LU wants its sense in */
};

struct harness {
	struct engine *engine;
	struct scsi_target *target;
	struct scsi_lu *lus[HARNESS_LUS];
	unsigned n_lus;
	struct scsi_nexus
		*nexus[HARNESS_NEXUSES]; /* made by the first command, or harness_connect() */
	struct answer answer;
	uint64_t next_tag;
};

/* A writable RAM disk: 1 MiB, blocks of 512, write cache on, online, 64 KiB transfers. */
struct scsi_lu_config harness_lu_config(void);

/* An engine and an empty target. Ends the test program when it hangs for two minutes. */
void harness_start(struct harness *h);

/* Before the first command. Fails the test when the LU cannot be made. */
struct scsi_lu *harness_map(struct harness *h, uint32_t lun, const struct scsi_lu_config *cfg);

/* The nexuses, when a test wants them before its first command. */
void harness_connect(struct harness *h);

/* Forgets all unit attentions, of both initiators at all LUNs. */
void harness_settle(struct harness *h);

/* All of the above for harness_lu_config() at LUN 0. */
void harness_start_disk(struct harness *h);

void harness_stop(struct harness *h);

const struct answer *harness_send(struct harness *h, const struct sent *sent);
#define SEND(h, ...) harness_send((h), &(struct sent){__VA_ARGS__})

/* Turns the loop until @flag is set. */
void harness_wait(struct harness *h, const bool *flag);

/* CHECK CONDITION with @code; GOOD, without sense. */
void assert_check(const struct answer *a, enum scsi_sense_code code);
void assert_good(const struct answer *a);

/* CHECK CONDITION, INVALID FIELD IN CDB that points at @byte, @bit (-1: no bit). */
void assert_bad_field(const struct answer *a, unsigned byte, int bit);
