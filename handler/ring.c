/* SPDX-License-Identifier: Apache-2.0 */
#include "handler/ring.h"
#include "handler/uapi.h"
#include <assert.h>
#include <errno.h>

/* ---- memory that another one may write ---- */

/* Fetched once: what is judged is what is used. */
static void fetch(const struct tcmu_ring *ring, size_t at, void *buf, size_t len)
{
	assert(at <= ring->map_len && len <= ring->map_len - at);
	memcpy(buf, ring->map + at, len);
	__asm__ volatile("" ::: "memory");
}

static uint32_t *word(const struct tcmu_ring *ring, size_t at)
{
	return (uint32_t *)(void *)(ring->map + at);
}

static uint16_t u16_of(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t u32_of(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t u64_of(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int wrong(struct tcmu_ring *ring, const char *why)
{
	ring->why = why;
	return -EPROTO;
}

/* ---- the mailbox ---- */

static bool is_position(const struct tcmu_ring *ring, uint32_t pos)
{
	return pos < ring->size && pos % TCMU_ALIGN == 0;
}

int tcmu_ring_init(struct tcmu_ring *ring, void *map, size_t map_len)
{
	uint8_t mailbox[MB_BYTES];

	memset(ring, 0, sizeof(*ring));
	ring->map = map;
	ring->map_len = map_len;
	if (map_len < MB_BYTES || (uintptr_t)map % TCMU_ALIGN)
		return wrong(ring, "the mapping holds no mailbox");
	fetch(ring, 0, mailbox, sizeof(mailbox));
	if (u16_of(mailbox + MB_VERSION) != TCMU_VERSION_OF_MAILBOX)
		return wrong(ring, "the mailbox is of another version");
	ring->flags = u16_of(mailbox + MB_FLAGS);
	if (!(ring->flags & MB_OUT_OF_ORDER))
		return wrong(ring, "the kernel takes completions in order only");
	ring->off = u32_of(mailbox + MB_CMDR_OFF);
	ring->size = u32_of(mailbox + MB_CMDR_SIZE);
	if (ring->off < MB_BYTES || ring->off % TCMU_ALIGN || ring->off > map_len ||
	    ring->size > map_len - ring->off || ring->size % TCMU_ALIGN || !ring->size)
		return wrong(ring, "the ring lies outside the mapping");
	ring->pos = ring->tail = u32_of(mailbox + MB_CMD_TAIL);
	if (!is_position(ring, ring->pos))
		return wrong(ring, "cmd_tail is outside the ring");
	return 0;
}

static uint32_t head(const struct tcmu_ring *ring)
{
	return __atomic_load_n(word(ring, MB_CMD_HEAD), __ATOMIC_ACQUIRE);
}

bool tcmu_ring_has_more(const struct tcmu_ring *ring)
{
	return head(ring) != ring->pos;
}

static void set_tail(struct tcmu_ring *ring, uint32_t tail)
{
	ring->tail = tail;
	__atomic_store_n(word(ring, MB_CMD_TAIL), tail, __ATOMIC_RELEASE);
}

/* ---- reading entries ---- */

static uint32_t bytes_until(const struct tcmu_ring *ring, uint32_t end)
{
	return end >= ring->pos ? end - ring->pos : ring->size - ring->pos + end;
}

/* Passes over an entry that gets no completion: it goes with the command before it, if any. */
static void pass_over(struct tcmu_ring *ring, uint32_t len)
{
	unsigned last = (ring->first + ring->n_open - 1) % TCMU_RING_OPEN_MAX;

	ring->pos = (ring->pos + len) % ring->size;
	if (ring->n_open)
		ring->places[last].next = ring->pos;
}

/* Gives back what was passed over with no command before it, once nobody looks at it any more. */
static void give_back(struct tcmu_ring *ring)
{
	if (!ring->n_open && ring->tail != ring->pos)
		set_tail(ring, ring->pos);
}

static void take_command(struct tcmu_ring *ring, uint32_t len)
{
	struct tcmu_place *place =
		&ring->places[(ring->first + ring->n_open++) % TCMU_RING_OPEN_MAX];

	place->at = ring->pos;
	ring->pos = place->next = (ring->pos + len) % ring->size;
}

/* Up to 32 bytes; how many of them are the CDB's is for its opcode to say. */
static int read_command(struct tcmu_ring *ring, uint32_t len, struct tcmu_entry *entry)
{
	size_t at = (size_t)ring->off + ring->pos, end = at + len;
	uint8_t req[REQ_IOV];
	uint64_t n_iov, cdb_at;

	if (ring->n_open == TCMU_RING_OPEN_MAX)
		return -EAGAIN;
	if (len < CMD_BYTES_MIN)
		return wrong(ring, "a command is too short");
	fetch(ring, at, req, sizeof(req));
	entry->iov_at = at + REQ_IOV;
	entry->n_iov = u32_of(req + REQ_IOV_CNT);
	entry->n_iov_bidi = u32_of(req + REQ_IOV_BIDI_CNT);
	n_iov = (uint64_t)entry->n_iov + entry->n_iov_bidi + u32_of(req + REQ_IOV_DIF_CNT);
	if (n_iov > (len - REQ_IOV) / TCMU_IOV_BYTES)
		return wrong(ring, "a command has more segments than its entry");
	cdb_at = u64_of(req + REQ_CDB_OFF);
	if (cdb_at < at + REQ_IOV + n_iov * TCMU_IOV_BYTES || cdb_at >= end)
		return wrong(ring, "a CDB lies outside its entry");
	entry->cdb_len =
		end - cdb_at < TCMU_RING_CDB_MAX ? (unsigned)(end - cdb_at) : TCMU_RING_CDB_MAX;
	fetch(ring, cdb_at, entry->cdb, entry->cdb_len);
	take_command(ring, len);
	return 1;
}

static int read_tmr(struct tcmu_ring *ring, uint32_t len, struct tcmu_entry *entry)
{
	size_t at = (size_t)ring->off + ring->pos;
	uint8_t tmr[TMR_CMD_IDS];

	if (len < TMR_CMD_IDS)
		return wrong(ring, "a task management entry is too short");
	fetch(ring, at, tmr, sizeof(tmr));
	entry->is_tmr = true;
	entry->tmr_type = tmr[TMR_TYPE];
	if (u32_of(tmr + TMR_CMD_CNT) > (len - TMR_CMD_IDS) / 2)
		return wrong(ring, "a task management entry names more commands than it holds");
	pass_over(ring, len);
	return 1;
}

/* One entry, of which there is one. Return: 1; 0: it asks for nothing; -EAGAIN; -EPROTO. */
static int read_entry(struct tcmu_ring *ring, uint32_t left, struct tcmu_entry *entry)
{
	size_t at = (size_t)ring->off + ring->pos;
	uint8_t ent[ENT_HEAD_BYTES];
	uint32_t len;
	uint8_t op;

	fetch(ring, at, ent, sizeof(ent));
	len = u32_of(ent + ENT_LEN_OP) & ~TCMU_OP_BITS;
	op = u32_of(ent + ENT_LEN_OP) & TCMU_OP_BITS;
	if (len < ENT_HEAD_BYTES || len > left || len > ring->size - ring->pos)
		return wrong(ring, "the length of an entry is wrong");
	memset(entry, 0, sizeof(*entry));
	entry->id = u16_of(ent + ENT_CMD_ID);
	switch (op) {
	case OP_IS_CMD:
		return read_command(ring, len, entry);
	case OP_IS_TMR:
		return read_tmr(ring, len, entry);
	case OP_IS_PAD:
		break;
	default:
		ring->map[at + ENT_UFLAGS] |= UFLAG_UNKNOWN_OP;
	}
	pass_over(ring, len);
	return 0;
}

int tcmu_ring_next(struct tcmu_ring *ring, struct tcmu_entry *ret_entry)
{
	uint32_t end = head(ring);
	int r = 0;

	if (!is_position(ring, end))
		return wrong(ring, "cmd_head is outside the ring");
	give_back(ring);
	while (r == 0 && ring->pos != end)
		r = read_entry(ring, bytes_until(ring, end), ret_entry);
	if (r == 0)
		give_back(ring);
	return r == -EAGAIN ? 0 : r;
}

int tcmu_ring_iov(struct tcmu_ring *ring, const struct tcmu_entry *entry, uint32_t i,
		  struct iovec *ret_iov)
{
	uint64_t data_at = (uint64_t)ring->off + ring->size;
	uint8_t iov[TCMU_IOV_BYTES];
	uint64_t at, len;

	assert(i < (uint64_t)entry->n_iov + entry->n_iov_bidi);
	fetch(ring, entry->iov_at + (size_t)i * TCMU_IOV_BYTES, iov, sizeof(iov));
	at = u64_of(iov);
	len = u64_of(iov + 8);
	if (at < data_at || at > ring->map_len || len > ring->map_len - at)
		return wrong(ring, "a segment lies outside the data area");
	*ret_iov = (struct iovec){ring->map + at, (size_t)len};
	return 0;
}

/* ---- completions ---- */

/* The oldest place is where the kernel looks next, whichever command it held. */
void tcmu_ring_complete(struct tcmu_ring *ring, const struct tcmu_result *result)
{
	const struct tcmu_place *place = &ring->places[ring->first];
	uint8_t *ent = ring->map + ring->off + place->at;
	bool has_in_len = result->has_in_len && ring->flags & MB_READ_LEN;

	assert(ring->n_open && result->sense_len <= TCMU_SENSE_BYTES);
	memcpy(ent + ENT_CMD_ID, &result->id, sizeof(result->id));
	ent[ENT_UFLAGS] = has_in_len ? UFLAG_READ_LEN : 0;
	ent[RSP_STATUS] = result->status;
	if (has_in_len)
		memcpy(ent + RSP_READ_LEN, &result->in_len, sizeof(result->in_len));
	memset(ent + RSP_SENSE, 0, TCMU_SENSE_BYTES);
	if (result->sense)
		memcpy(ent + RSP_SENSE, result->sense, result->sense_len);
	ring->first = (ring->first + 1) % TCMU_RING_OPEN_MAX;
	ring->n_open--;
	set_tail(ring, place->next);
}
