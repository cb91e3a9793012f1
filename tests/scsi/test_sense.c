/* SPDX-License-Identifier: Apache-2.0 */
/* Sense data, byte by byte. Source: SPC-5 r22, sense data. */
#include "tests/scsi/harness.h"
#include <string.h>

struct image {
	struct scsi_sense sense;
	bool descriptor;
	size_t len;
	uint8_t bytes[SCSI_SENSE_MAX];
};

static const struct image images[] = {
	{{.key = 6, .asc = 0x29}, false, 18, {0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29}},
	{{.key = 6, .asc = 0x29, .ascq = 7}, true, 8, {0x72, 6, 0x29, 7, 0, 0, 0, 0}},
	/* INFORMATION */
	{{.key = 3, .asc = 0x11, .has_info = true, .info = 0x12345678},
	 false,
	 18,
	 {0xf0, 0, 3, 0x12, 0x34, 0x56, 0x78, 10, 0, 0, 0, 0, 0x11}},
	{{.key = 3, .asc = 0x11, .has_info = true, .info = 0xffffffff},
	 false,
	 18,
	 {0xf0, 0, 3, 0xff, 0xff, 0xff, 0xff, 10, 0, 0, 0, 0, 0x11}},
	{{.key = 3, .asc = 0x11, .has_info = true, .info = 0x100000000},
	 false,
	 18,
	 {0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x11}},
	{{.key = 3, .asc = 0x11, .has_info = true, .info = 0x123456789abcdef0},
	 true,
	 20,
	 {0x72, 3, 0x11, 0,    0,    0,	   0,	 12,   0,    10,
	  0x80, 0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}},
	/* field pointers */
	{{.key = 5, .asc = 0x24, .has_field = true, .in_cdb = true, .field = 0x102},
	 false,
	 18,
	 {0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xc0, 1, 2}},
	{{.key = 5, .asc = 0x26, .has_field = true, .field = 7, .has_bit = true, .bit = 3},
	 false,
	 18,
	 {0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x26, 0, 0, 0x8b, 0, 7}},
	{{.key = 5, .asc = 0x24, .has_field = true, .in_cdb = true, .field = 1, .has_bit = true},
	 true,
	 16,
	 {0x72, 5, 0x24, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0xc8, 0, 1, 0}},
	/* progress */
	{{.key = 2, .asc = 4, .ascq = 4, .has_progress = true, .progress = 0x1234},
	 false,
	 18,
	 {0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 4, 4, 0, 0x80, 0x12, 0x34}},
	{{.key = 2, .asc = 4, .ascq = 0x1b, .has_progress = true, .progress = 0xffff},
	 true,
	 16,
	 {0x72, 2, 4, 0x1b, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 0xff, 0xff, 0}},
	/* both */
	{{.key = 5, .asc = 0x21, .has_info = true, .info = 9, .has_field = true, .field = 2},
	 true,
	 28,
	 {0x72, 5, 0x21, 0, 0, 0, 0, 20, 0, 10, 0x80, 0, 0, 0,
	  0,	0, 0,	 0, 0, 9, 2, 6,	 0, 0,	0x80, 0, 2, 0}},
};

static void sense_is_built_as_the_standard_says(void **state)
{
	uint8_t buf[SCSI_SENSE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		const struct image *image = &images[i];

		memset(buf, 0xee, sizeof(buf));
		assert_int_equal(scsi_sense_build(&image->sense, image->descriptor, buf),
				 image->len);
		assert_memory_equal(buf, image->bytes, image->len);
		for (size_t j = image->len; j < sizeof(buf); j++)
			assert_int_equal(buf[j], 0xee);
	}
}

static void a_code_is_its_three_parts(void **state)
{
	struct scsi_sense sense = scsi_sense(SENSE_SPACE_ALLOCATION_FAILED);

	(void)state;
	assert_int_equal(sense.key, KEY_DATA_PROTECT);
	assert_int_equal(sense.asc, 0x27);
	assert_int_equal(sense.ascq, 0x07);
	assert_false(sense.has_info || sense.has_field);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sense_is_built_as_the_standard_says),
		cmocka_unit_test(a_code_is_its_three_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
