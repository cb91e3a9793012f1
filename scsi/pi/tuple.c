/* SPDX-License-Identifier: Apache-2.0 */
/* See tuple.h. */
#include "scsi/pi/tuple.h"
#include <isa-l/crc.h>

uint16_t pi_crc(uint16_t crc, const void *data, size_t len)
{
	return crc16_t10dif(crc, data, len);
}

bool pi_is_escape(struct pi_tuple tuple, enum pi_type type)
{
	if (tuple.app != UINT16_MAX)
		return false;
	return type == PI_TYPE_1 || type == PI_TYPE_2 ||
	       (type == PI_TYPE_3 && tuple.ref == UINT32_MAX);
}

uint8_t pi_wrong_field(const struct pi_expect *expect, uint32_t i, struct pi_tuple tuple,
		       uint16_t crc)
{
	if (pi_is_escape(tuple, (enum pi_type)expect->escape))
		return 0;
	if ((expect->fields & PI_GUARD) && tuple.guard != crc)
		return PI_GUARD;
	if ((expect->fields & PI_APP) && (tuple.app ^ expect->app) & expect->app_mask)
		return PI_APP;
	if ((expect->fields & PI_REF) && tuple.ref != expect->ref + i)
		return PI_REF;
	return 0;
}

uint16_t pi_walk_crc(struct walk *walk, size_t len)
{
	uint16_t crc = 0;
	uint8_t *data;
	size_t n;

	while (len && (n = walk_next(walk, len, &data))) {
		crc = pi_crc(crc, data, n);
		len -= n;
	}
	return crc;
}

bool pi_check_blocks(struct walk walk, uint64_t lba, uint64_t n_blocks, uint32_t block_size,
		     const struct pi_expect *expect, struct pi_fault *ret_fault)
{
	uint8_t tuple[PI_LEN];

	for (uint64_t i = 0; expect->fields && i < n_blocks; i++) {
		uint16_t crc = 0;
		uint8_t wrong;

		if (expect->fields & PI_GUARD)
			crc = pi_walk_crc(&walk, block_size);
		else
			walk_skip(&walk, block_size);
		walk_get(&walk, tuple, PI_LEN);
		wrong = pi_wrong_field(expect, (uint32_t)i, pi_tuple_get(tuple), crc);
		if (!wrong)
			continue;
		*ret_fault = (struct pi_fault){.lba = lba + i, .field = wrong};
		return false;
	}
	return true;
}
