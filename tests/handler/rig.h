/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A TCMU device over a ring in memory, on one engine; the store is tests/scsi/fake_store.h. */
#include "handler/device.h"
#include "scsi/lu.h"
#include "tests/handler/kernel.h"
#include "tests/scsi/fake_store.h"
#include "tests/util/engine_harness.h"

struct rig {
	struct engine *engine;
	struct kernel k;
	struct scsi_lu *lu;
	struct tcmu_device *device;
	bool stopped;
};

/* The fake store's disk of 512-byte blocks, write cache on. */
struct scsi_lu_config rig_lu_config(void);

/* @cfg: NULL for the above. @own: reservations and ALUA are the core's. */
void rig_start(struct rig *rig, void **state, const struct scsi_lu_config *cfg, bool own);

/* Stops the device if it has not been, and frees all. */
void rig_stop(struct rig *rig);

/* Turns the loop once or more without a sleep, so that all that can happen has. */
void rig_settle(struct rig *rig);

/* Kicks the device and turns the loop until @n commands have come back. */
void rig_serve(struct rig *rig, unsigned n);

/* One command from queue to answer. */
struct kernel_cmd *rig_send(struct rig *rig, const struct request *request);
#define SEND(rig, ...) rig_send(rig, &(const struct request){__VA_ARGS__})

/* Takes the unit attention of power on. */
void rig_greet(struct rig *rig);

/* Begins to stop it; then waits for the end. */
void rig_begin_stop(struct rig *rig, bool abort);
void rig_finish_stop(struct rig *rig);

uint32_t sense_code(const struct kernel_cmd *cmd); /* fixed format: enum scsi_sense_code */
void assert_sense(const struct kernel_cmd *cmd, uint32_t code);
