/* SPDX-License-Identifier: ISC */
/*
 * The line splitter for commands: see command.h. It keeps no bytes of its own;
 * an unfinished line stays in the input.
 */
#include "smtpd/command.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/utf8.h"

void command_splitter_init(struct command_splitter *splitter)
{
	memset(splitter, 0, sizeof(*splitter));
}

/* Goes on with an over-long line until its CRLF. */
static enum command_result skip(struct command_splitter *splitter,
    struct buf *input)
{
	const char *data = buf_data(input);
	size_t length = buf_length(input);
	const char *lf = memchr(data, '\n', length);
	bool after_cr;

	if (lf != NULL) {
		length = (size_t)(lf - data);
		after_cr = length > 0 ? lf[-1] == '\r' : splitter->after_cr;
		buf_consume(input, length + 1);
		command_splitter_init(splitter);
		return after_cr ? COMMAND_TOO_LONG : COMMAND_BARE;
	}
	if (length > 0)
		splitter->after_cr = data[length - 1] == '\r';
	splitter->skipped += length;
	buf_consume(input, length);
	return splitter->skipped > COMMAND_SKIP_MAX ? COMMAND_ENDLESS :
	    COMMAND_NONE;
}

/* The text of a line that ended properly. */
static enum command_result judge(const char *text, size_t length, char *line)
{
	if (length + 2 > COMMAND_MAX)
		return COMMAND_TOO_LONG;
	if (memchr(text, '\0', length) != NULL)
		return COMMAND_NUL;
	while (length > 0 && (text[length - 1] == ' ' ||
	    text[length - 1] == '\t'))
		length--;
	memcpy(line, text, length);
	line[length] = '\0';
	return utf8_is_ascii(line) ? COMMAND_LINE : COMMAND_8BIT;
}

enum command_result command_take(struct command_splitter *splitter,
    struct buf *input, char *line)
{
	const char *data = buf_data(input);
	size_t length = buf_length(input);
	const char *lf, *cr;
	enum command_result result;

	if (splitter->skipping)
		return skip(splitter, input);
	if (length == 0)
		return COMMAND_NONE;
	lf = memchr(data, '\n', length);
	cr = memchr(data, '\r', lf == NULL ? length : (size_t)(lf - data));
	if (lf == NULL) {
		if (cr != NULL && cr != data + length - 1)
			return COMMAND_BARE;
		if (length <= COMMAND_MAX)
			return COMMAND_NONE;
		splitter->skipping = true;
		return skip(splitter, input);
	}
	if (cr == NULL || cr != lf - 1)
		return COMMAND_BARE;
	result = judge(data, (size_t)(cr - data), line);
	/* A password may be in it. */
	if (length > 4 && strncasecmp(data, "AUTH", 4) == 0)
		buf_wipe_front(input, (size_t)(lf - data) + 1);
	else
		buf_consume(input, (size_t)(lf - data) + 1);
	return result;
}
