/* SPDX-License-Identifier: Apache-2.0 */
/* See tcmu_netlink.h. One socket listens; answers leave by another, whose errors nobody waits for.
 */
#include "daemon/tcmu_netlink.h"
#include "util/cleanup.h"
#include "util/log.h"
#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdlib.h>

#define iovec tcmu_kernel_iovec
#include <linux/target_core_user.h>
#undef iovec

#define FAMILY "TCM-USER"
#define GROUP "config"
#define FAMILY_VERSION 2

struct tcmu_netlink {
	struct nl_sock *events, *answers;
	int family;
	void (*heard)(const struct tcmu_news *news, void *arg);
	void *arg;
};

/* libnl has error numbers of its own. */
static int errno_of(int error)
{
	switch (-error) {
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* ---- events ---- */

static bool kind_of(uint8_t command, enum tcmu_news_kind *ret_kind)
{
	switch (command) {
	case TCMU_CMD_ADDED_DEVICE:
		*ret_kind = TCMU_ADDED;
		return true;
	case TCMU_CMD_REMOVED_DEVICE:
		*ret_kind = TCMU_REMOVED;
		return true;
	case TCMU_CMD_RECONFIG_DEVICE:
		*ret_kind = TCMU_RECONFIGURED;
		return true;
	default:
		return false;
	}
}

static int on_message(struct nl_msg *msg, void *arg)
{
	static struct nla_policy policy[TCMU_ATTR_MAX + 1] = {
		[TCMU_ATTR_DEVICE] = {.type = NLA_STRING},
		[TCMU_ATTR_MINOR] = {.type = NLA_U32},
		[TCMU_ATTR_DEV_CFG] = {.type = NLA_STRING},
		[TCMU_ATTR_DEV_SIZE] = {.type = NLA_U64},
		[TCMU_ATTR_WRITECACHE] = {.type = NLA_U8},
		[TCMU_ATTR_DEVICE_ID] = {.type = NLA_U32},
		[TCMU_ATTR_CMD_STATUS] = {.type = NLA_S32},
	};
	struct tcmu_netlink *netlink = arg;
	struct nlattr *attrs[TCMU_ATTR_MAX + 1];
	struct tcmu_news news = {0};
	struct genlmsghdr *head = genlmsg_hdr(nlmsg_hdr(msg));

	if (!kind_of(head->cmd, &news.kind) ||
	    genlmsg_parse(nlmsg_hdr(msg), 0, attrs, TCMU_ATTR_MAX, policy) < 0 ||
	    !attrs[TCMU_ATTR_DEVICE] || !attrs[TCMU_ATTR_MINOR])
		return NL_OK;
	news.name = nla_get_string(attrs[TCMU_ATTR_DEVICE]);
	news.minor = nla_get_u32(attrs[TCMU_ATTR_MINOR]);
	if (attrs[TCMU_ATTR_DEVICE_ID])
		news.device_id = nla_get_u32(attrs[TCMU_ATTR_DEVICE_ID]);
	if (attrs[TCMU_ATTR_DEV_CFG])
		news.config = nla_get_string(attrs[TCMU_ATTR_DEV_CFG]);
	news.has_size = attrs[TCMU_ATTR_DEV_SIZE];
	if (news.has_size)
		news.size = nla_get_u64(attrs[TCMU_ATTR_DEV_SIZE]);
	news.has_write_cache = attrs[TCMU_ATTR_WRITECACHE];
	if (news.has_write_cache)
		news.write_cache = nla_get_u8(attrs[TCMU_ATTR_WRITECACHE]);
	netlink->heard(&news, netlink->arg);
	return NL_OK;
}

void tcmu_netlink_receive(struct tcmu_netlink *netlink)
{
	int r = nl_recvmsgs_default(netlink->events);

	if (r < 0 && r != -NLE_AGAIN)
		log_warning("tcmu: an event of the kernel's was lost: %s", nl_geterror(r));
}

int tcmu_netlink_fd(const struct tcmu_netlink *netlink)
{
	return nl_socket_get_fd(netlink->events);
}

/* ---- answers ---- */

static void freep_msg(struct nl_msg *msg)
{
	nlmsg_free(msg);
}
DEFINE_SCOPED(struct nl_msg *, freep_msg)

static struct nl_msg *message_new(const struct tcmu_netlink *netlink, uint8_t command)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, netlink->family, 0, 0, command,
				FAMILY_VERSION)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

void tcmu_netlink_reply(struct tcmu_netlink *netlink, enum tcmu_news_kind kind, uint32_t device_id,
			int verdict)
{
	static const uint8_t commands[] = {
		[TCMU_ADDED] = TCMU_CMD_ADDED_DEVICE_DONE,
		[TCMU_REMOVED] = TCMU_CMD_REMOVED_DEVICE_DONE,
		[TCMU_RECONFIGURED] = TCMU_CMD_RECONFIG_DEVICE_DONE,
	};
	scoped(freep_msg) struct nl_msg *msg = message_new(netlink, commands[kind]);
	int r = msg ? 0 : -NLE_NOMEM;

	if (r == 0)
		r = nla_put_s32(msg, TCMU_ATTR_CMD_STATUS, verdict);
	if (r == 0)
		r = nla_put_u32(msg, TCMU_ATTR_DEVICE_ID, device_id);
	if (r == 0)
		r = nl_send_auto(netlink->answers, msg);
	if (r < 0)
		log_warning("tcmu: the kernel could not be answered: %s", nl_geterror(r));
	/* Where the kernel did not wait it calls the answer an error, which means nothing. */
	nl_recvmsgs_default(netlink->answers);
}

static int ask_for_replies(struct tcmu_netlink *netlink)
{
	scoped(freep_msg) struct nl_msg *msg = message_new(netlink, TCMU_CMD_SET_FEATURES);
	int r = msg ? nla_put_u8(msg, TCMU_ATTR_SUPP_KERN_CMD_REPLY, 1) : -NLE_NOMEM;

	if (r == 0)
		r = nl_send_auto(netlink->answers, msg);
	if (r < 0)
		return r;
	nl_recvmsgs_default(netlink->answers);
	return 0;
}

/* ---- from start to end ---- */

void tcmu_netlink_close(struct tcmu_netlink *netlink)
{
	if (!netlink)
		return;
	nl_socket_free(netlink->events);
	nl_socket_free(netlink->answers);
	free(netlink);
}
DEFINE_SCOPED(struct tcmu_netlink *, tcmu_netlink_close)

static int listen_to(struct tcmu_netlink *netlink)
{
	int group, r;

	r = genl_connect(netlink->answers);
	if (r == 0)
		r = genl_connect(netlink->events);
	if (r < 0)
		return r;
	netlink->family = genl_ctrl_resolve(netlink->answers, FAMILY);
	if (netlink->family < 0)
		return netlink->family;
	group = genl_ctrl_resolve_grp(netlink->answers, FAMILY, GROUP);
	if (group < 0)
		return group;
	nl_socket_disable_seq_check(netlink->events);
	nl_socket_modify_cb(netlink->events, NL_CB_VALID, NL_CB_CUSTOM, on_message, netlink);
	r = nl_socket_set_nonblocking(netlink->events);
	if (r == 0)
		r = nl_socket_set_nonblocking(netlink->answers);
	return r < 0 ? r : nl_socket_add_membership(netlink->events, group);
}

int tcmu_netlink_open(bool replies, void (*heard)(const struct tcmu_news *news, void *arg),
		      void *arg, struct tcmu_netlink **ret_netlink)
{
	scoped(tcmu_netlink_close) struct tcmu_netlink *netlink = calloc(1, sizeof(*netlink));
	int r;

	if (!netlink)
		return -ENOMEM;
	netlink->heard = heard;
	netlink->arg = arg;
	netlink->events = nl_socket_alloc();
	netlink->answers = nl_socket_alloc();
	if (!netlink->events || !netlink->answers)
		return -ENOMEM;
	r = listen_to(netlink);
	if (r == 0 && replies)
		r = ask_for_replies(netlink);
	if (r < 0)
		return errno_of(r);
	*ret_netlink = steal(netlink);
	return 0;
}
