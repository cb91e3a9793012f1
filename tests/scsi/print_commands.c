/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the rows of all commands as JSON, one a line: docs/SCSI_COMMANDS.md is made of them. */
#include "scsi/backend/backends.h"
#include "scsi/lu_priv.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

static void close_folder_at_exit(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* LUs of each kind that commands may depend on. */
enum { PLAIN, KEPT, THIN, REMOVABLE, PROTECTED, TYPE_2, ENCRYPTED, CDROM, N_KINDS };

static const char *const kinds[N_KINDS] = {"plain",	"kept",	 "thin",      "removable",
					   "protected", "type2", "encrypted", "cdrom"};

static char state_dir[] = "/tmp/print_commands-XXXXXX";

/* Return: its path. */
static const char *make_key_file(void)
{
	static char path[sizeof(state_dir) + 8];
	FILE *file;

	snprintf(path, sizeof(path), "%s/key", state_dir);
	umask(077);
	file = fopen(path, "we");
	if (!file || fprintf(file, "%064d", 1) < 0 || fclose(file) != 0)
		exit(1);
	return path;
}

static struct scsi_lu *make_lu(unsigned kind)
{
	struct scsi_lu_config cfg = {
		.name = kinds[kind],
		.backend = duotgt_backend_find("ram"),
		.params = {.path = "", .size = 1 << 20},
		.block_size = kind == CDROM ? 2048 : 512,
		.max_transfer = 64 << 10,
		.write_cache = true,
		.online = true,
		.thin = kind == THIN,
		.removable = kind == REMOVABLE,
		.cdrom = kind == CDROM,
		.state_dir = kind == KEPT || kind == ENCRYPTED ? state_dir : NULL,
		.numa_node = -1,
		.protection = {.backend = kind == PROTECTED || kind == TYPE_2
						  ? duotgt_backend_find("ram")
						  : NULL,
			       .path = "",
			       .type = kind == TYPE_2 ? 2 : 1},
		.encryption = {.key_file = kind == ENCRYPTED ? make_key_file() : NULL},
	};
	struct scsi_lu *lu;
	char why[256];

	if (scsi_lu_new(&cfg, &lu, why, sizeof(why)) == 0)
		return lu;
	fprintf(stderr, "print_commands: %s\n", why);
	exit(1);
}

static void print_row(const struct scsi_op *op, struct scsi_lu *const *lus)
{
	static const char *const access[] = {
		[ACCESS_ANY] = "any",	[ACCESS_NONE] = "none",	  [ACCESS_READY] = "ready",
		[ACCESS_READ] = "read", [ACCESS_WRITE] = "write",
	};
	static const char *const reservations[] = {
		[RESV_BY_ACCESS] = "by access",
		[RESV_ALLOWED] = "allowed",
		[RESV_PERSISTENT] = "persistent",
		[RESV_CONFLICT] = "conflict",
		[RESV_OWN] = "own",
	};

	printf("{\"name\": \"%s\", \"opcode\": %u, \"sa\": %d, \"len\": %u, \"access\": \"%s\", "
	       "\"reservations\": \"%s\", \"exclusive\": %s, \"on\": [",
	       op->name, op->opcode, op->sa == NO_SA ? -1 : op->sa, op->cdb_len, access[op->access],
	       reservations[op->resv], op->exclusive ? "true" : "false");
	for (unsigned i = 0, n = 0; i < N_KINDS; i++)
		if (scsi_op_offered(op, lus[i]))
			printf("%s\"%s\"", n++ ? ", " : "", kinds[i]);
	printf("]}\n");
}

/* The folder, with whatever the one LU has kept in it. Return: exit code. */
static int remove_state(void)
{
	scoped(close_folder) DIR *folder = opendir(state_dir);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(folder), entry->d_name, 0);
	return rmdir(state_dir) < 0;
}

int main(void)
{
	struct scsi_lu *lus[N_KINDS];

	if (!mkdtemp(state_dir))
		return 1;
	for (unsigned i = 0; i < N_KINDS; i++)
		lus[i] = make_lu(i);
	for (unsigned i = 0; scsi_op_at(i); i++)
		print_row(scsi_op_at(i), lus);
	for (unsigned i = 0; i < N_KINDS; i++)
		scsi_lu_unref(lus[i]);
	return remove_state();
}
