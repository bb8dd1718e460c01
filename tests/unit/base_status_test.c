/* SPDX-License-Identifier: ISC */
/*
 * Outcomes made from replies and from our own words, and their way over the
 * wire: SMTP-35, SMTP-112 to SMTP-116.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_enhanced(const struct status *status, const char *expected)
{
	char text[16];

	status_format_enhanced(status, text, sizeof text);
	assert_string_equal(text, expected);
}

/* SMTP-113, SMTP-114: class by the reply code, digits as RFC 3463 has them. */
static void test_from_reply(void **state)
{
	static const struct {
		int			 code;
		const char		*reply;
		enum status_outcome	 outcome;
		enum status_reason	 reason;
		const char		*enhanced;
		const char		*text;
	} cases[] = {
		{ 250, "2.0.0 Ok: queued", STATUS_RELAYED, REASON_REPLY,
		    "2.0.0", "Ok: queued" },
		{ 250, "Ok", STATUS_RELAYED, REASON_REPLY, "2.0.0", "Ok" },
		{ 251, "2.1.5 will forward", STATUS_RELAYED, REASON_REPLY,
		    "2.1.5", "will forward" },
		{ 550, "5.1.1 no such user", STATUS_FAILED, REASON_REPLY,
		    "5.1.1", "no such user" },
		{ 450, "4.2.2", STATUS_DEFERRED, REASON_REPLY, "4.2.2", "" },
		{ 421, "", STATUS_DEFERRED, REASON_REPLY, "4.0.0", "" },
		{ 550, "4.1.1 mixed up", STATUS_FAILED, REASON_REPLY, "5.1.1",
		    "mixed up" },
		{ 450, "5.7.1 mixed up", STATUS_DEFERRED, REASON_REPLY,
		    "4.7.1", "mixed up" },
		{ 554, "5.7.999 x", STATUS_FAILED, REASON_REPLY, "5.7.999",
		    "x" },
		{ 554, "5.01.1 x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "5.01.1 x" },
		{ 554, "5.1.1000 x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "5.1.1000 x" },
		{ 554, "5.1.1.1 x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "5.1.1.1 x" },
		{ 554, "3.1.1 x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "3.1.1 x" },
		{ 554, "5.1 x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "5.1 x" },
		{ 554, "5.1. x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "5.1. x" },
		{ 554, "5.1.1x", STATUS_FAILED, REASON_REPLY, "5.0.0",
		    "5.1.1x" },
		{ 550, "5.7.1 first\n5.7.1 second\n5.7.1 third",
		    STATUS_FAILED, REASON_REPLY, "5.7.1",
		    "first second third" },
		{ 550, "5.7.1 first\r\n5.7.2 second\r\nthird\r\n",
		    STATUS_FAILED, REASON_REPLY, "5.7.1",
		    "first 5.7.2 second third" },
		{ 550, "first\n5.7.1 second", STATUS_FAILED, REASON_REPLY,
		    "5.0.0", "first 5.7.1 second" },
		{ 599, "odd", STATUS_FAILED, REASON_REPLY, "5.0.0", "odd" },
		{ 299, "odd", STATUS_RELAYED, REASON_REPLY, "2.0.0", "odd" },
		{ 354, "go ahead", STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0",
		    "go ahead" },
		{ 600, "5.1.1 odd", STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0",
		    "odd" },
		{ 199, "odd", STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0",
		    "odd" },
		{ 0, "odd", STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0", "odd" },
		{ -1, "odd", STATUS_DEFERRED, REASON_PROTOCOL, "4.5.0", "odd" },
		{ 550, "\t a \x01\x7f b\r\n", STATUS_FAILED, REASON_REPLY,
		    "5.0.0", "a b" }
	};
	struct status status;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		memset(&status, 0xaa, sizeof status);
		status_from_reply(&status, cases[i].code, cases[i].reply);
		assert_int_equal(status.outcome, cases[i].outcome);
		assert_int_equal(status.reason, cases[i].reason);
		assert_string_equal(status.text, cases[i].text);
		assert_int_equal(status.code,
		    cases[i].code > 0 ? cases[i].code : 0);
		check_enhanced(&status, cases[i].enhanced);
		assert_string_equal(status.host, "");
		assert_string_equal(status.tls, "");
	}
}

static void test_set(void **state)
{
	static const struct {
		enum status_outcome	 outcome;
		const char		*enhanced, *expected;
	} cases[] = {
		{ STATUS_FAILED, "5.1.1", "5.1.1" },
		{ STATUS_DEFERRED, "5.1.1", "4.1.1" },
		{ STATUS_DELIVERED, "4.2.0", "2.2.0" },
		{ STATUS_RELAYED, "2.0.0", "2.0.0" },
		{ STATUS_FAILED, NULL, "5.0.0" },
		{ STATUS_FAILED, "nonsense", "5.0.0" },
		{ STATUS_DEFERRED, "4.400.999", "4.400.999" }
	};
	struct status status;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		status_set(&status, cases[i].outcome, REASON_MAILBOX,
		    cases[i].enhanced, "some\ntext");
		check_enhanced(&status, cases[i].expected);
		assert_string_equal(status.text, "some text");
		assert_int_equal(status.reason, REASON_MAILBOX);
		assert_int_equal(status.code, 0);
	}
	status_print(&status, STATUS_DEFERRED, REASON_DNS, "4.4.3", "%s %d",
	    "a\r\nb", 7);
	assert_string_equal(status.text, "a b 7");
	check_enhanced(&status, "4.4.3");
}

static void test_long_text(void **state)
{
	char text[3 * STATUS_TEXT_MAX];
	struct status status;

	(void)state;
	memset(text, 'x', sizeof text);
	text[STATUS_TEXT_MAX - 1] = '\0';
	status_set(&status, STATUS_FAILED, REASON_LOCAL, "5.0.0", text);
	assert_true(strlen(status.text) >= STATUS_TEXT_MAX - 2);
	text[STATUS_TEXT_MAX - 1] = 'x';
	text[sizeof text - 1] = '\0';
	status_set(&status, STATUS_FAILED, REASON_LOCAL, "5.0.0", text);
	assert_int_equal(strlen(status.text), STATUS_TEXT_MAX - 1);
	assert_string_equal(status.text + STATUS_TEXT_MAX - 5, "x...");
	status_from_reply(&status, 550, text);
	assert_int_equal(strlen(status.text), STATUS_TEXT_MAX - 1);
	memset(text, ' ', sizeof text - 1);
	status_from_reply(&status, 550, text);
	assert_string_equal(status.text, "");
	status_set_host(&status, text, "192.0.2.1");
	memset(text, 'h', sizeof text - 1);
	status_set_host(&status, text, "192.0.2.1");
	assert_int_equal(strlen(status.host), STATUS_HOST_MAX - 1);
}

static void test_host(void **state)
{
	struct status status;

	(void)state;
	status_set(&status, STATUS_FAILED, REASON_LOCAL, "5.0.0", "");
	status_set_host(&status, "mx.example.net", "192.0.2.7");
	assert_string_equal(status.host, "mx.example.net[192.0.2.7]");
	status_set_host(&status, NULL, "192.0.2.7");
	assert_string_equal(status.host, "[192.0.2.7]");
	status_set_host(&status, "[192.0.2.7]", "192.0.2.7");
	assert_string_equal(status.host, "[192.0.2.7]");
	status_set_host(&status, "192.0.2.7", "192.0.2.7");
	assert_string_equal(status.host, "[192.0.2.7]");
	status_set_host(&status, "mx.example.net", NULL);
	assert_string_equal(status.host, "mx.example.net");
	status_set_host(&status, "", "");
	assert_string_equal(status.host, "");
	status_set_host(&status, "a\r\nb", "192.0.2.7");
	assert_string_equal(status.host, "a b[192.0.2.7]");
}

static void test_names(void **state)
{
	int i, j;

	(void)state;
	for (i = 0; i < STATUS_REASONS; i++) {
		assert_int_equal(status_reason_find(status_reason_name(i)), i);
		for (j = 0; j < i; j++)
			assert_string_not_equal(status_reason_name(i),
			    status_reason_name(j));
	}
	assert_int_equal(status_reason_find("no such reason"), -1);
	assert_int_equal(status_reason_find(""), -1);
	for (i = 0; i < STATUS_OUTCOMES; i++)
		assert_true(strlen(status_outcome_name(i)) > 5);
}

/* Rows have them; the names are said at the command line. */
static void test_reason_numbers(void **state)
{
	static const char *const names[] = { "none", "reply", "connect", "lost",
	    "timeout", "protocol", "dns", "dns-bogus", "no-host", "null-mx",
	    "loop", "no-starttls", "starttls-refused", "tls-handshake",
	    "certificate", "policy", "mailbox", "local", "expired", "operator",
	    "media", "dane-mismatch", "sts-mx", "sts-cert", "requiretls",
	    "login", "paused" };

	(void)state;
	assert_int_equal(STATUS_REASONS, COUNT(names));
	for (int i = 0; i < STATUS_REASONS; i++)
		assert_string_equal(status_reason_name(i), names[i]);
}

/* What a word means, as names; and which of them are about TLS. */
static void test_reason_sets(void **state)
{
	static const struct {
		const char	*word;
		const char	*reasons;
	} cases[] = {
		{ "reply", " reply" },
		{ "none", " none" },
		{ "requiretls", " requiretls" },
		{ "broken-tls", " starttls-refused tls-handshake" },
		{ "temporary-dns", " dns dns-bogus" },
		{ "tls", " dns-bogus no-starttls starttls-refused "
		    "tls-handshake certificate policy dane-mismatch sts-mx "
		    "sts-cert requiretls" },
		{ "", "" }, { "TLS", "" }, { "tls ", "" }, { "dane", "" }
	};
	struct status status;
	uint64_t about = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t set = status_reason_set(cases[i].word);
		char text[512] = "";

		for (int j = 0; j < STATUS_REASONS; j++) {
			if ((set >> j & 1) == 0)
				continue;
			strncat(text, " ", sizeof text - strlen(text) - 1);
			strncat(text, status_reason_name(j),
			    sizeof text - strlen(text) - 1);
		}
		assert_string_equal(text, cases[i].reasons);
		assert_int_equal(set >> STATUS_REASONS, 0);
	}
	for (int j = 0; j < STATUS_REASONS; j++) {
		status_set(&status, STATUS_DEFERRED, j, "4.7.5", "x");
		about |= (uint64_t)status_is_about_tls(&status) << j;
	}
	assert_int_equal(about, status_reason_set("tls") &
	    ~status_reason_set("dns-bogus") & ~status_reason_set("policy"));
}

static size_t encode(const struct status *status, uint8_t *out, size_t size)
{
	struct wire_writer writer;
	struct buf buf;
	size_t length;

	buf_init(&buf, 4096);
	wire_write_begin(&writer, &buf);
	status_put(&writer, status);
	assert_int_equal(wire_write_end(&writer), 0);
	length = buf_length(&buf);
	assert_true(length <= size);
	memcpy(out, buf_data(&buf), length);
	buf_release(&buf);
	return length;
}

static int decode(const uint8_t *bytes, size_t length, struct status *status)
{
	struct wire_reader reader;

	wire_read_begin(&reader, bytes, length);
	status_get(&reader, status);
	return wire_read_end(&reader);
}

static void test_wire(void **state)
{
	struct status before, after;
	uint8_t bytes[2048];
	size_t length, cut;
	unsigned i;

	(void)state;
	memset(&before, 0, sizeof before);
	length = encode(&before, bytes, sizeof bytes);
	assert_int_equal(decode(bytes, length, &after), 0);
	assert_memory_equal(&before, &after, sizeof before);

	status_from_reply(&before, 550, "5.7.1 no, r\xc3\xa9" "ally");
	status_set_host(&before, "mx.example.net", "2001:db8::7");
	strncpy(before.tls, "TLSv1.3", sizeof before.tls);
	before.notifies = true;
	length = encode(&before, bytes, sizeof bytes);
	assert_int_equal(decode(bytes, length, &after), 0);
	assert_int_equal(after.outcome, STATUS_FAILED);
	assert_int_equal(after.reason, REASON_REPLY);
	assert_int_equal(after.code, 550);
	check_enhanced(&after, "5.7.1");
	assert_string_equal(after.text, before.text);
	assert_string_equal(after.host, "mx.example.net[2001:db8::7]");
	assert_string_equal(after.tls, "TLSv1.3");
	assert_true(after.notifies);

	/* Cut anywhere, it is bad and never reads as success. */
	for (cut = 0; cut < length; cut++) {
		assert_int_equal(decode(bytes, cut, &after), -1);
		assert_int_equal(after.outcome, STATUS_DEFERRED);
	}
	/* outcome, reason, class, a subject of 1,000, a null byte in the text */
	for (i = 0; i < 5; i++) {
		static const unsigned offsets[] = { 0, 1, 4, 5, 14 };
		static const uint8_t values[] = { STATUS_OUTCOMES,
		    STATUS_REASONS, 4, 4, 0 };
		uint8_t was = bytes[offsets[i]];

		bytes[offsets[i]] = values[i];
		if (i == 3)
			bytes[6] = 1000 & 255;
		assert_int_equal(decode(bytes, length, &after), -1);
		assert_int_equal(after.outcome, STATUS_DEFERRED);
		bytes[offsets[i]] = was;
		if (i == 3)
			bytes[6] = 7;
	}
	assert_int_equal(decode(bytes, length, &after), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_reply), cmocka_unit_test(test_set),
		cmocka_unit_test(test_long_text), cmocka_unit_test(test_host),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_reason_numbers),
		cmocka_unit_test(test_reason_sets), cmocka_unit_test(test_wire)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
