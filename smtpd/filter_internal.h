/* SPDX-License-Identifier: ISC */
/*
 * What a session has of its filters, for the files of which the chain is made:
 * filter.c (the rows), filter_chain.c (asking), filter_answer.c (what an answer
 * means), filter_macros.c, filter_message.c (the view that they see, and its
 * end), filter_header.c, filter_body.c, filter_envelope.c (what they change).
 */
#ifndef POSTERN_SMTPD_FILTER_INTERNAL_H
#define POSTERN_SMTPD_FILTER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "milter/milter.h"
#include "smtpd/checks.h"

struct conf_milter;
struct directory_request;
struct edits;
struct filters;
struct milter;
struct milter_answer;
struct milter_edit;
struct milter_edits;
struct session;
struct spool;

enum filter_stage { FILTER_CONNECT, FILTER_HELLO, FILTER_MAIL,
    FILTER_RECIPIENT, FILTER_DATA, FILTER_CONTENT };

/* One of the chain. */
struct filter {
	struct filters		*filters;
	const struct conf_milter *conf;		/* in the session's rules */
	struct milter		*milter;	/* owned */
	/* A connection made anew hears first what the others know. */
	bool			 knows_client, knows_hello;
	enum filter_stage	 asked;		/* what it is being asked */
	bool			 skipped;	/* failed; logged for this
						 * message */
};

/* A recipient as it was named, and what became of it. */
struct filter_recipient {
	TAILQ_ENTRY(filter_recipient) link;
	char		*given;		/* owned */
	char		**targets;	/* owned; null: itself */
	size_t		 count;
};
TAILQ_HEAD(filter_recipients, filter_recipient);

enum { FILTER_MACRO_MAX = 1100 };

struct filters {
	struct session		*session;	/* outlives us */
	struct filter		*chain;		/* owned */
	size_t			 count;

	/* the question under way: what about, and to whom */
	enum filter_stage	 stage;
	size_t			 at;
	bool			 waits_for_name;
	bool			 waits_for_credit;
	char			 macro[FILTER_MACRO_MAX];

	/* of the message; filter_release() forgets it */
	const struct conf_milter *discards;	/* null; it is forgotten then */
	struct filter_recipients recipients;
	struct spool		*spool;		/* owned; null: none */
	bool			 overflowed;	/* no memory for the spool */
	uint64_t		 original;	/* bytes that came in */
	uint64_t		 given;		/* of the spool to the queue */
	struct milter_content	 content;	/* what the next one sees */
	/* what the present filter wants, as far as it is done */
	const struct milter_edit *edit;		/* the next; null: none */
	struct directory_request *lookup;	/* owned; for an edit */
	/* a refused recipient: by one of us, or some are being told of it */
	bool			 refused_by_one;
	const char		*refused_enhanced, *refused_text;
};

/* filter_chain.c */
struct filters		*filter_chain_new(struct session *session);
void			 filter_chain_free(struct filters *filters);
/* Asks everybody from the first on; PASS: all have agreed, and what follows
 * from that is done. */
enum check_answer	 filter_chain_ask(struct filters *filters,
			    enum filter_stage stage);
/* The one under way has agreed and its edits are done, or it has stopped the
 * message: goes on, with the others and then with whoever waits. */
void			 filter_chain_continue(struct filters *filters,
			    enum check_answer answer);
/* The message is over for all of them. */
void			 filter_chain_abort(struct filters *filters);
void			 filter_chain_refused(struct filters *filters,
			    const char *recipient);

/* filter_macros.c: milter_macro; arg is a struct filter. */
const char		*filter_macro(void *arg, const char *name);

/* filter_answer.c */
enum check_answer	 filter_judge(struct filter *filter,
			    const struct milter_answer *answer);

/* filter_message.c */
/* The content is whole. PASS: they may be asked about it. */
enum check_answer	 filter_message_begin(struct filters *filters);
/* Makes the changes that it asks for. -1: they cannot be made, with a reason;
 * all is as it was. */
int			 filter_message_edit(struct filter *filter,
			    const char **reason);
/* No memory for it: 452. */
enum check_answer	 filter_message_stop_full(struct session *session);
/* All have agreed. */
enum check_answer	 filter_message_end(struct filters *filters);

/* filter_header.c: all on edits; header is that of its view. 0, or -1 with a
 * reason. */
int			 filter_edit_header(struct session *session,
			    struct edits *edits,
			    const struct milter_edits *wanted,
			    const char **reason);

/* filter_body.c */
/* Puts a new body into the spool, canonical, behind what is there; -1 with a
 * reason, and nothing was added. */
int			 filter_body_store(struct session *session,
			    struct spool *spool,
			    const struct milter_edit *edit,
			    const char **reason);
/* Gives the queue what is in the spool behind the bytes that came in. WAIT: its
 * credit is used up, filter_ready() goes on. */
enum check_answer	 filter_body_give(struct filters *filters);

/* filter_envelope.c */
void			 filter_forget_recipients(struct filters *filters);
/* Does filters->edit and what is behind it; WAIT: filter_chain_continue()
 * follows. */
enum check_answer	 filter_edit_envelope(struct filters *filters);
/* Whether anybody is left to get it. */
bool			 filter_has_recipients(const struct filters *filters);

#endif
