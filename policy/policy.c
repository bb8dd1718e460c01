/* SPDX-License-Identifier: ISC */
/*
 * Peers ask, requests run, answers go back. A request belongs to the peer that
 * asked and is cancelled when that channel goes away. Plans under way keep the
 * configuration they began with by finishing before it is freed: a reload
 * cancels them and starts them again under the new one.
 */
#include "policy/policy.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/message.h"
#include "policy/plan_request.h"
#include "policy/resolver.h"
#include "policy/reverse.h"

enum { PEERS_MAX = 80, QUEUED_MAX = 16 << 20, OWN_ADDRESSES_MAX = 256,
    OWN_ADDRESSES_AGE = 60000, REVERSE_MAX = 30000, REQUESTS_MAX = 8192,
    REFUSAL_LOG_INTERVAL = 1000 };

struct peer;

/* One question under way: plan or reverse is set. */
struct request {
	struct peer		*peer;
	uint32_t		 number;
	struct plan_request	*plan;
	struct reverse		*reverse;
	/* the question, to ask again after a reload */
	char			 domain[POLICY_NAME_MAX + 1];
	struct conf_next_hop	 next;
	LIST_ENTRY(request)	 entry;
};

struct peer {
	struct process_peer	 who;
	struct channel		*channel;	/* owned */
	LIST_HEAD(, request)	 requests;
};

static struct {
	struct conf		*conf;		/* owned */
	char			*trust_anchor;	/* owned; may be null */
	struct resolver		*resolver;	/* owned */
	struct peer		*peers[PEERS_MAX];	/* owned */
	unsigned		 request_count;
	uint64_t		 generation;
	struct endpoint		 own[OWN_ADDRESSES_MAX];
	size_t			 own_count;
	int64_t			 own_read;	/* monotonic, ms; 0: never */
} policy;

/* --- requests --- */

static void request_free(struct request *request)
{
	LIST_REMOVE(request, entry);
	policy.request_count--;
	mem_free(request);
}

static void request_cancel(struct request *request)
{
	if (request->plan != NULL)
		plan_request_cancel(request->plan);
	if (request->reverse != NULL)
		reverse_cancel(request->reverse);
	request_free(request);
}

static struct request *request_new(struct peer *peer, uint32_t number)
{
	struct request *request = mem_alloc(sizeof(*request));

	request->peer = peer;
	request->number = number;
	LIST_INSERT_HEAD(&peer->requests, request, entry);
	policy.request_count++;
	return request;
}

/* Interfaces come and go; loops are recognised by their addresses. */
static void read_own_addresses(void)
{
	struct ifaddrs *list, *one;

	if (policy.own_read != 0 &&
	    clock_monotonic() - policy.own_read < OWN_ADDRESSES_AGE)
		return;
	policy.own_read = clock_monotonic();
	if (getifaddrs(&list) == -1) {
		log_warn("cannot list own addresses", log_errno(errno));
		return;
	}
	policy.own_count = 0;
	for (one = list; one != NULL; one = one->ifa_next) {
		if (one->ifa_addr == NULL ||
		    policy.own_count == OWN_ADDRESSES_MAX)
			continue;
		if (one->ifa_addr->sa_family == AF_INET)
			endpoint_from_socket(&policy.own[policy.own_count++],
			    one->ifa_addr, sizeof(struct sockaddr_in));
		else if (one->ifa_addr->sa_family == AF_INET6)
			endpoint_from_socket(&policy.own[policy.own_count++],
			    one->ifa_addr, sizeof(struct sockaddr_in6));
	}
	freeifaddrs(list);
}

static void on_plan(void *arg, const struct plan *plan)
{
	struct request *request = arg;

	plan_put(channel_begin(request->peer->channel, POLICY_PLAN_ANSWER,
	    request->number), plan);
	channel_end(request->peer->channel);
	request_free(request);
}

static void start_plan(struct request *request)
{
	struct plan_context context = {
		.resolver = policy.resolver,
		.conf = policy.conf,
		.own_addresses = policy.own,
		.generation = policy.generation,
	};

	read_own_addresses();
	context.own_address_count = policy.own_count;
	request->plan = plan_request_start(&context, request->domain,
	    &request->next, on_plan, request);
}

/* Far more than the askers should have open: they are told to come again. A
 * channel closed for it would bring all the questions back at once. */
static bool has_too_many(const struct peer *peer)
{
	static int64_t told;

	if (policy.request_count < REQUESTS_MAX)
		return false;
	if (told == 0 || clock_monotonic() - told > REFUSAL_LOG_INTERVAL)
		log_warn("too many questions under way: refused for now",
		    log_text("peer", channel_peer(peer->channel)));
	told = clock_monotonic();
	return true;
}

static void refuse_plan(struct peer *peer, uint32_t number)
{
	struct plan plan = { .ttl = 0 };

	status_set(&plan.status, STATUS_DEFERRED, REASON_DNS, "4.4.3",
	    "too many plans are being made at once");
	plan_put(channel_begin(peer->channel, POLICY_PLAN_ANSWER, number),
	    &plan);
	channel_end(peer->channel);
}

static int on_plan_question(struct peer *peer, struct channel_message *message)
{
	struct arena *arena = arena_new(4096);
	const char *domain, *host;
	struct request *request;
	uint16_t port;
	bool mx;

	domain = wire_get_text(&message->body, arena, POLICY_NAME_MAX);
	host = wire_get_text(&message->body, arena, POLICY_NAME_MAX);
	port = wire_get_u16(&message->body);
	mx = wire_get_u8(&message->body) != 0;
	if (wire_read_end(&message->body) == -1) {
		arena_free(arena);
		return -1;
	}
	if (has_too_many(peer)) {
		arena_free(arena);
		refuse_plan(peer, message->request);
		return 0;
	}
	request = request_new(peer, message->request);
	snprintf(request->domain, sizeof(request->domain), "%s", domain);
	snprintf(request->next.host, sizeof(request->next.host), "%s", host);
	request->next.transport = TRANSPORT_SMTP;
	request->next.port = port;
	request->next.mx = mx;
	arena_free(arena);
	start_plan(request);
	return 0;
}

static void answer_name(struct peer *peer, uint32_t number, const char *name)
{
	wire_put_text(channel_begin(peer->channel, POLICY_REVERSE_ANSWER,
	    number), name);
	channel_end(peer->channel);
}

static void on_reverse(void *arg, const char *name)
{
	struct request *request = arg;

	answer_name(request->peer, request->number, name);
	request_free(request);
}

static int on_reverse_question(struct peer *peer,
    struct channel_message *message)
{
	struct endpoint address;
	struct request *request;
	uint32_t milliseconds;
	const void *bytes;
	uint8_t family;
	size_t length;

	family = wire_get_u8(&message->body);
	bytes = wire_get_bytes(&message->body, 16, &length);
	milliseconds = wire_get_u32(&message->body);
	if (wire_read_end(&message->body) == -1 || !((family == 4 &&
	    length == 4) || (family == 6 && length == 16)))
		return -1;
	endpoint_from_bytes(&address, family == 4 ? AF_INET : AF_INET6, bytes,
	    0);
	if (milliseconds > REVERSE_MAX)
		milliseconds = REVERSE_MAX;
	if (has_too_many(peer)) {
		answer_name(peer, message->request, "");
		return 0;
	}
	request = request_new(peer, message->request);
	request->reverse = reverse_start(policy.resolver, &address,
	    milliseconds, on_reverse, request);
	return 0;
}

/* --- peers --- */

static void peer_free(struct peer *peer)
{
	size_t i;

	while (!LIST_EMPTY(&peer->requests))
		request_cancel(LIST_FIRST(&peer->requests));
	for (i = 0; i < PEERS_MAX; i++)
		if (policy.peers[i] == peer)
			policy.peers[i] = NULL;
	channel_free(peer->channel);
	mem_free(peer);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct peer *peer = arg;
	int result;

	(void)channel;
	result = message->type == POLICY_PLAN ?
	    on_plan_question(peer, message) :
	    on_reverse_question(peer, message);
	if (result == -1) {
		log_error("malformed question: closing",
		    log_text("peer", channel_peer(peer->channel)));
		peer_free(peer);
	}
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)channel;
	peer_free(arg);
}

static const struct channel_rule delivery_rules[] = {
	{ .type = POLICY_PLAN, .max = 2 * POLICY_NAME_MAX + 16 },
};
static const struct channel_rule smtpd_rules[] = {
	{ .type = POLICY_REVERSE, .max = 32 },
};
static const struct channel_handler delivery_handler = {
	.rules = delivery_rules, .rule_count = 1,
	.message = on_message, .closed = on_closed,
};
static const struct channel_handler smtpd_handler = {
	.rules = smtpd_rules, .rule_count = 1,
	.message = on_message, .closed = on_closed,
};

static void take_peer(const struct process_peer *who, int fd)
{
	bool delivery = who->role == ROLE_DELIVERY;
	struct peer *peer;
	char name[32];
	size_t i, free_slot = PEERS_MAX;

	if (!delivery && who->role != ROLE_SMTPD)
		bug("peer of policy");
	for (i = 0; i < PEERS_MAX; i++) {
		peer = policy.peers[i];
		if (peer != NULL && peer->who.role == who->role &&
		    peer->who.instance == who->instance)
			peer_free(peer);
		if (policy.peers[i] == NULL && free_slot == PEERS_MAX)
			free_slot = i;
	}
	if (free_slot == PEERS_MAX)
		bug("too many peers");
	peer = mem_alloc(sizeof(*peer));
	peer->who = *who;
	LIST_INIT(&peer->requests);
	snprintf(name, sizeof(name), "%s %u", role_name(who->role),
	    who->instance);
	peer->channel = channel_new(fd, name, delivery ? &delivery_handler :
	    &smtpd_handler, peer, QUEUED_MAX);
	policy.peers[free_slot] = peer;
}

/* --- configuration --- */

static void restart_plans(void)
{
	struct request *request;
	size_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		if (policy.peers[i] == NULL)
			continue;
		LIST_FOREACH(request, &policy.peers[i]->requests, entry)
			if (request->plan != NULL) {
				plan_request_cancel(request->plan);
				start_plan(request);
			}
	}
}

static bool same_texts(const struct conf_texts *one,
    const struct conf_texts *other)
{
	size_t i;

	if (one->count != other->count)
		return false;
	for (i = 0; i < one->count; i++)
		if (strcmp(one->items[i], other->items[i]) != 0)
			return false;
	return true;
}

static bool same_resolver(const struct conf *one, const struct conf *other)
{
	return one->resolver == other->resolver &&
	    one->resolver_timeout == other->resolver_timeout &&
	    same_texts(&one->forwarders, &other->forwarders) &&
	    same_texts(&one->stub_zones, &other->stub_zones);
}

static void read_anchor(const struct bundle *bundle, const struct conf *conf)
{
	const struct bundle_file *file = NULL;

	if (conf->trust_anchor_file != NULL &&
	    conf->trust_anchor_file[0] != '\0')
		file = bundle_file(bundle, conf->trust_anchor_file);
	mem_free(policy.trust_anchor);
	policy.trust_anchor = file == NULL ? NULL :
	    mem_dup_string(file->contents);
}

static int configure(const void *data, size_t length, char *error, size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct conf *conf = NULL, *old = policy.conf;
	char *errors = NULL;

	if (bundle != NULL)
		conf = conf_read(bundle->name, bundle->text, &errors);
	if (conf == NULL) {
		snprintf(error, size, "%s", errors != NULL ? errors :
		    "the configuration cannot be decoded");
		mem_free(errors);
		if (bundle != NULL)
			bundle_free(bundle);
		return -1;
	}
	read_anchor(bundle, conf);
	bundle_free(bundle);
	policy.conf = conf;
	policy.generation++;
	if (old != NULL) {
		if (!same_resolver(old, conf))
			log_warn("changes of the resolver take effect after "
			    "a restart");
		restart_plans();
		conf_free(old);
	}
	return 0;
}

/* Before the chroot: libunbound reads files at its first lookup. */
static void prepare(void)
{
	char error[256];

	if (policy.trust_anchor == NULL)
		log_warn("no trust anchor: DNS answers are not validated; "
		    "install dns-root-data or set trust-anchor-file");
	policy.resolver = resolver_new(policy.conf, policy.trust_anchor, error,
	    sizeof(error));
	if (policy.resolver == NULL)
		fatal("cannot start the resolver", log_text("reason", error));
}

static void start(void)
{
}

static void stop(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (policy.peers[i] != NULL)
			peer_free(policy.peers[i]);
	resolver_free(policy.resolver);
	conf_free(policy.conf);
	mem_free(policy.trust_anchor);
	process_exit(0);
}

const struct role_entry policy_entry = {
	.role = ROLE_POLICY,
	.configure = configure,
	.prepare = prepare,
	.start = start,
	.peer = take_peer,
	.stop = stop,
};
