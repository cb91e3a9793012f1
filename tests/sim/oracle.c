/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"
#include "util/bytes.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOT_YET UINT64_MAX

/* One write as one sector knows it. */
struct version {
	uint32_t id;
	unsigned age; /* crashes before it */
	uint64_t begun, ended;
	bool acked;    /* it was there when it ended */
	bool durable;  /* and has been made to last */
	uint64_t gone; /* no read begun after that can see it, but a crash could bring it back */
	bool buried;   /* no crash can bring it back, but a read that is under way could see it */
};

struct sector {
	struct version *versions;
	size_t n, cap;
};

struct oracle {
	struct sector *sectors;
	size_t n_sectors;
	bool stable_writes;
	uint64_t now;
	uint32_t last_id;
	unsigned n_crashes;
};

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct version *version_add(struct sector *s)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 4;
		s->versions = need(reallocarray(s->versions, s->cap, sizeof(*s->versions)));
	}
	return &s->versions[s->n++];
}

static struct version *version_find(struct sector *s, uint32_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->versions[i].id == id)
			return &s->versions[i];
	return NULL;
}

static void version_drop(struct sector *s, struct version *v)
{
	*v = s->versions[--s->n];
}

struct oracle *oracle_new(size_t n_sectors, bool stable_writes)
{
	struct oracle *oracle = need(calloc(1, sizeof(*oracle)));

	oracle->n_sectors = n_sectors;
	oracle->stable_writes = stable_writes;
	oracle->sectors = need(calloc(n_sectors, sizeof(*oracle->sectors)));
	for (size_t i = 0; i < n_sectors; i++)
		*version_add(&oracle->sectors[i]) =
			(struct version){.acked = true, .durable = true, .gone = NOT_YET};
	return oracle;
}

void oracle_free(struct oracle *oracle)
{
	if (!oracle)
		return;
	for (size_t i = 0; i < oracle->n_sectors; i++)
		free(oracle->sectors[i].versions);
	free(oracle->sectors);
	free(oracle);
}

uint64_t oracle_now(struct oracle *oracle)
{
	return ++oracle->now;
}

void oracle_fill(uint32_t id, uint64_t sector, size_t n, void *bytes)
{
	uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++, sector++) {
		uint32_t x = id * 0x9e3779b1u ^ (uint32_t)sector * 0x85ebca6bu;

		for (size_t at = 0; at < ORACLE_SECTOR; at += 8, p += 8) {
			be32_put(p, id);
			be32_put(p + 4, id ? x + (uint32_t)at : 0);
		}
	}
}

/* ---- writes and flushes ---- */

static struct sector *range(struct oracle *oracle, uint64_t sector, size_t n)
{
	assert(sector < oracle->n_sectors && n <= oracle->n_sectors - sector);
	return oracle->sectors + sector;
}

uint32_t oracle_write_begin(struct oracle *oracle, uint64_t sector, size_t n)
{
	struct sector *s = range(oracle, sector, n);
	uint32_t id = ++oracle->last_id;

	oracle->now++;
	for (size_t i = 0; i < n; i++)
		*version_add(&s[i]) = (struct version){.id = id,
						       .age = oracle->n_crashes,
						       .begun = oracle->now,
						       .ended = NOT_YET,
						       .gone = NOT_YET};
	return id;
}

/* What had ended before something that lasts was begun is beyond the reach of any crash. */
static void bury(struct sector *s)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->versions[i].durable && s->versions[i].begun > newest)
			newest = s->versions[i].begun;
	for (size_t i = 0; i < s->n; i++)
		if (s->versions[i].ended < newest)
			s->versions[i].buried = true;
}

void oracle_write_end(struct oracle *oracle, uint32_t id, uint64_t sector, size_t n,
		      enum oracle_outcome outcome)
{
	struct sector *s = range(oracle, sector, n);

	oracle->now++;
	for (size_t i = 0; i < n; i++) {
		struct version *v = version_find(&s[i], id);

		if (!v || v->ended != NOT_YET)
			continue; /* a crash has ended it */
		v->ended = oracle->now;
		v->acked = outcome == WRITE_DONE || outcome == WRITE_DURABLE;
		v->durable = outcome == WRITE_DURABLE || (v->acked && oracle->stable_writes);
		if (outcome == WRITE_NEVER)
			version_drop(&s[i], v);
		else if (v->durable)
			bury(&s[i]);
	}
}

void oracle_flushed(struct oracle *oracle, uint64_t begun, uint64_t sector, size_t n)
{
	struct sector *s = range(oracle, sector, n);

	oracle->now++;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < s[i].n; j++)
			if (s[i].versions[j].acked && s[i].versions[j].ended < begun)
				s[i].versions[j].durable = true;
		bury(&s[i]);
	}
}

void oracle_crash(struct oracle *oracle)
{
	oracle->now++;
	oracle->n_crashes++;
	for (size_t i = 0; i < oracle->n_sectors; i++) {
		struct sector *s = &oracle->sectors[i];

		for (size_t j = s->n; j--;) {
			struct version *v = &s->versions[j];

			if (v->buried) {
				version_drop(s, v);
				continue;
			}
			/* Which of them it is now nobody knows; all count as equal in age. */
			v->acked = v->durable = false;
			v->gone = NOT_YET;
			v->begun = 0;
			v->ended = oracle->now;
		}
	}
}

/* ---- reads ---- */

/* A write that was there before the read began, and was begun after @v had ended. */
static const struct version *successor(const struct sector *s, const struct version *v,
				       uint64_t begun)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct version *w = &s->versions[i];

		if (w->acked && w->begun > v->ended && w->ended < begun)
			return w;
	}
	return NULL;
}

static const char *judge(const struct sector *s, uint32_t id, uint64_t begun)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct version *v = &s->versions[i];

		if (v->id != id)
			continue;
		if (v->gone < begun)
			return "was seen to be gone before";
		return successor(s, v, begun) ? "has been overwritten" : NULL;
	}
	return "cannot be here any more";
}

/* A sector holds @id: what had ended before the read began is not there, nor will it be. */
static void learn(struct oracle *oracle, struct sector *s, uint32_t id, uint64_t begun)
{
	bool before_crash = version_find(s, id)->age < oracle->n_crashes;

	for (size_t i = s->n; i--;) {
		struct version *v = &s->versions[i];

		if (v->id == id || v->ended >= begun)
			continue;
		if (before_crash && v->age < oracle->n_crashes)
			version_drop(s, v); /* the crash has chosen, once and for all */
		else if (v->gone == NOT_YET)
			v->gone = oracle->now;
	}
}

bool oracle_check(struct oracle *oracle, uint64_t begun, uint64_t sector, size_t n,
		  const void *bytes, char *ret_why)
{
	struct sector *s = range(oracle, sector, n);
	const uint8_t *p = bytes;

	oracle->now++;
	for (size_t i = 0; i < n; i++, p += ORACLE_SECTOR) {
		uint8_t expect[ORACLE_SECTOR];
		uint32_t id = be32_get(p);
		const char *why;

		oracle_fill(id, sector + i, 1, expect);
		why = memcmp(p, expect, ORACLE_SECTOR) ? "is damaged or misplaced"
						       : judge(&s[i], id, begun);
		if (why) {
			snprintf(ret_why, 256, "sector %" PRIu64 ": what write %u left there %s",
				 sector + i, id, why);
			return false;
		}
		learn(oracle, &s[i], id, begun);
	}
	return true;
}
