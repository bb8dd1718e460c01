/* SPDX-License-Identifier: ISC */
/*
 * The totals that the queue's stats and top end with, as lines for people.
 */
#ifndef POSTERN_TOOLS_QUEUE_TOTALS_H
#define POSTERN_TOOLS_QUEUE_TOTALS_H

#include <jansson.h>
#include <stddef.h>

/* "21.3G": bytes in at most five characters and a unit. */
void	 queue_totals_size(long long bytes, char *out, size_t size);
/* "3h", "12d": how long ago a moment was that the queue wrote; "" if none. */
void	 queue_totals_age(const char *moment, char *out, size_t size);

/* What the process is doing and what it counted, without ends of lines; at most
 * so many of them. Returns how many there are. */
enum { QUEUE_TOTALS_LINE = 256, QUEUE_TOTALS_LINES = 4 };
int	 queue_totals_lines(const json_t *total,
	    char lines[][QUEUE_TOTALS_LINE], int most);

#endif
