/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as it stands: what is read can be written again, a name that was folded stays as it is, and
 * a Text Request of the full feature phase leaves legal parameters and a legal answer.
 */
#include "iscsi/login.h"
#include "iscsi/text.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Written again, a pair is what was read, to the byte. */
static void check_pair(const struct iscsi_pair *pair, const uint8_t *at, size_t len)
{
	char key[ISCSI_KEY_MAX + 1], *value = malloc(pair->value_len + 1);
	uint8_t *copy = malloc(len);
	struct bytes_out out = bytes_out(copy, len);
	uint32_t number;

	CHECK(value && copy);
	CHECK(pair->key_len > 0 && pair->key_len <= ISCSI_KEY_MAX);
	memcpy(key, pair->key, pair->key_len);
	key[pair->key_len] = '\0';
	memcpy(value, pair->value, pair->value_len);
	value[pair->value_len] = '\0';
	iscsi_text_put(&out, key, value);
	CHECK(!out.full && out.len == len && memcmp(copy, at, len) == 0);
	CHECK(iscsi_pair_is(pair, key) && iscsi_pair_value_is(pair, value));
	if (iscsi_pair_number(pair, &number) == 0)
		CHECK(strtoull(value, NULL, 0) == number);
	free(value);
	free(copy);
}

static void check_name(const char *name, size_t len)
{
	char folded[ISCSI_NAME_MAX + 1], again[ISCSI_NAME_MAX + 1];

	if (iscsi_name_normalize(name, len, folded) < 0)
		return;
	CHECK(strlen(folded) == len && len <= ISCSI_NAME_MAX);
	CHECK(iscsi_name_normalize(folded, len, again) == 0);
	CHECK(strcmp(folded, again) == 0);
}

static void check_full_feature(const uint8_t *data, size_t size)
{
	struct iscsi_params params = iscsi_rfc_defaults;
	static uint8_t answer[8 * ISCSI_TEXT_MAX];
	struct bytes_out out = bytes_out(answer, sizeof(answer));
	struct bytes_in in;
	struct iscsi_pair pair;
	int r = iscsi_negotiate_full_feature(&params, data, size, &out);

	CHECK(params.max_send_data_segment >= 512 && params.max_send_data_segment <= 0xffffff);
	params.max_send_data_segment = iscsi_rfc_defaults.max_send_data_segment;
	CHECK(memcmp(&params, &iscsi_rfc_defaults, sizeof(params)) == 0);
	if (r < 0)
		return;
	in = bytes_in(answer, out.len);
	while ((r = iscsi_text_next(&in, &pair)) > 0)
		CHECK(iscsi_pair_value_is(&pair, "Reject") ||
		      iscsi_pair_value_is(&pair, "NotUnderstood"));
	CHECK(r == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes_in in = bytes_in(data, size);
	const uint8_t *at = data;
	struct iscsi_pair pair;

	if (size > ISCSI_TEXT_MAX)
		return 0;
	while (iscsi_text_next(&in, &pair) > 0) {
		check_pair(&pair, at, (size_t)(in.p - at));
		check_name(pair.value, pair.value_len);
		at = in.p;
	}
	check_full_feature(data, size);
	return 0;
}
