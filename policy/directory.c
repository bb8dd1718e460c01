/* SPDX-License-Identifier: ISC */
/*
 * The directory role: answers smtpd's questions from the table in users.c.
 */
#include "policy/directory.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/directory_message.h"
#include "policy/users.h"

enum { PEERS_MAX = 64, QUEUED_MAX = 4 << 20 };

static struct {
	struct conf	*conf;			/* owned */
	struct users	*users;			/* owned */
	struct channel	*peers[PEERS_MAX];	/* owned, by smtpd instance */
} directory;

static int configure(const void *data, size_t length, char *error, size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct users *users = NULL;
	struct conf *conf = NULL;
	char *errors = NULL;

	if (bundle == NULL) {
		snprintf(error, size, "the configuration cannot be decoded");
		return -1;
	}
	conf = conf_read(bundle->name, bundle->text, &errors);
	if (conf == NULL)
		snprintf(error, size, "%s", errors);
	else
		users = users_new(conf, bundle, error, size);
	mem_free(errors);
	bundle_free(bundle);
	if (users == NULL) {
		if (conf != NULL)
			conf_free(conf);
		return -1;
	}
	if (directory.conf != NULL)
		conf_free(directory.conf);
	users_free(directory.users);
	directory.conf = conf;
	directory.users = users;
	return 0;
}

static void answer(struct channel *channel, uint32_t request,
    const char *address)
{
	char mailbox[DIRECTORY_TEXT_MAX + 1] = "";
	struct wire_writer *writer;
	enum directory_answer found;

	found = users_find(directory.users, address, mailbox, sizeof(mailbox));
	writer = channel_begin(channel, DIRECTORY_ANSWER, request);
	wire_put_u8(writer, (uint8_t)found);
	wire_put_text(writer, found == DIRECTORY_FOUND ? mailbox : "");
	channel_end(channel);
}

static void drop(struct channel *channel)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (directory.peers[i] == channel)
			directory.peers[i] = NULL;
	channel_free(channel);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	struct arena *arena = arena_new(4096);
	const char *address;

	(void)arg;
	address = wire_get_text(&message->body, arena, DIRECTORY_TEXT_MAX);
	if (wire_read_end(&message->body) == -1) {
		log_error("malformed question: closing",
		    log_text("peer", channel_peer(channel)));
		drop(channel);
	} else {
		answer(channel, message->request, address);
	}
	arena_free(arena);
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	drop(channel);
}

static const struct channel_rule rules[] = {
	{ .type = DIRECTORY_CHECK, .max = DIRECTORY_TEXT_MAX + 8 },
};

static const struct channel_handler handler = {
	.rules = rules,
	.rule_count = sizeof(rules) / sizeof(rules[0]),
	.message = on_message,
	.closed = on_closed,
};

static void take_peer(const struct process_peer *peer, int fd)
{
	char name[32];

	if (peer->role != ROLE_SMTPD || peer->instance >= PEERS_MAX)
		bug("peer of the directory");
	if (directory.peers[peer->instance] != NULL)
		channel_free(directory.peers[peer->instance]);
	snprintf(name, sizeof(name), "smtpd %u", peer->instance);
	directory.peers[peer->instance] = channel_new(fd, name, &handler, NULL,
	    QUEUED_MAX);
}

static void start(void)
{
}

static void stop(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (directory.peers[i] != NULL)
			channel_free(directory.peers[i]);
	users_free(directory.users);
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
