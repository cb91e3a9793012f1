/* SPDX-License-Identifier: Apache-2.0 */
#include "handler/cfgstring.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WAIT_DEFAULT_S 30
#define WAIT_MAX_S 3600

static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";

/* The string as it is read, and where a complaint goes. */
struct reading {
	struct cfgstring *cfg;
	char *why;
	size_t why_len;
	bool path_option, wait; /* one was given that only a path, or CFGSTRING_ANY, has use for */
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct reading *in,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(in->why, in->why_len, format, args);
	va_end(args);
	return -EINVAL;
}

bool cfgstring_is_name(const char *text)
{
	size_t len = strlen(text);

	return len && len <= CFGSTRING_NAME_MAX && strspn(text, name_characters) == len;
}

/* ---- what would not arrive as it was written ---- */

static int check_characters(const struct reading *in, const char *text)
{
	if (strstr(text, ";tcmur_"))
		return refuse(in, "found an option of tcmu-runner's (;tcmur_...), expected none: "
				  "it times out commands that it does not complete itself; "
				  "cmd_time_out of the device does that");
	for (const char *p = text; *p; p++) {
		if (*p == ',' || *p == ':' || *p == ';')
			return refuse(in,
				      "found a '%c', which is cut or refused on the way here "
				      "(name the storage in duotgt.json, and write "
				      "duotgt/NAME)",
				      *p);
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return refuse(in, "found the control character 0x%02x, expected none",
				      (unsigned)*p);
	}
	if (strnlen(text, CFGSTRING_MAX + 1) > CFGSTRING_MAX)
		return refuse(in,
			      "found more than %d characters, of which some may be lost "
			      "(name the storage in duotgt.json, and write duotgt/NAME)",
			      CFGSTRING_MAX);
	return 0;
}

/* ---- options ---- */

static bool set_mode(struct reading *in, const char *value)
{
	static const char *const names[] = {"takeover", "raw"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			in->cfg->mode = (enum cfgstring_mode)i;
			return true;
		}
	}
	return false;
}

static bool set_server(struct reading *in, const char *value)
{
	static const char *const names[] = {"any", "daemon", "process"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			in->cfg->server = (enum cfgstring_server)i;
			return true;
		}
	}
	return false;
}

static bool set_wait(struct reading *in, const char *value)
{
	unsigned seconds = 0;

	if (!*value || strlen(value) > 4 || strspn(value, "0123456789") != strlen(value))
		return false;
	for (; *value; value++)
		seconds = seconds * 10 + (unsigned)(*value - '0');
	in->cfg->wait_s = seconds;
	in->wait = true;
	return seconds <= WAIT_MAX_S;
}

static bool set_flag(struct reading *in, const char *value, bool *flag)
{
	in->path_option = true;
	*flag = strcmp(value, "on") == 0;
	return *flag || strcmp(value, "off") == 0;
}

static bool set_direct(struct reading *in, const char *value)
{
	return set_flag(in, value, &in->cfg->direct);
}

static bool set_read_only(struct reading *in, const char *value)
{
	return set_flag(in, value, &in->cfg->read_only);
}

static const struct option {
	const char *key, *values;
	bool (*set)(struct reading *in, const char *value);
} options[] = {
	{"mode", "takeover or raw", set_mode},	   {"serve", "any, daemon or process", set_server},
	{"wait", "0 to 3600 (seconds)", set_wait}, {"direct", "on or off", set_direct},
	{"readonly", "on or off", set_read_only},
};

/* @text is "key=value"; @seen has a bit for each option that was there. */
static int read_option(struct reading *in, char *text, unsigned *seen)
{
	char *value = strchr(text, '=');

	if (value)
		*value++ = '\0';
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(options[i].key, text) != 0)
			continue;
		if (*seen & 1u << i)
			return refuse(in, "found the option %s twice, expected it once", text);
		*seen |= 1u << i;
		if (!value || !options[i].set(in, value))
			return refuse(in, "found %s=%.40s, expected %s", text, value ? value : "",
				      options[i].values);
		return 0;
	}
	return refuse(in,
		      "found the option %.40s, expected mode, serve, wait, direct or readonly "
		      "(a path with a '?' in it takes one more '?' at its end)",
		      text);
}

static int read_options(struct reading *in, char *text)
{
	unsigned seen = 0;
	char *next;
	int r = 0;

	for (; r == 0 && text && *text; text = next) {
		next = strchr(text, '&');
		if (next)
			*next++ = '\0';
		r = read_option(in, text, &seen);
	}
	return r;
}

/* ---- the whole ---- */

/* What follows the subtype and its '/', without the options. */
static int read_store(const struct reading *in, const char *text)
{
	struct cfgstring *cfg = in->cfg;

	if (*text == '/') {
		if (!text[1])
			return refuse(in, "found no path, expected duotgt//absolute/path");
		strcpy(cfg->path, text); /* as long as the whole string at most */
		return 0;
	}
	if (!cfgstring_is_name(text))
		return refuse(in,
			      "found \"%.80s\", expected a storage of duotgt.json (up to %d "
			      "letters, digits, '.', '_', '-'), or duotgt//absolute/path",
			      text, CFGSTRING_NAME_MAX);
	strcpy(cfg->storage, text);
	return 0;
}

/* Options that would have no effect are refused. */
static int judge(const struct reading *in)
{
	const struct cfgstring *cfg = in->cfg;

	if (in->path_option && !*cfg->path)
		return refuse(in, "found direct or readonly beside a storage, expected them in "
				  "duotgt.json");
	if (in->wait && (cfg->server != CFGSTRING_ANY || cfg->mode == CFGSTRING_RAW))
		return refuse(in, "found wait beside an option that leaves no choice of server "
				  "(serve, mode=raw), expected it alone");
	if (cfg->mode == CFGSTRING_RAW && cfg->server == CFGSTRING_DAEMON)
		return refuse(in, "found mode=raw beside serve=daemon, expected one of them");
	return 0;
}

int cfgstring_parse(const char *text, struct cfgstring *ret_cfg, char *ret_why, size_t why_len)
{
	static const char subtype[] = CFGSTRING_SUBTYPE "/";
	struct cfgstring cfg = {.wait_s = WAIT_DEFAULT_S};
	struct reading in = {.cfg = &cfg, .why = ret_why, .why_len = why_len};
	char copy[CFGSTRING_MAX + 1];
	char *behind;
	int r;

	r = check_characters(&in, text);
	if (r < 0)
		return r;
	/* libtcmu takes a string for ours whose subtype ours merely begins with */
	if (strncmp(text, subtype, sizeof(subtype) - 1) != 0)
		return refuse(&in, "found \"%.40s\", expected a string that begins with %s", text,
			      subtype);
	strcpy(copy, text + sizeof(subtype) - 1);
	behind = strrchr(copy, '?');
	if (behind)
		*behind++ = '\0';
	r = read_options(&in, behind);
	if (r == 0)
		r = read_store(&in, copy);
	if (r == 0)
		r = judge(&in);
	if (r == 0)
		*ret_cfg = cfg;
	return r;
}
