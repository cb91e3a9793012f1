/* SPDX-License-Identifier: Apache-2.0 */
/* Where there is no libnuma: one node, and CPUs as the scheduler tells of them. */
#include "util/numa.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>

int numa_node_count(void)
{
	return 1;
}

int numa_node_limit(void)
{
	return 1;
}

int numa_node_of_cpu_or_0(int cpu)
{
	(void)cpu;
	return 0;
}

int numa_node_usable(int node)
{
	return node == 0;
}

int numa_allowed_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	return n;
}

int numa_bind_memory(void *mem, size_t len, int node)
{
	(void)mem;
	(void)len;
	return node == 0 ? 0 : -EINVAL;
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
