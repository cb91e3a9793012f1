/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_daemon.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fake_daemon {
	int listener, requests[2], stop[2];
	char path[108];
	pthread_t thread;
	pthread_mutex_t lock;
	struct handover_answer answer;
};

static void require(bool what, const char *text)
{
	if (what)
		return;
	fprintf(stderr, "fake daemon: %s\n", text);
	abort();
}

static bool answer_one(struct fake_daemon *daemon, int sock)
{
	uint8_t packet[HANDOVER_PACKET_MAX];
	struct handover_request request;
	struct bytes_out out = bytes_out(packet, sizeof(packet));
	int fd, len = handover_receive(sock, packet, &fd);

	if (len <= 0)
		return false;
	require(handover_get_request(packet, (size_t)len, &request) == 0, "no request");
	require((fd >= 0) == (request.kind == HANDOVER_SERVE), "a descriptor comes with SERVE");
	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&daemon->lock);
	handover_put_answer(&out, &daemon->answer);
	pthread_mutex_unlock(&daemon->lock);
	require(handover_send(sock, &out, -1) == 0, "the answer cannot be sent");
	if (request.kind != HANDOVER_CHECK)
		require(write(daemon->requests[1], &request, sizeof(request)) == sizeof(request),
			"pipe");
	return true;
}

static void *daemon_main(void *arg)
{
	struct fake_daemon *daemon = arg;
	int client = -1;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = daemon->stop[0], .events = POLLIN},
			{.fd = client < 0 ? daemon->listener : client, .events = POLLIN},
		};

		poll(fds, 2, -1);
		if (fds[0].revents)
			break;
		if (client < 0) {
			client = accept(daemon->listener, NULL, NULL);
		} else if (!answer_one(daemon, client)) {
			close(client);
			client = -1;
		}
	}
	if (client >= 0)
		close(client);
	return NULL;
}

struct fake_daemon *fake_daemon_start(const char *folder)
{
	struct fake_daemon *daemon = calloc(1, sizeof(*daemon));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(daemon->path, sizeof(daemon->path), "%s/%s", folder, HANDOVER_SOCKET);
	strcpy(address.sun_path, daemon->path);
	unlink(daemon->path);
	pthread_mutex_init(&daemon->lock, NULL);
	require(pipe(daemon->requests) == 0 && pipe(daemon->stop) == 0, "pipe");
	daemon->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	require(bind(daemon->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	require(listen(daemon->listener, 8) == 0, "listen");
	require(pthread_create(&daemon->thread, NULL, daemon_main, daemon) == 0, "thread");
	return daemon;
}

void fake_daemon_stop(struct fake_daemon *daemon)
{
	close(daemon->listener);
	require(write(daemon->stop[1], "", 1) == 1, "pipe");
	pthread_join(daemon->thread, NULL);
	for (int i = 0; i < 2; i++) {
		close(daemon->requests[i]);
		close(daemon->stop[i]);
	}
	pthread_mutex_destroy(&daemon->lock);
	free(daemon); /* the socket's file stays, as that of one that was killed */
}

struct handover_request fake_daemon_next(struct fake_daemon *daemon)
{
	struct pollfd fd = {.fd = daemon->requests[0], .events = POLLIN};
	struct handover_request request;

	require(poll(&fd, 1, 60000) == 1, "no request comes");
	require(read(fd.fd, &request, sizeof(request)) == sizeof(request), "pipe");
	return request;
}

void fake_daemon_refuse(struct fake_daemon *daemon, int error, const char *text)
{
	pthread_mutex_lock(&daemon->lock);
	daemon->answer.error = error;
	snprintf(daemon->answer.text, sizeof(daemon->answer.text), "%s", text);
	pthread_mutex_unlock(&daemon->lock);
}
