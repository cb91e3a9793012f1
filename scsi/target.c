/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: names with a map from LUNs to LUs. */
#include "scsi/lu_priv.h"
#include <errno.h>

#define LUN_LIMIT 0x4000 /* what flat space addressing holds */

enum { METHOD_PERIPHERAL = 0, METHOD_FLAT = 1 }; /* SAM-5 r21, addressing methods */

int scsi_target_new(const char *name, struct scsi_target **ret_target)
{
	scoped(scsi_target_unref) struct scsi_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	target->refs = 1;
	target->name = strdup(name);
	if (!target->name)
		return -ENOMEM;
	*ret_target = steal(target);
	return 0;
}

struct scsi_target *scsi_target_ref(struct scsi_target *target)
{
	atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
	return target;
}

void scsi_target_unref(struct scsi_target *target)
{
	if (!target || atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < target->n_map; i++)
		scsi_lu_unref(target->map[i].lu);
	free(target->map);
	free(target->name);
	free(target);
}

const char *scsi_target_name(const struct scsi_target *target)
{
	return target->name;
}

/* Index of the first mapping that is not below @lun. */
static unsigned map_search(const struct scsi_target *target, uint32_t lun)
{
	unsigned low = 0, high = target->n_map;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (target->map[middle].lun < lun)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int scsi_target_map(struct scsi_target *target, uint32_t lun, struct scsi_lu *lu)
{
	unsigned at = map_search(target, lun);
	struct scsi_mapping *map;

	if (lun >= LUN_LIMIT)
		return -EINVAL;
	if (at < target->n_map && target->map[at].lun == lun)
		return -EEXIST;
	map = reallocarray(target->map, target->n_map + 1u, sizeof(*map));
	if (!map)
		return -ENOMEM;
	target->map = map;
	memmove(map + at + 1, map + at, (target->n_map - at) * sizeof(*map));
	map[at] = (struct scsi_mapping){.lun = lun, .lu = scsi_lu_ref(lu)};
	target->n_map++;
	return 0;
}

int scsi_target_find(const struct scsi_target *target, uint64_t lun)
{
	int32_t number = scsi_lun_decode(lun);
	unsigned at;

	if (number < 0)
		return -1;
	/* LUNs mostly count from 0 without a gap. */
	at = (uint32_t)number < target->n_map && target->map[number].lun == (uint32_t)number
		     ? (uint32_t)number
		     : map_search(target, (uint32_t)number);
	return at < target->n_map && target->map[at].lun == (uint32_t)number ? (int)at : -1;
}

int32_t scsi_lun_decode(uint64_t lun)
{
	uint16_t first = (uint16_t)(lun >> 48);

	if (lun << 16) /* a second level */
		return -1;
	switch (first >> 14) {
	case METHOD_PERIPHERAL:
		return first < 0x100 ? first : -1; /* bus 0 only */
	case METHOD_FLAT:
		return first & (LUN_LIMIT - 1);
	default:
		return -1;
	}
}

uint64_t scsi_lun_encode(uint32_t lun)
{
	uint64_t first = lun < 0x100 ? lun : METHOD_FLAT << 14 | (lun & (LUN_LIMIT - 1));

	return first << 48;
}
