/* SPDX-License-Identifier: Apache-2.0 */
/* EXTENDED COPY between encrypted LUs, which have different keys, and other blocks. */
#include "tests/scsi/copy_kit.h"
#include "tests/scsi/crypt_kit.h"
#include <string.h>

static void kit_encrypted(struct harness *h, uint32_t block_0, uint32_t block_1)
{
	struct scsi_lu_config cfg;

	harness_start(h);
	for (uint8_t lun = 0; lun < 2; lun++) {
		cfg = kit_disk(lun);
		cfg.block_size = lun ? block_1 : block_0;
		cfg.thin = true;
		crypt_kit_use(&cfg);
		harness_map(h, lun, &cfg);
	}
	harness_settle(h);
	kit_fill(h, 0);
	kit_fill(h, 1);
}

/* Between two keys and two block lengths. */
static void copies(void **state)
{
	static uint8_t expected[KIT_SIZE];
	static struct xlist x;
	struct harness h;

	(void)state;
	crypt_kit_make();
	kit_encrypted(&h, 512, 4096);
	memcpy(expected, kit_read(&h, 1), KIT_SIZE);
	assert_good(kit_xcopy(&h, &(struct seg){.to = 1, .n = 24, .from_lba = 8, .to_lba = 3}, 1));
	memcpy(expected + 3 * 4096, kit_read(&h, 0) + 8 * 512, 24 * 512);
	assert_memory_equal(kit_read(&h, 1), expected, KIT_SIZE);
	xlist_lid1(&x, 1, 0);
	xlist_cscd(&x, h.lus[0], false);
	xlist_cscd(&x, h.lus[1], false);
	xlist_seg_bytes(&x, 3 * 4096, 100, 20, 512, 4096);
	xlist_end(&x);
	assert_good(xlist_send(&h, 0, 0, &x));
	memcpy(expected + 21 * 4096, kit_read(&h, 0) + 101 * 512, 3 * 4096);
	assert_memory_equal(kit_read(&h, 1), expected, KIT_SIZE);
	/* one of 4096 in three parts, of two segments and a pad, the second of them a hole */
	assert_good(SEND(&h, .cdb = {0x93, 9, [9] = 200, [13] = 2}));
	xlist_lid1(&x, 2, 0);
	xlist_cscd(&x, h.lus[0], false);
	xlist_cscd(&x, h.lus[1], true);
	xlist_seg(&x, &(struct seg){.to = 1, .n = 3, .from_lba = 150, .to_lba = 40, .cat = true});
	xlist_seg(&x, &(struct seg){.to = 1, .n = 2, .from_lba = 200, .to_lba = 40});
	xlist_end(&x);
	assert_good(xlist_send(&h, 0, 0, &x));
	memset(expected + 40 * 4096, 0, 4096);
	memcpy(expected + 40 * 4096, kit_read(&h, 0) + 150 * 512, 3 * 512);
	assert_memory_equal(kit_read(&h, 1), expected, KIT_SIZE);
	harness_stop(&h);
	crypt_kit_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(copies)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
