/* SPDX-License-Identifier: ISC */
/*
 * base/tls_tickets.c and what base/tls_server.c makes of it: TLS-118 (tickets
 * are bound to their listener, their secrets change and are gone), TLS-117 (no
 * early data), and client certificates, shown and resumed. A plain OpenSSL
 * client meets our servers over a BIO pair.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/tls.h"
#include "base/tls_session.h"
#include "base/tls_tickets.h"
#include "tests/fake_time.h"
#include "tests/unit/certificates.h"
#include "tests/unit/tls_pair.h"

static struct certificate *host, *other_host, *laptop;
static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
static SSL_SESSION *last_session;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(last_session);
	last_session = session;
	return 1;
}

static void add(struct tls_server *server, const struct certificate *one)
{
	char error[256];

	if (tls_server_add(server, "test", certificate_pem(one),
	    certificate_key_pem(one), error, sizeof error) != 0)
		fail_msg("%s", error);
}

static struct tls_server *server_named(const char *name,
    struct tls_tickets *tickets, bool asks)
{
	struct tls_server *server = tls_server_new();

	if (asks)
		tls_server_ask_certificate(server);
	tls_server_give_tickets(server, tickets, name);
	add(server, host);
	add(server, other_host);
	return server;
}

static SSL_CTX *client_context(int version, const struct certificate *own)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	assert_non_null(context);
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_session);
	if (own != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(context,
		    certificate_x509(own)), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(context,
		    certificate_key(own)), 1);
	}
	return context;
}

/* A connection with the last session, if there is one; facts are the
 * server's. Whether it was resumed. */
static bool visit(SSL_CTX *context, struct tls_server *server,
    const char *name, struct tls_facts *facts)
{
	SSL *client = SSL_new(context), *ours = tls_server_session(server);
	SSL_SESSION *before = last_session;
	bool resumed;
	char byte;

	last_session = NULL;
	if (name != NULL)
		SSL_set_tlsext_host_name(client, name);
	if (before != NULL)
		assert_int_equal(SSL_set_session(client, before), 1);
	SSL_set_connect_state(client);
	pair_join(client, ours);
	assert_null(pair_handshake(client, ours));
	/* In TLS 1.3 a ticket comes with the first reading. */
	assert_int_equal(SSL_write(ours, "x", 1), 1);
	assert_int_equal(SSL_read(client, &byte, 1), 1);
	resumed = SSL_session_reused(client) == 1;
	assert_int_equal(SSL_session_reused(ours), resumed);
	tls_facts_fill(facts, ours);
	assert_int_equal(facts->resumed, resumed);
	/* Of a ticket that was renewed TLS 1.2 tells nobody. */
	if (resumed && SSL_version(client) == TLS1_2_VERSION)
		last_session = SSL_get1_session(client);
	if (last_session == NULL)
		last_session = before;
	else
		SSL_SESSION_free(before);
	/* Else OpenSSL takes the session for one that was broken off. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	SSL_free(ours);
	return resumed;
}

static void forget(void)
{
	SSL_SESSION_free(last_session);
	last_session = NULL;
}

/* TLS-118: bound to the listener, whichever process made them. */
static void test_binding(void **state)
{
	struct tls_tickets *tickets, *elsewhere;
	struct tls_facts facts;

	(void)state;
	fake_time_begin();
	tickets = tls_tickets_new();
	elsewhere = tls_tickets_new();
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *context = client_context(versions[i], NULL);
		struct tls_server *one = server_named("smtp", tickets, false);
		struct tls_server *other = server_named("submission", tickets,
		    false);
		struct tls_server *asking = server_named("smtp", tickets, true);
		struct tls_server *stranger = server_named("smtp", elsewhere,
		    false);

		assert_false(visit(context, one, "a.example.org", &facts));
		assert_non_null(last_session);
		assert_int_equal(SSL_SESSION_get_max_early_data(last_session),
		    0);
		assert_true(visit(context, one, "a.example.org", &facts));
		assert_false(visit(context, other, "a.example.org", &facts));
		forget();
		assert_false(visit(context, one, "b.example.org", &facts));
		assert_true(visit(context, one, "b.example.org", &facts));
		assert_false(visit(context, asking, "b.example.org", &facts));
		forget();
		assert_false(visit(context, one, NULL, &facts));
		assert_false(visit(context, stranger, NULL, &facts));
		/* Another process with the same secrets. */
		forget();
		tls_tickets_join(elsewhere, tls_tickets_now(tickets));
		assert_false(visit(context, one, NULL, &facts));
		assert_true(visit(context, stranger, NULL, &facts));
		forget();
		tls_tickets_free(elsewhere);
		elsewhere = tls_tickets_new();
		tls_server_free(one);
		tls_server_free(other);
		tls_server_free(asking);
		tls_server_free(stranger);
		SSL_CTX_free(context);
	}
	tls_tickets_free(tickets);
	tls_tickets_free(elsewhere);
}

/* TLS-118: a ticket opens in its epoch and the next one, then never. */
static void test_rotation(void **state)
{
	struct tls_facts facts;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls_tickets *tickets;
		SSL_CTX *context = client_context(versions[i], NULL);
		struct tls_server *server;
		SSL_SESSION *first;

		fake_time_begin();
		tickets = tls_tickets_new();
		server = server_named("smtp", tickets, false);
		assert_false(visit(context, server, NULL, &facts));
		first = last_session;
		SSL_SESSION_up_ref(first);
		fake_time_pass(HOURS(TLS_TICKET_HOURS));
		assert_true(visit(context, server, NULL, &facts));
		/* Renewed, it lives on; the first one does not. */
		fake_time_pass(HOURS(TLS_TICKET_HOURS));
		assert_true(visit(context, server, NULL, &facts));
		forget();
		last_session = first;
		assert_false(visit(context, server, NULL, &facts));
		/* Nobody came for a long time. */
		fake_time_pass(DAYS(30));
		assert_false(visit(context, server, NULL, &facts));
		forget();
		tls_server_free(server);
		tls_tickets_free(tickets);
		SSL_CTX_free(context);
	}
}

/* TLS-118: all processes go the same way, and the old secrets are gone. */
static void test_chain(void **state)
{
	struct tls_tickets *one, *other;
	struct tls_ticket_secret begin;
	struct tls_ticket_keys a, b;

	(void)state;
	fake_time_begin();
	tls_tickets_begin(&begin);
	one = tls_tickets_new();
	other = tls_tickets_new();
	tls_tickets_join(one, &begin);
	tls_tickets_join(other, &begin);
	assert_int_equal(tls_tickets_keys(one, "smtp", 1, &a), -1);
	for (unsigned i = 0; i < 5; i++) {
		fake_time_pass(HOURS(TLS_TICKET_HOURS));
		assert_int_equal(tls_tickets_keys(one, "smtp", 0, &a), 0);
	}
	assert_int_equal(tls_tickets_keys(other, "smtp", 0, &b), 0);
	assert_memory_equal(&a, &b, sizeof a);
	assert_int_equal(tls_tickets_keys(other, "submission", 0, &b), 0);
	assert_memory_not_equal(a.name, b.name, sizeof a.name);
	assert_memory_not_equal(a.cipher, b.cipher, sizeof a.cipher);
	assert_memory_not_equal(a.mac, b.mac, sizeof a.mac);
	assert_memory_not_equal(a.cipher, a.mac, sizeof a.mac);
	/* The clock goes back: nothing comes again. */
	fake_time_set_wall(-DAYS(2));
	assert_int_equal(tls_tickets_keys(one, "smtp", 0, &b), 0);
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(tls_tickets_now(one)->bytes, begin.bytes,
	    sizeof begin.bytes);
	tls_tickets_free(one);
	tls_tickets_free(other);
}

/* Certificates of clients are what they are; none of them, and none at all,
 * breaks a handshake. A resumed session still tells whose it was. */
static void test_client_certificates(void **state)
{
	const struct certificate_plan plans[] = {
		{ .common_name = "self-signed" },
		{ .common_name = "expired", .from_days = -9, .until_days = -3 },
		{ .common_name = "not yet", .from_days = 3, .until_days = 9 },
		{ .common_name = "an authority", .authority = true },
		{ .common_name = "weak", .key = CERTIFICATE_RSA_1024 },
		{ .common_name = "old digest", .sha1 = true },
		{ .common_name = "of a stranger", .issuer = host },
		{ .common_name = "rsa", .key = CERTIFICATE_RSA },
	};
	struct tls_tickets *tickets;
	struct tls_server *server;
	struct tls_facts facts;

	(void)state;
	fake_time_begin();
	tickets = tls_tickets_new();
	server = server_named("smtp", tickets, true);
	for (size_t i = 0; i < 2 * sizeof plans / sizeof plans[0]; i++) {
		struct certificate *one = certificate_new(&plans[i / 2]);
		SSL_CTX *context = client_context(versions[i % 2], NULL);

		SSL_CTX_set_security_level(context, 0);
		SSL_CTX_use_certificate(context, certificate_x509(one));
		SSL_CTX_use_PrivateKey(context, certificate_key(one));
		for (unsigned again = 0; again < 2; again++) {
			assert_int_equal(visit(context, server, NULL, &facts),
			    again);
			assert_true(facts.has_peer);
			assert_memory_equal(facts.certificate_digest,
			    certificate_digest(one), DIGEST_BYTES);
			assert_memory_equal(facts.key_digest,
			    certificate_key_digest(one), DIGEST_BYTES);
			assert_false(facts.verified);
		}
		forget();
		SSL_CTX_free(context);
		certificate_free(one);
	}
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *context = client_context(versions[i], NULL);

		assert_false(visit(context, server, NULL, &facts));
		assert_false(facts.has_peer);
		forget();
		SSL_CTX_free(context);
	}
	tls_server_free(server);
	tls_tickets_free(tickets);
}

/* With a copy: OpenSSL uses a ticket of TLS 1.3 once, who stole it would not
 * mind. Whether a new one came; it must have been resumed. */
static bool is_renewed(SSL_CTX *context, struct tls_server *server,
    SSL_SESSION *session, bool known)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);
	struct tls_facts facts;

	assert_non_null(copy);
	forget();
	last_session = copy;
	assert_true(visit(context, server, NULL, &facts));
	assert_int_equal(facts.has_peer, known);
	return last_session != copy;
}

static void check_renewal(int version, bool known)
{
	SSL_CTX *context = client_context(version, known ? laptop : NULL);
	struct tls_tickets *tickets;
	struct tls_server *server;
	struct tls_facts facts;
	SSL_SESSION *first;

	fake_time_begin();
	tickets = tls_tickets_new();
	server = server_named("smtp", tickets, true);
	assert_false(visit(context, server, NULL, &facts));
	first = SSL_SESSION_dup(last_session);
	for (unsigned again = 0; again < 2; again++)
		assert_int_equal(is_renewed(context, server, first, known),
		    !known && version == TLS1_3_VERSION);
	fake_time_pass(HOURS(TLS_TICKET_HOURS));
	assert_int_equal(is_renewed(context, server, first, known), !known);
	fake_time_pass(HOURS(TLS_TICKET_HOURS));
	if (known) {
		forget();
		last_session = first;
		assert_false(visit(context, server, NULL, &facts));
		assert_true(facts.has_peer);
	} else {
		SSL_SESSION_free(first);
	}
	/* One got a new one before, the other has signed for it. */
	first = SSL_SESSION_dup(last_session);
	(void)is_renewed(context, server, first, known);
	SSL_SESSION_free(first);
	forget();
	tls_server_free(server);
	tls_tickets_free(tickets);
	SSL_CTX_free(context);
}

/* TLS-118: a client with a certificate gets no new ticket for an old one: in
 * the end it must have its key again. One without lives on. */
static void test_no_renewal(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		check_renewal(versions[i], false);
		check_renewal(versions[i], true);
	}
}

/* Who is not asked shows nothing. */
static void test_not_asked(void **state)
{
	struct tls_server *server = tls_server_new();
	struct tls_facts facts;

	(void)state;
	add(server, host);
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *context = client_context(versions[i], laptop);

		assert_false(visit(context, server, NULL, &facts));
		assert_false(facts.has_peer);
		forget();
		SSL_CTX_free(context);
	}
	tls_server_free(server);
}

/* TLS-111: as a server we have no CBC at all. */
static void test_suites(void **state)
{
	static const char *const lists[] = { "ECDHE-ECDSA-AES128-SHA256",
	    "ECDHE-ECDSA-AES128-GCM-SHA256" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls_server *server = tls_server_new();
		SSL_CTX *context = client_context(TLS1_2_VERSION, NULL);
		SSL *client, *ours;

		add(server, host);
		SSL_CTX_set_cipher_list(context, lists[i]);
		client = SSL_new(context);
		ours = tls_server_session(server);
		SSL_set_connect_state(client);
		pair_join(client, ours);
		if (i == 0)
			assert_non_null(pair_handshake(client, ours));
		else
			assert_null(pair_handshake(client, ours));
		SSL_free(client);
		SSL_free(ours);
		forget();
		SSL_CTX_free(context);
		tls_server_free(server);
	}
}

static int prepare(void **state)
{
	(void)state;
	tls_init();
	host = certificate_new(&(struct certificate_plan){
	    .common_name = "a", .alternative_names = "DNS:a.example.org",
	    .authority = true });
	other_host = certificate_new(&(struct certificate_plan){
	    .common_name = "b", .alternative_names = "DNS:b.example.org" });
	laptop = certificate_new(&(struct certificate_plan){
	    .common_name = "laptop" });
	return 0;
}

static int finish(void **state)
{
	(void)state;
	certificate_free(host);
	certificate_free(other_host);
	certificate_free(laptop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_no_renewal),
		cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_suites),
	};

	return cmocka_run_group_tests(tests, prepare, finish);
}
