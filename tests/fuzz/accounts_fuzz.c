/* SPDX-License-Identifier: ISC */
/*
 * The accounts file. What is read must be written so that it is read as the
 * same again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "policy/accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct accounts *accounts, *again;
	struct buf one, other;
	char error[512];

	if (size > 4096)
		return -1;
	accounts = accounts_parse("file", (const char *)data, size, error,
	    sizeof(error));
	if (accounts == NULL) {
		if (strncmp(error, "file:", 5) != 0)
			abort();
		return 0;
	}
	buf_init(&one, 1 << 20);
	buf_init(&other, 1 << 20);
	if (accounts_print(accounts, &one) != 0)
		abort();
	again = accounts_parse("file", buf_data(&one), buf_length(&one), error,
	    sizeof(error));
	if (again == NULL || accounts_print(again, &other) != 0 ||
	    buf_length(&one) != buf_length(&other) ||
	    memcmp(buf_data(&one), buf_data(&other), buf_length(&one)) != 0)
		abort();
	accounts_free(accounts);
	accounts_free(again);
	buf_release(&one);
	buf_release(&other);
	return 0;
}
