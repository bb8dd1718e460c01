/* SPDX-License-Identifier: ISC */
/*
 * Archives of queued mail (tools/queue_archive.h) that somebody has made up.
 * Whatever is in them: what a visitor is told hangs together, and an archive
 * that is called whole has been told of as its totals say.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/queue_archive.h"

static struct {
	uint64_t	 messages, ends, bytes, length;
} seen;

static void must(int condition)
{
	if (!condition)
		abort();
}

static int on_message(void *arg, const json_t *message)
{
	(void)arg;
	must(seen.messages == seen.ends);
	must(json_is_string(json_object_get(message, "id")));
	must(json_array_size(json_object_get(message, "slices")) > 0);
	seen.messages++;
	seen.length = (uint64_t)json_integer_value(json_object_get(message,
	    "length"));
	seen.bytes = 0;
	return 0;
}

static int on_body(void *arg, const void *data, size_t length)
{
	(void)arg;
	must(seen.messages == seen.ends + 1 && data != NULL && length > 0);
	seen.bytes += length;
	must(seen.bytes <= seen.length);
	return 0;
}

static int on_end(void *arg, const json_t *message)
{
	(void)arg;
	(void)message;
	must(seen.bytes == seen.length);
	seen.ends++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct queue_archive_visitor visitor = {
	    .message = on_message, .body = on_body, .end = on_end };
	struct queue_archive_about about;
	int result;

	memset(&seen, 0, sizeof(seen));
	result = queue_archive_read_memory(data, size, &visitor, &about);
	must(result == 0 ? about.problem[0] == '\0' &&
	    about.messages == seen.ends && seen.ends == seen.messages :
	    about.problem[0] != '\0');
	return 0;
}
