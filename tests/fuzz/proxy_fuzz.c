/* SPDX-License-Identifier: ISC */
/*
 * PROXY headers from anybody: whatever the bytes, an answer to a beginning is
 * PROXY_MORE or the answer to the whole, and no byte behind the header counts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy whole, part;
	enum proxy_result result, earlier;
	uint8_t *copy;

	if (size > PROXY_BYTES_MAX)
		size = PROXY_BYTES_MAX;
	result = proxy_parse(&whole, data, size);
	must(result == PROXY_BAD || result == PROXY_MORE ||
	    (whole.used > 0 && whole.used <= size));
	for (size_t cut = 0; cut <= size; cut++) {
		/* So that reading beyond it is seen. */
		copy = malloc(cut + (cut == 0));
		must(copy != NULL);
		if (cut > 0)
			memcpy(copy, data, cut);
		earlier = proxy_parse(&part, copy, cut);
		free(copy);
		must(earlier == PROXY_MORE || earlier == result);
		if (earlier == PROXY_MORE || earlier == PROXY_BAD)
			continue;
		must(part.used == whole.used && part.used <= cut);
		must(result != PROXY_CLIENT ||
		    endpoint_same_host(&part.client, &whole.client));
	}
	return 0;
}
