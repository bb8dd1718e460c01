/* SPDX-License-Identifier: ISC */
/*
 * sendmail, mailq and newaliases, as the programs of a machine call them:
 * without any right, by every user. Mail goes to the running server; while
 * there is none, into its drop directory (tools/drain.h).
 */
#ifndef POSTERN_TOOLS_SENDMAIL_H
#define POSTERN_TOOLS_SENDMAIL_H

/* argv[0] may be a path whose last part is the name; sysexits(3). */
int	 sendmail_main(int argc, char **argv);

#endif
