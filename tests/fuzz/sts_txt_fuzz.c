/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as TXT records: each line is one. What is taken for an id must be
 * one, and must stand in one of the records.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "policy/sts_policy.h"

enum { RECORDS_MAX = 8 };

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *records[RECORDS_MAX], *p = (const char *)data, *end;
	size_t lengths[RECORDS_MAX], count = 0, left = size;
	char id[STS_ID_MAX + 1], why[80] = "";

	while (left > 0 && count < RECORDS_MAX) {
		end = memchr(p, '\n', left);
		records[count] = p;
		lengths[count] = end == NULL ? left : (size_t)(end - p);
		left -= lengths[count] + (end != NULL);
		p += lengths[count] + (end != NULL);
		count++;
	}
	memset(id, 'x', sizeof(id));
	if (sts_read_txt(records, lengths, count, id, why, sizeof(why)) != 0) {
		if (id[0] != '\0' || why[0] == '\0')
			__builtin_trap();
		return 0;
	}
	if (id[0] == '\0' || strlen(id) > STS_ID_MAX ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(id) ||
	    memmem(data, size, id, strlen(id)) == NULL)
		__builtin_trap();
	return 0;
}
