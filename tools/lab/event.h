/* SPDX-License-Identifier: ISC */
/*
 * What the actors of a world saw, as JSON objects, one a datagram, on a socket
 * that all of them inherit: {"actor": "mx", "event": "mail", ...}. Verdicts are
 * made from these and from nothing the MTA under test says of itself.
 *
 * event		further members
 *	connect		client; of a mail host impostor, visit (from 1)
 *	command		line (escaped by JSON), tls
 *	starttls	reply
 *	reply		text (the first 500 bytes), tls; action (the words of
 *			the scenario), unless it is a good server's
 *	say, hear	text, tls: both sides of a dialogue, of actor "client"
 *	handshake	version, cipher, sni; or problem
 *	message		sender, recipients [], tls, marker (the value of the
 *			header X-Postern-Lab), dsn (null sender), impostor,
 *			requiretls (MAIL said so); and of a dsn statuses [] and
 *			text (whether the returned message's own is in it)
 *	fetch		path, status
 *	dns		zone, server (from 1), name, type, answer
 *	end		problem
 */
#ifndef POSTERN_TOOLS_LAB_EVENT_H
#define POSTERN_TOOLS_LAB_EVENT_H

#include <jansson.h>
#include <stddef.h>

/* Where lab_event() writes from now on; inherited over fork. */
void	 lab_event_open(int fd);
/* Takes the reference to members (may be null); adds actor, event and time
 * (ms since the epoch). An object of more than 32 KiB is cut down. */
void	 lab_event(const char *actor, const char *event, json_t *members);
/* Bytes from a peer as a JSON string: UTF-8 as it is, anything else byte by
 * byte as the code points of the same numbers, a null byte as U+2400 (readers
 * of JSON refuse it). A new reference, never null. */
json_t	*lab_event_bytes(const char *data, size_t length);

#endif
