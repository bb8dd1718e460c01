/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as an answer packet. The first byte picks the type.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/dns.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A, DNS_PTR, DNS_MX,
	    DNS_AAAA };
	struct dns_answer answer;
	struct arena *arena;

	if (size < 1)
		return 0;
	arena = arena_new(1 << 20);
	dns_read(data + 1, size - 1, "a.example", types[data[0] % 4], arena,
	    &answer);
	if (answer.count > DNS_RECORDS_MAX)
		__builtin_trap();
	arena_free(arena);
	return 0;
}
