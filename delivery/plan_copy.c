/* SPDX-License-Identifier: ISC */
/*
 * A copy through the wire form, which is the one place that knows every
 * member of a plan.
 */
#include "delivery/plan_copy.h"

#include "base/buf.h"
#include "base/wire.h"
#include "policy/plan.h"

enum { BYTES_MAX = PLAN_COPY_ARENA_MAX / 2 };

const struct plan *plan_copy(const struct plan *plan, struct arena *arena)
{
	struct buf bytes;
	struct wire_writer writer;
	struct wire_reader reader;
	const struct plan *copy = NULL;

	buf_init(&bytes, BYTES_MAX);
	wire_write_begin(&writer, &bytes);
	plan_put(&writer, plan);
	if (wire_write_end(&writer) == 0) {
		wire_read_begin(&reader, buf_data(&bytes), buf_length(&bytes));
		copy = plan_get(&reader, arena);
	}
	buf_release(&bytes);
	return copy;
}
