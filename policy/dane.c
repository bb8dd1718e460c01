/* SPDX-License-Identifier: ISC */
/*
 * See dane.h. Whether data is DER is asked of OpenSSL, whose own reader will
 * see it again when it is matched (RFC 7671 9: the malformed go first).
 */
#include "policy/dane.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/digest.h"

enum { HEAD_BYTES = 3, SELECTOR_CERTIFICATE = 0, SELECTOR_KEY = 1,
    MATCHING_FULL = 0, MATCHING_SHA256 = 1, MATCHING_SHA512 = 2,
    SHA256_BYTES = 32, SHA512_BYTES = 64, DATA_MAX = UINT16_MAX };

void dane_read(const uint8_t *rdata, size_t length, struct dane_record *record)
{
	memset(record, 0, sizeof(*record));
	record->whole = length >= HEAD_BYTES;
	if (length > 0)
		record->usage = rdata[0];
	if (length > 1)
		record->selector = rdata[1];
	if (!record->whole)
		return;
	record->matching = rdata[2];
	record->data = rdata + HEAD_BYTES;
	record->length = length - HEAD_BYTES;
}

/* Nothing may follow the certificate, and its key must be one we can read. */
static bool is_certificate(const uint8_t *data, size_t length)
{
	const unsigned char *end = data;
	X509 *certificate = d2i_X509(NULL, &end, (long)length);
	bool right = certificate != NULL && end == data + length &&
	    X509_get0_pubkey(certificate) != NULL;

	X509_free(certificate);
	ERR_clear_error();
	return right;
}

static bool is_key(const uint8_t *data, size_t length)
{
	const unsigned char *end = data;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &end, (long)length);
	bool right = key != NULL && end == data + length;

	EVP_PKEY_free(key);
	ERR_clear_error();
	return right;
}

static bool check_digest(const struct dane_record *record, size_t wanted,
    char *why, size_t size)
{
	if (record->length == wanted)
		return true;
	snprintf(why, size, "its digest has %zu octets, not %zu",
	    record->length, wanted);
	return false;
}

static bool check_full(const struct dane_record *record, char *why,
    size_t size)
{
	bool key = record->selector == SELECTOR_KEY;

	/* OpenSSL takes no data for a shortage of memory. */
	if (record->length == 0 || record->length > DATA_MAX ||
	    !(key ? is_key : is_certificate)(record->data, record->length)) {
		snprintf(why, size, "its data is no %s", key ? "public key" :
		    "certificate");
		return false;
	}
	return true;
}

static bool check_data(const struct dane_record *record, char *why,
    size_t size)
{
	switch (record->matching) {
	case MATCHING_FULL:
		return check_full(record, why, size);
	case MATCHING_SHA256:
		return check_digest(record, SHA256_BYTES, why, size);
	case MATCHING_SHA512:
		return check_digest(record, SHA512_BYTES, why, size);
	default:
		snprintf(why, size, "matching type %u is unknown",
		    record->matching);
		return false;
	}
}

bool dane_is_usable(const struct dane_record *record, char *why, size_t size)
{
	char nowhere[1];

	if (why == NULL) {
		why = nowhere;
		size = sizeof(nowhere);
	}
	if (!record->whole) {
		snprintf(why, size, "it is too short to be a TLSA record");
		return false;
	}
	if (record->usage < DANE_USAGE_TA) {	/* RFC 7672 3.1.3 */
		snprintf(why, size, "usage %u is not for SMTP", record->usage);
		return false;
	}
	if (record->usage > DANE_USAGE_EE) {
		snprintf(why, size, "usage %u is unknown", record->usage);
		return false;
	}
	if (record->selector > SELECTOR_KEY) {
		snprintf(why, size, "selector %u is unknown",
		    record->selector);
		return false;
	}
	return check_data(record, why, size);
}

void dane_format(const struct dane_record *record, char *out, size_t size)
{
	enum { SHOWN = (DANE_TEXT_MAX - sizeof("255 255 255 ...")) / 2 };
	char hex[2 * SHOWN + 1];
	size_t shown = record->length < SHOWN ? record->length : SHOWN;

	if (!record->whole) {
		snprintf(out, size, "(less than three octets)");
		return;
	}
	hex[0] = '\0';
	if (shown > 0)
		hex_format(record->data, shown, hex, sizeof(hex));
	snprintf(out, size, "%u %u %u %s%s", record->usage, record->selector,
	    record->matching, hex, shown < record->length ? "..." : "");
}
