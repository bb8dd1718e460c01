/* SPDX-License-Identifier: ISC */
/*
 * The directory: which addresses are ours and in which mailbox their mail is
 * kept. Reads nothing but the configuration it is sent; confined to an empty
 * directory.
 */
#ifndef POSTERN_POLICY_DIRECTORY_H
#define POSTERN_POLICY_DIRECTORY_H

#include "base/process.h"

extern const struct role_entry directory_entry;

#endif
