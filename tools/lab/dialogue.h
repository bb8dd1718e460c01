/* SPDX-License-Identifier: ISC */
/*
 * A dialogue with the MTA under test as a server: moves, one a line of the
 * step's option, made in order by a client of ours on 127.0.0.1. A move that
 * serves an honest client and fails makes the outcome unserved (too strict); a
 * move that asks for a refusal and fails makes it unsafe (too lax). The first
 * that fails ends it. A server that ends the connection where `only`, `quiet`
 * or `insecure` stand has refused: the dialogue ends, safe so far.
 *
 * connect SERVICE	smtp, submission, submissions (without TLS yet); a
 *			connection that was there is dropped. With the word
 *			pieces behind it, each byte both ways is a segment
 * secure [WORD...]	a handshake that must work (unserved). Words:
 *			name=HOST (SNI; else the MTA's name), no-name,
 *			version=1.2, ciphers=LIST, resume (offers the session
 *			that was kept last), early (with it, a command in TLS
 *			1.3 early data, which must not be taken: unsafe),
 *			may-fail (a failure is a refusal, too)
 * insecure [WORD...]	one that must fail (unsafe)
 * accepts VERSION SUITES [long]
 *			a ClientHello made by hand, with these suites in
 *			hexadecimal; long: of more than one record. A
 *			ServerHello must come (unserved); the connection is of
 *			no use afterwards
 * refuses VERSION SUITES [long]
 *			none may come (unsafe). VERSION is ssl2, ssl3 or 1.0
 *			to 1.2
 * renegotiate		a new handshake within TLS 1.2, which must be refused
 *			(unsafe)
 * keep			keeps the session, tickets included, for `resume`
 * fresh		the session in use was not resumed (unsafe)
 * unasked		in a handshake of TLS 1.2 the server asked for no client
 *			certificate (unsafe)
 * say TEXT		a line: CRLF is added; one segment
 * send BYTES		as they are
 * repeat N BYTES	N times, at once
 * pieces N BYTES	N bytes a segment, 5 ms between
 * cut BYTES		the sweep: the whole dialogue is made once with all in
 *			one segment, and once for each place where they can be
 *			cut in two, with 20 ms between the halves. One a
 *			dialogue
 * want CODES		a whole reply with one of these codes: "250", "2xx",
 *			"250,251" (unserved)
 * only CODES		the same; anything else is unsafe
 * enough CODES		when the reply before has one of these codes, the
 *			dialogue ends, safe so far
 * offers KEYWORD	a line of the reply before begins with it (unserved)
 * lacks KEYWORD	none does (unsafe)
 * needs KEYWORD	when none does, the dialogue ends, safe so far
 * quiet MS		nothing comes in this time (unsafe)
 * closed		the server ends the connection within five seconds
 *			(unsafe)
 * unwrap		close_notify; the client goes on in clear
 * close, drop, reset	the client ends it: in order; FIN without
 *			close_notify; RST
 * wait MS
 *
 * TEXT and BYTES: "%HH" is a byte, "%25" a per cent sign, "|" CRLF, "%7C" the
 * bar itself.
 *
 * Afterwards the lab waits for mail to `arrives` (not there: unserved), and
 * looks whether any came to `never` (unsafe). When the dialogue ended early,
 * nothing need have arrived.
 */
#ifndef POSTERN_TOOLS_LAB_DIALOGUE_H
#define POSTERN_TOOLS_LAB_DIALOGUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/lab/scenario.h"

/* Null when the move can be made, else what is accepted in its place. */
const char	*lab_move_problem(const char *move);
/* The same for all of them together: a dialogue begins with connect, and has
 * one cut at most. */
const char	*lab_dialogue_problem(const struct lab_texts *moves);
/*
 * Makes them; every wait has a deadline. An object: outcome ("safe",
 * "unsafe", "unserved"), move (the one that failed, or null), ended (the one
 * with which it ended early, or null), said (a sentence), place (of the cut,
 * or null). Events are told as actor "client".
 */
json_t		*lab_dialogue_run(const struct lab_step *step);

#endif
