/* SPDX-License-Identifier: Apache-2.0 */
/* The model initiator's full feature phase. Source: RFC 7143 11. */
#include "initiator.h"
#include <stdlib.h>

#define TX_ENOUGH (32 << 10) /* bytes queued, past which no more data is made */

/* Task management functions and flags of byte 1 */
enum { ABORT_TASK = 1, CLEAR_ACA = 3, LU_RESET = 5 };
enum { CMD_READS = 0x40, CMD_WRITES = 0x20, ATTR_SIMPLE = 1 };
enum { DATA_STATUS = 0x01, RESIDUAL_UNDER = 0x02, RESIDUAL_OVER = 0x04 };

/* ---- commands ---- */

bool command_possible(const struct initiator *ini)
{
	return ini->phase == INI_FULL && !sn_before(ini->max_cmdsn, ini->cmdsn) &&
	       ini->tx_len < TX_ENOUGH &&
	       (ini->tmf_itt == ISCSI_RESERVED_TAG || ini->tmf_ref != ISCSI_RESERVED_TAG);
}

struct command *command_new(struct initiator *ini, enum command_kind kind, uint32_t len)
{
	struct command *cmd = calloc(1, sizeof(*cmd));

	if (!cmd)
		abort();
	cmd->data = calloc(1, len ? len : 1);
	if (!cmd->data)
		abort();
	cmd->kind = kind;
	cmd->len = cmd->expect = len;
	list_init(&cmd->node);
	list_init(&cmd->unsol_node);
	cmd->itt = initiator_itt(ini);
	return cmd;
}

void command_free(struct initiator *ini, struct command *cmd)
{
	if (!list_empty(&cmd->node))
		ini->n_commands--;
	list_del(&cmd->node);
	list_del(&cmd->unsol_node);
	free(cmd->data);
	free(cmd);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How much of a write comes unasked. Return: the immediate part; the rest becomes a burst. */
static uint32_t plan_unsolicited(struct initiator *ini, struct command *cmd)
{
	const struct login_terms *terms = &ini->terms;
	uint32_t first = smaller(cmd->len, terms->first_burst), now = 0;

	if (terms->immediate_data && ini_chance(ini, 800)) {
		now = smaller(first, terms->max_send);
		if (now && ini_chance(ini, 200))
			now = 1 + (uint32_t)ini_below(ini, now);
	}
	cmd->asked = now;
	if (!terms->initial_r2t && now < first && ini_chance(ini, 800)) {
		cmd->bursts[cmd->n_bursts++] = (struct burst){
			.ttt = ISCSI_RESERVED_TAG, .offset = now, .left = first - now};
		cmd->asked = first;
		list_push_back(&ini->unsolicited, &cmd->unsol_node);
	}
	return now;
}

void command_send(struct initiator *ini, struct command *cmd)
{
	struct iscsi_bhs bhs = {{OP_SCSI_CMD}};
	bool writes = cmd->kind == CMD_WRITE;
	uint32_t immediate = writes ? plan_unsolicited(ini, cmd) : 0;

	aca_prepare(ini, cmd);
	bhs.b[1] = cmd->attr ? cmd->attr : ATTR_SIMPLE;
	if (!cmd->n_bursts)
		bhs.b[1] |= BHS_FINAL;
	if (writes)
		bhs.b[1] |= CMD_WRITES;
	else if (cmd->expect)
		bhs.b[1] |= CMD_READS;
	bhs_set_lun(&bhs, cmd->lun);
	bhs_set_itt(&bhs, cmd->itt);
	be32_put(bhs.b + 20, cmd->expect);
	memcpy(bhs.b + 32, cmd->cdb, 16);
	ini->world->counts.commands++;
	cmd->cmdsn = ini->cmdsn;
	initiator_number(ini, &bhs, false);
	list_push_back(&ini->commands, &cmd->node);
	ini->n_commands++;
	cmd->sent_ns = sim_now(ini->world->sim);
	initiator_send(ini, &bhs, cmd->data, immediate);
	command_pump(ini);
}

static struct command *command_find(struct initiator *ini, const struct iscsi_bhs *bhs)
{
	list_for_each (cmd, &ini->commands, struct command, node)
		if (cmd->itt == bhs_itt(bhs))
			return cmd;
	world_fail(ini->world, "initiator %u: PDU %02xh, status %02xh, for no task: ITT %08x",
		   ini->index, bhs_opcode(bhs), bhs->b[3], bhs_itt(bhs));
	return NULL;
}

static void command_finish(struct initiator *ini, struct command *cmd, const struct reply *reply)
{
	/* With the status the tag is free. Not after a write, for which data may be on its way; nor
	 * under task management, which may be about that tag. */
	bool frees = cmd->kind != CMD_WRITE && ini->tmf_itt == ISCSI_RESERVED_TAG;
	uint32_t itt = cmd->itt;

	player_done(ini, cmd, reply);
	command_free(ini, cmd);
	if (frees && ini_chance(ini, 500))
		ini->free_itt = itt;
}

/* ---- Data-Out ---- */

static void data_out_send(struct initiator *ini, struct command *cmd)
{
	struct burst *burst = &cmd->bursts[0];
	struct iscsi_bhs bhs = {{OP_DATA_OUT}};
	uint32_t n = smaller(burst->left, ini->terms.max_send);

	if (n > 1 && ini_chance(ini, 100))
		n = 1 + (uint32_t)ini_below(ini, n);
	bhs.b[1] = n == burst->left ? BHS_FINAL : 0;
	if (burst->ttt != ISCSI_RESERVED_TAG)
		bhs_set_lun(&bhs, cmd->lun);
	bhs_set_itt(&bhs, cmd->itt);
	bhs_set_ttt(&bhs, burst->ttt);
	be32_put(bhs.b + 28, ini->exp_statsn);
	be32_put(bhs.b + 36, burst->datasn++);
	be32_put(bhs.b + 40, burst->offset);
	initiator_send(ini, &bhs, cmd->data + burst->offset, n);
	burst->offset += n;
	burst->left -= n;
	if (burst->left)
		return;
	if (burst->ttt == ISCSI_RESERVED_TAG)
		ini->world->counts.unsolicited++;
	list_del(&cmd->unsol_node);
	cmd->n_bursts--;
	memmove(cmd->bursts, cmd->bursts + 1, cmd->n_bursts * sizeof(*burst));
}

/* Solicited data of any command; unsolicited data in the order of the commands (RFC 7143 4.2.5). */
static struct command *pick_sender(struct initiator *ini)
{
	struct command *pick = NULL;
	unsigned n = 0;

	list_for_each (cmd, &ini->commands, struct command, node) {
		bool may = cmd->n_bursts && (list_empty(&cmd->unsol_node) ||
					     ini->unsolicited.next == &cmd->unsol_node);

		if (may && ini_below(ini, ++n) == 0)
			pick = cmd;
	}
	return pick;
}

void command_pump(struct initiator *ini)
{
	struct command *cmd;

	while (ini->tx_len < TX_ENOUGH && (cmd = pick_sender(ini))) {
		data_out_send(ini, cmd);
		if (ini_chance(ini, 200)) {
			player_kick(ini); /* room for other PDUs in between */
			return;
		}
	}
}

static void take_r2t(struct initiator *ini, const struct iscsi_bhs *bhs)
{
	struct command *cmd = command_find(ini, bhs);
	uint32_t r2tsn = be32_get(bhs->b + 36), offset = be32_get(bhs->b + 40);
	uint32_t len = be32_get(bhs->b + 44);

	if (!cmd)
		return;
	if (cmd->kind != CMD_WRITE || r2tsn != cmd->r2tsn || offset != cmd->asked || !len ||
	    len > cmd->len - offset || len > ini->terms.max_burst ||
	    cmd->n_bursts >= INITIATOR_R2TS ||
	    cmd->n_bursts - !list_empty(&cmd->unsol_node) >= ini->terms.max_r2t ||
	    bhs_ttt(bhs) == ISCSI_RESERVED_TAG || bhs_lun(bhs) != cmd->lun) {
		world_fail(ini->world, "initiator %u: R2T %u for %u bytes at %u of %u, %u open",
			   ini->index, r2tsn, len, offset, cmd->len, cmd->n_bursts);
		return;
	}
	ini->world->counts.r2ts++;
	cmd->r2tsn++;
	cmd->asked += len;
	cmd->bursts[cmd->n_bursts++] =
		(struct burst){.ttt = bhs_ttt(bhs), .offset = offset, .left = len};
}

/* ---- answers ---- */

/* RFC 7143 11.4.5: what the residual must be for what was moved. */
static void check_residual(struct initiator *ini, const struct command *cmd,
			   const struct iscsi_bhs *bhs)
{
	uint8_t flags = bhs->b[1] & (RESIDUAL_UNDER | RESIDUAL_OVER);
	uint32_t residual = be32_get(bhs->b + 44);
	bool right;

	if (cmd->kind == CMD_OTHER) /* how much there is to tell is the target's business */
		right = flags == RESIDUAL_UNDER ? cmd->got == cmd->expect - residual
						: cmd->got == cmd->expect;
	else if (cmd->expect > cmd->len)
		right = flags == RESIDUAL_UNDER && residual == cmd->expect - cmd->len &&
			cmd->got == cmd->len;
	else if (cmd->expect < cmd->len)
		right = flags == RESIDUAL_OVER && residual == cmd->len - cmd->expect &&
			cmd->got == cmd->expect;
	else
		right = !flags && (cmd->kind != CMD_READ || cmd->got == cmd->len);
	if (!right)
		world_fail(ini->world,
			   "initiator %u: CDB %02x: %u of %u bytes came, residual flags %02xh, %u",
			   ini->index, cmd->cdb[0], cmd->got, cmd->expect, flags, residual);
}

static void take_data_in(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
			 uint32_t len)
{
	struct command *cmd = command_find(ini, bhs);
	uint32_t offset = be32_get(bhs->b + 40);
	struct reply reply = {.answered = true, .status = bhs->b[3]};

	if (!cmd)
		return;
	if (cmd->kind == CMD_WRITE || be32_get(bhs->b + 36) != cmd->datasn++ ||
	    offset != cmd->got || len > cmd->expect - offset || len > cmd->len - offset) {
		world_fail(ini->world, "initiator %u: Data-In of %u bytes at %u, %u of %u came",
			   ini->index, len, offset, cmd->got, cmd->expect);
		return;
	}
	memcpy(cmd->data + offset, data, len);
	ini->world->counts.data_ins++;
	cmd->got += len;
	if (!(bhs->b[1] & DATA_STATUS))
		return;
	if (reply.status || !bhs_final(bhs))
		world_fail(ini->world, "initiator %u: Data-In with status %02xh", ini->index,
			   reply.status);
	check_residual(ini, cmd, bhs);
	reply.got = cmd->got;
	command_finish(ini, cmd, &reply);
}

static void take_sense(struct reply *reply, const uint8_t *data, uint32_t len)
{
	const uint8_t *sense = data + 2;

	if (len < 2 + 18 || be16_get(data) + 2u > len)
		return;
	if ((sense[0] & 0x7f) >= 0x72) {
		reply->key = sense[1] & 0xf;
		reply->asc = be16_get(sense + 2);
	} else {
		reply->key = sense[2] & 0xf;
		reply->asc = be16_get(sense + 12);
	}
}

static void take_response(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
			  uint32_t len)
{
	struct command *cmd = command_find(ini, bhs);
	struct reply reply = {.answered = true, .status = bhs->b[3]};

	if (!cmd)
		return;
	if (bhs->b[2])
		world_fail(ini->world, "initiator %u: iSCSI response %02xh", ini->index, bhs->b[2]);
	if (be32_get(bhs->b + 36) != cmd->datasn) /* RFC 7143 11.4.8: Data-Ins, none of a write */
		world_fail(ini->world, "initiator %u: ExpDataSN %u after %u Data-Ins", ini->index,
			   be32_get(bhs->b + 36), cmd->datasn);
	if (!reply.status)
		check_residual(ini, cmd, bhs);
	if (!reply.status && cmd->kind == CMD_WRITE && cmd->asked < cmd->len)
		world_fail(ini->world, "initiator %u: GOOD, but %u of %u bytes were never fetched",
			   ini->index, cmd->len - cmd->asked, cmd->len);
	take_sense(&reply, data, len);
	reply.got = cmd->got;
	command_finish(ini, cmd, &reply);
}

/* ---- task management ---- */

static void manage(struct initiator *ini, uint8_t function, const struct command *cmd)
{
	struct iscsi_bhs bhs = {{OP_TMF_REQ}};

	ini->tmf_itt = initiator_itt(ini);
	ini->tmf_ref = cmd ? cmd->itt : ISCSI_RESERVED_TAG;
	bhs.b[1] = BHS_FINAL | function;
	bhs_set_itt(&bhs, ini->tmf_itt);
	bhs_set_ttt(&bhs, ini->tmf_ref); /* Referenced Task Tag */
	if (cmd)
		be32_put(bhs.b + 32, cmd->cmdsn);
	initiator_number(ini, &bhs, true);
	initiator_send(ini, &bhs, NULL, 0);
}

void abort_send(struct initiator *ini, struct command *cmd)
{
	if (!cmd)
		aca_resetting(ini, true);
	manage(ini, cmd ? ABORT_TASK : LU_RESET, cmd);
}

void clear_aca_send(struct initiator *ini)
{
	aca_clearing(ini);
	manage(ini, CLEAR_ACA, NULL);
}

/* What it was about will not be answered any more, and can do nothing any more. */
static void take_tmf_response(struct initiator *ini, const struct iscsi_bhs *bhs)
{
	static const struct reply none;
	uint32_t ref = ini->tmf_ref;

	if (bhs_itt(bhs) != ini->tmf_itt || bhs->b[2] > (ref == ISCSI_RESERVED_TAG ? 0 : 1)) {
		world_fail(ini->world, "initiator %u: task management response %u", ini->index,
			   bhs->b[2]);
		return;
	}
	ini->tmf_itt = ISCSI_RESERVED_TAG;
	if (ini->clearing_aca) {
		aca_cleared(ini);
		return;
	}
	if (ref == ISCSI_RESERVED_TAG) {
		ini->world->counts.resets++;
		aca_resetting(ini, false);
	}
	list_for_each (cmd, &ini->commands, struct command, node)
		if (ref == ISCSI_RESERVED_TAG || cmd->itt == ref) {
			ini->world->counts.aborts++;
			command_finish(ini, cmd, &none);
		}
}

/* ---- the rest ---- */

void ping_send(struct initiator *ini)
{
	struct iscsi_bhs bhs = {{OP_NOP_OUT}};
	bool immediate = ini_chance(ini, 500) || sn_before(ini->max_cmdsn, ini->cmdsn);

	ini->ping_itt = initiator_itt(ini);
	ini->ping_len = (uint32_t)ini_below(ini, sizeof(ini->ping));
	for (uint32_t i = 0; i < ini->ping_len; i++)
		ini->ping[i] = (uint8_t)sim_random(ini->world->sim);
	bhs.b[1] = BHS_FINAL;
	bhs_set_itt(&bhs, ini->ping_itt);
	bhs_set_ttt(&bhs, ISCSI_RESERVED_TAG);
	initiator_number(ini, &bhs, immediate);
	initiator_send(ini, &bhs, ini->ping, ini->ping_len);
}

static void take_nop_in(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
			uint32_t len)
{
	if (bhs_ttt(bhs) != ISCSI_RESERVED_TAG) {
		struct iscsi_bhs answer = {{OP_NOP_OUT}};

		answer.b[1] = BHS_FINAL;
		bhs_set_lun(&answer, bhs_lun(bhs));
		bhs_set_itt(&answer, ISCSI_RESERVED_TAG);
		bhs_set_ttt(&answer, bhs_ttt(bhs));
		initiator_number(ini, &answer, true);
		initiator_send(ini, &answer, NULL, 0);
		return;
	}
	if (bhs_itt(bhs) == ISCSI_RESERVED_TAG && !len) /* tells of the window */
		return;
	if (bhs_itt(bhs) != ini->ping_itt || len != ini->ping_len ||
	    memcmp(data, ini->ping, len) != 0)
		world_fail(ini->world, "initiator %u: a ping of %u bytes came back as %u",
			   ini->index, ini->ping_len, len);
	ini->world->counts.pings++;
	ini->ping_itt = ISCSI_RESERVED_TAG;
}

void logout_send(struct initiator *ini)
{
	struct iscsi_bhs bhs = {{OP_LOGOUT_REQ}};

	ini->logout_itt = initiator_itt(ini);
	bhs.b[1] = BHS_FINAL; /* reason 0: close the session */
	bhs_set_itt(&bhs, ini->logout_itt);
	initiator_number(ini, &bhs, true);
	ini->phase = INI_LOGOUT;
	initiator_send(ini, &bhs, NULL, 0);
}

static void take_logout_response(struct initiator *ini, const struct iscsi_bhs *bhs)
{
	if (bhs_itt(bhs) != ini->logout_itt || bhs->b[2])
		world_fail(ini->world, "initiator %u: logout response %u", ini->index, bhs->b[2]);
	initiator_disconnect(ini);
}

void full_feature_pdu(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
		      uint32_t len)
{
	switch (bhs_opcode(bhs)) {
	case OP_R2T:
		take_r2t(ini, bhs);
		break;
	case OP_DATA_IN:
		take_data_in(ini, bhs, data, len);
		break;
	case OP_SCSI_RSP:
		take_response(ini, bhs, data, len);
		break;
	case OP_TMF_RSP:
		take_tmf_response(ini, bhs);
		break;
	case OP_NOP_IN:
		take_nop_in(ini, bhs, data, len);
		break;
	case OP_LOGOUT_RSP:
		take_logout_response(ini, bhs);
		break;
	case OP_ASYNC_MSG:
		if (bhs->b[36] == 1 && ini->phase == INI_FULL) /* asks for logout */
			logout_send(ini);
		break;
	default:
		world_fail(ini->world, "initiator %u: opcode %02xh, reason %02xh", ini->index,
			   bhs_opcode(bhs), bhs->b[2]);
	}
}
