/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The medium of a removable LU: whether it is there, who prevents its removal, who has yet to
 * hear that it went or came. Ejecting closes nothing: the store waits for the next load.
 */
#include "scsi/lu.h"

struct scsi_itl;

/* What GET EVENT STATUS NOTIFICATION tells a nexus once: the media event codes of MMC-6. */
enum scsi_medium_event { MEDIUM_NO_EVENT = 0, MEDIUM_NEW = 2, MEDIUM_REMOVED = 3 };

/* The nexus goes: it prevents no longer. */
void scsi_medium_leave(struct scsi_itl *itl);

/* The LU is reset: nobody prevents any longer. Any thread; lu->lock not held. */
void scsi_medium_reset(struct scsi_lu *lu);

/* The event that this nexus has not heard of, which is then forgotten. */
enum scsi_medium_event scsi_medium_take_event(struct scsi_itl *itl);
