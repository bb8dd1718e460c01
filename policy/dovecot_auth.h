/* SPDX-License-Identifier: ISC */
/*
 * A client of Dovecot's authentication server (protocol 1.x) over the socket
 * that the configuration names. One connection for all logins; it is made when
 * this begins, and anew when it is lost. A login ends as policy/login.c's own
 * do; nothing waits longer than DOVECOT_ANSWER_MS. Passwords are not kept.
 */
#ifndef POSTERN_POLICY_DOVECOT_AUTH_H
#define POSTERN_POLICY_DOVECOT_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/directory_client.h"

struct dovecot_auth;
struct dovecot_login;

enum { DOVECOT_ANSWER_MS = 25000, DOVECOT_LOGINS_MAX = 4096 };

/* What is told and is not part of a login: its mechanisms are others now. */
typedef void dovecot_changed(void *arg);

struct dovecot_auth	*dovecot_auth_new(const char *path,
			    dovecot_changed *changed, void *arg);
/* Ends all logins without a word. Null is allowed. */
void			 dovecot_auth_free(struct dovecot_auth *auth);
/* With spaces between; "" while it is not connected. */
const char		*dovecot_auth_mechanisms(
			    const struct dovecot_auth *auth);
/* As directory_login(), by the same rules; the mechanism is one word of
 * letters, digits, "-" and "_". */
struct dovecot_login	*dovecot_auth_login(struct dovecot_auth *auth,
			    const struct login_context *context,
			    const void *initial, size_t length,
			    login_done *done, void *arg);
void			 dovecot_login_go_on(struct dovecot_login *login,
			    const void *response, size_t length);
void			 dovecot_login_cancel(struct dovecot_login *login);

#endif
