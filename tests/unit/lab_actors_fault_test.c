/* SPDX-License-Identifier: ISC */
/*
 * What a mail host does wrong beyond words and ends: pieces and floods, broken
 * seals, the end of TLS in the middle, what comes unasked. A message counts as
 * taken exactly when a reply that takes it was said to its last byte.
 */
#include "tools/lab/actors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "tests/unit/lab_actors_cases.h"
#include "tests/unit/lab_actors_client.h"
#include "tests/unit/lab_actors_world.h"
#include "tools/lab/mail_host.h"

#define START "220 250+ 220 TLS 250 "
#define UP_TO_DOT "220 250 250 250 354 "
#define SEEN_DOT "connect EHLO MAIL RCPT DATA "

static const struct host_case cases[] = {
	{ "helo-5xx", LAB_TLS_NONE, "", { "ehlo 502 x", "helo 550 no" },
	    "220 502 550 221 eof", "connect EHLO HELO QUIT end", PLAIN },
	{ "helo-close", LAB_TLS_STARTTLS, "", { "secured 500 x",
	    "helo close" }, "220 250+ 220 TLS 500 eof", SEEN_START
	    "HELO+ end", PLAIN },
	{ "quit-5xx", LAB_TLS_NONE, "", { "quit 500 stay" },
	    UP_TO_DOT "250 500 stall", SEEN_DOT "message(m1) QUIT end", PLAIN },

	/* Bytes that are no reply: nothing is done, and it goes on. */
	{ "raw-connect", LAB_TLS_NONE, "", { "connect raw 220-first|" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "raw-implicit", LAB_TLS_IMPLICIT, "", { "connect raw x|" },
	    "garbage", "connect no-tls end", PLAIN },
	{ "raw-greeting", LAB_TLS_NONE, "", { "greeting raw 220 x|" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "raw-ehlo", LAB_TLS_NONE, "", { "ehlo raw 250 fine%0d%0A" },
	    "220 250 503 221 eof", "connect EHLO MAIL QUIT end", PLAIN },
	{ "raw-starttls", LAB_TLS_STARTTLS, "", { "starttls raw 454 no|" },
	    "220 250+ 454 " GOOD_REST, "connect EHLO STARTTLS starttls "
	    SEEN_CLEAR, PLAIN },
	{ "raw-handshake", LAB_TLS_STARTTLS, "", { "handshake raw HTTP/1.1|" },
	    "220 250+ 220 garbage", SEEN_BROKEN, PLAIN },
	{ "raw-mail", LAB_TLS_NONE, "", { "mail raw 250 ok" },
	    "220 250 stall", "connect EHLO MAIL end", PLAIN },
	{ "raw-message", LAB_TLS_NONE, "", { "message raw 250 taken|" },
	    UP_TO_DOT "250 221 eof", SEEN_DOT "QUIT end", PLAIN },
	{ "raw-quit", LAB_TLS_NONE, "", { "quit raw 221 bye|" },
	    UP_TO_DOT "250 221 stall", SEEN_DOT "message(m1) QUIT end", PLAIN },

	/* Ends. */
	{ "mail-cut", LAB_TLS_STARTTLS, "", { "mail cut" },
	    START "cut", SEEN_START "MAIL+ end", PLAIN },
	{ "mail-cut-clear", LAB_TLS_NONE, "", { "mail cut" },
	    "220 250 eof", "connect EHLO MAIL end", PLAIN },
	{ "connect-cut", LAB_TLS_IMPLICIT, "", { "connect cut" },
	    "cut", "connect end", PLAIN },
	{ "flight-close", LAB_TLS_STARTTLS, "", { "flight close" },
	    "220 250+ 220 cut", SEEN_BROKEN, PLAIN },
	{ "flight-cut", LAB_TLS_IMPLICIT, "", { "flight cut" },
	    "cut", "connect no-tls end", PLAIN },
	{ "flight-reset", LAB_TLS_STARTTLS, "", { "flight reset" },
	    "220 250+ 220 reset", SEEN_BROKEN, PLAIN },
	{ "flight-stall", LAB_TLS_STARTTLS, "", { "flight stall" },
	    "220 250+ 220 stall", SEEN_BROKEN, PLAIN },
	{ "secured-alert", LAB_TLS_STARTTLS, "",
	    { "secured alert internal_error" }, "220 250+ 220 TLS garbage",
	    SEEN_START "end", PLAIN },
	{ "handshake-alert", LAB_TLS_STARTTLS, "",
	    { "handshake alert protocol_version" },
	    "220 250+ 220 alert", SEEN_BROKEN, PLAIN },

	/* T-28: the first record of the server's that has data. */
	{ "secured-corrupt", LAB_TLS_STARTTLS, "", { "secured corrupt" },
	    "220 250+ 220 TLS garbage", SEEN_START "end", PLAIN },
	{ "greeting-corrupt", LAB_TLS_IMPLICIT, "", { "greeting corrupt" },
	    "TLS garbage", "connect tls end", PLAIN },
	{ "message-corrupt", LAB_TLS_STARTTLS, "", { "message corrupt" },
	    START "250 250 354 garbage", SEEN_START "MAIL+ RCPT+ DATA+ end",
	    PLAIN },
	/* In clear there is no seal: the next that fits rules. */
	{ "mail-corrupt-clear", LAB_TLS_NONE, "", { "mail corrupt",
	    "mail unwrap 250 x", "mail 451 later" },
	    "220 250 451 221 eof", "connect EHLO MAIL QUIT end", PLAIN },

	/* The true reply in another shape. */
	{ "bytes-ehlo", LAB_TLS_STARTTLS, "", { "ehlo bytes", "secured bytes",
	    "starttls bytes" }, START GOOD_REST, SEEN_START SEEN_MAIL, PLAIN },
	{ "bytes-message", LAB_TLS_NONE, "", { "message bytes" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "tarpit-mail", LAB_TLS_NONE, "", { "mail tarpit" },
	    "220 250 stall", "connect EHLO MAIL end", PLAIN },
	{ "tarpit-message", LAB_TLS_STARTTLS, "", { "message tarpit" },
	    START "250 250 354 stall", SEEN_START "MAIL+ RCPT+ DATA+ end",
	    PLAIN },
	{ "bare", LAB_TLS_STARTTLS, "", { "starttls bare", "secured bare",
	    "message bare" }, START GOOD_REST, SEEN_START SEEN_MAIL, PLAIN },
	{ "half-greeting", LAB_TLS_NONE, "", { "greeting half" },
	    "eof", "connect end", PLAIN },
	{ "half-starttls", LAB_TLS_STARTTLS, "", { "starttls half" },
	    "220 250+ eof", "connect EHLO STARTTLS starttls end", PLAIN },
	/* T-26 */
	{ "half-message", LAB_TLS_STARTTLS, "", { "message half" },
	    START "250 250 354 cut", SEEN_START "MAIL+ RCPT+ DATA+ end",
	    PLAIN },
	{ "flood-ehlo", LAB_TLS_NONE, "", { "ehlo flood" },
	    "220 flood", "connect EHLO end", PLAIN },
	{ "flood-message", LAB_TLS_STARTTLS, "", { "message flood" },
	    START "250 250 354 flood", SEEN_START "MAIL+ RCPT+ DATA+ end",
	    PLAIN },
	{ "long-mail", LAB_TLS_NONE, "", { "mail long" },
	    "220 250 flood", "connect EHLO MAIL end", PLAIN },

	/* What was taken and said so is delivered, whatever comes then. */
	{ "message-reset", LAB_TLS_NONE, "", { "message reset" },
	    UP_TO_DOT "reset", SEEN_DOT "end", PLAIN },
	{ "message-cut", LAB_TLS_NONE, "", { "message cut" },
	    UP_TO_DOT "eof", SEEN_DOT "end", PLAIN },
	{ "idle-reset", LAB_TLS_NONE, "", { "idle reset" },
	    UP_TO_DOT "250 reset", SEEN_DOT "message(m1) end", PLAIN },
	{ "idle-close", LAB_TLS_STARTTLS, "", { "idle close" },
	    START "250 250 354 250 eof", SEEN_START
	    "MAIL+ RCPT+ DATA+ message+(m1) end", PLAIN },
	{ "idle-cut", LAB_TLS_STARTTLS, "", { "idle cut" },
	    START "250 250 354 250 cut", SEEN_START
	    "MAIL+ RCPT+ DATA+ message+(m1) end", PLAIN },
	{ "idle-421", LAB_TLS_NONE, "", { "idle 421 4.4.2 bored" },
	    UP_TO_DOT "250 421 eof", SEEN_DOT "message(m1) end", PLAIN },
	/* I-04 */
	{ "idle-250", LAB_TLS_NONE, "", { "idle 250 and more" },
	    UP_TO_DOT "250 250 221", SEEN_DOT "message(m1) QUIT end", PLAIN },
	/* It becomes the first line of the reply to QUIT. */
	{ "idle-raw", LAB_TLS_NONE, "", { "idle raw 250-and |" },
	    UP_TO_DOT "250 250 eof", SEEN_DOT "message(m1) QUIT end", PLAIN },
	{ "idle-stall", LAB_TLS_NONE, "", { "idle stall" },
	    UP_TO_DOT "250 stall", SEEN_DOT "message(m1) end", PLAIN },
	{ "idle-garbage", LAB_TLS_NONE, "", { "idle garbage" },
	    UP_TO_DOT "250 garbage", SEEN_DOT "message(m1) end", PLAIN },
	{ "idle-alert", LAB_TLS_NONE, "", { "idle alert" },
	    UP_TO_DOT "250 alert", SEEN_DOT "message(m1) end", PLAIN },
	{ "idle-corrupt", LAB_TLS_STARTTLS, "", { "idle corrupt" },
	    START "250 250 354 250 garbage", SEEN_START
	    "MAIL+ RCPT+ DATA+ message+(m1) end", PLAIN },
	/* After a refusal, too: it is the reply that it follows. */
	{ "idle-refused", LAB_TLS_NONE, "", { "message 550 no",
	    "idle 421 x" }, UP_TO_DOT "550 421 eof", SEEN_DOT "end", PLAIN },

	/* I-03, K-10: the end of TLS with the connection going on. */
	{ "unwrap-careful", LAB_TLS_STARTTLS, "", { "mail unwrap 250 ok" },
	    START "eof", SEEN_START "MAIL+ end", PLAIN },
	{ "unwrap-secured", LAB_TLS_STARTTLS, "", { "secured unwrap 250 me" },
	    "220 250+ 220 TLS down 250 " GOOD_REST, SEEN_START SEEN_CLEAR,
	    CARELESS },
	{ "unwrap-greeting", LAB_TLS_IMPLICIT, "", { "greeting unwrap 220 x" },
	    "TLS down 220 250 " GOOD_REST, "connect tls EHLO " SEEN_CLEAR,
	    CARELESS },
	{ "unwrap-data", LAB_TLS_STARTTLS, "", { "data unwrap 354 go" },
	    START "250 250 down 354 250 221 eof", SEEN_START
	    "MAIL+ RCPT+ DATA+ message(m1) QUIT end", CARELESS },
	{ "unwrap-helo", LAB_TLS_STARTTLS, "", { "secured 500 x",
	    "helo unwrap 250 x" }, "220 250+ 220 TLS 500 down 250 " GOOD_REST,
	    SEEN_START "HELO+ " SEEN_CLEAR, CARELESS },
	/* What was sent under TLS is not taken by who speaks without. */
	{ "unwrap-message", LAB_TLS_STARTTLS, "", { "message unwrap 250 ok" },
	    START "250 250 354 down 250 221 eof", SEEN_START
	    "MAIL+ RCPT+ DATA+ QUIT end", CARELESS },
	{ "unwrap-idle", LAB_TLS_STARTTLS, "", { "idle unwrap 421 bored" },
	    START "250 250 354 250 down 421 eof", SEEN_START
	    "MAIL+ RCPT+ DATA+ message+(m1) end", CARELESS },
	{ "unwrap-quit", LAB_TLS_STARTTLS, "", { "quit unwrap 221 bye" },
	    START "250 250 354 250 down 221 eof", SEEN_START SEEN_MAIL,
	    CARELESS }
};

static bool entered;

static void every_host(void **state)
{
	(void)state;
	if (!entered)
		skip();
	assert_int_equal(cases_run(cases, sizeof(cases) / sizeof(cases[0])),
	    0);
}

/* --- what one row cannot say --- */

static struct arena *arena;
static struct scene scene;

/* One host called x, at 127.0.1.1, that does this. */
static int start_one(enum lab_tls tls, const char *behaviour)
{
	const char *const lines[] = { behaviour, NULL };
	struct lab_world *world;
	struct lab_host *host;

	arena = arena_new(1 << 20);
	host = arena_alloc(arena, sizeof(*host));
	world = arena_alloc(arena, sizeof(*world));
	*host = case_host(arena, "x", 1);
	host->tls = tls;
	host->behaviour = case_texts(arena, lines);
	*world = (struct lab_world){ .hosts = host, .host_count = 1,
	    .certificates = case_certificates,
	    .certificate_count = CASE_CERTIFICATES };
	scene_start(&scene, world, false);
	return call_connect("127.0.1.1", SMTP_PORT, PATIENCE_MS);
}

static void end_one(int fd)
{
	close(fd);
	scene_end(&scene);
	arena_free(arena);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
	    strlen(text));
}

/* Until the peer ends; how many bytes, the first of them in data. */
static size_t receive_all(int fd, char *data, size_t size)
{
	static char rest[65536];
	size_t used = 0;
	ssize_t got;

	do {
		got = recv(fd, rest, sizeof(rest), 0);
		assert_true(got >= 0);
		if (used < size)
			memcpy(data + used, rest, (size_t)got < size - used ?
			    (size_t)got : size - used);
		used += (size_t)got;
	} while (got > 0);
	return used;
}

/* The nth reply of the next connection's, from 0; events until its end are
 * read. How many replies there were in all. */
static int hear_replies(int wanted, json_t **reply)
{
	bool ended = false;
	int count = 0;

	*reply = NULL;
	while (!ended) {
		json_t *event = scene_event(&scene, PATIENCE_MS);
		const char *kind;

		assert_non_null(event);
		kind = json_string_value(json_object_get(event, "event"));
		ended = strcmp(kind, "end") == 0;
		if (strcmp(kind, "reply") == 0 && count++ == wanted)
			*reply = json_incref(event);
		json_decref(event);
	}
	return count;
}

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	assert_non_null(text);
	return text;
}

/* The bytes of a reply are those that the words stand for. */
static void replies_are_bytes(void **state)
{
	static const struct { const char *words, *bytes; size_t length; }
	    rows[] = {
#define ROW(words, bytes) { words, bytes, sizeof(bytes) - 1 }
		ROW("connect 220 a|b", "220 a\r\nb\r\n"),
		ROW("connect 220 100%25", "220 100%\r\n"),
		ROW("connect 220 %7c%00%fF%0a", "220 |\0\xff\n\r\n"),
		ROW("connect 554", "554\r\n"),
		/* N-16, I-05 */
		ROW("connect 250-x%0D%0A250 STARTTLS%0A", "250-x\r\n"
		    "250 STARTTLS\n\r\n"),
		ROW("connect alert", "\x15\x03\x03\x00\x02\x02\x28"),
		ROW("connect alert protocol_version",
		    "\x15\x03\x03\x00\x02\x02\x46"),
		ROW("greeting bare", "220 x ESMTP\n"),
		ROW("greeting half", "220 x ")
#undef ROW
	};
	char data[200];
	size_t i;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = start_one(LAB_TLS_NONE, rows[i].words);

		shutdown(fd, SHUT_WR);
		assert_int_equal(receive_all(fd, data, sizeof(data)),
		    rows[i].length);
		assert_memory_equal(data, rows[i].bytes, rows[i].length);
		end_one(fd);
	}
}

/* N-15, I-05: the first line is long, the others are as ever. */
static void long_line(void **state)
{
	static char data[LAB_LONG_LINE + 1000];
	static const char rest[] = "\r\n250-PIPELINING\r\n";
	size_t length, first;
	json_t *reply;
	int fd;

	(void)state;
	if (!entered)
		skip();
	fd = start_one(LAB_TLS_NONE, "ehlo long");
	send_text(fd, "EHLO c\r\n");
	shutdown(fd, SHUT_WR);
	length = receive_all(fd, data, sizeof(data) - 1);
	assert_true(length < sizeof(data));
	assert_memory_equal(data, "220 x ESMTP\r\n250-x at your service xxx",
	    38);
	first = strcspn(data + 13, "\r") + 2;
	assert_int_equal(first, LAB_LONG_LINE);
	assert_memory_equal(data + 13 + first - 2, rest, sizeof(rest) - 1);
	assert_non_null(strstr(data + 13 + first,
	    "\r\n250 ENHANCEDSTATUSCODES\r\n"));
	/* Of what was said the beginning is told. */
	assert_int_equal(hear_replies(1, &reply), 2);
	assert_int_equal(strlen(text_of(reply, "text")), 500);
	assert_memory_equal(text_of(reply, "text"), data + 13, 500);
	assert_string_equal(text_of(reply, "action"), "ehlo long");
	json_decref(reply);
	end_one(fd);
}

/* However long it is, it takes the message when it is all there. */
static void long_line_takes(void **state)
{
	static const char session[] = "EHLO c\r\nMAIL FROM:<a@b>\r\n"
	    "RCPT TO:<c@d>\r\nDATA\r\nX-Postern-Lab: m1\r\n\r\n.\r\n";
	char story[200], data[1];
	int fd;

	(void)state;
	if (!entered)
		skip();
	fd = start_one(LAB_TLS_NONE, "message long");
	send_text(fd, session);
	shutdown(fd, SHUT_WR);
	assert_true(receive_all(fd, data, 1) > LAB_LONG_LINE);
	scene_story(&scene, "x", story, sizeof(story));
	assert_string_equal(story, SEEN_DOT "message(m1) end");
	end_one(fd);
}

/* Whoever takes it all gets so much and no more; and it is told once. */
static void flood_ends(void **state)
{
	static char data[4096];
	json_t *reply;
	int fd;

	(void)state;
	if (!entered)
		skip();
	fd = start_one(LAB_TLS_NONE, "greeting flood");
	assert_int_equal(receive_all(fd, data, sizeof(data)), LAB_FLOOD_MAX);
	assert_memory_equal(data, "220-still more\r\n220-still more\r\n", 32);
	assert_int_equal(hear_replies(0, &reply), 1);
	assert_int_equal(strlen(text_of(reply, "text")), 500);
	json_decref(reply);
	end_one(fd);
}

/* One record each: what OpenSSL gives at a time is never more. */
static void bytes_are_records(void **state)
{
	static const char reply[] = "220 x ESMTP\r\n";
	SSL_CTX *context;
	char data[100];
	size_t i;
	SSL *ssl;
	int fd;

	(void)state;
	if (!entered)
		skip();
	context = SSL_CTX_new(TLS_client_method());
	fd = start_one(LAB_TLS_IMPLICIT, "greeting bytes");
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	for (i = 0; i < sizeof(reply) - 1; i++) {
		assert_int_equal(SSL_read(ssl, data, sizeof(data)), 1);
		assert_int_equal(data[0], reply[i]);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	end_one(fd);
}

/* Commands that came under TLS are none in clear. */
static void unwrap_forgets(void **state)
{
	static const char commands[] = "EHLO c\r\nMAIL FROM:<a@b>\r\n"
	    "RCPT TO:<c@d>\r\n";
	char story[200];
	SSL_CTX *context;
	SSL *ssl;
	int fd;

	(void)state;
	if (!entered)
		skip();
	context = SSL_CTX_new(TLS_client_method());
	fd = start_one(LAB_TLS_IMPLICIT, "mail unwrap 250 ok");
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	assert_int_equal(SSL_write(ssl, commands, sizeof(commands) - 1),
	    sizeof(commands) - 1);
	/* Behind our own close_notify, which is not a command either. */
	assert_int_equal(SSL_shutdown(ssl), 0);
	send_text(fd, "NOOP\r\n");
	shutdown(fd, SHUT_WR);
	scene_story(&scene, "x", story, sizeof(story));
	assert_string_equal(story, "connect tls EHLO+ MAIL+ NOOP end");
	SSL_free(ssl);
	SSL_CTX_free(context);
	end_one(fd);
}

/* N-23: "250 x" with its end is seven bytes. */
static void tarpit_is_slow(void **state)
{
	static const char reply[] = "250 x\r\n";
	int64_t begun;
	char byte;
	size_t i;
	int fd;

	(void)state;
	if (!entered)
		skip();
	fd = start_one(LAB_TLS_NONE, "helo tarpit");
	do
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
	while (byte != '\n');
	begun = clock_monotonic();
	send_text(fd, "HELO c\r\n");
	for (i = 0; i < sizeof(reply) - 1; i++) {
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
		assert_int_equal(byte, reply[i]);
		assert_true(clock_monotonic() - begun >= (int64_t)i * 990);
	}
	/* It is a reply as any other: what was asked for is done. */
	send_text(fd, "MAIL FROM:<>\r\n");
	for (i = 0; i < 4; i++)
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, ' ');
	end_one(fd);
}

/* All that is said is told, before it is, and whether it was under TLS. */
static void replies_are_told(void **state)
{
	static const char *const texts[] = { "220 x ESMTP\r\n", "250-x at",
	    "220 2.0.0 go ahead\r\n", "250-x at", "250 2.1.0 ok\r\n",
	    "250 2.1.5 ok\r\n", "354 end with a dot\r\n", "451 later\r\n",
	    "221 2.0.0 bye\r\n" };
	enum { REPLIES = sizeof(texts) / sizeof(texts[0]), TLS_FROM = 3,
	    CHANGED = 7 };
	struct call call = { .address = "127.0.1.1", .port = SMTP_PORT,
	    .expected = "" };
	json_t *reply;
	struct talk talk;
	int fd, i;

	(void)state;
	if (!entered)
		skip();
	fd = start_one(LAB_TLS_STARTTLS, "message#2- 451 later");
	close(fd);
	for (i = -1; i < REPLIES; i++) {
		if (i >= 0)
			call_make(&call, &talk);
		assert_int_equal(hear_replies(i, &reply), i >= 0 ? REPLIES :
		    1);
		if (i < 0)
			continue;
		assert_memory_equal(text_of(reply, "text"), texts[i],
		    strlen(texts[i]));
		assert_int_equal(json_is_true(json_object_get(reply, "tls")),
		    i >= TLS_FROM);
		if (i == CHANGED)
			assert_string_equal(text_of(reply, "action"),
			    "message#2- 451 later");
		else
			assert_null(json_object_get(reply, "action"));
		json_decref(reply);
	}
	end_one(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_host),
		cmocka_unit_test(replies_are_bytes),
		cmocka_unit_test(long_line),
		cmocka_unit_test(long_line_takes),
		cmocka_unit_test(flood_ends),
		cmocka_unit_test(bytes_are_records),
		cmocka_unit_test(unwrap_forgets),
		cmocka_unit_test(tarpit_is_slow),
		cmocka_unit_test(replies_are_told)
	};

	entered = world_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
