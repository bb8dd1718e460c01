/* SPDX-License-Identifier: ISC */
/*
 * The table of TLS symptoms; one row is the whole truth about one of them.
 */
#include "delivery/symptom.h"

#include <stddef.h>

enum symptom_kind { KIND_OTHER, KIND_MISSING, KIND_BROKEN };

enum { STAYS = true, PASSES = false };

static const struct row {
	const char		*name;
	const char		*text;
	enum status_reason	 reason;
	const char		*enhanced;
	enum symptom_kind	 kind;
	bool			 lasting;
	enum tls_result		 result;
} rows[SYMPTOMS] = {
	[SYMPTOM_NONE] = { "none", "nothing wrong", REASON_NONE, "4.7.0",
	    KIND_OTHER, PASSES, RESULT_SUCCESS },
	[SYMPTOM_ABSENT] = { "starttls-absent", "STARTTLS is not offered",
	    REASON_NO_STARTTLS, "4.7.10", KIND_MISSING, STAYS,
	    RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_MANGLED] = { "starttls-mangled",
	    "another word stands where STARTTLS may have been",
	    REASON_NO_STARTTLS, "4.7.10", KIND_MISSING, STAYS,
	    RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_NO_EHLO] = { "ehlo-refused",
	    "EHLO was refused, so STARTTLS cannot be offered",
	    REASON_NO_STARTTLS, "4.7.10", KIND_MISSING, STAYS,
	    RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_REFUSED] = { "starttls-refused", "STARTTLS was refused",
	    REASON_STARTTLS_REFUSED, "4.7.10", KIND_BROKEN, STAYS,
	    RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_REFUSED_FOR_NOW] = { "starttls-unavailable",
	    "STARTTLS was refused for now", REASON_STARTTLS_REFUSED, "4.7.10",
	    KIND_BROKEN, PASSES, RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_CLOSING] = { "starttls-closing",
	    "the server closed instead of answering STARTTLS",
	    REASON_STARTTLS_REFUSED, "4.7.10", KIND_OTHER, PASSES,
	    RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_ODD_ANSWER] = { "starttls-odd-answer",
	    "an answer to STARTTLS that means nothing there",
	    REASON_STARTTLS_REFUSED, "4.7.10", KIND_BROKEN, STAYS,
	    RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_CUT] = { "starttls-cut",
	    "no answer to STARTTLS", REASON_STARTTLS_REFUSED, "4.7.10",
	    KIND_BROKEN, PASSES, RESULT_STARTTLS_NOT_SUPPORTED },
	[SYMPTOM_INJECTION] = { "starttls-injection",
	    "bytes in clear followed the answer to STARTTLS",
	    REASON_TLS_HANDSHAKE, "4.7.5", KIND_OTHER, PASSES,
	    RESULT_VALIDATION_FAILURE },
	[SYMPTOM_HANDSHAKE] = { "handshake-failed",
	    "the TLS handshake failed", REASON_TLS_HANDSHAKE, "4.7.5",
	    KIND_BROKEN, STAYS, RESULT_VALIDATION_FAILURE },
	[SYMPTOM_STALLED] = { "handshake-stalled",
	    "the TLS handshake did not end in time", REASON_TLS_HANDSHAKE,
	    "4.7.5", KIND_BROKEN, PASSES, RESULT_VALIDATION_FAILURE },
	[SYMPTOM_OLD_TLS] = { "tls-too-old",
	    "the TLS version is older than 1.2", REASON_TLS_HANDSHAKE,
	    "4.7.5", KIND_BROKEN, STAYS, RESULT_VALIDATION_FAILURE },
	[SYMPTOM_CERTIFICATE] = { "certificate",
	    "the certificate is not the one expected", REASON_CERTIFICATE,
	    "4.7.5", KIND_OTHER, STAYS, RESULT_VALIDATION_FAILURE },
	[SYMPTOM_NO_REQUIRETLS] = { "requiretls-absent",
	    "REQUIRETLS is not offered under TLS", REASON_REQUIRETLS,
	    "4.7.30", KIND_OTHER, STAYS, RESULT_SUCCESS },
};

const char *symptom_name(enum symptom symptom)
{
	return rows[symptom].name;
}

const char *symptom_text(enum symptom symptom)
{
	return rows[symptom].text;
}

enum status_reason symptom_reason(enum symptom symptom,
    enum plan_source source)
{
	if (symptom != SYMPTOM_CERTIFICATE)
		return rows[symptom].reason;
	switch (source) {
	case SOURCE_DANE:
	case SOURCE_HALF_DANE: return REASON_DANE_MISMATCH;
	case SOURCE_STS: return REASON_STS_CERTIFICATE;
	default: return REASON_CERTIFICATE;
	}
}

const char *symptom_enhanced(enum symptom symptom)
{
	return rows[symptom].enhanced;
}

bool symptom_is_missing(enum symptom symptom)
{
	return rows[symptom].kind == KIND_MISSING;
}

bool symptom_is_broken(enum symptom symptom)
{
	return rows[symptom].kind == KIND_BROKEN;
}

bool symptom_is_lasting(enum symptom symptom)
{
	return rows[symptom].lasting;
}

enum tls_result symptom_result(enum symptom symptom)
{
	return rows[symptom].result;
}
