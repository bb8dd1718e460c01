/* SPDX-License-Identifier: ISC */
/*
 * Reading, judging and making maildirsize; see maildir_quota.h.
 *
 * While we look through a maildir others deliver into it and take out of it,
 * and append to the file that is there. What was counted is written only if no
 * folder has changed since it was read: otherwise it serves for this once, and
 * the old file goes, so that the next one counts again.
 */
#include "delivery/maildir_quota.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { CLOCK_TICK_MILLISECONDS = 20 };

static const char file_name[] = "maildirsize";

/* --- the file --- */

/* A number with a sign and at most 18 digits: behind it, or null. */
static const char *read_number(const char *text, int64_t *number)
{
	bool negative = *text == '-';
	const char *start;

	text += negative || *text == '+';
	*number = 0;
	for (start = text; isdigit((unsigned char)*text); text++) {
		if (text - start == 18)
			return NULL;
		*number = *number * 10 + (*text - '0');
	}
	if (negative)
		*number = -*number;
	return text == start ? NULL : text;
}

/* "1000000S" or "1000000S,500C", in any order. -1 if it is none of these. */
static int read_limits(const char *line, struct maildir_size *size)
{
	int64_t number;

	for (;;) {
		line = read_number(line, &number);
		if (line == NULL || number < 0)
			return -1;
		if (*line == 'S')
			size->limit = number;
		else if (*line != 'C')
			return -1;
		line++;
		if (*line == '\n')
			return 0;
		if (*line++ != ',')
			return -1;
	}
}

/* "   1234 1": blanks before, between and behind. */
static int read_change(const char *line, struct maildir_size *size)
{
	int64_t bytes, count;

	line += strspn(line, " \t");
	line = read_number(line, &bytes);
	if (line == NULL || (*line != ' ' && *line != '\t'))
		return -1;
	line += strspn(line, " \t");
	line = read_number(line, &count);
	if (line == NULL)
		return -1;
	line += strspn(line, " \t\r");
	if (*line != '\n' ||
	    __builtin_add_overflow(size->bytes, bytes, &size->bytes) ||
	    __builtin_add_overflow(size->count, count, &size->count))
		return -1;
	size->lines++;
	return 0;
}

int maildir_size_parse(const char *text, struct maildir_size *size)
{
	const char *line = text;

	memset(size, 0, sizeof(*size));
	if (read_limits(line, size) < 0)
		return -1;
	while (*(line = strchr(line, '\n') + 1) != '\0')
		if (strchr(line, '\n') == NULL ||
		    read_change(line, size) < 0)
			return -1;
	return size->bytes < 0 || size->count < 0 ? -1 : 0;
}

/* -1: there is no file that says how much there is. */
static int read_file(int folder, struct maildir_size *size)
{
	char text[QUOTA_FILE_MAX + 1];
	struct stat info;
	ssize_t length = -1;
	int fd = openat(folder, file_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
	    info.st_size < QUOTA_FILE_MAX)
		length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0 || length >= QUOTA_FILE_MAX ||
	    memchr(text, '\0', (size_t)length) != NULL)
		return -1;
	text[length] = '\0';
	if (maildir_size_parse(text, size) < 0)
		return -1;
	size->changed = (int64_t)info.st_mtime;
	return 0;
}

/* --- looking through a maildir --- */

struct walk {
	int64_t		 bytes;
	int64_t		 count;
	unsigned	 folders;
	/* the latest change of a folder that was read, and their number: what
	 * a second look must find again */
	struct timespec	 latest;
	bool		 cut;		/* a bound was met */
	bool		 failed;	/* something could not be read */
};

static bool is_later(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec != other->tv_sec ? one->tv_sec > other->tv_sec :
	    one->tv_nsec > other->tv_nsec;
}

/* "name,S=1234:2,S": the size stands in the name, when whoever wrote it was so
 * kind; else the file is asked. */
static int64_t size_of(int fd, const char *name)
{
	const char *size = strstr(name, ",S=");
	struct stat info;
	int64_t number;

	if (size != NULL) {
		size = read_number(size + 3, &number);
		if (size != NULL && number >= 0 &&
		    (*size == ',' || *size == ':' || *size == '\0'))
			return number;
	}
	/* Gone meanwhile: it takes no room any more. */
	if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(info.st_mode))
		return -1;
	return (int64_t)info.st_size;
}

static DIR *open_folder(int parent, const char *name, int *fd)
{
	DIR *folder;

	*fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return NULL;
	folder = fdopendir(*fd);
	if (folder == NULL)
		close(*fd);
	return folder;
}

static void note_change(struct walk *walk, int fd)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		walk->failed = true;
	else if (is_later(&info.st_mtim, &walk->latest))
		walk->latest = info.st_mtim;
}

/* new or cur of one folder. With count false only when it was changed. */
static void walk_files(struct walk *walk, int parent, const char *name,
    bool count)
{
	struct dirent *entry;
	int64_t bytes;
	DIR *folder;
	int fd;

	folder = open_folder(parent, name, &fd);
	if (folder == NULL) {
		walk->failed |= errno != ENOENT;
		return;
	}
	note_change(walk, fd);
	while (count && !walk->cut && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		bytes = size_of(fd, entry->d_name);
		if (bytes < 0)
			continue;
		/* Names may say anything. */
		if (__builtin_add_overflow(walk->bytes, bytes, &walk->bytes))
			walk->bytes = INT64_MAX;
		walk->cut = ++walk->count >= QUOTA_FILES_MAX;
	}
	closedir(folder);
}

static void walk_one(struct walk *walk, int fd, bool count)
{
	walk_files(walk, fd, "new", count);
	walk_files(walk, fd, "cur", count);
}

/* The maildir and the folders in it, which are ".Name" (Maildir++). */
static void walk_all(struct walk *walk, int maildir, bool count)
{
	struct dirent *entry;
	DIR *folder;
	int fd, inner;

	walk_one(walk, maildir, count);
	folder = open_folder(maildir, ".", &fd);
	if (folder == NULL) {
		walk->failed = true;
		return;
	}
	while (!walk->cut && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.' ||
		    strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		if (inner < 0)
			continue;
		walk_one(walk, inner, count);
		close(inner);
		walk->cut |= ++walk->folders >= QUOTA_FOLDERS_MAX;
	}
	closedir(folder);
}

/* Might a change right now show no later time than this? File systems count by
 * the tick of a clock, or by whole seconds. */
static bool is_recent(const struct timespec *when)
{
	int64_t milliseconds = (int64_t)when->tv_sec * 1000 +
	    when->tv_nsec / 1000000;

	return clock_wall() - milliseconds <=
	    (when->tv_nsec == 0 ? 1000 : CLOCK_TICK_MILLISECONDS);
}

/* Has anybody changed the maildir since? */
static bool is_quiet(const struct walk *walk, int maildir)
{
	struct walk again = { .bytes = 0 };

	walk_all(&again, maildir, false);
	return !walk->failed && !again.failed &&
	    again.folders == walk->folders &&
	    !is_later(&again.latest, &walk->latest) &&
	    !is_recent(&walk->latest);
}

/* --- making the file --- */

static int write_file(int maildir, const char *name, int64_t limit,
    const struct walk *walk)
{
	char text[100];
	int length = snprintf(text, sizeof(text), "%" PRId64 "S\n%" PRId64
	    " %" PRId64 "\n", limit, walk->bytes, walk->count);
	int fd = openat(maildir, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	bool whole;

	if (fd < 0)
		return -1;
	whole = write(fd, text, (size_t)length) == length;
	whole &= close(fd) == 0;
	return whole && renameat(maildir, name, maildir, file_name) == 0 ?
	    0 : -1;
}

static void put_file(int maildir, int64_t limit, const struct walk *walk)
{
	static unsigned counter;
	char name[80];

	snprintf(name, sizeof(name), "tmp/%" PRId64 ".P%ldQ%u.%s",
	    clock_wall_micro(), (long)getpid(), ++counter, file_name);
	if (is_quiet(walk, maildir) &&
	    write_file(maildir, name, limit, walk) == 0)
		return;
	(void)unlinkat(maildir, name, 0);
	(void)unlinkat(maildir, file_name, 0);
}

/* What there is, counted; the file is made anew if that is safe. */
static int64_t count_anew(int maildir, const char *path, int64_t limit)
{
	struct walk walk = { .bytes = 0 };

	walk_all(&walk, maildir, true);
	if (walk.cut)
		log_warn("quota-cut", log_text("path", path),
		    log_number("files", walk.count),
		    log_number("folders", walk.folders));
	put_file(maildir, limit, &walk);
	log_debug("quota-counted", log_text("path", path),
	    log_number("bytes", walk.bytes),
	    log_number("files", walk.count));
	return walk.bytes;
}

/* --- the questions --- */

static bool is_within(int64_t limit, int64_t used, int64_t bytes)
{
	return bytes <= limit && used <= limit - bytes;
}

/* Whether a file that says "full" is worth another look. */
static bool is_doubtful(const struct maildir_size *size)
{
	int64_t age = clock_wall() / 1000 - size->changed;

	return size->lines > 1 || age < 0 || age > QUOTA_STALE_SECONDS;
}

bool maildir_quota_fits(int folder, const char *path, int64_t limit,
    int64_t bytes, int64_t *used)
{
	struct maildir_size size;

	if (read_file(folder, &size) < 0 || size.limit != limit) {
		*used = count_anew(folder, path, limit);
		return is_within(limit, *used, bytes);
	}
	*used = size.bytes;
	if (!is_within(limit, *used, bytes) && is_doubtful(&size))
		*used = count_anew(folder, path, limit);
	return is_within(limit, *used, bytes);
}

void maildir_quota_add(int folder, int64_t bytes)
{
	char text[40];
	int length = snprintf(text, sizeof(text), "%" PRId64 " 1\n", bytes);
	int fd = openat(folder, file_name, O_WRONLY | O_APPEND | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);

	/* None: the next one counts. */
	if (fd < 0)
		return;
	if (write(fd, text, (size_t)length) != length)
		(void)unlinkat(folder, file_name, 0);
	close(fd);
}
