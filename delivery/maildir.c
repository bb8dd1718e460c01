/* SPDX-License-Identifier: ISC */
/*
 * Files and folders of maildirs; see maildir.h.
 */
#include "delivery/maildir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "delivery/maildir_quota.h"

/* Maildirs remembered before the memory starts anew. */
enum { SEEN_MAX = 10000 };

struct maildir {
	char		*host;		/* owned */
	struct hash	*seen;		/* path: synced and swept by us */
	unsigned	 counter;
};

struct maildir_file {
	int	 fd;
	int	 folder;		/* the maildir */
	int	 tmp;			/* folders in it */
	int	 new;
	char	*path;			/* of the maildir, for messages */
	char	*name;			/* in tmp */
	char	*final;			/* in new; null before that */
	bool	 linked;		/* visible in new */
	int64_t	 bytes;			/* written */
	int64_t	 quota;			/* 0: none */
};

/* --- errors --- */

/* Everything wrong here is temporary; full disks have codes of their own. */
static void set_error(struct status *status, int error_number,
    const char *what, const char *path)
{
	const char *enhanced = "4.3.0";

	if (error_number == ENOSPC)
		enhanced = "4.3.1";
	else if (error_number == EDQUOT)
		enhanced = "4.2.2";
	status_print(status, STATUS_DEFERRED, REASON_MAILBOX, enhanced,
	    "cannot %s %s: %s", what, path, strerror(error_number));
	log_warn("maildir-error", log_text("what", what),
	    log_text("path", path), log_errno(error_number));
}

/* --- names --- */

static bool is_plain(char byte)
{
	return isalnum((unsigned char)byte) || strchr("._+=@-", byte) != NULL;
}

int maildir_name(char *out, size_t size, const char *local)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0, i;

	for (i = 0; local[i] != '\0'; i++) {
		unsigned char byte = (unsigned char)local[i];
		bool plain = is_plain(local[i]) && !(i == 0 && byte == '.');

		if (used + (plain ? 1 : 3) >= size)
			return -1;
		if (plain) {
			out[used++] = (char)tolower(byte);
			continue;
		}
		out[used++] = '%';
		out[used++] = digits[byte >> 4];
		out[used++] = digits[byte & 15];
	}
	if (used == 0 || used >= size)
		return -1;
	out[used] = '\0';
	return 0;
}

/* Unique on this host for all time: the clock, the process, a counter. */
static char *make_name(struct maildir *maildir)
{
	int64_t now = clock_wall_micro();

	return mem_print("%lld.M%06uP%ldQ%u.%s", (long long)(now / 1000000),
	    (unsigned)(now % 1000000), (long)getpid(), ++maildir->counter,
	    maildir->host);
}

/* --- folders --- */

static int sync_folder(int fd, const char *path, struct status *status)
{
	if (fsync(fd) == 0)
		return 0;
	set_error(status, errno, "sync", path);
	return -1;
}

/*
 * Opens a folder in parent, making it if need be. With sync_parent its name is
 * made durable even if it was there: whoever made it may have died before
 * doing so.
 */
static int open_folder(int parent, const char *name, const char *path,
    bool sync_parent, struct status *status)
{
	bool made = mkdirat(parent, name, 0700) == 0;
	int fd;

	if (!made && errno != EEXIST) {
		set_error(status, errno, "make a folder for", path);
		return -1;
	}
	if ((made || sync_parent) && sync_folder(parent, path, status) < 0)
		return -1;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd < 0)
		set_error(status, errno, "open the folder of", path);
	return fd;
}

/* Walks down path from root; -1 with a status. */
static int open_path(const char *root, const char *path, bool first_time,
    struct status *status)
{
	char copy[MAILDIR_PATH_MAX], *name = copy, *slash;
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

	if (fd < 0) {
		set_error(status, errno, "open", root);
		return -1;
	}
	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		set_error(status, ENAMETOOLONG, "open", path);
		close(fd);
		return -1;
	}
	while (name != NULL && fd >= 0) {
		slash = strchr(name, '/');
		if (slash != NULL)
			*slash++ = '\0';
		next = open_folder(fd, name, path, first_time, status);
		close(fd);
		fd = next;
		name = slash;
	}
	return fd;
}

void maildir_sweep(int tmp, int64_t now_milliseconds)
{
	int64_t limit = now_milliseconds / 1000 - MAILDIR_SWEEP_HOURS * 3600;
	int fd = openat(tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat info;

	if (directory == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (fstatat(tmp, entry->d_name, &info,
		    AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(info.st_mode) ||
		    info.st_mtime >= limit)
			continue;
		if (unlinkat(tmp, entry->d_name, 0) == 0)
			log_info("maildir-swept",
			    log_text("file", entry->d_name));
	}
	closedir(directory);
}

/* Opens tmp and new; cur is made for those who read. */
static int open_inside(struct maildir_file *file, int folder,
    bool first_time, struct status *status)
{
	int cur;

	file->tmp = open_folder(folder, "tmp", file->path, first_time, status);
	if (file->tmp < 0)
		return -1;
	file->new = open_folder(folder, "new", file->path, first_time, status);
	if (file->new < 0)
		return -1;
	if (!first_time)
		return 0;
	cur = open_folder(folder, "cur", file->path, true, status);
	if (cur < 0)
		return -1;
	close(cur);
	maildir_sweep(file->tmp, clock_wall());
	return 0;
}

/* --- the file --- */

static void file_free(struct maildir_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->folder >= 0)
		close(file->folder);
	if (file->tmp >= 0)
		close(file->tmp);
	if (file->new >= 0)
		close(file->new);
	mem_free(file->path);
	mem_free(file->name);
	mem_free(file->final);
	mem_free(file);
}

static void note_seen(struct maildir *maildir, const char *path)
{
	if (hash_count(maildir->seen) >= SEEN_MAX) {
		hash_free(maildir->seen);
		maildir->seen = hash_new();
	}
	hash_put_text(maildir->seen, path, maildir);
}

struct maildir_file *maildir_create(struct maildir *maildir,
    const char *root, const char *path, struct status *status)
{
	bool first_time = hash_find_text(maildir->seen, path) == NULL;
	struct maildir_file *file = mem_alloc(sizeof(*file));
	int result = -1;

	file->fd = file->tmp = file->new = -1;
	file->folder = open_path(root, path, first_time, status);
	file->path = mem_dup_string(path);
	file->name = make_name(maildir);
	if (file->folder >= 0)
		result = open_inside(file, file->folder, first_time, status);
	if (result < 0) {
		file_free(file);
		return NULL;
	}
	note_seen(maildir, path);
	file->fd = openat(file->tmp, file->name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd < 0) {
		set_error(status, errno, "create a file in", path);
		file_free(file);
		return NULL;
	}
	return file;
}

int maildir_write(struct maildir_file *file, const void *data, size_t length,
    struct status *status)
{
	const char *at = data;

	while (length > 0) {
		ssize_t written = write(file->fd, at, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			set_error(status, written < 0 ? errno : EIO,
			    "write to", file->path);
			return -1;
		}
		at += written;
		length -= (size_t)written;
		file->bytes += written;
	}
	return 0;
}

static int check_quota(struct maildir_file *file, int64_t bytes,
    struct status *status)
{
	int64_t used;

	if (file->quota == 0 || maildir_quota_fits(file->folder, file->path,
	    file->quota, bytes, &used))
		return 0;
	status_print(status, STATUS_DEFERRED, REASON_MAILBOX, "4.2.2",
	    "the mailbox is full: %lld of %lld bytes are used",
	    (long long)used, (long long)file->quota);
	return -1;
}

int maildir_limit(struct maildir_file *file, int64_t quota,
    struct status *status)
{
	file->quota = quota;
	return check_quota(file, 1, status);
}

/* The name appears in new, or -1; it tells the size, so that nobody has to ask
 * for it to know how full the maildir is. link(2) never replaces another
 * message; a file system without links gets rename(2), for the name is
 * unique. */
static int show(struct maildir_file *file)
{
	file->final = mem_print("%s,S=%lld", file->name,
	    (long long)file->bytes);
	if (linkat(file->tmp, file->name, file->new, file->final, 0) == 0) {
		file->linked = true;
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
	if (renameat(file->tmp, file->name, file->new, file->final) < 0)
		return -1;
	file->linked = true;
	return 0;
}

int maildir_commit(struct maildir_file *file, struct status *status)
{
	int fd = file->fd;

	if (check_quota(file, file->bytes, status) < 0) {
		maildir_abandon(file);
		return -1;
	}
	file->fd = -1;
	if (fsync(fd) < 0) {
		set_error(status, errno, "sync a file in", file->path);
		close(fd);
		maildir_abandon(file);
		return -1;
	}
	/* close(2) is where some network file systems report a full disk */
	if (close(fd) < 0) {
		set_error(status, errno, "close a file in", file->path);
		maildir_abandon(file);
		return -1;
	}
	if (show(file) < 0) {
		set_error(status, errno, "link a file into", file->path);
		maildir_abandon(file);
		return -1;
	}
	if (fsync(file->new) < 0) {
		set_error(status, errno, "sync", file->path);
		maildir_abandon(file);
		return -1;
	}
	(void)unlinkat(file->tmp, file->name, 0);
	if (file->quota > 0)
		maildir_quota_add(file->folder, file->bytes);
	file_free(file);
	return 0;
}

void maildir_abandon(struct maildir_file *file)
{
	/* It will be delivered again: the reader need not see it twice. */
	if (file->linked)
		(void)unlinkat(file->new, file->final, 0);
	(void)unlinkat(file->tmp, file->name, 0);
	file_free(file);
}

struct maildir *maildir_new(const char *host)
{
	struct maildir *maildir = mem_alloc(sizeof(*maildir));
	char *at;

	maildir->host = mem_dup_string(host);
	for (at = maildir->host; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && *at != '.' && *at != '-')
			*at = '_';
	maildir->seen = hash_new();
	return maildir;
}

void maildir_free(struct maildir *maildir)
{
	if (maildir == NULL)
		return;
	hash_free(maildir->seen);
	mem_free(maildir->host);
	mem_free(maildir);
}
