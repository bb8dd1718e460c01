/* SPDX-License-Identifier: ISC */
/*
 * One hash of "local@domain" for every user, one of the domains that take
 * everybody, and one of the domains that have a table. In a table a key is the
 * local part with its final null byte, and nothing stands behind it.
 */
#include "policy/users.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"
#include "conf/problem.h"

enum { LINE_MAX_BYTES = 256, KEY_MAX = ADDRESS_LOCAL_MAX + 1 +
    ADDRESS_DOMAIN_MAX + 1 };

/* The key of a table that takes everybody: no local part is that. */
static const char everybody[] = "\001";

struct users {
	struct hash	*mailboxes;	/* "local@domain" -> non-null */
	struct hash	*open;		/* domain -> non-null */
	struct hash	*tables;	/* domain -> struct table, held */
	struct table_writer *writer;	/* borrowed; or null */
};

struct users *users_new(void)
{
	struct users *users = mem_alloc(sizeof(*users));

	users->mailboxes = hash_new();
	users->open = hash_new();
	users->tables = hash_new();
	return users;
}

static void release_table(void *arg, const void *key, size_t length,
    void *value)
{
	(void)arg;
	(void)key;
	(void)length;
	table_release(value);
}

void users_free(struct users *users)
{
	if (users == NULL)
		return;
	hash_free(users->mailboxes);
	hash_free(users->open);
	hash_each(users->tables, release_table, NULL);
	hash_free(users->tables);
	mem_free(users);
}

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)tolower((unsigned char)*text);
}

static size_t make_key(char key[KEY_MAX], const char *local,
    const char *domain)
{
	int length = snprintf(key, KEY_MAX, "%s@%s", local, domain);

	return length < 0 || length >= KEY_MAX ? 0 : (size_t)length;
}

static void write_name(struct users *users, const char *local)
{
	if (users->writer != NULL)
		table_writer_add(users->writer, local, strlen(local) + 1, "",
		    0);
}

int users_add(struct users *users, const char *domain, const char *local)
{
	struct address address;
	char text[LINE_MAX_BYTES + 4], key[KEY_MAX];

	if (strcmp(local, "*") == 0) {
		if (hash_put_text(users->open, domain, users) == NULL)
			write_name(users, everybody);
		return 0;
	}
	/* Another @ would make a domain of what stands behind it. */
	if ((size_t)snprintf(text, sizeof(text), "%s@x", local) >=
	    sizeof(text) || address_parse(&address, text) != ADDRESS_OK ||
	    strcmp(address.domain, "x") != 0)
		return -1;
	lower(address.local);
	if (hash_put(users->mailboxes, key, make_key(key, address.local,
	    domain), users) == NULL)
		write_name(users, address.local);
	return 0;
}

/* Blank lines and lines that begin with # are passed over. */
static int add_line(struct users *users, const char *domain, const char *line,
    size_t length)
{
	char text[LINE_MAX_BYTES];

	while (length > 0 && isspace((unsigned char)line[length - 1]))
		length--;
	while (length > 0 && isspace((unsigned char)*line)) {
		line++;
		length--;
	}
	if (length == 0 || *line == '#')
		return 0;
	if (length >= sizeof(text) || memchr(line, '\0', length) != NULL)
		return -1;
	memcpy(text, line, length);
	text[length] = '\0';
	return users_add(users, domain, text);
}

void users_read(struct users *users, const char *domain, const char *text,
    size_t length, struct problems *problems)
{
	const char *end = text + length, *newline;
	int line = 1;

	for (; text < end; text = newline + 1, line++) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (newline == NULL)
			newline = end;
		if (add_line(users, domain, text, (size_t)(newline - text)) ==
		    -1)
			problems_add(problems, line, "not the local part of "
			    "an address; one a line is expected, without @ "
			    "and domain");
	}
}

void users_add_table(struct users *users, const char *domain,
    struct table *table)
{
	table_release(hash_put_text(users->tables, domain,
	    table_hold(table)));
}

void users_write(struct users *users, struct table_writer *writer)
{
	users->writer = writer;
}

size_t users_count(const struct users *users)
{
	return hash_count(users->mailboxes) + hash_count(users->open);
}

static enum users_answer ask_table(const struct users *users,
    const char *local, const char *domain)
{
	const struct table *table = hash_find_text(users->tables, domain);
	struct table_entry entry;

	if (table == NULL)
		return USERS_NOBODY;
	switch (table_find(table, local, strlen(local) + 1, &entry)) {
	case TABLE_NONE: return USERS_NOBODY;
	case TABLE_FOUND: return USERS_FOUND;
	default: return USERS_DAMAGED;
	}
}

enum users_answer users_has(const struct users *users, const char *local,
    const char *domain)
{
	char key[KEY_MAX];
	size_t length = make_key(key, local, domain);

	if (length == 0)
		return USERS_NOBODY;
	if (hash_find(users->mailboxes, key, length) != NULL)
		return USERS_FOUND;
	return ask_table(users, local, domain);
}

enum users_answer users_is_open(const struct users *users, const char *domain)
{
	if (hash_find_text(users->open, domain) != NULL)
		return USERS_FOUND;
	return ask_table(users, everybody, domain);
}
