/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A temporary folder for what a LU keeps. */
#include <stddef.h>

/* An empty one; valid until state_dir_remove(). */
const char *state_dir_make(void);
void state_dir_remove(void);

/* How many files are in it. */
unsigned state_dir_files(void);

/* Overwrites the first byte of each file. */
void state_dir_spoil(void);
