/* SPDX-License-Identifier: ISC */
/*
 * Paths and domains from anybody. The first byte chooses what is allowed.
 * What is accepted must read back, from its own printed form, as the same
 * address, and may hold nothing that could break a line or a command.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/net.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_printed(const struct address *address, int flags)
{
	char printed[ADDRESS_MAX + 1], path[ADDRESS_MAX + 3];
	struct address again;
	size_t used, i;
	int length;

	address_format(address, printed, sizeof printed);
	for (i = 0; printed[i] != '\0'; i++)
		must((unsigned char)printed[i] >= ' ' && printed[i] != 0x7f &&
		    ((flags & ADDRESS_ALLOW_UTF8) ||
		    (unsigned char)printed[i] < 0x80));
	must(utf8_is_valid(printed, i));
	must(utf8_is_ascii(address->domain));
	length = snprintf(path, sizeof path, "<%s>", printed);
	must(length > 0 && (size_t)length < sizeof path);
	must(address_parse_path(&again, path, (size_t)length,
	    ADDRESS_ALLOW_NULL | ADDRESS_ALLOW_POSTMASTER |
	    ADDRESS_ALLOW_UTF8, &used) ==
	    ADDRESS_OK);
	must(used == (size_t)length);
	must(strcmp(address->local, again.local) == 0);
	must(address_equal(address, &again));
}

static void try_path(const char *text, size_t size, int flags)
{
	struct address address;
	size_t used = 0;
	enum address_error error = address_parse_path(&address, text, size,
	    flags, &used);

	must(strlen(address_error_text(error)) > 0);
	if (error != ADDRESS_OK) {
		must(used == 0 && address_is_null(&address));
		return;
	}
	must(used >= 2 && used <= size && text[used - 1] == '>');
	must((flags & ADDRESS_ALLOW_NULL) || !address_is_null(&address));
	must(address.domain[0] != '\0' || address_is_null(&address) ||
	    address_is_postmaster(&address));
	check_printed(&address, flags);
}

static void try_domain(const char *text, size_t size)
{
	char domain[ADDRESS_DOMAIN_MAX + 1], again[ADDRESS_DOMAIN_MAX + 1];

	if (domain_parse(domain, sizeof domain, text, size) != 0)
		return;
	must(domain_parse(again, sizeof again, domain, strlen(domain)) == 0);
	must(strcmp(domain, again) == 0);
	must(domain_match(domain, domain) && domain_match(domain, "*"));
	must(!domain_is_literal(domain));
}

/* A literal that we take is one that can be connected to. */
static void try_text(const char *text)
{
	struct endpoint endpoint;
	struct network network;
	char printed[ENDPOINT_TEXT_MAX];

	must((endpoint_parse_literal(&endpoint, text, 25) == 0) ==
	    domain_is_literal(text));
	if (endpoint.length > 0) {
		endpoint_format_literal(&endpoint, printed, sizeof printed);
		must(domain_is_literal(printed));
	}
	if (network_parse(&network, text) == 0)
		must(network.bits <= 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	/* Of exactly this size, so that the sanitizer sees its end. */
	text = malloc(size);
	must(text != NULL);
	memcpy(text, data + 1, size - 1);
	try_path(text, size - 1, data[0] & 7);
	try_domain(text, size - 1);
	text[size - 1] = '\0';
	try_text(text);
	free(text);
	return 0;
}
