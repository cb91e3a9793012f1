/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of logins: a portal with a few targets, requests to it and what holds for every
 * answer, and whole conversations as rows.
 */
#include "iscsi/login.h"

#define I_NAME "InitiatorName=iqn.2001-04.com.example:host"
#define T_NAME "TargetName=iqn.2016-09.com.example:disk"
#define NAMES I_NAME " " T_NAME
#define TAG "TargetPortalGroupTag=7"
#define OURS "MaxRecvDataSegmentLength=65536"

/* The target that asks for CHAP; with a 2 behind it, one whose own name is as long as may be. */
#define LOCKED I_NAME " TargetName=iqn.2016-09.com.example:locked"

enum {
	STAY = 0x10, /* T is 0 */
	MORE = 0x20, /* C is 1 */
	OVER = 0x40, /* after: refused */
};

/* ---- the portal ---- */

/* Of its targets, from the last login_make() on, which sets the defaults. */
extern struct iscsi_limits kit_limits;
extern unsigned kit_asked; /* how often a target was looked for since then */

struct iscsi_login *login_make(void);

/* ---- requests and answers ---- */

extern const uint8_t kit_isid[6];

/* A request without text; @nsg may hold STAY and MORE. */
struct iscsi_bhs login_request(unsigned csg, unsigned nsg, size_t len);

unsigned status_of(const struct iscsi_login_answer *answer);

/* The stage granted; STAY, MORE or OVER. */
unsigned where(const struct iscsi_login_answer *answer);

/* What holds for every answer, whatever was asked. */
void answer_is_sound(const struct iscsi_bhs *req, const struct iscsi_login_answer *answer);

/* Sends @len bytes from the heap, so that a sanitizer sees each read past their end. */
struct iscsi_login_answer ask(struct iscsi_login *login, const struct iscsi_bhs *req,
			      const void *data, size_t len);

/* In rows, here and below, a blank stands for the NUL after a pair. */
struct iscsi_login_answer say(struct iscsi_login *login, unsigned csg, unsigned nsg,
			      const char *pairs);

void assert_text(const struct iscsi_login_answer *answer, const char *pairs);

/* ---- conversations ---- */

struct turn {
	unsigned csg, nsg;
	const char *sent;
	enum iscsi_login_status status;
	unsigned after; /* as where() has it */
	const char *answered;
};

#define CONVERSATION(name, ...) static const struct turn name[] = {__VA_ARGS__, {0}}

/* A test: *@state is a conversation. */
void play(void **state);

#define PLAY(name)                                                                                 \
	{                                                                                          \
#name, play, NULL, NULL, (void *)name                                              \
	}
