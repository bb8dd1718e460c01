/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as the RDATA of a TLSA record. What we call usable OpenSSL must
 * take for its match, and what we do not it must refuse, but for the usages
 * that only SMTP refuses: else a host would be authenticated by nothing, or
 * by less than was published.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "policy/dane.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static SSL_CTX *context;

static bool openssl_takes(const struct dane_record *record)
{
	SSL *ssl = SSL_new(context);
	bool takes;

	if (ssl == NULL || SSL_dane_enable(ssl, "mx.example") != 1)
		__builtin_trap();
	takes = SSL_dane_tlsa_add(ssl, record->usage, record->selector,
	    record->matching, record->data, record->length) == 1;
	SSL_free(ssl);
	ERR_clear_error();
	return takes;
}

static void check_text(const struct dane_record *record)
{
	char text[DANE_TEXT_MAX], small[5];

	memset(text, 'x', sizeof(text));
	dane_format(record, text, sizeof(text));
	if (memchr(text, '\0', sizeof(text)) == NULL)
		__builtin_trap();
	dane_format(record, small, sizeof(small));
	if (strncmp(small, text, sizeof(small) - 1) != 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dane_record record;
	char why[64] = "";
	bool usable;

	if (context == NULL) {
		context = SSL_CTX_new(TLS_client_method());
		if (context == NULL || SSL_CTX_dane_enable(context) != 1)
			__builtin_trap();
	}
	dane_read(data, size, &record);
	check_text(&record);
	usable = dane_is_usable(&record, why, sizeof(why));
	if (usable != (why[0] == '\0') || ERR_peek_error() != 0)
		__builtin_trap();
	if (!record.whole || record.length == 0 ||
	    record.usage < DANE_USAGE_TA) {
		if (usable)
			__builtin_trap();
	} else if (usable != openssl_takes(&record)) {
		__builtin_trap();
	}
	return 0;
}
