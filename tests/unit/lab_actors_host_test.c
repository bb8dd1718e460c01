/* SPDX-License-Identifier: ISC */
/*
 * Hosts as their sections make them: which visit meets what, in the path, too;
 * what their TLS is like; and addresses.
 */
#include "tools/lab/actors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/unit/lab_actors_cases.h"
#include "tests/unit/lab_actors_client.h"
#include "tests/unit/lab_actors_world.h"

enum { HTTPS_PORT = 443 };

static bool entered;
static struct arena *arena;
static struct scene scene;

/* A host called x, at 127.0.1.1 and 127.0.1.2. */
static struct lab_host *make_host(void)
{
	static const char *const addresses[] = { "127.0.1.1", "127.0.1.2",
	    NULL };
	struct lab_host *host;

	arena = arena_new(1 << 20);
	host = arena_alloc(arena, sizeof(*host));
	*host = case_host(arena, "x", 1);
	host->addresses = case_texts(arena, addresses);
	return host;
}

static void start(struct lab_host *host)
{
	const struct lab_world world = { .hosts = host, .host_count = 1,
	    .certificates = case_certificates,
	    .certificate_count = CASE_CERTIFICATES };

	scene_start(&scene, arena_dup(arena, &world, sizeof(world)), false);
}

static void end(void)
{
	scene_end(&scene);
	arena_free(arena);
}

/* --- visits --- */

struct visits_case {
	const char	*path;
	const char	*behaviour[3];
	/* Of four visits: their last words; null for one that is not told. */
	const char	*talks[4];
	const char	*stories[4];
};

#define GOOD "354 250 221 eof"
#define TOLD "message+(m1) QUIT+ end"
#define TOLD_CLEAR "message(m1) QUIT end"

static const struct visits_case visits_cases[] = {
	{ "", { "mail#2 451 later", "rcpt#3- 550 no" },
	    { GOOD, "451 221 eof", "550 221 eof", "550 221 eof" },
	    { TOLD, "MAIL+ QUIT+ end", "RCPT+ QUIT+ end",
	    "RCPT+ QUIT+ end" } },
	{ "", { "mail#1 451 later", "mail#2- close", "mail 550 never" },
	    { "451 221 eof", "250 eof", "250 eof", "250 eof" },
	    { "MAIL+ QUIT+ end", "MAIL+ end", "MAIL+ end", "MAIL+ end" } },
	{ "strip#2", { NULL }, { GOOD, GOOD, GOOD, GOOD },
	    { TOLD, TOLD_CLEAR, TOLD, TOLD } },
	{ "strip#3-", { NULL }, { GOOD, GOOD, GOOD, GOOD },
	    { TOLD, TOLD, TOLD_CLEAR, TOLD_CLEAR } },
	/* What is behind a path has its visits, too. */
	{ "refuse-starttls#2-", { "mail#3 451 later" },
	    { GOOD, GOOD, "451 221 eof", GOOD },
	    { TOLD, TOLD_CLEAR, "MAIL QUIT end", TOLD_CLEAR } },
	{ "reset#2", { NULL }, { GOOD, "reset", GOOD, GOOD },
	    { TOLD, "connect end", TOLD, TOLD } },
	{ "impostor#2-", { NULL }, { GOOD, GOOD, GOOD, GOOD },
	    { TOLD, "message+(m1 impostor) QUIT+ end",
	    "message+(m1 impostor) QUIT+ end",
	    "message+(m1 impostor) QUIT+ end" } },
	{ "refuse#3-", { NULL }, { GOOD, GOOD, "refused", "refused" },
	    { TOLD, TOLD, NULL, NULL } },
	{ "refuse#1-", { NULL }, { "refused", "refused", "refused",
	    "refused" }, { NULL, NULL, NULL, NULL } },
	{ "block#3-", { NULL }, { GOOD, GOOD, "stall", "stall" },
	    { TOLD, TOLD, NULL, NULL } },
	{ "block#1-", { NULL }, { "stall", "stall", "stall", "stall" },
	    { NULL, NULL, NULL, NULL } }
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);

	return length >= strlen(end) &&
	    strcmp(text + length - strlen(end), end) == 0;
}

/* Visits go to the one address and the other in turn. */
static int visit(const struct visits_case *row, int number)
{
	struct call call = { .port = SMTP_PORT, .address = number % 2 == 0 ?
	    "127.0.1.1" : "127.0.1.2", .expected = row->stories[number] ==
	    NULL ? row->talks[number] : "" };
	char story[1024] = "";
	struct talk talk;

	call_make(&call, &talk);
	if (row->stories[number] != NULL)
		scene_story(&scene, "x", story, sizeof(story));
	if (ends_with(talk.words, row->talks[number]) &&
	    ends_with(story, row->stories[number] != NULL ?
	    row->stories[number] : ""))
		return 0;
	print_error("path \"%s\", %s, visit %d: %s; %s\n", row->path,
	    row->behaviour[0], number + 1, talk.words, story);
	return 1;
}

static void visits_are_counted(void **state)
{
	int wrong = 0, number;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < sizeof(visits_cases) / sizeof(visits_cases[0]); i++) {
		const struct visits_case *row = &visits_cases[i];
		const char *const lines[] = { row->behaviour[0],
		    row->behaviour[1], row->behaviour[2], NULL };
		struct lab_host *host = make_host();

		host->path = arena_dup_string(arena, row->path);
		host->behaviour = case_texts(arena, lines);
		start(host);
		for (number = 0; number < 4; number++)
			wrong += visit(row, number);
		assert_null(scene_event(&scene, SILENCE_MS / 4));
		end();
	}
	assert_int_equal(wrong, 0);
}

/* They are in the event of the connection; a new world counts anew. */
static void visits_are_told(void **state)
{
	json_t *event;
	int i, fd;

	(void)state;
	if (!entered)
		skip();
	start(make_host());
	for (i = 1; i <= 3; i++) {
		fd = call_connect(i == 2 ? "127.0.1.2" : "127.0.1.1",
		    SMTP_PORT, PATIENCE_MS);
		assert_int_not_equal(fd, -1);
		event = scene_event(&scene, PATIENCE_MS);
		assert_non_null(event);
		assert_int_equal(json_integer_value(json_object_get(event,
		    "visit")), i);
		json_decref(event);
		close(fd);
		do {
			event = scene_event(&scene, PATIENCE_MS);
			assert_non_null(event);
			if (json_object_get(event, "problem") != NULL)
				break;
			json_decref(event);
		} while (true);
		json_decref(event);
	}
	end();
}

/* --- TLS --- */

/* A handshake on implicit TLS, and what the client met. */
struct meeting {
	bool	 done;
	char	 version[16];
	char	 cipher[64];
	int	 tickets;
	int	 requests;	/* for a certificate of ours */
	int	 alerts[4];	/* level << 8 | description */
	int	 alert_count;
};

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct meeting *meeting = SSL_get_app_data(ssl);

	(void)session;
	meeting->tickets++;
	return 0;
}

static int on_request(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	struct meeting *meeting = SSL_get_app_data(ssl);

	(void)certificate;
	(void)key;
	meeting->requests++;
	return 0;		/* without one */
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct meeting *meeting = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT &&
	    meeting->alert_count < 4)
		meeting->alerts[meeting->alert_count++] = value;
}

static SSL_CTX *client_context(const char *ciphers, int most)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(context, most);
	assert_int_equal(SSL_CTX_set_cipher_list(context, ciphers != NULL ?
	    ciphers : "ALL:eNULL:@SECLEVEL=0"), 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(context, on_ticket);
	SSL_CTX_set_client_cert_cb(context, on_request);
	SSL_CTX_set_info_callback(context, on_info);
	return context;
}

/* most: the client's highest version; name: SNI or null. */
static void meet(struct meeting *meeting, int most, const char *name)
{
	int fd = call_connect("127.0.1.1", SMTP_PORT, PATIENCE_MS);
	SSL_CTX *context = client_context(NULL, most);
	SSL *ssl = SSL_new(context);
	char byte;

	memset(meeting, 0, sizeof(*meeting));
	SSL_set_app_data(ssl, meeting);
	SSL_set_fd(ssl, fd);
	if (name != NULL)
		SSL_set_tlsext_host_name(ssl, name);
	/* Tickets, and what TLS 1.3 says late, come before the greeting. */
	meeting->done = SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1;
	ERR_clear_error();
	if (meeting->done) {
		snprintf(meeting->version, sizeof(meeting->version), "%s",
		    SSL_get_version(ssl));
		snprintf(meeting->cipher, sizeof(meeting->cipher), "%s",
		    SSL_get_cipher_name(ssl));
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
}

static struct lab_host *make_implicit(void)
{
	struct lab_host *host = make_host();

	host->tls = LAB_TLS_IMPLICIT;
	return host;
}

/* T-01, T-03, T-04 */
static void versions_and_ciphers(void **state)
{
	static const struct { const char *versions[3], *ciphers; int most;
	    const char *version, *cipher; } rows[] = {
		{ { NULL }, "", TLS1_3_VERSION, "TLSv1.3", "TLS_" },
		{ { NULL }, "", TLS1_2_VERSION, "TLSv1.2", "ECDHE-" },
		{ { NULL }, "", TLS1_1_VERSION, NULL, NULL },
		{ { "1.2" }, "", TLS1_3_VERSION, "TLSv1.2", "ECDHE-" },
		{ { "1.3" }, "", TLS1_2_VERSION, NULL, NULL },
		{ { "1.0" }, "", TLS1_3_VERSION, "TLSv1", "ECDHE-" },
		{ { "1.0", "1.1" }, "", TLS1_3_VERSION, "TLSv1.1", "ECDHE-" },
		{ { "1.2" }, "ADH-AES128-SHA", TLS1_2_VERSION, "TLSv1.2",
		    "ADH-AES128-SHA" },
		{ { "1.2" }, "ECDHE-ECDSA-NULL-SHA", TLS1_2_VERSION,
		    "TLSv1.2", "ECDHE-ECDSA-NULL-SHA" }
	};
	struct meeting meeting;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_host *host = make_implicit();

		host->versions = case_texts(arena, rows[i].versions);
		host->ciphers = arena_dup_string(arena, rows[i].ciphers);
		start(host);
		meet(&meeting, rows[i].most, NULL);
		assert_int_equal(meeting.done, rows[i].version != NULL);
		if (meeting.done) {
			assert_string_equal(meeting.version, rows[i].version);
			assert_memory_equal(meeting.cipher, rows[i].cipher,
			    strlen(rows[i].cipher));
		}
		end();
	}
}

/* K-07 */
static void tickets(void **state)
{
	static const int counts[] = { 0, 1, 2, 5 };
	struct meeting meeting;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct lab_host *host = make_implicit();

		host->tickets = counts[i];
		start(host);
		meet(&meeting, TLS1_3_VERSION, NULL);
		assert_true(meeting.done);
		assert_int_equal(meeting.tickets, counts[i]);
		end();
	}
}

/* T-21: one that is asked for need not be given; one that is demanded must. */
static void client_certificates(void **state)
{
	static const struct { enum lab_client_certificate client;
	    int requests; bool done; } rows[] = {
		{ LAB_CLIENT_IGNORED, 0, true }, { LAB_CLIENT_ASKED, 1, true },
		{ LAB_CLIENT_DEMANDED, 1, false }
	};
	static const int most[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct meeting meeting;
	size_t i, k;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_host *host = make_implicit();

		host->client_certificate = rows[i].client;
		start(host);
		for (k = 0; k < 2; k++) {
			meet(&meeting, most[k], NULL);
			assert_int_equal(meeting.done, rows[i].done);
			assert_int_equal(meeting.requests, rows[i].requests);
		}
		end();
	}
}

/* T-22, N-12: names that are not in sni, and none at all. */
static void unknown_names(void **state)
{
	enum { WARNED = SSL3_AL_WARNING << 8 | SSL_AD_UNRECOGNIZED_NAME,
	    REFUSED = SSL3_AL_FATAL << 8 | SSL_AD_UNRECOGNIZED_NAME };
	static const char *const sni[] = { "known.example one", NULL };
	static const struct { enum lab_unknown_name manner; const char *name;
	    int most, alert; } rows[] = {
		{ LAB_NAME_SERVED, NULL, TLS1_3_VERSION, 0 },
		{ LAB_NAME_SERVED, "other.example", TLS1_2_VERSION, 0 },
		{ LAB_NAME_ALERT, "known.example", TLS1_3_VERSION, 0 },
		{ LAB_NAME_ALERT, "other.example", TLS1_3_VERSION, REFUSED },
		{ LAB_NAME_ALERT, "other.example", TLS1_2_VERSION, REFUSED },
		{ LAB_NAME_ALERT, NULL, TLS1_3_VERSION, REFUSED },
		{ LAB_NAME_WARNED, "known.example", TLS1_2_VERSION, 0 },
		{ LAB_NAME_WARNED, "other.example", TLS1_2_VERSION, WARNED },
		{ LAB_NAME_WARNED, NULL, TLS1_2_VERSION, WARNED },
		/* TLS 1.3 has no warnings. */
		{ LAB_NAME_WARNED, "other.example", TLS1_3_VERSION, 0 }
	};
	struct meeting meeting;
	size_t i;

	(void)state;
	if (!entered)
		skip();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_host *host = make_implicit();
		int alert;

		host->sni = case_texts(arena, sni);
		host->unknown_name = rows[i].manner;
		start(host);
		meet(&meeting, rows[i].most, rows[i].name);
		alert = meeting.alert_count > 0 ? meeting.alerts[0] : 0;
		if (meeting.done != (rows[i].alert != REFUSED) ||
		    alert != rows[i].alert)
			fail_msg("row %zu: done %d, alert %x", i,
			    meeting.done, (unsigned)alert);
		end();
	}
}

/* --- REQUIRETLS --- */

/* Offered where it is to be, and taken there and nowhere else; and what is
 * noted of a notification. */
static void requiretls(void **state)
{
	static const struct {
		enum lab_requiretls	 manner;
		struct call		 call;
		bool			 offered_in_clear;
		const char		*talk, *story;
	} rows[] = {
		{ LAB_REQUIRETLS_NO, { .parameters = "REQUIRETLS" }, false,
		    "555 221 eof", "MAIL+ QUIT+ end" },
		{ LAB_REQUIRETLS_NO, { .parameters = "SIZE=3 BODY=8BITMIME" },
		    false, GOOD, TOLD },
		{ LAB_REQUIRETLS_YES, { .parameters = "SIZE=3 requiretls" },
		    false, GOOD, "message+(m1 requiretls) QUIT+ end" },
		{ LAB_REQUIRETLS_YES, { .parameters = "REQUIRETLSX" }, false,
		    GOOD, TOLD },
		{ LAB_REQUIRETLS_YES, { .sender = "\"a> REQUIRETLS\"@b" },
		    false, GOOD, TOLD },
		{ LAB_REQUIRETLS_CLEAR, { .parameters = "REQUIRETLS" }, true,
		    "555 221 eof", "MAIL+ QUIT+ end" },
		{ LAB_REQUIRETLS_YES, { .parameters = "REQUIRETLS",
		    .sender = "", .content = "Subject: no\r\n\r\n"
		    "Status: 5.7.30 (no)\r\nX-Postern-Lab: m1\r\n" }, false,
		    GOOD, "message+(m1 dsn requiretls 5.7.30) QUIT+ end" },
		{ LAB_REQUIRETLS_NO, { .sender = "", .content = "\r\n"
		    "Status:4.4.1\r\nstatus: 5.4.4\r\nText.\r\n" }, false,
		    GOOD, "message+( dsn text 4.4.1 5.4.4) QUIT+ end" },
	};

	(void)state;
	if (!entered)
		skip();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_host *host = make_host();
		struct call call = rows[i].call;
		char story[1024] = "";
		struct talk talk;

		call.port = SMTP_PORT;
		call.address = "127.0.1.1";
		call.expected = "";
		host->requiretls = rows[i].manner;
		start(host);
		call_make(&call, &talk);
		scene_story(&scene, "x", story, sizeof(story));
		if (!ends_with(talk.words, rows[i].talk) ||
		    !ends_with(story, rows[i].story) ||
		    (strstr(talk.ehlo, "REQUIRETLS") != NULL) !=
		    rows[i].offered_in_clear)
			fail_msg("row %zu: %s; %s", i, talk.words, story);
		end();
	}
}

/* --- addresses --- */

/* A policy host is at all of its addresses and at no other. */
static void policies_have_addresses(void **state)
{
	static const char *const addresses[] = { "127.0.2.1", "127.0.2.3",
	    NULL };
	static const char *const none[] = { NULL };
	struct lab_policy policy = { .domain = (char[]){ "a.example" },
	    .certificate = (char[]){ "two" }, .body = (char[]){ "" },
	    .status = 200, .type = (char[]){ "text/plain" },
	    .fault = (char[]){ "" } };
	struct lab_world world = { .policies = &policy, .policy_count = 1,
	    .certificates = case_certificates,
	    .certificate_count = CASE_CERTIFICATES };
	int fd, i;

	(void)state;
	if (!entered)
		skip();
	arena = arena_new(1 << 20);
	policy.addresses = case_texts(arena, addresses);
	policy.headers = policy.versions = case_texts(arena, none);
	scene_start(&scene, &world, false);
	for (i = 1; i <= 3; i++) {
		char address[32];

		snprintf(address, sizeof(address), "127.0.2.%d", i);
		fd = call_connect(address, HTTPS_PORT, PATIENCE_MS);
		if (i == 2) {
			assert_int_equal(fd, -1);
			assert_int_equal(errno, ECONNREFUSED);
			continue;
		}
		assert_int_not_equal(fd, -1);
		close(fd);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(visits_are_counted),
		cmocka_unit_test(visits_are_told),
		cmocka_unit_test(versions_and_ciphers),
		cmocka_unit_test(tickets),
		cmocka_unit_test(client_certificates),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(requiretls),
		cmocka_unit_test(policies_have_addresses)
	};

	entered = world_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
