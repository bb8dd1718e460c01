/* SPDX-License-Identifier: ISC */
/*
 * The directory's door, for smtpd. Three questions, each answered exactly once
 * unless it was cancelled, never before the call returns:
 *
 *  directory_check()	who gets the mail for this address: mailboxes of ours,
 *			the targets of aliases, nobody
 *  directory_login()	one exchange of SASL (RFC 4422): smtpd carries the
 *			messages, the directory alone knows passwords
 *  directory_owns()	may this user send from this address?
 *
 * Answers are about our own domains; whether others may be relayed to is
 * smtpd's decision. A directory that is away or does not answer in time is
 * ..._UNAVAILABLE: 451 or 454.
 */
#ifndef POSTERN_POLICY_DIRECTORY_CLIENT_H
#define POSTERN_POLICY_DIRECTORY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/net.h"

struct directory_client;
struct directory_request;
struct directory_login;

struct directory_client	*directory_client_new(void);
void	 directory_client_free(struct directory_client *client);
void	 directory_client_connect(struct directory_client *client, int fd);

/* --- recipients --- */

enum directory_answer {
	DIRECTORY_FOUND,
	DIRECTORY_NO_USER,	/* our domain, nobody of that name: 5.1.1 */
	DIRECTORY_NOT_OURS,
	DIRECTORY_UNAVAILABLE,	/* 451 */
	DIRECTORY_ANSWERS
};

/* Where a part of the mail goes. */
struct directory_target {
	/* A mailbox of ours in its one form ("alice@example.org", lower case
	 * where the domain's users are), a recipient of a relay domain, or
	 * what an alias names elsewhere. */
	const char	*address;
	/* An alias sends it out of our domains: the sender of the envelope is
	 * forward_sender for it, when there is one (SRS). */
	bool		 forwarded;
};

enum { DIRECTORY_TARGETS_MAX = 1000 };

/* All borrowed until the callback returns. */
struct directory_found {
	const struct directory_target	*targets;	/* one at least */
	size_t				 count;
	/* Other names led here: RFC 3461 5.2.7 wants to know. */
	bool				 by_alias;
	const char			*forward_sender;	/* or null */
};

/* found is null unless the answer is DIRECTORY_FOUND. */
typedef void directory_done(void *arg, enum directory_answer answer,
    const struct directory_found *found);

/* address: "local@domain", or "postmaster" alone; sender: of the envelope,
 * "" for the null sender. */
struct directory_request	*directory_check(
				    struct directory_client *client,
				    const char *address, const char *sender,
				    directory_done *done, void *arg);
void	 directory_cancel(struct directory_request *request);

/* --- who may log in --- */

enum login_answer {
	LOGIN_CHALLENGE,	/* 334 with data */
	LOGIN_ACCEPTED,		/* 235; user is who it is now */
	LOGIN_REJECTED,		/* 535 5.7.8: whatever was wrong */
	LOGIN_LATER,		/* 454 4.7.0: too many failures of this account
				 * or address lately */
	LOGIN_UNKNOWN,		/* 504 5.5.4: no such mechanism */
	LOGIN_MALFORMED,	/* 501 5.5.2: not a message of the mechanism */
	LOGIN_UNAVAILABLE,	/* 454 4.7.0 */
	LOGIN_ANSWERS
};

enum { LOGIN_DATA_MAX = 9 << 10, LOGIN_USER_MAX = 320,
    LOGIN_BINDING_MAX = 64 };

/* What the mechanism may need to know of the session, which is under TLS. */
struct login_context {
	const char	*mechanism;	/* as the client wrote it */
	const struct endpoint	*client, *local;
	const char	*certificate;	/* its name in the list; "" for none */
	/* RFC 9266 tls-exporter under TLS 1.3; else none: no -PLUS. */
	uint8_t		 binding[LOGIN_BINDING_MAX];
	size_t		 binding_length;
};

/* data is the next challenge, or what success brings along (may be empty);
 * user is set with LOGIN_ACCEPTED: "" for a certificate without an account,
 * which has the rights of its list and no more. Both borrowed. Every answer but
 * LOGIN_CHALLENGE ends the login, which is void then. */
typedef void login_done(void *arg, enum login_answer answer, const void *data,
    size_t length, const char *user);

/* initial: null when the client sent none (which is not an empty one). */
struct directory_login	*directory_login(struct directory_client *client,
			    const struct login_context *context,
			    const void *initial, size_t length,
			    login_done *done, void *arg);
/* After LOGIN_CHALLENGE; done is called again. */
void	 directory_login_go_on(struct directory_login *login,
	    const void *response, size_t length);
/* The client gave up ("*"), or went away. */
void	 directory_login_cancel(struct directory_login *login);
/* With auth-socket: what the server there has, with spaces between; "" when it
 * is not known, or not asked. */
const char	*directory_mechanisms(const struct directory_client *client);

/* --- whose addresses --- */

enum owner_answer { OWNER_YES, OWNER_NO, OWNER_UNAVAILABLE, OWNER_ANSWERS };

typedef void owner_done(void *arg, enum owner_answer answer);

/* An empty address is the null sender: may this user send still? Cancelled
 * with directory_cancel(). */
struct directory_request	*directory_owns(
				    struct directory_client *client,
				    const char *user, const char *address,
				    owner_done *done, void *arg);

#endif
