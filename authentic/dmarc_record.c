/* SPDX-License-Identifier: ISC */
/*
 * Tags by name, values by a table of words. The version's value is the only
 * thing that is compared with case (RFC 9989 4.7, AUTHN-66). The first of
 * several tags of a name counts.
 */
#include "authentic/dmarc_record.h"

#include <string.h>
#include <strings.h>

/* Bytes of the record. */
struct text {
	const char	*start;
	size_t		 length;
};

/* One of the tags that ask for something: was it there, and in order? */
struct request {
	bool		 there;
	bool		 valid;
	enum dmarc_wish	 wish;
};

struct reading {
	struct dmarc_record	*record;
	struct request		 p;
	struct request		 sp;
	struct request		 np;
	bool			 has_rua;	/* a valid address in it */
	unsigned		 seen;		/* bits by tag */
};

enum tag { TAG_P, TAG_SP, TAG_NP, TAG_ADKIM, TAG_ASPF, TAG_PSD, TAG_T,
    TAG_RUA, TAGS };

static const char *const tags[TAGS] = { "p", "sp", "np", "adkim", "aspf",
    "psd", "t", "rua" };

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static struct text trim(struct text text)
{
	while (text.length > 0 && is_blank(text.start[0])) {
		text.start++;
		text.length--;
	}
	while (text.length > 0 && is_blank(text.start[text.length - 1]))
		text.length--;
	return text;
}

static bool is_word(struct text text, const char *word)
{
	return text.length == strlen(word) &&
	    strncasecmp(text.start, word, text.length) == 0;
}

/* What stands before the byte; rest is what stands behind it, empty when it is
 * not there. */
static struct text cut(struct text text, char byte, struct text *rest)
{
	const char *found = text.length == 0 ? NULL :
	    memchr(text.start, byte, text.length);
	struct text head = text;

	*rest = text;
	if (found == NULL) {
		rest->start += text.length;
		rest->length = 0;
		return head;
	}
	head.length = (size_t)(found - text.start);
	rest->start = found + 1;
	rest->length = text.length - head.length - 1;
	return head;
}

static void read_request(struct request *request, struct text value)
{
	enum dmarc_wish wish;

	request->there = true;
	for (wish = DMARC_WISH_NONE; wish <= DMARC_WISH_REJECT; wish++) {
		if (!is_word(value, dmarc_wish_name(wish)))
			continue;
		request->valid = true;
		request->wish = wish;
	}
}

/* RFC 3986 as far as it matters here: a scheme, and printable bytes behind it;
 * of mailto an address. */
static bool is_uri(struct text text)
{
	struct text rest, scheme = cut(text, ':', &rest);
	size_t i;

	if (scheme.length == 0 || rest.length == 0)
		return false;
	for (i = 0; i < rest.length; i++)
		if (rest.start[i] <= ' ' || rest.start[i] > '~')
			return false;
	for (i = 0; i < scheme.length; i++)
		if (scheme.start[i] == '\0' || strchr("abcdefghijklmnopqrstuv"
		    "wxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.",
		    scheme.start[i]) == NULL)
			return false;
	if (strchr("0123456789+-.", scheme.start[0]) != NULL)
		return false;
	return !is_word(scheme, "mailto") || (rest.start[0] != '@' &&
	    memchr(rest.start, '@', rest.length - 1) != NULL);
}

static bool has_uri(struct text list)
{
	struct text one;

	while (list.length > 0) {
		one = cut(list, ',', &list);
		if (is_uri(trim(one)))
			return true;
	}
	return false;
}

static void set_tag(struct reading *reading, enum tag tag, struct text value)
{
	struct dmarc_record *record = reading->record;

	switch (tag) {
	case TAG_P:
		read_request(&reading->p, value);
		break;
	case TAG_SP:
		read_request(&reading->sp, value);
		break;
	case TAG_NP:
		read_request(&reading->np, value);
		break;
	case TAG_ADKIM:
		record->strict_dkim = is_word(value, "s");
		break;
	case TAG_ASPF:
		record->strict_spf = is_word(value, "s");
		break;
	case TAG_PSD:
		record->psd = is_word(value, "y") ? DMARC_PSD_YES :
		    is_word(value, "n") ? DMARC_PSD_NO : DMARC_PSD_UNKNOWN;
		break;
	case TAG_T:
		record->testing = is_word(value, "y");
		break;
	default:
		reading->has_rua = has_uri(value);
		break;
	}
}

static void read_tag(struct reading *reading, struct text part)
{
	struct text value, name = trim(cut(part, '=', &value));
	enum tag tag;

	for (tag = 0; tag < TAGS; tag++) {
		if (!is_word(name, tags[tag]) ||
		    (reading->seen & 1U << tag) != 0)
			continue;
		reading->seen |= 1U << tag;
		set_tag(reading, tag, trim(value));
	}
}

/* AUTHN-73: RFC 9989 4.10.1. */
static void finish(struct reading *reading)
{
	struct dmarc_record *record = reading->record;

	if (!reading->p.valid || (reading->sp.there && !reading->sp.valid) ||
	    (reading->np.there && !reading->np.valid)) {
		record->usable = reading->has_rua;
		return;
	}
	record->usable = true;
	record->policy = reading->p.wish;
	record->subdomain = reading->sp.valid ? reading->sp.wish :
	    record->policy;
	record->nonexistent = reading->np.valid ? reading->np.wish :
	    record->subdomain;
}

bool dmarc_record_read(const char *text, size_t length,
    struct dmarc_record *record)
{
	struct reading reading = { .record = record };
	struct text rest, value, name, all = { text, length };
	struct text part = cut(all, ';', &rest);

	memset(record, 0, sizeof(*record));
	name = cut(part, '=', &value);
	/* Nothing may stand before it, not even a blank. */
	if (name.length == 0 || is_blank(name.start[0]) ||
	    !is_word(trim(name), "v"))
		return false;
	value = trim(value);
	if (value.length != strlen("DMARC1") ||
	    memcmp(value.start, "DMARC1", value.length) != 0)
		return false;
	while (rest.length > 0) {
		part = cut(rest, ';', &rest);
		read_tag(&reading, part);
	}
	finish(&reading);
	return true;
}
