/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Release on every way out of a scope: scoped(fn) on the variable, steal() to hand it over. */
#include <stdlib.h>
#include <unistd.h>

#define scoped(fn) __attribute__((cleanup(fn##_at_exit)))

#define DEFINE_SCOPED(type, fn)                                                                    \
	static inline void fn##_at_exit(type *p)                                                   \
	{                                                                                          \
		fn(*p);                                                                            \
	}

#define steal(ptr)                                                                                 \
	({                                                                                         \
		__typeof__(ptr) *steal_from = &(ptr);                                              \
		__typeof__(ptr) steal_value = *steal_from;                                         \
		*steal_from = NULL;                                                                \
		steal_value;                                                                       \
	})

static inline void free_at_exit(void *p)
{
	free(*(void **)p);
}

static inline void close_at_exit(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Hands a descriptor over and leaves -1 behind. */
static inline int steal_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}
