/* SPDX-License-Identifier: ISC */
/*
 * See tls_pair.h.
 */
#include "tests/unit/tls_pair.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/tls_session.h"

void pair_join(struct ssl_st *one, struct ssl_st *other)
{
	BIO *one_end, *other_end;

	assert_int_equal(BIO_new_bio_pair(&one_end, 0, &other_end, 0), 1);
	SSL_set_bio(one, one_end, one_end);
	SSL_set_bio(other, other_end, other_end);
}

bool pair_move(struct ssl_st *ssl, bool *done)
{
	int result;

	if (*done)
		return true;
	ERR_clear_error();
	result = SSL_do_handshake(ssl);
	*done = result == 1;
	if (result == 1)
		return true;
	result = SSL_get_error(ssl, result);
	return result == SSL_ERROR_WANT_READ || result == SSL_ERROR_WANT_WRITE;
}

const char *pair_handshake(struct ssl_st *client, struct ssl_st *server)
{
	static char words[128];
	bool client_done = false, server_done = false;
	int turns;

	for (turns = 0; turns < 100; turns++) {
		if (!pair_move(client, &client_done) ||
		    !pair_move(server, &server_done)) {
			tls_describe_error(words, sizeof words, "?");
			return words;
		}
		if (client_done && server_done)
			return NULL;
	}
	fail_msg("the handshake does not end");
	return NULL;
}
