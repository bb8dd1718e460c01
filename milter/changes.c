/* SPDX-License-Identifier: ISC */
/*
 * Fields come with LF or CRLF in their folds, and leave with CRLF.
 */
#include "milter/changes.h"

#include <string.h>

#include "base/mem.h"
#include "milter/reply.h"

/* RFC 5322 3.6.8; at most what fits into a line. */
static bool is_field_name(const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':')
			return false;
	return i > 0 && i < 998;
}

static bool is_control(char c)
{
	return (c >= 0 && c < ' ') || c == 0x7f;
}

/* One line, any characters but controls. */
static bool is_line(const char *text)
{
	for (; *text != '\0'; text++)
		if (is_control(*text) && *text != '\t')
			return false;
	return true;
}

/* Without the line ends that some filters put behind it. */
static size_t value_length(const char *value)
{
	size_t length = strlen(value);

	while (length > 0 && (value[length - 1] == '\n' ||
	    value[length - 1] == '\r'))
		length--;
	return length;
}

/* As it goes behind the colon; null: a line of it would be another field, or a
 * CR stands alone. */
static char *make_value(const char *value, bool spaced)
{
	size_t length = value_length(value);
	struct buf out;

	buf_init(&out, 2 * length + 2);
	if (!spaced && length > 0)
		buf_add_byte(&out, ' ');
	for (size_t i = 0; i < length; i++) {
		if (value[i] == '\r' && value[i + 1] == '\n')
			continue;
		if (value[i] == '\r' || (value[i] == '\n' &&
		    value[i + 1] != ' ' && value[i + 1] != '\t')) {
			buf_release(&out);
			return NULL;
		}
		if (value[i] == '\n')
			buf_add_byte(&out, '\r');
		buf_add_byte(&out, value[i]);
	}
	return buf_take(&out);
}

static int set_field(struct milter_edit *edit, const struct reply *reply,
    bool spaced, const char **why)
{
	if (!is_field_name(reply->name)) {
		*why = "it gave a header field without a proper name";
		return -1;
	}
	edit->value = make_value(reply->value, spaced);
	if (edit->value == NULL) {
		*why = "it gave a header field with another one in it";
		return -1;
	}
	edit->name = mem_dup_string(reply->name);
	edit->index = reply->index;
	/* They count from 1; 0 has always meant the first, too. */
	if (edit->kind == MILTER_CHANGE_HEADER && edit->index == 0)
		edit->index = 1;
	return 0;
}

static int set_address(struct milter_edit *edit, const struct reply *reply,
    const char **why)
{
	const char *address = reply->name;
	size_t length = strlen(address);
	bool sender = edit->kind == MILTER_CHANGE_SENDER;

	if (length >= 2 && address[0] == '<' && address[length - 1] == '>') {
		address++;
		length -= 2;
	}
	if (length > CHANGES_ADDRESS_MAX || (length == 0 && !sender) ||
	    !is_line(reply->name) || memchr(address, '\t', length) != NULL) {
		*why = "it gave what is no address";
		return -1;
	}
	if (reply->value != NULL && (!is_line(reply->value) ||
	    strlen(reply->value) > CHANGES_ADDRESS_MAX)) {
		*why = "it gave an address with parameters that are none";
		return -1;
	}
	edit->name = mem_print("%.*s", (int)length, address);
	if (reply->value != NULL && reply->value[0] != '\0')
		edit->value = mem_dup_string(reply->value);
	return 0;
}

/* Whatever it says, it is to be held: a bad byte in the reason is no reason to
 * let the message go. */
static int set_reason(struct milter_edit *edit, const struct reply *reply)
{
	edit->value = mem_dup_string(reply->value);
	for (char *at = edit->value; *at != '\0'; at++)
		if (is_control(*at))
			*at = ' ';
	return 0;
}

static int set_edit(struct milter_edit *edit, const struct reply *reply,
    bool spaced, const char **why)
{
	switch (edit->kind) {
	case MILTER_ADD_HEADER:
	case MILTER_INSERT_HEADER:
	case MILTER_CHANGE_HEADER:
		return set_field(edit, reply, spaced, why);
	case MILTER_CHANGE_SENDER:
	case MILTER_ADD_RECIPIENT:
	case MILTER_REMOVE_RECIPIENT:
		return set_address(edit, reply, why);
	case MILTER_QUARANTINE:
		return set_reason(edit, reply);
	case MILTER_REPLACE_BODY:
		return 0;
	}
	return -1;
}

static void free_edit(struct milter_edit *edit)
{
	mem_free(edit->name);
	mem_free(edit->value);
	mem_free(edit);
}

void changes_init(struct changes *changes, size_t replace_max)
{
	memset(changes, 0, sizeof(*changes));
	TAILQ_INIT(&changes->list);
	buf_init(&changes->text, replace_max);
}

void changes_reset(struct changes *changes)
{
	struct milter_edit *edit;

	while ((edit = TAILQ_FIRST(&changes->list)) != NULL) {
		TAILQ_REMOVE(&changes->list, edit, link);
		free_edit(edit);
	}
	changes->count = 0;
	changes->bytes = 0;
	changes->body = NULL;
	buf_release(&changes->text);
}

int changes_add(struct changes *changes, const struct reply *reply, bool spaced,
    const char **why)
{
	bool body = reply->edit == MILTER_REPLACE_BODY;
	struct milter_edit *edit;

	if (body && buf_add(&changes->text, reply->value, reply->length) != 0) {
		*why = "its new body is larger than a message may be";
		return -1;
	}
	if (body && changes->body != NULL)
		return 0;
	if (!body)
		changes->bytes += (reply->name != NULL ?
		    strlen(reply->name) : 0) + (reply->value != NULL ?
		    strlen(reply->value) : 0);
	if (++changes->count > CHANGES_MAX ||
	    changes->bytes > CHANGES_BYTES_MAX) {
		*why = "it wants to change more than any filter may";
		return -1;
	}
	edit = mem_alloc(sizeof(*edit));
	edit->kind = reply->edit;
	if (set_edit(edit, reply, spaced, why) != 0) {
		free_edit(edit);
		return -1;
	}
	if (body)
		changes->body = edit;
	TAILQ_INSERT_TAIL(&changes->list, edit, link);
	return 0;
}

void changes_end(struct changes *changes)
{
	if (changes->body == NULL)
		return;
	changes->body->length = buf_length(&changes->text);
	changes->body->value = buf_take(&changes->text);
}
