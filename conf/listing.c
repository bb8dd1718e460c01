/* SPDX-License-Identifier: ISC */
/*
 * Reading and judging: see listing.h.
 */
#include "conf/listing.h"

#include <string.h>

#include "base/net.h"

enum { LOOPBACK_FIRST = 0x7f000000, LOOPBACK_LAST = 0x7fffffff };

/* RFC 5782 2.1 has the answers in 127.0.0.0/8; lists tell by the last 256 of
 * it that they do not serve whoever asks. */
enum { REFUSAL_FIRST = 0x7fffff00, REFUSAL_LAST = 0x7fffffff };

static bool read_address(const char *text, size_t length, uint32_t *number)
{
	char copy[16];
	struct endpoint endpoint;

	if (length == 0 || length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (endpoint_parse(&endpoint, copy, 0) != 0 ||
	    endpoint.address.any.sa_family != AF_INET)
		return false;
	*number = ntohl(endpoint.address.v4.sin_addr.s_addr);
	return *number >= LOOPBACK_FIRST && *number <= LOOPBACK_LAST;
}

/* "ADDRESS" or "ADDRESS-ADDRESS" */
static bool read_range(struct conf_listing *listing, const char *text,
    size_t length)
{
	const char *dash = memchr(text, '-', length);
	size_t left = dash == NULL ? length : (size_t)(dash - text);
	uint32_t first, last;

	if (listing->count == LISTING_RANGES_MAX ||
	    !read_address(text, left, &first))
		return false;
	last = first;
	if (dash != NULL &&
	    (!read_address(dash + 1, length - left - 1, &last) ||
	    last < first))
		return false;
	listing->ranges[listing->count].first = first;
	listing->ranges[listing->count].last = last;
	listing->count++;
	return true;
}

bool conf_listing_read(struct conf_listing *listing, const char *text)
{
	size_t length = strcspn(text, " ");
	const char *at = text + length + strspn(text + length, " ");

	memset(listing, 0, sizeof(*listing));
	if (domain_parse(listing->zone, sizeof(listing->zone), text,
	    length) != 0)
		return false;
	while (*at != '\0') {
		length = strcspn(at, ",");
		if (!read_range(listing, at, length))
			return false;
		at += length;
		if (*at == ',' && *++at == '\0')
			return false;
	}
	return true;
}

enum conf_listing_answer conf_listing_judge(
    const struct conf_listing *listing, const struct endpoint *answer)
{
	uint32_t number;

	if (answer->length == 0 || answer->address.any.sa_family != AF_INET)
		return LISTING_OTHER;
	number = ntohl(answer->address.v4.sin_addr.s_addr);
	if (number >= REFUSAL_FIRST && number <= REFUSAL_LAST)
		return LISTING_REFUSED;
	if (listing->count == 0)
		return number >= LOOPBACK_FIRST && number <= LOOPBACK_LAST ?
		    LISTING_LISTED : LISTING_OTHER;
	for (size_t i = 0; i < listing->count; i++)
		if (number >= listing->ranges[i].first &&
		    number <= listing->ranges[i].last)
			return LISTING_LISTED;
	return LISTING_OTHER;
}
