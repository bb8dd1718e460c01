/* SPDX-License-Identifier: ISC */
/*
 * The HTTPS host of one MTA-STS policy. It serves the body at the well-known
 * path to whoever asks, under any name unless needs_name, and knows these
 * faults:
 *
 * reset	RST in place of the handshake
 * close	the request is read, then the connection ends without a word
 * stall	the request is read, then nothing, for LAB_STALL_MS
 * drip		the answer comes a byte a second
 * short	Content-Length is more than the body; then close_notify and FIN
 * endless	a body in chunks that has no end
 * cut		neither length nor chunks; the body ends in FIN without
 *		close_notify, in the middle of a line
 * cut-chunk	chunks, and FIN in the middle of one, after close_notify
 * gzip		the body compressed, and said to be, though nobody asked
 * headers	header lines without end
 * informational	"103 Early Hints" again and again
 *
 * (block and refuse are the listener's business.)
 */
#ifndef POSTERN_TOOLS_LAB_POLICY_HOST_H
#define POSTERN_TOOLS_LAB_POLICY_HOST_H

#include <stddef.h>

struct lab_identities;
struct lab_policy;
struct lab_policy_host;

/* Borrows policy and identities. Null with a sentence in error. */
struct lab_policy_host	*lab_policy_host_new(const struct lab_policy *policy,
			    const struct lab_identities *identities,
			    char *error, size_t size);
void			 lab_policy_host_free(struct lab_policy_host *host);
/* Takes the descriptor; returns when the connection is over. */
void			 lab_policy_host_serve(
			    const struct lab_policy_host *host, int fd,
			    const char *client);

#endif
