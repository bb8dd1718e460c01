/* SPDX-License-Identifier: ISC */
/*
 * Any text as an address. As a sender it is rewritten, and what comes of it
 * leads back to it; as a recipient it is believed only if we made it, which no
 * input does without the secret.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "policy/srs.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void go_round(const struct srs *srs, const struct address *sender)
{
	const int64_t now = 1700000000000;
	struct address rewritten, again, back;
	char text[ADDRESS_MAX + 1];

	if (srs_forward(srs, sender, now, &rewritten) != SRS_OK)
		return;
	/* What goes out must be read by others, and by us. */
	address_format(&rewritten, text, sizeof(text));
	if (address_parse(&again, text) != ADDRESS_OK ||
	    strcmp(again.local, rewritten.local) != 0)
		__builtin_trap();
	if (srs_is_rewritten(sender->local) || strchr(sender->domain, '=') ||
	    domain_is_literal(sender->domain))
		return;
	if (srs_reverse(srs, &again, now, &back) != SRS_OK ||
	    strcmp(back.local, sender->local) != 0 ||
	    strcmp(back.domain, sender->domain) != 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct srs *srs;
	char text[ADDRESS_MAX + 1], error[200];
	struct address address, out;

	if (srs == NULL)
		srs = srs_new("fwd.example", "a fuzzing secret", 16, error,
		    sizeof(error));
	if (srs == NULL || size >= sizeof(text) ||
	    memchr(data, '\0', size) != NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (address_parse(&address, text) != ADDRESS_OK)
		return 0;
	go_round(srs, &address);
	if (srs_reverse(srs, &address, 1700000000000, &out) == SRS_OK) {
		address_format(&out, text, sizeof(text));
		if (address_parse(&address, text) != ADDRESS_OK)
			__builtin_trap();
	}
	return 0;
}
