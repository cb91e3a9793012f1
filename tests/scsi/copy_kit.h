/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Disks to copy between, and the parameter lists of copies, for the tests of copies. */
#include "scsi/copy/copy.h"
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"

#define KIT_SIZE (1u << 20) /* bytes of a disk */

/* A RAM disk with a UUID that begins with @id. */
struct scsi_lu_config kit_disk(uint8_t id);

/* Two of them, LUNs 0 and 1, of blocks of so many bytes, filled with kit_byte(). */
void kit_start(struct harness *h, uint32_t block_0, uint32_t block_1);

/* A RAM disk, filled, as LUN 0, and the fake store as LUN 1. */
void kit_start_fake(struct harness *h, bool write_cache);

/* What is at an offset of a disk that kit_fill() has filled. */
uint8_t kit_byte(uint32_t lun, uint64_t offset);
void kit_fill(struct harness *h, uint32_t lun);
void kit_write(struct harness *h, uint32_t lun, uint64_t offset, const void *data, size_t len);

/* The whole disk, until the next call for the same LUN (0 or 1). */
const uint8_t *kit_read(struct harness *h, uint32_t lun);

/* ---- EXTENDED COPY ---- */

struct seg {
	uint16_t from, to, n;
	uint64_t from_lba, to_lba;
	bool dc, cat;
};

struct xlist {
	uint8_t buf[16384];
	struct bytes_out out;
	unsigned n_cscds;
};

/* A header, to be followed by descriptors; xlist_end() sets the lengths. */
void xlist_lid1(struct xlist *x, uint8_t list_id, uint8_t usage);
void xlist_lid4(struct xlist *x, uint32_t list_id, uint8_t usage, bool immed);
void xlist_cscd(struct xlist *x, const struct scsi_lu *lu, bool pad);
void xlist_seg(struct xlist *x, const struct seg *seg);
/* With offset, from CSCD 0 to CSCD 1. */
void xlist_seg_bytes(struct xlist *x, uint32_t n, uint64_t from_lba, uint64_t to_lba,
		     uint16_t from_byte, uint16_t to_byte);
void xlist_end(struct xlist *x);
const struct answer *xlist_send(struct harness *h, unsigned nexus, uint32_t lun, struct xlist *x);

/* LID1 from and to LUNs 0 and 1 (CSCDs 0 and 1) in the order of @segs. */
const struct answer *kit_xcopy(struct harness *h, const struct seg *segs, unsigned n);

/* Turns the loop until the LID4 list of nexus 0 at LUN 0 has ended. Return: its state. */
uint8_t kit_wait(struct harness *h, uint32_t list_id);

/* RECEIVE … with a list identifier of four bytes. */
const struct answer *kit_receive(struct harness *h, unsigned nexus, uint32_t lun, uint8_t sa,
				 uint32_t list_id);

/* @code, with the segment that it is about. */
void assert_segment(const struct answer *a, enum scsi_sense_code code, unsigned segment);

/* ---- a model of the two disks ---- */

extern uint8_t model[2][KIT_SIZE];
void model_reset(void); /* as kit_fill() fills them */
void model_move(unsigned from, uint64_t from_at, unsigned to, uint64_t to_at, uint64_t len);
void assert_model(struct harness *h);
