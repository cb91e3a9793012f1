/* SPDX-License-Identifier: Apache-2.0 */
/* All rows of all domains as one sorted table. */
#include "scsi/op.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 256

const struct scsi_op *const scsi_op_sets[] = {
	spc_ops, medium_ops, diag_ops, sbc_ops, erase_ops,   sbc_atomic_ops, mmc_ops,
	pr_ops,	 alua_ops,   copy_ops, pi_ops,	pi_long_ops, NULL,
};

/* The sets that one kind of device has; the others are for all. */
static const struct {
	const struct scsi_op *set;
	enum scsi_op_devices devices;
} set_devices[] = {
	{sbc_ops, ON_DISKS},	  {erase_ops, ON_DISKS}, {sbc_atomic_ops, ON_DISKS},
	{copy_ops, ON_DISKS},	  {mmc_ops, ON_CDROMS},	 {pi_ops, ON_PROTECTED},
	{pi_long_ops, ON_TYPE_2},
};

static struct scsi_op
	sorted[MAX_ROWS + 1];  /* copies, with their devices; ends with a nameless row */
static uint16_t first_of[256]; /* place plus 1 of an opcode's first row; 0: there is none */
static pthread_once_t sorted_once = PTHREAD_ONCE_INIT;

static int by_opcode(const void *a, const void *b)
{
	const struct scsi_op *x = a, *y = b;

	if (x->opcode != y->opcode)
		return x->opcode - y->opcode;
	return x->sa != y->sa ? x->sa - y->sa : memcmp(x->usage, y->usage, sizeof(x->usage));
}

static enum scsi_op_devices devices_of(const struct scsi_op *set)
{
	for (unsigned i = 0; i < sizeof(set_devices) / sizeof(set_devices[0]); i++)
		if (set_devices[i].set == set)
			return set_devices[i].devices;
	return ON_ANY;
}

static void sort_rows(void)
{
	unsigned n = 0;

	for (unsigned s = 0; scsi_op_sets[s]; s++)
		for (const struct scsi_op *op = scsi_op_sets[s]; op->name; op++) {
			assert(n < MAX_ROWS);
			sorted[n] = *op;
			if (!op->devices)
				sorted[n].devices = devices_of(scsi_op_sets[s]);
			n++;
		}
	qsort(sorted, n, sizeof(sorted[0]), by_opcode);
	while (n--)
		first_of[sorted[n].opcode] = (uint16_t)(n + 1);
}

const struct scsi_op *scsi_op_at(unsigned i)
{
	pthread_once(&sorted_once, sort_rows);
	return i < MAX_ROWS && sorted[i].name ? &sorted[i] : NULL;
}

unsigned scsi_op_first(uint8_t opcode)
{
	pthread_once(&sorted_once, sort_rows);
	return first_of[opcode] ? first_of[opcode] - 1u : MAX_ROWS;
}
