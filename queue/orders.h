/* SPDX-License-Identifier: ISC */
/*
 * Standing orders of the operator: rules by which mail that comes in is held
 * (`postern queue hold-rule`), and places to which nothing is sent (`postern
 * queue pause`). Each has a reason and an author, and may have an end. They are
 * in the store, so that a restart keeps them, and all in memory: there are few.
 *
 * A hold rule looks at messages when they come in, once. It holds the
 * recipients that it fits; they stay held when the rule ends, until `postern
 * queue release`. A pause keeps destinations from having jobs (destination.h)
 * and workers from hosts (worker_paused()): mail waits, and is not given up
 * meanwhile.
 */
#ifndef POSTERN_QUEUE_ORDERS_H
#define POSTERN_QUEUE_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

struct commit_message;
struct envelope_recipient;
struct orders;
struct queue;

enum order_kind { ORDER_HOLD, ORDER_PAUSE, ORDER_KINDS };

enum { ORDERS_MAX = 1000, ORDER_TEXT_MAX = 320 };

/* Texts are owned; null where a rule does not ask (queue/pattern.h). */
struct order {
	uint64_t	 number;	/* never given again */
	enum order_kind	 kind;
	char		*sender;
	char		*recipient;
	char		*domain;
	char		*client;	/* "name [192.0.2.1]" */
	char		*user;
	uint64_t	 larger;	/* at least so many bytes */
	char		*place;		/* of a pause: domain, host or address */
	char		*reason;
	char		*author;	/* "uid 0" */
	int64_t		 made;		/* wall, ms */
	int64_t		 ends;		/* 0: never */
	uint64_t	 used;		/* recipients, since the start */
};

/* Reads them from the store; a pause is told to those who keep it. */
struct orders	*orders_new(struct queue *queue);
void		 orders_free(struct orders *orders);

/* The first rule that holds this recipient of a message that comes in, or
 * null; it counts as used. */
const struct order	*orders_find_hold(struct orders *orders,
			    const struct commit_message *message,
			    const struct envelope_recipient *who);
/* The pause that a domain, a host or an address lies under, or null. */
const struct order	*orders_find_pause(const struct orders *orders,
			    const char *name);

/* Takes order and its texts; sets number and made. Null: there are too many.
 * In this turn's batch. */
const struct order	*orders_add(struct orders *orders,
			    struct order *order);
/* Ends it. False: there is none of this number and kind. */
bool	 orders_remove(struct orders *orders, enum order_kind kind,
	    uint64_t number);
void	 orders_each(const struct orders *orders, enum order_kind kind,
	    void (*visit)(void *arg, const struct order *order), void *arg);
void	 order_free(struct order *order);

#endif
