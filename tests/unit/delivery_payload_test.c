/* SPDX-License-Identifier: ISC */
/*
 * delivery/payload.c: whatever is stored, what leaves is CRLF lines with
 * doubled dots and one end (SMTP-2, SMTP-3, SMTP-6, SMTP-59); cut anywhere,
 * it is the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"
#include "base/mem.h"
#include "delivery/payload.h"

static const struct payload_case {
	const char	*stored;
	const char	*wire;
} cases[] = {
	{ "", ".\r\n" },
	{ "a", "a\r\n.\r\n" },
	{ "a\r\n", "a\r\n.\r\n" },
	{ "a\n", "a\r\n.\r\n" },
	{ "a\r", "a\r\n.\r\n" },
	{ ".", "..\r\n.\r\n" },
	{ ".\r\n", "..\r\n.\r\n" },
	{ "..\r\n", "...\r\n.\r\n" },
	{ "a.b\r\n", "a.b\r\n.\r\n" },
	{ "\r\n.\r\n", "\r\n..\r\n.\r\n" },
	/* every mixture that some server took for the end: SMTP-2 */
	{ "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r\n.\nb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r\n.\rb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r.\r\nb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\n.\rb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n" },
	{ "a\n\r.\r\n", "a\r\n\r\n..\r\n.\r\n" },
	{ "a\r\n.\r\nMAIL FROM:<x@y>\r\n",
	    "a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n" },
};

static void encode(const char *stored, size_t length, size_t cut,
    struct buf *out)
{
	struct payload_encoder encoder;

	payload_encode_begin(&encoder, false);
	payload_encode(&encoder, stored, cut, out);
	payload_encode(&encoder, stored + cut, length - cut, out);
	payload_encode_end(&encoder, out);
}

static void table(void **state)
{
	struct buf out;
	size_t i, cut, length;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		length = strlen(cases[i].stored);
		for (cut = 0; cut <= length; cut++) {
			encode(cases[i].stored, length, cut, &out);
			assert_string_equal(buf_string(&out), cases[i].wire);
			buf_reset(&out);
		}
	}
	buf_release(&out);
}

/* What a strict receiver makes of it: lines by CRLF only, one dot taken off. */
static void check_wire(const char *wire, size_t length)
{
	size_t i;

	assert_true(length >= 3);
	assert_memory_equal(wire + length - 3, ".\r\n", 3);
	for (i = 0; i < length; i++) {
		if (wire[i] == '\r')
			assert_true(i + 1 < length && wire[i + 1] == '\n');
		if (wire[i] == '\n')
			assert_true(i > 0 && wire[i - 1] == '\r');
		/* a lone dot is only at the end */
		if (wire[i] == '.' && (i == 0 || wire[i - 1] == '\n') &&
		    i + 2 < length && wire[i + 1] == '\r')
			assert_int_equal(i, length - 3);
	}
}

/* Random mixtures of the bytes that matter, in random pieces. */
static void random_bodies(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a', '\0' };
	char stored[64];
	struct buf out;
	int round;
	size_t i;

	(void)state;
	buf_init(&out, 4096);
	for (round = 0; round < 20000; round++) {
		size_t length = random_below(sizeof(stored));

		for (i = 0; i < length; i++)
			stored[i] = alphabet[random_below(sizeof(alphabet))];
		encode(stored, length, random_below((uint32_t)length + 1),
		    &out);
		assert_true(buf_length(&out) <= 2 * length + 5);
		check_wire(buf_data(&out), buf_length(&out));
		buf_reset(&out);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(random_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
