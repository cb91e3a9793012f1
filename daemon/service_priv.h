/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of the running service: service.c starts and stops it, reload.c changes it. */
#include "daemon/service.h"
#include "iscsi/server.h"
#include "scsi/lu.h"
#include "util/list.h"
#include <glib.h>
#include <semaphore.h>

struct service_portal;

struct service_lu {
	struct scsi_lu *lu;
	uint8_t uuid[16];
	uint64_t device_id;
	char name[65]; /* config_name_valid(); "" for none */
	bool both_front_ends;
	unsigned n_luns; /* iSCSI targets that map it, each LUN counted */
};

struct service {
	struct service_portal *portals;
	unsigned n_portals;
	struct reactors *reactors;
	uint32_t max_transfer;
	char *state_dir;	/* NULL: none */
	struct service_lu *lus; /* in the order of the configuration's storages */
	unsigned n_lus;
	struct scsi_target **targets; /* in the order of the configuration that it started with */
	unsigned n_targets;
	struct iscsi_server *server;
	struct list leaving; /* struct leaving_lu.node: unmapped, in use still */
	guint leaving_timer; /* GLib's source; 0: none */
	struct config_tcmu tcmu;
	struct list kernels; /* struct service_kernel.node: TCMU devices that are served */
	int kernel_pipe[2];  /* through which those come that have stopped */
	bool kernel_piped;   /* it is open */
	guint kernel_source; /* GLib's, of it; 0: none */
	bool embedded;	     /* see struct config */
	struct tcmu_consumer *consumer; /* NULL: none */
	sem_t stopped; /* not GLib's: the thread sanitizer does not see into those */
	bool started;
};

/* The exit code that fits a negative errno. */
int service_exit_code(int error);
int service_out_of_memory(void); /* says so; EXIT_FAILED */

/* Counts the LUNs of each storage: the order of @lus is that of the configuration's. */
void service_count_luns(const struct config *config, struct service_lu *lus);

/* ---- service_lus.c ---- */

/* Which UUIDs are taken: a set of pointers into @lus, of those that are open. */
GHashTable *service_uuids_new(struct service_lu *lus, unsigned n_lus);

/**
 * service_open_lu() - open what a storage names
 * @uuids: those that are taken; gets that of @ret_lu, which it points into
 * Return: EXIT_OK; else what fits, and it has been said.
 */
int service_open_lu(const struct service *service, const struct config_storage *storage,
		    GHashTable *uuids, struct service_lu *ret_lu);

/* The same without a word. Return: 0; -errno with a text, which names the store. */
int service_try_lu(const struct service *service, const struct config_storage *storage,
		   GHashTable *uuids, struct service_lu *ret_lu, char *ret_why, size_t why_len);

/*
 * Flushes it first; nobody else uses it. @engine: see scsi_lu_flush_now(). Return: EXIT_OK, or
 * EXIT_FAILED, which has been said.
 */
int service_close_lu(struct scsi_lu *lu, struct engine **engine);

/* Closes @lu, which no target maps any more, once the last command to it has ended. */
void service_let_go(struct service *service, struct scsi_lu *lu);

/* Closes what is left of those, at the end. Return: as service_close_lu(). */
int service_close_leaving(struct service *service, struct engine **engine);

/* ---- service_chap.c ---- */

/**
 * service_read_chap() - the secrets of all targets
 * @ret_secrets: a reference for each target of @config, in its order; NULL for those without
 * Return: EXIT_OK; else what fits, and it has been said.
 */
int service_read_chap(const struct config *config, struct iscsi_chap_secrets ***ret_secrets);
void service_drop_chap(const struct config *config, struct iscsi_chap_secrets **secrets);
