/* SPDX-License-Identifier: ISC */
/*
 * A connection of the programs here, in clear or under TLS, that never waits.
 * It leans on nothing of the server that is measured. The caller owns the
 * struct; wire_close() releases what is in it.
 */
#ifndef POSTERN_TESTS_BENCH_THROUGHPUT_WIRE_H
#define POSTERN_TESTS_BENCH_THROUGHPUT_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WIRE_AGAIN = -1, WIRE_BROKEN = -2 };

struct wire {
	int	 fd;		/* -1: closed */
	SSL	*ssl;		/* owned; null: in clear */
	bool	 wants_write;	/* what TLS waits for behind WIRE_AGAIN */
};

void	 wire_init(struct wire *wire, int fd);

/* The handshake begins; context is counted. 0, or -1 without memory. */
int	 wire_secure(struct wire *wire, SSL_CTX *context, bool is_server);

/* 1: done; WIRE_AGAIN; WIRE_BROKEN. */
int	 wire_handshake(struct wire *wire);

/* Bytes; 0: the other side has ended it; WIRE_AGAIN; WIRE_BROKEN. What is
 * left to be written may lie elsewhere the next time, but is the same. */
ssize_t	 wire_read(struct wire *wire, void *bytes, size_t size);
ssize_t	 wire_write(struct wire *wire, const void *bytes, size_t size);

/* No close_notify: the dialogue has told the end. The session may be resumed. */
void	 wire_close(struct wire *wire);

/* What broke, in static memory. */
const char *wire_error(void);

#endif
