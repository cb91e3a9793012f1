/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The binary interface between tcmu-runner 1.5.0 to 1.6.2 and a handler, described from its
 * layout on 64-bit Linux. tests/handler/abi_check holds it against Debian's source package.
 *
 * Debian ships no header for it. A handler of raw commands leaves all behind handle_cmd empty, so
 * that one struct fits every version: the older ones read less of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct runner_device; /* struct tcmu_device of libtcmu, whose inside is not ours */

/* What handle_cmd returns, and what tcmulib_command_complete() takes. */
enum {
	RUNNER_ASYNC_HANDLED = -2,
	RUNNER_NOT_HANDLED = -1,
	RUNNER_OK = 0,
};

struct tcmulib_cmd {
	uint16_t cmd_id;
	uint8_t *cdb;
	struct iovec *iovec;
	size_t iov_cnt;
	uint8_t sense_buf[96];
	void *hm_private;
};

struct tcmur_cmd {
	struct tcmulib_cmd *lib_cmd; /* one piece of memory: this, iovecs, CDB, the tcmur_cmd */
	struct iovec *iovec;
	size_t iov_cnt;
	void *reserved[7];
	bool timed_out;
	void (*done)(struct runner_device *dev, struct tcmur_cmd *cmd, int status);
};

enum { RUNNER_CFG_STRING = 0, RUNNER_CFG_SIZE = 1, RUNNER_CFG_WRITE_CACHE = 2 };

struct tcmulib_cfg_info {
	int type;
	union {
		uint64_t dev_size;
		char *dev_cfgstring;
		bool write_cache;
	} data;
};

struct tcmur_handler {
	const char *name;
	const char *subtype;
	const char *cfg_desc;
	void *opaque;
	bool (*check_config)(const char *cfgstring, char **reason);
	int (*reconfig)(struct runner_device *dev, struct tcmulib_cfg_info *cfg);
	int (*open)(struct runner_device *dev, bool reopen);
	void (*close)(struct runner_device *dev);
	int nr_threads;
	int (*handle_cmd)(struct runner_device *dev, struct tcmur_cmd *cmd);
	void *unused[15]; /* callouts of the runner's own SCSI emulation, and more */
};

_Static_assert(sizeof(void *) == 8, "the layout is that of 64-bit systems");
_Static_assert(sizeof(struct tcmur_handler) == 200 &&
		       offsetof(struct tcmur_handler, check_config) == 32 &&
		       offsetof(struct tcmur_handler, reconfig) == 40 &&
		       offsetof(struct tcmur_handler, open) == 48 &&
		       offsetof(struct tcmur_handler, close) == 56 &&
		       offsetof(struct tcmur_handler, nr_threads) == 64 &&
		       offsetof(struct tcmur_handler, handle_cmd) == 72,
	       "struct tcmur_handler");
_Static_assert(sizeof(struct tcmulib_cmd) == 136 && offsetof(struct tcmulib_cmd, cdb) == 8 &&
		       offsetof(struct tcmulib_cmd, iovec) == 16 &&
		       offsetof(struct tcmulib_cmd, iov_cnt) == 24 &&
		       offsetof(struct tcmulib_cmd, sense_buf) == 32 &&
		       offsetof(struct tcmulib_cmd, hm_private) == 128,
	       "struct tcmulib_cmd");
_Static_assert(sizeof(struct tcmur_cmd) == 96 && offsetof(struct tcmur_cmd, iovec) == 8 &&
		       offsetof(struct tcmur_cmd, iov_cnt) == 16 &&
		       offsetof(struct tcmur_cmd, timed_out) == 80 &&
		       offsetof(struct tcmur_cmd, done) == 88,
	       "struct tcmur_cmd");
_Static_assert(sizeof(struct tcmulib_cfg_info) == 16 &&
		       offsetof(struct tcmulib_cfg_info, data) == 8,
	       "struct tcmulib_cfg_info");

/* Of the runner's executable. */
int tcmur_register_handler(struct tcmur_handler *handler);
void *tcmur_dev_get_private(struct runner_device *dev);
void tcmur_dev_set_private(struct runner_device *dev, void *private);

/* Of libtcmu.so.2. */
char *tcmu_dev_get_cfgstring(struct runner_device *dev);
uint64_t tcmu_dev_get_num_lbas(struct runner_device *dev);
uint32_t tcmu_dev_get_block_size(struct runner_device *dev);
int tcmu_dev_get_fd(struct runner_device *dev);
const char *tcmu_dev_get_uio_name(struct runner_device *dev);
/* The path of the UIO device, to be freed. Since 1.5.3: an older runner does not load us. */
char *tcmu_dev_get_memory_info(struct runner_device *dev, void **base, size_t *len, off_t *offset);
/* Writes @value to action/@name of the device in configfs. */
int tcmu_cfgfs_dev_exec_action(struct runner_device *dev, const char *name, uint32_t value);
void tcmulib_processing_complete(struct runner_device *dev);
void tcmu_err_message(struct runner_device *dev, const char *function, int line, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));
void tcmu_warn_message(struct runner_device *dev, const char *function, int line,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));
void tcmu_info_message(struct runner_device *dev, const char *function, int line,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));
void tcmu_dbg_message(struct runner_device *dev, const char *function, int line, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));
