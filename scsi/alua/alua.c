/* SPDX-License-Identifier: Apache-2.0 */
/* Ports and groups of a target, and the check of each command against its path's state. */
#include "scsi/alua/alua.h"
#include <errno.h>

static struct scsi_port_group *groups_new(unsigned n)
{
	return calloc(n, sizeof(struct scsi_port_group));
}

struct scsi_alua *scsi_alua_new(void)
{
	struct scsi_alua *alua = calloc(1, sizeof(*alua));

	if (!alua)
		return NULL;
	alua->groups = groups_new(1);
	if (!alua->groups) {
		free(alua);
		return NULL;
	}
	pthread_mutex_init(&alua->changing, NULL);
	alua->groups[0].id = ALUA_DEFAULT_GROUP;
	alua->n_groups = 1;
	alua->implicit = true;
	return alua;
}

void scsi_alua_free(struct scsi_alua *alua)
{
	if (!alua)
		return;
	pthread_mutex_destroy(&alua->changing);
	free(alua->groups);
	free(alua->ports);
	free(alua->hook);
	free(alua);
}

/* ---- ports ---- */

/* Where a port is, or would be. */
static unsigned port_place(const struct scsi_alua *alua, uint16_t rel)
{
	unsigned i = 0;

	while (i < alua->n_ports && alua->ports[i].rel < rel)
		i++;
	return i;
}

static struct scsi_port *port_find(const struct scsi_alua *alua, uint16_t rel)
{
	unsigned i = port_place(alua, rel);

	return i < alua->n_ports && alua->ports[i].rel == rel ? &alua->ports[i] : NULL;
}

static unsigned n_in_group(const struct scsi_alua *alua, unsigned group)
{
	unsigned n = 0;

	for (unsigned i = 0; i < alua->n_ports; i++)
		n += alua->ports[i].group == group;
	return n;
}

static int port_add(struct scsi_alua *alua, uint16_t rel, unsigned group, bool present)
{
	unsigned at = port_place(alua, rel);
	struct scsi_port *ports;

	if (port_find(alua, rel))
		return -EEXIST;
	if (n_in_group(alua, group) == ALUA_GROUP_PORTS_MAX)
		return -ENOSPC;
	ports = reallocarray(alua->ports, alua->n_ports + 1u, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	alua->ports = ports;
	memmove(ports + at + 1, ports + at, (alua->n_ports - at) * sizeof(*ports));
	ports[at] = (struct scsi_port){.rel = rel, .group = group, .present = present};
	alua->n_ports++;
	return 0;
}

int scsi_target_add_port(struct scsi_target *target, uint16_t rel_port)
{
	struct scsi_alua *alua = target->alua;
	struct scsi_port *port = port_find(alua, rel_port);

	if (!port)
		return alua->configured ? -EINVAL : port_add(alua, rel_port, 0, true);
	port->present = true;
	return 0;
}

bool scsi_alua_begin(struct scsi_task *task, size_t len, struct bytes_out *ret_out)
{
	task->own = malloc(len);
	if (task->own)
		*ret_out = bytes_out(task->own, len);
	return task->own;
}

bool scsi_alua_group_is_present(const struct scsi_alua *alua, unsigned index)
{
	for (unsigned i = 0; i < alua->n_ports; i++)
		if (alua->ports[i].group == index && alua->ports[i].present)
			return true;
	return false;
}

unsigned scsi_alua_n_present(const struct scsi_alua *alua)
{
	unsigned n = 0;

	for (unsigned i = 0; i < alua->n_ports; i++)
		n += alua->ports[i].present;
	return n;
}

/* ---- groups ---- */

static int fill(struct scsi_alua *alua, const struct scsi_alua_config *cfg)
{
	int r = 0;

	for (unsigned g = 0; g < cfg->n_groups; g++) {
		const struct scsi_alua_group *from = &cfg->groups[g];
		struct scsi_port_group *group = &alua->groups[g];

		if ((g && from->id <= cfg->groups[g - 1].id) ||
		    !scsi_alua_state_name(from->state) || from->state == ALUA_TRANSITIONING)
			return -EINVAL;
		group->id = from->id;
		group->state = (uint8_t)from->state;
		group->preferred = from->preferred;
		for (unsigned i = 0; r == 0 && i < from->n_ports; i++)
			r = port_add(alua, from->ports[i], g, false);
	}
	return r;
}

int scsi_target_set_alua(struct scsi_target *target, const struct scsi_alua_config *cfg)
{
	struct scsi_alua *alua = scsi_alua_new();
	int r;

	if (!alua)
		return -ENOMEM;
	free(alua->groups);
	alua->groups = groups_new(cfg->n_groups ? cfg->n_groups : 1);
	alua->n_groups = cfg->n_groups;
	alua->configured = true;
	alua->implicit = cfg->implicit;
	alua->explicit_too = cfg->explicit_too;
	alua->referrals = cfg->referrals;
	alua->hook = cfg->hook ? strdup(cfg->hook) : NULL;
	r = !alua->groups || (cfg->hook && !alua->hook) ? -ENOMEM : fill(alua, cfg);
	if (r < 0) {
		scsi_alua_free(alua);
		return r;
	}
	scsi_alua_free(target->alua);
	target->alua = alua;
	return 0;
}

const struct scsi_port_group *scsi_alua_group_of(const struct scsi_alua *alua, uint16_t rel_port)
{
	const struct scsi_port *port = port_find(alua, rel_port);

	return port && port->present ? &alua->groups[port->group] : NULL;
}

struct scsi_port_group *scsi_alua_find_group(const struct scsi_alua *alua, uint16_t id)
{
	for (unsigned g = 0; g < alua->n_groups; g++)
		if (alua->groups[g].id == id)
			return &alua->groups[g];
	return NULL;
}

uint8_t scsi_alua_tpgs(const struct scsi_nexus *nexus)
{
	enum { TPGS_IMPLICIT = 0x10, TPGS_EXPLICIT = 0x20 };
	const struct scsi_alua *alua = nexus->target->alua;

	if (!nexus->group)
		return 0;
	return (alua->implicit ? TPGS_IMPLICIT : 0) | (alua->explicit_too ? TPGS_EXPLICIT : 0);
}

const char *scsi_alua_state_name(enum scsi_alua_state state)
{
	static const char *const names[16] = {
		[ALUA_OPTIMIZED] = "active/optimized",
		[ALUA_NON_OPTIMIZED] = "active/non-optimized",
		[ALUA_STANDBY] = "standby",
		[ALUA_UNAVAILABLE] = "unavailable",
		[ALUA_OFFLINE] = "offline",
		[ALUA_TRANSITIONING] = "transitioning",
	};

	return (unsigned)state < 16 ? names[state] : NULL;
}

/* ---- the check of a command ---- */

enum scsi_step scsi_alua_check(struct scsi_task *task)
{
	static const struct {
		enum scsi_paths least;
		enum scsi_sense_code sense;
	} bars[16] = {
		[ALUA_STANDBY] = {PATHS_STANDBY, SENSE_NOT_READY_STANDBY},
		[ALUA_UNAVAILABLE] = {PATHS_SETTLED, SENSE_NOT_READY_UNAVAILABLE},
		[ALUA_OFFLINE] = {PATHS_SETTLED, SENSE_NOT_READY_OFFLINE},
		[ALUA_TRANSITIONING] = {PATHS_ALL, SENSE_NOT_READY_TRANSITION},
	};
	enum scsi_alua_state state = scsi_alua_state(task->nexus);

	if (state <= ALUA_NON_OPTIMIZED || task->op->access == ACCESS_ANY ||
	    task->op->paths >= bars[state].least)
		return SCSI_READY;
	return scsi_check(task, bars[state].sense);
}
