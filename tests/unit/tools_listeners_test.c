/* SPDX-License-Identifier: ISC */
/*
 * tools/listeners.c: sockets stay open over a reload, move to the new set by
 * where they are bound, and are all back in the old one when anything about
 * the new one is wrong. Unix sockets come and go with their paths.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/conf.h"
#include "tests/scratch.h"
#include "tools/listeners.h"

static char *loopback[] = { (char *)"127.0.0.1" };
static char *two[] = { (char *)"127.0.0.1", (char *)"127.0.0.2" };
static char *foreign[] = { (char *)"127.0.0.1", (char *)"198.51.100.7" };
static char *nonsense[] = { (char *)"127.0.0.1", (char *)"mx.example" };

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct endpoint endpoint;
	uint16_t port;
	int fd;

	endpoint_parse(&endpoint, "127.0.0.1", 0);
	fd = net_listen(&endpoint, 1);
	assert_int_not_equal(fd, -1);
	net_local(fd, &endpoint);
	port = endpoint_port(&endpoint);
	close(fd);
	return port;
}

static struct conf_listener listener(const char *name, char **addresses,
    size_t count, uint16_t port)
{
	return (struct conf_listener){ .name = (char *)name,
	    .addresses = { addresses, count }, .port = port };
}

static int open_set(struct listeners *set, struct conf_listener *items,
    size_t count, struct listeners *old, char **errors)
{
	struct conf conf = { .listeners = items, .listener_count = count };

	*errors = NULL;
	return listeners_open(set, &conf, old, errors);
}

static bool answers(const char *address, uint16_t port)
{
	struct endpoint endpoint;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

	endpoint_parse(&endpoint, address, port);
	result = connect(fd, &endpoint.address.any, endpoint.length);
	close(fd);
	return result == 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* Kept, gone and new in one reload. */
static void test_take_over(void **state)
{
	uint16_t ports[3] = { free_port(), free_port(), free_port() };
	struct conf_listener first[] = {
		listener("smtp", loopback, 1, ports[0]),
		listener("old", loopback, 1, ports[1]),
	};
	struct conf_listener second[] = {
		listener("smtp", two, 2, ports[0]),
		listener("new", loopback, 1, ports[2]),
	};
	struct listeners old, fresh;
	char *errors, name[64];
	int kept;

	(void)state;
	assert_int_equal(0, open_set(&old, first, 2, NULL, &errors));
	assert_int_equal(old.count, 2);
	snprintf(name, sizeof(name), "smtp@127.0.0.1:%u",
	    (unsigned)ports[0]);
	assert_int_equal(0, listeners_find(&old, name));
	kept = old.items[0].fd;
	assert_true(fcntl(kept, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(0, open_set(&fresh, second, 2, &old, &errors));
	assert_int_equal(fresh.count, 3);
	assert_int_equal(fresh.items[listeners_find(&fresh, name)].fd, kept);
	assert_int_equal(old.items[0].fd, -1);
	listeners_release(&old);
	assert_int_equal(old.count, 0);
	assert_true(is_open(kept));
	assert_true(answers("127.0.0.1", ports[0]));
	assert_true(answers("127.0.0.2", ports[0]));
	assert_true(answers("127.0.0.1", ports[2]));
	assert_false(answers("127.0.0.1", ports[1]));
	listeners_release(&fresh);
	assert_false(is_open(kept));
}

/* The same place under another name: one socket all the time. */
static void test_renamed(void **state)
{
	uint16_t port = free_port();
	struct conf_listener first = listener("a", loopback, 1, port);
	struct conf_listener second = listener("b", loopback, 1, port);
	struct listeners old, fresh;
	char *errors;
	int kept;

	(void)state;
	assert_int_equal(0, open_set(&old, &first, 1, NULL, &errors));
	kept = old.items[0].fd;
	assert_int_equal(0, open_set(&fresh, &second, 1, &old, &errors));
	assert_int_equal(fresh.items[0].fd, kept);
	assert_int_equal('b', fresh.items[0].name[0]);
	listeners_release(&old);
	listeners_release(&fresh);
}

/* Whatever is wrong with the new set, the old one is whole and open again. */
static void test_give_back(void **state)
{
	static const struct {
		char		**addresses;
		const char	*said;
	} cases[] = {
		{ foreign, "198.51.100.7" },
		{ nonsense, "not an address" },
		{ NULL, "another program" },	/* the port of somebody else */
	};
	uint16_t ports[2] = { free_port(), free_port() }, taken;
	struct conf_listener first[] = {
		listener("smtp", two, 2, ports[0]),
		listener("more", loopback, 1, ports[1]),
	};
	struct conf_listener second[3];
	struct listeners old, fresh;
	struct endpoint endpoint;
	int fds[3], other;
	char *errors;
	size_t i, j;

	(void)state;
	endpoint_parse(&endpoint, "127.0.0.1", 0);
	other = net_listen(&endpoint, 1);
	net_local(other, &endpoint);
	taken = endpoint_port(&endpoint);
	assert_int_equal(0, open_set(&old, first, 2, NULL, &errors));
	for (i = 0; i < 3; i++)
		fds[i] = old.items[i].fd;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		second[0] = listener("renamed", two, 2, ports[0]);
		second[1] = listener("fresh", loopback, 1, free_port());
		second[2] = cases[i].addresses == NULL ?
		    listener("bad", loopback, 1, taken) :
		    listener("bad", cases[i].addresses, 2, free_port());
		assert_int_equal(-1, open_set(&fresh, second, 3, &old,
		    &errors));
		assert_non_null(strstr(errors, cases[i].said));
		mem_free(errors);
		assert_int_equal(old.count, 3);
		for (j = 0; j < 3; j++)
			assert_int_equal(old.items[j].fd, fds[j]);
		assert_true(answers("127.0.0.1", ports[0]));
		assert_true(answers("127.0.0.2", ports[0]));
		assert_true(answers("127.0.0.1", ports[1]));
		assert_false(answers("127.0.0.1",
		    (uint16_t)second[1].port));
	}
	listeners_release(&old);
	close(other);
}

/* --- Unix sockets --- */

static char folder[64];

static int open_unix(struct listeners *set, const char *path,
    const char *local, struct listeners *old, char **errors)
{
	struct conf_listener one = { .name = (char *)"lmtp",
	    .service = SERVICE_LMTP, .socket = (char *)path,
	    .socket_group = (char *)"" };
	struct conf conf = { .listeners = &one,
	    .listener_count = path == NULL ? 0 : 1,
	    .local_socket = (char *)local };

	*errors = NULL;
	return listeners_open(set, &conf, old, errors);
}

static bool answers_at(const char *path)
{
	int fd = net_connect_unix(path);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static unsigned mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(0, lstat(path, &status));
	assert_true(S_ISSOCK(status.st_mode));
	return status.st_mode & 07777;
}

/* Modes, names, a reload that keeps one and drops the other, and no path left
 * behind. */
static void test_unix(void **state)
{
	char path[100], local[100], name[200], *errors;
	struct listeners old, fresh;
	int kept;

	(void)state;
	snprintf(path, sizeof(path), "%s/lmtp", folder);
	snprintf(local, sizeof(local), "%s/submit", folder);
	assert_int_equal(0, open_unix(&old, path, local, NULL, &errors));
	assert_int_equal(old.count, 2);
	snprintf(name, sizeof(name), "lmtp@unix:%s", path);
	assert_int_equal(0, listeners_find_role(&old, name, ROLE_SMTPD));
	assert_int_equal(-1, listeners_find_role(&old, name, ROLE_STS));
	snprintf(name, sizeof(name), "local@unix:%s", local);
	assert_int_equal(1, listeners_find(&old, name));
	assert_int_equal(mode_of(path), 0660);
	assert_int_equal(mode_of(local), 0666);
	kept = old.items[1].fd;
	assert_int_equal(0, open_unix(&fresh, NULL, local, &old, &errors));
	assert_int_equal(fresh.count, 1);
	assert_int_equal(fresh.items[0].fd, kept);
	listeners_release(&old);
	assert_int_equal(-1, access(path, F_OK));
	assert_true(answers_at(local));
	/* Somebody removed the path: it comes back with the next reload. */
	old = fresh;
	assert_int_equal(0, unlink(local));
	assert_int_equal(0, open_unix(&fresh, NULL, local, &old, &errors));
	listeners_release(&old);
	assert_true(answers_at(local));
	listeners_release(&fresh);
	assert_int_equal(-1, access(local, F_OK));
}

/* A socket left behind is replaced; one that answers, and what is no socket,
 * is not; the old set stays. */
static void test_unix_taken(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[100], other[100], *errors;
	struct listeners old, fresh;
	int stale, fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/one", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(stale, (struct sockaddr *)&address,
	    sizeof(address)));
	close(stale);
	assert_int_equal(0, open_unix(&old, path, NULL, NULL, &errors));
	assert_true(answers_at(path));
	assert_int_equal(-1, open_unix(&fresh, path, NULL, NULL, &errors));
	assert_non_null(strstr(errors, "another program"));
	mem_free(errors);
	assert_true(answers_at(path));
	/* A reload with something wrong in it. */
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(-1, open_unix(&fresh, path, other, &old, &errors));
	mem_free(errors);
	assert_int_equal(0, access(other, F_OK));
	assert_int_not_equal(old.items[0].fd, -1);
	assert_true(answers_at(path));
	unlink(other);
	/* A directory that is not there is not made. */
	snprintf(other, sizeof(other), "%s/none/x", folder);
	assert_int_equal(-1, open_unix(&fresh, other, NULL, &old, &errors));
	assert_non_null(strstr(errors, "directory"));
	mem_free(errors);
	listeners_release(&old);
}

/* Policies have a process of their own. */
static void test_roles(void **state)
{
	uint16_t ports[2] = { free_port(), free_port() };
	struct conf_listener items[] = {
		listener("mta-sts", loopback, 1, ports[0]),
		listener("smtp", loopback, 1, ports[1]),
	};
	struct listeners set;
	char *errors;

	(void)state;
	items[0].service = SERVICE_MTA_STS;
	assert_int_equal(0, open_set(&set, items, 2, NULL, &errors));
	assert_int_equal(set.items[0].role, ROLE_STS);
	assert_int_equal(set.items[1].role, ROLE_SMTPD);
	listeners_release(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_over),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_unix_taken),
		cmocka_unit_test(test_roles),
	};
	int status;

	log_init("test", LOG_LEVEL_ERROR);
	if (scratch_make(folder, sizeof(folder), "listeners") == -1)
		return 1;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	return scratch_remove(folder) == 0 ? status : 1;
}
