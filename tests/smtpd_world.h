/* SPDX-License-Identifier: ISC */
/*
 * A server of smtpd with the fake peers, without processes: rules from
 * configuration text and a certificate made on the spot.
 */
#ifndef POSTERN_TESTS_SMTPD_WORLD_H
#define POSTERN_TESTS_SMTPD_WORLD_H

#include <stdbool.h>

#include "smtpd/server.h"
#include "tests/fake_smtpd_peers.h"

struct tls_identity;

struct world {
	struct server		 server;
	struct queue_client	*queue;
	struct policy_client	*policy;
	struct directory_client	*directory;
};

/* loop_init() and log_init(); once per program. */
void	 world_prepare(void);
void	 world_init(struct world *world);
/* Ends what is left and runs the loop until all of it has gone. */
void	 world_release(struct world *world);
/*
 * Rules of mx.example.org, which has the domain example.org and lets
 * 192.0.2.0/24 relay unless the lines say who, with more lines of configuration and the settings of
 * its listener ("tls = require"). Null with a line on stderr if it is wrong.
 */
struct rules	*world_rules(const char *lines, const char *listener,
		    bool with_certificate);
/* What relay-certificates-file has in the next rules. */
extern const char	*world_certificates;
/* The line in it for the one certificate of this world, owned by the caller;
 * and the same certificate with its key, for a client to show. */
char		*world_certificate_line(const char *name);
struct tls_identity	*world_identity(void);
/* Starts a session for a client of that address, or for user 1000 of this
 * machine ("local"); takes fd. */
struct session	*world_session(struct world *world, int fd,
		    const char *address);
/* Runs the loop until nothing is ready, for some turns at most. */
void	 world_turns(unsigned turns);

#endif
