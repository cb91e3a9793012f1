/* SPDX-License-Identifier: Apache-2.0 */
/* The few commands with which initiators find out that there is a disk, and how large it is. */
#include "tests/bench/canned.h"
#include "util/bytes.h"

static void answer(struct canned_wish *wish, const void *data, size_t len, size_t allocated)
{
	wish->what = CANNED_ANSWER;
	wish->answer_len = len < allocated ? len : allocated;
	memcpy(wish->answer, data, wish->answer_len);
}

static void inquiry(const uint8_t *cdb, struct canned_wish *wish)
{
	static const uint8_t standard[36] = {0x00, 0x00, 0x06, 0x12, 31,  0,   0,   0x02, 'b',
					     'e',  'n',	 'c',  'h',  ' ', ' ', ' ', 'c',  'a',
					     'n',  'n',	 'e',  'd',  ' ', ' ', ' ', ' ',  ' ',
					     ' ',  ' ',	 ' ',  ' ',  ' ', '1', ' ', ' ',  ' '};
	static const uint8_t pages[] = {0x00, 0x00, 0, 3, 0x00, 0x80, 0x83};
	static const uint8_t serial[] = {0x00, 0x80, 0, 4, '0', '0', '0', '1'};
	static const uint8_t ids[] = {0x00, 0x83, 0,	12,   0x01, 0x03, 0x00, 0x08,
				      0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01};
	size_t room = be16_get(cdb + 3);

	if (!(cdb[1] & 1))
		answer(wish, standard, sizeof(standard), room);
	else if (cdb[2] == 0x00)
		answer(wish, pages, sizeof(pages), room);
	else if (cdb[2] == 0x80)
		answer(wish, serial, sizeof(serial), room);
	else if (cdb[2] == 0x83)
		answer(wish, ids, sizeof(ids), room);
}

static void capacity(const uint8_t *cdb, uint64_t n_blocks, struct canned_wish *wish)
{
	uint8_t data[32] = {0};

	if (cdb[0] == 0x25) {
		be32_put(data, n_blocks - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(n_blocks - 1));
		be32_put(data + 4, CANNED_BLOCK);
		answer(wish, data, 8, 8);
	} else if ((cdb[1] & 0x1f) == 0x10) {
		be64_put(data, n_blocks - 1);
		be32_put(data + 8, CANNED_BLOCK);
		answer(wish, data, sizeof(data), be32_get(cdb + 10));
	}
}

static void blocks(struct canned_wish *wish, bool write, uint64_t lba, uint64_t n)
{
	wish->what = write ? CANNED_WRITE : CANNED_READ;
	wish->offset = lba * CANNED_BLOCK;
	wish->len = n * CANNED_BLOCK;
}

void canned_look(const uint8_t *cdb, uint64_t n_blocks, struct canned_wish *ret_wish)
{
	static const uint8_t mode6[4] = {3}, mode10[8] = {0, 6}, luns[16] = {0, 0, 0, 8};

	ret_wish->what = CANNED_REFUSE;
	switch (cdb[0]) {
	case 0x00: /* TEST UNIT READY */
	case 0x35: /* SYNCHRONIZE CACHE (10) and (16) */
	case 0x91:
		ret_wish->what = CANNED_NOTHING;
		break;
	case 0x08: /* READ (6), WRITE (6) */
	case 0x0a:
		blocks(ret_wish, cdb[0] == 0x0a, be24_get(cdb + 1) & 0x1fffff,
		       cdb[4] ? cdb[4] : 256);
		break;
	case 0x28: /* READ (10), WRITE (10) */
	case 0x2a:
		blocks(ret_wish, cdb[0] == 0x2a, be32_get(cdb + 2), be16_get(cdb + 7));
		break;
	case 0xa8: /* READ (12), WRITE (12) */
	case 0xaa:
		blocks(ret_wish, cdb[0] == 0xaa, be32_get(cdb + 2), be32_get(cdb + 6));
		break;
	case 0x88: /* READ (16), WRITE (16) */
	case 0x8a:
		blocks(ret_wish, cdb[0] == 0x8a, be64_get(cdb + 2), be32_get(cdb + 10));
		break;
	case 0x12: /* INQUIRY */
		inquiry(cdb, ret_wish);
		break;
	case 0x25: /* READ CAPACITY (10) and (16) */
	case 0x9e:
		capacity(cdb, n_blocks, ret_wish);
		break;
	case 0x1a: /* MODE SENSE (6) and (10): a header */
		answer(ret_wish, mode6, sizeof(mode6), cdb[4]);
		break;
	case 0x5a:
		answer(ret_wish, mode10, sizeof(mode10), be16_get(cdb + 7));
		break;
	case 0xa0: /* REPORT LUNS: LUN 0 */
		answer(ret_wish, luns, sizeof(luns), be32_get(cdb + 6));
		break;
	}
}
