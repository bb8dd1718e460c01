/* SPDX-License-Identifier: ISC */
/*
 * The table of TLS symptoms; one row is the whole truth about one of them.
 */
#include "delivery/symptom.h"

#include <stddef.h>

enum symptom_kind { KIND_OTHER, KIND_MISSING, KIND_BROKEN };

static const struct row {
	const char		*name;
	const char		*text;
	enum status_reason	 reason;
	const char		*enhanced;
	enum symptom_kind	 kind;
} rows[SYMPTOMS] = {
	[SYMPTOM_NONE] = { "none", "nothing wrong", REASON_NONE, "4.7.0",
	    KIND_OTHER },
	[SYMPTOM_ABSENT] = { "starttls-absent", "STARTTLS is not offered",
	    REASON_NO_STARTTLS, "4.7.10", KIND_MISSING },
	[SYMPTOM_MANGLED] = { "starttls-mangled",
	    "another word stands where STARTTLS may have been",
	    REASON_NO_STARTTLS, "4.7.10", KIND_MISSING },
	[SYMPTOM_NO_EHLO] = { "ehlo-refused",
	    "EHLO was refused, so STARTTLS cannot be offered",
	    REASON_NO_STARTTLS, "4.7.10", KIND_MISSING },
	[SYMPTOM_REFUSED] = { "starttls-refused", "STARTTLS was refused",
	    REASON_STARTTLS_REFUSED, "4.7.10", KIND_BROKEN },
	[SYMPTOM_REFUSED_FOR_NOW] = { "starttls-unavailable",
	    "STARTTLS was refused for now", REASON_STARTTLS_REFUSED, "4.7.10",
	    KIND_BROKEN },
	[SYMPTOM_CLOSING] = { "starttls-closing",
	    "the server closed instead of answering STARTTLS",
	    REASON_STARTTLS_REFUSED, "4.7.10", KIND_OTHER },
	[SYMPTOM_ODD_ANSWER] = { "starttls-odd-answer",
	    "an answer to STARTTLS that means nothing there",
	    REASON_STARTTLS_REFUSED, "4.7.10", KIND_BROKEN },
	[SYMPTOM_CUT] = { "starttls-cut",
	    "no answer to STARTTLS", REASON_STARTTLS_REFUSED, "4.7.10",
	    KIND_BROKEN },
	[SYMPTOM_INJECTION] = { "starttls-injection",
	    "bytes in clear followed the answer to STARTTLS",
	    REASON_TLS_HANDSHAKE, "4.7.5", KIND_OTHER },
	[SYMPTOM_HANDSHAKE] = { "handshake-failed",
	    "the TLS handshake failed", REASON_TLS_HANDSHAKE, "4.7.5",
	    KIND_BROKEN },
	[SYMPTOM_STALLED] = { "handshake-stalled",
	    "the TLS handshake did not end in time", REASON_TLS_HANDSHAKE,
	    "4.7.5", KIND_BROKEN },
	[SYMPTOM_OLD_TLS] = { "tls-too-old",
	    "the TLS version is older than 1.2", REASON_TLS_HANDSHAKE,
	    "4.7.5", KIND_BROKEN },
	[SYMPTOM_CERTIFICATE] = { "certificate",
	    "the certificate is not the one expected", REASON_CERTIFICATE,
	    "4.7.5", KIND_OTHER },
};

const char *symptom_name(enum symptom symptom)
{
	return rows[symptom].name;
}

const char *symptom_text(enum symptom symptom)
{
	return rows[symptom].text;
}

enum status_reason symptom_reason(enum symptom symptom)
{
	return rows[symptom].reason;
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
