/* SPDX-License-Identifier: ISC */
/*
 * Hosts that mail could not be given to, each by its name and address, and the
 * destinations whose last failure was there. A host rests like a destination;
 * while it does, a destination that is done with its own rest waits for it, so
 * that a thousand domains behind one dead host cost one probe a time, not a
 * thousand, and go on together when one of them got through. A destination may
 * have other hosts, too: it waits three times retry-max at most since its own
 * last failure. Only who cannot be reached is remembered here: TLS and logins
 * fail for one domain and not for another.
 */
#ifndef POSTERN_QUEUE_HOST_H
#define POSTERN_QUEUE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct conf;
struct destination;
struct hosts;
struct status;

struct host {
	char		*name;		/* owned; "mx.example.net[192.0.2.7]" */
	unsigned	 failures;	/* in a row */
	int64_t		 until;		/* wall, ms: its rest; 0: none */
	int64_t		 probed_until;	/* somebody tries it now */
	LIST_HEAD(, destination) destinations;	/* borrowed; never empty */
};

struct hosts	*hosts_new(void);
/* No destination knows a host any more. */
void	 hosts_free(struct hosts *hosts);
size_t	 hosts_count(const struct hosts *hosts);
/* Null if it did not fail, or nobody remembers. */
struct host	*hosts_find(const struct hosts *hosts, const char *name);
/* The destination failed. If that was since a host cannot be reached, it is one
 * failure more in a row for that one; what was under way when its rest began
 * tells nothing new. */
void	 host_failed(struct hosts *hosts, struct destination *destination,
	    const struct status *status, const struct conf *conf, int64_t now);
/* The destination knows no host any more. */
void	 host_forget(struct hosts *hosts, struct destination *destination);
/* When a destination may be tried whose own rest is over: now (then others wait
 * for what comes of it), or later. */
int64_t	 host_wait(struct destination *destination, const struct conf *conf,
	    int64_t now);
/* Whether the host of its last failure rests. */
bool	 host_is_resting(const struct destination *destination, int64_t now);

#endif
