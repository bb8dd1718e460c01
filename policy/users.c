/* SPDX-License-Identifier: ISC */
/*
 * One hash of "local@domain" for every user, and one of our domains with
 * whether they take everybody. Postmaster exists in each of our domains
 * (RFC 5321 4.5.1); without a domain it is the first domain's.
 */
#include "policy/users.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"

enum { LINE_MAX_BYTES = 256 };

struct users {
	struct hash	*mailboxes;	/* "local@domain" -> non-null */
	struct hash	*domains;	/* name -> &closed or &open */
	char		*first_domain;	/* owned; null: we have none */
};

static char closed, open_to_all;

static void lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* One local part; "*" opens the domain. -1 if it is not a local part. */
static int add_user(struct users *users, const char *domain, const char *local)
{
	struct address address;
	char text[ADDRESS_MAX + 1];

	if (strcmp(local, "*") == 0) {
		hash_put_text(users->domains, domain, &open_to_all);
		return 0;
	}
	if ((size_t)snprintf(text, sizeof(text), "%s@%s", local, domain) >=
	    sizeof(text) || address_parse(&address, text) != ADDRESS_OK)
		return -1;
	lower(address.local);
	address_format(&address, text, sizeof(text));
	hash_put_text(users->mailboxes, text, users);
	return 0;
}

/* One name a line; blank lines and lines that begin with # are passed over. */
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
	if (length >= sizeof(text))
		return -1;
	memcpy(text, line, length);
	text[length] = '\0';
	return add_user(users, domain, text);
}

static int add_file(struct users *users, const char *domain,
    const struct bundle_file *file, char *error, size_t size)
{
	const char *position = file->contents, *newline;
	const char *end = file->contents + file->length;
	unsigned number = 1;

	for (; position < end; position = newline + 1, number++) {
		newline = memchr(position, '\n', (size_t)(end - position));
		if (newline == NULL)
			newline = end;
		if (add_line(users, domain, position,
		    (size_t)(newline - position)) == -1) {
			snprintf(error, size, "%s:%u: not the local part of an "
			    "address; one a line is expected, without @ and "
			    "domain", file->path, number);
			return -1;
		}
	}
	return 0;
}

static int add_domain(struct users *users, const struct conf_domain *domain,
    const struct bundle *bundle, char *error, size_t size)
{
	const struct bundle_file *file;
	size_t i;

	hash_put_text(users->domains, domain->name, &closed);
	if (users->first_domain == NULL)
		users->first_domain = mem_dup_string(domain->name);
	for (i = 0; i < domain->users.count; i++)
		if (add_user(users, domain->name,
		    domain->users.items[i]) == -1) {
			snprintf(error, size, "domain %s: \"%s\" is not the "
			    "local part of an address", domain->name,
			    domain->users.items[i]);
			return -1;
		}
	if (domain->users_file == NULL || domain->users_file[0] == '\0')
		return 0;
	file = bundle_file(bundle, domain->users_file);
	if (file == NULL) {
		snprintf(error, size, "%s was not read", domain->users_file);
		return -1;
	}
	return add_file(users, domain->name, file, error, size);
}

struct users *users_new(const struct conf *conf, const struct bundle *bundle,
    char *error, size_t size)
{
	struct users *users = mem_alloc(sizeof(*users));
	size_t i;

	users->mailboxes = hash_new();
	users->domains = hash_new();
	for (i = 0; i < conf->domain_count; i++)
		if (add_domain(users, &conf->domains[i], bundle, error,
		    size) == -1) {
			users_free(users);
			return NULL;
		}
	return users;
}

void users_free(struct users *users)
{
	if (users == NULL)
		return;
	hash_free(users->mailboxes);
	hash_free(users->domains);
	mem_free(users->first_domain);
	mem_free(users);
}

static int parse(const struct users *users, const char *text,
    struct address *address)
{
	if (strcasecmp(text, "postmaster") == 0) {
		if (users->first_domain == NULL)
			return -1;
		memset(address, 0, sizeof(*address));
		memcpy(address->local, "postmaster", sizeof("postmaster"));
		snprintf(address->domain, sizeof(address->domain), "%s",
		    users->first_domain);
		return 0;
	}
	return address_parse(address, text) == ADDRESS_OK ? 0 : -1;
}

enum directory_answer users_find(const struct users *users, const char *text,
    char *mailbox, size_t size)
{
	struct address address;
	const char *kind;

	if (parse(users, text, &address) == -1)
		return DIRECTORY_NOT_OURS;
	kind = hash_find_text(users->domains, address.domain);
	if (kind == NULL)
		return DIRECTORY_NOT_OURS;
	lower(address.local);
	address_format(&address, mailbox, size);
	if (kind == &open_to_all || address_is_postmaster(&address) ||
	    hash_find_text(users->mailboxes, mailbox) != NULL)
		return DIRECTORY_FOUND;
	return DIRECTORY_NO_USER;
}
