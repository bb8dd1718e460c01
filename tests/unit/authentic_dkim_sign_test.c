/* SPDX-License-Identifier: ISC */
/*
 * authentic/dkim_sign.c: what is listed and hashed (AUTHN-1 to AUTHN-10), that
 * it verifies, and that each change to it is noticed. Called with arguments it
 * is a program for tests/system/test_dkim_vectors.py:
 *
 *	sign KEYS DOMAIN MESSAGE	prints the fields
 *	verify MESSAGE [NAME RECORD]...	prints a line for each signature
 *	records KEYS			prints "NAME RECORD" for each key
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_sign.h"
#include "authentic/fields.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tests/dkim_keys.h"
#include "tests/dkim_message.h"

#define NOW ((int64_t)1795400000000)

static struct dkim_keys *keys;
static struct dkim_message_key records[DKIM_SIGNATURES_MAX + 1];

/* What the DNS would have for keys. */
static void publish(void)
{
	for (size_t i = 0; i < keys->count && i < DKIM_SIGNATURES_MAX; i++) {
		const struct dkim_key *key = &keys->items[i];
		struct buf record;

		buf_init(&record, 4096);
		dkim_key_record(key, &record);
		records[i].name = mem_print("%s._domainkey.%s", key->selector,
		    key->domain);
		records[i].answer = DKIM_KEY_FOUND;
		records[i].record = buf_take(&record);
	}
}

static int set_up(void **state)
{
	char *errors = NULL;

	(void)state;
	keys = dkim_keys_read("keys", DKIM_TEST_FILE, &errors);
	assert_null(errors);
	publish();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; records[i].name != NULL; i++) {
		char *name = (char *)(uintptr_t)records[i].name;
		char *record = (char *)(uintptr_t)records[i].record;

		mem_free(name);
		mem_free(record);
		records[i].name = NULL;
	}
	dkim_keys_free(keys);
	return 0;
}

/* Fields, extra and message as one text; -1 as the signer has it. */
static int sign_text(const char *text, const char *extra, size_t piece,
    struct buf *out)
{
	struct dkim_message message = { .text = text, .length = strlen(text),
	    .piece = piece, .now = NOW };

	if (dkim_message_sign(&message, keys, "example.org", extra, out) == -1)
		return -1;
	buf_add_string(out, extra != NULL ? extra : "");
	buf_add_string(out, text);
	return 0;
}

/* How many signatures pass, of two. */
static int count_passes(const char *text, size_t length)
{
	struct dkim_message message = { .text = text, .length = length,
	    .now = NOW, .keys = records };
	struct buf out;
	const char *line;
	int count = 0;

	buf_init(&out, 1 << 16);
	dkim_message_verify(&message, &out);
	for (line = buf_string(&out); line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		count += strncmp(line, "pass ", 5) == 0;
	}
	buf_release(&out);
	return count;
}

static const char plain[] = "From: a@example.org\r\nSubject: s\r\n\r\nHello\r\n";

/* The names of h= as they are written, of the first signature. */
static void read_names(const char *text, char *out)
{
	const char *at = strstr(text, " h=");

	assert_non_null(at);
	for (at += 3; *at != ';'; at++)
		if (*at != ' ' && *at != '\r' && *at != '\n')
			*out++ = *at;
	*out = '\0';
}

/* AUTHN-3 to AUTHN-6. */
static const struct {
	const char	*header, *extra, *names;
} chosen[] = {
	{ "From: a\r\n", NULL,
	    "From:From:To:Cc:Subject:Date:Content-Type:TLS-Required" },
	/* repeated fields each once, and once more where it is oversigned */
	{ "Received: x\r\nReturn-Path: x\r\nFROM: a\r\nFrom: b\r\nCc: c\r\n"
	    "Reply-To: d\r\nReply-To: e\r\nX-Other: f\r\nKeywords: g\r\n",
	    NULL, "From:From:From:Reply-To:Reply-To:To:Cc:Cc:Subject:Date:"
	    "Content-Type:TLS-Required" },
	/* one that is there signs no other one of our own */
	{ "DKIM-Signature: v=1\r\nFrom: a\r\nAuthentication-Results: x\r\n",
	    NULL, "From:From:To:Cc:Subject:Date:Content-Type:TLS-Required" },
	{ "Subject: s\r\n", "Date: d\r\nMessage-ID: m\r\nFrom: x\r\n",
	    "From:From:To:Cc:Subject:Subject:Date:Date:Message-ID:"
	    "Content-Type:TLS-Required" },
	/* what stands above comes last */
	{ "From: a\r\nSubject: s\r\n", "From: b\r\nSubject: t\r\n",
	    "From:From:From:To:Cc:Subject:Subject:Subject:Date:Content-Type:"
	    "TLS-Required" },
	{ "From: a\r\nIn-Reply-To: i\r\nReferences: r\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: t\r\nContent-Transfer-Encoding: 8bit\r\n"
	    "List-Id: l\r\nList-Unsubscribe: u\r\n"
	    "List-Unsubscribe-Post: p\r\nTLS-Required: No\r\n", NULL,
	    "From:From:To:Cc:Subject:Date:In-Reply-To:References:"
	    "MIME-Version:Content-Type:Content-Type:"
	    "Content-Transfer-Encoding:List-Id:List-Unsubscribe:"
	    "List-Unsubscribe-Post:TLS-Required:TLS-Required" },
	/* a report (RFC 8460 5.3) */
	{ "From: a\r\nTLS-Report-Domain: d\r\nTLS-Report-Submitter: s\r\n",
	    NULL, "From:From:To:Cc:Subject:Date:Content-Type:TLS-Required:"
	    "TLS-Report-Domain:TLS-Report-Domain:TLS-Report-Submitter:"
	    "TLS-Report-Submitter" },
};

static void test_chosen(void **state)
{
	char names[2048];
	struct buf text, out;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++) {
		buf_reset(&text);
		buf_reset(&out);
		buf_print(&text, "%s\r\nbody\r\n", chosen[i].header);
		assert_int_equal(sign_text(buf_string(&text), chosen[i].extra,
		    0, &out), 0);
		read_names(buf_string(&out), names);
		assert_string_equal(names, chosen[i].names);
		assert_int_equal(count_passes(buf_data(&out),
		    buf_length(&out)), 2);
	}
	buf_release(&text);
	buf_release(&out);
}

/* AUTHN-1, AUTHN-2, AUTHN-9, AUTHN-10: what the fields say. */
static void test_tags(void **state)
{
	struct buf out;
	const char *text, *second;

	(void)state;
	buf_init(&out, 1 << 16);
	assert_int_equal(sign_text(plain, NULL, 0, &out), 0);
	text = buf_string(&out);
	assert_int_equal(strncmp(text, "DKIM-Signature: v=1; a=rsa-sha256; "
	    "c=relaxed/relaxed; d=example.org; s=r1;\r\n t=1795400000;\r\n",
	    90), 0);
	second = strstr(text + 1, "DKIM-Signature:");
	assert_non_null(second);
	assert_int_equal(strncmp(second, "DKIM-Signature: v=1; "
	    "a=ed25519-sha256; c=relaxed/relaxed; d=example.org;\r\n s=e1; "
	    "t=1795400000;\r\n", 90), 0);
	assert_null(strstr(text, "l="));
	assert_null(strstr(text, "x="));
	buf_release(&out);
}

/* AUTHN-7: the same whatever the pieces. */
static void test_pieces(void **state)
{
	static const char text[] = "From: a\r\nTo:  b\r\n\tc\r\n\r\n"
	    "one \t two \r\n\r\n\tthree\r\n \r\n.dot\r\n\r\n\r\n";
	struct buf whole, parts;

	(void)state;
	buf_init(&whole, 1 << 16);
	buf_init(&parts, 1 << 16);
	assert_int_equal(sign_text(text, NULL, 0, &whole), 0);
	for (size_t piece = 1; piece < 30; piece++) {
		buf_reset(&parts);
		assert_int_equal(sign_text(text, NULL, piece, &parts), 0);
		assert_string_equal(buf_string(&parts), buf_string(&whole));
	}
	assert_int_equal(count_passes(buf_data(&whole), buf_length(&whole)),
	    2);
	buf_release(&whole);
	buf_release(&parts);
}

/* What is added or changed on the way, and whether both still hold. */
static const struct {
	const char	*from, *to;
	int		 passes;
} changes[] = {
	{ "From: a@", "From:  \t a@", 2 },
	{ "Subject: s\r\n", "SUBJECT : s \r\n", 2 },
	{ "Hello there", "Hello  there \t", 2 },
	{ "bye\r\n", "bye\r\n\r\n\r\n", 2 },
	{ "From: a", "Received: x\r\nX-Spam: y\r\nFrom: a", 2 },
	/* AUTHN-5: no second one can be slipped in, above or below */
	{ "From: a@", "From: c@example.org\r\nFrom: a@", 0 },
	{ "\r\n\r\nHello", "\r\nFrom: c@example.org\r\n\r\nHello", 0 },
	{ "From: a@", "Subject: t\r\nFrom: a@", 0 },
	{ "From: a@", "To: t\r\nFrom: a@", 0 },
	{ "From: a@", "Cc: t\r\nFrom: a@", 0 },
	{ "From: a@", "Date: t\r\nFrom: a@", 0 },
	{ "From: a@", "Content-Type: text/html\r\nFrom: a@", 0 },
	{ "From: a@", "TLS-Required: No\r\nFrom: a@", 0 },
	{ "Subject: s\r\n", "", 0 },
	{ "Subject: s\r\n", "Subject: S\r\n", 0 },
	{ "Hello there", "Hellothere", 0 },
	{ "bye\r\n", "bye\r\nmore\r\n", 0 },
	{ "t=1795400000;", "t=1795400001;", 1 },
	{ "s=r1;", "s=e1;", 1 },
	{ "; a=rsa", ";  a=rsa", 2 },
	{ "; a=rsa", ";a=rsa", 1 },
	{ " v=1;", "  v=1;", 2 },
};

static void test_changes(void **state)
{
	struct buf out, changed;

	(void)state;
	buf_init(&out, 1 << 16);
	buf_init(&changed, 1 << 16);
	assert_int_equal(sign_text("From: a@example.org\r\nSubject: s\r\n\r\n"
	    "Hello there\r\nbye\r\n", NULL, 0, &out), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const char *place = strstr(buf_string(&out), changes[i].from);

		assert_non_null(place);
		buf_reset(&changed);
		buf_add(&changed, buf_data(&out),
		    (size_t)(place - buf_data(&out)));
		buf_add_string(&changed, changes[i].to);
		buf_add_string(&changed, place + strlen(changes[i].from));
		if (count_passes(buf_data(&changed), buf_length(&changed)) !=
		    changes[i].passes)
			fail_msg("\"%s\"", changes[i].to);
	}
	buf_release(&out);
	buf_release(&changed);
}

/* Any single byte: nothing that is signed may differ unnoticed. */
static void test_bytes(void **state)
{
	static const char text[] = "From: a@example.org\r\n\r\nx y\r\n";
	struct buf out;
	char *changed;

	(void)state;
	buf_init(&out, 1 << 16);
	assert_int_equal(sign_text(text, NULL, 0, &out), 0);
	changed = buf_take(&out);
	for (size_t i = strlen(changed) - strlen(text); changed[i] != '\0';
	    i++) {
		char byte = changed[i];

		changed[i] = byte == 'q' ? 'Q' : 'q';
		assert_int_equal(count_passes(changed, strlen(changed)), 0);
		changed[i] = byte;
	}
	assert_int_equal(count_passes(changed, strlen(changed)), 2);
	mem_free(changed);
}

/* Lines of the fields: under 78 columns but for what cannot be broken. Of many
 * fields of all names there is room for as many as are signed. */
static void test_folds(void **state)
{
	static const char *const names[] = { "From", "Sender", "Reply-To",
	    "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
	    "References", "MIME-Version", "Content-Type",
	    "Content-Transfer-Encoding", "Content-Disposition",
	    "Content-Description", "Content-ID", "Content-Language",
	    "Resent-Date", "Resent-From", "Resent-Sender", "Resent-To",
	    "Resent-Cc", "Resent-Message-ID", "List-Id", "List-Help",
	    "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe",
	    "List-Post", "List-Owner", "List-Archive", "Auto-Submitted",
	    "Feedback-ID", "TLS-Required", "TLS-Report-Domain",
	    "TLS-Report-Submitter" };
	struct buf text, out;
	char *fields, *line;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < 10 * sizeof(names) / sizeof(names[0]); i++)
		buf_print(&text, "%s: %zu\r\n", names[i / 10], i);
	buf_add_string(&text, "\r\nbody");
	assert_int_equal(sign_text(buf_string(&text), NULL, 0, &out), 0);
	assert_int_equal(count_passes(buf_data(&out), buf_length(&out)), 2);
	buf_truncate(&out, buf_length(&out) - buf_length(&text));
	fields = buf_take(&out);
	for (line = fields; *line != '\0';) {
		size_t length = strcspn(line, "\r");

		assert_true(length < 78);
		assert_true(line[0] == ' ' || line[0] == 'D');
		assert_int_equal(strncmp(line + length, "\r\n", 2), 0);
		line += length + 2;
	}
	mem_free(fields);
	buf_release(&text);
	buf_release(&out);
}

/* A domain of 250 bytes makes a longer line, never one over 998. */
static void test_long_domain(void **state)
{
	char label[64], *text, *errors = NULL;
	struct dkim_keys *file;
	struct dkim_message message = { .text = plain,
	    .length = strlen(plain), .now = NOW };
	struct buf out;

	(void)state;
	memset(label, 'a', 61);
	label[61] = '\0';
	text = mem_print("%s.%s.%s.example s ed25519 active "
	    "2026-11-22T12:42:06Z 2026-11-22T12:42:06Z %s\n", label, label,
	    label, DKIM_TEST_ED25519);
	file = dkim_keys_read("f", text, &errors);
	assert_non_null(file);
	buf_init(&out, 1 << 16);
	assert_int_equal(dkim_message_sign(&message, file,
	    file->items[0].domain, NULL, &out), 0);
	assert_non_null(strstr(buf_string(&out), "\r\n d=aaa"));
	dkim_keys_free(file);
	buf_release(&out);
	mem_free(text);
}

/* When nothing is added. */
static void test_nothing(void **state)
{
	struct dkim_message message = { .text = plain,
	    .length = strlen(plain), .now = NOW };
	struct fields *fields = fields_new();
	struct dkim_signer *signer = dkim_signer_new();
	struct buf out, small;
	char *large = mem_alloc(FIELDS_BYTES_MAX + 100);

	(void)state;
	buf_init(&out, 1 << 16);
	assert_int_equal(sign_text("Subject: s\r\n\r\nx", NULL, 0, &out), -1);
	memset(large, 'x', FIELDS_BYTES_MAX + 50);
	memcpy(large, "From: a\r\nX: ", 12);
	assert_int_equal(sign_text(large, NULL, 0, &out), -1);
	/* no key of that domain: done, and nothing to add */
	assert_int_equal(dkim_message_sign(&message, keys, "example.net",
	    NULL, &out), 0);
	assert_int_equal(buf_length(&out), 0);
	buf_init(&small, 600);
	assert_int_equal(dkim_message_sign(&message, keys, "example.org",
	    NULL, &small), -1);
	assert_int_equal(buf_length(&small), 0);
	/* a header that has not ended */
	assert_int_equal(dkim_signer_finish(signer, fields, NULL, NULL, 0, NOW,
	    &out), -1);
	dkim_signer_free(signer);
	dkim_signer_free(NULL);
	dkim_signer_free(dkim_signer_new());
	fields_free(fields);
	mem_free(large);
	buf_release(&small);
	buf_release(&out);
}

/* --- the program --- */

static char *read_file(const char *path, size_t *length)
{
	struct buf text;
	FILE *file = fopen(path, "r");
	char piece[4096];

	buf_init(&text, 1 << 26);
	if (file == NULL)
		return NULL;
	while ((*length = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(&text, piece, *length);
	fclose(file);
	*length = buf_length(&text);
	return buf_take(&text);
}

static int program_sign(const char *path, const char *domain,
    const char *message_path)
{
	struct dkim_message message = { .now = clock_wall() };
	char *errors = NULL, *file, *text;
	struct buf out;
	size_t length;

	file = read_file(path, &length);
	text = read_file(message_path, &message.length);
	message.text = text;
	keys = dkim_keys_read(path, file, &errors);
	if (keys == NULL)
		return 1;
	buf_init(&out, 1 << 16);
	if (dkim_message_sign(&message, keys, domain, NULL, &out) == -1)
		return 1;
	printf("%s", buf_string(&out));
	buf_release(&out);
	dkim_keys_free(keys);
	mem_free(file);
	mem_free(text);
	return 0;
}

static int program_verify(int count, char **arguments)
{
	struct dkim_message message = { .now = clock_wall(),
	    .keys = records };
	char *text = read_file(arguments[0], &message.length);
	struct buf out;

	message.text = text;
	for (int i = 1; i + 1 < count && i / 2 < DKIM_SIGNATURES_MAX; i += 2)
		records[i / 2] = (struct dkim_message_key){ arguments[i],
		    DKIM_KEY_FOUND, arguments[i + 1] };
	buf_init(&out, 1 << 16);
	dkim_message_verify(&message, &out);
	printf("%s", buf_string(&out));
	buf_release(&out);
	mem_free(text);
	return 0;
}

static int program_records(const char *path)
{
	char *errors = NULL, *file;
	size_t length;

	file = read_file(path, &length);
	keys = dkim_keys_read(path, file, &errors);
	if (keys == NULL)
		return 1;
	publish();
	for (size_t i = 0; records[i].name != NULL; i++)
		printf("%s %s\n", records[i].name, records[i].record);
	mem_free(file);
	return tear_down(NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chosen),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_folds),
		cmocka_unit_test(test_long_domain),
		cmocka_unit_test(test_nothing),
	};

	if (argc == 5 && strcmp(argv[1], "sign") == 0)
		return program_sign(argv[2], argv[3], argv[4]);
	if (argc >= 3 && strcmp(argv[1], "verify") == 0)
		return program_verify(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "records") == 0)
		return program_records(argv[2]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
