/* SPDX-License-Identifier: ISC */
/*
 * base/log.c: one event is one line whatever the values are, nothing from
 * outside reaches a terminal as control, and lines are not torn.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "tests/unit/base_child.h"

#define E4 "\xf0\x9f\x93\xac"		/* U+1F4EC */
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define NINE_HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED \
    HUNDRED HUNDRED HUNDRED

static const struct {
	const char	*value;
	const char	*escaped;
} escapes[] = {
	{ "plain", "plain" },
	{ "<a@example.org>", "<a@example.org>" },
	{ "-", "-" },
	/* quotes */
	{ "", "\"\"" },
	{ "two words", "\"two words\"" },
	{ "a=b", "\"a=b\"" },
	{ "say \"hi\"", "\"say \\x22hi\\x22\"" },
	{ "\"", "\"\\x22\"" },
	/* escapes; no quotes for their sake alone */
	{ "back\\slash", "back\\x5cslash" },
	{ "\\x41", "\\x5cx41" },
	{ "line\r\nbreak", "line\\x0d\\x0abreak" },
	{ "a\tb", "a\\x09b" },
	{ "\x1b[2J", "\\x1b[2J" },
	{ "\x01\x1f\x7f", "\\x01\\x1f\\x7f" },
	{ "x\n s=1 smtpd", "\"x\\x0a s=1 smtpd\"" },
	/* UTF-8: RFC 3629 */
	{ "\xc3\xa4", "\xc3\xa4" },
	{ "\xe2\x82\xac", "\xe2\x82\xac" },
	{ E4, E4 },
	{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
	{ "\xed\x9f\xbf", "\xed\x9f\xbf" },
	{ "\xc2\xa0", "\xc2\xa0" },
	{ "\xc2\x9b" "2J", "\\xc2\\x9b2J" },	/* C1 control: CSI */
	{ "\xc2\x80", "\\xc2\\x80" },
	{ "\xff", "\\xff" },
	{ "\x80", "\\x80" },
	{ "\xc0\xaf", "\\xc0\\xaf" },		/* overlong */
	{ "\xc1\xbf", "\\xc1\\xbf" },
	{ "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf" },
	{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },	/* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	{ "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },
	{ "\xe2\x82", "\\xe2\\x82" },		/* cut short */
	{ "\xe2\x82z", "\\xe2\\x82z" },
	{ "\xc3", "\\xc3" },
	{ "\xf0\x9f\x93", "\\xf0\\x9f\\x93" },
	/* cut at 1,000 bytes, never inside a character */
	{ NINE_HUNDRED HUNDRED, NINE_HUNDRED HUNDRED },
	{ NINE_HUNDRED HUNDRED "x", NINE_HUNDRED HUNDRED "..." },
	{ NINE_HUNDRED HUNDRED " ", "\"" NINE_HUNDRED HUNDRED "...\"" },
	{ NINE_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567" E4,
	  NINE_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567..." },
	{ NINE_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456" E4,
	  NINE_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456" E4 },
	{ NINE_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567\n",
	  NINE_HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567..." },
};

static void test_escape(void **unused)
{
	char out[2048];
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		log_escape(escapes[i].value, strlen(escapes[i].value), out,
		    sizeof(out));
		assert_string_equal(out, escapes[i].escaped);
	}
	log_escape("a\0b", 3, out, sizeof(out));
	assert_string_equal(out, "a\\x00b");
}

/* Whatever the room, the result is terminated, fits and has no half escape. */
static void test_escape_into_little(void **unused)
{
	static const char value[] = "ab\n\xe2\x82\xac z\xff";
	char out[64];
	size_t size, length, i;

	(void)unused;
	for (size = 1; size < sizeof(out); size++) {
		memset(out, 'Z', sizeof(out));
		log_escape(value, sizeof(value) - 1, out, size);
		length = strlen(out);
		assert_true(length < size);
		for (i = size; i < sizeof(out); i++)
			assert_int_equal(out[i], 'Z');
		if (length >= 6)
			assert_int_equal(out[length - 1], '"');
	}
	assert_string_equal(out, "\"ab\\x0a\xe2\x82\xac z\\xff\"");
	memset(out, 'Z', sizeof(out));
	log_escape("abc", 3, out, 0);
	assert_int_equal(out[0], 'Z');
	log_escape("abcdef", 6, out, 7);
	assert_string_equal(out, "abcdef");
}

/* Every string of bytes gives one line of valid, harmless text. */
static void test_escape_random(void **unused)
{
	char value[1200], out[1024];
	size_t length, i;
	int round;

	(void)unused;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	srand(1);
	for (round = 0; round < 20000; round++) {
		length = (size_t)rand() % (round % 2 ? 20 : sizeof(value));
		for (i = 0; i < length; i++)
			value[i] = (char)(rand() % 3 ? rand() : 0xc0 +
			    rand() % 64);
		log_escape(value, length, out, sizeof(out));
		assert_true(strlen(out) <= 1000 + 5);
		for (i = 0; out[i] != '\0'; i++) {
			assert_true((unsigned char)out[i] >= ' ');
			assert_int_not_equal(out[i], 0x7f);
		}
		/* glibc agrees that it is UTF-8. */
		assert_true(mbstowcs(NULL, out, 0) != (size_t)-1);
	}
}

static void said(char *text, size_t size, void (*say)(void))
{
	struct capture capture;

	capture_begin(&capture);
	say();
	log_flush();
	capture_end(&capture, text, size);
}

static void say_lines(void)
{
	log_info("connect", log_text("addr", "192.0.2.1"),
	    log_session(0x4f2a81), log_text("tls", "no"));
	log_info("accept", log_session(1), log_message(0x7c31),
	    log_number("size", -1834), log_number("min", INT64_MIN),
	    log_message(UINT64_MAX));
	log_info("nothing");
	log_info("null", log_text("name", NULL));
	log_debug("not-seen");
	log_warn("open", log_errno(ENOENT));
}

static void test_lines(void **unused)
{
	char text[4096];

	(void)unused;
	log_init("smtpd", LOG_LEVEL_INFO);
	said(text, sizeof(text), say_lines);
	assert_string_equal(text,
	    "s=4f2a81 smtpd connect addr=192.0.2.1 tls=no\n"
	    "s=1 m=7c31 m=ffffffffffffffff smtpd accept size=-1834"
	    " min=-9223372036854775808\n"
	    "smtpd nothing\n"
	    "smtpd null name=-\n"
	    "smtpd open error=\"No such file or directory\" level=warn\n");
	log_init("", LOG_LEVEL_INFO);
	log_set_level(LOG_LEVEL_WARN);
	said(text, sizeof(text), say_lines);
	assert_string_equal(text,
	    "open error=\"No such file or directory\" level=warn\n");
	log_set_level(LOG_LEVEL_DEBUG);
	said(text, sizeof(text), say_lines);
	assert_non_null(strstr(text, "not-seen\n"));
}

static void say_marked(void)
{
	log_set_style(LOG_MARKED);
	log_info("news");
	log_warn("worse", log_session(1));
	log_error("bad");
	log_set_style(LOG_PLAIN);
}

/* What the journal and the supervisor take priorities from. */
static void test_marks(void **unused)
{
	char text[1000];

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	said(text, sizeof(text), say_marked);
	assert_string_equal(text, "<6>r news\n<4>s=1 r worse level=warn\n"
	    "<3>r bad level=error\n");
}

/* info waits for the end of the turn, warnings take what waits with them. */
static void test_when_written(void **unused)
{
	struct capture capture;
	char text[1000];

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	capture_begin(&capture);
	log_info("one");
	must((int)pread(capture.memory, text, sizeof(text), 0));
	assert_int_equal(pread(capture.memory, text, sizeof(text), 0), 0);
	log_error("two");
	assert_int_equal(pread(capture.memory, text, sizeof(text), 0), 24);
	log_info("three");
	log_flush();
	capture_end(&capture, text, sizeof(text));
	assert_string_equal(text, "r one\nr two level=error\nr three\n");
}

static void say_with_time(void)
{
	log_set_style(LOG_STAMPED);
	log_info("now", log_session(1));
	log_set_style(LOG_PLAIN);
}

static void test_stamp(void **unused)
{
	char text[1000], rest[100];
	int year, month, day, hour, minute, second, milli;

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	said(text, sizeof(text), say_with_time);
	assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %99[^\n]",
	    &year, &month, &day, &hour, &minute, &second, &milli, rest), 8);
	assert_true(year >= 2024 && month >= 1 && month <= 12 && second <= 60);
	assert_string_equal(rest, "s=1 r now");
}

static char long_value[5000];

static void say_too_much(void)
{
	log_info("long", log_text("a", long_value), log_text("b", long_value),
	    log_text("c", long_value), log_text("d", long_value),
	    log_text("e", long_value), log_text("f", long_value),
	    log_text("g", long_value), log_text("h", long_value),
	    log_text("i", long_value), log_session(5));
	log_info("next");
}

static void test_line_is_bounded(void **unused)
{
	char text[32768], *end;

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	memset(long_value, '\n', sizeof(long_value) - 1);
	said(text, sizeof(text), say_too_much);
	end = strchr(text, '\n');
	assert_non_null(end);
	assert_true(end - text < 8192);
	assert_memory_equal(end - 4, " ...", 4);
	assert_memory_equal(text, "s=5 r long a=\\x0a", 16);
	assert_string_equal(end + 1, "r next\n");
}

/* More than the buffer holds, in one turn: nothing is lost or torn. */
static void say_many(void)
{
	int i;

	for (i = 0; i < 20000; i++)
		log_info("count", log_number("i", i));
}

static void test_many_lines(void **unused)
{
	static char text[1 << 20];
	char expected[64], *line = text;
	size_t length;
	int i;

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	said(text, sizeof(text), say_many);
	for (i = 0; i < 20000; i++) {
		length = (size_t)snprintf(expected, sizeof(expected),
		    "r count i=%d\n", i);
		assert_memory_equal(line, expected, length);
		line += length;
	}
	assert_int_equal(*line, '\0');
}

static void *say_from_thread(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++)
		log_info("thread", log_text("who", arg), log_number("i", i));
	return NULL;
}

static void say_from_threads(void)
{
	static char names[2][8] = { "one", "other" };
	pthread_t one, other;

	must(-pthread_create(&one, NULL, say_from_thread, names[0]));
	must(-pthread_create(&other, NULL, say_from_thread, names[1]));
	pthread_join(one, NULL);
	pthread_join(other, NULL);
}

/* Lines of both threads, each thread's in its order, none torn. */
static void test_threads(void **unused)
{
	static char text[1 << 20];
	int next[2] = { 0, 0 }, number, used;
	const char *line = text;
	char who[16];

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	said(text, sizeof(text), say_from_threads);
	for (; *line != '\0'; line += used) {
		used = 0;
		assert_int_equal(sscanf(line, "r thread who=%15s i=%d%n", who,
		    &number, &used), 2);
		assert_int_equal(line[used++], '\n');
		assert_int_equal(number, next[who[1] == 't']++);
	}
	assert_int_equal(next[0], 2000);
	assert_int_equal(next[1], 2000);
}

enum { STALLED_LINES = 200 };

/* What can be read from the pipe, added to text. */
static size_t drain(int pipe, char *text, size_t length)
{
	ssize_t got;

	while ((got = read(pipe, text + length, 4096)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	return length;
}

static void check_stalled(const char *text)
{
	int expected = 0, number, lost = 0, used;
	const char *line = text;

	for (; *line != '\0'; line += used + 1) {
		used = (int)strcspn(line, "\n");
		assert_int_equal(line[used], '\n');
		if (sscanf(line, "r log-lost lines=%d", &number) == 1) {
			lost += number;
			expected += number;
			continue;
		}
		assert_int_equal(sscanf(line, "r fill i=%d x=", &number), 1);
		assert_int_equal(number, expected++);
	}
	assert_true(lost > 0);
	assert_int_equal(expected, STALLED_LINES + 1);
}

/*
 * A reader that stalls: lines are dropped whole, and how many were dropped is
 * said, where they would have been, when there is room again.
 */
static void test_stalled_reader(void **unused)
{
	static char text[1 << 20];
	int ends[2], saved, i;
	size_t length = 0;

	(void)unused;
	log_init("r", LOG_LEVEL_INFO);
	must(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	must(fcntl(ends[1], F_SETPIPE_SZ, 4096));
	saved = must(dup(STDERR_FILENO));
	must(dup2(ends[1], STDERR_FILENO));
	memset(long_value, 'x', 999);
	long_value[999] = '\0';
	for (i = 0; i < STALLED_LINES; i++)
		log_info("fill", log_number("i", i), log_text("x",
		    long_value));
	for (i = 0; i < 100; i++) {
		length = drain(ends[0], text, length);
		log_flush();
	}
	log_info("fill", log_number("i", STALLED_LINES), log_text("x", "end"));
	log_flush();
	must(dup2(saved, STDERR_FILENO));
	close(saved);
	drain(ends[0], text, length);
	close(ends[0]);
	close(ends[1]);
	check_stalled(text);
}

static void die_fatally(void)
{
	log_init("queue", LOG_LEVEL_ERROR);
	fatal("store", log_errno(EIO), log_text("path", "/a b"));
}

static void die_of_bug(void)
{
	log_init("queue", LOG_LEVEL_INFO);
	log_info("before");
	bug("state");
}

static void test_death(void **unused)
{
	char text[1000];
	int status;

	(void)unused;
	status = run_child(die_fatally, text, sizeof(text));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(text,
	    "queue store error=\"Input/output error\" path=\"/a b\" level=fatal\n");
	status = run_child(die_of_bug, text, sizeof(text));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(text,
	    "queue before\nqueue state at=die_of_bug level=fatal\n");
}

/* errno survives: callers log first and look later. */
static void test_errno_is_kept(void **unused)
{
	struct capture capture;
	char text[1000];

	(void)unused;
	capture_begin(&capture);
	errno = EDOM;
	log_warn("x");
	assert_int_equal(errno, EDOM);
	capture_end(&capture, text, sizeof(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_into_little),
		cmocka_unit_test(test_escape_random),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_when_written),
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_line_is_bounded),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_stalled_reader),
		cmocka_unit_test(test_death),
		cmocka_unit_test(test_errno_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
