/* SPDX-License-Identifier: ISC */
/*
 * tools/supervisor.c with true processes: the supervisor runs in a child of
 * this test, and the roles that it starts are this binary again (see main).
 * What the roles meet they write into one file, line by line; that story is
 * what the tests look at.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/process.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "smtpd/counters.h"
#include "tests/scratch.h"
#include "tests/unit/base_child.h"
#include "tests/unit/certificates.h"
#include "tools/control_client.h"
#include "tools/supervisor.h"

enum { PATIENCE = 30000, PORT = 2525 };

/* --- the roles --- */

static struct role_entry entry;
static bool configured;
static bool crashes;

/* One write, so that lines of several roles do not mix. */
static void tell(const char *event, const char *detail)
{
	char line[300];
	int length = snprintf(line, sizeof(line), "%s %s %s\n",
	    role_name(entry.role), event, detail);
	int fd = open(getenv("STORY"), O_WRONLY | O_APPEND | O_CREAT, 0600);

	if (fd == -1 || write(fd, line, (size_t)length) != length)
		abort();
	close(fd);
}

/* "# slow policy" in the configuration makes policy slow. */
static bool is_meant(const char *text, const char *what)
{
	char words[64];

	snprintf(words, sizeof(words), "# %s %s", what,
	    role_name(entry.role));
	return strstr(text, words) != NULL;
}

static void wait_file(const char *name)
{
	for (int i = 0; i < PATIENCE && access(name, F_OK) != 0; i++)
		usleep(1000);
}

static int configure(const void *data, size_t length, char *error,
    size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	char *errors = NULL;
	struct conf *conf = conf_read(bundle->name, bundle->text, &errors);
	bool first = !configured;

	configured = true;
	if (!first && is_meant(bundle->text, "crash"))
		abort();
	if (!first && is_meant(bundle->text, "slow"))
		usleep(1000000);
	if (first && is_meant(bundle->text, "late"))
		wait_file(getenv("GO"));
	crashes = is_meant(bundle->text, "starts-badly");
	tell("has", conf->hostname);
	if (is_meant(bundle->text, "refuse"))
		snprintf(error, size, "it is not to my taste");
	length = is_meant(bundle->text, "refuse");
	conf_free(conf);
	bundle_free(bundle);
	return length != 0 && !first ? -1 : 0;
}

/* A server of the machine wrote this to whoever connected. */
static void take_connection(void *arg, int fd, int error)
{
	char text[40] = "";

	(void)arg;
	if (fd != -1) {
		must(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1,
		    PATIENCE));
		tell("connects", read(fd, text, sizeof(text) - 1) > 0 ?
		    text : "to silence");
		close(fd);
	} else {
		snprintf(text, sizeof(text), "%d", error);
		tell("connects-not", text);
	}
}

/* Asks for a socket that the configuration names for the directory, for one
 * that nobody listens on, and for one that it does not name. */
static void start(void)
{
	if (crashes)
		abort();
	tell("starts", "");
	if (getenv("AUTH_SOCKET") == NULL || (entry.role != ROLE_DIRECTORY &&
	    entry.role != ROLE_DELIVERY))
		return;
	process_connect(getenv("AUTH_SOCKET"), take_connection, NULL);
	if (entry.role == ROLE_DELIVERY)
		process_connect(getenv("LMTP_SOCKET"), take_connection, NULL);
	process_connect("/etc/passwd", take_connection, NULL);
}

static void take_peer(const struct process_peer *peer, int fd)
{
	tell("meets", role_name(peer->role));
	close(fd);
}

/* What is left there of the one before; then we offer, too. */
static void take_counters(int fd)
{
	struct counters *other = counters_new(dup(fd), 1), *own;

	tell("finds", counters_least(other) == UINT_MAX ? "no offer" :
	    "an offer");
	own = counters_new(fd, 0);
	counters_offer(own, 5);
	tell("offers", counters_least(other) == 5 ? "five" : "nothing");
	counters_free(own);
	counters_free(other);
}

static void take_listener(const char *name, int fd)
{
	tell(fd == -1 ? "loses" : "hears", name);
	if (fd != -1 && strcmp(name, COUNTERS_NAME) == 0)
		take_counters(fd);
	else if (fd != -1)
		close(fd);
}

static void take_control(int fd, const struct process_caller *caller)
{
	(void)caller;
	tell("asked", "");
	close(fd);
}

static void stop(void)
{
	tell("stops", "");
	process_exit(0);
}

static int run_role(const char *name)
{
	entry = (struct role_entry){ .role = role_find(name),
	    .configure = configure, .start = start, .peer = take_peer,
	    .stop = stop };
	if (entry.role == ROLE_SMTPD || entry.role == ROLE_STS)
		entry.listener = take_listener;
	if (entry.role == ROLE_QUEUE || entry.role == ROLE_POLICY ||
	    entry.role == ROLE_DELIVERY || entry.role == ROLE_SMTPD)
		entry.control = take_control;
	return process_run(&entry, 0);
}

/* --- the world --- */

static char folder[64];
static char path[200], story_path[200], go_path[200], socket_path[100];
static char address[16];
static char story[1 << 16];
static pid_t pid;
static const char *wanted_role = "policy";	/* whose pid ask() finds */

static void write_conf(const char *hostname, const char *more)
{
	char draft[220];
	FILE *file;

	snprintf(draft, sizeof(draft), "%s.new", path);
	file = fopen(draft, "w");
	assert_non_null(file);
	fprintf(file, "%s\nhostname = %s\ndrop-privileges = no\n"
	    "state-directory = \"%s\"\nsmtpd-workers = 1\n"
	    "control-socket = \"%s\"\ntrust-anchor-file = \"\"\n"
	    "stop-timeout = 10s\n"
	    "listen smtp { addresses = { \"%s\" } port = %u }\n", more,
	    hostname, folder, socket_path, address, (unsigned)PORT);
	fclose(file);
	assert_int_equal(0, rename(draft, path));
}

static void write_file(const char *name, const char *text)
{
	char file_path[200];
	FILE *file;

	snprintf(file_path, sizeof(file_path), "%s/%s", folder, name);
	file = fopen(file_path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(0, chmod(file_path, 0600));
}

static void read_story(void)
{
	FILE *file = fopen(story_path, "r");
	size_t length = 0;

	if (file != NULL) {
		length = fread(story, 1, sizeof(story) - 1, file);
		fclose(file);
	}
	story[length] = '\0';
}

static unsigned count(const char *line)
{
	const char *at = story;
	unsigned found = 0;

	read_story();
	for (; (at = strstr(at, line)) != NULL; at++)
		found++;
	return found;
}

static void wait_line(const char *line, unsigned times)
{
	int64_t begin = clock_monotonic();

	while (count(line) < times) {
		if (clock_monotonic() - begin > PATIENCE)
			fail_msg("not %u times \"%s\" in:\n%s", times, line,
			    story);
		usleep(10000);
	}
}

static void run_supervisor(const char *more)
{
	unlink(go_path);
	unlink(story_path);
	write_conf("one.example", more);
	pid = must(fork());
	if (pid == 0) {
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(90);
		_exit(supervisor_run(path));
	}
}

static void stop_supervisor(void)
{
	int status;

	kill(pid, SIGTERM);
	must(waitpid(pid, &status, 0));
	pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void on_line(void *arg, const json_t *object)
{
	const char *role = json_string_value(json_object_get(object, "role"));
	int64_t *found = arg;

	if (found != NULL && role != NULL && strcmp(role, wanted_role) == 0)
		*found = json_integer_value(json_object_get(object, "pid"));
}

/* A test that failed leaves nobody behind. */
static int tear_down(void **state)
{
	(void)state;
	if (pid > 0) {
		kill(pid, SIGKILL);
		must(waitpid(pid, NULL, 0));
		usleep(300000);		/* the roles see it and go */
	}
	pid = 0;
	return 0;
}

/* Asks the supervisor; its answer's code. */
static int ask(unsigned verb, int64_t *policy)
{
	char *errors = NULL, *text = bundle_read_text(path, &errors);
	struct conf *conf = conf_read(path, text, &errors);
	struct capture capture;
	char said[1000];
	int code;

	assert_non_null(conf);
	capture_begin(&capture);
	code = control_client_tell(conf, verb, on_line, policy);
	capture_end(&capture, said, sizeof(said));
	conf_free(conf);
	mem_free(text);
	return code;
}

/* --- tests --- */

/* Who was killed accepts nothing any more: others need not wait for it. */
static void test_killed_offers_nothing(void **state)
{
	int64_t smtpd = 0;

	(void)state;
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	wait_line("smtpd offers five", 1);
	wanted_role = "smtpd";
	assert_int_equal(0, ask(CONTROL_STATUS, &smtpd));
	wanted_role = "policy";
	assert_true(smtpd > 1);
	kill((pid_t)smtpd, SIGKILL);
	wait_line("smtpd offers five", 2);
	assert_int_equal(count("smtpd finds no offer"), 2);
	wait_line("smtpd hears smtp@", 2);
	stop_supervisor();
}

/* Each pair of roles that may talk gets one channel, however the roles become
 * ready; listeners come when all are. A role that died gets all of it anew. */
static void test_start_and_death(void **state)
{
	static const char *const pairs[] = { "queue meets delivery",
	    "queue meets mailbox", "queue meets smtpd", "policy meets delivery",
	    "policy meets smtpd", "directory meets smtpd",
	    "delivery meets policy", "smtpd meets queue" };
	int64_t policy = 0;
	size_t i;

	(void)state;
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	usleep(200000);
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (count(pairs[i]) != 1)
			fail_msg("%s: %u times", pairs[i], count(pairs[i]));
	assert_int_equal(count("delivery meets directory"), 0);
	assert_int_equal(count("smtpd hears smtp@"), 1);
	assert_int_equal(0, ask(CONTROL_STATUS, &policy));
	assert_true(policy > 1);
	kill((pid_t)policy, SIGKILL);
	wait_line("policy starts", 2);
	wait_line("policy meets delivery", 2);
	wait_line("policy meets smtpd", 2);
	wait_line("delivery meets policy", 2);
	wait_line("smtpd meets policy", 2);
	usleep(200000);
	assert_int_equal(count("delivery meets policy"), 2);
	assert_int_equal(count("queue meets delivery"), 1);
	assert_int_equal(count("smtpd hears smtp@"), 1);
	stop_supervisor();
	/* The order of the end: who takes mail first, the queue behind. */
	assert_true(strstr(story, "smtpd stops") == NULL);
	read_story();
	assert_true(strstr(story, "smtpd stops") <
	    strstr(story, "delivery stops"));
	assert_true(strstr(story, "delivery stops") <
	    strstr(story, "queue stops"));
	assert_true(strstr(story, "queue stops") <
	    strstr(story, "policy stops"));
}

/* A role dies of a new configuration: whoever asked hears of it at once, not
 * when the time is over. */
static void test_death_in_reload(void **state)
{
	int64_t begin;

	(void)state;
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	write_conf("two.example", "# crash delivery");
	begin = clock_monotonic();
	ask(CONTROL_RELOAD, NULL);
	assert_true(clock_monotonic() - begin < 20000);
	wait_line("delivery has two.example", 1);
	wait_line("delivery meets queue", 2);
	/* And the next reload is nothing special. */
	write_conf("three.example", "");
	assert_int_equal(CONTROL_OK, ask(CONTROL_RELOAD, NULL));
	assert_int_equal(1, count("delivery has three.example"));
	write_conf("four.example", "# refuse queue");
	assert_int_equal(CONTROL_CONFIG, ask(CONTROL_RELOAD, NULL));
	stop_supervisor();
}

/* The file changes again while a reload is under way: the last one counts. */
static void test_signal_in_reload(void **state)
{
	(void)state;
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	write_conf("two.example", "# slow policy");
	kill(pid, SIGHUP);
	wait_line("delivery has two.example", 1);
	write_conf("three.example", "");
	kill(pid, SIGHUP);
	wait_line("delivery has three.example", 1);
	wait_line("policy has three.example", 1);
	stop_supervisor();
}

/* More than fits into a message to a role: refused before anybody is told, and
 * a role that dies later starts with what was in force. */
static void test_too_large(void **state)
{
	static char block[1 << 20];
	char more[2000] = "", name[300];
	int64_t directory = 0;
	size_t used = 0, i, j;
	FILE *file;

	(void)state;
	memset(block, '#', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "%s/users%zu", folder, i);
		file = fopen(name, "w");
		assert_non_null(file);
		for (j = 0; j < 4; j++)
			fwrite(block, 1, sizeof(block), file);
		fclose(file);
		used += (size_t)snprintf(more + used, sizeof(more) - used,
		    "domain d%zu.example { users-file = \"%s\" }\n", i, name);
	}
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	write_conf("two.example", more);
	assert_int_equal(CONTROL_CONFIG, ask(CONTROL_RELOAD, NULL));
	assert_int_equal(0, count("has two.example"));
	wanted_role = "directory";
	assert_int_equal(0, ask(CONTROL_STATUS, &directory));
	wanted_role = "policy";
	assert_true(directory > 1);
	kill((pid_t)directory, SIGKILL);
	wait_line("directory has one.example", 2);
	wait_line("smtpd meets directory", 2);
	stop_supervisor();
}

/* Before everybody is ready nobody listens, whatever is reloaded. */
static void test_reload_at_start(void **state)
{
	(void)state;
	run_supervisor("# late policy");
	wait_line("smtpd starts", 1);
	usleep(200000);
	write_conf("two.example", "");
	kill(pid, SIGHUP);
	wait_line("smtpd has two.example", 1);
	usleep(100000);
	assert_int_equal(0, count("policy starts"));
	assert_int_equal(0, count("smtpd hears"));
	write_file("go", "");
	wait_line("policy starts", 1);
	wait_line("smtpd hears", 1);
	stop_supervisor();
}

/* An operator's command that names a role without verbs, from anybody who may
 * open the socket. */
static void say_hello(uint8_t role, char *answer, size_t size)
{
	struct control_hello hello = { .magic = "POSTERN1", .role = role };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t length = 0;
	ssize_t got;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", socket_path);
	must(connect(fd, (struct sockaddr *)&name, sizeof(name)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience)));
	assert_int_equal(sizeof(hello), write(fd, &hello, sizeof(hello)));
	while (length + 1 < size &&
	    (got = read(fd, answer + length, size - 1 - length)) > 0)
		length += (size_t)got;
	answer[length] = '\0';
	close(fd);
}

static void test_hello(void **state)
{
	char answer[1000];
	unsigned role;

	(void)state;
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	for (role = ROLE_SMTPD; role < ROLE_COUNT; role++) {
		say_hello((uint8_t)role, answer, sizeof(answer));
		if (role != ROLE_QUEUE && role != ROLE_POLICY &&
		    role != ROLE_DELIVERY && role != ROLE_SMTPD)
			assert_non_null(strstr(answer, "\"end\""));
	}
	say_hello(200, answer, sizeof(answer));
	wait_line("queue asked", 1);
	wait_line("policy asked", 1);
	wait_line("delivery asked", 1);
	wait_line("smtpd asked", 1);
	usleep(300000);
	for (role = ROLE_SMTPD; role < ROLE_COUNT; role++) {
		snprintf(answer, sizeof(answer), "%s starts",
		    role_name(role));
		assert_int_equal(role != ROLE_STS, count(answer));
	}
	stop_supervisor();
}

/* The role that serves policies is there while a listener is for it. */
static void test_policies(void **state)
{
	static const char section[] = "listen web { service = mta-sts "
	    "addresses = { \"%s\" } port = %u }\n";
	struct certificate *pair = certificate_new(
	    &(struct certificate_plan){ .common_name = "one.example",
	    .alternative_names = "DNS:one.example" });
	char more[800], hears[60];
	int length;

	(void)state;
	snprintf(hears, sizeof(hears), "sts hears web@%s", address);
	write_file("chain.pem", certificate_pem(pair));
	write_file("key.pem", certificate_key_pem(pair));
	certificate_free(pair);
	run_supervisor("");
	wait_line("smtpd hears smtp@", 1);
	assert_int_equal(0, count("sts starts"));
	length = snprintf(more, sizeof(more), section, address, PORT + 1);
	snprintf(more + length, sizeof(more) - (size_t)length,
	    "certificate one.example { chain = \"%s/chain.pem\" "
	    "key = \"%s/key.pem\" }", folder, folder);
	write_conf("two.example", more);
	assert_int_equal(CONTROL_OK, ask(CONTROL_RELOAD, NULL));
	wait_line("sts has two.example", 1);
	wait_line(hears, 1);
	assert_int_equal(0, count("smtpd hears web@"));
	assert_int_equal(0, count("sts meets"));
	write_conf("three.example", "");
	assert_int_equal(CONTROL_OK, ask(CONTROL_RELOAD, NULL));
	wait_line("sts stops", 1);
	assert_int_equal(0, count("sts has three.example"));
	write_conf("four.example", more);
	assert_int_equal(CONTROL_OK, ask(CONTROL_RELOAD, NULL));
	wait_line("sts has four.example", 1);
	wait_line(hears, 2);
	stop_supervisor();
	assert_int_equal(2, count("sts stops"));
}

/* Sockets that the configuration names, for the role that it is about. */
static void test_connections(void **state)
{
	char auth[100], lmtp[100], more[600];
	int listening, fd;

	(void)state;
	snprintf(auth, sizeof(auth), "%s/auth", folder);
	snprintf(lmtp, sizeof(lmtp), "%s/lmtp", folder);
	setenv("AUTH_SOCKET", auth, 1);
	setenv("LMTP_SOCKET", lmtp, 1);
	listening = must(net_listen_unix(auth, 0600, 5));
	snprintf(more, sizeof(more), "auth-socket = \"%s\"\n"
	    "route \"box.example\" { transport = lmtp socket = \"%s\" }",
	    auth, lmtp);
	run_supervisor(more);
	must(poll(&(struct pollfd){ .fd = listening, .events = POLLIN }, 1,
	    PATIENCE));
	fd = must(net_accept(listening, &(struct endpoint){ 0 }));
	must(write(fd, "hello", 5));
	close(fd);
	wait_line("directory connects hello", 1);
	snprintf(more, sizeof(more), "directory connects-not %d", EACCES);
	wait_line(more, 1);	/* /etc/passwd */
	snprintf(more, sizeof(more), "delivery connects-not %d", EACCES);
	wait_line(more, 2);	/* and the directory's */
	snprintf(more, sizeof(more), "delivery connects-not %d", ENOENT);
	wait_line(more, 1);	/* its own: nobody is there */
	stop_supervisor();
	unsetenv("AUTH_SOCKET");
	close(listening);
	unlink(auth);
}

/* Told to stop while a role keeps dying at its start. */
static void test_stop_with_dead_role(void **state)
{
	(void)state;
	run_supervisor("# starts-badly mailbox");
	wait_line("mailbox has", 3);
	assert_int_equal(0, count("smtpd hears"));
	stop_supervisor();
	assert_int_equal(1, count("queue stops"));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_death),
		TEST(test_killed_offers_nothing),
		TEST(test_death_in_reload),
		TEST(test_signal_in_reload),
		TEST(test_too_large),
		TEST(test_reload_at_start),
		TEST(test_hello),
		TEST(test_policies),
		TEST(test_connections),
		TEST(test_stop_with_dead_role),
	};
	int status;

	if (argc > 1 && strncmp(argv[1], "--role=", 7) == 0)
		return run_role(argv[1] + 7);
	if (scratch_make(folder, sizeof(folder), "supervisor") == -1)
		return 1;
	snprintf(path, sizeof(path), "%s/postern.conf", folder);
	snprintf(story_path, sizeof(story_path), "%s/story", folder);
	snprintf(socket_path, sizeof(socket_path), "%s/control", folder);
	setenv("STORY", story_path, 1);
	snprintf(go_path, sizeof(go_path), "%s/go", folder);
	setenv("GO", go_path, 1);
	/* Nobody else's: the ports of the machine's addresses are drawn by
	 * lot by whoever connects. */
	snprintf(address, sizeof(address), "127.%d.%d.%d",
	    64 + (getpid() >> 16 & 63), getpid() >> 8 & 255, getpid() & 255);
	log_init("test", LOG_LEVEL_ERROR);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	return scratch_remove(folder) == 0 ? status : 1;
}
