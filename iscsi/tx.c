/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: queued answers become gathered sends of [BHS][data][BHS][data]. Numbers (StatSN,
 * ExpCmdSN, MaxCmdSN, DataSN) and digests are filled in when a PDU is put on the wire, so that
 * they are in the order of the wire and as fresh as can be.
 */
#include "iscsi/conn_priv.h"
#include "util/crc32c.h"

#define KEEP_OUTS 256
#define KEEP_BATCHES 64

struct iscsi_out *out_new(struct iscsi_conn *conn, enum iscsi_opcode opcode)
{
	struct iscsi_shard *shard = conn->shard;
	struct list *node = list_pop_front(&shard->outs);
	struct iscsi_out *out =
		node ? list_entry(node, struct iscsi_out, node) : malloc(sizeof(*out));

	if (!out) {
		conn_drop(conn, "out of memory");
		return NULL;
	}
	if (node)
		shard->n_outs--;
	conn->n_outs++;
	memset(out, 0, offsetof(struct iscsi_out, small));
	list_init(&out->node);
	out->bhs.b[0] = (uint8_t)opcode;
	out->bhs.b[1] = BHS_FINAL;
	out->takes_statsn = true;
	return out;
}

void out_free(struct iscsi_conn *conn, struct iscsi_out *out)
{
	struct iscsi_shard *shard = conn->shard;

	list_del(&out->node);
	if (out->buf)
		pool_put(shard->reactor->bufs, out->buf);
	free(out->heap);
	out->buf = NULL;
	out->heap = NULL;
	if (out->embedded)
		return;
	conn->n_outs--;
	if (shard->n_outs == KEEP_OUTS) {
		free(out);
		return;
	}
	shard->n_outs++;
	list_push_front(&shard->outs, &out->node);
}

void out_push(struct iscsi_conn *conn, struct iscsi_out *out)
{
	list_push_back(&conn->out, &out->node);
	if (conn->phase != CONN_CLOSING)
		engine_defer(conn_engine(conn), &conn->flush);
}

void out_reject(struct iscsi_conn *conn, enum iscsi_reject_reason reason)
{
	struct iscsi_out *out = out_new(conn, OP_REJECT);
	uint32_t len = ISCSI_BHS_LEN + conn->rx.ahs_len;

	if (!out)
		return;
	out->heap = malloc(ISCSI_BHS_LEN + ISCSI_AHS_MAX);
	if (!out->heap) {
		out_free(conn, out);
		conn_drop(conn, "out of memory");
		return;
	}
	memcpy(out->heap, conn->rx.bhs.b, ISCSI_BHS_LEN);
	memcpy((uint8_t *)out->heap + ISCSI_BHS_LEN, conn->rx.ahs, conn->rx.ahs_len);
	out->data = out->heap;
	out->data_len = len;
	out->bhs.b[2] = (uint8_t)reason;
	bhs_set_itt(&out->bhs, ISCSI_RESERVED_TAG);
	out_push(conn, out);
}

void out_async(struct iscsi_conn *conn, uint8_t event, uint16_t p1, uint16_t p2, uint16_t p3)
{
	struct iscsi_out *out = out_new(conn, OP_ASYNC_MSG);

	if (!out)
		return;
	bhs_set_itt(&out->bhs, ISCSI_RESERVED_TAG);
	out->bhs.b[36] = event;
	be16_put(out->bhs.b + 38, p1);
	be16_put(out->bhs.b + 40, p2);
	be16_put(out->bhs.b + 42, p3);
	out_push(conn, out);
}

bool out_nop_in(struct iscsi_conn *conn, uint32_t ttt)
{
	struct iscsi_out *out = out_new(conn, OP_NOP_IN);

	if (!out)
		return false;
	out->takes_statsn = false;
	bhs_set_itt(&out->bhs, ISCSI_RESERVED_TAG);
	bhs_set_ttt(&out->bhs, ttt);
	out_push(conn, out);
	return true;
}

/* ---- building a send ---- */

static void batch_add(struct tx_batch *batch, const void *data, size_t len)
{
	if (!len)
		return;
	batch->iov[batch->n_iov].iov_base = (void *)data;
	batch->iov[batch->n_iov++].iov_len = len;
	batch->bytes += (uint32_t)len;
}

static void fill_numbers(struct iscsi_conn *conn, struct iscsi_bhs *bhs, bool takes_statsn)
{
	struct iscsi_session *session = conn->session;
	uint8_t opcode = bhs_opcode(bhs);

	bhs_set_statsn(bhs, conn->statsn);
	if (takes_statsn)
		conn->statsn++;
	if (opcode == OP_LOGIN_RSP && !session)
		return; /* the login phase has filled them in */
	bhs_set_expcmdsn(bhs, session->exp_cmdsn);
	bhs_set_maxcmdsn(bhs, session_max_cmdsn(session, server_config(conn->server)->queue_depth));
}

/* Header, data and their digests of one PDU. @data_iov is copied. */
static void batch_pdu(struct iscsi_conn *conn, struct tx_batch *batch, const struct iscsi_bhs *bhs,
		      const struct iovec *data, int n_data, uint32_t data_len)
{
	uint8_t *header = batch->pdus[batch->n_pdus].header;
	uint8_t *tail = batch->pdus[batch->n_pdus++].tail;
	uint32_t pad = iscsi_pad(data_len), header_len = ISCSI_BHS_LEN;
	bool login = bhs_opcode(bhs) == OP_LOGIN_RSP; /* digests begin after it */

	memcpy(header, bhs->b, ISCSI_BHS_LEN);
	if (conn->rx.header_digest && !login) {
		le32_put(header + ISCSI_BHS_LEN, crc32c(header, ISCSI_BHS_LEN));
		header_len += 4;
	}
	batch_add(batch, header, header_len);
	for (int i = 0; i < n_data; i++)
		batch_add(batch, data[i].iov_base, data[i].iov_len);
	if (!data_len)
		return;
	memset(tail, 0, pad);
	if (conn->rx.data_digest && !login) {
		uint32_t crc = CRC32C_SEED;

		for (int i = 0; i < n_data; i++)
			crc = crc32c_update(crc, data[i].iov_base, data[i].iov_len);
		le32_put(tail + pad, crc32c_end(crc32c_update(crc, tail, pad)));
		pad += 4;
	}
	batch_add(batch, tail, pad);
}

/* @len bytes of the task's buffers from @off on. Return: number of entries. */
static int task_slice(const struct iscsi_task *task, uint32_t off, uint32_t len, struct iovec *iov)
{
	size_t large = task->bufs[0]->size;
	int n = 0;

	for (uint32_t i = (uint32_t)(off / large); len; i++) {
		size_t skip = off % large, here = task->bufs[i]->size - skip;

		if (here > len)
			here = len;
		iov[n].iov_base = task->bufs[i]->data + skip;
		iov[n++].iov_len = here;
		off += (uint32_t)here;
		len -= (uint32_t)here;
	}
	return n;
}

/* The next Data-In PDU of a task. Return: whether it was the last one. RFC 7143 11.7 */
static bool batch_data_in(struct iscsi_conn *conn, struct tx_batch *batch, struct iscsi_out *out)
{
	const struct iscsi_params *params = &conn->session->params;
	struct iscsi_task *task = out->task;
	struct iscsi_bhs bhs = out->bhs;
	struct iovec iov[ISCSI_TASK_BUFS];
	uint32_t len = task->in_len - task->in_off;
	bool last, sequence_ends;

	if (len > params->max_send_data_segment)
		len = params->max_send_data_segment;
	if (len > params->max_burst - task->in_burst)
		len = params->max_burst - task->in_burst;
	last = task->in_off + len == task->in_len;
	sequence_ends = last || task->in_burst + len == params->max_burst;
	bhs.b[1] = sequence_ends ? BHS_FINAL : 0;
	if (last) {
		bhs.b[1] |= out->bhs.b[1]; /* S, O, U as prepared */
	} else {
		bhs.b[3] = 0;
		be32_put(bhs.b + 44, 0);
	}
	bhs_set_data_len(&bhs, len);
	be32_put(bhs.b + 36, task->in_datasn++);
	be32_put(bhs.b + 40, task->in_off);
	if (last)
		task_uncount(task);
	fill_numbers(conn, &bhs, last);
	if (!last)
		bhs_set_statsn(&bhs, 0);
	batch_pdu(conn, batch, &bhs, iov, task_slice(task, task->in_off, len, iov), len);
	task->in_off += len;
	task->in_burst = sequence_ends ? 0 : task->in_burst + len;
	return last;
}

static void batch_simple(struct iscsi_conn *conn, struct tx_batch *batch, struct iscsi_out *out)
{
	struct iovec iov = {(void *)out->data, out->data_len};

	bhs_set_data_len(&out->bhs, out->data_len);
	if (out->task)
		task_uncount(out->task);
	fill_numbers(conn, &out->bhs, out->takes_statsn);
	batch_pdu(conn, batch, &out->bhs, &iov, 1, out->data_len);
}

static bool batch_has_room(const struct tx_batch *batch)
{
	/* one more PDU takes its header, its data in as many pieces as a task has, and its tail */
	return batch->n_pdus < TX_PDUS && batch->n_iov + ISCSI_TASK_BUFS + 2 <= TX_IOV &&
	       batch->bytes < TX_BYTES;
}

static struct tx_batch *batch_take(struct iscsi_shard *shard)
{
	struct list *node = list_pop_front(&shard->batches);
	struct tx_batch *batch =
		node ? list_entry(node, struct tx_batch, node) : malloc(sizeof(*batch));

	if (!batch)
		return NULL;
	if (node)
		shard->n_batches--;
	batch->n_iov = batch->first = 0;
	batch->n_pdus = 0;
	batch->bytes = 0;
	return batch;
}

static void batch_give_back(struct iscsi_conn *conn)
{
	struct iscsi_shard *shard = conn->shard;
	struct tx_batch *batch = steal(conn->batch);

	if (!batch)
		return;
	if (shard->n_batches == KEEP_BATCHES) {
		free(batch);
		return;
	}
	shard->n_batches++;
	list_push_front(&shard->batches, &batch->node);
}

static void tx_send(struct iscsi_conn *conn)
{
	struct tx_batch *batch = conn->batch;

	conn->tx_busy = true;
	engine_send(conn_engine(conn), &conn->sock, &conn->tx_op, batch->iov + batch->first,
		    batch->n_iov - batch->first);
}

/* What has left: buffers go back, tasks end. */
static void sent_finish(struct iscsi_conn *conn)
{
	struct list *node;
	bool close_now = false;

	batch_give_back(conn);
	while ((node = list_pop_front(&conn->sent))) {
		struct iscsi_out *out = list_entry(node, struct iscsi_out, node);
		struct iscsi_task *task = out->task;

		close_now |= out->last;
		out_free(conn, out);
		if (task)
			task_free(task);
	}
	if (close_now)
		conn_drop(conn, NULL);
	if (conn->choked && conn->n_outs < ISCSI_ANSWERS_MAX) {
		conn->choked = false;
		conn_resume(conn);
	}
}

static void tx_done(struct engine_op *op, int res)
{
	struct iscsi_conn *conn = container_of(op, struct iscsi_conn, tx_op);
	struct tx_batch *batch = conn->batch;

	conn->tx_busy = false;
	if (conn->phase == CONN_CLOSING) {
		conn_try_free(conn);
		return;
	}
	if (res < 0) {
		conn_drop(conn, res == -EPIPE || res == -ECONNRESET ? NULL : "send failed");
		return;
	}
	for (size_t left = (size_t)res; left;) {
		struct iovec *iov = &batch->iov[batch->first];

		if (left < iov->iov_len) {
			iov->iov_base = (uint8_t *)iov->iov_base + left;
			iov->iov_len -= left;
			break;
		}
		left -= iov->iov_len;
		batch->first++;
	}
	if (batch->first < batch->n_iov) {
		tx_send(conn);
		return;
	}
	sent_finish(conn);
	if (conn->phase != CONN_CLOSING && !list_empty(&conn->out))
		tx_flush(&conn->flush);
}

/* End of a turn of the loop: all that is ready leaves in one send. */
void tx_flush(struct engine_defer *defer)
{
	struct iscsi_conn *conn = container_of(defer, struct iscsi_conn, flush);
	struct tx_batch *batch;

	if (conn->tx_busy || conn->phase == CONN_CLOSING || list_empty(&conn->out))
		return;
	batch = batch_take(conn->shard);
	if (!batch) {
		conn_drop(conn, "out of memory");
		return;
	}
	conn->batch = batch;
	while (!list_empty(&conn->out) && batch_has_room(batch)) {
		struct iscsi_out *out = list_first(&conn->out, struct iscsi_out, node);

		if (out->data_in && !batch_data_in(conn, batch, out))
			continue;
		if (!out->data_in)
			batch_simple(conn, batch, out);
		list_del(&out->node);
		list_push_back(&conn->sent, &out->node);
	}
	conn->tx_op.done = tx_done;
	tx_send(conn);
}

static void out_drop_list(struct iscsi_conn *conn, struct list *outs)
{
	struct list *node;

	while ((node = list_pop_front(outs))) {
		struct iscsi_out *out = list_entry(node, struct iscsi_out, node);
		struct iscsi_task *task = out->task;

		out_free(conn, out);
		if (task)
			task_free(task);
	}
}

/* The connection is closing and nothing is being sent any more. */
void out_drop_all(struct iscsi_conn *conn)
{
	out_drop_list(conn, &conn->sent);
	out_drop_list(conn, &conn->out);
	batch_give_back(conn);
}
