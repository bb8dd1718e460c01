/* SPDX-License-Identifier: ISC */
/*
 * Messages of SASL, to our server and to our client of SCRAM. The first byte
 * chooses the mechanism (or the client); the rest are messages, each behind a
 * byte 0xff. Nothing that the fuzzer can say proves a password it does not
 * know: that would need a digest.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/scram.h"
#include "policy/sasl_server.h"

static void find(void *arg, const char *user, struct scram_secret *secret)
{
	(void)arg;
	(void)user;
	memset(secret, 0, sizeof(*secret));
	secret->salt_length = 16;
	secret->iterations = 4096;
	memset(secret->stored_key, 0x5a, sizeof(secret->stored_key));
}

/* The next message: up to 0xff or the end. */
static const uint8_t *next(const uint8_t *from, const uint8_t *end)
{
	const uint8_t *mark = memchr(from, 0xff, (size_t)(end - from));

	return mark == NULL ? end : mark;
}

static void serve(enum sasl_mechanism mechanism, const uint8_t *data,
    const uint8_t *end)
{
	static const uint8_t binding[32] = "binding";
	struct sasl_server *sasl = sasl_server_new(mechanism,
	    &(struct sasl_context){ .certificate = "laptop",
	    .binding = binding, .binding_length = sizeof(binding),
	    .plus_offered = true, .find = find });
	enum sasl_result result = SASL_CHALLENGE;
	const uint8_t *mark;
	struct buf out;

	buf_init(&out, 9 << 10);
	for (; result == SASL_CHALLENGE && data <= end; data = mark + 1) {
		mark = next(data, end);
		buf_reset(&out);
		result = sasl_server_step(sasl, data, (size_t)(mark - data),
		    &out);
	}
	if (result == SASL_PROVEN)
		abort();
	if (result == SASL_CERTIFICATE &&
	    strcmp(sasl_server_user(sasl), "laptop") != 0)
		abort();
	if (result == SASL_PASSWORD && (*sasl_server_user(sasl) == '\0' ||
	    *sasl_server_password(sasl) == '\0'))
		abort();
	sasl_server_free(sasl);
	buf_release(&out);
}

static void ask(const uint8_t *data, const uint8_t *end)
{
	struct scram_client *client = scram_client_new("user", "pencil",
	    SCRAM_BINDING_NONE, NULL, 0);
	const uint8_t *mark = next(data, end);
	struct buf out;

	/* The salt may be anything, but hours are not for the fuzzer. */
	if (memmem(data, (size_t)(mark - data), "i=4096", 6) == NULL) {
		scram_client_free(client);
		return;
	}
	buf_init(&out, 9 << 10);
	scram_client_set_nonce(client, "abc");
	scram_client_first(client, &out);
	if (scram_client_final(client, data, (size_t)(mark - data), &out) ==
	    SCRAM_OK && mark < end && scram_client_verify(client, mark + 1,
	    (size_t)(end - mark - 1)) == SCRAM_OK)
		abort();
	scram_client_free(client);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned which;

	if (size == 0 || size > 8192)
		return -1;
	which = data[0] % (SASL_MECHANISMS + 1);
	if (which == SASL_MECHANISMS)
		ask(data + 1, data + size);
	else
		serve((enum sasl_mechanism)which, data + 1, data + size);
	return 0;
}
