/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as an answer packet. The first byte picks the type.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "policy/dns.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all that an answer says it has, for the sanitizer. */
static size_t touch(const struct dns_answer *answer)
{
	size_t i, sum = strlen(answer->alias) + strlen(answer->reason);

	for (i = 0; i < answer->count; i++) {
		if (answer->mx != NULL)
			sum += strlen(answer->mx[i].host);
		if (answer->names != NULL)
			sum += strlen(answer->names[i]);
		if (answer->addresses != NULL)
			sum += answer->addresses[i].length;
		if (answer->texts != NULL)
			sum += (size_t)answer->texts[i][
			    answer->text_lengths[i]];
		if (answer->tlsa != NULL && answer->tlsa[i].length > 0)
			sum += answer->tlsa[i].data[answer->tlsa[i].length -
			    1];
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A, DNS_PTR, DNS_MX,
	    DNS_AAAA, DNS_CNAME, DNS_TXT, DNS_TLSA, DNS_DNSKEY };
	static size_t sink;
	struct dns_answer answer;
	struct arena *arena;

	if (size < 1)
		return 0;
	arena = arena_new(4 << 20);
	dns_read(data + 1, size - 1, "a.example", types[data[0] % 8], arena,
	    &answer);
	if (answer.count > DNS_RECORDS_MAX || (answer.count > 0) !=
	    (answer.result == FACT_DATA))
		__builtin_trap();
	sink += touch(&answer);
	if (sink == SIZE_MAX)	/* read, so that it is not left out */
		__builtin_trap();
	arena_free(arena);
	return 0;
}
