/* SPDX-License-Identifier: ISC */
/*
 * The grammar of paths, mailboxes, domains and literals: SMTP-14 to SMTP-22.
 * Each row of a table is one input and everything that is expected of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) (literal), sizeof(literal) - 1

enum { BOTH = ADDRESS_ALLOW_NULL | ADDRESS_ALLOW_POSTMASTER,
    UTF8 = ADDRESS_ALLOW_UTF8 };

struct path_case {
	const char		*text;
	size_t			 length;
	int			 flags;
	enum address_error	 error;
	const char		*printed;	/* address_format() */
};

/* A copy without a byte behind it, so that the sanitizer sees a read too far. */
static enum address_error parse(struct address *address, const char *text,
    size_t length, int flags, size_t *used)
{
	char *copy = malloc(length > 0 ? length : 1);
	enum address_error error;

	assert_non_null(copy);
	memcpy(copy, text, length);
	error = address_parse_path(address, copy, length, flags, used);
	free(copy);
	return error;
}

/* A newline in the text is taken out: the path is expected to end there. */
static void check(const struct path_case *one)
{
	struct address address;
	char text[256], printed[ADDRESS_MAX + 1];
	size_t used = 99, length = one->length, end = one->length;
	const char *mark = memchr(one->text, '\n', length);
	enum address_error error;

	assert_true(length <= sizeof text);
	memcpy(text, one->text, length);
	if (mark != NULL && one->error == ADDRESS_OK) {
		end = (size_t)(mark - one->text);
		memcpy(text + end, mark + 1, --length - end);
	}
	error = parse(&address, text, length, one->flags, &used);
	if (error != one->error)
		fail_msg("%s: %s, not: %s", one->text,
		    address_error_text(error), address_error_text(one->error));
	if (error != ADDRESS_OK) {
		assert_int_equal(used, 0);
		assert_true(address_is_null(&address));
		return;
	}
	assert_int_equal(used, end);
	address_format(&address, printed, sizeof printed);
	assert_string_equal(printed, one->printed);
}

static const struct path_case paths[] = {
	/* SMTP-17: local parts */
	{ TEXT("<a@b.example>"), 0, ADDRESS_OK, "a@b.example" },
	{ TEXT("<a.b.c@b.example>"), 0, ADDRESS_OK, "a.b.c@b.example" },
	{ TEXT("<Mixed.Case@b.example>"), 0, ADDRESS_OK,
	    "Mixed.Case@b.example" },
	{ TEXT("<!#$%&'*+-/=?^_`{|}~@b.example>"), 0, ADDRESS_OK,
	    "!#$%&'*+-/=?^_`{|}~@b.example" },
	{ TEXT("<\"a\\b\"@b.example>"), 0, ADDRESS_OK, "ab@b.example" },
	{ TEXT("<\"a.b\"@b.example>"), 0, ADDRESS_OK, "a.b@b.example" },
	{ TEXT("<\"a b\"@b.example>"), 0, ADDRESS_OK, "\"a b\"@b.example" },
	{ TEXT("<\" \"@b.example>"), 0, ADDRESS_OK, "\" \"@b.example" },
	{ TEXT("<\".a\"@b.example>"), 0, ADDRESS_OK, "\".a\"@b.example" },
	{ TEXT("<\"a.\"@b.example>"), 0, ADDRESS_OK, "\"a.\"@b.example" },
	{ TEXT("<\"a..b\"@b.example>"), 0, ADDRESS_OK,
	    "\"a..b\"@b.example" },
	{ TEXT("<\"a@c\"@b.example>"), 0, ADDRESS_OK, "\"a@c\"@b.example" },
	{ TEXT("<\"a>c\"@b.example>"), 0, ADDRESS_OK, "\"a>c\"@b.example" },
	{ TEXT("<\"a\\\"c\"@b.example>"), 0, ADDRESS_OK,
	    "\"a\\\"c\"@b.example" },
	{ TEXT("<\"a\\\\c\"@b.example>"), 0, ADDRESS_OK,
	    "\"a\\\\c\"@b.example" },
	{ TEXT("<.a@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a.@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a..b@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a b@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a(c)@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a,c@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a:c@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a;c@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a\\c@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\\\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\"c@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<c\"a\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\".\"c\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\tc\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\\\rc\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\x7f\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<@b.example>"), 0, ADDRESS_SYNTAX, NULL },

	/* SMTP-14, SMTP-15: the brackets */
	{ TEXT("<>"), ADDRESS_ALLOW_NULL, ADDRESS_OK, "" },
	{ TEXT("<>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<>"), ADDRESS_ALLOW_POSTMASTER, ADDRESS_SYNTAX, NULL },
	{ TEXT("< >"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT(""), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT(">"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("a@b.example"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT(" <a@b.example>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@b.example"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("< a@b.example>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@b.example >"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@ b.example>"), BOTH, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a @b.example>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<<a@b.example>>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<A N Other <a@b.example>>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@b.example>\n SIZE=10"), 0, ADDRESS_OK, "a@b.example" },
	{ TEXT("<>\n> "), ADDRESS_ALLOW_NULL, ADDRESS_OK, "" },

	/* SMTP-16: source routes */
	{ TEXT("<@a.example:u@c.example>"), 0, ADDRESS_OK, "u@c.example" },
	{ TEXT("<@a.example,@b.example:u@c.example>"), 0, ADDRESS_OK,
	    "u@c.example" },
	{ TEXT("<@a,@b:\"u v\"@[192.0.2.1]>"), 0, ADDRESS_OK,
	    "\"u v\"@[192.0.2.1]" },
	{ TEXT("<@a.example:>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<@a.example>"), BOTH, ADDRESS_SYNTAX, NULL },
	{ TEXT("<@a.example,:u@c.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<@a.example,b.example:u@c.example>"), 0, ADDRESS_SYNTAX,
	    NULL },
	{ TEXT("<@a.example, @b.example:u@c.example>"), 0, ADDRESS_SYNTAX,
	    NULL },
	{ TEXT("<@a_b.example:u@c.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<@:u@c.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<@a.example:postmaster>"), BOTH, ADDRESS_NOT_QUALIFIED, NULL },

	/* SMTP-18: domains */
	{ TEXT("<a@B.EXAMPLE>"), 0, ADDRESS_OK, "a@b.example" },
	{ TEXT("<a@localhost>"), 0, ADDRESS_OK, "a@localhost" },
	{ TEXT("<a@xn--bcher-kva.example>"), 0, ADDRESS_OK,
	    "a@xn--bcher-kva.example" },
	{ TEXT("<a@1.2-3.4>"), 0, ADDRESS_OK, "a@1.2-3.4" },
	{ TEXT("<a@b_c.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@-b.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b-.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b.example->"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@.b.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b..example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b.example.>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@>"), BOTH, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@.>"), BOTH, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b/c.example>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b@c.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@b.example\r\nDATA>"), 0, ADDRESS_SYNTAX, NULL },

	/* SMTP-19: literals */
	{ TEXT("<a@[192.0.2.1]>"), 0, ADDRESS_OK, "a@[192.0.2.1]" },
	{ TEXT("<a@[0.0.0.0]>"), 0, ADDRESS_OK, "a@[0.0.0.0]" },
	{ TEXT("<a@[255.255.255.255]>"), 0, ADDRESS_OK,
	    "a@[255.255.255.255]" },
	{ TEXT("<a@[IPv6:2001:DB8::1]>"), 0, ADDRESS_OK,
	    "a@[ipv6:2001:db8::1]" },
	{ TEXT("<a@[ipv6:2001:db8:0:0:0:0:0:1]>"), 0, ADDRESS_OK,
	    "a@[ipv6:2001:db8::1]" },
	{ TEXT("<a@[IPv6:::]>"), 0, ADDRESS_OK, "a@[ipv6:::]" },
	{ TEXT("<a@[IPv6:::1]>"), 0, ADDRESS_OK, "a@[ipv6:::1]" },
	{ TEXT("<a@[IPv6:1::]>"), 0, ADDRESS_OK, "a@[ipv6:1::]" },
	{ TEXT("<a@[IPv6:1:2:3:4:5:6:7:8]>"), 0, ADDRESS_OK,
	    "a@[ipv6:1:2:3:4:5:6:7:8]" },
	{ TEXT("<a@[IPv6:1:2:3::4:5:6]>"), 0, ADDRESS_OK,
	    "a@[ipv6:1:2:3::4:5:6]" },
	{ TEXT("<a@[IPv6:1:2:3:4:5:6:192.0.2.1]>"), 0, ADDRESS_OK,
	    "a@[ipv6:1:2:3:4:5:6:c000:201]" },
	{ TEXT("<a@[IPv6:1:2::3:4:192.0.2.1]>"), 0, ADDRESS_OK,
	    "a@[ipv6:1:2::3:4:c000:201]" },
	{ TEXT("<a@[IPv6:::ffff:192.0.2.1]>"), 0, ADDRESS_OK,
	    "a@[ipv6:::ffff:192.0.2.1]" },
	{ TEXT("<a@[256.0.2.1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1.5]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	/* Read as octal by some and as decimal by others. */
	{ TEXT("<a@[192.0.2.010]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[ 192.0.2.1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1 ]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@["), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1]x>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1].example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@[2001:db8::1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:192.0.2.1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6 2001:db8::1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:2001:db8::1%1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:1::2::3]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:1:2:3:4:5:6:7]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:1:2:3:4:5:6:7::]>"), 0, ADDRESS_DOMAIN_SYNTAX,
	    NULL },
	{ TEXT("<a@[IPv6:::2:3:4:5:6:7:8]>"), 0, ADDRESS_DOMAIN_SYNTAX,
	    NULL },
	{ TEXT("<a@[IPv6:1:2:3:4::5:192.0.2.1]>"), 0, ADDRESS_DOMAIN_SYNTAX,
	    NULL },
	{ TEXT("<a@[IPv6:12345::1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[IPv6:g::1]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[x25:123]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },

	/* SMTP-20, SMTP-21: postmaster */
	{ TEXT("<Postmaster>"), ADDRESS_ALLOW_POSTMASTER, ADDRESS_OK,
	    "Postmaster" },
	{ TEXT("<POSTMASTER>"), BOTH, ADDRESS_OK, "POSTMASTER" },
	{ TEXT("<\"postmaster\">"), BOTH, ADDRESS_OK, "postmaster" },
	{ TEXT("<postmaster>"), 0, ADDRESS_NOT_QUALIFIED, NULL },
	{ TEXT("<postmaster>"), ADDRESS_ALLOW_NULL, ADDRESS_NOT_QUALIFIED,
	    NULL },
	{ TEXT("<postmasters>"), BOTH, ADDRESS_NOT_QUALIFIED, NULL },
	{ TEXT("<root>"), BOTH, ADDRESS_NOT_QUALIFIED, NULL },
	{ TEXT("<postmaster@b.example>"), 0, ADDRESS_OK,
	    "postmaster@b.example" },

	/* Bytes that are no characters of ours */
	{ TEXT("<j\xc3\xb6rg@b.example>"), 0, ADDRESS_NOT_ASCII, NULL },
	{ TEXT("<\"j\xc3\xb6rg\"@b.example>"), 0, ADDRESS_NOT_ASCII, NULL },
	{ TEXT("<\"j\\\xc3rg\"@b.example>"), 0, ADDRESS_NOT_ASCII, NULL },
	{ TEXT("<a@b\xc3\xbc.example>"), 0, ADDRESS_NOT_ASCII, NULL },
	{ TEXT("<a@[\xff]>"), 0, ADDRESS_NOT_ASCII, NULL },
	{ TEXT("<@b\xfc:a@b.example>"), 0, ADDRESS_NOT_ASCII, NULL },
	/* SMTP-138: RFC 6531 3.3; kept as they are, whatever the form */
	{ TEXT("<j\xc3\xb6rg@b.example>"), UTF8, ADDRESS_OK,
	    "j\xc3\xb6rg@b.example" },
	{ TEXT("<jo\xcc\x88rg@b.example>"), UTF8, ADDRESS_OK,
	    "jo\xcc\x88rg@b.example" },
	{ TEXT("<\xe7\x94\xa8\xe6\x88\xb7.x@b.example>"), UTF8, ADDRESS_OK,
	    "\xe7\x94\xa8\xe6\x88\xb7.x@b.example" },
	{ TEXT("<\xf0\x9f\x93\xac@b.example>"), UTF8, ADDRESS_OK,
	    "\xf0\x9f\x93\xac@b.example" },
	{ TEXT("<\"j\xc3\xb6rg\"@b.example>"), UTF8, ADDRESS_OK,
	    "j\xc3\xb6rg@b.example" },
	{ TEXT("<\"j\xc3\xb6 g\"@b.example>"), UTF8, ADDRESS_OK,
	    "\"j\xc3\xb6 g\"@b.example" },
	{ TEXT("<a@b.example>"), UTF8, ADDRESS_OK, "a@b.example" },
	/* SMTP-138: no surrogates, nothing overlong, nothing cut */
	{ TEXT("<j\xed\xa0\x80@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xc0\xaf@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xe0\x80\xaf@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xf4\x90\x80\x80@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xc3@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xb6@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xff@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"j\xc3\"@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"j\\\xc3\xb6\"@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xc2\x9b@b.example>"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xc3\xb6"), UTF8, ADDRESS_SYNTAX, NULL },
	{ TEXT("<j\xc3\xb6>"), UTF8, ADDRESS_NOT_QUALIFIED, NULL },
	/* SMTP-139: U-labels become A-labels */
	{ TEXT("<a@b\xc3\xbc.example>"), UTF8, ADDRESS_OK,
	    "a@xn--b-eha.example" },
	{ TEXT("<a@B\xc3\x9c.Example>"), UTF8, ADDRESS_OK,
	    "a@xn--b-eha.example" },
	{ TEXT("<j\xc3\xb6rg@b\xc3\xbc.example>"), UTF8, ADDRESS_OK,
	    "j\xc3\xb6rg@xn--b-eha.example" },
	{ TEXT("<@b\xc3\xbc.example:a@b.example>"), UTF8, ADDRESS_OK,
	    "a@b.example" },
	{ TEXT("<a@b\xc3.example>"), UTF8, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b\xc3\xbc_.example>"), UTF8, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@b\xc3\xbc.example.>"), UTF8, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@\xe2\x80\xae.example>"), UTF8, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[\xc3\xbc]>"), UTF8, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a b@c> \xff"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a\0b@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\0b\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<\"a\\\0b\"@b.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@b\0.example>"), 0, ADDRESS_SYNTAX, NULL },
	{ TEXT("<a@\0>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("<a@[192.0.2.1\0]>"), 0, ADDRESS_DOMAIN_SYNTAX, NULL },
	{ TEXT("\0<a@b.example>"), 0, ADDRESS_SYNTAX, NULL }
};

static void test_paths(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(paths); i++)
		check(&paths[i]);
}

/* Every beginning of a valid path is refused and read no further. */
static void test_cut_paths(void **state)
{
	static const char *const whole[] = {
		"<@a.example,@b.example:\"u\\ v\"@[IPv6:1:2::3:192.0.2.1]>",
		"<first.last@mail.example.org>"
	};
	size_t i, length, used;
	struct address address;

	(void)state;
	for (i = 0; i < COUNT(whole); i++) {
		for (length = 0; length < strlen(whole[i]); length++)
			assert_int_not_equal(parse(&address, whole[i], length,
			    BOTH, &used), ADDRESS_OK);
		assert_int_equal(parse(&address, whole[i], length, BOTH,
		    &used), ADDRESS_OK);
	}
}

static void fill(char *out, size_t length, char byte)
{
	memset(out, byte, length);
	out[length] = '\0';
}

/* SMTP-22: 64 and 255 are accepted, one more is not. */
static void test_limits(void **state)
{
	char local[200], path[1000], printed[ADDRESS_MAX + 1];
	char label[64], domain[300];
	struct address address;
	size_t used, i;

	(void)state;
	fill(local, 64, 'x');
	snprintf(path, sizeof path, "<%s@b.example>", local);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_OK);
	assert_int_equal(strlen(address.local), 64);
	snprintf(path, sizeof path, "<x%s@b.example>", local);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_LOCAL_TOO_LONG);
	snprintf(path, sizeof path, "<x.%s@b.example>", local + 1);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_LOCAL_TOO_LONG);

	/* RFC 6531 3.3: octets are counted */
	for (i = 0; i < 32; i++)
		memcpy(local + 2 * i, "\xc3\xb6", 2);
	snprintf(path, sizeof path, "<%.64s@b.example>", local);
	assert_int_equal(parse(&address, path, strlen(path), UTF8, &used),
	    ADDRESS_OK);
	snprintf(path, sizeof path, "<%.62sx\xc3\xb6@b.example>", local);
	assert_int_equal(parse(&address, path, strlen(path), UTF8, &used),
	    ADDRESS_LOCAL_TOO_LONG);

	/* 64 quotes, each of which needs a backslash. */
	for (i = 0; i < 64; i++)
		memcpy(local + 2 * i, "\\\"", 2);
	local[128] = '\0';
	fill(label, 63, 'd');
	snprintf(domain, sizeof domain, "%s.%s.%s.%s", label, label, label,
	    label);
	assert_int_equal(strlen(domain), 255);
	snprintf(path, sizeof path, "<\"%s\"@%s>", local, domain);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_OK);
	address_format(&address, printed, sizeof printed);
	assert_int_equal(strlen(printed), ADDRESS_MAX);
	assert_memory_equal(printed, path + 1, ADDRESS_MAX);
	snprintf(path, sizeof path, "<\"%sx\"@%s>", local, domain);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_LOCAL_TOO_LONG);

	snprintf(path, sizeof path, "<x@%s.a>", domain);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_DOMAIN_TOO_LONG);
	snprintf(path, sizeof path, "<@%s.a:x@b.example>", domain);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_DOMAIN_TOO_LONG);
	snprintf(path, sizeof path, "<x@d%s.example>", label);
	assert_int_equal(parse(&address, path, strlen(path), 0, &used),
	    ADDRESS_DOMAIN_SYNTAX);
}

static void test_bare(void **state)
{
	static const struct {
		const char		*text;
		enum address_error	 error;
	} cases[] = {
		{ "a@b.example", ADDRESS_OK }, { "\"a b\"@b", ADDRESS_OK },
		{ "a@[192.0.2.1]", ADDRESS_OK },
		{ "", ADDRESS_SYNTAX }, { "<a@b>", ADDRESS_SYNTAX },
		{ "a", ADDRESS_NOT_QUALIFIED },
		{ "postmaster", ADDRESS_NOT_QUALIFIED },
		{ "a@b c", ADDRESS_SYNTAX }, { "a@b>", ADDRESS_SYNTAX },
		{ "a@", ADDRESS_DOMAIN_SYNTAX }, { "@b", ADDRESS_SYNTAX },
		{ "@a:b@c", ADDRESS_SYNTAX }, { "a@b,c@d", ADDRESS_SYNTAX },
		{ "\xc3\xa4@b", ADDRESS_OK }, { "\xc3@b", ADDRESS_SYNTAX },
		{ "a@\xc3\xa4.b", ADDRESS_OK }
	};
	struct address address;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (address_parse(&address, cases[i].text) != cases[i].error)
			fail_msg("%s", cases[i].text);
}

static struct address make(const char *path)
{
	struct address address;
	size_t used;

	assert_int_equal(address_parse_path(&address, path, strlen(path), BOTH,
	    &used), ADDRESS_OK);
	return address;
}

/* SMTP-12, SMTP-17, SMTP-21: which addresses are the same. */
static void test_equal(void **state)
{
	static const struct {
		const char	*one, *other;
		bool		 equal;
	} cases[] = {
		{ "<a@b.example>", "<a@B.example>", true },
		{ "<a@b.example>", "<A@b.example>", false },
		{ "<\"a\\b\"@x.example>", "<ab@x.example>", true },
		{ "<PostMaster@b.example>", "<postmaster@b.example>", true },
		{ "<Postmaster>", "<postmaster>", true },
		{ "<postmaster>", "<postmaster@b.example>", false },
		{ "<>", "<>", true }, { "<>", "<postmaster>", false },
		{ "<a@[IPv6:::1]>", "<a@[ipv6:0:0::1]>", true },
		{ "<a@b.example>", "<a@c.example>", false }
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct address one = make(cases[i].one);
		struct address other = make(cases[i].other);

		assert_int_equal(address_equal(&one, &other), cases[i].equal);
		assert_int_equal(address_equal(&other, &one), cases[i].equal);
	}
	assert_true(address_is_postmaster(&(struct address){
	    .local = "POSTmaster", .domain = "b.example" }));
	assert_false(address_is_postmaster(&(struct address){ .local = "" }));
}

static void test_domain_parse(void **state)
{
	static const struct {
		const char	*text;
		const char	*out;	/* null: refused */
	} cases[] = {
		{ "Example.ORG", "example.org" },
		{ "example.org.", "example.org" }, { "org", "org" },
		{ "a", "a" }, { "1", "1" }, { "a-b.c--d", "a-b.c--d" },
		{ "", NULL }, { ".", NULL }, { "..", NULL },
		{ "a..", NULL }, { ".a", NULL }, { "a..b", NULL },
		{ "-a", NULL }, { "a-", NULL }, { "a.-b", NULL },
		{ "a-.b", NULL }, { "a_b", NULL }, { "a b", NULL },
		{ "*.a", NULL }, { "[192.0.2.1]", NULL }, { "a\xe4", NULL }
	};
	char out[ADDRESS_DOMAIN_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int result = domain_parse(out, sizeof out, cases[i].text,
		    strlen(cases[i].text));

		if (result != (cases[i].out != NULL ? 0 : -1))
			fail_msg("%s", cases[i].text);
		if (result == 0)
			assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(domain_parse(out, sizeof out, "a\0b", 3), -1);
	assert_int_equal(domain_parse(out, 3, "abc", 3), -1);
	assert_int_equal(domain_parse(out, 4, "abc", 3), 0);
}

static void test_domain_match(void **state)
{
	static const struct {
		const char	*domain, *pattern;
		bool		 matches;
	} cases[] = {
		{ "example.org", "example.org", true },
		{ "example.org", "Example.Org", true },
		{ "a.example.org", "example.org", false },
		{ "a.example.org", ".example.org", true },
		{ "a.example.org", "*.example.org", true },
		{ "a.b.example.org", "*.example.org", true },
		{ "a.b.example.org", ".org", true },
		{ "example.org", ".example.org", false },
		{ "example.org", "*.example.org", false },
		{ "badexample.org", ".example.org", false },
		{ "example.org", "*", true }, { "[192.0.2.1]", "*", true },
		{ "[192.0.2.1]", "[192.0.2.1]", true },
		{ "[192.0.2.1]", ".1]", false },
		{ "example.org", ".", false }, { "example.org", "", false },
		{ "example.org", "*example.org", false },
		{ "example.org", "org", false }
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (domain_match(cases[i].domain, cases[i].pattern) !=
		    cases[i].matches)
			fail_msg("%s %s", cases[i].domain, cases[i].pattern);
}

static void test_literals(void **state)
{
	(void)state;
	assert_true(domain_is_literal("[192.0.2.1]"));
	assert_true(domain_is_literal("[ipv6:::1]"));
	assert_false(domain_is_literal("192.0.2.1"));
	assert_false(domain_is_literal("[192.0.2.1"));
	assert_false(domain_is_literal("[]"));
	assert_false(domain_is_literal("["));
	assert_false(domain_is_literal(""));
	assert_false(domain_is_literal("[example.org]"));
}

static void test_error_texts(void **state)
{
	int error;

	(void)state;
	for (error = ADDRESS_OK; error <= ADDRESS_NOT_ASCII; error++)
		assert_true(strlen(address_error_text(error)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_cut_paths),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_bare),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_domain_parse),
		cmocka_unit_test(test_domain_match),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_error_texts)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
