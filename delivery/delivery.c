/* SPDX-License-Identifier: ISC */
/*
 * The delivery role: its life, and the list of what is in flight.
 */
#include "delivery/delivery.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/tls.h"
#include "conf/conf.h"
#include "delivery/attempt.h"
#include "delivery/client.h"
#include "delivery/control.h"
#include "delivery/plans.h"
#include "delivery/pool.h"
#include "delivery/profile.h"
#include "policy/client.h"
#include "queue/client.h"

/* How long connections may take to say goodbye when we stop. */
enum { LEAVE_MILLISECONDS = 1000, LEAVE_STEP_MILLISECONDS = 20 };

struct flight {
	LIST_ENTRY(flight)	 link;
	struct attempt		*attempt;	/* ends through on_over() */
};

static struct attempt_scene scene;
static struct worker *worker;
static LIST_HEAD(, flight) flights = LIST_HEAD_INITIALIZER(flights);
static bool stopping;
static bool settled;
static struct timer leave_timer;
static int leave_waited;

/* --- the end of the role --- */

static void wait_for_goodbyes(void *arg)
{
	if (client_leaving() == 0 || leave_waited >= LEAVE_MILLISECONDS) {
		timer_stop(&leave_timer);
		process_exit(0);
		return;
	}
	leave_waited += LEAVE_STEP_MILLISECONDS;
	timer_start(&leave_timer, LEAVE_STEP_MILLISECONDS, wait_for_goodbyes,
	    arg);
}

/* The queue has all results. */
static void on_settled(void *arg)
{
	if (settled)
		return;
	settled = true;
	wait_for_goodbyes(arg);
}

static void stop_if_done(void)
{
	if (!stopping || !LIST_EMPTY(&flights))
		return;
	pool_flush(scene.pool);
	worker_when_settled(worker, on_settled, NULL);
}

/* --- jobs --- */

static void on_over(void *arg, struct attempt *attempt)
{
	struct flight *flight;

	(void)arg;
	LIST_FOREACH(flight, &flights, link)
		if (flight->attempt == attempt)
			break;
	if (flight == NULL)
		bug("delivery-flight");
	LIST_REMOVE(flight, link);
	mem_free(flight);
	stop_if_done();
}

static void on_job(void *arg, struct job *job)
{
	struct attempt *attempt;
	struct flight *flight;

	(void)arg;
	/* It stays the queue's: our end gives it back untouched. */
	if (stopping)
		return;
	attempt = attempt_start(&scene, job);
	if (attempt == NULL)
		return;
	flight = mem_alloc(sizeof(*flight));
	flight->attempt = attempt;
	LIST_INSERT_HEAD(&flights, flight, link);
}

/* --- the policy changed --- */

static void on_change(void *arg, const char *pattern)
{
	struct flight *flight, *next;

	(void)arg;
	plans_forget(scene.plans, pattern);
	/* Otherwise an idle connection serves who gets a plan with its key. */
	if (pattern[0] == '\0')
		pool_flush(scene.pool);
	/* An attempt may end in it. */
	for (flight = LIST_FIRST(&flights); flight != NULL; flight = next) {
		next = LIST_NEXT(flight, link);
		attempt_replan(flight->attempt, pattern);
	}
}

/* --- the entry --- */

static int on_configure(const void *bundle, size_t length, char *error,
    size_t size)
{
	static bool began;
	struct profile *profile;

	if (!began)
		tls_init();
	began = true;
	profile = profile_new(bundle, length, error, size);
	if (profile == NULL)
		return -1;
	profile_release(scene.profile);
	scene.profile = profile;
	/* What was opened under the old configuration serves no new mail. */
	if (scene.pool != NULL) {
		plans_forget(scene.plans, "");
		pool_flush(scene.pool);
	}
	return 0;
}

static void on_start(void)
{
	scene.policy = policy_client_new();
	policy_client_on_change(scene.policy, on_change, NULL);
	scene.plans = plans_new(scene.policy);
	scene.pool = pool_new();
	scene.over = on_over;
	worker = worker_new(on_job, NULL);
}

/* A third of the connections that there is room for: others are idle (pool.c),
 * and as many may be leaving. */
static unsigned slots(void)
{
	unsigned configured = (unsigned)scene.profile->conf->delivery_slots;
	unsigned room = net_room() / 3;

	return configured < room ? configured : room;
}

static void on_peer(const struct process_peer *peer, int fd)
{
	switch (peer->role) {
	case ROLE_QUEUE:
		worker_connect(worker, fd, stopping ? 0 : slots());
		break;
	case ROLE_POLICY:
		policy_client_connect(scene.policy, fd);
		break;
	default:
		log_error("unexpected-peer",
		    log_text("role", role_name(peer->role)));
		close(fd);
	}
}

static void on_control(int fd, const struct process_caller *caller)
{
	delivery_control(&scene, fd, caller);
}

static void on_stop(void)
{
	struct flight *flight, *next;

	if (stopping)
		return;
	stopping = true;
	delivery_control_stop();
	for (flight = LIST_FIRST(&flights); flight != NULL; flight = next) {
		next = LIST_NEXT(flight, link);
		if (attempt_stop(flight->attempt))
			continue;
		LIST_REMOVE(flight, link);
		mem_free(flight);
	}
	stop_if_done();
}

const struct role_entry delivery_entry = {
	.role = ROLE_DELIVERY,
	.configure = on_configure,
	.start = on_start,
	.peer = on_peer,
	.control = on_control,
	.stop = on_stop,
};
