/* SPDX-License-Identifier: ISC */
/*
 * Header first, then body: fields_feed() says where the one ends.
 */
#include "tests/dkim_message.h"

#include <string.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_sign.h"
#include "authentic/fields.h"
#include "base/buf.h"

/* The next piece that begins at offset. */
static size_t piece_at(const struct dkim_message *message, size_t offset)
{
	size_t left = message->length - offset;

	return message->piece == 0 || left < message->piece ? left :
	    message->piece;
}

/* How many bytes are header. */
static size_t read_fields(const struct dkim_message *message,
    struct fields *fields)
{
	size_t offset = 0;

	while (offset < message->length && !fields->ended)
		offset += fields_feed(fields, message->text + offset,
		    piece_at(message, offset));
	fields_finish(fields);
	return offset;
}

static void answer(struct dkim_verifier *verifier, size_t index,
    const struct dkim_message_key *keys)
{
	const char *name = dkim_verifier_query(verifier, index);

	if (name == NULL)
		return;
	while (keys->name != NULL && strcmp(keys->name, name) != 0)
		keys++;
	dkim_verifier_key(verifier, index, keys->name != NULL ? keys->answer :
	    DKIM_KEY_MISSING, keys->name != NULL ? keys->record : "");
}

static void print(const struct dkim_result *result, struct buf *out)
{
	(void)buf_print(out, "%s%s d=%s i=%s s=%s a=%s b=%s%s%s\n",
	    proof_name(result->proof), result->testing ? " testing" : "",
	    result->domain, result->identity, result->selector,
	    result->algorithm, result->signature,
	    result->reason[0] != '\0' ? " " : "", result->reason);
}

void dkim_message_verify(const struct dkim_message *message, struct buf *out)
{
	struct fields *fields = fields_new();
	size_t offset = read_fields(message, fields), count, piece;
	struct dkim_verifier *verifier = dkim_verifier_new(fields,
	    message->now);

	count = dkim_verifier_count(verifier);
	/* Some answers before the body, some behind it. */
	for (size_t i = 0; i < count; i += 2)
		answer(verifier, i, message->keys);
	for (; offset < message->length; offset += piece) {
		piece = piece_at(message, offset);
		dkim_verifier_body(verifier, message->text + offset, piece);
	}
	for (size_t i = 0; i < count; i++)
		answer(verifier, i, message->keys);
	dkim_verifier_finish(verifier);
	for (size_t i = 0; i < count; i++)
		print(dkim_verifier_result(verifier, i), out);
	dkim_verifier_free(verifier);
	fields_free(fields);
}

int dkim_message_sign(const struct dkim_message *message,
    const struct dkim_keys *keys, const char *domain, const char *extra,
    struct buf *out)
{
	struct fields *fields = fields_new();
	size_t offset = read_fields(message, fields), piece;
	struct dkim_signer *signer = dkim_signer_new();
	const struct dkim_key *active[] = {
	    dkim_keys_active(keys, domain, DKIM_RSA),
	    dkim_keys_active(keys, domain, DKIM_ED25519) };
	int result;

	for (; offset < message->length; offset += piece) {
		piece = piece_at(message, offset);
		dkim_signer_body(signer, message->text + offset, piece);
	}
	result = dkim_signer_finish(signer, fields, extra, active, 2,
	    message->now, out);
	dkim_signer_free(signer);
	fields_free(fields);
	return result;
}
