/* SPDX-License-Identifier: ISC */
/*
 * Pages of a table as they lie in its file: whether one is whole.
 *
 * Pages of 4,096 bytes with checksums, as Berkeley DB 5.3 writes them: a
 * number at SUM_AT over the page with that number zero, in the byte order of
 * the machine. The first page keeps its own elsewhere and sums up less.
 */
#include "queue/store_pages.h"

#include <string.h>

enum { SUM_AT = 28, NUMBER_AT = 8, FREE_OFFSET_AT = 22, META_SUM_AT = 492,
    META_BYTES = 512 };

static uint32_t page_sum(const unsigned char *page, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum = sum * 33 + page[i];
	return sum;
}

/* Whether the sum at `at` is right; it is set right. */
static bool sum_is_right(unsigned char *page, size_t length, size_t at)
{
	uint32_t stored, sum;

	memcpy(&stored, page + at, sizeof(stored));
	memset(page + at, 0, sizeof(stored));
	sum = page_sum(page, length);
	memcpy(page + at, &sum, sizeof(sum));
	return stored == sum;
}

bool store_page_is_blank(const unsigned char *page)
{
	return page[0] == 0 && memcmp(page, page + 1,
	    STORE_PAGE_BYTES - 1) == 0;
}

void store_page_empty(unsigned char *page, uint32_t number)
{
	uint16_t free_offset = STORE_PAGE_BYTES;

	memset(page, 0, STORE_PAGE_BYTES);
	memcpy(page + NUMBER_AT, &number, sizeof(number));
	memcpy(page + FREE_OFFSET_AT, &free_offset, sizeof(free_offset));
	sum_is_right(page, STORE_PAGE_BYTES, SUM_AT);
}

bool store_page_is_sound(unsigned char *page, uint32_t number)
{
	if (number == 0)
		return sum_is_right(page, META_BYTES, META_SUM_AT);
	return store_page_is_blank(page) ||
	    sum_is_right(page, STORE_PAGE_BYTES, SUM_AT);
}
