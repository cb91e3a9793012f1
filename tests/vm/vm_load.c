/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on a disk of the guest's, around the page cache, from DEPTH threads for SECONDS, or until
 * SIGTERM.
 *
 *	vm_load verify DEVICE DEPTH SECONDS
 *	vm_load read|write DEVICE DEPTH SECONDS BYTES
 *
 * The first writes blocks of 4 KiB with a stamp, flushes now and then, and reads back at random
 * and, at the end, all of them. The others take random blocks and print the rate. Each thread has
 * a part of the disk for itself, so it knows what must be in it. Exit status: 0; 1 after an error
 * of the disk's or a block that is not what was acknowledged; 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define STAMPED 4096u
#define BLOCKS_MAX 2048u /* of a thread, when it verifies */

struct worker {
	pthread_t thread;
	unsigned number, seed;
	uint64_t first, n; /* blocks */
	uint64_t *stamps;  /* of each block, as acknowledged; 0: never written */
	uint64_t done, flushes;
};

static int disk;
static size_t block = STAMPED;
static enum { VERIFY, READ, WRITE } mode;
static atomic_bool ended, failed;

static void complain(const struct worker *w, const char *what, uint64_t at, const char *why)
{
	fprintf(stderr, "vm_load: thread %u: %s of block %llu: %s\n", w->number, what,
		(unsigned long long)at, why);
	failed = true;
	ended = true;
}

static bool transfer(struct worker *w, bool write, void *buf, uint64_t at)
{
	off_t offset = (off_t)(at * block);
	ssize_t n = write ? pwrite(disk, buf, block, offset) : pread(disk, buf, block, offset);

	if (n == (ssize_t)block)
		return true;
	complain(w, write ? "write" : "read", at, n < 0 ? strerror(errno) : "short");
	return false;
}

static void fill(uint64_t *words, uint64_t at, uint64_t stamp)
{
	for (unsigned i = 0; i < STAMPED / sizeof(*words); i++)
		words[i] = stamp * 0x9e3779b97f4a7c15u + at + i;
}

static bool verify(struct worker *w, uint64_t *buf, uint64_t i)
{
	uint64_t expected[STAMPED / sizeof(uint64_t)];

	if (!w->stamps[i])
		return true;
	if (!transfer(w, false, buf, w->first + i))
		return false;
	fill(expected, w->first + i, w->stamps[i]);
	if (memcmp(buf, expected, STAMPED) == 0)
		return true;
	complain(w, "content", w->first + i, "not what was acknowledged");
	return false;
}

static bool stamp(struct worker *w, uint64_t *buf, uint64_t i)
{
	fill(buf, w->first + i, w->done + 1);
	if (!transfer(w, true, buf, w->first + i))
		return false;
	w->stamps[i] = w->done + 1;
	if (w->done % 32)
		return true;
	w->flushes++;
	if (fdatasync(disk) == 0)
		return true;
	complain(w, "flush after the write", w->first + i, strerror(errno));
	return false;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	void *buf;

	if (posix_memalign(&buf, 4096, block))
		return NULL;
	memset(buf, 0, block);
	for (; !ended; w->done++) {
		uint64_t i = (uint64_t)rand_r(&w->seed) % w->n;
		bool good = mode != VERIFY     ? transfer(w, mode == WRITE, buf, w->first + i)
			    : w->done % 4 == 3 ? verify(w, buf, i)
					       : stamp(w, buf, i);

		if (!good)
			break;
	}
	for (uint64_t i = 0; mode == VERIFY && !failed && i < w->n; i++)
		verify(w, buf, i);
	free(buf);
	return NULL;
}

static void share_out(struct worker *workers, unsigned n, uint64_t blocks)
{
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = &workers[i];

		w->number = w->seed = i;
		w->n = blocks / n;
		w->first = w->n * i;
		if (mode != VERIFY)
			continue;
		if (w->n > BLOCKS_MAX)
			w->n = BLOCKS_MAX;
		w->stamps = calloc(w->n, sizeof(*w->stamps));
		if (!w->stamps)
			abort();
	}
}

static void on_end(int number)
{
	(void)number;
	ended = true;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"verify", "read", "write"};
	static struct worker workers[THREADS_MAX];
	unsigned depth = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	uint64_t begun, done = 0, flushes = 0;

	while (argc > 1 && mode <= WRITE && strcmp(argv[1], modes[mode]) != 0)
		mode++;
	if (argc != (mode == VERIFY ? 5 : 6) || mode > WRITE || !depth || depth > THREADS_MAX)
		return 2;
	if (mode != VERIFY)
		block = strtoul(argv[5], NULL, 10);
	disk = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0) {
		perror(argv[2]);
		return 1;
	}
	signal(SIGTERM, on_end);
	share_out(workers, depth, (uint64_t)lseek(disk, 0, SEEK_END) / block);
	begun = now_ns();
	for (unsigned i = 0; i < depth; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	for (int i = 0; i < atoi(argv[4]) * 10 && !ended; i++)
		usleep(100000);
	ended = true;
	for (unsigned i = 0; i < depth; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
		flushes += workers[i].flushes;
	}
	if (mode == VERIFY)
		printf("%llu operations, %llu flushes\n", (unsigned long long)done,
		       (unsigned long long)flushes);
	else
		printf("%.1f\n", (double)done * 1e9 / (double)(now_ns() - begun));
	return failed;
}
