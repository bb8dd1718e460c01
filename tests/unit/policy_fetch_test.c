/* SPDX-License-Identifier: ISC */
/*
 * policy/fetch.c against real TLS servers on loopback, each a process of its
 * own that plays one scene: what it shows as certificate, what bytes it sends,
 * and how it ends. What a good policy host sends is fetched; everything else
 * must end in time with the right RFC 8460 type and no body.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/wire.h"
#include "policy/fetch.h"
#include "policy/fetch_response.h"
#include "policy/sts_policy.h"
#include "tests/unit/certificates.h"

enum { LONG = 30000, SHORT = 1200, REQUEST_MAX = 2048 };

/* --- certificates --- */

enum shown { GOOD, WILDCARD, COMMON_NAME, PARTIAL, EXPIRED, EARLY, WRONG,
    TARGET, SELF, CLIENT, ADDRESS, DEEP, UNKNOWN_CA, SHOWN };

static struct certificate *authority, *stranger, *shown[SHOWN];

static const struct certificate_plan plans[SHOWN] = {
	[GOOD] = { .alternative_names = "DNS:mta-sts.example.org" },
	[WILDCARD] = { .alternative_names = "DNS:*.example.org" },
	[COMMON_NAME] = { .common_name = "mta-sts.example.org" },
	[PARTIAL] = { .alternative_names = "DNS:mta*.example.org" },
	[EXPIRED] = { .alternative_names = "DNS:mta-sts.example.org",
	    .from_days = -9, .until_days = -2 },
	[EARLY] = { .alternative_names = "DNS:mta-sts.example.org",
	    .from_days = 2, .until_days = 9 },
	[WRONG] = { .alternative_names = "DNS:www.example.org" },
	[TARGET] = { .alternative_names = "DNS:mta-sts.provider.example" },
	[SELF] = { .alternative_names = "DNS:mta-sts.example.org" },
	[CLIENT] = { .alternative_names = "DNS:mta-sts.example.org",
	    .for_clients = true },
	[ADDRESS] = { .alternative_names = "IP:127.0.0.1" },
	[DEEP] = { .alternative_names = "DNS:*.*.org,DNS:*.org" },
	[UNKNOWN_CA] = { .alternative_names = "DNS:mta-sts.example.org" },
};

static void make_certificates(void)
{
	struct certificate_plan plan = { .common_name = "Test CA",
	    .authority = true };
	int i;

	authority = certificate_new(&plan);
	plan.common_name = "Other CA";
	stranger = certificate_new(&plan);
	for (i = 0; i < SHOWN; i++) {
		plan = plans[i];
		if (plan.common_name == NULL)
			plan.common_name = "test";
		plan.issuer = i == SELF ? NULL : i == UNKNOWN_CA ? stranger :
		    authority;
		shown[i] = certificate_new(&plan);
	}
}

/* --- the server --- */

/* How a scene ends, when its bytes are sent. */
enum ending {
	END_NOTIFY,		/* close_notify, then close */
	END_CUT,		/* close without it */
	END_RESET,
	END_STALL,		/* nothing any more, until killed */
	END_DRIP,		/* a byte now and then, for ever */
	END_LINES,		/* header lines without end */
	END_CHUNKS,		/* chunks without end */
	END_BYTES		/* bytes without end */
};

struct scene {
	const char	*name;		/* with the ids it is about */
	enum shown	 shown;
	int		 version;	/* highest TLS; 0: any */
	bool		 silent;	/* accepts and says nothing */
	bool		 plain;		/* answers without TLS */
	const char	*text;		/* the answer */
	size_t		 padding;	/* so many bytes behind it */
	enum ending	 ending;
	/* what must come of it */
	enum fetch_result result;
	const char	*words;		/* in the problem */
	int64_t		 milliseconds;	/* 0: LONG */
};

struct seen {			/* shared with the server */
	char	 request[REQUEST_MAX];
	char	 sni[256];
	int	 connections;
};

static struct seen *seen;
static struct endpoint server_address;
static pid_t server;

static int on_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)arg;
	snprintf(seen->sni, sizeof(seen->sni), "%s", name == NULL ? "" : name);
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *server_context(const struct scene *scene)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	BIO *pem = BIO_new_mem_buf(certificate_pem(shown[scene->shown]), -1);
	BIO *key = BIO_new_mem_buf(certificate_key_pem(shown[scene->shown]),
	    -1);

	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(context, scene->version);
	SSL_CTX_use_certificate(context, PEM_read_bio_X509(pem, NULL, NULL,
	    NULL));
	SSL_CTX_use_PrivateKey(context, PEM_read_bio_PrivateKey(key, NULL,
	    NULL, NULL));
	SSL_CTX_set_tlsext_servername_callback(context, on_name);
	return context;
}

static void read_request(SSL *ssl)
{
	size_t used = 0;
	int n;

	memset(seen->request, 0, sizeof(seen->request));
	while (used < REQUEST_MAX - 1 &&
	    strstr(seen->request, "\r\n\r\n") == NULL) {
		n = SSL_read(ssl, seen->request + used,
		    (int)(REQUEST_MAX - 1 - used));
		if (n <= 0)
			break;
		used += (size_t)n;
	}
}

static void repeat(SSL *ssl, const char *text, useconds_t pause)
{
	while (SSL_write(ssl, text, (int)strlen(text)) > 0)
		if (pause > 0)
			usleep(pause);
}

static void write_scene(SSL *ssl, const struct scene *scene)
{
	static const char block[1000] = { 'x' };
	size_t left = scene->padding, step;

	if (scene->text != NULL && scene->text[0] != '\0' &&
	    SSL_write(ssl, scene->text, (int)strlen(scene->text)) <= 0)
		return;
	for (; left > 0; left -= step) {
		step = left < sizeof(block) ? left : sizeof(block);
		if (SSL_write(ssl, block, (int)step) <= 0)
			return;
	}
	switch (scene->ending) {
	case END_NOTIFY: SSL_shutdown(ssl); break;
	case END_STALL: pause(); break;
	case END_DRIP: repeat(ssl, "a", 50000); break;
	case END_LINES: repeat(ssl, "A: b\r\n", 0); break;
	case END_CHUNKS: repeat(ssl, "8\r\nnothing\n\r\n", 0); break;
	case END_BYTES: repeat(ssl, "nothing\n", 0); break;
	default: break;
	}
}

static void serve(const struct scene *scene, SSL_CTX *context, int fd)
{
	struct linger linger = { 1, 0 };
	SSL *ssl = SSL_new(context);

	seen->connections++;
	if (scene->silent)
		pause();
	if (scene->plain &&
	    write(fd, scene->text, strlen(scene->text)) < 0)
		return;
	SSL_set_fd(ssl, fd);
	if (!scene->plain && SSL_accept(ssl) == 1) {
		read_request(ssl);
		write_scene(ssl, scene);
	}
	ERR_clear_error();
	SSL_free(ssl);
	if (scene->ending == END_RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	else
		shutdown(fd, SHUT_WR);
}

static void start_server(const struct scene *scene)
{
	struct endpoint local;
	int listener, fd;

	endpoint_parse(&local, "127.0.0.1", 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(listener, &local.address.any, local.length));
	assert_int_equal(0, listen(listener, 8));
	net_local(listener, &server_address);
	memset(seen, 0, sizeof(*seen));
	server = fork();
	if (server == 0) {
		SSL_CTX *context = server_context(scene);

		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		while ((fd = accept(listener, NULL, NULL)) != -1) {
			serve(scene, context, fd);
			close(fd);
		}
		_exit(0);
	}
	close(listener);
}

static void stop_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* --- the asking side --- */

static struct fetcher *fetcher;
static unsigned answered;
static enum fetch_result result;
static char problem[200], body[STS_BODY_MAX + 1];
static size_t body_length;

static void on_answer(void *arg, const struct fetch_answer *answer)
{
	(void)arg;
	answered++;
	result = answer->result;
	body_length = answer->length;
	if (answer->length > 0)
		memcpy(body, answer->body, answer->length);
	body[body_length] = '\0';
	snprintf(problem, sizeof(problem), "%s", answer->problem);
	loop_stop();
}

static struct fetch *begin(const struct endpoint *addresses, size_t count,
    int64_t milliseconds)
{
	struct fetch_question question = { .domain = "example.org",
	    .addresses = addresses, .count = count,
	    .milliseconds = milliseconds, .allow_loopback = true };
	struct fetch *fetch;
	unsigned before = answered;

	fetch = fetch_start(fetcher, &question, on_answer, NULL);
	assert_int_equal(answered, before);	/* never inside the call */
	return fetch;
}

static void ask(const struct endpoint *addresses, size_t count,
    int64_t milliseconds)
{
	unsigned before = answered;

	begin(addresses, count, milliseconds);
	loop_run();
	assert_int_equal(answered, before + 1);
}

/* The processes that this one has started, but for the server. */
static pid_t find_child(void)
{
	char path[64], text[256] = "", *rest = text, *word;
	FILE *file;
	long pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	file = fopen(path, "r");
	if (file != NULL && fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	if (file != NULL)
		fclose(file);
	while ((word = strsep(&rest, " ")) != NULL) {
		pid = strtol(word, NULL, 10);
		if (pid > 0 && pid != server)
			return (pid_t)pid;
	}
	return 0;
}

#define POLICY "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\n" \
    "max_age: 604800\r\n"			/* 68 bytes */
#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define WHOLE OK_HEAD "Content-Length: 68\r\n\r\n" POLICY

/* The same answer, a byte at a time, without TLS. */
static void play_bytes(const struct scene *scene)
{
	struct response response;
	size_t i;

	response_init(&response);
	for (i = 0; scene->text[i] != '\0' &&
	    response_add(&response, scene->text + i, 1); i++)
		continue;
	response_close(&response, scene->ending == END_NOTIFY);
	if (response.result != scene->result)
		fail_msg("%s, bytes: result %d, \"%s\"", scene->name,
		    (int)response.result, response.problem);
	if (response.result == FETCH_BODY)
		assert_string_equal(buf_string(&response.body), POLICY);
	response_release(&response);
}

static void play(const struct scene *scene)
{
	int64_t limit = scene->milliseconds > 0 ? scene->milliseconds : LONG;
	int64_t started = clock_monotonic();

	start_server(scene);
	ask(&server_address, 1, limit);
	stop_server();
	if (result != scene->result ||
	    (scene->words != NULL && strstr(problem, scene->words) == NULL))
		fail_msg("%s: result %d, \"%s\"", scene->name, (int)result,
		    problem);
	if (result == FETCH_BODY && strcmp(body, POLICY) != 0)
		fail_msg("%s: another body", scene->name);
	if (result != FETCH_BODY && (body_length != 0 || problem[0] == '\0'))
		fail_msg("%s: a body, or no words", scene->name);
	if (clock_monotonic() - started > limit + 15000)
		fail_msg("%s: took too long", scene->name);
	assert_int_equal(find_child(), 0);
}

static void play_all(const struct scene *scenes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		play(&scenes[i]);
		play_bytes(&scenes[i]);
	}
}

#define PLAY_ALL(scenes) play_all(scenes, sizeof(scenes) / sizeof(scenes[0]))

/* --- what is fetched --- */

static void test_whole(void **state)
{
	static const struct scene scenes[] = {
		{ .name = "length", .text = WHOLE },
		{ .name = "length, cut behind it", .text = WHOLE,
		    .ending = END_CUT },
		{ .name = "length, more behind it", .text = WHOLE "more" },
		{ .name = "chunks", .text = OK_HEAD
		    "Transfer-Encoding: chunked\r\n\r\n"
		    "20\r\nversion: STSv1\r\nmode: enforce\r\nm\r\n"
		    "24\r\nx: mx.example.org\r\nmax_age: 604800\r\n\r\n"
		    "0\r\n\r\n" },
		{ .name = "until close_notify", .text = OK_HEAD "\r\n"
		    POLICY },
		{ .name = "HTTP/1.0", .text = "HTTP/1.0 200 OK\r\n"
		    "content-type:text/plain\r\n\r\n" POLICY },
		{ .name = "STS-28 parameters", .text = "HTTP/1.1 200 OK\r\n"
		    "Content-Type: Text/Plain ; charset=UTF-8\r\n"
		    "Content-Length: 68\r\n\r\n" POLICY },
		{ .name = "S-34 STS-27 caching headers", .text = OK_HEAD
		    "Cache-Control: max-age=99\r\nETag: \"a\"\r\n"
		    "Last-Modified: Sun, 22 Nov 2026 12:42:06 GMT\r\n"
		    "Content-Length: 68\r\n\r\n" POLICY },
		{ .name = "chunks with extensions and trailers, LF alone",
		    .text = "HTTP/1.1 200\nContent-type:\ttext/plain;x=y \n"
		    "Transfer-Encoding: Chunked\n\n"
		    "044 ; a=\"b\"\n" POLICY "\n00;x\nTrailer: 1\n\n" },
		{ .name = "interim answers first", .text =
		    "HTTP/1.1 100 Continue\r\n\r\n"
		    "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n" WHOLE },
		{ .name = "STS-23 wildcard", .shown = WILDCARD,
		    .text = WHOLE },
		{ .name = "STS-63 TLS 1.2", .version = TLS1_2_VERSION,
		    .text = WHOLE },
		{ .name = "TLS 1.2 until close_notify",
		    .version = TLS1_2_VERSION, .text = OK_HEAD "\r\n" POLICY },
	};

	(void)state;
	PLAY_ALL(scenes);
}

/* STS-20, STS-24, STS-27, S-40: what we say. */
static void test_request(void **state)
{
	static const struct scene scene = { .name = "request", .text = WHOLE };

	(void)state;
	play(&scene);
	assert_string_equal(seen->sni, "mta-sts.example.org");
	assert_int_equal(0, strncmp(seen->request,
	    "GET /.well-known/mta-sts.txt HTTP/1.1\r\n", 39));
	assert_non_null(strstr(seen->request,
	    "\r\nHost: mta-sts.example.org\r\n"));
	assert_null(strstr(seen->request, "If-"));
	assert_null(strstr(seen->request, "gzip"));
}

/* --- certificates --- */

static void test_certificates(void **state)
{
	static const struct { const char *name; enum shown shown; } cases[] = {
		{ "STS-23 S-09 common name only", COMMON_NAME },
		{ "STS-23 partial wildcard", PARTIAL },
		{ "STS-22 S-09 expired", EXPIRED },
		{ "S-09 not yet valid", EARLY },
		{ "S-09 another name", WRONG },
		{ "STS-25 S-10 the provider's name", TARGET },
		{ "S-09 self-signed", SELF },
		{ "for clients only", CLIENT },
		{ "STS-65 address only", ADDRESS },
		{ "wildcards for more than a label", DEEP },
		{ "S-09 unknown authority", UNKNOWN_CA },
	};
	struct scene scene = { .text = WHOLE, .result = FETCH_UNTRUSTED,
	    .words = "certificate" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene.name = cases[i].name;
		scene.shown = cases[i].shown;
		play(&scene);
		assert_int_equal(seen->request[0], '\0');
	}
	assert_string_equal(fetch_result_name(result), "sts-webpki-invalid");
}

static void test_no_trust(void **state)
{
	static const struct scene scene = { .name = "no CA", .text = WHOLE,
	    .result = FETCH_OURS };
	struct fetcher *kept = fetcher;

	(void)state;
	fetcher = fetcher_new(NULL);
	play(&scene);
	assert_int_equal(seen->connections, 0);
	fetcher_free(fetcher);
	fetcher = fetcher_new("rubbish");
	play(&scene);
	fetcher_free(fetcher);
	fetcher = kept;
}

/* A role that has much in memory leaves the child as much as any other. */
static void test_large_role(void **state)
{
	static const struct scene scene = { .name = "large role",
	    .text = WHOLE, .result = FETCH_BODY };
	size_t length = (size_t)320 << 20;
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(memory != MAP_FAILED);
	memset(memory, 1, length);
	play(&scene);
	munmap(memory, length);
}

/* --- TLS --- */

static void test_tls(void **state)
{
	static const struct scene scenes[] = {
		{ .name = "STS-63 TLS 1.1", .version = TLS1_1_VERSION,
		    .text = WHOLE, .result = FETCH_FAILED,
		    .words = "no TLS" },
		{ .name = "STS-33 no TLS", .plain = true, .text = WHOLE,
		    .result = FETCH_FAILED, .words = "no TLS" },
		{ .name = "S-11 reset in the handshake", .plain = true,
		    .text = "", .ending = END_RESET, .result = FETCH_FAILED,
		    .words = "no TLS" },
		{ .name = "S-11 S-26 silence", .silent = true,
		    .result = FETCH_FAILED, .words = "in time",
		    .milliseconds = SHORT },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		play(&scenes[i]);
}

/* --- statuses and headers --- */

#define SCENE_FAILED(id, head, said) { .name = id, .text = head \
    "Content-Type: text/plain\r\nContent-Length: 68\r\n\r\n" POLICY, \
    .result = FETCH_FAILED, .words = said }

static void test_statuses(void **state)
{
	static const struct scene scenes[] = {
		SCENE_FAILED("S-22 STS-26 301", "HTTP/1.1 301 Moved\r\n"
		    "Location: https://mta-sts.example.org/x\r\n", "301"),
		SCENE_FAILED("S-22 302", "HTTP/1.1 302 Found\r\n"
		    "Location: /x\r\n", "not followed"),
		SCENE_FAILED("S-22 307", "HTTP/1.1 307 x\r\n", "307"),
		SCENE_FAILED("S-22 308", "HTTP/1.1 308 x\r\n", "308"),
		SCENE_FAILED("S-23 201", "HTTP/1.1 201 Made\r\n", "201"),
		SCENE_FAILED("S-23 204", "HTTP/1.1 204 None\r\n", "204"),
		SCENE_FAILED("S-23 206", "HTTP/1.1 206 Part\r\n"
		    "Content-Range: bytes 0-67/68\r\n", "206"),
		SCENE_FAILED("S-23 304", "HTTP/1.1 304 Same\r\n", "304"),
		SCENE_FAILED("S-23 404", "HTTP/1.1 404 No\r\n", "404"),
		SCENE_FAILED("S-23 410", "HTTP/1.1 410 Gone\r\n", "410"),
		SCENE_FAILED("S-23 500", "HTTP/1.1 500 Oh\r\n", "500"),
		SCENE_FAILED("S-23 101", "HTTP/1.1 101 Switch\r\n", "101"),
		SCENE_FAILED("S-23 103 alone", "HTTP/1.1 103 Hints\r\n", NULL),
		SCENE_FAILED("status 2000", "HTTP/1.1 2000 OK\r\n", NULL),
		SCENE_FAILED("status -200", "HTTP/1.1 -200 OK\r\n", NULL),
		SCENE_FAILED("no status", "HTTP/1.1 OK\r\n", NULL),
		SCENE_FAILED("no HTTP", "220 mx.example.org ESMTP\r\n", NULL),
		SCENE_FAILED("S-25 gzip", "HTTP/1.1 200 OK\r\n"
		    "Content-Encoding: gzip\r\n", "encoded"),
		SCENE_FAILED("S-25 identity, gzip", "HTTP/1.1 200 OK\r\n"
		    "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n",
		    "encoded"),
	};

	(void)state;
	PLAY_ALL(scenes);
}

#define SCENE_TYPE(id, type) { .name = id, .text = "HTTP/1.1 200 OK\r\n" \
    type "Content-Length: 68\r\n\r\n" POLICY, .result = FETCH_NO_TEXT, \
    .words = "text/plain" }

static void test_media_type(void **state)
{
	static const struct scene scenes[] = {
		SCENE_TYPE("S-24 STS-28 html", "Content-Type: text/html\r\n"),
		SCENE_TYPE("S-24 none", ""),
		SCENE_TYPE("S-24 two", "Content-Type: text/plain\r\n"
		    "Content-Type: text/html\r\n"),
		SCENE_TYPE("S-24 longer", "Content-Type: text/plainer\r\n"),
		SCENE_TYPE("S-24 other", "Content-Type: text/*\r\n"),
	};

	(void)state;
	PLAY_ALL(scenes);
	assert_string_equal(fetch_result_name(result), "sts-policy-invalid");
}

/* --- bodies that are not whole --- */

#define HALF "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\n" \
    "max_age: 6"
#define CHUNKED OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"

static void test_truncated(void **state)
{
	static const struct scene scenes[] = {
		{ .name = "S-27 short length, close_notify",
		    .text = OK_HEAD "Content-Length: 68\r\n\r\n" HALF },
		{ .name = "S-27 short length, cut",
		    .text = OK_HEAD "Content-Length: 68\r\n\r\n" HALF,
		    .ending = END_CUT },
		{ .name = "S-27 short length, reset",
		    .text = OK_HEAD "Content-Length: 68\r\n\r\n" HALF,
		    .ending = END_RESET },
		{ .name = "S-27 until the cut", .text = OK_HEAD "\r\n" POLICY,
		    .ending = END_CUT },
		{ .name = "S-27 until the cut, TLS 1.2",
		    .version = TLS1_2_VERSION, .text = OK_HEAD "\r\n" POLICY,
		    .ending = END_CUT },
		{ .name = "S-27 until the reset",
		    .text = OK_HEAD "\r\n" POLICY, .ending = END_RESET },
		{ .name = "S-27 chunk cut", .text = CHUNKED "44\r\n" HALF },
		{ .name = "S-27 last chunk missing",
		    .text = CHUNKED "44\r\n" POLICY "\r\n" },
		{ .name = "S-27 last chunk missing, cut",
		    .text = CHUNKED "44\r\n" POLICY "\r\n",
		    .ending = END_CUT },
		{ .name = "S-27 last chunk cut",
		    .text = CHUNKED "44\r\n" POLICY "\r\n0" },
		{ .name = "S-27 head cut", .text = OK_HEAD },
		{ .name = "S-27 nothing", .text = "" },
		{ .name = "two lengths", .text = OK_HEAD
		    "Content-Length: 62\r\nContent-Length: 68\r\n\r\n" POLICY },
		{ .name = "two lengths, the other way", .text = OK_HEAD
		    "Content-Length: 68\r\nContent-Length: 62\r\n\r\n" POLICY },
		{ .name = "length list", .text = OK_HEAD
		    "Content-Length: 68, 68\r\n\r\n" POLICY },
		{ .name = "length and chunks", .text = OK_HEAD
		    "Content-Length: 62\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "44\r\n" POLICY "\r\n0\r\n\r\n" },
		{ .name = "another coding", .text = OK_HEAD
		    "Transfer-Encoding: gzip, chunked\r\n\r\n"
		    "44\r\n" POLICY "\r\n0\r\n\r\n" },
		{ .name = "chunked twice", .text = OK_HEAD
		    "Transfer-Encoding: chunked\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n"
		    "44\r\n" POLICY "\r\n0\r\n\r\n" },
		{ .name = "negative length", .text = OK_HEAD
		    "Content-Length: -1\r\n\r\n" POLICY },
		{ .name = "length in words", .text = OK_HEAD
		    "Content-Length: 69x\r\n\r\n" POLICY },
		{ .name = "hexadecimal length", .text = OK_HEAD
		    "Content-Length: 0x44\r\n\r\n" POLICY },
		{ .name = "gigantic length", .text = OK_HEAD
		    "Content-Length: 18446744073709551615\r\n\r\n" POLICY },
		{ .name = "gigantic chunk",
		    .text = CHUNKED "ffffffffffffffff\r\n" POLICY },
		{ .name = "large chunk",
		    .text = CHUNKED "7fffffffffffffff\r\n" POLICY },
		{ .name = "no chunk size", .text = CHUNKED "\r\n" POLICY },
		{ .name = "chunk of another size",
		    .text = CHUNKED "43\r\n" POLICY "\r\n0\r\n\r\n" },
		{ .name = "folded header", .text = OK_HEAD
		    "X: y\r\n Content-Length: 62\r\n\r\n" POLICY },
		{ .name = "space before the colon", .text = OK_HEAD
		    "Content-Length : 68\r\n\r\n" POLICY },
		{ .name = "no name", .text = OK_HEAD ": 68\r\n\r\n" POLICY },
		{ .name = "control character", .text = OK_HEAD
		    "X: a\rb\r\nContent-Length: 68\r\n\r\n" POLICY },
		{ .name = "HTTP/2", .text = "HTTP/2 200\r\n"
		    "Content-Type: text/plain\r\n\r\n" POLICY },
		{ .name = "trailers missing",
		    .text = CHUNKED "44\r\n" POLICY "\r\n0\r\n" },
		{ .name = "negative chunk", .text = CHUNKED "-44\r\n" POLICY },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct scene scene = scenes[i];

		scene.result = FETCH_FAILED;
		play_all(&scene, 1);
	}
}

/* --- too much, too slow --- */

static void test_limits(void **state)
{
	static const struct scene scenes[] = {
		{ .name = "S-25 STS-30 64 KiB and one byte", .text = OK_HEAD
		    "Content-Length: 65537\r\n\r\n", .padding = 65537 },
		{ .name = "S-25 more, to the end", .text = OK_HEAD "\r\n",
		    .padding = 65537 },
		{ .name = "S-25 without end", .text = OK_HEAD "\r\n",
		    .ending = END_BYTES },
		{ .name = "S-25 chunks without end", .text = CHUNKED,
		    .ending = END_CHUNKS },
		{ .name = "S-26 head without end", .text = OK_HEAD,
		    .ending = END_LINES },
		{ .name = "S-26 line without end", .text = OK_HEAD "A: ",
		    .ending = END_BYTES },
		{ .name = "head too large", .text = OK_HEAD "A: ",
		    .padding = 17000 },
		{ .name = "100s without end", .milliseconds = SHORT * 4,
		    .text = "HTTP/1.1 100 Continue\r\n\r\n"
		    "HTTP/1.1 100 Continue\r\n", .ending = END_LINES },
		{ .name = "S-26 STS-29 drip of a head", .text = "HTTP/1.1 ",
		    .ending = END_DRIP, .milliseconds = SHORT,
		    .words = "in time" },
		{ .name = "S-26 drip of a body", .ending = END_DRIP,
		    .text = OK_HEAD "Content-Length: 6000\r\n\r\n",
		    .milliseconds = SHORT, .words = "in time" },
		{ .name = "S-26 stall in the body", .ending = END_STALL,
		    .text = OK_HEAD "Content-Length: 68\r\n\r\n" HALF,
		    .milliseconds = SHORT, .words = "in time" },
		{ .name = "S-26 stall behind all of an endless body",
		    .ending = END_STALL, .text = OK_HEAD "\r\n" POLICY,
		    .milliseconds = SHORT, .words = "in time" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct scene scene = scenes[i];

		scene.result = FETCH_FAILED;
		play(&scene);
	}
}

/* STS-30: 64 KiB exactly is still a body. */
static void test_largest(void **state)
{
	static const struct scene scene = { .text = OK_HEAD
	    "Content-Length: 65536\r\n\r\n", .padding = 65536 };

	(void)state;
	start_server(&scene);
	ask(&server_address, 1, LONG);
	stop_server();
	assert_string_equal(problem, "");
	assert_int_equal(body_length, 65536);
}

/* --- addresses --- */

static void test_public(void **state)
{
	static const struct { const char *text; bool is_public; } cases[] = {
		/* S-29 */
		{ "0.0.0.0", false }, { "0.1.2.3", false },
		{ "10.0.0.1", false }, { "100.63.255.255", true },
		{ "100.64.0.1", false }, { "100.127.255.255", false },
		{ "100.128.0.1", true }, { "127.0.0.1", false },
		{ "127.255.0.1", false }, { "169.254.169.254", false },
		{ "172.15.0.1", true }, { "172.16.0.1", false },
		{ "172.31.255.255", false }, { "172.32.0.1", true },
		{ "192.0.0.8", false }, { "192.0.1.1", true },
		{ "192.0.2.1", true }, { "192.88.99.1", false },
		{ "192.168.1.1", false }, { "192.169.0.1", true },
		{ "198.17.255.1", true }, { "198.18.0.1", false },
		{ "198.19.255.1", false }, { "198.51.100.1", true },
		{ "203.0.113.1", true }, { "8.8.8.8", true },
		{ "223.255.255.1", true }, { "224.0.0.1", false },
		{ "239.1.1.1", false }, { "240.0.0.1", false },
		{ "255.255.255.255", false },
		{ "::", false }, { "::1", false }, { "::2", false },
		{ "::127.0.0.1", false }, { "::ffff:127.0.0.1", false },
		{ "::ffff:10.0.0.1", false }, { "::ffff:192.0.2.1", true },
		{ "::ffff:0:10.0.0.1", false },
		{ "64:ff9b::10.0.0.1", false },
		{ "64:ff9b::127.0.0.1", false },
		{ "64:ff9b::192.0.2.1", true },
		{ "64:ff9b:1::192.0.2.1", false }, { "100::1", false },
		{ "2001::1", false }, { "2001:2::1", false },
		{ "2001:20::1", false }, { "2001:1ff::1", false },
		{ "2001:200::1", true }, { "2001:db8::1", true },
		{ "2002:7f00:1::1", false }, { "2606:4700::1", true },
		{ "3fff::1", true }, { "4000::1", false },
		{ "5f00::1", false }, { "fc00::1", false },
		{ "fd12:3456::1", false }, { "fe80::1", false },
		{ "fec0::1", false }, { "ff02::1", false },
	};
	struct endpoint endpoint;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(0, endpoint_parse(&endpoint, cases[i].text,
		    443));
		if (fetch_is_public(&endpoint, false) != cases[i].is_public)
			fail_msg("%s", cases[i].text);
		/* For tests: loopback, and nothing else. */
		if (fetch_is_public(&endpoint, true) !=
		    (cases[i].is_public || endpoint_is_loopback(&endpoint)))
			fail_msg("%s, with loopback", cases[i].text);
	}
	memset(&endpoint, 0, sizeof(endpoint));
	assert_false(fetch_is_public(&endpoint, true));
}

/* S-29: nobody is connected to. */
static void test_refused_address(void **state)
{
	static const struct scene scene = { .text = WHOLE };
	struct fetch_question question = { .domain = "example.org",
	    .addresses = &server_address, .count = 1, .milliseconds = LONG };

	(void)state;
	start_server(&scene);
	fetch_start(fetcher, &question, on_answer, NULL);
	loop_run();
	assert_int_equal(result, FETCH_FAILED);
	assert_non_null(strstr(problem, "no public address"));
	assert_int_equal(seen->connections, 0);
	question.count = 0;
	fetch_start(fetcher, &question, on_answer, NULL);
	loop_run();
	assert_int_equal(result, FETCH_FAILED);
	stop_server();
}

/* One of several addresses is enough, but not beyond the fourth. */
static void test_addresses(void **state)
{
	static const struct scene good = { .text = WHOLE };
	static const struct scene bad = { .shown = EXPIRED, .text = WHOLE };
	struct endpoint list[6], closed;
	pid_t first;
	size_t i;

	(void)state;
	endpoint_parse(&closed, "127.0.0.1", 9);
	start_server(&bad);
	list[1] = server_address;
	first = server;
	start_server(&good);
	list[0] = closed;
	endpoint_parse(&list[2], "::1", 9);
	list[3] = server_address;
	list[4] = server_address;
	ask(list, 4, LONG);
	assert_int_equal(result, FETCH_BODY);
	/* A refused certificate says more than a refused connection. */
	ask(list, 3, LONG);
	assert_int_equal(result, FETCH_UNTRUSTED);
	for (i = 0; i < 4; i++)
		list[i] = closed;
	ask(list, 5, LONG);
	assert_int_equal(result, FETCH_FAILED);
	stop_server();
	server = first;
	stop_server();
}

/* An address that hangs leaves time for the next. */
static void test_next_in_time(void **state)
{
	static const struct scene hanging = { .silent = true };
	static const struct scene good = { .text = WHOLE };
	struct endpoint list[2];
	pid_t first;

	(void)state;
	start_server(&hanging);
	list[0] = server_address;
	first = server;
	start_server(&good);
	list[1] = server_address;
	ask(list, 2, 4000);
	assert_int_equal(result, FETCH_BODY);
	stop_server();
	server = first;
	stop_server();
}

/* S-40: a policy host with IPv6 alone. */
static void test_v6(void **state)
{
	static const struct scene scene = { .text = WHOLE };
	struct endpoint local;
	int listener, fd;

	(void)state;
	endpoint_parse(&local, "::1", 0);
	listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener == -1 ||
	    bind(listener, &local.address.any, local.length) == -1)
		skip();
	assert_int_equal(0, listen(listener, 8));
	net_local(listener, &local);
	server = fork();
	if (server == 0) {
		SSL_CTX *context = server_context(&scene);

		fd = accept(listener, NULL, NULL);
		serve(&scene, context, fd);
		_exit(0);
	}
	close(listener);
	ask(&local, 1, LONG);
	assert_int_equal(result, FETCH_BODY);
	stop_server();
}

/* --- the process --- */

static void wait_for_connection(void)
{
	int i;

	for (i = 0; i < 2000 && seen->connections == 0; i++)
		usleep(10000);
	assert_int_not_equal(seen->connections, 0);
}

/* The child holds nothing of ours: an end of a pipe that only it could have
 * kept is gone while it still runs. */
static void test_sheds(void **state)
{
	static const struct scene scene = { .silent = true };
	struct fetch *fetch;
	int ends[2];
	char byte;

	(void)state;
	start_server(&scene);
	assert_int_equal(0, pipe(ends));	/* not close-on-exec */
	fetch = begin(&server_address, 1, LONG);
	close(ends[1]);
	wait_for_connection();
	assert_int_not_equal(find_child(), 0);
	assert_int_equal(0, read(ends[0], &byte, 1));
	close(ends[0]);
	fetch_cancel(fetch);
	assert_int_equal(find_child(), 0);
	stop_server();
}

static void test_killed(void **state)
{
	static const struct scene scene = { .silent = true };

	(void)state;
	start_server(&scene);
	begin(&server_address, 1, LONG);
	wait_for_connection();
	kill(find_child(), SIGKILL);
	loop_run();
	assert_int_equal(result, FETCH_OURS);
	assert_non_null(strstr(problem, "without an answer"));
	assert_int_equal(find_child(), 0);
	stop_server();
}

/* A child that hangs is killed by its parent: here it is stopped. */
static void test_stopped(void **state)
{
	static const struct scene scene = { .silent = true };

	(void)state;
	start_server(&scene);
	begin(&server_address, 1, SHORT);
	wait_for_connection();
	kill(find_child(), SIGSTOP);
	loop_run();
	assert_int_equal(result, FETCH_FAILED);
	assert_string_equal(problem, "the fetch took too long");
	assert_int_equal(find_child(), 0);
	stop_server();
}

static void test_cancel(void **state)
{
	static const struct scene scene = { .text = WHOLE };
	struct fetch *fetch;
	struct endpoint none;
	unsigned before = answered;
	struct timer patience = { 0 };

	(void)state;
	start_server(&scene);
	fetch = begin(&server_address, 1, LONG);
	fetch_cancel(fetch);
	endpoint_parse(&none, "10.0.0.1", 443);
	fetch = begin(&none, 1, LONG);		/* its answer is at hand */
	fetch_cancel(fetch);
	timer_start(&patience, 200, (loop_callback *)loop_stop, NULL);
	loop_run();
	timer_stop(&patience);
	assert_int_equal(answered, before);
	assert_int_equal(find_child(), 0);
	stop_server();
}

/* As the confined role does it: no file is needed any more, and no right. */
static void test_confined(void **state)
{
	static const struct scene scene = { .text = WHOLE };
	char root[] = "/tmp/postern-fetch-XXXXXX";
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(root));
	start_server(&scene);
	child = fork();
	if (child == 0) {
		if (chroot(root) != 0 || chdir("/") != 0 ||
		    setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		loop_init();
		ask(&server_address, 1, LONG);
		_exit(result == FETCH_BODY && strcmp(body, POLICY) == 0 ?
		    0 : 1);
	}
	waitpid(child, &status, 0);
	stop_server();
	rmdir(root);
	assert_int_equal(status, 0);
}

/* What the child says is a stranger's word. */
static void test_message(void **state)
{
	static const struct {
		uint8_t		 version, result;
		const char	*problem;
		size_t		 length;
		bool		 good;
	} cases[] = {
		{ 1, FETCH_BODY, "", 4, true },
		{ 1, FETCH_BODY, "", 0, true },
		{ 1, FETCH_BODY, "", STS_BODY_MAX, true },
		{ 1, FETCH_FAILED, "words", 0, true },
		{ 1, FETCH_UNTRUSTED, "words", 0, true },
		{ 1, FETCH_OURS, "words", 0, true },
		{ 2, FETCH_BODY, "", 4, false },
		{ 1, FETCH_RESULTS, "words", 0, false },
		{ 1, 255, "", 4, false },
		{ 1, FETCH_BODY, "words", 4, false },
		{ 1, FETCH_FAILED, "words", 4, false },
		{ 1, FETCH_FAILED, "", 0, false },
		{ 1, FETCH_BODY, "", STS_BODY_MAX + 1, false },
	};
	struct fetch_answer answer;
	struct wire_writer writer;
	struct buf message;
	size_t i, cut;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&message, STS_BODY_MAX + 1000);
		wire_write_begin(&writer, &message);
		wire_put_u8(&writer, cases[i].version);
		wire_put_u8(&writer, cases[i].result);
		wire_put_text(&writer, cases[i].problem);
		wire_put_bytes(&writer, body, cases[i].length);
		assert_int_equal(0, wire_write_end(&writer));
		fetch_read_message(buf_data(&message), buf_length(&message),
		    &answer);
		assert_int_equal(answer.result, cases[i].good ?
		    cases[i].result : FETCH_OURS);
		assert_int_equal(answer.length, cases[i].good ?
		    cases[i].length : 0);
		if (!cases[i].good)
			assert_non_null(strstr(answer.problem,
			    "without an answer"));
		for (cut = 0; cut < 12 && cut < buf_length(&message); cut++) {
			fetch_read_message(buf_data(&message),
			    buf_length(&message) - cut - 1, &answer);
			assert_int_equal(answer.result, FETCH_OURS);
		}
		buf_release(&message);
	}
}

static int set_up(void **state)
{
	(void)state;
	make_certificates();
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(seen, MAP_FAILED);
	fetcher = fetcher_new(certificate_pem(authority));
	return 0;
}

static int tear_down(void **state)
{
	int i;

	(void)state;
	fetcher_free(fetcher);
	munmap(seen, sizeof(*seen));
	for (i = 0; i < SHOWN; i++)
		certificate_free(shown[i]);
	certificate_free(authority);
	certificate_free(stranger);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_no_trust),
		cmocka_unit_test(test_large_role),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_media_type),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_refused_address),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_next_in_time),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_sheds),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_confined),
		cmocka_unit_test(test_message),
	};
	int status;

	log_init("test", LOG_LEVEL_FATAL);
	loop_init();
	status = cmocka_run_group_tests(tests, set_up, tear_down);
	loop_release();
	return status;
}
