/* SPDX-License-Identifier: ISC */
/*
 * queue/store_pages.c and store_double.c with files made by hand: what is on
 * its way is read, it goes to pages.double before it goes to its place, and
 * whatever a power cut tears is whole after the next start, killed at whatever
 * call. tests/power has the same with whole servers.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "queue/store_internal.h"
#include "tests/scratch.h"

enum { SMALL = 20 << 16, PAGE = STORE_PAGE_BYTES, SECTOR = 512, ID_AT = 52,
    FEW = 8 };

static char scratch[64];

/* --- tables made by hand --- */

/* A page that is sound, and says its number and how often it was written. */
static void page_make(unsigned char *page, uint32_t number, unsigned version)
{
	store_page_empty(page, number);
	for (size_t at = 26; at < PAGE; at++)
		page[at] = (unsigned char)(number * 31 + version * 7 + at);
	store_page_is_sound(page, number);
}

static void first_page_make(unsigned char *page, char id)
{
	memset(page, 0, PAGE);
	memset(page + ID_AT, id, STORE_TABLE_ID);
	store_page_is_sound(page, 0);
}

static char *path_of(const char *name)
{
	static char paths[2][128];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

/* Pages of version 0, and the first one. */
static void table_make(const char *name, char id, uint32_t count)
{
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600);
	unsigned char page[PAGE];

	assert_true(fd >= 0);
	for (uint32_t number = 0; number < count; number++) {
		if (number == 0)
			first_page_make(page, id);
		else
			page_make(page, number, 0);
		assert_int_equal(pwrite(fd, page, PAGE, (off_t)number * PAGE),
		    PAGE);
	}
	close(fd);
}

/* As the hook of open does it. */
static int table_open(const char *name)
{
	int fd = open(path_of(name), O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(store_pages_attach(path_of(name), fd), 0);
	assert_true(store_pages_has(fd));
	return fd;
}

static void table_close(int fd)
{
	store_pages_detach(fd);
	close(fd);
}

static ssize_t put(int fd, uint32_t number, unsigned version)
{
	unsigned char page[PAGE];

	page_make(page, number, version);
	store_pages_seek(fd, (off_t)number * PAGE);
	return store_pages_write(fd, page, PAGE);
}

static bool has(const unsigned char *page, uint32_t number, unsigned version)
{
	unsigned char wanted[PAGE];

	page_make(wanted, number, version);
	return memcmp(page, wanted, PAGE) == 0;
}

/* As Berkeley DB sees it. */
static bool reads(int fd, uint32_t number, unsigned version)
{
	unsigned char page[PAGE];

	return store_pages_read(fd, page, PAGE, (off_t)number * PAGE) ==
	    PAGE && has(page, number, version);
}

/* What the file has. */
static bool holds(const char *name, uint32_t number, unsigned version)
{
	int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
	unsigned char page[PAGE];
	bool held;

	assert_true(fd >= 0);
	held = pread(fd, page, PAGE, (off_t)number * PAGE) == PAGE &&
	    has(page, number, version);
	close(fd);
	return held;
}

static off_t size_of(const char *name)
{
	struct stat about;

	assert_int_equal(stat(path_of(name), &about), 0);
	return about.st_size;
}

/* Sectors of another version in the middle of a page. */
static void tear(const char *name, uint32_t number, unsigned version)
{
	int fd = open(path_of(name), O_RDWR | O_CLOEXEC);
	unsigned char page[PAGE];

	page_make(page, number, version);
	assert_int_equal(pwrite(fd, page + 3 * SECTOR, 2 * SECTOR,
	    (off_t)number * PAGE + 3 * SECTOR), 2 * SECTOR);
	close(fd);
}

static void begin(void)
{
	assert_int_equal(store_pages_open(scratch, SMALL), 0);
}

/* In a process of its own, so that it may end. */
static int run(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
}

/* --- what is on its way --- */

static void test_pending_is_read(void **unused)
{
	static unsigned char all[6 * PAGE];
	int fd, other;

	(void)unused;
	table_make("a.db", 'a', 3);
	begin();
	fd = table_open("a.db");
	other = table_open("a.db");
	assert_int_equal(put(fd, 1, 1), PAGE);
	assert_int_equal(put(fd, 1, 2), PAGE);
	assert_int_equal(put(fd, 4, 1), PAGE);
	/* not in its place, but seen by everybody */
	assert_true(holds("a.db", 1, 0));
	assert_true(reads(fd, 1, 2) && reads(other, 1, 2));
	assert_true(reads(other, 2, 0) && reads(other, 4, 1));
	assert_int_equal(store_pages_read(fd, all, PAGE, 3 * PAGE), 0);
	/* several at once, as a backup reads; 3 was never written */
	assert_int_equal(store_pages_read(other, all, sizeof(all), 0),
	    5 * PAGE);
	assert_true(has(all + PAGE, 1, 2) && has(all + 2 * PAGE, 2, 0));
	assert_true(store_page_is_blank(all + 3 * PAGE));
	assert_true(has(all + 4 * PAGE, 4, 1));
	assert_int_equal(store_pages_read(other, all, 100, PAGE + 50), 100);
	assert_int_equal(store_pages_flush(other), 0);
	assert_true(holds("a.db", 1, 2) && holds("a.db", 4, 1));
	assert_true(reads(fd, 1, 2) && reads(fd, 4, 1));
	table_close(fd);
	table_close(other);
	store_pages_close();
}

/* Berkeley DB counts the pages of a file when it opens it. */
static void test_size_is_right_at_open(void **unused)
{
	int fd;

	(void)unused;
	table_make("a.db", 'a', 3);
	begin();
	fd = table_open("a.db");
	assert_int_equal(put(fd, 9, 1), PAGE);
	table_close(fd);
	assert_int_equal(size_of("a.db"), 3 * PAGE);
	fd = table_open("a.db");
	assert_int_equal(size_of("a.db"), 10 * PAGE);
	table_close(fd);
	store_pages_close();
}

/* More than the batches hold, and more than pages.double does. */
static void test_many(void **unused)
{
	enum { COUNT = 3000 };
	int fds[FEW];

	(void)unused;
	begin();
	for (int i = 0; i < FEW; i++) {
		char name[] = { (char)('a' + i), '.', 'd', 'b', 0 };

		table_make(name, name[0], 2);
		fds[i] = table_open(name);
	}
	for (uint32_t n = 0; n < COUNT; n++)
		assert_int_equal(put(fds[n / 5 % FEW], n + 1, 1), PAGE);
	for (uint32_t n = 0; n < COUNT; n++)
		assert_true(reads(fds[n / 5 % FEW], n + 1, 1));
	assert_int_equal(store_pages_flush(fds[0]), 0);
	for (uint32_t n = 0; n < COUNT; n++) {
		char name[] = { (char)('a' + n / 5 % FEW), '.', 'd', 'b', 0 };

		assert_true(holds(name, n + 1, 1));
	}
	for (int i = 0; i < FEW; i++)
		table_close(fds[i]);
	store_pages_close();
	assert_int_equal(size_of("pages.double"), SMALL);
}

/* Others of the process write to their own files, and drafts. */
static void test_whose_files(void **unused)
{
	int fd;

	(void)unused;
	table_make("a.db", 'a', 2);
	begin();
	fd = open(path_of("a.db"), O_RDWR | O_CLOEXEC);
	assert_int_equal(store_pages_attach("/elsewhere/a.db", fd), 0);
	assert_false(store_pages_has(fd));
	assert_int_equal(store_pages_attach(path_of("__db.17"), fd), 0);
	assert_false(store_pages_has(fd));
	assert_int_equal(store_pages_attach(path_of("copy/a.db"), fd), 0);
	assert_false(store_pages_has(fd));
	close(fd);
	store_pages_close();
}

static unsigned own_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 100; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Nothing keeps the room of a file that was removed. */
static void test_removed(void **unused)
{
	unsigned before;
	int fd, other;

	(void)unused;
	table_make("a.db", 'a', 2);
	table_make("b.db", 'b', 2);
	begin();
	before = own_descriptors();
	fd = table_open("a.db");
	other = table_open("b.db");
	assert_int_equal(put(fd, 1, 1), PAGE);
	table_close(fd);
	assert_int_equal(own_descriptors(), before + 2);
	store_pages_forget(path_of("a.db"));
	assert_int_equal(unlink(path_of("a.db")), 0);
	assert_int_equal(put(other, 1, 1), PAGE);
	assert_int_equal(store_pages_flush(other), 0);
	table_close(other);
	assert_int_equal(own_descriptors(), before);
	store_pages_close();
}

/* --- a full disk, and a broken one --- */

static void test_no_room(void **unused)
{
	struct store_fault fault = { STORE_FAULT_PAGE_WRITE, ENOSPC, 0, 3 };
	int fd;

	(void)unused;
	table_make("a.db", 'a', 2);
	begin();
	fd = table_open("a.db");
	store_fault_set(&fault);
	assert_int_equal(put(fd, 1, 1), PAGE);
	assert_int_equal(store_pages_flush(fd), -1);
	assert_int_equal(errno, ENOSPC);
	/* what has no place is here all the same, and new pages come */
	assert_true(reads(fd, 1, 1));
	assert_int_equal(put(fd, 1, 2), PAGE);
	assert_true(reads(fd, 1, 2));
	assert_int_equal(store_pages_settle(), -1);
	/* as much as the other batch takes */
	for (uint32_t n = 2; n <= STORE_DOUBLE_PAGES; n++)
		assert_int_equal(put(fd, n, 1), PAGE);
	assert_int_equal(put(fd, 1000, 1), -1);
	assert_int_equal(errno, ENOSPC);
	store_fault_set(NULL);
	assert_int_equal(put(fd, 1000, 1), PAGE);
	assert_int_equal(store_pages_settle(), 0);
	assert_true(holds("a.db", 1, 2) && holds("a.db", 1000, 1));
	assert_int_equal(store_pages_flush(fd), 0);
	table_close(fd);
	store_pages_close();
}

static struct store_fault fault;
static unsigned rounds;

/* Two pages a round, flushed. */
static void write_rounds(void)
{
	int fd;

	begin();
	fd = table_open("a.db");
	store_fault_set(&fault);
	for (unsigned version = 1; version <= rounds; version++) {
		put(fd, 1, version);
		put(fd, 5, version);
		store_pages_flush(fd);
	}
	_exit(7);
}

static void test_broken_disk(void **unused)
{
	static const struct store_fault faults[] = {
		{ STORE_FAULT_DOUBLE_WRITE, EIO, 1, 1 },
		{ STORE_FAULT_DOUBLE_WRITE, ENOSPC, 1, 1 },
		{ STORE_FAULT_DOUBLE_FLUSH, EIO, 1, 1 },
		{ STORE_FAULT_DOUBLE_FLUSH, ENOSPC, 1, 1 },
		{ STORE_FAULT_PAGE_WRITE, EIO, 1, 1 },
		{ STORE_FAULT_FSYNC, EIO, 1, 1 },
	};

	(void)unused;
	rounds = 4;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		table_make("a.db", 'a', 8);
		fault = faults[i];
		assert_int_equal(run(write_rounds), 1);
	}
}

/* --- power cuts --- */

/* Starts once more; what is torn by then is whole. */
static void start_again(void)
{
	begin();
	store_pages_close();
}

/*
 * Killed before each call, with a tear wherever the call would have torn
 * something: a batch that is half in pages.double is none; a place that is half
 * written is written again.
 */
static void test_killed_at_each_step(void **unused)
{
	(void)unused;
	rounds = 9;
	for (long round = 0; round < 3; round++) {
		unsigned old = (unsigned)round, next = old + 1;

		table_make("a.db", 'a', 8);
		fault = (struct store_fault){ STORE_FAULT_DOUBLE_WRITE,
		    STORE_FAULT_KILL, round, 1 };
		assert_int_equal(run(write_rounds), 128 + SIGKILL);
		assert_true(holds("a.db", 1, old) && holds("a.db", 5, old));
		/* in the batch, not known to be flushed */
		table_make("a.db", 'a', 8);
		fault.call = STORE_FAULT_DOUBLE_FLUSH;
		assert_int_equal(run(write_rounds), 128 + SIGKILL);
		assert_true(holds("a.db", 1, old) && holds("a.db", 5, old));
		start_again();
		assert_true(holds("a.db", 1, old) && holds("a.db", 5, old));
		/* two runs of pages for each round: page 1, then page 5 */
		table_make("a.db", 'a', 8);
		fault.call = STORE_FAULT_PAGE_WRITE;
		fault.after = round * 2 + 1;
		assert_int_equal(run(write_rounds), 128 + SIGKILL);
		assert_true(holds("a.db", 1, next) && holds("a.db", 5, old));
		tear("a.db", 1, old);
		tear("a.db", 5, next);
		start_again();
		assert_true(holds("a.db", 1, next) && holds("a.db", 5, next));
		/* everything is in its place, and not flushed */
		table_make("a.db", 'a', 8);
		fault.call = STORE_FAULT_FSYNC;
		fault.after = round;
		assert_int_equal(run(write_rounds), 128 + SIGKILL);
		tear("a.db", 5, old);
		start_again();
		assert_true(holds("a.db", 5, next));
	}
}

/* Pages.double has rounds 1, 2, 3 then, one behind the other: none was flushed
 * where it belongs. */
static void leave_three(void)
{
	int fd;

	begin();
	fd = table_open("a.db");
	for (unsigned version = 1; version <= 3; version++) {
		put(fd, 1, version);
		put(fd, 5, version);
		store_pages_drain(fd);
	}
	raise(SIGKILL);
}

static void set_three(void)
{
	(void)unlink(path_of("pages.double"));
	table_make("a.db", 'a', 8);
	assert_int_equal(run(leave_three), 128 + SIGKILL);
	assert_true(holds("a.db", 1, 3) && holds("a.db", 5, 3));
}

enum { BATCH = STORE_DOUBLE_HEAD + 2 * PAGE };

static void spoil(long at)
{
	int fd = open(path_of("pages.double"), O_RDWR | O_CLOEXEC);
	unsigned char noise[SECTOR];

	memset(noise, 0x5a, sizeof(noise));
	assert_int_equal(pwrite(fd, noise, SECTOR, at), SECTOR);
	close(fd);
}

static void test_newest_wins(void **unused)
{
	(void)unused;
	set_three();
	tear("a.db", 1, 1);
	start_again();
	assert_true(holds("a.db", 1, 3) && holds("a.db", 5, 3));
	/* what is sound stays, if older or newer */
	set_three();
	table_make("a.db", 'a', 8);
	start_again();
	assert_true(holds("a.db", 1, 0) && holds("a.db", 5, 0));
}

static void test_torn_batch(void **unused)
{
	(void)unused;
	/* the last batch has a torn page, then a torn head */
	for (int i = 0; i < 2; i++) {
		set_three();
		spoil(2 * BATCH + (i == 0 ? STORE_DOUBLE_HEAD + 1024 : 512));
		tear("a.db", 1, 1);
		start_again();
		assert_true(holds("a.db", 1, 2));
	}
	/* behind a torn batch nothing counts, and a torn one is not used */
	set_three();
	spoil(STORE_DOUBLE_HEAD + 3 * SECTOR);
	tear("a.db", 1, 1);
	start_again();
	assert_false(holds("a.db", 1, 1) || holds("a.db", 1, 2) ||
	    holds("a.db", 1, 3));
	/* one of an earlier round, where the next one would be */
	set_three();
	spoil(BATCH + 16);
	tear("a.db", 1, 3);
	tear("a.db", 5, 2);
	start_again();
	assert_true(holds("a.db", 5, 1));
}

static void test_other_files(void **unused)
{
	(void)unused;
	/* the same name, another table */
	set_three();
	table_make("a.db", 'b', 8);
	tear("a.db", 1, 5);
	start_again();
	assert_false(holds("a.db", 1, 3));
	/* the same table, another name */
	set_three();
	tear("a.db", 1, 5);
	assert_int_equal(rename(path_of("a.db"), path_of("z.db")), 0);
	start_again();
	assert_true(holds("z.db", 1, 3));
	/* removed; or shorter now */
	set_three();
	assert_int_equal(unlink(path_of("a.db")), 0);
	start_again();
	set_three();
	assert_int_equal(truncate(path_of("a.db"), 5 * PAGE), 0);
	start_again();
	assert_int_equal(size_of("a.db"), 5 * PAGE);
}

/* A page at the end of a file of which some sectors are there. */
static void test_torn_end(void **unused)
{
	(void)unused;
	set_three();
	assert_int_equal(truncate(path_of("a.db"), 5 * PAGE + SECTOR), 0);
	start_again();
	assert_true(holds("a.db", 5, 3));
}

static void start_and_die(void)
{
	store_fault_set(&fault);
	begin();
	_exit(0);
}

/* Killed while it mends, again and again. */
static void test_killed_while_mending(void **unused)
{
	(void)unused;
	set_three();
	tear("a.db", 1, 1);
	tear("a.db", 5, 1);
	fault = (struct store_fault){ STORE_FAULT_PAGE_WRITE,
	    STORE_FAULT_KILL, 0, 1 };
	assert_int_equal(run(start_and_die), 128 + SIGKILL);
	fault.after = 1;
	assert_int_equal(run(start_and_die), 128 + SIGKILL);
	assert_true(holds("a.db", 1, 3));
	tear("a.db", 5, 2);
	start_again();
	assert_true(holds("a.db", 1, 3) && holds("a.db", 5, 3));
}

/* The file itself: not there, half made, of another size, of noise. */
static void test_the_file(void **unused)
{
	(void)unused;
	table_make("a.db", 'a', 8);
	start_again();
	assert_int_equal(size_of("pages.double"), SMALL);
	assert_int_equal(truncate(path_of("pages.double"), 5000), 0);
	start_again();
	assert_int_equal(size_of("pages.double"), SMALL);
	for (long at = 0; at < SMALL; at += SECTOR)
		spoil(at);
	start_again();
	/* one that grew with the disk is read before it is made anew */
	set_three();
	tear("a.db", 1, 1);
	assert_int_equal(store_pages_open(scratch, 2 * SMALL), 0);
	store_pages_close();
	assert_true(holds("a.db", 1, 3));
	assert_int_equal(size_of("pages.double"), 2 * SMALL);
}

/* A disk without room for all of it: with one whole batch work goes on, and
 * the next start makes the rest; with less there is no start. */
static void test_the_file_without_room(void **unused)
{
	struct store_fault full = { STORE_FAULT_DOUBLE_FILL, ENOSPC, 17, -1 };
	int fd;

	(void)unused;
	table_make("a.db", 'a', 8);
	store_fault_set(&full);
	begin();
	assert_int_equal(size_of("pages.double"), 17 << 16);
	fd = table_open("a.db");
	for (unsigned version = 1; version < 4; version++)
		for (uint32_t n = 1; n <= STORE_DOUBLE_PAGES; n++)
			assert_int_equal(put(fd, n, version), PAGE);
	assert_int_equal(store_pages_flush(fd), 0);
	table_close(fd);
	store_pages_close();
	assert_int_equal(size_of("pages.double"), 17 << 16);
	assert_true(holds("a.db", STORE_DOUBLE_PAGES, 3));
	full.error = EIO;
	store_fault_set(&full);
	assert_int_equal(store_pages_open(scratch, SMALL), -1);
	store_fault_set(NULL);
	start_again();
	assert_int_equal(size_of("pages.double"), SMALL);
	/* not one batch */
	assert_int_equal(unlink(path_of("pages.double")), 0);
	full = (struct store_fault){ STORE_FAULT_DOUBLE_FILL, ENOSPC, 16, -1 };
	store_fault_set(&full);
	assert_int_equal(store_pages_open(scratch, SMALL), -1);
}

/* After a stop there is nothing to mend: what is damaged then is damage. */
static void test_stopped_well(void **unused)
{
	int fd;

	(void)unused;
	table_make("a.db", 'a', 8);
	begin();
	fd = table_open("a.db");
	put(fd, 1, 1);
	assert_int_equal(store_pages_flush(fd), 0);
	table_close(fd);
	store_pages_close();
	tear("a.db", 1, 0);
	start_again();
	assert_false(holds("a.db", 1, 1) || holds("a.db", 1, 0));
}

static int set_up(void **unused)
{
	(void)unused;
	log_init("test", getenv("STORE_TEST_LOG") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_ERROR);
	return scratch_make(scratch, sizeof(scratch), "pages");
}

static int tear_down(void **unused)
{
	(void)unused;
	store_fault_set(NULL);
	return scratch_remove(scratch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_pending_is_read), TEST(test_size_is_right_at_open),
		TEST(test_many), TEST(test_whose_files), TEST(test_removed),
		TEST(test_no_room), TEST(test_broken_disk),
		TEST(test_killed_at_each_step), TEST(test_newest_wins),
		TEST(test_torn_batch), TEST(test_other_files),
		TEST(test_torn_end), TEST(test_killed_while_mending),
		TEST(test_the_file), TEST(test_the_file_without_room),
		TEST(test_stopped_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
