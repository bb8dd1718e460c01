/* SPDX-License-Identifier: ISC */
/*
 * Three processes: the caller; a keeper, which makes the namespaces and waits;
 * and the first process inside. Each asks the kernel to be killed when the one
 * before it ends, and with the first process everything inside ends, so that
 * nothing outlives the caller. Inside, what there was of the file system is
 * read-only; /run is new memory, and so is what is written in /tmp.
 */
#include "tools/lab/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/lab/namespace_network.h"

enum { TMPFS = 0x01021994, OVERLAY = 0x794c7630, SENTENCE = 512,
    NAMESPACES = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID |
    CLONE_NEWUTS };

/* What every MTA may look for; the CA certificates are the run's. */
static const struct file {
	const char	*path;
	const char	*text;
} files[] = {
	{ "/etc/resolv.conf",
	    "nameserver 127.0.0.1\noptions edns0 trust-ad\n" },
	{ "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"
	    "192.0.2.251 mta.origin.example mta\n" },
	{ "/etc/nsswitch.conf", "passwd: files\ngroup: files\n"
	    "hosts: files dns\nservices: files\nprotocols: files\n" },
	{ "/etc/passwd", "root:x:0:0:root:/run/lab:/bin/sh\n"
	    "daemon:x:1:1:daemon:/:/bin/false\n"
	    "mail:x:8:8:mail:/:/bin/false\n"
	    "postfix:x:100:100:postfix:/:/bin/false\n"
	    "Debian-exim:x:102:102:exim:/:/bin/false\n"
	    "nobody:x:65534:65534:nobody:/:/bin/false\n" },
	{ "/etc/group", "root:x:0:\ndaemon:x:1:\nmail:x:8:\n"
	    "postfix:x:100:\npostdrop:x:101:\nDebian-exim:x:102:\n"
	    "nogroup:x:65534:\n" },
};

/* The caller's question, for the processes to come. */
struct birth {
	int	(*inside)(void *arg);
	void	*arg;
	pid_t	 caller;
	int	 report;	/* a sentence is written here, or nothing */
	char	*error;		/* SENTENCE bytes */
};

static bool read_number(const char *path, long *number)
{
	FILE *file = fopen(path, "re");
	bool found = file != NULL && fscanf(file, "%ld", number) == 1;

	if (file != NULL)
		fclose(file);
	return found;
}

/* Why may we have no user namespace, and who can change it? */
static void explain_refusal(int problem, char *error, size_t size)
{
	long number;

	if (read_number("/proc/sys/user/max_user_namespaces", &number) &&
	    number == 0)
		snprintf(error, size, "user namespaces are switched off "
		    "(sysctl user.max_user_namespaces = 0): as root, set it to "
		    "1000, or run the lab as root");
	else if (read_number("/proc/sys/kernel/unprivileged_userns_clone",
	    &number) && number == 0)
		snprintf(error, size, "user namespaces are for root only "
		    "(sysctl kernel.unprivileged_userns_clone = 0): as root, "
		    "set it to 1, or run the lab as root");
	else if (read_number("/proc/sys/kernel/"
	    "apparmor_restrict_unprivileged_userns", &number) && number == 1)
		snprintf(error, size, "AppArmor restricts user namespaces "
		    "(sysctl kernel.apparmor_restrict_unprivileged_userns = "
		    "1): as root, set it to 0, or run the lab as root");
	else
		snprintf(error, size, "the kernel gives no namespaces (%s); "
		    "in a container, its profile must allow unshare(2) and "
		    "mount(2)", strerror(problem));
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t length = (ssize_t)strlen(text);
	int result;

	if (fd == -1)
		return -1;
	result = write(fd, text, (size_t)length) == length ? 0 : -1;
	return close(fd) == 0 ? result : -1;
}

/* A user namespace with one identity: ours, which is root's inside. */
static int enter_user_namespace(char *error)
{
	char uids[64], gids[64];

	/* After unshare(2) we are nobody until the maps are written. */
	snprintf(uids, sizeof(uids), "0 %u 1\n", (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1\n", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | NAMESPACES) == -1) {
		explain_refusal(errno, error, SENTENCE);
		return -1;
	}
	if (write_file("/proc/self/setgroups", "deny") == -1 ||
	    write_file("/proc/self/uid_map", uids) == -1 ||
	    write_file("/proc/self/gid_map", gids) == -1) {
		snprintf(error, SENTENCE, "the identities of the user "
		    "namespace cannot be set: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* Root needs no user namespace, so its identities stay real; a root without
 * the right to it is like everybody else. */
static int enter_namespaces(char *error)
{
	if (geteuid() == 0 && unshare(NAMESPACES) == 0)
		return 0;
	return enter_user_namespace(error);
}

/* --- files --- */

static void make_parents(const char *path)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			return;
		*slash = '/';
	}
}

/* An overlay whose changes are in memory: upper and work below /run/lab. */
static int cover(const char *directory, const char *name)
{
	char upper[100], work[100], options[400];

	snprintf(upper, sizeof(upper), "/run/lab/.cover/%s/upper", name);
	snprintf(work, sizeof(work), "/run/lab/.cover/%s/work", name);
	make_parents(upper);
	if (mkdir(upper, 0755) == -1 || mkdir(work, 0755) == -1)
		return -1;
	snprintf(options, sizeof(options),
	    "lowerdir=%s,upperdir=%s,workdir=%s,userxattr", directory, upper,
	    work);
	if (mount("overlay", directory, "overlay", 0, options) == 0)
		return 0;
	*strrchr(options, ',') = '\0';
	return mount("overlay", directory, "overlay", 0, options);
}

/* Can a file be made there without touching the machine's own disks? */
static bool is_ours(const char *path)
{
	char copy[256];
	struct statfs system;
	char *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((slash = strrchr(copy, '/')) != NULL && slash != copy) {
		*slash = '\0';
		if (statfs(copy, &system) == 0)
			return (system.f_type == TMPFS ||
			    system.f_type == OVERLAY) &&
			    access(copy, W_OK) == 0 &&
			    (strncmp(copy, "/run", 4) == 0 ||
			    system.f_type == OVERLAY);
	}
	return false;
}

static int make_missing(const char *path, const char *text)
{
	char target[256], top[32];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	/* A link that leads nowhere now, as to systemd's resolver. */
	if (length > 0) {
		target[length] = '\0';
		path = target;
	}
	if (path[0] != '/')
		return -1;
	if (!is_ours(path)) {
		/* "/etc/ssl/x": the whole of /etc */
		snprintf(top, sizeof(top), "%.*s",
		    (int)(1 + strcspn(path + 1, "/")), path);
		if (cover(top, top + 1) == -1)
			return -1;
	}
	make_parents(path);
	return write_file(path, text);
}

int lab_namespace_put(const char *path, const char *text, char *error,
    size_t size)
{
	static unsigned number;
	char from[64];
	int result = -1;

	snprintf(from, sizeof(from), "/run/lab/.put%u", number++);
	if (write_file(from, text) == 0 && access(path, F_OK) == 0)
		result = mount(from, path, NULL, MS_BIND, NULL);
	unlink(from);
	if (result == -1)
		result = make_missing(path, text);
	if (result == -1)
		snprintf(error, size, "%s cannot be put in place inside the "
		    "lab: %s", path, strerror(errno));
	return result;
}

/* The machine's files can be read and not changed. Older kernels cannot do
 * that; then it is up to the MTA to write in its own directory only. */
static void freeze_files(void)
{
	struct mount_attr change = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &change,
	    sizeof(change));
}

static int make_files(char *error)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1) {
		snprintf(error, SENTENCE, "mount(2): %s; in a container, its "
		    "profile must allow it", strerror(errno));
		return -1;
	}
	freeze_files();
	/* Not in every container; then /proc shows the processes outside. */
	(void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	    NULL);
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV,
	    "mode=0755") == -1 || mkdir("/run/lab", 0755) == -1 ||
	    mkdir("/run/lab/tmp", 01777) == -1 ||
	    chmod("/run/lab/tmp", 01777) == -1) {
		snprintf(error, SENTENCE, "no memory file system on /run: %s",
		    strerror(errno));
		return -1;
	}
	/* The programs under test may lie in /tmp; so its files are still
	 * seen. TMPDIR is elsewhere for those who ask. */
	(void)cover("/tmp", "tmp");
	(void)mount("tmpfs", "/var/tmp", "tmpfs", 0, "mode=1777");
	(void)mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
	setenv("TMPDIR", "/run/lab/tmp", 1);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (lab_namespace_put(files[i].path, files[i].text, error,
		    SENTENCE) == -1)
			return -1;
	return 0;
}

/* --- processes --- */

static void report(const struct birth *birth)
{
	if (birth->error[0] != '\0' && write(birth->report, birth->error,
	    strlen(birth->error)) == -1)
		fprintf(stderr, "postern-lab: %s\n", birth->error);
	close(birth->report);
}

/* Both ask to die with their parent; go proves that it was alive after. */
static int first_process(const struct birth *birth, int go)
{
	static const char name[] = "mta.origin.example";
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(go, &byte, 1) != 1)
		return LAB_UNAVAILABLE;
	close(go);
	if (make_files(birth->error) == -1 || lab_network_up(birth->error,
	    SENTENCE) == -1 || sethostname(name, strlen(name)) == -1) {
		report(birth);
		return LAB_UNAVAILABLE;
	}
	report(birth);
	return birth->inside(birth->arg);
}

/* The keeper's: told to end, it ends what is inside, and waits until nobody of
 * it is left. */
static volatile pid_t kept;

static void on_signal(int number)
{
	(void)number;
	kill(kept, SIGKILL);
}

static void catch_signals(void)
{
	const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal }, old;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

static int keep(const struct birth *birth)
{
	int go[2], status;
	pid_t first;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != birth->caller)
		return LAB_UNAVAILABLE;
	if (enter_namespaces(birth->error) == -1) {
		report(birth);
		return LAB_UNAVAILABLE;
	}
	/* A change of identity has taken the request back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != birth->caller || pipe2(go, O_CLOEXEC) == -1 ||
	    (first = fork()) == -1)
		return LAB_UNAVAILABLE;
	if (first == 0) {
		close(go[1]);
		status = first_process(birth, go[0]);
		fflush(NULL);
		_exit(status);
	}
	kept = first;
	catch_signals();
	close(go[0]);
	close(birth->report);
	if (write(go[1], "g", 1) != 1)
		return LAB_UNAVAILABLE;
	while (waitpid(first, &status, 0) == -1)
		if (errno != EINTR)
			return LAB_UNAVAILABLE;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
}

static void read_report(int fd, char *sentence)
{
	size_t used = 0;
	ssize_t got;

	while (used < SENTENCE - 1 && ((got = read(fd, sentence + used,
	    SENTENCE - 1 - used)) > 0 || (got == -1 && errno == EINTR)))
		used += got > 0 ? (size_t)got : 0;
	sentence[used] = '\0';
}

pid_t lab_namespace_run(int (*inside)(void *arg), void *arg, char *error,
    size_t size)
{
	char sentence[SENTENCE] = "";
	struct birth birth = { .inside = inside, .arg = arg,
	    .caller = getpid(), .error = sentence };
	int ends[2], status;
	sigset_t none;
	pid_t keeper;

	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) == -1 || (keeper = fork()) == -1) {
		snprintf(error, size, "no process: %s", strerror(errno));
		return -1;
	}
	if (keeper == 0) {
		close(ends[0]);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		birth.report = ends[1];
		_exit(keep(&birth));
	}
	close(ends[1]);
	read_report(ends[0], sentence);
	close(ends[0]);
	if (sentence[0] == '\0')
		return keeper;
	snprintf(error, size, "%s", sentence);
	while (waitpid(keeper, &status, 0) == -1 && errno == EINTR)
		continue;
	return -1;
}

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

int lab_namespace_check(char *error, size_t size)
{
	pid_t pid = lab_namespace_run(do_nothing, NULL, error, size);
	int status;

	if (pid == -1)
		return -1;
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	snprintf(error, size, "the first process of the lab's machine ended "
	    "at once (status 0x%x)", (unsigned)status);
	return -1;
}
