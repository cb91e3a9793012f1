/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * When a command may begin to work: task attributes, and the gate of its LU.
 *
 * What needs the medium (rows from ACCESS_READY on) is in order; the other commands neither wait
 * nor are waited for. Among the commands of one I_T_L nexus, from their arrival on:
 *
 *	ORDERED         waits for all older ones to end
 *	HEAD OF QUEUE   waits for none
 *	the others      wait for older ORDERED ones to end
 *
 * Between nexuses it is the gate that orders. An ORDERED command is in there alone, as is one
 * whose row says so; it passes when all that entered before it have left, and what comes later
 * waits. A command of another nexus that is still being sent its data has not come to the gate: no
 * initiator can know whether it came first. Source: SAM-5 r21, task set management.
 */
#include "scsi/task.h"

/* A task is READY: it has a place in the order, until scsi_order_end(). */
void scsi_order_begin(struct scsi_task *task);

/* Its data is there. Return: true: it may work now; false: scsi_task_admitted() follows. */
bool scsi_order_admit(struct scsi_task *task);

/* It has done its work, so that others may go in. No harm when it never got there. */
void scsi_order_leave(struct scsi_task *task);

/* It is aborted (task->aborted): if it waits, scsi_task_admitted() follows soon. */
void scsi_order_cancel(struct scsi_task *task);

/* It has left itl->tasks. */
void scsi_order_end(struct scsi_task *task);

/* task.c: a task that waited may work now, or was aborted. From the loop. */
void scsi_task_admitted(struct scsi_task *task);
