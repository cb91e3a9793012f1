/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration string means, and what is refused before it could arrive maimed. */
#include "handler/cfgstring.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct cfgstring parsed(const char *text)
{
	struct cfgstring cfg;
	char why[256] = "";

	if (cfgstring_parse(text, &cfg, why, sizeof(why)) < 0)
		fail_msg("%s: %s", text, why);
	return cfg;
}

/* The complaint about @text has to hold @expected. */
static void refused(const char *text, const char *expected)
{
	struct cfgstring cfg;
	char why[256] = "";

	if (cfgstring_parse(text, &cfg, why, sizeof(why)) != -EINVAL)
		fail_msg("%s: accepted", text);
	if (!strstr(why, expected))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, why, expected);
}

static void a_storage(void **state)
{
	struct cfgstring cfg = parsed("duotgt/data-1.a_B");

	(void)state;
	assert_string_equal(cfg.storage, "data-1.a_B");
	assert_string_equal(cfg.path, "");
	assert_int_equal(cfg.mode, CFGSTRING_TAKEOVER);
	assert_int_equal(cfg.server, CFGSTRING_ANY);
	assert_int_equal(cfg.wait_s, 30);
	assert_false(cfg.direct || cfg.read_only);
	assert_string_equal(parsed("duotgt/1000").storage, "1000");
}

static void a_path(void **state)
{
	struct cfgstring cfg = parsed("duotgt//srv/disk 1.img");

	(void)state;
	assert_string_equal(cfg.storage, "");
	assert_string_equal(cfg.path, "/srv/disk 1.img");
	assert_string_equal(parsed("duotgt//srv/a?b?").path, "/srv/a?b");
	assert_string_equal(parsed("duotgt////srv").path, "///srv");
}

static void options(void **state)
{
	struct cfgstring cfg = parsed("duotgt//srv/a?mode=raw&serve=process&direct=on&readonly=on");

	(void)state;
	assert_string_equal(cfg.path, "/srv/a");
	assert_int_equal(cfg.mode, CFGSTRING_RAW);
	assert_int_equal(cfg.server, CFGSTRING_PROCESS);
	assert_true(cfg.direct && cfg.read_only);
	cfg = parsed("duotgt/a?serve=any&wait=3600&mode=takeover");
	assert_int_equal(cfg.wait_s, 3600);
	assert_int_equal(cfg.server, CFGSTRING_ANY);
	assert_int_equal(parsed("duotgt/a?serve=daemon").server, CFGSTRING_DAEMON);
	assert_int_equal(parsed("duotgt/a?wait=0").wait_s, 0);
	assert_false(parsed("duotgt//a?direct=off&readonly=off").direct);
}

static void wrong_options(void **state)
{
	(void)state;
	refused("duotgt/a?mode=fast", "found mode=fast, expected takeover or raw");
	refused("duotgt/a?mode", "expected takeover or raw");
	refused("duotgt/a?serve=", "expected any, daemon or process");
	refused("duotgt/a?wait=3601", "expected 0 to 3600");
	refused("duotgt/a?wait=-1", "expected 0 to 3600");
	refused("duotgt/a?wait=", "expected 0 to 3600");
	refused("duotgt/a?wait=99999999999", "expected 0 to 3600");
	refused("duotgt/a?mode=raw&mode=raw", "found the option mode twice");
	refused("duotgt/a?colour=red", "found the option colour");
	refused("duotgt//a?b", "one more '?' at its end");
	refused("duotgt/a?direct=on", "expected them in duotgt.json");
	refused("duotgt/a?wait=3&serve=process", "no choice of server");
	refused("duotgt/a?wait=3&mode=raw", "no choice of server");
	refused("duotgt/a?mode=raw&serve=daemon", "found mode=raw beside serve=daemon");
	refused("duotgt//a?direct=yes", "expected on or off");
}

static void what_is_cut_on_the_way(void **state)
{
	(void)state;
	refused("duotgt//srv/a,b", "found a ','");
	refused("duotgt//srv/a:b", "found a ':'");
	refused("duotgt//srv/a;b", "found a ';'");
	refused("duotgt//srv/a\n", "control character 0x0a");
	refused("duotgt//srv/a\x7f", "control character 0x7f");
	refused("duotgt/a;tcmur_cmd_time_out=3", "option of tcmu-runner's");
}

static void subtypes(void **state)
{
	(void)state;
	refused("duo/a", "begins with duotgt/");
	refused("duotgt", "begins with duotgt/");
	refused("", "begins with duotgt/");
	refused("duotgtx/a", "begins with duotgt/");
}

static void stores(void **state)
{
	(void)state;
	refused("duotgt/", "expected a storage of duotgt.json");
	refused("duotgt//", "found no path");
	refused("duotgt/?mode=raw", "expected a storage");
	refused("duotgt/a b", "expected a storage");
	refused("duotgt/srv/a", "expected a storage");
}

/* @len characters of "duotgt//xxx..." */
static const char *long_path(char *text, size_t len)
{
	memset(text, 'x', len);
	memcpy(text, "duotgt//", 8);
	text[len] = '\0';
	return text;
}

static void lengths(void **state)
{
	char text[600];

	(void)state;
	assert_int_equal(strlen(parsed(long_path(text, CFGSTRING_MAX)).path), CFGSTRING_MAX - 7);
	refused(long_path(text, CFGSTRING_MAX + 1), "more than 254 characters");
	refused(long_path(text, 599), "more than 254 characters");

	memset(text, 'x', sizeof(text));
	memcpy(text, "duotgt/", 7);
	text[7 + CFGSTRING_NAME_MAX] = '\0';
	assert_int_equal(strlen(parsed(text).storage), CFGSTRING_NAME_MAX);
	text[7 + CFGSTRING_NAME_MAX] = 'x';
	text[8 + CFGSTRING_NAME_MAX] = '\0';
	refused(text, "expected a storage");
}

/* A short buffer for the reason gets as much of it as fits. */
static void a_short_reason(void **state)
{
	struct cfgstring cfg;
	char why[8];

	(void)state;
	assert_int_equal(cfgstring_parse("duotgt//a,b", &cfg, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "found a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storage),
		cmocka_unit_test(a_path),
		cmocka_unit_test(options),
		cmocka_unit_test(wrong_options),
		cmocka_unit_test(what_is_cut_on_the_way),
		cmocka_unit_test(subtypes),
		cmocka_unit_test(stores),
		cmocka_unit_test(lengths),
		cmocka_unit_test(a_short_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
