/* SPDX-License-Identifier: ISC */
/*
 * What policy learns and keeps beside MTA-STS policies, as one thing: memory,
 * exceptions, events and outcomes on their ledger, and what one observation, one
 * plan, one failed fetch means to each of them; and the memory of greylisting.
 */
#ifndef POSTERN_POLICY_RECORDS_H
#define POSTERN_POLICY_RECORDS_H

struct conf;
struct events;
struct exceptions;
struct greylist;
struct ledger;
struct memory;
struct observation;
struct outcomes;
struct plan;
struct plan_facts;
struct sts;

struct records {		/* all owned */
	struct ledger		*ledger;
	struct memory		*memory;
	struct exceptions	*exceptions;
	struct events		*events;
	struct outcomes		*outcomes;
	struct greylist		*greylist;
};

/* directory: as ledger_new() takes it. changed: plans for the pattern ("":
 * all) may be others; it may come from within any call that reads or writes
 * the records, also from a plan that is being made, so that it only takes a
 * note. */
void	 records_init(struct records *records, const char *directory,
	    void (*changed)(void *arg, const char *pattern), void *arg);
/* Writes what is pending. */
void	 records_release(struct records *records);
/* Again after each reload. sts gives the texts of policies; it outlives us. */
void	 records_configure(struct records *records, const struct conf *conf,
	    struct sts *sts);
/* When the process is confined. */
void	 records_open(struct records *records);

void	 records_observe(struct records *records,
	    const struct observation *observation);
/* A plan that was made for delivery. */
void	 records_plan(struct records *records, const struct plan *plan,
	    const struct plan_facts *facts);
/* result: as struct sts_hooks has it. */
void	 records_fetch_failed(struct records *records, const char *domain,
	    const char *result, const char *problem);

#endif
