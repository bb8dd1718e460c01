/* SPDX-License-Identifier: ISC */
/*
 * The usual lists are what filters know from Sendmail and Postfix. Names of
 * one letter go bare, longer ones in braces, as the filters ask for them.
 */
#include "milter/macros.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "milter/packet.h"

enum {
	NAME_MAX_BYTES = 64,
	/* What libmilter takes in one frame, less its code. */
	FRAME_MAX = 65535 - 1
};

static const char *const usual[MACRO_STAGES] = {
	[MACRO_CONNECT] = "j {daemon_name} {if_name} {if_addr} v _",
	[MACRO_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} "
	    "{cert_issuer}",
	[MACRO_MAIL] = "i {auth_type} {auth_authen} {auth_author} {mail_addr} "
	    "{mail_host} {mail_mailer}",
	[MACRO_RECIPIENT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[MACRO_DATA] = "i {msg_id}",
	[MACRO_END_OF_MESSAGE] = "i {msg_id}",
	[MACRO_END_OF_HEADER] = "i {msg_id}",
};

void macros_release(struct macros *macros)
{
	for (int i = 0; i < MACRO_STAGES; i++)
		mem_free(macros->lists[i]);
	memset(macros, 0, sizeof(*macros));
}

int macros_set(struct macros *macros, uint32_t stage, const char *list)
{
	if (stage >= MACRO_STAGES || strlen(list) > MACRO_LIST_MAX)
		return -1;
	mem_free(macros->lists[stage]);
	macros->lists[stage] = mem_dup_string(list);
	return 0;
}

/* The next name of a list, with white space or commas between; false at the
 * end. One that is too long to be any macro is passed over. */
static bool next_name(const char **list, char name[NAME_MAX_BYTES])
{
	static const char between[] = ", \t\r\n";
	size_t length;

	for (;;) {
		*list += strspn(*list, between);
		length = strcspn(*list, between);
		if (length == 0)
			return false;
		*list += length;
		if (length < NAME_MAX_BYTES)
			break;
	}
	memcpy(name, *list - length, length);
	name[length] = '\0';
	/* "{i}" is another way to write "i". */
	if (length == 3 && name[0] == '{' && name[2] == '}')
		memcpy(name, (char[]){ name[1], '\0' }, 2);
	return true;
}

void macros_write(const struct macros *macros, enum macro_stage stage,
    char command, milter_macro *macro, void *arg, struct buf *out)
{
	const char *list = macros->lists[stage] != NULL ?
	    macros->lists[stage] : usual[stage];
	size_t start = buf_length(out), used = 0;
	struct packet_writer writer;
	char name[NAME_MAX_BYTES];

	packet_begin(&writer, out, COMMAND_MACRO);
	packet_put_bytes(&writer, &command, 1);
	while (next_name(&list, name)) {
		const char *value = macro(arg, name);
		size_t size = strlen(name) + 1;

		if (value == NULL)
			continue;
		size += strlen(value) + 1;
		if (size > FRAME_MAX - used)
			continue;
		used += size;
		packet_put_text(&writer, name);
		packet_put_text(&writer, value);
	}
	if (packet_end(&writer) == 0 && used == 0)
		buf_truncate(out, start);
}
