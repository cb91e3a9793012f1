/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By libnuma. Machines with one node, kernels without NUMA and containers that forbid its system
 * calls are all the same here: one node, numbered 0.
 */
#include "util/numa.h"
#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool available;

static void ask_libnuma(void)
{
	available = numa_available() >= 0;
}

static bool have_numa(void)
{
	pthread_once(&once, ask_libnuma);
	return available;
}

/* libnuma's own word to stderr, when /sys is not what it expects; its results say it as well. */
__attribute__((visibility("default"))) void numa_warn(int number, char *format, ...)
{
	(void)number;
	(void)format;
}

int numa_node_limit(void)
{
	return have_numa() ? numa_max_node() + 1 : 1;
}

int numa_node_usable(int node)
{
	if (!have_numa())
		return node == 0;
	if (node < 0 || node > numa_max_node() || !numa_bitmask_isbitset(numa_all_nodes_ptr, node))
		return 0;
	return numa_node_size64(node, NULL) > 0;
}

int numa_node_count(void)
{
	int n = 0;

	for (int node = 0; node < numa_node_limit(); node++)
		n += numa_node_usable(node);
	return n ? n : 1;
}

int numa_node_of_cpu_or_0(int cpu)
{
	int node = have_numa() ? numa_node_of_cpu(cpu) : 0;

	return node < 0 ? 0 : node;
}

int numa_allowed_cpus(int *cpus, int max)
{
	struct bitmask *mask;
	int n = 0;

	mask = numa_bitmask_alloc(CPU_SETSIZE);
	if (numa_sched_getaffinity(0, mask) >= 0)
		for (unsigned cpu = 0; cpu < mask->size && n < max; cpu++)
			if (numa_bitmask_isbitset(mask, cpu))
				cpus[n++] = (int)cpu;
	numa_bitmask_free(mask);
	return n;
}

int numa_bind_memory(void *mem, size_t len, int node)
{
	unsigned long mask[16] = {0};
	const unsigned bits = sizeof(unsigned long) * CHAR_BIT;

	if (!numa_node_usable(node))
		return -EINVAL;
	if (!have_numa())
		return 0;
	if ((unsigned)node >= bits * (sizeof(mask) / sizeof(*mask)))
		return -EINVAL;
	mask[node / bits] = 1ul << (node % bits);
	/* Preferred, not bound: a node that is full must not cost us the process. */
	return mbind(mem, len, MPOL_PREFERRED, mask, sizeof(mask) * CHAR_BIT, 0) < 0 ? -errno : 0;
}

int numa_pin_thread(int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}
