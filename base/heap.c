/* SPDX-License-Identifier: ISC */
/*
 * The heap as an array: the children of place i are 2i + 1 and 2i + 2, and no
 * child is due before its parent. Every node knows its place, so that removing
 * one from the middle costs as little as removing the first.
 */
#include "base/heap.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { FIRST_SIZE = 16 };

static void set(struct heap *heap, size_t place, struct heap_node *node)
{
	heap->nodes[place] = node;
	node->index = place + 1;
}

/* Finds the place for node at or above the hole, moving parents down. */
static void rise(struct heap *heap, size_t hole, struct heap_node *node)
{
	size_t parent;

	while (hole > 0) {
		parent = (hole - 1) / 2;
		if (heap->nodes[parent]->due <= node->due)
			break;
		set(heap, hole, heap->nodes[parent]);
		hole = parent;
	}
	set(heap, hole, node);
}

/* Finds the place for node at or below the hole, moving children up. */
static void sink(struct heap *heap, size_t hole, struct heap_node *node)
{
	size_t child;

	while ((child = 2 * hole + 1) < heap->count) {
		if (child + 1 < heap->count && heap->nodes[child + 1]->due <
		    heap->nodes[child]->due)
			child++;
		if (node->due <= heap->nodes[child]->due)
			break;
		set(heap, hole, heap->nodes[child]);
		hole = child;
	}
	set(heap, hole, node);
}

/* Puts node where it belongs, seen from a hole anywhere in the heap. */
static void fill(struct heap *heap, size_t hole, struct heap_node *node)
{
	if (hole > 0 && heap->nodes[(hole - 1) / 2]->due > node->due)
		rise(heap, hole, node);
	else
		sink(heap, hole, node);
}

static void check_member(const struct heap *heap, const struct heap_node *node)
{
	if (node->index > heap->count || heap->nodes[node->index - 1] != node)
		bug("heap-node-of-another-heap");
}

void heap_init(struct heap *heap)
{
	memset(heap, 0, sizeof(*heap));
}

void heap_release(struct heap *heap)
{
	size_t i;

	for (i = 0; i < heap->count; i++)
		heap->nodes[i]->index = 0;
	mem_free(heap->nodes);
	heap_init(heap);
}

void heap_insert(struct heap *heap, struct heap_node *node, int64_t due)
{
	node->due = due;
	if (node->index != 0) {
		check_member(heap, node);
		fill(heap, node->index - 1, node);
		return;
	}
	if (heap->count == heap->size) {
		heap->size = heap->size > 0 ? heap->size * 2 : FIRST_SIZE;
		heap->nodes = mem_resize(heap->nodes, heap->size,
		    sizeof(struct heap_node *));
	}
	rise(heap, heap->count++, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	size_t hole = node->index - 1;
	struct heap_node *last;

	if (node->index == 0)
		return;
	check_member(heap, node);
	node->index = 0;
	last = heap->nodes[--heap->count];
	if (last != node)
		fill(heap, hole, last);
}

bool heap_contains(const struct heap_node *node)
{
	return node->index != 0;
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count > 0 ? heap->nodes[0] : NULL;
}
