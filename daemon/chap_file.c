/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/chap_file.h"
#include "util/secret_file.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_MAX 4096 /* bytes: more than two lines can have */
#define N_LINES 2

/* The words of RFC 7143 6.2 that no value of a key may be. */
static const char *const reserved[] = {"Reject", "Irrelevant", "NotUnderstood"};

struct line {
	const char *name, *secret; /* "" of length 0 for what is not there */
	size_t name_len, secret_len;
};

static int refuse(char *ret_why, size_t why_len, unsigned line, const char *why)
{
	snprintf(ret_why, why_len, "line %u: %s", line, why);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* As the shell's read does: blanks around are nothing, the first in between ends the name. */
static struct line split(const char *p, size_t len)
{
	struct line line = {.name = p, .secret = p};

	while (len && is_blank(*p))
		p++, len--;
	while (len && is_blank(p[len - 1]))
		len--;
	line.name = p;
	while (line.name_len < len && !is_blank(p[line.name_len]))
		line.name_len++;
	p += line.name_len;
	len -= line.name_len;
	while (len && is_blank(*p))
		p++, len--;
	line.secret = p;
	line.secret_len = len;
	return line;
}

static bool has_control(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == '\x7f')
			return true;
	return false;
}

static bool is_reserved(const struct line *line)
{
	for (unsigned i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strlen(reserved[i]) == line->name_len &&
		    memcmp(line->name, reserved[i], line->name_len) == 0)
			return true;
	return false;
}

/* What is wrong with a line that is there; NULL: nothing. */
static const char *fault(const struct line *line)
{
	if (!line->secret_len)
		return "is not USER PASSWORD";
	if (line->name_len > ISCSI_CHAP_NAME_MAX)
		return "its USER has more than 255 bytes";
	if (line->secret_len > ISCSI_CHAP_SECRET_MAX)
		return "its PASSWORD has more than 255 bytes";
	if (is_reserved(line))
		return "its USER is a word that no user can have (RFC 7143 6.2)";
	return NULL;
}

static void take(const struct line *line, struct iscsi_chap_account *account)
{
	memcpy(account->name, line->name, line->name_len);
	memcpy(account->secret, line->secret, line->secret_len);
	account->secret_len = (uint8_t)line->secret_len;
}

/* Into @accounts, which are zero: the initiator's and the target's. */
static int take_lines(const char *text, size_t len, struct iscsi_chap_account accounts[N_LINES],
		      char *ret_why, size_t why_len)
{
	unsigned n = 0;

	while (len || n == 0) {
		const char *end = len ? memchr(text, '\n', len) : NULL;
		size_t line_len = end ? (size_t)(end - text) : len;
		struct line line = split(text, line_len);
		const char *why = NULL;

		n++;
		if (has_control(text, line_len))
			why = "has a control character (a line end of another system?)";
		else if (n > N_LINES && line.name_len)
			why = "is one too many, expected two at most";
		else if (n <= N_LINES && (line.name_len || n == 1))
			why = fault(&line);
		if (why)
			return refuse(ret_why, why_len, n, why);
		if (line.name_len)
			take(&line, &accounts[n - 1]);
		text += line_len + !!end;
		len -= line_len + !!end;
	}
	return 0;
}

/*
 * RFC 7143 9.2.1: one secret never serves both ways; and a response is better not made of a secret
 * that is short enough to be guessed from it.
 */
static int judge(const struct iscsi_chap_account *target,
		 const struct iscsi_chap_account *initiator, char *ret_why, size_t why_len)
{
	if (!target->name[0])
		return 0;
	if (iscsi_chap_same_secret(target, initiator))
		return refuse(ret_why, why_len, 2, "has the PASSWORD of line 1, expected another");
	if (target->secret_len < ISCSI_CHAP_SECRET_SAFE)
		return refuse(ret_why, why_len, 2,
			      "its PASSWORD has less than 12 bytes (96 bits, RFC 7143 9.2.1)");
	return 0;
}

int chap_file_parse(const char *text, size_t len, struct iscsi_chap_secrets **ret_secrets,
		    char *ret_why, size_t why_len)
{
	struct iscsi_chap_account accounts[N_LINES] = {0};
	int r = take_lines(text, len, accounts, ret_why, why_len);

	if (r == 0)
		r = judge(&accounts[1], &accounts[0], ret_why, why_len);
	if (r == 0)
		r = iscsi_chap_secrets_new(&accounts[0], &accounts[1], ret_secrets);
	explicit_bzero(accounts, sizeof(accounts));
	return r;
}

int chap_file_read(const char *path, struct iscsi_chap_secrets **ret_secrets, char *ret_why,
		   size_t why_len)
{
	char text[READ_MAX], why[128];
	ssize_t n = secret_file_read("CHAP file", path, text, sizeof(text), ret_why, why_len);
	int r;

	if (n < 0)
		return (int)n;
	if ((size_t)n == sizeof(text)) {
		snprintf(why, sizeof(why), "is too long, expected two lines at most");
		r = -EINVAL;
	} else {
		r = chap_file_parse(text, (size_t)n, ret_secrets, why, sizeof(why));
	}
	explicit_bzero(text, sizeof(text));
	if (r == -EINVAL)
		snprintf(ret_why, why_len, "CHAP file %s: %s", path, why);
	return r;
}
