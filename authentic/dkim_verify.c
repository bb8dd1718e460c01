/* SPDX-License-Identifier: ISC */
/*
 * Each signature is on its own: what is wrong with one says nothing of the
 * others (AUTHN-28). The header is hashed at once; of bodies one is hashed for
 * each pair of canonicalisation and l= that some signature has. A signature is
 * settled when its result is known.
 *
 * What is malformed, and keys that are missing or unfit, are permerror; what
 * does not verify, has expired, or comes from the future is fail. A signature
 * that holds for the first part of the body only (l=, and more follows) is
 * policy: anybody could have added the rest (RFC 6376 8.2, RFC 8601 2.7.1).
 */
#include "authentic/dkim_verify.h"

#include <string.h>

#include "authentic/dkim_canonical.h"
#include "authentic/dkim_claim.h"
#include "authentic/dkim_record.h"
#include "authentic/dkim_signature.h"
#include "authentic/fields.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

struct body {
	struct dkim_body	 hash;
	uint8_t			 digest[DIGEST_BYTES];
};

struct signature {
	struct dkim_claim	 claim;
	struct dkim_result	 result;	/* texts are the claim's */
	bool			 settled;
	uint8_t			 header[DIGEST_BYTES];
	struct body		*body;		/* one of the verifier's */

	/* once the key was answered */
	bool			 answered;
	enum dkim_key_answer	 answer;
	struct dkim_record	 record;
};

/* The fields by name: with 500 names in h= and 4096 fields nobody shall make us
 * compare each with each. A place is an index in fields, and one more; 0: none. */
struct names {
	struct hash	*lowest;	/* name in lower case -> place */
	size_t		*above;		/* of each field, the next one of the
					 * same name; null: not made yet */
};

struct dkim_verifier {
	const struct fields	*fields;	/* outlives us */
	struct names		 names;		/* owned */
	struct signature	 items[DKIM_SIGNATURES_MAX];
	size_t			 count;
	struct body		 bodies[DKIM_SIGNATURES_MAX];
	size_t			 body_count;
	bool			 finished;
};

static void settle(struct signature *signature, enum proof proof,
    const char *reason)
{
	signature->settled = true;
	signature->result.proof = proof;
	signature->result.reason = reason;
}

/* --- the header --- */

/* A field and its line end; canonical never fails as it only shrinks, but for
 * the name, which is as long. */
static void hash_field(struct digest *digest, enum dkim_canonical kind,
    const struct field *field, struct buf *line)
{
	buf_reset(line);
	(void)dkim_canonical_field(kind, field->text, field->length, line);
	digest_add(digest, buf_data(line), buf_length(line));
	digest_add(digest, "\r\n", 2);
}

/* Case makes no other name of it. */
static const char *lower(struct buf *out, const char *name, size_t length)
{
	buf_reset(out);
	for (size_t i = 0; i < length; i++)
		(void)buf_add_byte(out, name[i] >= 'A' && name[i] <= 'Z' ?
		    (char)(name[i] - 'A' + 'a') : name[i]);
	return buf_data(out);
}

static void list_names(struct names *names, const struct fields *fields)
{
	struct buf name;

	buf_init(&name, FIELDS_BYTES_MAX);
	names->lowest = hash_new();
	names->above = mem_alloc_array(fields->count, sizeof(*names->above));
	for (size_t i = 0; i < fields->count; i++) {
		size_t length = fields->items[i].name_length;

		if (length > 0)
			names->above[i] = (size_t)(uintptr_t)hash_put(
			    names->lowest, lower(&name, fields->items[i].text,
			    length), length, (void *)(uintptr_t)(i + 1));
	}
	buf_release(&name);
}

/* The lowest field of that name that is not used yet; null. */
static const struct field *next_field(const struct dkim_verifier *verifier,
    bool *used, const char *name, size_t length)
{
	size_t place = (size_t)(uintptr_t)hash_find(verifier->names.lowest,
	    name, length);

	while (place > 0 && used[place - 1])
		place = verifier->names.above[place - 1];
	if (place == 0)
		return NULL;
	used[place - 1] = true;
	return &verifier->fields->items[place - 1];
}

/* The field of the signature itself comes last, without what b= has and
 * without a line end. */
static void hash_own(struct digest *digest, const struct dkim_claim *claim,
    struct buf *line)
{
	const struct field *field = claim->field;
	const struct dkim_tag *tag = dkim_tags_find(&claim->tags, "b");
	size_t from = field->value + tag->from, to = field->value + tag->to;
	struct buf text;

	buf_init(&text, field->length);
	(void)buf_add(&text, field->text, from);
	(void)buf_add(&text, field->text + to, field->length - to);
	buf_reset(line);
	(void)dkim_canonical_field(claim->header, buf_data(&text),
	    buf_length(&text), line);
	digest_add(digest, buf_data(line), buf_length(line));
	buf_release(&text);
}

/* RFC 6376 3.7 and 5.4.2: names are taken from below; one that is not there
 * (any more) adds nothing. Nor does the signature's own field, whose name in h=
 * means the others of that name (5.4): it was not there when it was made. */
static void hash_header(struct dkim_verifier *verifier,
    struct signature *signature)
{
	const struct fields *fields = verifier->fields;
	const struct dkim_claim *claim = &signature->claim;
	const struct dkim_tag *names = dkim_tags_find(&claim->tags, "h");
	struct digest *digest = digest_new();
	bool *used = mem_alloc_array(fields->count, sizeof(*used));
	size_t offset = 0, length;
	const char *word;
	struct buf line;

	if (verifier->names.above == NULL)
		list_names(&verifier->names, fields);
	used[claim->field - fields->items] = true;
	buf_init(&line, FIELDS_BYTES_MAX);
	while (dkim_tag_next(names, &offset, &word, &length)) {
		const struct field *field = next_field(verifier, used,
		    lower(&line, word, length), length);

		if (field != NULL)
			hash_field(digest, claim->header, field, &line);
	}
	hash_own(digest, claim, &line);
	digest_end(digest, signature->header);
	buf_release(&line);
	mem_free(used);
}

/* --- beginning --- */

static struct body *find_body(struct dkim_verifier *verifier,
    const struct dkim_claim *claim)
{
	struct body *body;

	for (size_t i = 0; i < verifier->body_count; i++) {
		body = &verifier->bodies[i];
		if (body->hash.kind == claim->body &&
		    body->hash.limit == claim->limit)
			return body;
	}
	body = &verifier->bodies[verifier->body_count++];
	dkim_body_init(&body->hash, claim->body, claim->limit);
	return body;
}

static void add_signature(struct dkim_verifier *verifier,
    const struct field *field, int64_t now)
{
	struct signature *signature = &verifier->items[verifier->count++];
	struct dkim_claim *claim = &signature->claim;
	const char *wrong = dkim_claim_read(claim, field, now);

	signature->result = (struct dkim_result){ .proof = PROOF_TEMPERROR,
	    .domain = claim->domain, .identity = claim->identity,
	    .selector = claim->selector, .algorithm = claim->shown_algorithm,
	    .signature = claim->shown_signature, .reason = "not finished" };
	if (wrong != NULL) {
		settle(signature, PROOF_PERMERROR, wrong);
	} else if (claim->expired) {
		settle(signature, PROOF_FAIL, "the signature has expired");
	} else if (claim->of_the_future) {
		settle(signature, PROOF_FAIL,
		    "the signature is from the future");
	} else {
		hash_header(verifier, signature);
		signature->body = find_body(verifier, claim);
	}
}

struct dkim_verifier *dkim_verifier_new(const struct fields *fields,
    int64_t now)
{
	struct dkim_verifier *verifier = mem_alloc(sizeof(*verifier));
	const struct field *field;
	size_t from = 0;

	verifier->fields = fields;
	if (fields->too_large)
		return verifier;
	while (verifier->count < DKIM_SIGNATURES_MAX && (field =
	    fields_find(fields, "DKIM-Signature", from)) != NULL) {
		add_signature(verifier, field, now);
		from = (size_t)(field - fields->items) + 1;
	}
	return verifier;
}

void dkim_verifier_free(struct dkim_verifier *verifier)
{
	if (verifier == NULL)
		return;
	for (size_t i = 0; i < verifier->count; i++) {
		dkim_claim_release(&verifier->items[i].claim);
		dkim_record_release(&verifier->items[i].record);
	}
	for (size_t i = 0; i < verifier->body_count; i++)
		dkim_body_release(&verifier->bodies[i].hash);
	hash_free(verifier->names.lowest);
	mem_free(verifier->names.above);
	mem_free(verifier);
}

size_t dkim_verifier_count(const struct dkim_verifier *verifier)
{
	return verifier->count;
}

/* --- keys --- */

const char *dkim_verifier_query(const struct dkim_verifier *verifier,
    size_t index)
{
	const struct signature *signature = &verifier->items[index];

	return signature->settled || signature->answered ? NULL :
	    signature->claim.query;
}

/* Null if it may verify this signature. */
static const char *judge_record(const struct signature *signature,
    const struct dkim_record *record)
{
	if (record->algorithm != signature->claim.algorithm)
		return "the key is of another kind than a=";
	if (record->no_subdomains && signature->claim.of_subdomain)
		return "the key is not for domains below d=";
	return NULL;
}

/* The first of the records that will do; else what is wrong with the first. */
static const char *take_records(struct signature *signature, const char *text)
{
	const char *wrong, *first = NULL;

	if (strlen(text) > DKIM_KEY_RECORD_MAX)
		return "the key record is too long";
	for (;;) {
		size_t length = strcspn(text, "\n");

		wrong = dkim_record_read(&signature->record, text, length);
		if (wrong == NULL)
			wrong = judge_record(signature, &signature->record);
		if (wrong == NULL)
			return NULL;
		dkim_record_release(&signature->record);
		first = first != NULL ? first : wrong;
		if (text[length] == '\0')
			return first;
		text += length + 1;
	}
}

void dkim_verifier_key(struct dkim_verifier *verifier, size_t index,
    enum dkim_key_answer answer, const char *text)
{
	struct signature *signature = &verifier->items[index];
	const char *wrong;

	if (signature->settled || signature->answered)
		return;
	signature->answered = true;
	signature->answer = answer;
	if (answer == DKIM_KEY_MISSING) {
		settle(signature, PROOF_PERMERROR, "there is no such key");
	} else if (answer == DKIM_KEY_FOUND) {
		wrong = take_records(signature, text);
		if (wrong != NULL)
			settle(signature, PROOF_PERMERROR, wrong);
	}
	signature->result.testing = signature->record.testing;
}

/* --- body and end --- */

void dkim_verifier_body(struct dkim_verifier *verifier, const char *data,
    size_t length)
{
	for (size_t i = 0; i < verifier->body_count && !verifier->finished;
	    i++)
		dkim_body_feed(&verifier->bodies[i].hash, data, length);
}

/* Null: it holds. */
static const char *verify(const struct signature *signature)
{
	const struct dkim_claim *claim = &signature->claim;
	const struct body *body = signature->body;

	if (claim->limit != UINT64_MAX && claim->limit > body->hash.length)
		return "the body is shorter than l=";
	if (!digest_is_equal(claim->body_digest, body->digest, DIGEST_BYTES))
		return "the body has been changed";
	if (!dkim_signature_verifies(signature->record.algorithm,
	    signature->record.key, signature->header, claim->signature,
	    claim->signature_length))
		return "the header has been changed, or the key";
	return NULL;
}

static void conclude(struct signature *signature)
{
	const char *wrong;

	if (!signature->answered || signature->answer == DKIM_KEY_UNREACHABLE) {
		settle(signature, PROOF_TEMPERROR, "the key cannot be had now");
		return;
	}
	wrong = verify(signature);
	/* RFC 6376 3.6.1: as if it were not there. */
	if (wrong != NULL)
		settle(signature, signature->record.testing ? PROOF_NEUTRAL :
		    PROOF_FAIL, wrong);
	else if (signature->body->hash.length > signature->claim.limit)
		settle(signature, PROOF_POLICY,
		    "the body goes on behind what is signed");
	else
		settle(signature, PROOF_PASS, "");
}

void dkim_verifier_finish(struct dkim_verifier *verifier)
{
	if (verifier->finished)
		return;
	verifier->finished = true;
	for (size_t i = 0; i < verifier->body_count; i++)
		dkim_body_end(&verifier->bodies[i].hash,
		    verifier->bodies[i].digest);
	for (size_t i = 0; i < verifier->count; i++)
		if (!verifier->items[i].settled)
			conclude(&verifier->items[i]);
}

const struct dkim_result *dkim_verifier_result(
    const struct dkim_verifier *verifier, size_t index)
{
	return &verifier->items[index].result;
}
