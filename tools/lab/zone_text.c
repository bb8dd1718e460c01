/* SPDX-License-Identifier: ISC */
/*
 * Records are read by libldns, as a line of a zone file whose origin is the
 * zone: names in the data are relative unless they end in a dot. Some things
 * are easier here: a certificate's name in place of TLSA data, TXT data
 * without quotes, which is one string, and "\# LENGTH HEX" that would not do
 * as data of that type. Its one field is unknown data then, also in types
 * whose first field is a name elsewhere.
 */
#include "tools/lab/zone_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tools/lab/certificate.h"
#include "tools/lab/scenario_options.h"

enum { DEFAULT_TTL = 1, TLSA_BYTES = 256 << 10, WORD_MAX = 255,
    NUMBER_DIGITS = 10 };

struct words {
	char		 owner[WORD_MAX + 1];
	char		 ttl[16];
	char		 type[32];
	const char	*rest;		/* of the text; may be empty */
};

/* Why a text cannot be used; a problem() of it is -1. */
struct reader {
	const ldns_rdf			*apex;
	const struct lab_identities	*identities;	/* may be null */
	/* Only the form is looked at: no certificate need be there. */
	bool				 only_form;
	char				 why[512];
};

_Static_assert(LAB_ANSWER_GARBAGE == 13, "lab_answer_words has a word each");

static int problem(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int problem(struct reader *reader, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(reader->why, sizeof(reader->why), format, list);
	va_end(list);
	return -1;
}

/* Takes the next word from *text; false when there is none or no room. */
static bool next_word(const char **text, char *out, size_t size)
{
	size_t length;

	*text += strspn(*text, " \t\r\n");
	length = strcspn(*text, " \t\r\n");
	if (length == 0 || length >= size)
		return false;
	memcpy(out, *text, length);
	out[length] = '\0';
	*text += length;
	*text += strspn(*text, " \t\r\n");
	return true;
}

static bool is_number(const char *word)
{
	return *word != '\0' && strspn(word, "0123456789") == strlen(word);
}

/* "[TTL] TYPE ..." into words; -1 unless it is that. */
static int split_type(struct words *words)
{
	snprintf(words->ttl, sizeof(words->ttl), "%d", DEFAULT_TTL);
	if (!next_word(&words->rest, words->type, sizeof(words->type)))
		return -1;
	if (!is_number(words->type))
		return 0;
	/* RFC 2181 8: 31 bits. */
	if (strlen(words->type) > NUMBER_DIGITS ||
	    strtoll(words->type, NULL, 10) > INT32_MAX)
		return -1;
	snprintf(words->ttl, sizeof(words->ttl), "%.10s", words->type);
	return next_word(&words->rest, words->type, sizeof(words->type)) ? 0 :
	    -1;
}

static int split(const char *text, struct words *words)
{
	memset(words, 0, sizeof(*words));
	words->rest = text;
	return next_word(&words->rest, words->owner, sizeof(words->owner)) ?
	    split_type(words) : -1;
}

/* An owner as it stands in the section: relative, "@", or with a final dot. */
static ldns_rdf *read_owner(const struct reader *reader, const char *word)
{
	const ldns_rdf *apex = reader->apex;
	ldns_rdf *name = strcmp(word, "@") == 0 ? ldns_rdf_clone(apex) :
	    ldns_dname_new_frm_str(word);

	if (name == NULL)
		return NULL;
	if (strcmp(word, "@") != 0 && !ldns_dname_str_absolute(word) &&
	    ldns_dname_cat(name, apex) != LDNS_STATUS_OK) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	if (ldns_dname_compare(name, apex) != 0 &&
	    !ldns_dname_is_subdomain(name, apex)) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	ldns_dname2canonical(name);
	return name;
}

/* --- data --- */

/* "NAME:leaf" and the like: cuts the name off. -1: another word. */
static int read_part(char *name, enum lab_tlsa_of *of)
{
	static const char *const words[] = { "leaf", "issuer", "root", NULL };
	char *colon = strchr(name, ':');
	int word;

	*of = LAB_TLSA_BY_USAGE;
	if (colon == NULL)
		return 0;
	word = lab_word_index(words, colon + 1, strlen(colon + 1));
	*of = (enum lab_tlsa_of)(LAB_TLSA_LEAF + word);
	*colon = '\0';
	return word == -1 ? -1 : 0;
}

/* Owned by the caller; null with a sentence. */
static char *certificate_data(struct reader *reader, const char *name,
    const struct lab_tlsa_form *form)
{
	const struct lab_identity *identity = reader->identities == NULL ?
	    NULL : lab_identity_find(reader->identities, name);
	struct arena *arena;
	char *hex, *result = NULL;

	if (reader->only_form)
		return mem_print("%d %d %d 00", form->usage, form->selector,
		    form->matching);
	if (identity == NULL) {
		problem(reader, "there is no certificate \"%s\"", name);
		return NULL;
	}
	arena = arena_new(TLSA_BYTES);
	hex = lab_tlsa_data(identity, form, arena);
	if (hex == NULL)
		problem(reader, "certificate \"%s\" has no such part", name);
	else
		result = mem_print("%d %d %d %s", form->usage, form->selector,
		    form->matching, hex);
	arena_free(arena);
	return result;
}

/* "U S M @CERTIFICATE" as "U S M HEX"; other data as it stands. Owned by the
 * caller; null with a sentence. */
static char *tlsa_data(struct reader *reader, const char *data)
{
	struct lab_tlsa_form form;
	char name[WORD_MAX + 1], more[2];
	int count = sscanf(data, "%d %d %d @%255s %1s", &form.usage,
	    &form.selector, &form.matching, name, more);

	if (count < 4)
		return mem_dup_string(data);
	if (count > 4) {
		problem(reader, "there is something behind @%s", name);
		return NULL;
	}
	if (form.usage < 0 || form.usage > UINT8_MAX || form.selector < 0 ||
	    form.selector > 1 || form.matching < 0 || form.matching > 2) {
		problem(reader, "there is no TLSA data %d %d %d of a "
		    "certificate: usage is 0 to 255, selector 0 or 1, "
		    "matching type 0 to 2", form.usage, form.selector,
		    form.matching);
		return NULL;
	}
	if (read_part(name, &form.of) == -1) {
		problem(reader, "what is behind the colon is leaf, issuer or "
		    "root");
		return NULL;
	}
	return certificate_data(reader, name, &form);
}

static char *record_data(struct reader *reader, const struct words *words,
    ldns_rr_type type)
{
	if (type == LDNS_RR_TYPE_TLSA)
		return tlsa_data(reader, words->rest);
	if (type == LDNS_RR_TYPE_TXT && strchr(words->rest, '"') == NULL &&
	    words->rest[0] != '\\')
		return mem_print("\"%s\"", words->rest);
	return mem_dup_string(words->rest);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ?
	    c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octets of a text of hexadecimal digits and spaces, 64 KiB at most, into
 * out; how many, or -1. */
static int read_hex(const char *text, uint8_t *out)
{
	int half = -1, count = 0, digit;

	for (; *text != '\0'; text++) {
		if (strchr(" \t\r\n", *text) != NULL)
			continue;
		digit = hex_digit(*text);
		if (digit == -1 || count == LDNS_MAX_RDFLEN)
			return -1;
		if (half != -1)
			out[count++] = (uint8_t)(half << 4 | digit);
		half = half != -1 ? -1 : digit;
	}
	return half == -1 ? count : -1;
}

/* RFC 3597 5: "\# LENGTH HEX" as one field, or none, in record. */
static int read_raw(struct reader *reader, const char *data, ldns_rr *record)
{
	uint8_t *octets;
	int length, used = 0, count, result = -1;

	if (sscanf(data, "\\# %d %n", &length, &used) != 1 || used == 0)
		return problem(reader, "it is not \\# LENGTH HEX");
	octets = mem_alloc(LDNS_MAX_RDFLEN);
	count = read_hex(data + used, octets);
	if (count == -1)
		problem(reader, "these are no octets in hexadecimal");
	else if (count != length)
		problem(reader, "the length is %d, but there are %d octets",
		    length, count);
	else
		result = 0;
	if (result == 0 && count > 0)
		ldns_rr_push_rdf(record, ldns_rdf_new_frm_data(
		    LDNS_RDF_TYPE_UNKNOWN, (size_t)count, octets));
	mem_free(octets);
	return result;
}

/* --- records --- */

/* What the lab makes itself; or null. */
static const char *reserved(const struct reader *reader, const ldns_rdf *owner,
    ldns_rr_type type)
{
	if (ldns_dname_compare(owner, reader->apex) == 0 &&
	    (type == LDNS_RR_TYPE_SOA || type == LDNS_RR_TYPE_NS))
		return "SOA and NS of the zone itself are made by the lab";
	if (type == LDNS_RR_TYPE_RRSIG || type == LDNS_RR_TYPE_NSEC ||
	    type == LDNS_RR_TYPE_NSEC3 || type == LDNS_RR_TYPE_NSEC3PARAM)
		return "signatures and denials are made by the lab";
	return NULL;
}

/* A record of raw data; null with a sentence. */
static ldns_rr *raw_record(struct reader *reader, const struct words *words,
    const ldns_rdf *owner)
{
	ldns_rr *record = ldns_rr_new();

	ldns_rr_set_owner(record, ldns_rdf_clone(owner));
	ldns_rr_set_ttl(record, (uint32_t)strtoul(words->ttl, NULL, 10));
	ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
	ldns_rr_set_type(record, ldns_get_rr_type_by_name(words->type));
	if (read_raw(reader, words->rest, record) == 0)
		return record;
	ldns_rr_free(record);
	return NULL;
}

/* As libldns reads it; null with a sentence. */
static ldns_rr *parsed_record(struct reader *reader, const struct words *words,
    const ldns_rdf *owner, const char *data)
{
	char *owner_text = ldns_rdf2str(owner);
	char *line = mem_print("%s %s IN %s %s", owner_text, words->ttl,
	    words->type, data);
	ldns_rr *record = NULL;
	ldns_status status = ldns_rr_new_frm_str(&record, line, DEFAULT_TTL,
	    reader->apex, NULL);

	LDNS_FREE(owner_text);
	mem_free(line);
	if (status == LDNS_STATUS_OK)
		return record;
	problem(reader, "%s", ldns_get_errorstr_by_id(status));
	return NULL;
}

/* The data of words, which is raw or not; null with a sentence. */
static ldns_rr *read_data(struct reader *reader, const struct words *words,
    const ldns_rdf *owner, ldns_rr_type type)
{
	char *data = record_data(reader, words, type);
	ldns_rr *record = NULL, *raw;

	if (data == NULL)
		return NULL;
	if (strncmp(data, "\\#", 2) != 0) {
		record = parsed_record(reader, words, owner, data);
	} else if ((raw = raw_record(reader, words, owner)) != NULL) {
		record = parsed_record(reader, words, owner, data);
		if (record == NULL)
			record = raw;
		else
			ldns_rr_free(raw);
	}
	mem_free(data);
	return record;
}

/* Null with a sentence; owned by the caller. */
static ldns_rr *read_record(struct reader *reader, const struct words *words)
{
	ldns_rr_type type = ldns_get_rr_type_by_name(words->type);
	ldns_rdf *owner = read_owner(reader, words->owner);
	ldns_rr *record = NULL;

	if (owner == NULL)
		problem(reader, "the owner is no name in this zone");
	else if (type == 0)
		problem(reader, "unknown type");
	else if (reserved(reader, owner, type) != NULL)
		problem(reader, "%s", reserved(reader, owner, type));
	else
		record = read_data(reader, words, owner, type);
	ldns_rdf_deep_free(owner);
	return record;
}

static ldns_rr *read_record_text(struct reader *reader, const char *text)
{
	struct words words;

	if (split(text, &words) == 0)
		return read_record(reader, &words);
	problem(reader, "it is not OWNER [TTL] TYPE DATA");
	return NULL;
}

/* Two types: what is asked for, and what is answered. */
static ldns_rr *read_substitute(struct reader *reader, const char *text,
    ldns_rr_type *asked)
{
	struct words words = { .rest = text };

	*asked = 0;
	if (next_word(&words.rest, words.owner, sizeof(words.owner)) &&
	    next_word(&words.rest, words.type, sizeof(words.type))) {
		*asked = ldns_get_rr_type_by_name(words.type);
		if (*asked == 0)
			problem(reader, "unknown type");
		else if (split_type(&words) == 0)
			return read_record(reader, &words);
	}
	if (reader->why[0] == '\0')
		problem(reader, "it is not OWNER TYPE RECORD-TYPE DATA");
	return NULL;
}

/* --- questions --- */

static int read_set(struct reader *reader, const char *text, ldns_rdf **name,
    ldns_rr_type *type)
{
	struct words words;

	if (split(text, &words) == 0 && words.rest[0] == '\0') {
		*type = ldns_get_rr_type_by_name(words.type);
		*name = read_owner(reader, words.owner);
		if (*type != 0 && *name != NULL)
			return 0;
		ldns_rdf_deep_free(*name);
	}
	return problem(reader, "it is not OWNER TYPE with a name in this "
	    "zone");
}

/* "true, servfail, refused ..." into out. */
static void list_answers(char *out, size_t size)
{
	const char *const *word;
	size_t used = 0;

	for (word = lab_answer_words; *word != NULL && used < size; word++)
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? ", " : "", *word);
}

/* "ANSWER [SERVER]" */
static int read_answer(struct reader *reader, const char *text,
    struct zone_lie *lie)
{
	char word[32] = "", server[16] = "", list[256];
	int index;

	if (!next_word(&text, word, sizeof(word)) ||
	    (*text != '\0' && !next_word(&text, server, sizeof(server))))
		return problem(reader, "an answer is missing");
	index = lab_word_index(lab_answer_words, word, strlen(word));
	if (index == -1) {
		list_answers(list, sizeof(list));
		return problem(reader, "there is no answer \"%s\"; accepted: "
		    "%s", word, list);
	}
	if (*text != '\0' || strlen(server) > 1 ||
	    (server[0] != '\0' && (server[0] < '1' ||
	    server[0] > '0' + LAB_SERVERS_MAX)))
		return problem(reader, "behind the answer comes nothing, or "
		    "the number of a server, from 1");
	lie->answer = (enum lab_dns_answer)index;
	if (server[0] != '\0')
		lie->server = (size_t)(server[0] - '0');
	return 0;
}

static int read_lie(struct reader *reader, const char *text,
    struct zone_lie *lie)
{
	struct words words;
	const char *owner = words.owner;

	memset(lie, 0, sizeof(*lie));
	if (split(text, &words) == -1)
		return problem(reader, "it is not OWNER TYPE ANSWER");
	if (read_answer(reader, words.rest, lie) == -1)
		return -1;
	if (strcmp(owner, "*") == 0) {
		lie->below = true;
		owner = "@";
	} else if (strncmp(owner, "*.", 2) == 0) {
		lie->below = true;
		owner += 2;
	}
	lie->type = ldns_get_rr_type_by_name(words.type);
	if (lie->type == 0)
		return problem(reader, "unknown type");
	lie->name = read_owner(reader, owner);
	return lie->name != NULL ? 0 : problem(reader,
	    "the owner is no name in this zone");
}

static int check_server(struct reader *reader, const struct zone_lie *lie,
    size_t servers)
{
	return lie->server <= servers ? 0 : problem(reader, "there is no "
	    "server %zu: the zone has %zu", lie->server, servers);
}

/* --- for a zone --- */

ldns_rr *zone_text_record(struct served_zone *zone, const char *text,
    const struct lab_identities *identities)
{
	struct reader reader = { zone->apex, identities, false, "" };
	ldns_rr *record = read_record_text(&reader, text);

	if (record == NULL)
		served_zone_refuse(zone, "record \"%s\": %s", text,
		    reader.why);
	return record;
}

ldns_rr *zone_text_substitute(struct served_zone *zone, const char *text,
    const struct lab_identities *identities, ldns_rr_type *asked)
{
	struct reader reader = { zone->apex, identities, false, "" };
	ldns_rr *record = read_substitute(&reader, text, asked);

	if (record == NULL)
		served_zone_refuse(zone, "substitute \"%s\": %s", text,
		    reader.why);
	return record;
}

int zone_text_set(struct served_zone *zone, const char *text,
    ldns_rdf **name, ldns_rr_type *type)
{
	struct reader reader = { zone->apex, NULL, false, "" };

	if (read_set(&reader, text, name, type) == 0)
		return 0;
	return served_zone_refuse(zone, "\"%s\": %s", text, reader.why);
}

int zone_text_lie(struct served_zone *zone, const char *text,
    struct zone_lie *lie)
{
	struct reader reader = { zone->apex, NULL, false, "" };

	if (read_lie(&reader, text, lie) == 0) {
		if (check_server(&reader, lie, zone->server_count) == 0)
			return 0;
		ldns_rdf_deep_free(lie->name);
	}
	return served_zone_refuse(zone, "answer \"%s\": %s", text,
	    reader.why);
}

/* --- for who reads scenarios --- */

/* Any owner is in the root. The text stays until the next one begins. */
static struct reader *start_check(void)
{
	static struct reader reader;
	static ldns_rdf *root;		/* never freed: one, and shared */

	if (root == NULL)
		root = ldns_dname_new_frm_str(".");
	memset(&reader, 0, sizeof(reader));
	reader.apex = root;
	reader.only_form = true;
	return &reader;
}

const char *lab_record_problem(const char *record)
{
	struct reader *reader = start_check();
	ldns_rr *read = read_record_text(reader, record);

	if (read == NULL)
		return reader->why;
	ldns_rr_free(read);
	return NULL;
}

const char *lab_substitute_problem(const char *substitute)
{
	struct reader *reader = start_check();
	ldns_rr_type asked;
	ldns_rr *read = read_substitute(reader, substitute, &asked);

	if (read == NULL)
		return reader->why;
	ldns_rr_free(read);
	return NULL;
}

const char *lab_set_problem(const char *set)
{
	struct reader *reader = start_check();
	ldns_rdf *name;
	ldns_rr_type type;

	if (read_set(reader, set, &name, &type) == -1)
		return reader->why;
	ldns_rdf_deep_free(name);
	return NULL;
}

const char *lab_answer_problem(const char *answer, int64_t servers)
{
	struct reader *reader = start_check();
	struct zone_lie lie;
	int result = read_lie(reader, answer, &lie);

	if (result == 0) {
		result = check_server(reader, &lie, servers > 0 ?
		    (size_t)servers : 1);
		ldns_rdf_deep_free(lie.name);
	}
	return result == -1 ? reader->why : NULL;
}
