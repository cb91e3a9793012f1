/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: its sessions' phases, which block comes next, and whether the answer is right. */
#include "tests/bench/load.h"
#include <sys/epoll.h>
#include <time.h>

#define SETUP_LEN 32 /* of READ CAPACITY (16) */
#define SETUP_TRIES 20
#define DRAIN_NS 30000000000ull

uint64_t load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- what a block holds, with check ---- */

static uint64_t word_of(uint64_t block, uint32_t version, uint32_t word)
{
	return (block * 0x9e3779b97f4a7c15u) ^ ((uint64_t)version << 40) ^
	       (word * 0xff51afd7ed558ccdu);
}

static void block_fill(uint8_t *data, uint32_t len, uint64_t block, uint32_t version)
{
	for (uint32_t i = 0; i < len / 8; i++) {
		uint64_t word = word_of(block, version, i);

		memcpy(data + 8 * i, &word, 8);
	}
}

static bool block_matches(const struct slot *slot, const uint8_t *data, uint32_t len)
{
	for (uint32_t i = 0; i < len;) {
		uint32_t at = slot->got + i, n = 8 - at % 8;
		uint64_t word = word_of(slot->block, slot->version, at / 8);

		if (n > len - i)
			n = len - i;
		if (memcmp(data + i, (uint8_t *)&word + at % 8, n) != 0)
			return false;
		i += n;
	}
	return true;
}

/* ---- which block comes next ---- */

static uint64_t random_next(struct session *s)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return s->random * 0x2545f4914f6cdd1dull;
}

static uint64_t block_next(struct session *s)
{
	if (s->worker->opt->sequential || s->worker->phase == PHASE_FILL)
		return s->next_block++ % s->n_blocks;
	return random_next(s) % s->n_blocks;
}

/* One that no command of ours is at work on: only then is it known what it holds. */
static bool block_claim(struct session *s, uint64_t *ret_block)
{
	uint64_t block = block_next(s);

	for (uint64_t i = 0; s->in_use && s->in_use[block]; i++) {
		if (i == s->n_blocks)
			return false;
		block = (block + 1) % s->n_blocks;
	}
	if (s->in_use)
		s->in_use[block] = true;
	*ret_block = block;
	return true;
}

static bool is_write(struct session *s)
{
	const struct options *opt = s->worker->opt;

	if (s->worker->phase == PHASE_FILL)
		return true;
	return opt->read_percent < 100 && random_next(s) % 100 >= opt->read_percent;
}

/* ---- commands ---- */

static void cdb_make(const struct session *s, const struct slot *slot, uint32_t block_len,
		     uint8_t cdb[16])
{
	uint32_t n = s->worker->opt->block / block_len;
	uint64_t lba = slot->block * n;

	memset(cdb, 0, 16);
	if (lba + n <= UINT32_MAX && n <= UINT16_MAX) {
		cdb[0] = slot->write ? 0x2a : 0x28; /* WRITE (10), READ (10) */
		be32_put(cdb + 2, (uint32_t)lba);
		be16_put(cdb + 7, (uint16_t)n);
	} else {
		cdb[0] = slot->write ? 0x8a : 0x88; /* WRITE (16), READ (16) */
		be64_put(cdb + 2, lba);
		be32_put(cdb + 10, n);
	}
}

static void send_slot(struct session *s, unsigned index)
{
	uint8_t cdb[16];

	s->slots[index].got = 0;
	cdb_make(s, &s->slots[index], s->block_len, cdb);
	session_command(s, index, cdb);
}

static void issue_one(struct session *s, uint64_t start_ns)
{
	unsigned index = s->free_slots[s->n_free - 1];
	struct slot *slot = &s->slots[index];
	uint64_t block;

	if (!block_claim(s, &block))
		return;
	s->n_free--;
	slot->busy = true;
	slot->write = is_write(s);
	slot->block = s->first_block + block;
	slot->start_ns = start_ns;
	if (s->versions) {
		slot->version = s->versions[block] + (slot->write ? 1 : 0);
		if (slot->write)
			block_fill(slot->data, s->worker->opt->block, slot->block, slot->version);
	}
	send_slot(s, index);
}

static bool may_issue(const struct session *s)
{
	const struct worker *w = s->worker;

	if (s->state != READY || !s->n_free || w->opt->depth - s->n_free >= s->may_busy ||
	    (int32_t)(s->max_cmdsn - s->cmdsn) < 0)
		return false;
	if (w->phase == PHASE_FILL)
		return s->next_block < s->n_blocks;
	return w->phase == PHASE_WARMUP || w->phase == PHASE_RUN;
}

/* As deep as it may be; with a rate, sessions wait for their turn in rate_issue(). */
void work_issue(struct session *s)
{
	if (s->worker->opt->rate && s->worker->phase != PHASE_FILL)
		return;
	for (unsigned n = s->n_free; n && may_issue(s); n--)
		issue_one(s, s->worker->now);
}

/* A command that is late counts from when it was due, not from when it could be sent. */
static void rate_issue(struct worker *w)
{
	static __thread unsigned turn;

	while (w->next_due <= w->now) {
		unsigned tries = w->n_sessions;

		while (tries && !may_issue(&w->sessions[turn % w->n_sessions])) {
			turn++;
			tries--;
		}
		if (!tries)
			return;
		issue_one(&w->sessions[turn++ % w->n_sessions], w->next_due);
		w->next_due += w->step_ns;
	}
}

/* ---- answers ---- */

void work_data_in(struct session *s, struct slot *slot, const uint8_t *data, uint32_t len)
{
	const struct options *opt = s->worker->opt;
	uint32_t room = slot->setup ? SETUP_LEN : opt->block;

	if (len > room - slot->got) {
		session_fail(s, "more data than asked for");
		return;
	}
	if (slot->setup)
		memcpy(s->setup_data + slot->got, data, len);
	else if (opt->check && !block_matches(slot, data, len))
		s->worker->mismatches++;
	slot->got += len;
}

static void setup_send(struct session *s)
{
	uint8_t cdb[16] = {0x9e, 0x10, [13] = SETUP_LEN}; /* READ CAPACITY (16) */

	s->slots[0] = (struct slot){.busy = true, .setup = true, .data = s->slots[0].data};
	session_command(s, 0, cdb);
}

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* This session's blocks: all of them, or a share of its own where content is checked. */
static void blocks_take(struct session *s)
{
	const struct options *opt = s->worker->opt;
	uint64_t bytes = (be64_get(s->setup_data) + 1) * s->block_len;

	if (opt->range && opt->range < bytes)
		bytes = opt->range;
	s->n_blocks = bytes / opt->block;
	s->next_block = s->n_blocks / opt->sessions * s->index;
	if (opt->check) {
		s->n_blocks /= opt->sessions;
		s->first_block = s->n_blocks * s->index;
		s->next_block = 0;
		s->versions = must(calloc(s->n_blocks + 1, sizeof(*s->versions)));
		s->in_use = must(calloc(s->n_blocks + 1, sizeof(*s->in_use)));
		for (unsigned i = 0; i < opt->depth; i++)
			s->slots[i].data = must(malloc(opt->block));
	}
}

static void setup_done(struct session *s, uint8_t status)
{
	s->slots[0].busy = s->slots[0].setup = false;
	if (status != GOOD && ++s->setup_tries < SETUP_TRIES) { /* unit attentions */
		setup_send(s);
		return;
	}
	s->block_len = be32_get(s->setup_data + 8);
	if (status != GOOD || s->block_len < 512 || s->worker->opt->block % s->block_len) {
		session_fail(s, "no capacity, or no multiple of its block length");
		return;
	}
	blocks_take(s);
	if (s->n_blocks == 0) {
		session_fail(s, "the LUN is too small");
		return;
	}
	s->state = READY;
	s->worker->n_logging_in--;
	s->worker->n_ready++;
}

void work_logged_in(struct session *s)
{
	const struct options *opt = s->worker->opt;

	if (opt->idle) {
		s->state = READY;
		s->worker->n_logging_in--;
		s->worker->n_ready++;
		return;
	}
	s->state = SETTING_UP;
	s->slots = must(calloc(opt->depth, sizeof(*s->slots)));
	s->may_busy = opt->depth;
	s->free_slots = must(calloc(opt->depth, sizeof(*s->free_slots)));
	for (; s->n_free < opt->depth; s->n_free++)
		s->free_slots[s->n_free] = opt->depth - 1 - s->n_free;
	setup_send(s);
}

static void note_error(struct session *s, const struct slot *slot, uint8_t status,
		       const uint8_t *sense, uint32_t sense_len)
{
	struct worker *w = s->worker;

	w->errors++;
	if (w->first_error[0])
		return;
	snprintf(w->first_error, sizeof(w->first_error),
		 "session %u: %s of block %llu: status %02x, %u bytes, sense %02x %02x/%02x",
		 s->index, slot->write ? "write" : "read", (unsigned long long)slot->block, status,
		 slot->got, sense_len >= 16 ? sense[4] & 0xf : 0, sense_len >= 16 ? sense[14] : 0,
		 sense_len >= 16 ? sense[15] : 0);
}

/*
 * BUSY and TASK SET FULL ask for patience: as initiators do, fewer commands at once from now on,
 * and slowly more again.
 */
static bool wants_patience(struct session *s, uint8_t status)
{
	unsigned others = s->worker->opt->depth - s->n_free - 1;

	if (status == BUSY || status == TASK_SET_FULL) {
		s->worker->retries++;
		s->may_busy = others ? others : 1;
		s->n_good = 0;
		return true;
	}
	if (s->may_busy < s->worker->opt->depth && ++s->n_good >= 64) {
		s->may_busy++;
		s->n_good = 0;
	}
	return false;
}

void work_done(struct session *s, struct slot *slot, uint8_t status, const uint8_t *sense,
	       uint32_t sense_len)
{
	struct worker *w = s->worker;
	bool again;

	if (slot->setup) {
		setup_done(s, status);
		return;
	}
	again = wants_patience(s, status);
	if (again && w->phase == PHASE_FILL) {
		send_slot(s, (unsigned)(slot - s->slots)); /* no block may be left out */
		return;
	}
	if (!again && (status != GOOD || (!slot->write && slot->got != w->opt->block)))
		note_error(s, slot, status, sense, sense_len);
	else if (!again && w->phase == PHASE_RUN)
		hist_add(slot->write ? &w->writes : &w->reads, w->now - slot->start_ns);
	if (s->versions) {
		if (slot->write && !again)
			s->versions[slot->block - s->first_block] = slot->version;
		s->in_use[slot->block - s->first_block] = false;
	}
	if (w->phase == PHASE_FILL && ++s->n_filled == s->n_blocks)
		w->n_filled++;
	slot->busy = false;
	s->free_slots[s->n_free++] = (unsigned)(slot - s->slots);
}

/* ---- phases ---- */

static uint64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void start_logins(struct worker *w)
{
	while (w->n_started < w->n_sessions && w->n_logging_in < w->opt->at_once) {
		w->n_logging_in++;
		session_connect(&w->sessions[w->n_started++]);
	}
}

static void events_take(struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		struct session *s = events[i].data.ptr;

		if (s->state == CONNECTING) {
			session_connected(s);
			continue;
		}
		if (events[i].events & ~(uint32_t)EPOLLOUT && s->state != DEAD)
			session_receive(s);
		if (events[i].events & EPOLLOUT && s->state != DEAD)
			session_flush(s);
		if (s->state == READY && s->n_free)
			work_issue(s);
	}
}

static void flush_all(struct worker *w)
{
	for (unsigned i = 0; i < w->n_dirty; i++) {
		w->dirty[i]->queued = false;
		if (!w->dirty[i]->waits_to_send || w->dirty[i]->state == LOGGING_IN)
			session_flush(w->dirty[i]);
	}
	w->n_dirty = 0;
}

static uint64_t wait_until(const struct worker *w, uint64_t end)
{
	return w->step_ns && w->next_due < end && w->next_due > w->now ? w->next_due : end;
}

/* One turn of the loop, which ends at the latest at @end. */
static void turn(struct worker *w, uint64_t end)
{
	struct epoll_event events[256];
	uint64_t until = wait_until(w, end);
	uint64_t left = until > w->now ? until - w->now : 0;
	struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	int n = epoll_pwait2(w->epoll_fd, events, 256, &timeout, NULL);

	w->now = load_now();
	events_take(events, n);
	if (w->step_ns && w->phase != PHASE_FILL)
		rate_issue(w);
	flush_all(w);
}

static void phase_begin(struct worker *w, enum phase phase)
{
	w->phase = phase;
	w->now = load_now();
	if (phase == PHASE_WARMUP && w->step_ns)
		w->next_due = w->now;
	for (unsigned i = 0; i < w->n_sessions; i++)
		if (w->sessions[i].n_free)
			work_issue(&w->sessions[i]);
	if (w->step_ns && phase != PHASE_FILL)
		rate_issue(w);
	flush_all(w);
}

static void run_for(struct worker *w, enum phase phase, double seconds)
{
	uint64_t end;

	phase_begin(w, phase);
	end = w->now + (uint64_t)(seconds * 1e9);
	while (w->now < end && w->n_dead < w->n_sessions)
		turn(w, end);
}

static bool drained(const struct worker *w)
{
	for (unsigned i = 0; i < w->n_sessions; i++)
		if (w->sessions[i].state == READY && w->sessions[i].n_free < w->opt->depth)
			return false;
	return true;
}

static void work(struct worker *w)
{
	uint64_t end, cpu, target;

	if (w->opt->check) {
		phase_begin(w, PHASE_FILL);
		while (w->n_filled + w->n_dead < w->n_sessions)
			turn(w, w->now + 100000000u);
	}
	pthread_barrier_wait(load_barrier);
	run_for(w, PHASE_WARMUP, w->opt->warmup);
	target = load_cpu_of(w->opt->target_pid);
	cpu = thread_cpu_ns();
	w->run_from = load_now();
	run_for(w, PHASE_RUN, w->opt->seconds);
	w->run_until = w->now;
	w->cpu_ns = thread_cpu_ns() - cpu;
	w->target_ns = load_cpu_of(w->opt->target_pid) - target;
	w->phase = PHASE_OVER;
	end = w->now + DRAIN_NS;
	while (!drained(w) && w->now < end)
		turn(w, end);
	if (!drained(w)) {
		w->errors++;
		if (!w->first_error[0])
			snprintf(w->first_error, sizeof(w->first_error),
				 "commands without an answer");
	}
}

void *worker_run(void *arg)
{
	struct worker *w = arg;

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->dirty = must(calloc(w->n_sessions, sizeof(struct session *)));
	w->now = load_now();
	while (w->n_ready + w->n_dead < w->n_sessions) {
		start_logins(w);
		turn(w, w->now + 100000000u);
	}
	pthread_barrier_wait(load_barrier); /* main() takes the time */
	if (!w->opt->idle) {
		work(w);
		return NULL;
	}
	while (!atomic_load(&load_stop))
		turn(w, w->now + 100000000u);
	return NULL;
}
