/* SPDX-License-Identifier: ISC */
/*
 * The delivery role: everything that leaves by SMTP, and what is discarded. It
 * takes jobs from the queue, asks policy for the plan of each, and says one
 * status per recipient. It holds outgoing connections and nothing on disk.
 */
#ifndef POSTERN_DELIVERY_DELIVERY_H
#define POSTERN_DELIVERY_DELIVERY_H

#include "base/process.h"

extern const struct role_entry delivery_entry;

#endif
