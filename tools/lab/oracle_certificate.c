/* SPDX-License-Identifier: ISC */
/*
 * What a certificate and its chain prove, derived from what they are. Places
 * in a chain are numbered: 0 the leaf, then its issuers up to the root, which
 * is number intermediates + 1; of one that signed itself, leaf and root are
 * both 0.
 */
#include "tools/lab/oracle_private.h"

#include <string.h>
#include <strings.h>

bool sender_chooses(struct sender *sender, enum lab_choice choice)
{
	sender->asked |= 1u << choice;
	return (sender->choices & 1u << choice) != 0;
}

/* --- names --- */

bool lab_oracle_name_fits(const char *pattern, const char *name)
{
	const char *rest;

	if (strncmp(pattern, "*.", 2) != 0)
		return strchr(pattern, '*') == NULL &&
		    strcasecmp(pattern, name) == 0;
	rest = strchr(name, '.');
	return rest != NULL && rest != name &&
	    strchr(pattern + 1, '*') == NULL &&
	    strcasecmp(pattern + 1, rest) == 0;
}

static bool has_dns_name(const struct lab_certificate *certificate,
    const char *name)
{
	for (size_t i = 0; i < certificate->names.count; i++)
		if (lab_oracle_name_fits(certificate->names.items[i], name))
			return true;
	return false;
}

/* Looked at only where there is no DNS name at all: RFC 7672 3.2.3. */
static bool has_common_name(const struct lab_certificate *certificate,
    const char *name)
{
	return certificate->names.count == 0 &&
	    lab_oracle_name_fits(*certificate->common_name != '\0' ?
	    certificate->common_name : certificate->name, name);
}

static bool has_any_name(const struct proof *proof, struct sender *sender)
{
	for (size_t i = 0; i < proof->name_count; i++)
		if (has_dns_name(proof->shown, proof->names[i]))
			return true;
	for (size_t i = 0; i < proof->name_count; i++)
		if (has_common_name(proof->shown, proof->names[i]))
			return sender_chooses(sender,
			    LAB_CHOICE_COMMON_NAME);
	return false;
}

/* --- the chain --- */

static bool signed_itself(const struct lab_certificate *certificate)
{
	return certificate->issuer == LAB_ISSUER_SELF;
}

static int root_place(const struct lab_certificate *certificate)
{
	return signed_itself(certificate) ? 0 :
	    (int)certificate->intermediates + 1;
}

static bool is_shown(const struct lab_certificate *certificate, int place)
{
	bool root = place == root_place(certificate);

	if (place == 0)
		return true;
	switch (certificate->chain) {
	case LAB_CHAIN_LEAF:
		return false;
	case LAB_CHAIN_NO_ROOT:
		return !root;
	case LAB_CHAIN_GAP:
		return place != 1 &&
		    (!root || certificate->issuer == LAB_ISSUER_PRIVATE);
	default:
		return !root || certificate->issuer == LAB_ISSUER_PRIVATE;
	}
}

/* RFC 5280 6.1.3, 6.1.4: everything below the anchor, which is given. */
static bool path_is_valid(const struct lab_certificate *certificate,
    int anchor)
{
	if (certificate->validity != LAB_VALID ||
	    certificate->usage == LAB_USAGE_CLIENT)
		return false;
	for (int place = 1; place < anchor; place++)
		if (!is_shown(certificate, place))
			return false;
	return anchor < 2 || (certificate->issuer_validity == LAB_VALID &&
	    certificate->issuer_authority);
}

bool certificate_is_weak(const struct lab_certificate *certificate)
{
	return certificate->key == LAB_KEY_RSA1024 ||
	    certificate->digest != LAB_DIGEST_SHA256;
}

bool public_proof(const struct lab_certificate *shown, const char *name)
{
	return shown->issuer == LAB_ISSUER_CA &&
	    path_is_valid(shown, root_place(shown)) &&
	    has_dns_name(shown, name);
}

/* --- records --- */

bool record_is_usable(const struct lab_tlsa_fact *record,
    struct sender *sender)
{
	if (record->malformed || record->selector < 0 ||
	    record->selector > 1 || record->matching < 0 ||
	    record->matching > 2)
		return false;
	if (record->usage == 0 || record->usage == 1)
		return sender_chooses(sender, LAB_CHOICE_PKIX_USAGES);
	return record->usage == 2 || record->usage == 3;
}

static bool is_of_authority(const struct lab_tlsa_fact *record)
{
	return record->usage == 0 || record->usage == 2;
}

/* Roots sign with MD5 by another key, when they sign a leaf at all. */
static bool have_same_root(const struct lab_certificate *one,
    const struct lab_certificate *other)
{
	return one == other || (one->issuer == other->issuer &&
	    (one->digest == LAB_DIGEST_MD5 && one->intermediates == 0) ==
	    (other->digest == LAB_DIGEST_MD5 && other->intermediates == 0));
}

/* Where in the chain of `shown` the record's certificate is; -1 nowhere. */
static int place_of(const struct lab_tlsa_fact *record,
    const struct lab_certificate *shown)
{
	enum lab_tlsa_of part = record->part;

	if (part == LAB_TLSA_BY_USAGE)
		part = is_of_authority(record) ? LAB_TLSA_ROOT : LAB_TLSA_LEAF;
	if (part == LAB_TLSA_ISSUER && record->of->intermediates == 0)
		part = LAB_TLSA_ROOT;
	if (part == LAB_TLSA_ROOT && !signed_itself(shown))
		return have_same_root(record->of, shown) ?
		    root_place(shown) : -1;
	if (record->of != shown)
		return -1;
	return part == LAB_TLSA_ISSUER ? 1 : 0;
}

/* Can the client know the anchor at this place? RFC 7671 5.2.2, 5.2.3. */
static bool anchor_is_known(const struct lab_tlsa_fact *record,
    const struct lab_certificate *shown, int place, struct sender *sender)
{
	if (is_shown(shown, place) ||
	    (record->matching == 0 && record->selector == 0))
		return true;
	if (record->matching == 0)
		return !sender_chooses(sender, LAB_CHOICE_NO_BARE_KEY);
	return place == root_place(shown) && shown->issuer == LAB_ISSUER_CA &&
	    sender_chooses(sender, LAB_CHOICE_KNOWN_ROOT);
}

static bool authority_fits(const struct lab_tlsa_fact *record, int place,
    const struct proof *proof, struct sender *sender)
{
	const struct lab_certificate *shown = proof->shown;

	/* RFC 5280 6.1: the anchor is no part of the path. */
	if (place == 0 && !(signed_itself(shown) && sender_chooses(sender,
	    LAB_CHOICE_LEAF_AUTHORITY)))
		return false;
	if (!path_is_valid(shown, place) ||
	    !anchor_is_known(record, shown, place, sender))
		return false;
	if (place == 1 && shown->intermediates > 0 &&
	    (shown->issuer_validity != LAB_VALID || !shown->issuer_authority)
	    && !sender_chooses(sender, LAB_CHOICE_LAX_AUTHORITY))
		return false;
	return has_any_name(proof, sender);
}

static bool record_fits(const struct lab_tlsa_fact *record,
    const struct proof *proof, struct sender *sender)
{
	int place = place_of(record, proof->shown);

	if (place == -1)
		return false;
	/* RFC 6698 2.1.1: these two demand a public path as well. */
	if (record->usage < 2 && !public_proof(proof->shown, proof->names[0]))
		return false;
	if (is_of_authority(record))
		return record->usage == 0 || authority_fits(record, place,
		    proof, sender);
	return place == 0;	/* names and dates do not count: RFC 7672
				 * 3.1.1 */
}

/* RFC 7671 9: another usable record of the same usage and selector has a
 * stronger digest; full copies stand beside all of them. */
static bool is_outdone(const struct lab_tlsa_facts *records, size_t which,
    struct sender *sender)
{
	const struct lab_tlsa_fact *record = &records->records[which];

	for (size_t i = 0; i < records->count; i++) {
		const struct lab_tlsa_fact *other = &records->records[i];

		if (other->usage == record->usage &&
		    other->selector == record->selector &&
		    record->matching != 0 &&
		    other->matching > record->matching &&
		    record_is_usable(other, sender))
			return true;
	}
	return false;
}

bool records_fit(const struct lab_tlsa_facts *records,
    const struct proof *proof, struct sender *sender)
{
	for (size_t i = 0; i < records->count; i++)
		if (record_is_usable(&records->records[i], sender) &&
		    !is_outdone(records, i, sender) &&
		    record_fits(&records->records[i], proof, sender))
			return true;
	return false;
}
