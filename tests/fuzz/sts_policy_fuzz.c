/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a policy. One that is taken for a policy has what a policy must
 * have, says the same when its line ends are changed, and matches its own
 * names.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "policy/sts_policy.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mx(const struct sts_policy *policy, const char *mx)
{
	if (strspn(mx, "abcdefghijklmnopqrstuvwxyz0123456789-.*") !=
	    strlen(mx) || mx[0] == '.' || mx[0] == '\0' ||
	    strrchr(mx, '*') > mx || !sts_matches(policy, mx))
		__builtin_trap();
}

static void check(const struct sts_policy *policy)
{
	size_t i;

	if (policy->mx_count > STS_MX_MAX || policy->max_age < 0 ||
	    policy->max_age > STS_MAX_AGE_MAX ||
	    policy->mode > STS_MODE_ENFORCE ||
	    (policy->mx_count == 0 && policy->mode != STS_MODE_NONE))
		__builtin_trap();
	for (i = 0; i < policy->mx_count; i++)
		check_mx(policy, policy->mx[i]);
	sts_matches(policy, "a.b");
	sts_matches(policy, "");
}

/* With CRLF at the end of each line. */
static char *widen(const char *data, size_t size, size_t *length)
{
	char *text = malloc(size * 2 + 1);
	size_t i;

	*length = 0;
	for (i = 0; i < size && text != NULL; i++) {
		if (data[i] == '\n' && (i == 0 || data[i - 1] != '\r'))
			text[(*length)++] = '\r';
		text[(*length)++] = data[i];
	}
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 20);
	struct sts_policy policy, again;
	char why[160] = "", *text;
	size_t length;

	if (sts_read_policy((const char *)data, size, arena, &policy, why,
	    sizeof(why)) == 0) {
		check(&policy);
		text = widen((const char *)data, size, &length);
		if (text != NULL && length <= STS_BODY_MAX &&
		    (sts_read_policy(text, length, arena, &again, why,
		    sizeof(why)) != 0 || again.mode != policy.mode ||
		    again.mx_count != policy.mx_count ||
		    again.max_age != policy.max_age))
			__builtin_trap();
		free(text);
	} else if (why[0] == '\0') {
		__builtin_trap();
	}
	arena_free(arena);
	return 0;
}
