/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pages of a ring that are not there.
 *
 * The kernel has a page of the data area only while it has a use for it. Whoever touches another
 * one, because a corrupt ring names it, gets SIGBUS, and the program would die with all that it
 * serves. (System calls say EFAULT instead.) In a mapping that is watched a page of zeroes takes
 * the missing one's place, and the mapping counts as faulty from then on. Any other SIGBUS goes the
 * way that it went before.
 */
#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

struct tcmu_fault;

/* Any thread; of the threads that touch @map none blocks SIGBUS. Return: 0 or -errno. */
int tcmu_fault_watch(void *map, size_t len, struct tcmu_fault **ret_fault);

/* Whether a page was missing; then what was read or written there was lost. Any thread. */
bool tcmu_fault_happened(const struct tcmu_fault *fault);

/* Nobody touches the mapping any more. NULL is fine. */
void tcmu_fault_unwatch(struct tcmu_fault *fault);
DEFINE_SCOPED(struct tcmu_fault *, tcmu_fault_unwatch)
