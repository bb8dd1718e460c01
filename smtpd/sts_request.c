/* SPDX-License-Identifier: ISC */
/*
 * The head is read when all of it is there: it is small, and so is the code.
 */
#include "smtpd/sts_request.h"

#include <string.h>
#include <strings.h>

#include "base/address.h"

/* Between two offsets of the head. */
struct piece {
	const char	*text;
	size_t		 length;
};

/* What the fields said. */
struct fields {
	unsigned	 hosts;
	bool		 close;
	bool		 body;
};

static bool piece_is(const struct piece *piece, const char *text)
{
	return piece->length == strlen(text) &&
	    memcmp(piece->text, text, piece->length) == 0;
}

static bool piece_is_field(const struct piece *piece, const char *name)
{
	return piece->length == strlen(name) &&
	    strncasecmp(piece->text, name, piece->length) == 0;
}

/* RFC 9110 5.6.2 */
static bool is_token(const struct piece *piece)
{
	for (size_t i = 0; i < piece->length; i++) {
		unsigned char c = (unsigned char)piece->text[i];

		if (c <= ' ' || c >= 0x7f ||
		    strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
			return false;
	}
	return piece->length > 0;
}

/* Printable, without spaces. */
static bool is_visible(const struct piece *piece)
{
	for (size_t i = 0; i < piece->length; i++)
		if (piece->text[i] <= ' ' || piece->text[i] >= 0x7f)
			return false;
	return piece->length > 0;
}

/* Takes what stands before the byte, and the byte; all if it is not there. */
static struct piece take(struct piece *rest, char byte)
{
	const char *at = memchr(rest->text, byte, rest->length);
	struct piece first = { rest->text, at == NULL ? rest->length :
	    (size_t)(at - rest->text) };
	size_t used = first.length + (at != NULL);

	rest->text += used;
	rest->length -= used;
	return first;
}

static void trim(struct piece *piece)
{
	while (piece->length > 0 && (piece->text[0] == ' ' ||
	    piece->text[0] == '\t')) {
		piece->text++;
		piece->length--;
	}
	while (piece->length > 0 && (piece->text[piece->length - 1] == ' ' ||
	    piece->text[piece->length - 1] == '\t'))
		piece->length--;
}

/* --- host and target --- */

/* "name", "name:443", "name.:443"; what is no such name is no host of ours
 * either, but must be written as one. */
static bool read_host(struct sts_request *request, struct piece value)
{
	struct piece name = take(&value, ':');

	for (size_t i = 0; i < value.length; i++)
		if (value.text[i] < '0' || value.text[i] > '9')
			return false;
	return value.length <= 5 && domain_parse(request->host,
	    sizeof(request->host), name.text, name.length) == 0;
}

/* "/path", or the absolute form, whose host comes before the field's. */
static bool read_target(struct sts_request *request, struct piece target,
    bool *absolute)
{
	static const char scheme[] = "https://";
	struct piece host;

	if (!is_visible(&target))
		return false;
	*absolute = target.length > strlen(scheme) &&
	    strncasecmp(target.text, scheme, strlen(scheme)) == 0;
	if (*absolute) {
		target.text += strlen(scheme);
		target.length -= strlen(scheme);
		host = take(&target, '/');
		if (!read_host(request, host))
			return false;
		/* The path begins with the slash that was taken. */
		request->policy = piece_is(&target,
		    ".well-known/mta-sts.txt");
		return true;
	}
	request->policy = piece_is(&target, "/.well-known/mta-sts.txt");
	return target.text[0] == '/';
}

/* --- lines --- */

/* The status to answer with. */
static int read_first_line(struct sts_request *request, struct piece line,
    bool *absolute)
{
	struct piece method = take(&line, ' ');
	struct piece target = take(&line, ' ');

	if (!is_token(&method))
		return 400;
	if (piece_is(&line, "HTTP/1.1"))
		request->keep = true;
	else if (line.length == 8 && strncmp(line.text, "HTTP/", 5) == 0 &&
	    !piece_is(&line, "HTTP/1.0"))
		return 505;
	else if (!piece_is(&line, "HTTP/1.0"))
		return 400;
	request->head = piece_is(&method, "HEAD");
	if (!request->head && !piece_is(&method, "GET"))
		return 405;
	return read_target(request, target, absolute) ? 200 : 400;
}

/* Has the list that word? */
static bool has_word(struct piece list, const char *word)
{
	while (list.length > 0) {
		struct piece one = take(&list, ',');

		trim(&one);
		if (piece_is_field(&one, word))
			return true;
	}
	return false;
}

static int read_field(struct sts_request *request, struct piece line,
    bool absolute, struct fields *fields)
{
	const char *colon = memchr(line.text, ':', line.length);
	struct piece name, value;

	if (colon == NULL)
		return 400;
	/* A folded line begins with a space, which no token has. */
	name = take(&line, ':');
	if (!is_token(&name))
		return 400;
	value = line;
	trim(&value);
	if (piece_is_field(&name, "Host")) {
		struct sts_request unused;

		fields->hosts++;
		if (!read_host(absolute ? &unused : request, value))
			return 400;
	} else if (piece_is_field(&name, "Connection")) {
		fields->close = fields->close || has_word(value, "close");
	} else if (piece_is_field(&name, "Transfer-Encoding")) {
		fields->body = true;
	} else if (piece_is_field(&name, "Content-Length") &&
	    !piece_is(&value, "0")) {
		fields->body = true;
	}
	return 200;
}

/* All lines end in CRLF, and no other control character is anywhere but
 * tabs. */
static bool is_clean(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c == '\r' && i + 1 < length && data[i + 1] == '\n')
			i++;
		else if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static struct piece take_line(struct piece *rest)
{
	struct piece line = take(rest, '\n');

	line.length--;		/* is_clean() has seen the CR */
	return line;
}

/* head ends behind the CRLF of its last line. */
static int read_head(struct sts_request *request, struct piece head)
{
	struct fields fields = { 0 };
	unsigned count = 0;
	bool absolute = false;
	int status;

	if (!is_clean(head.text, head.length))
		return 400;
	status = read_first_line(request, take_line(&head), &absolute);
	while (status == 200 && head.length > 0) {
		if (++count > STS_REQUEST_FIELDS_MAX)
			return 431;
		status = read_field(request, take_line(&head), absolute,
		    &fields);
	}
	if (status != 200)
		return status;
	/* RFC 9112 3.2: one, and HTTP/1.1 must have it. */
	if (fields.hosts > 1 || (fields.hosts == 0 && request->keep))
		return 400;
	if (fields.body)
		return 413;
	if (fields.close)
		request->keep = false;
	return 200;
}

/* Behind the empty line, or 0. */
static size_t find_end(const char *data, size_t length)
{
	const char *end = memmem(data, length, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t)(end - data) + 4;
}

/* A line that ends in a bare LF would never end for us: say so at once. */
static bool has_bare_newline(const char *data, size_t length)
{
	const char *at = data, *end = data + length;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (at == data || at[-1] != '\r')
			return true;
		at++;
	}
	return false;
}

void sts_request_read(struct sts_request *request, const char *data,
    size_t length)
{
	struct piece head;
	size_t skipped = 0, end;

	memset(request, 0, sizeof(*request));
	/* RFC 9112 2.2: one empty line in front is an old client's habit. */
	if (length >= 2 && memcmp(data, "\r\n", 2) == 0)
		skipped = 2;
	end = find_end(data + skipped, length - skipped);
	if (end > STS_REQUEST_MAX || (end == 0 &&
	    length >= STS_REQUEST_MAX)) {
		request->status = 431;
	} else if (end == 0) {
		if (has_bare_newline(data, length))
			request->status = 400;
	} else {
		head = (struct piece){ data + skipped, end - 2 };
		request->status = read_head(request, head);
	}
	if (request->status == 200)
		request->length = skipped + end;
	else
		request->keep = false;
}

const char *sts_request_reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Content Too Large";
	case 421: return "Misdirected Request";
	case 431: return "Request Header Fields Too Large";
	case 505: return "HTTP Version Not Supported";
	default: return "Error";
	}
}
