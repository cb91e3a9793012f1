/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Mode pages: a page is a row, which MODE SENSE, MODE SELECT and what is saved all go by.
 */
#include "scsi/lu_priv.h"
#include "util/bytes.h"

/* Whose page is built, and from which values: current, default or saved. */
struct mode_source {
	const struct scsi_target *target; /* NULL: nobody asks, the page is to be saved */
	const struct scsi_lu *lu;
	const struct scsi_mode *mode;
};

struct mode_page {
	uint8_t code, subpage;
	uint8_t len; /* of what follows the page's header */
	/* @body: all 0; the PAGE LENGTH and what is before it are not part of it */
	void (*build)(const struct mode_source *from, uint8_t *body);
	const uint8_t *changeable; /* a mask for the body; NULL: nothing is */
	void (*apply)(struct scsi_mode *mode, const uint8_t *body); /* NULL, likewise */
	bool (*offered)(const struct scsi_lu *lu);		    /* NULL: yes */
	/* Whether changeable bits have a value that cannot be, and where; NULL: they cannot. */
	bool (*wrong)(const uint8_t *body, unsigned *ret_byte, uint8_t *ret_bits);
};

/* In the order that they are returned in: ascending. */
extern const struct mode_page mode_pages[];

#define N_MODE_PAGES 11
#define MODE_PAGE_MAX (4 + 64)				 /* a page with its header */
#define MODE_MAX (8 + 16 + N_MODE_PAGES * MODE_PAGE_MAX) /* all there is to MODE SENSE (10) */

enum {
	MODE_PS = 0x80,	 /* byte 0 of a page: it can be saved */
	MODE_SPF = 0x40, /* it has a subpage code and a length of two bytes */
	MODE_CODE = 0x3f,
};

static inline size_t mode_header_len(const struct mode_page *page)
{
	return page->subpage ? 4 : 2;
}

static inline bool mode_page_offered(const struct mode_page *page, const struct scsi_lu *lu)
{
	return !page->offered || page->offered(lu);
}

/* The page with its header; @changeable: instead of values the mask of what can be changed. */
void mode_page_out(struct bytes_out *out, const struct mode_page *page,
		   const struct mode_source *from, bool changeable, bool can_save);

/* Writes the values that can be changed to state_dir. Blocks. Return: 0 or -errno. */
int mode_save(const struct scsi_lu *lu, const struct scsi_mode *mode);
