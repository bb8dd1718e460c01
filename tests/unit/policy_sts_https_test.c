/* SPDX-License-Identifier: ISC */
/*
 * MTA-STS with nothing played: libunbound asks a small name server, the fetch
 * is a process, and the policy host an HTTPS server on loopback. What the parts
 * say to each other, and that all of it survives a restart.
 */
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/resolver.h"
#include "policy/sts.h"
#include "tests/scratch.h"
#include "tests/unit/certificates.h"

/* --- the name server --- */

enum { TYPE_CNAME = 5, CLASS_IN = 1, LONG = 30000 };

static int server = -1;
static struct watch server_watch;
static struct endpoint server_address;

struct reply {
	uint8_t	 bytes[1024];
	size_t	 length;
	unsigned answers;
};

static void add(struct reply *reply, const void *bytes, size_t length)
{
	memcpy(reply->bytes + reply->length, bytes, length);
	reply->length += length;
}

static void add_u16(struct reply *reply, unsigned value)
{
	add(reply, (uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

static size_t name_length(const char *name)
{
	return strlen(name) + 2;
}

static void add_name(struct reply *reply, const char *name)
{
	size_t length;

	while (*name != '\0') {
		length = strcspn(name, ".");
		add(reply, (uint8_t[]){ (uint8_t)length }, 1);
		add(reply, name, length);
		name += length + (name[length] == '.');
	}
	add(reply, "", 1);
}

static void add_record(struct reply *reply, const char *owner, unsigned type,
    size_t length)
{
	add_name(reply, owner);
	add_u16(reply, type);
	add_u16(reply, CLASS_IN);
	add_u16(reply, 0);
	add_u16(reply, 300);
	add_u16(reply, (unsigned)length);
	reply->answers++;
}

static void add_alias(struct reply *reply, const char *owner, const char *to)
{
	add_record(reply, owner, TYPE_CNAME, name_length(to));
	add_name(reply, to);
}

/* STS-7: in two strings. */
static void add_text(struct reply *reply, const char *owner)
{
	add_record(reply, owner, DNS_TXT, 1 + 10 + 1 + 6);
	add(reply, "\012v=STSv1; i\006d=abc;", 18);
}

/* 0, or an rcode, or -1 to say nothing. */
static int answer(struct reply *reply, const char *name, unsigned type)
{
	if (strstr(name, "broken.lab") != NULL)
		return 2;
	/* STS-5: through aliases; libunbound asks for each of them. */
	if (type == DNS_TXT && strcmp(name, "_mta-sts.alias.lab") == 0) {
		add_alias(reply, name, "one.provider.lab");
	} else if (type == DNS_TXT && strcmp(name, "one.provider.lab") == 0) {
		add_alias(reply, name, "two.provider.lab");
	} else if (type == DNS_TXT && strncmp(name, "_mta-sts.", 9) == 0 &&
	    strstr(name, "absent") == NULL) {
		add_text(reply, name);
	} else if (type == DNS_TXT && strcmp(name, "two.provider.lab") == 0) {
		add_text(reply, name);
	} else if (type == DNS_A && (strncmp(name, "mta-sts.", 8) == 0 ||
	    strncmp(name, "web.", 4) == 0)) {
		if (strncmp(name, "web.", 4) != 0)
			add_alias(reply, name, "web.provider.lab");
		add_record(reply, "web.provider.lab", DNS_A, 4);
		add(reply, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	}
	return 0;
}

static size_t read_question(const uint8_t *query, size_t length, char *name,
    unsigned *type)
{
	size_t at = 12, used = 0, i;

	while (at < length && query[at] != 0) {
		if (used > 0)
			name[used++] = '.';
		for (i = 1; i <= query[at]; i++) {
			uint8_t c = query[at + i];

			name[used++] = (char)(c >= 'A' && c <= 'Z' ?
			    c | 0x20 : c);
		}
		at += query[at] + 1u;
	}
	name[used] = '\0';
	*type = (unsigned)query[at + 1] << 8 | query[at + 2];
	return at + 5;
}

static void on_query(void *arg, int flags)
{
	struct reply reply = { .length = 0 };
	uint8_t query[512];
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	ssize_t got = recvfrom(server, query, sizeof(query), 0,
	    (struct sockaddr *)&from, &from_length);
	char name[300];
	unsigned type;
	int rcode;

	(void)arg;
	(void)flags;
	if (got < 17)
		return;
	add(&reply, query, read_question(query, (size_t)got, name, &type));
	rcode = answer(&reply, name, type);
	reply.bytes[2] = 0x81;
	reply.bytes[3] = (uint8_t)(0x80 | rcode);
	memset(reply.bytes + 6, 0, 6);
	reply.bytes[7] = (uint8_t)reply.answers;
	sendto(server, reply.bytes, reply.length, 0,
	    (struct sockaddr *)&from, from_length);
}

static void start_name_server(void)
{
	struct endpoint local;

	endpoint_parse(&local, "127.0.0.1", 0);
	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(server, &local.address.any, local.length));
	net_local(server, &server_address);
	watch_init(&server_watch, server, on_query, NULL);
	watch_set(&server_watch, WATCH_READ);
}

/* --- the policy host --- */

#define POLICY "version: STSv1\r\nmode: enforce\r\nmx: *.lab\r\n" \
    "max_age: 604800\r\n"

static struct certificate *authority, *leaf;
static struct endpoint web_address;
static pid_t web;

static void serve(SSL_CTX *context, int listener)
{
	char request[2048], reply[512];
	SSL *ssl;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		ssl = SSL_new(context);
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1 &&
		    SSL_read(ssl, request, sizeof(request)) > 0) {
			snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Length: %zu\r\n\r\n" POLICY,
			    strlen(POLICY));
			SSL_write(ssl, reply, (int)strlen(reply));
			SSL_shutdown(ssl);
		}
		SSL_free(ssl);
		close(fd);
	}
}

static void start_web(void)
{
	BIO *pem = BIO_new_mem_buf(certificate_pem(leaf), -1);
	BIO *key = BIO_new_mem_buf(certificate_key_pem(leaf), -1);
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	X509 *x509 = PEM_read_bio_X509(pem, NULL, NULL, NULL);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	struct endpoint local;
	int listener;

	SSL_CTX_use_certificate(context, x509);
	SSL_CTX_use_PrivateKey(context, pkey);
	X509_free(x509);
	EVP_PKEY_free(pkey);
	BIO_free(pem);
	BIO_free(key);
	endpoint_parse(&local, "127.0.0.1", 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(listener, &local.address.any, local.length));
	assert_int_equal(0, listen(listener, 8));
	net_local(listener, &web_address);
	web = fork();
	if (web == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		serve(context, listener);
		_exit(0);
	}
	SSL_CTX_free(context);
	close(listener);
}

static void stop_web(void)
{
	if (web > 0) {
		kill(web, SIGKILL);
		waitpid(web, NULL, 0);
	}
	web = 0;
}

/* --- the asking side --- */

static struct conf conf;
static char forwarder[64], directory[64];
static char *forwarders[1] = { forwarder };
static struct resolver *resolver;
static struct sts *sts;
static struct timer patience;
static unsigned answered;
static struct sts_answer last;

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void on_answer(void *arg, const struct sts_answer *got)
{
	(void)arg;
	answered++;
	last = *got;
	loop_stop();
}

static int ask(const char *domain)
{
	unsigned before = answered;

	sts_lookup(sts, domain, false, on_answer, NULL);
	timer_start(&patience, LONG, stop, NULL);
	loop_run();
	timer_stop(&patience);
	assert_int_equal(answered, before + 1);
	return last.known ? (int)last.source : -1;
}

static void start_sts(void)
{
	sts = sts_new(&conf, resolver, directory, certificate_pem(authority));
	sts_set_port(sts, endpoint_port(&web_address));
}

static int set_up(void **state)
{
	struct certificate_plan plan = { .common_name = "Test CA",
	    .authority = true };
	char error[200];

	(void)state;
	authority = certificate_new(&plan);
	plan = (struct certificate_plan){ .common_name = "web",
	    .alternative_names = "DNS:mta-sts.host.lab,DNS:mta-sts.alias.lab,"
	    "DNS:web.provider.lab", .issuer = authority };
	leaf = certificate_new(&plan);
	assert_int_equal(0, scratch_make(directory, sizeof(directory), "https"));
	start_name_server();
	start_web();
	snprintf(forwarder, sizeof(forwarder), "127.0.0.1@%u",
	    (unsigned)endpoint_port(&server_address));
	conf = (struct conf){ .resolver = RESOLVER_FORWARD, .ipv4 = true,
	    .ipv6 = true, .forwarders = { forwarders, 1 },
	    .resolver_timeout = 10, .allow_loopback = true,
	    .sts_fetch_timeout = 20, .sts_refresh = 86400 };
	resolver = resolver_new(&conf, NULL, error, sizeof(error));
	assert_non_null(resolver);
	start_sts();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sts_free(sts);
	resolver_free(resolver);
	watch_release(&server_watch);
	close(server);
	stop_web();
	certificate_free(leaf);
	certificate_free(authority);
	return scratch_remove(directory);
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(ask("host.lab"), STS_SOURCE_FETCHED);
	assert_string_equal(last.id, "abc");
	assert_int_equal(last.policy.mode, STS_MODE_ENFORCE);
	assert_string_equal(last.problem, "");
	assert_int_equal(ask("host.lab"), STS_SOURCE_CACHED);
	/* S-11: the host is gone; what is remembered survives a restart. */
	stop_web();
	sts_free(sts);
	start_sts();
	assert_int_equal(ask("host.lab"), STS_SOURCE_CACHED);
	assert_int_equal(ask("alias.lab"), STS_SOURCE_NONE);
	assert_non_null(last.result);
	assert_string_equal(last.result, "sts-policy-fetch-error");
}

/* S-15: the record through aliases, and in two strings. */
static void test_alias(void **state)
{
	(void)state;
	assert_int_equal(ask("alias.lab"), STS_SOURCE_FETCHED);
	assert_string_equal(last.id, "abc");
}

/* S-10, STS-25: good for where the alias leads is not good. */
static void test_provider(void **state)
{
	(void)state;
	assert_int_equal(ask("user.lab"), STS_SOURCE_NONE);
	assert_true(last.known);
	assert_string_equal(last.result, "sts-webpki-invalid");
}

/* S-13; and no record at all. */
static void test_no_record(void **state)
{
	(void)state;
	assert_int_equal(ask("broken.lab"), -1);
	assert_int_equal(ask("absent.lab"), STS_SOURCE_NONE);
	assert_null(last.result);
}

/* S-29: without leave, loopback is not connected to. */
static void test_private(void **state)
{
	(void)state;
	conf.allow_loopback = false;
	assert_int_equal(ask("host.lab"), STS_SOURCE_NONE);
	assert_non_null(strstr(last.problem, "no public address"));
	assert_string_equal(last.result, "sts-policy-fetch-error");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_all), TEST(test_alias), TEST(test_provider),
		TEST(test_no_record), TEST(test_private),
	};
	int status;

	log_init("test", LOG_LEVEL_FATAL);
	loop_init();
	status = cmocka_run_group_tests(tests, NULL, NULL);
	loop_release();
	return status;
}
