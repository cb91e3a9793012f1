/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A test program that runs itself as a child, which says how far it is until it is killed. */
#include <stdint.h>

/*
 * In the child: @step is done. It goes on with the next one then, for ever.
 */
void kill_kit_tell(uint32_t step);

/*
 * In the parent: runs this program with @arg as its only argument, and kills it @useconds after
 * its first step. Return: the last step that was told.
 */
uint32_t kill_kit_run(const char *arg, unsigned useconds);
