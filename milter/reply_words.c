/* SPDX-License-Identifier: ISC */
/*
 * Line by line: code, hyphen or space, enhanced code, text. All lines have the
 * same code; the last need not be told from the others, since there is nothing
 * behind it.
 */
#include "milter/reply.h"

#include <string.h>

struct words {
	int	 code;			/* of the first line */
	char	 enhanced[16];
	char	*text;			/* REPLY_TEXT_SIZE */
	size_t	 used;
	int	 lines;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 5321 4.2: a refusal; the second digit ends at 5. 0 if it is none. */
static int read_code(const char *line, size_t length)
{
	if (length < 3 || (line[0] != '4' && line[0] != '5') ||
	    line[1] < '0' || line[1] > '5' || !is_digit(line[2]))
		return 0;
	if (length > 3 && line[3] != ' ' && line[3] != '-')
		return 0;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
}

/* One to three digits. */
static size_t number_length(const char *text, size_t length)
{
	size_t n = 0;

	while (n < length && n < 4 && is_digit(text[n]))
		n++;
	return n < 4 ? n : 0;
}

/* "5.7.1" and what follows it, a space or the end (RFC 3463 2); 0: none. */
static size_t enhanced_length(const char *text, size_t length)
{
	size_t at = 2, n;

	if (length < 5 || (text[0] != '2' && text[0] != '4' &&
	    text[0] != '5') || text[1] != '.')
		return 0;
	n = number_length(text + at, length - at);
	at += n;
	if (n == 0 || at == length || text[at++] != '.')
		return 0;
	n = number_length(text + at, length - at);
	at += n;
	if (n == 0 || (at < length && text[at] != ' '))
		return 0;
	return at;
}

/* The filter's percent signs come doubled (smfi_setreply). */
static void add_text(struct words *words, const char *text, size_t length)
{
	size_t start = words->used;

	for (size_t i = 0; i < length &&
	    words->used - start < REPLY_LINE_MAX; i++) {
		char c = text[i];

		if (c == '%' && i + 1 < length && text[i + 1] == '%')
			i++;
		words->text[words->used++] = c == '\t' ? ' ' :
		    c < ' ' || c >= 0x7f ? '?' : c;
	}
}

static int add_line(struct words *words, const char *line, size_t length)
{
	int code = read_code(line, length);
	size_t head = 0;

	if (code == 0 || (words->lines > 0 && code != words->code))
		return -1;
	words->code = code;
	if (words->lines == REPLY_LINES_MAX)	/* the rest is cut */
		return 0;
	line += length > 3 ? 4 : 3;
	length -= length > 3 ? 4 : 3;
	head = enhanced_length(line, length);
	/* RFC 2034 4: one of another class says nothing. */
	if (words->lines == 0 && head > 0 && line[0] - '0' == code / 100)
		memcpy(words->enhanced, line, head);
	if (head > 0 && head < length)
		head++;
	if (words->lines++ > 0)
		words->text[words->used++] = '\n';
	add_text(words, line + head, length - head);
	return 0;
}

int reply_words(const char *words, int *code, char enhanced[16],
    char text[REPLY_TEXT_SIZE])
{
	struct words all = { .text = text };
	const char *line = words;

	do {
		size_t length = strcspn(line, "\n");
		size_t whole = length;

		if (length > 0 && line[length - 1] == '\r')
			length--;
		if (add_line(&all, line, length) != 0)
			return -1;
		line += whole;
		if (*line == '\n')
			line++;
	} while (*line != '\0');
	all.text[all.used] = '\0';
	*code = all.code;
	memcpy(enhanced, all.enhanced, sizeof(all.enhanced));
	return 0;
}
