/* SPDX-License-Identifier: ISC */
/*
 * Downgrade events: what was expected, and by which source, against what was
 * seen. An event is opened by an observation or a plan and takes up those that
 * are the same (domain, host, kind, signature) for an hour: count and last
 * time. Kept durable, EVENTS_MAX of them, the oldest go; each opening is a
 * line in the log (level=warn, "downgrade").
 *
 * When several destinations that memory knows to speak TLS stop doing so
 * within a window, the trouble is near us (a middlebox, our own upgrade), not
 * theirs: that is an event of its own, EVENT_SHARE, level=error, told once and
 * told again as over.
 */
#ifndef POSTERN_POLICY_EVENT_H
#define POSTERN_POLICY_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct events;
struct ledger;
struct observation;
struct plan;

enum { EVENTS_MAX = 10000, EVENT_JOIN_MILLISECONDS = 3600 * 1000,
    /* The share: so many destinations that are known for TLS without it, and
     * they are so many per cent of those known for TLS that were seen in the
     * window. */
    EVENT_SHARE_DESTINATIONS = 5, EVENT_SHARE_PERCENT = 50,
    EVENT_SHARE_WINDOW = 3600 * 1000,
    EVENT_NAMED_MAX = 32 };

enum event_kind {
	EVENT_DOWNGRADE,	/* TLS was to be shown, or was known, and is
				 * not there */
	EVENT_CERTIFICATE,	/* TLS, but not with whom it must be */
	EVENT_CHAIN,		/* a chain that used to hold by WebPKI does not
				 * any more; nothing asks for it */
	EVENT_DNSSEC,		/* a lookup that must not fail did */
	EVENT_VANISHED,		/* TLSA records or an MTA-STS policy that were
				 * there are provably gone */
	EVENT_CONFLICT,		/* a host that the MTA-STS policy leaves out */
	EVENT_SHARE,		/* many destinations at once */
	EVENT_KINDS
};

/* What the hand in between looks like. */
enum event_signature { SIGNATURE_NONE, SIGNATURE_KEYWORD_GONE,
    SIGNATURE_KEYWORD_MANGLED, SIGNATURE_COMMAND_BLOCKED,
    SIGNATURE_HANDSHAKE_BROKEN, SIGNATURE_INJECTION, SIGNATURES };

struct events	*events_new(struct ledger *ledger);
void	 events_free(struct events *events);

/* known: memory expected TLS of it (host or destination) before this. */
void	 events_observe(struct events *events,
	    const struct observation *observation, bool known,
	    bool chain_was_valid);
/* What a finished plan knows by itself: what vanished, and that no host can be
 * named since the answers of the DNS do not hold. */
void	 events_plan(struct events *events, const struct plan *plan);

/* Oldest first, those whose last time is since (wall, ms) or later: up to count
 * of those behind this id (0: from the first). The last one's id; 0: there are
 * no more. {"id",
 * "kind", "signature", "domain", "host", "address", "first", "last", "count",
 * "expected": {"requirement", "source", "memory": bool}, "seen": {"stage",
 * "result" (RFC 8460), "symptom", "keywords", "reply", "version", "cipher",
 * "chain": [hex...], "problem"}, "mail": "waited"|"clear"|"tls" (the worst of
 * it), "destinations": [...] (share; EVENT_NAMED_MAX of them, count has the
 * number), "over" (share: when it ended)}. Times are RFC 3339. What is empty
 * is missing. The caller owns each object. */
struct events_page {
	uint64_t	 after;
	int64_t		 since;
	unsigned	 count;
};
uint64_t events_page(struct events *events, const struct events_page *wanted,
	    void (*visit)(void *arg, json_t *object), void *arg);
const char	*event_kind_name(enum event_kind kind);
const char	*event_signature_name(enum event_signature signature);

#endif
