/* SPDX-License-Identifier: Apache-2.0 */
/* What the model initiator does next, and what the oracle says to the answers. */
#include "initiator.h"
#include <inttypes.h>
#include <stdlib.h>

#define MS 1000000ull
#define LOST_AFTER                                                                                 \
	(3000 * MS) /* a command of which nothing was heard, since others reset the LU             \
		     */

/* SCSI status and sense keys */
enum { GOOD = 0x00, CHECK_CONDITION = 0x02, BUSY = 0x08 };
enum { MEDIUM_ERROR = 0x3, UNIT_ATTENTION = 0x6, DATA_PROTECT = 0x7 };
enum { FUA = 0x08, DPO = 0x10 };

static uint64_t to_sector(const struct world *world, uint64_t lba)
{
	return lba * (world->block_size / ORACLE_SECTOR);
}

void player_kick(struct initiator *ini)
{
	engine_timer_set(ini->engine, &ini->timer,
			 engine_now(ini->engine) + 1000 + ini_below(ini, 200000));
}

bool player_idle(const struct initiator *ini)
{
	return ini->phase == INI_FULL && !ini->budget && !ini->n_commands && !ini->want_flush &&
	       ini->aca == ACA_NONE && ini->scan_next == ini->scan_end &&
	       ini->tmf_itt == ISCSI_RESERVED_TAG;
}

void player_scan(struct initiator *ini, bool flush)
{
	ini->scan_next = 0;
	ini->scan_end = ini->world->n_blocks;
	ini->want_flush = flush;
	player_kick(ini);
}

/* ---- commands ---- */

static void put_range(struct initiator *ini, struct command *cmd, uint8_t op6, uint8_t op10,
		      uint8_t op12, uint8_t op16)
{
	uint8_t *cdb = cmd->cdb;
	unsigned form = (unsigned)ini_below(ini, 4);

	if (!form && op6 && !cmd->fua && cmd->n_blocks && cmd->n_blocks <= 256) {
		cdb[0] = op6;
		be24_put(cdb + 1, (uint32_t)cmd->lba);
		cdb[4] = (uint8_t)cmd->n_blocks; /* 256 is 0 */
		return;
	}
	cdb[1] = (uint8_t)((cmd->fua ? FUA : 0) | (op6 && ini_chance(ini, 100) ? DPO : 0));
	if (form == 2 && op12) {
		cdb[0] = op12;
		be32_put(cdb + 2, (uint32_t)cmd->lba);
		be32_put(cdb + 6, cmd->n_blocks);
	} else if (form == 3) {
		cdb[0] = op16;
		be64_put(cdb + 2, cmd->lba);
		be32_put(cdb + 10, cmd->n_blocks);
	} else {
		cdb[0] = op10;
		be32_put(cdb + 2, (uint32_t)cmd->lba);
		be16_put(cdb + 7, (uint16_t)cmd->n_blocks);
	}
}

/* A range, mostly small, mostly where others are as well. */
static void pick_range(struct initiator *ini, uint64_t *ret_lba, uint32_t *ret_n)
{
	const struct world *world = ini->world;
	uint64_t span = ini_chance(ini, 700) ? world->n_blocks / 4 : world->n_blocks;
	uint64_t most = world->max_transfer / world->block_size, n;

	if (ini_chance(ini, 600) && most > 8)
		most = 8;
	*ret_lba = ini_below(ini, span);
	n = 1 + ini_below(ini, most);
	if (n > world->n_blocks - *ret_lba)
		n = world->n_blocks - *ret_lba;
	*ret_n = ini_chance(ini, 10) ? 0 : (uint32_t)n;
}

static void send_write(struct initiator *ini)
{
	struct world *world = ini->world;
	struct command *cmd;
	uint64_t lba, sector;
	uint32_t n;
	size_t n_sectors;

	pick_range(ini, &lba, &n);
	cmd = command_new(ini, CMD_WRITE, n * world->block_size);
	cmd->lba = lba;
	cmd->n_blocks = n;
	cmd->fua = ini_chance(ini, 100);
	put_range(ini, cmd, 0x0a, 0x2a, 0xaa, 0x8a);
	sector = to_sector(world, lba);
	n_sectors = to_sector(world, n);
	cmd->begun = oracle_now(world->oracle);
	cmd->write_id = oracle_write_begin(world->oracle, sector, n_sectors);
	oracle_fill(cmd->write_id, sector, n_sectors, cmd->data);
	command_send(ini, cmd);
}

static void send_read(struct initiator *ini, uint64_t lba, uint32_t n)
{
	struct command *cmd = command_new(ini, CMD_READ, n * ini->world->block_size);

	cmd->lba = lba;
	cmd->n_blocks = n;
	cmd->fua = ini_chance(ini, 30);
	if (cmd->len && ini_chance(ini, 50)) /* more or less than there is */
		cmd->expect = (uint32_t)ini_below(ini, 2 * cmd->len);
	put_range(ini, cmd, 0x08, 0x28, 0xa8, 0x88);
	cmd->begun = oracle_now(ini->world->oracle);
	command_send(ini, cmd);
}

static void send_flush(struct initiator *ini, bool all)
{
	struct command *cmd = command_new(ini, CMD_FLUSH, 0);

	if (!all)
		pick_range(ini, &cmd->lba, &cmd->n_blocks);
	put_range(ini, cmd, 0, 0x35, 0, 0x91);
	cmd->begun = oracle_now(ini->world->oracle);
	command_send(ini, cmd);
}

static void send_other(struct initiator *ini)
{
	static const uint8_t cdbs[][16] = {
		{0x00},				/* TEST UNIT READY */
		{0x12, 0, 0, 0, 96},		/* INQUIRY */
		{0x12, 1, 0x83, 0, 255},	/* INQUIRY, device identification */
		{0x03, 0, 0, 0, 18},		/* REQUEST SENSE */
		{0x1a, 0, 0x3f, 0, 192},	/* MODE SENSE (6) */
		{0x25},				/* READ CAPACITY (10) */
		{0xa0, 0, 0, 0, 0, 0, 0, 0, 1}, /* REPORT LUNS */
	};
	static const uint32_t lens[] = {0, 96, 255, 18, 192, 8, 256};
	size_t i = ini_below(ini, sizeof(lens) / sizeof(lens[0]));
	struct command *cmd = command_new(ini, CMD_OTHER, lens[i]);

	memcpy(cmd->cdb, cdbs[i], 16);
	command_send(ini, cmd);
}

static void send_any(struct initiator *ini)
{
	uint64_t dice = ini_below(ini, 100), lba;
	uint32_t n;

	ini->budget--;
	if (dice < 45) {
		send_write(ini);
	} else if (dice < 85) {
		pick_range(ini, &lba, &n);
		send_read(ini, lba, n);
	} else if (dice < 93) {
		send_flush(ini, ini_chance(ini, 500));
	} else if (ini_chance(ini, 150)) {
		aca_send_fault(ini);
	} else {
		send_other(ini);
	}
}

/* ---- what came of them ---- */

/* Whether a command may end like this; what ends without GOOD for no reason is a finding. */
static void judge_failure(struct initiator *ini, const struct command *cmd,
			  const struct reply *reply)
{
	bool expected = aca_explains(ini, cmd, reply);

	expected |= ini->world->faults &&
		    (reply->status == BUSY ||
		     (reply->status == CHECK_CONDITION &&
		      (reply->key == MEDIUM_ERROR || reply->key == DATA_PROTECT)));

	if (reply->status == CHECK_CONDITION && reply->key == UNIT_ATTENTION)
		return;
	if (!expected)
		world_fail(ini->world, "initiator %u: CDB %02x: status %02xh, sense %x/%04x",
			   ini->index, cmd->cdb[0], reply->status, reply->key, reply->asc);
}

static void write_done(struct initiator *ini, const struct command *cmd, const struct reply *reply)
{
	struct world *world = ini->world;
	enum oracle_outcome outcome = WRITE_PERHAPS;

	if (reply->answered && reply->status == GOOD)
		outcome = cmd->fua ? WRITE_DURABLE : WRITE_DONE;
	else if (reply->answered && reply->key == UNIT_ATTENTION)
		outcome = WRITE_NEVER;
	/* What the disk has forgotten is not known: nothing may pretend to be in order
	 * (DESIGN 6.3). */
	if (reply->answered && reply->status == GOOD && cmd->len && world->flush_failed &&
	    cmd->begun > world->flush_failed)
		world_fail(world, "initiator %u: GOOD to a write after a failed flush", ini->index);
	world->counts.fua_writes += outcome == WRITE_DURABLE;
	oracle_write_end(world->oracle, cmd->write_id, to_sector(world, cmd->lba),
			 to_sector(world, cmd->n_blocks), outcome);
}

static void read_done(struct initiator *ini, const struct command *cmd, const struct reply *reply)
{
	struct world *world = ini->world;
	char why[256];

	if (reply->status != GOOD)
		return;
	world->counts.sectors_checked += reply->got / ORACLE_SECTOR;
	if (cmd->n_blocks && !oracle_check(world->oracle, cmd->begun, to_sector(world, cmd->lba),
					   reply->got / ORACLE_SECTOR, cmd->data, why))
		world_fail(world, "initiator %u: read of %u blocks at %" PRIu64 ": %s", ini->index,
			   cmd->n_blocks, cmd->lba, why);
	if (ini->scan_next < ini->scan_end && cmd->lba == ini->scan_next && !ini->budget &&
	    reply->got == cmd->len)
		ini->scan_next += cmd->n_blocks;
}

static void flush_done(struct initiator *ini, const struct command *cmd, const struct reply *reply)
{
	struct world *world = ini->world;
	uint64_t n = cmd->n_blocks ? cmd->n_blocks : world->n_blocks - cmd->lba;

	world->counts.flushes += reply->status == GOOD;
	if (reply->key == MEDIUM_ERROR && !world->flush_failed)
		world->flush_failed = oracle_now(world->oracle);
	if (reply->status == GOOD)
		oracle_flushed(world->oracle, cmd->begun, to_sector(world, cmd->lba),
			       to_sector(world, n));
	if (!ini->budget && ini->scan_next == ini->scan_end && reply->key != UNIT_ATTENTION &&
	    (reply->key || reply->status == GOOD))
		ini->want_flush = false;
}

static void other_done(struct initiator *ini, const struct command *cmd, const struct reply *reply)
{
	const struct world *world = ini->world;

	if (reply->status == GOOD && cmd->cdb[0] == 0x25 &&
	    (be32_get(cmd->data) != world->n_blocks - 1 ||
	     be32_get(cmd->data + 4) != world->block_size))
		world_fail(ini->world, "initiator %u: READ CAPACITY says %u, %u", ini->index,
			   be32_get(cmd->data), be32_get(cmd->data + 4));
}

static void limbo_add(struct initiator *ini, const struct command *cmd)
{
	struct limbo *limbo = calloc(1, sizeof(*limbo));

	if (!limbo)
		abort();
	limbo->write_id = cmd->write_id;
	limbo->sector = to_sector(ini->world, cmd->lba);
	limbo->n = to_sector(ini->world, cmd->n_blocks);
	list_push_back(&ini->limbo, &limbo->node);
}

void player_done(struct initiator *ini, struct command *cmd, const struct reply *reply)
{
	world_say(ini->world,
		  "%u: CDB %02x lba %" PRIu64 " n %u id %u: %s status %02x sense %x/%04x",
		  ini->index, cmd->cdb[0], cmd->lba, cmd->n_blocks, cmd->write_id,
		  reply->answered ? "answered" : "gone", reply->status, reply->key, reply->asc);
	if (reply->answered && reply->status != GOOD) {
		ini->world->counts.failures += reply->key && reply->key != UNIT_ATTENTION;
		judge_failure(ini, cmd, reply);
	}
	aca_command_done(ini, cmd, reply);
	if (cmd->kind == CMD_WRITE)
		write_done(ini, cmd, reply);
	else if (reply->answered && cmd->kind == CMD_READ)
		read_done(ini, cmd, reply);
	else if (reply->answered && cmd->kind == CMD_FLUSH)
		flush_done(ini, cmd, reply);
	else if (reply->answered)
		other_done(ini, cmd, reply);
	player_kick(ini);
}

/* ---- connections come and go ---- */

void player_logged_in(struct initiator *ini)
{
	struct list *node;

	world_say(ini->world, "%u: logged in", ini->index);
	ini->world->counts.logins++;
	if (ini->terms.header_digest && ini->terms.data_digest)
		ini->world->counts.digest_logins++;
	aca_nexus_new(ini);
	/* RFC 7143 6.3.5: the session of before has ended, and all its tasks with it. */
	while ((node = list_pop_front(&ini->limbo))) {
		struct limbo *limbo = list_entry(node, struct limbo, node);

		oracle_write_end(ini->world->oracle, limbo->write_id, limbo->sector, limbo->n,
				 WRITE_PERHAPS);
		free(limbo);
	}
	player_kick(ini);
}

void player_down(struct initiator *ini)
{
	world_say(ini->world, "%u: down with %u commands", ini->index, ini->n_commands);
	if (ini->n_commands)
		ini->world->counts.losses++;
	aca_nexus_lost(ini);
	list_for_each (cmd, &ini->commands, struct command, node) {
		if (cmd->kind == CMD_WRITE)
			limbo_add(ini, cmd);
		command_free(ini, cmd);
	}
	ini->reconnect_ns = engine_now(ini->engine) + ini_below(ini, 20 * MS);
	player_kick(ini);
}

/* ---- what next ---- */

static struct command *pick_command(struct initiator *ini)
{
	uint64_t n = ini_below(ini, ini->n_commands);

	list_for_each (cmd, &ini->commands, struct command, node)
		if (!n--)
			return cmd;
	return NULL;
}

static struct command *lost_command(struct initiator *ini)
{
	list_for_each (cmd, &ini->commands, struct command, node)
		if (engine_now(ini->engine) > cmd->sent_ns + LOST_AFTER)
			return cmd;
	return NULL;
}

/* What disturbs the peace. Return: false when there is no connection any more. */
static bool disturb(struct initiator *ini)
{
	struct command *lost = lost_command(ini);
	bool may_abort = ini->tmf_itt == ISCSI_RESERVED_TAG;

	if (may_abort && lost) {
		abort_send(ini, lost);
		return true;
	}
	if (may_abort && aca_wants_clear(ini)) {
		clear_aca_send(ini);
		return true;
	}
	if (ini->world->quiet)
		return true;
	if (ini_chance(ini, 20) && ini->ping_itt == ISCSI_RESERVED_TAG)
		ping_send(ini);
	if (ini_chance(ini, 10) && may_abort && ini->n_commands)
		abort_send(ini, pick_command(ini));
	else if (ini_chance(ini, 2) && may_abort)
		abort_send(ini, NULL);
	if (ini_chance(ini, 3)) {
		initiator_disconnect(ini);
		return false;
	}
	if (ini_chance(ini, 2)) {
		logout_send(ini);
		return false;
	}
	return true;
}

static void go_on(struct initiator *ini)
{
	const struct world *world = ini->world;
	uint64_t n = world->max_transfer / world->block_size;

	if (!disturb(ini))
		return;
	while (ini->budget && ini->n_commands < ini->depth && command_possible(ini)) {
		send_any(ini);
		if (ini_chance(ini, 300))
			break;
	}
	if (ini->budget || ini->n_commands || !command_possible(ini))
		return;
	if (ini->scan_next < ini->scan_end) {
		if (n > ini->scan_end - ini->scan_next)
			n = ini->scan_end - ini->scan_next;
		send_read(ini, ini->scan_next, (uint32_t)n);
	} else if (ini->want_flush) {
		send_flush(ini, true);
	}
}

static void tick(struct engine_timer *timer)
{
	struct initiator *ini = container_of(timer, struct initiator, timer);
	uint64_t now = engine_now(ini->engine);

	if (ini->phase == INI_DOWN && ini->world->portal >= 0 && now >= ini->reconnect_ns)
		initiator_connect(ini);
	else if (ini->phase == INI_FULL)
		go_on(ini);
	initiator_judge_window(ini);
	engine_timer_set(ini->engine, &ini->timer,
			 now + (ini->budget ? MS / 100 + ini_below(ini, 2 * MS) : 10 * MS));
}

void player_fini(struct initiator *ini)
{
	struct list *node;

	engine_timer_cancel(ini->engine, &ini->timer);
	while ((node = list_pop_front(&ini->limbo)))
		free(list_entry(node, struct limbo, node));
}

void player_init(struct initiator *ini)
{
	list_init(&ini->limbo);
	ini->timer.fire = tick;
	player_kick(ini);
}
