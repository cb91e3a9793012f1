/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of reservations: one disk, four nexuses that take turns on the harness, and
 * PERSISTENT RESERVE IN and OUT as calls.
 */
#include "scsi/pr/pr_priv.h"
#include "tests/scsi/harness.h"

enum { A, B, C, D, KIT_NEXUSES };

struct pr_kit {
	struct harness h;
	struct scsi_nexus *n[KIT_NEXUSES];
	struct scsi_lu *lu;
};

/* All that there are. */
enum { KIT_TYPES = 6 };
extern const unsigned kit_types[KIT_TYPES];

/* The initiator ports: of four initiators, through target port 1. */
extern const char *const kit_initiators[KIT_NEXUSES];

/* @state_dir: NULL for none. No unit attention is pending. */
void kit_start(struct pr_kit *kit, const char *state_dir);
void kit_start_on(struct pr_kit *kit, const struct scsi_lu_config *cfg);
/* With A, B and C registered, by the keys 1, 2 and 3. */
void kit_start_registered(struct pr_kit *kit);
void kit_stop(struct pr_kit *kit);

const struct answer *kit_send(struct pr_kit *kit, unsigned who, const struct sent *sent);
#define KIT_SEND(kit, who, ...) kit_send((kit), (who), &(struct sent){__VA_ARGS__})

/* The nexus ends, and there is another one of its name. */
void kit_reconnect(struct pr_kit *kit, unsigned who);

/* PERSISTENT RESERVE OUT with the basic list: flags go into byte 20. */
const struct answer *pr_out_send(struct pr_kit *kit, unsigned who, unsigned action, unsigned type,
				 uint64_t key, uint64_t sa_key, uint8_t flags);

/* With any list. */
const struct answer *pr_out_list(struct pr_kit *kit, unsigned who, unsigned action, unsigned type,
				 const void *list, uint32_t len);

/* REGISTER AND IGNORE EXISTING KEY, which has to be GOOD. */
void kit_register(struct pr_kit *kit, unsigned who, uint64_t key);
void kit_reserve(struct pr_kit *kit, unsigned who, uint64_t key, unsigned type);

/* The keys in their order, 0 after the last one; the reservation's type and key; PRGENERATION. */
#define assert_keys(kit, ...) kit_assert_keys((kit), (const uint64_t[]){__VA_ARGS__, 0}, __LINE__)
void kit_assert_keys(struct pr_kit *kit, const uint64_t *keys, int line);
void assert_reserved(struct pr_kit *kit, unsigned type, uint64_t key);
uint32_t kit_generation(struct pr_kit *kit);

void assert_conflict(const struct answer *a);
/* INVALID FIELD IN PARAMETER LIST at @byte, @bit (-1: no bit). */
void assert_bad_param(const struct answer *a, unsigned byte, int bit);

/* The next unit attention of a nexus is @code (SENSE_NONE: there is none). Takes it. */
#define assert_told(kit, who, code)                                                                \
	assert_int_equal(scsi_itl_take_attention(kit_itl((kit), (who))), (code))
void assert_nobody_told(struct pr_kit *kit);
struct scsi_itl *kit_itl(struct pr_kit *kit, unsigned who);

/* A TransportID at @to. Return: its length. */
size_t put_transport_id(uint8_t *to, uint8_t first, const char *name);
