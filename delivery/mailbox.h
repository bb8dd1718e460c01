/* SPDX-License-Identifier: ISC */
/*
 * The mailbox role: jobs with a maildir at the end. It runs as the mail user
 * and, when confined, sees the mail directory as its root and nothing else.
 */
#ifndef POSTERN_DELIVERY_MAILBOX_H
#define POSTERN_DELIVERY_MAILBOX_H

#include "base/process.h"

extern const struct role_entry mailbox_entry;

#endif
