/* SPDX-License-Identifier: ISC */
/*
 * Any text as the file of private keys: what is taken is printed, and read the
 * same again; what is not has a reason. And as the record of a public key.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "authentic/dkim_key.h"
#include "authentic/dkim_record.h"
#include "base/buf.h"
#include "base/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void go_round(const struct dkim_keys *keys)
{
	char *errors = NULL;
	struct dkim_keys *again;
	struct buf first, second;

	buf_init(&first, 1 << 20);
	buf_init(&second, 1 << 20);
	must(dkim_keys_print(keys, &first) == 0);
	again = dkim_keys_read("keys", buf_string(&first), &errors);
	must(again != NULL && again->count == keys->count);
	must(dkim_keys_print(again, &second) == 0);
	must(strcmp(buf_string(&first), buf_string(&second)) == 0);
	for (size_t i = 0; i < keys->count; i++) {
		buf_reset(&second);
		must(dkim_key_record(&keys->items[i], &second) == 0);
		must(dkim_key_is_published(&again->items[i],
		    buf_data(&second), buf_length(&second)));
	}
	dkim_keys_free(again);
	buf_release(&first);
	buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_alloc(size + 1), *errors = NULL;
	struct dkim_record record;
	struct dkim_keys *keys;

	memcpy(text, data, size);
	if (dkim_record_read(&record, text, size) == NULL)
		dkim_record_release(&record);
	keys = dkim_keys_read("keys", text, &errors);
	must((keys == NULL) == (errors != NULL));
	if (keys != NULL)
		go_round(keys);
	dkim_keys_free(keys);
	mem_free(errors);
	mem_free(text);
	return 0;
}
