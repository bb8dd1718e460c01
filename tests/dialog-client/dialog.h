/* SPDX-License-Identifier: ISC */
/*
 * Plays an SMTP server by a script against an attempt of the delivery role,
 * over real sockets and real TLS, all in one process and one loop.
 *
 * A script is lines; '#' begins a comment line. First the world:
 *
 *	timeout NAME SECONDS	connect greeting reply final handshake idle
 *	reuse N			messages per connection
 *	hosts N			hosts in the plan; default 1
 *	closed N		host N refuses connections
 *	requiretls-bounce drop, requiretls-dane-ee name-too
 *	route			mail goes by a route; and with it
 *	credentials USER PASSWORD
 *	client-certificate	the one for mx1.test
 *	lmtp			instead of SMTP
 *	mx			and the host's name is an MX record's word
 *
 * then one or more jobs, done one after the other:
 *
 *	job			begins one; the rest may be left out
 *	require clear | opportunistic | encrypted | name | fingerprint | dane
 *	require-at N R		the same, but for host N alone
 *	source none | level | dane | half-dane | sts	who asks for it
 *	name N			a name for `require name` or `dane` (mx1.test is
 *				the default)
 *	pin good | key | bad	for `require fingerprint`
 *	tlsa U S bad | C	for `require dane`: a SHA-256 record (type 1) of
 *				certificate C: good other self authority
 *	also-name		WebPKI as well
 *	sni NAME | none		server name to ask for; default the host's name
 *	implicit		TLS from the first byte
 *	skip N			host N is not to be connected to
 *	no-starttls clear | defer | SECONDS
 *	broken-tls clear | defer | SECONDS
 *	trouble SECONDS		TLS trouble was first seen so long ago
 *	ideal R [S]		what is published but does not bind: requirement
 *				and source
 *	skip-for-good N		the same as skip, because of REQUIRETLS alone
 *	wish requiretls | bounce | optional	the flags of the job, the plan's
 *				wish, and for the first two requiretls of hosts
 *	level NAME		the operator's level for the message
 *	expects-tls		memory knows TLS of the hosts
 *	sts D			the policy in force has this digest
 *	sts-mismatch		and it leaves the hosts out
 *	plan TEXT		makes the key of the plan differ
 *	key TEXT		the key of the plan, whatever is in it
 *	replan			begins another plan for this job: the next one
 *				asked for, and like the one before but for what
 *				follows
 *	from A, to A [NOTIFY [ORCPT]], envid X, flags 8bit utf8 utf8-header
 *				full headers
 *	many N			recipients u1@example.net to uN@example.net
 *	prefix TEXT, body TEXT	with \r \n \t \\ \xHH
 *	large N			a body of N bytes
 *	inline			the body comes with the job
 *	attempt N		it is tried for the Nth time; the first
 *	fail N			reading the body fails at offset N
 *	expect A OUTCOME [CODE [REASON]]	e.g. a@b deferred 4.7.10 no-starttls
 *	expect-all OUTCOME [CODE [REASON]]
 *	expect-trouble yes | no
 *	expect-tls A NAME	what the status says behind verify=, or none
 *	expect-text A TEXT	the status has this text in it
 *	expect-questions N	how often a plan is asked for, for this job
 *	observed HOST STAGE RESULT [SYMPTOM [WEB]]	one line for each
 *				observation of all jobs, in their order; the words
 *				of policy/ and symptom.h, "-" for none; WEB is
 *				valid, invalid or unknown. Without any such line
 *				observations do not matter.
 *	observed-text TEXT	and one of them has this as its reason or reply,
 *				or among its keywords
 *
 * and the connections, in the order in which they come to each host:
 *
 *	server [N]		the next connection to host N
 *	S TEXT			send a line
 *	R TEXT			send bytes as written, with escapes
 *	C TEXT			a line must come; '*' at the end: whatever follows
 *	D TEXT			DATA comes as one: all up to the final dot, compared
 *	D			the same, compared with the message of the job
 *	B TEXT			the same by BDAT ... LAST: no dots are doubled
 *	B			the same, compared with the message of the job
 *	TLS [good | other | self | chain]	take the handshake; the
 *				certificates are for mx1.test, for
 *				elsewhere.test, for mx1.test by an unknown
 *				authority, and good with its authority
 *	IN-TLS [NAME]		the session must be under TLS now, and the
 *				client have asked for this server name
 *	CHANGE [PATTERN]	the policy for these domains changes (all)
 *	QUIET MS		nothing may come for so long
 *	PAUSE MS		do not even look for so long
 *	HEAR MS			until something has come that nobody reads, or
 *				for so long
 *	CLOSE, RESET		end the connection properly, or at once
 *	STALL			say nothing more and wait for the end
 *
 * Behind the last line the client must close, without another word. A section
 * that was not played, or a connection too many, is an error.
 */
#ifndef POSTERN_TESTS_DIALOG_CLIENT_DIALOG_H
#define POSTERN_TESTS_DIALOG_CLIENT_DIALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/dialog-client/pki.h"
#include "tests/fake_policy_client.h"
#include "tests/fake_worker.h"

struct dialog_result {
	char		 error[2048];	/* empty: all as expected */
	unsigned	 mail_in_clear;	/* MAIL lines heard without TLS */
	unsigned	 auth_in_clear;	/* AUTH, or what follows it: an error */
	unsigned	 connections;
	size_t		 data_length;	/* of the last D */
	bool		 tls_trouble;
	struct status	 first;		/* of the first recipient, last job */
	char		 transcript[65536];
};

/* Once per process. */
void	 dialog_init(void);
void	 dialog_release(void);
/* result->error tells. */
void	 dialog_play(const char *script, struct dialog_result *result);

#endif
