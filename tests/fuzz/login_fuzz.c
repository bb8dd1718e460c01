/* SPDX-License-Identifier: ISC */
/*
 * What a host says while we log in at it: the first byte is the mechanism, the
 * rest challenges with a line feed between. What must hold: bounds, no more
 * than the messages of the mechanism, and no stranger who passes for a host
 * that has our password.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "delivery/credentials.h"
#include "delivery/sasl.h"

enum { ANSWERS_MAX = 4 };

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(enum sasl_mechanism mechanism, const char *at,
    const char *end)
{
	static char user[] = "bob", password[] = "not in any corpus: 7c1e";
	static const struct credentials credentials = { user, password };
	static const uint8_t binding[32];
	const struct sasl_means means = { .credentials = &credentials,
	    .certificate = true, .binding = binding,
	    .binding_length = sizeof(binding) };
	struct sasl *sasl = sasl_new(mechanism, &means, sasl_name(mechanism));
	enum sasl_result result = SASL_OK;
	struct buf out;
	int answers = 0;

	buf_init(&out, SASL_MESSAGE_MAX);
	sasl_begin(sasl, &out);
	while (at < end && result == SASL_OK) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((stop == NULL ? end : stop) - at);

		buf_reset(&out);
		result = sasl_go_on(sasl, at, length, &out);
		at += length + (stop != NULL);
		if (result == SASL_OK && ++answers > ANSWERS_MAX)
			abort();
	}
	if (mechanism <= SASL_SCRAM_SHA_256 &&
	    sasl_end(sasl) != SASL_FALSE_SERVER)
		abort();
	buf_wipe(&out);
	sasl_free(sasl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	if (size == 0)
		return 0;
	play((enum sasl_mechanism)(data[0] % SASL_MECHANISMS), text + 1,
	    text + size);
	return 0;
}
