/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as what a client says to the server of policies. What must hold:
 * a request that is taken is whole, and is read the same with or without what
 * stands behind it; less of it is never taken; its head is clean.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/sts_request.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct sts_request *request, const char *data,
    size_t size)
{
	struct sts_request alone;

	if (request->length < 18 || request->length > size ||
	    request->length > STS_REQUEST_MAX + 2 ||
	    memcmp(data + request->length - 4, "\r\n\r\n", 4) != 0 ||
	    memchr(data, '\0', request->length) != NULL ||
	    strlen(request->host) > STS_REQUEST_HOST_MAX)
		abort();
	sts_request_read(&alone, data, request->length);
	if (memcmp(&alone, request, sizeof(alone)) != 0)
		abort();
	sts_request_read(&alone, data, request->length - 1);
	if (alone.status == 200)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	struct sts_request request;
	size_t at = 0;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	do {
		sts_request_read(&request, copy + at, size - at);
		if (request.status == 200)
			check_taken(&request, copy + at, size - at);
		else if (request.length != 0 || request.keep)
			abort();
		at += request.length;
	} while (request.status == 200);
	free(copy);
	return 0;
}
