/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where CPUs and memory are. numa.c asks libnuma; numa_none.c, built without it, knows one node.
 */
#include <stddef.h>

/* Nodes that the process may use memory of; at least 1. */
int numa_node_count(void);

/* Highest node number plus 1. */
int numa_node_limit(void);

/* Node of a CPU; 0 when that is not known. */
int numa_node_of_cpu_or_0(int cpu);

/* Whether @node exists and has memory. */
int numa_node_usable(int node);

/* CPUs that this thread may run on, in order. Return: how many were written, at most @max. */
int numa_allowed_cpus(int *cpus, int max);

/* Asks that the pages of a mapping, not yet touched, come from @node. Return: 0 or -errno. */
int numa_bind_memory(void *mem, size_t len, int node);

/* Pins the calling thread. Return: 0 or -errno. */
int numa_pin_thread(int cpu);
