/* SPDX-License-Identifier: ISC */
/*
 * Plans come from policy's client as long as its callback runs; who works by
 * one for longer keeps a copy.
 */
#ifndef POSTERN_DELIVERY_PLAN_COPY_H
#define POSTERN_DELIVERY_PLAN_COPY_H

struct arena;
struct plan;

/* The ceiling of an arena that holds a copy. */
enum { PLAN_COPY_ARENA_MAX = 4 << 20 };

/* Lives as long as the arena. Null when the plan is larger than any that
 * policy may send. */
const struct plan	*plan_copy(const struct plan *plan,
			    struct arena *arena);

#endif
