/* SPDX-License-Identifier: ISC */
/*
 * The policy role: the only process that asks the DNS. It answers delivery
 * with plans and smtpd with confirmed names.
 */
#ifndef POSTERN_POLICY_POLICY_H
#define POSTERN_POLICY_POLICY_H

#include "base/process.h"

extern const struct role_entry policy_entry;

#endif
