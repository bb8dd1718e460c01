/* SPDX-License-Identifier: ISC */
/*
 * The role: its life, its peers, the operator's door, and the end of each
 * turn, in which the schedule is filled, jobs are handed out, and everything
 * that was written goes to the flusher as one batch.
 */
#include "queue/queue.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authentic/dkim_key.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "queue/census.h"
#include "queue/commit.h"
#include "queue/copy.h"
#include "queue/dispatch.h"
#include "queue/dsn_sign.h"
#include "queue/flow.h"
#include "queue/history.h"
#include "queue/imported.h"
#include "queue/intake.h"
#include "queue/message.h"
#include "queue/orders.h"
#include "queue/readers.h"
#include "queue/repair.h"
#include "queue/rows.h"
#include "queue/schedule.h"
#include "queue/space.h"
#include "queue/store.h"
#include "queue/upgrade.h"
#include "queue/verbs.h"
#include "queue/warn.h"

enum {
	/* Identifiers are reserved in the store so many at a time. */
	RESERVE_IDS = 1 << 20,
	STOP_POLL_MILLISECONDS = 50,
	/* Before the supervisor loses patience. */
	STOP_MARGIN_MILLISECONDS = 2000
};

/* A process has one queue: it has one store. */
static struct {
	struct queue	*queue;		/* owned; null until started */
	struct conf	*conf;		/* owned; of a role not started yet */
	bool		 hooked;	/* into the end of the turn */
} role;

struct queue *verbs_queue(void)
{
	return role.queue;
}

static const struct control_verb verbs[] = {
	{ "list", false, verb_list },
	{ "show", false, verb_show },
	{ "stats", false, verb_stats },
	{ "top", false, verb_top },
	{ "cat", true, verb_cat },
	{ "hold", true, verb_hold },
	{ "release", true, verb_release },
	{ "retry", true, verb_retry },
	{ "flush", true, verb_flush },
	{ "delete", true, verb_delete },
	{ "bounce", true, verb_bounce },
	{ "set-tls", true, verb_set_tls },
	{ "redirect", true, verb_redirect },
	{ "hold-rule-add", true, verb_rule_add },
	{ "hold-rule-list", false, verb_rule_list },
	{ "hold-rule-remove", true, verb_rule_remove },
	{ "pause", true, verb_pause },
	{ "resume", true, verb_resume },
	{ "history", false, verb_history },
	{ "export", true, verb_export },
	{ "import", true, verb_import },
	{ "backup", true, verb_backup },
	{ "verify", true, verb_verify },
};

uint64_t queue_take_ids(struct queue *queue, uint32_t count)
{
	uint64_t first, now = (uint64_t)(clock_wall() / 1000) << 20;

	/* They tell the time of day, too: schedule, history and warnings go by
	 * that, and need it to be no later than the mail's arrival. */
	if (queue->next_id < now)
		queue->next_id = now;
	first = (queue->next_id + count - 1) / count * count;
	queue->next_id = first + count;
	if (queue->next_id > queue->last_id) {
		queue->last_id = queue->next_id + RESERVE_IDS;
		rows_put_identifier(queue->store, queue->last_id);
	}
	return first;
}

uint64_t queue_take_id(struct queue *queue)
{
	return queue_take_ids(queue, 1);
}

static void turn_end(void *arg)
{
	struct queue *queue = role.queue;

	(void)arg;
	if (queue == NULL)
		return;
	if (!queue->stopping)
		schedule_run(queue->schedule);
	dispatch_run(queue->dispatch);
	commit_turn(queue->commit);
}

/* Identifiers grow with time and never come twice. */
static void start_identifiers(struct queue *queue)
{
	uint64_t now = (uint64_t)(clock_wall() / 1000) << 20;

	queue->last_id = rows_find_identifier(queue->store);
	queue->next_id = now > queue->last_id ? now : queue->last_id + 1;
	queue->last_id = 0;
}

struct queue *queue_open(struct conf *conf, const char *directory)
{
	struct queue *queue;
	struct store *store;

	if (role.queue != NULL)
		bug("queue-twice");
	store = store_open(&(struct store_options){ .directory = directory,
	    .cache_bytes = (uint64_t)conf->queue_cache });
	if (store == NULL)
		return NULL;
	copy_sweep(store_directory(store));
	upgrade_run(store);
	repair_run(store);
	queue = mem_alloc(sizeof(*queue));
	queue->conf = conf;
	queue->store = store;
	start_identifiers(queue);
	queue->orders = orders_new(queue);
	queue->commit = commit_new(queue);
	queue->schedule = schedule_new(queue);
	queue->intake = intake_new(queue);
	queue->dispatch = dispatch_new(queue);
	queue->space = space_new(queue);
	queue->census = census_new(queue);
	queue->flow = flow_new();
	queue->history = history_new(queue);
	queue->warnings = warnings_new(queue);
	queue->imported = imported_new(queue);
	if (!role.hooked)
		loop_at_turn_end(turn_end, NULL);
	role.hooked = true;
	role.queue = queue;
	return queue;
}

void queue_close(struct queue *queue)
{
	/* Commands under way: what they have begun is ended. */
	control_end_all(CONTROL_UNAVAILABLE, "the queue is stopping");
	verb_import_end_all();
	role.queue = NULL;
	timer_stop(&queue->stop_timer);
	/* Peers first: what they leave behind is written below. */
	intake_free(queue->intake);
	dispatch_free(queue->dispatch);
	commit_turn(queue->commit);
	commit_free(queue->commit);
	orders_free(queue->orders);
	schedule_free(queue->schedule);
	space_free(queue->space);
	census_free(queue->census);
	flow_free(queue->flow);
	history_free(queue->history);
	warnings_free(queue->warnings);
	imported_free(queue->imported);
	store_close(queue->store);
	verb_backup_end_all();
	conf_free(queue->conf);
	mem_free(queue);
}

void queue_reload(struct queue *queue, struct conf *conf)
{
	struct conf *former = queue->conf;

	queue->conf = conf;
	schedule_reload(queue->schedule);
	warnings_reload(queue->warnings);
	conf_free(former);
}

void queue_connect(struct queue *queue, enum role peer, unsigned instance,
    int fd)
{
	switch (peer) {
	case ROLE_SMTPD:
		intake_connect(queue->intake, instance, fd);
		return;
	case ROLE_DELIVERY:
		dispatch_connect(queue->dispatch, DESTINATION_DELIVERY, fd);
		return;
	case ROLE_MAILBOX:
		dispatch_connect(queue->dispatch, DESTINATION_MAILBOX, fd);
		return;
	default:
		log_error("unexpected-peer", log_text("role",
		    role_name(peer)));
		close(fd);
	}
}

void queue_control(struct queue *queue, int fd,
    const struct process_caller *caller)
{
	(void)queue;
	control_accept(fd, caller, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

static bool is_idle(const struct queue *queue)
{
	return dispatch_open(queue->dispatch) == 0 &&
	    dispatch_unsettled(queue->dispatch) == 0 &&
	    intake_open(queue->intake) == 0 &&
	    !commit_is_busy(queue->commit);
}

static void stop_poll(void *arg)
{
	struct queue *queue = arg;

	if (is_idle(queue) || clock_monotonic() >= queue->stop_deadline) {
		log_info("stopped", log_number("jobs",
		    (int64_t)dispatch_open(queue->dispatch)),
		    log_number("receptions",
		    (int64_t)intake_open(queue->intake)));
		queue->stopped(queue->stopped_arg);
		return;
	}
	timer_start(&queue->stop_timer, STOP_POLL_MILLISECONDS, stop_poll,
	    queue);
}

void queue_stop(struct queue *queue, int64_t milliseconds,
    void (*done)(void *arg), void *arg)
{
	queue->stopping = true;
	queue->stop_deadline = clock_monotonic() + milliseconds;
	queue->stopped = done;
	queue->stopped_arg = arg;
	timer_start(&queue->stop_timer, 0, stop_poll, queue);
}

/* --- the role --- */

/* Keys and aliases come into force together. -1: what was stays. */
static int use_files(const struct bundle *bundle, const struct conf *conf,
    char *error, size_t size)
{
	struct dkim_keys *keys = dsn_sign_read(bundle, conf, error, size);

	if (keys == NULL)
		return -1;
	if (readers_configure(bundle, error, size) == -1) {
		dkim_keys_free(keys);
		return -1;
	}
	dsn_sign_use(keys);
	return 0;
}

static struct conf *read_bundle(const void *data, size_t length, char *error,
    size_t size)
{
	struct bundle *bundle = bundle_decode(data, length);
	struct conf *conf = NULL;
	char *errors = NULL;

	if (bundle == NULL) {
		snprintf(error, size, "queue: no configuration came");
		return NULL;
	}
	conf = conf_read(bundle->name, bundle->text, &errors);
	if (conf == NULL)
		snprintf(error, size, "%s", errors == NULL ? "" : errors);
	else if (bundle_attach_tables(bundle, process_take_table, error,
	    size) == -1 || use_files(bundle, conf, error, size) == -1) {
		conf_free(conf);
		conf = NULL;
	}
	mem_free(errors);
	bundle_free(bundle);
	return conf;
}

static int configure(const void *bundle, size_t length, char *error,
    size_t size)
{
	struct conf *conf = read_bundle(bundle, length, error, size);

	if (conf == NULL)
		return -1;
	if (role.queue != NULL) {
		queue_reload(role.queue, conf);
		return 0;
	}
	conf_free(role.conf);
	role.conf = conf;
	return 0;
}

static void start(void)
{
	const char *directory = process_directory(role.conf->queue_directory);

	if (queue_open(role.conf, directory) == NULL)
		fatal("queue-store", log_text("directory", directory));
	role.conf = NULL;
}

static void peer(const struct process_peer *who, int fd)
{
	queue_connect(role.queue, who->role, who->instance, fd);
}

static void control(int fd, const struct process_caller *caller)
{
	queue_control(role.queue, fd, caller);
}

static void on_stopped(void *arg)
{
	(void)arg;
	queue_close(role.queue);
	dsn_sign_use(NULL);
	process_exit(0);
}

static void stop(void)
{
	int64_t milliseconds = role.queue->conf->stop_seconds * 1000 -
	    STOP_MARGIN_MILLISECONDS;

	queue_stop(role.queue, milliseconds < 500 ? 500 : milliseconds,
	    on_stopped, NULL);
}

const struct role_entry queue_entry = {
	.role = ROLE_QUEUE,
	.configure = configure,
	.start = start,
	.peer = peer,
	.control = control,
	.stop = stop,
};
