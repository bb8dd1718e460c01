/* SPDX-License-Identifier: ISC */
/*
 * policy/dns.c on packets made by hand: what counts, what is an error, and
 * that no cut or changed byte makes it read outside the packet.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "policy/dns.h"

enum { PACKET_MAX = 4096, TYPE_CNAME = 5, TYPE_SOA = 6 };

/* A packet under construction. */
struct maker {
	uint8_t	 data[PACKET_MAX];
	size_t	 length;
};

static void put(struct maker *maker, unsigned value, unsigned bytes)
{
	while (bytes-- > 0)
		maker->data[maker->length++] = (uint8_t)(value >> 8 * bytes);
}

static void put_name(struct maker *maker, const char *name)
{
	const char *dot;
	size_t length;

	while (*name != '\0') {
		dot = strchrnul(name, '.');
		length = (size_t)(dot - name);
		put(maker, (unsigned)length, 1);
		memcpy(maker->data + maker->length, name, length);
		maker->length += length;
		name = *dot == '.' ? dot + 1 : dot;
	}
	put(maker, 0, 1);
}

static void begin(struct maker *maker, const char *name, unsigned type,
    unsigned rcode)
{
	memset(maker, 0, sizeof(*maker));
	put(maker, 0x1234, 2);
	put(maker, 0x8180 | rcode, 2);
	put(maker, 1, 2);
	put(maker, 0, 2);	/* answers: counted by record() */
	put(maker, 0, 2);
	put(maker, 0, 2);
	put_name(maker, name);
	put(maker, type, 2);
	put(maker, 1, 2);
}

/* section: 0 answer, 1 authority. The data follow; end_record() fixes the
 * length. Returns where the length stands. */
static size_t record(struct maker *maker, unsigned section, const char *owner,
    unsigned type, unsigned ttl)
{
	size_t at;

	maker->data[7 + 2 * section]++;
	if (owner == NULL)
		put(maker, 0xc00c, 2);	/* the question's name */
	else
		put_name(maker, owner);
	put(maker, type, 2);
	put(maker, 1, 2);
	put(maker, ttl, 4);
	at = maker->length;
	put(maker, 0, 2);
	return at;
}

static void end_record(struct maker *maker, size_t at)
{
	size_t length = maker->length - at - 2;

	maker->data[at] = (uint8_t)(length >> 8);
	maker->data[at + 1] = (uint8_t)length;
}

static void add_mx(struct maker *maker, const char *owner,
    unsigned preference, const char *host)
{
	size_t at = record(maker, 0, owner, DNS_MX, 300);

	put(maker, preference, 2);
	put_name(maker, host);
	end_record(maker, at);
}

static void add_cname(struct maker *maker, const char *owner,
    const char *target, unsigned ttl)
{
	size_t at = record(maker, 0, owner, TYPE_CNAME, ttl);

	put_name(maker, target);
	end_record(maker, at);
}

static void add_address(struct maker *maker, const char *owner, unsigned type,
    unsigned bytes)
{
	size_t at = record(maker, 0, owner, type, 60);

	while (bytes-- > 0)
		put(maker, 192, 1);
	end_record(maker, at);
}

static struct dns_answer read_packet(const struct maker *maker,
    const char *name, enum dns_type type, struct arena *arena)
{
	struct dns_answer answer;
	/* exactly as long as the packet, so that the sanitizer sees its end */
	uint8_t *copy = mem_dup(maker->data, maker->length);

	dns_read(copy, maker->length, name, type, arena, &answer);
	mem_free(copy);
	return answer;
}

static struct arena *setup_arena(void)
{
	return arena_new(1 << 20);
}

static void test_mx(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "example.org", DNS_MX, 0);
	add_mx(&maker, NULL, 20, "MX2.Example.org");
	add_mx(&maker, "other.example", 5, "evil.example");
	add_mx(&maker, "EXAMPLE.ORG", 10, "mx1.example.org");
	answer = read_packet(&maker, "example.org", DNS_MX, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_int_equal(answer.count, 2);	/* not the stranger's */
	assert_int_equal(answer.mx[0].preference, 20);
	assert_string_equal(answer.mx[0].host, "mx2.example.org");
	assert_string_equal(answer.mx[1].host, "mx1.example.org");
	assert_int_equal(answer.ttl, 300);
	arena_free(arena);
}

static void test_null_mx(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "example.org", DNS_MX, 0);
	add_mx(&maker, NULL, 0, "");
	answer = read_packet(&maker, "example.org", DNS_MX, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_string_equal(answer.mx[0].host, "");
	arena_free(arena);
}

static void test_chain(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "a.example", DNS_A, 0);
	add_cname(&maker, NULL, "b.example", 30);
	add_cname(&maker, "b.example", "c.example", 600);
	add_address(&maker, "c.example", DNS_A, 4);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.ttl, 30);
	arena_free(arena);
}

static void test_circle(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "a.example", DNS_A, 0);
	add_cname(&maker, NULL, "b.example", 30);
	add_cname(&maker, "b.example", "a.example", 30);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	arena_free(arena);
}

/* RFC 2308: how long "no" holds is the SOA's business. */
static void test_absent(void **state)
{
	static const struct { unsigned rcode; enum fact_result result; }
	cases[] = { { 0, FACT_NODATA }, { 3, FACT_NXDOMAIN },
	    { 2, FACT_ERROR }, { 5, FACT_ERROR }, { 1, FACT_ERROR } };
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&maker, "a.example", DNS_A, cases[i].rcode);
		at = record(&maker, 1, "example", TYPE_SOA, 900);
		put_name(&maker, "ns.example");
		put_name(&maker, "root.example");
		put(&maker, 1, 4);
		put(&maker, 2, 4);
		put(&maker, 3, 4);
		put(&maker, 4, 4);
		put(&maker, 120, 4);
		end_record(&maker, at);
		answer = read_packet(&maker, "a.example", DNS_A, arena);
		assert_int_equal(answer.result, cases[i].result);
		if (answer.result != FACT_ERROR)
			assert_int_equal(answer.ttl, 120);
	}
	arena_free(arena);
}

/* SMTP-169: a record that cannot be used is not an absent one. */
static void test_malformed_record(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "a.example", DNS_A, 0);
	add_address(&maker, NULL, DNS_A, 5);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	begin(&maker, "a.example", DNS_MX, 0);
	end_record(&maker, record(&maker, 0, NULL, DNS_MX, 60));
	answer = read_packet(&maker, "a.example", DNS_MX, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	arena_free(arena);
}

/* Bytes that are not of host names come out escaped, never raw. */
static void test_strange_name(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	size_t at;

	(void)state;
	begin(&maker, "1.in-addr.arpa", DNS_PTR, 0);
	at = record(&maker, 0, NULL, DNS_PTR, 60);
	put(&maker, 3, 1);
	put(&maker, 'a' << 16 | '\n' << 8 | '.', 3);
	put(&maker, 0, 1);
	end_record(&maker, at);
	answer = read_packet(&maker, "1.in-addr.arpa", DNS_PTR, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_string_equal(answer.names[0], "a\\010\\046");
	arena_free(arena);
}

static void test_pointer_loop(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	size_t at;

	(void)state;
	begin(&maker, "a.example", DNS_MX, 0);
	at = record(&maker, 0, NULL, DNS_MX, 60);
	put(&maker, 10, 2);
	put(&maker, 0xc000 | (unsigned)maker.length, 2);	/* to itself */
	end_record(&maker, at);
	answer = read_packet(&maker, "a.example", DNS_MX, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	arena_free(arena);
}

/* Every cut and every changed byte: an answer or an error, never a crash. */
static void test_damage(void **state)
{
	struct maker maker, cut;
	struct arena *arena;
	size_t i;
	int value;

	(void)state;
	begin(&maker, "a.example", DNS_MX, 0);
	add_cname(&maker, NULL, "b.example", 30);
	add_mx(&maker, "b.example", 10, "mx.b.example");
	add_mx(&maker, "b.example", 20, "mx2.b.example");
	for (i = 0; i < maker.length; i++) {
		cut = maker;
		cut.length = i;
		arena = setup_arena();
		assert_int_equal(read_packet(&cut, "a.example", DNS_MX,
		    arena).result, FACT_ERROR);
		arena_free(arena);
		for (value = 0; value < 256; value += 5) {
			cut = maker;
			cut.data[i] = (uint8_t)value;
			arena = setup_arena();
			assert_in_range(read_packet(&cut, "a.example", DNS_MX,
			    arena).result, FACT_DATA, FACT_ERROR);
			arena_free(arena);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_null_mx),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_circle),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_malformed_record),
		cmocka_unit_test(test_strange_name),
		cmocka_unit_test(test_pointer_loop),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
