/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TCMU devices as sysfs and configfs show them. @root stands before every path: "" for the real
 * tree, a folder of a test's for another.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcmu_found {
	unsigned minor;	  /* of /dev/uioMINOR */
	char hba[16];	  /* core/user_HBA in configfs */
	char device[128]; /* its folder there */
	char config[256]; /* the configuration string */
	size_t map_len;	  /* bytes of the first mapping; 0 by tcmu_sysfs_parse() */
};

/*
 * Takes "tcm-user/HBA/DEVICE/CONFIG" apart, as uio names it and netlink tells it.
 * Return: whether it is that, and of subtype "duotgt".
 */
bool tcmu_sysfs_parse(const char *name, struct tcmu_found *ret_found);

/* Return: 0; -ENODEV: no TCMU device, or not one of ours; -errno. */
int tcmu_sysfs_look(const char *root, unsigned minor, struct tcmu_found *ret_found);

/* Calls @found for each of ours. */
void tcmu_sysfs_scan(const char *root, void (*found)(const struct tcmu_found *found, void *arg),
		     void *arg);

/* Opens its device node. Return: the descriptor; -EBUSY: somebody else has it; -errno. */
int tcmu_sysfs_open(const char *root, const struct tcmu_found *found);

/* Writes to action/NAME: block_dev, reset_ring. Return: 0 or -errno. */
int tcmu_sysfs_act(const char *root, const struct tcmu_found *found, const char *name, bool on);

/*
 * Whether the kernel waits for verdicts on this device: attrib/nl_reply_supported, which is below 0
 * where it was made so as not to. Not while the device is being removed.
 */
bool tcmu_sysfs_waits(const char *root, const struct tcmu_found *found);

/* A number, attrib/NAME: dev_size, hw_block_size. Return: 0 or -errno. */
int tcmu_sysfs_number(const char *root, const struct tcmu_found *found, const char *name,
		      uint64_t *ret_number);
