/* SPDX-License-Identifier: ISC */
/*
 * A key record, a zero byte, and a message: its signatures are verified with
 * that key, in pieces of a size that the first byte says, and at once: the same
 * must come out. Then we sign it ourselves, and that must verify.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "authentic/dkim_key.h"
#include "authentic/fields.h"
#include "base/buf.h"
#include "base/mem.h"
#include "tests/dkim_keys.h"
#include "tests/dkim_message.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW ((int64_t)1795400000000)

static void must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

/* The record is found under any name that a signature has. */
static void verify(const struct dkim_message *message, const char *record,
    struct buf *out)
{
	struct fields *fields = fields_new();
	struct dkim_message_key keys[DKIM_SIGNATURES_MAX + 1];
	struct dkim_verifier *verifier;
	size_t count;

	memset(keys, 0, sizeof(keys));
	fields_feed(fields, message->text, message->length);
	fields_finish(fields);
	verifier = dkim_verifier_new(fields, NOW);
	count = dkim_verifier_count(verifier);
	must(count <= DKIM_SIGNATURES_MAX);
	for (size_t i = 0; i < count; i++) {
		const char *name = dkim_verifier_query(verifier, i);

		keys[i].name = name != NULL ? name : "";
		keys[i].answer = DKIM_KEY_FOUND;
		keys[i].record = record;
	}
	for (size_t piece = 0; piece <= message->piece; piece +=
	    message->piece) {
		struct dkim_message part = *message;

		part.piece = piece;
		part.keys = keys;
		dkim_message_verify(&part, &out[piece != 0]);
	}
	dkim_verifier_free(verifier);
	fields_free(fields);
}

static void try_verify(const struct dkim_message *message, const char *record)
{
	struct buf out[2];

	buf_init(&out[0], 1 << 20);
	buf_init(&out[1], 1 << 20);
	verify(message, record, out);
	must(strcmp(buf_string(&out[0]), buf_string(&out[1])) == 0);
	buf_release(&out[0]);
	buf_release(&out[1]);
}

static void try_sign(const struct dkim_message *message)
{
	static struct dkim_keys *keys;
	static struct buf record;
	struct dkim_message_key dns[] = {
		{ "e1._domainkey.example.org", DKIM_KEY_FOUND, NULL },
		{ NULL, DKIM_KEY_MISSING, NULL } };
	struct dkim_message whole = { .now = NOW, .keys = dns };
	char *errors = NULL;
	struct buf text, out;

	if (keys == NULL) {
		keys = dkim_keys_read("keys", "example.org e1 ed25519 active "
		    "2026-01-01T00:00:00Z 2026-01-01T00:00:00Z "
		    DKIM_TEST_ED25519, &errors);
		buf_init(&record, 1000);
		dkim_key_record(&keys->items[0], &record);
	}
	/* What begins with a blank would go on with the line above. */
	if (message->length > 0 && (message->text[0] == ' ' ||
	    message->text[0] == '\t'))
		return;
	buf_init(&text, 1 << 22);
	buf_init(&out, 1 << 16);
	if (dkim_message_sign(message, keys, "example.org", NULL, &text) ==
	    0 && buf_add(&text, message->text, message->length) == 0) {
		dns[0].record = buf_string(&record);
		whole.text = buf_data(&text);
		whole.length = buf_length(&text);
		dkim_message_verify(&whole, &out);
		/* A header of very many fields is too large with one more. */
		must(buf_length(&out) == 0 ? message->length > 8000 :
		    strncmp(buf_string(&out), "pass d=example.org ", 19) == 0);
	}
	buf_release(&text);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dkim_message message = { .now = NOW };
	const uint8_t *zero;
	char *record, *text;

	if (size < 2 || (zero = memchr(data + 1, '\0', size - 1)) == NULL)
		return 0;
	record = mem_alloc((size_t)(zero - data));
	memcpy(record, data + 1, (size_t)(zero - data) - 1);
	message.length = size - (size_t)(zero + 1 - data);
	text = mem_dup(zero + 1, message.length);
	message.text = text;
	message.piece = 1 + data[0] % 64;
	try_verify(&message, record);
	try_sign(&message);
	mem_free(record);
	mem_free(text);
	return 0;
}
