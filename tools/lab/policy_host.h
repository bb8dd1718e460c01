/* SPDX-License-Identifier: ISC */
/*
 * The HTTPS host of one MTA-STS policy. It serves the body at the well-known
 * path to whoever asks, under any name, and knows these faults:
 *
 * reset	RST in place of the handshake
 * close	the request is read, then the connection ends without a word
 * stall	the request is read, then nothing, for LAB_STALL_MS
 * drip		the answer comes a byte a second
 * short	Content-Length is more than the body; then close_notify and FIN
 * endless	a body in chunks that has no end
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
