/* SPDX-License-Identifier: ISC */
/*
 * Reads files of aliases, line by line; a line that begins with a space or tab
 * goes on with the alias before it. Everything found is in one arena: the
 * list is made at once and dropped at once, at a reload.
 *
 * A key is "local" or "local" "domain", each with its final null byte, in
 * memory and in tables. Targets are "local" "domain", too, one behind the
 * other; an empty domain is the alias's own. What stands behind a key in a
 * table: u32 line, u32 number in the table, u32 targets, the targets as bytes.
 */
#include "policy/aliases.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/wire.h"
#include "conf/problem.h"
#include "policy/directory_client.h"

enum { ITEM_MAX = 1024, KEY_MAX = ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2,
    TARGETS_BYTES_MAX = DIRECTORY_TARGETS_MAX * KEY_MAX,
    RECORD_MAX = TARGETS_BYTES_MAX + 64,
    /* A table's number is above these bits; 0: read from texts. */
    NUMBER_BITS = 26 };

/* A table as it is used by one domain, or by all. */
struct source {
	struct table	*table;		/* held */
	const char	*domain;	/* in the arena; null: all */
	uint64_t	 number;	/* of the table, above NUMBER_BITS */
};

struct aliases {
	struct arena	*arena;		/* owned */
	struct hash	*own;		/* of domains: with the domain */
	struct hash	*common;	/* of all: with a domain or without */
	struct alias	**items;	/* owned; the aliases in the arena */
	size_t		 count, room;
	struct hash	*own_tables;	/* domain -> number in sources + 1 */
	struct hash	*table_numbers;	/* struct table -> its number */
	struct source	*sources;	/* owned */
	size_t		 source_count;
	size_t		 common_source;	/* number in sources + 1, or 0 */
};

struct reader {
	struct aliases	*aliases;
	struct problems	*problems;
	const char	*file;		/* in the arena */
	const char	*domain;	/* in the arena, or null */
	int		 line;
	struct alias	*current;	/* null: none yet, or it was bad */
	bool		 had_key;
	bool		 needs_comma;
	/* of current */
	struct buf	 targets;	/* owned; kept for the next */
	size_t		 target_count;
};

struct aliases *aliases_new(void)
{
	struct aliases *aliases = mem_alloc(sizeof(*aliases));

	/* What may be in it is bounded by the files, and those by the
	 * bundle that they came in. */
	aliases->arena = arena_new(SIZE_MAX / 4);
	aliases->own = hash_new();
	aliases->common = hash_new();
	aliases->own_tables = hash_new();
	aliases->table_numbers = hash_new();
	return aliases;
}

void aliases_free(struct aliases *aliases)
{
	if (aliases == NULL)
		return;
	hash_free(aliases->own);
	hash_free(aliases->common);
	hash_free(aliases->own_tables);
	hash_free(aliases->table_numbers);
	for (size_t i = 0; i < aliases->source_count; i++)
		table_release(aliases->sources[i].table);
	mem_free(aliases->sources);
	arena_free(aliases->arena);
	mem_free(aliases->items);
	mem_free(aliases);
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static void trim(const char **text, size_t *length)
{
	while (*length > 0 && is_blank(**text)) {
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && is_blank((*text)[*length - 1]))
		(*length)--;
}

/* Bytes up to the first of that kind outside of quotes. */
static size_t span(const char *text, size_t length, char separator)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < length; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted && text[i] == '\\' && i + 1 < length)
			i++;
		else if (!quoted && text[i] == separator)
			break;
	}
	return i;
}

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* "local", with quotes or without, or "local@domain"; without a domain,
 * address->domain is empty. */
static enum address_error parse(struct address *address, const char *text,
    size_t length)
{
	char whole[ITEM_MAX + 8];
	enum address_error error;

	if (length > ITEM_MAX || memchr(text, '\0', length) != NULL)
		return ADDRESS_SYNTAX;
	memcpy(whole, text, length);
	whole[length] = '\0';
	if (span(text, length, '@') < length)
		return address_parse(address, whole);
	memcpy(whole + length, "@x", 3);
	error = address_parse(address, whole);
	address->domain[0] = '\0';
	return error;
}

/* --- one alias --- */

static void finish_alias(struct reader *reader)
{
	struct alias *alias = reader->current;

	reader->current = NULL;
	reader->needs_comma = false;
	if (alias == NULL)
		return;
	if (reader->target_count == 0) {
		problems_add(reader->problems, (int)alias->line,
		    "%.80s leads to nobody; accepted: name: target, target",
		    alias->local);
		return;
	}
	alias->targets_length = buf_length(&reader->targets);
	alias->targets = arena_dup(reader->aliases->arena,
	    buf_data(&reader->targets), alias->targets_length);
	alias->target_count = reader->target_count;
}

static void keep(struct aliases *aliases, struct alias *alias)
{
	if (aliases->count == aliases->room) {
		aliases->room = aliases->room * 2 + 64;
		aliases->items = mem_resize(aliases->items, aliases->room,
		    sizeof(*aliases->items));
	}
	alias->number = aliases->count;
	aliases->items[aliases->count++] = alias;
}

/* Without a domain that is null. Never longer than KEY_MAX. */
static size_t make_key(char key[KEY_MAX], const char *local,
    const char *domain)
{
	size_t length = strlen(local) + 1, more;

	if (length > ADDRESS_LOCAL_MAX + 1)
		return 0;
	memcpy(key, local, length);
	if (domain == NULL)
		return length;
	more = strlen(domain) + 1;
	if (more > ADDRESS_DOMAIN_MAX + 1)
		return 0;
	memcpy(key + length, domain, more);
	return length + more;
}

/* The alias under its key; it may stand there already. */
static void add_alias(struct reader *reader, const struct address *address)
{
	struct aliases *aliases = reader->aliases;
	struct arena *arena = aliases->arena;
	struct alias *alias = arena_alloc(arena, sizeof(*alias));
	struct hash *table = reader->domain != NULL ? aliases->own :
	    aliases->common;
	char key[KEY_MAX];
	size_t length;
	const struct alias *other;

	alias->local = arena_dup_string(arena, address->local);
	alias->file = reader->file;
	alias->line = (unsigned)reader->line;
	alias->domain = reader->domain;
	if (alias->domain == NULL && address->domain[0] != '\0')
		alias->domain = arena_dup_string(arena, address->domain);
	length = make_key(key, alias->local, alias->domain);
	other = hash_find(table, key, length);
	if (other != NULL) {
		problems_add(reader->problems, reader->line,
		    "%.80s%s%.120s is there already, in line %u; put all its "
		    "targets into one", alias->local, alias->domain == NULL ?
		    "" : "@", alias->domain == NULL ? "" : alias->domain,
		    other->line);
		return;
	}
	hash_put(table, key, length, alias);
	keep(aliases, alias);
	reader->current = alias;
}

static void read_key(struct reader *reader, const char *text, size_t length)
{
	struct address address;
	enum address_error error;

	reader->had_key = true;
	reader->target_count = 0;
	buf_reset(&reader->targets);
	trim(&text, &length);
	error = length == 0 ? ADDRESS_SYNTAX : parse(&address, text, length);
	if (error != ADDRESS_OK) {
		problems_add(reader->problems, reader->line, "\"%.*s\" cannot "
		    "be an alias: %s; accepted: a local part or an address, "
		    "then a colon", (int)(length < 80 ? length : 80), text,
		    address_error_text(error));
		return;
	}
	lower(address.local);
	if (reader->domain != NULL && address.domain[0] != '\0' &&
	    strcasecmp(address.domain, reader->domain) != 0) {
		problems_add(reader->problems, reader->line, "%.80s is in "
		    "another domain, but this file is of %.80s; put it into "
		    "that domain's aliases-file, or the one of all",
		    address.domain, reader->domain);
		return;
	}
	add_alias(reader, &address);
}

/* Why something that other mail servers know is not done here; else null. */
static const char *objection(const char *text, size_t length)
{
	if (text[0] == '"' && length > 1)
		text++;
	if (text[0] == '|')
		return "programs are not run for mail: whoever gets the mail "
		    "can run one, by the mailbox's own filter (Sieve)";
	if (text[0] == '/' && memchr(text, '@', length) == NULL)
		return "mail is not written to files: give it to a user, who "
		    "has a maildir; what nobody shall get is better refused, "
		    "by having no such alias";
	if (length >= 9 && strncasecmp(text, ":include:", 9) == 0)
		return "lists in other files are not read: write the targets "
		    "here";
	if (text[0] == '\\')
		return "a backslash is not needed: an alias that names itself "
		    "means the mailbox";
	return NULL;
}

static void add_target(struct reader *reader, const struct address *address)
{
	char key[KEY_MAX];

	if (reader->target_count == DIRECTORY_TARGETS_MAX) {
		problems_add(reader->problems, reader->line,
		    "%.80s has more than %d targets; that is a mailing list, "
		    "for which there are list managers",
		    reader->current->local, DIRECTORY_TARGETS_MAX);
		reader->current = NULL;
		return;
	}
	reader->target_count++;
	(void)buf_add(&reader->targets, key, make_key(key, address->local,
	    address->domain));
}

static void read_target(struct reader *reader, const char *text, size_t length)
{
	const char *why = objection(text, length);
	struct address address;
	enum address_error error;
	int shown = (int)(length < 80 ? length : 80);

	if (why != NULL) {
		problems_add(reader->problems, reader->line, "\"%.*s\": %s",
		    shown, text, why);
		return;
	}
	error = parse(&address, text, length);
	if (error == ADDRESS_OK)
		add_target(reader, &address);
	else
		problems_add(reader->problems, reader->line, "\"%.*s\" is not "
		    "a target: %s; accepted: local parts and addresses, with "
		    "commas between them; comments stand on lines of their "
		    "own", shown, text, address_error_text(error));
}

static void read_targets(struct reader *reader, const char *text,
    size_t length)
{
	while (length > 0 && reader->current != NULL) {
		size_t used = span(text, length, ','), item_length = used;
		const char *item = text;

		trim(&item, &item_length);
		if (item_length > 0 && reader->needs_comma)
			problems_add(reader->problems, reader->line, "a comma "
			    "is missing before \"%.*s\"", (int)
			    (item_length < 80 ? item_length : 80), item);
		if (item_length > 0) {
			reader->needs_comma = true;
			read_target(reader, item, item_length);
		}
		if (used < length) {
			reader->needs_comma = false;
			used++;
		}
		text += used;
		length -= used;
	}
}

/* --- lines --- */

static void read_line(struct reader *reader, const char *text, size_t length)
{
	bool goes_on = length > 0 && is_blank(text[0]);
	size_t colon;

	trim(&text, &length);
	if (length == 0 || text[0] == '#')
		return;
	if (goes_on) {
		if (!reader->had_key)
			problems_add(reader->problems, reader->line,
			    "the line begins with a space, but there is no "
			    "alias before it that it could go on with");
		read_targets(reader, text, length);
		return;
	}
	finish_alias(reader);
	colon = span(text, length, ':');
	if (colon == length) {
		reader->had_key = true;
		problems_add(reader->problems, reader->line, "there is no "
		    "colon; accepted: name: target, target; lines that go on "
		    "begin with a space");
		return;
	}
	read_key(reader, text, colon);
	read_targets(reader, text + colon + 1, length - colon - 1);
}

void aliases_read(struct aliases *aliases, const char *text, size_t length,
    const char *domain, struct problems *problems)
{
	struct reader reader = { .aliases = aliases, .problems = problems,
	    .file = arena_dup_string(aliases->arena, problems->file),
	    .domain = domain == NULL ? NULL :
	    arena_dup_string(aliases->arena, domain) };
	const char *end = text + length, *newline;

	buf_init(&reader.targets, TARGETS_BYTES_MAX);
	for (; text < end; text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (newline == NULL)
			newline = end;
		reader.line++;
		read_line(&reader, text, (size_t)(newline - text));
	}
	finish_alias(&reader);
	buf_release(&reader.targets);
}

/* --- tables --- */

void aliases_write(const struct aliases *aliases, struct table_writer *writer)
{
	struct buf record;

	buf_init(&record, RECORD_MAX);
	for (size_t i = 0; i < aliases->count; i++) {
		const struct alias *alias = aliases->items[i];
		struct wire_writer wire;
		char key[KEY_MAX];

		buf_reset(&record);
		wire_write_begin(&wire, &record);
		wire_put_u32(&wire, alias->line);
		wire_put_u32(&wire, (uint32_t)i);
		wire_put_u32(&wire, (uint32_t)alias->target_count);
		wire_put_bytes(&wire, alias->targets, alias->targets_length);
		if (wire_write_end(&wire) == -1)
			bug("alias-record");
		table_writer_add(writer, key, make_key(key, alias->local,
		    alias->domain), buf_data(&record), buf_length(&record));
	}
	buf_release(&record);
}

void aliases_add_table(struct aliases *aliases, struct table *table,
    const char *domain)
{
	uint64_t id = (uint64_t)(uintptr_t)table;
	void *number = hash_find_id(aliases->table_numbers, id);
	struct source *source;

	if (number == NULL) {
		number = (void *)(hash_count(aliases->table_numbers) + 1);
		hash_put_id(aliases->table_numbers, id, number);
	}
	aliases->sources = mem_resize(aliases->sources,
	    aliases->source_count + 1, sizeof(*aliases->sources));
	source = &aliases->sources[aliases->source_count++];
	source->table = table_hold(table);
	source->number = (uint64_t)(uintptr_t)number << NUMBER_BITS;
	source->domain = domain == NULL ? NULL :
	    arena_dup_string(aliases->arena, domain);
	if (domain == NULL)
		aliases->common_source = aliases->source_count;
	else
		hash_put_text(aliases->own_tables, domain,
		    (void *)aliases->source_count);
}

/* What a table has under a key; ALIAS_DAMAGED if that is no alias. */
static enum alias_answer open_record(const struct source *source,
    const struct table_entry *entry, struct alias *alias)
{
	size_t local = entry->key_length == 0 ? 0 :
	    strnlen(entry->key, entry->key_length) + 1;
	struct wire_reader wire;
	uint32_t number;

	wire_read_begin(&wire, entry->value, entry->length);
	*alias = (struct alias){ .local = entry->key, .in_table = true,
	    .domain = source->domain, .file = table_source(source->table) };
	alias->line = wire_get_u32(&wire);
	number = wire_get_u32(&wire);
	alias->number = source->number + number;
	alias->target_count = wire_get_u32(&wire);
	alias->targets = wire_get_bytes(&wire, TARGETS_BYTES_MAX,
	    &alias->targets_length);
	if (wire_read_end(&wire) == -1 || entry->key_length > KEY_MAX ||
	    local == 0 || local > ADDRESS_LOCAL_MAX + 1 ||
	    entry->key[entry->key_length - 1] != '\0' ||
	    number >= table_count(source->table) ||
	    number >= (uint32_t)1 << NUMBER_BITS || alias->target_count == 0)
		return ALIAS_DAMAGED;
	if (local < entry->key_length)
		alias->domain = entry->key + local;
	return ALIAS_FOUND;
}

static enum alias_answer find_in(const struct aliases *aliases, size_t number,
    const char *key, size_t length, struct alias *alias)
{
	const struct source *source = &aliases->sources[number - 1];
	struct table_entry entry;

	switch (table_find(source->table, key, length, &entry)) {
	case TABLE_NONE: return ALIAS_NONE;
	case TABLE_FOUND: return open_record(source, &entry, alias);
	default: return ALIAS_DAMAGED;
	}
}

/* --- looking up --- */

/* Of a text, or else of the table that stands in its place; number 0: there is
 * no such table. */
static enum alias_answer look(const struct aliases *aliases,
    const struct hash *texts, size_t number, const struct alias_target *name,
    struct alias *alias)
{
	char key[KEY_MAX];
	size_t length = make_key(key, name->local, name->domain);
	const struct alias *found = length == 0 ? NULL :
	    hash_find(texts, key, length);

	if (found != NULL) {
		*alias = *found;
		return ALIAS_FOUND;
	}
	return length == 0 || number == 0 ? ALIAS_NONE :
	    find_in(aliases, number, key, length, alias);
}

enum alias_answer aliases_find(const struct aliases *aliases,
    const char *local, const char *domain, struct alias *alias)
{
	const struct alias_target whole = { local, domain };
	const struct alias_target bare = { local, NULL };
	size_t own = (size_t)(uintptr_t)hash_find_text(aliases->own_tables,
	    domain);
	size_t common = aliases->common_source;
	enum alias_answer answer;

	answer = look(aliases, aliases->own, own, &whole, alias);
	if (answer == ALIAS_NONE && own != 0)
		answer = look(aliases, aliases->own, own, &bare, alias);
	if (answer == ALIAS_NONE)
		answer = look(aliases, aliases->common, common, &whole,
		    alias);
	if (answer == ALIAS_NONE)
		answer = look(aliases, aliases->common, common, &bare, alias);
	return answer;
}

/* The next string, of max bytes at most; null if there is none. */
static const char *next_text(const struct alias *alias, size_t *position,
    size_t max)
{
	const char *text = alias->targets + *position;
	const char *end = memchr(text, '\0', alias->targets_length -
	    *position);

	if (end == NULL || (size_t)(end - text) > max)
		return NULL;
	*position += (size_t)(end - text) + 1;
	return text;
}

enum alias_answer alias_next_target(const struct alias *alias,
    size_t *position, struct alias_target *target)
{
	if (*position >= alias->targets_length)
		return ALIAS_NONE;
	target->local = next_text(alias, position, ADDRESS_LOCAL_MAX);
	if (target->local == NULL || target->local[0] == '\0' ||
	    *position >= alias->targets_length)
		return ALIAS_DAMAGED;
	target->domain = next_text(alias, position, ADDRESS_DOMAIN_MAX);
	if (target->domain == NULL)
		return ALIAS_DAMAGED;
	if (target->domain[0] == '\0')
		target->domain = NULL;
	return ALIAS_FOUND;
}

size_t aliases_count(const struct aliases *aliases)
{
	return aliases->count;
}

enum alias_answer aliases_next(const struct aliases *aliases,
    struct aliases_position *position, bool tables, struct alias *alias)
{
	if (position->item < aliases->count) {
		*alias = *aliases->items[position->item++];
		return ALIAS_FOUND;
	}
	while (tables && position->source < aliases->source_count) {
		const struct source *source =
		    &aliases->sources[position->source];
		struct table_entry entry;

		*alias = (struct alias){ .file = table_source(source->table) };
		switch (table_next(source->table, &position->in_table,
		    &entry)) {
		case TABLE_FOUND: return open_record(source, &entry, alias);
		case TABLE_NONE: break;
		default: return ALIAS_DAMAGED;
		}
		position->source++;
		position->in_table = 0;
	}
	return ALIAS_NONE;
}
