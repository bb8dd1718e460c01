/* SPDX-License-Identifier: ISC */
/*
 * Reads files of aliases, line by line; a line that begins with a space or tab
 * goes on with the alias before it. Everything found is in one arena: the
 * table is made at once and dropped at once, at a reload.
 */
#include "policy/aliases.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "conf/problem.h"
#include "policy/directory_client.h"

enum { ITEM_MAX = 1024 };

struct aliases {
	struct arena	*arena;		/* owned */
	struct hash	*own;		/* of domains: "local@domain" */
	struct hash	*common;	/* of all: "local@domain", "local" */
	struct alias	**items;	/* owned; the aliases in the arena */
	size_t		 count, room;
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
	struct alias_target *targets;	/* owned; kept for the next */
	size_t		 target_count, target_room;
};

struct aliases *aliases_new(void)
{
	struct aliases *aliases = mem_alloc(sizeof(*aliases));

	/* What may be in it is bounded by the files, and those by the
	 * bundle that they came in. */
	aliases->arena = arena_new(SIZE_MAX / 4);
	aliases->own = hash_new();
	aliases->common = hash_new();
	return aliases;
}

void aliases_free(struct aliases *aliases)
{
	if (aliases == NULL)
		return;
	hash_free(aliases->own);
	hash_free(aliases->common);
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
	alias->targets = arena_dup(reader->aliases->arena, reader->targets,
	    reader->target_count * sizeof(*reader->targets));
	alias->target_count = reader->target_count;
}

static void keep(struct aliases *aliases, struct alias *alias)
{
	if (aliases->count == aliases->room) {
		aliases->room = aliases->room * 2 + 64;
		aliases->items = mem_resize(aliases->items, aliases->room,
		    sizeof(*aliases->items));
	}
	alias->number = (unsigned)aliases->count;
	aliases->items[aliases->count++] = alias;
}

/* The alias under its key; it may stand there already. */
static void add_alias(struct reader *reader, const struct address *address)
{
	struct aliases *aliases = reader->aliases;
	struct arena *arena = aliases->arena;
	struct alias *alias = arena_alloc(arena, sizeof(*alias));
	struct hash *table = reader->domain != NULL ? aliases->own :
	    aliases->common;
	char key[sizeof(address->local) + sizeof(address->domain) + 1];
	const struct alias *other;

	alias->local = arena_dup_string(arena, address->local);
	alias->file = reader->file;
	alias->line = (unsigned)reader->line;
	alias->domain = reader->domain;
	if (alias->domain == NULL && address->domain[0] != '\0')
		alias->domain = arena_dup_string(arena, address->domain);
	snprintf(key, sizeof(key), alias->domain == NULL ? "%s" : "%s@%s",
	    alias->local, alias->domain);
	other = hash_find_text(table, key);
	if (other != NULL) {
		problems_add(reader->problems, reader->line,
		    "%.200s is there already, in line %u; put all its targets "
		    "into one", key, other->line);
		return;
	}
	hash_put_text(table, key, alias);
	keep(aliases, alias);
	reader->current = alias;
}

static void read_key(struct reader *reader, const char *text, size_t length)
{
	struct address address;
	enum address_error error;

	reader->had_key = true;
	reader->target_count = 0;
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
	struct arena *arena = reader->aliases->arena;
	struct alias_target *target;

	if (reader->target_count == DIRECTORY_TARGETS_MAX) {
		problems_add(reader->problems, reader->line,
		    "%.80s has more than %d targets; that is a mailing list, "
		    "for which there are list managers",
		    reader->current->local, DIRECTORY_TARGETS_MAX);
		reader->current = NULL;
		return;
	}
	if (reader->target_count == reader->target_room) {
		reader->target_room = reader->target_room * 2 + 16;
		reader->targets = mem_resize(reader->targets,
		    reader->target_room, sizeof(*reader->targets));
	}
	target = &reader->targets[reader->target_count++];
	target->local = arena_dup_string(arena, address->local);
	target->domain = address->domain[0] == '\0' ? NULL :
	    arena_dup_string(arena, address->domain);
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

	for (; text < end; text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (newline == NULL)
			newline = end;
		reader.line++;
		read_line(&reader, text, (size_t)(newline - text));
	}
	finish_alias(&reader);
	mem_free(reader.targets);
}

const struct alias *aliases_find(const struct aliases *aliases,
    const char *local, const char *domain)
{
	char key[sizeof(((struct address *)NULL)->local) +
	    sizeof(((struct address *)NULL)->domain) + 1];
	size_t length = (size_t)snprintf(key, sizeof(key), "%s@%s", local,
	    domain);
	const struct alias *alias;

	if (length >= sizeof(key))
		return NULL;
	alias = hash_find(aliases->own, key, length);
	if (alias == NULL)
		alias = hash_find(aliases->common, key, length);
	if (alias == NULL)
		alias = hash_find_text(aliases->common, local);
	return alias;
}

size_t aliases_count(const struct aliases *aliases)
{
	return aliases->count;
}

const struct alias *aliases_get(const struct aliases *aliases, size_t number)
{
	return aliases->items[number];
}
