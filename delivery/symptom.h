/* SPDX-License-Identifier: ISC */
/*
 * The ways in which a host does not show TLS (standards TLS-28, TLS-55 to
 * TLS-62), as one list: for the log, for the reason in a status, for reports
 * (RFC 8460 4.3), and for the question which fallback option rules an
 * opportunistic host. All of them are failures of the host, never of the
 * message; only REQUIRETLS makes some of them the message's (RFC 8689 4.2.1).
 */
#ifndef POSTERN_DELIVERY_SYMPTOM_H
#define POSTERN_DELIVERY_SYMPTOM_H

#include <stdbool.h>

#include "base/status.h"
#include "policy/plan.h"
#include "policy/tls_result.h"

enum symptom {
	SYMPTOM_NONE,
	SYMPTOM_ABSENT,			/* no STARTTLS offered: TLS-55 */
	SYMPTOM_MANGLED,		/* TLS-56 */
	SYMPTOM_NO_EHLO,		/* EHLO refused: TLS-57 */
	SYMPTOM_REFUSED,		/* 5xx to STARTTLS: TLS-58 */
	SYMPTOM_REFUSED_FOR_NOW,	/* 4xx to STARTTLS: TLS-59 */
	SYMPTOM_CLOSING,		/* 421 to STARTTLS: N-05 */
	SYMPTOM_ODD_ANSWER,		/* 2xx or 3xx but not 220: N-07 */
	SYMPTOM_CUT,			/* lost or stalled after it: TLS-61 */
	SYMPTOM_INJECTION,		/* bytes behind the 220: TLS-28 */
	SYMPTOM_HANDSHAKE,		/* garbage, alert: TLS-60, TLS-62 */
	SYMPTOM_STALLED,		/* handshake timeout: TLS-62 */
	SYMPTOM_OLD_TLS,		/* older than 1.2 */
	SYMPTOM_CERTIFICATE,		/* not what the plan asks for */
	SYMPTOM_NO_REQUIRETLS,		/* not offered under TLS: REQ-37 */
	SYMPTOMS
};

/* "starttls-absent": for the log and for counting. */
const char	*symptom_name(enum symptom symptom);
/* What was seen, as part of a sentence. */
const char	*symptom_text(enum symptom symptom);
/* source is who asks for what was not shown. */
enum status_reason	 symptom_reason(enum symptom symptom,
			    enum plan_source source);
/* An enhanced code of class 4. */
const char	*symptom_enhanced(enum symptom symptom);
/* TLS was not there to be had: the option no-starttls rules. */
bool	 symptom_is_missing(enum symptom symptom);
/* TLS was begun and broke: the option broken-tls rules. Not for injection:
 * that is an attack, and no reason to speak in clear. Not for 421 either: a
 * server that goes away says nothing about TLS. */
bool	 symptom_is_broken(enum symptom symptom);
/* It will be so the next time, as far as anybody can tell (REQ-45). */
bool	 symptom_is_lasting(enum symptom symptom);
/* What a report calls it: RPT-35, RPT-39. Of SYMPTOM_CERTIFICATE only that
 * something is wrong: the certificate's verdict says what. */
enum tls_result	 symptom_result(enum symptom symptom);

#endif
