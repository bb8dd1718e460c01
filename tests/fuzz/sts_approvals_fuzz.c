/* SPDX-License-Identifier: ISC */
/*
 * Any text as the list of approved policies. What it approves prints as a list
 * that approves the same, and never a policy whose text is not that of its id.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/sts.h"

enum { SIZE_MAX_HERE = 16 << 10 };

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sts_approvals one, other;
	char *text, *first, *second;

	if (size > SIZE_MAX_HERE || memchr(data, '\0', size) != NULL)
		return 0;
	text = mem_alloc(size + 1);
	memcpy(text, data, size);
	sts_approvals_init(&one);
	sts_approvals_init(&other);
	sts_approvals_read(&one, text);
	first = sts_approvals_print(&one);
	if (sts_approvals_read(&other, first) != 0)
		abort();
	second = sts_approvals_print(&other);
	if (one.count != other.count || strcmp(first, second) != 0)
		abort();
	mem_free(first);
	mem_free(second);
	mem_free(text);
	sts_approvals_release(&one);
	sts_approvals_release(&other);
	return 0;
}
