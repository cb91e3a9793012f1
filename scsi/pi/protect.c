/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protect fields. GRD_CHK, APP_CHK and REF_CHK in VPD page 86 are one, so a field is checked
 * wherever the tables ask for it and it is known what it has to be: the guard always; the reference
 * tag of type 1, from the LBA; both tags of type 2 in commands of 32 bytes, from the CDB; no tag of
 * type 3. ATO is one in the control mode page, RWWP is what MODE SELECT has made it. Where the
 * tables let a device server choose whether to check data-out, this one does. Source: SBC-4 r22,
 * READ (10), WRITE (10), VERIFY (10), ORWRITE (16): their tables of the field.
 */
#include "scsi/pi/protect.h"
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include <assert.h>

enum { PROTECT_SHIFT = 5, PROTECT = 0xe0, ORWRITE_32 = 0x0e };

/* Fields checked, by the value of the protect field. */
static const uint8_t checked[] = {PI_ALL, PI_ALL, PI_APP | PI_REF, 0, PI_GUARD, PI_ALL};

/* Fields of VERIFY's data-out that are compared with the medium's. */
static const uint8_t compared[] = {0, PI_ALL, PI_APP | PI_REF, PI_ALL, PI_ALL, PI_ALL};

static uint8_t field_of(const struct scsi_task *task)
{
	return task->op->cdb_len == 6 ? 0 : sbc_flags(task) >> PROTECT_SHIFT;
}

void pi_trim_usage(const struct scsi_op *op, const struct scsi_lu *lu, uint8_t *usage)
{
	bool has_field = op->devices == ON_PROTECTED && op->cdb_len > 6;

	if (has_field && lu && scsi_lu_view(lu)->protection == PI_TYPE_2)
		usage[op->opcode == 0x7f ? 10 : 1] &= (uint8_t)~PROTECT;
}

/* EXPECTED INITIAL LOGICAL BLOCK REFERENCE TAG and what follows it. */
static bool has_tags(const struct scsi_task *task)
{
	return task->cdb[0] == 0x7f && task->op->sa != ORWRITE_32;
}

/* RWWP: writes bring their tuples, or are refused. Source: SPC-5 r22, Control mode page. */
static enum scsi_step judge_without(struct scsi_task *task, enum pi_table table)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);

	if (!view->protection || !view->rwwp || (table != PI_WRITES && table != PI_ORS))
		return SCSI_READY;
	return task->op->cdb_len == 6 ? scsi_check(task, SENSE_INVALID_FIELD_IN_CDB)
				      : scsi_check_field(task, sbc_flags_at(task), PROTECT);
}

enum scsi_step pi_judge(struct scsi_task *task, enum pi_table table)
{
	uint8_t field = field_of(task), last = table == PI_READS ? 4 : 5;

	if (!field)
		return judge_without(task, table);
	if (scsi_lu_view(task->lu)->protection == PI_TYPE_2 && !has_tags(task))
		return scsi_check(task, SENSE_INVALID_OPCODE);
	if (field > last)
		return scsi_check_field(task, sbc_flags_at(task), PROTECT);
	return SCSI_READY;
}

/* Of which fields it is known what they have to be. */
static uint8_t known(const struct scsi_task *task, enum pi_type type)
{
	if (type == PI_TYPE_1)
		return PI_GUARD | PI_REF;
	return type == PI_TYPE_2 && has_tags(task) ? PI_ALL : PI_GUARD;
}

static struct pi_expect expect(const struct scsi_task *task, enum pi_type type, uint8_t fields)
{
	struct pi_expect expect = {
		.fields = fields & known(task, type),
		.ref = (uint32_t)task->lba,
	};

	if (type == PI_TYPE_2 && has_tags(task)) {
		expect.ref = be32_get(task->cdb + 20);
		expect.app = be16_get(task->cdb + 24);
		expect.app_mask = be16_get(task->cdb + 26);
	}
	return expect;
}

/* Of VERIFY with BYTCHK, the comparison takes the place of checks. */
static uint8_t of_medium(enum pi_table table, uint8_t field)
{
	return table == PI_COMPARES && field ? 0 : checked[field];
}

struct pi_use pi_use_of(const struct scsi_task *task, enum pi_table table)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	enum pi_type type = (enum pi_type)view->protection;
	struct pi_use use = {.unit = view->block_size};
	uint8_t field = field_of(task);

	if (!type)
		return use;
	assert(field < sizeof(checked));
	use.on = true;
	use.tuples = field;
	use.unit += field ? PI_LEN : 0;
	use.ref_stays = type == PI_TYPE_3;
	use.medium = expect(task, type, of_medium(table, field));
	use.medium.escape = (uint8_t)type;
	use.data = expect(task, type, field && table != PI_READS ? checked[field] : 0);
	use.made.app = use.data.app & use.data.app_mask;
	use.made.ref = use.data.ref;
	use.compare = table == PI_COMPARES ? compared[field] : 0;
	if (type == PI_TYPE_3 && field < 5)
		use.compare &= (uint8_t)~PI_REF;
	return use;
}

void pi_tell(struct scsi_task *task, const struct pi_use *use, bool tuples, uint64_t from_block)
{
	struct pi_args args = {.mode = tuples ? PI_WITH_TUPLES : PI_MAKE, .tuple = use->made};

	if (!use->on)
		return;
	args.check = task->io.kind == DUOTGT_IO_READ ? use->medium : use->data;
	args.check.ref += (uint32_t)from_block;
	args.tuple.ref += (uint32_t)from_block;
	pi_set_args(&task->io, &args);
}

/* ---- what was found wrong ---- */

enum scsi_sense_code pi_sense_of(uint8_t field)
{
	return field == PI_GUARD ? SENSE_GUARD_CHECK
	       : field == PI_APP ? SENSE_APPLICATION_TAG_CHECK
				 : SENSE_REFERENCE_TAG_CHECK;
}

enum scsi_sense_code pi_miscompare_of(uint8_t field)
{
	return field == PI_GUARD ? SENSE_GUARD_MISCOMPARE
	       : field == PI_APP ? SENSE_APPLICATION_TAG_MISCOMPARE
				 : SENSE_REFERENCE_TAG_MISCOMPARE;
}

enum scsi_step pi_check_failed(struct scsi_task *task)
{
	struct pi_fault fault = pi_fault_of(&task->io);

	return scsi_check_info(task, pi_sense_of(fault.field), fault.lba);
}

enum scsi_step pi_check_data(struct scsi_task *task, const struct pi_use *use, uint64_t from,
			     uint64_t n_blocks)
{
	struct walk walk = walk_of(task->iov, task->n_iov);
	struct pi_fault fault;

	if (!use->tuples)
		return SCSI_READY;
	walk_skip(&walk, from);
	if (pi_check_blocks(walk, task->lba, n_blocks, scsi_lu_view(task->lu)->block_size,
			    &use->data, &fault))
		return SCSI_READY;
	return scsi_check_info(task, pi_sense_of(fault.field), fault.lba);
}
