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

#include "base/arena.h"
#include "base/clock.h"
#include "tests/unit/lab_actors_client.h"
#include "tests/unit/lab_actors_world.h"

enum { HTTPS_PORT = 443, ENOUGH = 300 << 10, DRIP_MS = 1500 };

#define BODY "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\n" \
    "max_age: 86400\r\n"
#define PATH "/.well-known/mta-sts.txt"

/* How a connection ended. */
enum ending {
	END_REFUSED, END_BLOCKED,	/* connecting */
	END_RESET,			/* instead of a handshake */
	END_UNTRUSTED,			/* its certificate */
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
	    .issuer = LAB_ISSUER_CA, .intermediate = true,
	    .send_chain = true },
	{ .name = (char[]){ "expired" }, .common_name = (char[]){ "a" },
	    .issuer = LAB_ISSUER_CA, .validity = LAB_EXPIRED },
	{ .name = (char[]){ "self" }, .common_name = (char[]){ "a" },
	    .issuer = LAB_ISSUER_SELF }
};
static char *headers[] = { (char[]){ "Location: https://other.example/" },
    (char[]){ "X-Lab: yes" } };

/* What was had of one answer. */
struct answer {
	enum ending	 ending;
	char		*text;		/* owned */
	size_t		 length;
};

static SSL_CTX *client_context(const char *ca_pem)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *bio = BIO_new_mem_buf(ca_pem, -1);
	X509 *root = PEM_read_bio_X509(bio, NULL, NULL, NULL);

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
	    END_UNTRUSTED : END_CUT;
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

static void fetch(const char *address, const struct policy_case *row,
    const char *ca_pem, struct answer *answer)
{
	bool silent = row->ending == END_BLOCKED || row->ending == END_SILENT;
	const char *request = row->request != NULL ? row->request :
	    "GET " PATH " HTTP/1.1\r\nHost: mta-sts.example.org\r\n\r\n";
	SSL_CTX *context;
	int fd, result;
	SSL *ssl;

	answer->length = 0;
	fd = call_connect(address, HTTPS_PORT, row->ending == END_BLOCKED ?
	    SILENCE_MS : PATIENCE_MS);
	if (fd == -1) {
		answer->ending = errno == ECONNREFUSED ? END_REFUSED :
		    END_BLOCKED;
		return;
	}
	context = client_context(ca_pem);
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	/* Some other name: nobody minds. */
	SSL_set_tlsext_host_name(ssl, "elsewhere.example");
	errno = 0;
	result = SSL_connect(ssl);
	if (result == 1) {
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

static void fill_world(struct lab_world *world, struct lab_policy *policies,
    struct arena *arena)
{
	size_t i;

	for (i = 0; i < CASES; i++) {
		policies[i] = (struct lab_policy){
		    .domain = arena_dup_string(arena, cases[i].name),
		    .address = arena_print(arena, "127.0.2.%zu", i + 1),
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

		fetch(policies[i].address, &cases[i],
		    scene.identities->ca_pem, &answer);
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

/* What a scenario can have wrong is said, not served. */
static void mistakes_are_told(void **state)
{
	static const struct { const char *fault, *certificate, *address,
	    *error; } rows[] = {
		{ "explode", "good", "127.0.2.1", "no fault explode" },
		{ "", "nobody", "127.0.2.1", "no certificate nobody" },
		{ "", "good", "203.0.113.1", "cannot listen on 203.0.113.1" }
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
		policy.address = arena_dup_string(arena, rows[i].address);
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
		cmocka_unit_test(mistakes_are_told)
	};

	entered = world_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
