/* SPDX-License-Identifier: ISC */
/*
 * Who gets our notifications where they go to a domain of ours, and redirected
 * mail: aliases hold for them as for other mail. The queue knows no aliases and asks nobody while
 * it writes a batch, so whoever starts it (tools/) gives it what knows. Without
 * that, as in tests, an address is who it says.
 */
#ifndef POSTERN_QUEUE_READERS_H
#define POSTERN_QUEUE_READERS_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct bundle;

typedef void readers_visit(void *arg, const char *address, bool forwarded);

struct readers {
	/* From a configuration and its files; -1 with a word: what was in
	 * force stays. */
	int	(*configure)(const struct bundle *bundle, char *error,
		    size_t size);
	/* Visits all who get mail for that address; false, without a visit,
	 * when nobody of ours has it. */
	bool	(*each)(const char *address, readers_visit *visit, void *arg);
	/* Who says to send mail of that sender where it leaves our domains
	 * (SRS), in the arena; null: the sender does. */
	char	*(*forward_sender)(const char *sender, struct arena *arena);
};

/* Once, before the role runs. */
void	 readers_install(const struct readers *readers);
int	 readers_configure(const struct bundle *bundle, char *error,
	    size_t size);
bool	 readers_each(const char *address, readers_visit *visit, void *arg);
char	*readers_forward_sender(const char *sender, struct arena *arena);

#endif
