/* SPDX-License-Identifier: ISC */
/*
 * Who lives where. Unprivileged mode: everything belongs to the caller.
 */
#include "tools/directories.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"

/* All users add files, none sees or removes those of others. */
enum { DROP_MODE_ALL = 01733, DROP_MODE_OWN = 0700 };

char *directories_user(const struct conf *conf, enum role role)
{
	if (!conf->drop_privileges || geteuid() != 0)
		return mem_dup_string("");
	if (role == ROLE_MAILBOX)
		return mem_dup_string(conf->mail_user);
	return mem_print("%s%s", conf->users_prefix, role_name(role));
}

static char *role_directory(const struct conf *conf, enum role role)
{
	switch (role) {
	case ROLE_QUEUE: return mem_dup_string(conf->queue_directory);
	case ROLE_MAILBOX: return mem_dup_string(conf->mail_directory);
	case ROLE_POLICY: return mem_print("%s/policy", conf->state_directory);
	default: return mem_print("%s/empty", conf->run_directory);
	}
}

char *directories_root(const struct conf *conf, enum role role)
{
	if (!conf->drop_privileges || geteuid() != 0)
		return mem_dup_string("");
	return role_directory(conf, role);
}

/*
 * A directory whose own name is not on the disk is gone after a power cut with
 * all that its owner flushed into it. What was there already may be of a start
 * that was cut off before this: flushed too, if we may look into its parent.
 */
static int sync_parent(char *path, bool made)
{
	char *slash = strrchr(path, '/');
	int fd, result;

	*slash = '\0';
	fd = open(slash == path ? "/" : path, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	*slash = '/';
	result = fd == -1 ? -1 : fsync(fd);
	if (fd != -1)
		close(fd);
	return made ? result : 0;
}

/* Every missing part of the path; parents are 0755. */
static int make_parents(char *path)
{
	char *slash = path;
	int made;

	while ((slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		/* Not less by a umask: others must get to the sockets. */
		if (mkdir(path, 0755) == 0)
			made = chmod(path, 0755) == -1 ? -1 :
			    sync_parent(path, true);
		else
			made = errno == EEXIST ? 0 : -1;
		*slash = '/';
		if (made == -1)
			return -1;
	}
	return 0;
}

/* Opened before it is looked at, so that what is checked is what is used. */
static int own(const char *path, uid_t uid, gid_t gid, mode_t mode,
    char **errors)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = -1;

	if (fd == -1 || fstat(fd, &status) == -1) {
		*errors = mem_print("%s: %s", path, strerror(errno));
	} else if (status.st_uid != uid && status.st_uid != geteuid()) {
		*errors = mem_print("%s belongs to user %d, not to %d: give it "
		    "to the right user (chown -R), or choose another directory",
		    path, (int)status.st_uid, (int)uid);
	} else if ((status.st_uid != uid || status.st_gid != gid) &&
	    fchown(fd, uid, gid) == -1) {
		*errors = mem_print("%s: cannot change the owner: %s", path,
		    strerror(errno));
	} else if (fchmod(fd, mode) == -1) {
		*errors = mem_print("%s: cannot change the mode: %s", path,
		    strerror(errno));
	} else {
		result = 0;
	}
	if (fd != -1)
		close(fd);
	return result;
}

static int make(char *path, const char *user, mode_t mode, char **errors)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct passwd *entry;
	bool made;

	if (user[0] != '\0') {
		entry = getpwnam(user);
		if (entry == NULL) {
			*errors = mem_print("there is no user \"%s\": run "
			    "systemd-sysusers (the package does), or set "
			    "drop-privileges = no", user);
			return -1;
		}
		uid = entry->pw_uid;
		gid = entry->pw_gid;
	}
	made = make_parents(path) == 0 && mkdir(path, mode) == 0;
	if ((!made && errno != EEXIST) || sync_parent(path, made) == -1) {
		*errors = mem_print("cannot make the directory %s: %s", path,
		    strerror(errno));
		return -1;
	}
	return own(path, uid, gid, mode, errors);
}

static int make_for(const struct conf *conf, enum role role, mode_t mode,
    char **errors)
{
	char *path = role_directory(conf, role);
	char *user = directories_user(conf, role);
	int result = make(path, user, mode, errors);

	mem_free(path);
	mem_free(user);
	return result;
}

int directories_make_drop(const struct conf *conf, char **errors)
{
	bool everybody = conf->drop_privileges && geteuid() == 0;

	return make(conf->drop_directory, "", everybody ? DROP_MODE_ALL :
	    DROP_MODE_OWN, errors);
}

int directories_make_state(const struct conf *conf, char **errors)
{
	struct stat status;

	if (stat(conf->state_directory, &status) == 0 || errno != ENOENT)
		return 0;
	return make(conf->state_directory, "", 0755, errors);
}

int directories_make(const struct conf *conf, char **errors)
{
	char *empty;
	int result;

	if (make(conf->run_directory, "", 0755, errors) == -1 ||
	    make(conf->state_directory, "", 0755, errors) == -1)
		return -1;
	empty = mem_print("%s/empty", conf->run_directory);
	result = make(empty, "", 0555, errors);
	mem_free(empty);
	if (result == -1 ||
	    make_for(conf, ROLE_QUEUE, 0700, errors) == -1 ||
	    make_for(conf, ROLE_POLICY, 0700, errors) == -1 ||
	    make_for(conf, ROLE_MAILBOX, 0750, errors) == -1 ||
	    directories_make_drop(conf, errors) == -1)
		return -1;
	return 0;
}
