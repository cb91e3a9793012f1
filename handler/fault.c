/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fault.h. The handler runs between any two instructions, so it takes no lock: what it walks
 * only grows. A place in it is used again once its mapping is watched no longer.
 */
#include "handler/fault.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct tcmu_fault {
	struct tcmu_fault *next; /* as it was when this one came into the list */
	atomic_uintptr_t from;	 /* 0: free */
	atomic_size_t len;
	atomic_bool happened;
};

static _Atomic(struct tcmu_fault *) places;
static size_t page_size;

/* Of those who watch, and do not handle signals. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_watched;
static struct sigaction before; /* written only while ours is not installed */

/* One whose mapping holds @at. It stays what it is: the thread that has run into it uses it. */
static struct tcmu_fault *find(uintptr_t at)
{
	for (struct tcmu_fault *fault = atomic_load(&places); fault; fault = fault->next) {
		uintptr_t from = atomic_load(&fault->from);

		/* Others may come and go meanwhile: no address and length of two of them. */
		if (from && at >= from && at - from < atomic_load(&fault->len) &&
		    atomic_load(&fault->from) == from)
			return fault;
	}
	return NULL;
}

static bool put_zeroes(uintptr_t at)
{
	void *page = (void *)(at & ~(uintptr_t)(page_size - 1));

	return mmap(page, page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page;
}

/* The instruction is tried again, or the signal comes again, to whom it would have gone to. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else {
		sigaction(SIGBUS, &before, NULL);
		if (info->si_code <= 0)
			raise(SIGBUS);
	}
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t at = (uintptr_t)info->si_addr;
	struct tcmu_fault *fault = info->si_code == BUS_ADRERR ? find(at) : NULL;

	if (fault && put_zeroes(at))
		atomic_store(&fault->happened, true);
	else
		pass_on(number, info, context);
	errno = saved;
}

/* ---- who is watched ---- */

static struct tcmu_fault *free_place(void)
{
	struct tcmu_fault *fault = atomic_load(&places);

	while (fault && atomic_load(&fault->from))
		fault = fault->next;
	if (fault)
		return fault;
	fault = calloc(1, sizeof(*fault));
	if (!fault)
		return NULL;
	fault->next = atomic_load(&places);
	atomic_store(&places, fault);
	return fault;
}

static int watch(void *map, size_t len, struct tcmu_fault **ret_fault)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct tcmu_fault *fault = free_place();

	if (!fault)
		return -ENOMEM;
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	if (!n_watched && sigaction(SIGBUS, NULL, &before) < 0)
		return -errno;
	if (!n_watched && sigaction(SIGBUS, &action, NULL) < 0)
		return -errno;
	n_watched++;
	atomic_store(&fault->happened, false);
	atomic_store(&fault->len, len);
	atomic_store(&fault->from, (uintptr_t)map);
	*ret_fault = fault;
	return 0;
}

int tcmu_fault_watch(void *map, size_t len, struct tcmu_fault **ret_fault)
{
	int r;

	pthread_mutex_lock(&lock);
	r = watch(map, len, ret_fault);
	pthread_mutex_unlock(&lock);
	return r;
}

bool tcmu_fault_happened(const struct tcmu_fault *fault)
{
	return atomic_load(&fault->happened);
}

void tcmu_fault_unwatch(struct tcmu_fault *fault)
{
	if (!fault)
		return;
	pthread_mutex_lock(&lock);
	atomic_store(&fault->from, 0);
	if (--n_watched == 0)
		sigaction(SIGBUS, &before, NULL);
	pthread_mutex_unlock(&lock);
}
