/* SPDX-License-Identifier: ISC */
/*
 * What a plan wants the administrator to hear (plan->alarm), as lines of the
 * log: at most one a minute for a domain, and for a bounded number of domains,
 * since strangers choose some of them.
 */
#ifndef POSTERN_POLICY_ALARM_H
#define POSTERN_POLICY_ALARM_H

struct alarms;

struct alarms	*alarms_new(void);
void		 alarms_free(struct alarms *alarms);
void		 alarms_tell(struct alarms *alarms, const char *domain,
		    const char *text);

#endif
