/* SPDX-License-Identifier: ISC */
/*
 * For the targets that read users and aliases: whatever they say, an address
 * becomes addresses, each once, and no more of them than there may be.
 */
#ifndef POSTERN_TESTS_FUZZ_EXPANSION_CHECK_H
#define POSTERN_TESTS_FUZZ_EXPANSION_CHECK_H

#include "base/address.h"
#include "base/arena.h"
#include "base/hash.h"
#include "policy/expand.h"

static void expansion_check(const struct expander *expander,
    const char *address)
{
	const struct expand_question question = { address, "a@b.example", 0,
	    NULL, NULL };
	struct arena *arena = arena_new(EXPAND_ARENA_MAX);
	struct expansion expansion;
	struct address parsed;
	struct hash *seen = hash_new();

	expander_expand(expander, &question, arena, &expansion);
	if (expansion.answer == DIRECTORY_FOUND &&
	    (expansion.found.count == 0 ||
	    expansion.found.count > DIRECTORY_TARGETS_MAX))
		__builtin_trap();
	for (size_t i = 0; i < expansion.found.count; i++) {
		const char *target = expansion.found.targets[i].address;

		if (address_parse(&parsed, target) != ADDRESS_OK ||
		    hash_put_text(seen, target, seen) != NULL)
			__builtin_trap();
	}
	hash_free(seen);
	arena_free(arena);
}

#endif
