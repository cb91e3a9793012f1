/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Auto contingent allegiance as an initiator knows it: commands with NACA, some of which fail for
 * certain; what others may be told meanwhile; commands with the ACA attribute; CLEAR ACA. What is
 * judged: nothing but an ACA explains ACA ACTIVE or BUSY; no command that came while one was
 * certainly in force is done, and none that was waiting for its data then, until it is cleared.
 * Source: SAM-6 r04, auto contingent allegiance.
 */
#include "initiator.h"

enum { NACA = 0x04, READ_10 = 0x28, ATTR_ACA = 4 };
enum { GOOD = 0x00, CHECK_CONDITION = 0x02, BUSY = 0x08, ACA_ACTIVE = 0x30 };
enum { PAST_THE_END = 0x2100, INVALID_MESSAGE = 0x4900 };

static void set_state(struct initiator *ini, enum aca_state state)
{
	struct world *world = ini->world;

	world->n_acas += (state != ACA_NONE) - (ini->aca != ACA_NONE);
	if (state == ACA_NONE && ini->aca != ACA_NONE)
		world->aca_ended_ns = sim_now(world->sim);
	ini->aca = state;
}

/* None is known of; but what is under way with NACA may begin one. */
static void none_known(struct initiator *ini)
{
	set_state(ini, ini->n_naca ? ACA_PERHAPS : ACA_NONE);
}

/* Since it began nobody can have ended it. */
static bool in_force(const struct initiator *ini)
{
	return ini->aca == ACA_IN_FORCE && ini->aca_resets == ini->world->resets_sent;
}

static bool was_in_force(const struct initiator *ini, const struct command *cmd)
{
	return cmd->aca && cmd->aca == ini->n_acas && in_force(ini);
}

/* ---- commands ---- */

static uint8_t *control_of(struct command *cmd)
{
	static const uint8_t last[8] = {5, 9, 9, 0, 15, 11};

	return &cmd->cdb[last[cmd->cdb[0] >> 5]];
}

void aca_prepare(struct initiator *ini, struct command *cmd)
{
	/* while one with the attribute is under way, which ends it by failing, nothing is certain
	 */
	bool certain = in_force(ini) && !ini->aca_command;

	if (!ini->world->quiet && ini_chance(ini, 10))
		*control_of(cmd) |= NACA;
	if (certain && ini_chance(ini, 300)) {
		cmd->attr = ATTR_ACA;
		ini->aca_command = true;
	}
	cmd->naca = *control_of(cmd) & NACA;
	cmd->aca = certain ? ini->n_acas : 0;
	/* One that is under way may be carried out after this command, and be answered before. */
	cmd->resets = ini->world->resets_sent - (ini->world->n_resetting ? 1 : 0);
	ini->n_naca += cmd->naca;
	if (cmd->naca && ini->aca == ACA_NONE)
		set_state(ini, ACA_PERHAPS);
}

/* A READ of a block that is not there. */
void aca_send_fault(struct initiator *ini)
{
	struct command *cmd = command_new(ini, CMD_OTHER, ini->world->block_size);

	cmd->cdb[0] = READ_10;
	be32_put(cmd->cdb + 2, (uint32_t)ini->world->n_blocks);
	cmd->cdb[8] = 1;
	*control_of(cmd) |= NACA;
	command_send(ini, cmd);
}

static bool is_fault(const struct command *cmd)
{
	return cmd->kind == CMD_OTHER && cmd->cdb[0] == READ_10;
}

/* ---- what came of them ---- */

static bool may_have_been(const struct world *world, const struct command *cmd)
{
	return world->n_acas || world->aca_ended_ns >= cmd->sent_ns;
}

bool aca_explains(const struct initiator *ini, const struct command *cmd, const struct reply *reply)
{
	bool served = cmd->attr == ATTR_ACA && was_in_force(ini, cmd);

	switch (reply->status) {
	case ACA_ACTIVE:
		return may_have_been(ini->world, cmd) && !served;
	case BUSY:
		return may_have_been(ini->world, cmd) && !was_in_force(ini, cmd);
	case CHECK_CONDITION:
		return (is_fault(cmd) && reply->asc == PAST_THE_END) ||
		       (cmd->attr == ATTR_ACA && !served && reply->asc == INVALID_MESSAGE);
	default:
		return false;
	}
}

static void begins(struct initiator *ini, const struct command *cmd)
{
	const struct world *world = ini->world;
	bool certain =
		cmd->resets == world->resets_sent && !world->n_resetting && !ini->clearing_aca;

	ini->world->counts.acas++;
	ini->n_acas++;
	ini->aca_resets = ini->world->resets_sent;
	set_state(ini, certain ? ACA_IN_FORCE : ACA_PERHAPS);
	list_for_each (other, &ini->commands, struct command, node)
		other->waits = certain && (other->n_bursts || other->asked < other->len) &&
			       other->kind == CMD_WRITE;
}

/* Why a command cannot be GOOD; NULL: it can. */
static const char *why_not(const struct initiator *ini, const struct command *cmd)
{
	if (is_fault(cmd))
		return "of a block that is not there";
	if (cmd->attr == ATTR_ACA)
		return NULL;
	if (cmd->aca && cmd->resets == ini->world->resets_sent)
		return "though it came in an ACA";
	return cmd->waits && in_force(ini) ? "though an ACA blocks it" : NULL;
}

void aca_command_done(struct initiator *ini, const struct command *cmd, const struct reply *reply)
{
	bool good = reply->answered && reply->status == GOOD;

	ini->n_naca -= cmd->naca;
	if (cmd->attr == ATTR_ACA)
		ini->aca_command = false;
	if (good && why_not(ini, cmd))
		world_fail(ini->world, "initiator %u: CDB %02x is GOOD %s", ini->index, cmd->cdb[0],
			   why_not(ini, cmd));
	if (good && cmd->attr == ATTR_ACA)
		ini->world->counts.aca_commands++;
	if (reply->answered && reply->status == CHECK_CONDITION && cmd->naca)
		begins(ini, cmd);
	else if (reply->answered && reply->status == CHECK_CONDITION && cmd->attr == ATTR_ACA)
		set_state(ini, ACA_PERHAPS); /* which ends it; CLEAR ACA makes sure */
}

/* ---- its end ---- */

void aca_resetting(struct initiator *ini, bool yes)
{
	ini->world->resets_sent += yes;
	ini->world->n_resetting += yes - ini->resetting;
	ini->resetting = yes;
}

bool aca_wants_clear(struct initiator *ini)
{
	if (ini->aca == ACA_NONE || (ini->aca == ACA_PERHAPS && ini->n_naca))
		return false;
	return ini->world->quiet || ini_chance(ini, 100);
}

void aca_clearing(struct initiator *ini)
{
	ini->clearing_aca = true;
	ini->cleared_aca = ini->n_acas;
	if (ini->aca == ACA_IN_FORCE)
		set_state(ini, ACA_PERHAPS);
}

/* Unless another has begun meanwhile. */
void aca_cleared(struct initiator *ini)
{
	ini->clearing_aca = false;
	if (ini->cleared_aca == ini->n_acas)
		none_known(ini);
}

/* It lasts until the target knows of it. */
void aca_nexus_lost(struct initiator *ini)
{
	ini->n_naca = 0;
	ini->aca_command = ini->clearing_aca = false;
	if (ini->aca == ACA_IN_FORCE)
		set_state(ini, ACA_PERHAPS);
}

void aca_nexus_new(struct initiator *ini)
{
	aca_resetting(ini, false);
	none_known(ini);
}
