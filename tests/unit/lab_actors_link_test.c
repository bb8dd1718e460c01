/* SPDX-License-Identifier: ISC */
/*
 * The lab's links over real sockets, one end in a thread: what a server's
 * section can say of its TLS shows in the handshake that comes of it, and each
 * way to break TLS shows to a client that expects none of it. The catalogue's
 * rows T-18 to T-22 and N-08 to N-12 stand on this.
 */
#include "tools/lab/actors_link.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "base/arena.h"
#include "tools/lab/certificate.h"
#include "tools/lab/path.h"

enum { TICKETS = 2, SILENCE_MS = 100, PATIENCE_MS = 20000 };

/* --- identities --- */

enum { P256, P384, ED25519, RSA2048, RSA1024, BY_SHA1, BY_MD5, LEAF,
    IDENTITIES };

static struct arena *arena;
static struct lab_identities *identities;

static int make_identities(void **state)
{
	static const struct { enum lab_key key; enum lab_digest digest; }
	forms[IDENTITIES] = {
		[P256] = { LAB_KEY_P256, LAB_DIGEST_SHA256 },
		[P384] = { LAB_KEY_P384, LAB_DIGEST_SHA256 },
		[ED25519] = { LAB_KEY_ED25519, LAB_DIGEST_SHA256 },
		[RSA2048] = { LAB_KEY_RSA2048, LAB_DIGEST_SHA256 },
		[RSA1024] = { LAB_KEY_RSA1024, LAB_DIGEST_SHA256 },
		[BY_SHA1] = { LAB_KEY_P256, LAB_DIGEST_SHA1 },
		[BY_MD5] = { LAB_KEY_RSA1024, LAB_DIGEST_MD5 }
	};
	static char names[IDENTITIES][32];
	static struct lab_certificate certificates[IDENTITIES];
	static struct lab_world world = { .certificates = certificates,
	    .certificate_count = IDENTITIES };
	int i;

	(void)state;
	for (i = 0; i < IDENTITIES; i++) {
		snprintf(names[i], sizeof(names[i]), "mx%d.example.org", i);
		certificates[i] = (struct lab_certificate){ .name = names[i],
		    .common_name = names[i], .organization = names[i],
		    .key = forms[i].key, .digest = forms[i].digest,
		    .intermediates = 1, .issuer_authority = true,
		    .chain = i == LEAF ? LAB_CHAIN_LEAF : LAB_CHAIN_FULL };
	}
	signal(SIGPIPE, SIG_IGN);
	arena = arena_new(16 << 20);
	identities = lab_identities_new(&world, arena);
	return 0;
}

static int forget_identities(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* --- two ends --- */

/* The server's, in a thread. */
struct server {
	SSL_CTX		*context;
	void		(*serve)(struct server *server);
	struct lab_link	 link;
	char		 line[64];	/* it may note what it read */
	pthread_t	 thread;
};

static void *serve(void *arg)
{
	struct server *server = arg;

	server->serve(server);
	lab_link_close(&server->link);
	return NULL;
}

/* The client's end of the connection. */
static int begin(struct server *server)
{
	int ends[2];

	assert_int_equal(lab_path_pair(ends), 0);
	lab_link_init(&server->link, ends[1]);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server),
	    0);
	return ends[0];
}

static void finish(struct server *server)
{
	pthread_join(server->thread, NULL);
	lab_link_release(&server->link);
}

/* The same with a link for the client. */
static void begin_link(struct server *server, struct lab_link *client)
{
	lab_link_init(client, begin(server));
}

static void finish_link(struct server *server, struct lab_link *client)
{
	lab_link_close(client);
	lab_link_release(client);
	finish(server);
}

static const struct lab_tls_manner good = { .tickets = TICKETS };

static SSL_CTX *context_of(int identity, const struct lab_tls_manner *manner)
{
	char error[160] = "";
	SSL_CTX *context = lab_link_context(identity >= 0 ?
	    &identities->items[identity] : NULL, manner, error,
	    sizeof(error));

	if (context == NULL)
		print_error("%s\n", error);
	assert_non_null(context);
	return context;
}

static SSL_CTX *context_with(int identity, const char *version,
    const char *ciphers)
{
	char *word = (char *)(uintptr_t)version;
	const struct lab_texts versions = { &word, version != NULL };
	const struct lab_tls_manner manner = { .tickets = TICKETS,
	    .versions = &versions, .ciphers = ciphers };

	return context_of(identity, &manner);
}

/* Says one line and waits for the client's end. */
static void greet(struct server *server)
{
	struct lab_line line;

	if (lab_link_secure(&server->link, server->context, false) == 0 &&
	    lab_link_write(&server->link, "220 hello\r\n", 11) == 0)
		lab_link_line(&server->link, &line);
}

static bool is_greeted(struct lab_link *client)
{
	struct lab_line line;

	return lab_link_line(client, &line) == 1 &&
	    strcmp(line.text, "220 hello") == 0;
}

/* --- versions and ciphers --- */

static const struct version_case {
	const char	*words[3];
	int		 least, most;
	const char	*wanted;	/* null: no handshake */
} version_cases[] = {
	{ { NULL }, 0, 0, "TLSv1.3" },
	{ { NULL }, 0, TLS1_2_VERSION, "TLSv1.2" },
	{ { NULL }, TLS1_VERSION, TLS1_1_VERSION, NULL },
	{ { "1.0" }, TLS1_VERSION, 0, "TLSv1" },
	{ { "1.1" }, TLS1_VERSION, 0, "TLSv1.1" },
	{ { "1.2" }, TLS1_VERSION, 0, "TLSv1.2" },
	{ { "1.3" }, TLS1_VERSION, 0, "TLSv1.3" },
	{ { "1.0" }, TLS1_1_VERSION, 0, NULL },
	{ { "1.1" }, TLS1_2_VERSION, 0, NULL },
	{ { "1.2" }, TLS1_3_VERSION, 0, NULL },
	{ { "1.3" }, TLS1_VERSION, TLS1_2_VERSION, NULL },
	/* neighbours, and not */
	{ { "1.1", "1.0" }, TLS1_VERSION, 0, "TLSv1.1" },
	{ { "1.0", "1.2" }, TLS1_VERSION, 0, "TLSv1.2" },
	{ { "1.0", "1.2" }, TLS1_VERSION, TLS1_VERSION, "TLSv1" },
	{ { "1.0", "1.2" }, TLS1_1_VERSION, TLS1_1_VERSION, NULL },
	{ { "1.1", "1.3" }, TLS1_VERSION, TLS1_2_VERSION, "TLSv1.1" },
	/* RFC 8446 4.1.3: a client that knows better sees the downgrade of a
	 * server that does, too. */
	{ { "1.0", "1.2" }, TLS1_VERSION, TLS1_1_VERSION, NULL }
};

static void versions(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(version_cases) / sizeof(version_cases[0]);
	    i++) {
		const struct version_case *of = &version_cases[i];
		const struct lab_texts words = {
		    (char **)(uintptr_t)of->words,
		    (size_t)(of->words[0] != NULL) + (of->words[1] != NULL) };
		const struct lab_tls_manner manner = { .tickets = TICKETS,
		    .versions = &words };
		struct server server = { .serve = greet,
		    .context = context_of(P256, &manner) };
		const struct lab_tls_request request = { .least = of->least,
		    .most = of->most };
		struct lab_link client;
		int result;

		print_message("%s %s: %s\n", of->words[0], of->words[1],
		    of->wanted);
		begin_link(&server, &client);
		result = lab_link_secure_client(&client, &request);
		assert_int_equal(result, of->wanted != NULL ? 0 : -1);
		if (of->wanted != NULL) {
			assert_string_equal(SSL_get_version(client.ssl),
			    of->wanted);
			assert_true(is_greeted(&client));
		}
		finish_link(&server, &client);
		SSL_CTX_free(server.context);
	}
}

static const struct cipher_case {
	int		 identity;	/* -1: none */
	const char	*version;
	const char	*server, *client;
	const char	*wanted;	/* null: no handshake */
} cipher_cases[] = {
	/* T-20, T-21: without authentication, without encryption */
	{ -1, "1.2", "aNULL", "aNULL", "ADH-AES256-GCM-SHA384" },
	{ -1, "1.2", "ADH-AES128-SHA", "ALL:aNULL", "ADH-AES128-SHA" },
	{ -1, "1.0", "AECDH-AES128-SHA", "aNULL", "AECDH-AES128-SHA" },
	{ P256, "1.2", "aNULL", "DEFAULT", NULL },
	{ RSA2048, "1.2", "eNULL", "eNULL", "ECDHE-RSA-NULL-SHA" },
	{ RSA2048, "1.2", "NULL-SHA256", "eNULL", "NULL-SHA256" },
	{ RSA2048, "1.2", "NULL-MD5", "eNULL", "NULL-MD5" },
	{ -1, "1.2", "AECDH-NULL-SHA", "eNULL+aNULL", "AECDH-NULL-SHA" },
	{ RSA2048, "1.2", "eNULL", "DEFAULT", NULL },
	/* without forward secrecy, and old ones */
	{ RSA2048, "1.2", "AES128-SHA", NULL, "AES128-SHA" },
	{ RSA2048, "1.2", "DHE-RSA-AES128-SHA", NULL, "DHE-RSA-AES128-SHA" },
	{ P256, "1.1", "ECDHE-ECDSA-AES256-SHA", NULL,
	    "ECDHE-ECDSA-AES256-SHA" },
	/* several, and without some */
	{ RSA2048, "1.2", "AES128-SHA:AES256-SHA:!AES128", NULL,
	    "AES256-SHA" },
	/* They are not for TLS 1.3. */
	{ P256, NULL, "aNULL", NULL, "TLS_AES_256_GCM_SHA384" }
};

static void ciphers(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cipher_cases) / sizeof(cipher_cases[0]); i++) {
		const struct cipher_case *of = &cipher_cases[i];
		struct server server = { .serve = greet,
		    .context = context_with(of->identity, of->version,
		    of->server) };
		const struct lab_tls_request request = {
		    .least = TLS1_VERSION, .ciphers = of->client };
		struct lab_link client;
		int result;

		print_message("%s with %s\n", of->server, of->client);
		begin_link(&server, &client);
		result = lab_link_secure_client(&client, &request);
		assert_int_equal(result, of->wanted != NULL ? 0 : -1);
		if (of->wanted != NULL) {
			assert_string_equal(SSL_get_cipher_name(client.ssl),
			    of->wanted);
			assert_true(is_greeted(&client));
		}
		finish_link(&server, &client);
		SSL_CTX_free(server.context);
	}
}

/* What Debian's OpenSSL has no word for is said, not left out. */
static void unknown_words(void **state)
{
	static const char *const ciphers_unknown[] = { "RC4", "RC4-SHA",
	    "3DES", "DES-CBC3-SHA", "EXPORT", "ALL:RC4", "AES128-SHA;RC4",
	    "nonsense", "!ALL" };
	static const char *const versions_unknown[] = { "1.4", "", "ssl3",
	    "1.2 " };
	char error[160];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ciphers_unknown) / sizeof(char *); i++) {
		const struct lab_tls_manner manner = {
		    .ciphers = ciphers_unknown[i] };

		print_message("%s\n", ciphers_unknown[i]);
		error[0] = '\0';
		assert_null(lab_link_context(NULL, &manner, error,
		    sizeof(error)));
		assert_non_null(strstr(error, "OpenSSL has no ciphers"));
	}
	assert_non_null(strstr(error, "!ALL"));
	for (i = 0; i < sizeof(versions_unknown) / sizeof(char *); i++) {
		char *word = (char *)(uintptr_t)versions_unknown[i];
		const struct lab_texts texts = { &word, 1 };
		const struct lab_tls_manner manner = { .versions = &texts };

		error[0] = '\0';
		assert_null(lab_link_context(NULL, &manner, error,
		    sizeof(error)));
		assert_non_null(strstr(error, "1.0, 1.1, 1.2, 1.3"));
	}
}

/* The client's side, too: nothing is sent. */
static void unknown_words_of_client(void **state)
{
	const struct lab_tls_request request = { .ciphers = "RC4" };
	struct server server = { .serve = greet,
	    .context = context_of(P256, &good) };
	struct lab_link client;

	(void)state;
	begin_link(&server, &client);
	assert_int_equal(lab_link_secure_client(&client, &request), -1);
	assert_non_null(strstr(client.problem, "RC4"));
	assert_null(client.ssl);
	finish_link(&server, &client);
	SSL_CTX_free(server.context);
}

/* --- identities that nobody should have --- */

static const struct identity_case {
	int		 identity;
	int		 bits;
	int		 signature;	/* its issuer's */
} identity_cases[] = {
	{ P256, 256, NID_ecdsa_with_SHA256 },
	{ P384, 384, NID_ecdsa_with_SHA256 },
	{ ED25519, 256, NID_ecdsa_with_SHA256 },
	{ RSA2048, 2048, NID_ecdsa_with_SHA256 },
	{ RSA1024, 1024, NID_ecdsa_with_SHA256 },
	{ BY_SHA1, 256, NID_ecdsa_with_SHA1 },
	{ BY_MD5, 1024, NID_md5WithRSAEncryption },
	{ LEAF, 256, NID_ecdsa_with_SHA256 }
};

/* What the machine trusts, and would be found by a server that looks. */
static void trust_intermediate(SSL_CTX *context, int identity)
{
	const uint8_t *der = identities->items[identity].intermediate;
	X509 *intermediate = d2i_X509(NULL, &der,
	    (long)identities->items[identity].intermediate_length);

	assert_int_equal(X509_STORE_add_cert(
	    SSL_CTX_get_cert_store(context), intermediate), 1);
	X509_free(intermediate);
}

static void is_shown(const struct identity_case *of, int version)
{
	struct server server = { .serve = greet,
	    .context = context_of(of->identity, &good) };
	const struct lab_tls_request request = { .most = version };
	struct lab_link client;
	X509 *leaf;

	trust_intermediate(server.context, of->identity);
	begin_link(&server, &client);
	if (lab_link_secure_client(&client, &request) == -1)
		print_error("%s\n", client.problem);
	assert_string_equal(client.problem, "");
	leaf = SSL_get0_peer_certificate(client.ssl);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(leaf)), of->bits);
	assert_int_equal(X509_get_signature_nid(leaf), of->signature);
	/* The chain as it was made, and nothing else. */
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(client.ssl)),
	    of->identity == LEAF ? 1 : 2);
	assert_true(is_greeted(&client));
	finish_link(&server, &client);
	SSL_CTX_free(server.context);
}

static void certificates(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(identity_cases) / sizeof(identity_cases[0]);
	    i++) {
		print_message("%d\n", identity_cases[i].identity);
		is_shown(&identity_cases[i], TLS1_2_VERSION);
		is_shown(&identity_cases[i], TLS1_3_VERSION);
	}
}

/* A server without a certificate fails in every handshake. */
static void no_certificate(void **state)
{
	static const struct lab_tls_request request;
	struct server server = { .serve = greet,
	    .context = context_of(-1, &good) };
	struct lab_link client;

	(void)state;
	begin_link(&server, &client);
	assert_int_equal(lab_link_secure_client(&client, &request), -1);
	assert_non_null(strstr(client.problem, "handshake failure"));
	finish_link(&server, &client);
	assert_string_not_equal(server.link.problem, "");
	SSL_CTX_free(server.context);
}

static int names_seen;

static int see_name(SSL *ssl, int *problem, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)problem;
	assert_true(name != NULL ? arg != NULL && strcmp(name, arg) == 0 :
	    arg == NULL);
	names_seen++;
	return SSL_TLSEXT_ERR_OK;
}

static void server_name(void **state)
{
	static char name[] = "mx.example.net";
	char *const asked[] = { name, NULL };
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct server server = { .serve = greet,
		    .context = context_of(P256, &good) };
		const struct lab_tls_request request = { .name = asked[i] };
		struct lab_link client;

		SSL_CTX_set_tlsext_servername_callback(server.context,
		    see_name);
		SSL_CTX_set_tlsext_servername_arg(server.context, asked[i]);
		begin_link(&server, &client);
		assert_int_equal(lab_link_secure_client(&client, &request), 0);
		finish_link(&server, &client);
		SSL_CTX_free(server.context);
	}
	assert_int_equal(names_seen, 2);
}

/* --- tickets --- */

static int tickets_seen;

static int see_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	tickets_seen += SSL_SESSION_has_ticket(session) ? 1 : 0;
	return 0;
}

/* One connection; the tickets that came are counted; the session, or null. */
static SSL_SESSION *visit(SSL_CTX *context, int version, SSL_SESSION *session,
    bool *resumed)
{
	struct server server = { .serve = greet, .context = context };
	const struct lab_tls_request request = { .most = version,
	    .session = session };
	struct lab_link client;
	SSL_SESSION *kept;

	begin_link(&server, &client);
	assert_int_equal(lab_link_secure_client(&client, &request), 0);
	tickets_seen = version == TLS1_2_VERSION &&
	    SSL_SESSION_has_ticket(SSL_get0_session(client.ssl));
	SSL_CTX_set_session_cache_mode(SSL_get_SSL_CTX(client.ssl),
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(SSL_get_SSL_CTX(client.ssl), see_ticket);
	assert_true(is_greeted(&client));
	*resumed = SSL_session_reused(client.ssl);
	kept = SSL_get1_session(client.ssl);
	/* Not in order: a session has to stand that. */
	lab_link_cut(&client);
	finish_link(&server, &client);
	return kept;
}

static void tickets(void **state)
{
	static const struct { int version, number, wanted; bool resumes; }
	rows[] = {
		{ TLS1_3_VERSION, 0, 0, false },
		{ TLS1_3_VERSION, 1, 1, true },
		{ TLS1_3_VERSION, 2, 2, true },
		{ TLS1_3_VERSION, 7, 7, true },
		{ TLS1_2_VERSION, 0, 0, false },
		{ TLS1_2_VERSION, 1, 1, true },
		{ TLS1_2_VERSION, 2, 1, true }
	};
	SSL_SESSION *first, *second;
	size_t i;
	bool resumed;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct lab_tls_manner manner = {
		    .tickets = rows[i].number };
		SSL_CTX *context = context_of(P256, &manner);

		print_message("%x %d\n", rows[i].version, rows[i].number);
		first = visit(context, rows[i].version, NULL, &resumed);
		assert_int_equal(tickets_seen, rows[i].wanted);
		assert_false(resumed);
		assert_int_equal(SSL_SESSION_is_resumable(first),
		    rows[i].resumes);
		second = visit(context, rows[i].version, first, &resumed);
		assert_int_equal(resumed, rows[i].resumes);
		SSL_SESSION_free(first);
		SSL_SESSION_free(second);
		SSL_CTX_free(context);
	}
}

/* --- certificates of clients --- */

static int times_asked;

static int be_asked(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	(void)ssl;
	(void)certificate;
	(void)key;
	times_asked++;
	return 0;
}

static SSL *own_client(int fd, int version, int identity)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct timeval time = { .tv_sec = PATIENCE_MS / 1000 };
	SSL *ssl;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_client_cert_cb(context, be_asked);
	if (identity >= 0) {
		BIO *bio = BIO_new_mem_buf(
		    identities->items[identity].key_pem, -1);
		const uint8_t *der = identities->items[identity].leaf;
		X509 *leaf = d2i_X509(NULL, &der,
		    (long)identities->items[identity].leaf_length);
		EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL,
		    NULL);

		SSL_CTX_use_certificate(context, leaf);
		SSL_CTX_use_PrivateKey(context, key);
		X509_free(leaf);
		EVP_PKEY_free(key);
		BIO_free(bio);
	}
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_fd(ssl, fd);
	return ssl;
}

static void demand(struct server *server)
{
	if (lab_link_secure(&server->link, server->context, true) == 0)
		lab_link_write(&server->link, "220 hello\r\n", 11);
}

struct client_case {
	enum lab_client_certificate	 client;
	bool				 demanded;	/* by the call */
	int				 identity;	/* -1: it has none */
	int				 asked;
	bool				 served;
};

static const struct client_case client_cases[] = {
	{ LAB_CLIENT_IGNORED, false, -1, 0, true },
	{ LAB_CLIENT_ASKED, false, -1, 1, true },
	{ LAB_CLIENT_DEMANDED, false, -1, 1, false },
	/* Any will do, but not for the call. */
	{ LAB_CLIENT_ASKED, false, P256, 0, true },
	{ LAB_CLIENT_DEMANDED, false, P256, 0, true },
	{ LAB_CLIENT_IGNORED, true, -1, 1, false },
	{ LAB_CLIENT_ASKED, true, -1, 1, false },
	{ LAB_CLIENT_IGNORED, true, P256, 0, false }
};

/* In TLS 1.3 the client is done before the server says no. */
static void ask_client(const struct client_case *of, int version)
{
	const struct lab_tls_manner manner = { .tickets = TICKETS,
	    .client = of->client };
	struct server server = { .serve = of->demanded ? demand : greet,
	    .context = context_of(P256, &manner) };
	int fd = begin(&server);
	SSL *ssl = own_client(fd, version, of->identity);
	char data[64];

	times_asked = 0;
	assert_int_equal(SSL_connect(ssl) == 1, of->served ||
	    version == TLS1_3_VERSION);
	assert_int_equal(SSL_read(ssl, data, sizeof(data)) == 11, of->served);
	assert_int_equal(times_asked, of->asked);
	ERR_clear_error();
	SSL_free(ssl);
	close(fd);
	finish(&server);
	SSL_CTX_free(server.context);
}

static void client_certificates(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(client_cases) / sizeof(client_cases[0]); i++) {
		print_message("%zu\n", i);
		ask_client(&client_cases[i], TLS1_2_VERSION);
		ask_client(&client_cases[i], TLS1_3_VERSION);
	}
}

/* --- half a flight --- */

static atomic_bool half_is_sent;

static void serve_half(struct server *server)
{
	struct lab_link *link = &server->link;

	snprintf(server->line, sizeof(server->line), "%d",
	    lab_link_secure_half(link, server->context));
	if (link->ssl != NULL)
		snprintf(server->line, sizeof(server->line), "still TLS");
	atomic_store(&half_is_sent, true);
	/* The caller's stall, until the client goes. */
	lab_link_stall(link);
}

/* How much of a flight comes, and whether a handshake comes of it. */
static uint64_t hear_flight(SSL_CTX *context, int version, bool whole)
{
	struct server server = { .serve = whole ? greet : serve_half,
	    .context = context };
	struct timeval time = { .tv_usec = SILENCE_MS * 1000 };
	int fd, result;
	uint64_t bytes;
	bool sent;
	SSL *ssl;

	atomic_store(&half_is_sent, false);
	fd = begin(&server);
	ssl = own_client(fd, version, -1);

	/* The first group is not the one that the second server has. */
	SSL_set1_groups_list(ssl, "P-256:X25519");
	if (!whole)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	/* One silence more when all that comes has come. */
	do {
		sent = atomic_load(&half_is_sent);
		ERR_clear_error();
		result = SSL_connect(ssl);
	} while (!whole && !sent && result != 1 &&
	    SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ);
	assert_int_equal(result == 1, whole);
	bytes = BIO_number_read(SSL_get_rbio(ssl));
	if (!whole) {
		/* Silence, and no end; the hello arrived, nothing that could
		 * be believed. */
		assert_int_equal(SSL_get_error(ssl, result),
		    SSL_ERROR_WANT_READ);
		assert_non_null(SSL_get_pending_cipher(ssl));
	}
	ERR_clear_error();
	SSL_free(ssl);
	close(fd);
	finish(&server);
	if (!whole)
		assert_string_equal(server.line, "0");
	return bytes;
}

static void half_a_flight(void **state)
{
	static const struct { int version; const char *groups; } rows[] = {
		{ TLS1_2_VERSION, "P-256:X25519" },
		{ TLS1_3_VERSION, "P-256:X25519" },
		/* Another hello is asked for: that is no flight. */
		{ TLS1_3_VERSION, "X25519" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SSL_CTX *context = context_of(P256, &good);
		uint64_t whole, half;

		SSL_CTX_set1_groups_list(context, rows[i].groups);
		whole = hear_flight(context, rows[i].version, true);
		half = hear_flight(context, rows[i].version, false);
		print_message("%s: %d of %d\n", rows[i].groups, (int)half,
		    (int)whole);
		/* In TLS 1.2 there is a second flight in `whole`. */
		assert_in_range(half, whole / 4, whole * 3 / 4);
		SSL_CTX_free(context);
	}
}

/* What fails before it is a failure, and the client gets its alert. */
static void no_flight(void **state)
{
	const struct lab_tls_request request = { .least = TLS1_VERSION,
	    .most = TLS1_1_VERSION };
	struct server server = { .serve = serve_half,
	    .context = context_of(P256, &good) };
	struct lab_link client;

	(void)state;
	begin_link(&server, &client);
	assert_int_equal(lab_link_secure_client(&client, &request), -1);
	assert_non_null(strstr(client.problem, "protocol version"));
	finish_link(&server, &client);
	assert_string_equal(server.line, "-1");
	assert_non_null(strstr(server.link.problem, "unsupported protocol"));
	SSL_CTX_free(server.context);
}

/* --- alerts --- */

static const char *const alert_names[] = { "close_notify",
    "unexpected_message", "bad_record_mac", "decryption_failed",
    "record_overflow", "decompression_failure", "handshake_failure",
    "no_certificate", "bad_certificate", "unsupported_certificate",
    "certificate_revoked", "certificate_expired", "certificate_unknown",
    "illegal_parameter", "unknown_ca", "access_denied", "decode_error",
    "decrypt_error", "export_restriction", "protocol_version",
    "insufficient_security", "internal_error", "inappropriate_fallback",
    "user_canceled", "no_renegotiation", "missing_extension",
    "unsupported_extension", "certificate_unobtainable", "unrecognized_name",
    "bad_certificate_status_response", "bad_certificate_hash_value",
    "unknown_psk_identity", "certificate_required",
    "no_application_protocol" };

enum { ALERTS = sizeof(alert_names) / sizeof(alert_names[0]) };

/* OpenSSL's words are another authority on the codes; it has none for these. */
static int own_code(const char *name)
{
	static const struct { const char *name; int code; } rows[] = {
		{ "inappropriate_fallback", 86 },
		{ "missing_extension", 109 },
		{ "certificate_required", 116 },
		{ "no_application_protocol", 120 }
	};
	char words[64];
	size_t i;
	int code;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].code;
	for (code = 0; code < 256; code++) {
		snprintf(words, sizeof(words), "%s",
		    SSL_alert_desc_string_long(code));
		for (i = 0; words[i] != '\0'; i++)
			words[i] = words[i] == ' ' ? '_' :
			    (char)tolower((unsigned char)words[i]);
		if (strcmp(words, name) == 0)
			return code;
	}
	return -1;
}

static void alerts(void **state)
{
	unsigned char got[16];
	struct lab_link link;
	int ends[2], i;

	(void)state;
	assert_int_equal(lab_path_pair(ends), 0);
	lab_link_init(&link, ends[1]);
	for (i = 0; i < ALERTS; i++) {
		int code = own_code(alert_names[i]);
		const unsigned char wanted[] = { 21, 3, 3, 0, 2, 2,
		    (unsigned char)code };

		print_message("%s %d\n", alert_names[i], code);
		assert_int_not_equal(code, -1);
		assert_true(lab_link_knows_alert(alert_names[i],
		    strlen(alert_names[i])));
		assert_int_equal(lab_link_alert(&link, alert_names[i]), 0);
		assert_int_equal(recv(ends[0], got, sizeof(got), 0), 7);
		assert_memory_equal(got, wanted, 7);
	}
	assert_int_equal(lab_link_alert(&link, "no_such_alert"), -1);
	assert_int_equal(lab_link_alert(&link, ""), -1);
	assert_false(lab_link_knows_alert("unknown_ca_", 11));
	assert_false(lab_link_knows_alert("unknown_ca", 9));
	assert_true(lab_link_knows_alert("unknown_ca at once", 10));
	assert_int_equal(recv(ends[0], got, sizeof(got), MSG_DONTWAIT), -1);
	lab_link_release(&link);
	close(ends[0]);
}

/* In the place of a handshake, and past TLS. */
static void alert_at_once(struct server *server)
{
	char hello[4096];

	lab_link_read(&server->link, hello, sizeof(hello));
	lab_link_alert(&server->link, "insufficient_security");
	lab_link_cut(&server->link);
}

static void alert_under_tls(struct server *server)
{
	lab_link_secure(&server->link, server->context, false);
	lab_link_alert(&server->link, "internal_error");
	lab_link_cut(&server->link);
}

static void alert_meets_client(void **state)
{
	static const struct lab_tls_request request = {
	    .most = TLS1_2_VERSION };
	struct server server = { .serve = alert_at_once,
	    .context = context_of(P256, &good) };
	struct lab_link client;
	char data[64];

	(void)state;
	begin_link(&server, &client);
	assert_int_equal(lab_link_secure_client(&client, &request), -1);
	assert_non_null(strstr(client.problem, "insufficient security"));
	finish_link(&server, &client);
	/* Under TLS it has no seal. */
	server.serve = alert_under_tls;
	begin_link(&server, &client);
	assert_int_equal(lab_link_secure_client(&client, &request), 0);
	assert_int_equal(lab_link_read(&client, data, sizeof(data)), -1);
	assert_null(strstr(client.problem, "closed"));
	finish_link(&server, &client);
	SSL_CTX_free(server.context);
}

/* --- a broken seal --- */

static void corrupt(struct server *server)
{
	if (lab_link_secure(&server->link, server->context, false) == 0 &&
	    lab_link_write(&server->link, "220 hello\r\n", 11) == 0)
		lab_link_corrupt(&server->link);
}

static void broken_seal(void **state)
{
	static const struct { const char *version, *ciphers; } rows[] = {
		{ "1.3", NULL }, { "1.2", NULL }, { "1.2", "AES128-SHA" },
		{ "1.0", "AES128-SHA" }, { "1.2", "NULL-SHA256" } };
	char data[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct server server = { .serve = corrupt,
		    .context = context_with(RSA2048, rows[i].version,
		    rows[i].ciphers) };
		const struct lab_tls_request request = {
		    .least = TLS1_VERSION, .ciphers = rows[i].ciphers };
		struct lab_link client;

		begin_link(&server, &client);
		assert_int_equal(lab_link_secure_client(&client, &request), 0);
		assert_true(is_greeted(&client));
		assert_int_equal(lab_link_read(&client, data, sizeof(data)),
		    -1);
		print_message("%s\n", client.problem);
		assert_non_null(strstr(client.problem, "bad record mac"));
		/* And its end. */
		poll(&(struct pollfd){ .fd = client.fd, .events = POLLIN }, 1,
		    PATIENCE_MS);
		assert_int_equal(recv(client.fd, data, 1, 0), 0);
		finish_link(&server, &client);
		SSL_CTX_free(server.context);
	}
}

/* --- out of TLS --- */

static void unwrap(struct server *server)
{
	struct lab_line line = { .text = "" };

	if (lab_link_secure(&server->link, server->context, false) == -1 ||
	    lab_link_write(&server->link, "220 hello\r\n", 11) == -1 ||
	    lab_link_unwrap(&server->link) == -1 ||
	    lab_link_write(&server->link, "250 clear\r\n", 11) == -1)
		return;
	/* Not twice. */
	if (lab_link_unwrap(&server->link) == -1 &&
	    lab_link_line(&server->link, &line) == 1)
		snprintf(server->line, sizeof(server->line), "%.60s",
		    line.text);
}

/* A record of the client's that was under way, its close_notify, and a line in
 * clear: byte by byte, or as one. */
static void send_leftovers(SSL *ssl, int fd, size_t piece)
{
	BIO *memory = BIO_new(BIO_s_mem());
	size_t sent;
	char *bytes;
	long length;

	SSL_set0_wbio(ssl, memory);
	SSL_write(ssl, "MAIL FROM:<>\r\n", 14);
	SSL_shutdown(ssl);
	BIO_write(memory, "NOOP\r\n", 6);
	length = BIO_get_mem_data(memory, &bytes);
	for (sent = 0; sent < (size_t)length; sent += piece) {
		if (piece > (size_t)length - sent)
			piece = (size_t)length - sent;
		assert_int_equal(send(fd, bytes + sent, piece, 0), piece);
		usleep(500);
	}
}

static void meet_unwrap(int version, size_t piece)
{
	struct server server = { .serve = unwrap,
	    .context = context_of(P256, &good) };
	int fd = begin(&server);
	SSL *ssl = own_client(fd, version, -1);
	char data[64] = "";

	assert_int_equal(SSL_connect(ssl), 1);
	assert_int_equal(SSL_read(ssl, data, sizeof(data)), 11);
	assert_int_equal(SSL_read(ssl, data, sizeof(data)), 0);
	assert_int_equal(SSL_get_shutdown(ssl), SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(recv(fd, data, 11, MSG_WAITALL), 11);
	assert_memory_equal(data, "250 clear\r\n", 11);
	send_leftovers(ssl, fd, piece);
	SSL_free(ssl);
	close(fd);
	finish(&server);
	assert_string_equal(server.line, "NOOP");
	SSL_CTX_free(server.context);
}

static void out_of_tls(void **state)
{
	(void)state;
	meet_unwrap(TLS1_2_VERSION, 4096);
	meet_unwrap(TLS1_3_VERSION, 4096);
	meet_unwrap(TLS1_2_VERSION, 1);
	meet_unwrap(TLS1_3_VERSION, 1);
}

/* The client does it; then TLS again on the same connection. */
static void secure_twice(struct server *server)
{
	struct lab_line line = { .text = "" };
	struct lab_link *link = &server->link;

	if (lab_link_secure(link, server->context, false) == -1 ||
	    lab_link_secure(link, server->context, false) != -1)
		return;
	link->problem[0] = '\0';
	if (lab_link_line(link, &line) == 0 && lab_link_unwrap(link) == 0 &&
	    lab_link_line(link, &line) == 1 &&
	    lab_link_write(link, "220 go\r\n", 8) == 0 &&
	    lab_link_secure(link, server->context, false) == 0 &&
	    lab_link_write(link, "250 again\r\n", 11) == 0)
		snprintf(server->line, sizeof(server->line), "%.60s",
		    line.text);
}

static void into_tls_again(void **state)
{
	static const struct lab_tls_request request;
	struct server server = { .serve = secure_twice,
	    .context = context_of(P256, &good) };
	struct lab_link client;
	struct lab_line line;

	(void)state;
	begin_link(&server, &client);
	assert_int_equal(lab_link_unwrap(&client), -1);
	assert_int_equal(lab_link_secure_client(&client, &request), 0);
	assert_int_equal(lab_link_unwrap(&client), 0);
	assert_null(client.ssl);
	assert_int_equal(lab_link_write(&client, "STARTTLS\r\n", 10), 0);
	assert_int_equal(lab_link_line(&client, &line), 1);
	assert_string_equal(line.text, "220 go");
	assert_int_equal(lab_link_secure_client(&client, &request), 0);
	assert_int_equal(lab_link_line(&client, &line), 1);
	assert_string_equal(line.text, "250 again");
	finish_link(&server, &client);
	assert_string_equal(server.line, "STARTTLS");
	SSL_CTX_free(server.context);
}

/* --- secrets --- */

/* A line of each side, and none when they are not wanted. */
static void key_log(void **state)
{
	static const struct lab_tls_request request = {
	    .most = TLS1_2_VERSION };
	FILE *log = tmpfile();
	struct server server = { .serve = greet };
	struct lab_link client;
	char line[512];
	int i, lines = 0;

	(void)state;
	for (i = 0; i < 2; i++) {
		lab_link_keylog(i == 0 ? fileno(log) : -1);
		server.context = context_of(P256, &good);
		begin_link(&server, &client);
		assert_int_equal(lab_link_secure_client(&client, &request), 0);
		assert_true(is_greeted(&client));
		finish_link(&server, &client);
		SSL_CTX_free(server.context);
	}
	rewind(log);
	while (fgets(line, sizeof(line), log) != NULL) {
		assert_memory_equal(line, "CLIENT_RANDOM ", 14);
		lines++;
	}
	assert_int_equal(lines, 2);
	fclose(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),
		cmocka_unit_test(ciphers),
		cmocka_unit_test(unknown_words),
		cmocka_unit_test(unknown_words_of_client),
		cmocka_unit_test(certificates),
		cmocka_unit_test(no_certificate),
		cmocka_unit_test(server_name),
		cmocka_unit_test(tickets),
		cmocka_unit_test(client_certificates),
		cmocka_unit_test(half_a_flight),
		cmocka_unit_test(no_flight),
		cmocka_unit_test(alerts),
		cmocka_unit_test(alert_meets_client),
		cmocka_unit_test(broken_seal),
		cmocka_unit_test(out_of_tls),
		cmocka_unit_test(into_tls_again),
		cmocka_unit_test(key_log)
	};

	return cmocka_run_group_tests(tests, make_identities,
	    forget_identities);
}
