/* SPDX-License-Identifier: ISC */
/*
 * A round: names in the directory are listed with their owners, many at a time;
 * files of the list are begun, some at once and few of one user, until it is
 * empty; then come the next names. A user of whom a file took all its time has
 * to wait for the next round with the others.
 *
 * Files that the server does not take now stay for the next round, until they
 * are as old as mail may become in the queue.
 */
#include "tools/drain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "tools/drop_file.h"

enum { ROUND_MILLISECONDS = 60 * 1000, FILE_MILLISECONDS = 60 * 1000,
    AT_ONCE = 16, AT_ONCE_OF_USER = 4, LISTED_MAX = 4096, SAID_BYTES = 1000,
    STRUCK_MAX = 16,
    /* A file that was never finished: sendmail died. */
    TEMPORARY_SECONDS = 24 * 3600, NOBODY = 65534 };

/* A file that waits for its turn in this round. */
struct listed {
	char	 name[DROP_NAME_MAX];
	uid_t	 uid;		/* a guess, made before it is opened */
};

/* A file on its way. */
struct sending {
	pid_t		 pid;		/* 0: the place is free */
	char		 name[DROP_NAME_MAX];
	struct stat	 status;	/* of the descriptor */
	int		 said_fd;	/* owned; what the process says */
	struct timer	 deadline;
	bool		 late;		/* was killed by us */
};

static struct {
	const struct conf	*conf;		/* outlives us; null: stopped */
	struct timer		 timer;
	DIR			*stream;	/* owned; null between rounds */
	int			 directory;	/* the stream's */
	struct listed		 list[LISTED_MAX];	/* read from it */
	size_t			 count;
	uid_t			 struck[STRUCK_MAX];	/* in this round */
	unsigned		 struck_count;
	struct sending		 sending[AT_ONCE];
	unsigned		 running;
	bool			 stopped;
} drain;

/* Everything belongs to the caller then. */
static bool is_unprivileged(void)
{
	return geteuid() != 0 || !drain.conf->drop_privileges;
}

/* --- one file --- */

/* For people to look at; never tried again. */
static void refuse(const char *name, const struct stat *status,
    const char *reason)
{
	char refused[2 * DROP_NAME_MAX];

	snprintf(refused, sizeof(refused), DROP_REFUSED "%s",
	    name + strlen(DROP_PREFIX));
	log_error("a dropped mail cannot be sent: put aside",
	    log_text("file", refused),
	    log_number("uid", status == NULL ? -1 : (int64_t)status->st_uid),
	    log_text("reason", reason));
	if (renameat(drain.directory, name, drain.directory, refused) == -1)
		log_error("cannot put a file aside", log_text("file", name),
		    log_errno(errno));
}

/* Null, or why it cannot be sent. */
static const char *judge(const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return "it is not a regular file";
	if (status->st_nlink != 1)
		return "it has other names";
	if (status->st_size > drain.conf->max_message_size + DROP_HEAD_MAX)
		return "it is larger than max-message-size";
	if (is_unprivileged() && status->st_uid != geteuid())
		return "it belongs to another user";
	return NULL;
}

/* What a process may not do that another user can trace. */
static void limit_child(void)
{
	static const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) == -1 ||
	    setrlimit(RLIMIT_FSIZE, &none) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		_exit(EX_OSERR);
}

/* The file's group proves nothing: some file systems take the directory's. */
static void become_owner(uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);
	gid_t gid = entry == NULL ? NOBODY : entry->pw_gid;

	if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		_exit(EX_OSERR);
	if (uid != 0 && (setuid(0) != -1 || seteuid(0) != -1))
		_exit(EX_OSERR);
}

/* The process that sends: its owner's, and none of our memory or descriptors
 * is in it once the new program runs. Until then nobody may trace it, since it
 * changed its user. */
static void __attribute__((noreturn))
become_sender(int fd, int said, const struct stat *status)
{
	char *environment[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	char *arguments[] = { (char *)"sendmail", mem_print("--drained=%s",
	    drain.conf->local_socket), NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	if (!is_unprivileged())
		become_owner(status->st_uid);
	limit_child();
	/* Others are closed at exec; this is for those of libraries. */
	if (dup2(fd, STDIN_FILENO) == -1 || dup2(said, STDERR_FILENO) == -1 ||
	    chdir("/") == -1)
		_exit(EX_OSERR);
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	execve("/proc/self/exe", arguments, environment);
	_exit(EX_OSERR);
}

static void on_deadline(void *arg)
{
	struct sending *sending = arg;

	sending->late = true;
	kill(sending->pid, SIGKILL);
}

static struct sending *free_place(void)
{
	unsigned i;

	for (i = 0; i < AT_ONCE; i++)
		if (drain.sending[i].pid == 0)
			return &drain.sending[i];
	return NULL;
}

static void spawn(const char *name, int fd, const struct stat *status)
{
	struct sending *sending = free_place();
	int said[2];
	pid_t pid;

	if (pipe2(said, O_CLOEXEC | O_NONBLOCK) == -1) {
		log_error("cannot make a pipe", log_errno(errno));
		return;
	}
	log_flush();
	pid = fork();
	if (pid == 0)
		become_sender(fd, said[1], status);
	close(said[1]);
	if (pid == -1) {
		log_error("cannot start a process", log_errno(errno));
		close(said[0]);
		return;
	}
	sending->pid = pid;
	sending->status = *status;
	sending->said_fd = said[0];
	sending->late = false;
	snprintf(sending->name, sizeof(sending->name), "%s", name);
	drain.running++;
	timer_start(&sending->deadline, FILE_MILLISECONDS, on_deadline,
	    sending);
}

/* What is opened is what is judged, and what is sent. */
static void begin(const char *name)
{
	struct stat status;
	const char *reason;
	int fd = openat(drain.directory, name, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1 && errno == ENOENT)
		return;		/* its owner took it back */
	if (fd == -1 && (errno == ELOOP || errno == ENXIO)) {
		refuse(name, NULL, "it is not a regular file");
		return;
	}
	if (fd == -1 || fstat(fd, &status) == -1) {
		log_error("cannot open a dropped mail", log_text("file", name),
		    log_errno(errno));
		if (fd != -1)
			close(fd);
		return;
	}
	reason = judge(&status);
	if (reason != NULL)
		refuse(name, &status, reason);
	else
		spawn(name, fd, &status);
	close(fd);
}

/* --- what came of it --- */

/* Only what was sent: its owner may have put another file there. */
static void remove_sent(const struct sending *sending)
{
	struct stat status;

	if (fstatat(drain.directory, sending->name, &status,
	    AT_SYMLINK_NOFOLLOW) == -1 ||
	    status.st_dev != sending->status.st_dev ||
	    status.st_ino != sending->status.st_ino)
		return;
	if (unlinkat(drain.directory, sending->name, 0) == -1)
		log_error("cannot remove a dropped mail that was sent: it "
		    "will be sent again", log_text("file", sending->name),
		    log_errno(errno));
}

/* What the process said, in one line. */
static void read_said(int fd, char *said)
{
	ssize_t got = read(fd, said, SAID_BYTES - 1);

	said[got > 0 ? got : 0] = '\0';
	for (char *at = said; *at != '\0'; at++)
		if (*at == '\n')
			*at = at[1] == '\0' ? '\0' : ';';
}

/* Statuses that another try would only repeat. */
static bool is_permanent(int wait_status)
{
	if (!WIFEXITED(wait_status))
		return false;
	switch (WEXITSTATUS(wait_status)) {
	case EX_USAGE: case EX_DATAERR: case EX_NOUSER: case EX_UNAVAILABLE:
	case EX_CANTCREAT: case EX_NOPERM: return true;
	default: return false;
	}
}

static void settle(const struct sending *sending, int wait_status)
{
	int64_t age = clock_wall() / 1000 - (int64_t)sending->status.st_mtime;
	char said[SAID_BYTES];

	read_said(sending->said_fd, said);
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EX_OK) {
		log_info("dropped mail", log_text("file", sending->name),
		    log_number("uid", (int64_t)sending->status.st_uid),
		    log_number("size", (int64_t)sending->status.st_size));
		remove_sent(sending);
	} else if (is_permanent(wait_status) ||
	    age > drain.conf->message_expiry) {
		refuse(sending->name, &sending->status, said);
	} else {
		log_info("a dropped mail stays for now",
		    log_text("file", sending->name),
		    log_number("uid", (int64_t)sending->status.st_uid),
		    log_text("reason", sending->late ? "it took too long" :
		    said));
	}
}

/* No more of this user in this round. */
static void strike(uid_t uid)
{
	size_t kept = 0;

	for (size_t i = 0; i < drain.count; i++)
		if (drain.list[i].uid != uid)
			drain.list[kept++] = drain.list[i];
	drain.count = kept;
	if (drain.struck_count < STRUCK_MAX)
		drain.struck[drain.struck_count++] = uid;
}

static bool is_struck(uid_t uid)
{
	for (unsigned i = 0; i < drain.struck_count; i++)
		if (drain.struck[i] == uid)
			return true;
	return false;
}

/* --- rounds --- */

static void end_round(void)
{
	closedir(drain.stream);
	drain.stream = NULL;
	drain.count = 0;
}

static unsigned running_of(uid_t uid)
{
	unsigned found = 0;

	for (unsigned i = 0; i < AT_ONCE; i++)
		found += drain.sending[i].pid != 0 &&
		    drain.sending[i].status.st_uid == uid;
	return found;
}

/* Names that are not ours to send are left alone. */
static void list_one(const char *name)
{
	struct stat status;

	if (fstatat(drain.directory, name, &status, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	if (drop_is_name(name, DROP_PREFIX) && !is_struck(status.st_uid)) {
		memcpy(drain.list[drain.count].name, name, strlen(name) + 1);
		drain.list[drain.count++].uid = status.st_uid;
	} else if (drop_is_name(name, DROP_TEMPORARY) &&
	    clock_wall() / 1000 - (int64_t)status.st_mtime >
	    TEMPORARY_SECONDS) {
		log_warn("a dropped mail was never finished: removed",
		    log_text("file", name),
		    log_number("uid", (int64_t)status.st_uid));
		(void)unlinkat(drain.directory, name, 0);
	}
}

/* The next names; false when there are no more. */
static bool list_more(void)
{
	const struct dirent *entry = NULL;

	while (drain.count < LISTED_MAX &&
	    (entry = readdir(drain.stream)) != NULL)
		list_one(entry->d_name);
	return drain.count > 0;
}

/* Begins what may begin now, of the list. */
static void begin_listed(void)
{
	char name[DROP_NAME_MAX];
	size_t i = 0;

	while (drain.running < AT_ONCE && i < drain.count) {
		if (running_of(drain.list[i].uid) >= AT_ONCE_OF_USER) {
			i++;
			continue;
		}
		memcpy(name, drain.list[i].name, sizeof(name));
		drain.list[i] = drain.list[--drain.count];
		begin(name);
	}
}

static void begin_more(void)
{
	if (drain.stream == NULL)
		return;
	begin_listed();
	while (drain.count == 0 && drain.running < AT_ONCE && !drain.stopped &&
	    list_more())
		begin_listed();
	if (drain.running == 0 && drain.count == 0)
		end_round();
}

static void on_tick(void *arg)
{
	const char *path = drain.conf->drop_directory;
	int fd;

	(void)arg;
	timer_start(&drain.timer, ROUND_MILLISECONDS, on_tick, NULL);
	if (drain.stream != NULL)
		return;		/* the last round is not over */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1)
		drain.stream = fdopendir(fd);
	if (drain.stream == NULL) {
		log_error("cannot open the drop directory",
		    log_text("path", path), log_errno(errno));
		if (fd != -1)
			close(fd);
		return;
	}
	drain.directory = fd;
	drain.struck_count = 0;
	begin_more();
}

void drain_configure(const struct conf *conf)
{
	drain.conf = conf;
	timer_start(&drain.timer, 0, on_tick, NULL);
}

bool drain_exited(pid_t pid, int wait_status)
{
	struct sending *sending;

	for (unsigned i = 0; i < AT_ONCE; i++) {
		sending = &drain.sending[i];
		if (sending->pid != pid)
			continue;
		timer_stop(&sending->deadline);
		settle(sending, wait_status);
		close(sending->said_fd);
		sending->pid = 0;
		drain.running--;
		if (sending->late)
			strike(sending->status.st_uid);
		begin_more();
		return true;
	}
	return false;
}

void drain_stop(void)
{
	timer_stop(&drain.timer);
	drain.stopped = true;
	drain.count = 0;
	if (drain.running == 0 && drain.stream != NULL)
		end_round();
}

bool drain_is_busy(void)
{
	return drain.running > 0;
}

void drain_kill(void)
{
	for (unsigned i = 0; i < AT_ONCE; i++)
		if (drain.sending[i].pid != 0)
			kill(drain.sending[i].pid, SIGKILL);
}
