/* SPDX-License-Identifier: ISC */
/*
 * One function for each tag that is more than a word. Those that are shown are
 * read first, so that a report of what is wrong names the signature.
 */
#include "authentic/dkim_claim.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "authentic/fields.h"
#include "base/address.h"
#include "base/idn.h"
#include "base/mem.h"

/* Clocks differ (RFC 6376 6.1.1): seconds. */
enum { CLOCK_FUDGE = 900, SHOWN_SIGNATURE = 8, SHOWN_WORD_MAX = 32,
    TIME_DIGITS_MAX = 12, LIMIT_DIGITS_MAX = 76, NAME_MAX_BYTES = 253,
    LABEL_MAX = 63 };

static const char *const needed[] = { "v", "a", "b", "bh", "d", "h", "s" };
static const char *const missing[] = { "v= is missing", "a= is missing",
    "b= is missing", "bh= is missing", "d= is missing", "h= is missing",
    "s= is missing" };

void dkim_claim_release(struct dkim_claim *claim)
{
	mem_free(claim->domain);
	mem_free(claim->selector);
	mem_free(claim->identity);
	mem_free(claim->shown_algorithm);
	mem_free(claim->shown_signature);
	mem_free(claim->query);
}

static const struct dkim_tag *find(const struct dkim_claim *claim,
    const char *name)
{
	return dkim_tags_find(&claim->tags, name);
}

/* --- names --- */

/* U-labels become A-labels (RFC 8616 5); a last dot is none of the grammar. */
static int take_domain(char *out, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || text[length - 1] == '.')
		return -1;
	return domain_to_ascii(out, size, text) == NULL ? 0 : -1;
}

/* Labels as of a host name; many have "_" as well. */
static bool is_selector(const char *text)
{
	while (*text != '\0') {
		size_t label = strcspn(text, ".");

		if (label == 0 || label > LABEL_MAX || strspn(text,
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789-_") < label)
			return false;
		text += label;
		if (*text == '.' && *++text == '\0')
			return false;
	}
	return true;
}

static void replace(char **place, const char *text)
{
	mem_free(*place);
	*place = mem_dup_string(text);
}

static void read_domain(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "d");
	char name[ADDRESS_DOMAIN_MAX + 1];
	char *text;

	if (tag == NULL || tag->value_length > IDN_TEXT_MAX)
		return;
	text = dkim_tag_text(tag);
	if (take_domain(name, sizeof(name), text) == 0)
		replace(&claim->domain, name);
	mem_free(text);
}

static void read_selector(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "s");
	char name[ADDRESS_DOMAIN_MAX + 1];
	char *text;

	if (tag == NULL || tag->value_length > IDN_TEXT_MAX)
		return;
	text = dkim_tag_text(tag);
	if (idn_is_needed(text)) {
		if (take_domain(name, sizeof(name), text) == 0)
			replace(&claim->selector, name);
	} else if (is_selector(text)) {
		replace(&claim->selector, text);
	}
	mem_free(text);
}

/* The name of the key; -1 if it is none. */
static int make_query(struct dkim_claim *claim)
{
	claim->query = mem_print("%s._domainkey.%s", claim->selector,
	    claim->domain);
	return strlen(claim->query) <= NAME_MAX_BYTES ? 0 : -1;
}

/* --- what is shown --- */

static void read_shown(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "a");
	char *text;

	if (tag != NULL && tag->value_length <= SHOWN_WORD_MAX) {
		text = dkim_tag_text(tag);
		if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0')
			replace(&claim->shown_algorithm, text);
		mem_free(text);
	}
	tag = find(claim, "b");
	if (tag != NULL) {
		text = dkim_tag_packed(tag);
		if (strlen(text) > SHOWN_SIGNATURE)
			text[SHOWN_SIGNATURE] = '\0';
		if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=")] == '\0')
			replace(&claim->shown_signature, text);
		mem_free(text);
	}
	read_domain(claim);
	read_selector(claim);
}

/* --- i= --- */

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* dkim-quoted-printable (RFC 6376 2.11), in place. -1: it is not. Control
 * characters are in no address. */
static int unquote(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '=') {
			int high = hex_digit(text[1]);
			int low = high < 0 ? -1 : hex_digit(text[2]);

			if (low < 0)
				return -1;
			byte = (unsigned char)(high << 4 | low);
			text += 2;
		}
		if (byte < ' ' || byte == 0x7f)
			return -1;
		*out++ = (char)byte;
	}
	*out = '\0';
	return 0;
}

static bool is_below(const char *name, const char *domain)
{
	size_t length = strlen(name), end = strlen(domain);

	return length > end && name[length - end - 1] == '.' &&
	    strcasecmp(name + length - end, domain) == 0;
}

/* The text is taken apart at its last "@". */
static const char *take_identity(struct dkim_claim *claim, char *text)
{
	char name[ADDRESS_DOMAIN_MAX + 1];
	char *at;

	if (unquote(text) == -1 || (at = strrchr(text, '@')) == NULL ||
	    take_domain(name, sizeof(name), at + 1) == -1)
		return "i= is no identity";
	*at = '\0';
	mem_free(claim->identity);
	claim->identity = mem_print("%s@%s", text, name);
	claim->of_subdomain = strcmp(name, claim->domain) != 0;
	if (claim->of_subdomain && !is_below(name, claim->domain))
		return "the domain of i= is not below d=";
	return NULL;
}

static const char *read_identity(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "i");
	const char *wrong;
	char *text;

	if (tag == NULL)
		return NULL;
	text = dkim_tag_packed(tag);
	wrong = take_identity(claim, text);
	mem_free(text);
	return wrong;
}

/* --- the others --- */

static const char *read_algorithm(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "a");

	if (dkim_tag_is(tag, "rsa-sha256"))
		claim->algorithm = DKIM_RSA;
	else if (dkim_tag_is(tag, "ed25519-sha256"))
		claim->algorithm = DKIM_ED25519;
	else if (dkim_tag_is(tag, "rsa-sha1"))
		return "rsa-sha1 counts no more";	/* RFC 8301 3.1 */
	else
		return "a= is unknown";
	return NULL;
}

static int take_canonical(enum dkim_canonical *kind, const char *word,
    size_t length)
{
	if (length == 6 && memcmp(word, "simple", length) == 0)
		*kind = DKIM_SIMPLE;
	else if (length == 7 && memcmp(word, "relaxed", length) == 0)
		*kind = DKIM_RELAXED;
	else
		return -1;
	return 0;
}

/* "header/body"; without body it is simple. */
static const char *read_canonical(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "c");
	const char *slash;
	size_t first;

	claim->header = claim->body = DKIM_SIMPLE;
	if (tag == NULL)
		return NULL;
	slash = memchr(tag->value, '/', tag->value_length);
	first = slash != NULL ? (size_t)(slash - tag->value) :
	    tag->value_length;
	if (take_canonical(&claim->header, tag->value, first) == -1 ||
	    (slash != NULL && take_canonical(&claim->body, slash + 1,
	    tag->value_length - first - 1) == -1))
		return "c= is unknown";
	return NULL;
}

static bool is_field_name(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (word[i] <= ' ' || word[i] >= 0x7f)
			return false;
	return length > 0;
}

static const char *read_names(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "h");
	size_t offset = 0, length, count = 0;
	const char *word;
	bool has_from = false;

	while (dkim_tag_next(tag, &offset, &word, &length)) {
		if (!is_field_name(word, length))
			return "h= is no list of fields";
		if (++count > DKIM_NAMES_MAX)
			return "h= lists too many fields";
		has_from |= length == 4 && strncasecmp(word, "From", 4) == 0;
	}
	return has_from ? NULL : "From is not signed";
}

static const char *read_times(struct dkim_claim *claim, int64_t now)
{
	const struct dkim_tag *made = find(claim, "t");
	const struct dkim_tag *ends = find(claim, "x");
	uint64_t from = 0, until = UINT64_MAX;
	uint64_t seconds = now > 0 ? (uint64_t)now / 1000 : 0;

	if (made != NULL && dkim_tag_number(made, TIME_DIGITS_MAX, &from) == -1)
		return "t= is no time";
	if (ends != NULL && dkim_tag_number(ends, TIME_DIGITS_MAX, &until) ==
	    -1)
		return "x= is no time";
	if (made != NULL && until <= from)
		return "x= is not after t=";
	claim->of_the_future = from > seconds + CLOCK_FUDGE;
	claim->expired = ends != NULL && seconds > until + CLOCK_FUDGE;
	return NULL;
}

static const char *read_limit(struct dkim_claim *claim)
{
	const struct dkim_tag *tag = find(claim, "l");

	claim->limit = UINT64_MAX;
	if (tag != NULL && dkim_tag_number(tag, LIMIT_DIGITS_MAX,
	    &claim->limit) == -1)
		return "l= is no number";
	/* More than any message has, but a limit. */
	if (tag != NULL && claim->limit == UINT64_MAX)
		claim->limit--;
	return NULL;
}

static const char *read_bytes(struct dkim_claim *claim)
{
	int length = dkim_tag_base64(find(claim, "bh"), claim->body_digest,
	    sizeof(claim->body_digest));

	if (length != DIGEST_BYTES)
		return "bh= is no SHA-256 in base64";
	length = dkim_tag_base64(find(claim, "b"), claim->signature,
	    sizeof(claim->signature));
	if (length <= 0)
		return "b= is no signature in base64";
	claim->signature_length = (size_t)length;
	return NULL;
}

static const char *read_words(struct dkim_claim *claim)
{
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (find(claim, needed[i]) == NULL)
			return missing[i];
	if (!dkim_tag_is(find(claim, "v"), "1"))
		return "v= is not 1";
	if (claim->domain[0] == '\0')
		return "d= is no domain";
	if (claim->selector[0] == '\0')
		return "s= is no selector";
	if (find(claim, "q") != NULL &&
	    !dkim_tag_lists(find(claim, "q"), "dns/txt"))
		return "q= has no method that we know";
	return make_query(claim) == 0 ? NULL : "d= and s= are too long";
}

const char *dkim_claim_read(struct dkim_claim *claim,
    const struct field *field, int64_t now)
{
	const char *wrong;

	memset(claim, 0, sizeof(*claim));
	claim->field = field;
	claim->domain = mem_dup_string("");
	claim->selector = mem_dup_string("");
	claim->identity = mem_dup_string("");
	claim->shown_algorithm = mem_dup_string("");
	claim->shown_signature = mem_dup_string("");
	wrong = dkim_tags_read(&claim->tags, field->text + field->value,
	    field->length - field->value);
	if (wrong == NULL) {
		read_shown(claim);
		wrong = read_words(claim);
	}
	if (wrong == NULL)
		wrong = read_algorithm(claim);
	if (wrong == NULL)
		wrong = read_canonical(claim);
	if (wrong == NULL)
		wrong = read_names(claim);
	if (wrong == NULL)
		wrong = read_times(claim, now);
	if (wrong == NULL)
		wrong = read_limit(claim);
	if (wrong == NULL)
		wrong = read_identity(claim);
	return wrong != NULL ? wrong : read_bytes(claim);
}
