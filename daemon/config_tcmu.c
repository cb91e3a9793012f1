/* SPDX-License-Identifier: Apache-2.0 */
/* tcmu: devices of the kernel's, served without tcmu-runner. */
#include "daemon/config_build.h"

int build_tcmu(struct build *build, json_t *object_or_null)
{
	const struct at at = {.key = "tcmu"};
	struct tcmu_in in = {.paths = true, .replies = true};
	int r = 0;

	if (!object_or_null)
		return 0;
	r = reader_object(&build->reader, &at, object_or_null, tcmu_keys, &in);
	if (r < 0)
		return r;
	build->config->tcmu = (struct config_tcmu){
		.enabled = true,
		.own_reservations = in.reservations == OWNER_DUOTGT,
		.own_alua = in.alua == OWNER_DUOTGT,
		.paths = in.paths,
		.replies = in.replies,
	};
	return 0;
}
