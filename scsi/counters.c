/* SPDX-License-Identifier: Apache-2.0 */
/* Counting what is done, for the log pages. */
#include "scsi/counters.h"
#include "scsi/lu_priv.h"
#include "scsi/spc/state.h"
#include <stdlib.h>

/* Commands of one kind have their counts side by side, in this order. */
enum { OF_COMMANDS, OF_BLOCKS, OF_NS, OF_ERRORS };

struct scsi_counters *scsi_counters_new(void)
{
	struct scsi_counters *counters =
		aligned_alloc(_Alignof(struct scsi_counters), sizeof(*counters));

	if (counters)
		memset(counters, 0, sizeof(*counters));
	return counters;
}

void scsi_counters_free(struct scsi_counters *counters)
{
	free(counters);
}

void scsi_count_enter(struct scsi_itl *itl)
{
	struct spc_state *state = itl->lu->spc;

	if (!state->reached_ns) /* the clock is an engine's: a LU alone has none */
		state->reached_ns = engine_now(itl->nexus->engine);
}

/* One thread writes, so that adding needs no locked instruction. */
static void add(_Atomic(uint64_t) *count, uint64_t more)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

static bool is_alone(const struct scsi_task *task)
{
	return task->node.next == task->node.prev; /* the head */
}

void scsi_count_begin(struct scsi_task *task)
{
	task->begun_ns = engine_now(task->nexus->engine);
	if (is_alone(task))
		atomic_store_explicit(&task->itl->counters->busy_since, task->begun_ns,
				      memory_order_relaxed);
}

/* The first count of the command's kind, or N_COUNTS for what the log pages do not tell of. */
static enum scsi_count kind_of(const struct scsi_task *task)
{
	if (!task->op)
		return N_COUNTS;
	if (task->op->access == ACCESS_WRITE)
		return COUNT_WRITES;
	if (task->op->access != ACCESS_READ)
		return N_COUNTS;
	return task->need_in ? COUNT_READS : COUNT_VERIFIES;
}

/* What went over the wire, or what the command names when nothing does. */
static uint64_t blocks_of(const struct scsi_task *task, enum scsi_count kind)
{
	unsigned shift = scsi_lu_view(task->lu)->block_shift;

	if (task->status != STATUS_GOOD && task->status != STATUS_CONDITION_MET)
		return 0;
	if (kind == COUNT_READS)
		return task->in_len >> shift;
	return kind == COUNT_WRITES ? task->out_len >> shift : task->n_blocks;
}

static bool is_error(const struct scsi_task *task)
{
	return task->status == STATUS_CHECK_CONDITION &&
	       (task->sense.key == KEY_MEDIUM_ERROR || task->sense.key == KEY_HARDWARE_ERROR);
}

void scsi_count_end(struct scsi_task *task)
{
	struct scsi_counters *counters = task->itl->counters;
	uint64_t now = engine_now(task->nexus->engine);
	enum scsi_count kind = kind_of(task);

	if (kind != N_COUNTS) {
		add(&counters->n[kind + OF_COMMANDS], 1);
		add(&counters->n[kind + OF_BLOCKS], blocks_of(task, kind));
		add(&counters->n[kind + OF_NS], now - task->begun_ns);
		add(&counters->n[kind + OF_ERRORS], is_error(task));
	}
	if (!list_empty(&task->itl->tasks))
		return;
	add(&counters->n[COUNT_BUSY_NS],
	    now - atomic_load_explicit(&counters->busy_since, memory_order_relaxed));
	atomic_store_explicit(&counters->busy_since, 0, memory_order_relaxed);
}

void scsi_count_leave(struct scsi_itl *itl)
{
	for (unsigned i = 0; i < N_COUNTS; i++)
		itl->lu->spc->departed[i] += itl->counters->n[i];
}

static void sum_one(const struct scsi_counters *counters, uint64_t now_ns, uint64_t *n)
{
	uint64_t since = atomic_load_explicit(&counters->busy_since, memory_order_relaxed);

	for (unsigned i = 0; i < N_COUNTS; i++)
		n[i] += atomic_load_explicit(&counters->n[i], memory_order_relaxed);
	if (since && now_ns > since)
		n[COUNT_BUSY_NS] += now_ns - since;
}

void scsi_count_sum(struct scsi_lu *lu, uint64_t now_ns, struct scsi_totals *ret_totals)
{
	struct scsi_totals totals = {0};

	pthread_mutex_lock(&lu->lock);
	memcpy(totals.n, lu->spc->departed, sizeof(totals.n));
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node)
		sum_one(itl->counters, now_ns, totals.n);
	totals.age_ns = now_ns - lu->spc->reached_ns;
	pthread_mutex_unlock(&lu->lock);
	*ret_totals = totals;
}
