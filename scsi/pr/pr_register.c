/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registering: for the nexus that asks, for the initiator's nexuses with all ports of the target
 * (ALL_TG_PT), for other initiators (SPEC_I_PT), and moving a reservation to another nexus.
 * Source: SPC-5 r22, registering; registering and moving the reservation; unregistering.
 */
#include "scsi/alua/alua.h"
#include "scsi/pr/pr_priv.h"
#include <errno.h>

enum { PORTS_MAX = 256 };

static enum scsi_step conflict(struct pr_out *out)
{
	return scsi_finish(out->task, STATUS_RESERVATION_CONFLICT);
}

static enum scsi_step short_of(struct pr_out *out, int error)
{
	if (error == -ENOSPC)
		return scsi_check(out->task, SENSE_REGISTRATION_RESOURCES);
	return scsi_finish(out->task, STATUS_BUSY);
}

/* APTPL of a command that registers; the last one decides. */
static enum scsi_step set_aptpl(struct pr_out *out, bool aptpl, unsigned byte)
{
	if (aptpl && !out->task->lu->state_dir)
		return scsi_check_param(out->task, byte, PR_APTPL);
	out->pr->aptpl = aptpl;
	return SCSI_READY;
}

/* Ports of the target: the one that was asked through comes first. Return: how many. */
static unsigned all_ports(const struct pr_out *out, uint16_t ports[PORTS_MAX])
{
	const struct scsi_alua *known = out->task->nexus->target->alua;
	unsigned n = 1;

	ports[0] = out->asker.rel_port;
	for (unsigned i = 0; i < known->n_ports && n < PORTS_MAX; i++)
		if (known->ports[i].present && known->ports[i].rel != ports[0])
			ports[n++] = known->ports[i].rel;
	return n;
}

static unsigned ports_in_reach(const struct pr_out *out, uint16_t ports[PORTS_MAX])
{
	ports[0] = out->asker.rel_port;
	return out->list[20] & PR_ALL_TG_PT ? all_ports(out, ports) : 1;
}

/* One registration made, changed or ended; SCSI_DONE with the answer when it cannot be. */
static enum scsi_step set_key(struct pr_out *out, const struct pr_name *name)
{
	bool ignore = out->task->op->sa == PR_REGISTER_AND_IGNORE;
	int i = pr_find(out->pr, name);
	int r;

	if (i < 0 && !out->sa_key && name->rel_port != out->asker.rel_port)
		return SCSI_READY; /* of all ports, one that has nothing to end */
	if (!ignore && out->key != (i < 0 ? 0 : out->pr->all[i].key))
		return conflict(out);
	if (i < 0 && out->sa_key) {
		r = pr_add(&out->pr, name, out->sa_key);
		return r < 0 ? short_of(out, r) : SCSI_READY;
	}
	if (i >= 0 && out->sa_key)
		out->pr->all[i].key = out->sa_key;
	else if (i >= 0)
		pr_unregister(out->pr, (unsigned)i);
	return SCSI_READY;
}

/* ---- SPEC_I_PT ---- */

static enum scsi_step add_initiator(struct pr_out *out, const char *initiator)
{
	struct pr_name name = {.initiator = initiator, .target = out->asker.target};
	uint16_t ports[PORTS_MAX];
	unsigned n = ports_in_reach(out, ports);

	for (unsigned p = 0; p < n; p++) {
		int r;

		name.rel_port = ports[p];
		if (pr_find(out->pr, &name) >= 0)
			continue; /* only those that are not registered yet */
		r = pr_add(&out->pr, &name, out->sa_key);
		if (r < 0)
			return short_of(out, r);
	}
	return SCSI_READY;
}

static bool port_is_of_device(const char *port, const char *device)
{
	size_t len = strlen(device);

	return strncmp(port, device, len) == 0 && port[len] == ',';
}

/* A device by its name: all ports of it that this LU knows. */
static enum scsi_step add_device(struct pr_out *out, const char *device, unsigned at)
{
	struct scsi_lu *lu = out->task->lu;
	enum scsi_step step = SCSI_READY;
	bool known = false;

	pthread_mutex_lock(&lu->lock);
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node) {
		if (step == SCSI_DONE || !port_is_of_device(itl->nexus->initiator, device))
			continue;
		known = true;
		step = add_initiator(out, itl->nexus->initiator);
	}
	pthread_mutex_unlock(&lu->lock);
	return known ? step : scsi_check_param(out->task, at, 0);
}

static enum scsi_step add_listed(struct pr_out *out)
{
	struct bytes_in in = bytes_in(out->list + PR_LIST_LEN, out->list_len - PR_LIST_LEN);
	uint32_t ids_len = in_be32(&in);
	enum scsi_step step = SCSI_READY;

	if (in.bad || ids_len != in.left)
		return scsi_check(out->task, SENSE_PARAMETER_LIST_LENGTH);
	while (in.left && step == SCSI_READY) {
		unsigned at = (unsigned)(out->list_len - in.left);
		struct pr_transport_id id;
		int bad = pr_transport_id_read(&in, &id);

		if (bad >= 0)
			return scsi_check_param(out->task, at + (unsigned)bad, 0);
		step = id.is_device ? add_device(out, id.name, at + 4)
				    : add_initiator(out, id.name);
	}
	return step;
}

/* ---- REGISTER, REGISTER AND IGNORE EXISTING KEY ---- */

static enum scsi_step check_spec_i_pt(struct pr_out *out)
{
	bool ignore = out->task->op->sa == PR_REGISTER_AND_IGNORE;

	if (!(out->list[20] & PR_SPEC_I_PT))
		return out->list_len == PR_LIST_LEN
			       ? SCSI_READY
			       : scsi_check(out->task, SENSE_PARAMETER_LIST_LENGTH);
	/* For others, only who comes new may register, and only with REGISTER. */
	if (ignore || (out->self >= 0 && out->pr->all[out->self].key == out->key))
		return scsi_check_param(out->task, 20, PR_SPEC_I_PT);
	return SCSI_READY;
}

enum scsi_step pr_act_register(struct pr_out *out)
{
	uint16_t ports[PORTS_MAX];
	unsigned n = ports_in_reach(out, ports);
	enum scsi_step step = check_spec_i_pt(out);

	if (step == SCSI_READY)
		step = set_aptpl(out, out->list[20] & PR_APTPL, 20);
	for (unsigned p = 0; p < n && step == SCSI_READY; p++) {
		struct pr_name name = out->asker;

		name.rel_port = ports[p];
		step = set_key(out, &name);
	}
	if (step == SCSI_READY && (out->list[20] & PR_SPEC_I_PT) && out->sa_key)
		step = add_listed(out);
	if (step == SCSI_READY)
		out->pr->generation++;
	return step;
}

/* ---- REGISTER AND MOVE ---- */

static enum scsi_step read_destination(struct pr_out *out, struct pr_transport_id *id,
				       struct pr_name *ret_name)
{
	struct bytes_in in = bytes_in(out->list + 18, out->list_len - 18);
	uint16_t rel_port = in_be16(&in), ports[PORTS_MAX];
	unsigned n = all_ports(out, ports);
	uint32_t id_len = in_be32(&in);
	int bad;

	if (in.bad || id_len != in.left)
		return scsi_check(out->task, SENSE_PARAMETER_LIST_LENGTH);
	while (n && ports[n - 1] != rel_port)
		n--;
	if (!n)
		return scsi_check_param(out->task, 18, 0);
	bad = pr_transport_id_read(&in, id);
	if (bad >= 0 || in.left)
		return scsi_check_param(out->task, PR_LIST_LEN + (bad >= 0 ? (unsigned)bad : 2), 0);
	*ret_name = (struct pr_name){id->name, out->asker.target, rel_port};
	if (id->is_device || pr_find(out->pr, ret_name) == out->self)
		return scsi_check_param(out->task, PR_LIST_LEN, 0);
	return SCSI_READY;
}

/* The nexus that gets the reservation is registered, or its key changed. */
static enum scsi_step move_to(struct pr_out *out, const struct pr_name *name)
{
	int to = pr_find(out->pr, name);
	int r;

	if (to < 0) {
		r = pr_add(&out->pr, name, out->sa_key);
		if (r < 0)
			return short_of(out, r);
		to = (int)out->pr->n - 1;
	}
	out->pr->all[to].key = out->sa_key;
	out->pr->holder = (unsigned)to;
	if (out->list[17] & PR_MOVE_UNREG)
		pr_remove(out->pr, (unsigned)out->self);
	out->pr->generation++;
	return SCSI_READY;
}

enum scsi_step pr_act_move(struct pr_out *out)
{
	struct pr_transport_id id;
	struct pr_name name;
	enum scsi_step step;

	if (!out->pr->type)
		return scsi_check_field(out->task, 1, 0x1f);
	if (pr_type_is_all_registrants(out->pr->type) || !pr_holds(out->pr, out->self))
		return conflict(out);
	if (!out->sa_key)
		return scsi_check_param(out->task, 8, 0);
	step = set_aptpl(out, out->list[17] & PR_MOVE_APTPL, 17);
	if (step == SCSI_READY)
		step = read_destination(out, &id, &name);
	return step == SCSI_READY ? move_to(out, &name) : step;
}
