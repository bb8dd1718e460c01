/* SPDX-License-Identifier: ISC */
/*
 * The field is written as it will go out, folded, up to an empty b=; that is
 * hashed behind the fields of h=, and the signature is put where it ends.
 */
#include "authentic/dkim_sign.h"

#include <string.h>

#include "authentic/dkim_canonical.h"
#include "authentic/dkim_key.h"
#include "authentic/dkim_signature.h"
#include "authentic/fields.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"

/* Of one name; who writes more has the lowest of them signed. With all names
 * repeated so often a field has some 3 KiB. */
enum { REPEATS_MAX = 5, COLUMN_MAX = 76 };

struct dkim_signer {
	struct dkim_body	 body;
};

/* When is a name listed once more than it is there, so that none can be added
 * on the way (AUTHN-5)? */
enum oversign { NEVER, IF_PRESENT, ALWAYS };

static const struct {
	const char	*name;
	enum oversign	 oversign;
} signed_names[] = {
	{ "From", ALWAYS },
	{ "Sender", NEVER },
	{ "Reply-To", NEVER },
	{ "To", ALWAYS },
	{ "Cc", ALWAYS },
	{ "Subject", ALWAYS },
	{ "Date", ALWAYS },
	{ "Message-ID", NEVER },
	{ "In-Reply-To", NEVER },
	{ "References", NEVER },
	{ "MIME-Version", NEVER },
	{ "Content-Type", ALWAYS },
	{ "Content-Transfer-Encoding", NEVER },
	{ "Content-Disposition", NEVER },
	{ "Content-Description", NEVER },
	{ "Content-ID", NEVER },
	{ "Content-Language", NEVER },
	{ "Resent-Date", NEVER },
	{ "Resent-From", NEVER },
	{ "Resent-Sender", NEVER },
	{ "Resent-To", NEVER },
	{ "Resent-Cc", NEVER },
	{ "Resent-Message-ID", NEVER },
	{ "List-Id", NEVER },
	{ "List-Help", NEVER },
	{ "List-Unsubscribe", NEVER },
	{ "List-Unsubscribe-Post", NEVER },
	{ "List-Subscribe", NEVER },
	{ "List-Post", NEVER },
	{ "List-Owner", NEVER },
	{ "List-Archive", NEVER },
	{ "Auto-Submitted", NEVER },
	{ "Feedback-ID", NEVER },
	{ "TLS-Required", ALWAYS },
	/* RFC 8460 5.3 */
	{ "TLS-Report-Domain", IF_PRESENT },
	{ "TLS-Report-Submitter", IF_PRESENT },
};

struct dkim_signer *dkim_signer_new(void)
{
	struct dkim_signer *signer = mem_alloc(sizeof(*signer));

	dkim_body_init(&signer->body, DKIM_RELAXED, UINT64_MAX);
	return signer;
}

void dkim_signer_free(struct dkim_signer *signer)
{
	if (signer == NULL)
		return;
	dkim_body_release(&signer->body);
	mem_free(signer);
}

void dkim_signer_body(struct dkim_signer *signer, const char *data,
    size_t length)
{
	dkim_body_feed(&signer->body, data, length);
}

/* --- writing a folded value --- */

struct writer {
	struct buf	*out;
	size_t		 column;
	bool		 full;
};

static void put(struct writer *writer, const char *text, size_t length)
{
	if (buf_add(writer->out, text, length) == -1)
		writer->full = true;
	writer->column += length;
}

static void fold(struct writer *writer)
{
	put(writer, "\r\n ", 3);
	writer->column = 1;
}

/* What may not be broken, in a new line if there is no room for it here; one
 * more byte always fits behind it. */
static void put_word(struct writer *writer, const char *text, size_t length)
{
	if (writer->column > 1 && writer->column + length > COLUMN_MAX)
		fold(writer);
	put(writer, text, length);
}

static void put_tag(struct writer *writer, const char *name, const char *value)
{
	char *text = mem_print("%s=%s;", name, value);

	if (writer->column + 1 + strlen(text) > COLUMN_MAX)
		fold(writer);
	else
		put(writer, " ", 1);
	put(writer, text, strlen(text));
	mem_free(text);
}

/* --- which fields --- */

/* Lists them in writer, and adds their canonical form to header. */
struct chosen {
	const struct fields	*parts[2];	/* from above; either may be
						 * null */
	struct writer		 names;
	struct digest		*header;
	struct buf		 line;
	bool			 any;
};

/* A name once more; field is null when there is none to sign under it. */
static void choose(struct chosen *chosen, const char *name,
    const struct field *field)
{
	if (chosen->any)
		put(&chosen->names, ":", 1);
	chosen->any = true;
	put_word(&chosen->names, name, strlen(name));
	if (field == NULL)
		return;
	buf_reset(&chosen->line);
	if (dkim_canonical_field(DKIM_RELAXED, field->text, field->length,
	    &chosen->line) == -1)
		chosen->names.full = true;
	digest_add(chosen->header, buf_data(&chosen->line),
	    buf_length(&chosen->line));
	digest_add(chosen->header, "\r\n", 2);
}

/* From below upwards (RFC 6376 5.4.2), through both parts. */
static size_t choose_all(struct chosen *chosen, const char *name)
{
	size_t count = 0;

	for (int part = 1; part >= 0; part--) {
		const struct fields *fields = chosen->parts[part];
		const struct field *field;
		size_t before = fields != NULL ? fields->count : 0;

		while (before > 0 && count < REPEATS_MAX &&
		    (field = fields_find_last(fields, name, before)) != NULL) {
			choose(chosen, name, field);
			before = (size_t)(field - fields->items);
			count++;
		}
	}
	return count;
}

static void choose_fields(struct chosen *chosen)
{
	for (size_t i = 0; i < sizeof(signed_names) / sizeof(signed_names[0]);
	    i++) {
		size_t count = choose_all(chosen, signed_names[i].name);

		/* Of too many, the next is there. */
		if (count == REPEATS_MAX)
			continue;
		if (signed_names[i].oversign == ALWAYS || (count > 0 &&
		    signed_names[i].oversign == IF_PRESENT))
			choose(chosen, signed_names[i].name, NULL);
	}
}

/* --- signing --- */

/* b= is there already, empty: the letters follow, broken anywhere. */
static int put_signature(struct writer *writer, const struct dkim_key *key,
    const uint8_t *digest)
{
	uint8_t bytes[DKIM_SIGNATURE_MAX];
	char text[BASE64_LENGTH(DKIM_SIGNATURE_MAX) + 1];
	const char *rest = text;
	int length = dkim_signature_make(key->algorithm, key->key, digest,
	    bytes);

	if (length == -1)
		return -1;
	base64_format(bytes, (size_t)length, text, sizeof(text));
	while (*rest != '\0') {
		size_t part = strlen(rest);

		if (writer->column >= COLUMN_MAX)
			fold(writer);
		if (part > COLUMN_MAX - writer->column)
			part = COLUMN_MAX - writer->column;
		put(writer, rest, part);
		rest += part;
	}
	put(writer, "\r\n", 2);
	return 0;
}

/* All up to "h=", and behind the names from ";" to "b=". */
static void put_head(struct writer *writer, const struct dkim_key *key,
    int64_t now)
{
	char *seconds = mem_print("%lld", (long long)(now / 1000));

	put(writer, "DKIM-Signature:", 15);
	put_tag(writer, "v", "1");
	put_tag(writer, "a", key->algorithm == DKIM_RSA ? "rsa-sha256" :
	    "ed25519-sha256");
	put_tag(writer, "c", "relaxed/relaxed");
	put_tag(writer, "d", key->domain);
	put_tag(writer, "s", key->selector);
	put_tag(writer, "t", seconds);
	mem_free(seconds);
	fold(writer);
	put(writer, "h=", 2);
}

static void put_tail(struct writer *writer, const char *body)
{
	put(writer, ";", 1);
	put_tag(writer, "bh", body);
	fold(writer);
	put(writer, "b=", 2);
}

/* What all signatures of a message have in common. */
struct signing {
	const struct fields	*parts[2];	/* above, and the content's */
	char			 body[BASE64_LENGTH(DIGEST_BYTES) + 1];
	int64_t			 now;
	struct buf		 out;
};

static int sign_one(struct signing *signing, const struct dkim_key *key)
{
	size_t start = buf_length(&signing->out);
	struct chosen chosen = { .parts = { signing->parts[0],
	    signing->parts[1] }, .names = { .out = &signing->out },
	    .header = digest_new() };
	uint8_t digest[DIGEST_BYTES];

	/* Relaxed, no field becomes longer. */
	buf_init(&chosen.line, FIELDS_BYTES_MAX);
	put_head(&chosen.names, key, signing->now);
	choose_fields(&chosen);
	put_tail(&chosen.names, signing->body);
	buf_reset(&chosen.line);
	if (dkim_canonical_field(DKIM_RELAXED, buf_data(&signing->out) + start,
	    buf_length(&signing->out) - start, &chosen.line) == -1)
		chosen.names.full = true;
	digest_add(chosen.header, buf_data(&chosen.line),
	    buf_length(&chosen.line));
	digest_end(chosen.header, digest);
	buf_release(&chosen.line);
	if (put_signature(&chosen.names, key, digest) == -1)
		return -1;
	return chosen.names.full ? -1 : 0;
}

/* Is it the first of its algorithm? */
static bool is_first(const struct dkim_key *const *keys, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (keys[i] != NULL &&
		    keys[i]->algorithm == keys[index]->algorithm)
			return false;
	return true;
}

static int sign_all(struct signing *signing,
    const struct dkim_key *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i] != NULL && is_first(keys, i) &&
		    sign_one(signing, keys[i]) == -1)
			return -1;
	return 0;
}

static bool can_sign(const struct fields *fields, const struct fields *above)
{
	if (!fields->ended || fields->too_large)
		return false;
	if (above != NULL && above->too_large)
		return false;
	return fields_count(fields, "From") > 0 ||
	    (above != NULL && fields_count(above, "From") > 0);
}

/* Null for none. */
static struct fields *read_extra(const char *extra)
{
	struct fields *fields;

	if (extra == NULL)
		return NULL;
	fields = fields_new();
	fields_feed(fields, extra, strlen(extra));
	fields_finish(fields);
	return fields;
}

int dkim_signer_finish(struct dkim_signer *signer,
    const struct fields *fields, const char *extra,
    const struct dkim_key *const *keys, size_t count, int64_t now,
    struct buf *out)
{
	struct fields *above = read_extra(extra);
	struct signing signing = { .parts = { above, fields }, .now = now };
	uint8_t digest[DIGEST_BYTES];
	int result = -1;

	dkim_body_end(&signer->body, digest);
	base64_format(digest, sizeof(digest), signing.body,
	    sizeof(signing.body));
	buf_init(&signing.out, DKIM_SIGNED_MAX);
	if (can_sign(fields, above) && sign_all(&signing, keys, count) == 0)
		result = buf_add(out, buf_data(&signing.out),
		    buf_length(&signing.out));
	buf_release(&signing.out);
	fields_free(above);
	return result;
}
