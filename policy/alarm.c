/* SPDX-License-Identifier: ISC */
/*
 * One table of who was spoken of in the last minute. When it is full, others
 * are counted and the number goes with the next line.
 */
#include "policy/alarm.h"

#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { DOMAINS_MAX = 128, INTERVAL = 60000 };

struct entry {
	char	 domain[256];
	int64_t	 told;		/* monotonic, ms */
};

struct alarms {
	struct entry	 entries[DOMAINS_MAX];
	unsigned	 count;
	unsigned	 unsaid;
};

struct alarms *alarms_new(void)
{
	return mem_alloc(sizeof(struct alarms));
}

void alarms_free(struct alarms *alarms)
{
	mem_free(alarms);
}

/* The entry to use for a domain; null when nothing may be said. */
static struct entry *find(struct alarms *alarms, const char *domain,
    int64_t now)
{
	struct entry *entry, *old = NULL;
	unsigned i;

	for (i = 0; i < alarms->count; i++) {
		entry = &alarms->entries[i];
		if (now - entry->told >= INTERVAL)
			old = entry;
		if (strcasecmp(entry->domain, domain) == 0)
			return now - entry->told >= INTERVAL ? entry : NULL;
	}
	if (alarms->count < DOMAINS_MAX)
		return &alarms->entries[alarms->count++];
	if (old == NULL)
		alarms->unsaid++;
	return old;
}

void alarms_tell(struct alarms *alarms, const char *domain, const char *text)
{
	int64_t now = clock_monotonic();
	struct entry *entry = find(alarms, domain, now);

	if (entry == NULL)
		return;
	snprintf(entry->domain, sizeof(entry->domain), "%s", domain);
	entry->told = now;
	log_warn("policy", log_text("domain", domain),
	    log_text("alarm", text), log_number("unsaid", alarms->unsaid));
	alarms->unsaid = 0;
}
