/* SPDX-License-Identifier: ISC */
/*
 * What the files of policy/client.h share. A kind of request says which
 * messages it is made of, how an answer is heard and what is said when none
 * comes in time; client.c does the rest: asking, asking again, deadlines,
 * cancelling.
 */
#ifndef POSTERN_POLICY_CLIENT_PRIVATE_H
#define POSTERN_POLICY_CLIENT_PRIVATE_H

#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "policy/client.h"
#include "policy/message.h"

struct policy_request;
struct wire_reader;

struct policy_kind {
	uint16_t	 question;	/* enum policy_message */
	uint16_t	 answer;
	/* Reads the whole answer: -1 if it is malformed. request is null when
	 * nobody waits for it any more. */
	int	(*hear)(struct policy_request *request,
		    struct wire_reader *body);
	/* No answer in time: says so in the words of this kind. */
	void	(*give_up)(struct policy_request *request);
};

struct policy_waiter {
	union {
		policy_plan_done	*plan;
		policy_reverse_done	*reverse;
		policy_spf_done		*spf;
		policy_text_done	*text;
		policy_dmarc_done	*dmarc;
		policy_listed_done	*listed;
		policy_greylist_done	*greylist;
	}		 done;
	void		*arg;
};

struct policy_request {
	const struct policy_kind *kind;
	struct policy_client	*client;
	uint32_t		 number;	/* 0: not sent */
	struct timer		 timer;
	struct buf		 question;	/* body, to ask again */
	struct policy_waiter	 waiter;
	/* SPF: what a temperror of ours is about */
	bool			 of_hello;
	char			 domain[POLICY_NAME_MAX + 1];
	LIST_ENTRY(policy_request) entry;
};

extern const struct policy_kind policy_kind_spf, policy_kind_text,
    policy_kind_dmarc, policy_kind_listed, policy_kind_greylist;

/* A new request, whose question is written then: its body into the writer,
 * before policy_request_ask() sends it. */
struct policy_request	*policy_request_new(struct policy_client *client,
			    const struct policy_kind *kind, void *arg,
			    struct wire_writer *writer);
void			 policy_request_ask(struct policy_request *request,
			    struct wire_writer *writer, int milliseconds);
/* The request is gone; who waited for it. */
struct policy_waiter	 policy_request_end(struct policy_request *request);

#endif
