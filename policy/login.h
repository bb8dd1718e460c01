/* SPDX-License-Identifier: ISC */
/*
 * Logins in the directory: exchanges of SASL under way, each named by a
 * channel and a number on it; accounts, or Dovecot's server; pauses for who
 * guesses. What cannot be known from outside: whether a user exists, is
 * disabled, or gave a wrong password. The answer is the same, and so is what
 * is computed for it.
 */
#ifndef POSTERN_POLICY_LOGIN_H
#define POSTERN_POLICY_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/directory_message.h"

struct accounts;
struct bundle;
struct channel;
struct channel_message;
struct conf;
struct expander;
struct logins;

/* What smtpd may send about logins; for the role's table of rules. */
#define LOGIN_CHANNEL_RULES \
	{ .type = DIRECTORY_LOGIN, .max = DIRECTORY_LOGIN_MAX }, \
	{ .type = DIRECTORY_LOGIN_MORE, .max = DIRECTORY_LOGIN_MAX }, \
	{ .type = DIRECTORY_LOGIN_CANCEL, .max = 0 }, \
	{ .type = DIRECTORY_OWNS, .max = DIRECTORY_LOGIN_MAX }

/* Exchanges at a time, and how long one may take in all. */
enum { LOGINS_MAX = 20000, LOGIN_EXCHANGE_MS = 15 * 60 * 1000 };

/* The accounts file that came with a configuration; none if there is none.
 * Null with "FILE:LINE: what is wrong" in error. */
struct accounts	*logins_read(const struct conf *conf,
		    const struct bundle *bundle, char *error, size_t size);

struct logins	*logins_new(void);
void		 logins_free(struct logins *logins);
/* Takes accounts; conf and expander outlive it, or the next call. What is
 * under way goes on. */
void		 logins_configure(struct logins *logins,
		    const struct conf *conf, const struct expander *expander,
		    struct accounts *accounts);
/* A channel to smtpd is there, or gone. */
void		 logins_connect(struct logins *logins,
		    struct channel *channel);
void		 logins_disconnect(struct logins *logins,
		    struct channel *channel);
/* Takes a message of LOGIN_CHANNEL_RULES; -1: malformed. */
int		 logins_message(struct logins *logins,
		    struct channel *channel, struct channel_message *message);

#endif
