/* SPDX-License-Identifier: Apache-2.0 */
/* iscsitargets{}.managementAddresses: where initiators are told that this can be managed. */
#include "daemon/config_build.h"
#include <errno.h>
#include <string.h>

/* RFC 3986 3: a scheme, a colon, and something behind it, all of it without white space. */
static bool is_uri(const char *text)
{
	size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789+.-");

	if (!g_ascii_isalpha(*text) || text[scheme] != ':' || !text[scheme + 1] ||
	    strlen(text) > SCSI_SERVICE_URI_MAX)
		return false;
	while (g_ascii_isgraph(*text))
		text++;
	return !*text;
}

int build_addresses(struct build *build, const struct at *up, json_t *object_or_null,
		    struct config_target *target)
{
	const struct at at = {.up = up, .key = "managementAddresses"};
	struct addresses_in in = {0};
	int r;

	if (!object_or_null)
		return 0;
	r = reader_object(&build->reader, &at, object_or_null, address_keys, &in);
	if (r < 0)
		return r;
	if (!json_object_size(object_or_null))
		return reader_bad(&build->reader, &at, "found none, expected an address");
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++) {
		const struct at here = {.up = &at, .key = address_keys[i].name};

		if (!in.uris[i])
			continue;
		if (!is_uri(in.uris[i]))
			return reader_bad(&build->reader, &here,
					  "found %s, expected a URI such as "
					  "\"https://storage.example.org/\" of up to %d characters",
					  quote(in.uris[i]).text, SCSI_SERVICE_URI_MAX);
		target->addresses[i] = strdup(in.uris[i]);
		if (!target->addresses[i])
			return -ENOMEM;
	}
	return 0;
}
