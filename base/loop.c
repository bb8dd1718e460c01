/* SPDX-License-Identifier: ISC */
/*
 * The turn of the loop on top of libevent: one pass of event_base_loop() that
 * waits, then our own phases. Deferred calls sit in a ring; a call that is
 * undeferred leaves a hole. The wait does not block while any call is pending,
 * and the calls of one turn are bounded, so neither side starves the other.
 */
#include "base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* Deferred calls that one turn runs at most, of each kind. */
enum { CALLS_PER_TURN = 4096, FIRST_RING = 64 };

struct call {
	loop_callback	*callback;	/* null: forgotten */
	void		*arg;
};

struct ring {
	struct call	*calls;		/* owned; size is a power of two */
	size_t		 size;
	size_t		 first;
	size_t		 count;
};

struct hook {
	struct call		 call;
	STAILQ_ENTRY(hook)	 next;
};

struct signal_watch {
	struct event			*event;		/* owned */
	struct call			 call;
	SLIST_ENTRY(signal_watch)	 next;
};

static struct {
	struct event_base		*base;
	bool				 stopping;
	struct ring			 deferred;
	struct ring			 output;
	STAILQ_HEAD(, hook)		 hooks;
	SLIST_HEAD(, signal_watch)	 signals;
} loop;

/* --- deferred calls --- */

static void ring_grow(struct ring *ring)
{
	size_t size = ring->size > 0 ? ring->size * 2 : FIRST_RING;
	struct call *calls = mem_resize(NULL, size, sizeof(*calls));
	size_t i;

	for (i = 0; i < ring->count; i++)
		calls[i] = ring->calls[(ring->first + i) & (ring->size - 1)];
	mem_free(ring->calls);
	ring->calls = calls;
	ring->size = size;
	ring->first = 0;
}

static void ring_add(struct ring *ring, loop_callback *callback, void *arg)
{
	size_t place;

	if (ring->count == ring->size)
		ring_grow(ring);
	place = (ring->first + ring->count++) & (ring->size - 1);
	ring->calls[place].callback = callback;
	ring->calls[place].arg = arg;
}

static void ring_forget(struct ring *ring, const void *arg)
{
	struct call *call;
	size_t i;

	for (i = 0; i < ring->count; i++) {
		call = &ring->calls[(ring->first + i) & (ring->size - 1)];
		if (call->arg == arg)
			call->callback = NULL;
	}
}

/* Runs what is there and what is added meanwhile, up to the bound. */
static void ring_run(struct ring *ring)
{
	struct call call;
	size_t done;

	for (done = 0; ring->count > 0 && done < CALLS_PER_TURN; done++) {
		call = ring->calls[ring->first];
		ring->first = (ring->first + 1) & (ring->size - 1);
		ring->count--;
		if (call.callback != NULL)
			call.callback(call.arg);
	}
}

static void ring_release(struct ring *ring)
{
	mem_free(ring->calls);
	memset(ring, 0, sizeof(*ring));
}

void loop_defer(loop_callback *callback, void *arg)
{
	ring_add(&loop.deferred, callback, arg);
}

void loop_defer_output(loop_callback *callback, void *arg)
{
	ring_add(&loop.output, callback, arg);
}

void loop_undefer(void *arg)
{
	ring_forget(&loop.deferred, arg);
	ring_forget(&loop.output, arg);
}

void loop_at_turn_end(loop_callback *callback, void *arg)
{
	struct hook *hook = mem_alloc(sizeof(*hook));

	hook->call.callback = callback;
	hook->call.arg = arg;
	STAILQ_INSERT_TAIL(&loop.hooks, hook, next);
}

/* --- the loop --- */

static void on_library_message(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("libevent", log_text("text", text));
}

static void on_library_death(int error)
{
	fatal("libevent", log_number("code", error));
}

void loop_init(void)
{
	struct event_config *config;

	memset(&loop, 0, sizeof(loop));
	STAILQ_INIT(&loop.hooks);
	SLIST_INIT(&loop.signals);
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_library_message);
	event_set_fatal_callback(on_library_death);
	config = event_config_new();
	if (config != NULL) {
		/* Turns can be long: a timer counts from its start, not from
		 * the beginning of the turn. */
		event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
		loop.base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (loop.base == NULL)
		fatal("loop", log_text("error", "no event base"));
}

static void turn(void)
{
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
	struct hook *hook;

	if (loop.stopping || loop.deferred.count > 0 || loop.output.count > 0)
		flags |= EVLOOP_NONBLOCK;
	if (event_base_loop(loop.base, flags) < 0)
		fatal("loop", log_errno(errno));
	ring_run(&loop.deferred);
	STAILQ_FOREACH(hook, &loop.hooks, next)
		hook->call.callback(hook->call.arg);
	ring_run(&loop.output);
	log_flush();
}

void loop_run(void)
{
	do
		turn();
	while (!loop.stopping);
	loop.stopping = false;
}

void loop_stop(void)
{
	loop.stopping = true;
}

void loop_release(void)
{
	struct signal_watch *watch;
	struct hook *hook;

	while ((watch = SLIST_FIRST(&loop.signals)) != NULL) {
		SLIST_REMOVE_HEAD(&loop.signals, next);
		event_free(watch->event);
		mem_free(watch);
	}
	while ((hook = STAILQ_FIRST(&loop.hooks)) != NULL) {
		STAILQ_REMOVE_HEAD(&loop.hooks, next);
		mem_free(hook);
	}
	ring_release(&loop.deferred);
	ring_release(&loop.output);
	if (loop.base != NULL)
		event_base_free(loop.base);
	loop.base = NULL;
}

struct event_base *loop_base(void)
{
	return loop.base;
}

static struct event *make_event(int fd, short what, event_callback_fn callback,
    void *arg)
{
	struct event *event = event_new(loop.base, fd, what, callback, arg);

	if (event == NULL)
		fatal("loop", log_text("error", "no event"),
		    log_number("fd", fd));
	return event;
}

/* --- timers --- */

/* The clock that libevent looks at, in milliseconds. */
static int64_t coarse_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void arm(struct timer *timer, int64_t milliseconds)
{
	struct timeval wait = { 0 };

	if (milliseconds > 0) {
		wait.tv_sec = milliseconds / 1000;
		wait.tv_usec = milliseconds % 1000 * 1000;
	}
	timer->armed = timer->due;
	timer->is_running = true;
	if (event_add(timer->event, &wait) != 0)
		fatal("loop", log_text("error", "timer not added"));
}

/* Deadlines are put off far more often than they come: the event stays as it
 * is then, and finds out that it is early. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *timer = arg;
	int64_t left;

	(void)fd;
	(void)what;
	if (timer->due > timer->armed) {
		left = timer->due - coarse_now();
		if (left > 0) {
			arm(timer, left);
			return;
		}
	}
	timer->is_running = false;
	timer->callback(timer->arg);
}

void timer_start(struct timer *timer, int64_t milliseconds,
    loop_callback *callback, void *arg)
{
	if (milliseconds < 0)
		milliseconds = 0;
	timer->callback = callback;
	timer->arg = arg;
	timer->due = coarse_now() + milliseconds;
	if (timer->event == NULL)
		timer->event = make_event(-1, 0, on_timer, timer);
	else if (timer->due >= timer->armed && timer->is_running)
		return;
	arm(timer, milliseconds);
}

void timer_stop(struct timer *timer)
{
	if (timer->event != NULL)
		event_free(timer->event);
	timer->event = NULL;
	timer->is_running = false;
}

bool timer_is_running(const struct timer *timer)
{
	return timer->is_running;
}

/* --- descriptors --- */

static void on_descriptor(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;

	(void)fd;
	watch->callback(watch->arg,
	    what & EV_READ ? WATCH_READ : WATCH_WRITE);
}

/* Turns one direction on or off; the event is made when first wanted. */
static void watch_direction(struct watch *watch, struct event **event,
    short what, bool wanted)
{
	if (wanted) {
		if (*event == NULL)
			*event = make_event(watch->fd, what | EV_PERSIST,
			    on_descriptor, watch);
		if (event_add(*event, NULL) != 0)
			fatal("loop", log_text("error", "watch not added"),
			    log_number("fd", watch->fd));
	} else if (*event != NULL) {
		event_del(*event);
	}
}

void watch_init(struct watch *watch, int fd,
    void (*callback)(void *arg, int flags), void *arg)
{
	memset(watch, 0, sizeof(*watch));
	watch->fd = fd;
	watch->callback = callback;
	watch->arg = arg;
}

void watch_set(struct watch *watch, int flags)
{
	int changed = watch->flags ^ flags;

	if (changed & WATCH_READ)
		watch_direction(watch, &watch->read_event, EV_READ,
		    flags & WATCH_READ);
	if (changed & WATCH_WRITE)
		watch_direction(watch, &watch->write_event, EV_WRITE,
		    flags & WATCH_WRITE);
	watch->flags = flags;
}

void watch_release(struct watch *watch)
{
	if (watch->read_event != NULL)
		event_free(watch->read_event);
	if (watch->write_event != NULL)
		event_free(watch->write_event);
	watch->read_event = watch->write_event = NULL;
	watch->flags = 0;
}

/* --- signals --- */

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct signal_watch *watch = arg;

	(void)number;
	(void)what;
	watch->call.callback(watch->call.arg);
}

void loop_on_signal(int signal_number, loop_callback *callback, void *arg)
{
	struct signal_watch *watch = mem_alloc(sizeof(*watch));

	watch->call.callback = callback;
	watch->call.arg = arg;
	watch->event = make_event(signal_number, EV_SIGNAL | EV_PERSIST,
	    on_signal, watch);
	if (event_add(watch->event, NULL) != 0)
		fatal("loop", log_text("error", "signal not added"),
		    log_number("signal", signal_number));
	SLIST_INSERT_HEAD(&loop.signals, watch, next);
}

/* --- waking from other threads --- */

static void on_notify(void *arg, int flags)
{
	struct loop_notify *notify = arg;
	uint64_t sends;

	(void)flags;
	/* Reading before the callback: a send during it comes again. */
	if (read(notify->fd, &sends, sizeof(sends)) == (ssize_t)sizeof(sends))
		notify->callback(notify->arg);
}

void loop_notify_init(struct loop_notify *notify, loop_callback *callback,
    void *arg)
{
	notify->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (notify->fd < 0)
		fatal("eventfd", log_errno(errno));
	notify->callback = callback;
	notify->arg = arg;
	watch_init(&notify->watch, notify->fd, on_notify, notify);
	watch_set(&notify->watch, WATCH_READ);
}

void loop_notify_send(struct loop_notify *notify)
{
	uint64_t one = 1;
	ssize_t written;

	do
		written = write(notify->fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
	/* EAGAIN: the counter is full, so the loop is going to wake. */
	if (written < 0 && errno != EAGAIN)
		fatal("eventfd", log_errno(errno));
}

void loop_notify_release(struct loop_notify *notify)
{
	watch_release(&notify->watch);
	close(notify->fd);
	notify->fd = -1;
}
