/* SPDX-License-Identifier: ISC */
/*
 * What one connection to a host showed, or that a host was left out by the
 * plan: delivery makes it, policy learns from it (memory.h), counts it
 * (outcome.h) and tells what is wrong (event.h). One for each connection, not
 * for each message on it; a value without pointers.
 */
#ifndef POSTERN_POLICY_OBSERVATION_H
#define POSTERN_POLICY_OBSERVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/net.h"
#include "policy/plan.h"
#include "policy/tls_result.h"

struct wire_reader;
struct wire_writer;

/* How far it went. */
enum observed_stage {
	OBSERVED_SKIPPED,	/* the plan said so: no connection */
	OBSERVED_FAILED,	/* answered, but did not show what it must; or
				 * TLS broke. No mail was said. */
	OBSERVED_CLEAR,		/* ready for mail, without TLS */
	OBSERVED_SECURED,	/* ready for mail, under TLS */
	OBSERVED_STAGES
};

/* Would the certificate hold by WebPKI for the host's name? */
enum observed_web { WEB_UNKNOWN, WEB_VALID, WEB_INVALID, WEB_STATES };

enum { OBSERVATION_CHAIN_MAX = 4, OBSERVATION_WIRE_MAX = 4096 };

struct observation {
	char			 domain[256];	/* plan->next_hop */
	char			 host[256];	/* as in the plan */
	struct endpoint		 address;	/* not set: AF_UNSPEC */
	enum observed_stage	 stage;

	/* what was asked for: from the plan */
	enum plan_wish		 wish;
	enum requirement	 requirement;
	enum plan_source	 source;
	enum plan_source	 ideal_source;
	bool			 expects_tls;
	uint64_t		 tlsa_digest;	/* of the host; 0: none */
	char			 tlsa_domain[256];
	uint64_t		 sts_digest;	/* of the plan; 0: none */

	/* what was seen */
	enum tls_result		 result;	/* by the policies above */
	char			 reason[160];	/* of a failure: RPT-66 */
	char			 symptom[24];	/* delivery/symptom.h; or "" */
	char			 keywords[400];	/* EHLO in clear, in order, with
						 * blanks between; cut */
	char			 reply[200];	/* to STARTTLS, if not 220 */
	char			 version[16];	/* "TLSv1.3", or "" */
	char			 cipher[64];
	enum observed_web	 web;
	uint8_t			 chain[OBSERVATION_CHAIN_MAX][DIGEST_BYTES];
	size_t			 chain_count;	/* SHA-256, leaf first */
};

void	 observation_put(struct wire_writer *writer,
	    const struct observation *observation);
/* -1 when the bytes are none. Texts are printable ASCII afterwards. */
int	 observation_get(struct wire_reader *reader,
	    struct observation *observation);
const char	*observed_stage_name(enum observed_stage stage);

#endif
