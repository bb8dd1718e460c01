/* SPDX-License-Identifier: ISC */
/*
 * The network of a new namespace: lo is up, every documentation address is
 * ours, and nothing else can be reached.
 */
#ifndef POSTERN_TOOLS_LAB_NAMESPACE_NETWORK_H
#define POSTERN_TOOLS_LAB_NAMESPACE_NETWORK_H

#include <stddef.h>

/* 0, or -1 with a sentence. Without IPv6 in the kernel there is only IPv4. */
int	 lab_network_up(char *error, size_t size);

#endif
