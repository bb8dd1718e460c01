/* SPDX-License-Identifier: ISC */
/*
 * The role that accepts mail: one process per core, no files, no queue of its
 * own. What process_run() needs to know of it is this one table.
 */
#ifndef POSTERN_SMTPD_SMTPD_H
#define POSTERN_SMTPD_SMTPD_H

struct role_entry;

extern const struct role_entry	 smtpd_entry;

#endif
