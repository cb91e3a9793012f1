/* SPDX-License-Identifier: Apache-2.0 */
/* The world's clock, its generator, its list of events, and the engines that live in it. */
#include "engine_sim.h"
#include "sim_priv.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p)
		abort();
	return p;
}

/* ---- chance ---- */

/* A counter in steps of the golden ratio, its bits stirred (SplitMix64). */
uint64_t sim_random(struct sim *sim)
{
	uint64_t z = sim->rng += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
	return limit ? sim_random(sim) % limit : 0;
}

uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high)
{
	return low + sim_below(sim, high - low + 1);
}

bool sim_chance(struct sim *sim, unsigned permille)
{
	return permille && sim_below(sim, 1000) < permille;
}

uint64_t sim_delay(struct sim *sim, uint64_t typical_ns)
{
	uint64_t most = sim_chance(sim, 30) ? 20 * typical_ns : 2 * typical_ns;

	return sim_below(sim, most + 1);
}

/* ---- events ---- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->tie < b->tie;
}

static void event_swap(struct sim *sim, size_t i, size_t j)
{
	struct sim_event event = sim->events[i];

	sim->events[i] = sim->events[j];
	sim->events[j] = event;
}

void sim_after(struct sim *sim, uint64_t delay_ns, void (*run)(void *arg, uint64_t n), void *arg,
	       uint64_t n)
{
	size_t i = sim->n_events++;

	if (i == sim->events_cap) {
		sim->events_cap = i ? 2 * i : 64;
		sim->events = reallocarray(sim->events, sim->events_cap, sizeof(*sim->events));
		if (!sim->events)
			abort();
	}
	sim->events[i] = (struct sim_event){.at_ns = sim->now_ns + delay_ns,
					    .tie = sim_random(sim),
					    .run = run,
					    .arg = arg,
					    .n = n};
	for (; i && earlier(&sim->events[i], &sim->events[(i - 1) / 2]); i = (i - 1) / 2)
		event_swap(sim, i, (i - 1) / 2);
}

static void run_first_event(struct sim *sim)
{
	struct sim_event event = sim->events[0];
	size_t i = 0, child;

	sim->events[0] = sim->events[--sim->n_events];
	while ((child = 2 * i + 1) < sim->n_events) {
		if (child + 1 < sim->n_events &&
		    earlier(&sim->events[child + 1], &sim->events[child]))
			child++;
		if (!earlier(&sim->events[child], &sim->events[i]))
			break;
		event_swap(sim, i, child);
		i = child;
	}
	event.run(event.arg, event.n);
}

/* ---- descriptors ---- */

int sim_file_add(struct sim *sim, struct sim_file *file, enum sim_file_kind kind)
{
	size_t n = sim->n_files++;

	sim->files = reallocarray(sim->files, sim->n_files, sizeof(*sim->files));
	if (!sim->files)
		abort();
	sim->files[n] = file;
	file->kind = kind;
	file->sim = sim;
	file->fd = SIM_FD_BASE + (int)n;
	return file->fd;
}

struct sim_file *sim_file_find(struct sim *sim, int fd)
{
	assert(fd >= SIM_FD_BASE && (size_t)(fd - SIM_FD_BASE) < sim->n_files);
	return sim->files[fd - SIM_FD_BASE];
}

size_t sim_iov_len(const struct iovec *iov, size_t n_iov)
{
	size_t len = 0;

	for (size_t i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	return len;
}

void sim_iov_move(const struct iovec *iov, size_t n_iov, size_t skip, void *bytes, size_t len,
		  bool to_iov)
{
	uint8_t *p = bytes;

	for (size_t i = 0; i < n_iov && len; i++) {
		uint8_t *seg = iov[i].iov_base;
		size_t n = iov[i].iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		seg += skip;
		n -= skip;
		skip = 0;
		if (n > len)
			n = len;
		memcpy(to_iov ? seg : p, to_iov ? p : seg, n);
		p += n;
		len -= n;
	}
}

/* ---- the engine ---- */

static struct sim_engine *sim_engine(struct engine *engine)
{
	return container_of(engine, struct sim_engine, engine);
}

void sim_ready(struct engine_op *op, int res)
{
	struct sim_engine *se = sim_engine(op->engine);

	op->res = res;
	if (sim_chance(se->sim, 300)) /* completions promise no order */
		list_push_front(&se->ready, &op->node);
	else
		list_push_back(&se->ready, &op->node);
}

/* ---- bells ---- */

struct sim_bell {
	struct sim_file file;
	struct engine_watch *watch; /* NULL: nobody listens */
	bool rung;
};

static void bell_free(struct sim_file *file)
{
	free(container_of(file, struct sim_bell, file));
}

int sim_bell_new(struct sim *sim)
{
	struct sim_bell *bell = sim_alloc(sizeof(*bell));

	bell->file.free = bell_free;
	return sim_file_add(sim, &bell->file, SIM_BELL);
}

static struct sim_bell *bell_find(struct sim *sim, int fd)
{
	struct sim_file *file = sim_file_find(sim, fd);

	assert(file->kind == SIM_BELL);
	return container_of(file, struct sim_bell, file);
}

static void bell_sounds(void *arg, uint64_t n)
{
	struct sim_bell *bell = arg;

	(void)n;
	if (bell->watch && list_empty(&bell->watch->op.node))
		sim_ready(&bell->watch->op, 0);
}

void sim_bell_ring(struct sim *sim, int fd)
{
	struct sim_bell *bell = bell_find(sim, fd);

	bell->rung = true;
	sim_after(sim, sim_delay(sim, 20000), bell_sounds, bell, 0);
}

static int sim_watch(struct engine *engine, struct engine_watch *watch)
{
	struct sim_bell *bell = bell_find(sim_engine(engine)->sim, watch->sock.fd);

	assert(!bell->watch);
	bell->watch = watch;
	if (bell->rung)
		sim_ready(&watch->op, 0);
	return 0;
}

static void sim_unwatch(struct engine *engine, struct engine_watch *watch)
{
	bell_find(sim_engine(engine)->sim, watch->sock.fd)->watch = NULL;
	list_del(&watch->op.node);
	sim_ready(&watch->end, 0);
}

static void bell_heard(struct engine_op *op)
{
	if (op->kind == OP_WATCH) {
		struct engine_watch *watch = container_of(op, struct engine_watch, op);

		watch->ready(watch);
	} else {
		struct engine_watch *watch = container_of(op, struct engine_watch, end);

		watch->gone(watch);
	}
}

static int sim_poll(struct engine *engine, uint64_t wait_until_ns)
{
	struct sim_engine *se = sim_engine(engine);
	struct list now = LIST_INIT(now), *node;
	int n = 0;

	(void)wait_until_ns; /* the world sleeps, not its engines: sim_step() */
	engine_slept(engine);
	list_splice_back(&now, &se->ready);
	while ((node = list_pop_front(&now))) {
		struct engine_op *op = list_entry(node, struct engine_op, node);

		if (op->kind == OP_WATCH || op->kind == OP_UNWATCH)
			bell_heard(op);
		else if (op->kind == OP_RECV || op->kind == OP_RECV_SOME || op->kind == OP_ACCEPT)
			sim_net_complete(op);
		else
			engine_complete(op, op->res);
		n++;
	}
	return n;
}

static void sim_wake(struct engine *engine)
{
	(void)engine; /* sim_step() looks at the posts itself */
}

static uint64_t sim_clock(struct engine *engine)
{
	return sim_engine(engine)->sim->now_ns;
}

static void sim_random_bytes(struct engine *engine, void *buf, size_t len)
{
	for (uint8_t *p = buf; len--; p++)
		*p = (uint8_t)sim_random(sim_engine(engine)->sim);
}

static void work_runs(void *arg, uint64_t n)
{
	struct engine_op *op = arg;

	(void)n;
	sim_ready(op, op->work.fn(op->work.arg));
}

static void sim_queue(struct engine *engine, struct engine_op *op)
{
	struct sim *sim = sim_engine(engine)->sim;

	switch ((enum engine_op_kind)op->kind) {
	case OP_ACCEPT:
	case OP_RECV:
	case OP_RECV_SOME:
	case OP_SEND:
		sim_net_queue(op);
		break;
	case OP_READV:
	case OP_WRITEV:
	case OP_FLUSH:
	case OP_DISCARD:
		sim_disk_queue(op);
		break;
	case OP_WORK:
		sim_after(sim, sim_delay(sim, 50000), work_runs, op, 0);
		break;
	case OP_WATCH:
	case OP_UNWATCH:
		assert(false); /* never queued */
	}
}

static void sim_engine_free(struct engine *engine)
{
	struct sim_engine *se = sim_engine(engine);

	assert(list_empty(&se->ready));
	list_del(&se->node);
	engine_fini(engine);
	free(se);
}

static const struct engine_ops sim_ops = {
	.name = "sim",
	.free = sim_engine_free,
	.poll = sim_poll,
	.wake = sim_wake,
	.clock = sim_clock,
	.random = sim_random_bytes,
	.sock_open = sim_sock_open,
	.sock_shutdown = sim_sock_shutdown,
	.sock_close = sim_sock_close,
	.watch = sim_watch,
	.unwatch = sim_unwatch,
	.queue = sim_queue,
};

int sim_engine_new(struct sim *sim, struct engine **ret_engine)
{
	struct sim_engine *se = sim_alloc(sizeof(*se));

	se->sim = sim;
	list_init(&se->ready);
	list_push_back(&sim->engines, &se->node);
	engine_init(&se->engine, &sim_ops);
	*ret_engine = &se->engine;
	return 0;
}

/* ---- the world ---- */

struct sim *sim_new(uint64_t seed)
{
	struct sim *sim = sim_alloc(sizeof(*sim));

	sim->seed = seed;
	sim->rng = seed;
	sim->now_ns = 1000000000;
	sim->net = (struct sim_net_config){.latency_ns = 50000, .buffer_bytes = 64 << 10};
	list_init(&sim->engines);
	list_init(&sim->disks);
	return sim;
}

void sim_free(struct sim *sim)
{
	struct list *node;

	if (!sim)
		return;
	assert(list_empty(&sim->engines));
	for (size_t i = 0; i < sim->n_files; i++)
		sim->files[i]->free(sim->files[i]);
	while ((node = list_pop_front(&sim->disks)))
		sim_disk_free(node);
	free(sim->files);
	free(sim->events);
	free(sim);
}

uint64_t sim_seed(const struct sim *sim)
{
	return sim->seed;
}

uint64_t sim_now(const struct sim *sim)
{
	return sim->now_ns;
}

/* When the engine has something to do next; UINT64_MAX: only once something happens to it. */
static uint64_t engine_due(const struct sim_engine *se)
{
	const struct engine *engine = &se->engine;

	if (!list_empty(&se->ready) || !list_empty(&engine->deferred) ||
	    atomic_load_explicit(&engine->posts, memory_order_relaxed))
		return 0;
	return engine->n_timers ? engine->heap[1].at_ns : UINT64_MAX;
}

/* One of the engines that are due now, by chance; or none, and when the first will be. */
static struct sim_engine *pick_engine(struct sim *sim, uint64_t *ret_next)
{
	struct sim_engine *pick = NULL;
	uint64_t next = UINT64_MAX;
	unsigned n_due = 0;

	list_for_each (se, &sim->engines, struct sim_engine, node) {
		uint64_t due = engine_due(se);

		if (due < next)
			next = due;
		if (due <= sim->now_ns && sim_below(sim, ++n_due) == 0)
			pick = se;
	}
	*ret_next = next;
	return pick;
}

bool sim_step(struct sim *sim)
{
	struct sim_engine *se;
	uint64_t next;

	if (sim->n_events && sim->events[0].at_ns <= sim->now_ns) {
		run_first_event(sim);
		return true;
	}
	se = pick_engine(sim, &next);
	if (se) {
		engine_turn(&se->engine, false);
		sim->now_ns += sim_between(sim, 100, 3000); /* the turn took its time */
		return true;
	}
	if (sim->n_events && sim->events[0].at_ns < next)
		next = sim->events[0].at_ns;
	if (next == UINT64_MAX)
		return false;
	sim->now_ns = next;
	return true;
}

int sim_run_until(struct sim *sim, bool (*cond)(void *arg), void *arg, uint64_t limit_ns)
{
	uint64_t end = sim->now_ns + limit_ns;

	while (!cond(arg)) {
		bool late = sim->now_ns > end;

		if (!late && sim_step(sim))
			continue;
		fprintf(stderr, "seed %" PRIu64 ": %s at %" PRIu64 " us\n", sim->seed,
			late ? "takes for ever" : "deadlock", sim->now_ns / 1000);
		return late ? -ETIMEDOUT : -EDEADLK;
	}
	return 0;
}
