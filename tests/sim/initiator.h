/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An initiator for simulations, written from RFC 7143 alone: it shares with the target the names
 * of header fields (iscsi/pdu.h) and nothing else. It does only what an initiator may do, but
 * takes every liberty it has; what the target does that it may not do is a finding.
 *
 *	initiator.c	a connection: PDUs out, PDUs in, digests, sequence numbers
 *	negotiation.c	the login phase
 *	command.c	SCSI commands and their data, task management, pings
 *	aca.c		auto contingent allegiance: what it may be told, and when
 *	player.c	what to do next, and judging what came of it
 */
#include "iscsi/pdu.h"
#include "world.h"

#define INITIATOR_R2TS 16
#define INITIATOR_DATA_MAX (64 << 10) /* bytes of a PDU that it takes at most */

/* What a login settles. */
struct login_terms {
	uint32_t max_send; /* the target's MaxRecvDataSegmentLength */
	uint32_t max_recv, max_burst, first_burst, max_r2t;
	bool initial_r2t, immediate_data, header_digest, data_digest;
};

#define LOGIN_OFFERS_MAX 20

/* A key that was sent in a login, and whether it has been answered. */
struct login_offer {
	uint32_t value;
	bool sent, answered;
};

/* Data-Out that is to be sent: for an R2T, or unsolicited (tag ISCSI_RESERVED_TAG). */
struct burst {
	uint32_t ttt, offset, left, datasn;
};

enum command_kind { CMD_WRITE, CMD_READ, CMD_FLUSH, CMD_OTHER };

/* A SCSI command under way. */
struct command {
	struct list node;	/* ini->commands */
	struct list unsol_node; /* ini->unsolicited, in the order of the commands */
	enum command_kind kind;
	uint32_t itt, cmdsn;
	uint8_t cdb[16];
	uint64_t lun;
	uint64_t lba;
	uint32_t n_blocks;
	bool fua;
	uint32_t len;	 /* bytes of data */
	uint32_t expect; /* ExpectedDataTransferLength */
	uint8_t *data;
	uint32_t write_id; /* the oracle's */
	uint64_t begun;	   /* the oracle's time */
	uint64_t sent_ns;
	uint32_t asked; /* data-out up to here has been asked for, or was sent unasked */
	uint32_t r2tsn, datasn, got;
	struct burst bursts[INITIATOR_R2TS + 1];
	unsigned n_bursts;
	bool abort_sent;
	uint8_t attr; /* task attribute; 0: SIMPLE */
	bool naca;
	unsigned aca;	 /* which ACA was in force when it was sent; 0: none that is certain */
	unsigned resets; /* of world->resets_sent, those carried out before it for certain */
	bool waits;	 /* its data were not all there when the last ACA began */
};

/* Whether an ACA is in force for the nexus, as far as its initiator can know. */
enum aca_state { ACA_NONE, ACA_PERHAPS, ACA_IN_FORCE };

/* A write whose connection is gone: it may still land, until the next login has been granted. */
struct limbo {
	struct list node;
	uint32_t write_id;
	uint64_t sector;
	size_t n;
};

/* What came of a command. */
struct reply {
	bool answered; /* else it was aborted, or its connection is gone */
	uint8_t status, key;
	uint16_t asc; /* ASC and ASCQ */
	uint32_t got; /* bytes of data-in */
};

enum initiator_phase { INI_DOWN, INI_LOGIN, INI_FULL, INI_LOGOUT, INI_CLOSING };

struct initiator {
	struct world *world;
	struct engine *engine;
	unsigned index;
	enum initiator_phase phase;
	bool wants_reset; /* breaks the connection instead of closing it */

	struct engine_sock sock;
	struct engine_op rx_op, tx_op;
	bool rx_busy, tx_busy;
	uint8_t *rx, *tx, *sending; /* tx: gathers while sending is sent */
	size_t rx_len, rx_cap, tx_len, tx_cap, sending_len, sending_cap;
	struct iovec tx_iov;
	bool digests_on;

	/* login */
	struct login_terms terms;
	struct login_offer offers[LOGIN_OFFERS_MAX];
	char keys[1024]; /* of this stage, pairs each with its NUL */
	size_t keys_len, keys_sent;
	size_t names_len; /* those that must be in the first request */
	uint8_t csg, nsg;
	bool cut, asked_transit; /* the last request: its C and T bits */
	char answer[8192];	 /* text gathered over C bits */
	size_t answer_len;
	unsigned login_steps;

	uint32_t cmdsn, max_cmdsn, exp_statsn, next_itt;
	uint32_t free_itt; /* of the last answered command, free again; or ISCSI_RESERVED_TAG */
	bool statsn_known;
	struct list commands, unsolicited;
	unsigned n_commands;
	uint32_t tmf_itt; /* ISCSI_RESERVED_TAG: none under way */
	uint32_t tmf_ref; /* the task it is to abort; ISCSI_RESERVED_TAG: all */
	uint32_t tmf_cmdsn;
	uint32_t ping_itt;
	uint32_t ping_len;
	uint8_t ping[256];
	uint32_t logout_itt;

	/* the player's */
	struct engine_timer timer;
	uint64_t reconnect_ns;
	uint64_t open_ns; /* when it last could send, or waited for an answer */
	unsigned budget;  /* commands still to be sent */
	unsigned depth;
	struct list limbo;	      /* struct limbo.node */
	uint64_t scan_next, scan_end; /* blocks to be read one after the other */
	bool want_flush;

	/* aca.c's */
	enum aca_state aca;
	unsigned n_acas, n_naca; /* so far; commands with NACA that are under way */
	unsigned aca_resets;	 /* world->resets_sent when the last one began */
	unsigned cleared_aca;	 /* the last one when CLEAR ACA was sent */
	bool clearing_aca, aca_command;
	bool resetting; /* counted in world->n_resetting */
};

/* initiator.c */
void initiator_init(struct initiator *ini, struct world *world, unsigned index);
void initiator_fini(struct initiator *ini); /* phase INI_DOWN */
void initiator_connect(struct initiator *ini);
void initiator_disconnect(struct initiator *ini);
void initiator_send(struct initiator *ini, struct iscsi_bhs *bhs, const void *data, uint32_t len);
void initiator_judge_window(struct initiator *ini); /* now and then */
uint32_t initiator_itt(struct initiator *ini);
/* Numbers of a request; immediate ones do not use up their CmdSN. */
void initiator_number(struct initiator *ini, struct iscsi_bhs *bhs, bool immediate);
uint64_t ini_below(struct initiator *ini, uint64_t limit);
bool ini_chance(struct initiator *ini, unsigned permille);

/* negotiation.c */
void login_start(struct initiator *ini);
void login_pdu(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
	       uint32_t len);

/* command.c */
bool command_possible(const struct initiator *ini);
struct command *command_new(struct initiator *ini, enum command_kind kind, uint32_t len);
void command_send(struct initiator *ini, struct command *cmd);
void command_free(struct initiator *ini, struct command *cmd);
void command_pump(struct initiator *ini); /* Data-Out, as long as little is queued */
void full_feature_pdu(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
		      uint32_t len);
void ping_send(struct initiator *ini);
void abort_send(struct initiator *ini, struct command *cmd); /* NULL: LOGICAL UNIT RESET */
void clear_aca_send(struct initiator *ini);
void logout_send(struct initiator *ini);

/* aca.c */
void aca_prepare(struct initiator *ini, struct command *cmd); /* before it is sent */
void aca_send_fault(struct initiator *ini);		      /* a command with NACA that fails */
/* Whether an answer other than GOOD is no surprise. */
bool aca_explains(const struct initiator *ini, const struct command *cmd,
		  const struct reply *reply);
void aca_command_done(struct initiator *ini, const struct command *cmd, const struct reply *reply);
bool aca_wants_clear(struct initiator *ini);
void aca_resetting(struct initiator *ini, bool yes); /* LOGICAL UNIT RESET, likewise */
void aca_clearing(struct initiator *ini);	     /* CLEAR ACA is sent, and answered */
void aca_cleared(struct initiator *ini);
void aca_nexus_lost(struct initiator *ini);
void aca_nexus_new(struct initiator *ini);

/* player.c */
void player_init(struct initiator *ini);
void player_fini(struct initiator *ini);
void player_logged_in(struct initiator *ini);
void player_down(struct initiator *ini);
void player_done(struct initiator *ini, struct command *cmd, const struct reply *reply);
void player_kick(struct initiator *ini); /* soon look for something to do */
/* Reads all blocks once, and judges; with @flush, flushes after that, or tries to. */
void player_scan(struct initiator *ini, bool flush);
bool player_idle(const struct initiator *ini);
