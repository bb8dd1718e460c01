/* SPDX-License-Identifier: ISC */
/*
 * The directory's own expansion, in the queue's process. Notifications have the
 * null sender, so nothing is rewritten for them; but one may be for a sender
 * whom we had rewritten, when his mail came back to us by another way.
 */
#include "tools/queue_readers.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/expand.h"
#include "queue/readers.h"

static struct {
	struct conf	*conf;		/* owned; null before the first */
	struct expander	*expander;	/* owned */
} own;

static int configure(const struct bundle *bundle, char *error, size_t size)
{
	char *errors = NULL;
	struct conf *conf = conf_read(bundle->name, bundle->text, &errors);
	struct expander *expander = NULL;

	if (conf != NULL)
		expander = expander_new(conf, bundle, &errors, NULL);
	if (expander == NULL) {
		snprintf(error, size, "%s", errors == NULL ? "" : errors);
		mem_free(errors);
		if (conf != NULL)
			conf_free(conf);
		return -1;
	}
	mem_free(errors);
	expander_free(own.expander);
	if (own.conf != NULL)
		conf_free(own.conf);
	own.conf = conf;
	own.expander = expander;
	return 0;
}

static bool each(const char *address, readers_visit *visit, void *arg)
{
	const struct expand_question question = { .address = address,
	    .sender = "", .wall = clock_wall() };
	struct arena *arena;
	struct expansion expansion;

	if (own.expander == NULL) {
		visit(arg, address, false);
		return true;
	}
	arena = arena_new(EXPAND_ARENA_MAX);
	expander_expand(own.expander, &question, arena, &expansion);
	for (size_t i = 0; i < expansion.found.count; i++)
		visit(arg, expansion.found.targets[i].address,
		    expansion.found.targets[i].forwarded);
	arena_free(arena);
	/* Too much to be answered: it is kept under its own name. */
	if (expansion.answer == DIRECTORY_NOT_OURS ||
	    expansion.answer == DIRECTORY_UNAVAILABLE)
		visit(arg, address, false);
	return expansion.answer != DIRECTORY_NO_USER;
}

static char *forward_sender(const char *sender, struct arena *arena)
{
	return own.expander == NULL ? NULL : expander_forward_sender(
	    own.expander, sender, clock_wall(), arena);
}

void queue_readers_install(void)
{
	static const struct readers readers = { configure, each,
	    forward_sender };

	readers_install(&readers);
}
