/* SPDX-License-Identifier: ISC */
/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), both sides, with
 * the channel binding tls-exporter (RFC 9266). Messages come and go as they
 * are inside base64; nothing here waits, and nothing is kept that wiping does
 * not reach. Names and passwords are taken as the UTF-8 that they are: see
 * scram_prepare().
 */
#ifndef POSTERN_BASE_SCRAM_H
#define POSTERN_BASE_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct buf;

enum {
	SCRAM_SALT_MAX = 64,
	SCRAM_NAME_MAX = 320,		/* bytes */
	SCRAM_PASSWORD_MAX = 1024,
	SCRAM_MESSAGE_MAX = 2048,	/* what either side may say at once */
	SCRAM_NONCE_MAX = 256,		/* of one side */
	SCRAM_BINDING_MAX = 64,
	SCRAM_ITERATIONS_MIN = 4096,	/* RFC 7677 4 */
	/* A server chooses what it costs its clients; this many take a good
	 * part of a second. */
	SCRAM_ITERATIONS_MAX = 1000000
};

/* What a server keeps of a password. */
struct scram_secret {
	uint8_t		 salt[SCRAM_SALT_MAX];
	size_t		 salt_length;
	uint32_t	 iterations;
	uint8_t		 stored_key[DIGEST_BYTES];
	uint8_t		 server_key[DIGEST_BYTES];
};

/* What the client says about channel binding in its first message. */
enum scram_binding {
	SCRAM_BINDING_NONE,	/* "n": it cannot */
	SCRAM_BINDING_UNOFFERED, /* "y": it could, the server shows no -PLUS */
	SCRAM_BINDING_USED	/* "p=tls-exporter": this is -PLUS */
};

enum scram_result {
	SCRAM_OK,
	SCRAM_MALFORMED,	/* not a message of RFC 5802 7 */
	SCRAM_REFUSED		/* well-formed, and wrong: password, binding,
				 * nonce, or a server without the password */
};

/*
 * A password or name as it goes into the computation. RFC 4013 for ASCII; of
 * what is beyond, only the characters of table C.1.2 (spaces) become a space
 * and those of B.1 go; no further normalisation is done. out holds what came
 * in, at least. -1: empty, too long, control characters, or no UTF-8.
 */
int	 scram_prepare(char *out, size_t size, const char *text);

/* Slow, by the iterations. -1 where scram_prepare() is. */
int	 scram_secret_make(struct scram_secret *secret, const char *password,
	    const void *salt, size_t salt_length, uint32_t iterations);

/* --- the client --- */

struct scram_client;

/* Null when name or password cannot be prepared. binding is for
 * SCRAM_BINDING_USED only. Copies everything. */
struct scram_client	*scram_client_new(const char *user,
			    const char *password, enum scram_binding how,
			    const void *binding, size_t binding_length);
/* Wipes. Null is allowed. */
void			 scram_client_free(struct scram_client *client);
/* For tests: instead of a random one; without "," and not empty. */
void			 scram_client_set_nonce(struct scram_client *client,
			    const char *nonce);
/* The three steps, in this order, once each; out gets the next message. */
void			 scram_client_first(struct scram_client *client,
			    struct buf *out);
/* Slow, by the server's iterations: up to SCRAM_ITERATIONS_MAX. */
enum scram_result	 scram_client_final(struct scram_client *client,
			    const void *challenge, size_t length,
			    struct buf *out);
/* SCRAM_OK: the server has our password, too. */
enum scram_result	 scram_client_verify(const struct scram_client *client,
			    const void *message, size_t length);

/* --- the server --- */

struct scram_server;

/* bound: the mechanism is -PLUS, and binding what the session has. offered:
 * -PLUS was shown, so a client that says it was not was lied to. */
struct scram_server	*scram_server_new(bool bound, bool offered,
			    const void *binding, size_t binding_length);
/* Wipes. Null is allowed. */
void			 scram_server_free(struct scram_server *server);
void			 scram_server_set_nonce(struct scram_server *server,
			    const char *nonce);
/* The client's first message. */
enum scram_result	 scram_server_first(struct scram_server *server,
			    const void *message, size_t length);
/* Whose password it is about: the name as it was said, and the name to act
 * for ("" when it is the same). Borrowed; after scram_server_first(). */
const char		*scram_server_user(const struct scram_server *server);
const char		*scram_server_acts_for(
			    const struct scram_server *server);
/* The challenge for the secret, which is copied. */
void			 scram_server_challenge(struct scram_server *server,
			    const struct scram_secret *secret,
			    struct buf *out);
/* The client's proof; on SCRAM_OK out gets ours. Takes the same time whether
 * the proof is right or not. */
enum scram_result	 scram_server_final(struct scram_server *server,
			    const void *message, size_t length,
			    struct buf *out);

#endif
