/* SPDX-License-Identifier: ISC */
/*
 * sendmail -bs: SMTP on standard input and output, which is the server's own
 * dialogue passed through.
 */
#ifndef POSTERN_TOOLS_SENDMAIL_RELAY_H
#define POSTERN_TOOLS_SENDMAIL_RELAY_H

/* Until the server ends it; sysexits(3). */
int	 sendmail_relay(const char *socket, const char *hostname);

#endif
