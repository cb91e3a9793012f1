/* SPDX-License-Identifier: Apache-2.0 */
/* stderr is a pipe here, so what is checked is the line that an operator reads. */
#include "util/log.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

static int real_stderr, ends[2];

static int divert(void **state)
{
	(void)state;
	real_stderr = dup(STDERR_FILENO);
	if (real_stderr < 0 || pipe2(ends, O_NONBLOCK) < 0)
		return -1;
	return dup2(ends[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(ends[0]);
	close(ends[1]);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static const char *printed(void)
{
	static char text[4096];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void lines(void **state)
{
	(void)state;
	log_error("cannot open %s: %d", "/x", 5);
	assert_string_equal(printed(), "duotgt: error: cannot open /x: 5\n");
	log_warning("w");
	log_info("i");
	log_debug("not at this level");
	assert_string_equal(printed(), "duotgt: warning: w\nduotgt: info: i\n");
}

static void level_filters(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	assert_int_equal(log_level_parse("warning", &level), 0);
	log_set_level(level);
	log_info("dropped");
	log_warning("kept");
	assert_string_equal(printed(), "duotgt: warning: kept\n");
	assert_int_equal(log_level_parse("debug", &level), 0);
	log_set_level(level);
	log_debug("d");
	assert_string_equal(printed(), "duotgt: debug: d\n");
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

static void one_message_is_one_line(void **state)
{
	char longer[2000];
	const char *out;

	(void)state;
	log_info("a\nduotgt: error: forged\033[31m");
	assert_string_equal(printed(), "duotgt: info: a?duotgt: error: forged?[31m\n");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	log_info("%s", longer);
	out = printed();
	assert_true(strlen(out) > 1000 && strlen(out) < 1300);
	assert_int_equal(out[strlen(out) - 1], '\n');
}

static void errno_survives(void **state)
{
	(void)state;
	errno = ENOTDIR;
	log_error("x");
	assert_int_equal(errno, ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines, divert, restore),
		cmocka_unit_test_setup_teardown(level_filters, divert, restore),
		cmocka_unit_test_setup_teardown(one_message_is_one_line, divert, restore),
		cmocka_unit_test_setup_teardown(errno_survives, divert, restore),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
