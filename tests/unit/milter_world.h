/* SPDX-License-Identifier: ISC */
/*
 * A filter of tests/milter_filter.h, a milter that is connected to it, a
 * message, and what the milter answered: what the tests of the machine share.
 */
#ifndef POSTERN_TESTS_UNIT_MILTER_WORLD_H
#define POSTERN_TESTS_UNIT_MILTER_WORLD_H

#include <stdbool.h>

#include "authentic/fields.h"
#include "base/buf.h"
#include "milter/milter.h"
#include "tests/milter_filter.h"

struct milter_world {
	struct milter_filter		 filter;
	struct milter_settings	 settings;
	struct milter		*milter;

	/* the last answer */
	unsigned		 answers;	/* how many so far */
	enum milter_action	 action;
	int			 code;
	char			 enhanced[16];
	char			 text[20000];
	char			 why[256];
	/* Instead of stopping the loop, within done; once. */
	void			(*react)(struct milter_world *world);

	/* the message */
	struct fields		*fields;
	struct milter_content	 content;
	struct buf		 body;
	size_t			 piece;		/* read at most so much */
};

/* Once per program. */
void	 milter_world_prepare(void);
/* Sets defaults; the test may change filter and settings before the first
 * command. */
void	 milter_world_init(struct milter_world *world);
void	 milter_world_release(struct milter_world *world);
/* The milter, without a command. */
void	 milter_world_prepare_milter(struct milter_world *world);
/* Runs the loop until the answer is there. */
enum milter_action	 milter_world_run(struct milter_world *world);
/* Runs it for some time, or until the filter has seen the end. */
void	 milter_world_pass(struct milter_world *world, int milliseconds);
/* Runs it until the milter has failed, between two commands. */
void	 milter_world_fail(struct milter_world *world);
void	 milter_world_message(struct milter_world *world, const char *header,
	    const char *body, size_t length);

/* A command and its answer. */
enum milter_action	 milter_world_connect(struct milter_world *world);
enum milter_action	 milter_world_hello(struct milter_world *world);
enum milter_action	 milter_world_mail(struct milter_world *world);
enum milter_action	 milter_world_recipient(struct milter_world *world,
			    const char *recipient);
enum milter_action	 milter_world_data(struct milter_world *world);
enum milter_action	 milter_world_content(struct milter_world *world);
/* All of them until one does not say CONTINUE, with one recipient. */
enum milter_action	 milter_world_whole(struct milter_world *world);
/* The edits as text: "h X-A| one;" ... */
const char		*milter_world_edits(struct milter_world *world);

#endif
