/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole target and its initiator in one thread, one command at a time: the same instructions on
 * every run, for `instructions` to count.
 *
 * usage: bench_count read|write N: N commands of 4 KiB, after a login and 16 more to warm up.
 */
#include "iscsi/server.h"
#include "scsi/backend/backends.h"
#include "tests/bench/wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define IQN "iqn.2026-01.org.example:count"
#define BLOCK 4096
#define WARM_UP 16

static struct reactor reactor = {.cpu = -1};
static struct pool *pool;
static int client;
static uint32_t cmdsn = 1, exp_statsn;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static struct sockaddr_in listen_somewhere(int *ret_fd)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(bind(*ret_fd, (struct sockaddr *)&addr, len) == 0 && listen(*ret_fd, 1) == 0 &&
		     getsockname(*ret_fd, (struct sockaddr *)&addr, &len) == 0,
	     "listen");
	return addr;
}

static struct scsi_target *make_disk(void)
{
	static const struct scsi_lu_config config = {
		.name = "disk",
		.params.size = 64 << 20,
		.params.path = "",
		.uuid = {1, 2, 3, 4, 5, 6, 0x47, 8, 0x89},
		.block_size = 512,
		.max_transfer = 1 << 20,
		.write_cache = true,
		.online = true,
		.numa_node = -1,
	};
	struct scsi_lu_config ram = config;
	struct scsi_target *target;
	struct scsi_lu *lu;
	char why[256] = "";

	ram.backend = duotgt_backend_find("ram");
	must(scsi_lu_new(&ram, &lu, why, sizeof(why)) == 0, why);
	must(scsi_target_new(IQN, &target) == 0 && scsi_target_map(target, 0, lu) == 0, "target");
	return target;
}

static struct sockaddr_in start(void)
{
	const struct pool_config pool_config = {.large_size = 65536, .n_large = 16, .node = -1};
	const struct iscsi_server_config config = {
		.reactors = &reactor, .n_reactors = 1, .max_transfer = 1 << 20};
	struct iscsi_server *server;
	struct sockaddr_in addr;
	int listener;

	addr = listen_somewhere(&listener);
	must(engine_new(ENGINE_EPOLL, NULL, &reactor.engine) == 0, "engine");
	must(pool_new(&pool_config, &pool) == 0 &&
		     pool_cache_new(pool, reactor.engine, &reactor.bufs) == 0,
	     "pool");
	must(iscsi_server_new(&config, &server) == 0 &&
		     iscsi_server_add_target(server, make_disk(), &iscsi_default_limits) == 0 &&
		     iscsi_server_add_portal(server, listener, "127.0.0.1:3260") == 0 &&
		     iscsi_server_link(server, IQN, 1, 0) == 0 && iscsi_server_start(server) == 0,
	     "server");
	return addr;
}

/* Turns the target's loop until @len bytes of an answer are here. */
static void answer_wait(uint8_t *buf, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = recv(client, buf + have, len - have, MSG_DONTWAIT);

		must(n > 0 || (n < 0 && errno == EAGAIN), "recv");
		if (n > 0)
			have += (size_t)n;
		else
			engine_turn(reactor.engine, true);
	}
}

static void pdu_send(uint8_t *bhs, const void *data, uint32_t len)
{
	static uint8_t buf[BHS_LEN + BLOCK];

	be24_put(bhs + 5, len);
	be32_put(bhs + 28, exp_statsn);
	memcpy(buf, bhs, BHS_LEN);
	if (len)
		memcpy(buf + BHS_LEN, data, len);
	must(send(client, buf, BHS_LEN + padded(len), 0) == BHS_LEN + (ssize_t)padded(len), "send");
}

static void login(void)
{
	static const char keys[] = "InitiatorName=" IQN "-initiator\0SessionType=Normal\0"
				   "TargetName=" IQN "\0MaxRecvDataSegmentLength=65536\0"
				   "InitialR2T=Yes\0ImmediateData=Yes";
	uint8_t bhs[BHS_LEN] = {LOGIN_REQUEST | IMMEDIATE, TRANSIT | 1 << 2 | 3, [8] = 0x80};
	uint8_t answer[8192];

	be32_put(bhs + 24, cmdsn);
	pdu_send(bhs, keys, sizeof(keys));
	answer_wait(answer, BHS_LEN);
	must(be16_get(answer + 36) == 0, "login");
	exp_statsn = be32_get(answer + 24) + 1;
	answer_wait(answer + BHS_LEN, padded(pdu_data_len(answer)));
}

/* One command, and whatever comes back for it. Return: its status. */
static uint8_t command(bool write, uint32_t lba)
{
	static uint8_t data[BLOCK], answer[BHS_LEN + BLOCK];
	uint8_t bhs[BHS_LEN] = {SCSI_COMMAND, FINAL};
	uint32_t len;

	bhs[1] |= write ? COMMAND_WRITES : COMMAND_READS;
	be32_put(bhs + 16, cmdsn);
	be32_put(bhs + 20, BLOCK);
	be32_put(bhs + 24, cmdsn++);
	bhs[32] = write ? 0x2a : 0x28; /* WRITE (10), READ (10) */
	be32_put(bhs + 34, lba);
	be16_put(bhs + 39, BLOCK / 512);
	pdu_send(bhs, data, write ? BLOCK : 0);
	answer_wait(answer, BHS_LEN);
	len = padded(pdu_data_len(answer));
	must(len <= BLOCK, "an answer of this length");
	answer_wait(answer + BHS_LEN, len);
	exp_statsn = be32_get(answer + 24) + 1;
	return answer[3];
}

static void commands(bool write, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		must(command(write, i % 1024 * (BLOCK / 512)) == GOOD, "status");
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr;

	if (argc != 3)
		return 2;
	addr = start();
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(client, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect");
	login();
	command(false, 0); /* takes the unit attention */
	commands(strcmp(argv[1], "write") == 0, WARM_UP);
	commands(strcmp(argv[1], "write") == 0, (unsigned)atoi(argv[2]));
	_exit(0); /* what ends, and how, is tested elsewhere */
}
