/* SPDX-License-Identifier: ISC */
/*
 * The lab's mail hosts and what sits in the path to them, seen by a client of
 * OpenSSL and sockets: for each stage, action and path what the client meets,
 * word by word, and what the actors say they saw.
 */
#include "tools/lab/actors.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/net.h"
#include "tests/unit/lab_actors_cases.h"
#include "tests/unit/lab_actors_client.h"
#include "tests/unit/lab_actors_world.h"


static const struct host_case cases[] = {
	{ "good", LAB_TLS_STARTTLS, "", { NULL },
	    "220 250+ 220 TLS 250 " GOOD_REST, SEEN_START SEEN_MAIL, PLAIN },
	{ "no-tls", LAB_TLS_NONE, "", { NULL },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "no-tls-insist", LAB_TLS_NONE, "", { NULL },
	    "220 250 502 " GOOD_REST, "connect EHLO STARTTLS " SEEN_CLEAR,
	    INSISTS },
	{ "implicit", LAB_TLS_IMPLICIT, "", { NULL },
	    "TLS 220 250 " GOOD_REST, "connect tls EHLO+ " SEEN_MAIL, PLAIN },

	{ "connect-reply", LAB_TLS_STARTTLS, "", { "connect 554 go away" },
	    "554 eof", "connect end", PLAIN },
	{ "connect-close", LAB_TLS_STARTTLS, "", { "connect close" },
	    "eof", "connect end", PLAIN },
	{ "connect-reset", LAB_TLS_STARTTLS, "", { "connect reset" },
	    "reset", "connect end", PLAIN },
	{ "connect-stall", LAB_TLS_STARTTLS, "", { "connect stall" },
	    "stall", "connect end", PLAIN },
	{ "connect-garbage", LAB_TLS_STARTTLS, "", { "connect garbage" },
	    "garbage", "connect end", PLAIN },
	{ "connect-alert", LAB_TLS_IMPLICIT, "", { "connect alert" },
	    "alert", "connect end", PLAIN },
	/* N-26: a banner in clear where TLS should begin. */
	{ "connect-banner", LAB_TLS_IMPLICIT, "", { "connect 220 hello" },
	    "garbage", "connect end", PLAIN },

	{ "greeting-5xx", LAB_TLS_STARTTLS, "", { "greeting 554 no" },
	    "554 221 eof", "connect QUIT end", PLAIN },
	{ "greeting-421", LAB_TLS_STARTTLS, "", { "greeting 421 later" },
	    "421 eof", "connect end", PLAIN },
	{ "greeting-lines", LAB_TLS_NONE, "", { "greeting 220-one|220 two" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },

	/* N-14: only HELO. */
	{ "ehlo-502", LAB_TLS_STARTTLS, "", { "ehlo 502 5.5.1 what?" },
	    "220 502 250 " GOOD_REST, "connect EHLO HELO " SEEN_CLEAR,
	    PLAIN },
	{ "ehlo-lines", LAB_TLS_STARTTLS, "",
	    { "ehlo 250-me|250 STARTTLS", NULL },
	    "220 250+ 220 TLS 250 " GOOD_REST, SEEN_START SEEN_MAIL, PLAIN },
	{ "ehlo-stall", LAB_TLS_STARTTLS, "", { "ehlo stall" },
	    "220 stall", "connect EHLO end", PLAIN },
	/* The EHLO of an implicit host is under TLS. */
	{ "ehlo-implicit", LAB_TLS_IMPLICIT, "", { "ehlo close" },
	    "TLS 220 250 " GOOD_REST, "connect tls EHLO+ " SEEN_MAIL, PLAIN },

	/* N-04, N-05, N-07, N-13, N-17 */
	{ "starttls-454", LAB_TLS_STARTTLS, "", { "starttls 454 4.7.0 no" },
	    "220 250+ 454 " GOOD_REST, "connect EHLO STARTTLS starttls "
	    SEEN_CLEAR, PLAIN },
	{ "starttls-421", LAB_TLS_STARTTLS, "", { "starttls 421 4.7.0 no" },
	    "220 250+ 421 eof", "connect EHLO STARTTLS starttls end", PLAIN },
	{ "starttls-250", LAB_TLS_STARTTLS, "", { "starttls 250 fine" },
	    "220 250+ 250 " GOOD_REST, "connect EHLO STARTTLS starttls "
	    SEEN_CLEAR, PLAIN },
	{ "starttls-lines", LAB_TLS_STARTTLS, "", { "starttls 220-a|220 b" },
	    "220 250+ 220 TLS 250 " GOOD_REST, SEEN_START SEEN_MAIL, PLAIN },
	{ "starttls-hidden", LAB_TLS_STARTTLS, "",
	    { "ehlo 250-me|250 SIZE 1000" },
	    "220 250 220 TLS 250 " GOOD_REST, SEEN_START SEEN_MAIL, INSISTS },
	{ "starttls-close", LAB_TLS_STARTTLS, "", { "starttls close" },
	    "220 250+ eof", "connect EHLO STARTTLS starttls end", PLAIN },
	{ "starttls-reset", LAB_TLS_STARTTLS, "", { "starttls reset" },
	    "220 250+ reset", "connect EHLO STARTTLS starttls end", PLAIN },
	{ "starttls-stall", LAB_TLS_STARTTLS, "", { "starttls stall" },
	    "220 250+ stall", "connect EHLO STARTTLS starttls end", PLAIN },
	{ "starttls-garbage", LAB_TLS_STARTTLS, "", { "starttls garbage" },
	    "220 250+ garbage", "connect EHLO STARTTLS starttls end", PLAIN },
	{ "starttls-alert", LAB_TLS_STARTTLS, "", { "starttls alert" },
	    "220 250+ alert", "connect EHLO STARTTLS starttls end", PLAIN },

	/* N-08 to N-12 */
	{ "handshake-close", LAB_TLS_STARTTLS, "", { "handshake close" },
	    "220 250+ 220 cut", SEEN_BROKEN, PLAIN },
	{ "handshake-reset", LAB_TLS_STARTTLS, "", { "handshake reset" },
	    "220 250+ 220 reset", SEEN_BROKEN, PLAIN },
	{ "handshake-stall", LAB_TLS_STARTTLS, "", { "handshake stall" },
	    "220 250+ 220 stall", SEEN_BROKEN, PLAIN },
	{ "handshake-garbage", LAB_TLS_STARTTLS, "", { "handshake garbage" },
	    "220 250+ 220 garbage", SEEN_BROKEN,
	    PLAIN },
	{ "handshake-alert", LAB_TLS_STARTTLS, "", { "handshake alert" },
	    "220 250+ 220 alert", SEEN_BROKEN, PLAIN },
	{ "handshake-words", LAB_TLS_STARTTLS, "", { "handshake 554 no" },
	    "220 250+ 220 garbage", SEEN_BROKEN,
	    PLAIN },
	{ "handshake-implicit", LAB_TLS_IMPLICIT, "", { "handshake reset" },
	    "reset", "connect no-tls end", PLAIN },

	{ "secured-5xx", LAB_TLS_STARTTLS, "", { "secured 550 no" },
	    "220 250+ 220 TLS 550 250 " GOOD_REST, SEEN_START "HELO+ "
	    SEEN_MAIL, PLAIN },
	/* N-18: it is offered again under TLS. */
	{ "secured-again", LAB_TLS_STARTTLS, "",
	    { "secured 250-me|250 STARTTLS" },
	    "220 250+ 220 TLS 250+ " GOOD_REST, SEEN_START SEEN_MAIL, PLAIN },
	{ "secured-close", LAB_TLS_STARTTLS, "", { "secured close" },
	    "220 250+ 220 TLS eof", SEEN_START "end", PLAIN },
	{ "secured-garbage", LAB_TLS_STARTTLS, "", { "secured garbage" },
	    "220 250+ 220 TLS garbage", SEEN_START "end", PLAIN },
	/* T-20: an alert when the client believes to be done. */
	{ "secured-alert", LAB_TLS_STARTTLS, "", { "secured alert" },
	    "220 250+ 220 TLS alert", SEEN_BROKEN,
	    PLAIN },

	{ "mail-4xx", LAB_TLS_NONE, "", { "mail 451 4.3.0 later" },
	    "220 250 451 221 eof", "connect EHLO MAIL QUIT end", PLAIN },
	{ "mail-reset", LAB_TLS_STARTTLS, "", { "mail reset" },
	    "220 250+ 220 TLS 250 reset", SEEN_START "MAIL+ end", PLAIN },
	{ "rcpt-5xx", LAB_TLS_NONE, "", { "rcpt 550 5.1.1 nobody" },
	    "220 250 250 550 221 eof", "connect EHLO MAIL RCPT QUIT end",
	    PLAIN },
	{ "rcpt-close", LAB_TLS_NONE, "", { "rcpt close" },
	    "220 250 250 eof", "connect EHLO MAIL RCPT end", PLAIN },
	{ "data-4xx", LAB_TLS_NONE, "", { "data 452 4.3.1 full" },
	    "220 250 250 250 452 221 eof",
	    "connect EHLO MAIL RCPT DATA QUIT end", PLAIN },
	/* What was refused or cut off was not taken. */
	{ "message-5xx", LAB_TLS_NONE, "", { "message 550 5.7.1 no" },
	    "220 250 250 250 354 550 221 eof",
	    "connect EHLO MAIL RCPT DATA QUIT end", PLAIN },
	{ "message-close", LAB_TLS_NONE, "", { "message close" },
	    "220 250 250 250 354 eof", "connect EHLO MAIL RCPT DATA end",
	    PLAIN },
	{ "message-250", LAB_TLS_NONE, "", { "message 250 mine" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "quit-stall", LAB_TLS_NONE, "", { "quit stall" },
	    "220 250 250 250 354 250 stall", "connect EHLO " SEEN_CLEAR,
	    PLAIN },
	/* The first that fits a stage rules; other stages have their own. */
	{ "two-stages", LAB_TLS_NONE, "", { "mail 250 ok", "rcpt 450 no",
	    "rcpt 250 yes" }, "220 250 250 450 221 eof",
	    "connect EHLO MAIL RCPT QUIT end", PLAIN },

	/* N-01; the STARTTLS of a stubborn client is refused on the way. */
	{ "strip", LAB_TLS_STARTTLS, "strip", { NULL },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "strip-insist", LAB_TLS_STARTTLS, "strip", { NULL },
	    "220 250 502 " GOOD_REST, "connect EHLO " SEEN_CLEAR, INSISTS },
	{ "strip-last", LAB_TLS_STARTTLS, "strip",
	    { "ehlo 250-me|250-SIZE 1000|250 starttls" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "strip-only", LAB_TLS_STARTTLS, "strip",
	    { "ehlo 250-me|250 STARTTLS" },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "strip-implicit", LAB_TLS_IMPLICIT, "strip", { NULL },
	    "TLS 220 250 " GOOD_REST, "connect tls EHLO+ " SEEN_MAIL, PLAIN },
	{ "strip-reset", LAB_TLS_STARTTLS, "strip", { "mail reset" },
	    "220 250 reset", "connect EHLO MAIL end", PLAIN },
	{ "strip-stall", LAB_TLS_STARTTLS, "strip", { "mail stall" },
	    "220 250 stall", "connect EHLO MAIL end", PLAIN },
	{ "strip-garbage", LAB_TLS_STARTTLS, "strip", { "mail garbage" },
	    "220 250 garbage", "connect EHLO MAIL end", PLAIN },
	/* N-02, N-03 */
	{ "mangle", LAB_TLS_STARTTLS, "mangle", { NULL },
	    "220 250 " GOOD_REST, "connect EHLO " SEEN_CLEAR, PLAIN },
	{ "mangle-insist", LAB_TLS_STARTTLS, "mangle", { NULL },
	    "220 250 500 " GOOD_REST, "connect EHLO XXXXXXXX " SEEN_CLEAR,
	    INSISTS },
	{ "mangle-implicit", LAB_TLS_IMPLICIT, "mangle", { NULL },
	    "TLS 220 250 " GOOD_REST, "connect tls EHLO+ " SEEN_MAIL, PLAIN },
	/* N-24 */
	{ "path-block", LAB_TLS_STARTTLS, "block", { NULL }, "stall", NULL,
	    PLAIN },
	{ "path-reset", LAB_TLS_STARTTLS, "reset", { NULL }, "reset",
	    "connect end", PLAIN },
	{ "path-refuse", LAB_TLS_STARTTLS, "refuse", { NULL }, "refused",
	    NULL, PLAIN },
	{ "path-impostor", LAB_TLS_STARTTLS, "impostor", { NULL },
	    "220 250+ 220 TLS 250 " GOOD_REST, SEEN_START
	    "MAIL+ RCPT+ DATA+ message+(m1 impostor) QUIT+ end", PLAIN }
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static bool entered;

static void every_host(void **state)
{
	(void)state;
	if (!entered)
		skip();
	assert_int_equal(cases_run(cases, CASES), 0);
}

/* --- what one row cannot say --- */

enum { ONE = 1, TWIN, IMPOSTOR, STRIP, MANGLE, STALL, SIX, OTHERS };

static const char *const other_names[OTHERS] = { "", "one", "twin",
    "impostor", "strip", "mangle", "stall", "six" };

/* Hosts 1 to 7; six is at ::1. */
static void fill_others(struct lab_world *world, struct arena *arena)
{
	struct lab_host *list = arena_alloc_array(arena, OTHERS,
	    sizeof(*list));
	int i;

	for (i = 1; i < OTHERS; i++)
		list[i] = case_host(arena, other_names[i], i);
	list[ONE].sni.items = arena_alloc_array(arena, 2, sizeof(char *));
	list[ONE].sni.items[0] = arena_dup_string(arena, "two.example two");
	list[ONE].sni.items[1] = arena_dup_string(arena, "one.example one");
	list[ONE].sni.count = 2;
	list[IMPOSTOR].path = arena_dup_string(arena, "impostor");
	list[STRIP].path = arena_dup_string(arena, "strip");
	list[MANGLE].path = arena_dup_string(arena, "mangle");
	list[STALL].path = arena_dup_string(arena, "strip");
	list[STALL].behaviour.items = arena_alloc(arena, sizeof(char *));
	list[STALL].behaviour.items[0] = arena_dup_string(arena,
	    "greeting stall");
	list[STALL].behaviour.count = 1;
	list[SIX].addresses.items[0] = arena_dup_string(arena, "::1");
	*world = (struct lab_world){ .hosts = list + 1,
	    .host_count = OTHERS - 1, .certificates = case_certificates,
	    .certificate_count = CASE_CERTIFICATES };
}

static struct arena *others_arena;
static struct scene others;

static void start_others(bool twin)
{
	struct lab_world world;

	others_arena = arena_new(1 << 20);
	fill_others(&world, others_arena);
	/* The world is borrowed by what is served. */
	scene_start(&others, arena_dup(others_arena, &world, sizeof(world)),
	    twin);
}

static void end_others(void)
{
	scene_end(&others);
	arena_free(others_arena);
}

/* Calls host number i; everything is as of a good server. */
static void call_other(int i, struct call call, struct talk *talk)
{
	char address[32], story[1024];

	snprintf(address, sizeof(address), "127.0.1.%d", i);
	call.address = i == SIX ? "::1" : address;
	call.port = SMTP_PORT;
	call.expected = "";
	call_make(&call, talk);
	assert_non_null(strstr(talk->words, "354 250 221 eof"));
	scene_story(&others, other_names[i], story, sizeof(story));
	assert_non_null(strstr(story, "message"));
}

/* Does the server show the key of this identity? */
static bool shows(const struct talk *talk,
    const struct lab_identity *identity)
{
	const unsigned char *end = identity->leaf;
	X509 *leaf = d2i_X509(NULL, &end, (long)identity->leaf_length);
	unsigned char *der = NULL, digest[SHA256_DIGEST_LENGTH];
	int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);

	assert_true(talk->has_key);
	SHA256(der, (size_t)length, digest);
	OPENSSL_free(der);
	X509_free(leaf);
	return memcmp(digest, talk->key_digest, sizeof(digest)) == 0;
}

/* T-22: by the name asked for; else the host's own, whatever was asked. */
static void names_choose_certificates(void **state)
{
	static const struct { const char *name; int certificate; } rows[] = {
		{ NULL, 0 }, { "one.example", 0 }, { "two.example", 1 },
		{ "TWO.example", 1 }, { "three.example", 0 },
		{ "two.example.net", 0 }, { "two", 0 }
	};
	struct talk talk;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	start_others(false);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		call_other(ONE, (struct call){ .servername = rows[i].name },
		    &talk);
		assert_true(shows(&talk, &others.identities->items[
		    rows[i].certificate]));
	}
	end_others();
}

/* Authenticated means: not with the twin, not with the impostor in the path;
 * what the twin takes is delivered, what the impostor takes is lost. */
static void twins_and_impostors(void **state)
{
	struct talk talk;

	(void)state;
	if (!entered)
		skip();
	start_others(false);
	call_other(TWIN, (struct call){ .sender = NULL }, &talk);
	assert_true(shows(&talk, &others.identities->items[0]));
	call_other(IMPOSTOR, (struct call){ .sender = NULL }, &talk);
	assert_true(shows(&talk, &others.identities->impostors[0]));
	end_others();

	start_others(true);
	call_other(TWIN, (struct call){ .sender = NULL }, &talk);
	assert_true(shows(&talk, &others.identities->impostors[0]));
	call_other(ONE, (struct call){ .servername = "two.example" }, &talk);
	assert_true(shows(&talk, &others.identities->impostors[1]));
	end_others();
}

static void middleboxes_in_words(void **state)
{
	struct talk good, talk;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	start_others(false);
	call_other(ONE, (struct call){ .sender = NULL }, &good);
	call_other(STRIP, (struct call){ .sender = NULL }, &talk);
	assert_null(strcasestr(talk.ehlo, "STARTTLS"));
	assert_non_null(strstr(talk.ehlo, "\r\n250-8BITMIME\r\n250 ENHANCED"));
	assert_string_equal(talk.greeting, "220 strip ESMTP\r\n");

	call_other(MANGLE, (struct call){ .sender = NULL }, &talk);
	assert_int_equal(strlen(talk.greeting), strlen("220 mangle ESMTP\r\n"));
	assert_memory_equal(talk.greeting, "220 ", 4);
	for (i = 4; talk.greeting[i] != '\r'; i++)
		assert_int_equal(talk.greeting[i], '*');
	assert_non_null(strstr(talk.ehlo, "\r\n250-XXXXXXXA\r\n"));
	assert_int_equal(strlen(talk.ehlo), strlen(good.ehlo) - strlen("one") +
	    strlen("mangle"));
	end_others();
}

/* The content of a message is nobody's business, however long it is. */
static void middleboxes_pass_content(void **state)
{
	enum { LINES = 6000 };
	static const char *const lines[] = { "STARTTLS\r\n", "EHLO x\r\n",
	    "250 STARTTLS\r\n", "220 hello\r\n", "..\r\n", "\x16\x03\x01\r\n",
	    "Zwölf Boxkämpfer\r\n", "\r\n", "STARTTLS.\r\n", " .\r\n" };
	size_t length = 0, size = 0;
	char *content;
	int i, host;

	(void)state;
	if (!entered)
		skip();
	content = calloc(1, LINES * 24);
	assert_non_null(content);
	for (i = 0; i < LINES; i++) {
		const char *line = lines[i % 10];

		memcpy(content + length, line, strlen(line));
		length += strlen(line);
		size += strlen(line) - (*line == '.');
	}
	start_others(false);
	for (host = STRIP; host <= MANGLE; host++) {
		char address[32];
		struct call call = { .address = address, .port = SMTP_PORT,
		    .content = content, .expected = "" };
		json_t *event;
		struct talk talk;

		snprintf(address, sizeof(address), "127.0.1.%d", host);
		call_make(&call, &talk);
		assert_string_equal(talk.words, "220 250 " GOOD_REST);
		while ((event = scene_event(&others, PATIENCE_MS)) != NULL &&
		    json_object_get(event, "size") == NULL)
			json_decref(event);
		assert_non_null(event);
		assert_int_equal(json_integer_value(json_object_get(event,
		    "size")), size);
		json_decref(event);
	}
	end_others();
	free(content);
}

/* A bounce has the marker of the mail that it returns. */
static void bounces_are_known(void **state)
{
	static const struct { const char *sender, *content, *story; } rows[] = {
		{ "", "Subject: no\r\n\r\nText\r\n\r\nX-Postern-Lab: m7\r\n",
		    "message+(m7 dsn)" },
		{ "a@b.example", "Subject: no\r\n\r\nX-Postern-Lab: m7\r\n",
		    "message+()" },
		{ "a@b.example", "x-postern-lab:  m8 \r\n\r\nText\r\n",
		    "message+(m8)" },
		{ "\"a>b\"@c.example", "X-Postern-Lab: m9\r\n\r\n",
		    "message+(m9)" }
	};
	size_t i;

	(void)state;
	if (!entered)
		skip();
	start_others(false);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct call call = { .address = "127.0.1.1", .expected = "",
		    .port = SMTP_PORT, .sender = rows[i].sender,
		    .content = rows[i].content };
		char story[1024];
		struct talk talk;

		call_make(&call, &talk);
		scene_story(&others, "one", story, sizeof(story));
		assert_non_null(strstr(story, rows[i].story));
	}
	end_others();
}

static void ipv6(void **state)
{
	int fd;
	struct talk talk;

	(void)state;
	if (!entered)
		skip();
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		print_message("# skipped: no IPv6 here: %s\n",
		    strerror(errno));
		skip();
	}
	close(fd);
	start_others(false);
	call_other(SIX, (struct call){ .sender = NULL }, &talk);
	end_others();
}

/* RFC 3207 4.2: what stands behind STARTTLS in clear is not answered. */
static void commands_behind_starttls_are_dropped(void **state)
{
	static const char commands[] = "EHLO x\r\n", both[] =
	    "STARTTLS\r\nNOOP\r\nMAIL FROM:<x@x.example>\r\n";
	char text[4096] = "";
	SSL_CTX *context;
	size_t used = 0;
	SSL *ssl;
	int fd;

	(void)state;
	if (!entered)
		skip();
	context = SSL_CTX_new(TLS_client_method());
	start_others(false);
	fd = call_connect("127.0.1.1", SMTP_PORT, PATIENCE_MS);
	assert_int_equal(send(fd, commands, sizeof(commands) - 1, 0),
	    sizeof(commands) - 1);
	while (strstr(text, "250 ENHANCEDSTATUSCODES\r\n") == NULL) {
		ssize_t got = recv(fd, text + used, sizeof(text) - used - 1,
		    0);

		assert_true(got > 0);
		used += (size_t)got;
	}
	assert_int_equal(send(fd, both, sizeof(both) - 1, 0),
	    sizeof(both) - 1);
	memset(text, 0, sizeof(text));
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, "220 2.0.0 go ahead\r\n");
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	/* No greeting, no answer to NOOP; the first one is to this. */
	assert_int_equal(SSL_write(ssl, "VRFY x\r\n", 8), 8);
	memset(text, 0, sizeof(text));
	assert_true(SSL_read(ssl, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "252 2.0.0 send it and see\r\n");
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	end_others();
}

/* However the server ends, its children end, and theirs. */
static void nobody_is_left(void **state)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	size_t i;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < 2; i++) {
		int direct, behind, status;
		json_t *event;
		char byte;

		start_others(false);
		direct = call_connect("127.0.1.1", SMTP_PORT, PATIENCE_MS);
		assert_int_equal(recv(direct, &byte, 1, MSG_PEEK), 1);
		behind = call_connect("127.0.1.6", SMTP_PORT, PATIENCE_MS);
		assert_true(behind != -1);
		/* Both are being served when their connections are told. */
		while ((event = scene_event(&others, SILENCE_MS)) != NULL)
			json_decref(event);
		kill(others.server, signals[i]);
		assert_int_equal(waitpid(others.server, &status, 0),
		    others.server);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		/* The kernel closes what the dead had open. */
		while (recv(direct, &byte, 1, 0) == 1)
			continue;
		assert_int_not_equal(errno, EAGAIN);
		errno = 0;
		assert_true(recv(behind, &byte, 1, 0) <= 0);
		assert_int_not_equal(errno, EAGAIN);
		/* The events' socket ends when the last of them has. */
		while (recv(others.events, &byte, 1, 0) > 0)
			continue;
		close(direct);
		close(behind);
		close(others.events);
		arena_free(others.arena);
		arena_free(others_arena);
	}
}

/* 64 at a time; the others wait for one to leave. */
static void connections_are_bounded(void **state)
{
	enum { ALL = 70, SERVED = 64 };
	int fds[ALL], i;
	char byte;

	(void)state;
	if (!entered)
		skip();
	start_others(false);
	for (i = 0; i < ALL; i++) {
		fds[i] = call_connect("127.0.1.1", SMTP_PORT, PATIENCE_MS);
		assert_true(fds[i] != -1);
		if (i < SERVED)
			assert_int_equal(recv(fds[i], &byte, 1, 0), 1);
	}
	call_patience(fds[SERVED], SILENCE_MS);
	assert_int_equal(recv(fds[SERVED], &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	for (i = 0; i < ALL - SERVED; i++)
		close(fds[i]);
	for (i = SERVED; i < ALL; i++) {
		call_patience(fds[i], PATIENCE_MS);
		assert_int_equal(recv(fds[i], &byte, 1, 0), 1);
	}
	for (i = ALL - SERVED; i < ALL; i++)
		close(fds[i]);
	end_others();
}

/* What a scenario can have wrong is said, not served. */
static void mistakes_are_told(void **state)
{
	static const struct { const char *behaviour, *path, *certificate,
	    *address, *error; } rows[] = {
		{ "ehlo", "", "one", "127.0.1.1", "a stage and an action" },
		{ "hello 250 x", "", "one", "127.0.1.1", "a stage and an" },
		{ "ehlo explode", "", "one", "127.0.1.1", "a stage and an" },
		{ "ehlo 25 x", "", "one", "127.0.1.1", "a stage and an" },
		{ "connect half", "", "one", "127.0.1.1", "a stage and an" },
		{ "ehlo#0 close", "", "one", "127.0.1.1", "a stage and an" },
		{ "ehlo 250 %", "", "one", "127.0.1.1", "a stage and an" },
		{ NULL, "stripe", "one", "127.0.1.1", "in a path" },
		{ NULL, "strip#x", "one", "127.0.1.1", "in a path" },
		{ NULL, "block#2", "one", "127.0.1.1", "in a path" },
		{ NULL, "", "three", "127.0.1.1", "no certificate three" },
		{ NULL, "", "one", "192.0.2.1", "cannot listen on 192.0.2.1" },
		{ NULL, "", "one", "nowhere", "cannot listen on nowhere" },
		{ NULL, "", "one", "127.0.3.1", "Address already in use" },
		{ NULL, "refuse", "one", "192.0.2.1", NULL }
	};
	struct lab_host host;
	struct lab_world world = { .hosts = &host, .host_count = 1,
	    .certificates = case_certificates,
	    .certificate_count = CASE_CERTIFICATES };
	struct lab_identities *identities;
	struct arena *arena;
	struct endpoint taken;
	size_t i;
	int fd;

	(void)state;
	if (!entered)
		skip();
	arena = arena_new(1 << 20);
	identities = lab_identities_new(&world, arena);
	assert_int_equal(endpoint_parse(&taken, "127.0.3.1", SMTP_PORT), 0);
	fd = net_listen(&taken, 1);
	assert_int_not_equal(fd, -1);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *behaviour = arena_dup_string(arena,
		    rows[i].behaviour != NULL ? rows[i].behaviour : "");
		char error[256] = "";
		struct lab_actors *actors;

		host = case_host(arena, "wrong", 1);
		host.path = arena_dup_string(arena, rows[i].path);
		host.certificate = arena_dup_string(arena, rows[i].certificate);
		host.addresses.items[0] = arena_dup_string(arena,
		    rows[i].address);
		host.behaviour.items = &behaviour;
		host.behaviour.count = rows[i].behaviour != NULL;
		actors = lab_actors_new(&world, identities, false, error,
		    sizeof(error));
		if (rows[i].error == NULL) {
			assert_non_null(actors);
			lab_actors_free(actors);
			continue;
		}
		assert_null(actors);
		assert_non_null(strstr(error, rows[i].error));
	}
	close(fd);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_host),
		cmocka_unit_test(names_choose_certificates),
		cmocka_unit_test(twins_and_impostors),
		cmocka_unit_test(middleboxes_in_words),
		cmocka_unit_test(middleboxes_pass_content),
		cmocka_unit_test(bounces_are_known),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(commands_behind_starttls_are_dropped),
		cmocka_unit_test(nobody_is_left),
		cmocka_unit_test(connections_are_bounded),
		cmocka_unit_test(mistakes_are_told)
	};

	entered = world_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
