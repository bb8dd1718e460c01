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

enum { PACKET_MAX = 32768 };

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

	if (++maker->data[7 + 2 * section] == 0)
		maker->data[6 + 2 * section]++;
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
	size_t at = record(maker, 0, owner, DNS_CNAME, ttl);

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
		at = record(&maker, 1, "example", DNS_SOA, 900);
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

/* One bad record among good ones: what else may have been lost? */
static void test_malformed_beside_good(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "a.example", DNS_A, 0);
	add_address(&maker, NULL, DNS_A, 4);
	add_address(&maker, NULL, DNS_A, 5);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	assert_int_equal(answer.count, 0);
	assert_null(answer.addresses);
	arena_free(arena);
}

/* DANE-58, DANE-16: where the chain ends is told, whatever is there. */
static void test_alias(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "a.example", DNS_A, 0);
	add_cname(&maker, NULL, "B.example", 30);
	add_cname(&maker, "b.example", "c.example", 600);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_NODATA);
	assert_string_equal(answer.alias, "c.example");
	add_address(&maker, "c.example", DNS_A, 4);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_string_equal(answer.alias, "c.example");
	begin(&maker, "a.example", DNS_MX, 3);
	add_cname(&maker, NULL, "", 30);
	answer = read_packet(&maker, "a.example", DNS_MX, arena);
	assert_int_equal(answer.result, FACT_NXDOMAIN);
	assert_string_equal(answer.alias, ".");
	begin(&maker, "a.example", DNS_A, 0);
	add_address(&maker, NULL, DNS_A, 4);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_string_equal(answer.alias, "");
	arena_free(arena);
}

/* DANE-17: the question about the alias itself is not followed. */
static void test_alias_itself(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "a.example", DNS_CNAME, 0);
	add_cname(&maker, NULL, "b.example", 30);
	add_cname(&maker, "b.example", "c.example", 600);
	answer = read_packet(&maker, "a.example", DNS_CNAME, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.names[0], "b.example");
	assert_string_equal(answer.alias, "b.example");
	assert_int_equal(answer.ttl, 30);
	arena_free(arena);
}

/* DANE-18: a chain that is too long is an error, never "nothing there". */
static void test_long_chain(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	char owner[32], target[32];
	int links, i;

	(void)state;
	for (links = DNS_CHAIN_MAX - 1; links <= DNS_CHAIN_MAX; links++) {
		begin(&maker, "h0.example", DNS_TLSA, 0);
		for (i = 0; i < links; i++) {
			snprintf(owner, sizeof(owner), "h%d.example", i);
			snprintf(target, sizeof(target), "h%d.example", i + 1);
			add_cname(&maker, owner, target, 60);
		}
		answer = read_packet(&maker, "h0.example", DNS_TLSA, arena);
		assert_int_equal(answer.result, links < DNS_CHAIN_MAX ?
		    FACT_NODATA : FACT_ERROR);
	}
	arena_free(arena);
}

/* The end of a chain that cannot be written as text is an error: cut, it would
 * be another name, with TLSA records of its own or none (DANE-51). */
static void test_long_end(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	char target[128];

	(void)state;
	memset(target, 1, sizeof(target) - 1);
	target[63] = '.';
	target[sizeof(target) - 1] = '\0';
	begin(&maker, "a.example", DNS_A, 0);
	add_cname(&maker, NULL, target, 30);
	answer = read_packet(&maker, "a.example", DNS_A, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	assert_string_equal(answer.alias, "");
	arena_free(arena);
}

/* A record of any length is a record, down to none at all (DANE-61, DANE-73):
 * whoever drops it makes "secure but unusable" into "nothing published". */
static void test_tlsa(void **state)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 35, 200 };
	enum { COUNT = sizeof(lengths) / sizeof(lengths[0]) };
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	size_t i, j, at;

	(void)state;
	begin(&maker, "_25._tcp.a.example", DNS_TLSA, 0);
	add_cname(&maker, NULL, "tlsa.b.example", 40);
	for (i = 0; i < COUNT; i++) {
		at = record(&maker, 0, "tlsa.b.example", DNS_TLSA, 300);
		for (j = 0; j < lengths[i]; j++)
			put(&maker, j < 3 ? 3 - (unsigned)j : 0xab, 1);
		end_record(&maker, at);
	}
	answer = read_packet(&maker, "_25._tcp.a.example", DNS_TLSA, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_int_equal(answer.count, COUNT);
	assert_int_equal(answer.ttl, 40);
	assert_string_equal(answer.alias, "tlsa.b.example");
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(answer.tlsa[i].whole, lengths[i] >= 3);
		if (lengths[i] < 3)
			continue;
		assert_int_equal(answer.tlsa[i].usage, 3);
		assert_int_equal(answer.tlsa[i].selector, 2);
		assert_int_equal(answer.tlsa[i].matching, 1);
		assert_int_equal(answer.tlsa[i].length, lengths[i] - 3);
	}
	assert_int_equal(answer.tlsa[4].data[31], 0xab);
	arena_free(arena);
}

/* STS-7: strings are joined with nothing between; any bytes, and their exact
 * number. */
static void test_txt(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;
	size_t at;

	(void)state;
	begin(&maker, "_mta-sts.a.example", DNS_TXT, 0);
	at = record(&maker, 0, NULL, DNS_TXT, 300);
	put(&maker, 3, 1);
	put(&maker, 'v' << 16 | '=' << 8 | 'S', 3);
	put(&maker, 0, 1);
	put(&maker, 2, 1);
	put(&maker, 'T' << 8, 2);	/* a nul inside */
	end_record(&maker, at);
	at = record(&maker, 0, NULL, DNS_TXT, 300);
	put(&maker, 0, 1);
	end_record(&maker, at);
	answer = read_packet(&maker, "_mta-sts.a.example", DNS_TXT, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_int_equal(answer.count, 2);
	assert_int_equal(answer.text_lengths[0], 5);
	assert_memory_equal(answer.texts[0], "v=ST\0", 6);
	assert_int_equal(answer.text_lengths[1], 0);
	/* A string that is longer than its record; a record without one. */
	begin(&maker, "a.example", DNS_TXT, 0);
	at = record(&maker, 0, NULL, DNS_TXT, 300);
	put(&maker, 3, 1);
	put(&maker, 'v', 1);
	end_record(&maker, at);
	answer = read_packet(&maker, "a.example", DNS_TXT, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	begin(&maker, "a.example", DNS_TXT, 0);
	end_record(&maker, record(&maker, 0, NULL, DNS_TXT, 300));
	answer = read_packet(&maker, "a.example", DNS_TXT, arena);
	assert_int_equal(answer.result, FACT_ERROR);
	arena_free(arena);
}

/* As many as are taken, and one more: never a part of the set. */
static void test_too_many(void **state)
{
	static const enum dns_type types[] = { DNS_A, DNS_MX, DNS_TLSA,
	    DNS_TXT };
	struct arena *arena = arena_new(8 << 20);
	struct dns_answer answer;
	struct maker maker;
	size_t at, t;
	int count, i;

	(void)state;
	for (t = 0; t < 4; t++)
		for (count = DNS_RECORDS_MAX; count <= DNS_RECORDS_MAX + 1;
		    count++) {
			begin(&maker, "a.example", types[t], 0);
			for (i = 0; i < count; i++) {
				at = record(&maker, 0, NULL, types[t], 60);
				put(&maker, types[t] == DNS_TXT ? 3 << 24 : 0,
				    4);
				end_record(&maker, at);
			}
			answer = read_packet(&maker, "a.example", types[t],
			    arena);
			assert_int_equal(answer.result, count ==
			    DNS_RECORDS_MAX ? FACT_DATA : FACT_ERROR);
			assert_int_equal(answer.count, count ==
			    DNS_RECORDS_MAX ? count : 0);
		}
	arena_free(arena);
}

/* The root's own records, for the probe. */
static void test_root(void **state)
{
	struct arena *arena = setup_arena();
	struct dns_answer answer;
	struct maker maker;

	(void)state;
	begin(&maker, "", DNS_DNSKEY, 0);
	end_record(&maker, record(&maker, 0, "", DNS_DNSKEY, 60));
	end_record(&maker, record(&maker, 0, "", DNS_DNSKEY, 60));
	answer = read_packet(&maker, ".", DNS_DNSKEY, arena);
	assert_int_equal(answer.result, FACT_DATA);
	assert_int_equal(answer.count, 2);
	arena_free(arena);
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
		cmocka_unit_test(test_malformed_beside_good),
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_alias_itself),
		cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_long_end),
		cmocka_unit_test(test_tlsa), cmocka_unit_test(test_txt),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_root),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
