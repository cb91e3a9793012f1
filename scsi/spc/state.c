/* SPDX-License-Identifier: Apache-2.0 */
/* What the primary commands keep: made with the LU, from what was saved. */
#include "scsi/spc/state.h"
#include "scsi/spc/ident.h"
#include "util/atomic_file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct spc_file_name spc_file_name(const struct scsi_lu *lu, const char *kind)
{
	struct spc_file_name name;
	size_t n = 0;

	for (unsigned i = 0; i < sizeof(lu->uuid); i++)
		n += (size_t)snprintf(name.text + n, sizeof(name.text) - n, "%02x", lu->uuid[i]);
	snprintf(name.text + n, sizeof(name.text) - n, ".%s", kind);
	return name;
}

static int load(struct scsi_lu *lu, const char *kind, int r, char *ret_why, size_t why_len)
{
	struct spc_file_name name = spc_file_name(lu, kind);
	char what[128];

	if (r == -EBADMSG || r == -EFBIG)
		snprintf(what, sizeof(what), "not understood (remove it to start from defaults)");
	else if ((errno = -r) != 0)
		snprintf(what, sizeof(what), "%m");
	if (r < 0)
		snprintf(ret_why, why_len, "%s/%s: %s", lu->state_dir ? lu->state_dir : "",
			 name.text, what);
	return r;
}

/* The view is nobody else's yet: changed in place. */
int spc_state_new(struct scsi_lu *lu, char *ret_why, size_t why_len)
{
	struct scsi_lu_view *view = (struct scsi_lu_view *)scsi_lu_view(lu);
	struct spc_state *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return -ENOMEM;
	pthread_mutex_init(&state->lock, NULL);
	lu->spc = state;
	state->default_mode = scsi_mode_of(view);
	view->saved_mode = state->default_mode;
	r = load(lu, SPC_MODE_FILE, spc_mode_load(lu, view), ret_why, why_len);
	if (r < 0)
		return r;
	return load(lu, SPC_IDENT_FILE, spc_ident_load(lu), ret_why, why_len);
}

void spc_state_free(struct scsi_lu *lu)
{
	struct spc_state *state = lu->spc;

	if (!state)
		return;
	free((void *)state->ident);
	pthread_mutex_destroy(&state->lock);
	free(steal(lu->spc));
}
