/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_runner.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
/* The kernel's header has a struct iovec of its own. */
#define iovec tcmu_iovec
#include <linux/target_core_user.h>
#undef iovec

#define EXPORTED __attribute__((visibility("default")))
#define RING_AT 4096u
#define RING_BYTES 16384u
#define DATA_AT (RING_AT + RING_BYTES)
#define PATIENCE_MS 60000 /* only so that a hang becomes a failure */

struct tcmur_handler *fake_handler;

/* The address sanitizer's own end of a thread stumbles over the stack of one that was cancelled. */
EXPORTED const char *__asan_default_options(void);
EXPORTED const char *__asan_default_options(void)
{
	return "use_sigaltstack=0";
}

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[65536];

static void require(bool what, const char *text)
{
	if (what)
		return;
	fprintf(stderr, "fake runner: %s\n", text);
	abort();
}

/* ---- what the plug-in calls ---- */

EXPORTED int tcmur_register_handler(struct tcmur_handler *handler)
{
	fake_handler = handler;
	return 0;
}

EXPORTED void *tcmur_dev_get_private(struct runner_device *dev)
{
	return dev->private;
}

EXPORTED void tcmur_dev_set_private(struct runner_device *dev, void *private)
{
	dev->private = private;
}

EXPORTED char *tcmu_dev_get_cfgstring(struct runner_device *dev)
{
	return dev->string;
}

EXPORTED uint64_t tcmu_dev_get_num_lbas(struct runner_device *dev)
{
	return dev->size / dev->block_size;
}

EXPORTED uint32_t tcmu_dev_get_block_size(struct runner_device *dev)
{
	return dev->block_size;
}

EXPORTED int tcmu_dev_get_fd(struct runner_device *dev)
{
	return dev->fd;
}

EXPORTED const char *tcmu_dev_get_uio_name(struct runner_device *dev)
{
	return dev->uio;
}

EXPORTED char *tcmu_dev_get_memory_info(struct runner_device *dev, void **base, size_t *len,
					off_t *offset)
{
	if (base)
		*base = dev->map;
	*len = dev->map_len;
	*offset = 0;
	return strdup("/dev/uio-of-the-test");
}

static struct tcmu_mailbox *mailbox(struct runner_device *dev)
{
	return (struct tcmu_mailbox *)(void *)dev->map;
}

EXPORTED int tcmu_cfgfs_dev_exec_action(struct runner_device *dev, const char *name, uint32_t value)
{
	if (strcmp(name, "block_dev") == 0) {
		dev->blocked = value;
	} else if (strcmp(name, "reset_ring") == 0) {
		/* what was open ends with BUSY, and is given out again */
		memset(dev->commands, 0, sizeof(dev->commands));
		dev->kernel_tail = 0;
		__atomic_store_n(&mailbox(dev)->cmd_head, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&mailbox(dev)->cmd_tail, 0, __ATOMIC_RELEASE);
		dev->resets++;
	} else {
		return -ENOENT;
	}
	return 0;
}

__attribute__((format(printf, 1, 0))) static void add_to_log(const char *format, va_list args)
{
	size_t len;

	pthread_mutex_lock(&log_lock);
	len = strlen(log_text);
	vsnprintf(log_text + len, sizeof(log_text) - len, format, args);
	pthread_mutex_unlock(&log_lock);
}

#define DEFINE_MESSAGE(name)                                                                       \
	EXPORTED void name(struct runner_device *dev, const char *function, int line,              \
			   const char *format, ...)                                                \
	{                                                                                          \
		va_list args;                                                                      \
		(void)dev;                                                                         \
		(void)function;                                                                    \
		(void)line;                                                                        \
		va_start(args, format);                                                            \
		add_to_log(format, args);                                                          \
		va_end(args);                                                                      \
	}
DEFINE_MESSAGE(tcmu_err_message)
DEFINE_MESSAGE(tcmu_warn_message)
DEFINE_MESSAGE(tcmu_info_message)
DEFINE_MESSAGE(tcmu_dbg_message)

char *fake_log(void)
{
	char *text;

	pthread_mutex_lock(&log_lock);
	text = strdup(log_text);
	log_text[0] = '\0';
	pthread_mutex_unlock(&log_lock);
	return text;
}

/* ---- libtcmu's way with the ring ---- */

static struct tcmu_cmd_entry *entry_at(struct runner_device *dev, uint32_t pos)
{
	return (struct tcmu_cmd_entry *)(void *)(dev->map + RING_AT + pos);
}

/* The length that a CDB's group code tells; 0: none. */
static size_t cdb_length(uint8_t opcode)
{
	static const size_t of_group[] = {6, 10, 10, 0, 16, 12, 0, 0};

	return of_group[opcode >> 5];
}

static void hand_over(struct runner_device *dev, struct tcmu_cmd_entry *ent)
{
	const uint8_t *cdb = dev->map + ent->req.cdb_off;
	size_t cdb_len = cdb_length(*cdb), iov_len = ent->req.iov_cnt * sizeof(struct iovec);
	struct tcmulib_cmd *cmd;
	struct tcmur_cmd *tcmur_cmd;

	if (!cdb_len)
		return; /* dropped */
	cmd = calloc(1, sizeof(*cmd) + iov_len + cdb_len + sizeof(*tcmur_cmd) + 8);
	cmd->cmd_id = ent->hdr.cmd_id;
	cmd->iovec = (struct iovec *)(cmd + 1);
	cmd->iov_cnt = ent->req.iov_cnt;
	for (size_t i = 0; i < cmd->iov_cnt; i++)
		cmd->iovec[i] = (struct iovec){dev->map + (size_t)ent->req.iov[i].iov_base,
					       ent->req.iov[i].iov_len};
	tcmur_cmd = (struct tcmur_cmd *)(void *)((uint8_t *)(cmd + 1) + iov_len);
	cmd->cdb = (uint8_t *)(tcmur_cmd + 1);
	memcpy(cmd->cdb, cdb, cdb_len);
	cmd->hm_private = tcmur_cmd;
	tcmur_cmd->lib_cmd = cmd;
	dev->handed++;
	require(fake_handler->handle_cmd(dev, tcmur_cmd) == RUNNER_ASYNC_HANDLED,
		"handle_cmd is not asynchronous");
}

static void read_ring(struct runner_device *dev)
{
	while (dev->lib_tail != __atomic_load_n(&mailbox(dev)->cmd_head, __ATOMIC_ACQUIRE)) {
		struct tcmu_cmd_entry *ent = entry_at(dev, dev->lib_tail);

		dev->lib_tail = (dev->lib_tail + tcmu_hdr_get_len(ent->hdr.len_op)) % RING_BYTES;
		if (tcmu_hdr_get_op(ent->hdr.len_op) == TCMU_OP_CMD)
			hand_over(dev, ent);
	}
}

static void *cmdproc_main(void *arg)
{
	struct runner_device *dev = arg;
	struct pollfd fd = {.fd = dev->fd, .events = POLLIN};
	uint32_t n;

	for (;;) {
		poll(&fd, 1, -1);
		if (read(dev->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
			require(false, "read of the descriptor");
		read_ring(dev);
	}
	return NULL;
}

int fake_open(struct runner_device *dev)
{
	int r = fake_handler->open(dev, false);

	if (r == 0)
		require(pthread_create(&dev->cmdproc, NULL, cmdproc_main, dev) == 0, "thread");
	return r;
}

void fake_close(struct runner_device *dev)
{
	pthread_cancel(dev->cmdproc);
	pthread_join(dev->cmdproc, NULL);
	fake_handler->close(dev);
}

/* ---- the kernel ---- */

struct runner_device *fake_device(const char *string, uint64_t size)
{
	struct runner_device *dev = calloc(1, sizeof(*dev));
	struct tcmu_mailbox *mb;
	int pair[2];

	snprintf(dev->string, sizeof(dev->string), "%s", string);
	strcpy(dev->uio, "uio7");
	dev->size = size;
	dev->block_size = 512;
	dev->map_len = DATA_AT + FAKE_COMMANDS * FAKE_DATA_BYTES;
	dev->map =
		mmap(NULL, dev->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(dev->map != MAP_FAILED, "mmap");
	require(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0,
		"socketpair");
	dev->fd = pair[0];
	dev->kernel_fd = pair[1];
	mb = mailbox(dev);
	mb->version = TCMU_MAILBOX_VERSION;
	mb->flags = TCMU_MAILBOX_FLAG_CAP_OOOC | TCMU_MAILBOX_FLAG_CAP_READ_LEN |
		    TCMU_MAILBOX_FLAG_CAP_TMR;
	mb->cmdr_off = RING_AT;
	mb->cmdr_size = RING_BYTES;
	return dev;
}

void fake_device_free(struct runner_device *dev)
{
	munmap(dev->map, dev->map_len);
	close(dev->fd);
	close(dev->kernel_fd);
	free(dev);
}

uint8_t *fake_data(struct runner_device *dev, uint16_t id)
{
	return dev->map + DATA_AT + (size_t)id * FAKE_DATA_BYTES;
}

/* Entries all have one length, which divides the ring: it needs no padding. */
void fake_command(struct runner_device *dev, uint16_t id, const uint8_t *cdb, size_t cdb_len,
		  uint32_t data_len)
{
	const uint32_t len = 256;
	uint32_t head = mailbox(dev)->cmd_head;
	struct tcmu_cmd_entry *ent = entry_at(dev, head);
	const size_t cdb_at = sizeof(*ent) + sizeof(struct tcmu_iovec), zero = 0;

	require(!dev->commands[id].open, "the command is open");
	dev->commands[id] = (struct fake_command){.open = true};
	memset(ent, 0, len);
	ent->hdr.len_op = len | TCMU_OP_CMD;
	ent->hdr.cmd_id = id;
	ent->req.iov_cnt = data_len > 0;
	ent->req.iov[0].iov_base = (void *)(size_t)(fake_data(dev, id) - dev->map);
	ent->req.iov[0].iov_len = data_len;
	ent->req.cdb_off = (uint64_t)((uint8_t *)ent - dev->map) + cdb_at;
	memcpy((uint8_t *)ent + cdb_at, cdb, cdb_len);
	__atomic_store_n(&mailbox(dev)->cmd_head, (head + len) % RING_BYTES, __ATOMIC_RELEASE);
	require(send(dev->kernel_fd, &zero, 4, 0) == 4, "the news cannot be told");
}

static void take_completions(struct runner_device *dev)
{
	uint32_t tail = __atomic_load_n(&mailbox(dev)->cmd_tail, __ATOMIC_ACQUIRE);

	while (dev->kernel_tail != tail) {
		struct tcmu_cmd_entry *ent = entry_at(dev, dev->kernel_tail);
		struct fake_command *command = &dev->commands[ent->hdr.cmd_id % FAKE_COMMANDS];

		require(command->open, "a completion of nothing");
		command->open = false;
		command->done = true;
		command->status = ent->rsp.scsi_status;
		command->has_read_len = ent->hdr.uflags & TCMU_UFLAG_READ_LEN;
		command->read_len = ent->rsp.read_len;
		memcpy(command->sense, ent->rsp.sense_buffer, sizeof(command->sense));
		dev->kernel_tail =
			(dev->kernel_tail + tcmu_hdr_get_len(ent->hdr.len_op)) % RING_BYTES;
	}
}

const struct fake_command *fake_wait(struct runner_device *dev, uint16_t id)
{
	struct pollfd fd = {.fd = dev->kernel_fd, .events = POLLIN};
	uint32_t n;

	while (!dev->commands[id].done) {
		require(poll(&fd, 1, PATIENCE_MS) == 1, "a command is not completed");
		require(read(dev->kernel_fd, &n, sizeof(n)) == 4, "read");
		take_completions(dev);
	}
	return &dev->commands[id];
}
