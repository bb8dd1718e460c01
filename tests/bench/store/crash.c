/* SPDX-License-Identifier: ISC */
/*
 * Kills, power cuts (file system shut down without flushing its journal, when
 * a device of our own is given), full disks and injected errors. The ledger
 * of what was acknowledged lives here, in the parent, outside the faulted
 * tree; after each round the environment is opened again and every message is
 * compared with it.
 */
#include "tests/bench/store/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHUTDOWN_IOCTL		_IOR('X', 125, uint32_t)
enum { SHUTDOWN_NO_FLUSH = 2 };

enum ledger_state { LEDGER_UNKNOWN, LEDGER_IS_SAFE, LEDGER_MAY_BE_GONE,
    LEDGER_IS_GONE };
enum { LEDGER_MAX = 4000000, PATIENCE_MICROSECONDS = 120000000 };

struct ledger {
	uint64_t	 base;		/* id of the first entry */
	uint32_t	*sizes;
	uint8_t		*states;
	uint64_t	 highest;
	uint64_t	 safe, removed;
};

struct verdict {
	struct ledger	*ledger;
	uint64_t	 backlog;	/* small messages with ids from 1 */
	bool		 whole;		/* read every body of the backlog too */
};

static void ledger_init(struct ledger *ledger, uint64_t base)
{
	*ledger = (struct ledger){ .base = base, .highest = base };
	ledger->sizes = calloc(LEDGER_MAX, sizeof(*ledger->sizes));
	ledger->states = calloc(LEDGER_MAX, 1);
	if (ledger->sizes == NULL || ledger->states == NULL)
		die("memory", ENOMEM);
}

static void ledger_release(struct ledger *ledger)
{
	free(ledger->sizes);
	free(ledger->states);
}

static void ledger_note(struct ledger *ledger, const struct ledger_record *record)
{
	uint64_t place = record->id - ledger->base;

	if (place >= LEDGER_MAX)
		die("ledger too small", 0);
	ledger->sizes[place] = (uint32_t)record->size;
	if (record->id > ledger->highest)
		ledger->highest = record->id;
	switch (record->event) {
	case LEDGER_SAFE:
		ledger->states[place] = LEDGER_IS_SAFE;
		ledger->safe++;
		break;
	case LEDGER_REMOVING:
		ledger->states[place] = LEDGER_MAY_BE_GONE;
		break;
	case LEDGER_REMOVED:
		ledger->states[place] = LEDGER_IS_GONE;
		ledger->removed++;
		break;
	}
}

/* Reads until the child is gone; kills it a time after its first record. */
static void ledger_follow(struct ledger *ledger, int fd, pid_t child, uint64_t kill_after)
{
	uint64_t kill_at = now_micro() + PATIENCE_MICROSECONDS;
	bool running = false;
	struct ledger_record records[512];
	char *raw = (char *)records;
	size_t have = 0;
	bool killed = kill_after == 0;

	for (;;) {
		ssize_t n;

		if (!killed && now_micro() >= kill_at) {
			kill(child, SIGKILL);
			killed = true;
		}
		n = read(fd, raw + have, sizeof(records) - have);
		if (n == 0)
			return;
		if (n < 0 && errno == EAGAIN) {
			usleep(200);
			continue;
		}
		if (n < 0)
			die("ledger", errno);
		have += (size_t)n;
		if (!running)
			kill_at = now_micro() + kill_after;
		running = true;
		size_t whole = have / sizeof(records[0]);
		for (size_t i = 0; i < whole; i++)
			ledger_note(ledger, &records[i]);
		have -= whole * sizeof(records[0]);
		memmove(raw, raw + whole * sizeof(records[0]), have);
	}
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid", errno);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct burst {
	struct load	 load;
	const struct fault *fault;
	const char	*reserve;
	uint64_t	 reserve_bytes;
};

/* Runs a load in a child with the ledger attached; returns how it ended. */
static int burst_run(const struct settings *settings, struct ledger *ledger,
    struct burst *burst, uint64_t kill_after)
{
	int ends[2];
	pid_t child;

	fflush(NULL);
	if (pipe(ends) != 0 || (child = fork()) < 0)
		die("fork", errno);
	if (child == 0) {
		struct engine engine;

		close(ends[0]);
		burst->load.ledger = ends[1];
		fault_reserve(burst->reserve, burst->reserve_bytes);
		engine_open(&engine, settings);
		message_sweep(&engine);
		if (burst->fault != NULL)
			fault_set(burst->fault);
		json_decref(load_run(&engine, &burst->load));
		fault_set(NULL);
		engine_close(&engine);
		_exit(0);
	}
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	ledger_follow(ledger, ends[0], child, kill_after);
	close(ends[0]);
	return wait_for(child);
}

static uint64_t count_tree(struct engine *engine)
{
	struct message message = { .id = 0 };
	uint64_t count = 0;

	while (message_next(engine, &message))
		count++;
	return count;
}

/* Opens after a fault and compares everything with the ledger. */
static json_t *verify_body(const struct settings *settings, const void *arg)
{
	const struct verdict *verdict = arg;
	const struct ledger *ledger = verdict->ledger;
	uint64_t lost = 0, damaged = 0, undead = 0, extra = 0, started;
	struct message message = { .id = ledger->base - 1 };
	struct engine engine;
	uint64_t swept, backlog_lost = 0;
	double sweep_seconds;

	engine_open(&engine, settings);
	started = now_micro();
	swept = message_sweep(&engine);
	sweep_seconds = (double)(now_micro() - started) / 1e6;
	for (uint64_t i = 0; i <= ledger->highest - ledger->base; i++) {
		struct message wanted = { ledger->base + i, ledger->sizes[i] };
		int found;

		if (ledger->states[i] == LEDGER_UNKNOWN)
			continue;
		found = message_check(&engine, wanted);
		lost += ledger->states[i] == LEDGER_IS_SAFE && found == 0;
		undead += ledger->states[i] == LEDGER_IS_GONE && found != 0;
		damaged += found < 0;
	}
	while (message_next(&engine, &message)) {
		uint64_t place = message.id - ledger->base;

		if (place < LEDGER_MAX &&
		    ledger->states[place] != LEDGER_UNKNOWN)
			continue;
		extra++;	/* committed, never acknowledged: whole or not */
		damaged += message_check(&engine, message) != 1;
	}
	if (verdict->whole)
		for (uint64_t id = 1; id <= verdict->backlog; id++)
			backlog_lost += message_check(&engine,
			    (struct message){ id, 1500 }) != 1;
	else if (verdict->backlog > 0)
		backlog_lost = 0;
	json_t *result = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f}",
	    "lost", (json_int_t)lost, "damaged", (json_int_t)damaged,
	    "undead", (json_int_t)undead,
	    "committed_not_acknowledged", (json_int_t)extra,
	    "backlog_lost", (json_int_t)backlog_lost,
	    "swept_bodies", (json_int_t)swept,
	    "recovery_seconds", engine.open_seconds,
	    "sweep_seconds", sweep_seconds);
	if (!verdict->whole && verdict->backlog == 0)
		json_object_set_new(result, "in_tree",
		    json_integer((json_int_t)count_tree(&engine)));
	engine_close(&engine);
	return result;
}

/* The file system forgets everything that was not flushed. */
static void power_cut(const char *device, const char *home)
{
	char mount_point[4096];
	uint32_t flag = SHUTDOWN_NO_FLUSH;
	char *slash;
	int fd;

	snprintf(mount_point, sizeof(mount_point), "%s", home);
	slash = strrchr(mount_point, '/');
	*slash = '\0';
	fd = open(mount_point, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SHUTDOWN_IOCTL, &flag) != 0)
		die("shutdown of the file system", errno);
	close(fd);
	(void)device;
}

static bool is_writable(const char *directory)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof(path), "%s/probe", directory);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	close(fd);
	unlink(path);
	return true;
}

/*
 * Somebody else's mount namespace may hold a copy of the mount; then the file
 * system comes back as dead as it was, until that copy goes.
 */
static void mount_again(const char *device, const char *home)
{
	char mount_point[4096];
	char *slash;

	snprintf(mount_point, sizeof(mount_point), "%s", home);
	slash = strrchr(mount_point, '/');
	*slash = '\0';
	for (int tries = 0; tries < 600; tries++) {
		if (umount(mount_point) != 0 ||
		    mount(device, mount_point, "ext4", MS_NOATIME, "") != 0)
			die("mount", errno);
		if (is_writable(mount_point))
			return;
		usleep(200000);
	}
	die("the file system does not come back", 0);
}

/* A cut at a random moment: the child finds its writes failing and ends. */
static int burst_cut(const struct settings *settings, struct ledger *ledger,
    struct burst *burst, const char *device, uint64_t after)
{
	pid_t cutter = fork();
	int ended;

	if (cutter < 0)
		die("fork", errno);
	if (cutter == 0) {
		usleep((useconds_t)after);
		power_cut(device, settings->home);
		_exit(0);
	}
	ended = burst_run(settings, ledger, burst, after + 3000000);
	wait_for(cutter);
	mount_again(device, settings->home);
	return ended;
}

json_t *crash_rounds(const struct settings *settings, int rounds, uint64_t backlog,
    const char *device)
{
	struct ledger ledger;
	struct verdict verdict = { &ledger, backlog, false };
	json_t *all = json_object(), *recoveries = json_array();
	static const char *const sums[] = { "lost", "damaged", "undead",
	    "committed_not_acknowledged", "swept_bodies", "backlog_lost" };
	json_int_t totals[6] = { 0 };
	double longest = 0;
	int failed = 0;

	ledger_init(&ledger, backlog + 1);
	for (int round = 0; round < rounds; round++) {
		struct burst burst = { .load = { .batch = 1 + rand() % 64,
		    .depth = 4, .mixed = true, .remove = true, .read = true,
		    .standing = 200, .seconds = 60,
		    .first_id = ledger.highest + 1 } };
		uint64_t after = 300000 + (uint64_t)(rand() % 2000000);
		json_t *row;
		double recovery;

		verdict.whole = backlog > 0 && round == rounds - 1;
		if (device != NULL)
			burst_cut(settings, &ledger, &burst, device, after);
		else
			burst_run(settings, &ledger, &burst, after);
		row = phase_run(verify_body, settings, &verdict);
		if (json_object_get(row, "exit") != NULL)
			failed++;
		for (int i = 0; i < 6; i++)
			totals[i] += json_integer_value(json_object_get(row,
			    sums[i]));
		recovery = json_real_value(json_object_get(row,
		    "recovery_seconds"));
		longest = recovery > longest ? recovery : longest;
		json_array_append_new(recoveries, json_real(recovery));
		json_decref(row);
	}
	json_object_set_new(all, "rounds", json_integer(rounds));
	json_object_set_new(all, "failed_to_open", json_integer(failed));
	json_object_set_new(all, "acknowledged",
	    json_integer((json_int_t)ledger.safe));
	json_object_set_new(all, "removed",
	    json_integer((json_int_t)ledger.removed));
	for (int i = 0; i < 6; i++)
		json_object_set_new(all, sums[i], json_integer(totals[i]));
	json_object_set_new(all, "recovery_longest_seconds",
	    json_real(longest));
	json_object_set_new(all, "recovery_seconds", recoveries);
	ledger_release(&ledger);
	return all;
}

struct fault_case {
	const char	*name;
	struct fault	 fault;
};

/* Each case: load until it ends by itself, then compare with the ledger. */
json_t *fault_rounds(const struct settings *settings)
{
	static const struct fault_case cases[] = {
		{ "fsync EIO once, strict", { FAULT_FSYNC, EIO, 200, 1, true } },
		{ "fsync EIO once, left alone",
		    { FAULT_FSYNC, EIO, 200, 1, false } },
		{ "fsync EIO for ever, left alone",
		    { FAULT_FSYNC, EIO, 200, -1, false } },
		{ "log write EIO once, strict", { FAULT_LOG_WRITE, EIO, 200, 1, true } },
		{ "log write EIO once, left alone",
		    { FAULT_LOG_WRITE, EIO, 200, 1, false } },
		{ "log write EIO for ever, left alone",
		    { FAULT_LOG_WRITE, EIO, 200, -1, false } },
		{ "log write ENOSPC for ever, left alone",
		    { FAULT_LOG_WRITE, ENOSPC, 200, -1, false } },
		{ "log write ENOSPC 5 times, left alone",
		    { FAULT_LOG_WRITE, ENOSPC, 200, 5, false } },
		{ "page write EIO once, strict",
		    { FAULT_PAGE_WRITE, EIO, 50, 1, true } },
		{ "page write EIO for ever, left alone",
		    { FAULT_PAGE_WRITE, EIO, 50, -1, false } },
		{ "page write ENOSPC for ever, left alone",
		    { FAULT_PAGE_WRITE, ENOSPC, 50, -1, false } },
		{ "open EIO for ever, strict", { FAULT_OPEN, EIO, 0, -1, true } },
	};
	json_t *rows = json_array();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ledger ledger;
		struct verdict verdict = { &ledger, 0, false };
		struct burst burst = { .load = { .batch = 16, .depth = 4,
		    .size = 4608, .remove = true, .standing = 2000,
		    .count = 60000, .first_id = 1 },
		    .fault = &cases[i].fault };
		json_t *row;
		int ended;

		home_clear(settings->home);
		ledger_init(&ledger, 1);
		ended = burst_run(settings, &ledger, &burst, 20000000);
		row = phase_run(verify_body, settings, &verdict);
		json_object_set_new(row, "case", json_string(cases[i].name));
		json_object_set_new(row, "ended", json_integer(ended));
		json_object_set_new(row, "acknowledged",
		    json_integer((json_int_t)ledger.safe));
		fprintf(stderr, "fault: %s\n", json_dumps(row, JSON_COMPACT |
		    JSON_REAL_PRECISION(6)));
		json_array_append_new(rows, row);
		ledger_release(&ledger);
	}
	return rows;
}

/* A real full disk: a small loop-mounted ext4, with and without a reserve. */
json_t *space_round(const struct settings *settings, const char *scratch)
{
	char image[4096], point[4096], home[4200], reserve[4200];
	json_t *all = json_object();

	for (int with = 1; with >= 0; with--) {
		struct settings small = *settings;
		struct ledger ledger;
		struct verdict verdict = { &ledger, 0, false };
		struct burst burst = { .load = { .batch = 32, .depth = 4,
		    .size = 4608, .remove = true, .standing = 200000,
		    .seconds = 60, .first_id = 1, .heed_space = true } };
		json_t *row;
		int ended;

		snprintf(image, sizeof(image), "%s/small.img", scratch);
		snprintf(point, sizeof(point), "%s/small", scratch);
		if (mkdir(point, 0700) != 0 && errno != EEXIST)
			die(point, errno);
		command_run((const char *[]){ "truncate", "-s", "400M", image,
		    NULL });
		command_run((const char *[]){ "mkfs.ext4", "-q", "-F", "-E",
		    "nodiscard", image, NULL });
		command_run((const char *[]){ "mount", "-o", "loop,noatime",
		    image, point, NULL });
		snprintf(home, sizeof(home), "%s/store", point);
		small.home = home;
		small.cache_bytes = 16 << 20;
		small.log_file_bytes = 8 << 20;
		small.checkpoint_bytes = 16 << 20;
		ledger_init(&ledger, 1);
		snprintf(reserve, sizeof(reserve), "%s/reserve", point);
		if (with) {
			burst.reserve = reserve;
			burst.reserve_bytes = 64 << 20;
		}
		ended = burst_run(&small, &ledger, &burst, 60000000);
		row = phase_run(verify_body, &small, &verdict);
		json_object_set_new(row, "ended", json_integer(ended));
		json_object_set_new(row, "acknowledged",
		    json_integer((json_int_t)ledger.safe));
		json_object_set_new(all, with ? "with_reserve" :
		    "without_reserve", row);
		ledger_release(&ledger);
		command_run((const char *[]){ "umount", point, NULL });
		if (unlink(image) != 0 || rmdir(point) != 0)
			die(image, errno);
	}
	fprintf(stderr, "full disk: %s\n", json_dumps(all, JSON_COMPACT |
	    JSON_REAL_PRECISION(6)));
	return all;
}
