/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Encrypted disks for tests: a folder for their state, which has the key file, too. */
#include "tests/scsi/harness.h"

#define CRYPT_KIT_KEY "keyfile" /* in the folder */

/* An empty folder with a key file of 32 bytes; valid until crypt_kit_remove(). */
const char *crypt_kit_make(void);
void crypt_kit_remove(void);

/* The path of a file in the folder; one of a few static buffers. */
const char *crypt_kit_path(const char *name);

/* Writes a file there, mode 0600. */
void crypt_kit_write(const char *name, const void *data, size_t len);

/* Encrypts the disk, with its state in the folder. */
void crypt_kit_use(struct scsi_lu_config *cfg);

/* "<uuid>.key", the file with the media key of harness_lu_config()'s disk. */
#define CRYPT_KIT_MEDIA_KEY "123456789abc4def8123456789abcdef.key"
