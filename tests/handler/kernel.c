/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel.h. */
#include "tests/handler/kernel.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define iovec tcmu_kernel_iovec
#include <linux/target_core_user.h>
#undef iovec

#define PAGE 4096u
#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

void kernel_start(struct kernel *k, uint32_t ring_bytes, uint32_t data_bytes)
{
	int fds[2];

	memset(k, 0, sizeof(*k));
	k->map_len = KERNEL_RING_OFF + (size_t)ring_bytes + data_bytes;
	/* To the byte, so that the address sanitizer sees what goes beyond. */
	k->map = aligned_alloc(8, ROUND_UP(k->map_len, 8));
	assert_non_null(k->map);
	memset(k->map, 0, k->map_len);
	k->mb = (struct tcmu_mailbox *)(void *)k->map;
	k->mb->version = TCMU_MAILBOX_VERSION;
	k->mb->flags = TCMU_MAILBOX_FLAG_CAP_OOOC | TCMU_MAILBOX_FLAG_CAP_READ_LEN |
		       TCMU_MAILBOX_FLAG_CAP_TMR;
	k->mb->cmdr_off = KERNEL_RING_OFF;
	k->mb->cmdr_size = ring_bytes;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	k->fd = fds[0];
	k->own = fds[1];
}

/* Another page at @page: of a file, or, with -1, of none. */
static void put_page(uint8_t *page, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED : MAP_SHARED | MAP_FIXED;

	assert_ptr_equal(mmap(page, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0), page);
}

void kernel_stop(struct kernel *k)
{
	close(k->fd);
	close(k->own);
	if (k->taken) /* memory again, for the next to have it */
		put_page(k->taken, -1);
	free(k->map);
}

void kernel_take_page(struct kernel *k, uint8_t *data, uint32_t len)
{
	uint8_t *page = data + (PAGE - (uintptr_t)data % PAGE) % PAGE;
	int fd = memfd_create("no page", MFD_CLOEXEC);

	assert_true(fd >= 0 && !k->taken && page + PAGE <= data + len);
	put_page(page, fd);
	k->taken = page;
	close(fd);
}

static struct tcmu_cmd_entry *entry_at(const struct kernel *k, uint32_t pos)
{
	return (struct tcmu_cmd_entry *)(void *)(k->map + k->mb->cmdr_off + pos);
}

static uint32_t tail(const struct kernel *k)
{
	return __atomic_load_n(&k->mb->cmd_tail, __ATOMIC_ACQUIRE);
}

uint32_t kernel_room(const struct kernel *k)
{
	uint32_t head = k->mb->cmd_head, size = k->mb->cmdr_size;

	/* Never full, or it would look empty. */
	return (k->cleaned + size - head - 1) % size;
}

bool kernel_is_empty(const struct kernel *k)
{
	return !k->n_open && tail(k) == k->mb->cmd_head;
}

static void set_head(struct kernel *k, uint32_t head)
{
	__atomic_store_n(&k->mb->cmd_head, head % k->mb->cmdr_size, __ATOMIC_RELEASE);
}

void kernel_pad(struct kernel *k, uint32_t len)
{
	struct tcmu_cmd_entry *ent = entry_at(k, k->mb->cmd_head);

	assert_true(len <= k->mb->cmdr_size - k->mb->cmd_head);
	memset(ent, 0, sizeof(ent->hdr));
	ent->hdr.len_op = len | TCMU_OP_PAD;
	set_head(k, k->mb->cmd_head + len);
}

/* An entry of @len bytes that does not wrap. */
static void *new_entry(struct kernel *k, uint8_t op, uint32_t len)
{
	uint32_t to_end = k->mb->cmdr_size - k->mb->cmd_head;
	struct tcmu_cmd_entry *ent;

	assert_true(kernel_room(k) >= len + (to_end < len ? to_end : 0));
	if (to_end < len)
		kernel_pad(k, to_end);
	ent = entry_at(k, k->mb->cmd_head);
	memset(ent, 0, len);
	ent->hdr.len_op = len | op;
	return ent;
}

static uint32_t cdb_len_of(const struct request *request)
{
	static const uint8_t by_group[8] = {6, 10, 10, 12, 16, 12, 10, 10};

	if (request->cdb_len)
		return request->cdb_len;
	return request->cdb[0] == 0x7f ? 8u + request->cdb[7] : by_group[request->cdb[0] >> 5];
}

/* Buffers follow each other with a gap, from the start again when the end has come. */
static uint8_t *new_buffer(struct kernel *k, uint32_t len)
{
	size_t base = k->mb->cmdr_off + (size_t)k->mb->cmdr_size;

	if (base + k->data_at + len > k->map_len)
		k->data_at = 0;
	assert_true(base + k->data_at + len <= k->map_len);
	k->data_at += len + 64;
	return k->map + base + k->data_at - len - 64;
}

static void put_iov(struct kernel *k, struct tcmu_cmd_entry *ent, unsigned i, const uint8_t *data,
		    uint32_t len)
{
	ent->req.iov[i].iov_base = (void *)(uintptr_t)(data - k->map);
	ent->req.iov[i].iov_len = len;
}

static uint16_t new_id(struct kernel *k)
{
	while (k->cmds[k->next_id % KERNEL_IDS].open)
		k->next_id++;
	return k->next_id++ % KERNEL_IDS;
}

uint16_t kernel_queue(struct kernel *k, const struct request *request)
{
	unsigned n = !request->len ? 0 : request->n_segments ? request->n_segments : 1;
	unsigned n_bidi = request->bidi_len ? 1 : 0;
	uint32_t base = offsetof(struct tcmu_cmd_entry, req.iov) +
			(n + n_bidi) * (uint32_t)sizeof(struct tcmu_kernel_iovec);
	uint32_t len, cdb_len = cdb_len_of(request), piece = n ? request->len / n : 0;
	uint16_t id = new_id(k);
	struct kernel_cmd *cmd = &k->cmds[id];
	struct tcmu_cmd_entry *ent;

	if (base < sizeof(*ent))
		base = sizeof(*ent);
	len = base + ROUND_UP(cdb_len, 8);
	*cmd = (struct kernel_cmd){.open = true, .len = request->len};
	cmd->data = new_buffer(k, request->len + request->bidi_len);
	memset(cmd->data, KERNEL_STALE, request->len + request->bidi_len);
	if (request->out)
		memcpy(cmd->data, request->out, request->len);
	ent = new_entry(k, TCMU_OP_CMD, len);
	ent->hdr.cmd_id = id;
	ent->req.iov_cnt = n;
	ent->req.iov_bidi_cnt = n_bidi;
	for (unsigned i = 0; i < n; i++)
		put_iov(k, ent, i, cmd->data + i * piece,
			i + 1 < n ? piece : request->len - i * piece);
	if (n_bidi)
		put_iov(k, ent, n, cmd->data + request->len, request->bidi_len);
	ent->req.cdb_off = (uint64_t)((uint8_t *)ent - k->map) + base;
	memcpy((uint8_t *)ent + base, request->cdb, cdb_len < 32 ? cdb_len : 32);
	set_head(k, k->mb->cmd_head + len);
	k->n_open++;
	return id;
}

void kernel_tmr(struct kernel *k, uint8_t type, const uint16_t *ids, uint32_t n)
{
	uint32_t len = ROUND_UP((uint32_t)sizeof(struct tcmu_tmr_entry) + 2 * n, 8);
	struct tcmu_tmr_entry *ent = new_entry(k, TCMU_OP_TMR, len);

	ent->tmr_type = type;
	ent->cmd_cnt = n;
	for (uint32_t i = 0; i < n; i++)
		ent->cmd_ids[i] = ids[i];
	set_head(k, k->mb->cmd_head + len);
}

void kernel_queue_odd(struct kernel *k, uint8_t op, uint32_t len)
{
	new_entry(k, op, len);
	set_head(k, k->mb->cmd_head + len);
}

/* ---- interrupts ---- */

static unsigned drain(int fd)
{
	uint8_t packet[8];
	unsigned n = 0;
	ssize_t r;

	while ((r = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		assert_int_equal(r, 4);
		n++;
	}
	return n;
}

void kernel_kick(struct kernel *k)
{
	static const uint32_t one = 1;

	drain(k->fd); /* nobody reads it: this is no counter */
	assert_int_equal(send(k->own, &one, sizeof(one), 0), sizeof(one));
}

unsigned kernel_heard(struct kernel *k)
{
	return drain(k->own);
}

/* ---- completions ---- */

struct kernel_cmd *kernel_cmd(struct kernel *k, uint16_t id)
{
	assert_true(id < KERNEL_IDS);
	return &k->cmds[id];
}

static void take_completion(struct kernel *k, const struct tcmu_cmd_entry *ent)
{
	struct kernel_cmd *cmd = kernel_cmd(k, ent->hdr.cmd_id);

	assert_true(cmd->open); /* the kernel would call the ring broken */
	cmd->open = false;
	cmd->done = true;
	cmd->status = ent->rsp.scsi_status;
	cmd->uflags = ent->hdr.uflags;
	cmd->read_len = ent->rsp.read_len;
	memcpy(cmd->sense, ent->rsp.sense_buffer, sizeof(cmd->sense));
	k->n_open--;
}

unsigned kernel_reap(struct kernel *k)
{
	uint32_t end = tail(k);
	unsigned n = 0;

	assert_true(end < k->mb->cmdr_size);
	while (k->cleaned != end) {
		const struct tcmu_cmd_entry *ent = entry_at(k, k->cleaned);

		if (tcmu_hdr_get_op(ent->hdr.len_op) == TCMU_OP_CMD) {
			take_completion(k, ent);
			n++;
		}
		k->cleaned = (k->cleaned + tcmu_hdr_get_len(ent->hdr.len_op)) % k->mb->cmdr_size;
	}
	return n;
}
