/* SPDX-License-Identifier: ISC */
/*
 * Two OpenSSL sessions that meet in memory, for tests of base/tls*.c.
 */
#ifndef POSTERN_TESTS_UNIT_TLS_PAIR_H
#define POSTERN_TESTS_UNIT_TLS_PAIR_H

#include <stdbool.h>

struct ssl_st;

/* Connects one with the other by a BIO pair. */
void		 pair_join(struct ssl_st *one, struct ssl_st *other);
/* One move; true while it may go on. */
bool		 pair_move(struct ssl_st *ssl, bool *done);
/* Null when both are done, or the words of the side that failed first. */
const char	*pair_handshake(struct ssl_st *client, struct ssl_st *server);

#endif
