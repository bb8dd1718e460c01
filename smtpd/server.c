/* SPDX-License-Identifier: ISC */
/*
 * The shared state of the sessions: settings by reference, the list, stopping.
 */
#include "smtpd/server.h"

#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "conf/conf.h"
#include "smtpd/client.h"
#include "smtpd/rates.h"
#include "smtpd/session.h"
#include "smtpd/rules.h"

void server_init(struct server *server, struct queue_client *queue,
    struct policy_client *policy, struct directory_client *directory)
{
	uint8_t random[4];

	memset(server, 0, sizeof(*server));
	TAILQ_INIT(&server->sessions);
	server->queue = queue;
	server->directory = directory;
	server->policy = policy;
	server->clients = client_table_new(policy);
	server->rates = rates_new();
	/* Ids of several processes, and of one after a restart, should not
	 * meet in the log soon. */
	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		server->next_session = server->next_session << 8 | random[i];
	server->next_session <<= 12;
}

void server_release(struct server *server)
{
	struct session *session;

	server->idle = NULL;
	while ((session = TAILQ_FIRST(&server->sessions)) != NULL)
		session_drop(session, "stop");
	rates_free(server->rates);
	client_table_free(server->clients);
	rules_release(server->rules);
	memset(server, 0, sizeof(*server));
}

void server_set_rules(struct server *server, struct rules *rules)
{
	struct session *session;

	rules_release(server->rules);
	server->rules = rules;
	/* A right that was taken away ends now. */
	TAILQ_FOREACH(session, &server->sessions, link)
		session_judge_certificate(session);
}

/* The C library reads a file for it; we are as many as there were. */
static int64_t count_processors(void)
{
	static int64_t count;

	if (count == 0)
		count = sysconf(_SC_NPROCESSORS_ONLN);
	return count;
}

unsigned server_session_limit(const struct server *server)
{
	const struct conf *conf = server->rules->conf;
	int64_t workers = conf->smtpd_workers;

	if (workers == 0)	/* one per processor */
		workers = count_processors();
	if (workers < 1)
		workers = 1;

	return (unsigned)((conf->max_sessions + workers - 1) / workers);
}

bool server_is_crowded(const struct server *server)
{
	return server->session_count > server_session_limit(server) / 2;
}

void server_stop(struct server *server, loop_callback *idle)
{
	struct session *session, *next;

	server->stopping = true;
	server->idle = idle;
	for (session = TAILQ_FIRST(&server->sessions); session != NULL;
	    session = next) {
		next = TAILQ_NEXT(session, link);
		session_stop(session);
	}
	if (server->session_count == 0)
		loop_defer(idle, server);
}

void server_stop_now(struct server *server)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&server->sessions)) != NULL)
		session_end(session, &refusal_stopping, "stop");
}

void server_session_gone(struct server *server)
{
	if (server->session_count == 0 && server->stopping &&
	    server->idle != NULL)
		loop_defer(server->idle, server);
}
