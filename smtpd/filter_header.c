/* SPDX-License-Identifier: ISC */
/*
 * Fields that a filter adds, changes and takes out. The header is a list of
 * entries, those that the filter has seen and new ones between them; when all
 * its wishes are in the list, it is compared with the view from below, which
 * leaves the offsets of what is above as they are.
 *
 * What a filter says never ends the header and never begins a field that it
 * has not named: line ends in values are folds, or are made such.
 */
#include "smtpd/filter_internal.h"

#include <string.h>
#include <strings.h>

#include "authentic/fields.h"
#include "base/buf.h"
#include "base/header.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/edits.h"
#include "smtpd/rules.h"
#include "smtpd/session.h"
#include "smtpd/transaction.h"

enum {
	LINE_MAX_BYTES = 998,	/* RFC 5322 2.1.1 */
	FIELD_BYTES_MAX = 64 << 10,
	ADDED_MAX = 1024
};

struct entry {
	const struct field	*field;	/* as it was seen; null: new */
	char			*text;	/* owned; what it is now; or null */
	size_t			 length;
	bool			 removed;
};

struct list {
	struct entry	*entries;	/* owned */
	size_t		 count, capacity;
	size_t		 added;
	size_t		 max_line;	/* with its CRLF */
	bool		 has_8bit;
};

/* --- one field as text --- */

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static bool is_name(const char *name)
{
	size_t length = 0;

	for (; name[length] != '\0'; length++)
		if (name[length] <= ' ' || name[length] > '~' ||
		    name[length] == ':')
			return false;
	return length > 0 && length < LINE_MAX_BYTES - 1;
}

/* A line that has only blanks would be read as the end of the header. */
static bool is_empty(const char *line, size_t length)
{
	while (length > 0 && is_blank(line[length - 1]))
		length--;
	return length == 0;
}

/* Where a line that is too long is folded: at the last blank that is not too
 * far, else at the next one; length: nowhere. column: bytes before it. */
static size_t find_fold(const char *line, size_t length, size_t column)
{
	size_t blanks = strspn(line, " \t");
	size_t reach = LINE_MAX_BYTES - column, at;

	for (at = reach; at > blanks; at--)
		if (is_blank(line[at]))
			return at;
	at = reach > blanks ? reach : blanks;
	while (at < length && !is_blank(line[at]))
		at++;
	return at;
}

/* Adds one line of a value, folded where it can be. Longer than most, with its
 * end, it may not be: no more than what a client sends. */
static int add_line(struct buf *out, const char *line, size_t length,
    size_t column, size_t most)
{
	size_t part;

	for (; column + length > LINE_MAX_BYTES; column = 0) {
		part = find_fold(line, length, column);
		if (is_empty(line + part, length - part))
			break;
		if (column + part + 2 > most || buf_add(out, line, part) < 0 ||
		    buf_add(out, "\r\n", 2) < 0)
			return -1;
		line += part;
		length -= part;
	}
	return column + length + 2 > most ? -1 : buf_add(out, line, length);
}

/* The length of the next line of a value; *skip: of what ends it. */
static size_t next_line(const char *value, size_t *skip)
{
	size_t length = strcspn(value, "\r\n");

	*skip = strspn(value + length, "\r\n");
	return length;
}

static int add_value(struct buf *out, const char *value, size_t most)
{
	size_t column = buf_length(out), length, skip;
	bool first = true;

	for (; *value != '\0' || first; value += length + skip) {
		length = next_line(value, &skip);
		if (!first && is_empty(value, length))
			continue;
		if (!first && buf_add(out, "\r\n", 2) < 0)
			return -1;
		if (!first)
			column = 0;
		if (!first && !is_blank(*value)) {
			buf_add_byte(out, '\t');
			column = 1;
		}
		if (add_line(out, value, length, column, most) < 0)
			return -1;
		first = false;
	}
	return buf_add(out, "\r\n", 2);
}

static int set_text(struct list *list, struct entry *entry,
    const struct milter_edit *edit)
{
	struct buf out;

	if (!is_name(edit->name))
		return -1;
	buf_init(&out, FIELD_BYTES_MAX);
	if (buf_print(&out, "%s:", edit->name) < 0 ||
	    add_value(&out, edit->value == NULL ? "" : edit->value,
	    list->max_line) < 0) {
		buf_release(&out);
		return -1;
	}
	for (size_t i = 0; i < buf_length(&out) && !list->has_8bit; i++)
		list->has_8bit = (unsigned char)buf_data(&out)[i] >= 0x80;
	mem_free(entry->text);
	entry->length = buf_length(&out);
	entry->text = buf_take(&out);
	entry->removed = false;
	return 0;
}

/* --- the list --- */

static void list_init(struct list *list, const struct fields *fields)
{
	memset(list, 0, sizeof(*list));
	list->capacity = fields->count + ADDED_MAX;
	list->entries = mem_alloc_array(list->capacity,
	    sizeof(list->entries[0]));
	for (size_t i = 0; i < fields->count; i++)
		list->entries[list->count++].field = &fields->items[i];
}

static void list_release(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		mem_free(list->entries[i].text);
	mem_free(list->entries);
}

/* Null: it is full. */
static struct entry *open_gap(struct list *list, size_t at)
{
	struct entry *entry = &list->entries[at];

	if (list->added == ADDED_MAX)
		return NULL;
	list->added++;
	memmove(entry + 1, entry, (list->count - at) * sizeof(*entry));
	list->count++;
	memset(entry, 0, sizeof(*entry));
	return entry;
}

/* Whether it is in the header that a reader would see now. */
static bool is_there(const struct entry *entry)
{
	return !entry->removed && (entry->field == NULL ||
	    entry->field->name_length > 0);
}

/*
 * Where the field goes that is to be the index-th. They count from 1 where 0 is
 * above our own Received field, as Sendmail does; nothing goes there. A first
 * line that begins with a blank stays a part of what is in front of it.
 */
static size_t find_position(const struct list *list, uint32_t index)
{
	uint32_t before = index == 0 ? 0 : index - 1;
	size_t at = 0;

	if (list->count > 0 && list->entries[0].field != NULL &&
	    is_blank(list->entries[0].field->text[0]))
		at = 1;
	for (; before > 0 && at < list->count; at++)
		before -= is_there(&list->entries[at]);
	return at;
}

static bool is_named(const struct entry *entry, const char *name)
{
	size_t length = strlen(name);

	if (entry->field == NULL)
		return strncasecmp(entry->text, name, length) == 0 &&
		    entry->text[length] == ':';
	return entry->field->name_length == length &&
	    strncasecmp(entry->field->text, name, length) == 0;
}

/* The index-th of that name, from 1: first among those that the filter has seen
 * (taken out or not, so that the numbers stay), then among its own. */
static struct entry *find_named(struct list *list, const char *name,
    uint32_t index)
{
	for (int own = 0; own < 2; own++) {
		for (size_t i = 0; i < list->count; i++) {
			struct entry *entry = &list->entries[i];

			if ((entry->field == NULL) == own &&
			    is_named(entry, name) && --index == 0)
				return entry;
		}
	}
	return NULL;
}

static int add_entry(struct list *list, size_t at,
    const struct milter_edit *edit)
{
	struct entry made = { 0 }, *entry;

	if (set_text(list, &made, edit) < 0)
		return -1;
	entry = open_gap(list, at);
	if (entry == NULL) {
		mem_free(made.text);
		return -1;
	}
	*entry = made;
	return 0;
}

static int change(struct list *list, const struct milter_edit *edit)
{
	struct entry *entry = find_named(list, edit->name,
	    edit->index == 0 ? 1 : edit->index);
	bool remove = edit->value == NULL || edit->value[0] == '\0';

	if (entry == NULL)
		return remove ? 0 : add_entry(list, list->count, edit);
	if (!remove)
		return set_text(list, entry, edit);
	entry->removed = true;
	return 0;
}

static int take(struct list *list, const struct milter_edit *edit)
{
	switch (edit->kind) {
	case MILTER_ADD_HEADER:
		return add_entry(list, list->count, edit);
	case MILTER_INSERT_HEADER:
		return add_entry(list, find_position(list, edit->index),
		    edit);
	case MILTER_CHANGE_HEADER:
		return change(list, edit);
	default:
		return 0;
	}
}

/* --- and the view --- */

static int write_list(const struct list *list, const struct fields *fields,
    struct edits *edits)
{
	uint64_t at = fields->length - (fields->has_body ? 2 : 0);

	for (size_t i = list->count; i-- > 0;) {
		const struct entry *entry = &list->entries[i];
		const struct field *field = entry->field;

		if (field != NULL)
			at = field->offset;
		if (field != NULL && (entry->removed || entry->text != NULL) &&
		    edits_cut(edits, at, field->length) < 0)
			return -1;
		if (!entry->removed && entry->text != NULL &&
		    edits_insert(edits, at, entry->text, entry->length) < 0)
			return -1;
	}
	return 0;
}

int filter_edit_header(struct session *session, struct edits *edits,
    const struct milter_edits *wanted, const char **reason)
{
	struct transaction *transaction = session->transaction;
	const struct milter_edit *edit;
	struct list list;
	int result = 0;

	list_init(&list, transaction->fields);
	list.max_line = (size_t)session->rules->conf->max_line;
	*reason = "it wants a header field that cannot be";
	TAILQ_FOREACH(edit, wanted, link)
		if (result == 0)
			result = take(&list, edit);
	if (result == 0) {
		*reason = "it changes more than a message can hold";
		result = write_list(&list, transaction->fields, edits);
	}
	if (result == 0 && list.has_8bit) {
		transaction->scan.has_8bit = true;
		transaction->scan.has_utf8_header = true;
	}
	list_release(&list);
	return result;
}
