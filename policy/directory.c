/* SPDX-License-Identifier: ISC */
/*
 * The directory role: answers smtpd's questions from the tables in expand.c.
 */
#include "policy/directory.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/directory_message.h"
#include "policy/expand.h"
#include "policy/login.h"

enum { PEERS_MAX = 64, QUEUED_MAX = 4 << 20 };

static struct {
	struct conf	*conf;			/* owned */
	struct expander	*expander;		/* owned */
	struct logins	*logins;		/* owned */
	struct channel	*peers[PEERS_MAX];	/* owned, by smtpd instance */
} directory;

static int configure(const void *data, size_t length, char *error, size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct expander *expander = NULL;
	struct accounts *accounts = NULL;
	struct conf *conf = NULL;
	char *errors = NULL;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration cannot be decoded");
		return -1;
	}
	conf = conf_read(bundle->name, bundle->text, &errors);
	if (conf == NULL)
		snprintf(error, size, "%s", errors);
	else if (bundle_attach_tables(bundle, process_take_table, error,
	    size) == 0)
		expander = expander_new(conf, bundle, &errors, NULL);
	if (conf != NULL && errors != NULL)
		snprintf(error, size, "%s", errors);
	mem_free(errors);
	if (expander != NULL)
		accounts = logins_read(conf, bundle, error, size);
	bundle_free(bundle);
	if (accounts == NULL) {
		expander_free(expander);
		if (conf != NULL)
			conf_free(conf);
		return -1;
	}
	if (directory.logins == NULL)
		directory.logins = logins_new();
	logins_configure(directory.logins, conf, expander, accounts);
	expander_free(directory.expander);
	if (directory.conf != NULL)
		conf_free(directory.conf);
	directory.conf = conf;
	directory.expander = expander;
	return 0;
}

static void answer(struct channel *channel, uint32_t request,
    const struct directory_check_message *check)
{
	const struct expand_question question = { .address = check->address,
	    .sender = check->sender, .wall = clock_wall() };
	struct arena *arena = arena_new(EXPAND_ARENA_MAX);
	struct expansion expansion;

	expander_expand(directory.expander, &question, arena, &expansion);
	if (expansion.answer == DIRECTORY_UNAVAILABLE)
		log_error("recipient-not-expanded", log_text("r",
		    check->address), log_text("reason", "too many aliases "
		    "one behind the other, aliases in a circle, too many "
		    "recipients, or a damaged table: `postern address` shows "
		    "which"));
	directory_put_answer(channel_begin(channel, DIRECTORY_ANSWER,
	    request), &(struct directory_answer_message){ expansion.answer,
	    expansion.found });
	channel_end(channel);
	arena_free(arena);
}

static void drop(struct channel *channel)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (directory.peers[i] == channel)
			directory.peers[i] = NULL;
	logins_disconnect(directory.logins, channel);
	channel_free(channel);
}

static void on_malformed(struct channel *channel)
{
	log_error("malformed question: closing",
	    log_text("peer", channel_peer(channel)));
	drop(channel);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct directory_check_message check;
	struct arena *arena;

	(void)arg;
	if (message->type != DIRECTORY_CHECK) {
		if (logins_message(directory.logins, channel, message) == -1)
			on_malformed(channel);
		return;
	}
	arena = arena_new(4096);
	if (directory_get_check(&message->body, arena, &check) == -1) {
		on_malformed(channel);
	} else {
		answer(channel, message->request, &check);
	}
	arena_free(arena);
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	drop(channel);
}

static const struct channel_rule rules[] = {
	{ .type = DIRECTORY_CHECK, .max = DIRECTORY_CHECK_BYTES },
	LOGIN_CHANNEL_RULES,
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
	.secret = true,
};

static void take_peer(const struct process_peer *peer, int fd)
{
	char name[32];

	if (peer->role != ROLE_SMTPD || peer->instance >= PEERS_MAX)
		bug("peer of the directory");
	if (directory.peers[peer->instance] != NULL)
		drop(directory.peers[peer->instance]);
	snprintf(name, sizeof(name), "smtpd %u", peer->instance);
	directory.peers[peer->instance] = channel_new(fd, name, &handler, NULL,
	    QUEUED_MAX);
	logins_connect(directory.logins, directory.peers[peer->instance]);
}

static void start(void)
{
}

static void stop(void)
{
	size_t i;

	logins_free(directory.logins);
	for (i = 0; i < PEERS_MAX; i++)
		if (directory.peers[i] != NULL)
			channel_free(directory.peers[i]);
	expander_free(directory.expander);
	if (directory.conf != NULL)
		conf_free(directory.conf);
	process_exit(0);
}

const struct role_entry directory_entry = {
	.role = ROLE_DIRECTORY,
	.configure = configure,
	.start = start,
	.peer = take_peer,
	.stop = stop,
};
