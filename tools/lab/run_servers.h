/* SPDX-License-Identifier: ISC */
/*
 * The servers of one world while it stands: names, resolver and actors, each
 * a process of its own. A world with other faults is another set of servers;
 * zone keys and the certificates that the sender trusts outlive them.
 */
#ifndef POSTERN_TOOLS_LAB_RUN_SERVERS_H
#define POSTERN_TOOLS_LAB_RUN_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/scenario.h"

#define LAB_MTA_NAME "mta.origin.example"

struct lab_identities;
struct lab_identity;
struct lab_servers;

struct lab_server_output {	/* descriptors, borrowed */
	int	 events;	/* tools/lab/event.h */
	int	 log;		/* what they print */
};

/* faults: a set that no step has, or one that is; it outlives us. Never
 * null. */
struct lab_servers	*lab_servers_new(const struct lab_scenario *scenario,
			    const struct lab_texts *faults, bool twin,
			    const struct lab_server_output *output);
void			 lab_servers_free(struct lab_servers *servers);
/* Certificates of every authority that the sender trusts, in any of the
 * scenario's worlds; PEM, borrowed. */
const char		*lab_servers_ca(struct lab_servers *servers);
const char		*lab_servers_anchor(const struct lab_servers *servers);
/* Ends the servers of the world before and starts those of the world under
 * these faults; they listen when it returns. -1 with a sentence. */
int			 lab_servers_start(struct lab_servers *servers,
			    const struct lab_texts *faults, char *error,
			    size_t size);
/* Prepares for a set of faults that is not known yet; it outlives us. */
void			 lab_servers_add(struct lab_servers *servers,
			    const struct lab_texts *faults);
/* The certificates of the healed world. */
const struct lab_identities	*lab_servers_identities(
			    const struct lab_servers *servers);
/* What the MTA shows as a server: the certificate of the section receiver, or
 * one of the lab's own for its name. */
const struct lab_identity	*lab_servers_mta(
			    const struct lab_servers *servers);
void			 lab_servers_stop(struct lab_servers *servers);
/* Also buries everybody else who ended. -1 with a sentence when one of the
 * servers is gone. */
int			 lab_servers_watch(struct lab_servers *servers,
			    char *error, size_t size);

#endif
