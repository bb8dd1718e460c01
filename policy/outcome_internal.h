/* SPDX-License-Identifier: ISC */
/*
 * What outcome.c (counting), outcome_text.c (the texts of policies) and
 * outcome_rows.c (the ledger's rows, and JSON) share; nobody else includes it.
 *
 * Rows, behind "outcome:":
 *	+DIGEST			a text
 *	DAY/POLICY		a policy's counters on a day
 *	DAY/POLICY/FAILURE	one kind of failure of it
 * DIGEST, POLICY and FAILURE are 16 hexadecimal digits. A failure comes behind
 * its policy in the order of keys, which is the ledger's.
 */
#ifndef POSTERN_POLICY_OUTCOME_INTERNAL_H
#define POSTERN_POLICY_OUTCOME_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "policy/outcome.h"

struct hash;

#define OUTCOME_PREFIX "outcome:"

enum { OUTCOME_KEY_MAX = 64, OUTCOME_REASON_MAX = 160 };

enum policy_type { POLICY_TLSA, POLICY_STS, POLICY_NOT_FOUND, POLICY_TYPES };

/* The very text of a policy: lines with '\n' behind each. */
struct outcome_text {
	uint64_t	 digest;
	char		*text;		/* owned, printable but for '\n' */
	bool		 useless;	/* no TLSA record of it is usable */
	bool		 saved;		/* the ledger has it */
	bool		 in_use;	/* by some policy; set by a sweep */
	int64_t		 wanted;	/* by a plan; wall, ms */
};

struct outcome_failure {
	uint64_t	 id;
	enum tls_result	 result;
	char		*host;		/* owned; "": none */
	char		*address;
	char		*reason;
	uint64_t	 count;
	STAILQ_ENTRY(outcome_failure)	 entry;
};

/* One policy on one day. */
struct outcome {
	char		 key[OUTCOME_KEY_MAX];	/* "2026-11-22/0123..." */
	enum policy_type type;
	char		*domain;	/* owned; "": the overflow */
	char		*policy_domain;	/* owned */
	uint64_t	 digest;	/* of the text; 0: none */
	uint64_t	 successes, failures;
	unsigned	 kinds;		/* of failures */
	STAILQ_HEAD(, outcome_failure)	 details;	/* owned */
	STAILQ_ENTRY(outcome)	 entry;
};

struct outcome_day {
	char		 name[16];	/* "2026-11-22": they sort */
	unsigned	 count;
	STAILQ_HEAD(, outcome)	 all;	/* owned */
	TAILQ_ENTRY(outcome_day)	 entry;
};

struct outcomes {
	struct ledger	*ledger;	/* outlives us */
	TAILQ_HEAD(outcome_days, outcome_day)	 days;	/* oldest first; owned */
	struct hash	*by_key;	/* of all days */
	unsigned	 rows;		/* policies and failures */
	struct hash	*texts;		/* by digest; owned */
	size_t		 text_bytes;
	int64_t		 swept_at;	/* monotonic; 0: never */
	const char	*(*source)(void *arg, const char *domain,
			    const char *id, size_t *length);
	void		*source_arg;
};

/* --- outcome_text.c --- */

struct outcome_text	*outcome_text_find(const struct outcomes *outcomes,
			    uint64_t digest);
/* The ledger's; false: there is no room, or it is known. Takes text. */
bool	 outcome_text_add(struct outcomes *outcomes, uint64_t digest,
	    char *text, bool useless);
/* Forgets those that no policy uses and no plan wanted of late; a minute after
 * the last time at the earliest, as it looks at everything. */
void	 outcome_texts_sweep(struct outcomes *outcomes);
void	 outcome_texts_free(struct outcomes *outcomes);

/* --- outcome.c --- */

struct outcome		*outcome_find(const struct outcomes *outcomes,
			    const char *key);
/* key: DAY/POLICY; null: there is no room. */
struct outcome		*outcome_add(struct outcomes *outcomes,
			    const char *key);
struct outcome_failure	*outcome_failure_find(const struct outcome *outcome,
			    uint64_t id);
/* Texts are copied. */
struct outcome_failure	*outcome_failure_add(struct outcomes *outcomes,
			    struct outcome *outcome,
			    const struct outcome_failure *wanted);
struct outcome_day	*outcome_day_find(const struct outcomes *outcomes,
			    const char *name);

/* --- outcome_rows.c --- */

int	 outcome_load(void *arg, const char *key, const void *value,
	    size_t length);
void	 outcome_save_all(void *arg);
void	 outcome_save(struct outcomes *outcomes, const struct outcome *outcome);
void	 outcome_save_failure(struct outcomes *outcomes,
	    const struct outcome *outcome,
	    const struct outcome_failure *failure);
void	 outcome_save_text(struct outcomes *outcomes,
	    struct outcome_text *text);
/* All rows of the policy. */
void	 outcome_unsave(struct outcomes *outcomes,
	    const struct outcome *outcome);
void	 outcome_unsave_text(struct outcomes *outcomes,
	    const struct outcome_text *text);

#endif
