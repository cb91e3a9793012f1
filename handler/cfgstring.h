/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration string of a TCMU device: what is behind it, and how it is to be served.
 *
 *	duotgt/STORAGE[?OPTIONS]	a storage of duotgt.json, by its name or deviceID
 *	duotgt//PATH[?OPTIONS]		a file or block device by its absolute path
 *
 * OPTIONS are KEY=VALUE with '&' between them; the last '?' of the string opens them, so a path
 * with a '?' in it takes one more at its end. The string goes through configfs, rtslib and
 * tcmu-runner, which cut it at some characters or lose its end when it is long: those are refused.
 */
#include <stdbool.h>
#include <stddef.h>

#define CFGSTRING_SUBTYPE "duotgt"
#define CFGSTRING_NAME_MAX 64
/* The kernel cuts at 255 without a word, so a string of that length may have lost its end. */
#define CFGSTRING_MAX 254

/* How the plug-in gets at the ring; our own consumer has no use for it. */
enum cfgstring_mode {
	CFGSTRING_TAKEOVER, /* all of the ring is ours */
	CFGSTRING_RAW,	    /* libtcmu reads it, command by command */
};

/* Who serves a device of the plug-in's; our own consumer has no use for it. */
enum cfgstring_server {
	CFGSTRING_ANY,	   /* the daemon when there is one, else the runner's process */
	CFGSTRING_DAEMON,  /* the daemon, for which it waits */
	CFGSTRING_PROCESS, /* the runner's process */
};

struct cfgstring {
	char storage[CFGSTRING_NAME_MAX + 1]; /* "" where there is a path */
	char path[CFGSTRING_MAX + 1];	      /* "" where there is a storage */
	enum cfgstring_mode mode;
	enum cfgstring_server server;
	unsigned wait_s; /* for a daemon that was lost, before CFGSTRING_ANY goes on without */
	bool direct, read_only; /* of a path */
};

/**
 * cfgstring_parse() - judge a whole configuration string, subtype included
 * Nothing is opened or looked up.
 * Return: 0; -EINVAL, with what was found and what was expected in @ret_why.
 */
int cfgstring_parse(const char *text, struct cfgstring *ret_cfg, char *ret_why, size_t why_len);

/* Whether @text may name a storage: 1 to 64 letters, digits, '.', '_', '-'. */
bool cfgstring_is_name(const char *text);
