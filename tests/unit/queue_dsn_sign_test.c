/* SPDX-License-Identifier: ISC */
/*
 * Our own notifications are signed: dsn_sign.c's choice of domain and keys, and
 * signatures that verify on what a worker gets (AUTHN-12).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_verify.h"
#include "authentic/fields.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/queue.h"
#include "queue/dsn_sign.h"
#include "tests/queue_world.h"

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dsn_sign_use(NULL);
	world_close(&world);
	return 0;
}

static void configure(const char *text)
{
	char *errors = NULL;
	struct conf *conf = conf_read("test.conf", text, &errors);

	if (conf == NULL)
		fail_msg("%s", errors);
	queue_reload(world.queue, conf);
	mem_free(errors);
}

/* "rsa:one.test ed25519:two.test rsa:-three.test": - is for not active. */
static struct dkim_keys *make_keys(const char *text)
{
	char *errors = NULL, *copy = mem_dup_string(text), *rest = copy, *one;
	struct dkim_keys *keys = dkim_keys_read("keys", "", &errors);

	assert_non_null(keys);
	while ((one = strsep(&rest, " ")) != NULL && one[0] != '\0') {
		bool rsa = strncmp(one, "rsa:", 4) == 0;
		const char *domain = strchr(one, ':') + 1;
		bool waits = domain[0] == '-';

		assert_int_equal(dkim_keys_make(keys, domain + waits,
		    rsa ? "r1" : "e1", rsa ? DKIM_RSA : DKIM_ED25519,
		    clock_wall()), 0);
		keys->items[keys->count - 1].state = waits ? DKIM_WAITING :
		    DKIM_ACTIVE;
	}
	mem_free(copy);
	return keys;
}

/* What a worker gets of a notification: prefix and body. */
static struct job *bounce(void)
{
	struct status status;

	world_refused(&status);
	world_send(&world, "a@sender.test", "joe@one.test",
	    "Subject: x\r\n\r\nthe body\r\n");
	assert_true(world_wait_jobs(&world, 1));
	world_finish(&world, 0, &status);
	assert_true(world_wait_jobs(&world, 1));
	assert_non_null(world.jobs[0]->body);
	return world.jobs[0];
}

static void done(void)
{
	struct status status;

	world_delivered(&status);
	world_finish(&world, 0, &status);
	assert_true(world_wait_empty(&world));
}

static const struct dkim_key *key_named(const struct dkim_keys *keys,
    const char *query)
{
	char name[300];

	for (size_t i = 0; i < keys->count; i++) {
		snprintf(name, sizeof(name), "%s._domainkey.%s",
		    keys->items[i].selector, keys->items[i].domain);
		if (strcmp(name, query) == 0)
			return &keys->items[i];
	}
	fail_msg("a signature wants %s", query);
	return NULL;
}

/* Every signature on it passes, and is of that domain; returns how many. */
static size_t verify(const struct job *job, const struct dkim_keys *keys,
    const char *domain)
{
	struct fields *fields = fields_new();
	struct dkim_verifier *verifier;
	struct buf record;
	size_t count, header = job->prefix_length;

	assert_int_equal(fields_feed(fields, job->prefix,
	    job->prefix_length), job->prefix_length);
	header = fields_feed(fields, job->body, (size_t)job->body_length);
	fields_finish(fields);
	verifier = dkim_verifier_new(fields, clock_wall());
	dkim_verifier_body(verifier, job->body + header,
	    (size_t)job->body_length - header);
	count = dkim_verifier_count(verifier);
	buf_init(&record, DKIM_KEY_RECORD_MAX);
	for (size_t i = 0; i < count; i++) {
		buf_reset(&record);
		assert_int_equal(dkim_key_record(key_named(keys,
		    dkim_verifier_query(verifier, i)), &record), 0);
		dkim_verifier_key(verifier, i, DKIM_KEY_FOUND,
		    buf_string(&record));
	}
	dkim_verifier_finish(verifier);
	for (size_t i = 0; i < count; i++) {
		const struct dkim_result *result =
		    dkim_verifier_result(verifier, i);

		if (result->proof != PROOF_PASS)
			fail_msg("%s", result->reason);
		assert_string_equal(result->domain, domain);
	}
	buf_release(&record);
	dkim_verifier_free(verifier);
	fields_free(fields);
	return count;
}

/* Own: hostname's domain is one of ours. */
#define OWN "hostname = mx.test\npostmaster = \"p@mx.test\"\n" \
    "domain mx.test { users = \"*\" }\n"
/* Apart: mail is for another domain than the host's name is in. */
#define APART "hostname = host7.hoster.test\npostmaster = \"p@ours.test\"\n" \
    "domain ours.test { users = \"*\" }\n"

/* One signature an algorithm, by the domain of From or one above it. */
static void test_domains(void **state)
{
	static const struct {
		const char	*conf, *keys, *from, *signer;
		size_t		 count;
	} cases[] = {
		{ OWN, "", "mx.test", "", 0 },
		{ OWN, "rsa:mx.test ed25519:mx.test", "mx.test", "mx.test", 2 },
		{ OWN, "ed25519:mx.test", "mx.test", "mx.test", 1 },
		{ OWN, "rsa:-mx.test", "mx.test", "", 0 },
		{ OWN, "rsa:other.test", "mx.test", "", 0 },
		{ "hostname = mx.test\ndomain mx.test { users = \"*\" "
		    "dkim-sign = no }\n", "rsa:mx.test", "mx.test", "", 0 },
		{ "hostname = a.mx.test\ndomain mx.test { users = \"*\" }\n",
		    "rsa:mx.test", "a.mx.test", "mx.test", 1 },
		{ "hostname = a.mx.test\ndomain mx.test { users = \"*\" "
		    "dkim-sign = no }\n", "rsa:mx.test", "a.mx.test", "", 0 },
		{ APART, "", "host7.hoster.test", "", 0 },
		{ APART, "rsa:ours.test ed25519:ours.test", "ours.test",
		    "ours.test", 2 },
		{ APART, "rsa:ours.test ed25519:hoster.test",
		    "host7.hoster.test", "hoster.test", 1 },
		{ APART, "rsa:-ours.test", "host7.hoster.test", "", 0 },
	};
	struct dkim_keys *keys;
	char from[80];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct job *job;

		configure(cases[i].conf);
		keys = make_keys(cases[i].keys);
		dsn_sign_use(keys);
		job = bounce();
		snprintf(from, sizeof(from), "<MAILER-DAEMON@%s>\r\n",
		    cases[i].from);
		if (strstr(job->body, from) == NULL)
			fail_msg("case %zu: no %s in\n%s", i, from, job->body);
		assert_null(strstr(job->body, "DKIM-Signature"));
		assert_int_equal(job->prefix_length == 0,
		    cases[i].count == 0);
		if (cases[i].count > 0)
			assert_int_equal(verify(job, keys, cases[i].signer),
			    cases[i].count);
		done();
	}
}

/* The signature is kept with the notification: after a restart, without keys,
 * it is still right. */
static void test_restart(void **state)
{
	struct dkim_keys *keys = make_keys("rsa:mx.test");
	struct dkim_keys *copy;
	char *errors = NULL;
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	assert_int_equal(dkim_keys_print(keys, &text), 0);
	copy = dkim_keys_read("keys", buf_string(&text), &errors);
	assert_non_null(copy);
	dsn_sign_use(keys);
	assert_int_equal(verify(bounce(), copy, "mx.test"), 1);
	dsn_sign_use(NULL);
	world_drop_worker(&world, DESTINATION_DELIVERY);
	world_stop_queue(&world);
	world_start_queue(&world);
	world_new_worker(&world, DESTINATION_DELIVERY);
	assert_true(world_wait_jobs(&world, 1));
	assert_int_equal(verify(world.jobs[0], copy, "mx.test"), 1);
	done();
	dkim_keys_free(copy);
	buf_release(&text);
}

/* What cannot be signed goes out all the same. */
static void test_unsigned(void **state)
{
	struct dkim_keys *keys = make_keys("rsa:mx.test");
	void *key = keys->items[0].key;

	(void)state;
	keys->items[0].key = NULL;
	dsn_sign_use(keys);
	assert_int_equal(bounce()->prefix_length, 0);
	done();
	keys->items[0].key = key;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_domains),
		TEST(test_restart),
		TEST(test_unsigned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
