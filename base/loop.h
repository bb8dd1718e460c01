/* SPDX-License-Identifier: ISC */
/*
 * The event loop of a process: one thread, one loop. The only file that knows
 * libevent. Everything is a member of its owner's struct and is stopped by the
 * owner before it is freed; stopping something that is not started is allowed.
 *
 * A turn is: wait, run the callbacks of what is ready, run what was deferred,
 * run the turn-end hooks, send the output, write the log. Turn-end hooks are
 * where batches are made (the queue commits there); output is where what was
 * gathered in the turn leaves in one write.
 */
#ifndef POSTERN_BASE_LOOP_H
#define POSTERN_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct event_base;

typedef void loop_callback(void *arg);

/* loop_init in the process that will run it (after fork or exec). From then
 * on SIGPIPE is ignored. */
void	 loop_init(void);
/* Returns after loop_stop(), at the end of that turn. */
void	 loop_run(void);
void	 loop_stop(void);
/* Everything that was started has been stopped before. */
void	 loop_release(void);
/* For libunbound's event mode only (policy/resolver.c). */
struct event_base	*loop_base(void);

/*
 * Timers: one shot, total deadlines. Milliseconds from now; 0 = next turn. They
 * run on the kernel's coarse clock and may come up to 4 ms early. A timer that
 * was started, even if it has fired, is stopped before its struct goes away.
 */
struct timer {
	struct event	*event;		/* owned; made at the first start */
	loop_callback	*callback;
	void		*arg;
	int64_t		 due;		/* coarse clock, ms */
	int64_t		 armed;		/* the event; <= due */
	bool		 is_running;
};
/* A timer that runs is set anew; later than before costs next to nothing. */
void	 timer_start(struct timer *timer, int64_t milliseconds,
	    loop_callback *callback, void *arg);
void	 timer_stop(struct timer *timer);
bool	 timer_is_running(const struct timer *timer);

/* Descriptors. Level-triggered; the watch does not own the descriptor, which
 * is closed after watch_release() and not before. */
enum watch_flag { WATCH_READ = 1 << 0, WATCH_WRITE = 1 << 1 };
struct watch {
	struct event	*read_event;	/* owned */
	struct event	*write_event;	/* owned */
	void		(*callback)(void *arg, int flags);
	void		*arg;
	int		 fd;
	int		 flags;		/* what is being watched */
};
void	 watch_init(struct watch *watch, int fd,
	    void (*callback)(void *arg, int flags), void *arg);
/* Watches for exactly these flags from now on; 0 pauses. */
void	 watch_set(struct watch *watch, int flags);
void	 watch_release(struct watch *watch);

/* Signals, delivered as ordinary callbacks. */
void	 loop_on_signal(int signal_number, loop_callback *callback, void *arg);

/* Runs callback after the current event, once; FIFO. For freeing oneself. */
void	 loop_defer(loop_callback *callback, void *arg);
/* Runs callback once at the end of this turn, behind the turn-end hooks: for
 * writing what the turn has gathered. */
void	 loop_defer_output(loop_callback *callback, void *arg);
/* Forgets both kinds of deferred calls with this arg (its owner goes away). */
void	 loop_undefer(void *arg);
/* Runs callback at the end of every turn, in order of registration. */
void	 loop_at_turn_end(loop_callback *callback, void *arg);

/*
 * Wakes the loop from another thread: loop_notify_send() may be called from
 * any thread; callback runs on the loop's thread, at least once after the
 * last send.
 */
struct loop_notify {
	struct watch	 watch;
	int		 fd;		/* eventfd, owned */
	loop_callback	*callback;
	void		*arg;
};
void	 loop_notify_init(struct loop_notify *notify, loop_callback *callback,
	    void *arg);
void	 loop_notify_send(struct loop_notify *notify);
void	 loop_notify_release(struct loop_notify *notify);

#endif
