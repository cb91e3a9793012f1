/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The load generator: options, sessions, workers. load.c has the usage. */
#include "tests/bench/wire.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

/* ---- latencies: 32 steps per power of two, in ns ---- */

#define HIST_SUB 32
#define HIST_LEN (60 * HIST_SUB)

struct hist {
	uint64_t n, sum, max, steps[HIST_LEN];
};

static inline unsigned hist_step(uint64_t ns)
{
	unsigned shift;

	if (ns < HIST_SUB)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - 5;
	return (shift + 1) * HIST_SUB + (unsigned)(ns >> shift) - HIST_SUB;
}

static inline void hist_add(struct hist *hist, uint64_t ns)
{
	hist->n++;
	hist->sum += ns;
	if (ns > hist->max)
		hist->max = ns;
	hist->steps[hist_step(ns)]++;
}

/* ---- options ---- */

enum phase { PHASE_LOGIN, PHASE_FILL, PHASE_WARMUP, PHASE_RUN, PHASE_OVER };

struct options {
	char host[256], iqn[256];
	uint16_t port;
	uint64_t lun;
	const char *initiator;
	unsigned sessions, depth, threads, at_once; /* at_once: logins under way */
	unsigned n_targets; /* IQN has a {}: sessions go to one after another */
	unsigned n_luns;    /* likewise, from lun on */
	uint32_t block;	    /* bytes */
	unsigned read_percent;
	uint64_t rate;	/* commands a second of all sessions; 0: as fast as they go */
	uint64_t range; /* bytes of the LUN that are used; 0: all */
	double seconds, warmup;
	unsigned target_pid; /* whose CPU time is looked at; 0: nobody's */
	bool sequential, check, idle, initial_r2t, immediate_data, copy;
	bool header_digest, data_digest;
};

/* ---- sessions ---- */

struct slot { /* a command; its ITT is its index */
	uint64_t block, start_ns;
	uint32_t version; /* of the block, with check */
	uint32_t got;	  /* bytes of Data-In */
	bool busy, write, setup;
	uint8_t *data; /* of a write, with check */
};

struct tx_pdu {
	uint8_t head[BHS_LEN + DIGEST_LEN], tail[4 + DIGEST_LEN]; /* tail: filling and digest */
	uint32_t head_len, data_len, tail_len;
	const uint8_t *data;
};

enum state { CONNECTING, LOGGING_IN, SETTING_UP, READY, DEAD };

struct session {
	struct worker *worker;
	enum state state;
	int fd;
	unsigned index;
	uint32_t cmdsn, max_cmdsn, exp_statsn;
	/* as negotiated */
	uint32_t data_segment, burst, first_burst; /* data_segment: most that the target takes */
	bool initial_r2t, immediate_data, header_digest, data_digest;
	/* receiving */
	uint8_t head[BHS_LEN + DIGEST_LEN], digest[DIGEST_LEN];
	uint32_t head_got, data_left, pad_left, digest_got, crc;
	bool in_data;
	uint8_t *text; /* data that must be read whole: login answers, sense */
	uint32_t text_len;
	/* sending */
	struct tx_pdu *tx;
	unsigned n_tx, first_tx, cap_tx;
	uint32_t first_sent; /* bytes of the first */
	bool waits_to_send, queued;
	/* load */
	struct slot *slots;
	unsigned *free_slots, n_free;
	unsigned may_busy, n_good; /* commands at once; answers since that last changed */
	unsigned setup_tries;
	uint8_t setup_data[32];
	uint32_t block_len;
	uint64_t first_block, n_blocks, next_block, n_filled; /* this session's share */
	uint32_t *versions;				      /* of its blocks, with check */
	bool *in_use;
	uint64_t random;
};

struct worker {
	pthread_t thread;
	const struct options *opt;
	struct session *sessions;
	unsigned n_sessions, n_started, n_ready, n_logging_in, n_dead, n_filled;
	int epoll_fd;
	enum phase phase;
	uint64_t now, next_due, step_ns; /* of the rate */
	struct session **dirty;		 /* have something to send */
	unsigned n_dirty;
	/* results */
	struct hist reads, writes;
	uint64_t errors, mismatches, retries, r2ts, cpu_ns, target_ns;
	uint64_t run_from, run_until;
	char first_error[200];
};

#define RX_CHUNK 262144
extern uint8_t load_pattern[]; /* what is written without check */
#define PATTERN_LEN (16u << 20)

extern pthread_barrier_t *load_barrier; /* of all workers and main() */
extern atomic_bool load_stop;

uint64_t load_now(void);	    /* ns */
uint64_t load_cpu_of(unsigned pid); /* ns of all threads of a process */

/* load_login.c */
void session_connect(struct session *s);
void session_connected(struct session *s);
void session_take_login(struct session *s);

/* load_session.c: PDUs in and out */
struct tx_pdu *session_tx(struct session *s, uint8_t opcode, uint32_t itt);
void session_tx_data(struct session *s, struct tx_pdu *pdu, const uint8_t *data, uint32_t len);
void session_receive(struct session *s);
void session_flush(struct session *s);
void session_fail(struct session *s, const char *what);
void session_command(struct session *s, unsigned index, const uint8_t cdb[16]);

/* load_work.c: what is asked, and what came of it */
void *worker_run(void *worker);
void work_logged_in(struct session *s);
void work_data_in(struct session *s, struct slot *slot, const uint8_t *data, uint32_t len);
void work_done(struct session *s, struct slot *slot, uint8_t status, const uint8_t *sense,
	       uint32_t sense_len);
void work_issue(struct session *s);
