/* SPDX-License-Identifier: ISC */
/*
 * Filters that do not work: killed, stalled, talking nonsense, slow for ever or
 * only slow, at each stage, with each failure policy. All sessions are run at
 * once, so that what is to be waited for is waited for once. Each sends two
 * messages; before the second its filter is well again, and must be asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/stream.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/spool.h"
#include "tests/scripted_filter.h"
#include "tests/smtpd_world.h"

/* A second is what a filter may take here for one question, two for one about
 * the content; it is asked twice before the first MAIL is answered. */
enum { MOST_MS = 60000, CODES_MAX = 24 };

static const struct kind {
	const char	*name, *words;
	unsigned	 reply;		/* its timeout */
	unsigned	 patience;	/* message-timeout */
	bool		 works;
} kinds[] = {
	{ "killed", "close", 20, 40, false },
	{ "stalled", "silent", 1, 40, false },
	{ "garbled", "garbage", 20, 40, false },
	/* Signs in time, for longer than is allowed. */
	{ "endless", "slow 600000 300; continue", 20, 1, false },
	/* Signs in time, and for longer than one may take. */
	{ "slow", "slow 2600 500; continue", 2, 40, true },
};

/* Where it fails, and at which command the client hears of it. */
static const struct place {
	const char	*name;
	enum { AT_MAIL, AT_RCPT, AT_END } heard;
} places[] = {
	{ "options", AT_MAIL }, { "connect", AT_MAIL }, { "hello", AT_MAIL },
	{ "mail", AT_MAIL }, { "rcpt", AT_RCPT }, { "data", AT_END },
	{ "header", AT_END }, { "eoh", AT_END }, { "body", AT_END },
	{ "end", AT_END },
};

static const struct policy {
	const char	*name;
	int		 code;		/* 0: it goes on */
} policies[] = { { "tempfail", 451 }, { "accept", 0 }, { "reject", 550 } };

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]),
    PLACES = sizeof(places) / sizeof(places[0]),
    POLICIES = sizeof(policies) / sizeof(policies[0]) };

static const char *const commands[] = { "EHLO client.example\r\n",
    "MAIL FROM:<a@client.example>\r\n", "RCPT TO:<alice@example.org>\r\n",
    "DATA\r\n", "Subject: s\r\n\r\nbody\r\n.\r\n" };

enum { SAY_EHLO, SAY_MAIL, SAY_RCPT, SAY_DATA, SAY_CONTENT, SAY_QUIT };

struct run {
	const struct kind	*kind;
	const struct place	*place;
	const struct policy	*policy;
	char			 filter[32];
	struct stream		*client;
	unsigned		 said;		/* the command under way */
	bool			 again;		/* the second message */
	int			 codes[CODES_MAX];
	unsigned		 count;
	bool			 ended;
	bool			 second_seen;
};

static struct world world;
static struct run runs[KINDS * PLACES * POLICIES];
static unsigned running;
static struct timer patience;

static void end_run(struct run *run)
{
	if (run->ended)
		return;
	run->ended = true;
	if (--running == 0)
		loop_stop();
}

static void say(struct run *run, unsigned what)
{
	run->said = what;
	if (what == SAY_QUIT) {
		stream_write(run->client, "QUIT\r\n", 6);
		return;
	}
	stream_write(run->client, commands[what], strlen(commands[what]));
}

/* The first message is over. */
static void begin_again(struct run *run)
{
	run->again = true;
	scripted_filter_mend(run->filter);
	scripted_filter_forget(run->filter);
	stream_write(run->client, "RSET\r\n", 6);
	run->said = SAY_EHLO;		/* what comes next is MAIL */
}

static void on_reply(struct run *run, int code)
{
	if (run->count < CODES_MAX)
		run->codes[run->count++] = code;
	if (run->count == 1)
		say(run, SAY_EHLO);
	else if (run->said == SAY_QUIT)
		return;
	else if (code >= 400 || run->said == SAY_CONTENT) {
		if (run->again)
			say(run, SAY_QUIT);
		else
			begin_again(run);
	} else {
		say(run, run->said + 1);
	}
}

static void on_client(void *arg, struct stream *stream,
    enum stream_event event)
{
	struct run *run = arg;
	struct buf *input = stream_input(stream);
	long end;

	if (event == STREAM_END || event == STREAM_FAILED) {
		end_run(run);
		return;
	}
	while ((end = buf_find(input, '\n', 0)) >= 0) {
		if (end > 3 && buf_data(input)[3] == ' ')
			on_reply(run, (int)strtol(buf_data(input), NULL,
			    10));
		buf_consume(input, (size_t)end + 1);
	}
	stream_consumed(stream);
}

static void start(struct run *run)
{
	struct rules *rules;
	char *conf, *line;
	int pair[2];

	snprintf(run->filter, sizeof(run->filter), "f%zu",
	    (size_t)(run - runs));
	conf = mem_print("milters = { %s }\nmilter %s { socket = \"/run/%s\" "
	    "failure = %s connect-timeout = %us reply-timeout = %us "
	    "message-timeout = %us }\n", run->filter, run->filter,
	    run->filter, run->policy->name, run->kind->reply,
	    run->kind->reply, run->kind->patience);
	rules = world_rules(conf, "", true);
	mem_free(conf);
	assert_non_null(rules);
	line = mem_print("%s %s", run->place->name, run->kind->words);
	assert_true(scripted_filter_set(run->filter, line));
	mem_free(line);
	server_set_rules(&world.server, rules);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair), 0);
	run->client = stream_new(pair[0], 64 << 10, on_client, run);
	running++;
	world_session(&world, pair[1], "198.51.100.7");
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop();
}

static int run_all(void **unused)
{
	(void)unused;
	world_prepare();
	world_init(&world);
	for (size_t i = 0; i < KINDS * PLACES * POLICIES; i++) {
		runs[i].kind = &kinds[i % KINDS];
		runs[i].place = &places[i / KINDS % PLACES];
		runs[i].policy = &policies[i / KINDS / PLACES];
		/* Before there are options nothing can be said to be slow. */
		if (runs[i].kind->works && runs[i].place == &places[0])
			continue;
		start(&runs[i]);
	}
	timer_start(&patience, MOST_MS, give_up, NULL);
	loop_run();
	timer_stop(&patience);
	for (size_t i = 0; i < KINDS * PLACES * POLICIES; i++) {
		if (runs[i].client == NULL)
			continue;
		runs[i].second_seen = strstr(scripted_filter_told(
		    runs[i].filter), "\nE\n") != NULL;
		stream_free(runs[i].client);
	}
	return 0;
}

static int release_all(void **unused)
{
	(void)unused;
	world_release(&world);
	scripted_filters_reset();
	fake_peers_reset();
	loop_release();
	return 0;
}

/* Appends the codes of a message that goes through, from MAIL on. */
static void add_good(int *codes, unsigned *count)
{
	codes[(*count)++] = 250;
	codes[(*count)++] = 250;
	codes[(*count)++] = 354;
	codes[(*count)++] = 250;
}

static unsigned expect(const struct run *run, int *codes)
{
	unsigned count = 0;

	codes[count++] = 220;
	codes[count++] = 250;
	if (run->kind->works || run->policy->code == 0) {
		add_good(codes, &count);
	} else {
		if (run->place->heard >= AT_RCPT)
			codes[count++] = 250;
		if (run->place->heard == AT_END) {
			codes[count++] = 250;
			codes[count++] = 354;
		}
		codes[count++] = run->policy->code;
	}
	codes[count++] = 250;		/* RSET */
	add_good(codes, &count);
	codes[count++] = 221;
	return count;
}

static void check(const struct run *run)
{
	int wanted[CODES_MAX] = { 0 };
	unsigned count = expect(run, wanted);

	for (unsigned i = 0; i < count || i < run->count; i++)
		if (wanted[i] != run->codes[i])
			fail_msg("%s at %s, failure = %s: reply %u is %d, not "
			    "%d", run->kind->name, run->place->name,
			    run->policy->name, i, run->codes[i], wanted[i]);
	if (!run->ended)
		fail_msg("%s at %s: the session hangs", run->kind->name,
		    run->place->name);
	if (!run->second_seen)
		fail_msg("%s at %s: it was not asked about the second message",
		    run->kind->name, run->place->name);
}

static void check_kind(const char *name)
{
	for (size_t i = 0; i < KINDS * PLACES * POLICIES; i++)
		if (strcmp(runs[i].kind->name, name) == 0 &&
		    runs[i].client != NULL)
			check(&runs[i]);
}

static void killed(void **unused)
{
	(void)unused;
	check_kind("killed");
}

static void stalled(void **unused)
{
	(void)unused;
	check_kind("stalled");
}

static void garbled(void **unused)
{
	(void)unused;
	check_kind("garbled");
}

static void endless(void **unused)
{
	(void)unused;
	check_kind("endless");
}

static void only_slow(void **unused)
{
	(void)unused;
	check_kind("slow");
}

/* What was held for messages was given back, and nobody is asked any more. */
static void nothing_is_left(void **unused)
{
	(void)unused;
	world_turns(4);
	assert_int_equal(running, 0);
	assert_int_equal(world.server.session_count, 0);
	assert_int_equal(spool_total(), 0);
	assert_int_equal(fake_peers_open(), 0);
	assert_int_equal(scripted_filters_open(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed),
		cmocka_unit_test(stalled),
		cmocka_unit_test(garbled),
		cmocka_unit_test(endless),
		cmocka_unit_test(only_slow),
		cmocka_unit_test(nothing_is_left),
	};

	return cmocka_run_group_tests(tests, run_all, release_all);
}
