/* SPDX-License-Identifier: ISC */
/*
 * Policy's door: plans for delivery; for smtpd reverse names and what the DNS
 * (and the memory of greylisting) says of a client and a message. One client per
 * process. Every request has a deadline of its own and can be cancelled; done
 * is called exactly once unless cancelled, never before the call returns.
 */
#ifndef POSTERN_POLICY_CLIENT_H
#define POSTERN_POLICY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "authentic/dkim_verify.h"
#include "authentic/dmarc.h"
#include "authentic/spf.h"
#include "base/net.h"
#include "conf/conf.h"
#include "policy/plan.h"

struct endpoint;
struct observation;
struct policy_client;
struct policy_request;

/* plan is borrowed until done returns. Never null: when policy cannot be
 * asked it has no hosts and a status that defers (4.4.3). */
typedef void policy_plan_done(void *arg, const struct plan *plan);
/* name is null when there is none (or none that resolves back), "" when that
 * is not known. */
typedef void policy_reverse_done(void *arg, const char *name);

/* Copied. */
struct policy_question {
	const char			*domain;	/* of the recipients */
	const struct conf_next_hop	*next;
	int64_t				 waited;	/* age of the mail, s */
	enum plan_wish			 wish;
	int				 message_level;	/* enum conf_level; -1 */
};

struct policy_client	*policy_client_new(void);
void	 policy_client_free(struct policy_client *client);
/* A new channel (owns fd); requests on the old one are asked again. */
void	 policy_client_connect(struct policy_client *client, int fd);
/* Policy is there, so that it would say when plans change. */
bool	 policy_client_is_connected(const struct policy_client *client);

struct policy_request	*policy_plan(struct policy_client *client,
			    const struct policy_question *question,
			    policy_plan_done *done, void *arg);
/* The name of the address, confirmed by looking it up again; gives up after
 * milliseconds. */
struct policy_request	*policy_reverse(struct policy_client *client,
			    const struct endpoint *address, int milliseconds,
			    policy_reverse_done *done, void *arg);
/*
 * SPF of a sender (RFC 7208 2.4, AUTHN-45, 46): the HELO name first, whose
 * "fail" is the answer; else the domain of MAIL FROM is; for the null sender the
 * HELO name alone. All texts are copied; the answer's are borrowed until done
 * returns. Whatever goes wrong with asking is a temperror.
 */
struct policy_spf_question {
	const struct endpoint	*client;
	const char		*hello;
	const char		*sender;	/* "" is the null sender */
	const char		*receiver;	/* our name */
};
struct policy_spf_answer {
	enum proof	 proof;
	bool		 of_hello;	/* what decided was the HELO name */
	const char	*domain;	/* that was looked at, A-labels */
	const char	*mechanism;
	const char	*explanation;	/* printable ASCII; "" */
	/* What MAIL FROM alone gave, which DMARC looks at (AUTHN-71): the above
	 * unless a failing HELO name decided. For the null sender, the above. */
	enum proof	 mail_from;
	const char	*mail_from_domain;
};
typedef void policy_spf_done(void *arg, const struct policy_spf_answer *spf);
struct policy_request	*policy_spf(struct policy_client *client,
			    const struct policy_spf_question *question,
			    policy_spf_done *done, void *arg);

/* The TXT records at a name, joined by LF (as dkim_verifier_key() wants). */
typedef void policy_text_done(void *arg, enum dkim_key_answer answer,
    const char *text);
struct policy_request	*policy_text(struct policy_client *client,
			    const char *name, policy_text_done *done,
			    void *arg);

/* DMARC: see authentic/dmarc.h. done gets a step that is done. */
typedef void policy_dmarc_done(void *arg, const struct dmarc_step *dmarc);
struct policy_request	*policy_dmarc(struct policy_client *client,
			    const struct dmarc_question *question,
			    policy_dmarc_done *done, void *arg);

/* A client in a list (DNSBL, RFC 5782): the A records at its reversed address
 * below zone; none: not listed, or (failed) not known. */
enum { POLICY_LISTED_MAX = 16 };
typedef void policy_listed_done(void *arg, bool failed,
    const struct endpoint *answers, size_t count);
struct policy_request	*policy_listed(struct policy_client *client,
			    const struct endpoint *address, const char *zone,
			    policy_listed_done *done, void *arg);

/*
 * Greylisting: may mail of this client's network come in from this sender to
 * this recipient now? Who comes again has passed, and is known with all of the
 * sender's domain (policy/greylist.h). The memory and its times (options
 * greylist-*) are policy's. wait 0: it is known or has waited long enough; else
 * so many seconds to come again. look_only changes nothing. When policy cannot
 * be asked wait is 0.
 */
struct policy_greylist_question {
	const struct endpoint	*client;
	const char		*sender;
	const char		*recipient;
	bool			 look_only;
};
typedef void policy_greylist_done(void *arg, int64_t wait);
struct policy_request	*policy_greylist(struct policy_client *client,
			    const struct policy_greylist_question *question,
			    policy_greylist_done *done, void *arg);
/* Policy hears of it and stops looking. */
void	 policy_cancel(struct policy_request *request);

/* Copied; nothing comes back. Dropped while policy is away: what it counts is
 * not worth memory here. */
void	 policy_observe(struct policy_client *client,
	    const struct observation *observation);
/* changed is called when plans for a pattern (domain, ".domain", "": all) may
 * be others from now on: an exception, a pin, memory, a policy, a reload; and
 * with "" when policy was restarted. Plans already held for it should be asked
 * for again before mail is said. */
void	 policy_client_on_change(struct policy_client *client,
	    void (*changed)(void *arg, const char *pattern), void *arg);

#endif
