/* SPDX-License-Identifier: ISC */
/*
 * The role: takes configurations, channels and listening sockets from the
 * supervisor and gives them to those who use them.
 */
#include "smtpd/smtpd.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/tls.h"
#include "base/tls_tickets.h"
#include "conf/conf.h"
#include "policy/client.h"
#include "policy/directory_client.h"
#include "queue/client.h"
#include "smtpd/client.h"
#include "smtpd/control.h"
#include "smtpd/counters.h"
#include "smtpd/listener.h"
#include "smtpd/rates.h"
#include "smtpd/rules.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

enum {
	/* How often the secrets of tickets are looked at. */
	ROTATE_MS = 10 * 60 * 1000,
	/* What is left of stop-seconds for the last words to leave. */
	STOP_RESERVE_MS = 1000,
	/* After the last session: its stream may still be writing. */
	EXIT_MS = 100
};

static struct {
	struct server			 server;
	struct listeners		 listeners;
	struct rules			*first;	/* until start() */
	struct queue_client		*queue;
	struct policy_client		*policy;
	struct directory_client		*directory;
	struct tls_tickets		*tickets;	/* of all listeners */
	struct counters			*counters;	/* the table's; or null */
	struct timer			 rotate;
	struct timer			 stop;
	bool				 started;
} role;

static int configure(const void *bundle, size_t length, char *error,
    size_t size)
{
	struct rules *rules;

	if (role.tickets == NULL)
		role.tickets = tls_tickets_new();
	rules = rules_from_bundle(bundle, length, role.tickets, error, size);
	if (rules == NULL)
		return -1;
	if (role.started) {
		server_set_rules(&role.server, rules);
		return 0;
	}
	rules_release(role.first);
	role.first = rules;
	return 0;
}

static void prepare(void)
{
	tls_init();
}

static void start(void)
{
	role.queue = queue_client_new();
	role.policy = policy_client_new();
	role.directory = directory_client_new();
	server_init(&role.server, role.queue, role.policy, role.directory);
	server_set_rules(&role.server, role.first);
	role.first = NULL;
	role.started = true;
	listeners_init(&role.listeners, &role.server);
}

static void peer(const struct process_peer *from, int fd)
{
	switch (from->role) {
	case ROLE_QUEUE:
		queue_client_connect(role.queue, fd);
		break;
	case ROLE_POLICY:
		policy_client_connect(role.policy, fd);
		break;
	case ROLE_DIRECTORY:
		directory_client_connect(role.directory, fd);
		break;
	default:
		log_error("unexpected-peer",
		    log_text("peer", role_name(from->role)));
		close(fd);
		break;
	}
}

/* The time goes on for the secrets of tickets also while nobody comes. */
static void rotate(void *arg)
{
	(void)arg;
	counters_write_secret(role.counters, tls_tickets_now(role.tickets));
	timer_start(&role.rotate, ROTATE_MS, rotate, NULL);
}

/* The memory that all smtpd processes share. */
static void share(int fd)
{
	struct tls_ticket_secret secret;

	if (role.counters != NULL) {
		close(fd);
		return;
	}
	role.counters = counters_new(fd, process_instance());
	if (role.counters == NULL)
		return;
	if (!client_table_share(role.server.clients, role.counters)) {
		role.counters = NULL;
		return;
	}
	rates_join(role.server.rates, role.counters);
	if (counters_read_secret(role.counters, &secret))
		tls_tickets_join(role.tickets, &secret);
	mem_wipe(&secret, sizeof(secret));
	rotate(NULL);
}

static void listener(const char *name, int fd)
{
	if (strcmp(name, COUNTERS_NAME) == 0)
		share(fd);
	else
		listeners_set(&role.listeners, name, fd);
}

static void control(int fd, const struct process_caller *caller)
{
	smtpd_control(&role.server, fd, caller);
}

static void leave(void *arg)
{
	(void)arg;
	process_exit(0);
}

static void on_idle(void *arg)
{
	(void)arg;
	timer_start(&role.stop, EXIT_MS, leave, NULL);
}

static void on_stop_time(void *arg)
{
	log_warn("stop-time", log_number("sessions",
	    (int64_t)role.server.session_count));
	(void)arg;
	server_stop_now(&role.server);
}

/* Half of the time, and all but a second of a longer one, is for the
 * transactions under way. */
static void stop(void)
{
	int64_t total, patience;

	if (!role.started) {
		process_exit(0);
		return;
	}
	total = role.server.rules->conf->stop_seconds * 1000;
	patience = total > 2 * STOP_RESERVE_MS ? total - STOP_RESERVE_MS :
	    total / 2;
	listeners_end(&role.listeners);
	timer_start(&role.stop, patience, on_stop_time, NULL);
	server_stop(&role.server, on_idle);
}

const struct role_entry smtpd_entry = {
	.role = ROLE_SMTPD,
	.configure = configure,
	.prepare = prepare,
	.start = start,
	.peer = peer,
	.listener = listener,
	.control = control,
	.stop = stop,
};
