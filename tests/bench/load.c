/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load generator for iSCSI targets: many sessions, depth, mix of reads and writes, block size,
 * rate, latencies, content checked on demand. It works on epoll and streams what it receives, so
 * that it costs less than any target it drives. Prints one JSON object.
 */
#include "tests/bench/load.h"
#include <dirent.h>
#include <getopt.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

uint8_t load_pattern[PATTERN_LEN];
pthread_barrier_t *load_barrier;
atomic_bool load_stop;

static const char usage_text[] =
	"usage: bench_load [options] iscsi://ADDRESS:PORT/IQN/LUN\n"
	"  --sessions N       (1)      --depth N          commands of each (1)\n"
	"  --block BYTES      (4096)   --read PERCENT     (100)\n"
	"  --sequential                --range BYTES      of the LUN that are used (all)\n"
	"  --seconds S        (5)      --warmup S         (0.5)\n"
	"  --rate N           commands a second of all sessions together (as fast as they go)\n"
	"  --threads N        (1)      --digests none|header|data|both\n"
	"  --check            writes all of the range, then checks the content of every read\n"
	"  --copy             copies what is read out of the socket even if nobody looks at it\n"
	"  --initial-r2t      asks for InitialR2T=Yes      --no-immediate  ImmediateData=No\n"
	"  --idle             logs in, prints the JSON, stays until its input ends\n"
	"  --at-once N        logins under way (64)\n"
	"  --targets N        IQN has a {}, which is 0 to N - 1 in turn\n"
	"  --luns N           LUN to LUN + N - 1 in turn\n"
	"  --initiator IQN\n"
	"  --target-pid PID   look at the CPU time that this process takes\n"
	"Exit status: 0; 1 when anything failed or did not match.\n";

/* clang-format off */
enum kind { IS_SET, IS_CLEARED, IS_COUNT, IS_BYTES, IS_SECONDS, IS_TEXT, IS_DIGESTS };
#define FIELD(field) offsetof(struct options, field)
static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
} known[] = {
	{"sessions", IS_COUNT, FIELD(sessions)},
	{"depth", IS_COUNT, FIELD(depth)},
	{"block", IS_COUNT, FIELD(block)},
	{"read", IS_COUNT, FIELD(read_percent)},
	{"sequential", IS_SET, FIELD(sequential)},
	{"range", IS_BYTES, FIELD(range)},
	{"seconds", IS_SECONDS, FIELD(seconds)},
	{"warmup", IS_SECONDS, FIELD(warmup)},
	{"rate", IS_BYTES, FIELD(rate)},
	{"threads", IS_COUNT, FIELD(threads)},
	{"digests", IS_DIGESTS, 0},
	{"check", IS_SET, FIELD(check)},
	{"copy", IS_SET, FIELD(copy)},
	{"initial-r2t", IS_SET, FIELD(initial_r2t)},
	{"no-immediate", IS_CLEARED, FIELD(immediate_data)},
	{"idle", IS_SET, FIELD(idle)},
	{"at-once", IS_COUNT, FIELD(at_once)},
	{"targets", IS_COUNT, FIELD(n_targets)},
	{"luns", IS_COUNT, FIELD(n_luns)},
	{"initiator", IS_TEXT, FIELD(initiator)},
	{"target-pid", IS_COUNT, FIELD(target_pid)},
};
/* clang-format on */
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*end || end == text)
		usage();
	return n;
}

static void digests(struct options *opt, const char *text)
{
	bool both = strcmp(text, "both") == 0;

	opt->header_digest = both || strcmp(text, "header") == 0;
	opt->data_digest = both || strcmp(text, "data") == 0;
	if (!opt->header_digest && !opt->data_digest && strcmp(text, "none") != 0)
		usage();
}

static void option_take(struct options *opt, unsigned index, const char *value)
{
	uint8_t *field = (uint8_t *)opt + known[index].offset;

	switch (known[index].kind) {
	case IS_SET:
	case IS_CLEARED:
		*(bool *)field = known[index].kind == IS_SET;
		break;
	case IS_COUNT:
		*(unsigned *)field = (unsigned)number(value);
		break;
	case IS_BYTES:
		*(uint64_t *)field = number(value);
		break;
	case IS_SECONDS:
		*(double *)field = atof(value);
		break;
	case IS_TEXT:
		*(const char **)field = value;
		break;
	case IS_DIGESTS:
		digests(opt, value);
	}
}

static struct options options_read(int argc, char **argv)
{
	struct options opt = {.sessions = 1,
			      .depth = 1,
			      .block = 4096,
			      .read_percent = 100,
			      .seconds = 5,
			      .warmup = 0.5,
			      .threads = 1,
			      .at_once = 64,
			      .immediate_data = true,
			      .initiator = "iqn.2026-01.org.example:load"};
	struct option options[N_KNOWN + 1] = {0};
	unsigned long long lun;
	int index;

	for (unsigned i = 0; i < N_KNOWN; i++)
		options[i] = (struct option){known[i].name, known[i].kind > IS_CLEARED, NULL, 0};
	while (getopt_long(argc, argv, "", options, &index) == 0)
		option_take(&opt, (unsigned)index, optarg);
	if (optind + 1 != argc || optopt ||
	    sscanf(argv[optind], "iscsi://%255[^:]:%hu/%255[^/]/%llu", opt.host, &opt.port, opt.iqn,
		   &lun) != 4)
		usage();
	opt.lun = lun;
	if (!opt.sessions || opt.sessions > 65535 || !opt.depth || !opt.block || opt.block % 512 ||
	    opt.block > PATTERN_LEN || !opt.threads || opt.threads > opt.sessions || !opt.at_once)
		usage();
	if (opt.check && !opt.range)
		opt.range = 64 << 20;
	return opt;
}

uint64_t load_cpu_of(unsigned pid)
{
	unsigned long long total = 0, ns;
	char path[64 + 256];
	struct dirent *task;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	tasks = pid ? opendir(path) : NULL;
	if (!tasks)
		return 0;
	while ((task = readdir(tasks))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%u/task/%s/schedstat", pid, task->d_name);
		f = task->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%llu", &ns) == 1)
			total += ns;
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return total;
}

static struct worker *workers_start(const struct options *opt)
{
	struct worker *workers = calloc(opt->threads, sizeof(*workers));
	struct session *sessions = calloc(opt->sessions, sizeof(*sessions));
	unsigned next = 0;

	if (!workers || !sessions)
		abort();
	for (unsigned i = 0; i < opt->threads; i++) {
		struct worker *w = &workers[i];

		w->opt = opt;
		w->sessions = sessions + next;
		w->n_sessions = opt->sessions / opt->threads + (i < opt->sessions % opt->threads);
		w->step_ns = opt->rate ? 1000000000u * opt->threads / opt->rate : 0;
		for (unsigned n = 0; n < w->n_sessions; n++, next++) {
			sessions[next].worker = w;
			sessions[next].index = next;
			sessions[next].fd = -1;
			sessions[next].data_segment = 8192;
			sessions[next].burst = 262144;
			sessions[next].first_burst = 65536;
			sessions[next].random = next * 0x9e3779b97f4a7c15u + 88172645463325252u;
		}
		if (pthread_create(&w->thread, NULL, worker_run, w))
			abort();
	}
	return workers;
}

static void session_fini(struct session *s, unsigned depth)
{
	for (unsigned i = 0; s->slots && i < depth; i++)
		free(s->slots[i].data);
	if (s->fd >= 0)
		close(s->fd);
	free(s->slots);
	free(s->free_slots);
	free(s->versions);
	free(s->in_use);
	free(s->text);
	free(s->tx);
}

static void workers_free(struct worker *workers, const struct options *opt)
{
	struct session *sessions = workers[0].sessions;

	for (unsigned i = 0; i < opt->sessions; i++)
		session_fini(&sessions[i], opt->depth);
	for (unsigned i = 0; i < opt->threads; i++) {
		free(workers[i].dirty);
		close(workers[i].epoll_fd);
	}
	free(sessions);
	free(workers);
}

/* ---- the result ---- */

static void hist_merge(struct hist *into, const struct hist *from)
{
	into->n += from->n;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned i = 0; i < HIST_LEN; i++)
		into->steps[i] += from->steps[i];
}

/* The middle of the step in which @share of all are reached, in µs. */
static double hist_at(const struct hist *hist, double share)
{
	uint64_t wanted = (uint64_t)((double)hist->n * share), n = 0;

	for (unsigned i = 0; i < HIST_LEN; i++) {
		n += hist->steps[i];
		if (n > wanted) {
			unsigned shift = i / HIST_SUB ? i / HIST_SUB - 1 : 0;
			uint64_t low =
				i < HIST_SUB ? i : (uint64_t)(HIST_SUB + i % HIST_SUB) << shift;

			return ((double)low + (double)(1ull << shift) / 2) / 1000;
		}
	}
	return (double)hist->max / 1000;
}

static void hist_print(const char *name, const struct hist *hist)
{
	printf(" \"%s\": {\"n\": %llu, \"mean\": %.2f, \"p50\": %.2f, \"p99\": %.2f, "
	       "\"p99.9\": %.2f, \"max\": %.2f},\n",
	       name, (unsigned long long)hist->n,
	       hist->n ? (double)hist->sum / (double)hist->n / 1000 : 0, hist_at(hist, 0.5),
	       hist_at(hist, 0.99), hist_at(hist, 0.999), (double)hist->max / 1000);
}

static void string_print(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text != '"' && *text != '\\' && *text >= ' ')
			putchar(*text);
	putchar('"');
}

static int report(const struct options *opt, const struct worker *workers, double login_seconds)
{
	static struct hist reads, writes, all;
	uint64_t errors = 0, mismatches = 0, retries = 0, r2ts = 0, cpu_ns = 0;
	unsigned n_ready = 0;
	double seconds = 0;
	const char *first_error = "";

	for (unsigned i = 0; i < opt->threads; i++) {
		const struct worker *w = &workers[i];

		hist_merge(&reads, &w->reads);
		hist_merge(&writes, &w->writes);
		errors += w->errors;
		mismatches += w->mismatches;
		retries += w->retries;
		r2ts += w->r2ts;
		cpu_ns += w->cpu_ns;
		n_ready += w->n_ready;
		if ((double)(w->run_until - w->run_from) / 1e9 > seconds)
			seconds = (double)(w->run_until - w->run_from) / 1e9;
		if (w->first_error[0])
			first_error = w->first_error;
	}
	hist_merge(&all, &reads);
	hist_merge(&all, &writes);
	printf("{\n \"sessions\": %u, \"depth\": %u, \"block\": %u,\n", n_ready, opt->depth,
	       opt->block);
	printf(" \"login_seconds\": %.4f, \"logins_per_second\": %.1f,\n", login_seconds,
	       n_ready / login_seconds);
	printf(" \"seconds\": %.3f, \"iops\": %.1f, \"mb_per_second\": %.2f,\n", seconds,
	       seconds > 0 ? (double)all.n / seconds : 0,
	       seconds > 0 ? (double)all.n * opt->block / seconds / 1e6 : 0);
	hist_print("latency_us", &all);
	hist_print("read_latency_us", &reads);
	hist_print("write_latency_us", &writes);
	printf(" \"target_us_per_io\": %.3f,\n",
	       all.n ? (double)workers[0].target_ns / 1e3 / (double)all.n : 0);
	printf(" \"client_us_per_io\": %.3f, \"client_load\": %.3f, \"r2ts\": %llu,\n",
	       all.n ? (double)cpu_ns / 1e3 / (double)all.n : 0,
	       seconds > 0 ? (double)cpu_ns / 1e9 / seconds : 0, (unsigned long long)r2ts);
	printf(" \"errors\": %llu, \"mismatches\": %llu, \"retries\": %llu, \"first_error\": ",
	       (unsigned long long)errors, (unsigned long long)mismatches,
	       (unsigned long long)retries);
	string_print(first_error);
	printf("\n}\n");
	fflush(stdout);
	return errors || mismatches || n_ready < opt->sessions;
}

static void wait_for_end_of_input(void)
{
	char buffer[64];

	while (read(STDIN_FILENO, buffer, sizeof(buffer)) > 0) {
	}
}

int main(int argc, char **argv)
{
	struct options opt = options_read(argc, argv);
	uint64_t start, logged_in;
	struct rlimit limit;
	pthread_barrier_t barrier;
	struct worker *workers;
	int status = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	memset(load_pattern, 0xa5, sizeof(load_pattern)); /* pages of its own, not the zero page */
	pthread_barrier_init(&barrier, NULL, opt.threads + 1);
	load_barrier = &barrier;
	start = load_now();
	workers = workers_start(&opt);
	pthread_barrier_wait(&barrier);
	logged_in = load_now();
	if (opt.idle) {
		status = report(&opt, workers, (double)(logged_in - start) / 1e9);
		wait_for_end_of_input();
		atomic_store(&load_stop, true);
	} else {
		pthread_barrier_wait(&barrier); /* all have filled their blocks */
	}
	for (unsigned i = 0; i < opt.threads; i++)
		pthread_join(workers[i].thread, NULL);
	if (!opt.idle)
		status = report(&opt, workers, (double)(logged_in - start) / 1e9);
	workers_free(workers, &opt);
	return status;
}
