/* SPDX-License-Identifier: ISC */
/*
 * A table says for each code what it is and what its data looks like.
 */
#include "milter/reply.h"

#include <string.h>

#include "milter/negotiate.h"
#include "milter/packet.h"

enum form {
	FORM_EMPTY,
	FORM_TEXT,		/* name: one text */
	FORM_TEXT_MORE,		/* ... and maybe a value */
	FORM_FIELD,		/* name, value */
	FORM_INDEXED,		/* index, name, value */
	FORM_REASON,		/* value: one text */
	FORM_WORDS,		/* words */
	FORM_BYTES		/* value: all of it */
};

struct row {
	char			 code;
	enum reply_kind		 kind;
	enum milter_action	 action;
	enum form		 form;
	enum milter_edit_kind	 edit;
	uint32_t		 change;
};

static const struct row rows[] = {
	{ .code = 'c', .kind = REPLY_ANSWER, .action = MILTER_CONTINUE },
	{ .code = 'a', .kind = REPLY_ANSWER, .action = MILTER_ACCEPT },
	{ .code = 'd', .kind = REPLY_ANSWER, .action = MILTER_DISCARD },
	{ .code = 'r', .kind = REPLY_ANSWER, .action = MILTER_REJECT },
	{ .code = 't', .kind = REPLY_ANSWER, .action = MILTER_TEMPFAIL },
	{ .code = '4', .kind = REPLY_ANSWER, .action = MILTER_SHUTDOWN },
	/* CONN_FAIL: the client's connection shall end. */
	{ .code = 'f', .kind = REPLY_ANSWER, .action = MILTER_SHUTDOWN },
	{ .code = 'y', .kind = REPLY_WORDS, .form = FORM_WORDS },
	{ .code = 's', .kind = REPLY_SKIP },
	{ .code = 'p', .kind = REPLY_PROGRESS },
	{ .code = 'h', .kind = REPLY_EDIT, .form = FORM_FIELD,
	    .edit = MILTER_ADD_HEADER, .change = CHANGE_ADD_HEADER },
	{ .code = 'i', .kind = REPLY_EDIT, .form = FORM_INDEXED,
	    .edit = MILTER_INSERT_HEADER, .change = CHANGE_ADD_HEADER },
	{ .code = 'm', .kind = REPLY_EDIT, .form = FORM_INDEXED,
	    .edit = MILTER_CHANGE_HEADER, .change = CHANGE_HEADER },
	{ .code = 'e', .kind = REPLY_EDIT, .form = FORM_TEXT_MORE,
	    .edit = MILTER_CHANGE_SENDER, .change = CHANGE_SENDER },
	{ .code = '+', .kind = REPLY_EDIT, .form = FORM_TEXT,
	    .edit = MILTER_ADD_RECIPIENT, .change = CHANGE_ADD_RECIPIENT },
	{ .code = '2', .kind = REPLY_EDIT, .form = FORM_TEXT_MORE,
	    .edit = MILTER_ADD_RECIPIENT,
	    .change = CHANGE_ADD_RECIPIENT_WITH },
	{ .code = '-', .kind = REPLY_EDIT, .form = FORM_TEXT,
	    .edit = MILTER_REMOVE_RECIPIENT,
	    .change = CHANGE_REMOVE_RECIPIENT },
	{ .code = 'b', .kind = REPLY_EDIT, .form = FORM_BYTES,
	    .edit = MILTER_REPLACE_BODY, .change = CHANGE_BODY },
	{ .code = 'q', .kind = REPLY_EDIT, .form = FORM_REASON,
	    .edit = MILTER_QUARANTINE, .change = CHANGE_QUARANTINE },
};

static const struct row *find_row(char code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

static void read_form(struct reply *reply, enum form form,
    struct wire_reader *reader)
{
	switch (form) {
	case FORM_EMPTY:
		break;
	case FORM_INDEXED:
		reply->index = wire_get_u32(reader);
		/* fall through */
	case FORM_FIELD:
		reply->name = packet_get_text(reader);
		reply->value = packet_get_text(reader);
		break;
	case FORM_TEXT:
		reply->name = packet_get_text(reader);
		break;
	case FORM_TEXT_MORE:
		reply->name = packet_get_text(reader);
		if (packet_has_more(reader))
			reply->value = packet_get_text(reader);
		break;
	case FORM_REASON:
		reply->value = packet_get_text(reader);
		break;
	case FORM_WORDS:
		reply->words = packet_get_text(reader);
		break;
	case FORM_BYTES:
		reply->value = (const char *)reader->position;
		reply->length = (size_t)(reader->end - reader->position);
		reader->position = reader->end;
		break;
	}
}

int reply_read(struct reply *reply, const struct packet *packet,
    const char **why)
{
	const struct row *row = find_row(packet->code);
	struct wire_reader reader;

	memset(reply, 0, sizeof(*reply));
	if (row == NULL) {
		*why = "it gave an answer that does not exist";
		return -1;
	}
	reply->kind = row->kind;
	reply->action = row->action;
	reply->edit = row->edit;
	reply->change = row->change;
	wire_read_begin(&reader, packet->data, packet->length);
	read_form(reply, row->form, &reader);
	*why = "it gave an answer that cannot be read";
	return wire_read_end(&reader);
}
