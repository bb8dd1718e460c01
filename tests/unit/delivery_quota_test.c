/* SPDX-License-Identifier: ISC */
/*
 * delivery/maildir_quota.c and what maildir.c does with it, on a folder of its
 * own: maildirsize as others write it, when it is believed and when it is made
 * anew, what counts, and that a full mailbox makes mail wait (4.2.2).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/status.h"
#include "delivery/maildir.h"
#include "delivery/maildir_quota.h"
#include "tests/fake_disk.h"
#include "tests/scratch.h"

static char top[64];
static int maildir;		/* an open folder: top/box */

static void put(const char *name, const char *text)
{
	int fd = openat(maildir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The size file; empty if there is none. */
static const char *size_file(void)
{
	static char text[8192];
	int fd = openat(maildir, "maildirsize", O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[length] = '\0';
	return text;
}

static void make_old(const char *name, int seconds)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	times[1].tv_sec = time(NULL) - seconds;
	assert_int_equal(utimensat(maildir, name, times, 0), 0);
}

/* Nobody has touched these lately. */
static void settle_folders(void)
{
	static const char *const names[] = { "new", "cur", ".Sent/new",
	    ".Sent/cur", ".Trash/cur" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (faccessat(maildir, names[i], F_OK, 0) == 0)
			make_old(names[i], 60);
}

static int set_up(void **state)
{
	char path[100];

	(void)state;
	fake_disk.is_full = false;
	if (scratch_make(top, sizeof(top), "quota") != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/box", top);
	mkdir(path, 0700);
	maildir = open(path, O_RDONLY | O_DIRECTORY);
	mkdirat(maildir, "new", 0700);
	mkdirat(maildir, "cur", 0700);
	mkdirat(maildir, "tmp", 0700);
	return maildir < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_disk.is_full = false;
	close(maildir);
	return scratch_remove(top);
}

static bool fits(int64_t limit, int64_t bytes, int64_t *used)
{
	return maildir_quota_fits(maildir, "box", limit, bytes, used);
}

/* What counts: new and cur, of all folders; the size in the name before that
 * of the file. tmp and other files do not. */
static void counts(void **state)
{
	int64_t used;

	(void)state;
	put("new/1.a.host,S=1000", "x");
	put("cur/2.b.host,S=200:2,S", "x");
	put("cur/3.c.host:2,ST", "0123456789");
	put("cur/4.d.host,S=x:2,", "12345");
	put("cur/.hidden,S=7", "x");
	put("tmp/5.e.host,S=5000", "x");
	mkdirat(maildir, "cur/folder", 0700);
	mkdirat(maildir, ".Sent", 0700);
	mkdirat(maildir, ".Sent/cur", 0700);
	mkdirat(maildir, ".Sent/new", 0700);
	put(".Sent/cur/6.f.host,S=30:2,S", "x");
	mkdirat(maildir, ".Trash", 0700);
	mkdirat(maildir, ".Trash/cur", 0700);
	put(".Trash/cur/7.g.host,S=4", "x");
	mkdirat(maildir, "plain", 0700);
	mkdirat(maildir, "plain/cur", 0700);
	put("plain/cur/8.h.host,S=9000", "x");
	assert_int_equal(symlinkat("/etc", maildir, ".Link"), 0);
	settle_folders();
	assert_true(fits(5000, 3751, &used));
	assert_int_equal(used, 1249);
	assert_string_equal(size_file(), "5000S\n1249 6\n");
	assert_false(fits(5000, 3752, &used));
}

/* Names may say anything: never less for it than what others say. */
static void huge_names(void **state)
{
	char name[60];
	int64_t used;

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "new/%d.a.host,S="
		    "999999999999999999", i);
		put(name, "x");
	}
	settle_folders();
	assert_false(fits(5000, 1, &used));
	assert_int_equal(used, INT64_MAX);
}

/* The file is believed, whatever lies in the folders. */
static void believed(void **state)
{
	static const struct { const char *text; int64_t used; } cases[] = {
		{ "5000S\n", 0 }, { "5000S\n100 1\n", 100 },
		{ "5000S,10C\n100 1\n", 100 }, { "10C,5000S\n100 1\n", 100 },
		{ "5000S\n100 1\n-40 -1\n7 1\n", 67 },
		{ "5000S\n         100            1\n 5 1 \n", 105 },
	};
	int64_t used;

	(void)state;
	put("new/1.a.host,S=4000", "x");
	settle_folders();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("maildirsize", cases[i].text);
		assert_true(fits(5000, 1, &used));
		assert_int_equal(used, cases[i].used);
		assert_string_equal(size_file(), cases[i].text);
	}
}

/* Missing, damaged, about another limit, long: counted, and made anew. */
static void made_anew(void **state)
{
	static const char *const cases[] = { "", "\n", "5000\n100 1\n",
	    "6000S\n100 1\n", "5000C\n100 1\n", "5000S\n100\n",
	    "5000S\n100 1", "5000S\n100 1\nx\n", "5000S\n-100 -1\n",
	    "5000S,\n100 1\n", "5000S\n1 1 1\n", "-5000S\n1 1\n",
	    "5000S\n999999999999999999999 1\n", "S\n1 1\n",
	    "5000S\n999999999999999999 1\n999999999999999999 1\n"
	    "999999999999999999 1\n999999999999999999 1\n"
	    "999999999999999999 1\n999999999999999999 1\n"
	    "999999999999999999 1\n999999999999999999 1\n"
	    "999999999999999999 1\n999999999999999999 1\n" };
	char large[QUOTA_FILE_MAX + 100];
	int64_t used;

	(void)state;
	put("new/1.a.host,S=4000", "x");
	settle_folders();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("maildirsize", cases[i]);
		assert_true(fits(5000, 1000, &used));
		assert_int_equal(used, 4000);
		assert_string_equal(size_file(), "5000S\n4000 1\n");
	}
	memset(large, '\0', sizeof(large));
	memcpy(large, "5000S\n", 6);
	for (size_t at = 6; at < QUOTA_FILE_MAX; at += 4)
		memcpy(large + at, "1 1\n", 4);
	put("maildirsize", large);
	assert_true(fits(5000, 1, &used));
	assert_string_equal(size_file(), "5000S\n4000 1\n");
	assert_int_equal(unlinkat(maildir, "maildirsize", 0), 0);
	assert_true(fits(5000, 1, &used));
	assert_string_equal(size_file(), "5000S\n4000 1\n");
	/* a link leads nowhere, and a pipe makes nobody wait */
	assert_int_equal(unlinkat(maildir, "maildirsize", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", maildir, "maildirsize"), 0);
	assert_true(fits(5000, 1, &used));
	assert_string_equal(size_file(), "5000S\n4000 1\n");
	assert_int_equal(unlinkat(maildir, "maildirsize", 0), 0);
	assert_int_equal(mkfifoat(maildir, "maildirsize", 0600), 0);
	assert_true(fits(5000, 1, &used));
	assert_string_equal(size_file(), "5000S\n4000 1\n");
}

/* "Full" is doubted when something was added since the last count, or when
 * that is long ago; not otherwise, so nobody can make us count all day. */
static void doubted(void **state)
{
	int64_t used;

	(void)state;
	put("new/1.a.host,S=1000", "x");
	settle_folders();
	put("maildirsize", "5000S\n5000 9\n");
	assert_false(fits(5000, 1, &used));
	assert_int_equal(used, 5000);
	make_old("maildirsize", QUOTA_STALE_SECONDS - 60);
	assert_false(fits(5000, 1, &used));
	make_old("maildirsize", QUOTA_STALE_SECONDS + 60);
	assert_true(fits(5000, 1, &used));
	assert_int_equal(used, 1000);
	assert_string_equal(size_file(), "5000S\n1000 1\n");
	put("maildirsize", "5000S\n4000 8\n1000 1\n");
	assert_true(fits(5000, 1, &used));
	assert_int_equal(used, 1000);
}

/* Somebody delivers while we count: what was counted is for this once. */
static void busy(void **state)
{
	int64_t used;

	(void)state;
	settle_folders();
	put("new/1.a.host,S=1000", "x");
	put("maildirsize", "4000S\n77 1\n");
	assert_true(fits(5000, 1, &used));
	assert_int_equal(used, 1000);
	assert_string_equal(size_file(), "");
	make_old("new", 1);
	assert_true(fits(5000, 1, &used));
	assert_string_equal(size_file(), "5000S\n1000 1\n");
}

static void added(void **state)
{
	int64_t used;

	(void)state;
	maildir_quota_add(maildir, 10);		/* no file: nothing */
	assert_string_equal(size_file(), "");
	put("maildirsize", "5000S\n100 1\n");
	maildir_quota_add(maildir, 10);
	assert_string_equal(size_file(), "5000S\n100 1\n10 1\n");
	assert_true(fits(5000, 4890, &used));
	assert_int_equal(used, 110);
	/* One that cannot be added to tells no truth. */
	fake_disk.is_full = true;
	maildir_quota_add(maildir, 10);
	fake_disk.is_full = false;
	assert_string_equal(size_file(), "");
}

/* A full disk: the count serves, no half file stays. */
static void full_disk(void **state)
{
	int64_t used;

	(void)state;
	put("new/1.a.host,S=1000", "x");
	settle_folders();
	fake_disk.is_full = true;
	assert_true(fits(5000, 4000, &used));
	assert_false(fits(5000, 4001, &used));
	fake_disk.is_full = false;
	assert_string_equal(size_file(), "");
	assert_int_equal(used, 1000);
}

/* --- maildir.c --- */

static int deliver(struct maildir *store, int64_t quota, const char *text,
    struct status *status)
{
	struct maildir_file *file = maildir_create(store, top, "box", status);

	assert_non_null(file);
	if (maildir_limit(file, quota, status) < 0 ||
	    maildir_write(file, text, strlen(text), status) < 0) {
		maildir_abandon(file);
		return -1;
	}
	return maildir_commit(file, status);
}

static void assert_full(const struct status *status)
{
	char enhanced[16];

	assert_int_equal(status->outcome, STATUS_DEFERRED);
	assert_int_equal(status->reason, REASON_MAILBOX);
	status_format_enhanced(status, enhanced, sizeof(enhanced));
	assert_string_equal(enhanced, "4.2.2");
}

/* SMTP-115: up to the last byte, and not one more; nothing is left behind. */
static void delivery(void **state)
{
	struct maildir *store = maildir_new("host");
	struct status status;
	int64_t used;

	(void)state;
	assert_int_equal(deliver(store, 20, "0123456789", &status), 0);
	settle_folders();
	/* Where all this took long there is one already. */
	unlinkat(maildir, "maildirsize", 0);
	assert_true(fits(20, 10, &used));
	assert_string_equal(size_file(), "20S\n10 1\n");
	assert_int_equal(deliver(store, 20, "0123456789x", &status), -1);
	assert_full(&status);
	assert_non_null(strstr(status.text, "10 of 20 bytes"));
	assert_int_equal(deliver(store, 20, "0123456789", &status), 0);
	assert_string_equal(size_file(), "20S\n10 1\n10 1\n");
	settle_folders();
	/* full: not even begun */
	assert_int_equal(deliver(store, 20, "x", &status), -1);
	assert_full(&status);
	assert_string_equal(size_file(), "20S\n20 2\n");
	assert_int_equal(faccessat(maildir, "tmp", F_OK, 0), 0);
	assert_int_equal(unlinkat(maildir, "tmp", AT_REMOVEDIR), 0);
	mkdirat(maildir, "tmp", 0700);
	/* no limit, or a larger one */
	assert_int_equal(deliver(store, 0, "x", &status), 0);
	assert_int_equal(deliver(store, 30, "x", &status), 0);
	maildir_free(store);
}

int main(void)
{
#define WITH_FOLDER(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(counts),
		WITH_FOLDER(huge_names),
		WITH_FOLDER(believed),
		WITH_FOLDER(made_anew),
		WITH_FOLDER(doubted),
		WITH_FOLDER(busy),
		WITH_FOLDER(added),
		WITH_FOLDER(full_disk),
		WITH_FOLDER(delivery),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
