/* SPDX-License-Identifier: ISC */
/*
 * The reader of the list of client certificates. The whole file is right or
 * none of it is used: a line that is not understood may be the one that
 * somebody meant to take a right away with.
 */
#include "smtpd/certificates.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { LINE_BYTES = 512 };

struct place {
	const char	*file;
	int		 line;
	char		*error;
	size_t		 size;
};

static int complain(const struct place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int complain(const struct place *place, const char *format, ...)
{
	char sentence[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	snprintf(place->error, place->size, "%s:%d: %s", place->file,
	    place->line, sentence);
	return -1;
}

void certificates_init(struct certificates *list)
{
	memset(list, 0, sizeof(*list));
}

void certificates_release(struct certificates *list)
{
	mem_free(list->entries);
	certificates_init(list);
}

bool certificate_is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > CERTIFICATE_NAME_MAX)
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) &&
		    strchr("._-@", *text) == NULL)
			return false;
	return true;
}

const struct certificate_entry *certificates_named(
    const struct certificates *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->entries[i].name, name) == 0)
			return &list->entries[i];
	return NULL;
}

static const struct certificate_entry *find_digest(
    const struct certificates *list, enum certificate_kind kind,
    const uint8_t *digest)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].kind == kind &&
		    memcmp(list->entries[i].digest, digest, DIGEST_BYTES) == 0)
			return &list->entries[i];
	return NULL;
}

const char *certificates_find(const struct certificates *list,
    const uint8_t *certificate_digest, const uint8_t *key_digest)
{
	const struct certificate_entry *entry = find_digest(list,
	    CERTIFICATE_WHOLE, certificate_digest);

	if (entry == NULL)
		entry = find_digest(list, CERTIFICATE_KEY, key_digest);
	return entry == NULL ? NULL : entry->name;
}

/* The next word, cut off; "" at the end of the line. */
static char *take_word(char **at)
{
	char *word = *at + strspn(*at, " \t\r");

	*at = word + strcspn(word, " \t\r");
	if (**at != '\0')
		*(*at)++ = '\0';
	return word;
}

static int read_entry(struct certificate_entry *entry, char *line,
    const struct place *place)
{
	const char *kind = take_word(&line);
	const char *digest = take_word(&line);
	const char *name = take_word(&line);

	memset(entry, 0, sizeof(*entry));
	if (strcmp(kind, "key") == 0)
		entry->kind = CERTIFICATE_KEY;
	else if (strcmp(kind, "certificate") != 0)
		return complain(place, "\"%.40s\" is not known here; a line is "
		    "\"certificate DIGEST NAME\" or \"key DIGEST NAME\"",
		    kind);
	if (hex_parse(entry->digest, sizeof(entry->digest), digest) !=
	    DIGEST_BYTES)
		return complain(place, "the digest is not SHA-256 in "
		    "hexadecimal: 64 digits");
	if (!certificate_is_name(name))
		return complain(place, "a name is 1 to %d letters, digits and "
		    "any of . _ - @", CERTIFICATE_NAME_MAX);
	if (*take_word(&line) != '\0')
		return complain(place, "there is more behind the name");
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	return 0;
}

static int add_entry(struct certificates *list,
    const struct certificate_entry *entry, const struct place *place)
{
	const struct certificate_entry *same;

	if (certificates_named(list, entry->name) != NULL)
		return complain(place, "the name %s is there twice",
		    entry->name);
	same = find_digest(list, entry->kind, entry->digest);
	if (same != NULL)
		return complain(place, "the digest is that of %s, too",
		    same->name);
	if (list->count == CERTIFICATES_MAX)
		return complain(place, "more than %d certificates",
		    CERTIFICATES_MAX);
	list->entries = mem_resize(list->entries, list->count + 1,
	    sizeof(*list->entries));
	list->entries[list->count++] = *entry;
	return 0;
}

static int read_line(struct certificates *list, char *line,
    const struct place *place)
{
	struct certificate_entry entry;

	line[strcspn(line, "#")] = '\0';
	if (line[strspn(line, " \t\r")] == '\0')
		return 0;
	if (read_entry(&entry, line, place) != 0)
		return -1;
	return add_entry(list, &entry, place);
}

int certificates_read(struct certificates *list, const char *file,
    const char *text, char *error, size_t size)
{
	struct place place = { file, 0, error, size };
	char line[LINE_BYTES];

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		place.line++;
		if (length >= sizeof(line)) {
			complain(&place, "the line is too long");
			certificates_release(list);
			return -1;
		}
		memcpy(line, text, length);
		line[length] = '\0';
		text += length + (text[length] == '\n');
		if (read_line(list, line, &place) != 0) {
			certificates_release(list);
			return -1;
		}
	}
	return 0;
}

void certificate_format(const struct certificate_entry *entry, char *out,
    size_t size)
{
	char digest[2 * DIGEST_BYTES + 1];

	hex_format(entry->digest, DIGEST_BYTES, digest, sizeof(digest));
	snprintf(out, size, "%s %s %s\n",
	    entry->kind == CERTIFICATE_KEY ? "key" : "certificate", digest,
	    entry->name);
}
