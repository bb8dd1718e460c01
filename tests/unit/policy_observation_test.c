/* SPDX-License-Identifier: ISC */
/*
 * policy/observation.c: what is written reads back the same; every field
 * is hostile on the way in (RPT-66, TLS-65).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/wire.h"
#include "policy/observation.h"

static uint8_t bytes[OBSERVATION_WIRE_MAX];

static size_t encode(const struct observation *observation)
{
	struct wire_writer writer;
	struct buf buf;
	size_t length;

	buf_init(&buf, sizeof(bytes));
	wire_write_begin(&writer, &buf);
	observation_put(&writer, observation);
	assert_int_equal(0, wire_write_end(&writer));
	length = buf_length(&buf);
	memcpy(bytes, buf_data(&buf), length);
	buf_release(&buf);
	return length;
}

static int decode(size_t length, struct observation *observation)
{
	struct wire_reader reader;

	memset(observation, 0xee, sizeof(*observation));
	wire_read_begin(&reader, bytes, length);
	return observation_get(&reader, observation);
}

static struct observation example(void)
{
	struct observation observation = {
	    .domain = "d.example", .host = "mx.d.example",
	    .stage = OBSERVED_SECURED, .wish = WISH_OPTIONAL,
	    .requirement = REQUIRE_DANE, .source = SOURCE_DANE,
	    .ideal_source = SOURCE_STS, .expects_tls = true,
	    .tlsa_digest = UINT64_C(0x0123456789abcdef),
	    .tlsa_domain = "_25._tcp.mx.d.example",
	    .sts_digest = UINT64_MAX, .result = RESULT_TLSA_INVALID,
	    .reason = "no record matches", .symptom = "certificate",
	    .keywords = "PIPELINING SIZE STARTTLS", .reply = "454 later",
	    .version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384",
	    .web = WEB_INVALID, .chain_count = 2 };

	assert_int_equal(0, endpoint_parse(&observation.address,
	    "2001:db8::25", 25));
	memset(observation.chain[0], 0x5a, DIGEST_BYTES);
	memset(observation.chain[1], 0xc3, DIGEST_BYTES);
	return observation;
}

static void fill(char *text, size_t size)
{
	memset(text, 'x', size - 1);
	text[size - 1] = '\0';
}

/* All that there is room for. */
static struct observation largest(void)
{
	struct observation observation = example();

#define FILL(member) fill(observation.member, sizeof(observation.member))
	FILL(domain);
	FILL(host);
	FILL(tlsa_domain);
	FILL(reason);
	FILL(symptom);
	FILL(keywords);
	FILL(reply);
	FILL(version);
	FILL(cipher);
	observation.chain_count = OBSERVATION_CHAIN_MAX;
	return observation;
}

/* --- what is written --- */

static void expect_same(const struct observation *one,
    const struct observation *other)
{
	char one_text[64], other_text[64];

#define SAME_TEXT(member) assert_string_equal(one->member, other->member)
#define SAME(member) assert_true(one->member == other->member)
	SAME_TEXT(domain);
	SAME_TEXT(host);
	SAME(address.length);
	endpoint_format(&one->address, one_text, sizeof(one_text));
	endpoint_format(&other->address, other_text, sizeof(other_text));
	assert_string_equal(one_text, other_text);
	assert_int_equal(endpoint_port(&one->address),
	    endpoint_port(&other->address));
	SAME(stage);
	SAME(wish);
	SAME(requirement);
	SAME(source);
	SAME(ideal_source);
	SAME(expects_tls);
	SAME(tlsa_digest);
	SAME_TEXT(tlsa_domain);
	SAME(sts_digest);
	SAME(result);
	SAME_TEXT(reason);
	SAME_TEXT(symptom);
	SAME_TEXT(keywords);
	SAME_TEXT(reply);
	SAME_TEXT(version);
	SAME_TEXT(cipher);
	SAME(web);
	SAME(chain_count);
	assert_memory_equal(one->chain, other->chain,
	    one->chain_count * DIGEST_BYTES);
}

static void test_round_trip(void **state)
{
	struct observation cases[4] = { example(), example(), largest(),
	    { .domain = "d", .host = "h" } }, read;
	size_t i;

	(void)state;
	assert_int_equal(0, endpoint_parse(&cases[1].address, "192.0.2.1",
	    2525));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(0, decode(encode(&cases[i]), &read));
		expect_same(&cases[i], &read);
	}
	assert_int_equal(read.address.length, 0);
	assert_int_equal(read.address.address.any.sa_family, AF_UNSPEC);
}

/* Any word of an enum passes, and no other. */
static void test_enums(void **state)
{
	struct observation observation, read;
	unsigned i;

	(void)state;
#define EACH(member, limit) do {					\
	for (i = 0; i <= (limit); i++) {				\
		observation = example();				\
		observation.chain_count = 0;				\
		observation.member = i;					\
		assert_int_equal(decode(encode(&observation), &read),	\
		    i < (limit) ? 0 : -1);				\
		if (i < (limit))					\
			assert_int_equal(read.member, i);		\
	}								\
} while (0)
	EACH(stage, OBSERVED_STAGES);
	EACH(wish, WISHES);
	EACH(requirement, REQUIREMENTS);
	EACH(source, SOURCES);
	EACH(result, TLS_RESULTS);
	EACH(web, WEB_STATES);
	for (i = 0; i <= SOURCES; i++) {
		observation = example();
		observation.ideal_source = i;
		assert_int_equal(decode(encode(&observation), &read),
		    i == SOURCE_NONE || i == SOURCE_DANE || i == SOURCE_STS ?
		    0 : -1);
	}
}

/* Another kind of address is none. */
static void test_local_address(void **state)
{
	struct observation observation = example(), read;

	(void)state;
	memset(&observation.address, 0, sizeof(observation.address));
	observation.address.address.any.sa_family = AF_UNIX;
	observation.address.length = 20;
	assert_int_equal(0, decode(encode(&observation), &read));
	assert_int_equal(read.address.length, 0);
}

/* --- what is read --- */

static void test_cut(void **state)
{
	struct observation observation = example(), read;
	size_t length = encode(&observation), i;

	(void)state;
	for (i = 0; i < length; i++)
		assert_int_equal(-1, decode(i, &read));
	bytes[length] = 0;
	assert_int_equal(-1, decode(length + 1, &read));
	assert_int_equal(0, decode(length, &read));
}

static void expect_printable(const char *text, size_t size)
{
	size_t i;

	assert_non_null(memchr(text, '\0', size));
	for (i = 0; text[i] != '\0'; i++)
		assert_in_range((unsigned char)text[i], ' ', '~');
}

/* What is taken is sound in every member, and reads the same again. */
static void expect_sound(const struct observation *observation)
{
	struct observation again;

#define PRINTABLE(member) expect_printable(observation->member,		\
    sizeof(observation->member))
	PRINTABLE(domain);
	PRINTABLE(host);
	PRINTABLE(tlsa_domain);
	PRINTABLE(reason);
	PRINTABLE(symptom);
	PRINTABLE(keywords);
	PRINTABLE(reply);
	PRINTABLE(version);
	PRINTABLE(cipher);
	assert_true((unsigned)observation->stage < OBSERVED_STAGES);
	assert_true((unsigned)observation->wish < WISHES);
	assert_true((unsigned)observation->requirement < REQUIREMENTS);
	assert_true((unsigned)observation->source < SOURCES);
	assert_true((unsigned)observation->result < TLS_RESULTS);
	assert_true((unsigned)observation->web < WEB_STATES);
	assert_true(observation->chain_count <= OBSERVATION_CHAIN_MAX);
	assert_int_equal(0, decode(encode(observation), &again));
	expect_same(observation, &again);
}

static void test_changed_bytes(void **state)
{
	static const uint8_t values[] = { 0, 1, 4, 10, 0x1b, 0x7f, 0x80,
	    0xff };
	struct observation observation = example(), read;
	size_t length = encode(&observation), taken = 0, i, n;
	uint8_t good[sizeof(bytes)];

	(void)state;
	memcpy(good, bytes, sizeof(good));
	for (i = 0; i < length; i++) {
		for (n = 0; n < sizeof(values); n++) {
			memcpy(bytes, good, sizeof(bytes));
			bytes[i] = values[n];
			if (decode(length, &read) == -1)
				continue;
			taken++;
			expect_sound(&read);
		}
	}
	assert_in_range(taken, length, length * sizeof(values) - 200);
}

/* The byte behind the longest text is one too many; 0 is none of a text. */
static void test_texts(void **state)
{
	struct observation observation = example(), read;
	size_t length;

	(void)state;
	snprintf(observation.reply, sizeof(observation.reply), "%s",
	    "5\x1b[2J\r\n\t\x7f\xc3\xbc~");
	assert_int_equal(0, decode(encode(&observation), &read));
	assert_string_equal(read.reply, "5?[2J??????~");
	observation = example();
	length = encode(&observation);
	bytes[4] = 0;			/* the first of the domain */
	assert_int_equal(-1, decode(length, &read));
	fill(observation.domain, sizeof(observation.domain));
	length = encode(&observation);
	assert_int_equal(0, decode(length, &read));
	memmove(bytes + 5, bytes + 4, length - 4);
	bytes[2] = 1;			/* 256 bytes */
	bytes[3] = 0;
	assert_int_equal(-1, decode(length + 1, &read));
}

static void test_not_sound(void **state)
{
	struct observation observation = example(), read;
	size_t length;

	(void)state;
	observation.domain[0] = '\0';
	assert_int_equal(-1, decode(encode(&observation), &read));
	observation = example();
	observation.host[0] = '\0';
	assert_int_equal(-1, decode(encode(&observation), &read));
	observation = example();
	observation.stage = OBSERVED_SKIPPED;	/* with a chain */
	assert_int_equal(-1, decode(encode(&observation), &read));
	observation = example();
	observation.chain_count = 0;
	length = encode(&observation);
	bytes[length - 1] = OBSERVATION_CHAIN_MAX + 1;
	assert_int_equal(-1, decode(length, &read));
	bytes[length - 1] = 1;			/* with 31 bytes */
	memset(bytes + length, 0, 4 + DIGEST_BYTES);
	bytes[length + 3] = DIGEST_BYTES - 1;
	assert_int_equal(-1, decode(length + 4 + DIGEST_BYTES - 1, &read));
	bytes[length + 3] = DIGEST_BYTES;
	assert_int_equal(0, decode(length + 4 + DIGEST_BYTES, &read));
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(observed_stage_name(OBSERVED_SKIPPED), "skipped");
	assert_string_equal(observed_stage_name(OBSERVED_FAILED), "failed");
	assert_string_equal(observed_stage_name(OBSERVED_CLEAR), "clear");
	assert_string_equal(observed_stage_name(OBSERVED_SECURED), "secured");
	assert_string_equal(observed_stage_name(OBSERVED_STAGES), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_enums),
		cmocka_unit_test(test_local_address),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_not_sound),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
