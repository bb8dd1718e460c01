/* SPDX-License-Identifier: ISC */
/*
 * One policy from a stranger's HTTPS server (RFC 8461 3.3), fetched by a
 * child process that is forked for it, has nothing but the pipe for its answer
 * and the log, and is killed when its time is over. Addresses come from the
 * caller: nothing is looked up, and only public ones are connected to. What
 * the child says is checked like the words of a stranger.
 */
#ifndef POSTERN_POLICY_FETCH_H
#define POSTERN_POLICY_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct fetch;
struct fetcher;

enum fetch_result {
	FETCH_BODY,		/* status 200, and all of it */
	FETCH_FAILED,		/* RFC 8460: sts-policy-fetch-error */
	FETCH_UNTRUSTED,	/* sts-webpki-invalid */
	FETCH_NO_TEXT,		/* sts-policy-invalid: not text/plain */
	FETCH_OURS,		/* no process, no memory, no CA certificates:
				 * nothing was learnt */
	FETCH_RESULTS
};

enum { FETCH_ADDRESSES_MAX = 4, FETCH_HEAD_MAX = 16 << 10 };

struct fetch_question {
	const char		*domain;	/* A-labels; without mta-sts. */
	const struct endpoint	*addresses;	/* with the port */
	size_t			 count;		/* the first four are tried */
	int64_t			 milliseconds;	/* in all */
	bool			 allow_loopback;
};

struct fetch_answer {
	enum fetch_result	 result;
	const char		*body;		/* FETCH_BODY */
	size_t			 length;	/* at most STS_BODY_MAX */
	char			 problem[160];	/* a sentence part */
};

/* answer is borrowed until it returns. */
typedef void fetch_done(void *arg, const struct fetch_answer *answer);

/* Before the chroot: OpenSSL reads its files. trust_pem may be null: no server
 * is trusted then, and none is asked. */
struct fetcher	*fetcher_new(const char *trust_pem);
/* No fetch is under way. */
void		 fetcher_free(struct fetcher *fetcher);

/* The question is copied; done comes from the loop, once. */
struct fetch	*fetch_start(struct fetcher *fetcher,
		    const struct fetch_question *question, fetch_done *done,
		    void *arg);
/* Ends the child at once. */
void		 fetch_cancel(struct fetch *fetch);

/* May a stranger make us connect there? Not to this machine, nor to private
 * networks. The ranges of documentation count as public. */
bool		 fetch_is_public(const struct endpoint *address,
		    bool allow_loopback);
/* "sts-policy-fetch-error" and so on; null for FETCH_BODY and FETCH_OURS. */
const char	*fetch_result_name(enum fetch_result result);
/* What the child's message says; anything but a message of its form gives
 * FETCH_OURS: it was killed, or had no memory. body is borrowed from the
 * message. For the parent, and for tests. */
void		 fetch_read_message(const void *message, size_t length,
		    struct fetch_answer *answer);

#endif
