/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libFuzzer: runs a harness once for each file of the folders (or files) named. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;
	size_t size;
	int r = -1;

	if (!file || fstat(fileno(file), &st) < 0)
		goto out;
	/* To the byte, so that a sanitizer sees a read past the end. */
	size = (size_t)st.st_size;
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, file) != size)
		goto out;
	LLVMFuzzerTestOneInput(data, size);
	r = 0;
out:
	if (r < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (file)
		fclose(file);
	free(data);
	return r;
}

/* Return: how many files were run, or -1. */
static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char *file;
	int n = 0, r = 0;

	if (!dir)
		return replay_file(path) < 0 ? -1 : 1;
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
			abort();
		r = replay_file(file);
		free(file);
		n++;
	}
	closedir(dir);
	return r < 0 ? -1 : n;
}

int main(int argc, char **argv)
{
	int n_all = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i]);

		if (n < 0)
			return EXIT_FAILURE;
		n_all += n;
	}
	printf("%d inputs\n", n_all);
	return n_all > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* an empty corpus proves nothing */
}
