/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sense data: the codes this target uses, by name, and both formats they are sent in.
 * Source: SPC-5 r22, sense data; code assignments in its annex of ASC and ASCQ.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCSI_SENSE_MAX 96 /* room that every transport offers */

enum scsi_sense_key {
	KEY_NO_SENSE = 0x0,
	KEY_RECOVERED_ERROR = 0x1,
	KEY_NOT_READY = 0x2,
	KEY_MEDIUM_ERROR = 0x3,
	KEY_HARDWARE_ERROR = 0x4,
	KEY_ILLEGAL_REQUEST = 0x5,
	KEY_UNIT_ATTENTION = 0x6,
	KEY_DATA_PROTECT = 0x7,
	KEY_ABORTED_COMMAND = 0xb,
	KEY_MISCOMPARE = 0xe,
};

/* key << 16 | ASC << 8 | ASCQ */
enum scsi_sense_code {
	SENSE_NONE = 0x000000,
	SENSE_NOT_READY_INITIALIZING_REQUIRED = 0x020402,
	SENSE_NOT_READY_OFFLINE = 0x020412,
	SENSE_MEDIUM_NOT_PRESENT = 0x023a00,
	SENSE_WRITE_ERROR = 0x030c00,
	SENSE_UNRECOVERED_READ_ERROR = 0x031100,
	SENSE_INTERNAL_TARGET_FAILURE = 0x044400,
	SENSE_PARAMETER_LIST_LENGTH = 0x051a00,
	SENSE_INVALID_OPCODE = 0x052000,
	SENSE_LBA_OUT_OF_RANGE = 0x052100,
	SENSE_INVALID_FIELD_IN_CDB = 0x052400,
	SENSE_LU_NOT_SUPPORTED = 0x052500,
	SENSE_INVALID_FIELD_IN_PARAMETERS = 0x052600,
	SENSE_SAVING_NOT_SUPPORTED = 0x053900,
	SENSE_POWER_ON_OR_RESET = 0x062900,
	SENSE_SCSI_BUS_RESET = 0x062902,
	SENSE_BUS_DEVICE_RESET = 0x062903,
	SENSE_NEXUS_LOSS = 0x062907,
	SENSE_MODE_PARAMETERS_CHANGED = 0x062a01,
	SENSE_CAPACITY_CHANGED = 0x062a09,
	SENSE_COMMANDS_CLEARED = 0x062f00,
	SENSE_REPORTED_LUNS_CHANGED = 0x063f0e,
	SENSE_WRITE_PROTECTED = 0x072700,
	SENSE_SPACE_ALLOCATION_FAILED = 0x072707,
	SENSE_UNEXPECTED_UNSOLICITED_DATA = 0x0b0c0c,
	SENSE_NOT_ENOUGH_UNSOLICITED_DATA = 0x0b0c0d,
	SENSE_PROTOCOL_CRC_ERROR = 0x0b4705,
	SENSE_MISCOMPARE = 0x0e1d00,
};

struct scsi_sense {
	uint8_t key, asc, ascq;
	bool has_info;	/* info holds an LBA or an offset */
	bool has_field; /* the sense-key specific bytes point at a field */
	bool in_cdb;	/* of the CDB, not of the parameter list */
	bool has_bit;
	uint8_t bit;
	uint16_t field;
	uint64_t info;
};

static inline struct scsi_sense scsi_sense(enum scsi_sense_code code)
{
	return (struct scsi_sense){
		.key = (uint8_t)(code >> 16), .asc = (uint8_t)(code >> 8), .ascq = (uint8_t)code};
}

/**
 * scsi_sense_build() - sense data as it goes to the initiator
 * @descriptor: descriptor format (72h), else fixed (70h)
 * @buf:        at least SCSI_SENSE_MAX bytes
 * In fixed format an INFORMATION that needs more than four bytes is left out, with VALID 0.
 * Return: its length, at most SCSI_SENSE_MAX.
 */
size_t scsi_sense_build(const struct scsi_sense *sense, bool descriptor, uint8_t *buf);
