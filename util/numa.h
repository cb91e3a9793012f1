/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where CPUs and memory are. numa.c asks libnuma; numa_none.c, built without it, knows one node.
 */
#include <stddef.h>
#include <sys/types.h>

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

/* Node of the bus that a block device, or the disk it is a part of, is attached to; -1: not known,
 * or not one alone. @sys: where sysfs is mounted. May block. */
int numa_node_of_disk(const char *sys, dev_t dev);
