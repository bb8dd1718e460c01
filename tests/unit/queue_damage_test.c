/* SPDX-License-Identifier: ISC */
/*
 * A stopped queue whose files are damaged at random: bits that flip, pages of
 * zeros, files that end too early. However bad it is, what leaves is what came
 * in; the role is started again as the supervisor would, and comes up; what did
 * not survive is held, or named in the report beside the damaged files.
 *
 * POSTERN_DAMAGE=ROUNDS[,SEED] runs more of it, and prints what became of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "queue/queue.h"
#include "queue/rows.h"
#include "queue/store.h"
#include "tests/queue_world.h"

enum { MESSAGES = 60, LARGE_EVERY = 7, BODY_MOST = 96 << 10, ROUNDS = 8,
    STARTS_MOST = 4, PAGE = 4096, WAIT = 60000, FILES = 64 };

static struct world world;
static char *pristine;		/* a folder; the queue as it was stopped */
static uint64_t *ids;		/* of the messages; in ledger */
static uint64_t seed = 2026;

/* Shared with the processes that deliver. */
static struct ledger {
	unsigned	right[MESSAGES];
	unsigned	wrong;
	unsigned	held[MESSAGES];	/* still in the queue at the end */
	unsigned	complete;
	uint64_t	ids[MESSAGES];
	char		directory[64];
} *ledger;

static uint64_t random_number(uint64_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % limit;
}

/* The text of a message says which it is. */
static size_t body_of(unsigned number, char *out)
{
	size_t want = number % LARGE_EVERY == 0 ? 70000 + number * 100 :
	    500 + number * 40;
	size_t length = (size_t)snprintf(out, BODY_MOST,
	    "Subject: %u\r\n\r\n", number);

	for (unsigned line = 0; length < want; line++)
		length += (size_t)snprintf(out + length, BODY_MOST - length,
		    "line %u of number %u\r\n", line, number);
	return length;
}

/* The status of a shell. */
static int shell(const char *command)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid == -1 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

static void run(const char *format, const char *one, const char *other)
{
	char *command = mem_print(format, one, other);

	assert_int_equal(shell(command), 0);
	mem_free(command);
}

/* In a process of its own, as all that has the queue open: none of its loop
 * is left for those that come after. */
static void fill(void)
{
	char *body = mem_alloc(BODY_MOST), to[128];

	world_open(&world, "message-expiry = 5d\n");
	world_drop_worker(&world, DESTINATION_DELIVERY);
	world_drop_worker(&world, DESTINATION_MAILBOX);
	for (unsigned i = 0; i < MESSAGES; i++) {
		body[body_of(i, body)] = '\0';
		snprintf(to, sizeof(to), "a%u@d%u.remote.test b%u@other.test",
		    i, i % 9, i);
		ids[i] = world_send(&world, "ann@local.test", to, body);
		assert_int_not_equal(ids[i], 0);
	}
	world_stop_queue(&world);
	snprintf(ledger->directory, sizeof(ledger->directory), "%s",
	    world.directory);
	_exit(0);
}

static int setup(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ledger == MAP_FAILED)
		return -1;
	ids = ledger->ids;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		fill();
	if (pid == -1 || waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	memcpy(world.directory, ledger->directory, sizeof(world.directory));
	pristine = mem_print("%s.pristine", world.directory);
	run("cp -r '%s' '%s'", world.directory, pristine);
	run("rm -f '%s/reserve' '%s'/spare", pristine, pristine);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	run("rm -rf '%s' '%s'", pristine, world.directory);
	mem_free(pristine);
	return 0;
}

/* --- damage --- */

enum harm { FLIP, ZERO, CUT, HARMS };

/* Bytes of a file that mean something: a log is prepared with zeros. */
static off_t used_bytes(int fd, off_t size)
{
	unsigned char page[PAGE];
	off_t at = size / PAGE * PAGE;

	for (; at > 0; at -= PAGE) {
		ssize_t n = pread(fd, page, sizeof(page), at - PAGE);

		for (ssize_t i = 0; i < n; i++)
			if (page[i] != 0)
				return at;
	}
	return size;
}

static void harm_file(const char *name, enum harm harm)
{
	static const char zeros[PAGE];
	char *path = mem_print("%s/%s", world.directory, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat about;
	unsigned char byte;
	off_t size, at;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &about), 0);
	size = used_bytes(fd, about.st_size);
	at = (off_t)random_number((uint64_t)(size > 0 ? size : 1));
	if (harm == FLIP && pread(fd, &byte, 1, at) == 1) {
		byte ^= (unsigned char)(1U << random_number(8));
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	} else if (harm == ZERO) {
		assert_int_equal(pwrite(fd, zeros, PAGE, at / PAGE * PAGE),
		    PAGE);
	} else if (harm == CUT) {
		assert_int_equal(ftruncate(fd, at), 0);
	}
	close(fd);
	mem_free(path);
}

static size_t files(char names[FILES][64])
{
	DIR *stream = opendir(world.directory);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL && count < FILES)
		if (strstr(entry->d_name, ".db") != NULL ||
		    strncmp(entry->d_name, "log.", 4) == 0)
			snprintf(names[count++], 64, "%.63s", entry->d_name);
	closedir(stream);
	return count;
}

/* --- a process that delivers what there is --- */

struct reading {
	struct job	*job;
	char		*body;		/* owned */
	size_t		 length;
};

/* The number in the subject, and every byte behind it. */
static void judge(const struct job *job, const char *body, size_t length)
{
	static char wanted[BODY_MOST];
	unsigned number = MESSAGES;

	if (length < 10 || sscanf(body, "Subject: %u\r\n", &number) != 1 ||
	    number >= MESSAGES || body_of(number, wanted) != length ||
	    memcmp(wanted, body, length) != 0 || ids[number] != job->message ||
	    strcmp(job->sender, "ann@local.test") != 0)
		ledger->wrong++;
	else
		ledger->right[number] += (unsigned)job->recipient_count;
}

static void finish(struct job *job, bool delivered)
{
	struct status statuses[100];

	for (size_t i = 0; i < job->recipient_count; i++) {
		world_delivered(&statuses[i]);
		if (!delivered)
			status_from_reply(&statuses[i], 451,
			    "4.3.0 no body came");
	}
	worker_finish(job, statuses, false);
}

static void on_body(void *arg, const void *data, size_t length, bool failed)
{
	struct reading *reading = arg;
	struct job *job = reading->job;

	if (!failed) {
		memcpy(reading->body + reading->length, data, length);
		reading->length += length;
		if (reading->length < job->body_length && length > 0) {
			worker_read(job, reading->length, on_body, reading);
			return;
		}
		judge(job, reading->body, reading->length);
	}
	mem_free(reading->body);
	mem_free(reading);
	finish(job, !failed);
}

static void take(struct world *it, struct job *job)
{
	struct reading *reading;

	(void)it;
	if (job->body_length > BODY_MOST) {
		ledger->wrong++;
		finish(job, false);
		return;
	}
	if (getenv("VERBOSE") != NULL)
		log_info("job", log_message(job->message), log_number("n",
		    (int64_t)job->recipient_count));
	if (job->body != NULL) {
		judge(job, job->body, job->body_length);
		finish(job, true);
		return;
	}
	reading = mem_alloc(sizeof(*reading));
	reading->job = job;
	reading->body = mem_alloc(BODY_MOST);
	worker_read(job, 0, on_body, reading);
}

/* What can leave has left: all that is there is held. */
static bool is_quiet(void *arg)
{
	struct world *it = arg;

	return world_count_messages(it) == 0 || world_count_schedule(it) == 0;
}

static void note_held(void *arg, uint64_t id,
    const struct record_message *message)
{
	(void)arg;
	(void)message;
	for (unsigned i = 0; i < MESSAGES; i++)
		ledger->held[i] |= ids[i] == id;
}

/* As the role starts. */
static void open_or_die(void)
{
	char *errors = NULL;

	world.queue = queue_open(conf_read("test.conf",
	    "hostname = mx.test\npostmaster = \"postmaster@mx.test\"\n"
	    "queue-cache = 16M\nlow-space = 1M\n", &errors),
	    world.directory);
	if (world.queue == NULL)
		_exit(1);
}

static void deliver(void)
{
	int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* cmocka's handler would go on with the tests, in here. */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	if (getenv("VERBOSE") == NULL)
		dup2(nothing, 2);
	log_init("test", LOG_LEVEL_INFO);
	loop_init();
	world.on_job = take;
	open_or_die();
	world_new_worker(&world, DESTINATION_DELIVERY);
	world_new_worker(&world, DESTINATION_MAILBOX);
	ledger->complete = world_wait(is_quiet, &world, WAIT);
	rows_each_message(world.queue->store, 0, 1000, note_held, NULL);
	world_stop_queue(&world);
	_exit(0);
}

/* Whether it came up and delivered; a process that dies is started again. */
static bool start_until_quiet(void)
{
	for (int i = 0; i < STARTS_MOST; i++) {
		int status;
		pid_t pid;

		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			deliver();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
		    ledger->complete)
			return true;
		/* fatal(), never a crash */
		assert_true(WIFEXITED(status));
	}
	return false;
}

/* --- rounds --- */

static struct {
	unsigned	rounds, unharmed, salvaged, messages_held,
			messages_named, duplicates;
} sum;

/* All that was salvaged from, and what the role wrote of it. */
static bool is_named(uint64_t id)
{
	char *command = mem_print("grep -qsi '\"%" PRIx64 "\"' "
	    "'%s'/damaged.*/report", id, world.directory);
	bool found = shell(command) == 0;

	mem_free(command);
	return found;
}

static bool was_salvaged(void)
{
	char *path = mem_print("%s/damaged.1", world.directory);
	bool found = access(path, F_OK) == 0;

	mem_free(path);
	return found;
}

static void round_run(void)
{
	char names[FILES][64];
	size_t count;
	const char *name;
	enum harm harm = (enum harm)random_number(HARMS);

	run("rm -rf '%s'%s", world.directory, "");
	run("cp -r '%s' '%s'", pristine, world.directory);
	count = files(names);
	assert_true(count > 5);
	name = names[random_number(count)];
	if (getenv("VERBOSE") != NULL)
		printf("# round %u: harm %d to %s\n", sum.rounds, harm, name);
	harm_file(name, harm);
	memset(ledger->right, 0, sizeof(ledger->right));
	memset(ledger->held, 0, sizeof(ledger->held));
	ledger->wrong = ledger->complete = 0;
	if (!start_until_quiet())
		fail_msg("harm %d to %s: the queue does not come up", harm,
		    name);
	if (ledger->wrong != 0)
		fail_msg("harm %d to %s: wrong mail left", harm, name);
	sum.rounds++;
	sum.salvaged += was_salvaged();
	sum.unharmed += !was_salvaged();
	for (unsigned i = 0; i < MESSAGES; i++) {
		sum.duplicates += ledger->right[i] > 2;
		if (ledger->right[i] >= 2)
			continue;
		if (ledger->held[i]) {
			sum.messages_held++;
			continue;
		}
		if (!is_named(ids[i]))
			fail_msg("harm %d to %s: %" PRIx64 " is gone, and "
			    "nothing says so", harm, name, ids[i]);
		sum.messages_named++;
	}
}

static void test_damaged_at_random(void **state)
{
	const char *wanted = getenv("POSTERN_DAMAGE");
	unsigned rounds = ROUNDS;

	(void)state;
	if (wanted != NULL)
		sscanf(wanted, "%u,%" SCNu64, &rounds, &seed);
	for (unsigned i = 0; i < rounds; i++)
		round_run();
	printf("# rounds %u: nothing lost without salvage %u, salvaged %u; "
	    "messages held %u, lost and named %u, twice %u\n", sum.rounds,
	    sum.unharmed, sum.salvaged, sum.messages_held,
	    sum.messages_named, sum.duplicates);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_damaged_at_random,
		    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
