/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Protection information: the eight bytes that go with a logical block, what is expected of them,
 * and whether it is so. Source: SBC-4 r22, data protection model.
 */
#include "util/bytes.h"
#include "util/walk.h"

#define PI_LEN 8u /* bytes of a tuple */

enum pi_type { PI_NONE, PI_TYPE_1, PI_TYPE_2, PI_TYPE_3 };

/* Bits for sets of fields. */
enum pi_field {
	PI_GUARD = 1, /* LOGICAL BLOCK GUARD: the CRC of the user data */
	PI_APP = 2,   /* LOGICAL BLOCK APPLICATION TAG */
	PI_REF = 4,   /* LOGICAL BLOCK REFERENCE TAG */
	PI_ALL = PI_GUARD | PI_APP | PI_REF,
};

struct pi_tuple {
	uint16_t guard, app;
	uint32_t ref;
};

/* What is checked of each block, and what it has to be. */
struct pi_expect {
	uint8_t fields; /* of enum pi_field */
	uint8_t escape; /* enum pi_type: whose escape ends all checks of a block; 0: none does */
	uint16_t app;	/* where a bit of app_mask is set */
	uint16_t app_mask;
	uint32_t ref; /* of the first block; it counts up */
};

/* The first block that was not as expected, and in what. */
struct pi_fault {
	uint64_t lba;
	uint8_t field; /* enum pi_field */
};

static inline struct pi_tuple pi_tuple_get(const uint8_t *p)
{
	return (struct pi_tuple){be16_get(p), be16_get(p + 2), be32_get(p + 4)};
}

static inline void pi_tuple_put(uint8_t *p, struct pi_tuple tuple)
{
	be16_put(p, tuple.guard);
	be16_put(p + 2, tuple.app);
	be32_put(p + 4, tuple.ref);
}

/* CRC of polynomial 8BB7h; @crc: 0, or what came out for the bytes before. */
uint16_t pi_crc(uint16_t crc, const void *data, size_t len);

/* Whether a tuple says that its block is not to be checked. */
bool pi_is_escape(struct pi_tuple tuple, enum pi_type type);

/* The field of a block that is wrong, or 0. @i: how many blocks come before it. */
uint8_t pi_wrong_field(const struct pi_expect *expect, uint32_t i, struct pi_tuple tuple,
		       uint16_t crc);

/* The CRC of the next @len bytes of a walk. */
uint16_t pi_walk_crc(struct walk *walk, size_t len);

/*
 * @n_blocks of @block_size bytes, each followed by its tuple, against what is expected; @lba is
 * the first one's. Return: whether all are right; else with the fault.
 */
bool pi_check_blocks(struct walk walk, uint64_t lba, uint64_t n_blocks, uint32_t block_size,
		     const struct pi_expect *expect, struct pi_fault *ret_fault);
