/* SPDX-License-Identifier: ISC */
/*
 * From an address to those who get its mail: users, plus-addresses, aliases,
 * catch-all, postmaster, rewritten senders (SRS) on their way back. Made from
 * a configuration and the files that came with it; pure, and so the same in
 * the directory, in `postern check` and in `postern address`.
 */
#ifndef POSTERN_POLICY_EXPAND_H
#define POSTERN_POLICY_EXPAND_H

#include <stddef.h>
#include <stdint.h>

#include "policy/directory_client.h"

struct arena;
struct bundle;
struct conf;
struct expander;

/* Aliases that lead to aliases: that many, one behind the other. */
enum { EXPAND_DEPTH_MAX = 20 };
/* Addresses looked at for one question; more are not answered. Nobody goes
 * through a table at load, so one question must not go through it, either. */
enum { EXPAND_VISITS_MAX = 50000 };

/* What is found is in the arena of the call. */
struct expansion {
	enum directory_answer	 answer;
	struct directory_found	 found;		/* with DIRECTORY_FOUND */
};

/* For people: what became of an address, and why; depth counts from 0. */
typedef void expand_step(void *arg, unsigned depth, const char *address,
    const char *what);

/*
 * conf and bundle outlive the call; conf the expander, too. Null with lines
 * in errors, each naming file and line. advice gets what is odd but no error,
 * or null; for that, tables are gone through from end to end. Where advice is
 * null they are not looked at, however large they are: circles in them are
 * found when they are used. Both texts are the caller's to free.
 */
struct expander	*expander_new(const struct conf *conf,
		    const struct bundle *bundle, char **errors, char **advice);
void		 expander_free(struct expander *expander);

/* What is asked. */
struct expand_question {
	const char	*address;	/* "local@domain", or "postmaster" */
	const char	*sender;	/* of the envelope; "": the null sender */
	int64_t		 wall;		/* now, ms: for SRS */
	expand_step	*step;		/* or null */
	void		*arg;		/* of step */
};

/* Everybody is there once. The arena has room for EXPAND_ARENA_MAX. */
enum { EXPAND_ARENA_MAX = 16 << 20 };
void		 expander_expand(const struct expander *expander,
		    const struct expand_question *question,
		    struct arena *arena, struct expansion *out);
/* Who says to send what leaves our domains, in the arena (SRS); null: the
 * sender, as he is. */
char		*expander_forward_sender(const struct expander *expander,
		    const char *sender, int64_t wall, struct arena *arena);

#endif
