/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a plan: delivery does not believe policy, which parses what
 * strangers publish. What is read must write to bytes that read and write to
 * the same again, and never be a plan that lets mail through where it must not.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/wire.h"
#include "policy/plan.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plan *read_plan(const void *data, size_t size,
    struct arena *arena)
{
	struct wire_reader reader;

	wire_read_begin(&reader, data, size);
	return plan_get(&reader, arena);
}

static void write_plan(const struct plan *plan, struct buf *buf)
{
	struct wire_writer writer;

	buf_init(buf, PLAN_WIRE_MAX);
	wire_write_begin(&writer, buf);
	plan_put(&writer, plan);
	if (wire_write_end(&writer) == -1)
		__builtin_trap();
}

static void check(const struct plan *plan)
{
	const struct plan_host *host;
	size_t i;

	for (i = 0; i < plan->host_count; i++) {
		host = &plan->hosts[i];
		if (host->skip)
			continue;
		if (host->requirement == REQUIRE_DANE && host->tlsa_count == 0)
			__builtin_trap();
		if (host->requirement == REQUIRE_NAME && host->name_count == 0)
			__builtin_trap();
		if (plan->wish == WISH_REQUIRETLS &&
		    (!host->requiretls || host->requirement < REQUIRE_NAME))
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(2 * PLAN_MEMORY_MAX);
	struct buf first, second;
	struct plan *plan = read_plan(data, size, arena);

	if (plan != NULL) {
		check(plan);
		write_plan(plan, &first);
		plan = read_plan(buf_data(&first), buf_length(&first), arena);
		if (plan == NULL)
			__builtin_trap();
		write_plan(plan, &second);
		if (buf_length(&first) != buf_length(&second) ||
		    memcmp(buf_data(&first), buf_data(&second),
		    buf_length(&first)) != 0)
			__builtin_trap();
		buf_release(&first);
		buf_release(&second);
	}
	arena_free(arena);
	return 0;
}
