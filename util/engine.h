/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The engine: all I/O, time and chance of one thread, as operations with a completion.
 *
 * An engine belongs to the thread that runs it; only engine_post() may be called from others.
 * An operation is a struct engine_op inside its owner's struct: the owner sets done, queues it
 * with one of the calls below, and must keep it, and all memory named in the call (the iovec
 * array too), until done has run. done runs once, on the engine's thread, from the loop: never
 * inside the call that queued the operation. Its result is a byte count, 0, or a negative errno.
 *
 * Three files implement this: engine_uring.c, engine_epoll.c, and engine_sim.c for tests.
 */
#include "util/list.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct engine;

enum engine_kind { ENGINE_AUTO, ENGINE_URING, ENGINE_EPOLL };

struct engine_config {
	unsigned queue_depth;  /* ring entries; 0 takes the default (1024); rounded up to 2^n */
	unsigned busy_poll_us; /* how long to look again and again before sleeping; 0: not at all */
};

#define ENGINE_BUSY_POLL_MAX_US 1000

/* Work posted from any thread; the poster must not touch it again until run has begun. */
struct engine_post {
	struct engine_post *next; /* the engine's */
	void (*run)(struct engine_post *post);
};

/* Work for when the loop has run what was ready: at the end of the turn at the latest, before
 * queued operations are submitted. */
struct engine_defer {
	struct list node; /* list_init() it once; the engine's afterwards */
	void (*run)(struct engine_defer *defer);
};

struct engine_timer {
	void (*fire)(struct engine_timer *timer);
	unsigned heap_i; /* the engine's; 0: not set. Zero it once. */
};

struct engine_op {
	void (*done)(struct engine_op *op, int res);
	/* engine_recv_some(): the bytes received, valid only while done runs */
	const uint8_t *buf;

	/* below: the engine's, until done runs */
	struct list node;
	struct engine *engine;
	struct engine_sock *sock;
	int res;
	uint8_t kind;
	uint8_t tries;
	uint16_t buf_id;
	union {
		struct msghdr msg;
		struct {
			int fd, flags, n_iov;
			const struct iovec *iov;
			uint64_t offset, len;
		} file;
		struct {
			int (*fn)(void *arg);
			void *arg;
		} work;
	};
	struct engine_post post;
};

/* A socket as an engine knows it. One receive or accept, and one send, may be queued at a time. */
struct engine_sock {
	int fd; /* -1: closed */
	uint32_t state;
	struct engine_op *reader, *writer;
	struct list node;
};

/*
 * A descriptor that is watched for news, such as a UIO device. ready runs each time it has become
 * readable anew, and at the start if it is readable then; nobody has to read it for that. News
 * that come quickly one after the other may make for one call.
 */
struct engine_watch {
	void (*ready)(struct engine_watch *watch);
	void (*gone)(struct engine_watch *watch); /* after engine_unwatch(), the last of it */

	/* below: the engine's, until gone runs */
	struct engine_op op, end;
	struct engine_sock sock;
	bool ending;
	uint8_t n_queued; /* of the two operations */
};

/**
 * engine_new() - make an engine for the calling thread or one that is about to start
 * @kind: ENGINE_AUTO takes io_uring when the kernel offers all that engine_uring.c needs
 *        (io_uring allowed, provided buffer rings, so 5.19 or later), else epoll
 * @cfg:  NULL for defaults
 * Return: 0; -ENOSYS or -EPERM when ENGINE_URING was asked for and cannot be had; -errno.
 */
int engine_new(enum engine_kind kind, const struct engine_config *cfg, struct engine **ret_engine);

/* All sockets closed and no operation under way. NULL is fine. */
void engine_free(struct engine *engine);

/* "io_uring", "epoll" or "sim" */
const char *engine_name(const struct engine *engine);

/* Turns the loop until engine_stop(). Return: 0, or the negative errno that ended it. */
int engine_run(struct engine *engine);

/* Ends engine_run() after this turn. Own thread only. */
void engine_stop(struct engine *engine);

/**
 * engine_turn() - one turn: completions, timers, posts, deferred work, submission
 * @wait: sleep until there is something to do; else only look
 * Return: number of completions, posts and timers handled; -errno when the loop itself failed.
 */
int engine_turn(struct engine *engine, bool wait);

/* Nanoseconds of a clock that never goes back, as of the last sleep's end; where timers are set, as
 * of this turn's begin. */
uint64_t engine_now(struct engine *engine);

/* Unpredictable bytes (getrandom), seeded ones in simulation. */
void engine_random(struct engine *engine, void *buf, size_t len);

/* ---- sockets ---- */

/* Takes over @fd, which must be a non-blocking socket, on success only. Return: 0 or -errno. */
int engine_sock_open(struct engine *engine, struct engine_sock *sock, int fd);

/* Ends both directions; queued operations complete soon (receive 0, accept and send an errno). */
void engine_sock_shutdown(struct engine *engine, struct engine_sock *sock);

/* Closes. Nothing may be queued on it any more. */
void engine_sock_close(struct engine *engine, struct engine_sock *sock);

/* The result is a new, non-blocking, close-on-exec descriptor. */
void engine_accept(struct engine *engine, struct engine_sock *sock, struct engine_op *op);

/* Into the caller's memory; may be short; 0 is end of stream. */
void engine_recv(struct engine *engine, struct engine_sock *sock, struct engine_op *op,
		 const struct iovec *iov, int n_iov);

/* Into memory of the engine's, lent as op->buf while done runs: an idle connection owns no buffer.
 */
void engine_recv_some(struct engine *engine, struct engine_sock *sock, struct engine_op *op);

/*
 * From now on engine_recv_some() brings @max bytes (> 0) at most, or as many as the engine has
 * memory for. Holds for receives that are queued already, too, but not for bytes that have come,
 * or memory that the kernel has already got for them: up to ENGINE_RECV_SOME_AHEAD bytes in all
 * may still come by what held before.
 */
void engine_recv_some_limit(struct engine *engine, size_t max);

#define ENGINE_RECV_SOME_AHEAD (512u << 10)

/* Gathered, no signal; may be short. @n_iov at most IOV_MAX. */
void engine_send(struct engine *engine, struct engine_sock *sock, struct engine_op *op,
		 const struct iovec *iov, int n_iov);

/* ---- other descriptors ---- */

/* Watches @fd, which stays the caller's. Return: 0, or -errno: it cannot be polled. */
int engine_watch(struct engine *engine, struct engine_watch *watch, int fd);

/* ready runs no more; gone will, from the loop. Once for each engine_watch(). */
void engine_unwatch(struct engine *engine, struct engine_watch *watch);

/* ---- files and block devices ---- */

/*
 * What the caller knows of a descriptor lets an engine do the work on the spot, where neither a
 * ring nor another thread could be quicker. Without a word of it, the descriptor may block.
 */
enum {
	ENGINE_WRITE_DSYNC = 1, /* on stable storage (RWF_DSYNC) before the write completes */
	ENGINE_CACHED = 2,	/* it goes through the page cache: not O_DIRECT, O_SYNC, O_DSYNC */
	ENGINE_IN_MEMORY = 4,	/* cached, and there is no disk behind it: a file of a tmpfs */
};

/* Both may be short; 0 from a read is end of file. */
void engine_readv(struct engine *engine, struct engine_op *op, int fd, const struct iovec *iov,
		  int n_iov, uint64_t offset, int flags);
void engine_writev(struct engine *engine, struct engine_op *op, int fd, const struct iovec *iov,
		   int n_iov, uint64_t offset, int flags);

/* fdatasync(2) */
void engine_flush(struct engine *engine, struct engine_op *op, int fd);

/* Punches a hole: the range reads as zeroes, its space is given back, the size stays. */
void engine_discard(struct engine *engine, struct engine_op *op, int fd, uint64_t offset,
		    uint64_t len);

/* Runs @fn on a helper thread, since it may block; its result comes back through op->done. */
void engine_work(struct engine *engine, struct engine_op *op, int (*fn)(void *arg), void *arg);

/* ---- time, other threads, end of turn ---- */

/* Sets, or sets anew. A time in the past fires in the next turn. Fires once. */
void engine_timer_set(struct engine *engine, struct engine_timer *timer, uint64_t at_ns);

/* No effect on a timer that is not set. It does not fire afterwards. */
void engine_timer_cancel(struct engine *engine, struct engine_timer *timer);

/* Any thread: @post->run will run on the engine's thread, in the order posted by one thread. */
void engine_post(struct engine *engine, struct engine_post *post);

/* Queues @defer for the end of this turn or earlier, never at once; no effect when it is queued
 * already. */
void engine_defer(struct engine *engine, struct engine_defer *defer);
