/* SPDX-License-Identifier: ISC */
/*
 * What an authoritative server says (RFC 1034 4.3.2, RFC 4035 3.1, RFC 5155
 * 7.2): one zone, one query packet, one answer packet. No sockets here.
 */
#ifndef POSTERN_TOOLS_LAB_ANSWER_H
#define POSTERN_TOOLS_LAB_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct served_zone;

enum { LAB_QUERY_MAX = 1024, LAB_UDP_MAX = 1232, LAB_UDP_PLAIN = 512 };

struct lab_query {
	const uint8_t	*data;
	size_t		 length;
	bool		 is_tcp;
	size_t		 server;	/* which of the zone's, from 0 */
};

struct lab_reply {
	uint8_t		*packet;	/* owned; null: say nothing */
	size_t		 length;
	int		 delay;		/* milliseconds, before it is sent */
	/* for the event: what was asked, and data, nodata, nxdomain, referral,
	 * substitute, or the word of an enum lab_dns_answer */
	char		 name[1100];
	char		 type[24];
	const char	*word;		/* literal */
};

/* Always answers, with FORMERR what is not a query; longer queries than
 * LAB_QUERY_MAX get nothing. */
void	 lab_answer(const struct served_zone *zone,
	    const struct lab_query *query, struct lab_reply *reply);
void	 lab_reply_release(struct lab_reply *reply);

#endif
