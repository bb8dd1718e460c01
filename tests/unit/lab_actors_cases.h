/* SPDX-License-Identifier: ISC */
/*
 * Tables of mail hosts: what a section of a scenario says, what a client then
 * meets, and what the host tells of it.
 */
#ifndef POSTERN_TESTS_UNIT_LAB_ACTORS_CASES_H
#define POSTERN_TESTS_UNIT_LAB_ACTORS_CASES_H

#include <stddef.h>

#include "base/arena.h"
#include "tools/lab/scenario.h"

/* The rest of a good session: what is met, and what is told, under TLS or
 * not. */
#define GOOD_REST "250 250 354 250 221 eof"
#define SEEN_MAIL "MAIL+ RCPT+ DATA+ message+(m1) QUIT+ end"
#define SEEN_CLEAR "MAIL RCPT DATA message(m1) QUIT end"
#define SEEN_START "connect EHLO STARTTLS starttls tls EHLO+ "
#define SEEN_BROKEN "connect EHLO STARTTLS starttls no-tls end"

enum { SMTP_PORT = 25, CASE_CERTIFICATES = 2 };

/* INSISTS: STARTTLS in any case; CARELESS: goes on in clear behind TLS. */
enum case_client { PLAIN, INSISTS, CARELESS };

/* One row is one host, at 127.0.1.<row + 1>. */
struct host_case {
	const char	*name;
	enum lab_tls	 tls;
	const char	*path;
	const char	*behaviour[3];
	const char	*talk;		/* what the client meets */
	const char	*story;		/* what the actor saw; null: nothing */
	enum case_client client;
};

/* "one", self-signed, and "two", of the lab's authority. */
extern struct lab_certificate	 case_certificates[CASE_CERTIFICATES];

/* A host at 127.0.1.N with everything that a section gives by itself. */
struct lab_host	 case_host(struct arena *arena, const char *name,
		    int number);
/* A list of options, ended by null. */
struct lab_texts case_texts(struct arena *arena, const char *const *texts);
/* All rows; how many were not as they say, each told. */
int		 cases_run(const struct host_case *cases, size_t count);

#endif
