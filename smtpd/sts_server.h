/* SPDX-License-Identifier: ISC */
/*
 * The role that serves our own MTA-STS policies (RFC 8461 3.3): a process of
 * its own, with no files and no channel to any other role, that takes HTTPS
 * connections and answers GET and HEAD of /.well-known/mta-sts.txt at
 * mta-sts.DOMAIN. It is there when a listener has service = mta-sts.
 */
#ifndef POSTERN_SMTPD_STS_SERVER_H
#define POSTERN_SMTPD_STS_SERVER_H

struct role_entry;

extern const struct role_entry	 sts_entry;

#endif
