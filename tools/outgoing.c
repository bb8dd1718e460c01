/* SPDX-License-Identifier: ISC */
/*
 * Nothing here looks at the message.
 */
#include "tools/outgoing.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

void outgoing_init(struct outgoing *outgoing, size_t max_bytes)
{
	memset(outgoing, 0, sizeof(*outgoing));
	outgoing->sender = mem_dup_string("");
	address_list_init(&outgoing->recipients);
	buf_init(&outgoing->message, max_bytes);
}

void outgoing_release(struct outgoing *outgoing)
{
	mem_free(outgoing->sender);
	outgoing->sender = NULL;
	address_list_release(&outgoing->recipients);
	buf_release(&outgoing->message);
}

bool outgoing_needs_utf8(const struct outgoing *outgoing)
{
	if (!utf8_is_ascii(outgoing->sender))
		return true;
	for (size_t i = 0; i < outgoing->recipients.count; i++)
		if (!utf8_is_ascii(outgoing->recipients.items[i]))
			return true;
	return false;
}

void outgoing_xtext(const char *text, char *out, size_t size)
{
	size_t used = 0;

	for (; *text != '\0' && used + 4 <= size; text++) {
		if (*text > ' ' && *text <= '~' && *text != '+' &&
		    *text != '=')
			out[used++] = *text;
		else
			used += (size_t)snprintf(out + used, size - used,
			    "+%02X", (unsigned char)*text);
	}
	out[used] = '\0';
}
