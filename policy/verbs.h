/* SPDX-License-Identifier: ISC */
/*
 * What an operator may ask the policy role (postern-policy(8)). Arguments and
 * answers are JSON objects; an answer is one object a line, many where it says
 * "each". P: privileged, a change; each is logged ("operator", verb, uid).
 *
 *	explain {domain, waited?, wish?, level?}
 *		A plan with all that led to it. wish: "requiretls" or
 *		"optional"; level: "none", "may", "encrypt", "auto", "dane",
 *		"dane-only", "sts" or "strict", as `queue set-tls` would.
 *	sts-list {}		each MTA-STS policy that is remembered
 *	sts-forget {domain}	P; {"forgotten": DOMAIN}
 *
 *	memory-list {name?}	each entry and pin (memory.h's objects), all or
 *				those of this name and of names below it
 *	memory-show {name}	each entry and pin of exactly this name
 *	memory-forget {name}	P; {"forgotten": NUMBER, "name": NAME}
 *	memory-pin {domain, level, fingerprints?, reason}
 *		P; {"pinned": DOMAIN, "level": LEVEL}. level: "encrypt",
 *		"verify" or "fingerprint"; only that one has fingerprints, one
 *		to eight SHA-256 digests in hexadecimal.
 *	memory-unpin {domain}	P; {"unpinned": DOMAIN}
 *	memory-import {objects}
 *		P; up to 200 of memory.h's objects. Those that are wrong are
 *		left out: {"imported": NUMBER, "refused": [{"index": NUMBER,
 *		"problem": TEXT}...]}; ends with DATA when there are such.
 *	memory-export {}	as memory-list {}
 *
 *	exception-add {domain, level, until, reason}
 *		P; the exception. domain or ".domain" (all below it); level:
 *		"none", "may" or "encrypt"; until: a time (RFC 3339) or a
 *		number of seconds from now.
 *	exception-list {}	each exception that is in force, by id
 *	exception-revoke {id}	P; the exception that was
 *		An exception: {"id", "domain", "level", "reason", "author",
 *		"made", "until", "uses", "used"?}; times are RFC 3339.
 *
 *	events {since, domain?}	each event (event.h's objects) seen in the last
 *				`since` seconds, oldest first; of the domain
 *	outcomes {day?}		each object of outcome.h for a day in UTC,
 *				"2026-11-22"; without it: today
 *
 *	greylist-list {name?}	each entry of the memory of greylisting: {"state":
 *				"waiting", "network", "sender", "recipient",
 *				"first", "from", "until"}, or {"state": "known",
 *				"network", "domain", "first", "last", "until"}.
 *				name: a network, an address of one, a domain, a
 *				sender or a recipient.
 *	greylist-forget {name}	P; {"forgotten": NUMBER, "name": NAME}
 *
 * Lists that are empty end with NONE_MATCHED, and a sentence. Plans that are
 * made here are not sent to delivery, but made by the same functions.
 */
#ifndef POSTERN_POLICY_VERBS_H
#define POSTERN_POLICY_VERBS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/control.h"
#include "conf/conf.h"

struct process_caller;

/* Owns fd. */
void	 verbs_accept(int fd, const struct process_caller *caller);
/* Plans for the pattern ("": all) may be others: explanations under way of
 * them begin again. */
void	 verbs_restart(const char *pattern);
/* Ends all of them. */
void	 verbs_stop(void);

/* --- for verb_*.c only --- */

control_handler	 verb_explain, verb_sts_list, verb_sts_forget,
	    verb_memory_list, verb_memory_show, verb_memory_forget,
	    verb_memory_pin, verb_memory_unpin, verb_memory_import,
	    verb_memory_export, verb_exception_add, verb_exception_list,
	    verb_exception_revoke, verb_events, verb_outcomes,
	    verb_greylist_list, verb_greylist_forget;

/* The argument `name` as a domain, as the roles write it: lower case. -1:
 * there is none, and the connection has been ended with a sentence. */
int	 verbs_read_domain(struct control *control, const json_t *arguments,
	    const char *name, char *domain, size_t size);
/* The same, and a dot may be in front. */
int	 verbs_read_pattern(struct control *control, const json_t *arguments,
	    const char *name, char *domain, size_t size);
/* One line of printable text, not empty and shorter than size. */
int	 verbs_read_reason(struct control *control, const json_t *arguments,
	    char *reason, size_t size);
/* The level in the argument `level`, one of those whose bits (1 << enum
 * conf_level) are set; in the order in which the sentence names them. */
int	 verbs_read_level(struct control *control, const json_t *arguments,
	    unsigned accepted, enum conf_level *level);
/* Who asks: "root (uid 0)", "uid 1000". Users have no names here: the files
 * that know them are out of reach. */
void	 verbs_author(const struct control *control, char *out, size_t size);
/* The line of the log about a change; domain and detail may be null. */
void	 verbs_log(const struct control *control, const char *verb,
	    const char *domain, const char *detail);

/*
 * A long answer, made as it is sent: more() is called again and again, and each
 * turn of the loop takes what VERBS_TURN_COST allows, so that plans need not
 * wait for it. What is listed may change in between.
 */
enum { VERBS_TURN_COST = 4096, VERBS_BYTES_PER_COST = 32 };
struct verbs_page;
/* Adds some objects, or none, in little time: what it has looked at, in
 * entries; 0: that was the end. */
typedef unsigned verbs_more(void *arg, struct verbs_page *page);
/* Takes the reference. Written bytes cost too. */
void	 verbs_page_add(struct verbs_page *page, json_t *object);
/* arg is released (null: not at all) when the connection ends; none: what to
 * say when there was nothing. */
void	 verbs_send(struct control *control, verbs_more *more,
	    void (*release)(void *arg), void *arg, const char *none);
/* The tables go away: no more() from here on. */
void	 verbs_stop_pages(void);

#endif
