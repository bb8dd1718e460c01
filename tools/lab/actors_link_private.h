/* SPDX-License-Identifier: ISC */
/*
 * Between the files of a link: actors_link.c has the bytes and the ends,
 * actors_link_tls.c handshakes and what is done to records, and
 * actors_link_context.c what a server offers.
 */
#ifndef POSTERN_TOOLS_LAB_ACTORS_LINK_PRIVATE_H
#define POSTERN_TOOLS_LAB_ACTORS_LINK_PRIVATE_H

struct lab_link;

/* Leaves the link in clear, and sessions that were kept can be resumed. */
void	 lab_link_free_tls(struct lab_link *link);

#endif
