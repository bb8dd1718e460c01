/* SPDX-License-Identifier: ISC */
/*
 * The directory's door, for smtpd: is this a recipient of ours? The answer is
 * about our own domains only; whether others may be relayed to is smtpd's
 * decision. Same rules for callbacks as policy/client.h.
 */
#ifndef POSTERN_POLICY_DIRECTORY_CLIENT_H
#define POSTERN_POLICY_DIRECTORY_CLIENT_H

struct directory_client;
struct directory_request;

enum directory_answer {
	DIRECTORY_FOUND,
	DIRECTORY_NO_USER,	/* our domain, nobody of that name: 5.1.1 */
	DIRECTORY_NOT_OURS,
	DIRECTORY_UNAVAILABLE	/* 451 */
};

/* mailbox: the name under which mail is kept ("alice@example.org"), lower
 * case where the domain's users are; borrowed; null unless found. */
typedef void directory_done(void *arg, enum directory_answer answer,
    const char *mailbox);

struct directory_client	*directory_client_new(void);
void	 directory_client_free(struct directory_client *client);
void	 directory_client_connect(struct directory_client *client, int fd);
/* address: "local@domain", or "postmaster" alone. */
struct directory_request	*directory_check(
				    struct directory_client *client,
				    const char *address, directory_done *done,
				    void *arg);
void	 directory_cancel(struct directory_request *request);

#endif
