/* SPDX-License-Identifier: ISC */
/*
 * Archives of queued mail: what is called complete is on the disk, and so is its
 * name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/scratch.h"
#include "tools/queue_archive.h"

enum { FLUSHES_MAX = 8 };

static char folder[200], path[256];
static ino_t flushed[FLUSHES_MAX];
static size_t flush_count;

/* Instead of the C library's: what was flushed is noted. */
int fsync(int fd)
{
	struct stat about;

	if (fstat(fd, &about) == 0 && flush_count < FLUSHES_MAX)
		flushed[flush_count++] = about.st_ino;
	return (int)syscall(SYS_fsync, fd);
}

static int setup(void **state)
{
	(void)state;
	flush_count = 0;
	if (scratch_make(folder, sizeof(folder), "archive") != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/mail.tar", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return scratch_remove(folder);
}

static ino_t number_of_file(const char *name)
{
	struct stat about;

	assert_int_equal(stat(name, &about), 0);
	return about.st_ino;
}

static int make(int fd)
{
	struct queue_archive_writer *writer = queue_archive_create(fd, "name",
	    "mx.test");

	assert_non_null(writer);
	return queue_archive_finish(writer);
}

static void test_flushed(void **state)
{
	struct queue_archive_about about;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(make(fd), 0);
	assert_int_equal(flush_count, 2);
	assert_int_equal(flushed[0], number_of_file(path));
	assert_int_equal(flushed[1], number_of_file(folder));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(queue_archive_read(fd, NULL, &about), 0);
	assert_int_equal(about.messages, 0);
	close(fd);
}

/* Nobody can flush a pipe, and what has no name has no directory. */
static void test_nameless(void **state)
{
	int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), ends[2];

	(void)state;
	if (fd != -1) {
		assert_int_equal(make(fd), 0);
		assert_int_equal(flush_count, 1);
		close(fd);
	}
	flush_count = 0;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(make(ends[1]), 0);
	assert_int_equal(flush_count, 0);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_flushed),
		TEST(test_nameless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
