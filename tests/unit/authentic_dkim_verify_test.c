/* SPDX-License-Identifier: ISC */
/*
 * authentic/dkim_verify.c and dkim_claim.c: the messages of RFC 8463 A.3 and
 * RFC 6376 A.2 as they are printed, and signatures made here, each with one
 * thing that is special or wrong (AUTHN-18 to AUTHN-28).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/dkim_canonical.h"
#include "authentic/dkim_key.h"
#include "authentic/dkim_signature.h"
#include "authentic/fields.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tests/dkim_keys.h"
#include "tests/dkim_message.h"

#define NOW ((int64_t)1795400000)

/* RFC 8463 A.2, RFC 6376 C. */
static const struct dkim_message_key published[] = {
	{ "brisbane._domainkey.football.example.com", DKIM_KEY_FOUND,
	    "v=DKIM1; k=ed25519; "
	    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" },
	{ "test._domainkey.football.example.com", DKIM_KEY_FOUND,
	    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTz"
	    "WRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3"
	    "FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLz"
	    "BfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB" },
	{ "brisbane._domainkey.example.com", DKIM_KEY_FOUND,
	    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ"
	    "9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa"
	    "7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNB"
	    "cWToIMmPSPDdQPNUYckcQ2QIDAQAB" },
	{ NULL, DKIM_KEY_MISSING, NULL },
};

#define DINNER_HEADER \
	"From: Joe SixPack <joe@football.example.com>\r\n" \
	"To: Suzie Q <suzie@shopping.example.net>\r\n" \
	"Subject: Is dinner ready?\r\n" \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n" \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"

static const char rfc8463[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    DINNER_HEADER "\r\n"
    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

static const char rfc6376[] =
    "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
    "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
    "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
    "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
    "      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
    "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
    "      4bmp/YzhwvcubU4=;\r\n"
    "Received: from client1.football.example.com  [192.0.2.1]\r\n"
    "      by submitserver.example.com with SUBMISSION;\r\n"
    "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
    DINNER_HEADER "\r\n"
    "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n";

/* What is said of a text, which must not depend on the pieces. */
static void verify(const char *text, size_t length,
    const struct dkim_message_key *keys, struct buf *out)
{
	struct dkim_message message = { .text = text, .length = length,
	    .now = NOW * 1000, .keys = keys };
	struct buf parts;

	dkim_message_verify(&message, out);
	buf_init(&parts, 1 << 16);
	for (message.piece = 1; message.piece < 8; message.piece += 3) {
		buf_reset(&parts);
		dkim_message_verify(&message, &parts);
		assert_string_equal(buf_string(&parts), buf_string(out));
	}
	buf_release(&parts);
}

static void test_rfc(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	verify(rfc8463, strlen(rfc8463), published, &out);
	assert_string_equal(buf_string(&out),
	    "pass d=football.example.com i=@football.example.com s=brisbane "
	    "a=ed25519-sha256 b=/gCrinpc\n"
	    "pass d=football.example.com i=@football.example.com s=test "
	    "a=rsa-sha256 b=F45dVWDf\n");
	buf_reset(&out);
	verify(rfc6376, strlen(rfc6376), published, &out);
	assert_string_equal(buf_string(&out),
	    "pass d=example.com i=joe@football.example.com s=brisbane "
	    "a=rsa-sha256 b=AuUoFEfD\n");
	buf_release(&out);
}

/* Any byte of what is signed in simple form, and of the signature. */
static void test_rfc_changed(void **state)
{
	char *text = mem_dup_string(rfc6376);
	struct dkim_message message = { .text = text,
	    .length = strlen(rfc6376), .now = NOW * 1000, .keys = published };
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < message.length; i += 3) {
		char byte = text[i];

		text[i] = byte == 'z' ? 'y' : 'z';
		buf_reset(&out);
		dkim_message_verify(&message, &out);
		if (strncmp(buf_string(&out), "pass", 4) == 0)
			fail_msg("byte %zu", i);
		text[i] = byte;
	}
	buf_release(&out);
	mem_free(text);
}

/* --- signatures made here --- */

static struct dkim_keys *keys;
static char *rsa_p, *ed25519_p;		/* what is behind p= */

static char *make_p(const struct dkim_key *key)
{
	struct buf record;
	char *p;

	buf_init(&record, 4096);
	dkim_key_record(key, &record);
	p = mem_dup_string(strstr(buf_string(&record), "p=") + 2);
	buf_release(&record);
	return p;
}

static int set_up(void **state)
{
	char *errors = NULL;

	(void)state;
	keys = dkim_keys_read("keys", DKIM_TEST_FILE, &errors);
	assert_non_null(keys);
	rsa_p = make_p(&keys->items[0]);
	ed25519_p = make_p(&keys->items[1]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dkim_keys_free(keys);
	mem_free(rsa_p);
	mem_free(ed25519_p);
	return 0;
}

#define MESSAGE_HEADER "From: A  <a@example.org>\r\nSubject:  x\r\n"
#define MESSAGE_BODY "one  two \r\n\r\nthree\r\n\r\n"

/* The field of these tags, with what they say of canonicalisation and l=, over
 * h=From:Subject: "%B" is where bh= has its value; b= comes last. */
static void forge(const char *tags, struct buf *out)
{
	const char *c = strstr(tags, "c="), *l = strstr(tags, "l=");
	const char *mark = strstr(tags, "%B");
	enum dkim_canonical header = c != NULL &&
	    strncmp(c, "c=relaxed", 9) == 0 ? DKIM_RELAXED : DKIM_SIMPLE;
	unsigned limit = 0;
	char encoded[BASE64_LENGTH(DKIM_SIGNATURE_MAX) + 1];
	uint8_t digest[DIGEST_BYTES], signature[DKIM_SIGNATURE_MAX];
	const struct dkim_key *key = &keys->items[strstr(tags,
	    "a=ed25519") != NULL];
	struct dkim_body body;
	struct buf hashed;
	size_t start = buf_length(out);
	int length;

	buf_init(&hashed, 1 << 16);
	dkim_body_init(&body, c != NULL && strstr(c, "/relaxed") != NULL ?
	    DKIM_RELAXED : DKIM_SIMPLE, l != NULL &&
	    sscanf(l, "l=%u", &limit) == 1 ? limit : UINT64_MAX);
	dkim_body_feed(&body, MESSAGE_BODY, strlen(MESSAGE_BODY));
	dkim_body_end(&body, digest);
	base64_format(digest, sizeof(digest), encoded, sizeof(encoded));
	buf_add_string(out, "DKIM-Signature: ");
	if (mark != NULL) {
		buf_add(out, tags, (size_t)(mark - tags));
		buf_print(out, "%s%s", encoded, mark + 2);
	} else {
		buf_add_string(out, tags);
	}
	buf_add_string(out, " b=");
	dkim_canonical_field(header, MESSAGE_HEADER, 26, &hashed);
	buf_add_string(&hashed, "\r\n");
	dkim_canonical_field(header, MESSAGE_HEADER + 26,
	    strlen(MESSAGE_HEADER) - 26, &hashed);
	buf_add_string(&hashed, "\r\n");
	dkim_canonical_field(header, buf_data(out) + start,
	    buf_length(out) - start, &hashed);
	digest_of(buf_data(&hashed), buf_length(&hashed), digest);
	length = dkim_signature_make(key->algorithm, key->key, digest,
	    signature);
	assert_true(length > 0);
	base64_format(signature, (size_t)length, encoded, sizeof(encoded));
	buf_print(out, "%s\r\n", encoded);
	buf_release(&hashed);
}

/* A record in which "%R" and "%E" are the public keys. */
static char *make_record(const char *text)
{
	struct buf record;

	buf_init(&record, 1 << 16);
	for (; *text != '\0'; text++) {
		if (*text == '%' && text[1] == 'R')
			buf_add_string(&record, rsa_p);
		else if (*text == '%' && text[1] == 'E')
			buf_add_string(&record, ed25519_p);
		else
			buf_add_byte(&record, *text);
		text += *text == '%';
	}
	return buf_take(&record);
}

static void check(const char *tags, enum dkim_key_answer answer,
    const char *record, const char *expected)
{
	char *text = make_record(record), *more = mem_print("%s ", expected);
	struct dkim_message_key dns[] = {
		{ "s._domainkey.example.org", answer, text },
		{ "s._domainkey.xn--bcher-kva.example", answer, text },
		{ "a_b.c._domainkey.example.org", answer, text },
		{ NULL, DKIM_KEY_MISSING, NULL },
	};
	struct buf message, out;
	const char *proof;

	buf_init(&message, 1 << 16);
	buf_init(&out, 1 << 16);
	forge(tags, &message);
	buf_add_string(&message, MESSAGE_HEADER "\r\n" MESSAGE_BODY);
	verify(buf_data(&message), buf_length(&message), dns, &out);
	/* The proof, and words of the reason behind "|". */
	proof = buf_string(&out);
	if (strchr(expected, '|') != NULL) {
		size_t length = strcspn(expected, "|");

		if (strncmp(proof, expected, length) != 0 ||
		    strstr(proof, expected + length + 1) == NULL)
			fail_msg("%s: %s", tags, proof);
	} else if (strncmp(proof, more, strlen(more)) != 0) {
		fail_msg("%s: %s", tags, proof);
	}
	buf_release(&message);
	buf_release(&out);
	mem_free(more);
	mem_free(text);
}

#define ED "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=s; "
#define TAIL "h=From:Subject; bh=%B;"

static const struct {
	const char	*tags, *expected;
} claims[] = {
	/* AUTHN-18: all four pairs, and halves of them */
	{ ED TAIL, "pass" },
	{ "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s; " TAIL,
	    "permerror|another kind" },
	{ "v=1; a=ed25519-sha256; c=simple/relaxed; d=example.org; s=s; " TAIL,
	    "pass" },
	{ "v=1; a=ed25519-sha256; c=relaxed/simple; d=example.org; s=s; " TAIL,
	    "pass" },
	{ "v=1; a=ed25519-sha256; c=simple/simple; d=example.org; s=s; " TAIL,
	    "pass" },
	{ "v=1; a=ed25519-sha256; c=relaxed; d=example.org; s=s; " TAIL,
	    "pass" },
	{ "v=1; a=ed25519-sha256; d=example.org; s=s; " TAIL, "pass" },
	{ ED "h = From :\r\n\tsubject\r\n ; bh= %B ;", "pass" },
	/* AUTHN-19 */
	{ "a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=s; " TAIL,
	    "permerror|v= is missing" },
	{ "v=1; c=relaxed/relaxed; d=example.org; s=s; " TAIL,
	    "permerror|a= is missing" },
	{ "v=1; a=ed25519-sha256; s=s; " TAIL, "permerror|d= is missing" },
	{ "v=1; a=ed25519-sha256; d=example.org; " TAIL,
	    "permerror|s= is missing" },
	{ ED "h=From:Subject;", "permerror|bh= is missing" },
	{ ED "bh=%B;", "permerror|h= is missing" },
	{ ED "d=example.org; " TAIL, "permerror|a tag is there twice" },
	{ ED "b=; " TAIL, "permerror|a tag is there twice" },
	{ ED "z=x|y; new=\xc3\xa4; " TAIL, "pass" },
	{ ED ";" TAIL, "permerror|without name" },
	{ ED "new; " TAIL, "permerror|without name" },
	{ ED "new=\x01; " TAIL, "permerror|control" },
	{ ED "h=From:Subject; bh=AAAA;", "permerror|bh= is no SHA-256" },
	{ ED "h=From:Subject; bh=!;", "permerror|bh= is no SHA-256" },
	{ ED "h=From:Subject; "
	    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;",
	    "fail|body has been changed" },
	{ ED "c=relaxed/other; " TAIL, "permerror" },
	{ "v=1; a=ed25519-sha256; c=relaxed/; d=example.org; s=s; " TAIL,
	    "permerror|c= is unknown" },
	{ "v=1; a=ed25519-sha256; c=Relaxed; d=example.org; s=s; " TAIL,
	    "permerror|c= is unknown" },
	{ "v=1; a=ed25519-sha256; c=; d=example.org; s=s; " TAIL,
	    "permerror|c= is unknown" },
	{ ED "q=dns/txt; " TAIL, "pass" },
	{ ED "q=other:dns/txt; " TAIL, "pass" },
	{ ED "q=http; " TAIL, "permerror|q= has" },
	{ ED "q=; " TAIL, "permerror|q= has" },
	{ ED "h=From:Sub ject; bh=%B;", "permerror|no list of fields" },
	{ ED "h=From::Subject; bh=%B;", "permerror|no list of fields" },
	{ ED "h=; bh=%B;", "permerror|no list of fields" },
	/* RFC 6376 5.4, 5.4.2: more often than it is there, and its own name,
	 * which means others */
	{ ED "h=From:From:fROM:Subject:SUBJECT:Date; bh=%B;", "pass" },
	{ ED "h=DKIM-Signature:From:Subject:dkim-signature; bh=%B;", "pass" },
	/* AUTHN-20 */
	{ "v=2; a=ed25519-sha256; d=example.org; s=s; " TAIL,
	    "permerror|v= is not 1" },
	{ "v=1.0; a=ed25519-sha256; d=example.org; s=s; " TAIL,
	    "permerror|v= is not 1" },
	{ ED "h=Subject:Date; bh=%B;", "permerror|From is not signed" },
	{ ED "i=@example.org; " TAIL, "pass" },
	{ ED "i=me=40@Sub.Example.ORG; " TAIL, "pass d=example.org "
	    "i=me@@sub.example.org" },
	{ ED "i=m e@\r\n example.org; " TAIL, "pass d=example.org "
	    "i=me@example.org" },
	{ ED "i=@badexample.org; " TAIL, "permerror|not below d=" },
	{ ED "i=@org; " TAIL, "permerror|not below d=" },
	{ ED "i=example.org; " TAIL, "permerror|no identity" },
	{ ED "i=; " TAIL, "permerror|no identity" },
	{ ED "i==0D=0A@example.org; " TAIL, "permerror|no identity" },
	{ ED "i==4@example.org; " TAIL, "permerror|no identity" },
	{ ED "i==0a@example.org; " TAIL, "permerror|no identity" },
	/* AUTHN-11: U-labels and A-labels are the same domain */
	{ "v=1; a=ed25519-sha256; d=b\xc3\xbc" "cher.example; s=s; "
	    "i=@b\xc3\xbc" "cher.example; " TAIL,
	    "pass d=xn--bcher-kva.example i=@xn--bcher-kva.example" },
	{ "v=1; a=ed25519-sha256; d=xn--bcher-kva.example; s=s; "
	    "i=@b\xc3\xbc" "cher.example; " TAIL, "pass" },
	{ "v=1; a=ed25519-sha256; d=example..org; s=s; " TAIL,
	    "permerror|d= is no domain" },
	{ "v=1; a=ed25519-sha256; d=example.org.; s=s; " TAIL,
	    "permerror|d= is no domain" },
	{ "v=1; a=ed25519-sha256; d=; s=s; " TAIL,
	    "permerror|d= is no domain" },
	{ "v=1; a=ed25519-sha256; d=exa mple.org; s=s; " TAIL,
	    "permerror|d= is no domain" },
	{ "v=1; a=ed25519-sha256; d=example.org; s=a_b.c; " TAIL, "pass" },
	{ "v=1; a=ed25519-sha256; d=example.org; s=a..c; " TAIL,
	    "permerror|s= is no selector" },
	{ "v=1; a=ed25519-sha256; d=example.org; s=a.; " TAIL,
	    "permerror|s= is no selector" },
	{ "v=1; a=ed25519-sha256; d=example.org; s=a*; " TAIL,
	    "permerror|s= is no selector" },
	{ "v=1; a=ed25519-sha256; d=example.org; s="
	    "s123456789.123456789.123456789.123456789.123456789.123456789."
	    "s123456789.123456789.123456789.123456789.123456789.123456789."
	    "s123456789.123456789.123456789.123456789.123456789.123456789."
	    "s123456789.123456789.123456789.123456789.123456789.123456; " TAIL,
	    "permerror|too long" },
	/* AUTHN-22 */
	{ "v=1; a=rsa-sha1; d=example.org; s=s; " TAIL,
	    "permerror|rsa-sha1 counts no more" },
	{ "v=1; a=ed25519-sha1; d=example.org; s=s; " TAIL,
	    "permerror|a= is unknown" },
	{ "v=1; a=; d=example.org; s=s; " TAIL, "permerror|a= is unknown" },
	/* AUTHN-24: NOW is 1795400000 */
	{ ED "t=1795399999; x=1795500000; " TAIL, "pass" },
	{ ED "t=1795400600; " TAIL, "pass" },
	{ ED "t=1795401000; " TAIL, "fail|from the future" },
	{ ED "x=1795399500; " TAIL, "pass" },
	{ ED "x=1795399000; " TAIL, "fail|expired" },
	{ ED "t=1; x=1; " TAIL, "permerror|not after t=" },
	{ ED "t=2; x=1; " TAIL, "permerror|not after t=" },
	{ ED "t=; " TAIL, "permerror|t= is no time" },
	{ ED "t=-1; " TAIL, "permerror|t= is no time" },
	{ ED "x=never; " TAIL, "permerror|x= is no time" },
	{ ED "x=1000000000000; " TAIL, "permerror|x= is no time" },
	{ ED "x=999999999999; " TAIL, "pass" },
	/* l=: the relaxed body has 18 bytes */
	{ ED "l=18; " TAIL, "pass" },
	{ ED "l=17; " TAIL, "policy|goes on" },
	{ ED "l=0; " TAIL, "policy|goes on" },
	{ ED "l=19; " TAIL, "fail|shorter than l=" },
	{ ED "l=99999999999999999999999999999999; " TAIL,
	    "fail|shorter than l=" },
	{ ED "l=; " TAIL, "permerror|l= is no number" },
	{ ED "l=1x; " TAIL, "permerror|l= is no number" },
};

static void test_claims(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		check(claims[i].tags, DKIM_KEY_FOUND, "v=DKIM1; k=ed25519; "
		    "p=%E", claims[i].expected);
}

#define RSA "v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=s; "
#define SUB "i=@sub.example.org; "

static const struct {
	const char		*tags;
	enum dkim_key_answer	 answer;
	const char		*record, *expected;
} answers[] = {
	{ RSA TAIL, DKIM_KEY_FOUND, "p=%R", "pass" },
	{ RSA TAIL, DKIM_KEY_FOUND, "v=DKIM1; k=rsa; h=sha256; s=email; t=s;"
	    " n=x; p=%R;", "pass" },
	/* AUTHN-25 */
	{ RSA TAIL, DKIM_KEY_UNREACHABLE, "", "temperror|cannot be had" },
	{ RSA TAIL, DKIM_KEY_MISSING, "", "permerror|no such key" },
	{ RSA TAIL, DKIM_KEY_FOUND, "", "permerror|cannot be read" },
	/* AUTHN-20, AUTHN-21 */
	{ RSA TAIL, DKIM_KEY_FOUND, "h=sha1:sha256; s=other:email; t=x:s;"
	    " p=%R", "pass" },
	{ RSA TAIL, DKIM_KEY_FOUND, "h=sha1 : sha512; p=%R",
	    "permerror|not for sha256" },
	{ RSA SUB TAIL, DKIM_KEY_FOUND, "t=y:s; p=%R",
	    "permerror|not for domains below" },
	{ RSA SUB TAIL, DKIM_KEY_FOUND, "p=%R", "pass" },
	{ RSA SUB TAIL, DKIM_KEY_FOUND, "t=s; p=%R",
	    "permerror|not for domains below" },
	{ RSA TAIL, DKIM_KEY_FOUND, "k=ed25519; p=%E",
	    "permerror|another kind" },
	{ RSA TAIL, DKIM_KEY_FOUND, "p=", "permerror|revoked" },
	{ RSA TAIL, DKIM_KEY_FOUND, "s=other; p=%R",
	    "permerror|not for mail" },
	/* several records: the first that will do */
	{ RSA TAIL, DKIM_KEY_FOUND, "v=spf1 -all\nk=ed25519; p=%E\np=%R",
	    "pass" },
	{ RSA TAIL, DKIM_KEY_FOUND, "p=\nk=ed25519; p=%E",
	    "permerror|revoked" },
	{ ED TAIL, DKIM_KEY_FOUND, "p=%R\nk=ed25519; p=%E", "pass" },
	/* another key of the right kind */
	{ RSA TAIL, DKIM_KEY_FOUND, "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ"
	    "DkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/by"
	    "YzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvH"
	    "O9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
	    "fail|header has been changed" },
	{ ED TAIL, DKIM_KEY_FOUND, "k=ed25519; "
	    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	    "fail|header has been changed" },
	/* AUTHN-23 */
	{ ED TAIL, DKIM_KEY_FOUND, "k=ed25519; t=y; p=%E", "pass testing" },
	{ ED TAIL, DKIM_KEY_FOUND, "k=ed25519; t=y; "
	    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	    "neutral testing|header has been changed" },
};

static void test_answers(void **state)
{
	struct buf large;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		check(answers[i].tags, answers[i].answer, answers[i].record,
		    answers[i].expected);
	/* AUTHN-27 */
	buf_init(&large, 1 << 16);
	buf_add_string(&large, "n=");
	for (int i = 0; i < DKIM_KEY_RECORD_MAX; i++)
		buf_add_byte(&large, 'x');
	buf_add_string(&large, "; p=%R");
	check(RSA TAIL, DKIM_KEY_FOUND, buf_string(&large),
	    "permerror|too long");
	buf_release(&large);
}

/* AUTHN-27, AUTHN-28: one bad signature says nothing of the others, and only
 * the first eight count. */
static void test_many(void **state)
{
	struct buf text, out;
	char *key = make_record("k=ed25519; p=%E");
	struct dkim_message_key dns[] = {
		{ "s._domainkey.example.org", DKIM_KEY_FOUND, key },
		{ NULL, DKIM_KEY_MISSING, NULL } };
	const char *at;
	int lines = 0, passes = 0;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_init(&out, 1 << 16);
	for (int i = 0; i < 6; i++) {
		forge(ED TAIL, &text);
		buf_add_string(&text, i == 2 ? "DKIM-Signature: \r\n" :
		    i == 3 ? "DKIM-Signature: v=1; b=x\r\n" : "X-Y: z\r\n");
	}
	forge("v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=s; "
	    "l=4; " TAIL, &text);
	buf_add_string(&text, MESSAGE_HEADER "\r\n" MESSAGE_BODY);
	verify(buf_data(&text), buf_length(&text), dns, &out);
	for (at = buf_string(&out); *at != '\0'; at = strchr(at, '\n') + 1) {
		lines++;
		passes += strncmp(at, "pass ", 5) == 0;
	}
	assert_int_equal(lines, DKIM_SIGNATURES_MAX);
	assert_int_equal(passes, 6);
	/* none at all, and a header that is too large */
	buf_reset(&out);
	verify(MESSAGE_HEADER "\r\n", strlen(MESSAGE_HEADER) + 2, dns, &out);
	assert_int_equal(buf_length(&out), 0);
	buf_release(&text);
	buf_init(&text, 1 << 20);
	forge(ED TAIL, &text);
	for (int i = 0; i < FIELDS_MAX; i++)
		buf_add_string(&text, "X: y\r\n");
	buf_add_string(&text, MESSAGE_HEADER "\r\n" MESSAGE_BODY);
	verify(buf_data(&text), buf_length(&text), dns, &out);
	assert_int_equal(buf_length(&out), 0);
	buf_release(&text);
	buf_release(&out);
	mem_free(key);
}

/* A list of 501 names is not followed. */
static void test_many_names(void **state)
{
	struct buf tags;

	(void)state;
	buf_init(&tags, 1 << 16);
	for (int more = 0; more < 2; more++) {
		buf_reset(&tags);
		buf_add_string(&tags, ED "h=From:Subject");
		for (int i = 0; i < 498 + more; i++)
			buf_add_string(&tags, ":x");
		buf_add_string(&tags, "; bh=%B;");
		check(buf_string(&tags), DKIM_KEY_FOUND, "k=ed25519; p=%E",
		    more ? "permerror|too many fields" : "pass");
	}
	buf_release(&tags);
}

/* Answers that come twice, never, or too late change nothing. */
static void test_order(void **state)
{
	struct fields *fields = fields_new();
	struct dkim_verifier *verifier;
	const struct dkim_result *result;
	char *key = make_record("k=ed25519; p=%E");
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 16);
	forge(ED TAIL, &text);
	forge(ED "x=9; " TAIL, &text);
	forge(ED TAIL, &text);
	buf_add_string(&text, MESSAGE_HEADER "\r\n");
	fields_feed(fields, buf_data(&text), buf_length(&text));
	fields_finish(fields);
	verifier = dkim_verifier_new(fields, NOW * 1000);
	assert_int_equal(dkim_verifier_count(verifier), 3);
	assert_string_equal(dkim_verifier_query(verifier, 0),
	    "s._domainkey.example.org");
	/* expired: no key is needed */
	assert_null(dkim_verifier_query(verifier, 1));
	dkim_verifier_key(verifier, 1, DKIM_KEY_FOUND, key);
	dkim_verifier_key(verifier, 0, DKIM_KEY_FOUND, key);
	assert_null(dkim_verifier_query(verifier, 0));
	dkim_verifier_key(verifier, 0, DKIM_KEY_MISSING, "");
	dkim_verifier_body(verifier, MESSAGE_BODY, strlen(MESSAGE_BODY));
	dkim_verifier_finish(verifier);
	dkim_verifier_body(verifier, "more", 4);
	dkim_verifier_finish(verifier);
	assert_int_equal(dkim_verifier_result(verifier, 0)->proof, PROOF_PASS);
	assert_string_equal(dkim_verifier_result(verifier, 0)->reason, "");
	assert_int_equal(dkim_verifier_result(verifier, 1)->proof, PROOF_FAIL);
	result = dkim_verifier_result(verifier, 2);
	assert_int_equal(result->proof, PROOF_TEMPERROR);
	assert_string_equal(result->domain, "example.org");
	assert_string_equal(result->algorithm, "ed25519-sha256");
	assert_int_equal(strlen(result->signature), 8);
	dkim_verifier_free(verifier);
	/* given up before the end */
	verifier = dkim_verifier_new(fields, NOW * 1000);
	dkim_verifier_key(verifier, 0, DKIM_KEY_FOUND, key);
	dkim_verifier_free(verifier);
	dkim_verifier_free(NULL);
	fields_free(fields);
	buf_release(&text);
	mem_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc),
		cmocka_unit_test(test_rfc_changed),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
