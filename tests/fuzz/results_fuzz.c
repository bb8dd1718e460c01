/* SPDX-License-Identifier: ISC */
/*
 * Anything as what stands behind "Authentication-Results:", and anything in
 * what we write of others: that is one field of ours, whatever they say.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "authentic/fields.h"
#include "authentic/results.h"
#include "base/buf.h"
#include "base/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char name[] = "mx.example.org";

static void must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

/* As a careless reader would do it: the first word without comments. */
static bool looks_like_ours(const char *text, size_t length)
{
	size_t i = 0;

	while (i < length && (text[i] == ' ' || text[i] == '\t'))
		i++;
	return length - i > strlen(name) &&
	    strncasecmp(text + i, name, strlen(name)) == 0 &&
	    (text[i + strlen(name)] == ';' || text[i + strlen(name)] == ' ');
}

static void try_read(const char *text, size_t length)
{
	struct fields *fields = fields_new();

	fields_feed(fields, "Authentication-Results:", 23);
	fields_feed(fields, text, length);
	fields_finish(fields);
	for (size_t i = 0; i < fields->count; i++) {
		bool ours = results_field_is_ours(&fields->items[i], name);

		must(i > 0 || ours || !looks_like_ours(text, length));
	}
	fields_free(fields);
}

/* The lines of the input, "" when there are no more; null bytes end them. */
static char *next_line(const char **text, size_t *left)
{
	const char *end = memchr(*text, '\n', *left);
	size_t length = end != NULL ? (size_t)(end - *text) : *left;
	char *line = mem_alloc(length + 1);

	memcpy(line, *text, length);
	*text += length + (end != NULL);
	*left -= length + (end != NULL);
	return line;
}

static void check_written(struct buf *out)
{
	struct fields *fields = fields_new();
	const char *line = buf_string(out);

	fields_feed(fields, buf_data(out), buf_length(out));
	fields_finish(fields);
	must(fields->count == 1 && !fields->has_body);
	must(results_field_is_ours(&fields->items[0], name));
	while (*line != '\0') {
		size_t length = strcspn(line, "\r\n");

		must(length <= 998 && strncmp(line + length, "\r\n", 2) == 0);
		line += length + 2;
	}
	fields_free(fields);
}

static void try_write(const char *text, size_t length)
{
	char *words[7];
	struct dkim_result one = { .proof = length % 2 == 0 ? PROOF_PASS :
	    PROOF_FAIL };
	const struct dkim_result *all[] = { &one };
	struct results results = { .name = name, .spf_done = true,
	    .dkim_done = true, .dkim = all, .dkim_count = 1,
	    .dmarc_done = true, .iprev_done = true,
	    .utf8 = length % 3 == 0 };
	struct buf out;

	for (size_t i = 0; i < 7; i++)
		words[i] = next_line(&text, &length);
	one.domain = results.spf_domain = words[0];
	one.identity = words[1];
	one.selector = results.dmarc_policy = words[2];
	one.algorithm = results.dmarc_domain = words[3];
	one.signature = results.client = words[4];
	one.reason = words[5];
	results.user = words[6];
	buf_init(&out, 1 << 16);
	must(results_print(&results, &out) == 0);
	check_written(&out);
	buf_release(&out);
	for (size_t i = 0; i < 7; i++)
		mem_free(words[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_dup(data, size);

	try_read(text, size);
	try_write(text, size);
	mem_free(text);
	return 0;
}
