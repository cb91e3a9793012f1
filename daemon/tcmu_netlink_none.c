/* SPDX-License-Identifier: Apache-2.0 */
/* Without libnl: nobody tells, and tcmu_consumer.c looks at sysfs every now and then. */
#include "daemon/tcmu_netlink.h"
#include <errno.h>

int tcmu_netlink_open(bool replies, void (*heard)(const struct tcmu_news *news, void *arg),
		      void *arg, struct tcmu_netlink **ret_netlink)
{
	(void)replies;
	(void)heard;
	(void)arg;
	(void)ret_netlink;
	return -EOPNOTSUPP;
}

void tcmu_netlink_close(struct tcmu_netlink *netlink)
{
	(void)netlink;
}

int tcmu_netlink_fd(const struct tcmu_netlink *netlink)
{
	(void)netlink;
	return -1;
}

void tcmu_netlink_receive(struct tcmu_netlink *netlink)
{
	(void)netlink;
}

void tcmu_netlink_reply(struct tcmu_netlink *netlink, enum tcmu_news_kind kind, uint32_t device_id,
			int verdict)
{
	(void)netlink;
	(void)kind;
	(void)device_id;
	(void)verdict;
}
