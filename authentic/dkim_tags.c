/* SPDX-License-Identifier: ISC */
/*
 * tag-list = tag-spec *( ";" tag-spec ) [ ";" ], where each side of "=" may
 * have folding white space. A name that is there twice makes the list void.
 */
#include "authentic/dkim_tags.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/utf8.h"

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* ASCII, whatever the locale. */
static bool is_name_byte(char byte, bool first)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	    (!first && ((byte >= '0' && byte <= '9') || byte == '_'));
}

/* CR and LF are there only to fold: CRLF with a blank behind it, or what the
 * text ends with. */
static bool is_folding(const char *text, size_t length, size_t i)
{
	size_t next = i + 2;

	if (text[i] == '\n')
		return i > 0 && text[i - 1] == '\r';
	return i + 1 < length && text[i + 1] == '\n' &&
	    (next == length || text[next] == ' ' || text[next] == '\t');
}

static const char *check_bytes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\r' || byte == '\n') {
			if (!is_folding(text, length, i))
				return "a line end in a tag";
		} else if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
			return "a control character in a tag";
		}
	}
	return utf8_is_valid(text, length) ? NULL : "a tag is not UTF-8";
}

static size_t skip_space(const char *text, size_t end, size_t i)
{
	while (i < end && is_space(text[i]))
		i++;
	return i;
}

/* "name = value" in [i, end). */
static const char *read_tag(struct dkim_tags *tags, const char *text,
    size_t i, size_t end)
{
	struct dkim_tag tag;

	memset(&tag, 0, sizeof(tag));
	tag.name = text + i;
	while (i < end && is_name_byte(text[i], tag.name_length == 0)) {
		tag.name_length++;
		i++;
	}
	i = skip_space(text, end, i);
	if (tag.name_length == 0 || i == end || text[i] != '=')
		return "a tag without name and \"=\"";
	tag.from = i + 1;
	tag.to = end;
	i = skip_space(text, end, i + 1);
	while (end > i && is_space(text[end - 1]))
		end--;
	tag.value = text + i;
	tag.value_length = end - i;
	for (i = 0; i < tags->count; i++)
		if (tags->items[i].name_length == tag.name_length &&
		    memcmp(tags->items[i].name, tag.name,
		    tag.name_length) == 0)
			return "a tag is there twice";
	if (tags->count == DKIM_TAGS_MAX)
		return "too many tags";
	tags->items[tags->count++] = tag;
	return NULL;
}

const char *dkim_tags_read(struct dkim_tags *tags, const char *text,
    size_t length)
{
	const char *wrong = check_bytes(text, length);
	size_t start = 0;

	tags->count = 0;
	while (wrong == NULL && start < length) {
		const char *semicolon = memchr(text + start, ';',
		    length - start);
		size_t end = semicolon != NULL ? (size_t)(semicolon - text) :
		    length;

		start = skip_space(text, end, start);
		/* Nothing may follow the last semicolon, but only that. */
		if (start == end && end == length && tags->count > 0)
			break;
		wrong = read_tag(tags, text, start, end);
		start = end + 1;
	}
	if (wrong == NULL && tags->count == 0)
		wrong = "there are no tags";
	return wrong;
}

const struct dkim_tag *dkim_tags_find(const struct dkim_tags *tags,
    const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < tags->count; i++)
		if (tags->items[i].name_length == length &&
		    memcmp(tags->items[i].name, name, length) == 0)
			return &tags->items[i];
	return NULL;
}

bool dkim_tag_is(const struct dkim_tag *tag, const char *word)
{
	return tag != NULL && tag->value_length == strlen(word) &&
	    memcmp(tag->value, word, tag->value_length) == 0;
}

bool dkim_tag_next(const struct dkim_tag *tag, size_t *offset,
    const char **word, size_t *length)
{
	size_t start = *offset, end;
	const char *colon;

	/* Behind the last word offset is one more than there are bytes. */
	if (start > tag->value_length)
		return false;
	colon = memchr(tag->value + start, ':', tag->value_length - start);
	end = colon != NULL ? (size_t)(colon - tag->value) : tag->value_length;
	*offset = end + 1;
	start = skip_space(tag->value, end, start);
	while (end > start && is_space(tag->value[end - 1]))
		end--;
	*word = tag->value + start;
	*length = end - start;
	return true;
}

bool dkim_tag_lists(const struct dkim_tag *tag, const char *word)
{
	size_t offset = 0, length;
	const char *one;

	while (dkim_tag_next(tag, &offset, &one, &length))
		if (length == strlen(word) && memcmp(one, word, length) == 0)
			return true;
	return false;
}

char *dkim_tag_text(const struct dkim_tag *tag)
{
	char *text = mem_alloc(tag->value_length + 1);

	memcpy(text, tag->value, tag->value_length);
	return text;
}

char *dkim_tag_packed(const struct dkim_tag *tag)
{
	char *text = mem_alloc(tag->value_length + 1);
	size_t used = 0;

	for (size_t i = 0; i < tag->value_length; i++)
		if (!is_space(tag->value[i]))
			text[used++] = tag->value[i];
	return text;
}

int dkim_tag_base64(const struct dkim_tag *tag, uint8_t *out, size_t size)
{
	char *text;
	int length;

	/* As much white space as letters is more than anybody folds. */
	if (tag->value_length > 4 * size + 64)
		return -1;
	text = dkim_tag_packed(tag);
	length = base64_parse(out, size, text);
	mem_free(text);
	return length;
}

int dkim_tag_number(const struct dkim_tag *tag, size_t max, uint64_t *number)
{
	*number = 0;
	if (tag->value_length == 0 || tag->value_length > max)
		return -1;
	for (size_t i = 0; i < tag->value_length; i++) {
		unsigned digit = (unsigned)(unsigned char)tag->value[i] - '0';

		if (digit > 9)
			return -1;
		if (*number > (UINT64_MAX - digit) / 10)
			*number = UINT64_MAX;
		else
			*number = *number * 10 + digit;
	}
	return 0;
}
