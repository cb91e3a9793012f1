/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The plug-in's side of the hand-over: one connection to the daemon for each device. */
#include "handler/handover.h"

/* Return: a socket; -ENOENT: no daemon is there; -errno, with a text in @ret_why. */
int client_connect(char *ret_why, size_t why_len);

/**
 * client_ask() - send a request and wait for its answer
 * @pass: a descriptor that goes with it; -1: none
 * Return: 0; -ENOTCONN: the daemon is gone, or does not answer as it should; else what the daemon
 * answered, with its text in @ret_why.
 */
int client_ask(int sock, const struct handover_request *request, int pass, char *ret_why,
	       size_t why_len);
