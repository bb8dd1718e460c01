/* SPDX-License-Identifier: ISC */
/*
 * libunbound in event mode (ub_ctx_create_event). Its callback may run inside
 * ub_resolve_event(), for cached and local data: the answer waits for the next
 * turn then. When its rcode is not 0 the packet buffer holds bytes of some
 * earlier answer and is not read.
 */
#include "policy/resolver.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "conf/conf.h"

enum { QUERIES_MAX = 4096, ANSWER_BYTES = 512 << 10, SECURITY_BOGUS = 1,
    SECURITY_SECURE = 2 };

struct resolver {
	struct ub_ctx	*context;		/* owned */
	int64_t		 timeout;		/* milliseconds */
	unsigned	 count;			/* lookups under way */
	LIST_HEAD(, resolver_query) queries;
};

struct resolver_query {
	struct resolver		*resolver;
	char			 name[4 * DNS_NAME_MAX + 2];	/* escaped */
	enum dns_type		 type;
	int			 id;		/* libunbound's */
	bool			 asking;	/* inside ub_resolve_event */
	bool			 answered;	/* libunbound is done with us */
	struct timer		 timer;
	struct arena		*arena;		/* of the answer */
	struct dns_answer	 answer;
	resolver_done		*done;
	void			*arg;
	LIST_ENTRY(resolver_query) entry;
};

/* --- life of a query --- */

static void forget(struct resolver_query *query)
{
	LIST_REMOVE(query, entry);
	query->resolver->count--;
	timer_stop(&query->timer);
	arena_free(query->arena);
	mem_free(query);
}

static void tell(void *arg)
{
	struct resolver_query *query = arg;

	query->done(query->arg, &query->answer);
	forget(query);
}

static void set_error(struct resolver_query *query, enum fact_result result,
    const char *reason)
{
	memset(&query->answer, 0, sizeof(query->answer));
	query->answer.result = result;
	snprintf(query->answer.reason, sizeof(query->answer.reason), "%s",
	    reason);
}

static void on_deadline(void *arg)
{
	struct resolver_query *query = arg;

	query->answered = true;
	ub_cancel(query->resolver->context, query->id);
	set_error(query, FACT_ERROR, "no answer in time");
	tell(query);
}

static void on_answer(void *arg, int rcode, void *packet, int length,
    int security, char *why_bogus, int was_ratelimited)
{
	struct resolver_query *query = arg;

	query->answered = true;
	timer_stop(&query->timer);
	if (rcode != 0) {
		set_error(query, FACT_ERROR, was_ratelimited ?
		    "rate limit of the resolver" : rcode == 2 ?
		    "SERVFAIL or no answer" : "the resolver reports an error");
	} else if (security == SECURITY_BOGUS) {
		set_error(query, FACT_BOGUS, why_bogus == NULL ? "" :
		    why_bogus);
	} else if (packet == NULL || length < 0) {
		set_error(query, FACT_ERROR, "no packet");
	} else {
		dns_read(packet, (size_t)length, query->name, query->type,
		    query->arena, &query->answer);
		query->answer.secure = security == SECURITY_SECURE;
	}
	if (query->asking)
		timer_start(&query->timer, 0, tell, query);
	else
		tell(query);
}

struct resolver_query *resolver_lookup(struct resolver *resolver,
    const char *name, enum dns_type type, resolver_done *done, void *arg)
{
	struct resolver_query *query = mem_alloc(sizeof(*query));
	int result;

	query->resolver = resolver;
	query->type = type;
	query->done = done;
	query->arg = arg;
	query->arena = arena_new(ANSWER_BYTES);
	snprintf(query->name, sizeof(query->name), "%s", name);
	LIST_INSERT_HEAD(&resolver->queries, query, entry);
	if (resolver->count++ >= QUERIES_MAX) {
		query->answered = true;
		set_error(query, FACT_ERROR, "too many lookups under way");
		timer_start(&query->timer, 0, tell, query);
		return query;
	}
	timer_start(&query->timer, resolver->timeout, on_deadline, query);
	query->asking = true;
	result = ub_resolve_event(resolver->context, query->name, (int)type, 1,
	    query, on_answer, &query->id);
	query->asking = false;
	if (result != 0) {
		query->answered = true;
		set_error(query, FACT_ERROR, ub_strerror(result));
		timer_start(&query->timer, 0, tell, query);
	}
	return query;
}

void resolver_cancel(struct resolver_query *query)
{
	if (!query->answered)
		ub_cancel(query->resolver->context, query->id);
	forget(query);
}

/* --- set-up --- */

/* Option names and values are ours: one that is refused is a bug of ours. */
static void set(struct ub_ctx *context, const char *option, const char *value)
{
	int result = ub_ctx_set_option(context, option, value);

	if (result != 0)
		fatal("resolver option refused", log_text("option", option),
		    log_text("value", value),
		    log_text("reason", ub_strerror(result)));
}

static void set_common(struct ub_ctx *context)
{
	set(context, "do-daemonize:", "no");
	set(context, "use-syslog:", "no");
	set(context, "verbosity:", "0");
	set(context, "harden-glue:", "yes");
	set(context, "harden-dnssec-stripped:", "yes");
	set(context, "harden-below-nxdomain:", "yes");
	set(context, "edns-buffer-size:", "1232");
	set(context, "outgoing-range:", "512");
	set(context, "num-queries-per-thread:", "1024");
	/* A signed destination with a host of its own takes 1.5 KiB of the
	 * first and 3 KiB of the second, with RSA some 6 (tests/bench/plans);
	 * ceilings, reached by 20,000 destinations and more in one hour. */
	set(context, "msg-cache-size:", "64m");
	set(context, "rrset-cache-size:", "128m");
	set(context, "key-cache-size:", "16m");
	/* A broken zone is looked at again soon after it was mended. */
	set(context, "val-bogus-ttl:", "10");
	/* Both are the process's, not the context's: whoever is made last sets
	 * them for all. An hour, so that validation.c's hourly look at the
	 * root's keys is no look at what is remembered of them. */
	set(context, "cache-max-negative-ttl:", "900");
	set(context, "cache-max-ttl:", "3600");
}

static int add_anchor(struct ub_ctx *context, const char *text, char *error,
    size_t size)
{
	char *copy = mem_dup_string(text), *rest = copy, *line;
	int result = 0, lines = 0;

	while (result == 0 && (line = strsep(&rest, "\n")) != NULL) {
		line += strspn(line, " \t\r");
		if (*line == '\0' || *line == ';' || *line == '#')
			continue;
		result = ub_ctx_add_ta(context, line);
		lines++;
	}
	mem_free(copy);
	if (result != 0 || lines == 0) {
		snprintf(error, size, "the trust anchor is not usable: %s",
		    result != 0 ? ub_strerror(result) : "no record in it");
		return -1;
	}
	return 0;
}

static int set_upstream(struct ub_ctx *context, const struct conf *conf,
    char *error, size_t size)
{
	int result = 0;
	size_t i;

	if (conf->resolver == RESOLVER_RECURSIVE) {
		if (conf->root_hints_file != NULL &&
		    conf->root_hints_file[0] != '\0')
			set(context, "root-hints:", conf->root_hints_file);
		return 0;
	}
	/* A resolver on this machine, and answers about private networks, are
	 * what the administrator meant. */
	set(context, "do-not-query-localhost:", "no");
	set(context, "unblock-lan-zones:", "yes");
	set(context, "insecure-lan-zones:", "yes");
	if (conf->resolver == RESOLVER_RESOLV_CONF)
		result = ub_ctx_resolvconf(context, NULL);
	for (i = 0; result == 0 && conf->resolver == RESOLVER_FORWARD &&
	    i < conf->forwarders.count; i++)
		result = ub_ctx_set_fwd(context, conf->forwarders.items[i]);
	if (result != 0) {
		snprintf(error, size, "resolver: %s", ub_strerror(result));
		return -1;
	}
	return 0;
}

/* "zone address[@port]" */
static int add_stub(struct ub_ctx *context, const char *text, char *error,
    size_t size)
{
	char zone[DNS_NAME_MAX + 1], address[96];
	int result;

	if (sscanf(text, "%255s %95s", zone, address) != 2) {
		snprintf(error, size, "stub-zones: \"%s\" is not \"zone "
		    "address@port\"", text);
		return -1;
	}
	set(context, "do-not-query-localhost:", "no");
	result = ub_ctx_set_stub(context, zone, address, 0);
	if (result != 0) {
		snprintf(error, size, "stub-zones: \"%s\": %s", text,
		    ub_strerror(result));
		return -1;
	}
	return 0;
}

static void first_done(void *arg, const struct dns_answer *answer)
{
	(void)arg;
	if (answer->result != FACT_DATA)
		log_warn("resolver probe failed",
		    log_text("reason", answer->reason));
}

/* libunbound opens files and reads the trust anchor at the first lookup; this
 * one needs no network and happens before the chroot. If it cannot begin, no
 * later one ever will. */
static int look_up_first(struct resolver *resolver, char *error, size_t size)
{
	struct resolver_query *query = resolver_lookup(resolver, "localhost",
	    DNS_A, first_done, NULL);

	if (!query->answered || query->answer.result != FACT_ERROR)
		return 0;
	snprintf(error, size, "libunbound does not start (%s): look at the "
	    "trust anchor and at root-hints-file", query->answer.reason);
	return -1;
}

/* What answers are validated with: one of the two, or neither. */
struct trust {
	const char	*text;		/* of an anchor file */
	const char	*path;		/* of a state file (RFC 5011) */
};

static int set_trust(struct ub_ctx *context, const struct trust *trust,
    char *error, size_t size)
{
	bool validate = trust->text != NULL || trust->path != NULL;
	int result;

	set(context, "module-config:", validate ? "validator iterator" :
	    "iterator");
	if (trust->path == NULL)
		return validate ? add_anchor(context, trust->text, error,
		    size) : 0;
	result = ub_ctx_add_ta_autr(context, trust->path);
	if (result == 0)
		return 0;
	snprintf(error, size, "the trust anchor's state is not usable: %s",
	    ub_strerror(result));
	return -1;
}

static struct resolver *make(const struct conf *conf,
    const struct trust *trust, char *error, size_t size)
{
	struct resolver *resolver = mem_alloc(sizeof(*resolver));
	int failed;
	size_t i;

	LIST_INIT(&resolver->queries);
	resolver->timeout = conf->resolver_timeout * 1000;
	resolver->context = ub_ctx_create_event(loop_base());
	if (resolver->context == NULL)
		fatal("libunbound cannot use our event loop: it was built "
		    "without libevent");
	set_common(resolver->context);
	set(resolver->context, "do-ip6:", conf->ipv6 ? "yes" : "no");
	failed = set_trust(resolver->context, trust, error, size);
	if (!failed)
		failed = set_upstream(resolver->context, conf, error, size);
	for (i = 0; !failed && i < conf->stub_zones.count; i++)
		failed = add_stub(resolver->context, conf->stub_zones.items[i],
		    error, size);
	if (!failed)
		failed = look_up_first(resolver, error, size);
	if (failed) {
		resolver_free(resolver);
		return NULL;
	}
	return resolver;
}

struct resolver *resolver_new(const struct conf *conf,
    const char *trust_anchor, char *error, size_t size)
{
	struct trust trust = { .text = trust_anchor };

	if (trust_anchor != NULL && trust_anchor[0] == '\0')
		trust.text = NULL;
	return make(conf, &trust, error, size);
}

struct resolver *resolver_new_following(const struct conf *conf,
    const char *path, char *error, size_t size)
{
	struct trust trust = { .path = path };

	return make(conf, &trust, error, size);
}

struct resolver *resolver_new_plain(const struct conf *conf, char *error,
    size_t size)
{
	struct trust trust = { .text = NULL };

	return make(conf, &trust, error, size);
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	while (!LIST_EMPTY(&resolver->queries))
		resolver_cancel(LIST_FIRST(&resolver->queries));
	ub_ctx_delete(resolver->context);
	mem_free(resolver);
}
