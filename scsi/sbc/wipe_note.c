/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a LU keeps of a FORMAT UNIT or SANITIZE as long as it is not known to have worked: a
 * process that is killed, or a loss of power, must not make a medium that is half erased look like
 * one that is whole. Found when the LU is opened, it is a failure. Without a place for state a LU
 * forgets.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/background.h"
#include "scsi/spc/state.h"
#include "util/atomic_file.h"
#include "util/bytes.h"
#include <errno.h>

#define NOTE_FILE "wipe"

/* The sense code of the failure, and whether EXIT FAILURE MODE may end it. */
enum { NOTE_LEN = 5 };

int sbc_wipe_note(const struct scsi_lu *lu, enum scsi_sense_code failed, bool exit_allowed)
{
	uint8_t note[NOTE_LEN];

	be32_put(note, failed);
	note[4] = exit_allowed;
	return atomic_file_write(lu->state_dir, spc_file_name(lu, NOTE_FILE).text, note,
				 sizeof(note));
}

int sbc_wipe_forget(const struct scsi_lu *lu)
{
	return atomic_file_remove(lu->state_dir, spc_file_name(lu, NOTE_FILE).text);
}

void sbc_wipe_recall(struct scsi_lu *lu)
{
	enum scsi_sense_code failed = SENSE_SANITIZE_FAILED;
	uint8_t note[NOTE_LEN] = {0};
	size_t len = 0;
	int r;

	if (!lu->state_dir)
		return;
	r = atomic_file_read(lu->state_dir, spc_file_name(lu, NOTE_FILE).text, note, sizeof(note),
			     &len);
	if (r == -ENOENT)
		return;
	/* One that cannot be read is no reason to think better of the medium. */
	if (r == 0 && len == NOTE_LEN && be32_get(note) == SENSE_FORMAT_CORRUPTED)
		failed = SENSE_FORMAT_CORRUPTED;
	atomic_store(&lu->job_exit_allowed, r == 0 && len == NOTE_LEN && note[4]);
	atomic_store(&lu->barred, failed);
}
