/* SPDX-License-Identifier: ISC */
/*
 * Reading credentials. A line ends at LF or CRLF; blanks are part of what they
 * stand in, since a password may have them.
 */
#include "delivery/credentials.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/scram.h"

enum { LINES = 2 };

/* The next line, owned by the caller and wiped by it; null at the end. */
static char *take_line(const char **text)
{
	size_t length = strcspn(*text, "\n"), kept = length;
	char *line;

	if (**text == '\0')
		return NULL;
	if (kept > 0 && (*text)[kept - 1] == '\r')
		kept--;
	line = mem_alloc(kept + 1);
	memcpy(line, *text, kept);
	*text += length + ((*text)[length] == '\n');
	return line;
}

/* What is wrong with a name or a password; null: nothing. */
static const char *find_problem(const char *line, size_t max)
{
	char *prepared;
	const char *problem = NULL;
	size_t size;

	if (line == NULL || line[0] == '\0')
		return "is missing";
	size = strlen(line) + 1;
	if (size - 1 > max)
		return "is too long";
	prepared = mem_alloc(size);
	if (scram_prepare(prepared, size, line) == -1)
		problem = "has bytes that are no text in UTF-8, or control "
		    "characters";
	mem_wipe(prepared, size);
	mem_free(prepared);
	return problem;
}

struct credentials *credentials_read(const char *path, const char *text,
    char *error, size_t size)
{
	static const char *const names[LINES] = { "user name", "password" };
	static const size_t most[LINES] = { SCRAM_NAME_MAX,
	    SCRAM_PASSWORD_MAX };
	struct credentials *credentials = mem_alloc(sizeof(*credentials));
	const char *problem = NULL;
	int i;

	credentials->user = take_line(&text);
	credentials->password = take_line(&text);
	for (i = 0; i < LINES; i++) {
		problem = find_problem(i == 0 ? credentials->user :
		    credentials->password, most[i]);
		if (problem != NULL)
			break;
	}
	if (problem != NULL)
		snprintf(error, size, "%.200s:%d: the %s %s; the file has the "
		    "user name on its first line and the password on its "
		    "second", path, i + 1, names[i], problem);
	else if (text[strspn(text, "\r\n")] != '\0')
		snprintf(error, size, "%.200s:%d: there is more than a user "
		    "name and a password; a file is for one account", path,
		    LINES + 1);
	else
		return credentials;
	credentials_free(credentials);
	return NULL;
}

void credentials_free(struct credentials *credentials)
{
	if (credentials == NULL)
		return;
	mem_free_secret(credentials->user);
	mem_free_secret(credentials->password);
	mem_free(credentials);
}
