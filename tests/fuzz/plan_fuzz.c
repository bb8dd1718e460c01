/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a plan: delivery does not believe policy, which parses what
 * strangers publish. What is read must write back to the same bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/wire.h"
#include "policy/plan.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(2 * PLAN_MEMORY_MAX);
	struct wire_reader reader;
	struct wire_writer writer;
	struct plan *plan;
	struct buf buf;

	wire_read_begin(&reader, data, size);
	plan = plan_get(&reader, arena);
	if (plan != NULL) {
		buf_init(&buf, PLAN_WIRE_MAX);
		wire_write_begin(&writer, &buf);
		plan_put(&writer, plan);
		wire_read_begin(&reader, buf_data(&buf), buf_length(&buf));
		if (wire_write_end(&writer) == -1 ||
		    plan_get(&reader, arena) == NULL)
			__builtin_trap();
		buf_release(&buf);
	}
	arena_free(arena);
	return 0;
}
