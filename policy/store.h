/* SPDX-License-Identifier: ISC */
/*
 * What policy must not forget: a small table of texts and values in a Berkeley
 * DB environment of its own. A put is on the disk when it returns. Meant for
 * thousands of rows that change rarely; the rows live in memory besides.
 *
 * A damaged environment is moved aside with the time in its name, one is begun
 * anew, and the log says so: nothing is remembered then (S-38).
 */
#ifndef POSTERN_POLICY_STORE_H
#define POSTERN_POLICY_STORE_H

#include <stddef.h>

struct policy_store;

enum { POLICY_STORE_KEY_MAX = 255, POLICY_STORE_VALUE_MAX = 80 << 10 };

typedef void policy_store_visit(void *arg, const char *key, const void *value,
    size_t length);

/* directory: absolute, as this process sees it, and only the store's. Its
 * parent is there and ours to write. Null: logged. */
struct policy_store	*policy_store_open(const char *directory);
void	 policy_store_close(struct policy_store *store);

/* 0, or -1: logged; the store should be closed and opened again then. */
int	 policy_store_put(struct policy_store *store, const char *key,
	    const void *value, size_t length);
/* A key that is not there is no error. */
int	 policy_store_delete(struct policy_store *store, const char *key);
/* Every row, in order of keys; visit changes nothing. */
int	 policy_store_each(struct policy_store *store,
	    policy_store_visit *visit, void *arg);

#endif
