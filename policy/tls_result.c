/* SPDX-License-Identifier: ISC */
/*
 * The names of results, as they stand in reports and in the outcomes.
 */
#include "policy/tls_result.h"

#include "base/log.h"

const char *tls_result_name(enum tls_result result)
{
	static const char *const names[TLS_RESULTS] = {
		[RESULT_SUCCESS] = "success",
		[RESULT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[RESULT_CERTIFICATE_HOST_MISMATCH] =
		    "certificate-host-mismatch",
		[RESULT_CERTIFICATE_EXPIRED] = "certificate-expired",
		[RESULT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
		[RESULT_VALIDATION_FAILURE] = "validation-failure",
		[RESULT_TLSA_INVALID] = "tlsa-invalid",
		[RESULT_DNSSEC_INVALID] = "dnssec-invalid",
		[RESULT_DANE_REQUIRED] = "dane-required",
		[RESULT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
		[RESULT_STS_POLICY_INVALID] = "sts-policy-invalid",
		[RESULT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
	};

	if (result >= TLS_RESULTS)
		bug("a TLS result without a name");
	return names[result];
}
