/* SPDX-License-Identifier: ISC */
/*
 * One pass over the text, byte by byte: see guard.h. The picture:
 *
 *	PLAIN -- '#' --> COMMENT -- newline --> PLAIN
 *	PLAIN -- '"' or ''' --> QUOTED -- the same again --> PLAIN
 *
 * A quote still open at the end of its line is a problem of that line, and
 * the next line is PLAIN again, so that one mistake is told once.
 */
#include "conf/guard.h"

#include <stdbool.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/problem.h"

enum guard_state { GUARD_PLAIN, GUARD_COMMENT, GUARD_QUOTED };

enum { DEPTH_MAX = 8 };

struct scan {
	struct guard	*guard;
	struct problems	*problems;
	char		*at;		/* next byte */
	int		 line;
	enum guard_state state;
	char		 quote;		/* the one that is open */
	char		 last;		/* last byte that was no space */
	unsigned	 depth;		/* open braces */
	int		 opened[DEPTH_MAX];	/* lines of them */
};

static void note_section(struct scan *scan)
{
	struct guard *guard = scan->guard;

	guard->section_lines = mem_resize(guard->section_lines,
	    guard->section_count + 1, sizeof(*guard->section_lines));
	guard->section_lines[guard->section_count++] = scan->line;
}

static void open_brace(struct scan *scan)
{
	if (scan->depth == 0 && scan->last != '=')
		note_section(scan);
	if (scan->depth < DEPTH_MAX)
		scan->opened[scan->depth] = scan->line;
	scan->depth++;
}

static void close_brace(struct scan *scan)
{
	if (scan->depth == 0)
		problems_add(scan->problems, scan->line,
		    "'}' closes nothing; remove it, or add the '{' it belongs "
		    "to");
	else
		scan->depth--;
}

static void plain_byte(struct scan *scan)
{
	char byte = *scan->at;

	if (byte == '#') {
		scan->state = GUARD_COMMENT;
		*scan->at = ' ';
		return;
	}
	if (byte == '"' || byte == '\'') {
		scan->state = GUARD_QUOTED;
		scan->quote = byte;
	} else if (byte == '{') {
		open_brace(scan);
	} else if (byte == '}') {
		close_brace(scan);
	} else if (strchr("+*()", byte) != NULL) {
		problems_add(scan->problems, scan->line,
		    "'%c' outside quotes; put values that hold it in double "
		    "quotes", byte);
	} else if (byte == '\\') {
		problems_add(scan->problems, scan->line,
		    "'\\' outside quotes; put values that hold it in double "
		    "quotes, as \"\\\\\"");
	} else if (byte == '/' && (scan->at[1] == '/' || scan->at[1] == '*')) {
		problems_add(scan->problems, scan->line,
		    "'/%c' outside quotes; a comment begins with '#', a path "
		    "has single slashes", scan->at[1]);
		scan->at++;
	}
	if (byte != ' ' && byte != '\t')
		scan->last = byte;
}

static void quoted_byte(struct scan *scan)
{
	char byte = *scan->at, next = scan->at[1];

	if (byte == scan->quote) {
		scan->state = GUARD_PLAIN;
		scan->last = byte;
	} else if (byte == '\\') {
		if (next == '\\' || next == scan->quote)
			scan->at++;
		else
			problems_add(scan->problems, scan->line,
			    "'\\' before something other than '\\' or the "
			    "quote; write \"\\\\\" for one backslash");
	}
}

static void end_line(struct scan *scan)
{
	if (scan->state == GUARD_QUOTED)
		problems_add(scan->problems, scan->line,
		    "the string that begins with %c does not end on its line; "
		    "close it with %c", scan->quote, scan->quote);
	scan->state = GUARD_PLAIN;
	scan->line++;
}

/* Bytes that are wrong wherever they stand but in comments. */
static bool is_refused(struct scan *scan)
{
	unsigned char byte = (unsigned char)*scan->at;

	if (byte == '\r' && scan->at[1] == '\n') {
		*scan->at = ' ';
		return scan->state == GUARD_QUOTED;
	}
	if ((byte < ' ' && byte != '\t') || byte == 127) {
		problems_add(scan->problems, scan->line,
		    "control character 0x%02x; a configuration is plain text, "
		    "remove it", byte);
		return true;
	}
	if (byte != '$' || scan->at[1] != '{')
		return false;
	problems_add(scan->problems, scan->line,
	    "'${': the environment is not read here; write the value itself");
	while (scan->at[1] != '\0' && strchr("}\"'\n", scan->at[1]) == NULL)
		scan->at++;
	if (scan->at[1] == '}')
		scan->at++;
	return true;
}

static void scan_byte(struct scan *scan)
{
	if (*scan->at == '\n') {
		end_line(scan);
	} else if (scan->state == GUARD_COMMENT) {
		*scan->at = ' ';
	} else if (!is_refused(scan)) {
		switch (scan->state) {
		case GUARD_PLAIN: plain_byte(scan); break;
		case GUARD_QUOTED: quoted_byte(scan); break;
		default: bug("guard state");
		}
	}
	scan->at++;
}

int guard_init(struct guard *guard, const char *text,
    struct problems *problems)
{
	struct scan scan = { .guard = guard, .problems = problems, .line = 1 };
	size_t before = problems->count;

	memset(guard, 0, sizeof(*guard));
	guard->text = mem_dup_string(text);
	scan.at = guard->text;
	if (strncmp(scan.at, "\xef\xbb\xbf", 3) == 0)
		memset(scan.at, ' ', 3);	/* byte order mark */
	while (*scan.at != '\0')
		scan_byte(&scan);
	if (scan.state == GUARD_QUOTED)
		end_line(&scan);
	while (scan.depth > DEPTH_MAX)
		scan.depth--;
	if (scan.depth > 0)
		problems_add(problems, scan.opened[scan.depth - 1],
		    "'{' is never closed; add the '}' that ends it");
	return problems->count == before ? 0 : -1;
}

void guard_release(struct guard *guard)
{
	mem_free(guard->text);
	mem_free(guard->section_lines);
	memset(guard, 0, sizeof(*guard));
}
