/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of the log pages, from what the nexuses have counted. A parameter that we cannot
 * know (errors that the store has corrected by itself, temperatures) is not there.
 * Source: SPC-5 r22, log parameters; SBC-4 r22, log parameters for direct access block devices.
 */
#include "scsi/sbc/sbc.h"
#include "scsi/spc/log.h"

#define NS_PER_INTERVAL 1000000u /* a time interval is 1 ms: 1 * 10^-3 s */

/* Since the last reset, which may have come after the totals were taken. */
static uint64_t since(const struct log_source *from, const struct scsi_totals *base,
		      enum scsi_count count)
{
	uint64_t n = from->totals.n[count];

	return n > base->n[count] ? n - base->n[count] : 0;
}

/* ---- 02, 03, 05: error counters ---- */

static void out_bytes_done(const struct log_source *from, const struct scsi_totals *base,
			   enum scsi_count blocks, struct bytes_out *out)
{
	out_be64(out, since(from, base, blocks) << scsi_lu_view(from->task->lu)->block_shift);
}

static void out_count(const struct log_source *from, const struct scsi_totals *base,
		      enum scsi_count count, struct bytes_out *out)
{
	out_be64(out, since(from, base, count));
}

#define DEFINE_ERROR_COUNTERS(name, NAME)                                                          \
	static void name##_bytes(const struct log_source *from, const struct scsi_totals *base,    \
				 struct bytes_out *out)                                            \
	{                                                                                          \
		out_bytes_done(from, base, COUNT_##NAME##_BLOCKS, out);                            \
	}                                                                                          \
	static void name##_errors(const struct log_source *from, const struct scsi_totals *base,   \
				  struct bytes_out *out)                                           \
	{                                                                                          \
		out_count(from, base, COUNT_##NAME##_ERRORS, out);                                 \
	}
DEFINE_ERROR_COUNTERS(write, WRITE)
DEFINE_ERROR_COUNTERS(read, READ)
DEFINE_ERROR_COUNTERS(verify, VERIFY)

/* ---- 0C: logical block provisioning ---- */

enum { SCOPE_LU = 0x01, SCOPE_SHARED = 0x02 };

static void out_resource(const struct log_source *from, uint64_t bytes, uint8_t scope,
			 struct bytes_out *out)
{
	const struct scsi_lu_view *view = scsi_lu_view(from->task->lu);
	uint64_t count = bytes >> view->block_shift >> SBC_THRESHOLD_EXPONENT;

	out_be32(out, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX);
	out_u8(out, scope);
	out_zero(out, 3);
}

static void available_resource(const struct log_source *from, const struct scsi_totals *base,
			       struct bytes_out *out)
{
	(void)base;
	if (from->space_known) /* other stores may take the same space */
		out_resource(from, from->free_bytes, SCOPE_SHARED, out);
}

static void used_resource(const struct log_source *from, const struct scsi_totals *base,
			  struct bytes_out *out)
{
	(void)base;
	if (from->space_known)
		out_resource(from, from->used_bytes, SCOPE_LU, out);
}

/* ---- 19: general statistics and performance ---- */

static void out_intervals(const struct log_source *from, const struct scsi_totals *base,
			  enum scsi_count ns, struct bytes_out *out)
{
	out_be64(out, since(from, base, ns) / NS_PER_INTERVAL);
}

/* Command priority is not known, so that what would be weighted by it is 0. */
static void access_statistics(const struct log_source *from, const struct scsi_totals *base,
			      struct bytes_out *out)
{
	out_count(from, base, COUNT_READS, out);
	out_count(from, base, COUNT_WRITES, out);
	out_count(from, base, COUNT_WRITE_BLOCKS, out); /* received */
	out_count(from, base, COUNT_READ_BLOCKS, out);	/* transmitted */
	out_intervals(from, base, COUNT_READ_NS, out);
	out_intervals(from, base, COUNT_WRITE_NS, out);
	out_zero(out, 16);
}

/*
 * Each nexus knows when it was idle itself. All were idle for at least the time that is left when
 * none of their busy times overlap; to know more, each command would have to tell all threads.
 */
static void idle_time(const struct log_source *from, const struct scsi_totals *base,
		      struct bytes_out *out)
{
	uint64_t age = from->totals.age_ns, busy = since(from, base, COUNT_BUSY_NS);

	age = age > base->age_ns ? age - base->age_ns : 0;
	out_be64(out, busy < age ? (age - busy) / NS_PER_INTERVAL : 0);
}

static void time_interval(const struct log_source *from, const struct scsi_totals *base,
			  struct bytes_out *out)
{
	(void)from;
	(void)base;
	out_be32(out, 3); /* the negative exponent of 10 */
	out_be32(out, 1);
}

/* ---- 2F: informational exceptions ---- */

static void exceptions(const struct log_source *from, const struct scsi_totals *base,
		       struct bytes_out *out)
{
	bool failing = atomic_load(&((struct scsi_lu *)from->task->lu)->flush_failed);

	(void)base;
	out_u8(out, failing ? 0x5d : 0); /* FAILURE PREDICTION THRESHOLD EXCEEDED, */
	out_u8(out, failing ? 0x10 : 0); /* hardware impending failure, general */
	out_u8(out, 0xff);		 /* no temperature is known */
	out_zero(out, 1);
}

const struct log_parameter log_parameters[] = {
	{0x02, 0x0005, LOG_COUNTER, 8, write_bytes},
	{0x02, 0x0006, LOG_COUNTER, 8, write_errors},
	{0x03, 0x0005, LOG_COUNTER, 8, read_bytes},
	{0x03, 0x0006, LOG_COUNTER, 8, read_errors},
	{0x05, 0x0005, LOG_COUNTER, 8, verify_bytes},
	{0x05, 0x0006, LOG_COUNTER, 8, verify_errors},
	{0x0c, 0x0001, LOG_LIST, 8, available_resource, sbc_space_is_known},
	{0x0c, 0x0002, LOG_LIST, 8, used_resource, sbc_space_is_known},
	{0x19, 0x0001, LOG_UNBOUNDED, 64, access_statistics},
	{0x19, 0x0002, LOG_UNBOUNDED, 8, idle_time},
	{0x19, 0x0003, LOG_LIST, 8, time_interval},
	{0x2f, 0x0000, LOG_LIST, 4, exceptions},
	{0},
};
_Static_assert(sizeof(log_parameters) / sizeof(log_parameters[0]) - 1 <= 16, "SPC_LOG_PARAMETERS");
