/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel's side of a TCMU ring, in memory: what target_core_user writes and reads, laid out by
 * the kernel's own header. The UIO descriptor is one end of a socket pair, whose packets of four
 * bytes stand for interrupts one way and for write(2) the other way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
/* cmocka.h wants the above first. */
#include <cmocka.h>

#define KERNEL_IDS 4096
#define KERNEL_RING_OFF 128 /* where the ring begins in the mapping */
#define KERNEL_STALE 0xa5   /* what a buffer holds before a read */

struct kernel_cmd {
	bool open, done;
	uint8_t *data; /* its buffer, one piece for us */
	uint32_t len;
	uint8_t status, uflags;
	uint32_t read_len;
	uint8_t sense[96];
};

struct kernel {
	uint8_t *map;
	size_t map_len;
	struct tcmu_mailbox *mb;
	int fd;		  /* the device's */
	int own;	  /* ours */
	uint32_t cleaned; /* as far as completions have been looked at */
	uint32_t data_at; /* of the next buffer */
	uint16_t next_id;
	unsigned n_open;
	uint8_t *taken; /* the page */
	struct kernel_cmd cmds[KERNEL_IDS];
};

void kernel_start(struct kernel *k, uint32_t ring_bytes, uint32_t data_bytes);
void kernel_stop(struct kernel *k);

/* One command. Fields left out are 0. */
struct request {
	uint8_t cdb[32];
	unsigned cdb_len;    /* 0: by the opcode's group, as the kernel has it */
	uint32_t len;	     /* bytes of its buffer */
	unsigned n_segments; /* of it; 0: one */
	const void *out;     /* what is in it; NULL: KERNEL_STALE */
	uint32_t bidi_len;   /* of a second buffer, which follows the first in data */
};

/* Puts it into the ring, which must have room. Return: its identifier. */
uint16_t kernel_queue(struct kernel *k, const struct request *request);
#define QUEUE(k, ...) kernel_queue(k, &(const struct request){__VA_ARGS__})

/* Other entries: padding of @len bytes, task management, one of a kind that nobody knows. */
void kernel_pad(struct kernel *k, uint32_t len);
void kernel_tmr(struct kernel *k, uint8_t type, const uint16_t *ids, uint32_t n);
void kernel_queue_odd(struct kernel *k, uint8_t op, uint32_t len);

/* Room left in the ring, and whether all has come back. */
uint32_t kernel_room(const struct kernel *k);
bool kernel_is_empty(const struct kernel *k);

/* The first whole page of what lies at @data is none any more: to touch it is SIGBUS. */
void kernel_take_page(struct kernel *k, uint8_t *data, uint32_t len);

void kernel_kick(struct kernel *k); /* the interrupt */

/* Takes completions, as the kernel does; each must be of a command that is open. Return: how many.
 */
unsigned kernel_reap(struct kernel *k);

/* How often the device has told us of completions since the last call. */
unsigned kernel_heard(struct kernel *k);

struct kernel_cmd *kernel_cmd(struct kernel *k, uint16_t id);
