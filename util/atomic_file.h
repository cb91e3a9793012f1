/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Small state files: whoever reads one, after a crash or a loss of power too, finds what the last
 * successful write gave, or what a later one that was cut off was about to give; whole, or nothing.
 *
 * A file is a header (magic, length, CRC32C) and the payload. Calls block: not for reactors.
 * One writer of a name at a time, which is the caller's to see to.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ATOMIC_FILE_MAX (1u << 20) /* bytes of payload */

/**
 * atomic_file_write() - replaces @dir/@name, on stable storage when it returns
 * @name: without a slash, not starting with a dot, below 200 characters
 * @len:  up to ATOMIC_FILE_MAX
 * Written under a temporary name in the same directory, with mode 0600, flushed and renamed; then
 * the directory is flushed.
 * Return: 0; -EINVAL for a name or length that cannot be; -errno. After an error the old content
 * stands, or, when flushing the directory failed, either.
 */
int atomic_file_write(const char *dir, const char *name, const void *data, size_t len);

/**
 * atomic_file_read() - the payload of @dir/@name
 * @cap: room in @buf
 * Return: 0; -ENOENT; -EFBIG when the payload is longer than @cap; -EBADMSG when the file is not
 * one of ours, was cut, or fails its CRC; -errno.
 */
int atomic_file_read(const char *dir, const char *name, void *buf, size_t cap, size_t *ret_len);

/* Whether there is something to read: false only when it is certain that there is not. */
bool atomic_file_exists(const char *dir, const char *name);

/* Removes it and flushes the directory. Return: 0, also when there was none; -errno. */
int atomic_file_remove(const char *dir, const char *name);

/* Any open file: reads on until @len bytes or its end. Return: how many there were; -errno. */
ssize_t file_read_all(int fd, void *ret_data, size_t len);
