/* SPDX-License-Identifier: ISC */
/*
 * policy/plan_wire.c: bytes that look like a plan and are none of policy's.
 * Delivery believes only what it is told completely and in keeping with itself.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/wire.h"
#include "policy/plan.h"

/* Bytes that are no plan of policy's: a requirement without what fulfils it
 * must not become a weaker one on the way. */
static char *names[] = { (char *)"mx.example" };
static const uint8_t digest[32] = { 1 };
static struct dane_record records[] = {
	{ 3, 1, 1, true, digest, 32 }, { 1, 1, 1, true, digest, 32 },
	{ 3, 1, 1, true, digest, 31 }, { 3, 1, 2, true, digest, 32 },
	{ 3, 1, 0, true, digest, 0 }, { 3, 2, 1, true, digest, 32 },
};
static const struct {
	struct plan_host	 host;
	bool			 good;
	enum plan_wish		 wish;
	enum status_reason	 reason;	/* of a failed skip */
} readings[] = {
#define WITH(r, n, t, ...) .host = { .requirement = r, .names = names, \
    .name_count = n, .tlsa = &records[t], __VA_ARGS__ }
	{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1), .good = true },
	{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 0) },
	{ WITH(REQUIRE_DANE, 0, 0, .tlsa_count = 1) },
	{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 2) },
	{ WITH(REQUIRE_DANE, 1, 1, .tlsa_count = 1) },
	{ WITH(REQUIRE_DANE, 1, 2, .tlsa_count = 1) },
	{ WITH(REQUIRE_DANE, 1, 3, .tlsa_count = 1) },
	{ WITH(REQUIRE_DANE, 1, 4, .tlsa_count = 1) },
	{ WITH(REQUIRE_DANE, 1, 5, .tlsa_count = 1) },
	{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1,
	    .also_name = true), .good = true },
	{ WITH(REQUIRE_NAME, 1, 0, .tlsa_count = 0), .good = true },
	{ WITH(REQUIRE_NAME, 0, 0, .tlsa_count = 0) },
	{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1,
	    .note_name = true), .good = true },
	{ WITH(REQUIRE_DANE, 1, 0, .tlsa_count = 1,
	    .also_name = true, .note_name = true) },
	{ WITH(REQUIRE_NAME, 1, 0, .also_name = true) },
	{ WITH(REQUIRE_NAME, 1, 0, .note_name = true) },
	{ WITH(REQUIREMENTS, 1, 0, .tlsa_count = 0) },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .source = SOURCES) },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .source = SOURCE_DANE), .good = true },
	/* skipped for a reason that does not wait */
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true),
	    .wish = WISH_NONE, .reason = REASON_POLICY },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true),
	    .wish = WISH_REQUIRETLS, .reason = REASON_POLICY },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true),
	    .wish = WISH_OPTIONAL, .reason = REASON_REQUIRETLS },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true),
	    .wish = WISH_REQUIRETLS_BOUNCE, .reason = REASON_REQUIRETLS },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true), .good = true,
	    .wish = WISH_REQUIRETLS, .reason = REASON_REQUIRETLS },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .skip = true,
	    .skipped_result = TLS_RESULTS),
	    .wish = WISH_REQUIRETLS, .reason = REASON_REQUIRETLS },
	/* REQUIRETLS is demanded of each host, and never in vain */
	{ WITH(REQUIRE_NAME, 1, 0, .requiretls = true), .good = true,
	    .wish = WISH_REQUIRETLS },
	{ WITH(REQUIRE_FINGERPRINT, 0, 0, .requiretls = true), .good = true,
	    .wish = WISH_REQUIRETLS },
	{ WITH(REQUIRE_NAME, 1, 0, .requiretls = false),
	    .wish = WISH_REQUIRETLS },
	{ WITH(REQUIRE_NAME, 1, 0, .requiretls = true),
	    .wish = WISH_NONE },
	{ WITH(REQUIRE_NAME, 1, 0, .requiretls = true),
	    .wish = WISH_OPTIONAL },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .requiretls = true),
	    .wish = WISH_REQUIRETLS },
	{ WITH(REQUIRE_OPPORTUNISTIC, 0, 0, .requiretls = true),
	    .wish = WISH_REQUIRETLS },
	{ WITH(REQUIRE_OPPORTUNISTIC, 0, 0, .requiretls = true), .good = true,
	    .wish = WISH_REQUIRETLS_BOUNCE },
	{ WITH(REQUIRE_OPPORTUNISTIC, 0, 0, .requiretls = false),
	    .wish = WISH_REQUIRETLS_BOUNCE },
	/* what is tried has its means, and takes no other's away */
	{ WITH(REQUIRE_OPPORTUNISTIC, 1, 0, .ideal = REQUIRE_NAME), .good = true },
	{ WITH(REQUIRE_OPPORTUNISTIC, 0, 0, .ideal = REQUIRE_NAME) },
	{ WITH(REQUIRE_ENCRYPTED, 1, 0, .ideal = REQUIRE_DANE,
	    .ideal_source = SOURCE_DANE, .tlsa_count = 1), .good = true },
	{ WITH(REQUIRE_ENCRYPTED, 1, 0, .ideal = REQUIRE_DANE,
	    .ideal_source = SOURCE_DANE) },
	{ WITH(REQUIRE_ENCRYPTED, 1, 0, .ideal = REQUIRE_DANE,
	    .ideal_source = SOURCE_HALF_DANE, .tlsa_count = 1) },
	{ WITH(REQUIRE_ENCRYPTED, 1, 0, .ideal = REQUIRE_DANE,
	    .ideal_source = SOURCE_DANE, .tlsa_count = 1,
	    .also_name = true) },
	{ WITH(REQUIRE_NAME, 1, 0, .ideal = REQUIRE_DANE,
	    .ideal_source = SOURCE_DANE, .tlsa_count = 1) },
	{ WITH(REQUIRE_CLEAR, 1, 0, .ideal = REQUIRE_NAME) },
	{ WITH(REQUIRE_OPPORTUNISTIC, 1, 0,
	    .ideal = REQUIRE_FINGERPRINT) },
	{ WITH(REQUIRE_OPPORTUNISTIC, 1, 0, .ideal = REQUIREMENTS) },
	{ WITH(REQUIRE_OPPORTUNISTIC, 1, 0, .ideal = REQUIRE_NAME,
	    .ideal_source = SOURCE_STS, .sts_mismatch = true), .good = true },
	{ WITH(REQUIRE_OPPORTUNISTIC, 1, 0, .ideal = REQUIRE_NAME,
	    .sts_mismatch = true) },
	{ WITH(REQUIRE_NAME, 1, 0, .ideal_source = SOURCE_STS,
	    .sts_mismatch = true) },
	/* memory speaks of nobody else's hosts */
	{ WITH(REQUIRE_OPPORTUNISTIC, 0, 0, .expects_tls = true), .good = true },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .expects_tls = true) },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .tlsa_digest = 1) },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .tlsa_domain = "x") },
	{ WITH(REQUIRE_ENCRYPTED, 0, 0, .tlsa_domain = "x",
	    .tlsa_digest = 1), .good = true },
#undef WITH
};

static void test_incomplete(void **state)
{
	struct wire_writer writer;
	struct wire_reader reader;
	struct arena *arena;
	struct plan plan;
	struct buf buf;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		struct plan_host host = readings[i].host;

		memset(&plan, 0, sizeof(plan));
		if (host.skip) {
			status_set(&host.skipped, STATUS_FAILED,
			    readings[i].reason, "5.7.10", "no");
			plan.status = host.skipped;
		}
		plan.wish = readings[i].wish;
		plan.hosts = &host;
		plan.host_count = 1;
		arena = arena_new(PLAN_MEMORY_MAX);
		buf_init(&buf, PLAN_WIRE_MAX);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, &plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		if ((plan_get(&reader, arena) != NULL) != readings[i].good)
			fail_msg("host %zu", i);
		buf_release(&buf);
		arena_free(arena);
	}
}

/* What is to be done when nobody can be tried: mail is not lost by it, and
 * hosts that were left out never give it back. */
static void test_status(void **state)
{
	static const struct {
		size_t			 waiting;	/* hosts that wait */
		size_t			 failing;	/* by REQUIRETLS */
		enum status_outcome	 outcome;
		bool			 good;
	} cases[] = {
		{ 0, 0, STATUS_DELIVERED, false },
		{ 0, 0, STATUS_RELAYED, false },
		{ 0, 0, STATUS_DEFERRED, true },
		{ 0, 0, STATUS_FAILED, true },
		{ 1, 0, STATUS_DELIVERED, false },
		{ 1, 0, STATUS_DEFERRED, true },
		{ 1, 0, STATUS_FAILED, false },
		{ 0, 1, STATUS_DELIVERED, false },
		{ 0, 1, STATUS_DEFERRED, true },
		{ 0, 1, STATUS_FAILED, true },
		{ 0, 2, STATUS_FAILED, true },
		{ 1, 1, STATUS_FAILED, false },
		{ 1, 1, STATUS_DEFERRED, true },
	};
	static const char *const codes[] = { [STATUS_DELIVERED] = "2.0.0",
	    [STATUS_RELAYED] = "2.0.0", [STATUS_DEFERRED] = "4.7.5",
	    [STATUS_FAILED] = "5.7.5" };
	struct plan_host hosts[2];
	struct wire_writer writer;
	struct wire_reader reader;
	struct arena *arena;
	struct plan plan;
	struct buf buf;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&plan, 0, sizeof(plan));
		memset(hosts, 0, sizeof(hosts));
		plan.hosts = hosts;
		plan.host_count = cases[i].waiting + cases[i].failing;
		plan.wish = WISH_REQUIRETLS;
		for (j = 0; j < plan.host_count; j++) {
			hosts[j].skip = hosts[j].requiretls = true;
			if (j < cases[i].waiting)
				status_set(&hosts[j].skipped, STATUS_DEFERRED,
				    REASON_POLICY, "4.7.5", "no");
			else
				status_set(&hosts[j].skipped, STATUS_FAILED,
				    REASON_REQUIRETLS, "5.7.10", "no");
		}
		status_set(&plan.status, cases[i].outcome, REASON_NONE,
		    codes[cases[i].outcome], "no");
		arena = arena_new(PLAN_MEMORY_MAX);
		buf_init(&buf, PLAN_WIRE_MAX);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, &plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		if ((plan_get(&reader, arena) != NULL) != cases[i].good)
			fail_msg("status %zu", i);
		buf_release(&buf);
		arena_free(arena);
	}
}

/* More octets of records than any plan of ours has are not taken in. */
static void test_hoard(void **state)
{
	enum { EACH = PLAN_TLSA_BYTES_MAX / 2, COUNT = 3 };
	static uint8_t data[EACH];
	struct dane_record record = { 3, 0, 0, true, data, EACH };
	struct plan_host hosts[COUNT];
	struct plan plan = { .hosts = hosts };
	struct wire_writer writer;
	struct wire_reader reader;
	struct arena *arena;
	struct buf buf;
	size_t i;

	(void)state;
	memset(hosts, 0, sizeof(hosts));
	for (i = 0; i < COUNT; i++) {
		hosts[i] = (struct plan_host){ .requirement = REQUIRE_DANE,
		    .names = names, .name_count = 1, .tlsa = &record,
		    .tlsa_count = 1 };
		plan.host_count = i + 1;
		arena = arena_new(PLAN_MEMORY_MAX);
		buf_init(&buf, 1 << 20);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, &plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		assert_int_equal(plan_get(&reader, arena) != NULL, i < 2);
		buf_release(&buf);
		arena_free(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_hoard), cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
