/* SPDX-License-Identifier: ISC */
/*
 * What is known of a client's address while it has sessions and for a little
 * while after: how many, and the name its address resolves to. Clients are
 * counted by IPv4 address or IPv6 /64, the unit one holder has at will, those
 * of a Unix socket by user; the name belongs to one address of it. A name is
 * asked for once a minute at most and never waited for longer than
 * CLIENT_NAME_MS.
 */
#ifndef POSTERN_SMTPD_CLIENT_H
#define POSTERN_SMTPD_CLIENT_H

#include <stdbool.h>

struct client;
struct client_table;
struct counters;
struct conf_listener;
struct origin;
struct policy_client;
struct session;

enum { CLIENT_NAME_MS = 1500 };

/* policy is borrowed and must outlive the table. */
struct client_table	*client_table_new(struct policy_client *policy);
/* All sessions must have left. */
void			 client_table_free(struct client_table *table);

/* From now on sessions are counted together with those of other processes.
 * Takes counters; false, and they are gone, when it is too late: before the
 * first session. */
bool			 client_table_share(struct client_table *table,
			    struct counters *counters);

/* Whether this process accepts connections: others may leave some to it. */
void			 client_table_offer(struct client_table *table,
			    bool accepts);
/* So many connections are here of which nobody knows whose they are: for the
 * others they are sessions. */
void			 client_table_arrivals(struct client_table *table,
			    unsigned arrivals);
/* How much we could do with another connection. */
enum client_room { CLIENT_ROOM_THERE, CLIENT_ROOM_FULL, CLIENT_ROOM_NONE };
/* Another process has so many fewer sessions that it should take the next; how
 * many it has goes to least. Who is FULL leaves it to any with fewer, who has
 * NONE to anybody who accepts. */
bool			 client_table_is_ahead(
			    const struct client_table *table,
			    enum client_room room, unsigned *least);

/* How many sessions this client has now, in all processes: at one listener
 * that has a limit of its own, or (listener null) at all of them. */
unsigned	 client_sessions(struct client_table *table,
		    const struct origin *origin,
		    const struct conf_listener *listener);
/* Joins session->client; session_name_known() follows if the name was not
 * known yet. client_leave() undoes it. */
void		 client_join(struct client_table *table,
		    struct session *session);
void		 client_leave(struct session *session);
/* Whether the name of this session's address is still being looked up. */
bool		 client_name_pending(const struct session *session);
/* Of one that is not being looked up. */
enum client_name_state { CLIENT_NAME_THERE, CLIENT_NAME_NONE,
    CLIENT_NAME_FAILED };
enum client_name_state	 client_name_state(const struct session *session);
/* "unknown" when there is none, or it is not known (yet); borrowed. */
const char	*client_name(const struct session *session);

#endif
