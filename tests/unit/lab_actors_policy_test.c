/* SPDX-License-Identifier: ISC */
/*
 * The lab's MTA-STS hosts, seen by an HTTPS client of OpenSSL that trusts the
 * lab's authority: what a good one serves (RFC 8461 3.2, 3.3), and each fault.
 */
#include "tools/lab/actors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "tests/unit/lab_actors_client.h"
#include "tests/unit/lab_actors_world.h"
#include "tools/lab/namespace_network.h"

enum { HTTPS_PORT = 443, ENOUGH = 300 << 10, DRIP_MS = 1500 };

#define BODY "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\n" \
    "max_age: 86400\r\n"
#define PATH "/.well-known/mta-sts.txt"

/* How a connection ended. */
enum ending {
	END_REFUSED, END_BLOCKED,	/* connecting */
	END_RESET,			/* instead of a handshake */
	END_UNTRUSTED,			/* its certificate */
	END_UNRECOGNIZED,		/* an alert for the name's sake */
	END_CLOSED,			/* close_notify */
	END_CUT,			/* FIN alone */
	END_SILENT,			/* nothing more came in time */
	END_ENOUGH			/* we went */
};

struct policy_case {
	const char	*name;		/* of the host; certificate "good" */
	const char	*certificate;
	const char	*fault;
	int		 status;
	const char	*request;	/* null: the right one */
	enum ending	 ending;
	const char	*head;		/* in the answer; null: no answer */
	long		 missing;	/* bytes of Content-Length not sent */
	const char	*story;		/* null: nothing seen */
};

static const struct policy_case cases[] = {
	{ "good", "good", "", 200, NULL, END_CLOSED, "HTTP/1.1 200 ", 0,
	    "connect tls fetch(" PATH " 200) end" },
	{ "moved", "good", "", 301, NULL, END_CLOSED, "HTTP/1.1 301 ", 0,
	    "connect tls fetch(" PATH " 301) end" },
	{ "gone", "good", "", 404, NULL, END_CLOSED, "HTTP/1.1 404 ", 0,
	    "connect tls fetch(" PATH " 404) end" },
	{ "other-path", "good", "", 200, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
	    END_CLOSED, "HTTP/1.1 404 ", 0, "connect tls fetch(/x 404) end" },
	{ "other-method", "good", "", 200, "POST " PATH " HTTP/1.1\r\n\r\n",
	    END_CLOSED, "HTTP/1.1 405 ", 0,
	    "connect tls fetch(" PATH " 405) end" },
	{ "no-http", "good", "", 200, "EHLO x\r\n", END_CLOSED, NULL, 0,
	    "connect tls end" },
	{ "expired", "expired", "", 200, NULL, END_UNTRUSTED, NULL, 0,
	    "connect no-tls end" },
	{ "self", "self", "", 200, NULL, END_UNTRUSTED, NULL, 0,
	    "connect no-tls end" },
	{ "close", "good", "close", 200, NULL, END_CUT, NULL, 0,
	    "connect tls fetch(" PATH " 0) end" },
	{ "reset", "good", "reset", 200, NULL, END_RESET, NULL, 0,
	    "connect end" },
	{ "stall", "good", "stall", 200, NULL, END_SILENT, NULL, 0,
	    "connect tls fetch(" PATH " 0) end" },
	{ "drip", "good", "drip", 200, NULL, END_SILENT, "H", -1,
	    "connect tls fetch(" PATH " 200) end" },
	/* S-27: less than announced, and TLS ends in order. */
	{ "short", "good", "short", 200, NULL, END_CLOSED, "HTTP/1.1 200 ",
	    100, "connect tls fetch(" PATH " 200) end" },
	/* S-25 */
	{ "endless", "good", "endless", 200, NULL, END_ENOUGH,
	    "HTTP/1.1 200 ", -1, "connect tls fetch(" PATH " 200) end" },
	{ "block", "good", "block", 200, NULL, END_BLOCKED, NULL, 0, NULL },
	{ "refuse", "good", "refuse", 200, NULL, END_REFUSED, NULL, 0, NULL }
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static bool entered;
static struct lab_certificate certificates[] = {
	{ .name = (char[]){ "good" }, .common_name = (char[]){ "a" },
	    .organization = (char[]){ "" }, .issuer = LAB_ISSUER_CA,
	    .intermediates = 1, .issuer_authority = true },
	{ .name = (char[]){ "expired" }, .common_name = (char[]){ "a" },
	    .organization = (char[]){ "" }, .issuer = LAB_ISSUER_CA,
	    .validity = LAB_EXPIRED },
	{ .name = (char[]){ "self" }, .common_name = (char[]){ "a" },
	    .organization = (char[]){ "" }, .issuer = LAB_ISSUER_SELF }
};
static char *headers[] = { (char[]){ "Location: https://other.example/" },
    (char[]){ "X-Lab: yes" } };

/* A client's way of asking. */
struct asking {
	const char	*address;
	const char	*request;	/* null: the right one */
	const char	*name;		/* SNI; null: none */
	enum ending	 ending;	/* what is expected */
};

/* What was had of one answer. */
struct answer {
	enum ending	 ending;
	char		 version[16];	/* of TLS; "" none */
	char		*text;		/* owned */
	size_t		 length;
};

static SSL_CTX *client_context(const char *ca_pem)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *bio = BIO_new_mem_buf(ca_pem, -1);
	X509 *root = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	/* Whatever version of TLS the server has. */
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_security_level(context, 0);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	X509_free(root);
	BIO_free(bio);
	return context;
}

static enum ending how_it_ended(SSL *ssl, int result)
{
	int reason = errno, kind = SSL_get_error(ssl, result);
	unsigned long error = ERR_peek_error();

	ERR_clear_error();
	if (kind == SSL_ERROR_ZERO_RETURN)
		return END_CLOSED;
	if (kind == SSL_ERROR_WANT_READ)
		return END_SILENT;
	if (kind == SSL_ERROR_SYSCALL)
		return reason == ECONNRESET ? END_RESET : END_CUT;
	return ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED ?
	    END_UNTRUSTED : ERR_GET_REASON(error) ==
	    SSL_R_TLSV1_UNRECOGNIZED_NAME ? END_UNRECOGNIZED : END_CUT;
}

/* Reads until something ends it; a drip is ended by our own clock. */
static enum ending read_answer(SSL *ssl, struct answer *answer)
{
	int64_t until = clock_monotonic() + DRIP_MS;
	int got;

	for (;;) {
		errno = 0;
		got = SSL_read(ssl, answer->text + answer->length, 1024);
		if (got <= 0)
			return how_it_ended(ssl, got);
		answer->length += (size_t)got;
		if (answer->length >= ENOUGH)
			return END_ENOUGH;
		if (answer->length < 100 && clock_monotonic() > until)
			return END_SILENT;
	}
}

static void fetch(const struct asking *asking, const char *ca_pem,
    struct answer *answer)
{
	bool silent = asking->ending == END_BLOCKED ||
	    asking->ending == END_SILENT;
	const char *request = asking->request != NULL ? asking->request :
	    "GET " PATH " HTTP/1.1\r\nHost: mta-sts.example.org\r\n\r\n";
	SSL_CTX *context;
	int fd, result;
	SSL *ssl;

	answer->length = 0;
	answer->version[0] = '\0';
	fd = call_connect(asking->address, HTTPS_PORT, asking->ending ==
	    END_BLOCKED ? SILENCE_MS : PATIENCE_MS);
	if (fd == -1) {
		answer->ending = errno == ECONNREFUSED ? END_REFUSED :
		    END_BLOCKED;
		return;
	}
	context = client_context(ca_pem);
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	if (asking->name != NULL)
		SSL_set_tlsext_host_name(ssl, asking->name);
	errno = 0;
	result = SSL_connect(ssl);
	if (result == 1) {
		snprintf(answer->version, sizeof(answer->version), "%s",
		    SSL_get_version(ssl));
		call_patience(fd, silent ? SILENCE_MS * 5 : PATIENCE_MS);
		SSL_write(ssl, request, (int)strlen(request));
		answer->ending = read_answer(ssl, answer);
	} else {
		answer->ending = how_it_ended(ssl, result);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
}

/* 1 and a line if they differ. */
static int differ(const char *name, const char *what, long got, long wanted)
{
	if (got == wanted)
		return 0;
	print_error("%s: %s is %ld, not %ld\n", name, what, got, wanted);
	return 1;
}

static int judge(const struct policy_case *row, struct answer *answer)
{
	int wrong = differ(row->name, "ending", answer->ending, row->ending);
	const char *text = answer->text, *body, *length;
	size_t head;

	answer->text[answer->length] = '\0';
	if (row->head == NULL)
		return wrong + differ(row->name, "bytes",
		    (long)answer->length, 0);
	wrong += differ(row->name, "head", strncmp(text, row->head,
	    strlen(row->head)), 0);
	if (row->missing == -1) {
		/* Some of a drip, or more than one wants of the endless. */
		wrong += differ(row->name, "much", answer->length >= ENOUGH,
		    row->ending == END_ENOUGH);
		return wrong;
	}
	body = strstr(text, "\r\n\r\n");
	length = strstr(text, "\r\nContent-Length: ");
	if (body == NULL || length == NULL)
		return wrong + differ(row->name, "head", 0, 1);
	head = (size_t)(body + 4 - text);
	wrong += differ(row->name, "missing bytes", strtol(length + 18, NULL,
	    10) - (long)(answer->length - head), row->missing);
	wrong += differ(row->name, "type", strstr(text,
	    "\r\nContent-Type: text/plain\r\n") != NULL, 1);
	wrong += differ(row->name, "further headers", strstr(text,
	    "\r\nLocation: https://other.example/\r\nX-Lab: yes\r\n") != NULL,
	    1);
	if (row->request == NULL)
		wrong += differ(row->name, "body", strcmp(body + 4, BODY), 0);
	return wrong;
}

static struct lab_texts one_text(struct arena *arena, char *text)
{
	struct lab_texts texts = { arena_alloc(arena, sizeof(char *)), 1 };

	texts.items[0] = text;
	return texts;
}

static void fill_world(struct lab_world *world, struct lab_policy *policies,
    struct arena *arena)
{
	size_t i;

	for (i = 0; i < CASES; i++) {
		policies[i] = (struct lab_policy){
		    .domain = arena_dup_string(arena, cases[i].name),
		    .addresses = one_text(arena, arena_print(arena,
		    "127.0.2.%zu", i + 1)),
		    .certificate = arena_dup_string(arena,
		    cases[i].certificate),
		    .body = arena_dup_string(arena, BODY),
		    .status = cases[i].status,
		    .type = arena_dup_string(arena, "text/plain"),
		    .headers = { headers, 2 },
		    .fault = arena_dup_string(arena, cases[i].fault) };
	}
	*world = (struct lab_world){ .policies = policies,
	    .policy_count = CASES, .certificates = certificates,
	    .certificate_count = 3 };
}

static void every_policy(void **state)
{
	static struct lab_policy policies[CASES];
	struct answer answer = { .text = NULL };
	struct lab_world world;
	struct arena *arena;
	struct scene scene;
	int wrong = 0;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	arena = arena_new(1 << 20);
	answer.text = calloc(1, ENOUGH + 2048);
	assert_non_null(answer.text);
	fill_world(&world, policies, arena);
	scene_start(&scene, &world, false);
	for (i = 0; i < CASES; i++) {
		char story[1024] = "", actor[64];
		const char *wanted = cases[i].story;

		const struct asking asking = {
		    .address = policies[i].addresses.items[0],
		    .request = cases[i].request,
		    .name = "elsewhere.example",	/* nobody minds */
		    .ending = cases[i].ending };

		fetch(&asking, scene.identities->ca_pem, &answer);
		wrong += judge(&cases[i], &answer);
		snprintf(actor, sizeof(actor), "mta-sts.%s", cases[i].name);
		if (wanted != NULL)
			scene_story(&scene, actor, story, sizeof(story));
		if (strcmp(story, wanted != NULL ? wanted : "") != 0) {
			print_error("%s: story: %s\n", cases[i].name, story);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	assert_null(scene_event(&scene, SILENCE_MS));
	scene_end(&scene);
	arena_free(arena);
	free(answer.text);
}

/* --- what a policy host can be made to do otherwise --- */

#define XS10 "xxxxxxxxxx"
#define XS55 XS10 XS10 XS10 XS10 XS10 "xxxxx"
#define CHUNKED "\r\nTransfer-Encoding: chunked\r\n"

struct form_case {
	struct lab_policy	 policy;	/* without what all have */
	const char		*name;		/* SNI, as in struct asking */
	enum ending		 ending;
	const char		*version;	/* "" no handshake */
	const char		*head;		/* in it; null: any */
	const char		*body;		/* the whole; null: any */
	const char		*story;
};

static char *old_version[] = { (char[]){ "1.0" } };
static char *one_version[] = { (char[]){ "1.2" } };

#define NAMED(domain_text, ...) .policy = { .domain = (char[]){ domain_text }, \
	.status = 200, __VA_ARGS__ }
#define FAULTY(domain_text, word) NAMED(domain_text, .fault = (char[]){ word })
#define SEEN "connect tls fetch(" PATH " 200) end"
#define UNASKED "connect no-tls end"

static const struct form_case forms[] = {
	{ NAMED("named.example", .needs_name = true),
	    .name = "mta-sts.named.example", .ending = END_CLOSED,
	    .version = "TLSv1.3", .body = BODY, .story = SEEN },
	{ NAMED("named2.example", .needs_name = true),
	    .name = "MTA-STS.Named2.example", .ending = END_CLOSED,
	    .version = "TLSv1.3", .body = BODY, .story = SEEN },
	{ NAMED("other.example", .needs_name = true),
	    .name = "elsewhere.example", .ending = END_UNRECOGNIZED,
	    .version = "", .story = UNASKED },
	{ NAMED("none.example", .needs_name = true),
	    .name = NULL, .ending = END_UNRECOGNIZED, .version = "",
	    .story = UNASKED },
	{ NAMED("old.example", .versions = { old_version, 1 }),
	    .ending = END_CLOSED, .version = "TLSv1", .body = BODY,
	    .story = SEEN },
	{ NAMED("two.example", .versions = { one_version, 1 }),
	    .ending = END_CLOSED, .version = "TLSv1.2", .body = BODY,
	    .story = SEEN },
	{ NAMED("lf.example", .line_ends = LAB_ENDS_LF),
	    .ending = END_CLOSED, .version = "TLSv1.3", .story = SEEN,
	    .body = "version: STSv1\nmode: enforce\nmx: mx.example.org\n"
	    "max_age: 86400\n" },
	{ NAMED("padded.example", .padding = 10), .ending = END_CLOSED,
	    .version = "TLSv1.3", .story = SEEN,
	    .head = "\r\nContent-Length: 77\r\n",
	    .body = BODY "x-pad: x\r\n" },
	{ NAMED("padded2.example", .padding = 138), .ending = END_CLOSED,
	    .version = "TLSv1.3", .story = SEEN,
	    .head = "\r\nContent-Length: 205\r\n",
	    .body = BODY "x-pad: " XS55 "\r\nx-pad: " XS55 "\r\nx-pad: x\r\n" },
	{ NAMED("padded3.example", .padding = 74, .line_ends = LAB_ENDS_LF),
	    .ending = END_CLOSED, .version = "TLSv1.3", .story = SEEN,
	    .body = "version: STSv1\nmode: enforce\nmx: mx.example.org\n"
	    "max_age: 86400\nx-pad: " XS55 "x\nx-pad: xx\n" },
	/* S-27: without close_notify, in the middle of the last line */
	{ FAULTY("cut.example", "cut"), .ending = END_CUT,
	    .version = "TLSv1.3", .story = SEEN,
	    .body = "version: STSv1\r\nmode: enforce\r\n"
	    "mx: mx.example.org\r\nmax_age" },
	{ FAULTY("chunk.example", "cut-chunk"), .ending = END_CLOSED,
	    .version = "TLSv1.3", .story = SEEN, .head = CHUNKED,
	    .body = "21\r\nversion: STSv1\r\nmode: enforce\r\nmx\r\n"
	    "22\r\n: mx.example.org\r\nmax_age" },
	/* S-25 */
	{ FAULTY("gzip.example", "gzip"), .ending = END_CLOSED,
	    .version = "TLSv1.3", .story = SEEN,
	    .head = "\r\nContent-Encoding: gzip\r\n" },
	{ FAULTY("headers.example", "headers"), .ending = END_ENOUGH,
	    .version = "TLSv1.3", .story = SEEN,
	    .head = "\r\nX-More: of the same, and of the same\r\nX-More: " },
	{ FAULTY("early.example", "informational"), .ending = END_ENOUGH,
	    .version = "TLSv1.3", .story = SEEN,
	    .head = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; "
	    "rel=preload\r\n\r\nHTTP/1.1 103 " },
};
enum { FORMS = sizeof(forms) / sizeof(forms[0]) };

static int judge_form(const struct form_case *row, struct answer *answer)
{
	const char *name = row->policy.domain, *body;
	int wrong = differ(name, "ending", answer->ending, row->ending);

	answer->text[answer->length] = '\0';
	wrong += differ(name, "version", strcmp(answer->version,
	    row->version), 0);
	if (row->head != NULL)
		wrong += differ(name, "head", strstr(answer->text,
		    row->head) != NULL, 1);
	if (row->body == NULL)
		return wrong;
	body = strstr(answer->text, "\r\n\r\n");
	if (body == NULL || strcmp(body + 4, row->body) != 0) {
		print_error("%s: body:\n%s\n", name, body != NULL ? body + 4 :
		    "none");
		wrong++;
	}
	return wrong;
}

/* The body of a compressed answer, by zlib alone. */
static int judge_gzip(const struct answer *answer)
{
	const char *body = strstr(answer->text, "\r\n\r\n");
	unsigned char text[1024] = "";
	z_stream stream = { .next_out = text, .avail_out = sizeof(text) - 1 };
	int result;

	if (body == NULL)
		return 1;
	stream.next_in = (unsigned char *)(uintptr_t)(body + 4);
	stream.avail_in = (unsigned)(answer->text + answer->length - body -
	    4);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	result = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return differ("gzip", "end", result, Z_STREAM_END) +
	    differ("gzip", "body", strcmp((char *)text, BODY), 0);
}

static void fill_forms(struct lab_world *world, struct lab_policy *policies,
    struct arena *arena)
{
	size_t i;

	for (i = 0; i < FORMS; i++) {
		policies[i] = forms[i].policy;
		policies[i].addresses = one_text(arena, arena_print(arena,
		    "127.0.2.%zu", i + 1));
		policies[i].certificate = arena_dup_string(arena, "good");
		policies[i].body = arena_dup_string(arena, BODY);
		policies[i].type = arena_dup_string(arena, "text/plain");
		if (policies[i].fault == NULL)
			policies[i].fault = arena_dup_string(arena, "");
	}
	*world = (struct lab_world){ .policies = policies,
	    .policy_count = FORMS, .certificates = certificates,
	    .certificate_count = 3 };
}

static void every_form(void **state)
{
	static struct lab_policy policies[FORMS];
	struct answer answer = { .text = NULL };
	struct lab_world world;
	struct arena *arena;
	struct scene scene;
	int wrong = 0;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	arena = arena_new(1 << 20);
	answer.text = calloc(1, ENOUGH + 2048);
	assert_non_null(answer.text);
	fill_forms(&world, policies, arena);
	scene_start(&scene, &world, false);
	for (i = 0; i < FORMS; i++) {
		const struct asking asking = { .name = forms[i].name,
		    .address = policies[i].addresses.items[0],
		    .ending = forms[i].ending };
		char story[1024], actor[64];

		fetch(&asking, scene.identities->ca_pem, &answer);
		wrong += judge_form(&forms[i], &answer);
		if (strcmp(policies[i].fault, "gzip") == 0)
			wrong += judge_gzip(&answer);
		snprintf(actor, sizeof(actor), "mta-sts.%s",
		    policies[i].domain);
		scene_story(&scene, actor, story, sizeof(story));
		if (strcmp(story, forms[i].story) != 0) {
			print_error("%s: story: %s\n", actor, story);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	scene_end(&scene);
	arena_free(arena);
	free(answer.text);
}

static char *addresses[] = { (char[]){ "203.0.113.7" },
    (char[]){ "127.0.0.9" }, (char[]){ "10.0.0.1" }, (char[]){ "10.0.0.200" },
    (char[]){ "169.254.0.77" }, (char[]){ "2001:db8:1::7" } };

/* One host at all kinds of addresses (S-29, S-40); those of private networks
 * are there once a world asks for them, and nobody is in the way before. */
static void every_address(void **state)
{
	enum { COUNT = sizeof(addresses) / sizeof(addresses[0]) };
	struct lab_policy policy = { .domain = (char[]){ "x.example" },
	    .certificate = (char[]){ "good" }, .status = 200,
	    .body = (char[]){ BODY }, .type = (char[]){ "text/plain" },
	    .fault = (char[]){ "" }, .addresses = { addresses, COUNT } };
	const struct lab_world world = { .policies = &policy,
	    .policy_count = 1, .certificates = certificates,
	    .certificate_count = 3 };
	struct answer answer = { .text = NULL };
	struct scene scene;
	char error[200], story[1024];
	size_t i;

	(void)state;
	if (!entered)
		skip();
	assert_int_equal(lab_network_up(error, sizeof(error)), 0);
	for (i = 2; i < COUNT - 1; i++) {
		errno = 0;
		assert_int_equal(call_connect(addresses[i], HTTPS_PORT,
		    PATIENCE_MS), -1);
		assert_int_equal(errno, ENETUNREACH);
	}
	answer.text = calloc(1, ENOUGH + 2048);
	assert_non_null(answer.text);
	scene_start(&scene, &world, false);
	for (i = 0; i < COUNT; i++) {
		const struct asking asking = { .address = addresses[i],
		    .ending = END_CLOSED };

		print_message("%s\n", addresses[i]);
		fetch(&asking, scene.identities->ca_pem, &answer);
		assert_int_equal(answer.ending, END_CLOSED);
		scene_story(&scene, "mta-sts.x.example", story,
		    sizeof(story));
		assert_string_equal(story, SEEN);
	}
	scene_end(&scene);
	free(answer.text);
}

/* What a scenario can have wrong is said, not served. */
static void mistakes_are_told(void **state)
{
	static const struct { const char *fault, *certificate, *address,
	    *error; } rows[] = {
		{ "explode", "good", "127.0.2.1", "no fault explode" },
		{ "", "nobody", "127.0.2.1", "no certificate nobody" },
		{ "", "good", "198.18.0.1", "cannot listen on 198.18.0.1" },
		{ "", "good", "10.0.1.1", "cannot listen on 10.0.1.1" }
	};
	struct arena *arena = arena_new(1 << 20);
	struct lab_policy policy = { .domain = (char[]){ "x.example" },
	    .body = (char[]){ "" }, .type = (char[]){ "" } };
	struct lab_world world = { .policies = &policy, .policy_count = 1,
	    .certificates = certificates, .certificate_count = 3 };
	struct lab_identities *identities = lab_identities_new(&world, arena);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char error[256] = "";

		policy.fault = arena_dup_string(arena, rows[i].fault);
		policy.certificate = arena_dup_string(arena,
		    rows[i].certificate);
		policy.addresses = one_text(arena, arena_dup_string(arena,
		    rows[i].address));
		assert_null(lab_actors_new(&world, identities, false, error,
		    sizeof(error)));
		assert_non_null(strstr(error, rows[i].error));
	}
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_policy),
		cmocka_unit_test(every_form),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(every_address)
	};

	entered = world_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
