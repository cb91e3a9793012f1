/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the simulated world: engine_sim.c (clock, engines), sim_net.c, sim_disk.c. */
#include "engine_sim.h"
#include "util/engine_priv.h"

#define SIM_FD_BASE (1 << 20) /* above what the system hands out, so that mixing up shows */

enum sim_file_kind { SIM_LISTENER, SIM_STREAM, SIM_DISK, SIM_BELL };

/* What a descriptor stands for. Kept until the world ends, since events may still name it. */
struct sim_file {
	enum sim_file_kind kind;
	struct sim *sim;
	int fd;
	void (*free)(struct sim_file *file);
};

struct sim_engine {
	struct engine engine;
	struct sim *sim;
	struct list node;  /* in sim->engines */
	struct list ready; /* operations to complete in the next poll */
};

struct sim_event {
	uint64_t at_ns, tie; /* equal times in random order */
	void (*run)(void *arg, uint64_t n);
	void *arg;
	uint64_t n;
};

struct sim {
	uint64_t seed, rng, now_ns;
	struct list engines;
	struct sim_event *events; /* a heap; events[0] comes first */
	size_t n_events, events_cap;
	struct sim_file **files;
	size_t n_files;
	struct sim_net_config net;
	struct list disks;
};

/* Memory, or the end of the test. */
void *sim_alloc(size_t len);

void sim_after(struct sim *sim, uint64_t delay_ns, void (*run)(void *arg, uint64_t n), void *arg,
	       uint64_t n);

/* Mostly about @typical_ns, at times far more. */
uint64_t sim_delay(struct sim *sim, uint64_t typical_ns);

int sim_file_add(struct sim *sim, struct sim_file *file, enum sim_file_kind kind);
struct sim_file *sim_file_find(struct sim *sim, int fd);

/* The operation completes with @res in its engine's next poll. */
void sim_ready(struct engine_op *op, int res);

/* Completes a receive or an accept: the result is made up only now. */
void sim_net_complete(struct engine_op *op);
void sim_net_queue(struct engine_op *op);
int sim_sock_open(struct engine *engine, struct engine_sock *sock, int fd);
void sim_sock_shutdown(struct engine *engine, struct engine_sock *sock);
void sim_sock_close(struct engine *engine, struct engine_sock *sock);

void sim_disk_queue(struct engine_op *op);
void sim_disk_free(struct list *node);

/* Bytes of an iovec from @skip on; at most @len are moved. */
size_t sim_iov_len(const struct iovec *iov, size_t n_iov);
void sim_iov_move(const struct iovec *iov, size_t n_iov, size_t skip, void *bytes, size_t len,
		  bool to_iov);
