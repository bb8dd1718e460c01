/* SPDX-License-Identifier: ISC */
/*
 * maildirsize, which readers of mail write: what is taken holds no negative
 * sums, and a line more changes them by what it says.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/maildir_quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maildir_size first, second;
	char *text = malloc(size + sizeof("17 1\n"));

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (maildir_size_parse(text, &first) == 0) {
		must(first.limit >= 0 && first.bytes >= 0 && first.count >= 0);
		memcpy(text + strlen(text), "17 1\n", sizeof("17 1\n"));
		if (maildir_size_parse(text, &second) == 0)
			must(second.bytes == first.bytes + 17 &&
			    second.count == first.count + 1 &&
			    second.lines == first.lines + 1);
	}
	free(text);
	return 0;
}
