/* SPDX-License-Identifier: ISC */
/*
 * The place where the queue finds what tools/ has given: see readers.h.
 */
#include "queue/readers.h"

static const struct readers *installed;

void readers_install(const struct readers *readers)
{
	installed = readers;
}

int readers_configure(const struct bundle *bundle, char *error, size_t size)
{
	return installed == NULL ? 0 :
	    installed->configure(bundle, error, size);
}

bool readers_each(const char *address, readers_visit *visit, void *arg)
{
	if (installed != NULL)
		return installed->each(address, visit, arg);
	visit(arg, address, false);
	return true;
}

char *readers_forward_sender(const char *sender, struct arena *arena)
{
	return installed == NULL || installed->forward_sender == NULL ? NULL :
	    installed->forward_sender(sender, arena);
}
