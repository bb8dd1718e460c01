/* SPDX-License-Identifier: ISC */
/*
 * Runs one scripted SMTP session (tests/dialog/smtpd/NAME.dialog) against
 * the real session code on the real loop, over a socket pair, with the peers
 * of tests/fake_smtpd_peers.h behind it. One line of a script is one step:
 *
 *	# text			a comment; names the requirements covered
 *	conf: LINES		more configuration; first of all
 *	listener: SETTINGS	of the listener: "tls = require"
 *	filter: NAME SETTINGS	one more in the chain of milters
 *	F: NAME LINE		of its script (tests/scripted_filter.h)
 *	F-down: NAME 1|0	it cannot be connected to, or can again
 *	F-told: NAME PATTERN	a line of what it was told is like this
 *	F-none: NAME PATTERN	no line of it is
 *	F-forget: NAME		what it was told so far does not count
 *	F-connections: NAME N	so many were made to it
 *	no-certificate:		the server has none
 *	from: ADDRESS		of the client; 198.51.100.7 unless said; local is
 *				user 1000 of this machine
 *	listed: NAME		the client's certificate may relay
 *	once:			not to be run byte by byte as well: the script
 *				is about what comes together
 *	set: NAME VALUE		a member of struct fake_peers; or what policy
 *				answers from now on:
 *		spf PROOF [DOMAIN [EXPLANATION]]	pass, fail, softfail,
 *				neutral, none, temperror, permerror
 *		spf-hello PROOF [DOMAIN [EXPLANATION]]	the HELO name decided
 *		text NAME TEXT	a TXT record (a DKIM key); each line of the same
 *				name is one more record; none is: missing
 *		text-failed NAME	the lookup fails
 *		dmarc PROOF [WISH [DOMAIN]]	WISH: none, quarantine, reject;
 *				DOMAIN: where the record is
 *		listed ZONE ADDRESS ...		what a DNSBL or DNSWL says;
 *		listed ZONE failed		... it cannot be asked
 *		greylist SECONDS	to wait; 0: known
 *		policy-silent 1		these are never answered
 *	early: TEXT		sent before the server has the connection
 *	C: TEXT			the client sends a line
 *	C-raw: TEXT		... exactly this (\r \n \0 \s \xHH \\)
 *	C-split: TEXT		... a line, each byte in a turn of its own
 *	C-repeat: N TEXT	... N times this, as C-raw
 *	C-end:			... nothing more (half-closes)
 *	C-deaf: 1|0		... reads nothing, or reads again
 *	C-drop:			... is gone, without close_notify; whatever
 *				comes after this is a new session
 *	S: PATTERN		one line comes; * is any text
 *	S-all: CODE		a whole reply of that code comes
 *	S-count: N CODE		... N times
 *	S-first: N CODE REST	N lines, first of CODE, then of REST, both at
 *				least once
 *	TLS: [certificate]	the client does its part of a handshake, and
 *				shows its certificate if it is asked for one
 *	E:			the server has closed, nothing was unread
 *	quiet:			nothing comes for some turns
 *	wait: MS		so many milliseconds pass
 *	sessions: N		the server has so many
 *	M-NAME: VALUE		what the queue got; see check_message()
 *	M-view: PATTERN		what goes out behind the prefix; "|" is CRLF
 *	M-hold: PATTERN		why it is held; (none)
 *	M-asked: PATTERN	what policy was asked, in the words of
 *				tests/fake_smtpd_policy.h
 *	logged:			the log is kept from here on, for
 *	L: PATTERN		a line of it is like this
 *	L-none: PATTERN		no line of it is
 *	stop: stop-now: reload: CONF	the server is told so
 *	unlisted:		the client's certificate is taken off the list
 */
#ifndef POSTERN_TESTS_DIALOG_DIALOG_H
#define POSTERN_TESTS_DIALOG_DIALOG_H

#include <stdbool.h>
#include <stddef.h>

/* Needs world_prepare(). True when all went as written; else why says where
 * and what. bytewise: everything the client says comes byte by byte. */
bool	 dialog_run(const char *path, bool bytewise, char *why, size_t size);
/* Whether the script says once: */
bool	 dialog_is_once(const char *path);

#endif
