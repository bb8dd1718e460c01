/* SPDX-License-Identifier: ISC */
/*
 * What became of one attempted session, in the words of TLS reports (RFC 8460
 * 4.3): delivery says it, policy counts it. Only names that IANA knows.
 */
#ifndef POSTERN_POLICY_TLS_RESULT_H
#define POSTERN_POLICY_TLS_RESULT_H

enum tls_result {
	RESULT_SUCCESS,			/* what the policy asks was shown */
	RESULT_STARTTLS_NOT_SUPPORTED,	/* not offered, or refused: RPT-35 */
	RESULT_CERTIFICATE_HOST_MISMATCH,	/* RPT-36 */
	RESULT_CERTIFICATE_EXPIRED,	/* RPT-37 */
	RESULT_CERTIFICATE_NOT_TRUSTED,	/* RPT-38 */
	RESULT_VALIDATION_FAILURE,	/* anything else: RPT-39, RPT-47 */
	RESULT_TLSA_INVALID,		/* RPT-40 */
	RESULT_DNSSEC_INVALID,		/* RPT-41 */
	RESULT_DANE_REQUIRED,		/* RPT-42 */
	RESULT_STS_POLICY_FETCH_ERROR,	/* RPT-43 */
	RESULT_STS_POLICY_INVALID,	/* RPT-44 */
	RESULT_STS_WEBPKI_INVALID,	/* RPT-45 */
	TLS_RESULTS
};

/* "starttls-not-supported"; "success" is our own word. */
const char	*tls_result_name(enum tls_result result);

#endif
