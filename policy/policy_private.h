/* SPDX-License-Identifier: ISC */
/*
 * What the files of the role share: who asked, and each question under way.
 * policy.c owns all of it; policy_check.c answers smtpd.
 */
#ifndef POSTERN_POLICY_POLICY_PRIVATE_H
#define POSTERN_POLICY_POLICY_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/process.h"
#include "conf/conf.h"
#include "policy/message.h"

struct channel;
struct channel_message;
struct check;
struct hash;
struct peer;
struct plan_request;
struct resolver;
struct reverse;

/* One question under way: plan, reverse or check is set. */
struct request {
	struct peer		*peer;
	uint32_t		 number;
	struct plan_request	*plan;
	struct reverse		*reverse;
	struct check		*check;
	/* the question for a plan, to ask again after a reload */
	char			 domain[POLICY_NAME_MAX + 1];
	struct conf_next_hop	 next;
	int64_t			 waited;
	enum plan_wish		 wish;
	int			 message_level;	/* -1: none */
	LIST_ENTRY(request)	 entry;
};

struct peer {
	struct process_peer	 who;
	struct channel		*channel;	/* owned */
	struct hash		*numbers;	/* owned; to requests */
	LIST_HEAD(, request)	 requests;
};

struct request	*policy_request_begin(struct peer *peer, uint32_t number);
void		 policy_request_release(struct request *request);
/* Far more than the askers should have open: they are told to come again. A
 * channel closed for it would bring all the questions back at once. */
bool		 policy_has_too_many(const struct peer *peer);
struct resolver	*policy_resolver(void);

/* policy_check.c: a question of smtpd; -1 if it is malformed or none. */
int		 policy_check_question(struct peer *peer,
		    struct channel_message *message);

#endif
