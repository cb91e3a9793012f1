/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Files with the names and secrets of CHAP, as `duotgt-lio export --chap-file` takes them, too:
 * "USER PASSWORD" in the first line, and in a second what the target proves itself with, if
 * anything.
 */
#include "iscsi/chap_secrets.h"

/**
 * chap_file_read() - what is in the file, which nobody else may read
 * Return: 0; -errno of reading it; -EPERM when others may read or replace it; -EINVAL when it is
 * no such file; with a text, in which there is nothing of what was found; -ENOMEM.
 */
int chap_file_read(const char *path, struct iscsi_chap_secrets **ret_secrets, char *ret_why,
		   size_t why_len);

/* The same of a text. @ret_why says what is wrong with it, and in which line. */
int chap_file_parse(const char *text, size_t len, struct iscsi_chap_secrets **ret_secrets,
		    char *ret_why, size_t why_len);
