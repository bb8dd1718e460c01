/* SPDX-License-Identifier: ISC */
/*
 * The lab's Internet of names: signed zones from a private root down, served
 * by an authoritative server of our own, made with libldns; and a validating
 * resolver for MTAs that have none in them.
 */
#ifndef POSTERN_TOOLS_LAB_NAMES_H
#define POSTERN_TOOLS_LAB_NAMES_H

#include <stddef.h>

#include "tools/lab/scenario.h"

struct lab_identities;
struct lab_keys;
struct lab_names;
struct served_zone;

/* Zone keys, made once for a scenario, so that the trust anchor stays when
 * its world is built anew. */
struct lab_keys		*lab_keys_new(void);
void			 lab_keys_free(struct lab_keys *keys);
/* For the resolver under test: a DS or DNSKEY line of the root. */
const char		*lab_keys_anchor(struct lab_keys *keys);
#define LAB_ROOT_SERVER "198.51.100.1"
/* Root hints, a zone file; the addresses never change. */
const char		*lab_names_hints(void);

/* Builds and signs. Null with a sentence in error (a record that cannot be
 * read, with its zone and text). */
struct lab_names	*lab_names_new(const struct lab_world *world,
			    const struct lab_identities *identities,
			    struct lab_keys *keys, char *error, size_t size);
void			 lab_names_free(struct lab_names *names);
/* Binds UDP and TCP 53 of every server address; -1 with a sentence. */
int	 lab_names_listen(struct lab_names *names, char *error, size_t size);
/* Serves until the process is ended. Called in a process of its own. */
void	 lab_names_serve(struct lab_names *names);
/* One of its zones ("." is the root), or null: zone.h, answer.h. */
const struct served_zone	*lab_names_zone(const struct lab_names *names,
				    const char *name);

/*
 * The resolver on 127.0.0.1:53, by libunbound: AD set where the answer is
 * secure, SERVFAIL where it is bogus or could not be had. Binds, then serves
 * until the process is ended. -1 with a sentence when it cannot.
 */
int	 lab_resolver_listen(char *error, size_t size);	/* descriptors kept */
void	 lab_resolver_serve(const char *anchor);

#endif
