/* SPDX-License-Identifier: ISC */
/*
 * What the two halves of the directory's door share: the channel, and the
 * questions that are on their way. directory_client.c has the channel and the
 * questions about addresses, directory_client_login.c those about users.
 */
#ifndef POSTERN_POLICY_DIRECTORY_CLIENT_PRIVATE_H
#define POSTERN_POLICY_DIRECTORY_CLIENT_PRIVATE_H

#include <stdint.h>
#include <sys/queue.h>

#include "base/channel.h"
#include "base/loop.h"
#include "policy/directory_client.h"

enum { DIRECTORY_ANSWER_MS = 30000, DIRECTORY_MECHANISMS_MAX = 1024 };

/* A question with one answer: DIRECTORY_CHECK or DIRECTORY_OWNS. */
struct directory_request {
	struct directory_client	*client;
	uint32_t		 number;	/* 0: not on its way */
	struct timer		 timer;		/* the deadline, or the answer
						 * of a call that failed */
	directory_done		*done;
	owner_done		*owner;		/* instead of done */
	void			*arg;
	LIST_ENTRY(directory_request) entry;
};

LIST_HEAD(directory_logins, directory_login);

struct directory_client {
	struct channel	*channel;	/* owned; null while away */
	struct hash	*requests;	/* number -> request */
	LIST_HEAD(, directory_request) all;
	struct hash	*login_numbers;	/* number -> login */
	struct directory_logins logins;
	/* What the directory's own server has, with spaces between; "" while
	 * nothing is known. */
	char		 mechanisms[DIRECTORY_MECHANISMS_MAX];
};

/* directory_client.c: with a number to send it under, or 0: it fails in the
 * next turn. The owner is set by the caller. */
struct directory_request	*directory_request_new(
				    struct directory_client *client);
/* Ends it: calls its owner. */
void	 directory_request_owner(struct directory_request *request,
	    enum owner_answer answer);

/* directory_client_login.c: its part of the life of the client. */
void	 directory_client_login_init(struct directory_client *client);
void	 directory_client_login_release(struct directory_client *client);
/* The channel is gone: what was on its way is unavailable, next turn. */
void	 directory_client_login_lost(struct directory_client *client);
/* Is it a message of this half? -1: malformed. */
int	 directory_client_login_message(struct directory_client *client,
	    struct channel_message *message);

#endif
