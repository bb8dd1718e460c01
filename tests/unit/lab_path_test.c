/* SPDX-License-Identifier: ISC */
/*
 * What sits in the path, over real sockets: a client here, a small server in a
 * thread, the relay between them in another. Each word is tried, and what it
 * does is seen to be absent where nothing is in the path (N-01 to N-06, N-09,
 * N-10, N-14, N-15).
 */
#include "tools/lab/path.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "base/arena.h"
#include "base/clock.h"
#include "tools/lab/actors_link.h"
#include "tools/lab/certificate.h"
#include "tools/lab/scenario_options.h"

enum { PATIENCE_MS = 20000, SILENCE_MS = 300, LONG_REPLY = 200 };

/* Longer than 64 bytes. */
#define HOST "250-mx.with-a-name-of-some-length.example.org hello\r\n"
#define OFFER HOST "250-SIZE 1000\r\n250 STARTTLS\r\n"
#define NO_OFFER HOST "250 SIZE 1000\r\n"
#define UNKNOWN "502 5.5.1 Command not implemented\r\n"
#define LATER "454 4.7.0 TLS not available due to temporary reason\r\n"

/* --- the three --- */

struct scene {
	enum lab_path	 path;
	SSL_CTX		*context;	/* the server's; null: TLS is bytes */
	bool		 implicit;
	int		 client;	/* the test's end */
	int		 front, back;	/* the relay's */
	struct lab_link	 server;
	char		 heard[512];	/* what the server did, by the word */
	pthread_t	 relay, thread;
};

static struct arena *arena;
static struct lab_identity *identity;

static int make_identity(void **state)
{
	static char name[] = "mx", nothing[] = "";
	static struct lab_certificate certificate = { .name = name,
	    .common_name = name, .organization = nothing,
	    .issuer_authority = true };
	static struct lab_world world = { .certificates = &certificate,
	    .certificate_count = 1 };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	arena = arena_new(1 << 20);
	identity = lab_identities_new(&world, arena)->items;
	return 0;
}

static int forget_identity(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static SSL_CTX *make_context(const char *version, int tickets)
{
	char *word = (char *)(uintptr_t)version;
	const struct lab_texts versions = { &word, 1 };
	const struct lab_tls_manner manner = { .versions = &versions,
	    .tickets = tickets };
	char error[100];
	SSL_CTX *context = lab_link_context(identity, &manner, error,
	    sizeof(error));

	assert_non_null(context);
	return context;
}

static void note(struct scene *scene, const char *word)
{
	size_t used = strlen(scene->heard);

	snprintf(scene->heard + used, sizeof(scene->heard) - used, "%s%.40s",
	    used > 0 ? "," : "", word);
}

static void say(struct scene *scene, const char *text)
{
	lab_link_write(&scene->server, text, strlen(text));
}

/* A reply whose record is longer than 64 bytes. */
static void say_much(struct scene *scene)
{
	char text[LONG_REPLY + 1];

	memset(text, 'x', LONG_REPLY);
	memcpy(text, "250 ", 4);
	memcpy(text + LONG_REPLY - 2, "\r\n", 3);
	say(scene, text);
}

static void start_tls(struct scene *scene)
{
	bool worked = lab_link_secure(&scene->server, scene->context,
	    false) == 0;

	note(scene, worked ? "tls" : "no-tls");
}

/* What follows the 220 to STARTTLS when TLS is none of the test's business. */
static void hear_bytes(struct scene *scene)
{
	char data[4096];
	ssize_t got = lab_link_read(&scene->server, data, sizeof(data));

	note(scene, got > 0 ? "bytes" : got == 0 ? "end" :
	    scene->server.problem);
}

static void hear_content(struct scene *scene, struct lab_line *line)
{
	say(scene, "354 go on\r\n");
	while (lab_link_line(&scene->server, line) == 1 &&
	    strcmp(line->text, ".") != 0)
		note(scene, line->text);
	say(scene, "250 taken\r\n");
}

static bool answer(struct scene *scene, struct lab_line *line)
{
	note(scene, line->text);
	if (strncasecmp(line->text, "EHLO ", 5) == 0) {
		say(scene, OFFER);
	} else if (strcasecmp(line->text, "STARTTLS") == 0) {
		lab_link_discard(&scene->server);
		say(scene, "220 2.0.0 go\r\n");
		if (scene->context != NULL)
			start_tls(scene);
		else
			hear_bytes(scene);
	} else if (strcasecmp(line->text, "DATA") == 0) {
		hear_content(scene, line);
	} else if (strcasecmp(line->text, "HELP") == 0) {
		/* Longer than where a bit is flipped, but not than 64. */
		say(scene, "214 a reply of some thirty bytes\r\n");
	} else if (strcasecmp(line->text, "LONG") == 0) {
		say_much(scene);
	} else if (strcasecmp(line->text, "RESET") == 0) {
		lab_link_reset(&scene->server);
		return false;
	} else if (strcasecmp(line->text, "QUIT") == 0) {
		say(scene, "221 bye\r\n");
		return false;
	} else {
		say(scene, "250 ok\r\n");
	}
	return true;
}

static void *serve(void *arg)
{
	struct scene *scene = arg;
	struct lab_line line;

	if (scene->implicit)
		start_tls(scene);
	say(scene, "220 hello 2020\r\n");
	while (lab_link_line(&scene->server, &line) == 1 &&
	    answer(scene, &line))
		continue;
	lab_link_close(&scene->server);
	return NULL;
}

static void *relay(void *arg)
{
	struct scene *scene = arg;

	lab_path_relay(scene->path, scene->front, scene->back);
	return NULL;
}

static void begin(struct scene *scene)
{
	struct timeval time = { .tv_sec = PATIENCE_MS / 1000 };
	int ends[2];

	assert_int_equal(lab_path_pair(ends), 0);
	scene->client = ends[0];
	scene->front = ends[1];
	assert_int_equal(lab_path_pair(ends), 0);
	scene->back = ends[0];
	lab_link_init(&scene->server, ends[1]);
	setsockopt(scene->client, SOL_SOCKET, SO_RCVTIMEO, &time,
	    sizeof(time));
	assert_int_equal(pthread_create(&scene->thread, NULL, serve, scene),
	    0);
	assert_int_equal(pthread_create(&scene->relay, NULL, relay, scene),
	    0);
}

/* Waits for both: a relay that does not end is a failure by time-out. */
static void finish(struct scene *scene)
{
	if (scene->client != -1)
		close(scene->client);
	pthread_join(scene->thread, NULL);
	pthread_join(scene->relay, NULL);
	lab_link_release(&scene->server);
	SSL_CTX_free(scene->context);
}

/* The client's: until text ends so, in the order it came. */
static void expect(int fd, const char *wanted)
{
	char got[1024] = "";
	size_t length = strlen(wanted), have = 0;

	while (have < length) {
		ssize_t more = recv(fd, got + have, length - have, 0);

		if (more <= 0)
			break;
		have += (size_t)more;
		got[have] = '\0';
	}
	assert_string_equal(got, wanted);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
	    strlen(text));
}

static bool is_silent(int fd)
{
	struct timeval time = { .tv_usec = SILENCE_MS * 1000 };
	char byte;
	bool silent;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	silent = recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN;
	time = (struct timeval){ .tv_sec = PATIENCE_MS / 1000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	return silent;
}

/* --- words --- */

static void words(void **state)
{
	static const struct { const char *word; int path; } rows[] = {
		{ "", LAB_PATH_NONE }, { "strip", LAB_PATH_STRIP },
		{ "mangle", LAB_PATH_MANGLE }, { "block", LAB_PATH_BLOCK },
		{ "reset", LAB_PATH_RESET }, { "refuse", LAB_PATH_REFUSE },
		{ "impostor", LAB_PATH_IMPOSTOR },
		{ "refuse-ehlo", LAB_PATH_REFUSE_EHLO },
		{ "refuse-starttls", LAB_PATH_REFUSE_STARTTLS },
		{ "inject", LAB_PATH_INJECT },
		{ "drop-tls", LAB_PATH_DROP_TLS },
		{ "reset-tls", LAB_PATH_RESET_TLS },
		{ "flip", LAB_PATH_FLIP }, { "pieces", LAB_PATH_PIECES },
		{ "strips", -1 }, { "STRIP", -1 }, { "fli", -1 },
		{ "#2", -1 }
	};
	int i;

	(void)state;
	for (i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++)
		assert_int_equal(lab_path_find(rows[i].word,
		    strlen(rows[i].word)), rows[i].path);
	/* Without what follows. */
	assert_int_equal(lab_path_find("reset#2", 5), LAB_PATH_RESET);
	assert_int_equal(lab_path_find("reset#2", 7), -1);
	assert_int_equal(lab_path_find("reset-tls", 5), LAB_PATH_RESET);
	assert_int_equal(lab_path_find("strip", 0), LAB_PATH_NONE);
	/* All that the reader knows. */
	for (i = 0; lab_path_words[i] != NULL; i++)
		assert_int_equal(lab_path_find(lab_path_words[i],
		    strlen(lab_path_words[i])), i);
	assert_int_equal(i, LAB_PATHS);
}

/* --- dialogues in clear --- */

/* Sent in one segment, then this comes. */
struct turn {
	const char	*send, *wanted;
};

static const struct dialogue_case {
	enum lab_path	 path;
	const char	*banner;
	struct turn	 turns[5];
	const char	*heard;		/* by the server */
} dialogue_cases[] = {
	{ LAB_PATH_NONE, "220 hello 2020\r\n", { { "EHLO a\r\n", OFFER },
	    { "ehlo a\r\n", OFFER }, { "STARTTLS\r\n", "220 2.0.0 go\r\n" },
	    { "\x16\x03\x01", "" } }, "EHLO a,ehlo a,STARTTLS,bytes" },
	{ LAB_PATH_STRIP, "220 hello 2020\r\n", { { "EHLO a\r\n", NO_OFFER },
	    { "STARTTLS\r\n", UNKNOWN }, { "starttls\r\n", UNKNOWN },
	    { "QUIT\r\n", "221 bye\r\n" } }, "EHLO a,QUIT" },
	{ LAB_PATH_MANGLE, "220 ******2020\r\n", { { "EHLO a\r\n",
	    HOST "250-SIZE 1000\r\n250 XXXXXXXA\r\n" },
	    { "STARTTLS\r\n", "250 ok\r\n" }, { "QUIT\r\n", "221 bye\r\n" } },
	    "EHLO a,XXXXXXXX,QUIT" },
	/* Only HELO is left; other commands are not touched. */
	{ LAB_PATH_REFUSE_EHLO, "220 hello 2020\r\n", {
	    { "EHLO a\r\n", UNKNOWN }, { "Ehlo a\r\n", UNKNOWN },
	    { "HELO a\r\n", "250 ok\r\n" }, { "EHLOX\r\n", "250 ok\r\n" },
	    { "QUIT\r\n", "221 bye\r\n" } }, "HELO a,EHLOX,QUIT" },
	{ LAB_PATH_REFUSE_STARTTLS, "220 hello 2020\r\n", {
	    { "EHLO a\r\n", OFFER }, { "STARTTLS\r\n", LATER },
	    { "StartTLS\r\n", LATER }, { "NOOP\r\n", "250 ok\r\n" },
	    { "QUIT\r\n", "221 bye\r\n" } }, "EHLO a,NOOP,QUIT" },
	{ LAB_PATH_INJECT, "220 hello 2020\r\n", { { "EHLO a\r\n", OFFER },
	    { "NOOP\r\n", "250 ok\r\n" }, { "STARTTLS\r\n",
	    "220 2.0.0 go\r\n250 2.0.0 injected\r\n" },
	    { "\x16\x03\x01", "" } }, "EHLO a,NOOP,STARTTLS,bytes" },
	/* These leave alone what is not TLS. */
	{ LAB_PATH_DROP_TLS, "220 hello 2020\r\n", { { "EHLO a\r\n", OFFER },
	    { "NOOP\r\n", "250 ok\r\n" }, { "QUIT\r\n", "221 bye\r\n" } },
	    "EHLO a,NOOP,QUIT" },
	{ LAB_PATH_RESET_TLS, "220 hello 2020\r\n", {
	    { "EHLO a\r\n", OFFER }, { "NOOP\r\n", "250 ok\r\n" },
	    { "QUIT\r\n", "221 bye\r\n" } }, "EHLO a,NOOP,QUIT" },
	{ LAB_PATH_FLIP, "220 hello 2020\r\n", { { "EHLO a\r\n", OFFER },
	    { "NOOP\r\n", "250 ok\r\n" }, { "QUIT\r\n", "221 bye\r\n" } },
	    "EHLO a,NOOP,QUIT" },
	{ LAB_PATH_PIECES, "220 hello 2020\r\n", { { "EHLO a\r\n", OFFER },
	    { "NOOP\r\nNOOP\r\n", "250 ok\r\n250 ok\r\n" },
	    { "QUIT\r\n", "221 bye\r\n" } }, "EHLO a,NOOP,NOOP,QUIT" },
	/* The content of a message is nobody's command. */
	{ LAB_PATH_STRIP, "220 hello 2020\r\n", {
	    { "DATA\r\n", "354 go on\r\n" },
	    { "STARTTLS\r\nEHLO\r\n.\r\nSTARTTLS\r\n", UNKNOWN },
	    { "", "250 taken\r\n" }, { "QUIT\r\n", "221 bye\r\n" } },
	    "DATA,STARTTLS,EHLO,QUIT" },
	{ LAB_PATH_REFUSE_EHLO, "220 hello 2020\r\n", {
	    { "DATA\r\n", "354 go on\r\n" },
	    { "EHLO\r\n\x16\r\n.\r\n", "250 taken\r\n" },
	    { "EHLO a\r\n", UNKNOWN }, { "QUIT\r\n", "221 bye\r\n" } }, "DATA,EHLO,\x16,QUIT" },
	/* The reply to another command is not the one to STARTTLS. */
	{ LAB_PATH_INJECT, "220 hello 2020\r\n", {
	    { "STARTTLSX\r\n", "250 ok\r\n" }, { "QUIT\r\n", "221 bye\r\n" } },
	    "STARTTLSX,QUIT" }
};

static void dialogues(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(dialogue_cases) / sizeof(dialogue_cases[0]);
	    i++) {
		const struct dialogue_case *of = &dialogue_cases[i];
		struct scene scene = { .path = of->path };

		print_message("%zu %s\n", i, lab_path_words[of->path]);
		begin(&scene);
		expect(scene.client, of->banner);
		for (j = 0; j < 5 && of->turns[j].send != NULL; j++) {
			send_text(scene.client, of->turns[j].send);
			expect(scene.client, of->turns[j].wanted);
		}
		/* Nothing more came, but the end in order. */
		shutdown(scene.client, SHUT_WR);
		expect(scene.client, "");
		assert_int_equal(recv(scene.client, &(char){ 0 }, 1, 0), 0);
		finish(&scene);
		assert_string_equal(scene.heard, of->heard);
	}
}

/* --- segments --- */

static unsigned segments_in(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	memset(&info, 0, sizeof(info));
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info,
	    &length), 0);
	return info.tcpi_data_segs_in;
}

/* N-15: one segment has both; and what is read at once is both. */
static void inject_is_one_segment(void **state)
{
	static const char both[] = "220 2.0.0 go\r\n250 2.0.0 injected\r\n";
	struct scene scene = { .path = LAB_PATH_INJECT };
	char got[100];
	unsigned before;

	(void)state;
	begin(&scene);
	expect(scene.client, "220 hello 2020\r\n");
	before = segments_in(scene.client);
	send_text(scene.client, "STARTTLS\r\n");
	assert_int_equal(recv(scene.client, got, sizeof(got), 0),
	    sizeof(both) - 1);
	assert_memory_equal(got, both, sizeof(both) - 1);
	assert_int_equal(segments_in(scene.client), before + 1);
	finish(&scene);
	assert_string_equal(scene.heard, "STARTTLS,end");
}

/* A reply that is no 220 has nothing put behind it; nor has the next one. */
static void inject_needs_220(void **state)
{
	struct scene scene = { .path = LAB_PATH_INJECT };
	int ends[2], more[2];
	char got[100];

	(void)state;
	/* Without the server: its words are these. */
	assert_int_equal(lab_path_pair(ends), 0);
	assert_int_equal(lab_path_pair(more), 0);
	scene.front = ends[1];
	scene.back = more[0];
	pthread_create(&scene.relay, NULL, relay, &scene);
	send_text(ends[0], "STARTTLS\r\n");
	assert_int_equal(recv(more[1], got, 10, MSG_WAITALL), 10);
	send_text(more[1], "454 no\r\n220 later\r\n");
	expect(ends[0], "454 no\r\n220 later\r\n");
	send_text(ends[0], "STARTTLS\r\n");
	assert_int_equal(recv(more[1], got, 10, MSG_WAITALL), 10);
	send_text(more[1], "220-one\r\n220 two\r\n");
	expect(ends[0], "220-one\r\n220 two\r\n250 2.0.0 injected\r\n");
	assert_true(is_silent(ends[0]));
	close(ends[0]);
	close(more[1]);
	pthread_join(scene.relay, NULL);
}

/* Bytes as many as segments, while it is in clear; sixteen at a time later. */
static void pieces_are_segments(void **state)
{
	enum { REPLIES = 40 };
	struct scene scene = { .path = LAB_PATH_PIECES };
	char reply[LONG_REPLY];
	unsigned server_before, before, i;

	(void)state;
	begin(&scene);
	expect(scene.client, "220 hello 2020\r\n");
	assert_int_equal(segments_in(scene.client), 16);
	server_before = segments_in(scene.server.fd);
	send_text(scene.client, "NOOP\r\n");
	expect(scene.client, "250 ok\r\n");
	assert_int_equal(segments_in(scene.server.fd), server_before + 6);
	before = segments_in(scene.client);
	for (i = 0; i < REPLIES; i++) {
		send_text(scene.client, "LONG\r\n");
		assert_int_equal(recv(scene.client, reply, LONG_REPLY,
		    MSG_WAITALL), LONG_REPLY);
	}
	before = segments_in(scene.client) - before;
	print_message("%u segments\n", before);
	assert_in_range(before, 4096 - 24 + (REPLIES * LONG_REPLY - 4072) / 16,
	    4096 - 24 + (REPLIES * LONG_REPLY - 4072) / 16 + REPLIES);
	finish(&scene);
}

static void whole_without_pieces(void **state)
{
	struct scene scene = { .path = LAB_PATH_NONE };

	(void)state;
	begin(&scene);
	expect(scene.client, "220 hello 2020\r\n");
	assert_int_equal(segments_in(scene.client), 1);
	send_text(scene.client, "LONG\r\n");
	recv(scene.client, (char[LONG_REPLY]){ 0 }, LONG_REPLY, MSG_WAITALL);
	assert_int_equal(segments_in(scene.client), 2);
	finish(&scene);
}

/* --- under TLS --- */

static int secure(struct scene *scene, struct lab_link *client)
{
	static const struct lab_tls_request request;
	struct lab_line line;

	lab_link_init(client, scene->client);
	scene->client = -1;
	if (!scene->implicit) {
		assert_int_equal(lab_link_line(client, &line), 1);
		lab_link_write(client, "STARTTLS\r\n", 10);
		assert_int_equal(lab_link_line(client, &line), 1);
		assert_string_equal(line.text, "220 2.0.0 go");
	}
	return lab_link_secure_client(client, &request);
}

/* The code of the reply, or -1. */
static int ask(struct lab_link *client, const char *command)
{
	struct lab_line line;

	if (lab_link_write(client, command, strlen(command)) == -1)
		return -1;
	do {
		if (lab_link_line(client, &line) != 1)
			return -1;
	} while (line.length > 3 && line.text[3] == '-');
	return (int)strtol(line.text, NULL, 10);
}

/* What no word for lines spoils, and no word for bytes destroys. */
static void tls_passes(void **state)
{
	static const enum lab_path paths[] = { LAB_PATH_NONE, LAB_PATH_STRIP,
	    LAB_PATH_MANGLE, LAB_PATH_REFUSE_EHLO, LAB_PATH_REFUSE_STARTTLS,
	    LAB_PATH_INJECT, LAB_PATH_PIECES };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct scene scene = { .path = paths[i], .implicit = true,
		    .context = make_context("1.3", 2) };
		struct lab_link client;
		struct lab_line line;

		print_message("%s\n", lab_path_words[paths[i]]);
		begin(&scene);
		assert_int_equal(secure(&scene, &client), 0);
		assert_int_equal(lab_link_line(&client, &line), 1);
		assert_string_equal(line.text, "220 hello 2020");
		assert_int_equal(ask(&client, "EHLO a\r\n"), 250);
		assert_int_equal(ask(&client, "LONG\r\n"), 250);
		assert_int_equal(ask(&client, "QUIT\r\n"), 221);
		lab_link_close(&client);
		lab_link_release(&client);
		finish(&scene);
		assert_string_equal(scene.heard, "tls,EHLO a,LONG,QUIT");
	}
}

static const struct flip_case {
	const char	*version;
	int		 tickets;
	bool		 implicit;
	enum lab_path	 path;
	const char	*commands[3];
	const char	*codes;		/* "-": the seal was broken */
} flip_cases[] = {
	/* The tickets are the first such record of TLS 1.3, where they are. */
	{ "1.3", 2, false, LAB_PATH_FLIP, { "NOOP\r\n" }, "-" },
	{ "1.3", 0, false, LAB_PATH_FLIP, { "NOOP\r\n", "HELP\r\n",
	    "LONG\r\n" }, "250214-" },
	{ "1.3", 0, false, LAB_PATH_FLIP, { "EHLO a\r\n" }, "-" },
	{ "1.2", 2, false, LAB_PATH_FLIP, { "NOOP\r\n", "EHLO a\r\n" },
	    "250-" },
	{ "1.2", 2, false, LAB_PATH_FLIP, { "NOOP\r\n", "HELP\r\n",
	    "LONG\r\n" }, "250214-" },
	{ "1.0", 2, false, LAB_PATH_FLIP, { "LONG\r\n" }, "-" },
	{ "1.3", 2, true, LAB_PATH_FLIP, { "" }, "-" },
	{ "1.2", 2, true, LAB_PATH_FLIP, { "", "NOOP\r\n", "LONG\r\n" },
	    "220250-" },
	{ "1.3", 2, false, LAB_PATH_NONE, { "NOOP\r\n", "LONG\r\n" },
	    "250250" },
	{ "1.2", 2, false, LAB_PATH_NONE, { "NOOP\r\n", "LONG\r\n" },
	    "250250" }
};

static void flip(void **state)
{
	static const struct lab_tls_request request = {
	    .least = TLS1_VERSION };
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(flip_cases) / sizeof(flip_cases[0]); i++) {
		const struct flip_case *of = &flip_cases[i];
		struct scene scene = { .path = of->path,
		    .implicit = of->implicit,
		    .context = make_context(of->version, of->tickets) };
		struct lab_link client;
		struct lab_line line;
		char codes[32] = "";

		print_message("%zu %s %s\n", i, of->version, of->codes);
		begin(&scene);
		lab_link_init(&client, scene.client);
		scene.client = -1;
		if (!of->implicit) {
			assert_int_equal(lab_link_line(&client, &line), 1);
			assert_int_equal(ask(&client, "STARTTLS\r\n"), 220);
		}
		/* The handshake is not harmed. */
		assert_int_equal(lab_link_secure_client(&client, &request),
		    0);
		for (j = 0; j < 3 && of->commands[j] != NULL; j++) {
			int code = ask(&client, of->commands[j]);
			size_t used = strlen(codes);

			snprintf(codes + used, sizeof(codes) - used, code > 0 ?
			    "%d" : "-", code);
		}
		assert_string_equal(codes, of->codes);
		assert_int_equal(strstr(client.problem, "bad record mac") !=
		    NULL, of->path == LAB_PATH_FLIP);
		lab_link_close(&client);
		lab_link_release(&client);
		finish(&scene);
	}
}

/* One bit of one record, wherever segments end; lengths, and what of it comes
 * before the client's own, are not changed. */
static void flip_is_one_bit(void **state)
{
	enum { RECORD = 5 + 300 };
	static const size_t segments[] = { 1, 7, 4096 };
	struct scene scene = { .path = LAB_PATH_FLIP };
	unsigned char sent[RECORD * 3], got[RECORD * 3];
	int near[2], far[2], different;
	size_t i, j, size;

	(void)state;
	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (unsigned char)i;
	for (i = 0; i < 3; i++)
		memcpy(sent + i * RECORD, "\x17\x03\x03\x01\x2c", 5);
	for (i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		assert_int_equal(lab_path_pair(near), 0);
		assert_int_equal(lab_path_pair(far), 0);
		scene.front = near[1];
		scene.back = far[0];
		pthread_create(&scene.relay, NULL, relay, &scene);
		assert_int_equal(send(near[0], "\x16\x03\x03\0\1a", 6, 0), 6);
		assert_int_equal(recv(far[1], got, 6, MSG_WAITALL), 6);
		assert_int_equal(send(far[1], sent, RECORD, 0), RECORD);
		assert_int_equal(recv(near[0], got, RECORD, MSG_WAITALL),
		    RECORD);
		assert_memory_equal(got, sent, RECORD);
		assert_int_equal(send(near[0], "\x17\x03\x03\0\1a", 6, 0), 6);
		assert_int_equal(recv(far[1], got, 6, MSG_WAITALL), 6);
		assert_memory_equal(got, "\x17\x03\x03\0\1a", 6);
		for (j = 0; j < sizeof(sent); j += size) {
			size = segments[i] < sizeof(sent) - j ? segments[i] :
			    sizeof(sent) - j;
			send(far[1], sent + j, size, 0);
			recv(near[0], got + j, size, MSG_WAITALL);
		}
		different = 0;
		for (j = 0; j < sizeof(sent); j++)
			different += __builtin_popcount(sent[j] ^ got[j]);
		assert_int_equal(different, 1);
		assert_memory_equal(got + RECORD, sent + RECORD, 2 * RECORD);
		close(near[0]);
		close(far[1]);
		pthread_join(scene.relay, NULL);
	}
}

/* N-09: silence, both ways, and the server's end is not heard either. */
static void drop(bool implicit)
{
	struct scene scene = { .path = LAB_PATH_DROP_TLS,
	    .implicit = implicit };
	static const char hello[] = "\x16\x03\x01\x00\x04rest";

	scene.context = implicit ? make_context("1.3", 2) : NULL;
	begin(&scene);
	if (!implicit) {
		expect(scene.client, "220 hello 2020\r\n");
		send_text(scene.client, "STARTTLS\r\n");
		expect(scene.client, "220 2.0.0 go\r\n");
	}
	assert_int_equal(send(scene.client, hello, sizeof(hello) - 1, 0),
	    sizeof(hello) - 1);
	assert_true(is_silent(scene.client));
	shutdown(scene.server.fd, SHUT_WR);
	assert_true(is_silent(scene.client));
	/* More of it is swallowed, too. */
	assert_int_equal(send(scene.client, hello, sizeof(hello) - 1, 0),
	    sizeof(hello) - 1);
	assert_true(is_silent(scene.client));
	/* The client goes: so does the relay. */
	finish(&scene);
	assert_string_equal(scene.heard, implicit ? "no-tls" :
	    "STARTTLS,end");
}

static void drop_tls(void **state)
{
	(void)state;
	drop(false);
	drop(true);
}

/* Even its reset is not heard. */
static void drop_tls_hides_resets(void **state)
{
	struct scene scene = { .path = LAB_PATH_DROP_TLS };
	int ends[2], more[2];

	(void)state;
	assert_int_equal(lab_path_pair(ends), 0);
	assert_int_equal(lab_path_pair(more), 0);
	scene.front = ends[1];
	scene.back = more[0];
	pthread_create(&scene.relay, NULL, relay, &scene);
	send_text(ends[0], "\x16\x03");
	assert_true(is_silent(ends[0]));
	lab_path_reset(more[1]);
	assert_true(is_silent(ends[0]));
	close(ends[0]);
	pthread_join(scene.relay, NULL);
}

/* N-10: both ends are reset by the first byte, and not before. */
static void reset_tls(void **state)
{
	struct scene scene = { .path = LAB_PATH_RESET_TLS };
	char byte;

	(void)state;
	begin(&scene);
	expect(scene.client, "220 hello 2020\r\n");
	send_text(scene.client, "STARTTLS\r\n");
	expect(scene.client, "220 2.0.0 go\r\n");
	assert_true(is_silent(scene.client));
	send_text(scene.client, "\x16");
	assert_int_equal(recv(scene.client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	finish(&scene);
	assert_string_equal(scene.heard, "STARTTLS,Connection reset by peer");
}

/* The 220 and the hello behind it in the same segment as the command. */
static void reset_tls_in_a_hurry(void **state)
{
	struct scene scene = { .path = LAB_PATH_RESET_TLS };
	char got[100];

	(void)state;
	begin(&scene);
	expect(scene.client, "220 hello 2020\r\n");
	send_text(scene.client, "STARTTLS\r\n\x16\x03\x01");
	while (recv(scene.client, got, sizeof(got), 0) > 0)
		continue;
	assert_int_equal(errno, ECONNRESET);
	finish(&scene);
}

/* A reset is passed on as one, an unfinished line at the end as it is. */
static void ends(void **state)
{
	struct scene scene = { .path = LAB_PATH_STRIP };
	char byte;

	(void)state;
	begin(&scene);
	expect(scene.client, "220 hello 2020\r\n");
	send_text(scene.client, "RESET\r\n");
	assert_int_equal(recv(scene.client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	finish(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(dialogues),
		cmocka_unit_test(inject_is_one_segment),
		cmocka_unit_test(inject_needs_220),
		cmocka_unit_test(pieces_are_segments),
		cmocka_unit_test(whole_without_pieces),
		cmocka_unit_test(tls_passes),
		cmocka_unit_test(flip),
		cmocka_unit_test(flip_is_one_bit),
		cmocka_unit_test(drop_tls),
		cmocka_unit_test(drop_tls_hides_resets),
		cmocka_unit_test(reset_tls),
		cmocka_unit_test(reset_tls_in_a_hurry),
		cmocka_unit_test(ends)
	};

	return cmocka_run_group_tests(tests, make_identity, forget_identity);
}
