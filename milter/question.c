/* SPDX-License-Identifier: ISC */
/*
 * What a filter is told. Folds of fields go out as LF and white space, as
 * filters know them from Sendmail.
 */
#include "milter/question.h"

#include <string.h>

#include "authentic/fields.h"
#include "base/buf.h"
#include "base/net.h"

static int add_text(struct buf *out, const char *text)
{
	return buf_add(out, text, strlen(text) + 1);
}

static int add_client(struct buf *out, const struct endpoint *client)
{
	int family = client == NULL || client->length == 0 ? AF_UNSPEC :
	    client->address.any.sa_family;
	char address[ENDPOINT_TEXT_MAX];
	uint16_t port;

	if (family != AF_INET && family != AF_INET6)
		return buf_add_byte(out, 'U');
	port = endpoint_port(client);
	endpoint_format(client, address, sizeof(address));
	if (buf_add_byte(out, family == AF_INET ? '4' : '6') != 0 ||
	    buf_add_byte(out, (char)(port >> 8)) != 0 ||
	    buf_add_byte(out, (char)(port & 0xff)) != 0)
		return -1;
	return add_text(out, address);
}

int question_connect(struct buf *out, const char *name,
    const struct endpoint *client)
{
	size_t before = buf_length(out);

	if (add_text(out, name) == 0 && add_client(out, client) == 0)
		return 0;
	buf_truncate(out, before);
	return -1;
}

int question_hello(struct buf *out, const char *name)
{
	return add_text(out, name);
}

int question_address(struct buf *out, const char *address,
    const char *const *parameters)
{
	size_t before = buf_length(out);
	int failed = buf_print(out, "<%s>", address);

	if (failed == 0)
		failed = buf_add_byte(out, '\0');
	for (; failed == 0 && parameters != NULL && *parameters != NULL;
	    parameters++)
		failed = add_text(out, *parameters);
	if (failed == 0)
		return 0;
	buf_truncate(out, before);
	return -1;
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void question_field(struct buf *out, const struct field *field, bool spaced,
    size_t max)
{
	const char *at = field->text + field->value;
	const char *end = field->text + field->length;
	size_t used = field->name_length + 2;	/* two NULs */

	while (end > at && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	while (!spaced && at < end && is_white(*at))
		at++;
	if (used > max)
		return;
	buf_add(out, field->text, field->name_length);
	buf_add_byte(out, '\0');
	for (; at < end && used < max; at++) {
		if (*at == '\0' || (*at == '\r' && at + 1 < end &&
		    at[1] == '\n'))
			continue;
		buf_add_byte(out, *at);
		used++;
	}
	buf_add_byte(out, '\0');
}
