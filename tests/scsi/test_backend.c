/* SPDX-License-Identifier: Apache-2.0 */
/* Back ends on real files: what they promise, what they refuse, and in which words. */
#include "scsi/backend/backends.h"
#include "scsi/backend/file.h"
#include "util/engine_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h wants setjmp.h, stdarg.h and stddef.h first. */
#include <cmocka.h>

#define MIB (1 << 20)

/* ---- a folder, an engine, and requests that are waited for ---- */

struct bench {
	char folder[64], path[96], why[256];
	struct engine *engine;
	const struct duotgt_backend_ops *ops;
	struct duotgt_backend_params params;
	struct duotgt_backend_info info;
	void *store;
};

struct request {
	struct duotgt_io io;
	bool done;
	int res;
};

static void request_done(struct duotgt_io *io, int res)
{
	struct request *req = container_of(io, struct request, io);

	assert_false(req->done);
	req->done = true;
	req->res = res;
}

static int do_io(struct bench *b, enum duotgt_io_kind kind, struct iovec *iov, int n_iov,
		 uint64_t offset, uint64_t len, uint32_t flags)
{
	struct request req = {.io = {.done = request_done,
				     .kind = kind,
				     .flags = flags,
				     .iov = iov,
				     .n_iov = n_iov,
				     .offset = offset,
				     .len = len}};
	struct iovec *lent = calloc((size_t)n_iov + 1, sizeof(*lent));

	assert_non_null(lent);
	for (int i = 0; i < n_iov; i++) {
		lent[i] = iov[i];
		req.io.len += iov[i].iov_len;
	}
	memset(req.io.priv, 0xee, sizeof(req.io.priv)); /* nobody clears it */
	b->ops->submit(b->store, b->engine, &req.io);
	assert_false(req.done); /* never inside submit */
	while (!req.done)
		assert_true(engine_turn(b->engine, true) >= 0);
	if (n_iov)
		assert_memory_equal(iov, lent, sizeof(*iov) * (size_t)n_iov);
	free(lent);
	return req.res;
}

static int do_write(struct bench *b, const void *buf, size_t len, uint64_t offset, uint32_t flags)
{
	struct iovec iov = {(void *)buf, len};

	return do_io(b, DUOTGT_IO_WRITE, &iov, 1, offset, 0, flags);
}

static int do_read(struct bench *b, void *buf, size_t len, uint64_t offset)
{
	struct iovec iov = {buf, len};

	return do_io(b, DUOTGT_IO_READ, &iov, 1, offset, 0, 0);
}

static void bench_start(struct bench *b, const char *type)
{
	*b = (struct bench){.ops = duotgt_backend_find(type),
			    .folder = "/tmp/duotgt-backend-XXXXXX"};
	alarm(120);
	assert_non_null(b->ops);
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->path, sizeof(b->path), "%s/disk.img", b->folder);
	b->params = (struct duotgt_backend_params){
		.path = b->path, .size = MIB, .block_size = 512, .create = true, .thin = true};
	assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &b->engine), 0);
}

static int bench_open(struct bench *b)
{
	b->why[0] = '\0';
	return b->ops->open(&b->params, &b->store, &b->info, b->why, sizeof(b->why));
}

static void bench_stop(struct bench *b)
{
	if (b->store)
		b->ops->close(b->store);
	engine_free(b->engine);
	unlink(b->path);
	assert_int_equal(rmdir(b->folder), 0);
	alarm(0);
}

/* Opens it, or says why not, and fails the test. */
static void bench_must_open(struct bench *b)
{
	if (bench_open(b) < 0)
		fail_msg("%s", b->why);
}

static void assert_refused(struct bench *b, int r, const char *text)
{
	assert_int_equal(bench_open(b), r);
	if (!strstr(b->why, text))
		fail_msg("\"%s\" does not say \"%s\"", b->why, text);
}

static void fill(uint8_t *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((i * 31 + i / 251 + seed) % 253);
}

static bool is_zero(const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i])
			return false;
	return true;
}

/* ---- what all stores have in common ---- */

static void holds_what_is_written(struct bench *b)
{
	static uint8_t out[3 * 4096], in[3 * 4096];
	struct iovec iov[3] = {{in, 1}, {in + 1, 5000}, {in + 5001, sizeof(in) - 5001}};

	fill(out, sizeof(out), 1);
	assert_int_equal(do_write(b, out, sizeof(out), 8192, 0), 0);
	assert_int_equal(do_io(b, DUOTGT_IO_READ, iov, 3, 8192, 0, 0), 0);
	assert_memory_equal(in, out, sizeof(in));
	fill(out, sizeof(out), 2);
	assert_int_equal(do_write(b, out, 512, MIB - 512, DUOTGT_IO_FUA), 0);
	assert_int_equal(do_read(b, in, 1024, MIB - 1024), 0);
	assert_true(is_zero(in, 512));
	assert_memory_equal(in + 512, out, 512);
	assert_int_equal(do_io(b, DUOTGT_IO_FLUSH, NULL, 0, 0, 0, 0), 0);
}

static void discards_to_zeroes(struct bench *b)
{
	static uint8_t out[3 * 4096], in[3 * 4096];

	memset(out, 0xaa, sizeof(out));
	assert_true(b->info.can_discard);
	assert_int_equal(do_write(b, out, sizeof(out), 4096, 0), 0);
	/* not aligned to anything but blocks */
	assert_int_equal(do_io(b, DUOTGT_IO_DISCARD, NULL, 0, 4096 + 512, 8192, 0), 0);
	assert_int_equal(do_read(b, in, sizeof(in), 4096), 0);
	assert_memory_equal(in, out, 512);
	assert_true(is_zero(in + 512, 8192));
	assert_memory_equal(in + 512 + 8192, out, sizeof(in) - 512 - 8192);
	assert_int_equal(do_io(b, DUOTGT_IO_DISCARD, NULL, 0, 4096, 512, 0), 0);
	assert_int_equal(do_read(b, in, 512, 4096), 0);
	assert_true(is_zero(in, 512));
}

static void ram_is_a_store(void **state)
{
	struct bench b;

	(void)state;
	bench_start(&b, "ram");
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB);
	holds_what_is_written(&b);
	discards_to_zeroes(&b);
	/* the core checks ranges; should it fail to, memory is not touched */
	assert_int_equal(do_write(&b, b.why, 1, MIB, 0), -ENODATA);
	assert_int_equal(do_write(&b, b.why, 1, UINT64_MAX, 0), -ENODATA);
	bench_stop(&b);
}

static void null_keeps_nothing(void **state)
{
	uint8_t buf[512];
	struct bench b;

	(void)state;
	bench_start(&b, "null");
	bench_must_open(&b);
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(do_write(&b, buf, sizeof(buf), 0, 0), 0);
	assert_int_equal(do_read(&b, buf, sizeof(buf), 0), 0);
	assert_true(is_zero(buf, sizeof(buf)));
	assert_int_equal(do_io(&b, DUOTGT_IO_FLUSH, NULL, 0, 0, 0, 0), 0);
	bench_stop(&b);
}

static void stores_without_a_file_need_a_size(void **state)
{
	static const char *const types[] = {"ram", "null"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bench b;

		bench_start(&b, types[i]);
		b.params.size = 0;
		assert_refused(&b, -EINVAL, "needs a size");
		bench_stop(&b);
	}
	assert_null(duotgt_backend_find("tape"));
}

static void delay_is_a_file_that_takes_its_time(void **state)
{
	static const char *const refused[] = {
		"", ":/a", "5", "5:", "-5:/a", "60000001:/a", "99999999999999999999:/a"};
	uint8_t out[512], in[512];
	char path[128];
	uint64_t start;
	struct bench b;

	(void)state;
	bench_start(&b, "delay");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		b.params.path = refused[i];
		assert_refused(&b, -EINVAL, "expected MICROSECONDS:PATH");
	}
	snprintf(path, sizeof(path), "20000:%s", b.path);
	b.params.path = path;
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB);
	memset(out, 0x5a, sizeof(out));
	start = engine_now(b.engine);
	assert_int_equal(do_write(&b, out, sizeof(out), 512, 0), 0);
	assert_int_equal(do_read(&b, in, sizeof(in), 512), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(do_io(&b, DUOTGT_IO_FLUSH, NULL, 0, 0, 0, 0), 0);
	assert_true(engine_now(b.engine) - start >= 3 * 20000000u); /* that is its promise */
	bench_stop(&b);
}

/* ---- files ---- */

static void a_file_is_a_store(void **state)
{
	struct bench b;
	struct stat st;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB);
	assert_true(b.info.volatile_cache);
	assert_true(strlen(b.info.identity) > 10);
	holds_what_is_written(&b);
	if (b.info.can_discard)
		discards_to_zeroes(&b);
	else
		print_message("SKIPPED: no holes in files of %s\n", b.folder);
	assert_int_equal(stat(b.path, &st), 0);
	assert_int_equal(st.st_size, MIB);
	bench_stop(&b);
}

static void a_file_is_made_thin_or_thick(void **state)
{
	struct bench b;
	struct stat st;

	(void)state;
	for (int thin = 0; thin < 2; thin++) {
		bench_start(&b, "file");
		b.params.thin = thin;
		bench_must_open(&b);
		assert_int_equal(stat(b.path, &st), 0);
		assert_int_equal(st.st_size, MIB);
		assert_int_equal(st.st_mode & 0777, 0600);
		if (thin)
			assert_true(st.st_blocks * 512 < MIB);
		else
			assert_true(st.st_blocks * 512 >= MIB);
		bench_stop(&b);
	}
}

static void a_size_is_the_files_or_what_is_asked_for(void **state)
{
	struct bench b;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	b.ops->close(b.store);
	b.params.create = false;
	b.params.size = 0;
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB);
	b.ops->close(b.store);
	b.params.size = MIB / 2;
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB / 2);
	b.ops->close(b.store);
	b.store = NULL;
	b.params.size = MIB + 1;
	assert_refused(&b, -EINVAL, "has 1048576 bytes, fewer than the 1048577 asked for");
	/* a file whose making was cut short */
	assert_int_equal(truncate(b.path, 0), 0);
	assert_refused(&b, -EINVAL, "has 0 bytes");
	b.params.create = true;
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB + 1);
	bench_stop(&b);
}

static void files_that_cannot_be_are_refused(void **state)
{
	struct bench b;
	char folder[96];

	(void)state;
	bench_start(&b, "file");
	b.params.create = false;
	assert_refused(&b, -ENOENT, "disk.img: does not exist");
	b.params.create = true;
	b.params.size = 0;
	assert_refused(&b, -ENOENT, "no size is given");
	b.params.size = MIB;
	b.params.path = "";
	assert_refused(&b, -EINVAL, "needs a path");
	b.params.path = b.folder;
	assert_refused(&b, -EISDIR, "is a directory");
	b.params.path = "/dev/null";
	assert_refused(&b, -EINVAL, "is not a regular file");
	snprintf(folder, sizeof(folder), "%s/none/disk.img", b.folder);
	b.params.path = folder;
	assert_refused(&b, -ENOENT, "cannot be made: No such file");
	/* a FIFO must not hang the opening */
	b.params.path = b.path;
	assert_int_equal(mkfifo(b.path, 0600), 0);
	assert_refused(&b, -EINVAL, "is not a regular file");
	bench_stop(&b);
}

static void what_could_not_be_made_whole_is_removed(void **state)
{
	struct bench b;

	(void)state;
	bench_start(&b, "file");
	b.params.size = (uint64_t)INT64_MAX + 1;
	assert_refused(&b, -EFBIG, "no file is 9223372036854775808 bytes long");
	assert_int_equal(access(b.path, F_OK), -1);
	bench_stop(&b);
}

static void a_file_has_one_writer(void **state)
{
	struct bench b, other;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	bench_start(&other, "file");
	other.params.path = b.path;
	assert_refused(&other, -EBUSY, "disk.img: is in use by another process");
	other.params.read_only = true;
	assert_refused(&other, -EBUSY, "is in use by another process");
	/* readers share, and keep writers out */
	b.ops->close(b.store);
	b.params.read_only = true;
	bench_must_open(&b);
	bench_must_open(&other);
	assert_true(other.info.read_only);
	other.ops->close(other.store);
	other.store = NULL;
	other.params.read_only = false;
	assert_refused(&other, -EBUSY, "is in use by another process");
	bench_stop(&other);
	bench_stop(&b);
}

static void a_file_that_shrinks_gives_errors(void **state)
{
	static uint8_t buf[8192];
	struct bench b;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	assert_int_equal(truncate(b.path, 4096 + 100), 0);
	assert_int_equal(do_read(&b, buf, 4096, 0), 0);
	assert_int_equal(do_read(&b, buf, 8192, 0), -ENODATA); /* a part of it is there */
	assert_int_equal(do_read(&b, buf, 512, 8192), -ENODATA);
	/* a name that is gone is no loss */
	assert_int_equal(unlink(b.path), 0);
	assert_int_equal(do_write(&b, buf, 512, 0, 0), 0);
	bench_stop(&b);
}

/* A limit on the size of files cuts a write short; what goes on from there fails. */
static void a_write_that_stops_half_way_fails(void **state)
{
	static uint8_t out[4096], in[4096];
	struct rlimit old, small;
	struct bench b;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	bench_start(&b, "file");
	bench_must_open(&b);
	fill(out, sizeof(out), 3);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 10000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(do_write(&b, out, 4096, 8192, 0), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(do_read(&b, in, 4096, 8192), 0);
	assert_memory_equal(in, out, 10000 - 8192);
	assert_true(is_zero(in + 10000 - 8192, 4096 - (10000 - 8192)));
	bench_stop(&b);
}

static void a_full_file_system_is_told(void **state)
{
	static uint8_t buf[64 << 10];
	char folder[64] = "/tmp/duotgt-full-XXXXXX", path[96];
	struct bench b;
	int r = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	/* Of this process alone, so that it goes with it. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", folder, "tmpfs", 0, "size=256k") < 0) {
		print_message("SKIPPED: no tmpfs can be mounted: %s\n", strerror(errno));
		rmdir(folder);
		return;
	}
	bench_start(&b, "file");
	snprintf(path, sizeof(path), "%s/disk.img", folder);
	b.params.path = path;
	bench_must_open(&b);
	memset(buf, 1, sizeof(buf));
	for (unsigned i = 0; i < 8 && r == 0; i++)
		r = do_write(&b, buf, sizeof(buf), i * sizeof(buf), 0);
	b.ops->close(b.store);
	b.store = NULL;
	unlink(path);
	/* thick, it is not even made */
	b.params.thin = false;
	assert_refused(&b, -ENOSPC, "No space left");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(umount(folder), 0);
	rmdir(folder);
	assert_int_equal(r, -ENOSPC);
	bench_stop(&b);
}

static void direct_io_takes_what_is_not_aligned_too(void **state)
{
	struct bench b;

	(void)state;
	bench_start(&b, "file");
	b.params.direct = true;
	b.params.block_size = 4096;
	if (bench_open(&b) < 0) {
		print_message("SKIPPED: %s\n", b.why);
		assert_true(strstr(b.why, "direct I/O"));
		assert_int_equal(access(b.path, F_OK), -1); /* made in vain, so removed */
		bench_stop(&b);
		return;
	}
	holds_what_is_written(&b);
	for (int i = 0; i < 2; i++) {
		uint8_t *page = aligned_alloc(4096, 8192);
		uint8_t in[512];

		assert_non_null(page);
		fill(page, 8192, 7u + i);
		assert_int_equal(do_write(&b, page, 8192, 16384, 0), 0);
		/* through the cache, after the write around it */
		assert_int_equal(do_read(&b, in, 511, 16384 + 4096), 0);
		assert_memory_equal(in, page + 4096, 511);
		free(page);
	}
	bench_stop(&b);
}

static void direct_io_needs_blocks_that_suit_it(void **state)
{
	struct bench b;
	struct statx stx;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	b.ops->close(b.store);
	b.store = NULL;
	if (statx(AT_FDCWD, b.path, 0, STATX_DIOALIGN, &stx) < 0 ||
	    !(stx.stx_mask & STATX_DIOALIGN) || stx.stx_dio_offset_align <= 512) {
		print_message("SKIPPED: direct I/O takes blocks of 512 in %s\n", b.folder);
	} else {
		b.params.direct = true;
		assert_refused(&b, -EINVAL, "direct I/O needs blocks of");
	}
	bench_stop(&b);
}

/* ---- a kernel that does as little as it may ---- */

/* An engine whose reads and writes move up to 700 bytes, and are interrupted now and then. */
struct stingy {
	struct engine engine;
	struct list ops;
	unsigned n_ops;
};

static int stingy_move(struct stingy *s, struct engine_op *op)
{
	const struct iovec *first = op->file.iov;
	struct iovec part;
	ssize_t n;

	while (!first->iov_len)
		first++;
	part = *first;
	if (s->n_ops++ % 5 == 4)
		return -EINTR;
	if (part.iov_len > 700)
		part.iov_len = 700;
	n = op->kind == OP_READV ? preadv(op->file.fd, &part, 1, (off_t)op->file.offset)
				 : pwritev(op->file.fd, &part, 1, (off_t)op->file.offset);
	return n < 0 ? -errno : (int)n;
}

static void stingy_queue(struct engine *engine, struct engine_op *op)
{
	list_push_back(&container_of(engine, struct stingy, engine)->ops, &op->node);
}

static int stingy_poll(struct engine *engine, uint64_t wait_until_ns)
{
	struct stingy *s = container_of(engine, struct stingy, engine);
	struct list *node = list_pop_front(&s->ops);
	struct engine_op *op;

	(void)wait_until_ns;
	assert_non_null(node);
	op = list_entry(node, struct engine_op, node);
	op->done(op, stingy_move(s, op));
	return 1;
}

static uint64_t stingy_clock(struct engine *engine)
{
	(void)engine;
	return 0;
}

static const struct engine_ops stingy_ops = {
	.name = "stingy", .poll = stingy_poll, .clock = stingy_clock, .queue = stingy_queue};

static void short_transfers_are_carried_on(void **state)
{
	static uint8_t out[20000], in[20000];
	struct iovec to[4] = {
		{out, 1400}, {out + 1400, 0}, {out + 1400, 5000}, {out + 6400, 13600}};
	struct iovec from[3] = {{in, 699}, {in + 699, 701}, {in + 1400, 18600}};
	struct stingy s = {.ops = LIST_INIT(s.ops)};
	struct bench b;
	struct engine *engine;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	engine = b.engine;
	engine_init(&s.engine, &stingy_ops);
	b.engine = &s.engine;
	fill(out, sizeof(out), 9);
	assert_int_equal(do_io(&b, DUOTGT_IO_WRITE, to, 4, 512, 0, 0), 0);
	assert_int_equal(do_io(&b, DUOTGT_IO_READ, from, 3, 512, 0, 0), 0);
	assert_memory_equal(in, out, sizeof(in));
	/* and fail in the middle, with the segments put back */
	assert_int_equal(truncate(b.path, 2000), 0);
	assert_int_equal(do_io(&b, DUOTGT_IO_READ, from, 3, 512, 0, 0), -ENODATA);
	engine_fini(&s.engine);
	b.engine = engine;
	bench_stop(&b);
}

/* More segments than the kernel takes in one call. */
static void many_segments_are_carried_on(void **state)
{
	enum { N = 2500 };
	static uint8_t out[N * 3], in[N * 3];
	static struct iovec iov[N];
	struct bench b;

	(void)state;
	bench_start(&b, "file");
	bench_must_open(&b);
	fill(out, sizeof(out), 4);
	for (int i = 0; i < N; i++)
		iov[i] = (struct iovec){out + i * 3, 3};
	assert_int_equal(do_io(&b, DUOTGT_IO_WRITE, iov, N, 77, 0, 0), 0);
	for (int i = 0; i < N; i++)
		iov[i].iov_base = in + i * 3;
	assert_int_equal(do_io(&b, DUOTGT_IO_READ, iov, N, 77, 0, 0), 0);
	assert_memory_equal(in, out, sizeof(in));
	bench_stop(&b);
}

static void a_descriptor_is_a_store(void **state)
{
	struct duotgt_backend_info info = {.size = MIB};
	struct bench b;
	int fd;

	(void)state;
	bench_start(&b, "file");
	fd = open(b.path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(file_store_from_fd(fd, &info, &b.store), 0);
	holds_what_is_written(&b);
	/* a store that cannot discard says so */
	assert_int_equal(do_io(&b, DUOTGT_IO_DISCARD, NULL, 0, 0, 512, 0), -EOPNOTSUPP);
	bench_stop(&b);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* still ours */
	close(fd);
}

/* ---- block devices ---- */

/* A loop device over a file of 1 MiB. Return: its descriptor, or -1 with the reason printed. */
static int loop_attach(const char *image, char *ret_path, size_t len)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR}; /* it goes with its last user */
	int loop = -1;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	if (number >= 0) {
		snprintf(ret_path, len, "/dev/loop%d", number);
		loop = open(ret_path, O_RDWR | O_CLOEXEC);
	}
	if (loop >= 0 &&
	    (ioctl(loop, LOOP_SET_FD, fd) < 0 || ioctl(loop, LOOP_SET_STATUS64, &info) < 0)) {
		close(loop);
		loop = -1;
	}
	if (loop < 0)
		print_message("SKIPPED: no loop device: %s\n", strerror(errno));
	close(fd);
	if (control >= 0)
		close(control);
	return loop;
}

static void a_disk_is_a_store(void **state)
{
	struct bench b, other;
	char path[32];
	int loop;

	(void)state;
	bench_start(&b, "block");
	loop = loop_attach(b.path, path, sizeof(path));
	if (loop < 0) {
		bench_stop(&b);
		return;
	}
	b.params.path = path;
	b.params.size = 0;
	bench_must_open(&b);
	assert_int_equal(b.info.size, MIB);
	assert_true(b.info.physical_block >= 512);
	holds_what_is_written(&b);
	if (b.info.can_discard)
		discards_to_zeroes(&b);
	bench_start(&other, "block");
	other.params.path = path;
	assert_refused(&other, -EBUSY, "is in use");
	b.ops->close(b.store);
	b.store = NULL;
	other.params.size = MIB + 1;
	assert_refused(&other, -EINVAL, "has 1048576 bytes, fewer");
	other.ops = duotgt_backend_find("file");
	assert_refused(&other, -EINVAL, "is a block device (block:/dev/loop");
	bench_stop(&other);
	b.params.direct = true;
	bench_must_open(&b);
	discards_to_zeroes(&b);
	b.ops->close(b.store);
	b.store = NULL;
	close(loop);
	bench_stop(&b);
}

static void what_is_no_disk_is_refused(void **state)
{
	struct bench b;

	(void)state;
	bench_start(&b, "block");
	assert_refused(&b, -ENOENT, "cannot be opened: No such file");
	b.params.path = "/dev/null";
	assert_refused(&b, -ENOTBLK, "/dev/null: is not a block device");
	bench_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_is_a_store),
		cmocka_unit_test(null_keeps_nothing),
		cmocka_unit_test(stores_without_a_file_need_a_size),
		cmocka_unit_test(delay_is_a_file_that_takes_its_time),
		cmocka_unit_test(a_file_is_a_store),
		cmocka_unit_test(a_file_is_made_thin_or_thick),
		cmocka_unit_test(a_size_is_the_files_or_what_is_asked_for),
		cmocka_unit_test(files_that_cannot_be_are_refused),
		cmocka_unit_test(what_could_not_be_made_whole_is_removed),
		cmocka_unit_test(a_file_has_one_writer),
		cmocka_unit_test(a_file_that_shrinks_gives_errors),
		cmocka_unit_test(a_write_that_stops_half_way_fails),
		cmocka_unit_test(a_full_file_system_is_told),
		cmocka_unit_test(direct_io_takes_what_is_not_aligned_too),
		cmocka_unit_test(direct_io_needs_blocks_that_suit_it),
		cmocka_unit_test(short_transfers_are_carried_on),
		cmocka_unit_test(many_segments_are_carried_on),
		cmocka_unit_test(a_descriptor_is_a_store),
		cmocka_unit_test(a_disk_is_a_store),
		cmocka_unit_test(what_is_no_disk_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
