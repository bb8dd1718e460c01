/* SPDX-License-Identifier: ISC */
/*
 * Records are read by libldns, as a line of a zone file whose origin is the
 * zone: names in the data are relative unless they end in a dot. Two things
 * are easier here: a certificate's name in place of TLSA data, and TXT data
 * without quotes, which is one string.
 */
#include "tools/lab/zone_text.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "tools/lab/certificate.h"

enum { DEFAULT_TTL = 1, TLSA_BYTES = 256 << 10, WORD_MAX = 255 };

struct words {
	char		 owner[WORD_MAX + 1];
	char		 ttl[16];
	char		 type[32];
	const char	*rest;		/* of the text; may be empty */
};

static const char *const answer_names[] = {
	[LAB_ANSWER_TRUE] = "true",
	[LAB_ANSWER_SERVFAIL] = "servfail",
	[LAB_ANSWER_REFUSED] = "refused",
	[LAB_ANSWER_FORMERR] = "formerr",
	[LAB_ANSWER_NOTIMP] = "notimp",
	[LAB_ANSWER_NXDOMAIN] = "nxdomain",
	[LAB_ANSWER_NODATA] = "nodata",
	[LAB_ANSWER_SILENCE] = "silence",
	[LAB_ANSWER_TRUNCATED] = "truncated",
};

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

static int split(const char *text, struct words *words)
{
	memset(words, 0, sizeof(*words));
	words->rest = text;
	if (!next_word(&words->rest, words->owner, sizeof(words->owner)) ||
	    !next_word(&words->rest, words->type, sizeof(words->type)))
		return -1;
	snprintf(words->ttl, sizeof(words->ttl), "%d", DEFAULT_TTL);
	if (!is_number(words->type))
		return 0;
	if (strlen(words->type) > 10)
		return -1;
	snprintf(words->ttl, sizeof(words->ttl), "%.10s", words->type);
	return next_word(&words->rest, words->type, sizeof(words->type)) ? 0 :
	    -1;
}

/* An owner as it stands in the section: relative, "@", or with a final dot. */
static ldns_rdf *read_owner(const struct served_zone *zone, const char *word)
{
	ldns_rdf *name = strcmp(word, "@") == 0 ? ldns_rdf_clone(zone->apex) :
	    ldns_dname_new_frm_str(word);

	if (name == NULL)
		return NULL;
	if (strcmp(word, "@") != 0 && !ldns_dname_str_absolute(word) &&
	    ldns_dname_cat(name, zone->apex) != LDNS_STATUS_OK) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	if (ldns_dname_compare(name, zone->apex) != 0 &&
	    !ldns_dname_is_subdomain(name, zone->apex)) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	ldns_dname2canonical(name);
	return name;
}

/* "U S M @CERTIFICATE" as "U S M HEX"; other data as it stands. Owned by the
 * caller; null with a sentence. */
static char *tlsa_data(const char *data, const struct lab_identities *known,
    char *error, size_t size)
{
	const struct lab_identity *identity;
	struct arena *arena;
	char name[WORD_MAX + 1], *hex, *result = NULL;
	int usage, selector, matching;

	if (sscanf(data, "%d %d %d @%255s", &usage, &selector, &matching,
	    name) != 4)
		return mem_dup_string(data);
	identity = known == NULL ? NULL : lab_identity_find(known, name);
	if (identity == NULL) {
		snprintf(error, size, "there is no certificate \"%s\"", name);
		return NULL;
	}
	arena = arena_new(TLSA_BYTES);
	hex = lab_tlsa_data(identity, usage, selector, matching, arena);
	if (hex == NULL)
		snprintf(error, size, "certificate \"%s\" has no TLSA data "
		    "%d %d %d", name, usage, selector, matching);
	else
		result = mem_print("%d %d %d %s", usage, selector, matching,
		    hex);
	arena_free(arena);
	return result;
}

static char *record_data(const struct words *words, ldns_rr_type type,
    const struct lab_identities *identities, char *error, size_t size)
{
	if (type == LDNS_RR_TYPE_TLSA)
		return tlsa_data(words->rest, identities, error, size);
	if (type == LDNS_RR_TYPE_TXT && strchr(words->rest, '"') == NULL &&
	    words->rest[0] != '\\')
		return mem_print("\"%s\"", words->rest);
	return mem_dup_string(words->rest);
}

/* What the lab makes itself; or null. */
static const char *reserved(const struct served_zone *zone,
    const ldns_rdf *owner, ldns_rr_type type)
{
	if (ldns_dname_compare(owner, zone->apex) == 0 &&
	    (type == LDNS_RR_TYPE_SOA || type == LDNS_RR_TYPE_NS))
		return "SOA and NS of the zone itself are made by the lab";
	if (type == LDNS_RR_TYPE_RRSIG || type == LDNS_RR_TYPE_NSEC ||
	    type == LDNS_RR_TYPE_NSEC3 || type == LDNS_RR_TYPE_NSEC3PARAM)
		return "signatures and denials are made by the lab";
	return NULL;
}

static ldns_rr *read_record(const struct served_zone *zone,
    const struct words *words, const struct lab_identities *identities,
    char *error, size_t size)
{
	ldns_rr_type type = ldns_get_rr_type_by_name(words->type);
	ldns_rdf *owner = read_owner(zone, words->owner);
	char *data, *owner_text, *line;
	ldns_rr *record = NULL;
	ldns_status status;

	if (type == 0 || owner == NULL || reserved(zone, owner, type)) {
		snprintf(error, size, "%s", owner == NULL ?
		    "the owner is no name in this zone" : type == 0 ?
		    "unknown type" : reserved(zone, owner, type));
		ldns_rdf_deep_free(owner);
		return NULL;
	}
	data = record_data(words, type, identities, error, size);
	if (data != NULL) {
		owner_text = ldns_rdf2str(owner);
		line = mem_print("%s %s IN %s %s", owner_text, words->ttl,
		    words->type, data);
		status = ldns_rr_new_frm_str(&record, line, DEFAULT_TTL,
		    zone->apex, NULL);
		if (status != LDNS_STATUS_OK) {
			record = NULL;
			snprintf(error, size, "%s",
			    ldns_get_errorstr_by_id(status));
		}
		LDNS_FREE(owner_text);
		mem_free(line);
		mem_free(data);
	}
	ldns_rdf_deep_free(owner);
	return record;
}

ldns_rr *zone_text_record(struct served_zone *zone, const char *text,
    const struct lab_identities *identities)
{
	struct words words;
	char why[512] = "it is not OWNER [TTL] TYPE DATA";
	ldns_rr *record = NULL;

	if (split(text, &words) == 0)
		record = read_record(zone, &words, identities, why,
		    sizeof(why));
	if (record == NULL)
		served_zone_refuse(zone, "record \"%s\": %s", text, why);
	return record;
}

int zone_text_set(struct served_zone *zone, const char *text,
    ldns_rdf **name, ldns_rr_type *type)
{
	struct words words;

	if (split(text, &words) == 0 && words.rest[0] == '\0') {
		*type = ldns_get_rr_type_by_name(words.type);
		*name = read_owner(zone, words.owner);
		if (*type != 0 && *name != NULL)
			return 0;
		ldns_rdf_deep_free(*name);
	}
	return served_zone_refuse(zone, "\"%s\" is not OWNER TYPE with a name "
	    "in this zone", text);
}

static int read_answer(const char *word, enum lab_dns_answer *answer)
{
	size_t i;

	for (i = 0; i < sizeof(answer_names) / sizeof(answer_names[0]); i++)
		if (strcmp(answer_names[i], word) == 0) {
			*answer = (enum lab_dns_answer)i;
			return 0;
		}
	return -1;
}

int zone_text_lie(struct served_zone *zone, const char *text,
    struct zone_lie *lie)
{
	struct words words;
	const char *owner = words.owner;

	memset(lie, 0, sizeof(*lie));
	if (split(text, &words) == 0 &&
	    read_answer(words.rest, &lie->answer) == 0) {
		if (strcmp(owner, "*") == 0) {
			lie->below = true;
			owner = "@";
		} else if (strncmp(owner, "*.", 2) == 0) {
			lie->below = true;
			owner += 2;
		}
		lie->type = ldns_get_rr_type_by_name(words.type);
		lie->name = read_owner(zone, owner);
		if (lie->type != 0 && lie->name != NULL)
			return 0;
		ldns_rdf_deep_free(lie->name);
	}
	return served_zone_refuse(zone, "\"%s\" is not OWNER TYPE ANSWER with "
	    "a name in this zone and one of true, servfail, refused, formerr, "
	    "notimp, nxdomain, nodata, silence, truncated", text);
}
