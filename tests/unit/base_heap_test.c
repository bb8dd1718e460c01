/* SPDX-License-Identifier: ISC */
/*
 * base/heap.c: the first is always the earliest, whatever was inserted, moved
 * and removed before.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/heap.h"
#include "tests/unit/base_child.h"

enum { NODES = 300 };

static void check_invariant(const struct heap *heap)
{
	size_t i;

	for (i = 0; i < heap->count; i++) {
		assert_int_equal(heap->nodes[i]->index, i + 1);
		if (i > 0)
			assert_true(heap->nodes[(i - 1) / 2]->due <=
			    heap->nodes[i]->due);
	}
}

static void test_random_verbs(void **unused)
{
	static struct heap_node nodes[NODES];
	struct heap_node *node;
	struct heap heap;
	size_t inside = 0;
	int round;

	(void)unused;
	srand(3);
	heap_init(&heap);
	for (round = 0; round < 20000; round++) {
		node = &nodes[rand() % NODES];
		if (rand() % 3 == 0) {
			inside -= heap_contains(node);
			heap_remove(&heap, node);
			assert_false(heap_contains(node));
		} else {
			inside += !heap_contains(node);
			heap_insert(&heap, node, rand() % 100 - 50);
			assert_true(heap_contains(node));
		}
		assert_int_equal(heap.count, inside);
		if (round % 50 == 0)
			check_invariant(&heap);
	}
	heap_release(&heap);
	for (round = 0; round < NODES; round++)
		assert_false(heap_contains(&nodes[round]));
}

static void test_order(void **unused)
{
	static struct heap_node nodes[NODES];
	struct heap_node *node;
	struct heap heap;
	int64_t last = INT64_MIN;
	size_t i;

	(void)unused;
	heap_init(&heap);
	assert_null(heap_first(&heap));
	heap_remove(&heap, &nodes[0]);
	for (i = 0; i < NODES; i++)
		heap_insert(&heap, &nodes[i], (int64_t)(i * 7919 % NODES));
	heap_insert(&heap, &nodes[5], INT64_MAX);
	heap_insert(&heap, &nodes[6], INT64_MIN);
	assert_ptr_equal(heap_first(&heap), &nodes[6]);
	for (i = 0; i < NODES; i++) {
		node = heap_first(&heap);
		assert_true(node->due >= last);
		last = node->due;
		heap_remove(&heap, node);
	}
	assert_ptr_equal(node, &nodes[5]);
	assert_null(heap_first(&heap));
	heap_release(&heap);
}

static void remove_from_another(void)
{
	struct heap_node one = { 0 }, other = { 0 };
	struct heap heaps[2];

	heap_init(&heaps[0]);
	heap_init(&heaps[1]);
	heap_insert(&heaps[0], &one, 1);
	heap_insert(&heaps[1], &other, 1);
	heap_remove(&heaps[1], &one);
}

static void test_misuse_is_a_bug(void **unused)
{
	(void)unused;
	assert_bug(remove_from_another, "heap-node-of-another-heap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_verbs),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_misuse_is_a_bug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
