/* SPDX-License-Identifier: ISC */
/*
 * Lines of Dovecot's authentication server. No name of a user may hold what
 * would end a line of ours.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dovecot_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dovecot_line line;
	char *text;

	if (size > DOVECOT_HEARD_MAX || memchr(data, '\0', size) != NULL ||
	    memchr(data, '\n', size) != NULL)
		return -1;
	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	if (dovecot_line_parse(&line, text) == 0) {
		if (line.kind == DOVECOT_OK && line.user[0] == '\0')
			abort();
		for (const char *at = line.user; *at != '\0'; at++)
			if ((unsigned char)*at < ' ')
				abort();
		if (line.kind == DOVECOT_MECH &&
		    !dovecot_is_mechanism(line.mechanism))
			abort();
		if (line.kind == DOVECOT_CONT && (line.data == NULL ||
		    strlen(line.data) > size))
			abort();
	}
	free(text);
	return 0;
}
