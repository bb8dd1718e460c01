/* SPDX-License-Identifier: ISC */
/*
 * Peers ask, requests run, answers go back. A request belongs to the peer that
 * asked and is cancelled when that channel goes away. Plans under way keep the
 * configuration they began with by finishing before it is freed: a reload
 * cancels them and starts them again under the new one.
 *
 * Whatever else changes plans (an exception, a pin, memory, a policy) is noted
 * when it is heard of, which may be in the middle of a plan, and acted on after
 * the current event: delivery is told, and plans of that domain begin again.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/alarm.h"
#include "policy/anchor.h"
#include "policy/check.h"
#include "policy/message.h"
#include "policy/observation.h"
#include "policy/own_addresses.h"
#include "policy/plan_request.h"
#include "policy/policy_private.h"
#include "policy/records.h"
#include "policy/resolver.h"
#include "policy/reverse.h"
#include "policy/sts.h"
#include "policy/validation.h"
#include "policy/verbs.h"

enum { PEERS_MAX = 80, QUEUED_MAX = 16 << 20, REVERSE_MAX = 30000,
    REQUESTS_MAX = 8192, REFUSAL_LOG_INTERVAL = 1000,
    CHANGES_MAX = 64 };		/* of one event; more are "all" */

static struct {
	struct conf		*conf;		/* owned */
	char			*trust_anchor;	/* owned; may be null */
	char			*trust_pem;	/* the same; CA certificates */
	struct resolver		*resolver;	/* owned */
	struct resolver		*plain;		/* owned; null: not needed */
	struct validation	*validation;	/* owned; the same */
	struct sts		*sts;		/* owned */
	struct alarms		*alarms;	/* owned */
	struct records		 records;
	struct peer		*peers[PEERS_MAX];	/* owned */
	unsigned		 request_count;
	uint64_t		 generation;
	struct own_addresses	 own;

	/* what changed in this event */
	char			 changes[CHANGES_MAX][POLICY_NAME_MAX + 1];
	unsigned		 change_count;
	bool			 all_changed;
} policy;

/* --- requests --- */

void policy_request_release(struct request *request)
{
	struct hash *numbers = request->peer->numbers;

	if (hash_find_id(numbers, request->number) == request)
		hash_remove_id(numbers, request->number);
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
	if (request->check != NULL)
		request->check->cancel(request->check);
	policy_request_release(request);
}

struct request *policy_request_begin(struct peer *peer, uint32_t number)
{
	struct request *request = mem_alloc(sizeof(*request));

	request->peer = peer;
	request->number = number;
	LIST_INSERT_HEAD(&peer->requests, request, entry);
	hash_put_id(peer->numbers, number, request);
	policy.request_count++;
	return request;
}

/* By the recipients' domain or by the next hop: memory and policies are known
 * under that one. */
bool policy_is_about(const char *pattern, const char *domain,
    const struct conf_next_hop *next)
{
	return pattern[0] == '\0' || domain_match(domain, pattern) ||
	    domain_match(next->host, pattern);
}

/* Something changed in this very turn, and nobody was told yet. */
static bool is_stale(const struct request *request)
{
	unsigned i;

	for (i = 0; i < policy.change_count; i++)
		if (policy_is_about(policy.changes[i], request->domain,
		    &request->next))
			return true;
	return policy.all_changed;
}

static void	start_plan(struct request *request);

static void on_plan(void *arg, const struct plan *plan,
    const struct plan_facts *facts)
{
	struct request *request = arg;

	if (is_stale(request)) {
		start_plan(request);
		return;
	}
	if (plan->alarm[0] != '\0')
		alarms_tell(policy.alarms, request->domain, plan->alarm);
	records_plan(&policy.records, plan, facts);
	plan_put(channel_begin(request->peer->channel, POLICY_PLAN_ANSWER,
	    request->number), plan);
	channel_end(request->peer->channel);
	policy_request_release(request);
}

void policy_context(struct plan_context *context)
{
	own_addresses_read(&policy.own);
	*context = (struct plan_context) {
		.resolver = policy.resolver,
		.sts = policy.sts,
		.memory = policy.records.memory,
		.exceptions = policy.records.exceptions,
		.conf = policy.conf,
		.own_addresses = policy.own.items,
		.own_address_count = policy.own.count,
		.generation = policy.generation,
	};
}

struct records *policy_records(void)
{
	return &policy.records;
}

struct resolver *policy_resolver(void)
{
	return policy.resolver;
}

static void start_plan(struct request *request)
{
	struct plan_context context;
	struct plan_question question = {
		.domain = request->domain,
		.next = &request->next,
		.waited = request->waited,
		.wish = request->wish,
		.message_level = request->message_level,
	};

	policy_context(&context);
	request->plan = plan_request_start(&context, &question, on_plan,
	    request);
}

bool policy_has_too_many(const struct peer *peer)
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

static void read_question(struct request *request, struct wire_reader *body,
    struct arena *arena)
{
	snprintf(request->domain, sizeof(request->domain), "%s",
	    wire_get_text(body, arena, POLICY_NAME_MAX));
	snprintf(request->next.host, sizeof(request->next.host), "%s",
	    wire_get_text(body, arena, POLICY_NAME_MAX));
	request->next.transport = TRANSPORT_SMTP;
	request->next.port = wire_get_u16(body);
	request->next.mx = wire_get_u8(body) != 0;
	request->next.implicit_tls = wire_get_u8(body) != 0;
	request->waited = (int64_t)wire_get_u64(body);
	if (request->waited < 0)	/* a clock was set back */
		request->waited = 0;
	request->wish = wire_get_enum(body, WISHES);
	/* Levels that need names or fingerprints are no message's. */
	request->message_level = (int)wire_get_enum(body, LEVEL_STRICT + 2) -
	    1;
}

static int on_plan_question(struct peer *peer, struct channel_message *message)
{
	struct arena *arena = arena_new(4096);
	struct request question = { .number = 0 }, *request;
	int result;

	read_question(&question, &message->body, arena);
	result = wire_read_end(&message->body);
	arena_free(arena);
	if (result == -1)
		return -1;
	if (policy_has_too_many(peer)) {
		refuse_plan(peer, message->request);
		return 0;
	}
	request = policy_request_begin(peer, message->request);
	memcpy(request->domain, question.domain, sizeof(request->domain));
	request->next = question.next;
	request->waited = question.waited;
	request->wish = question.wish;
	request->message_level = question.message_level;
	start_plan(request);
	return 0;
}

/* The answer may have crossed it on the way. */
static int on_cancel(struct peer *peer, struct channel_message *message)
{
	struct request *request = hash_find_id(peer->numbers,
	    message->request);

	if (request != NULL)
		request_cancel(request);
	return wire_read_end(&message->body);
}

/* By reverse.h: null is none, "" is not known. */
static void answer_name(struct peer *peer, uint32_t number, const char *name)
{
	const char *text = name == NULL ? "" : name[0] == '\0' ?
	    POLICY_NAME_UNKNOWN : name;

	wire_put_text(channel_begin(peer->channel, POLICY_REVERSE_ANSWER,
	    number), text);
	channel_end(peer->channel);
}

static void on_reverse(void *arg, const char *name)
{
	struct request *request = arg;

	answer_name(request->peer, request->number, name);
	policy_request_release(request);
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
	if (policy_has_too_many(peer)) {
		answer_name(peer, message->request, "");
		return 0;
	}
	request = policy_request_begin(peer, message->request);
	request->reverse = reverse_start(policy.resolver, &address,
	    milliseconds, on_reverse, request);
	return 0;
}

/* --- what delivery saw --- */

static int on_observation(struct channel_message *message)
{
	struct observation observation;

	if (observation_get(&message->body, &observation) == -1 ||
	    wire_read_end(&message->body) == -1)
		return -1;
	records_observe(&policy.records, &observation);
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
	hash_free(peer->numbers);
	mem_free(peer);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct peer *peer = arg;
	int result;

	(void)channel;
	switch (message->type) {
	case POLICY_PLAN: result = on_plan_question(peer, message); break;
	case POLICY_REVERSE:
		result = on_reverse_question(peer, message);
		break;
	case POLICY_CANCEL: result = on_cancel(peer, message); break;
	case POLICY_OBSERVED: result = on_observation(message); break;
	default: result = policy_check_question(peer, message); break;
	}
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
	{ .type = POLICY_PLAN, .max = POLICY_QUESTION_MAX },
	{ .type = POLICY_CANCEL, .max = 0 },
	{ .type = POLICY_OBSERVED, .max = OBSERVATION_WIRE_MAX },
};
static const struct channel_rule smtpd_rules[] = {
	{ .type = POLICY_REVERSE, .max = 32 },
	{ .type = POLICY_CANCEL, .max = 0 },
	{ .type = POLICY_SPF, .max = POLICY_CHECK_QUESTION_MAX },
	{ .type = POLICY_TEXT, .max = POLICY_CHECK_QUESTION_MAX },
	{ .type = POLICY_DMARC, .max = POLICY_CHECK_QUESTION_MAX },
	{ .type = POLICY_LISTED, .max = POLICY_CHECK_QUESTION_MAX },
	{ .type = POLICY_GREYLIST, .max = POLICY_CHECK_QUESTION_MAX },
};
static const struct channel_handler delivery_handler = {
	.rules = delivery_rules,
	.rule_count = sizeof(delivery_rules) / sizeof(delivery_rules[0]),
	.message = on_message, .closed = on_closed,
};
static const struct channel_handler smtpd_handler = {
	.rules = smtpd_rules,
	.rule_count = sizeof(smtpd_rules) / sizeof(smtpd_rules[0]),
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
	peer->numbers = hash_new();
	LIST_INIT(&peer->requests);
	snprintf(name, sizeof(name), "%s %u", role_name(who->role),
	    who->instance);
	peer->channel = channel_new(fd, name, delivery ? &delivery_handler :
	    &smtpd_handler, peer, QUEUED_MAX);
	policy.peers[free_slot] = peer;
}

/* --- changes --- */

static void restart_plans(const struct peer *peer, const char *pattern)
{
	struct request *request;

	LIST_FOREACH(request, &peer->requests, entry) {
		if (request->plan == NULL || !policy_is_about(pattern,
		    request->domain, &request->next))
			continue;
		plan_request_cancel(request->plan);
		start_plan(request);
	}
}

static void tell_change(const char *pattern)
{
	struct peer *peer;
	size_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		peer = policy.peers[i];
		if (peer == NULL || peer->who.role != ROLE_DELIVERY)
			continue;
		wire_put_text(channel_begin(peer->channel, POLICY_CHANGED, 0),
		    pattern);
		channel_end(peer->channel);
		restart_plans(peer, pattern);
	}
	verbs_restart(pattern);
}

static void tell_changes(void *arg)
{
	unsigned i;

	(void)arg;
	if (policy.all_changed)
		tell_change("");
	for (i = 0; i < policy.change_count && !policy.all_changed; i++)
		tell_change(policy.changes[i]);
	policy.change_count = 0;
	policy.all_changed = false;
}

static void on_changed(void *arg, const char *pattern)
{
	unsigned i;

	(void)arg;
	policy.generation++;
	for (i = 0; i < policy.change_count; i++)
		if (strcmp(policy.changes[i], pattern) == 0)
			return;
	if (policy.change_count == 0 && !policy.all_changed)
		loop_defer(tell_changes, &policy);
	if (pattern[0] == '\0' || policy.change_count == CHANGES_MAX)
		policy.all_changed = true;
	else
		snprintf(policy.changes[policy.change_count++],
		    sizeof(policy.changes[0]), "%s", pattern);
}

static void on_fetch_failed(void *arg, const char *domain, const char *result,
    const char *problem)
{
	(void)arg;
	records_fetch_failed(&policy.records, domain, result, problem);
}

/* --- configuration --- */

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

/* A copy of a file that came along, owned by the caller; null: there is none
 * of that name. */
static char *file_text(const struct bundle *bundle, const char *path)
{
	const struct bundle_file *file = NULL;

	if (path != NULL)
		file = bundle_file(bundle, path);
	return file == NULL ? NULL : mem_dup_string(file->contents);
}

static void read_files(const struct bundle *bundle, const struct conf *conf)
{
	mem_free(policy.trust_anchor);
	policy.trust_anchor = file_text(bundle, conf->trust_anchor_file);
	/* What fetches policies has its own from the start. */
	if (policy.trust_pem == NULL)
		policy.trust_pem = file_text(bundle, conf->trust_file);
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
	read_files(bundle, conf);
	bundle_free(bundle);
	policy.conf = conf;
	policy.generation++;
	if (old != NULL) {
		if (!same_resolver(old, conf))
			log_warn("changes of the resolver take effect after "
			    "a restart");
		if (policy.sts != NULL) {
			sts_configure(policy.sts, conf);
			records_configure(&policy.records, conf, policy.sts);
		}
		tell_change("");
		conf_free(old);
	}
	return 0;
}

/* From here on files are named as seen from our own directory: they have the
 * same names before and after the chroot then, which puts us there, too. */
static void enter_directory(const char *path)
{
	if (chdir(path) == -1)
		fatal("cannot enter the directory of policy",
		    log_text("path", path), log_errno(errno));
}

/* By the state file, or by what is trusted now when that cannot be kept. If
 * the package's keys work and the state does not, the state is at fault. */
static struct resolver *make_validating(char *error, size_t size)
{
	struct resolver *resolver = NULL;
	char *keys, why[256];
	bool following;

	following = anchor_prepare(".", policy.trust_anchor, &keys) == 0;
	if (following)
		resolver = resolver_new_following(policy.conf, ANCHOR_STATE,
		    error, size);
	if (resolver == NULL) {
		snprintf(why, sizeof(why), "%s", error);
		resolver = resolver_new(policy.conf, keys != NULL ? keys :
		    policy.trust_anchor, error, size);
		if (following && resolver != NULL)
			anchor_set_aside(".", why);
	}
	mem_free(keys);
	return resolver;
}

/* Before the chroot: libunbound reads files at its first lookup. */
static void prepare(void)
{
	const struct sts_hooks hooks = { .failed = on_fetch_failed,
	    .changed = on_changed };
	char *directory = mem_print("%s/policy", policy.conf->state_directory);
	char error[256] = "";

	enter_directory(directory);
	if (policy.trust_anchor == NULL) {
		log_warn("no trust anchor: DNS answers are not validated, so "
		    "that DANE protects nobody; install dns-root-data or set "
		    "trust-anchor-file");
		policy.resolver = resolver_new(policy.conf, NULL, error,
		    sizeof(error));
	} else {
		policy.resolver = make_validating(error, sizeof(error));
		policy.plain = resolver_new_plain(policy.conf, error,
		    sizeof(error));
	}
	if (policy.resolver == NULL)
		fatal("cannot start the resolver", log_text("reason", error));
	policy.alarms = alarms_new();
	policy.sts = sts_new(policy.conf, policy.resolver, directory,
	    policy.trust_pem);
	sts_set_hooks(policy.sts, &hooks);
	records_init(&policy.records, directory, on_changed, NULL);
	records_configure(&policy.records, policy.conf, policy.sts);
	mem_free(directory);
}

static void start(void)
{
	records_open(&policy.records);
	if (policy.plain != NULL)
		policy.validation = validation_start(policy.resolver,
		    policy.plain);
	sts_start_refresh(policy.sts);
}

static void stop(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (policy.peers[i] != NULL)
			peer_free(policy.peers[i]);
	verbs_stop();
	validation_stop(policy.validation);
	sts_free(policy.sts);
	records_release(&policy.records);
	loop_undefer(&policy);
	alarms_free(policy.alarms);
	resolver_free(policy.plain);
	resolver_free(policy.resolver);
	conf_free(policy.conf);
	mem_free(policy.trust_anchor);
	mem_free(policy.trust_pem);
	process_exit(0);
}

const struct role_entry policy_entry = {
	.role = ROLE_POLICY,
	.configure = configure,
	.prepare = prepare,
	.start = start,
	.peer = take_peer,
	.control = verbs_accept,
	.stop = stop,
};
