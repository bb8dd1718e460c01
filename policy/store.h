/* SPDX-License-Identifier: ISC */
/*
 * What policy must not forget: a table of texts and values in a Berkeley DB
 * environment of its own. A change is on the disk when it returns; changes of
 * one batch are so together, or none of them is. The rows live in memory
 * besides: they are read at the start and never again.
 *
 * A damaged environment is moved aside with the time in its name, one is begun
 * anew, and the log says so: nothing is remembered then (S-38, H-07).
 */
#ifndef POSTERN_POLICY_STORE_H
#define POSTERN_POLICY_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct policy_store;

/* Keys are shorter than a fourth of a page, so that they stay in the tree. */
enum { POLICY_STORE_KEY_MAX = 600, POLICY_STORE_VALUE_MAX = 80 << 10 };

struct policy_store_change {
	const char	*key;		/* borrowed, as the value is */
	const void	*value;		/* null: the row is deleted */
	size_t		 length;
};

typedef void policy_store_visit(void *arg, const char *key, const void *value,
    size_t length);

/* directory: absolute, as this process sees it, and only the store's. Its
 * parent is there and ours to write. Null: logged. */
struct policy_store	*policy_store_open(const char *directory);
/* The same after a failure that was logged: what fails now is not told, until
 * a change has succeeded. */
struct policy_store	*policy_store_open_again(const char *directory);
void	 policy_store_close(struct policy_store *store);
/* Was damage met at this opening, so that the rows are gone? */
bool	 policy_store_is_anew(const struct policy_store *store);

/* 0, or -1: logged; the store should be closed and opened again then. */
int	 policy_store_put(struct policy_store *store, const char *key,
	    const void *value, size_t length);
/* A key that is not there is no error. */
int	 policy_store_delete(struct policy_store *store, const char *key);
/* In this order, in one transaction; one flush for all. */
int	 policy_store_apply(struct policy_store *store,
	    const struct policy_store_change *changes, size_t count);
/* Every row, in order of keys; visit changes nothing. */
int	 policy_store_each(struct policy_store *store,
	    policy_store_visit *visit, void *arg);

#endif
