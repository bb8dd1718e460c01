/* SPDX-License-Identifier: ISC */
/*
 * delivery/maildir.c, maildir_text.c and drop.c on a temporary folder. The
 * system calls that matter are defined here, so that their order can be
 * looked at and each of them can fail: a message is visible only after its
 * bytes are on the disk, and success is said only after its name is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "delivery/drop.h"
#include "delivery/maildir.h"
#include "delivery/maildir_text.h"
#include "queue/envelope.h"
#include "tests/fake_worker.h"
#include "tests/scratch.h"

/* --- the calls --- */

static bool recording;
static char calls[4096];
static const char *failing;	/* "fsync file", or null */
static int failing_errno;

static const char *kind_of(int fd)
{
	struct stat info;

	return fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) ? "folder" :
	    "file";
}

/* Notes the call; true when it is to fail. */
static bool note(const char *call)
{
	size_t used = strlen(calls);

	if (!recording)
		return false;
	/* Many writes in a row are one. */
	if (strcmp(call, "write") != 0 || used < 7 ||
	    strcmp(calls + used - 7, " write,") != 0)
		snprintf(calls + used, sizeof(calls) - used, " %s,", call);
	if (failing == NULL || strcmp(call, failing) != 0)
		return false;
	errno = failing_errno;
	return true;
}

int fsync(int fd)
{
	char call[32];

	snprintf(call, sizeof(call), "fsync %s", kind_of(fd));
	return note(call) ? -1 : (int)syscall(SYS_fsync, fd);
}

ssize_t write(int fd, const void *data, size_t length)
{
	return note("write") ? -1 : syscall(SYS_write, fd, data, length);
}

int linkat(int old_folder, const char *old, int new_folder, const char *new,
    int flags)
{
	return note("link") ? -1 : (int)syscall(SYS_linkat, old_folder, old,
	    new_folder, new, flags);
}

int renameat(int old_folder, const char *old, int new_folder, const char *new)
{
	return note("rename") ? -1 : (int)syscall(SYS_renameat2, old_folder,
	    old, new_folder, new, 0);
}

int unlinkat(int folder, const char *name, int flags)
{
	return note("unlink") ? -1 : (int)syscall(SYS_unlinkat, folder, name,
	    flags);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
	return note("mkdir") ? -1 : (int)syscall(SYS_mkdirat, folder, name,
	    mode);
}

static void record(const char *fail_at, int error)
{
	calls[0] = '\0';
	failing = fail_at;
	failing_errno = error;
	recording = true;
}

static void stop_recording(void)
{
	recording = false;
	failing = NULL;
}

/* --- the folder --- */

static char top[64];

static int set_up(void **state)
{
	(void)state;
	return scratch_make(top, sizeof(top), "maildir");
}

static int tear_down(void **state)
{
	(void)state;
	stop_recording();
	return scratch_remove(top);
}

/* Number of files in a folder below top; the last one's path in out. */
static int count_files(const char *folder, char *out, size_t size)
{
	char path[300];
	struct dirent *entry;
	DIR *directory;
	int count = 0;

	snprintf(path, sizeof(path), "%s/%s", top, folder);
	directory = opendir(path);
	if (directory == NULL)
		return -1;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (out != NULL)
			snprintf(out, size, "%s/%.255s", path,
			    entry->d_name);
	}
	closedir(directory);
	return count;
}

static char *read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "r");
	char *text = mem_alloc(12 << 20);

	assert_non_null(file);
	*length = fread(text, 1, (12 << 20) - 1, file);
	fclose(file);
	return text;
}

/* --- maildir.c --- */

static void names(void **state)
{
	static const struct { const char *local, *name; } cases[] = {
		{ "alice", "alice" }, { "Alice", "alice" },
		{ "a.b+c=d_e-f@g", "a.b+c=d_e-f@g" },
		{ ".hidden", "%2ehidden" }, { "..", "%2e." },
		{ ".", "%2e" }, { "a/b", "a%2fb" }, { "../x", "%2e.%2fx" },
		{ "a%2f", "a%252f" }, { "a b\n", "a%20b%0a" },
		{ "\xc3\xa9", "%c3%a9" },
	};
	char out[256], longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(maildir_name(out, sizeof(out),
		    cases[i].local), 0);
		assert_string_equal(out, cases[i].name);
	}
	assert_int_equal(maildir_name(out, sizeof(out), ""), -1);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(maildir_name(out, sizeof(out), longest), -1);
	longest[255] = '\0';
	assert_int_equal(maildir_name(out, sizeof(out), longest), 0);
	longest[254] = '/';
	assert_int_equal(maildir_name(out, sizeof(out), longest), -1);
}

static int deliver(struct maildir *maildir, const char *path,
    struct status *status)
{
	struct maildir_file *file = maildir_create(maildir, top, path, status);

	if (file == NULL)
		return -1;
	if (maildir_write(file, "hello\n", 6, status) < 0) {
		maildir_abandon(file);
		return -1;
	}
	return maildir_commit(file, status);
}

/* The order that makes it durable, with new folders and with old ones. */
static void order(void **state)
{
	struct maildir *maildir = maildir_new("mx/1:a.example");
	struct status status;
	char path[600];

	(void)state;
	record(NULL, 0);
	assert_int_equal(deliver(maildir, "example.org/alice", &status), 0);
	assert_string_equal(calls, " mkdir, fsync folder, mkdir, fsync folder,"
	    " mkdir, fsync folder, mkdir, fsync folder, mkdir, fsync folder,"
	    " write, fsync file, link, fsync folder, unlink,");
	record(NULL, 0);
	assert_int_equal(deliver(maildir, "example.org/alice", &status), 0);
	assert_string_equal(calls, " mkdir, mkdir, mkdir, mkdir,"
	    " write, fsync file, link, fsync folder, unlink,");
	stop_recording();
	assert_int_equal(count_files("example.org/alice/new", path,
	    sizeof(path)), 2);
	assert_int_equal(count_files("example.org/alice/tmp", NULL, 0), 0);
	assert_int_equal(count_files("example.org/alice/cur", NULL, 0), 0);
	assert_non_null(strstr(path, ".mx_1_a.example"));
	maildir_free(maildir);
}

/* Folders that another process made and may not have synced are synced by
 * the first delivery of this one. */
static void inherited_folders(void **state)
{
	struct maildir *first = maildir_new("a"), *second = maildir_new("a");
	struct status status;

	(void)state;
	assert_int_equal(deliver(first, "x/y", &status), 0);
	record(NULL, 0);
	assert_int_equal(deliver(second, "x/y", &status), 0);
	assert_string_equal(calls, " mkdir, fsync folder, mkdir, fsync folder,"
	    " mkdir, fsync folder, mkdir, fsync folder, mkdir, fsync folder,"
	    " write, fsync file, link, fsync folder, unlink,");
	maildir_free(first);
	maildir_free(second);
}

static const struct failure_case {
	const char	*call;
	int		 error;
	const char	*enhanced;
} failures[] = {
	{ "write", ENOSPC, "4.3.1" }, { "write", EDQUOT, "4.2.2" },
	{ "write", EIO, "4.3.0" }, { "fsync file", EIO, "4.3.0" },
	{ "fsync file", ENOSPC, "4.3.1" }, { "fsync folder", EIO, "4.3.0" },
	{ "link", ENOSPC, "4.3.1" }, { "link", EEXIST, "4.3.0" },
	{ "mkdir", EACCES, "4.3.0" }, { "mkdir", ENOSPC, "4.3.1" },
};

/* Whatever fails: a status that defers, and no message left behind. */
static void calls_fail(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct maildir *maildir = maildir_new("host");
		struct status status;
		char enhanced[16];

		/* folders first, so that only the file's calls fail */
		if (strcmp(failures[i].call, "mkdir") != 0)
			assert_int_equal(deliver(maildir, "d/u", &status), 0);
		record(failures[i].call, failures[i].error);
		assert_int_equal(deliver(maildir, "d/u", &status), -1);
		stop_recording();
		assert_int_equal(status.outcome, STATUS_DEFERRED);
		assert_int_equal(status.reason, REASON_MAILBOX);
		status_format_enhanced(&status, enhanced, sizeof(enhanced));
		assert_string_equal(enhanced, failures[i].enhanced);
		assert_non_null(strstr(status.text, "d/u"));
		assert_int_equal(count_files("d/u/tmp", NULL, 0) > 0, 0);
		assert_int_equal(deliver(maildir, "d/u", &status), 0);
		maildir_free(maildir);
	}
	assert_int_equal(count_files("d/u/new", NULL, 0),
	    2 * sizeof(failures) / sizeof(failures[0]) - 2);
}

/* A file system without links: rename. */
static void no_links(void **state)
{
	struct maildir *maildir = maildir_new("host");
	struct status status;

	(void)state;
	assert_int_equal(deliver(maildir, "d/u", &status), 0);
	record("link", EPERM);
	assert_int_equal(deliver(maildir, "d/u", &status), 0);
	assert_string_equal(calls, " mkdir, mkdir, mkdir, mkdir,"
	    " write, fsync file, link, rename, fsync folder, unlink,");
	stop_recording();
	assert_int_equal(count_files("d/u/new", NULL, 0), 2);
	assert_int_equal(count_files("d/u/tmp", NULL, 0), 0);
	maildir_free(maildir);
}

/* A symbolic link in the way leads nowhere. */
static void symbolic_links(void **state)
{
	struct maildir *maildir = maildir_new("host");
	struct status status;
	char path[200];

	(void)state;
	snprintf(path, sizeof(path), "%s/evil", top);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(deliver(maildir, "evil/u", &status), -1);
	assert_int_equal(status.outcome, STATUS_DEFERRED);
	maildir_free(maildir);
}

static void age(const char *name, int hours)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	char path[400];

	times[1].tv_sec = time(NULL) - hours * 3600;
	snprintf(path, sizeof(path), "%s/d/u/tmp/%s", top, name);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* What a crash left in tmp is swept after 36 hours, at the first delivery. */
static void sweep(void **state)
{
	struct maildir *first = maildir_new("a"), *second = maildir_new("a");
	struct status status;
	char path[600];

	(void)state;
	assert_int_equal(deliver(first, "d/u", &status), 0);
	age("old", 37);
	age("young", 35);
	assert_int_equal(deliver(first, "d/u", &status), 0);
	assert_int_equal(count_files("d/u/tmp", NULL, 0), 2);
	assert_int_equal(deliver(second, "d/u", &status), 0);
	assert_int_equal(count_files("d/u/tmp", path, sizeof(path)), 1);
	assert_non_null(strstr(path, "/young"));
	maildir_free(first);
	maildir_free(second);
}

/* --- maildir_text.c --- */

static const struct text_case {
	const char	*in;
	const char	*out;
	bool		 loops;
} texts[] = {
	{ "", "", false },
	{ "A: b\r\n\r\nx\r\ny\r\n", "A: b\n\nx\ny\n", false },
	{ "\r\nx\r\n", "\nx\n", false },
	{ "A: b", "A: b", false },
	{ "A: b\r", "A: b\r", false },
	{ "A: b\r\n\r\nx\ry\r\n\r", "A: b\n\nx\ry\n\r", false },
	/* SMTP-78 */
	{ "Return-Path: <x@y>\r\nA: b\r\n\r\nz\r\n", "A: b\n\nz\n", false },
	{ "A: b\r\nreturn-path:\r\n <x@y>\r\n\tz\r\nC: d\r\n\r\n",
	    "A: b\nC: d\n\n", false },
	{ "Return-Path : <x>\r\nReturn-Path: <y>\r\nA: b\r\n\r\n",
	    "A: b\n\n", false },
	{ "Return-Pathology: x\r\n\r\n", "Return-Pathology: x\n\n", false },
	{ "A: b\r\n\r\nReturn-Path: <x>\r\n", "A: b\n\nReturn-Path: <x>\n",
	    false },
	/* SMTP-174 */
	{ "Delivered-To: u@example.org\r\n\r\n",
	    "Delivered-To: u@example.org\n\n", true },
	{ "A: b\r\ndelivered-to:  <U@Example.ORG> \r\n\r\n",
	    "A: b\ndelivered-to:  <U@Example.ORG> \n\n", true },
	{ "Delivered-To: v@example.org\r\n\r\n",
	    "Delivered-To: v@example.org\n\n", false },
	{ "Delivered-To: uu@example.org\r\n\r\n",
	    "Delivered-To: uu@example.org\n\n", false },
	{ "A: b\r\n\r\nDelivered-To: u@example.org\r\n",
	    "A: b\n\nDelivered-To: u@example.org\n", false },
};

static void text_table(void **state)
{
	struct maildir_text text;
	struct buf out;
	size_t i, cut;

	(void)state;
	buf_init(&out, 8192);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t length = strlen(texts[i].in);

		for (cut = 0; cut <= length; cut++) {
			maildir_text_init(&text, "u@example.org");
			maildir_text_feed(&text, texts[i].in, cut, &out);
			maildir_text_feed(&text, texts[i].in + cut,
			    length - cut, &out);
			maildir_text_end(&text, &out);
			assert_string_equal(buf_string(&out), texts[i].out);
			assert_int_equal(text.loops, texts[i].loops);
			buf_reset(&out);
			maildir_text_release(&text);
		}
	}
	buf_release(&out);
}

/* A header line longer than what is looked at passes whole. */
static void long_line(void **state)
{
	size_t length = 5000, total = 0;
	char *line = mem_alloc(length);
	struct maildir_text text;
	struct buf out;

	(void)state;
	memset(line, 'x', length);
	memcpy(line, "Subject: ", 9);
	maildir_text_init(&text, "u@example.org");
	buf_init(&out, 100000);
	maildir_text_feed(&text, line, length, &out);
	maildir_text_feed(&text, "\r\n\r\n", 4, &out);
	memcpy(line, "Return-Path: ", 13);
	total = buf_length(&out);
	assert_int_equal(total, length + 2);
	maildir_text_release(&text);
	maildir_text_init(&text, "u@example.org");
	buf_reset(&out);
	maildir_text_feed(&text, line, length, &out);
	maildir_text_feed(&text, "\r\nA: b\r\n\r\n", 10, &out);
	assert_string_equal(buf_string(&out), "A: b\n\n");
	maildir_text_release(&text);
	buf_release(&out);
	mem_free(line);
}

/* --- drop.c --- */

static struct conf conf;
static struct conf_domain domains[2];
static struct drop_scene scene;
static struct status statuses[4];

static void on_over(void *arg)
{
	(void)arg;
	loop_stop();
}

static void on_finished(const struct job *job, const struct status *all,
    bool tls_trouble)
{
	assert_false(tls_trouble);
	assert_true(job->recipient_count <= 4);
	memcpy(statuses, all, job->recipient_count * sizeof(*all));
}

static struct job *drop_job(struct fake_job *plan)
{
	plan->transport = TRANSPORT_MAILDIR;
	plan->domain = "example.org";
	if (plan->sender == NULL)
		plan->sender = "sender@example.net";
	conf.mail_directory = top;
	conf.domains = domains;
	conf.domain_count = 2;
	domains[0].name = (char *)(uintptr_t)"example.org";
	domains[1].name = (char *)(uintptr_t)"elsewhere.example";
	scene.conf = &conf;
	scene.maildir = maildir_new("host");
	scene.root = top;
	scene.over = on_over;
	fake_worker_finished = on_finished;
	return fake_job_new(plan);
}

static void run_drop(struct job *job)
{
	drop_start(&scene, job);
	loop_run();
	maildir_free(scene.maildir);
}

static void assert_file(const char *folder, const char *content)
{
	char path[600], *text;
	size_t length;

	assert_int_equal(count_files(folder, path, sizeof(path)), 1);
	text = read_file(path, &length);
	assert_string_equal(text, content);
	mem_free(text);
}

/* One file per recipient; one Return-Path, before everything else; names made
 * safe. The body is read anew for each, in small pieces. */
static void drop_two(void **state)
{
	static const char body[] = "Return-Path: <old@example.com>\r\n"
	    "Subject: x\r\n\r\nHello\r\n.dot\r\n";
	struct fake_job plan = { .prefix = "Received: here\r\n", .body = body,
	    .body_length = sizeof(body) - 1, .piece = 7 };
	struct job *job = drop_job(&plan);

	(void)state;
	fake_job_add(job, "Alice@example.org", NULL, 0);
	fake_job_add(job, "\".x/../y\"@example.org", NULL, 0);
	run_drop(job);
	assert_int_equal(statuses[0].outcome, STATUS_DELIVERED);
	assert_int_equal(statuses[1].outcome, STATUS_DELIVERED);
	assert_file("example.org/alice/new",
	    "Return-Path: <sender@example.net>\n"
	    "Delivered-To: Alice@example.org\nReceived: here\nSubject: x\n\n"
	    "Hello\n.dot\n");
	assert_file("example.org/%2ex%2f..%2fy/new",
	    "Return-Path: <sender@example.net>\n"
	    "Delivered-To: \".x/../y\"@example.org\nReceived: here\n"
	    "Subject: x\n\nHello\n.dot\n");
}

/* REQ-48: mail that demands REQUIRETLS has arrived. */
static void drop_requiretls(void **state)
{
	static const char body[] = "Subject: x\r\n\r\nHello\r\n";
	struct fake_job plan = { .body = body,
	    .body_length = sizeof(body) - 1, .flags = ENVELOPE_REQUIRETLS };
	struct job *job = drop_job(&plan);

	(void)state;
	fake_job_add(job, "alice@example.org", NULL, 0);
	run_drop(job);
	assert_int_equal(statuses[0].outcome, STATUS_DELIVERED);
	assert_int_equal(count_files("example.org/alice/new", NULL, 0), 1);
}

/* SMTP-174: the same mailbox twice is a loop; its neighbour is not. */
static void drop_loop(void **state)
{
	static const char body[] = "Delivered-To: alice@example.org\r\n\r\nx\r\n";
	struct fake_job plan = { .body = body, .inlined = true,
	    .body_length = sizeof(body) - 1, .sender = "" };
	struct job *job = drop_job(&plan);

	(void)state;
	fake_job_add(job, "alice@example.org", NULL, 0);
	fake_job_add(job, "bob@example.org", NULL, 0);
	run_drop(job);
	assert_int_equal(statuses[0].outcome, STATUS_FAILED);
	assert_int_equal(statuses[0].reason, REASON_LOOP);
	assert_int_equal(statuses[0].enhanced_subject, 4);
	assert_int_equal(statuses[0].enhanced_detail, 6);
	assert_int_equal(statuses[1].outcome, STATUS_DELIVERED);
	assert_int_equal(count_files("example.org/alice/new", NULL, 0), 0);
	assert_int_equal(count_files("example.org/alice/tmp", NULL, 0), 0);
	assert_file("example.org/bob/new", "Return-Path: <>\n"
	    "Delivered-To: bob@example.org\n"
	    "Delivered-To: alice@example.org\n\nx\n");
}

/* A body that cannot be read to its end is never delivered in part. */
static void drop_unreadable(void **state)
{
	static const char body[] = "Subject: x\r\n\r\nHello\r\n";
	struct fake_job plan = { .body = body, .piece = 5, .fails = true,
	    .fail_at = 10, .body_length = sizeof(body) - 1 };
	struct job *job = drop_job(&plan);

	(void)state;
	fake_job_add(job, "alice@example.org", NULL, 0);
	run_drop(job);
	assert_int_equal(statuses[0].outcome, STATUS_DEFERRED);
	assert_int_equal(statuses[0].reason, REASON_LOCAL);
	assert_int_equal(count_files("example.org/alice/new", NULL, 0), 0);
	assert_int_equal(count_files("example.org/alice/tmp", NULL, 0), 0);
}

/* 10 MB in pieces of 64 KiB. */
static void drop_large(void **state)
{
	size_t length = 10 << 20, got, i, lines = 0;
	char *body = mem_alloc(length), path[600], *text;
	struct fake_job plan = { .body = body, .body_length = length };
	struct job *job;

	(void)state;
	for (i = 0; i < length; i++)
		body[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	memcpy(body, "Subject: large\r\n\r\n", 18);
	fake_worker_reads = 0;
	job = drop_job(&plan);
	fake_job_add(job, "alice@example.org", NULL, 0);
	run_drop(job);
	assert_int_equal(statuses[0].outcome, STATUS_DELIVERED);
	assert_true(fake_worker_reads >= length / WORKER_READ_MAX);
	assert_int_equal(count_files("example.org/alice/new", path,
	    sizeof(path)), 1);
	text = read_file(path, &got);
	for (i = 0; i < length; i++)
		lines += body[i] == '\n';
	assert_int_equal(got, length - lines +
	    strlen("Return-Path: <sender@example.net>\n"
	    "Delivered-To: alice@example.org\n"));
	assert_null(memchr(text, '\r', got));
	mem_free(text);
	mem_free(body);
}

/* Where a domain keeps its mail; null: it waits for the administrator. */
static const struct folder_case {
	const char	*maildir;	/* behind the mail directory */
	const char	*folder;
} folders[] = {
	{ "/kept/here/", "kept/here" }, { "//two", "two" },
	{ "/a/../..", NULL }, { "/..", NULL }, { "/x/../y", NULL },
	{ "/..x", "..x" }, { "/", NULL }, { "", NULL }, { "x/y", NULL },
};

static void drop_other_folder(void **state)
{
	static const char body[] = "\r\nx\r\n";
	struct fake_job plan = { .body = body, .inlined = true,
	    .body_length = sizeof(body) - 1 };
	char maildir[200], folder[200];
	struct job *job;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(maildir, sizeof(maildir), "%s%s", top,
		    folders[i].maildir);
		domains[0].maildir = maildir;
		job = drop_job(&plan);
		fake_job_add(job, "alice@example.org", NULL, 0);
		run_drop(job);
		if (folders[i].folder == NULL) {
			assert_int_equal(statuses[0].outcome, STATUS_DEFERRED);
			assert_int_equal(statuses[0].enhanced_detail, 5);
			continue;
		}
		assert_int_equal(statuses[0].outcome, STATUS_DELIVERED);
		snprintf(folder, sizeof(folder), "%s/alice/new",
		    folders[i].folder);
		assert_int_equal(count_files(folder, NULL, 0), 1);
	}
	domains[0].maildir = NULL;
}

/* A job for another role waits. */
static void drop_misdirected(void **state)
{
	struct fake_job plan = { .body = "x", .inlined = true,
	    .body_length = 1 };
	struct job *job = drop_job(&plan);

	(void)state;
	job->next.transport = TRANSPORT_SMTP;
	fake_job_add(job, "alice@example.org", NULL, 0);
	run_drop(job);
	assert_int_equal(statuses[0].outcome, STATUS_DEFERRED);
}

int main(void)
{
#define WITH_FOLDER(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		WITH_FOLDER(order),
		WITH_FOLDER(inherited_folders),
		WITH_FOLDER(calls_fail),
		WITH_FOLDER(no_links),
		WITH_FOLDER(symbolic_links),
		WITH_FOLDER(sweep),
		cmocka_unit_test(text_table),
		cmocka_unit_test(long_line),
		WITH_FOLDER(drop_two),
		WITH_FOLDER(drop_requiretls),
		WITH_FOLDER(drop_loop),
		WITH_FOLDER(drop_unreadable),
		WITH_FOLDER(drop_large),
		WITH_FOLDER(drop_other_folder),
		WITH_FOLDER(drop_misdirected),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
