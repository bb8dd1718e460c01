/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as the answer of a policy host. The first byte says whether the
 * end is an orderly one. All at once and byte by byte must come to the same,
 * and a body that a cut could have shortened must not pass.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "policy/fetch_response.h"
#include "policy/sts_policy.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct response *response)
{
	if (response->state == RESPONSE_FAILED ?
	    response->result == FETCH_BODY || response->problem[0] == '\0' :
	    response->state != RESPONSE_END ||
	    response->result != FETCH_BODY || response->status != 200 ||
	    buf_length(&response->body) > STS_BODY_MAX)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct response whole, bytes;
	size_t i;

	if (size == 0)
		return 0;
	response_init(&whole);
	response_init(&bytes);
	response_add(&whole, data + 1, size - 1);
	for (i = 1; i < size && response_add(&bytes, data + i, 1); i++)
		continue;
	response_close(&whole, data[0] & 1);
	response_close(&bytes, data[0] & 1);
	check(&whole);
	check(&bytes);
	if (whole.result != bytes.result ||
	    (whole.result == FETCH_BODY &&
	    (buf_length(&whole.body) != buf_length(&bytes.body) ||
	    memcmp(buf_data(&whole.body), buf_data(&bytes.body),
	    buf_length(&whole.body)) != 0)))
		__builtin_trap();
	response_release(&whole);
	response_release(&bytes);
	return 0;
}
