/* SPDX-License-Identifier: ISC */
/*
 * A binary heap of things that are due at a time. The node is a member of the
 * thing; the heap does not own it. Equal times come out in no defined order.
 */
#ifndef POSTERN_BASE_HEAP_H
#define POSTERN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	int64_t	 due;		/* milliseconds; meaning is the owner's */
	size_t	 index;		/* position + 1; 0 when in no heap */
};

struct heap {
	struct heap_node	**nodes;	/* owned array of borrowed nodes */
	size_t			 count;
	size_t			 size;
};

void	 heap_init(struct heap *heap);
void	 heap_release(struct heap *heap);
/* Inserting a node that is in the heap moves it to its new time. */
void	 heap_insert(struct heap *heap, struct heap_node *node, int64_t due);
/* Not being in the heap is allowed. */
void	 heap_remove(struct heap *heap, struct heap_node *node);
bool	 heap_contains(const struct heap_node *node);
/* The earliest, or null; it stays in the heap. */
struct heap_node	*heap_first(const struct heap *heap);

#endif
