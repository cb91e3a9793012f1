/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What TCMU tells by generic netlink (family TCM-USER), and what it is answered. Two files
 * implement this: tcmu_netlink.c by libnl, and tcmu_netlink_none.c where there is no libnl.
 * Source: <linux/target_core_user.h>.
 */
#include <stdbool.h>
#include <stdint.h>

enum tcmu_news_kind { TCMU_ADDED, TCMU_REMOVED, TCMU_RECONFIGURED };

struct tcmu_news {
	enum tcmu_news_kind kind;
	uint32_t device_id;
	unsigned minor;
	const char *name; /* "tcm-user/..." */
	/* what is to be otherwise, one of them; only with TCMU_RECONFIGURED */
	const char *config;
	bool has_size, has_write_cache;
	uint64_t size; /* bytes */
	bool write_cache;
};

struct tcmu_netlink;

/**
 * tcmu_netlink_open() - listen to the kernel's events
 * @replies: from now on the kernel waits for the verdict of whoever serves a device
 * Return: 0; -ENOENT: target_core_user is not loaded; -EOPNOTSUPP: built without libnl; -errno.
 */
int tcmu_netlink_open(bool replies, void (*heard)(const struct tcmu_news *news, void *arg),
		      void *arg, struct tcmu_netlink **ret_netlink);
void tcmu_netlink_close(struct tcmu_netlink *netlink); /* NULL is fine */

/* Readable when there is news. */
int tcmu_netlink_fd(const struct tcmu_netlink *netlink);

/* Takes what there is; never blocks. */
void tcmu_netlink_receive(struct tcmu_netlink *netlink);

/* The verdict, 0 or -errno. A kernel that does not wait for it minds nothing. */
void tcmu_netlink_reply(struct tcmu_netlink *netlink, enum tcmu_news_kind kind, uint32_t device_id,
			int verdict);
