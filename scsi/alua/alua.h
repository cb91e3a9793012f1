/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Target ports, the groups they are in, and what a path in a group's state is good for.
 * Groups and ports are fixed once the first nexus exists; their states are atomics, read by each
 * command. Source: SPC-5 r22, asymmetric logical unit access.
 */
#include "scsi/lu_priv.h"
#include "util/bytes.h"

#define ALUA_DEFAULT_GROUP 1
#define ALUA_GROUP_PORTS_MAX 255 /* TARGET PORT COUNT is a byte */

/* STATUS CODE: what altered the state last */
enum alua_status { ALUA_NO_STATUS, ALUA_BY_COMMAND, ALUA_BY_ITSELF };

struct scsi_port_group {
	uint16_t id;
	atomic_uchar state;  /* enum scsi_alua_state */
	atomic_uchar status; /* enum alua_status */
	atomic_bool preferred;
};

struct scsi_port {
	uint16_t rel;	/* relative target port identifier */
	unsigned group; /* index */
	bool present;	/* the target is reached through it */
};

struct scsi_alua {
	struct scsi_port_group *groups; /* by id */
	unsigned n_groups;
	struct scsi_port *ports; /* by rel; those of the configuration, present or not */
	unsigned n_ports;
	bool configured, implicit, explicit_too;
	bool referrals; /* are supported */
	char *hook;
	pthread_mutex_t changing; /* held through a transition: helpers only */
};

struct scsi_alua *scsi_alua_new(void); /* NULL: no memory */
void scsi_alua_free(struct scsi_alua *alua);

/* The group of a port that is present; NULL otherwise. */
const struct scsi_port_group *scsi_alua_group_of(const struct scsi_alua *alua, uint16_t rel_port);
struct scsi_port_group *scsi_alua_find_group(const struct scsi_alua *alua, uint16_t id);
/* Whether it has a port that is present: a group without any is none to a host. */
bool scsi_alua_group_is_present(const struct scsi_alua *alua, unsigned index);
unsigned scsi_alua_n_present(const struct scsi_alua *alua);

static inline bool scsi_alua_implicit(const struct scsi_target *target)
{
	return target->alua->implicit;
}

/* TPGS of standard INQUIRY data, in place; 0 on a port that nobody has told us of. */
uint8_t scsi_alua_tpgs(const struct scsi_nexus *nexus);

static inline enum scsi_alua_state scsi_alua_state(const struct scsi_nexus *nexus)
{
	const struct scsi_port_group *group = nexus->group;

	return group ? atomic_load_explicit(&((struct scsi_port_group *)group)->state,
					    memory_order_acquire)
		     : ALUA_OPTIMIZED;
}

/* A report of up to @len bytes: what the target has says how many, not what is asked for. Return:
 * false: no memory; else they are the task's own. */
bool scsi_alua_begin(struct scsi_task *task, size_t len, struct bytes_out *ret_out);

/* SCSI_READY; or SCSI_DONE with NOT READY, for what @task's path is not good for now. */
enum scsi_step scsi_alua_check(struct scsi_task *task);

struct scsi_alua_move {
	struct scsi_port_group *group;
	enum scsi_alua_state to;
};

/**
 * scsi_alua_transition() - moves groups to their states, through ALUA_TRANSITIONING
 * @asker: whose SET TARGET PORT GROUPS it is; NULL: an implicit one
 * Blocks while the hook runs. Return: as scsi_target_set_group().
 */
int scsi_alua_transition(struct scsi_target *target, const struct scsi_alua_move *moves, unsigned n,
			 const struct scsi_nexus *asker);

/* Runs the hook and waits for it. Return: 0; -EIO when it fails; -ETIMEDOUT; -errno. */
int scsi_alua_run_hook(const char *hook, const char *target, uint16_t group,
		       enum scsi_alua_state state);

/* "active/optimized", …; NULL for what is no state. */
const char *scsi_alua_state_name(enum scsi_alua_state state);

enum scsi_step scsi_alua_report(struct scsi_task *task);   /* REPORT TARGET PORT GROUPS */
enum scsi_step scsi_alua_plan_set(struct scsi_task *task); /* SET TARGET PORT GROUPS */
enum scsi_step scsi_alua_set(struct scsi_task *task);
bool scsi_alua_report_offered(const struct scsi_nexus *nexus);
bool scsi_alua_set_offered(const struct scsi_nexus *nexus);

enum scsi_step scsi_referrals_report(struct scsi_task *task); /* REPORT REFERRALS */
bool scsi_referrals_offered(const struct scsi_nexus *nexus);
