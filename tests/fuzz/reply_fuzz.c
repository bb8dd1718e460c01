/* SPDX-License-Identifier: ISC */
/*
 * Replies of a hostile server: the first byte says how the rest is cut into
 * pieces; then replies are read one after the other, as EHLO replies too. What
 * must hold: bounds, printable text, one code, and the same replies however
 * the bytes were cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/answer.h"
#include "delivery/capability.h"

enum { INPUT_MAX = 16 << 10, CODES_MAX = 512 };

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct answer *answer)
{
	struct capability capability;
	const char *text = answer_text(answer);
	size_t length = strlen(text), i, lines = 0;

	if (answer->code < 200 || answer->code > 599 ||
	    answer->line_count == 0 ||
	    answer->line_count > ANSWER_LINES_MAX || length > ANSWER_TEXT_MAX)
		abort();
	for (i = 0; i < length; i++) {
		lines += text[i] == '\n';
		if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
			abort();
	}
	if (lines > answer->line_count)
		abort();
	capability_read(&capability, answer);
	if (capability.size_limit > 0 && !capability.size)
		abort();
}

/* Reads replies from pieces of that size; the codes, 0 behind a bad one. */
static size_t read_all(const uint8_t *data, size_t size, size_t piece,
    int *codes)
{
	struct answer answer;
	struct buf input;
	size_t count = 0, at = 0, length;
	enum answer_progress progress = ANSWER_MORE;

	answer_init(&answer);
	buf_init(&input, INPUT_MAX);
	while (count < CODES_MAX && progress != ANSWER_BAD) {
		progress = answer_read(&answer, &input);
		if (progress == ANSWER_READY) {
			check(&answer);
			codes[count++] = answer.code;
			answer_reset(&answer);
			continue;
		}
		if (progress == ANSWER_BAD) {
			if (answer.problem == NULL)
				abort();
			codes[count++] = 0;
			break;
		}
		length = size - at < piece ? size - at : piece;
		/* A line that long was refused before the buffer is full. */
		if (buf_length(&input) > ANSWER_LINE_MAX)
			abort();
		if (length == 0 || buf_add(&input, data + at, length) < 0)
			break;
		at += length;
	}
	buf_release(&input);
	answer_release(&answer);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int one[CODES_MAX], other[CODES_MAX];
	size_t count;

	if (size < 1)
		return 0;
	count = read_all(data + 1, size - 1, (size_t)(data[0] % 200) + 1, one);
	if (count != read_all(data + 1, size - 1, 4096, other) ||
	    memcmp(one, other, count * sizeof(one[0])) != 0)
		abort();
	return 0;
}
