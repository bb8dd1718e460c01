/* SPDX-License-Identifier: ISC */
/*
 * Lines are gathered up to their LF (a CR before it goes), data is counted.
 * What servers have no reason to send is an error, not something to repair:
 * folded headers, several lengths, a length beside a coding.
 */
#include "policy/fetch_response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "policy/sts_policy.h"

enum { CHUNK_LINE_MAX = 1024, SIZE_DIGITS = 8 };

static const char *const header_names[RESPONSE_HEADER_COUNT] = {
	[RESPONSE_CONTENT_TYPE] = "content-type",
	[RESPONSE_CONTENT_ENCODING] = "content-encoding",
	[RESPONSE_CONTENT_LENGTH] = "content-length",
	[RESPONSE_TRANSFER_ENCODING] = "transfer-encoding",
};

static void enter(struct response *response, enum response_state state)
{
	response->state = state;
}

static void fail(struct response *response, enum fetch_result result,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

static void fail(struct response *response, enum fetch_result result,
    const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(response->problem, sizeof(response->problem), format, list);
	va_end(list);
	response->result = result;
	enter(response, RESPONSE_FAILED);
}

static void finish(struct response *response)
{
	response->result = FETCH_BODY;
	enter(response, RESPONSE_END);
}

/* --- the status line and headers --- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK"; the reason may be missing, with or without its space. */
static void on_status_line(struct response *response, const char *line)
{
	if (strncmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) ||
	    line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) ||
	    !is_digit(line[11]) || (line[12] != ' ' && line[12] != '\0')) {
		fail(response, FETCH_FAILED, "does not speak HTTP");
		return;
	}
	response->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 +
	    line[11] - '0';
	memset(response->headers, 0, sizeof(response->headers));
	enter(response, RESPONSE_HEADERS);
}

/* RFC 9110 5.6.2 */
static bool is_token(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", text[i]) != NULL)
			return false;
	return length > 0;
}

/* name ":" value; the white space around the value is not part of it. */
static bool on_header(struct response *response, const char *line)
{
	const char *colon = strchr(line, ':'), *value;
	size_t length, i;

	if (colon == NULL || !is_token(line, (size_t)(colon - line)))
		return false;
	value = colon + 1 + strspn(colon + 1, " \t");
	length = strlen(value);
	while (length > 0 && (value[length - 1] == ' ' ||
	    value[length - 1] == '\t'))
		length--;
	for (i = 0; i < RESPONSE_HEADER_COUNT; i++)
		if (strlen(header_names[i]) == (size_t)(colon - line) &&
		    strncasecmp(line, header_names[i],
		    (size_t)(colon - line)) == 0) {
			response->headers[i].count++;
			snprintf(response->headers[i].value,
			    sizeof(response->headers[i].value), "%.*s",
			    (int)length, value);
		}
	return true;
}

/* --- the end of the head --- */

/* Is the value this word, perhaps with parameters behind it? */
static bool begins_with_word(const char *value, const char *word)
{
	size_t length = strlen(word);

	if (strncasecmp(value, word, length) != 0)
		return false;
	value += length;
	value += strspn(value, " \t");
	return *value == '\0' || *value == ';';
}

/* RFC 9112 6.3: how the body ends. */
static void enter_body(struct response *response)
{
	unsigned codings = response->headers[RESPONSE_TRANSFER_ENCODING].count;
	unsigned lengths = response->headers[RESPONSE_CONTENT_LENGTH].count;
	const char *length = response->headers[RESPONSE_CONTENT_LENGTH].value;
	size_t digits = strspn(length, "0123456789");

	if (codings > 0) {
		if (codings > 1 || lengths > 0 || strcasecmp(response->headers[
		    RESPONSE_TRANSFER_ENCODING].value, "chunked") != 0)
			fail(response, FETCH_FAILED,
			    "sends a body of unclear length");
		else
			enter(response, RESPONSE_CHUNK_SIZE);
		return;
	}
	if (lengths == 0) {
		enter(response, RESPONSE_CLOSE);
		return;
	}
	if (lengths > 1 || digits == 0 || length[digits] != '\0') {
		fail(response, FETCH_FAILED, "sends a body of unclear length");
		return;
	}
	for (response->left = 0; *length != '\0' &&
	    response->left <= STS_BODY_MAX; length++)
		response->left = response->left * 10 + (size_t)(*length - '0');
	enter(response, RESPONSE_LENGTH);
	if (response->left > STS_BODY_MAX)
		fail(response, FETCH_FAILED, "sends more than %d bytes",
		    STS_BODY_MAX);
	else if (response->left == 0)
		finish(response);
}

static void on_head_end(struct response *response)
{
	const char *encoding =
	    response->headers[RESPONSE_CONTENT_ENCODING].value;
	unsigned encodings = response->headers[RESPONSE_CONTENT_ENCODING].count;
	int status = response->status;

	if (status >= 100 && status < 200 && status != 101)
		enter(response, RESPONSE_STATUS);	/* RFC 9110 15.2 */
	else if (status >= 300 && status < 400)		/* STS-26 */
		fail(response, FETCH_FAILED, "answers with HTTP status %d, "
		    "which is not followed", status);
	else if (status != 200)
		fail(response, FETCH_FAILED, "answers with HTTP status %d",
		    status);
	else if (encodings > 1 ||
	    (encodings == 1 && strcasecmp(encoding, "identity") != 0))
		fail(response, FETCH_FAILED, "sends an encoded body");
	else if (response->headers[RESPONSE_CONTENT_TYPE].count != 1 ||
	    !begins_with_word(response->headers[RESPONSE_CONTENT_TYPE].value,
	    "text/plain"))				/* STS-28 */
		fail(response, FETCH_NO_TEXT,
		    "sends something that is not text/plain");
	else
		enter_body(response);
}

/* --- chunks --- */

/* 1*HEXDIG, and extensions that nobody needs. */
static void on_chunk_size(struct response *response, const char *line)
{
	size_t digits = strspn(line, "0123456789abcdefABCDEF"), i;
	const char *rest = line + digits;

	rest += strspn(rest, " \t");
	if (digits == 0 || digits > SIZE_DIGITS ||
	    (*rest != '\0' && *rest != ';')) {
		fail(response, FETCH_FAILED, "sends a malformed chunk");
		return;
	}
	response->left = 0;
	for (i = 0; i < digits; i++)
		response->left = response->left * 16 + (size_t)
		    (is_digit(line[i]) ? line[i] - '0' :
		    (line[i] | 0x20) - 'a' + 10);
	enter(response, response->left > 0 ? RESPONSE_CHUNK_DATA :
	    RESPONSE_TRAILER);
}

/* --- lines --- */

static void on_line(struct response *response, const char *line)
{
	switch (response->state) {
	case RESPONSE_STATUS:
		on_status_line(response, line);
		break;
	case RESPONSE_HEADERS:
		if (line[0] == '\0')
			on_head_end(response);
		else if (!on_header(response, line))
			fail(response, FETCH_FAILED,
			    "sends a malformed header");
		break;
	case RESPONSE_CHUNK_SIZE:
		on_chunk_size(response, line);
		break;
	case RESPONSE_CHUNK_END:
		if (line[0] == '\0')
			enter(response, RESPONSE_CHUNK_SIZE);
		else
			fail(response, FETCH_FAILED,
			    "sends a malformed chunk");
		break;
	case RESPONSE_TRAILER:
		if (line[0] == '\0')
			finish(response);
		break;
	default:
		bug("line-in-no-state");
	}
}

/* No control characters but the tab; NUL would end a string early. */
static bool is_clean(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') ||
		    line[i] == 0x7f)
			return false;
	return true;
}

static bool is_head(enum response_state state)
{
	return state == RESPONSE_STATUS || state == RESPONSE_HEADERS ||
	    state == RESPONSE_TRAILER;
}

/* Bytes of a line, perhaps its end; returns how many were used. */
static size_t take_line(struct response *response, const char *data,
    size_t length)
{
	const char *end = memchr(data, '\n', length);
	size_t used = end == NULL ? length : (size_t)(end + 1 - data);

	if (is_head(response->state))
		response->head_bytes += used;
	if (response->head_bytes > FETCH_HEAD_MAX ||
	    (!is_head(response->state) &&
	    buf_length(&response->line) + used > CHUNK_LINE_MAX) ||
	    buf_add(&response->line, data, used) != 0) {
		fail(response, FETCH_FAILED, "sends a head that is too long");
		return used;
	}
	if (end == NULL)
		return used;
	length = buf_length(&response->line) - 1;
	if (length > 0 && buf_data(&response->line)[length - 1] == '\r')
		length--;
	buf_truncate(&response->line, length);
	if (is_clean(buf_data(&response->line), length))
		on_line(response, buf_string(&response->line));
	else
		fail(response, FETCH_FAILED, "sends a malformed head");
	buf_reset(&response->line);
	return used;
}

/* --- data --- */

static size_t take_data(struct response *response, const char *data,
    size_t length)
{
	bool counted = response->state != RESPONSE_CLOSE;

	if (counted && length > response->left)
		length = response->left;
	if (buf_add(&response->body, data, length) != 0) {
		fail(response, FETCH_FAILED, "sends more than %d bytes",
		    STS_BODY_MAX);
		return length;
	}
	if (!counted)
		return length;
	response->left -= length;
	if (response->left > 0)
		return length;
	if (response->state == RESPONSE_LENGTH)
		finish(response);
	else
		enter(response, RESPONSE_CHUNK_END);
	return length;
}

void response_init(struct response *response)
{
	memset(response, 0, sizeof(*response));
	buf_init(&response->line, FETCH_HEAD_MAX + 1);
	buf_init(&response->body, STS_BODY_MAX);
	enter(response, RESPONSE_STATUS);
}

void response_release(struct response *response)
{
	buf_release(&response->line);
	buf_release(&response->body);
}

bool response_add(struct response *response, const void *data, size_t length)
{
	const char *p = data;
	size_t used;

	while (length > 0 && response->state < RESPONSE_END) {
		switch (response->state) {
		case RESPONSE_LENGTH:
		case RESPONSE_CLOSE:
		case RESPONSE_CHUNK_DATA:
			used = take_data(response, p, length);
			break;
		default:
			used = take_line(response, p, length);
			break;
		}
		p += used;
		length -= used;
	}
	return response->state < RESPONSE_END;
}

void response_close(struct response *response, bool well)
{
	if (response->state >= RESPONSE_END)
		return;
	if (response->state == RESPONSE_CLOSE && well)
		finish(response);
	else
		fail(response, FETCH_FAILED, "sends an answer that is cut "
		    "short");
}
