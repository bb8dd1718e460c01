/* SPDX-License-Identifier: ISC */
/*
 * Address lists from anybody. What comes out must be addresses as SMTP takes
 * them, must read back as itself, and nothing else must come out.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/mem.h"
#include "tools/address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check_one(const char *text)
{
	char problem[ADDRESS_LIST_PROBLEM], printed[ADDRESS_MAX + 1];
	struct address address;
	char *again;

	must(address_parse(&address, text) == ADDRESS_OK);
	must(!address_is_null(&address) && address.domain[0] != '\0');
	address_format(&address, printed, sizeof(printed));
	must(strcmp(printed, text) == 0);
	for (const char *at = text; *at != '\0'; at++)
		must((unsigned char)*at >= ' ' && *at != 0x7f);
	again = address_list_parse_one(text, "other.example", problem);
	must(again != NULL && strcmp(again, text) == 0);
	mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char problem[ADDRESS_LIST_PROBLEM], *text;
	struct address_list list;

	address_list_init(&list);
	/* Of exactly this size, so that the sanitizer sees its end. */
	text = malloc(size == 0 ? 1 : size);
	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	if (address_list_parse(&list, text, size, "example.org",
	    problem) == 0) {
		must(problem[0] == '\0');
		for (size_t i = 0; i < list.count; i++)
			check_one(list.items[i]);
	} else {
		must(list.count == 0);
		must(strlen(problem) > 0 &&
		    strlen(problem) < ADDRESS_LIST_PROBLEM);
		for (const char *at = problem; *at != '\0'; at++)
			must(*at >= ' ' && *at < 0x7f);
	}
	address_list_release(&list);
	free(text);
	return 0;
}
