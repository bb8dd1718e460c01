/* SPDX-License-Identifier: ISC */
/*
 * policy/srs.c: senders there and back, what is not believed, and the very
 * addresses that another implementation (postsrsd 1.10, Debian) made of the
 * same senders with the same secret on the same day.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"
#include "policy/srs.h"

#define DAY ((int64_t)86400000)

static const int64_t now = 1795399864710;

static struct srs *make(const char *secrets)
{
	char error[200] = "";
	struct srs *srs = srs_new("fwd.example", secrets, strlen(secrets),
	    error, sizeof(error));

	if (srs == NULL)
		fail_msg("%s", error);
	return srs;
}

static enum srs_error forward(const struct srs *srs, const char *sender,
    char *out, size_t size)
{
	struct address address, rewritten;
	enum srs_error error;

	assert_int_equal(address_parse(&address, sender), ADDRESS_OK);
	error = srs_forward(srs, &address, now, &rewritten);
	if (error == SRS_OK)
		address_format(&rewritten, out, size);
	return error;
}

static enum srs_error reverse(const struct srs *srs, const char *text,
    int64_t time, char *out, size_t size)
{
	struct address address, original;
	enum srs_error error;

	assert_int_equal(address_parse(&address, text), ADDRESS_OK);
	error = srs_reverse(srs, &address, time, &original);
	out[0] = '\0';
	if (error == SRS_OK)
		address_format(&original, out, size);
	return error;
}

static const struct {
	const char	*sender, *rewritten;
} vectors[] = {
	{ "joe@b.example",
	    "SRS0=0Xv7=JM=b.example=joe@fwd.example" },
	{ "Some.One@Sub.Example.ORG",
	    "SRS0=qE0x=JM=sub.example.org=Some.One@fwd.example" },
	{ "a+b=c@x.example",
	    "SRS0=tnmG=JM=x.example=a+b=c@fwd.example" },
	{ "SRS0=abcd=XY=first.example=me@second.example",
	    "SRS1=QZYF=second.example==abcd=XY=first.example=me@fwd.example" },
	{ "SRS0+abcd=XY=first.example=me@second.example",
	    "SRS1=qg7T=second.example=+abcd=XY=first.example=me@fwd.example" },
	{ "SRS1=Wxyz=first.example==abcd=XY=orig.example=me@third.example",
	    "SRS1=BxA+=first.example==abcd=XY=orig.example=me@fwd.example" },
	{ "o'neil_x@a-b.example",
	    "SRS0=kUBA=JM=a-b.example=o'neil_x@fwd.example" },
};

static void test_vectors(void **state)
{
	struct srs *srs = make("VERYsecret-of-tests\n");
	char text[ADDRESS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_int_equal(forward(srs, vectors[i].sender, text,
		    sizeof(text)), SRS_OK);
		assert_string_equal(text, vectors[i].rewritten);
	}
	srs_free(srs);
}

/* There and back; another's SRS0 address comes back as that. */
static void test_round(void **state)
{
	static const char *const senders[] = { "a@b.example",
	    "Some.Body+x=y@sub.example.org", "\"a b\"@b.example",
	    "SRS0=abcd=XY=first.example=me@second.example",
	    "srs0+abcd=XY=first.example=me@second.example" };
	struct srs *srs = make("# old and new\nnew secret\n\nold secret\n");
	struct srs *old = make("old secret");
	char text[ADDRESS_MAX + 1], back[ADDRESS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(forward(srs, senders[i], text, sizeof(text)),
		    SRS_OK);
		assert_int_equal(reverse(srs, text, now, back, sizeof(back)),
		    SRS_OK);
		if (i == 4)
			assert_string_equal(back + 4, senders[i] + 4);
		else
			assert_string_equal(back, senders[i]);
		/* Not made with the old secret ... */
		assert_int_equal(reverse(old, text, now, back, sizeof(back)),
		    SRS_FORGED);
		/* ... but what was, is still believed. */
		assert_int_equal(forward(old, senders[i], text, sizeof(text)),
		    SRS_OK);
		assert_int_equal(reverse(srs, text, now, back, sizeof(back)),
		    SRS_OK);
	}
	srs_free(srs);
	srs_free(old);
}

/* A host on the way may have changed the case of all of it. */
static void test_case(void **state)
{
	struct srs *srs = make("VERYsecret-of-tests");
	char text[ADDRESS_MAX + 1], back[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(forward(srs, "Joe@b.example", text, sizeof(text)),
	    SRS_OK);
	for (char *byte = text; *byte != '@'; byte++)
		if (*byte >= 'A' && *byte <= 'Z')
			*byte = (char)(*byte + 'a' - 'A');
	assert_int_equal(reverse(srs, text, now, back, sizeof(back)), SRS_OK);
	assert_string_equal(back, "joe@b.example");
	srs_free(srs);
}

static void test_days(void **state)
{
	struct srs *srs = make("VERYsecret-of-tests");
	char text[ADDRESS_MAX + 1], back[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(forward(srs, "a@b.example", text, sizeof(text)),
	    SRS_OK);
	assert_int_equal(reverse(srs, text, now + SRS_DAYS * DAY, back,
	    sizeof(back)), SRS_OK);
	assert_int_equal(reverse(srs, text, now + (SRS_DAYS + 1) * DAY, back,
	    sizeof(back)), SRS_EXPIRED);
	assert_int_equal(reverse(srs, text, now - DAY, back, sizeof(back)),
	    SRS_EXPIRED);
	/* The days go round; the stamp is no more than 1024 days wide. */
	assert_int_equal(reverse(srs, text, now + 1030 * DAY, back,
	    sizeof(back)), SRS_OK);
	srs_free(srs);
}

static void test_forged(void **state)
{
	struct srs *srs = make("VERYsecret-of-tests");
	char text[ADDRESS_MAX + 1], back[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(forward(srs, "a@b.example", text, sizeof(text)),
	    SRS_OK);
	for (size_t i = 5; text[i] != '@'; i++) {
		char kept = text[i];

		if (kept == '=' || kept == '.')
			continue;
		text[i] = kept == 'q' || kept == 'Q' ? 'r' : 'q';
		if (reverse(srs, text, now, back, sizeof(back)) == SRS_OK)
			fail_msg("%s", text);
		text[i] = kept;
	}
	assert_int_equal(reverse(srs, text, now, back, sizeof(back)), SRS_OK);
	srs_free(srs);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = { "SRS0=@fwd.example",
	    "SRS0=abcd@fwd.example", "SRS0=abcd=AA@fwd.example",
	    "SRS0=abcd=AA=b.example@fwd.example",
	    "SRS0=abcd=A=b.example=a@fwd.example",
	    "SRS0=abcd=A1=b.example=a@fwd.example",
	    "SRS1=abcd@fwd.example", "SRS1=abcd=b.example@fwd.example",
	    "SRS1=abcd=b.example=x@fwd.example", "alice@fwd.example" };
	struct srs *srs = make("VERYsecret-of-tests");
	char back[ADDRESS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(reverse(srs, bad[i], now, back,
		    sizeof(back)), SRS_MALFORMED);
	/* A hash of less than four characters proves nothing. */
	assert_int_equal(reverse(srs, "SRS0=a=AA=b.example=a@fwd.example", now,
	    back, sizeof(back)), SRS_FORGED);
	assert_false(srs_is_rewritten("srs"));
	assert_false(srs_is_rewritten("SRS0"));
	assert_false(srs_is_rewritten("SRS2=x"));
	assert_true(srs_is_rewritten("srs0-x"));
	srs_free(srs);
}

static void test_too_long(void **state)
{
	struct srs *srs = make("VERYsecret-of-tests");
	char text[ADDRESS_MAX + 1];

	(void)state;
	assert_int_equal(forward(srs, "bounces+12345-abcdefghijklmnopqrstuv"
	    "wxyz@mail.sender.example", text, sizeof(text)), SRS_TOO_LONG);
	srs_free(srs);
}

static void test_secrets(void **state)
{
	static const char *const bad[] = { "", "\n\n# nothing\n", "short\n",
	    "good secret\nbad\n" };
	char error[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = '\0';
		assert_null(srs_new("fwd.example", bad[i], strlen(bad[i]),
		    error, sizeof(error)));
		assert_true(error[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
